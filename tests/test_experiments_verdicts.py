"""Counts in, verdicts out: when an arm is confirmed, provisional or no better, and what would change that."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy import stats

from campaigns.experiments.looks import boundaries, information, spending
from campaigns.experiments.verdicts import Block, Change, Look, Plan, Verdict, afterwards, changes, judge

PLAN = Plan(assigned=(70, 70))


def looks(*counts: tuple[int, ...]) -> list[Look]:
    return [Look(hour, clicked) for hour, clicked in zip(PLAN.hours, counts, strict=False)]


SLOW = looks((3, 4), (5, 9), (7, 13), (9, 17), (10, 19), (10, 21))


def test_a_difference_is_confirmed_at_the_look_that_shows_it_and_not_before() -> None:
    for taken in range(6):
        assert judge(PLAN, SLOW[:taken]).kind == "continue"
    found = judge(PLAN, SLOW)
    assert (found.kind, found.arm, found.hour, found.dropped) == ("confirmed", 1, 72, {0: 72})
    last = found.comparisons[-1]
    assert last.p == pytest.approx(stats.fisher_exact([[10, 60], [21, 49]]).pvalue)
    informed = [information(sum(look.clicked), 140) for look in SLOW]
    assert last.level == boundaries([hour / 72 for hour in PLAN.hours], informed)[-1].level
    # Once confirmed, later looks change nothing: 2 of 70 against 20 at the second, p = 0.00003 under 0.0002.
    early = looks((1, 9), (2, 20), (4, 30), (30, 30), (60, 31), (70, 31))
    assert [judge(PLAN, early[:taken]).hour for taken in range(7)] == [None, None, 24, 24, 24, 24, 24]


def test_at_the_end_a_lead_that_hangs_on_one_tenant_is_no_difference() -> None:
    start = SLOW[:1]
    for clicked, kind, arm in (
        ((12, 12), "no_difference", None),
        ((12, 13), "no_difference", None),
        ((12, 14), "no_difference", None),  # 13 against 13, had one tenant of each arm done otherwise
        ((12, 15), "provisional", 1),
        ((16, 12), "provisional", 0),
    ):
        found = judge(PLAN, [*start, Look(72, clicked)])
        assert (found.kind, found.arm, found.hour) == (kind, arm, 72)
    # A large audience knows that there is nothing: 0.1 points apart, and the interval within the margin of 1 point.
    many = Plan((60_000, 60_000), hours=(72,))
    assert judge(many, [Look(72, (12_000, 12_060))]).kind == "no_difference"
    assert judge(replace(many, margin=0.001), [Look(72, (12_000, 12_060))]).kind == "provisional"


def test_looks_not_taken_are_missing_and_their_error_is_not() -> None:
    found = judge(PLAN, [Look(36, (4, 9)), Look(72, (10, 21))])
    assert found.kind == "confirmed"
    assert found.comparisons[0].level < 0.004
    assert found.comparisons[1].level > judge(PLAN, SLOW).comparisons[-1].level
    # Nobody has clicked: such a look decides nothing. Nobody since: the look before, with the error of this hour.
    still = judge(PLAN, looks((0, 0), (3, 9), (3, 9)))
    assert [each.level for each in still.comparisons] == pytest.approx([0.0, spending(24 / 72), spending(36 / 72)])


def test_what_was_seen_to_be_wrong_overrides_what_was_confirmed() -> None:
    block = Block("mismatch", "delivered")
    assert judge(PLAN, SLOW, [block]) == Verdict("blocked", block=block)


def test_the_designs_own_p_is_taken_where_it_is_passed() -> None:
    doubtful = [*SLOW[:5], Look(72, (10, 21), p={(0, 1): 0.2})]
    assert judge(PLAN, doubtful).kind == "provisional"


def test_three_arms_share_the_level_and_lose_the_worse_in_place() -> None:
    plan = Plan((60, 60, 60))
    start = [Look(hour, (1, 2, 3)) for hour in (12, 24, 36)]
    dropping = judge(plan, [*start, Look(48, (3, 24, 19))])
    assert (dropping.kind, dropping.dropped) == ("continue", {0: 48})
    # Holm within one look: the first of three pairs at a third of the error, the next at a half, the last at all of it.
    levels = [each.level for each in dropping.comparisons if each.hour == 48]
    fractions, informed = [12 / 72, 24 / 72, 36 / 72, 48 / 72], [information(3, 120)] * 3
    first = boundaries(fractions, [*informed, information(27, 120)], 0.05 / 3)[-1].level
    assert levels[0] == first
    assert levels[0] < levels[1] < levels[2]
    tied = judge(plan, [*start, Look(48, (3, 24, 19)), Look(72, (4, 27, 22))])
    assert (tied.kind, tied.arm) == ("provisional", 1)
    won = judge(plan, [*start, Look(48, (3, 24, 19)), Look(72, (4, 44, 22))])
    assert (won.kind, won.arm, won.dropped) == ("confirmed", 1, {0: 48, 2: 72})


def test_what_would_change_the_verdict_is_true_to_the_click() -> None:
    """Each change applied gives its verdict; one click less of it does not."""
    plan3 = Plan((60, 60, 60))
    for plan, taken in (
        (PLAN, SLOW),
        (PLAN, SLOW[:4]),
        (PLAN, [*SLOW[:5], Look(72, (14, 20))]),
        (PLAN, [*SLOW[:5], Look(72, (19, 19))]),
        (PLAN, [*SLOW[:5], Look(72, (10, 26))]),
        (plan3, [Look(72, (5, 12, 30))]),
    ):
        found = changes(plan, taken)
        assert found
        for change in found:
            then = applied(plan, taken, change, change.clicks)
            assert (then.kind, then.arm) == (change.kind, change.winner) or then.kind == "confirmed"
            almost = applied(plan, taken, change, change.clicks - (1 if change.clicks > 0 else -1))
            assert (almost.kind, almost.arm) != (change.kind, change.winner)
    assert Change(1, -1, "provisional", 1) in changes(PLAN, SLOW)
    assert {(each.arm, each.clicks) for each in changes(PLAN, SLOW[:4]) if each.kind == "confirmed"} == {
        (0, 24),
        (1, 6),
    }
    assert changes(PLAN, []) == []
    settled = looks((1, 9), (1, 40), (2, 41))
    assert judge(PLAN, settled).hour == 24
    assert changes(PLAN, settled) == []


def applied(plan: Plan, taken: list[Look], change: Change, clicks: int) -> Verdict:
    counts = tuple(count + clicks * (arm == change.arm) for arm, count in enumerate(taken[-1].clicked))
    return judge(plan, [*taken[:-1], replace(taken[-1], clicked=counts)])


def test_signatures_confirm_or_reverse_what_was_rolled_out() -> None:
    rolled_out = Verdict("provisional", 1, 72)
    assert afterwards(rolled_out, {0: (39.9, 0.1)}) == "pending"
    assert afterwards(rolled_out, {0: (40.0, 0.1)}) == "confirmed"
    assert afterwards(rolled_out, {0: (0.1, 41.0)}) == "reversed"
    assert afterwards(rolled_out, {0: (90.0, 0.1), 2: (50.0, 0.3)}) == "pending"
    assert afterwards(rolled_out, {0: (90.0, 0.1), 2: (80.0, 0.3)}) == "confirmed"
    with pytest.raises(ValueError, match="no arm"):
        afterwards(Verdict("no_difference", None, 72), {0: (1.0, 1.0)})


def test_cookie_cats_as_counts() -> None:
    plan = Plan((44_700, 45_489), hours=(72,))
    assert judge(plan, [Look(72, (20_034, 20_119))]).kind == "provisional"
    day7 = judge(plan, [Look(72, (8_502, 8_279))])
    assert (day7.kind, day7.arm) == ("confirmed", 0)
    assert day7.comparisons[0].p == pytest.approx(0.00159, abs=5e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Plan((70,)),
        lambda: Plan((70, 0)),
        lambda: Plan((70, 70), hours=(24, 12)),
        lambda: Plan((70, 70), alpha=5),
        lambda: judge(PLAN, [Look(13, (1, 1))]),
        lambda: judge(PLAN, [Look(24, (1, 1)), Look(12, (1, 1))]),
        lambda: judge(PLAN, [Look(12, (5, 1)), Look(24, (4, 1))]),
        lambda: judge(PLAN, [Look(12, (71, 1))]),
        lambda: judge(PLAN, [Look(12, (1, 1, 1))]),
    ],
)
def test_what_was_not_written_down_beforehand_is_refused(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(
        ValueError, match=r"two arms|follow one another|are shares|hour of the plan|only add up|its count"
    ):
        wrong()
