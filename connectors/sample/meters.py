"""Power and water: counters that grow with use, read every night for a year.

A person uses about 3.4 kWh and 0.13 m³ a day, more in a larger unit, up to twice as much power in the heat
of July and August and half again in winter. An empty unit draws a little power and no water.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from connectors.sample.days import HISTORY_DAYS, Calendar, seconds
from connectors.sample.dice import dice
from connectors.sample.leases import Tenancy
from connectors.sample.places import Unit

Values = npt.NDArray[np.float64]
_POWER_BY_MONTH = np.array([1.5, 1.45, 1.1, 0.85, 0.85, 1.3, 1.9, 1.95, 1.35, 0.85, 0.95, 1.35])


@dataclass(frozen=True, slots=True)
class Meters:
    """The counters of one unit at 00:10 of each day of the history, and when they are read."""

    unit: Unit
    power: Values  # kWh
    water: Values  # m³
    read_at: npt.NDArray[np.int64]

    def used(self, first: int, last: int) -> tuple[float, float]:
        """kWh and m³ from the reading of one day (by number) to that of another."""
        return float(self.power[last] - self.power[first]), float(self.water[last] - self.water[first])


def run(unit: Unit, tenancies: list[Tenancy], *, seed: int, calendar: Calendar) -> Meters:
    """The meters of one unit, through the tenancies it had."""
    rng = dice(seed, "meters", unit.code)
    start = calendar.history_start
    days = [start + timedelta(days=n) for n in range(HISTORY_DAYS)]
    power = rng.gamma(6, 0.15 / 6, HISTORY_DAYS)  # what stands by in an empty unit
    water = np.zeros(HISTORY_DAYS)
    season = _POWER_BY_MONTH[[day.month - 1 for day in days]]
    size = 0.7 + unit.area / 80
    for tenancy in tenancies:
        first, last = _number(tenancy.start, start), _number(tenancy.end, start) + 1
        first, last = max(first, 0), min(last, HISTORY_DAYS)
        if first >= last:
            continue
        own = tenancy.person.dice("use")
        habit, at_home, n = own.gamma(9, 3.4 / 9), own.gamma(9, 0.13 / 9), last - first
        power[first:last] = habit * size * season[first:last] * own.gamma(6, 1 / 6, n)
        water[first:last] = at_home * own.gamma(4, 1 / 4, n)
    minute = int(rng.integers(5, 40))
    return Meters(
        unit,
        _counter(power, float(rng.uniform(200, 9000))),
        _counter(water, float(rng.uniform(10, 400))),
        np.arange(HISTORY_DAYS, dtype=np.int64) * 86_400 + seconds(start) + minute * 60,
    )


def _counter(daily: Values, start: float) -> Values:
    """What the counter shows each morning: everything up to the day before, to two places."""
    return np.round(start + np.concatenate(([0.0], np.cumsum(daily)[:-1])), 2)


def _number(day: date, start: date) -> int:
    return (day - start).days
