"""Versions of a playbook and their releases: who follows which, in whose name, and what nobody hears twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from campaigns import joining, playbooks, pushes, releases, shelf
from campaigns.models import Enrolment, PlaybookVersion, Push, Release, StepVersion
from tenants import clock
from tenants.models import Flat, Lease, User
from tests.makers import (
    NOW,
    TODAY,
    make_building,
    make_lease,
    make_playbook,
    make_tenant,
    make_unit,
    make_user,
    make_version,
    release,
)

pytestmark = pytest.mark.django_db

STEPS = (
    {"code": "a", "anchor": "start", "days": 0, "text": "方案已经备好。"},
    {"code": "b", "anchor": "end", "days": 30, "text": "租约 {last_day}到期。"},
)


def lease_of(days: int = 30, building: str = "B1", **facts: Any) -> Lease:
    return make_lease(
        make_tenant(), make_unit(building=make_building(building)), last_day=TODAY + timedelta(days=days), **facts
    )


def run(today: Any = TODAY) -> None:
    now = clock.at(today, 10)
    playbooks.leave(today=today, now=now)
    playbooks.enrol(today=today, now=now)
    pushes.plan(today=today, now=now)
    pushes.hand_over(today=today, now=now)


def followed() -> dict[int, int]:
    """Number of the version by lease."""
    return dict(Enrolment.objects.filter(left_on=None).values_list("lease", "version__number"))


def sent(lease: Lease) -> list[tuple[str, int]]:
    rows = Push.objects.filter(lease=lease, state="handed_over").order_by("pk")
    return list(rows.values_list("step__code", "said__version__number"))


def ask(version: PlaybookVersion, by: User, **facts: Any) -> Release:
    facts = {"percent": 100, "rule": None, "why": ""} | facts
    reach = joining.reach(version, percent=facts["percent"], rule=facts["rule"], today=TODAY)
    return releases.ask(version, reach=reach, by=by, now=NOW, **facts)


# --- Those under way ----------------------------------------------------------------------------------------


def test_those_under_way_finish_their_version_where_the_next_one_says_so() -> None:
    make_playbook("p", *STEPS)
    early = lease_of(31)
    run()
    make_version("p", {"b": {"text": "新的一句，租约 {last_day}到期。"}}, under_way="finish")
    late = lease_of(31)
    run(TODAY + timedelta(days=1))
    assert followed() == {early.pk: 1, late.pk: 2}
    assert sent(early) == [("b", 1)]
    assert sent(late) == [("b", 2)]


def test_those_under_way_move_where_the_next_version_says_so_and_hear_no_step_twice() -> None:
    make_playbook("p", *STEPS)
    lease = lease_of(60)
    run()
    make_version("p", {"a": {"text": "改过的第一句。"}, "b": {"days": 45}}, under_way="move")
    for days in (1, 15, 30, 31):
        run(TODAY + timedelta(days=days))
    assert followed() == {lease.pk: 2}
    assert sent(lease) == [("a", 1), ("b", 2)]
    assert Push.objects.filter(lease=lease).count() == 2


def test_the_newest_version_takes_over_whom_it_is_for_and_the_one_before_it_the_others() -> None:
    make_playbook("p", *STEPS)
    here, there = lease_of(building="B1"), lease_of(building="B2")
    run()
    make_version("p", {}, under_way="move")
    make_version("p", {}, under_way="move")
    rule = {"lease": "building", "op": "=", "value": "B1"}
    release(PlaybookVersion.objects.get(number=3), rule=rule, decided_at=NOW + timedelta(minutes=1))
    run(TODAY + timedelta(days=1))
    assert followed() == {here.pk: 3, there.pk: 2}


def test_a_step_that_the_next_version_leaves_out_is_not_said_to_those_who_moved() -> None:
    make_playbook("p", *STEPS)
    lease = lease_of(60)
    run()
    make_version("p", {"b": None}, under_way="move")
    run(TODAY + timedelta(days=30))
    assert sent(lease) == [("a", 1)]


def test_a_draft_takes_nobody() -> None:
    version = make_playbook("p", *STEPS)
    draft = PlaybookVersion.objects.create(playbook=version.playbook, number=2, at=NOW)
    StepVersion.objects.create(version=draft, step=StepVersion.objects.earliest("pk").step, text="草稿")
    lease = lease_of()
    run()
    assert followed() == {lease.pk: 1}


# --- Releases ------------------------------------------------------------------------------------------------


def test_a_release_is_widened_step_by_step_and_whoever_was_in_stays_in() -> None:
    make_playbook("p", *STEPS)
    leases = [lease_of(days) for days in range(1, 61)]
    make_version("p", {}, under_way="move", note="灰度")
    version = PlaybookVersion.objects.get(number=2)
    taken: set[int] = set()
    for n, percent in enumerate((0, 10, 30, 70, 100)):
        release(version, percent=percent, decided_at=NOW + timedelta(minutes=n + 1))
        with transaction.atomic():
            playbooks.enrol(today=TODAY, now=NOW)
            now_in = {lease for lease, number in followed().items() if number == 2}
            assert taken <= now_in
            taken = now_in
        assert (len(taken) == 0) == (percent == 0)
    assert taken == {lease.pk for lease in leases}


def test_flatmates_fall_on_the_same_side_and_about_so_many_households_are_in() -> None:
    make_playbook("p", *STEPS)
    make_version("p", {}, under_way="move")
    release(PlaybookVersion.objects.get(number=2), percent=30, decided_at=NOW + timedelta(minutes=1))
    building = make_building()
    for n in range(700):
        flat = Flat.objects.create(building=building, code=f"F{n}")
        for room in "AB":
            make_lease(make_tenant(), make_unit(f"F{n}{room}", flat=flat))
    playbooks.enrol(today=TODAY, now=NOW)
    sides: dict[int, set[int]] = {}
    for flat_id, number in Enrolment.objects.values_list("lease__unit__flat", "version__number"):
        sides.setdefault(flat_id, set()).add(number)
    assert all(len(side) == 1 for side in sides.values())
    share = sum(side == {2} for side in sides.values()) / len(sides)
    assert 0.22 < share < 0.38  # 30 % ± 4.6 standard deviations of 700 draws


def test_a_version_may_be_for_one_building_while_the_others_keep_the_one_before() -> None:
    make_playbook("p", *STEPS)
    here, there = lease_of(building="B1"), lease_of(building="B2")
    make_version("p", {})
    rule = {"lease": "building", "op": "in", "value": ["B1"]}
    release(PlaybookVersion.objects.get(number=2), rule=rule, decided_at=NOW + timedelta(minutes=1))
    run()
    assert followed() == {here.pk: 2, there.pk: 1}


def test_a_small_release_stands_at_once_and_closes_the_draft() -> None:
    first = make_playbook("p", *STEPS)
    lease_of()
    draft = PlaybookVersion.objects.create(playbook=first.playbook, number=2, at=NOW)
    found = ask(draft, make_user("asks"))
    assert (found.state, found.reach, found.decided_at, found.decided_by) == ("standing", 1, NOW, None)
    assert not PlaybookVersion.objects.get(number=2).is_draft


def test_a_mass_start_waits_for_a_second_person(settings: Any) -> None:
    settings.MASS_START = 3
    first = make_playbook("p", *STEPS)
    for _each in range(3):
        lease_of()
    draft = PlaybookVersion.objects.create(playbook=first.playbook, number=2, at=NOW)
    asks, other = make_user("asks"), make_user("other")
    found = ask(draft, asks)
    assert (found.state, found.reach, found.decided_at) == ("waiting", 3, None)
    playbooks.enrol(today=TODAY, now=NOW)
    assert set(followed().values()) == {1}

    with pytest.raises(releases.NotReleased, match="申请人不能批准自己的发布"):
        releases.decide(found.pk, is_approved=True, why="", by=asks, now=NOW)
    with pytest.raises(releases.NotReleased, match="已有一次发布在等待"):
        ask(draft, other)
    with pytest.raises(releases.NotReleased, match="请写明驳回原因"):
        releases.decide(found.pk, is_approved=False, why=" ", by=other, now=NOW)
    decided = releases.decide(found.pk, is_approved=True, why="", by=other, now=NOW)
    assert (decided.state, decided.decided_by) == ("standing", other)
    with pytest.raises(releases.NotReleased, match="已不在等待审批"):
        releases.decide(found.pk, is_approved=True, why="", by=other, now=NOW)


def test_a_refused_or_withdrawn_release_takes_nobody_and_may_be_asked_for_again(settings: Any) -> None:
    settings.MASS_START = 1
    version = make_playbook("p", *STEPS)
    lease_of()
    draft = PlaybookVersion.objects.create(playbook=version.playbook, number=2, at=NOW)
    asks, other = make_user("asks"), make_user("other")
    refused = releases.decide(ask(draft, asks).pk, is_approved=False, why="文案再改", by=other, now=NOW)
    assert (refused.state, refused.why) == ("refused", "文案再改")
    assert releases.withdraw(ask(draft, asks).pk, by=asks, now=NOW).state == "withdrawn"
    assert ask(draft, asks).state == "waiting"
    playbooks.enrol(today=TODAY, now=NOW)
    assert set(followed().values()) == {1}


def test_what_a_release_would_reach_is_what_it_then_takes() -> None:
    version = make_playbook("p", *STEPS)
    for days in (1, 20, 45, 60, 61, 200):
        lease_of(days)
        lease_of(days, building="B2")
    rule = {"lease": "building", "op": "=", "value": "B2"}
    assert joining.reach(version, percent=100, rule=rule, today=TODAY, within=0) == 4
    assert joining.reach(version, percent=100, rule=rule, today=TODAY) == 5
    assert joining.reach(version, percent=0, rule=None, today=TODAY) == 0
    assert joining.reach(version, percent=100, rule=None, today=TODAY, within=0) == 8
    assert playbooks.enrol(today=TODAY, now=NOW) == 8
    assert joining.reach(version, percent=100, rule=None, today=TODAY, within=0) == 0
    moving = make_version("p", {}, under_way="move")
    assert joining.reach(moving, percent=100, rule=rule, today=TODAY, within=0) == 4
    playbooks.enrol(today=TODAY, now=NOW)
    assert joining.reach(moving, percent=100, rule=rule, today=TODAY, within=0) == 0
    finishing = make_version("p", {}, under_way="finish")
    assert joining.reach(finishing, percent=100, rule=None, today=TODAY, within=0) == 0


# --- What stands, stands -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE campaigns_playbookversion SET note = 'x'",
        "DELETE FROM campaigns_playbookversion",
        "UPDATE campaigns_stepversion SET text = 'x'",
        "DELETE FROM campaigns_stepversion",
        "INSERT INTO campaigns_stepversion (version_id, step_id, anchor, days, ends_from, ends_to, kind, text,"
        " claims_topic) SELECT version_id, step_id, 'end', 1, 20, 75, 'ask', 'x', '' FROM campaigns_stepversion",
        "UPDATE campaigns_release SET percent = 1",
        "UPDATE campaigns_release SET state = 'refused'",
        "DELETE FROM campaigns_release",
    ],
)
def test_the_database_lets_nothing_released_be_changed(statement: str) -> None:
    make_playbook("p", *STEPS)
    refused = pytest.raises(IntegrityError, match=r"never changed|only decided")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_database_lets_nobody_approve_their_own_release() -> None:
    version = make_playbook("p", *STEPS)
    person = make_user("asks")
    with pytest.raises(IntegrityError, match="release_by_two"), transaction.atomic():
        release(version, asked_by=person, decided_by=person)


def test_switching_on_what_would_take_many_waits_for_a_second_person(settings: Any) -> None:
    settings.MASS_START = 3
    version = make_playbook("p", *STEPS, is_active=False)
    for _each in range(3):
        lease_of()
    asks, other = make_user("asks"), make_user("other")
    assert shelf.switch(version.playbook_id, is_active=True, by=asks, now=NOW)
    assert playbooks.enrol(today=TODAY, now=NOW) == 0
    waiting = releases.waiting().get()
    assert (waiting.reach, waiting.percent, waiting.why) == (3, 100, "重新启用")
    releases.decide(waiting.pk, is_approved=True, why="", by=other, now=NOW + timedelta(minutes=1))
    assert playbooks.enrol(today=TODAY, now=NOW) == 3
    # Off and on again: nobody is left to be taken at once.
    assert not shelf.switch(version.playbook_id, is_active=False, by=asks, now=NOW)
    assert not shelf.switch(version.playbook_id, is_active=True, by=asks, now=NOW)
    assert not releases.waiting().exists()


def test_only_who_asked_for_a_release_withdraws_it(settings: Any) -> None:
    settings.MASS_START = 1
    version = make_playbook("p", *STEPS)
    lease_of()
    draft = PlaybookVersion.objects.create(playbook=version.playbook, number=2, at=NOW)
    found = ask(draft, make_user("asks"))
    with pytest.raises(releases.NotReleased, match="只有申请人可以撤回"):
        releases.withdraw(found.pk, by=make_user("other"), now=NOW)
