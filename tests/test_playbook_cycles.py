"""What starts a playbook and how often: each occurrence once, waves on their day, and nobody twice whatever changes."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import playbooks, pushes
from campaigns.models import Enrolment, Playbook, Push, Segment
from faults.i3 import nothing_kept
from tenants import clock, features
from tenants.models import Event, Lease, LeaseTenant, Message, Tenant, TenantTag
from tests.makers import (
    BEFORE,
    NOW,
    TODAY,
    make_building,
    make_event,
    make_lease,
    make_playbook,
    make_tenant,
    make_unit,
)

pytestmark = pytest.mark.django_db

SORRY = {"code": "sorry", "anchor": "event", "days": 1, "kind": "care", "text": "抱歉，让您久等了。"}
FACTS = {"facts": {"activities": 8, "posts": 7, "kitchen": 16}, "events": []}
RATED = {"events": "ticket.rated", "where": [{"field": "score", "op": "<=", "value": 2}]}


def run(today: date = TODAY) -> dict[str, int]:
    now = clock.at(today, 10)
    playbooks.leave(today=today, now=now)
    playbooks.enrol(today=today, now=now)
    counts = pushes.plan(today=today, now=now)
    pushes.hand_over(today=today, now=now)
    return counts


def lease_of(days: int = 200, **facts: Any) -> Lease:
    return make_lease(make_tenant(**facts), make_unit(), last_day=TODAY + timedelta(days=days))


def rated(lease: Lease, score: str = "1", hours_ago: float = 20, **facts: Any) -> Event:
    return make_event(
        "ticket.rated",
        lease.tenants.get(),
        lease.unit,
        at=NOW - timedelta(hours=hours_ago),
        data={"score": score},
        **facts,
    )


def sent(lease: Lease) -> list[tuple[str, str]]:
    rows = Push.objects.filter(lease=lease, state="handed_over").order_by("pk")
    return list(rows.values_list("step__code", "cycle"))


def day(n: int) -> date:
    return TODAY + timedelta(days=n)


# --- By what happened ----------------------------------------------------------------------------------------


def test_each_occurrence_starts_the_playbook_once_and_what_does_not_fit_starts_nothing() -> None:
    make_playbook("care", SORRY, starts_on=RATED, at=BEFORE)
    lease = lease_of()
    first, second = rated(lease, "1", 40), rated(lease, "2", 30)
    rated(lease, "3", 35)
    make_event("ticket.finished", lease.tenants.get(), lease.unit, at=NOW - timedelta(hours=20))
    run()
    run()
    assert set(Enrolment.objects.values_list("cycle", flat=True)) == {str(first.pk), str(second.pk)}
    # Both are due by now: the tenant hears it once.
    assert sent(lease) == [("sorry", str(second.pk))]
    assert Push.objects.get(cycle=str(first.pk)).reason == "只补发最近的一条"
    third = make_event("ticket.rated", lease.tenants.get(), lease.unit, at=clock.at(day(9), 20), data={"score": 1})
    run(day(10))
    assert sent(lease)[-1] == ("sorry", str(third.pk))
    assert len(sent(lease)) == 2


def test_a_late_event_is_made_up_for_within_a_week_and_an_older_one_starts_nothing() -> None:
    make_playbook("care", SORRY, starts_on=RATED, at=BEFORE)
    week, older = lease_of(), lease_of()
    rated(week, hours_ago=24 * 6.9, recorded_at=NOW)
    rated(older, hours_ago=24 * 8, recorded_at=NOW)
    run()
    assert (len(sent(week)), len(sent(older))) == (1, 0)
    assert not Enrolment.objects.filter(lease=older).exists()


def test_what_happened_before_the_release_starts_nothing() -> None:
    lease = lease_of()
    rated(lease, hours_ago=1)
    make_playbook("care", SORRY, starts_on=RATED)  # released NOW
    run()
    assert not Enrolment.objects.exists()


def test_it_is_followed_beside_the_one_before_the_lease_s_end() -> None:
    make_playbook("care", SORRY, starts_on=RATED)
    make_playbook("p", {"code": "ask", "anchor": "end", "days": 25, "text": "租约 {last_day}到期。"}, fix_first=False)
    lease = lease_of(25)
    features.refresh(today=TODAY, now=NOW)
    make_event("ticket.rated", lease.tenants.get(), lease.unit, at=NOW, data={"score": "1"})
    run()
    assert Enrolment.objects.filter(left_on=None).count() == 2
    run(day(1))
    assert [code for code, _cycle in sent(lease)] == ["ask", "sorry"]


def test_somebody_who_was_merged_meanwhile_hears_of_it_once() -> None:
    make_playbook("care", SORRY, starts_on=RATED)
    lease = lease_of()
    make_event("ticket.rated", lease.tenants.get(), lease.unit, at=NOW, data={"score": "1"})
    run()
    person = make_tenant("本人")
    Tenant.objects.filter(pk=lease.tenants.get().pk).update(merged_into=person)
    run(day(1))
    assert Enrolment.objects.count() == 1
    assert Message.objects.get().tenant == person


def test_a_flatmate_on_the_lease_is_answered_themselves() -> None:
    make_playbook("care", SORRY, starts_on=RATED)
    lease = lease_of()
    flatmate = make_tenant("同住人")
    LeaseTenant.objects.create(lease=lease, tenant=flatmate, is_primary=False)
    make_event("ticket.rated", flatmate, lease.unit, at=NOW, data={"score": "1"})
    run()
    run(day(1))
    assert Message.objects.get().tenant == flatmate


def test_when_its_last_step_is_long_past_it_has_come_to_its_end() -> None:
    make_playbook("care", SORRY, starts_on=RATED)
    lease = lease_of()
    make_event("ticket.rated", lease.tenants.get(), lease.unit, at=NOW, data={"score": "1"})
    for n in (0, 1, 8):
        run(day(n))
        assert Enrolment.objects.filter(left_on=None).exists()
    run(day(9))
    assert Enrolment.objects.values_list("left_on", "left_because").get() == (day(9), "已走完")


def test_an_ask_that_follows_what_happened_needs_somebody_who_may_be_asked() -> None:
    ask = {"code": "ask", "anchor": "event", "days": 1, "text": "租约 {last_day}到期。"}
    make_playbook("after", ask, starts_on={"events": "community.joined"})
    may, answered, refuses = lease_of(), lease_of(), lease_of(consents=())
    for lease in (may, answered, refuses):
        make_event("community.joined", lease.tenants.get(), at=NOW, data={"activity": "读书会"})
    make_playbook("general", {"code": "g", "days": 5, "text": "…"})
    playbooks.stop(answered, because="已确认退租", today=TODAY)
    run()
    run(day(1))
    assert [len(sent(lease)) for lease in (may, answered, refuses)] == [1, 0, 0]
    assert Push.objects.get(lease=answered).reason == "租客已答复，或租约已不再继续"


def test_who_answers_between_planning_and_handing_over_is_not_asked_by_any_playbook() -> None:
    ask = {"code": "ask", "anchor": "event", "days": 0, "text": "租约 {last_day}到期。"}
    make_playbook("after", ask, starts_on={"events": "community.joined"})
    make_playbook("general", {"code": "g", "days": 5, "text": "…"})
    lease = lease_of()
    make_event("community.joined", lease.tenants.get(), at=NOW, data={"activity": "读书会"})
    playbooks.enrol(today=TODAY, now=NOW)
    assert pushes.plan(today=TODAY, now=NOW)["planned"] == 1
    playbooks.stop(lease, because="已确认退租", today=TODAY)
    assert pushes.hand_over(today=TODAY, now=NOW) == {"handed_over": 0, "suppressed": 1}


def test_a_playbook_that_is_switched_off_starts_nothing_says_nothing_and_keeps_nobody_waiting() -> None:
    make_playbook("care", SORRY, starts_on=RATED)
    make_playbook("p", {"code": "ask", "days": 25, "text": "租约 {last_day}到期。"})
    lease = lease_of(25)
    make_event("ticket.rated", lease.tenants.get(), lease.unit, at=NOW, data={"score": "1"})
    playbooks.enrol(today=TODAY, now=NOW)
    Playbook.objects.filter(code="care").update(is_active=False)
    run()
    run(day(1))
    assert [code for code, _cycle in sent(lease)] == ["ask"]


# --- Waves -----------------------------------------------------------------------------------------------------


WAVE = {"code": "wave", "anchor": "wave", "on": day(2), "ends_from": 20, "ends_to": 75, "text": "租约 {last_day}到期。"}


def test_a_wave_goes_to_all_enrolled_leases_that_end_in_its_window_on_its_day() -> None:
    make_playbook("p", WAVE, lead_days=90)
    ends = {days: lease_of(days) for days in (21, 22, 77, 78)}
    for n in range(4):
        run(day(n))
        assert {days for days, lease in ends.items() if sent(lease)} == ({22, 77} if n >= 2 else set())
    assert Push.objects.count() == 2
    reason = Push.objects.filter(lease=ends[22]).values_list("reason", flat=True).get()
    assert reason == "2025-12-03 的波次：此后 20–75 天到期的租约；剧本“p”"


def test_who_comes_after_a_wave_does_not_hear_it_and_a_day_that_was_missed_is_made_up_for() -> None:
    make_playbook("p", WAVE, lead_days=90)
    there = lease_of(40)
    run(day(1))
    late = lease_of(40)
    run(day(4))  # the days between nothing ran
    assert (len(sent(there)), len(sent(late))) == (1, 0)


# --- Segments that come and go ---------------------------------------------------------------------------------


def test_who_leaves_the_segment_leaves_the_playbook_and_the_next_one_goes_on_without_a_backlog() -> None:
    social = Segment.objects.create(code="s", name="s", rule={"tag": "social"})
    steps = [{"anchor": "end", "days": days, "text": "租约 {last_day}到期。"} for days in (60, 45, 30)]
    make_playbook("narrow", *[{**step, "code": f"n{step['days']}"} for step in steps], segment=social, rank=1)
    make_playbook("wide", *[{**step, "code": f"w{step['days']}"} for step in steps], rank=2)
    lease = lease_of(60)
    tag = TenantTag.objects.create(
        tenant=lease.tenants.get(), tag="social", since=TODAY, evidence=FACTS, computed_at=NOW
    )
    run()
    tag.delete()
    for n in range(1, 40):
        run(day(n))
    assert sent(lease) == [("n60", "1"), ("w45", "1"), ("w30", "1")]
    left = Enrolment.objects.get(playbook__code="narrow")
    assert (left.left_on, left.left_because) == (day(1), "已不在客群中")


def test_a_version_may_let_those_who_leave_the_segment_stay() -> None:
    """The red twin."""
    social = Segment.objects.create(code="s", name="s", rule={"tag": "social"})
    make_playbook("narrow", {"code": "n", "days": 30, "text": "…"}, segment=social, rank=1, leaves_with_segment=False)
    lease = lease_of(40)
    TenantTag.objects.create(tenant=lease.tenants.get(), tag="social", since=TODAY, evidence=FACTS, computed_at=NOW)
    run()
    TenantTag.objects.all().delete()
    run(day(10))
    assert [code for code, _cycle in sent(lease)] == ["n"]


# --- On entry --------------------------------------------------------------------------------------------------


STEPS = st.one_of(
    st.fixed_dictionaries({"anchor": st.just("start"), "days": st.integers(0, 40)}),
    st.fixed_dictionaries({"anchor": st.just("end"), "days": st.integers(0, 90)}),
    st.fixed_dictionaries(
        {"anchor": st.just("wave"), "on": st.integers(-20, 20).map(day), "ends_from": st.integers(0, 30)}
    ),
)


@settings(max_examples=60, deadline=None, database=None)
@given(
    steps=st.lists(STEPS, min_size=1, max_size=8),
    ends=st.integers(0, 90),
    lead=st.integers(10, 90),
    gap=st.integers(0, 12),
)
def test_whatever_the_steps_nobody_gets_more_than_one_message_on_entry_nor_on_any_day(
    steps: list[dict[str, Any]], ends: int, lead: int, gap: int
) -> None:
    with nothing_kept():
        said = [{"code": f"s{n}", "text": "租约 {last_day}到期。", **step} for n, step in enumerate(steps)]
        make_playbook("p", *said, lead_days=lead)
        lease = make_lease(
            make_tenant(), make_unit(building=make_building("B9")), last_day=TODAY + timedelta(days=ends)
        )
        heard = []
        for n in (0, gap, gap + 1, gap + 9):
            run(day(n))
            heard.append(Message.objects.filter(lease=lease).count())
        assert heard[0] <= 1
        assert all(after - before <= 1 for before, after in pairwise(heard))
        due = Push.objects.filter(lease=lease)
        assert due.count() == due.values("step").distinct().count()
