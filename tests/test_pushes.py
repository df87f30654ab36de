"""Pushes: what is planned for whom, why, once; and what reaches the outbox."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import playbooks, pushes, shipping
from campaigns.models import Enrolment, Push, StepVersion
from tenants import catalogue, clock, consents, outbox
from tenants.models import Announcement, Grant, Lease, Membership, Message, Perk, Tenant, TenantTag, User
from tests.makers import (
    BEFORE,
    NOW,
    TODAY,
    make_announcement,
    make_building,
    make_lease,
    make_tag,
    make_tenant,
    make_unit,
    make_user,
    make_version,
)

pytestmark = pytest.mark.django_db

EVIDENCE: dict[str, dict[str, Any]] = {
    "kitchen_regular": {"count": 23, "days": 90},
    "repair_was_late": {"hours": 6.7, "category": "water", "on": "2025-10-21", "times": 1},
}
PLANNED, SUPPRESSED, HANDED_OVER = Push.State.PLANNED, Push.State.SUPPRESSED, Push.State.HANDED_OVER


@pytest.fixture(autouse=True)
def _shipped() -> None:
    shipping.ship(now=BEFORE)


def resident(name: str = "林晓", *tags: str, days: int = 25, building: str = "B1", **facts: Any) -> Lease:
    tenant = make_tenant(name, **facts)
    for tag in tags:
        make_tag(tenant, tag, **EVIDENCE.get(tag, {}))
    return make_lease(tenant, make_unit(building=make_building(building)), last_day=TODAY + timedelta(days=days))


def make_carer(building: str | None = "B1", role: str = "care", username: str = "guanjia", **facts: Any) -> User:
    user = make_user(username)
    where = make_building(building) if building else None
    Membership.objects.create(user=user, building=where, role=role, **{"first_day": date(2025, 1, 1)} | facts)
    return user


def plan(today: date = TODAY) -> dict[str, int]:
    now = clock.at(today, 10)
    playbooks.leave(today=today, now=now)
    playbooks.enrol(today=today, now=now)
    return pushes.plan(today=today, now=now)


def hand_over(today: date = TODAY, now: datetime | None = None) -> dict[str, int]:
    return pushes.hand_over(today=today, now=now or clock.at(today, 10))


def decisions(lease: Lease) -> dict[str, tuple[str, str]]:
    """State and reason of every decided step, by its code."""
    rows = Push.objects.filter(lease=lease).values_list("step__code", "state", "reason")
    return {code: (state, reason) for code, state, reason in rows}


def chosen(lease: Lease) -> list[str]:
    rows = Push.objects.filter(lease=lease).exclude(state=SUPPRESSED).order_by("due_on", "pk")
    return list(rows.values_list("step__code", flat=True))


# --- The line: kitchen and late repair ----------------------------------------------------------------------


def test_a_kitchen_regular_hears_what_the_building_announces_with_the_reason_for_it() -> None:
    lease = resident("林晓", "social", "kitchen_regular")
    announcement = make_announcement(lease.unit.building)

    assert plan() == {"planned": 1, "suppressed": 4, "held": 0, "granted": 0}
    assert decisions(lease)["social-kitchen-25"] == (
        PLANNED,
        "到期前 25 天；剧本“邻里与日常”；近 90 天使用共享厨房 23 次；"
        "近 365 天社区活动次数：8；近 90 天社群发言数：7；楼栋公告：共享厨房 12 月 20 日升级烘焙区",
    )

    assert hand_over() == {"handed_over": 1, "suppressed": 0}
    push = Push.objects.get(step__code="social-kitchen-25")
    message = Message.objects.get()
    assert (push.state, push.message) == (HANDED_OVER, message)
    tenant = lease.tenants.get()
    assert message.key == f"push:{lease.pk}:{tenant.pk}:{push.step_id}:1"
    assert message.text == "您常去的共享厨房 12 月 20 日升级烘焙区，续租的选择在这里。"
    assert (message.klass, message.tenant, message.lease, message.claims) == ("marketing", tenant, lease, announcement)
    assert (message.link_purpose, message.stops_on_answer) == ("proposal", True)
    assert message.not_before == clock.at(TODAY, 10)
    assert message.deadline == clock.at(TODAY + timedelta(days=3), 21)


@pytest.mark.parametrize(
    "facts",
    [
        {"until": TODAY - timedelta(days=1)},
        {"withdrawn_at": NOW},
        {"topic": "gym"},
    ],
)
def test_without_a_live_announcement_of_the_building_nothing_is_claimed(facts: dict[str, Any]) -> None:
    lease = resident("林晓", "social", "kitchen_regular")
    make_announcement(lease.unit.building, **facts)
    make_announcement(make_building("B2"))
    plan()
    reason = "楼栋目前没有关于“shared_kitchen”的公告"
    assert decisions(lease)["social-kitchen-25"] == (SUPPRESSED, reason)
    assert chosen(lease) == ["social-30"]


def test_an_announcement_withdrawn_after_planning_takes_its_push_with_it() -> None:
    lease = resident("林晓", "social", "kitchen_regular")
    make_announcement(lease.unit.building)
    plan()
    Announcement.objects.update(withdrawn_at=NOW)
    assert hand_over() == {"handed_over": 0, "suppressed": 1}
    assert decisions(lease)["social-kitchen-25"] == (SUPPRESSED, "楼栋公告已撤回")
    assert not Message.objects.exists()


def test_two_who_differ_only_in_consent_one_hears_and_one_does_not() -> None:
    hears = resident("林晓", "social", "kitchen_regular")
    refused = resident("周航", "social", "kitchen_regular")
    consents.refuse_marketing(refused.tenants.get(), now=NOW, proof="App")
    make_announcement(hears.unit.building)
    plan()
    hand_over()
    assert chosen(hears) == ["social-kitchen-25"]
    assert chosen(refused) == []
    assert decisions(refused)["social-kitchen-25"] == (SUPPRESSED, "未同意接收续租优惠")
    assert Message.objects.get().lease == hears
    assert plan() == {"planned": 0, "suppressed": 0, "held": 0, "granted": 0}


def test_after_a_late_repair_the_care_line_is_granted_with_owner_and_expiry_before_it_is_spoken_of() -> None:
    carer = make_carer()
    lease = resident("陈默", "service_dependent", "repair_was_late", days=30)

    assert plan()["granted"] == 1

    grant = Grant.objects.get()
    assert not Message.objects.exists()
    assert grant.key == f"perk:{lease.pk}:{lease.tenants.get().pk}:care_line"
    assert (grant.perk.code, grant.lease, grant.owner) == ("care_line", lease, carer)
    assert grant.reason == "2025-10-21 的报修等了 6.7 小时才有人接单"
    assert grant.expires_at == clock.at(lease.last_day + timedelta(days=1))
    assert chosen(lease) == ["service-late-30"]
    assert decisions(lease)["service-30"] == (SUPPRESSED, "同一天有更贴切的一条")

    hand_over()
    assert Message.objects.get().text == "您的专属客服通道已开通，有专人对接；续租的安排也在这里。"
    plan(TODAY + timedelta(days=1))
    assert Grant.objects.count() == 1


def test_the_care_line_is_open_to_all_who_meet_its_condition_whether_or_not_they_may_be_told() -> None:
    make_carer()
    people = [
        resident("社交", "social", "repair_was_late", days=30),
        resident("未同意营销", "repair_was_late", days=30, consents=("profiling",)),
        resident("未同意个性化", "repair_was_late", days=30, consents=("marketing",)),
        resident("通用版", "repair_was_late", days=30, general_version=True),
    ]
    resident("没有延迟", days=30)

    assert plan()["granted"] == 4
    assert set(Grant.objects.values_list("lease", flat=True)) == {lease.pk for lease in people}
    assert [chosen(lease) for lease in people] == [["social-late-30"], [], ["general-30"], ["general-30"]]
    assert decisions(people[2])["general-late-30"] == (SUPPRESSED, "通用版，不用个性化内容")


def test_without_anybody_to_answer_for_it_the_care_line_is_neither_granted_nor_spoken_of() -> None:
    make_carer(last_day=TODAY - timedelta(days=1))
    make_carer("B2", username="other")
    lease = resident("陈默", "repair_was_late", days=30)
    assert plan()["granted"] == 0
    assert decisions(lease)["general-late-30"] == (SUPPRESSED, "本楼栋没有可负责该权益的人")
    assert chosen(lease) == ["general-30"]


def test_the_nearest_person_answers_for_a_building() -> None:
    make_carer(None, "hq", "hq")
    make_carer("B1", "manager", "manager")
    make_carer(None, "care", "care_of_all")
    owner = {}
    for building, user in (("B1", "care_of_all"), ("B2", "care_of_all")):
        owner[building] = user
        resident(f"{building} 的租客", "repair_was_late", days=30, building=building)
    make_carer("B1", "care", "care_of_b1")
    plan()
    found = dict(Grant.objects.values_list("lease__unit__building__code", "owner__username"))
    assert found == {"B1": "care_of_b1", "B2": "care_of_all"}


def test_a_perk_that_has_run_out_is_not_spoken_of() -> None:
    make_carer()
    Perk.objects.filter(code="care_line").update(stock=1)
    first = resident("第一位", "repair_was_late", days=30)
    second = resident("第二位", "repair_was_late", days=30)
    assert plan()["granted"] == 1
    assert chosen(first) == ["general-late-30"]
    assert decisions(second)["general-late-30"] == (SUPPRESSED, "“专属客服通道”已经领完。")
    assert chosen(second) == ["general-30"]


def test_a_perk_is_never_granted_for_a_segment_or_a_habit() -> None:
    make_carer()
    make_version("social", {"social-late-30": {"rule": {"any": [{"tag": "repair_was_late"}, {"tag": "social"}]}}})
    lease = resident("社交", "social", "repair_was_late", days=30)
    assert plan()["granted"] == 0
    assert decisions(lease)["social-late-30"] == (SUPPRESSED, "权益只能依据公开的服务或居住事实发放")


# --- When --------------------------------------------------------------------------------------------------


def test_over_its_sixty_days_a_lease_hears_each_step_on_its_day_and_nothing_twice() -> None:
    lease = resident("何静", days=70)
    heard = {}
    for n in range(75):
        today = TODAY + timedelta(days=n)
        plan(today)
        if count := hand_over(today)["handed_over"]:
            heard[(lease.last_day - today).days] = count
            assert plan(today) == {"planned": 0, "suppressed": 0, "held": 0, "granted": 0}
            assert hand_over(today) == {"handed_over": 0, "suppressed": 0}
    assert heard == {60: 1, 45: 1, 30: 1, 14: 1}
    assert chosen(lease) == ["general-start", "general-45", "general-30", "general-14"]
    assert Message.objects.count() == 4
    assert Push.objects.filter(lease=lease).count() == 6


@pytest.mark.parametrize(
    ("days", "expected"),
    [(60, ["general-start"]), (53, ["general-start"]), (52, []), (44, ["general-45"]), (23, ["general-30"]), (22, [])],
)
def test_who_enters_late_gets_the_latest_step_of_the_last_seven_days_and_never_the_backlog(
    days: int, expected: list[str]
) -> None:
    lease = resident("晚到", days=days)
    plan()
    assert chosen(lease) == expected
    past = StepVersion.objects.filter(version__playbook__code="general", days__gte=days).count() + 1  # and the start
    assert Push.objects.filter(lease=lease).count() == past
    assert all(reason for _state, reason in decisions(lease).values())
    if days == 44:
        assert decisions(lease) == {
            "general-start": (SUPPRESSED, "应触达日已过 7 天以上，不补发"),
            "general-45": (PLANNED, "到期前 45 天；晚 1 天补发；剧本“通用版”"),
        }


@settings(max_examples=40, deadline=None, database=None)
@given(
    days=st.integers(1, 60),
    tags=st.sets(st.sampled_from(list(EVIDENCE))),
    steps=st.lists(st.integers(1, 60), min_size=1, max_size=6),
)
def test_nobody_hears_more_than_one_message_on_entry(days: int, tags: set[str], steps: list[int]) -> None:
    lease = resident("晚到", *tags, days=days)
    extra: dict[str, dict[str, Any] | None] = {
        f"extra-{lease.pk}-{n}": {"days": at, "text": "租约 {last_day}到期。"} for n, at in enumerate(steps)
    }
    make_version("general", extra)
    plan()
    hand_over()
    assert len(chosen(lease)) <= 1
    assert Message.objects.filter(lease=lease).count() == len(chosen(lease))
    gone: dict[str, dict[str, Any] | None] = dict.fromkeys(extra)
    make_version("general", gone)


def test_a_day_that_was_missed_is_made_up_for() -> None:
    lease = resident("何静", days=31)
    plan()
    plan(TODAY + timedelta(days=3))
    assert chosen(lease) == ["general-30"]
    assert decisions(lease)["general-30"][1] == "到期前 30 天；晚 2 天补发；剧本“通用版”"


def test_who_moves_to_the_general_playbook_gets_no_catch_up_of_what_they_just_heard() -> None:
    lease = resident("撤回", "social", days=30)
    plan()
    hand_over()
    outbox.drain(now=NOW)
    tenant = lease.tenants.get()
    consents.record(
        tenant, purpose="profiling", channel="any", granted=False, at=NOW, text_version="", proof="App", now=NOW
    )
    plan(TODAY + timedelta(days=2))
    assert chosen(lease) == ["social-30"]
    assert decisions(lease)["general-30"] == (SUPPRESSED, "入组较晚，且 7 天内已有触达")
    plan(TODAY + timedelta(days=16))
    assert chosen(lease) == ["social-30", "general-14"]


def test_a_push_that_waited_three_days_is_too_late_to_send() -> None:
    lease = resident("何静", days=30)
    plan()
    assert hand_over(TODAY + timedelta(days=4)) == {"handed_over": 0, "suppressed": 1}
    assert decisions(lease)["general-30"] == (SUPPRESSED, "4 天前已计划，现已过时")


def test_a_message_waits_for_the_morning_and_never_outlives_the_lease() -> None:
    lease = resident("何静", days=14)
    plan()
    hand_over(now=clock.at(TODAY, 6))
    assert Message.objects.get().not_before == clock.at(TODAY, 9)

    soon = resident("快到期", days=1)
    make_version("general", {"general-14": {"days": 1}})
    plan()
    hand_over(now=clock.at(TODAY, 6))
    assert Message.objects.get(lease=soon).deadline == clock.at(soon.last_day, 21)
    assert Message.objects.filter(lease=lease).count() == 1


# --- Once --------------------------------------------------------------------------------------------------


def test_editing_rules_texts_and_days_sends_nothing_twice() -> None:
    lease = resident("林晓", "social", "kitchen_regular")
    make_announcement(lease.unit.building)
    plan()
    hand_over()
    before = list(Push.objects.order_by("pk").values())

    changes: dict[str, dict[str, Any] | None] = {
        "social-kitchen-25": {"text": "改过", "rule": {"tag": "social"}},
        "social-late-30": {"rule": {"tag": "social"}},
        "social-30": {"days": 25},
    }
    make_version("social", changes, leaves_with_segment=False)
    playbooks.enrol(today=TODAY, now=NOW)
    assert Enrolment.objects.get().version.number == 2
    TenantTag.objects.all().delete()

    assert plan() == {"planned": 0, "suppressed": 0, "held": 0, "granted": 0}
    hand_over()
    assert list(Push.objects.order_by("pk").values()) == before
    assert Message.objects.count() == 1


def test_who_answers_hears_nothing_that_was_planned() -> None:
    lease = resident("何静", days=30)
    plan()
    playbooks.stop(lease, because="已确认退租", today=TODAY)
    assert hand_over() == {"handed_over": 0, "suppressed": 0}
    assert decisions(lease)["general-30"] == (SUPPRESSED, "已确认退租")


def test_who_left_while_a_push_was_being_planned_does_not_hear_it() -> None:
    lease = resident("何静", days=30)
    plan()
    # As a transaction leaves it that could not see the push yet.
    Enrolment.objects.filter(lease=lease).update(left_on=TODAY, left_because="已确认退租", is_final=True)
    assert hand_over() == {"handed_over": 0, "suppressed": 1}
    assert decisions(lease)["general-30"] == (SUPPRESSED, "已确认退租")


def test_a_merged_person_is_spoken_to_as_who_they_are_and_not_again() -> None:
    lease = resident("旧身份", days=30)
    old = lease.tenants.get()
    plan()
    person = make_tenant("本人")
    Tenant.objects.filter(pk=old.pk).update(merged_into=person)

    hand_over()
    assert Message.objects.get().tenant == person
    assert plan() == {"planned": 0, "suppressed": 0, "held": 0, "granted": 0}
    assert Enrolment.objects.count() == 1


def test_planning_a_hundred_takes_as_many_queries_as_planning_one() -> None:
    make_carer()
    queries = []
    for n in (1, 60):
        for _ in range(n):
            resident("陈默", "service_dependent", "repair_was_late", days=30)
        playbooks.enrol(today=TODAY, now=NOW)
        with CaptureQueriesContext(connection) as captured:
            pushes.plan(today=TODAY, now=NOW)
            hand_over()
        queries.append(len(captured))
    assert Message.objects.count() == 61
    assert queries[0] == queries[1]


def test_only_the_names_a_text_may_contain_are_filled_in() -> None:
    text = "{announcement}，{last_day}，{tenant.phone} {0} %(key)s"
    said = pushes.wording(text, last_day=date(2025, 12, 6), announcement="共享厨房升级。")
    assert said == "共享厨房升级，12 月 6 日，{tenant.phone} {0} %(key)s"


def test_the_catalogue_is_there_before_a_step_speaks_of_a_perk() -> None:
    assert {perk["code"] for perk in catalogue.CATALOGUE} <= set(Perk.objects.values_list("code", flat=True))
