"""On which days a touchpoint shows in which building, by lot, and what its showing did. Pure.

Days come in pairs: within fourteen days, the two Mondays of a building are a pair, its two Tuesdays, and so on. Of each
pair a coin decides on which day the touchpoint shows, and on the other it does not; the coin is SHA-256 of the seed,
the building and the pair, so anybody can draw the same days again. Weekdays and buildings are thereby balanced exactly.

The effect is a ratio: people on days with it ÷ people on days without it. Its interval comes from the coins alone,
with no assumption on how many people there are. If showing multiplies each day's people by θ, then Σ(on/θ − off) is as
likely with any of the coins turned; turning those of a set F of pairs makes it larger or smaller as the ratio of sums
over F is below or above θ. So the interval's ends are order statistics of the ratios over all sets F (Hartigan, 1969,
"Using subsample values as typical values", JASA 64, 1303–1317), and the p-value is a share of sets. The same holds for
the difference a day with Σ(on − off − δ), where the values are means over F. Up to `EXACT` pairs every set is looked
at; beyond, `DRAWS` of them, drawn from a fixed seed, with the empty set counted among them so that the test keeps its
level (Phipson and Smyth, 2010, doi 10.2202/1544-6115.1585).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

BLOCK = 14  # days
MONDAY = date(2024, 1, 1)  # where a block begins
EXACT = 13  # pairs: 8,192 sets
DRAWS = 9_999
TAIL = 0.025  # left out on each side of an interval of 95 %
FEWEST = 6  # pairs: with five the smallest two-sided p is 2/32, and no interval of 95 % has two ends


@dataclass(frozen=True, slots=True)
class Pair:
    """Two days of one building, the same weekday of consecutive weeks: shown on one of them."""

    building: str
    on: date
    off: date


@dataclass(frozen=True, slots=True)
class Span:
    """A value with its interval; `high` is infinite where the days cannot bound it, `value` where `off` is nought."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the days show: people on the days with it and without, their ratio and their difference a building-day."""

    pairs: int
    on: int
    off: int
    ratio: Span
    difference: Span
    p: float  # two-sided, of "it makes no difference"

    @property
    def verdict(self) -> str:
        """ "early" while the days cannot bound it, else "more", "fewer", or "open": it may be either."""
        if self.pairs < FEWEST or not self.off or not math.isfinite(self.ratio.high):
            return "early"
        if self.ratio.low > 1:
            return "more"
        return "fewer" if self.ratio.high < 1 else "open"


def shows(seed: str, building: str, day: date) -> bool:
    """Whether the touchpoint shows in this building on this day."""
    block, within = divmod((day - MONDAY).days, BLOCK)
    week, weekday = divmod(within, 7)
    drawn = hashlib.sha256(f"{seed}|{building}|{block}|{weekday}".encode()).digest()[0] & 1
    return week == drawn


def pairs(seed: str, buildings: Sequence[str], first: date, last: date) -> list[Pair]:
    """The pairs of which both days lie between two days, both inclusive."""
    found = []
    day = first
    while day + timedelta(days=7) <= last:
        if (day - MONDAY).days % BLOCK < 7:
            other = day + timedelta(days=7)
            for building in buildings:
                on, off = (day, other) if shows(seed, building, day) else (other, day)
                found.append(Pair(building, on, off))
        day += timedelta(days=1)
    return found


def estimate(counts: Sequence[tuple[int, int]]) -> Estimate | None:
    """What (people on the day with it, on the day without it) of each pair say; none of no pair."""
    if not counts:
        return None
    on, off = (np.array(side, dtype=np.int64) for side in zip(*counts, strict=True))
    turned = _sets(len(counts))
    a, b, size = turned @ on, turned @ off, turned.sum(axis=1)
    # Ratios as comparisons of whole numbers: an empty set, and one without anybody, stands on both sides.
    p = min(1.0, 2 * min(float(np.mean(a <= b)), float(np.mean(a >= b))))
    sums = int(on.sum()), int(off.sum())
    return Estimate(
        pairs=len(counts),
        on=sums[0],
        off=sums[1],
        ratio=_span(sums[0] / sums[1] if sums[1] else math.inf, a, b, least=0.0),
        difference=_span((sums[0] - sums[1]) / len(counts), a - b, size, least=-math.inf),
        p=p,
    )


def _sets(n: int) -> Any:
    """Sets of pairs as rows of 0 and 1: all of them, or the empty one and as many as `DRAWS` drawn ones."""
    if n <= EXACT:
        return (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    drawn = np.random.default_rng(20240101).integers(0, 2, size=(DRAWS, n), dtype=np.int64)
    return np.vstack([np.zeros((1, n), dtype=np.int64), drawn])


def _span(value: float, above: Any, below: Any, *, least: float) -> Span:
    """The value with the interval whose ends are order statistics of above ÷ below over all sets."""
    undefined = (above == 0) & (below == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        typical = above / below
    # One more than are left out on a side: the first value at which the one-sided p passes TAIL.
    nth = int(TAIL * len(typical))
    low = float(np.sort(np.where(undefined, least, typical))[nth])
    high = float(np.sort(np.where(undefined, math.inf, typical))[::-1][nth])
    return Span(value, low, high)
