"""The published rate card: one rent for a building, a room type, a term and the day of signing.

A longer term is cheaper, a free month is nearly paid for by a higher rent, and the card of the season
is a little dearer than last year's. Nothing personal enters it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from connectors.sample.days import Calendar, month_start, stamp
from connectors.sample.files import columns
from connectors.sample.places import BUILDINGS, ROOM_TYPES, Building, Unit

HEADER = columns("楼栋编号,户型,租期月数,免租月数,月租金,签约起,签约止")

# (months, free months): factor on the rent of a year
_TERMS = {
    (3, 0): 1.12,
    (6, 0): 1.05,
    (12, 0): 1.00,
    (12, 1): 1.07,
    (18, 0): 0.985,
    (18, 1): 1.03,
    (24, 0): 0.97,
    (24, 1): 1.00,
    (24, 2): 1.045,
}
_YEARLY_RISE = 0.015


def rent(building: Building, room_type: str, *, months: int, free: int = 0, cards_ago: int = 0) -> int:
    """Yuan a month on the season's card, or on the one so many cards before; whole tens."""
    base = ROOM_TYPES[room_type][0] * building.level * (1 - _YEARLY_RISE) ** cards_ago
    return int(base * _TERMS[months, free] / 10 + 0.5) * 10


def rent_when_signed(unit: Unit, *, months: int, signed_on: date, calendar: Calendar) -> int:
    """What the card of that day asked. A card holds from one season's start to the next."""
    cards_ago = max(0, -((signed_on - calendar.season_start).days // 365))
    return rent(unit.building, unit.room_type, months=months, cards_ago=cards_ago)


def list_rent(unit: Unit) -> int:
    """What the unit is offered at today: a year on the season's card."""
    return rent(unit.building, unit.room_type, months=12)


def rows(units: list[Unit], calendar: Calendar) -> Iterator[list[object]]:
    """rates.csv: last year's card and this season's, for what each building has."""
    start = calendar.season_start
    cards = (
        (1, month_start(start, -12), start - timedelta(days=1)),
        (0, start, month_start(start, 8) - timedelta(days=1)),
    )
    for building in BUILDINGS:
        here = {unit.room_type for unit in units if unit.building is building}
        for room_type in ROOM_TYPES:
            if room_type not in here:
                continue
            for cards_ago, first, last in cards:
                for months, free in _TERMS:
                    price = rent(building, room_type, months=months, free=free, cards_ago=cards_ago)
                    yield [building.code, room_type, months, free, f"{price}.00", stamp(first), stamp(last)]
