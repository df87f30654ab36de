"""The days a lot draws, and what they say: held to every turn of the coins, and to worlds whose truth is known."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from datetime import date, timedelta
from fractions import Fraction

import pytest

from campaigns import placing

FIRST, LAST = date(2025, 12, 1), date(2026, 1, 25)  # a Monday and a Sunday, eight weeks: four blocks
BUILDINGS = ("B1", "B2", "B3")


def test_the_drawn_days_are_balanced_by_building_and_weekday_and_can_be_drawn_again() -> None:
    days = [FIRST + timedelta(days=n) for n in range(56)]
    drawn = {(b, day): placing.shows("s", b, day) for b in BUILDINGS for day in days}
    assert drawn == {(b, day): placing.shows("s", b, day) for b in BUILDINGS for day in days}
    assert Counter((b, day.weekday()) for (b, day), on in drawn.items() if on) == {
        (b, weekday): 4 for b in BUILDINGS for weekday in range(7)
    }
    assert drawn != {(b, day): placing.shows("t", b, day) for b in BUILDINGS for day in days}
    # Written down once, so that no version of the program ever draws other days for a season that runs.
    assert "".join("01"[placing.shows("s", "B1", day)] for day in days[:28]) == "1100000001111100010101110101"


def test_only_whole_pairs_count() -> None:
    whole = placing.pairs("s", BUILDINGS, FIRST, LAST)
    assert len(whole) == 3 * 28
    assert all(abs((pair.on - pair.off).days) == 7 for pair in whole)
    assert all(placing.shows("s", p.building, p.on) and not placing.shows("s", p.building, p.off) for p in whole)
    cut = placing.pairs("s", ["B1"], FIRST + timedelta(days=2), LAST - timedelta(days=3))
    assert {min(p.on, p.off) for p in cut} == {
        FIRST + timedelta(days=14 * block + n)
        for block in range(4)
        for n in range(7)
        if not (block == 0 and n < 2) and not (block == 3 and n > 3)
    }
    assert placing.pairs("s", ["B1"], FIRST, FIRST + timedelta(days=6)) == []


def by_definition(counts: list[tuple[int, int]], theta: Fraction) -> tuple[Fraction, Fraction]:
    """Both one-sided p-values of "it multiplies by theta", by turning every coin in turn: no formula of ours."""

    def statistic(turned: tuple[bool, ...]) -> Fraction:
        # The day with it had on/theta people of its own, and the other off; turned, they change places.
        return sum(((b - a / theta) if t else (a / theta - b) for (a, b), t in zip(counts, turned, strict=True)),
                   Fraction(0))  # fmt: skip

    seen = statistic((False,) * len(counts))
    every = [statistic(turned) for turned in itertools.product([False, True], repeat=len(counts))]
    n = len(every)
    return Fraction(sum(s >= seen for s in every), n), Fraction(sum(s <= seen for s in every), n)


@pytest.mark.parametrize("seed", range(12))
def test_the_interval_and_the_p_value_are_those_of_turning_every_coin(seed: int) -> None:
    dice = random.Random(seed)
    counts = [(dice.randint(0, 6), dice.randint(0, 4)) for _pair in range(dice.randint(3, 8))]
    found = placing.estimate(counts)
    assert found
    assert found.p == pytest.approx(min(1.0, 2 * float(min(by_definition(counts, Fraction(1))))))
    tail = Fraction(1, 40)
    for theta in (Fraction(n, 24) for n in range(1, 240)):
        inside = all(p > tail for p in by_definition(counts, theta))
        assert inside == (found.ratio.low <= theta <= found.ratio.high), (counts, theta)


def test_figures_of_one_case_by_hand() -> None:
    # Six pairs, each three with and one without: every set has ratio 3, the empty one stands on both sides.
    found = placing.estimate([(3, 1)] * 6)
    assert found == placing.Estimate(
        pairs=6, on=18, off=6, ratio=placing.Span(3.0, 3.0, 3.0), difference=placing.Span(2.0, 2.0, 2.0), p=2 / 64
    )
    assert found.verdict == "more"
    five = placing.estimate([(3, 1)] * 5)
    assert five
    assert (five.ratio.low, five.ratio.high, five.p, five.verdict) == (0.0, math.inf, 2 / 32, "early")
    nobody = placing.estimate([(2, 0)] * 8)
    assert nobody
    assert (nobody.ratio.value, nobody.ratio.high, nobody.verdict) == (math.inf, math.inf, "early")
    same = placing.estimate([(1, 1), (2, 1), (1, 2), (0, 1), (1, 0), (1, 1), (2, 2)])
    assert same
    assert (same.p, same.verdict) == (1.0, "open")
    assert placing.estimate([]) is None


def worlds(effect: float, seasons: int) -> tuple[int, int]:
    """Of seasons of eight weeks in three buildings: whose interval holds the truth, and which say more."""
    dice = random.Random(5)
    held = more = 0
    for season in range(seasons):
        counts = []
        for pair in placing.pairs(str(season), BUILDINGS, FIRST, LAST):
            busy = {"B1": 8, "B2": 4, "B3": 2}[pair.building] * (0.5 if pair.on.weekday() > 4 else 1)
            shares = busy * effect / 40, busy / 40
            counts.append(tuple(sum(dice.random() < share for _person in range(40)) for share in shares))
        found = placing.estimate(counts)  # type: ignore[arg-type]
        assert found
        held += found.ratio.low <= effect <= found.ratio.high
        more += found.verdict == "more"
    return held, more


def test_the_interval_holds_what_is_true_and_finds_a_threefold_effect() -> None:
    """Of 200 seasons 187 to hold the truth is within chance of 190; 1,500 of them gave 95.9 %."""
    assert worlds(1.0, 200) == (187, 3)
    assert worlds(3.0, 40) == (40, 40)
