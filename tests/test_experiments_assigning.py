"""Arms are balanced, keep flat-mates together and can be drawn again; the hash is the one GrowthBook publishes."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import combinations, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.experiments.assigning import Household, arm_at, assign, bucket, ranges, units

PUBLISHED = json.loads((Path(__file__).parent / "files/growthbook.json").read_text())
rosters = st.lists(
    st.tuples(st.sampled_from("ABC"), st.integers(1, 3), st.integers(0, 900), st.sampled_from([1, 1, 1, 2, 3])),
    max_size=60,
).map(lambda rows: [Household(f"h{n:02}", *row[:3], persons=row[3]) for n, row in enumerate(rows)])


@given(rosters, st.integers(2, 4), st.text(max_size=5), st.randoms())
def test_arms_differ_by_a_household_and_by_no_more_persons_than_one_has(
    roster: list[Household], arms: int, seed: str, rng: random.Random
) -> None:
    found = assign(roster, seed, arms)
    shuffled = roster.copy()
    rng.shuffle(shuffled)
    assert assign(shuffled, seed, arms) == found
    households, persons = Counter(found.values()), Counter[int]()
    for each in roster:
        persons[found[each.key]] += each.persons
    for one, other in combinations(range(arms), 2):
        assert abs(households[one] - households[other]) <= 1
        assert abs(persons[one] - persons[other]) <= max((each.persons for each in roster), default=0)


def test_neighbours_get_different_arms_and_another_seed_other_arms() -> None:
    roster = [Household(f"{b}{t:02}", b, mood=t % 3, tenure=t) for b in "AB" for t in range(20)]
    one = assign(roster, "wave 7")
    in_order = sorted(roster, key=lambda each: (each.building, each.mood, each.tenure))
    pairs = [(one[a.key], one[b.key]) for a, b in zip(in_order[::2], in_order[1::2], strict=True)]
    assert set(pairs) == {(0, 1), (1, 0)}
    # What the notes of a wave may state, so that anybody can draw it again.
    assert "".join(str(a) for a, _ in pairs) == "10100111001001000001"
    assert assign(roster, "wave 8") != one


def test_every_household_has_the_same_chance_of_every_arm() -> None:
    roster = [Household(f"h{n}", "A", 2, n, persons) for n, persons in enumerate([1, 1, 1, 2, 3, 2, 1])]
    draws = [assign(roster, str(seed), 3) for seed in range(3000)]
    for each in roster:
        for arm, times in Counter(draw[each.key] for draw in draws).items():
            assert abs(times - 1000) < 120, (each, arm)  # 4.6 standard deviations


def test_a_unit_turned_round_had_the_same_chance() -> None:
    """Seven households of three sizes: every set of arms drawn comes as often as those with any of its units turned."""
    roster = [Household(f"h{n}", "A", 2, n, persons) for n, persons in enumerate([1, 1, 2, 1, 2, 2, 3])]
    keys = [each.key for each in roster]
    seen = Counter(tuple(assign(roster, str(seed))[key] for key in keys) for seed in range(6000))
    for arms, times in seen.items():
        arm_of = dict(zip(keys, arms, strict=True))
        for unit in units(roster, arm_of, 2, 0, 1):
            turned = {**arm_of, **{key: 1 - arm_of[key] for key in unit.one + unit.other}}
            other = seen[tuple(turned[key] for key in keys)]
            assert abs(times - other) < 4.6 * (times + other) ** 0.5


@pytest.mark.parametrize(
    ("roster", "arms"),
    [
        ([Household("h", "A", 1, 1), Household("h", "A", 1, 2)], 2),
        ([Household("h", "A", 1, 1, persons=0)], 2),
        ([], 1),
        ([], 6),
    ],
)
def test_a_roster_that_cannot_be_right_is_refused(roster: list[Household], arms: int) -> None:
    with pytest.raises(ValueError, match=r"roster twice|nobody in it|2 to 5 arms"):
        assign(roster, "s", arms)


def test_the_hash_is_the_published_one() -> None:
    assert len(PUBLISHED["hash"]) == 15
    for seed, value, version, expected in PUBLISHED["hash"]:
        assert bucket(seed, value, version) == expected
    for name, arguments, expected in PUBLISHED["ranges"]:
        for found, stated in zip(ranges(*arguments), expected, strict=True):
            assert found == pytest.approx(stated, abs=1e-12), name
    for seed, value, version, weights, arms, place, arm in PUBLISHED["experiments"]:
        assert bucket(seed, value, version) == place
        assert arm_at(place, ranges(arms, 1, weights)) == arm
    assert arm_at(0.6, ranges(2, 0.1)) is None
    assert arm_at(None, ranges(2)) is None


def test_the_hash_reads_chinese_as_javascript_does() -> None:
    """FNV-1a over code units, each multiplied once: by hand for 租 (U+79DF), and for a pair of surrogates."""
    for text, code_units in (("租", [0x79DF]), ("𠮷", [0xD842, 0xDFB7])):
        value = 2166136261
        for unit in code_units:
            value = (value ^ unit) * 16777619 % 2**32
        assert bucket("", text, 1) == value % 1000 / 1000
    assert len({bucket("s", f"{a}{b}", 2) for a, b in product(range(10), range(10))}) > 95
