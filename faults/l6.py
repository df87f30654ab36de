"""L6: every first day of 2024–2031 × 1–36 months: 105,192 terms, and the term that follows each, by the house's sums.

The days are worked out again by counting months of the calendar one by one. Terms and their months must touch, without
a gap and without an overlap, and a day that a short month has cut must come back as soon as a month has it again. The
red twin adds single months one after the other, each to what came out before.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from unittest.mock import patch

from faults import Outcome, outcome
from renewal import offers

FIRST, LAST = date(2024, 1, 1), date(2031, 12, 31)
MONTHS = range(1, 37)
DAY = timedelta(days=1)
RED = 0.01
# RELIABILITY: first day, months, last day; then the first days of single months, one after the other.
GOLDENS = (
    (date(2027, 1, 31), 1, date(2027, 2, 27)),
    (date(2027, 1, 31), 2, date(2027, 3, 30)),
    (date(2028, 2, 29), 12, date(2029, 2, 27)),
    (date(2027, 3, 1), 12, date(2028, 2, 29)),
    (date(2026, 8, 31), 6, date(2027, 2, 27)),
)
ANCHORED = (date(2027, 1, 31), (31, 28, 31, 30, 31))


def run(seed: int, share: float) -> Outcome:
    green = _campaign(seed, share)
    with patch.object(offers, "add_months", _one_after_the_other):
        red = _campaign(seed, min(share, RED))
    return outcome(*green, red=red)


def _one_after_the_other(first_day: date, months: int, anchor_day: int) -> date:
    """The protection off: each month is added to what came out before it."""
    for _month in range(months):
        first_day = _counted(first_day, 1, first_day.day)
    return first_day


def _campaign(seed: int, share: float) -> tuple[bool, dict[str, Any]]:
    days = [FIRST + n * DAY for n in range((LAST - FIRST).days + 1)]
    terms = [(day, months) for day in days for months in MONTHS]
    wrong: Counter[str] = Counter()
    chosen = terms if share >= 1 else random.Random(seed).sample(terms, round(len(terms) * share))
    for day, months in chosen:
        wrong.update(_wrong_with(day, months))
    wrong["goldens missed"] = _goldens_missed()
    counts = {"terms": len(chosen), "goldens": len(GOLDENS) + 1}
    counts |= {what: wrong[what] for what in ("gaps", "overlaps", "drifts", "other lengths", "goldens missed")}
    return not wrong.total(), counts


def _wrong_with(day: date, months: int) -> Counter[str]:
    """What is wrong with the term that starts on `day`, its months, and the term of one month that follows it."""
    wrong: Counter[str] = Counter()
    first = _quote(day, day.day, months)
    begins = first.last_day + DAY
    anchor = offers.anchor_for(begins, first.anchor_day)
    next_term = _quote(begins, anchor, 1)
    parts = [*offers.periods(first), *offers.periods(next_term)]
    wrong["other lengths"] = (len(parts) != months + 1) + (parts[0].first_day != day)
    for one, two in pairwise(parts):
        wrong["gaps"] += two.first_day > one.last_day + DAY
        wrong["overlaps"] += two.first_day <= one.last_day
    for number, part in enumerate(parts):
        wrong["drifts"] += part.first_day != _counted(day, number, day.day)
    wrong["drifts"] += next_term.last_day + DAY != _counted(day, months + 1, day.day)
    return wrong


def _quote(first_day: date, anchor_day: int, months: int) -> offers.Quote:
    rent = Decimal("3900.00")
    rate = offers.Rate(months, 0, rent, LAST)
    room = offers.Room("B1-0301A", "朝南一居", Decimal("28.50"), 3, rent, (rate,))
    return offers.price(offers.Choice(months), offers.Card(first_day, anchor_day, rent, rent, (room,)))


def _counted(day: date, months: int, wanted: int) -> date:
    """The day `wanted` of the month that comes `months` after `day`'s, or that month's last; by counting days."""
    first = day.replace(day=1)
    for _month in range(months):
        first = (first + 31 * DAY).replace(day=1)
    last = (first + 31 * DAY).replace(day=1) - DAY
    return min(first + (wanted - 1) * DAY, last)


def _goldens_missed() -> int:
    missed = sum(_quote(day, day.day, months).last_day != last for day, months, last in GOLDENS)
    day, expected = ANCHORED
    anchor, found = day.day, []
    for _month in expected:
        found.append(day.day)
        day = _quote(day, anchor, 1).last_day + DAY
        anchor = offers.anchor_for(day, anchor)
    return missed + (tuple(found) != expected)
