"""How an error is spread over several looks: spending of O'Brien and Fleming's type, and the level at each look.

Lan and DeMets (1983): how much of the error may have been spent by a moment is written down beforehand; where the
boundary of a look then lies follows from the information there actually is. Two clocks are kept apart, as they proposed
in 1989: *spending* goes by the hours of the plan, which nobody can hurry or know wrongly; *information* says how much
of a look's result was already known at the look before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from math import erfc, exp, log, pi, sqrt
from statistics import NormalDist

import numpy as np

from campaigns.experiments.logs import Array

NEVER = 12.0  # a boundary that far out (p < 1e-32) is not drawn
NEWS = 0.0002  # of the information at a look has to be new, or it is the look before once more
RULES = (64, 128, 256, 512, 1024)  # nodes: of few sizes, as a rule takes longer to make than to use
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Boundary:
    """What a look asks for: |z| above `z`, a two-sided p below `level`. A look that can decide nothing: None and 0."""

    z: float | None
    level: float
    spent: float  # of the error, two-sided, with this look


def spending(fraction: float, alpha: float = 0.05) -> float:
    """Error, of both sides, that may be spent by `fraction` of the plan: 2·α₁, α₁(t) = 2 − 2Φ(z₁₋α/₄/√t) per side."""
    if fraction <= 0:
        return 0.0
    return min(alpha, 4 * _beyond(NORMAL.inv_cdf(1 - alpha / 4) / sqrt(min(1.0, fraction))))


def information(clicked: int, assigned: int) -> float:
    """Of a look at which `clicked` of all `assigned` have clicked: the odds, up to a factor that cancels.

    Everybody is assigned from the first hour and clicks only add up, so with share q by one look and r by a later one
    the difference of the arms has covariance ∝ q(1 − r): the looks' z correlate as √[q/(1 − q) ÷ r/(1 − r)].
    """
    if clicked >= assigned:
        return float("inf")
    return clicked / (assigned - clicked)


def boundaries(
    fractions: Sequence[float], informed: Sequence[float] | None = None, alpha: float = 0.05
) -> list[Boundary]:
    """The boundary of each look actually taken, in order.

    `fractions` of the plan at which the looks were taken, rising, the last of a finished plan 1; `informed` the
    information at each, in any unit, never falling, the same as `fractions` unless told. A look without
    news is the look before once more, with what may be spent by now: its boundary lies lower. A look before anybody has
    clicked decides nothing, and its error is left to the next. The last look of a finished plan may spend all that is
    left. ValueError where either runs backwards.

    With independent increments (Armitage, McPherson and Rowe 1969) the density of the score on the part not yet decided
    is carried from look to look by Gauss and Legendre's rule; the boundary is where the error allowed has gone out.
    """
    informed = fractions if informed is None else informed
    if len(informed) != len(fractions):
        raise ValueError("each look has a fraction and an information")
    if any(later <= earlier for earlier, later in pairwise(fractions)):
        raise ValueError("looks follow one another")
    if any(later < earlier for earlier, later in pairwise(informed)):
        raise ValueError("information is never lost")
    return list(_boundaries(tuple(fractions), tuple(informed), alpha))


@lru_cache(maxsize=4096)
def _boundaries(fractions: tuple[float, ...], informed: tuple[float, ...], alpha: float) -> tuple[Boundary, ...]:
    found: list[Boundary] = []
    undecided, at, spent = (
        Undecided(),
        0.0,
        0.0,
    )  # after the last look that counted, its information, and the error gone
    before = (undecided, at, spent)  # …and the same before that look
    for fraction, now in zip(fractions, informed, strict=True):
        if now - at <= NEWS * now:
            undecided, at, spent = before
        step, left = now - at, spending(fraction, alpha) - spent
        places, masses = undecided.for_step(step)
        if step <= 0 or now == float("inf") or _gone(NEVER, now, step, places, masses) >= left:
            found.append(Boundary(None, 0.0, spent))
            continue
        z = _where(left, now, step, places, masses)
        before = (undecided, at, spent)
        spent += _gone(z, now, step, places, masses)
        found.append(Boundary(z, 2 * _beyond(z), spent))
        undecided, at = Undecided(z * sqrt(now), step, places, masses), now
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Undecided:
    """The score B = Z·√I within ±`edge` after a step from `places` with their `masses`; at the start, 0 for certain."""

    edge: float = 0.0
    step: float = 0.0
    places: Array = field(default_factory=lambda: np.zeros(1))
    masses: Array = field(default_factory=lambda: np.ones(1))

    def for_step(self, following: float) -> tuple[Array, Array]:
        """Places and masses fine enough for the densities of this step and of the one that follows."""
        if self.step == 0 or following <= 0:
            return self.places, self.masses
        fine = 6 * self.edge / sqrt(min(self.step, following))
        nodes, weights = _rule(next(size for size in RULES if size >= min(RULES[-1], fine)))
        after = nodes * self.edge
        density = np.exp(-((after[:, None] - self.places) ** 2) / (2 * self.step)) @ self.masses
        return after, density * weights * self.edge / sqrt(2 * pi * self.step)


def _gone(z: float, now: float, step: float, places: Array, masses: Array) -> float:
    """The chance to leave at this look, on either side, with the boundary at z."""
    edge, spread = z * sqrt(now), sqrt(step)
    tails = [_beyond((edge - b) / spread) + _beyond((edge + b) / spread) for b in places.tolist()]
    return float(np.dot(masses, tails))


def _where(left: float, now: float, step: float, places: Array, masses: Array) -> float:
    """The z at which so much goes out: Newton's rule on the logarithm, halving wherever it leaves what is known."""
    low, high, z = 0.0, NEVER, min(NEVER, z_of(left))
    while high - low > 1e-10:
        gone = _gone(z, now, step, places, masses)
        if abs(gone - left) <= 1e-11 * left:
            return z
        low, high = (z, high) if gone > left else (low, z)
        edge = z * sqrt(now)
        there = np.exp(-((edge - places) ** 2) / (2 * step)) + np.exp(-((edge + places) ** 2) / (2 * step))
        slope = float(masses @ there) * sqrt(now / (2 * pi * step))
        z += gone * log(gone / left) / slope if gone > 0 and slope > 0 else high
        if not low < z < high:
            z = (low + high) / 2
    return high


@lru_cache
def _rule(nodes: int) -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(nodes)


def _beyond(z: float) -> float:
    """P(Z > z)."""
    return erfc(z / sqrt(2)) / 2


def z_of(p: float) -> float:
    """The |z| whose two-sided p it is."""
    return -NORMAL.inv_cdf(max(p, exp(-700)) / 2)
