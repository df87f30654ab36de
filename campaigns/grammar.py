"""What every kind of condition is made of: fields, comparisons, bound parameters, and the fault of a bad rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from tenants import consents

Rule = dict[str, Any]

MAX_TEXT = 100
MAX_VALUES = 100
SIGNS = {"=": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥"}
OPS: dict[type, tuple[str, ...]] = {int: tuple(SIGNS), bool: ("=",), str: ("=", "!=", "in")}


class BadRule(Exception):
    """A rule that cannot be used: where, and what is wrong there."""

    def __init__(self, place: str, fault: str) -> None:
        self.place, self.fault = place, fault
        super().__init__(f"{place or _('rule')}: {fault}")


@dataclass(slots=True)
class Bound:
    """The parameters of a query under construction."""

    today: date
    values: dict[str, Any] = field(default_factory=dict)
    of_everybody: bool = False  # whether it is asked of everybody there is, and not of those in `person`

    def __post_init__(self) -> None:
        # The first channel is the one that would carry the message.
        channel = settings.CHANNELS[0] if settings.CHANNELS else consents.ANY
        self.values |= {"today": self.today, "channel": channel}

    def add(self, value: Any) -> str:
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"%({name})s"


# Few are merged, so that of all others nothing is read.
MERGED_SQL = "SELECT id, merged_into_id AS into_id FROM tenants_tenant WHERE merged_into_id IS NOT NULL"
_EVERYBODY_SQL = f"""
    tenants_event e
    LEFT JOIN ({MERGED_SQL}) merged ON merged.id = e.tenant_id
    JOIN LATERAL (SELECT coalesce(merged.into_id, e.tenant_id) AS root) who ON who.root IS NOT NULL"""


def events_sql(bound: Bound) -> str:
    """What to read events `e` from, with the person `who.root` each is of."""
    return _EVERYBODY_SQL if bound.of_everybody else "person who JOIN tenants_event e ON e.tenant_id = who.id"


@dataclass(frozen=True, slots=True)
class Field:
    """Something a condition may compare."""

    name: str | Promise
    sql: str
    type: type  # int (any number), bool or str
    values: Callable[[], Mapping[Any, Any]] = dict  # what it is known to be, each code with its name


@dataclass(frozen=True, slots=True)
class Leaf:
    """One kind of condition. `holds` gives SQL that is true or not, `value` SQL of what it looked at."""

    keys: frozenset[str]
    check: Callable[[Rule, str], None]
    holds: Callable[[Rule, Bound], str]
    value: Callable[[Rule, Bound], str]
    sentence: Callable[[Rule], str]
    # What is missing for it to hold, given the value; empty where that cannot be said in a number.
    miss: Callable[[Rule, Any], str] = lambda leaf, value: ""
    # Whether `those` gives SQL of all of whom it holds: not if it asks of the lease, or holds of whom nothing is known.
    names_them: Callable[[Rule], bool] = lambda leaf: False
    those: Callable[[Rule, Bound], str] = lambda leaf, bound: ""
    # SQL that is read more quickly and gives some others too; empty where there is none.
    wider: Callable[[Rule, Bound], str] = lambda leaf, bound: ""


def check_keys(it: Any, place: str, needed: set[str], allowed: frozenset[str] = frozenset()) -> None:
    """`it` is an object with these keys and none but these. Raises `BadRule`."""
    if not isinstance(it, dict) or not needed <= set(it) <= needed | allowed:
        names = ", ".join(sorted(needed | allowed))
        raise BadRule(place, _("here an object with these keys is expected: %(names)s.") % {"names": names})


def check_whole(value: Any, place: str, key: str, least: int, most: int) -> None:
    """`value` is a whole number in these bounds. Raises `BadRule`."""
    if type(value) is not int or not least <= value <= most:
        facts = {"key": key, "least": least, "most": most}
        raise BadRule(place, _("“%(key)s” is a whole number from %(least)d to %(most)d.") % facts)


def check_comparison(what: Field, op: Any, value: Any, place: str, name: str) -> None:
    """`what` can be compared so. Raises `BadRule`."""
    if not isinstance(op, str) or op not in OPS[what.type]:
        fault = _("“%(op)s” does not fit “%(name)s”; these do: %(ops)s.")
        raise BadRule(place, fault % {"op": shown(op), "name": name, "ops": " ".join(OPS[what.type])})
    values = value if op == "in" else [value]
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_VALUES:
        raise BadRule(place, _("the value of “in” is a list of 1 to 100 texts."))
    if not all(_fits(each, what.type) for each in values):
        raise BadRule(place, _("“%(value)s” is no value for “%(name)s”.") % {"value": shown(value), "name": name})


def compare_sql(sql: str, op: str, value: Any, bound: Bound) -> str:
    """The comparison in SQL, its value bound."""
    if op == "in":
        return f"{sql} = ANY({bound.add(value)})"
    return f"{sql} {'<>' if op == '!=' else op} {bound.add(value)}"


def say_comparison(name: str, op: str, value: Any, names: Mapping[Any, Any] | None = None) -> str:
    """The comparison in words; codes of which `names` knows the name are named."""
    names = names or {}
    if op == "in":
        said = " / ".join(str(names.get(each, each)) for each in value)
        return _("%(name)s is one of %(values)s") % {"name": name, "values": said}
    return f"{name} {SIGNS[op]} {names.get(value, value)}"


def short_of(op: str, wanted: float, found: float) -> float:
    """How much more or, if negative, less it would take for the comparison to hold; nought where it cannot be said."""
    match op:
        case ">=" | "=" | "<=":
            return wanted - found
        case ">" | "<":  # of whole things the next one is enough
            step = 1 if op == ">" else -1
            return wanted - found + step if float(wanted).is_integer() else wanted - found
    return 0


def say_short(name: str, short: float) -> str:
    """What is missing of a number: “gym visits: 2 more”."""
    if not short:
        return ""
    facts = {"name": name, "n": f"{abs(short):g}"}
    return (_("%(name)s: %(n)s more") if short > 0 else _("%(name)s: %(n)s fewer")) % facts


def shown(value: Any) -> str:
    """A value from outside, short enough to be quoted."""
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _fits(value: Any, type_: type) -> bool:
    if type_ is bool or isinstance(value, bool):
        return type_ is bool and isinstance(value, bool)
    if type_ is str:
        return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and "\x00" not in value
    return isinstance(value, (int, float)) and math.isfinite(value) and abs(value) <= 1e9
