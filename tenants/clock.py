"""The product's now: real time plus an offset kept in the database.

Edges ask here and pass `now` or `today` on; verbs never look at a clock. Only the demo and tests
may move it, and a system check refuses a moved clock elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from tenants.models import Clock

SHANGHAI = ZoneInfo("Asia/Shanghai")
# What tells the moment to a verb that takes long: `now` at an edge. One that stands still makes it repeatable.
Now = Callable[[], datetime]


class ClockIsReal(Exception):
    """The clock may not be moved here."""


_moment: ContextVar[datetime | None] = ContextVar("moment", default=None)


def now() -> datetime:
    """The product's now, in UTC."""
    return _moment.get() or datetime.now(UTC) + offset()


@contextmanager
def one_moment() -> Iterator[datetime]:
    """Within it `now` is one moment, asked once: a page that begins before midnight is of one day throughout."""
    moment = now()
    before = _moment.set(moment)
    try:
        yield moment
    finally:
        _moment.reset(before)


def offset() -> timedelta:
    """How far the product's now is from the real one; always nought in production."""
    if not settings.IS_SHELTERED:
        return timedelta(0)
    with connection.cursor() as cursor:  # asked by every page
        cursor.execute('SELECT "offset" FROM tenants_clock')
        row = cursor.fetchone()
    return row[0] if row else timedelta(0)


def today() -> date:
    """The day it is in Shanghai."""
    return day_of(now())


def day_of(moment: datetime) -> date:
    """The day in Shanghai on which `moment` falls."""
    return moment.astimezone(SHANGHAI).date()


def at(day: date, hour: int = 0, minute: int = 0) -> datetime:
    """That time of that day in Shanghai, in UTC."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=SHANGHAI).astimezone(UTC)


def set_to(moment: datetime) -> None:
    """Make `moment` the product's now; time runs on from there. Raises `ClockIsReal` in production."""
    if not settings.IS_SHELTERED:
        raise ClockIsReal("The clock can be moved only in the demo and in tests.")
    Clock.objects.update_or_create(id=True, defaults={"offset": moment - datetime.now(UTC)})


def advance(step: timedelta) -> None:
    """Move the product's now by `step`."""
    set_to(now() + step)


def reset() -> None:
    """Return to real time."""
    Clock.objects.all().delete()
