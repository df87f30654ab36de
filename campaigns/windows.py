"""The windows in which a rule looks at what happened: so many days, fixed days, or days about a day.

That day is one of the lease's (ANCHORS) or a fixed one; then each tenant has a window of their own, or all have one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import Any

import chinese_calendar
from django.utils import dateformat
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from campaigns.grammar import BadRule, Bound, Rule, check_whole, shown
from tenants import clock

MOST_DAYS = 1100  # three years
REACH = 4000  # working days are counted about days that lie so many days from today at most
CALENDAR = date(1990, 1, 1), date(2060, 1, 1)
YEARS = 2000, 2049  # of the days that a rule may name


@dataclass(frozen=True, slots=True)
class Anchor:
    """A day that a lease knows: its name, and SQL of it over the lease `own` of each `subject`."""

    name: str | Promise
    sql: str


# The lease before: of the person's others that were over when this one began, the one that ended last.
_BEFORE_SQL = """
    SELECT each.tenant_id, each.lease_id, max(before.last_day) AS day
    FROM (SELECT DISTINCT tenant_id, lease_id FROM subject) each
    JOIN tenants_lease this ON this.id = each.lease_id
    JOIN person self ON self.root = each.tenant_id
    JOIN tenants_leasetenant stood ON stood.tenant_id = self.id
    JOIN tenants_lease before ON before.id = stood.lease_id
        AND before.state = 'signed' AND before.last_day < this.first_day
    GROUP BY each.tenant_id, each.lease_id"""

ANCHORS: dict[str, Anchor] = {
    "end": Anchor(gettext_lazy("the lease's last day"), "own.last_day"),
    "start": Anchor(gettext_lazy("the lease's first day"), "own.first_day"),
    "signed": Anchor(gettext_lazy("the day the lease was signed"), "own.signed_on"),
    "previous": Anchor(gettext_lazy("the last day of the lease before"), "previous.day"),
}


FORMS = ", ".join(
    "{{{}}}".format(", ".join(f"“{key}”" for key in keys))
    for keys in (
        ("days",),
        ("from", "to"),
        *((f"from_{name}", f"to_{name}") for name in ANCHORS),
        ("day", "from_day", "to_day"),
    )
)


@dataclass(frozen=True, slots=True)
class Window:
    """SQL of the first moment and of the moment after the last.

    Where they hang on the lease, `anchored` is a table (tenant_id, lease_id, from_at, to_at) of every subject of whom
    the day is known.
    """

    from_at: str
    to_at: str
    anchored: str = ""


def is_working(day: date) -> bool:
    """Whether people work on that day in mainland China; beyond the known calendars, Monday to Friday."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() < 5


@cache
def _working_days() -> list[date]:
    first, end = CALENDAR
    return [day for n in range((end - first).days) if is_working(day := first + timedelta(days=n))]


def shift(day: date, working_days: int) -> date:
    """The day so many working days after `day` (before it, if negative); for nought `day` itself."""
    known = _working_days()
    if working_days > 0:
        return known[bisect_right(known, day) + working_days - 1]
    return known[bisect_left(known, day) + working_days] if working_days else day


def first_of_working(today: date, days: int) -> date:
    """The first of the last `days` working days up to and including `today`."""
    return shift(today + timedelta(days=1), -days)


def anchor_of(window: Rule) -> str | None:
    """The day that the window lies about: a name in ANCHORS, or "day" if the window names one."""
    return next((name for name in (*ANCHORS, "day") if f"from_{name}" in window), None)


def check(window: Any, place: str) -> None:
    fault = _("a window is one of %(forms)s.")
    if not isinstance(window, dict):
        raise BadRule(place, fault % {"forms": FORMS})
    working = window.get("working", False)
    if not isinstance(working, bool):
        raise BadRule(place, _("“%(key)s” is true or false.") % {"key": "working"})
    keys = set(window) - {"working"}
    if keys == {"days"}:
        check_whole(window["days"], place, "days", 1, MOST_DAYS)
        return
    if keys == {"from", "to"} and "working" not in window:
        _check_order(_day(window["from"], place), _day(window["to"], place), place)
        return
    anchor = anchor_of(window)
    first, last = f"from_{anchor}", f"to_{anchor}"
    if anchor is None or keys != {first, last, *({"day"} if anchor == "day" else ())}:
        raise BadRule(place, fault % {"forms": FORMS})
    if anchor == "day":
        _day(window["day"], place)
    for key in (first, last):
        check_whole(window[key], place, key, -MOST_DAYS, MOST_DAYS)
    _check_order(window[first], window[last], place)


def _check_order(first: Any, last: Any, place: str) -> None:
    if first > last:
        raise BadRule(place, _("the window ends before it begins."))


def _day(value: Any, place: str) -> date:
    try:
        day = date.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadRule(place, _("“%(value)s” is no day such as 2025-11-30.") % {"value": shown(value)}) from None
    if not YEARS[0] <= day.year <= YEARS[1]:
        facts = {"value": day, "first": YEARS[0], "last": YEARS[1]}
        raise BadRule(place, _("“%(value)s” is no day from %(first)d to %(last)d.") % facts)
    return day


def sql(window: Rule, bound: Bound) -> Window:
    """The window in SQL."""
    match window:
        case {"days": days}:
            first = first_of_working(bound.today, days) if window.get("working") else bound.today - timedelta(days - 1)
            return _fixed(first, bound.today, bound)
        case {"from": begins, "to": ends}:
            return _fixed(date.fromisoformat(begins), date.fromisoformat(ends), bound)
        case {"day": about, "from_day": first, "to_day": last}:
            day, working = date.fromisoformat(about), window.get("working", False)
            return _fixed(_moved(day, first, working), _moved(day, last, working), bound)
    return Window("anchored.from_at", "anchored.to_at", _anchored(window, bound))


def _fixed(first: date, last: date, bound: Bound) -> Window:
    return Window(moment(first, bound), moment(last, bound, after=1))


def _moved(day: date, days: int, working: bool) -> date:
    return shift(day, days) if working else day + timedelta(days=days)


def moment(day: date, bound: Bound, *, after: int = 0) -> str:
    """The first moment of that day, or of the day so many days after it, bound."""
    return f"{bound.add(clock.at(day + timedelta(days=after)))}::timestamptz"


def _anchored(window: Rule, bound: Bound) -> str:
    """A table of every subject's own window. Expects `subject` and `person`."""
    name = anchor_of(window) or ""
    joins, day = "", ANCHORS[name].sql
    if name == "previous":
        # All at once: the planner would look for each one's leases anew.
        joins = f"JOIN ({_BEFORE_SQL}) previous ON (previous.tenant_id, previous.lease_id) = (known.tenant_id, own.id)"
    first, last = window[f"from_{name}"], window[f"to_{name}"]
    if window.get("working"):
        offsets = ", ".join(f"{bound.add(each)}::int[]" for each in _offsets(bound.today, first, last))
        start = f"{bound.add(bound.today - timedelta(days=REACH))}::date + nth::int - 1"
        shifted = f"SELECT {start} AS day, first, last FROM unnest({offsets}) WITH ORDINALITY AS s(first, last, nth)"  # noqa: S608
        joins += f" JOIN ({shifted}) shifted ON shifted.day = {day}"
        days = f"({day} + shifted.first)", f"({day} + shifted.last + 1)"
    else:
        days = f"({day} + {bound.add(first)}::int)", f"({day} + {bound.add(last + 1)}::int)"
    from_at, to_at = (f"({each}::timestamp AT TIME ZONE 'Asia/Shanghai')" for each in days)
    return f"""(
        SELECT known.tenant_id, known.lease_id, {from_at} AS from_at, {to_at} AS to_at
        FROM (SELECT DISTINCT tenant_id, lease_id FROM subject) known
        JOIN tenants_lease own ON own.id = known.lease_id {joins})"""  # noqa: S608


@lru_cache(maxsize=64)
def _offsets(today: date, first: int, last: int) -> tuple[list[int], list[int]]:
    """For every day within REACH of today, how many days later the window in working days begins and ends."""
    days = [today + timedelta(days=n) for n in range(-REACH, REACH + 1)]
    return [(shift(day, first) - day).days for day in days], [(shift(day, last) - day).days for day in days]


def words(window: Rule) -> str:
    """The window in words of the current language."""
    working = window.get("working", False)
    match window:
        case {"days": days} if working:
            return ngettext("in the last working day", "in the last %(n)d working days", days) % {"n": days}
        case {"days": days}:
            return _("today") if days == 1 else _("in the last %(n)d days") % {"n": days}
        case {"from": first, "to": last}:
            return _("from %(first)s to %(last)s,") % {"first": _named(first), "last": _named(last)}
    name = anchor_of(window) or ""
    day = _named(window["day"]) if name == "day" else str(ANCHORS[name].name)
    first, last = (_about(window[f"{key}_{name}"], day, working) for key in ("from", "to"))
    return _("from %(first)s to %(last)s,") % {"first": first, "last": last}


def _named(day: str) -> str:
    return dateformat.format(date.fromisoformat(day), pgettext("the format of a day", "Y-m-d"))


def _about(days: int, day: str, working: bool) -> str:
    n = abs(days)
    if days == 0:
        return day
    if working and days < 0:
        said = ngettext("%(n)d working day before %(day)s", "%(n)d working days before %(day)s", n)
    elif working:
        said = ngettext("%(n)d working day after %(day)s", "%(n)d working days after %(day)s", n)
    elif days < 0:
        said = ngettext("%(n)d day before %(day)s", "%(n)d days before %(day)s", n)
    else:
        said = ngettext("%(n)d day after %(day)s", "%(n)d days after %(day)s", n)
    return said % {"n": n, "day": day}
