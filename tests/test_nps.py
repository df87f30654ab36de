"""The score's mathematics against plain oracles: lists of numbers, weights a person each, a beta of scipy."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from renewal import nps
from renewal.nps import Answers, Stratum

COUNTS = st.integers(0, 400)
ANSWERS = st.builds(Answers, COUNTS, COUNTS, COUNTS)


def as_numbers(answers: Answers) -> list[float]:
    return [100.0] * answers.promoters + [0.0] * answers.passives + [-100.0] * answers.detractors


def test_the_score_and_its_interval_of_the_domain() -> None:
    """n = 150 at +41: ±11.6 (FEATURES 53)."""
    found = nps.score(Answers(83, 46, 21))
    assert found
    assert round(found.value, 2) == 41.33
    assert (round(found.high - found.value, 1), round(found.value - found.low, 1)) == (11.6, 11.6)
    assert nps.score(Answers()) is None


@given(ANSWERS)
def test_the_score_is_the_mean_of_a_list_and_its_error_the_lists(answers: Answers) -> None:
    found, numbers = nps.score(answers), as_numbers(answers)
    if not numbers:
        assert found is None
        return
    assert found
    assert found.n == len(numbers)
    assert found.value == pytest.approx(statistics.fmean(numbers), abs=1e-9)
    assert -100 <= found.low <= found.value <= found.high <= 100
    if len(set(numbers)) > 1:
        assert found.se == pytest.approx(statistics.pstdev(numbers) / math.sqrt(len(numbers)), abs=1e-9)
        reach = stats.norm.ppf(0.975) * found.se
        assert found.low == pytest.approx(max(-100, found.value - reach), abs=1e-9)
        assert found.high == pytest.approx(min(100, found.value + reach), abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 10, 300])
def test_all_alike_is_no_certainty(n: int) -> None:
    others = proportion_confint(0, n, method="wilson")[1]
    for answers, low, high in (
        (Answers(n, 0, 0), 100 - 200 * others, 100),
        (Answers(0, n, 0), -100 * others, 100 * others),
        (Answers(0, 0, n), -100, -100 + 200 * others),
    ):
        found = nps.score(answers)
        assert found
        assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_the_weighted_score_of_an_example_worked_by_hand() -> None:
    """A: 100 asked, 40 answer, +50; B: 300 asked, 40 answer, −25. Everybody weighs the same: 0.25·50 − 0.75·25."""
    strata = [Stratum("A", "1", 100, Answers(28, 4, 8)), Stratum("B", "1", 300, Answers(10, 10, 20))]
    plain = nps.score(strata[0].answers + strata[1].answers)
    found = nps.weighted(strata)
    assert plain
    assert found
    assert round(plain.value, 9) == 12.5
    assert round(found.score.value, 9) == -6.25
    # 0.25²·(0.65·10⁴/40) + 0.75²·(0.6875·10⁴/40): p, d = 0.7, 0.2 and 0.25, 0.5
    assert found.score.se**2 == pytest.approx(0.0625 * 6500 / 40 + 0.5625 * 6875 / 40)
    assert (found.strata, found.collapsed) == (2, 0)


def test_strata_with_few_answers_are_joined_within_their_building_first() -> None:
    strata = [
        Stratum("A", "1", 10, Answers(3, 0, 0)), Stratum("A", "2", 20, Answers(0, 0, 4)),
        Stratum("A", "3", 50, Answers(10, 0, 10)), Stratum("B", "1", 5, Answers(1, 0, 0)),
        Stratum("C", "1", 15, Answers(0, 2, 0)),
    ]  # fmt: skip
    found = nps.weighted(strata)
    assert found
    # A1 with A2: 30 asked, 3 of 7 and 4 of 7; A3: 50, 0; B1 with C1 are still too few and go to the largest, A3: 70.
    both = Answers(11, 2, 10)
    assert found.score.value == pytest.approx((30 * 100 * (3 - 4) / 7 + 70 * 100 * (11 - 10) / 23) / 100)
    assert both.n == 23
    assert (found.strata, found.collapsed, found.score.n) == (2, 4, 30)


@given(
    st.lists(
        st.builds(
            lambda building, band, silent, answers: Stratum(building, band, silent + answers.n, answers),
            st.sampled_from("ABC"), st.sampled_from("123"), st.integers(0, 300), ANSWERS,
        ),
        max_size=9, unique_by=lambda each: (each.building, each.band),
    )
)  # fmt: skip
def test_weighting_is_the_mean_over_everybody_asked_as_if_the_silent_had_answered_like_the_others(
    strata: list[Stratum],
) -> None:
    found = nps.weighted(strata)
    answered = sum(each.answers.n for each in strata)
    if not answered:
        assert found is None
        return
    assert found
    assert found.score.n == answered
    assert -100 <= found.score.low <= found.score.value <= found.score.high <= 100
    if all(each.answers.n >= nps.LEAST for each in strata if each.asked):
        everybody: list[float] = []
        for each in strata:
            if each.asked:
                everybody += [statistics.fmean(as_numbers(each.answers))] * each.asked
        assert found.score.value == pytest.approx(statistics.fmean(everybody), abs=1e-9)
        assert found.collapsed == 0


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(10, 60)), min_size=1, max_size=8), st.integers(5, 9))
def test_where_the_same_share_answers_everywhere_weighting_changes_nothing(
    cells: list[tuple[str, int]], share: int
) -> None:
    strata = [
        Stratum(building, str(n), 10 * share * size, Answers(share * size // 2, share * size - share * size // 2, 0))
        for n, (building, size) in enumerate(cells)
    ]
    plain, found = nps.score(sum((each.answers for each in strata), Answers())), nps.weighted(strata)
    assert plain
    assert found
    assert found.score.value == pytest.approx(plain.value, abs=1e-9)


@given(ANSWERS, ANSWERS)
def test_a_change_is_said_only_where_chance_alone_makes_it_less_than_one_time_in_twenty(
    now: Answers, before: Answers
) -> None:
    one, other = nps.score(now), nps.score(before)
    found = nps.change(one, other)
    if one is None or other is None:
        assert found is None
        return
    assert found
    p = 2 * stats.norm.sf(abs((one.value - other.value) / math.sqrt(one.se**2 + other.se**2)))
    assert found.is_significant == (p < 0.05)


def test_forty_one_against_thirty_is_no_change_at_150_answers_and_one_at_a_thousand() -> None:
    few = nps.change(nps.score(Answers(83, 46, 21)), nps.score(Answers(75, 45, 30)))
    many = nps.change(nps.score(Answers(553, 307, 140)), nps.score(Answers(500, 300, 200)))
    assert few
    assert many
    assert (few.is_significant, many.is_significant) == (False, True)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.05, 0.95))
def test_a_shrunk_share_is_the_mean_of_the_beta_that_its_formula_names(k: int, more: int, base: float) -> None:
    n, m = k + more, nps.PRIOR_WEIGHT
    found = nps.shrunk(k, n, base=base)
    if not n:
        assert found is None
        return
    assert found
    assert found.rate == pytest.approx(stats.beta(m * base + k, m * (1 - base) + n - k).mean(), abs=1e-12)
    assert min(found.raw, base) - 1e-12 <= found.rate <= max(found.raw, base) + 1e-12
    low, high = proportion_confint(k, n, method="wilson")
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_three_of_four_moves_a_base_rate_of_a_fifth_to_under_a_third() -> None:
    found = nps.shrunk(3, 4, base=0.2)
    assert found
    assert round(found.rate, 6) == round((3 + 20 * 0.2) / 24, 6) == 0.291667
    assert (round(found.low, 4), round(found.high, 4)) == (0.3006, 0.9544)
