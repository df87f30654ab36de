"""Openings of the locks: only of tenants who let them be logged, in buildings with IoT, in the last weeks.

Two to six openings a day from outside, most in the evening, later at weekends; a person has one usual way
to open and now and then another.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt

from connectors.sample.days import DOOR_DAYS, Calendar, seconds
from connectors.sample.leases import Tenancy

WAYS = ("app", "finger", "code", "card")
_USUAL = (0.34, 0.38, 0.20, 0.08)
_HOURS = np.array([2, 1, 0.5, 0.2, 0.2, 0.5, 2, 5, 6, 3, 2, 3, 7, 5, 2, 2, 3, 6, 12, 14, 10, 8, 7, 4.5])
_WEEKEND_HOURS = np.array([4, 2.5, 1.5, 0.5, 0.2, 0.3, 0.8, 2, 4, 6, 7, 7, 8, 7, 6, 6, 7, 8, 8, 8, 7, 7, 6, 5])


def openings(tenancy: Tenancy, calendar: Calendar) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """When the door was opened (sorted, local seconds) and how (index of WAYS)."""
    rng = tenancy.person.dice("doors")
    first = max(tenancy.start, calendar.today - timedelta(days=DOOR_DAYS))
    days = (min(tenancy.end, calendar.today) - first).days + 1
    if days <= 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    per_day = rng.poisson(float(np.clip(rng.gamma(9, 4.1 / 9), 2, 6.5)), days)
    per_day[rng.random(days) < 0.05] = 0  # away
    day = np.repeat(np.arange(days), per_day)
    weekend = (day + first.weekday()) % 7 >= 5
    hour = np.where(weekend, _draw(rng, _WEEKEND_HOURS, len(day)), _draw(rng, _HOURS, len(day)))
    at = np.unique(seconds(first) + day * 86_400 + hour * 3600 + rng.integers(0, 3600, len(day)))
    earliest = seconds(tenancy.start, 10)
    at = at[(at >= earliest) & (at <= seconds(calendar.today, 10))]
    usual = rng.choice(len(WAYS), p=_USUAL)
    way = np.where(rng.random(len(at)) < 0.88, usual, rng.integers(0, len(WAYS), len(at)))
    return at, way


def _draw(rng: np.random.Generator, weights: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.int64]:
    return np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(n))
