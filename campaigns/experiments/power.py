"""What an audience can show, before anything is sent: numbers for a sentence, the words are made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist

import numpy as np

from campaigns.experiments.exact import fisher_table
from campaigns.experiments.logs import Array, log_factorials
from campaigns.experiments.looks import boundaries, z_of
from campaigns.experiments.verdicts import HOURS

WANTED = 0.8
COUNTED = 1000  # tenants an arm up to which every outcome is counted; above it the normal distribution is near enough


@dataclass(frozen=True, slots=True)
class Reach:
    """An audience of `per_arm` tenants an arm, where `base` of them click, tells another arm's share apart, four times
    in five, from `higher` up and from `lower` down; None where no share at all is far enough away."""

    per_arm: int
    base: float
    higher: float | None
    lower: float | None


def reach(per_arm: int, base: float, *, arms: int = 2, alpha: float = 0.05, hours: Sequence[int] = HOURS) -> Reach:
    """The nearest shares that the plan tells from `base` with a chance of 80 %, to a tenth of a point."""
    if per_arm < 1 or not 0 <= base <= 1:
        raise ValueError("an arm has a tenant, and a share lies between 0 and 1")

    def is_enough(share: float) -> bool:
        return power(per_arm, base, share, arms=arms, alpha=alpha, hours=hours) >= WANTED

    return Reach(per_arm, base, _nearest(base, 1.0, is_enough), _nearest(base, 0.0, is_enough))


def power(
    per_arm: int, base: float, share: float, *, arms: int = 2, alpha: float = 0.05, hours: Sequence[int] = HOURS
) -> float:
    """The chance that the last look tells arms with these true shares apart, with its level for looks evenly informed.

    The looks before it add what is told early and would have been lost again: about a point. More than two arms
    share the level by the number of pairs (Holm's first step, so again the least that is promised).
    """
    level = boundaries([hour / hours[-1] for hour in hours], None, alpha / (arms * (arms - 1) // 2))[-1].level
    if per_arm > COUNTED:
        return _by_normal(per_arm, base, share, level)
    is_told = fisher_table(per_arm, per_arm) < level
    return float(_odds(per_arm, base) @ is_told @ _odds(per_arm, share))


def needed(base: float, share: float, *, arms: int = 2, alpha: float = 0.05) -> int:
    """Tenants an arm from which on the two shares are told apart with a chance of 80 %: for the date of a step that
    trickles. Above 1,000 by the normal distribution. ValueError for one and the same share.
    """
    if base == share:
        raise ValueError("what is alike is never told apart")
    low, high = 1, 2
    while power(high, base, share, arms=arms, alpha=alpha) < WANTED:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, base, share, arms=arms, alpha=alpha) >= WANTED else (middle, high)
    return high


def _nearest(base: float, end: float, is_enough: Callable[[float], bool]) -> float | None:
    """The share nearest to `base`, on the way to `end` in steps of 0.001, that is enough."""
    way = 1 if end > base else -1
    steps = ceil(abs(end - base) * 1000 - 1e-9)
    if steps == 0 or not is_enough(end):
        return None
    low, high = 0, steps
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(min(1.0, max(0.0, base + way * middle / 1000))) else (middle, high)
    return round(min(1.0, max(0.0, base + way * high / 1000)), 3)


def _odds(n: int, share: float) -> Array:
    """The binomial distribution, (n + 1,)."""
    x = np.arange(n + 1)
    if share in (0.0, 1.0):
        return np.asarray(x == round(share * n), dtype=np.float64)
    logs = log_factorials(n)
    return np.exp(logs[n] - logs[x] - logs[n - x] + x * np.log(share) + (n - x) * np.log1p(-share))


def _by_normal(n: int, base: float, share: float, level: float) -> float:
    middle = (base + share) / 2
    spread = sqrt(base * (1 - base) + share * (1 - share)) or 1e-12
    return NormalDist().cdf((abs(share - base) * sqrt(n) - z_of(level) * sqrt(2 * middle * (1 - middle))) / spread)
