"""Endings by week: the forecast by hand, and that under a cap no week has more than its places and nothing is lost."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renewal import caps, weeks
from renewal.offers import Rate, term_last_day
from renewal.waves import Open
from tests.makers import TODAY

MONDAYS = tuple(date(2025, 12, 1) + timedelta(weeks=n) for n in range(52))


def test_the_weeks_of_next_year_are_those_of_the_months_that_end_with_the_next_winter() -> None:
    found = weeks.next_year(TODAY)
    assert (found[0], found[-1], len(found)) == (date(2026, 1, 26), date(2027, 1, 25), 53)
    assert all(later - earlier == timedelta(days=7) for earlier, later in pairwise(found))
    late = weeks.next_year(date(2026, 8, 1))  # 1 February 2027 is a Monday
    assert (late[0], late[-1], len(late)) == (date(2027, 2, 1), date(2028, 1, 31), 53)
    assert weeks.monday_of(date(2025, 12, 7)) == date(2025, 12, 1)  # a Sunday is the last day of its week
    assert weeks.monday_of(date(2027, 1, 3)) == date(2026, 12, 28)  # across the year


def test_the_sum_by_hand() -> None:
    """Three leases end on 7 December; half renew, of them 60 % for 6 months and 40 % for 9."""
    cases = [Open(date(2025, 12, 8), 8)] * 3
    first, six, nine = date(2025, 12, 1), date(2026, 6, 1), date(2026, 9, 7)
    assert [weeks.monday_of(term_last_day(date(2025, 12, 8), n, 8)) for n in (6, 9)] == [six, nine]
    found = weeks.forecast({first: 3, six: 1}, cases, mondays=MONDAYS, rate=0.5, shares={6: 0.6, 9: 0.4})
    each = {week: n for week, n in zip(found.mondays, found.each, strict=True) if n}
    assert each == pytest.approx({first: 1.5, six: 1.9, nine: 0.6})
    assert (found.peak, found.peak_share, found.unplaced) == (six, pytest.approx(1.9 / 4), 0)
    # With one place left in the week of six months, the first case has 0.3 of it, the second and the third as well;
    # with none, all goes to nine months.
    some = weeks.forecast({first: 3, six: 1}, cases, mondays=MONDAYS, rate=0.5, shares={6: 0.6, 9: 0.4}, most=2)
    assert some.each == pytest.approx(found.each)
    none = weeks.forecast({first: 3, six: 1}, cases, mondays=MONDAYS, rate=0.5, shares={6: 0.6, 9: 0.4}, most=1)
    each = {week: n for week, n in zip(none.mondays, none.each, strict=True) if n}
    assert each == pytest.approx({first: 1.5, six: 1, nine: 1})
    assert (none.peak, none.most, none.peak_share) == (first, 1.5, pytest.approx(1.5 / 3.5))
    assert none.unplaced == pytest.approx(0.5)  # of 1.5 renewals one has a place


def test_a_year_without_an_ending_has_no_fullest_week() -> None:
    found = weeks.forecast({}, [], mondays=MONDAYS, rate=0.7, shares={12: 1.0})
    assert (found.total, found.most, found.peak, found.peak_share) == (0, 0, None, None)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine drawing is
@given(
    starts=st.lists(st.dates(date(2025, 12, 2), date(2026, 3, 1)), max_size=25),
    weights=st.dictionaries(st.sampled_from([3, 5, 6, 9, 11, 12]), st.integers(0, 50), min_size=1),
    rate=st.floats(0.01, 1),
    known=st.dictionaries(st.sampled_from(MONDAYS), st.integers(0, 9)),
    most=st.integers(1, 12),
)
def test_under_a_cap_no_week_takes_more_than_its_places_and_no_renewal_is_lost(
    starts: list[date], weights: dict[int, int], rate: float, known: dict[date, int], most: int
) -> None:
    whole = max(1, sum(weights.values()))
    shares = {term: n / whole for term, n in weights.items()}
    cases = [Open(start, start.day) for start in starts]
    mondays = tuple(MONDAYS[0] + timedelta(weeks=n) for n in range(80))  # all terms end within
    before = weeks.forecast(known, cases, mondays=mondays, rate=rate, shares=shares)
    after = weeks.forecast(known, cases, mondays=mondays, rate=rate, shares=shares, most=most)
    leaving: dict[date, float] = {}
    for start in starts:
        week = weeks.monday_of(start - timedelta(days=1))
        leaving[week] = leaving.get(week, 0) + rate
    for week, n in zip(after.mondays, after.each, strict=True):
        # What is counted now is there, whatever the cap; what is added never goes past it.
        assert n <= max(most, known.get(week, 0)) + 1e-6
    is_chosen = any(weights.values())
    if is_chosen and all(known.get(week, 0) >= n for week, n in leaving.items()):
        placed = sum(known.values()) - sum(leaving.values()) + rate * len(starts)
        assert before.total == pytest.approx(placed)
        assert after.total + after.unplaced == pytest.approx(placed)
    enough = weeks.forecast(known, cases, mondays=mondays, rate=rate, shares=shares, most=100)
    assert enough.each == pytest.approx(before.each)  # a cap that nothing reaches changes nothing
    assert enough.unplaced == pytest.approx(0 if is_chosen else rate * len(starts))


def test_weeks_are_nearly_full_from_four_fifths_on() -> None:
    known = {MONDAYS[3]: 5, MONDAYS[1]: 4, MONDAYS[2]: 3, MONDAYS[9]: 7}
    assert weeks.full(known, 5) == [(MONDAYS[1], 4), (MONDAYS[3], 5), (MONDAYS[9], 7)]


# --- Eighteen months of a made-up house ---------------------------------------------------------------------

ROOMS = 240
PUBLISHED = {6: "3980", 9: "3940", 12: "3900", 18: "3860", 24: "3820"}
LINES = tuple(Rate(term, 0, Decimal(rent), date(2027, 12, 31)) for term, rent in PUBLISHED.items())
CHOSEN = {6: 12, 9: 6, 12: 62, 18: 12, 24: 8}


def lived(most: int | None, seed: int) -> tuple[Counter[date], Counter[date], float, int]:
    """78 weeks from TODAY of a house whose leases end in winter: endings a week, of those signed, rent, and refusals.

    Six of ten lease ends are within 30 days of New Year's Eve, the others spread over the year. Two thirds renew, 60
    days before the end, for a term of those open to them by its weight; where none is, the room changes hands. A room
    that changes hands is let three weeks later for twelve months, by a contract that no cap holds back.
    """
    dice = random.Random(seed)
    ends: list[date] = []
    for n in range(ROOMS):
        winter = date(2025, 12, 31) + timedelta(days=dice.randrange(-29, 30))
        ends.append(winter if n < 0.6 * ROOMS else TODAY + timedelta(days=dice.randrange(365)))
    counted = Counter(weeks.monday_of(day) for day in ends)
    signed: Counter[date] = Counter()
    rents, refused = [], 0
    for day in (TODAY + timedelta(days=n) for n in range(78 * 7)):
        for room, last in enumerate(ends):
            if last - timedelta(days=60) != day and not (day == TODAY and last - timedelta(days=60) < day):
                continue
            first = last + timedelta(days=1)
            full = {week for week, n in counted.items() if most is not None and n >= most}
            lines, _shut = caps.split(LINES, full, first_day=first, anchor_day=first.day)
            stays = dice.random() < 2 / 3
            counted[weeks.monday_of(last)] -= stays and bool(lines)  # followed, it is counted no more
            if stays and lines:
                line = dice.choices(lines, [CHOSEN[each.term_months] for each in lines])[0]
                ends[room] = term_last_day(first, line.term_months, first.day)
                signed[weeks.monday_of(ends[room])] += 1
                rents.append(float(line.monthly_rent))
                assert most is None or counted[weeks.monday_of(ends[room])] < most
            else:
                refused += stays
                ends[room] = term_last_day(first + timedelta(days=21), 12, (first + timedelta(days=21)).day)
            counted[weeks.monday_of(ends[room])] += 1
    return counted, signed, sum(rents) / len(rents), refused


@pytest.mark.parametrize("seed", range(5))
def test_a_made_up_house_is_flattened_by_a_third_at_less_than_a_hundredth_of_the_rent(seed: int) -> None:
    """What a cap does to what is signed: the share of the fullest week among the renewals' ends."""
    _all, before, rent, _none = lived(None, seed)
    _capped, after, then, refused = lived(6, seed)
    share = max(before.values()) / before.total()
    assert max(after.values()) / after.total() <= 0.7 * share
    assert abs(then - rent) <= 0.01 * rent
    assert refused == 0  # nobody who would have stayed was left without a term
