"""How next year's endings fall over the months, and what another price of a term would change. Pure, without Django.

Every figure here is a forecast under assumptions that are said, not measured:

- A lease whose last day is known ends in that month.
- An open case renews with the building's renewal rate r of the last year, and its new lease has the term t with the
  share s(t) of the renewals of the last year.
- With another price the shares lean: a term that becomes 1 % cheaper is chosen about `response` % more often, in
  odds. `response` is whoever asks who says it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from renewal.offers import term_last_day

WINTER = (11, 12, 1)
RESPONSE = 5.0
STEP = 0.10  # what "more of it" means: ten of a hundred renewals more


@dataclass(frozen=True, slots=True)
class Open:
    """An open case: the first day of the lease that would follow, and the day of the month it counts from."""

    first_day: date
    anchor_day: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Expected endings of each month; of those, the known ones; and how many fall after the last month."""

    months: tuple[date, ...]
    known: tuple[int, ...]
    added: tuple[float, ...]
    later: float

    @property
    def each(self) -> tuple[float, ...]:
        return tuple(k + a for k, a in zip(self.known, self.added, strict=True))

    @property
    def total(self) -> float:
        return sum(self.each)

    @property
    def peak(self) -> date | None:
        """The month with the most endings, the first of several; none where nothing ends."""
        return self.months[self.each.index(max(self.each))] if self.total else None

    @property
    def peak_share(self) -> float | None:
        """The share of the year's endings that fall in its fullest month."""
        return max(self.each) / self.total if self.total else None

    @property
    def winter_share(self) -> float | None:
        """The share of the year's endings that fall in November, December and January."""
        winter = sum(n for month, n in zip(self.months, self.each, strict=True) if month.month in WINTER)
        return winter / self.total if self.total else None


def next_year(today: date) -> tuple[date, ...]:
    """The first days of the twelve months that end with the next winter, February to January.

    From August on these begin with the February after the winter that is coming or here; before, with this year's.
    """
    year = today.year + (today.month >= 8)
    return tuple(date(year + (month == 1), month, 1) for month in (*range(2, 13), 1))


def forecast(
    known: Mapping[date, int],
    cases: Iterable[Open],
    *,
    months: Sequence[date],
    rate: float,
    shares: Mapping[int, float],
) -> Forecast:
    """Endings per month: e(m) = k(m) + r · Σ over open cases c, terms t of s(t) · [t from c ends in month m].

    `known` counts leases by the first day of the month they end in, `rate` is r, `shares` are s(t), which add up to 1.
    What would end after the last month is in `later`.
    """
    place = {month: n for n, month in enumerate(months)}
    added, later = [0.0] * len(months), 0.0
    for case in cases:
        for term, share in shares.items():
            ends = term_last_day(case.first_day, term, case.anchor_day).replace(day=1)
            if ends in place:
                added[place[ends]] += rate * share
            elif ends > months[-1]:
                later += rate * share
    return Forecast(tuple(months), tuple(known.get(month, 0) for month in months), tuple(added), later)


def together(parts: Iterable[Forecast], months: Sequence[date]) -> Forecast:
    """Several forecasts over the same months as one."""
    known, added, later = [0] * len(months), [0.0] * len(months), 0.0
    for part in parts:
        known = [a + b for a, b in zip(known, part.known, strict=True)]
        added = [a + b for a, b in zip(added, part.added, strict=True)]
        later += part.later
    return Forecast(tuple(months), tuple(known), tuple(added), later)


def shares_of(chosen: Mapping[int, int], terms: Iterable[int]) -> dict[int, float]:
    """s(t) = (n(t) + 1) ÷ (n + number of terms), over the terms on offer: one never chosen yet may still be."""
    offered = sorted(set(terms))
    n = sum(chosen.get(term, 0) for term in offered)
    return {term: (chosen.get(term, 0) + 1) / (n + len(offered)) for term in offered}


def more_of(shares: Mapping[int, float], term: int, step: float = STEP) -> dict[int, float]:
    """The shares if so much more chose this term and all others proportionally less."""
    there = shares[term]
    wanted = min(1.0, there + step)
    rest = 1 - there
    if rest <= 0:
        return dict(shares)
    return {each: wanted if each == term else share * (1 - wanted) / rest for each, share in shares.items()}


def leaning(
    shares: Mapping[int, float], was: Mapping[int, Decimal], draft: Mapping[int, Decimal], *, response: float
) -> dict[int, float]:
    """The shares under other prices: s'(t) ∝ s(t) · exp(−response · (p'(t) ÷ p(t) − 1)).

    `was` and `draft` are each term's price a month; a term whose price is not in both keeps its weight.
    """
    weight = {}
    for term, share in shares.items():
        change = float(draft[term] / was[term]) - 1 if term in was and term in draft else 0.0
        weight[term] = share * math.exp(-response * change)
    whole = sum(weight.values())
    return {term: each / whole for term, each in weight.items()} if whole else dict(shares)


def price_a_month(lines: Iterable[tuple[int, int, Decimal]]) -> dict[int, Decimal]:
    """What a month of each term costs at the least, free months counted in: min over its lines of rent · (t − f) ÷ t.

    A line is (term, free months, rent).
    """
    found: dict[int, Decimal] = {}
    for term, free, rent in lines:
        average = rent * (term - free) / term
        found[term] = min(found.get(term, average), average)
    return found
