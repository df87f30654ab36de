"""On which day a lease enters a playbook, and why: the day and the reason are stored, and an oracle agrees."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import chinese_calendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import playbooks, pushes
from campaigns.models import Enrolment, Push
from faults.i3 import nothing_kept
from tenants import clock
from tenants.models import Lease
from tests.makers import TODAY, make_building, make_lease, make_playbook, make_tenant, make_unit

pytestmark = pytest.mark.django_db

START = {"code": "s", "anchor": "start", "days": 0, "text": "续租方案已经备好。"}


def enrol(today: date = TODAY) -> int:
    return playbooks.enrol(today=today, now=clock.at(today, 10))


def lease_of(last_day: date, *, days: int = 365, building: str = "B1", **facts: Any) -> Lease:
    unit = make_unit(building=make_building(building))
    return make_lease(make_tenant(), unit, last_day=last_day, first_day=last_day - timedelta(days=days - 1), **facts)


def started(lease: Lease) -> tuple[date, str] | None:
    return Enrolment.objects.filter(lease=lease).values_list("start_on", "start_why").first()


def first_day_enrolled(lease: Lease, since: date, days: int) -> date | None:
    for n in range(days):
        if enrol(since + timedelta(days=n)):
            return since + timedelta(days=n)
    return None


def test_without_reason_for_another_day_it_starts_the_lead_days_before_the_end() -> None:
    make_playbook("p", START)
    lease = lease_of(TODAY + timedelta(days=62))
    assert first_day_enrolled(lease, TODAY, 5) == TODAY + timedelta(days=2)
    assert started(lease) == (TODAY + timedelta(days=2), "到期前 60 天")


def test_where_many_leases_of_the_building_end_together_they_start_earlier() -> None:
    make_playbook("p", START)
    end = TODAY + timedelta(days=75)
    crowd = [lease_of(end + timedelta(days=n)) for n in (0, -7, 7, 1, 2, 3, 4, 5)]
    quiet = [lease_of(end + timedelta(days=n), building="B2") for n in (0, -8, 8, 1, 2, 3, 4, 5)]
    assert enrol() == 1
    # Of the eight in B1 only the one in the middle has all others within a week; it starts today.
    assert started(crowd[0]) == (TODAY, "到期前 75 天：同楼栋前后两周内有 8 份租约到期")
    # This one has five others around it, and is in no hurry.
    assert started(quiet[0]) is None


def test_leases_that_do_not_run_to_their_end_make_no_crowd() -> None:
    make_playbook("p", START)
    end = TODAY + timedelta(days=75)
    lease_of(end)
    for n in (-6, -4, -2, 2, 4, 6):
        lease_of(end + timedelta(days=n))
    lease_of(end + timedelta(days=7), ended_by="tenant")
    lease_of(end + timedelta(days=7), state="void")
    assert enrol() == 0


def test_a_short_lease_is_not_spoken_of_before_half_of_it_has_passed() -> None:
    make_playbook("p", START)
    last_day = TODAY + timedelta(days=50)
    lease = lease_of(last_day, days=90)
    half = lease.first_day + timedelta(days=45)
    assert first_day_enrolled(lease, TODAY, 30) == half
    assert started(lease) == (half, "租期较短，过半后开始")


def test_nothing_starts_on_a_public_holiday() -> None:
    make_playbook("p", START)
    lease = lease_of(date(2026, 10, 3) + timedelta(days=60))
    assert chinese_calendar.is_holiday(date(2026, 10, 3))
    assert first_day_enrolled(lease, date(2026, 9, 28), 10) == date(2026, 9, 30)
    assert started(lease) == (date(2026, 9, 30), "到期前 60 天；2026-10-03 为节假日，提前到节前一天")


def test_an_ordinary_weekend_is_no_holiday() -> None:
    make_playbook("p", START)
    saturday = date(2025, 12, 6)
    lease = lease_of(saturday + timedelta(days=60))
    assert first_day_enrolled(lease, saturday - timedelta(days=3), 7) == saturday
    assert started(lease) == (saturday, "到期前 60 天")


def test_the_step_of_the_start_is_due_on_the_day_that_was_computed() -> None:
    make_playbook("p", START)
    end = TODAY + timedelta(days=75)
    lease = lease_of(end)
    for n in (-6, -4, -2, 2, 4, 6, 7):
        lease_of(end + timedelta(days=n))
    enrol()
    pushes.plan(today=TODAY, now=clock.at(TODAY, 10))
    push = Push.objects.get(lease=lease)
    assert (push.due_on, push.state) == (TODAY, "planned")
    assert push.reason == "开始触达（到期前 75 天：同楼栋前后两周内有 8 份租约到期）；剧本“p”"


def test_who_enters_late_has_the_day_it_should_have_been() -> None:
    make_playbook("p", START)
    lease = lease_of(TODAY + timedelta(days=30))
    enrol()
    assert started(lease) == (TODAY - timedelta(days=30), "到期前 60 天")
    assert Enrolment.objects.get().enrolled_on == TODAY


# --- Against an oracle -------------------------------------------------------------------------------------


def expected(last_day: date, first_day: date, ends: list[date], lead: int) -> date:
    """The rule of campaigns/starts.py, said once more by hand."""
    around = sum(abs((end - last_day).days) <= 7 for end in ends)
    early = last_day - timedelta(days=lead + (15 if around >= 8 else 0))
    half = first_day + timedelta(days=((last_day - first_day).days + 1) // 2)
    day = max(early, half)

    def is_off(it: date) -> bool:
        off, name = chinese_calendar.get_holiday_detail(it)
        return bool(off and name)

    while is_off(day):
        day -= timedelta(days=1)
    return day


@settings(max_examples=30, deadline=None, database=None)
@given(
    leases=st.lists(st.tuples(st.integers(0, 130), st.integers(30, 800)), min_size=1, max_size=25),
    lead=st.sampled_from([30, 60, 90]),
    today=st.dates(date(2025, 1, 1), date(2025, 12, 31)),
)
def test_any_portfolio_starts_as_the_oracle_says(leases: list[tuple[int, int]], lead: int, today: date) -> None:
    with nothing_kept():
        make_playbook("p", START, lead_days=lead)
        rows = [lease_of(today + timedelta(days=end), days=days) for end, days in leases]
        ends = [row.last_day for row in rows]
        enrol(today)
        due = {row.pk: expected(row.last_day, row.first_day, ends, lead) for row in rows}
        got = dict(Enrolment.objects.values_list("lease", "start_on"))
        assert got == {pk: day for pk, day in due.items() if day <= today}
