"""Evidence that may be looked at at any moment: e-values.

An e-value is a fair bet against "the arms do not differ": whoever stakes 1 has at most 1 on average when that is true,
whenever they stop. So it reaches 20 with a chance of at most 5 % *ever* (Ville 1939), and 1 ÷ its largest value so far
is a p-value that peeking cannot spoil. Averages of bets are bets: where the true rates are not known, we bet on a grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log, sqrt

import numpy as np
from numpy.typing import ArrayLike

from campaigns.experiments.logs import Array

RATES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)  # what a share may be, of clicks or of signatures
RATIOS = (1.25, 1.5, 2.0, 3.0, 4.0)  # how much faster one arm may click than the other
EXCESS = (2.0, 3.0)  # times the usual rate that a guardrail is on the watch for
CONFIRMS = 20.0
STOPS = 100.0


def in_batches(successes: ArrayLike, sizes: ArrayLike) -> tuple[Array, Array]:
    """The two bets (first arm better, second arm better) after each batch, from *final* outcomes of a batch's tenants.

    `successes` and `sizes` are (batches, 2), whole numbers; a batch is a frozen pair, or two groups of unequal size.
    Turner, Ly and Grünwald (JSPI 2024): for rates a and b every outcome multiplies by its chance under its own arm's
    rate over its chance under p₀ = (n_a·a + n_b·b) ÷ (n_a + n_b). Under any common rate p the batch's mean is
    f_a(p)^n_a · f_b(p)^n_b with f linear and n_a·f_a + n_b·f_b = n_a + n_b, so at most 1 by the means' inequality.
    Here it is the average over all pairs of `RATES`. The order of the batches must not depend on their outcomes; one
    enters once its outcomes cannot change any more. Both arrays are (batches,).
    """
    k, n = np.asarray(successes, dtype=float), np.asarray(sizes, dtype=float)
    if k.shape != n.shape or k.ndim != 2 or k.shape[1] != 2 or (k < 0).any() or (k > n).any():
        raise ValueError("batches are rows of two counts, none of more successes than tenants")
    rates = np.array(RATES)
    a, b = (side.ravel() for side in np.meshgrid(rates, rates, indexing="ij"))
    together = n.sum(axis=1, keepdims=True)
    common = np.divide(n[:, :1] * a + n[:, 1:] * b, together, out=np.full((len(n), len(a)), 0.5), where=together > 0)
    gained = sum(
        k[:, [arm]] * np.log(rate / common) + (n - k)[:, [arm]] * np.log((1 - rate) / (1 - common))
        for arm, rate in enumerate((a, b))
    )
    bets = np.exp(np.cumsum(gained, axis=0))
    return bets[:, a > b].mean(axis=1), bets[:, b > a].mean(axis=1)


def by_clicks(arms: ArrayLike, roster: tuple[int, int]) -> tuple[Array, Array]:
    """The two bets (first arm better, second arm better) after each click of a wave that is still running.

    `arms` names the arm (0 or 1) of each click, in their order; `roster` how many were assigned to either. Nobody's
    outcome is final before the end, but *whose* click comes next is a fair draw from those who have not clicked: from
    the first arm with chance r₀ ÷ (r₀ + r₁) if wording is nothing to anybody, θ·r₀ ÷ (θ·r₀ + r₁) if it makes clicks
    θ times as frequent. This is the any-time log-rank test of ter Schure, Pérez-Ortiz, Ly and Grünwald (2020), averaged
    over `RATIOS`. It holds whenever people click and however often anybody looks. Both arrays are (clicks,).
    """
    which = np.asarray(arms, dtype=int)
    waiting = np.array(roster, dtype=float) - np.stack(
        [np.cumsum(which == arm) - (which == arm) for arm in (0, 1)], axis=1
    )
    if (waiting < 1)[np.arange(len(which)), which].any():
        raise ValueError("more clicks than tenants")
    ratios = np.array(RATIOS)
    found = []
    for arm in (0, 1):
        ours, theirs = waiting[:, [arm]], waiting[:, [1 - arm]]
        gained = np.where(which[:, None] == arm, np.log(ratios), 0) - np.log((ratios * ours + theirs) / (ours + theirs))
        found.append(np.exp(np.cumsum(gained, axis=0)).mean(axis=1))
    return found[0], found[1]


def anytime_p(bets: Array) -> Array:
    """The p-value after each step that any number of looks leaves valid: 1 ÷ the largest e-value so far, at most 1."""
    return np.minimum(1.0, 1 / np.maximum.accumulate(bets)) if len(bets) else bets


def guardrail(happened: int, expected: float) -> float:
    """The bet that something (complaints, refusals, notices) happens at more than its usual rate, at this moment.

    `expected` is how many would have happened by now at the usual rate, written down beforehand: rate × tenants × time.
    For each of `EXCESS`, θ^k·e^{−(θ−1)·expected}: of mean 1 at the usual rate (a Poisson process), less below it; their
    average at or above `STOPS` ever is a false stop, with a chance of at most 1 %.
    """
    if expected < 0 or happened < 0:
        raise ValueError("counts are not negative")
    return sum(exp(min(700.0, happened * log(times) - (times - 1) * expected)) for times in EXCESS) / len(EXCESS)


def guardrail_between(arms: ArrayLike, roster: tuple[int, int]) -> Array:
    """The bet, after each complaint, that the second arm draws more than its share of them; for want of a usual rate.

    A complaint comes from the second arm with chance r₁ ÷ (r₀ + r₁) if the wordings are alike. It needs far more
    complaints than `guardrail`, which knows a rate: docs/experiments.md has both.
    """
    which = np.asarray(arms, dtype=int)
    times, (r0, r1) = np.array(EXCESS), roster
    gained = np.where(which[:, None] == 1, np.log(times), 0) - np.log((r0 + times * r1) / (r0 + r1))
    bets: Array = np.exp(np.cumsum(gained, axis=0)).mean(axis=1)
    return bets


def best_of(bets: Mapping[str, float], alpha: float = 0.05) -> set[str]:
    """Of several segments those whose effect may be told together: e-BH (Wang and Ramdas 2022).

    At most a share `alpha` of those told are false on average, whatever the segments have in common: the k with the
    largest e-values, for the largest k with e₍ₖ₎ ≥ segments ÷ (alpha·k).
    """
    ordered = sorted(bets, key=lambda name: (-bets[name], name))
    told = [k for k, name in enumerate(ordered, 1) if bets[name] * alpha * k >= len(bets)]
    return set(ordered[: max(told, default=0)])


def sequence(k1: int, n1: int, k2: int, n2: int, expected: float, level: float = 0.95) -> tuple[float, float, float]:
    """(low, high, p): an interval of k1/n1 − k2/n2 that holds at all moments together, and the p that belongs to it.

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (arXiv 2103.06476): δ̂ ± σ̂√N·√{[2(Nρ²+1)/(N²ρ²)]·ln(√(Nρ²+1)/α)},
    ρ = √{[−2lnα + ln(−2lnα+1)]/N*}, narrowest when `expected` = N* tenants have come; GrowthBook's with 5,000. For
    large numbers only: it rests on normality. (−1, 1, 1) where nothing varies.
    """
    p1, p2, n = k1 / n1, k2 / n2, n1 + n2
    variance = p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2
    if variance == 0:
        return -1.0, 1.0, 1.0
    alpha = 1 - level
    rho2 = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / expected
    spread = n * rho2 + 1
    reach = sqrt(variance * n) * sqrt(2 * spread / (n * n * rho2) * log(sqrt(spread) / alpha))
    log_bet = rho2 * (p1 - p2) ** 2 * n / variance / (2 * spread) - log(spread) / 2
    return p1 - p2 - reach, p1 - p2 + reach, min(1.0, exp(-log_bet))
