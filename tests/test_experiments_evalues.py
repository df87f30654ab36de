"""E-values keep their promise however often anybody looks, and still see what is there."""

from __future__ import annotations

from itertools import product
from math import comb, exp

import numpy as np
import pytest
from numpy.typing import NDArray

from campaigns.experiments import evalues
from campaigns.experiments.evalues import anytime_p, best_of, by_clicks, guardrail, guardrail_between, in_batches


@pytest.mark.parametrize("sizes", [(1, 1), (2, 1), (3, 3), (0, 4)])
@pytest.mark.parametrize("rate", [0.03, 0.2, 0.5, 0.9])
def test_a_batch_is_a_fair_bet(sizes: tuple[int, int], rate: float) -> None:
    """Its mean over all outcomes, counted through, is at most 1 at any common rate, alone and after another batch."""
    ways = list(product(range(sizes[0] + 1), range(sizes[1] + 1)))
    odds = {
        k: np.prod([comb(n, x) * rate**x * (1 - rate) ** (n - x) for x, n in zip(k, sizes, strict=True)]) for k in ways
    }
    for side in (0, 1):
        assert sum(odds[k] * in_batches([k], [sizes])[side][0] for k in ways) <= 1 + 1e-9
        twice = sum(odds[j] * odds[k] * in_batches([j, k], [sizes] * 2)[side][1] for j in ways for k in ways)
        assert twice <= 1 + 1e-9


def test_a_click_is_a_fair_bet() -> None:
    """All orders in which 7 tenants may click, each as likely: the mean of either bet is 1 after every click."""

    def mean(clicks: list[int], left: tuple[int, int], side: int) -> float:
        if len(clicks) == 4:
            return float(by_clicks(clicks, (3, 4))[side][-1])
        total = 0.0
        for arm in (0, 1):
            if left[arm]:
                rest = (left[0] - (arm == 0), left[1] - (arm == 1))
                total += left[arm] / sum(left) * mean([*clicks, arm], rest, side)
        return total

    for side in (0, 1):
        assert mean([], (3, 4), side) == pytest.approx(1)


def seasons(rates: tuple[float, float], many: int) -> list[NDArray[np.int_]]:
    """Of each season the arm of each click in their order, 70 tenants an arm."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(many):
        when = np.where(rng.random((70, 2)) < rates, rng.random((70, 2)), 2.0).ravel()
        order = np.argsort(when)[: int((when < 1).sum())]
        found.append(order % 2)
    return found


def largest(clicks: NDArray[np.int_]) -> float:
    one, other = by_clicks(clicks, (70, 70))
    return float(((one + other) / 2).max(initial=0))


def test_looking_after_every_click_does_no_harm() -> None:
    null = [largest(clicks) for clicks in seasons((0.2, 0.2), 2000)]
    assert np.mean([bet >= evalues.CONFIRMS for bet in null]) <= 0.03  # Ville promises 5 %; 1.1 % in the notes' method
    seen = [largest(clicks) for clicks in seasons((0.15, 0.30), 500)]
    assert 0.2 < np.mean([bet >= evalues.CONFIRMS for bet in seen]) < 0.4
    better = by_clicks([1] * 30 + [0] * 5, (70, 70))
    assert better[1][-1] > 100 > 1 > better[0][-1]


def test_pairs_are_weighed_the_same_whatever_the_batches_sizes_say_together() -> None:
    pairs = [(0, 1), (1, 1), (0, 1), (0, 0), (0, 1)]
    one, other = in_batches(pairs, [(1, 1)] * 5)
    assert other[-1] > 1 > one[-1]
    assert in_batches(pairs[:2], [(1, 1)] * 2)[1] == pytest.approx(other[:2])
    a, b = np.array([(a, b) for a in evalues.RATES for b in evalues.RATES if b > a]).T
    p0 = (a + b) / 2  # the first pair by hand: a miss of the first arm, a click of the second
    assert other[0] == pytest.approx(np.mean((1 - a) * b / ((1 - p0) * p0)))


def test_the_p_value_only_falls() -> None:
    assert anytime_p(np.array([0.5, 4.0, 2.0, 40.0, 1.0])).tolist() == [1.0, 0.25, 0.25, 0.025, 0.025]
    assert anytime_p(np.array([])).tolist() == []


def test_a_guardrail_stops_falsely_once_in_a_hundred_and_sees_a_tripled_rate_within_twenty_complaints() -> None:
    """Watched at every complaint: 200 of them at the usual rate, and the first 20 at three times the rate."""
    rng = np.random.default_rng(2)

    def stopped(times: float, complaints: int, runs: int) -> float:
        expected = np.cumsum(rng.exponential(1 / times, (runs, complaints)), axis=1)
        return float(
            np.mean(
                [any(guardrail(k, at) >= evalues.STOPS for k, at in enumerate(row, 1)) for row in expected.tolist()]
            )
        )

    assert stopped(1, 200, 3000) <= 0.01
    assert stopped(0.7, 200, 300) <= 0.01
    assert stopped(3, 20, 1000) > 0.9
    assert guardrail(0, 10) < 0.001
    assert guardrail(4, 2.0) == pytest.approx((2**4 * exp(-2) + 3**4 * exp(-4)) / 2)


def test_without_a_usual_rate_the_arms_are_held_against_each_other() -> None:
    rng = np.random.default_rng(4)
    assert np.mean([guardrail_between(rng.random(100) < 0.5, (70, 70)).max() >= 100 for _ in range(2000)]) <= 0.01
    assert np.mean([guardrail_between(rng.random(60) < 0.75, (70, 70)).max() >= 100 for _ in range(500)]) > 0.7
    assert guardrail_between([1], (30, 10))[0] == pytest.approx((2 * 40 / 50 + 3 * 40 / 60) / 2)


def test_segments_are_told_together() -> None:
    """Three at 0.05: the best alone needs 60, two together 30 each, all three 20 each."""
    assert best_of({"social": 61.0, "price": 3.0, "service": 2.0}) == {"social"}
    assert best_of({"social": 31.0, "price": 30.0, "service": 2.0}) == {"social", "price"}
    assert best_of({"social": 21.0, "price": 20.0, "service": 20.0}) == {"social", "price", "service"}
    assert best_of({"social": 59.0, "price": 29.0, "service": 19.0}) == set()
    assert best_of({}) == set()


def test_counts_that_cannot_be_are_refused() -> None:
    for wrong in (
        lambda: in_batches([(2, 0)], [(1, 1)]),
        lambda: by_clicks([0, 0], (1, 5)),
        lambda: guardrail(-1, 2.0),
    ):
        with pytest.raises(ValueError, match=r"more successes|more clicks|not negative"):
            wrong()
