"""Which published line a letter begins with: the one with the highest expected income under a fairness cap.

Pure, without Django. The lead is where the sliders stand before anybody has moved them; every other line stays one
move away, at its published rent. Nothing about a person is read: of one room type in one building, all whose leases
end on one day and whose letters are prepared on one day are led with the same line.

Every figure here is a forecast under assumptions that are said. Over a horizon of H months (the longest published
term, two years at the least), with ρ the usual monthly rent (twelve months, none free), r the renewal rate and c(m)
the rent that is lost between two tenants when a lease ends in the calendar month m:

    income(i) = rent · (t − f) + ρ · (H − t) − (1 − r) · Σ c(m) over the endings at t, t + 12, t + 24, … ≤ H
    income(0) = ρ · H − c(m₀) − (1 − r) · Σ c(m) over the endings at 12, 24, … ≤ H      nobody signs now
    E(i)      = p(i) · income(i) + (1 − p(i)) · income(0)

p(i) is the share of letters that begin with i whose reader renews. Before there are any it leans on the price, as the
terms do in renewal/waves.py: odds of r times e^(−b · (a ÷ ρ − 1)), a the average rent a month. What letters that
began with i did moves it from there: p = (renewed + K · prior) ÷ (letters + K).

The cap: no line is led with whose average rent a month is more than so many per cent above the lowest on offer. And
none with a free month, if there is another: its monthly rent is the higher one, and nobody is put there unasked.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from renewal.offers import Rate, term_last_day
from renewal.waves import RESPONSE

STANDARD_MONTHS = 12
HORIZON_MONTHS = 24
LETTERS = 30  # K: so many letters weigh as much as what was assumed
MONTHS_A_DAY = 12 / 365


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a room type of a building: whom it keeps, and how long its rooms stand empty."""

    renewal_rate: float
    vacant_days: Mapping[int, float]  # between two tenants, by the calendar month (1–12) in which the lease ended
    led: Mapping[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    """(term, free months) → letters that began with it, and of them those whose reader renewed."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A published line, and what may be expected of a letter that begins with it. Money in yuan."""

    rate: Rate
    average: Decimal  # rent a month, free months counted in; not rounded
    ends: date
    chance: float  # p
    income: float  # over the horizon, if it is signed
    expected: float  # over the horizon
    a_month: float  # `expected`, per month of the horizon
    is_fair: bool  # within the cap

    @property
    def line(self) -> tuple[int, int]:
        return self.rate.term_months, self.rate.free_months


@dataclass(frozen=True, slots=True)
class Lead:
    """The line a letter begins with, the lowest-priced one, and all of them as they were weighed."""

    line: Weighed
    cheapest: Weighed
    weighed: tuple[Weighed, ...]
    horizon: int  # months

    @property
    def more(self) -> float:
        """Yuan a month that it is expected to bring more than the lowest-priced line."""
        return self.line.a_month - self.cheapest.a_month

    @property
    def dearer(self) -> float:
        """By what share its average rent is above the lowest."""
        return float(self.line.average / self.cheapest.average) - 1

    @property
    def apart(self) -> float:
        """Its chance of a renewal less that of the lowest-priced line."""
        return self.line.chance - self.cheapest.chance


def choose(
    rates: Collection[Rate],
    *,
    first_day: date,
    anchor_day: int,
    facts: Facts,
    above_percent: int,
    response: float = RESPONSE,
) -> Lead | None:
    """The lead among `rates`, those of the room lived in that may be signed; none where there is none.

    Of several with the same expectation the one with the lower average rent, then the longer one.
    """
    if not rates:
        return None
    usual = float(_usual(rates).monthly_rent)
    horizon = max(HORIZON_MONTHS, *(rate.term_months for rate in rates))
    lowest = min(average(rate) for rate in rates)
    lost = {month: usual * MONTHS_A_DAY * days for month, days in facts.vacant_days.items()}

    def endings(first: int) -> float:
        """What is lost at the endings after `first` months and every twelve months from there, if nobody renewed."""
        days = (term_last_day(first_day, months, anchor_day) for months in range(first, horizon + 1, STANDARD_MONTHS))
        return sum(lost.get(day.month, 0.0) for day in days)

    leaves = 1 - facts.renewal_rate
    nobody = usual * horizon - lost.get(first_day.month, 0.0) - leaves * endings(STANDARD_MONTHS)
    weighed = []
    for rate in rates:
        term, paid = rate.term_months, rate.term_months - rate.free_months
        income = float(rate.monthly_rent) * paid + usual * (horizon - term) - leaves * endings(term)
        p = chance(rate, usual=usual, facts=facts, response=response)
        weighed.append(
            Weighed(
                rate=rate,
                average=average(rate),
                ends=term_last_day(first_day, term, anchor_day),
                chance=p,
                income=income,
                expected=(expected := p * income + (1 - p) * nobody),
                a_month=expected / horizon,
                is_fair=average(rate) * 100 <= lowest * (100 + above_percent),
            )
        )
    weighed.sort(key=lambda each: each.line)
    fair = [each for each in weighed if each.is_fair]
    leading = [each for each in fair if not each.rate.free_months] or fair
    best = max(leading, key=lambda each: (each.expected, -each.average, each.line))
    cheapest = min(weighed, key=lambda each: (each.average, -each.rate.term_months))
    return Lead(best, cheapest, tuple(weighed), horizon)


def average(rate: Rate) -> Decimal:
    """What a month costs over the whole term, free months counted in."""
    return rate.monthly_rent * (rate.term_months - rate.free_months) / rate.term_months


def chance(rate: Rate, *, usual: float, facts: Facts, response: float = RESPONSE) -> float:
    """p: the share of letters beginning with this line whose reader renews; (renewed + K · prior) ÷ (letters + K)."""
    r = min(max(facts.renewal_rate, 0.01), 0.99)
    odds = r / (1 - r) * math.exp(-response * (float(average(rate)) / usual - 1))
    shown, renewed = facts.led.get((rate.term_months, rate.free_months), (0, 0))
    return (renewed + LETTERS * odds / (1 + odds)) / (shown + LETTERS)


def _usual(rates: Collection[Rate]) -> Rate:
    """The line of twelve months without a free one, or the nearest to it."""
    return min(rates, key=lambda rate: (abs(rate.term_months - STANDARD_MONTHS), rate.free_months, rate.term_months))
