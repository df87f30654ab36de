"""Arms of the wrong size are noticed: exactly when they are small, and in whatever step they lost their tenants."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from campaigns.experiments.srm import ALARM, bet, chi_square_beyond, losing_steps, mismatch


@pytest.mark.parametrize(
    ("counts", "weights"),
    [((3, 9), (1, 1)), ((5, 1, 0), (1, 1, 1)), ((9, 3, 4), (0.5, 0.25, 0.25)), ((2, 40), (1, 9)), ((70, 70), (1, 1))],
)
def test_small_counts_are_exact(counts: tuple[int, ...], weights: tuple[float, ...]) -> None:
    """Beside SciPy's multinomial, counted through."""
    shares, n = np.array(weights) / sum(weights), sum(counts)
    every = np.array([way for way in np.ndindex(*[n + 1] * (len(counts) - 1)) if sum(way) <= n])
    every = np.column_stack([every, n - every.sum(axis=1)])
    odds = stats.multinomial(n, shares).pmf(every)
    seen = stats.multinomial(n, shares).pmf(counts)
    found = mismatch(counts, weights)
    assert found.is_exact
    assert found.p == pytest.approx(odds[odds <= seen * (1 + 1e-7)].sum(), rel=1e-9)
    if len(counts) == 2:
        assert found.p == pytest.approx(stats.binomtest(counts[0], n, shares[0]).pvalue, rel=1e-9)


def test_large_counts_are_chi_square_and_cookie_cats_is_no_alarm() -> None:
    found = mismatch((44_700, 45_489), (1, 1))
    assert (round(found.p, 4), found.is_alarm, found.is_exact) == (0.0086, False, False)
    for counts, weights in (
        ((30_000, 31_200), (1, 1)),
        ((900, 1100, 3000), (1, 1, 3)),
        ((4000, 100, 900), (8, 0.2, 1.8)),
    ):
        n, total = sum(counts), sum(weights)
        expected = stats.chisquare(counts, [n * weight / total for weight in weights])
        assert mismatch(counts, weights).p == pytest.approx(expected.pvalue, rel=1e-9)
    assert mismatch((30_000, 31_200), (1, 1)).is_alarm
    assert mismatch((0, 0), (1, 1)).p == 1
    # 8 are expected in neither case below: however many tenants, exact.
    assert mismatch((25_000, 1), (9999, 1)).is_exact


def test_chi_square_is_scipys() -> None:
    for freedom in range(1, 9):
        for x in (0.0, 0.3, 2.0, 11.0, 60.0):
            assert chi_square_beyond(x, freedom) == pytest.approx(stats.chi2.sf(x, freedom), rel=1e-10)


def test_the_step_that_lost_people_is_named() -> None:
    steps = [("assigned", (70, 70)), ("accepted", (69, 70)), ("delivered", (45, 66)), ("opened", (20, 31))]
    (loss,) = losing_steps(steps)
    assert loss.step == "delivered"
    assert loss.p == pytest.approx(stats.fisher_exact([[45, 24], [66, 4]]).pvalue, rel=1e-6)
    assert losing_steps([("assigned", (70, 70)), ("accepted", (0, 0)), ("delivered", (0, 0))]) == []
    three = losing_steps([("assigned", (500, 500, 500)), ("accepted", (480, 470, 400))])
    assert three[0].p == pytest.approx(stats.chi2_contingency([[480, 470, 400], [20, 30, 100]]).pvalue, rel=1e-9)
    few = losing_steps([("assigned", (12, 12, 12)), ("accepted", (12, 12, 1))])
    assert few[0].p < ALARM
    with pytest.raises(ValueError, match="more at accepted"):
        losing_steps([("assigned", (5, 5)), ("accepted", (6, 5))])


def test_what_is_no_plan_is_refused() -> None:
    for counts, weights in (((1,), (1,)), ((1, 2), (1,)), ((1, 2), (1, 0)), ((-1, 2), (1, 1))):
        with pytest.raises(ValueError, match="two at least"):
            mismatch(counts, weights)


def test_an_audience_without_an_end_may_be_watched_tenant_by_tenant() -> None:
    """Looked at after every one of 400: the chance ever to reach an alarm, over all paths, keeps the promise."""
    for weights, split in (((1, 1), 0.5), ((3, 1), 0.75)):
        for edge in (20, 1 / ALARM):
            assert ever_reaches(edge, weights, split) <= 1 / edge
    assert ever_reaches(1 / ALARM, (1, 1), 0.65) > 0.9
    # The prior takes every split for as likely as any other: 7 of 10 have 1 ÷ 11.
    assert bet((7, 3), (1, 1)) == pytest.approx(1 / 11 / stats.binom(10, 0.5).pmf(7))


def ever_reaches(edge: float, weights: tuple[int, int], split: float) -> float:
    """The chance that the bet reaches `edge` at any of 400 tenants, each of whom gets the first arm with `split`."""
    not_yet, reached = {0: 1.0}, 0.0
    for n in range(1, 401):
        after: dict[int, float] = {}
        for k, odds in not_yet.items():
            after[k] = after.get(k, 0) + odds * (1 - split)
            after[k + 1] = after.get(k + 1, 0) + odds * split
        over = {k for k in after if bet((k, n - k), weights) >= edge}
        reached += sum(after.pop(k) for k in over)
        not_yet = after
    return reached
