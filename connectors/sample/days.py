"""The sample's calendar, and the arithmetic of terms.

Times are local (Asia/Shanghai, which has no daylight saving) and naive until they are written.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.int64]  # local seconds since 1970
HISTORY_DAYS = 365
DOOR_DAYS = 89  # one less than doors may be kept, so that none is too old when it is loaded
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The story's days. The season is last month, this month and the next: November to January by default."""

    today: date

    @property
    def now(self) -> datetime:
        """Nothing in the sample happens after this."""
        return datetime.combine(self.today, time(10))

    @property
    def history_start(self) -> date:
        return self.today - timedelta(days=HISTORY_DAYS - 1)

    @property
    def season_start(self) -> date:
        return month_start(self.today, -1)

    @property
    def season_end(self) -> date:
        return month_start(self.today, 2) - timedelta(days=1)


def month_start(day: date, months: int) -> date:
    """The first of the month that lies so many months after that of `day`."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def boundary(day: date, months: int, anchor: int) -> date:
    """`day` and so many months: the anchor day of that month, or the month's last day where it has none."""
    first = month_start(day, months)
    return first.replace(day=min(anchor, calendar.monthrange(first.year, first.month)[1]))


def term_end(first: date, months: int, anchor: int) -> date:
    """The last day (inclusive) of a term of so many months from `first`."""
    return boundary(first, months, anchor) - timedelta(days=1)


def seconds(day: date, hour: float = 0) -> int:
    """Local seconds since 1970."""
    return (day - _EPOCH).days * 86_400 + int(hour * 3600)


def moment(local: int) -> datetime:
    """The inverse of `seconds`."""
    return datetime.combine(_EPOCH, time()) + timedelta(seconds=int(local))


def stamp(at: datetime | date | None) -> str:
    """As a file says it: ISO 8601 with Shanghai's offset; nothing for None, a plain day for a day."""
    if at is None:
        return ""
    if isinstance(at, datetime):
        return at.isoformat(timespec="seconds") + "+08:00"
    return at.isoformat()


def stamps(local: Seconds) -> list[str]:
    """`stamp` for many moments at once."""
    return [f"{text}+08:00" for text in np.datetime_as_string(local.astype("datetime64[s]"))]
