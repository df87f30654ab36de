"""The boundaries are the published ones, and whatever information there is, 5 % goes out and no more."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import multivariate_normal, norm

from campaigns.experiments.looks import boundaries, information, spending, z_of


def test_the_published_boundaries() -> None:
    """Five looks: Lan and DeMets's published values; six: this project's notes, which cut the last figure off."""
    five = [look.z for look in boundaries([k / 5 for k in range(1, 6)])]
    assert five == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=5e-4)
    six = boundaries([k / 6 for k in range(1, 7)])
    assert [look.z for look in six] == pytest.approx([5.367, 3.710, 2.970, 2.538, 2.252, 2.044], abs=1e-3)
    assert [look.level for look in six] == pytest.approx([2 * norm.sf(look.z) for look in six], rel=1e-9)
    assert [look.spent for look in six] == pytest.approx([spending(k / 6) for k in range(1, 7)], abs=1e-9)
    only = boundaries([1.0])[0]
    assert (only.z, only.level) == pytest.approx((norm.isf(0.025), 0.05), abs=1e-8)


def test_spending_is_the_stated_formula() -> None:
    for alpha in (0.05, 0.01, 0.05 / 3):
        for t in (0.1, 0.5, 0.99, 1.0):
            assert spending(t, alpha) == pytest.approx(2 * (2 - 2 * norm.cdf(norm.isf(alpha / 4) / sqrt(t))), rel=1e-9)
        assert spending(0, alpha) == 0
        assert spending(1.4, alpha) == spending(1.0, alpha) == pytest.approx(alpha, rel=1e-9)


def gone_out(edges: list[float], informed: list[float], nodes: int = 1201) -> float:
    """The chance to cross any of the edges, by the trapezoid rule on a fine grid: slow, and another way than ours."""
    places, masses, at, out = np.zeros(1), np.ones(1), 0.0, 0.0
    for z, now in zip(edges, informed, strict=True):
        edge, spread = z * sqrt(now), sqrt(now - at)
        out += masses @ (ndtr((-edge - places) / spread) + ndtr((places - edge) / spread))
        after = np.linspace(-edge, edge, nodes)
        weights = np.full(nodes, after[1] - after[0])
        weights[[0, -1]] /= 2
        masses = (norm.pdf((after[:, None] - places) / spread) / spread @ masses) * weights
        places, at = after, now
    return float(out)


@pytest.mark.parametrize(
    ("fractions", "informed"),
    [
        ([k / 6 for k in range(1, 7)], [0.42, 0.61, 0.73, 0.86, 0.95, 1.0]),  # most click on the first day
        ([0.5, 1.0], [0.1, 0.2]),
        ([1 / 3, 2 / 3, 1.0], [3.0, 3.5, 11.0]),  # a look left out, information in another unit
        ([k / 12 for k in range(1, 13)], [k / 12 for k in range(1, 13)]),
    ],
)
def test_five_percent_go_out_whatever_the_information(fractions: list[float], informed: list[float]) -> None:
    looks = boundaries(fractions, informed)
    drawn = [(look.z, now) for look, now in zip(looks, informed, strict=True) if look.z is not None]
    assert gone_out([z for z, _ in drawn], [now for _, now in drawn]) == pytest.approx(0.05, abs=2e-6)


def test_three_looks_agree_with_scipys_normal_distribution() -> None:
    informed = [0.3, 0.55, 1.0]
    edges = [look.z or 0.0 for look in boundaries([0.4, 0.7, 1.0], informed)]
    cov = [[sqrt(min(a, b) / max(a, b)) for a in informed] for b in informed]
    inside = multivariate_normal(cov=cov).cdf(edges, lower_limit=[-z for z in edges], rng=np.random.default_rng(1))
    assert 1 - inside == pytest.approx(0.05, abs=2e-5)


def test_a_look_without_news_is_the_look_before_with_more_to_spend() -> None:
    with_pause = boundaries([0.25, 0.5, 0.75, 1.0], [0.3, 0.6, 0.6, 1.0])
    without = boundaries([0.25, 0.75, 1.0], [0.3, 0.6, 1.0])
    assert [look.z for look in with_pause[2:]] == [look.z for look in without[1:]]
    assert with_pause[1].level < with_pause[2].level
    # Whoever clicks has done so by the middle: the end is one test at 5 %, as if nobody had looked in the middle.
    assert boundaries([0.5, 1.0], [1.0, 1.0])[1].level == pytest.approx(0.05, abs=1e-8)
    # An almost still look is almost that one.
    assert boundaries([0.5, 1.0], [1.0, 1.001])[1].level == pytest.approx(0.05, abs=1e-4)


def test_a_look_at_nothing_or_at_everybody_decides_nothing() -> None:
    assert [look.level for look in boundaries([0.5, 1.0], [0.0, 0.0])] == [0.0, 0.0]  # nobody has clicked at all
    assert boundaries([0.25, 0.5, 1.0], [0.0, 0.2, 1.0])[1:] == boundaries([0.5, 1.0], [0.2, 1.0])
    assert [look.level for look in boundaries([0.5, 1.0], [1.0, float("inf")])][1] == 0.0  # everybody has


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=8), st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_never_more_is_spent_than_was_allowed(steps: list[float], news: list[float]) -> None:
    fractions = (np.cumsum(steps) / sum(steps)).tolist()
    looks = boundaries(fractions, np.cumsum(news[: len(steps)]).tolist())
    for look, fraction in zip(looks, fractions, strict=True):
        assert look.spent <= spending(fraction) + 1e-9
        assert 0 <= look.level <= 0.05 + 1e-9


def test_looks_that_run_backwards_are_refused() -> None:
    for fractions, informed in (([0.5, 0.5], None), ([0.5, 1.0], [2.0, 1.0]), ([0.5, 1.0], [1.0])):
        with pytest.raises(ValueError, match=r"follow one another|never lost|has a fraction"):
            boundaries(fractions, informed)


def test_information_gives_the_correlation_of_clicks_that_add_up() -> None:
    """140 tenants of whom 30 % click, half of them by noon: z at both moments, over 40,000 seasons."""
    rng = np.random.default_rng(3)
    when = np.where(rng.random((40_000, 140)) < 0.3, rng.random((40_000, 140)), 2.0)
    z = []
    for moment in (0.5, 1.0):
        clicked = when <= moment
        z.append(clicked[:, :70].mean(axis=1) - clicked[:, 70:].mean(axis=1))
    expected = sqrt(information(15, 100) / information(30, 100))
    assert np.corrcoef(z)[0, 1] == pytest.approx(expected, abs=0.01)
    assert information(5, 5) == float("inf")
    assert z_of(0.05) == pytest.approx(norm.isf(0.025))
