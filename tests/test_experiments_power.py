"""What an audience can show is what repeating the experiment shows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import power_proportions_2indep

from campaigns.experiments.exact import fisher_table
from campaigns.experiments.power import needed, power, reach


def test_57_an_arm_tell_15_percent_only_from_twice_and_a_half_as_much() -> None:
    found = reach(57, 0.15)
    assert (found.higher, found.lower) == (0.404, 0.005)
    assert power(57, 0.15, 0.404) >= 0.8 > power(57, 0.15, 0.403)
    assert power(57, 0.15, 0.005) >= 0.8 > power(57, 0.15, 0.006)
    signed = reach(57, 0.60)
    assert (signed.higher, signed.lower) == (0.853, 0.322)
    assert reach(10, 0.05).lower is None  # not even none at all
    assert reach(2, 0.5).higher is None
    assert reach(57, 0.15, arms=3).higher == pytest.approx(0.44, abs=0.02)


def test_power_is_the_share_of_experiments_that_would_tell() -> None:
    rng = np.random.default_rng(6)
    level = 0.040876  # the last of six even looks
    for n, base, share in ((70, 0.15, 0.30), (57, 0.6, 0.83), (200, 0.3, 0.3)):
        told = fisher_table(n, n)[rng.binomial(n, base, 50_000), rng.binomial(n, share, 50_000)] < level
        assert power(n, base, share) == pytest.approx(told.mean(), abs=0.01)
    assert power(70, 0.0, 1.0) == 1.0


def test_large_audiences_agree_with_statsmodels() -> None:
    for n, base, share in ((1500, 0.15, 0.19), (20_000, 0.15, 0.16), (4000, 0.6, 0.57)):
        expected = power_proportions_2indep(share - base, base, n, alpha=0.0408756, return_results=False)
        assert power(n, base, share) == pytest.approx(expected, abs=2e-3)
    assert reach(1000, 0.15).higher == pytest.approx(reach(1001, 0.15).higher, abs=0.002)


def test_how_many_are_needed() -> None:
    n = needed(0.15, 0.30)
    assert n == 139
    assert power(n, 0.15, 0.30) >= 0.8
    large = needed(0.15, 0.17)
    effect = 2 * (np.arcsin(0.17**0.5) - np.arcsin(0.15**0.5))
    assert large == pytest.approx(NormalIndPower().solve_power(effect, alpha=0.0408756, power=0.8), rel=0.02)
    with pytest.raises(ValueError, match="never told apart"):
        needed(0.2, 0.2)
    with pytest.raises(ValueError, match="a share lies"):
        reach(10, 1.2)
    assert stats.norm.sf(2.0448) * 2 == pytest.approx(0.0408756, abs=1e-5)
