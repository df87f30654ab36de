"""How long the way to work takes, roughly, and what that saves in a month. Pure.

one way = straight line × 1.3 ÷ speed, where the first 3 km go at 12 km/h, the next at 20 up to 10 km, the
rest at 30 (each band's kilometres at its own speed, so that a longer way is never the shorter one)
saved   = (the city's average one way − one way) × 2 × 21.75 workdays ÷ 60, rounded to hours
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, cos, inf, radians, sin, sqrt

EARTH_KM = 6371.0
DETOUR = 1.3
BANDS = ((3.0, 12.0), (10.0, 20.0), (inf, 30.0))  # (up to km, km/h)
WORKDAYS_A_MONTH = 21.75  # the official average: 261 ÷ 12


@dataclass(frozen=True, slots=True)
class Way:
    straight_km: float
    road_km: float
    minutes: float


def between(home: Sequence[float], work: Sequence[float]) -> Way:
    """The way between two points, each (latitude, longitude) in degrees."""
    latitude, longitude = radians(home[0]), radians(home[1])
    to_latitude, to_longitude = radians(work[0]), radians(work[1])
    half = (
        sin((to_latitude - latitude) / 2) ** 2
        + cos(latitude) * cos(to_latitude) * sin((to_longitude - longitude) / 2) ** 2
    )
    straight = 2 * EARTH_KM * asin(sqrt(half))
    road = straight * DETOUR
    return Way(straight, road, minutes(road))


def minutes(road_km: float) -> float:
    """Minutes for so many kilometres of road."""
    total, start = 0.0, 0.0
    for end, speed in BANDS:
        total += max(0.0, min(road_km, end) - start) / speed * 60
        start = end
    return total


def hours_saved(way: Way, *, baseline_minutes: float) -> int:
    """Whole hours a month less than at `baseline_minutes` one way; negative if it is more."""
    return round((baseline_minutes - way.minutes) * 2 * WORKDAYS_A_MONTH / 60)
