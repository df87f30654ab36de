"""The windows in which a rule looks at what happened: so many days, fixed days, or days about the lease's end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

import chinese_calendar
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.grammar import BadRule, Bound, Rule, check_whole, shown
from tenants import clock

MOST_DAYS = 1100  # three years


@dataclass(frozen=True, slots=True)
class Window:
    """SQL of the first moment and of the moment after the last, and whether they hang on the lease (`own`)."""

    from_at: str
    to_at: str
    is_own: bool = False


def is_working(day: date) -> bool:
    """Whether people work on that day in mainland China; beyond the known calendars, Monday to Friday."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() < 5


@cache
def shift(day: date, working_days: int) -> date:
    """The day so many working days after `day` (before it, if negative); for nought `day` itself."""
    step = timedelta(days=1 if working_days > 0 else -1)
    left = abs(working_days)
    while left:
        day += step
        left -= is_working(day)
    return day


def first_of_working(today: date, days: int) -> date:
    """The first of the last `days` working days up to and including `today`."""
    return shift(today + timedelta(days=1), -days)


def check(window: Any, place: str) -> None:
    fault = _("a window is one of {“days”}, {“from”, “to”} and {“from_end”, “to_end”}.")
    if not isinstance(window, dict):
        raise BadRule(place, fault)
    working = window.get("working", False)
    if not isinstance(working, bool):
        raise BadRule(place, _("“%(key)s” is true or false.") % {"key": "working"})
    match {key: value for key, value in window.items() if key != "working"}:
        case {"days": days, **rest} if not rest:
            check_whole(days, place, "days", 1, MOST_DAYS)
        case {"from": first, "to": last, **rest} if not rest and "working" not in window:
            if _day(first, place) > _day(last, place):
                raise BadRule(place, _("the window ends before it begins."))
        case {"from_end": first, "to_end": last, **rest} if not rest:
            for key, value in (("from_end", first), ("to_end", last)):
                check_whole(value, place, key, -MOST_DAYS, MOST_DAYS)
            if first > last:
                raise BadRule(place, _("the window ends before it begins."))
        case _:
            raise BadRule(place, fault)


def _day(value: Any, place: str) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadRule(place, _("“%(value)s” is no day such as 2025-11-30.") % {"value": shown(value)}) from None


def sql(window: Rule, bound: Bound) -> Window:
    """The window in SQL. What hangs on the lease reads `anchor.last_day`, or the table `shifted` of working days."""
    match window:
        case {"days": days}:
            first = first_of_working(bound.today, days) if window.get("working") else bound.today - timedelta(days - 1)
            return Window(moment(first, bound), moment(bound.today + timedelta(days=1), bound))
        case {"from": first, "to": last}:
            end = date.fromisoformat(last) + timedelta(days=1)
            return Window(moment(date.fromisoformat(first), bound), moment(end, bound))
    if window.get("working"):
        return Window("shifted.from_at", "shifted.to_at", is_own=True)
    day = "((anchor.last_day + {0}::int)::timestamp AT TIME ZONE 'Asia/Shanghai')"
    ends = bound.add(window["from_end"]), bound.add(window["to_end"] + 1)
    return Window(day.format(ends[0]), day.format(ends[1]), is_own=True)


def moment(day: date, bound: Bound, *, after: int = 0) -> str:
    """The first moment of that day, or of the day so many days after it, bound."""
    return f"{bound.add(clock.at(day + timedelta(days=after)))}::timestamptz"


def shifted(window: Rule, bound: Bound) -> str:
    """A table of the windows in working days for every last day a lease may have."""
    days = [bound.today + timedelta(days=n) for n in range(-MOST_DAYS, MOST_DAYS)]
    first = [clock.at(shift(day, window["from_end"])) for day in days]
    last = [clock.at(shift(day, window["to_end"]) + timedelta(days=1)) for day in days]
    columns = f"{bound.add(days)}::date[], {bound.add(first)}::timestamptz[], {bound.add(last)}::timestamptz[]"
    return f"JOIN unnest({columns}) AS shifted(last_day, from_at, to_at) ON shifted.last_day = anchor.last_day"


def words(window: Rule) -> str:
    """The window in words of the current language."""
    working = window.get("working", False)
    match window:
        case {"days": days} if working:
            return ngettext("in the last working day", "in the last %(n)d working days", days) % {"n": days}
        case {"days": days}:
            return _("today") if days == 1 else _("in the last %(n)d days") % {"n": days}
        case {"from": first, "to": last}:
            return _("from %(first)s to %(last)s") % {"first": first, "last": last}
    facts = {"first": _about_end(window["from_end"], working), "last": _about_end(window["to_end"], working)}
    return _("from %(first)s to %(last)s") % facts


def _about_end(days: int, working: bool) -> str:
    if days == 0:
        return _("the lease's last day")
    facts = {"n": abs(days)}
    if working:
        said = _("%(n)d working days before the lease's end"), _("%(n)d working days after the lease's end")
    else:
        said = _("%(n)d days before the lease's end"), _("%(n)d days after the lease's end")
    return said[days > 0] % facts
