"""What happened, as rules speak of it: the kinds of events, their fields, and comparisons that bind to one event.

Door logs are sensitive and are no kind here (PIPL 28); a meter's readings are no deeds of anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.dates import WEEKDAYS
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.grammar import (
    BadRule,
    Bound,
    Field,
    Rule,
    check_comparison,
    check_keys,
    check_whole,
    compare_sql,
    say_comparison,
    shown,
)
from connectors.records import Kind
from tenants.vocabulary import CHANNELS, FACILITIES, ITEMS, MOODS, SCREENS, Category

MOST_COMPARISONS = 10


def _text(name: str) -> str:
    return f"(e.data ->> '{name}')"


def _number(name: str) -> str:
    """A number that a source gave as text or as a number; of anything else nothing holds."""
    return f"(CASE WHEN e.data ->> '{name}' ~ '^-?[0-9]{{1,15}}([.][0-9]+)?$' THEN (e.data ->> '{name}')::float8 END)"


_LOCAL = "(e.at AT TIME ZONE 'Asia/Shanghai')"
TIME = {
    "hour": Field(gettext_lazy("hour"), f"extract(hour FROM {_LOCAL})::int", int),
    "weekday": Field(
        gettext_lazy("weekday"),
        f"extract(isodow FROM {_LOCAL})::int",
        int,
        lambda: {day + 1: name for day, name in WEEKDAYS.items()},
    ),
}
_DAYS_LATE = f"({_LOCAL}::date - nullif(e.data ->> 'due_on', '')::date)"


@dataclass(frozen=True, slots=True)
class Happening:
    """A kind of event as a rule may speak of it."""

    name: str | Promise
    fields: dict[str, Field]


KINDS: dict[str, Happening] = {
    Kind.TICKET_REPORTED: Happening(
        gettext_lazy("repair reports"),
        {
            "category": Field(gettext_lazy("category"), _text("category"), str, lambda: dict(Category.choices)),
            "channel": Field(gettext_lazy("channel of the report"), _text("channel"), str, lambda: CHANNELS),
        },
    ),
    Kind.TICKET_ACCEPTED: Happening(gettext_lazy("repairs accepted"), {}),
    Kind.TICKET_FINISHED: Happening(gettext_lazy("repairs finished"), {}),
    Kind.TICKET_RATED: Happening(
        gettext_lazy("ratings of repairs"), {"score": Field(gettext_lazy("score"), _number("score"), int)}
    ),
    Kind.MOOD_GIVEN: Happening(
        gettext_lazy("moods on bills"), {"mood": Field(gettext_lazy("mood"), _text("mood"), str, lambda: MOODS)}
    ),
    Kind.PAYMENT_MADE: Happening(
        gettext_lazy("payments"),
        {
            "item": Field(gettext_lazy("item"), _text("item"), str, lambda: ITEMS),
            "amount": Field(gettext_lazy("amount"), _number("amount"), int),
            "days_late": Field(gettext_lazy("days late"), _DAYS_LATE, int),
        },
    ),
    Kind.FACILITY_USED: Happening(
        gettext_lazy("facility bookings"),
        {"facility": Field(gettext_lazy("facility"), _text("facility"), str, lambda: FACILITIES)},
    ),
    Kind.COMMUNITY_JOINED: Happening(
        gettext_lazy("activities joined"), {"activity": Field(gettext_lazy("activity"), _text("activity"), str)}
    ),
    Kind.COMMUNITY_POSTED: Happening(
        gettext_lazy("community posts"), {"group": Field(gettext_lazy("group"), _text("group"), str)}
    ),
    Kind.APP_VIEWED: Happening(
        gettext_lazy("app pages seen"), {"name": Field(gettext_lazy("page"), _text("name"), str, lambda: SCREENS)}
    ),
    Kind.APP_TRACKED: Happening(
        gettext_lazy("things done in the app"), {"name": Field(gettext_lazy("deed"), _text("name"), str)}
    ),
}


def check_kind(kind: Any, place: str) -> None:
    """There are events of this kind. Raises `BadRule`."""
    if not isinstance(kind, str) or kind not in KINDS:
        facts = {"name": shown(kind), "names": ", ".join(KINDS)}
        raise BadRule(place, _("there are no events “%(name)s”; there are: %(names)s.") % facts)


def check_where(where: Any, place: str, fields: dict[str, Field]) -> None:
    """`where` is a list of comparisons on these fields. Raises `BadRule`."""
    if not isinstance(where, list) or not 1 <= len(where) <= MOST_COMPARISONS:
        raise BadRule(place, _("a list of one to %(n)d comparisons is expected here.") % {"n": MOST_COMPARISONS})
    for n, each in enumerate(where):
        at = f"{place}[{n}]"
        check_keys(each, at, {"field", "op", "value"})
        name = each["field"]
        if not isinstance(name, str) or name not in fields:
            facts = {"name": shown(name), "names": ", ".join(fields)}
            raise BadRule(at, _("there is no field “%(name)s” here; there are: %(names)s.") % facts)
        if name == "hour" and each["op"] == "between":
            hours = each["value"]
            if not isinstance(hours, list) or len(hours) != 2:
                raise BadRule(at, _("the value of “between” is two hours from 0 to 24."))
            for hour in hours:
                check_whole(hour, at, "hour", 0, 24)
        else:
            check_comparison(fields[name], each["op"], each["value"], at, name)


def where_sql(where: list[Rule], fields: dict[str, Field], bound: Bound) -> str:
    """SQL over the event `e` that holds when every comparison does; what is not known satisfies none."""
    return " AND ".join(f"coalesce({_comparison(each, fields, bound)}, FALSE)" for each in where) or "TRUE"


def _comparison(each: Rule, fields: dict[str, Field], bound: Bound) -> str:
    sql = fields[each["field"]].sql
    if each["op"] == "between":
        first, last = each["value"]
        low, high = f"{sql} >= {bound.add(first)}", f"{sql} < {bound.add(last)}"
        return f"({low} AND {high})" if first < last else f"({low} OR {high})"
    return compare_sql(sql, each["op"], each["value"], bound)


def say_where(where: list[Rule], fields: dict[str, Field]) -> str:
    """The comparisons in words of the current language."""
    return _(" and ").join(_say(each, fields) for each in where)


def _say(each: Rule, fields: dict[str, Field]) -> str:
    name = str(fields[each["field"]].name)
    if each["op"] == "between":
        first, last = each["value"]
        return _("between %(first)02d:00 and %(last)02d:00") % {"first": first, "last": last}
    return say_comparison(name, each["op"], each["value"], fields[each["field"]].values())


# --- One event, as what starts a playbook ---


def check_start(rule: Any, place: str = "") -> None:
    """`rule` names events: {"events": kind, "where": […]}. Raises `BadRule`."""
    check_keys(rule, place, {"events"}, frozenset({"where"}))
    kind = rule["events"]
    check_kind(kind, place)
    if "where" in rule:
        check_where(rule["where"], f"{place}.where".lstrip("."), KINDS[kind].fields | TIME)


def start_sql(rule: Rule, bound: Bound) -> str:
    """SQL over the event `e` that holds if it is one of those named."""
    fields = KINDS[rule["events"]].fields | TIME
    return f"e.kind = {bound.add(rule['events'])} AND {where_sql(rule.get('where', []), fields, bound)}"


def start_sentence(rule: Rule) -> str:
    """Those events in words of the current language."""
    what = str(KINDS[rule["events"]].name)
    if "where" not in rule:
        return what
    said = say_where(rule["where"], KINDS[rule["events"]].fields | TIME)
    return _("%(events)s (%(where)s)") % {"events": what, "where": said}
