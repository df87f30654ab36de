"""When a message of a class may go: hours of Shanghai, by whether people work that day. Pure.

The calendar of mainland China (`chinese_calendar`) knows the public holidays that have been announced and the
weekends that are worked to make up for them. The days of a year it does not know are taken for neither: a message goes
only in hours that are allowed on both kinds of day, so it can come too late, never too early.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache

import chinese_calendar
from django.conf import settings

from tenants import clock

ANY_HOUR = (0, 24)
AT_ALL_HOURS = ("code", "staff", "system")  # a person or a system waits for them
LOOKS_AHEAD = 60  # days; longer than any row of days off


@lru_cache(maxsize=1000)
def is_rest(day: date) -> bool | None:
    """Whether people in mainland China are off on that day; None where its year has not been announced."""
    try:
        return not chinese_calendar.is_workday(day)
    except NotImplementedError:
        return None


def window(klass: str, day: date) -> tuple[int, int]:
    """The hours of that day within which the class may go: from the first until the second, which is not in it."""
    if klass in AT_ALL_HOURS:
        return ANY_HOUR
    working = settings.QUIET_BEFORE_HOUR, settings.QUIET_FROM_HOUR
    if klass != "marketing":
        return working
    rest = settings.QUIET_REST_BEFORE_HOUR, settings.QUIET_REST_FROM_HOUR
    is_off = is_rest(day)
    if is_off is None:
        return max(working[0], rest[0]), min(working[1], rest[1])
    return rest if is_off else working


def widest(klass: str) -> tuple[int, int]:
    """The hours outside of which the class goes on no day, working or off; the second is not in them."""
    if klass in AT_ALL_HOURS:
        return ANY_HOUR
    spans = [(settings.QUIET_BEFORE_HOUR, settings.QUIET_FROM_HOUR)]
    if klass == "marketing":
        spans.append((settings.QUIET_REST_BEFORE_HOUR, settings.QUIET_REST_FROM_HOUR))
    some = [span for span in spans if span[0] < span[1]] or spans[:1]  # two equal hours keep their days silent
    return min(first for first, _end in some), max(end for _first, end in some)


def shut(now: datetime) -> list[str]:
    """The classes of which nothing may go at that moment."""
    return [klass for klass in ("marketing", "service") if opens(klass, now) > now]


def opens(klass: str, moment: datetime, *, wanted: tuple[int, int] | None = None) -> datetime:
    """`moment` itself where the class may go then; else the next moment at which it may.

    `wanted` are the hours a person prefers; a day that allows none of them is taken as if they wanted none.
    A class that may go at no hour of the next LOOKS_AHEAD days is put off until they are over.
    """
    today = clock.day_of(moment)
    for day in (today + timedelta(days=n) for n in range(LOOKS_AHEAD)):
        first, end = window(klass, day)
        if wanted and max(first, wanted[0]) < min(end, wanted[1]):
            first, end = max(first, wanted[0]), min(end, wanted[1])
        earliest = max(moment, clock.at(day, first)) if first < end else moment
        if first < end and earliest < clock.at(day) + timedelta(hours=end):
            return earliest
    return moment + timedelta(days=LOOKS_AHEAD)
