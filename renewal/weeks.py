"""How the endings of the next year fall over the weeks, and over which they would fall under a weekly cap.

Pure, without Django. A forecast under the assumptions of renewal/waves.py: an open case renews with the building's
rate r, and its new lease has the term t with the share s(t). Where a cap stands, what a full week has no room for goes
to the terms whose weeks have, in proportion to s(t).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from renewal import waves
from renewal.offers import term_last_day
from renewal.waves import Open

NEARLY = 0.8  # from this share of its places on a week is nearly full
NOTHING = 1e-9  # a part of a renewal too small to be placed


@dataclass(frozen=True, slots=True)
class Weekly:
    """Expected endings of each week, by its Monday; and how many renewals no term has a place for."""

    mondays: tuple[date, ...]
    each: tuple[float, ...]
    unplaced: float = 0.0

    @property
    def total(self) -> float:
        return sum(self.each)

    @property
    def most(self) -> float:
        """Of the fullest week."""
        return max(self.each, default=0.0)

    @property
    def peak(self) -> date | None:
        """The week with the most endings, the first of several; none where nothing ends."""
        return self.mondays[self.each.index(self.most)] if self.most > NOTHING else None

    @property
    def peak_share(self) -> float | None:
        """The share of the year's endings that fall in its fullest week."""
        return self.most / self.total if self.total > NOTHING else None


def monday_of(day: date) -> date:
    """The first day of its week."""
    return day - timedelta(days=day.weekday())


def next_year(today: date) -> tuple[date, ...]:
    """The Mondays of the weeks of next year as in renewal/waves.py: the twelve months that end with the next winter."""
    months = waves.next_year(today)
    first, last = monday_of(months[0]), months[-1] + timedelta(days=30)  # 31 January
    return tuple(first + timedelta(weeks=n) for n in range((last - first).days // 7 + 1))


def forecast(
    known: Mapping[date, int],
    cases: Collection[Open],
    *,
    mondays: Sequence[date],
    rate: float,
    shares: Mapping[int, float],
    most: int | None = None,
) -> Weekly:
    """e(w) = k(w) − r · c(w) + Σ over cases and terms of what they place in w.

    `known`, k, counts leases by the Monday of the week they end in; c are the open cases among them, whose lease is
    followed if they renew. Without a cap a case places r · s(t) in the week in which t would end. With one (`most`) it
    places no more there than is left of most − k(w) after the cases that end before it, and the rest of r on the terms
    whose weeks have room, in proportion to s(t); what none has room for is `unplaced`.
    """
    placed: dict[date, float] = {}
    leaving: dict[date, float] = {}
    unplaced = 0.0
    for case in sorted(cases, key=lambda case: case.first_day):
        week = monday_of(case.first_day - timedelta(days=1))
        leaving[week] = leaving.get(week, 0.0) + rate
        ends = {term: monday_of(term_last_day(case.first_day, term, case.anchor_day)) for term in shares}
        left = rate
        wanted = {term: share for term, share in shares.items() if share > 0}
        while left > NOTHING and wanted:
            whole = sum(wanted.values())
            parts = {term: left * share / whole for term, share in wanted.items()}
            for term, part in parts.items():
                at = ends[term]
                room = part if most is None else max(0.0, most - known.get(at, 0) - placed.get(at, 0.0))
                put = min(part, room)
                placed[at] = placed.get(at, 0.0) + put
                left -= put
                if most is not None and room - put <= NOTHING:
                    del wanted[term]
            if most is None:
                break
        unplaced += left if shares and left > NOTHING else 0.0
    each = tuple(max(0.0, known.get(w, 0) - leaving.get(w, 0.0) + placed.get(w, 0.0)) for w in mondays)
    return Weekly(tuple(mondays), each, unplaced)


def full(known: Mapping[date, int], most: int) -> list[tuple[date, int]]:
    """The weeks that are full or nearly so, the earliest first, each with what is counted in it."""
    return sorted((week, n) for week, n in known.items() if n >= NEARLY * most)
