"""Sample-ratio mismatch: whether the arms have the sizes they should have, or something eats tenants of one arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import comb, erfc, exp, gamma, lgamma, log, sqrt

import numpy as np

from campaigns.experiments.logs import Array, log_factorials

ALARM = 0.001  # GrowthBook's threshold
LEAST = 8  # tenants to be expected in every arm for chi-square, as GrowthBook asks; below it the test is exact
MOST_WAYS = 20_000  # to share the tenants out, that an exact test counts through


@dataclass(frozen=True, slots=True)
class Mismatch:
    p: float
    is_exact: bool

    @property
    def is_alarm(self) -> bool:
        return self.p < ALARM


@dataclass(frozen=True, slots=True)
class Loss:
    """A step that kept the arms in other proportions than they came in: "accepted", 0.0002."""

    step: str
    p: float


def mismatch(counts: Sequence[int], weights: Sequence[float]) -> Mismatch:
    """Whether tenants per arm agree with the planned weights (of any sum).

    Exact multinomial where at most 20,000 ways to share them out exist or an arm expects fewer than 8: the probability
    of all ways no more probable than this one. Beyond, X² = Σ(Oᵢ − Eᵢ)² ÷ Eᵢ with one degree of freedom fewer than
    arms. Nobody at all is p = 1. ValueError for weights that are not positive or not one an arm.
    """
    if len(counts) != len(weights) or len(counts) < 2 or min(weights) <= 0 or min(counts) < 0:
        raise ValueError("each arm has a count and a positive weight, and there are two at least")
    n, shares = sum(counts), [weight / sum(weights) for weight in weights]
    ways = comb(n + len(counts) - 1, len(counts) - 1)
    # However lopsided, millions of ways are not counted through: chi-square then, which is near enough for an alarm.
    if ways <= MOST_WAYS or (n * min(shares) < LEAST and ways <= 100 * MOST_WAYS):
        logs = log_factorials(n)
        x = np.arange(n + 1)
        return Mismatch(_exact(counts, [x * log(share) - logs[: n + 1] for share in shares]), True)
    statistic = sum((count - n * share) ** 2 / (n * share) for count, share in zip(counts, shares, strict=True))
    return Mismatch(chi_square_beyond(statistic, len(counts) - 1), False)


def losing_steps(steps: Sequence[tuple[str, Sequence[int]]]) -> list[Loss]:
    """The steps that lost one arm's tenants more than another's, gravest first: where to look when arms do not match.

    `steps` are (name, tenants per arm still there), from "assigned" on. Of those who reached a step any are as likely
    to go on, if the step is blind to the arm: Fisher's test for two arms and its like for more (exact up to 20,000
    ways, chi-square of the 2 × k table beyond), each held against 0.001.
    """
    found = []
    for (_, before), (name, after) in pairwise(steps):
        if any(here > there for here, there in zip(after, before, strict=True)):
            raise ValueError(f"more at {name} than came to it")
        p = _homogeneous(after, before)
        if p < ALARM:
            found.append(Loss(name, p))
    return sorted(found, key=lambda loss: loss.p)


def bet(counts: Sequence[int], weights: Sequence[float]) -> float:
    """The e-value that an audience without an end fills the arms otherwise than by `weights`, at this moment.

    Lindon and Malek (NeurIPS 2022): the Bayes factor of a Dirichlet prior α = 1 for each arm (every split as likely
    beforehand as any other) against the weights wᵢ, summing to 1:
    [Γ(Σα) ÷ Γ(Σα + n)]·∏[Γ(αᵢ + nᵢ) ÷ Γ(αᵢ)] ÷ ∏wᵢ^nᵢ. It may be looked at after every tenant: ever at 1,000 or more
    with a chance of at most 0.001. Not for a frozen roster, whose arms are balanced by design.
    """
    shares = [weight / sum(weights) for weight in weights]
    total = lgamma(len(counts)) - lgamma(len(counts) + sum(counts))
    total += sum(lgamma(1 + count) - count * log(share) for count, share in zip(counts, shares, strict=True))
    return exp(min(700.0, total))


def chi_square_beyond(statistic: float, freedom: int) -> float:
    """P(χ² ≥ statistic): the recursion of the upper incomplete gamma function from one or two degrees of freedom."""
    half = statistic / 2
    found = erfc(sqrt(half)) if freedom % 2 else exp(-half)
    for df in range(freedom % 2 or 2, freedom, 2):
        found += half ** (df / 2) * exp(-half) / gamma(df / 2 + 1)
    return found


def _homogeneous(after: Sequence[int], before: Sequence[int]) -> float:
    left, there = sum(after), sum(before)
    if left in (0, there):
        return 1.0
    if comb(left + len(after) - 1, len(after) - 1) <= MOST_WAYS:
        logs = log_factorials(there)
        terms = []
        for size in before:
            x = np.arange(left + 1)
            term = np.full(left + 1, -np.inf)
            x = x[x <= size]
            term[x] = logs[size] - logs[x] - logs[size - x]
            terms.append(term)
        return _exact(after, terms)
    share = left / there
    statistic = sum((k - n * share) ** 2 / (n * share * (1 - share)) for k, n in zip(after, before, strict=True) if n)
    return chi_square_beyond(statistic, sum(n > 0 for n in before) - 1)


def _exact(counts: Sequence[int], terms: Sequence[Array]) -> float:
    """The share of all ways to split sum(counts) that weigh no more than this one; `terms[arm][x]` are log weights."""
    n = sum(counts)
    places, weights = np.zeros(1, dtype=int), np.zeros(1)  # those given to the arms so far, and the log weight of it
    for term in terms[:-1]:
        room = n - places
        again = np.repeat(np.arange(len(places)), room + 1)
        x = np.arange(len(again)) - np.repeat(np.cumsum(room + 1) - room - 1, room + 1)
        places, weights = places[again] + x, weights[again] + term[x]
    weights = weights + terms[-1][n - places]
    seen = sum(float(term[count]) for term, count in zip(terms, counts, strict=True))
    odds = np.exp(weights - weights.max())
    return min(1.0, float(odds[weights <= seen + 1e-7].sum() / odds.sum()))
