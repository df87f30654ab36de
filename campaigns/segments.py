"""客群: a rule selects tenants. A rule is a tree of all / any / not over conditions, for example

    {"all": [{"tag": "social"},
             {"not": {"feature": "late_payments_365", "op": ">", "value": 2}},
             {"any": [{"lease": "days_to_end", "op": "<=", "value": 60}, {"consent": "marketing"}]}]}

It becomes one set-based query with bound parameters, a sentence with brackets that match its meaning, and
for one tenant an explanation: the same tree with what holds and every condition's value. A condition that
asks for something unknown (no reading, no row) does not hold; its negation does.

The kinds of condition are a dictionary, LEAVES: a new kind is one more entry.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.conf import settings
from django.db import connection, models
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from tenants import consents, features, tags
from tenants.models import Consent, Feature

Rule = dict[str, Any]

MAX_DEPTH = 8
MAX_NODES = 100
MAX_TEXT = 100

# Whom a rule is asked about: `subject(tenant_id, lease_id)`; what its conditions read hangs on it.
JOINS_SQL = """
JOIN tenants_lease l ON l.id = subject.lease_id
JOIN tenants_unit u ON u.id = l.unit_id
JOIN tenants_building b ON b.id = u.building_id
LEFT JOIN tenants_feature f ON f.tenant_id = subject.tenant_id
"""
# Everybody who lives here or will, with the lease that runs today or else the next one.
RESIDENTS_SQL = f"""
WITH {features.PERSON_SQL},
subject AS (
    SELECT DISTINCT ON (person.root) person.root AS tenant_id, lease.id AS lease_id
    FROM tenants_lease lease
    JOIN tenants_leasetenant lt ON lt.lease_id = lease.id
    JOIN person ON person.id = lt.tenant_id
    WHERE lease.state = 'signed' AND lease.last_day >= %(today)s
    ORDER BY person.root, lease.first_day, lease.id
)"""  # noqa: S608


class BadRule(Exception):
    """A rule that cannot be used: where, and what is wrong there."""

    def __init__(self, place: str, fault: str) -> None:
        super().__init__(f"{place or _('rule')}: {fault}")


class NotAResident(Exception):
    """A rule says nothing about someone without a current or future lease."""

    def __init__(self, tenant: int) -> None:
        super().__init__(_("Tenant %(tenant)s has no current or future lease.") % {"tenant": tenant})


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
            raise BadRule(place, _("there is no %(kind)s “%(name)s”.") % {"kind": key, "name": _shown(name)})
        if op not in OPS[what.type]:
            fault = _("“%(op)s” does not fit “%(name)s”; these do: %(ops)s.")
            raise BadRule(place, fault % {"op": _shown(op), "name": name, "ops": " ".join(OPS[what.type])})
        values = value if op == "in" else [value]
        if not isinstance(values, list) or not 1 <= len(values) <= MAX_NODES:
            raise BadRule(place, _("the value of “in” is a list of 1 to 100 texts."))
        if not all(_fits(each, what.type) for each in values):
            raise BadRule(place, _("“%(value)s” is no value for “%(name)s”.") % {"value": _shown(value), "name": name})

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
            raise BadRule(place, _("there is no %(kind)s “%(name)s”.") % {"kind": key, "name": _shown(name)})

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


# --- The tree ----------------------------------------------------------------------------------------------


def check(rule: Any) -> None:
    """`rule` can be used. Raises `BadRule` with one sentence that names the place."""
    nodes = 0

    def walk(node: Any, place: str, depth: int) -> None:
        nonlocal nodes
        nodes += 1
        if nodes > MAX_NODES:
            raise BadRule(place, _("a rule has at most %(n)d conditions and groups.") % {"n": MAX_NODES})
        if depth > MAX_DEPTH:
            raise BadRule(place, _("a rule is at most %(n)d levels deep.") % {"n": MAX_DEPTH})
        if not isinstance(node, dict):
            raise BadRule(place, _("here a condition or a group is expected, not “%(it)s”.") % {"it": _shown(node)})
        kinds = [key for key in ("all", "any", "not", *LEAVES) if key in node]
        if len(kinds) != 1:
            names = ", ".join(("all", "any", "not", *LEAVES))
            raise BadRule(place, _("exactly one of these is expected: %(names)s.") % {"names": names})
        kind = kinds[0]
        strange = set(node) - (LEAVES[kind].keys if kind in LEAVES else {kind})
        if strange:
            raise BadRule(place, _("“%(key)s” does not belong here.") % {"key": _shown(sorted(strange)[0])})
        if kind in LEAVES:
            LEAVES[kind].check(node, place)
        elif kind == "not":
            walk(node["not"], f"{place}.not".lstrip("."), depth + 1)
        else:
            if not isinstance(node[kind], list) or not node[kind]:
                raise BadRule(place, _("“%(kind)s” needs a list of at least one condition.") % {"kind": kind})
            for n, child in enumerate(node[kind]):
                walk(child, f"{place}.{kind}[{n}]".lstrip("."), depth + 1)

    walk(rule, "", 1)


def leaves(rule: Rule | None) -> Iterator[tuple[str, Rule]]:
    """Every condition of a rule with its kind."""
    if rule is None:
        return
    kind = _kind(rule)
    if kind in LEAVES:
        yield kind, rule
    else:
        for child in _children(rule):
            yield from leaves(child)


def condition(rule: Rule | None, bound: Bound) -> str:
    """SQL over `subject` and its joins that is true for whom the rule selects; no rule selects everybody."""
    if rule is None:
        return "TRUE"
    check(rule)
    return _sql(rule, bound)


def _sql(rule: Rule, bound: Bound) -> str:
    kind = _kind(rule)
    if kind in LEAVES:
        return f"coalesce({LEAVES[kind].holds(rule, bound)}, FALSE)"
    parts = [_sql(child, bound) for child in _children(rule)]
    if kind == "not":
        return f"NOT {parts[0]}"
    return f"({' AND '.join(parts) if kind == 'all' else ' OR '.join(parts)})"


def members(rule: Rule | None, *, today: date) -> list[int]:
    """The tenants whom the rule selects among those who live here or will, by id."""
    bound = Bound(today)
    where = condition(rule, bound)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{RESIDENTS_SQL} SELECT subject.tenant_id FROM subject {JOINS_SQL} WHERE {where} ORDER BY 1",  # noqa: S608
            bound.values,
        )
        return [row[0] for row in cursor.fetchall()]


def sentence(rule: Rule | None) -> str:
    """The rule in words of the current language, bracketed as it is meant."""
    if rule is None:
        return _("everybody")
    check(rule)
    return _words(rule)


def sentences(rule: Rule | None) -> dict[str, str]:
    """The rule in Chinese and in English."""
    said = {}
    for language, code in (("zh", "zh-hans"), ("en", "en")):
        with override(code):
            said[language] = sentence(rule)
    return said


def _words(rule: Rule) -> str:
    kind = _kind(rule)
    if kind in LEAVES:
        return LEAVES[kind].sentence(rule)
    children = _children(rule)
    if kind == "not":
        return _("not (%(condition)s)") % {"condition": _words(children[0])}
    parts = [_("(%(group)s)") % {"group": _words(child)} if _is_group(child) else _words(child) for child in children]
    return (_(" and ") if kind == "all" else _(" or ")).join(parts)


def _is_group(rule: Rule) -> bool:
    return _kind(rule) in {"all", "any"} and len(_children(rule)) > 1


def explain(rule: Rule, tenant: int, *, today: date) -> dict[str, Any]:
    """The rule's tree for one tenant: what holds, with every condition's value. Raises `NotAResident`."""
    check(rule)
    bound = Bound(today)
    columns = [
        f"coalesce({LEAVES[kind].holds(leaf, bound)}, FALSE), to_jsonb({LEAVES[kind].value(leaf, bound)})"
        for kind, leaf in leaves(rule)
    ]
    who = bound.add(tenant)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{RESIDENTS_SQL} SELECT {', '.join(columns)} FROM subject {JOINS_SQL} "  # noqa: S608
            f"WHERE subject.tenant_id = (SELECT coalesce(merged_into_id, id) FROM tenants_tenant WHERE id = {who})",
            bound.values,
        )
        row = cursor.fetchone()
    if row is None:
        raise NotAResident(tenant)
    found = iter(zip(row[::2], map(_read, row[1::2]), strict=True))

    def tree(node: Rule) -> dict[str, Any]:
        kind = _kind(node)
        if kind in LEAVES:
            holds, value = next(found)
            return {"condition": node, "sentence": _words(node), "holds": holds, "value": value}
        children = [tree(child) for child in _children(node)]
        each = [child["holds"] for child in children]
        holds = {"all": all, "any": any, "not": lambda held: not held[0]}[kind](each)
        return {"group": kind, "sentence": _words(node), "holds": holds, "children": children}

    return tree(rule)


def _read(column: str | None) -> Any:
    """A jsonb column as Python has it: Django leaves them as text in its own cursors."""
    return None if column is None else json.loads(column)


def look(rule: Rule, *, today: date, tenant: int | None = None) -> dict[str, Any]:
    """What a person asks of a rule: its words with the members, or with the explanation for one tenant."""
    check(rule)
    if tenant is not None:
        return {"sentence": sentences(rule), "tenant": tenant, "explanation": explain(rule, tenant, today=today)}
    selected = members(rule, today=today)
    return {"sentence": sentences(rule), "count": len(selected), "members": selected}


def _kind(rule: Rule) -> str:
    return next(key for key in ("all", "any", "not", *LEAVES) if key in rule)


def _children(rule: Rule) -> list[Rule]:
    kind = _kind(rule)
    return [rule["not"]] if kind == "not" else rule[kind]


def _shown(value: Any) -> str:
    """A value from outside, short enough to be quoted."""
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
