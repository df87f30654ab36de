"""Exact p-values and intervals agree with SciPy and statsmodels, and with counting everything by hand."""

from __future__ import annotations

from itertools import product
from random import Random

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_ztest

from campaigns.experiments.assigning import Household, assign, units
from campaigns.experiments.exact import fisher, fisher_table, mid_p, rerandomised
from campaigns.experiments.shares import clopper_pearson, difference, wilson, z_test

COUNTS = [
    (0, 7, 3, 5),
    (1, 1, 0, 1),
    (8, 57, 22, 57),
    (10, 70, 21, 70),
    (0, 70, 0, 70),
    (70, 70, 70, 70),
    (3, 40, 9, 33),
]


@pytest.mark.parametrize("counts", [*COUNTS, (150, 1000, 201, 987), (850, 4470, 828, 4549)])
def test_p_values_agree_with_scipy(counts: tuple[int, int, int, int]) -> None:
    k1, n1, k2, n2 = counts
    table = [[k1, n1 - k1], [k2, n2 - k2]]
    assert fisher(*counts) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-7)
    seen = stats.hypergeom(n1 + n2, n1, k1 + k2)
    every = seen.pmf(np.arange(n1 + 1))
    alike = every[np.isclose(every, seen.pmf(k1), rtol=1e-7, atol=0)].sum()
    assert mid_p(*counts) == pytest.approx(fisher(*counts) - alike / 2, abs=1e-9)


def test_the_table_is_fishers_p_everywhere() -> None:
    for n1, n2 in ((6, 9), (12, 12), (57, 57)):
        table = fisher_table(n1, n2)
        step = 1 if n1 < 20 else 7
        for k1, k2 in product(range(0, n1 + 1, step), range(0, n2 + 1, step)):
            expected = stats.fisher_exact([[k1, n1 - k1], [k2, n2 - k2]]).pvalue
            assert table[k1, k2] == pytest.approx(expected, rel=1e-7)
            assert table[k1, k2] == pytest.approx(fisher(k1, n1, k2, n2), rel=1e-12)


@pytest.mark.parametrize(("k1", "n1", "k2", "n2"), [*COUNTS, (20034, 44700, 20119, 45489)])
def test_intervals_agree_with_statsmodels(k1: int, n1: int, k2: int, n2: int) -> None:
    for k, n in ((k1, n1), (k2, n2)):
        assert wilson(k, n) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-12)
        assert clopper_pearson(k, n) == pytest.approx(proportion_confint(k, n, method="beta"), abs=1e-9)
    assert clopper_pearson(k1, n1, 0.8) == pytest.approx(proportion_confint(k1, n1, 0.2, "beta"), abs=1e-9)
    for level in (0.95, 0.8):
        low, high = confint_proportions_2indep(k1, n1, k2, n2, method="newcomb", compare="diff", alpha=1 - level)
        assert difference(k1, n1, k2, n2, level) == pytest.approx((k1 / n1 - k2 / n2, low, high), abs=1e-9)


def test_the_public_cookie_cats_experiment() -> None:
    """44,700 and 45,489 players, day 1 and day 7: z to three places and p as published."""
    for k1, k2, z, p in ((20034, 20119, 1.784, 0.0744), (8502, 8279, 3.164, 0.00155)):
        found = z_test(k1, 44700, k2, 45489)
        assert found == pytest.approx((z, p), abs=5e-4, rel=5e-4)
        assert found == pytest.approx(proportions_ztest([k1, k2], [44700, 45489]), rel=1e-9)
    assert z_test(0, 5, 0, 5) == (0.0, 1.0)


def test_what_cannot_be_is_refused_and_nothing_is_known_of_nobody() -> None:
    with pytest.raises(ValueError, match="more clicks than tenants"):
        fisher(6, 5, 0, 5)
    with pytest.raises(ValueError, match="nobody in it"):
        difference(0, 0, 1, 5)
    assert wilson(0, 0) is None
    assert clopper_pearson(0, 0) is None
    assert rerandomised([]) == 1.0


def test_pairs_of_single_tenants_are_mcnemars_exact_test() -> None:
    for b, c, both in ((3, 12, 4), (0, 5, 0), (7, 7, 1), (20, 9, 30)):
        pairs = [(1, 1, 1, 0)] * b + [(1, 0, 1, 1)] * c + [(1, 1, 1, 1)] * both + [(1, 0, 1, 0)] * 11
        assert rerandomised(pairs) == pytest.approx(mcnemar([[both, b], [c, 11]], exact=True).pvalue, abs=1e-12)


def test_the_designs_own_p_keeps_its_level_where_flat_mates_answer_alike() -> None:
    """Nothing matters but the flat: over 1,000 draws of `assign` p <= a comes at most a of the time, for every a.

    Fisher's p, which takes flat-mates for strangers, does not: that is its red twin.
    """
    sizes = [1, 2, 1, 3, 2, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 3] * 4
    roster = [Household(f"h{n:02}", "AB"[n % 2], n % 3, n, persons) for n, persons in enumerate(sizes)]
    persons = {each.key: each.persons for each in roster}
    rng = Random(1)
    clicks = {each.key: each.persons * (rng.random() < 0.4) for each in roster}
    own, strangers = [], []
    for seed in range(1000):
        arm_of = assign(roster, str(seed))
        sides = [(unit.one, unit.other) for unit in units(roster, arm_of, 2, 0, 1)]
        counts = [[sum(of[key] for key in side) for side in pair for of in (persons, clicks)] for pair in sides]
        own.append(rerandomised([(n1, k1, n2, k2) for n1, k1, n2, k2 in counts]))
        n1, k1, n2, k2 = (sum(column) for column in zip(*counts, strict=True))
        strangers.append(fisher(k1, n1, k2, n2))
    for level in (0.01, 0.05, 0.1, 0.2, 0.5):
        error = 4 * (level * (1 - level) / 1000) ** 0.5
        assert np.mean([p <= level for p in own]) <= level + error
    assert np.mean([p <= 0.05 for p in own]) > 0.02  # it can speak, too
    assert np.mean([p <= 0.05 for p in strangers]) > 0.07
