"""The mathematics of the net promoter score and of streaks. Pure; the sources of the formulas stand beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from campaigns.experiments.shares import Z95, wilson

LEAST = 5  # answers of a stratum
FEW = 30  # answers; a figure of fewer is shown, and said to tell little


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers counted: 9–10, 7–8, 0–6."""

    promoters: int = 0
    passives: int = 0
    detractors: int = 0

    @property
    def n(self) -> int:
        return self.promoters + self.passives + self.detractors

    def __add__(self, other: Answers) -> Answers:
        return Answers(
            self.promoters + other.promoters, self.passives + other.passives, self.detractors + other.detractors
        )


@dataclass(frozen=True, slots=True)
class Score:
    """A score from −100 to 100 with its standard error and its 95 % interval."""

    value: float
    se: float
    low: float
    high: float
    n: int

    @property
    def is_few(self) -> bool:
        return self.n < FEW


@dataclass(frozen=True, slots=True)
class Stratum:
    """People asked who are alike: one building, one band of length of stay. `asked` counts the silent ones too."""

    building: str
    band: str
    asked: int
    answers: Answers


@dataclass(frozen=True, slots=True)
class Weighted:
    """A score in which everybody asked weighs the same, and how fine the strata were in the end."""

    score: Score
    strata: int
    collapsed: int  # strata without enough answers of their own, which were joined with others


@dataclass(frozen=True, slots=True)
class Change:
    """The difference to an earlier score; `z` in standard errors."""

    value: float
    z: float

    @property
    def is_significant(self) -> bool:
        """At 5 %, two-sided."""
        return abs(self.z) > Z95


def score(answers: Answers) -> Score | None:
    """100·(p − d) with sd = 100·√[(p(1−p) + d(1−d) + 2pd)/n] (DOMAIN; CYBAEA 2016); none without answers.

    Where all answered alike that sd is 0, which would claim certainty: there the interval is the one that Wilson's
    bound on the share of the others leaves, all of them at the far end.
    """
    n = answers.n
    others = wilson(0, n)
    if others is None:
        return None
    p, d = answers.promoters / n, answers.detractors / n
    value, far = 100 * (p - d), 100 * others[1]
    if answers.passives == n:
        return Score(value, far / Z95, -far, far, n)
    if answers.promoters == n:
        return Score(value, 2 * far / Z95, value - 2 * far, value, n)
    if answers.detractors == n:
        return Score(value, 2 * far / Z95, value, value + 2 * far, n)
    return _scored(value, 100 * math.sqrt((p * (1 - p) + d * (1 - d) + 2 * p * d) / n), n)


def weighted(strata: Iterable[Stratum]) -> Weighted | None:
    """The score post-stratified by building × length of stay, against those who do not answer.

    Each stratum weighs as many people as were asked in it: Σ W_h·(p_h − d_h), W_h = asked_h ÷ asked, with variance
    Σ W_h²·sd_h² (Särndal et al., Model Assisted Survey Sampling, 1992, 7.6, without the finite population's factor).
    A stratum with fewer than LEAST answers is joined with the others of its building that have too few; what is still
    too small with those of the other buildings, and what then remains with the largest stratum. It corrects for who
    answers, as far as that hangs on building and length of stay, and for nothing else.
    """
    asked = sorted((each for each in strata if each.asked), key=lambda each: (each.building, each.band))
    cells, collapsed = _collapse(asked)
    if not cells or not any(each.answers.n for each in cells):
        return None
    total = sum(each.asked for each in cells)
    value = variance = 0.0
    for each in cells:
        own = score(each.answers)
        assert own is not None  # noqa: S101 — cells without answers were joined
        share = each.asked / total
        value += share * own.value
        variance += share**2 * own.se**2
    return Weighted(_scored(value, math.sqrt(variance), sum(each.answers.n for each in cells)), len(cells), collapsed)


def _collapse(strata: list[Stratum]) -> tuple[list[Stratum], int]:
    good = [each for each in strata if each.answers.n >= LEAST]
    small = [each for each in strata if each.answers.n < LEAST]
    collapsed = len(small)
    left: list[Stratum] = []
    for _building, group in groupby(small, key=lambda each: each.building):
        joined = _join(list(group))
        (good if joined.answers.n >= LEAST else left).append(joined)
    if left:
        rest = _join(left)
        if rest.answers.n >= LEAST or not good:
            good.append(rest)
        else:
            largest = max(range(len(good)), key=lambda at: (good[at].answers.n, -at))
            good[largest] = _join([good[largest], rest])
    return good, collapsed


def _join(strata: list[Stratum]) -> Stratum:
    answers = sum((each.answers for each in strata), Answers())
    return Stratum(strata[0].building, "", sum(each.asked for each in strata), answers)


def change(now: Score | None, before: Score | None) -> Change | None:
    """The difference of two quarters' scores as of independent samples: z = (now − before)/√(se² + se'²).

    Some people answer in both, and mostly alike: that makes the true error smaller and this test more careful.
    """
    if now is None or before is None:
        return None
    value = now.value - before.value
    return Change(value, value / math.hypot(now.se, before.se))


def _scored(value: float, se: float, n: int) -> Score:
    return Score(value, se, max(-100.0, value - Z95 * se), min(100.0, value + Z95 * se), n)


# --- Streaks ----------------------------------------------------------------------------------------------

PRIOR_WEIGHT = 20  # as much as so many leases: what the base rate weighs against a group's own


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A share of k of n drawn towards the base rate."""

    k: int
    n: int
    raw: float
    low: float  # Wilson, of k of n as they are
    high: float
    base: float
    rate: float


def shrunk(k: int, n: int, *, base: float) -> Shrunk | None:
    """The share k/n with Wilson's 95 % interval, and drawn towards `base`: (k + m·base)/(n + m), m = PRIOR_WEIGHT.

    That is the mean of Beta(m·base + k, m·(1 − base) + n − k): of the beta-binomial with the base rate as its prior
    mean. Few leases hardly move it from the base rate; many speak for themselves. None where n is 0.
    """
    bounds = wilson(k, n)
    if bounds is None:
        return None
    return Shrunk(k, n, k / n, bounds[0], bounds[1], base, (k + PRIOR_WEIGHT * base) / (n + PRIOR_WEIGHT))
