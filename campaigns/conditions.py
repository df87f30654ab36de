"""The kinds of condition a rule may have: a dictionary, LEAVES, where a new kind is one more entry.

Each kind checks what it is given, gives SQL that holds or not, SQL of the value it looked at, and its sentence. The
SQL reads `subject(tenant_id, lease_id)` and what JOINS_SQL hangs on it; every name comes from a list here, every
value is a bound parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from campaigns import agreeing, happened, moods
from campaigns.grammar import (
    BadRule,
    Bound,
    Field,
    Leaf,
    Rule,
    check_comparison,
    compare_sql,
    say_comparison,
    say_short,
    short_of,
    shown,
)
from campaigns.models import NameList
from tenants import tags
from tenants.models import Building, Feature, Lease, Unit

# All of them are there; LEFT lets the planner leave out those of which a rule asks nothing.
JOINS_SQL = """
LEFT JOIN tenants_lease l ON l.id = subject.lease_id
LEFT JOIN tenants_unit u ON u.id = l.unit_id
LEFT JOIN tenants_building b ON b.id = u.building_id
LEFT JOIN tenants_feature f ON f.tenant_id = subject.tenant_id
"""


# --- Conditions that compare a field -----------------------------------------------------------------------

NUMBER_FIELDS = (models.IntegerField, models.PositiveIntegerField, models.FloatField)


def _days_since(column: str) -> str:
    return f"(%(today)s - (f.{column} AT TIME ZONE 'Asia/Shanghai')::date)"


# The columns that are numbers or truths, and of moments how many days ago they were.
FEATURES = {
    **{
        f.name: Field(f.verbose_name, f"f.{f.column}", bool if isinstance(f, models.BooleanField) else int)
        for f in Feature._meta.concrete_fields
        if isinstance(f, (*NUMBER_FIELDS, models.BooleanField))
    },
    "days_since_bad_rating": Field(
        gettext_lazy("days since the last bad rating"), _days_since("last_bad_rating_at"), int
    ),
    "days_since_bad_mood": Field(gettext_lazy("days since the last bad mood"), _days_since("last_bad_mood_at"), int),
}


def _room_types() -> dict[str, str]:
    return {name: name for name in Unit.objects.order_by("room_type").values_list("room_type", flat=True).distinct()}


def _buildings() -> dict[str, str]:
    return dict(Building.objects.order_by("code").values_list("code", "name"))


STATES: dict[str, str | Promise] = {
    "coming": pgettext_lazy("a lease", "not begun yet"),
    "running": pgettext_lazy("a lease", "running"),
    "over": pgettext_lazy("a lease", "over"),
}
# As many months as can be added to the first day without going beyond the day after the agreed last one.
_MONTHS = """((extract(year FROM l.agreed_last_day + 1) - extract(year FROM l.first_day)) * 12
    + extract(month FROM l.agreed_last_day + 1) - extract(month FROM l.first_day))::int"""
_TERM_SQL = f"""({_MONTHS}
    - (l.first_day + make_interval(months => {_MONTHS}) > l.agreed_last_day + 1)::int)"""

LEASE = {
    "days_to_end": Field(gettext_lazy("days to the lease's end"), "(l.last_day - %(today)s)", int),
    "tenure_days": Field(
        gettext_lazy("days lived here"),
        """(%(today)s - (
            SELECT min(stay.first_day) FROM tenants_lease stay JOIN tenants_leasetenant who ON who.lease_id = stay.id
            WHERE stay.state = 'signed' AND who.tenant_id = ANY(ARRAY(
                SELECT subject.tenant_id UNION ALL
                SELECT id FROM tenants_tenant WHERE merged_into_id = subject.tenant_id))) + 1)""",
        int,
    ),
    "days_since_start": Field(gettext_lazy("days since the lease's first day"), "(%(today)s - l.first_day)", int),
    "term_months": Field(gettext_lazy("agreed term, whole months"), _TERM_SQL, int),
    "monthly_rent": Field(gettext_lazy("monthly rent"), "l.monthly_rent", int),
    "rent_above_list": Field(
        gettext_lazy("monthly rent above the list rent, percent"),
        "((l.monthly_rent - u.list_rent) * 100 / u.list_rent)",
        int,
    ),
    "state": Field(
        gettext_lazy("state of the lease"),
        "(CASE WHEN l.first_day > %(today)s THEN 'coming' WHEN l.last_day < %(today)s THEN 'over' ELSE 'running' END)",
        str,
        lambda: STATES,
    ),
    "ends_early": Field(gettext_lazy("ends early, as agreed"), "(l.ended_by <> '')", bool),
    "ended_by": Field(
        gettext_lazy("ended early by"), "nullif(l.ended_by, '')", str, lambda: dict(Lease.EndedBy.choices[1:])
    ),
    "is_renewal": Field(gettext_lazy("renews an earlier lease"), "(l.renews_id IS NOT NULL)", bool),
    "is_renewed": Field(
        gettext_lazy("is renewed already"),
        "EXISTS (SELECT FROM tenants_lease next WHERE next.renews_id = l.id AND next.state <> 'void')",
        bool,
    ),
    "floor": Field(gettext_lazy("floor"), "u.floor", int),
    "area": Field(gettext_lazy("area (m²)"), "u.area", int),
    "room_type": Field(gettext_lazy("room type"), "u.room_type", str, _room_types),
    "building": Field(gettext_lazy("building"), "b.code", str, _buildings),
}


def _comparing(key: str, fields: dict[str, Field]) -> Leaf:
    """A condition {key: field, "op": …, "value": …}."""

    def check(leaf: Rule, place: str) -> None:
        name, op, value = leaf[key], leaf.get("op"), leaf.get("value")
        what = fields.get(name) if isinstance(name, str) else None
        if what is None:
            raise BadRule(place, _("there is no %(kind)s “%(name)s”.") % {"kind": key, "name": shown(name)})
        check_comparison(what, op, value, place, name)

    def holds(leaf: Rule, bound: Bound) -> str:
        return compare_sql(fields[leaf[key]].sql, leaf["op"], leaf["value"], bound)

    def sentence(leaf: Rule) -> str:
        what, op, value = fields[leaf[key]], leaf["op"], leaf["value"]
        if what.type is bool:
            return str(what.name) if value else _("not (%(condition)s)") % {"condition": what.name}
        return say_comparison(str(what.name), op, value, what.values())

    def miss(leaf: Rule, value: Any) -> str:
        if fields[leaf[key]].type is not int or value is None:
            return ""
        return say_short(str(fields[leaf[key]].name), short_of(leaf["op"], leaf["value"], float(value)))

    return Leaf(
        keys=frozenset({key, "op", "value"}),
        check=check,
        holds=holds,
        value=lambda leaf, bound: fields[leaf[key]].sql,
        sentence=sentence,
        miss=miss,
    )


# --- Conditions that name something ------------------------------------------------------------------------


def _naming(key: str, names: Callable[[], dict[str, Any]], sql: str, value: str, words: str | Promise) -> Leaf:
    """A condition {key: name}; `sql` gives the tenants of whom it is true, `value` what is known of one."""

    def check(leaf: Rule, place: str) -> None:
        name = leaf[key]
        if not isinstance(name, str) or name not in names():
            raise BadRule(place, _("there is no %(kind)s “%(name)s”.") % {"kind": key, "name": shown(name)})

    return Leaf(
        keys=frozenset({key}),
        check=check,
        # Not EXISTS: inside OR and NOT the planner hashes IN once, and would run EXISTS per row.
        holds=lambda leaf, bound: f"subject.tenant_id IN ({sql.format(name=bound.add(leaf[key]))})",
        names_them=lambda leaf: True,
        those=lambda leaf, bound: sql.format(name=bound.add(leaf[key])),
        value=lambda leaf, bound: f"({value.format(name=bound.add(leaf[key]))})",
        sentence=lambda leaf: str(words) % {"name": names()[leaf[key]]},
    )


_LISTED_SQL = """
    FROM campaigns_listed listed
    JOIN campaigns_namelist named ON named.id = listed.list_id AND named.code = {name}
    JOIN campaigns_listchange change ON change.id = listed.added_id
    LEFT JOIN tenants_user account ON account.id = change.by_id
    JOIN person ON person.id = listed.tenant_id
    WHERE listed.taken_id IS NULL"""

LEAVES: dict[str, Leaf] = {
    "tag": _naming(
        "tag",
        lambda: {tag.code: tag.name for tag in tags.TAGS.values()},
        "SELECT tenant_id FROM tenants_tenanttag WHERE tag = {name}",
        "SELECT evidence FROM tenants_tenanttag WHERE tag = {name} AND tenant_id = subject.tenant_id",
        gettext_lazy("tagged “%(name)s”"),
    ),
    "list": _naming(
        "list",
        # One that was removed is still one of those that a rule may have named.
        lambda: dict(NameList.objects.values_list("code", "name")),
        f"SELECT person.root {_LISTED_SQL}",
        f"""SELECT jsonb_build_object('by', account.username, 'at', change.at) {_LISTED_SQL}
            AND person.root = subject.tenant_id ORDER BY change.at, change.id LIMIT 1""",
        gettext_lazy("on the list “%(name)s”"),
    ),
    "feature": _comparing("feature", FEATURES),
    "lease": _comparing("lease", LEASE),
    "consent": agreeing.LEAF,
    "moods": moods.LEAF,
    "events": happened.LEAF,
}
