"""Shares and their differences, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from math import erfc, sqrt
from statistics import NormalDist

import numpy as np

from campaigns.experiments.logs import log_factorials

Z95 = 1.959963984540054  # the standard normal's 97.5 % quantile


def wilson(successes: int, n: int, z: float = Z95) -> tuple[float, float] | None:
    """The Wilson score interval of a share, 95 % unless told; nothing is known of no trials."""
    if n == 0:
        return None
    share, z2 = successes / n, z * z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = z / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def difference(k1: int, n1: int, k2: int, n2: int, level: float = 0.95) -> tuple[float, float, float]:
    """k1/n1 − k2/n2 with the lower and upper end of Newcombe's interval (1998, method 10); neither n may be 0."""
    z = Z95 if level == 0.95 else NormalDist().inv_cdf((1 + level) / 2)
    bounds1, bounds2 = wilson(k1, n1, z), wilson(k2, n2, z)
    if bounds1 is None or bounds2 is None:
        raise ValueError("an arm has nobody in it")
    p1, p2 = k1 / n1, k2 / n2
    low = sqrt((p1 - bounds1[0]) ** 2 + (bounds2[1] - p2) ** 2)
    high = sqrt((bounds1[1] - p1) ** 2 + (p2 - bounds2[0]) ** 2)
    return p1 - p2, p1 - p2 - low, p1 - p2 + high


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> tuple[float, float] | None:
    """The exact interval of a share (Clopper and Pearson 1934): it covers with at least `level`, whatever the share.

    Its ends are where the binomial tails beyond what was seen are (1 − level) / 2, found by halving to 1e-12.
    """
    if n == 0:
        return None
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else _where(lambda p: _at_least(successes, n, p) > tail)
    high = 1.0 if successes == n else _where(lambda p: 1 - _at_least(successes + 1, n, p) < tail)
    return low, high


def z_test(k1: int, n1: int, k2: int, n2: int) -> tuple[float, float]:
    """(z, two-sided p) of k1/n1 − k2/n2 with the pooled variance; (0, 1) where nobody or everybody did.

    For counts in the thousands, as they are usually reported. At a wave's size it is too free: see `exact`.
    """
    pooled = (k1 + k2) / (n1 + n2)
    variance = pooled * (1 - pooled) * (1 / n1 + 1 / n2)
    if variance == 0:
        return 0.0, 1.0
    z = (k1 / n1 - k2 / n2) / sqrt(variance)
    return z, erfc(abs(z) / sqrt(2))


def _at_least(k: int, n: int, p: float) -> float:
    """P(X >= k) of a binomial, 0 < p < 1."""
    logs = log_factorials(n)
    x = np.arange(k, n + 1)
    terms = logs[n] - logs[x] - logs[n - x] + x * np.log(p) + (n - x) * np.log1p(-p)
    return float(min(1.0, np.exp(terms).sum()))


def _where(is_beyond: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (low, middle) if is_beyond(middle) else (middle, high)
    return (low + high) / 2
