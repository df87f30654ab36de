"""The kinds of condition a rule may have: a dictionary, LEAVES, where a new kind is one more entry.

Each kind checks what it is given, gives SQL that holds or not, SQL of the value it looked at, and its sentence. The
SQL reads `subject(tenant_id, lease_id)` and what JOINS_SQL hangs on it; every name comes from a list here, every
value is a bound parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tenants import consents, tags
from tenants.models import Consent, Feature

Rule = dict[str, Any]

MAX_TEXT = 100
MAX_VALUES = 100

JOINS_SQL = """
JOIN tenants_lease l ON l.id = subject.lease_id
JOIN tenants_unit u ON u.id = l.unit_id
JOIN tenants_building b ON b.id = u.building_id
LEFT JOIN tenants_feature f ON f.tenant_id = subject.tenant_id
"""


class BadRule(Exception):
    """A rule that cannot be used: where, and what is wrong there."""

    def __init__(self, place: str, fault: str) -> None:
        super().__init__(f"{place or _('rule')}: {fault}")


@dataclass(slots=True)
class Bound:
    """The parameters of a query under construction."""

    today: date
    values: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The first channel is the one that would carry the message.
        channel = settings.CHANNELS[0] if settings.CHANNELS else consents.ANY
        self.values |= {"today": self.today, "channel": channel}

    def add(self, value: Any) -> str:
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"%({name})s"


@dataclass(frozen=True, slots=True)
class Field:
    """Something a condition may compare."""

    name: str | Promise
    sql: str
    type: type  # int (any number), bool or str


@dataclass(frozen=True, slots=True)
class Leaf:
    """One kind of condition. `holds` gives SQL that is true or not, `value` SQL of what it looked at."""

    keys: frozenset[str]
    check: Callable[[Rule, str], None]
    holds: Callable[[Rule, Bound], str]
    value: Callable[[Rule, Bound], str]
    sentence: Callable[[Rule], str]


# --- Conditions that compare a field -----------------------------------------------------------------------

NUMBER_FIELDS = (models.IntegerField, models.PositiveIntegerField, models.FloatField)
FEATURES = {
    f.name: Field(f.verbose_name, f"f.{f.column}", bool if isinstance(f, models.BooleanField) else int)
    for f in Feature._meta.concrete_fields
    if isinstance(f, (*NUMBER_FIELDS, models.BooleanField))
}
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
    "monthly_rent": Field(gettext_lazy("monthly rent"), "l.monthly_rent", int),
    "room_type": Field(gettext_lazy("room type"), "u.room_type", str),
    "building": Field(gettext_lazy("building"), "b.code", str),
}
SIGNS = {"=": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥"}
OPS: dict[type, tuple[str, ...]] = {int: tuple(SIGNS), bool: ("=",), str: ("=", "!=", "in")}


def _comparing(key: str, fields: dict[str, Field]) -> Leaf:
    """A condition {key: field, "op": …, "value": …}."""

    def check(leaf: Rule, place: str) -> None:
        name, op, value = leaf[key], leaf.get("op"), leaf.get("value")
        what = fields.get(name) if isinstance(name, str) else None
        if what is None:
            raise BadRule(place, _("there is no %(kind)s “%(name)s”.") % {"kind": key, "name": shown(name)})
        if op not in OPS[what.type]:
            fault = _("“%(op)s” does not fit “%(name)s”; these do: %(ops)s.")
            raise BadRule(place, fault % {"op": shown(op), "name": name, "ops": " ".join(OPS[what.type])})
        values = value if op == "in" else [value]
        if not isinstance(values, list) or not 1 <= len(values) <= MAX_VALUES:
            raise BadRule(place, _("the value of “in” is a list of 1 to 100 texts."))
        if not all(_fits(each, what.type) for each in values):
            raise BadRule(place, _("“%(value)s” is no value for “%(name)s”.") % {"value": shown(value), "name": name})

    def holds(leaf: Rule, bound: Bound) -> str:
        sql = fields[leaf[key]].sql
        if leaf["op"] == "in":
            return f"{sql} = ANY({bound.add(leaf['value'])})"
        op = "<>" if leaf["op"] == "!=" else leaf["op"]
        return f"{sql} {op} {bound.add(leaf['value'])}"

    def sentence(leaf: Rule) -> str:
        what, op, value = fields[leaf[key]], leaf["op"], leaf["value"]
        if what.type is bool:
            return str(what.name) if value else _("not (%(condition)s)") % {"condition": what.name}
        if op == "in":
            return _("%(name)s is one of %(values)s") % {"name": what.name, "values": " / ".join(value)}
        return f"{what.name} {SIGNS[op]} {value}"

    return Leaf(
        keys=frozenset({key, "op", "value"}),
        check=check,
        holds=holds,
        value=lambda leaf, bound: fields[leaf[key]].sql,
        sentence=sentence,
    )


def _fits(value: Any, type_: type) -> bool:
    if type_ is bool or isinstance(value, bool):
        return type_ is bool and isinstance(value, bool)
    if type_ is str:
        return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and "\x00" not in value
    return isinstance(value, (int, float)) and math.isfinite(value) and abs(value) <= 1e9


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
        value=lambda leaf, bound: f"({value.format(name=bound.add(leaf[key]))})",
        sentence=lambda leaf: str(words) % {"name": names()[leaf[key]]},
    )


_CONSENT_SQL = f"({consents.CURRENT_SQL}) consent WHERE consent.purpose = {{name}}"

LEAVES: dict[str, Leaf] = {
    "tag": _naming(
        "tag",
        lambda: {tag.code: tag.name for tag in tags.TAGS.values()},
        "SELECT tenant_id FROM tenants_tenanttag WHERE tag = {name}",
        "SELECT evidence FROM tenants_tenanttag WHERE tag = {name} AND tenant_id = subject.tenant_id",
        gettext_lazy("tagged “%(name)s”"),
    ),
    "feature": _comparing("feature", FEATURES),
    "lease": _comparing("lease", LEASE),
    "consent": _naming(
        "consent",
        lambda: {purpose.value: purpose.label for purpose in Consent.Purpose},
        f"SELECT consent.tenant_id FROM {_CONSENT_SQL} AND consent.granted",  # noqa: S608
        f"SELECT consent.granted FROM {_CONSENT_SQL} AND consent.tenant_id = subject.tenant_id",  # noqa: S608
        gettext_lazy("agrees to %(name)s"),
    ),
}


def shown(value: Any) -> str:
    """A value from outside, short enough to be quoted."""
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
