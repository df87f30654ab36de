"""Playbooks: what ships, who enters which one, and when they leave."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns import playbooks, pushes, shipped, shipping
from campaigns.models import Enrolment, Playbook, PlaybookVersion, Push, Segment, StepVersion
from tenants import consents
from tenants.models import Lease, LeaseTenant, Perk, Tenant
from tests.makers import (
    BEFORE,
    NOW,
    TODAY,
    make_lease,
    make_playbook,
    make_push,
    make_tag,
    make_tenant,
    make_unit,
    make_version,
)

pytestmark = pytest.mark.django_db
# Exclamations, placeholders left over, urgency, threats, praise.
UNFIT = re.compile(r"[!！{}]|尊敬|仅剩|最后|尽快|抓紧|立即|马上|否则|逾期|邻居都|最好|一流|优质|天后")


@pytest.fixture(autouse=True)
def _shipped() -> None:
    shipping.ship(now=BEFORE)


def tag(tenant: Tenant, *codes: str) -> None:
    for code in codes:
        make_tag(tenant, code, count=16, days=90)


def lease_of(tenant: Tenant, days: int = 25, **facts: Any) -> Lease:
    return make_lease(tenant, last_day=TODAY + timedelta(days=days), **facts)


def enrol(today: date = TODAY) -> int:
    return playbooks.enrol(today=today, now=NOW)


def leave(today: date = TODAY) -> int:
    return playbooks.leave(today=today, now=NOW)


def followed() -> dict[str, str]:
    """Playbook by tenant, of those under way."""
    live = Enrolment.objects.filter(left_on=None)
    return dict(live.values_list("tenant__name", "playbook__code"))


# --- What ships ---------------------------------------------------------------------------------------------


def test_shipping_again_adds_what_is_missing_and_keeps_what_staff_changed() -> None:
    assert list(Playbook.objects.order_by("rank").values_list("code", flat=True)) == [
        "care-rating",
        "care-repair",
        "social",
        "price",
        "service",
        "general",
    ]
    Segment.objects.filter(code="social").update(rule={"tag": "kitchen_regular"})
    Playbook.objects.filter(code="price").update(is_active=False, rank=5)
    make_version("social", {"social-start": {"text": "改过的文案"}, "social-14": None})
    Playbook.objects.filter(code="care-rating").update(name="改名")
    before = StepVersion.objects.order_by("pk").values()
    kept = list(before)

    shipping.ship(now=BEFORE)

    assert list(before) == kept
    assert PlaybookVersion.objects.filter(playbook__code="social").count() == 2
    assert Playbook.objects.get(code="care-rating").name == "改名"
    assert Segment.objects.get(code="social").rule == {"tag": "kitchen_regular"}
    assert Playbook.objects.filter(code="price", is_active=False, rank=5).exists()


def test_what_ships_speaks_as_the_house_does() -> None:
    announced = "共享厨房 12 月 20 日升级烘焙区"
    for step in StepVersion.objects.all():
        text = pushes.wording(step.text, last_day=date(2025, 12, 26), announcement=announced)
        assert len(text) < 40, text
        assert not re.search(
            r"[!！{}]|尊敬|仅剩|最后|尽快|抓紧|立即|马上|否则|逾期|邻居都|最好|一流|优质|天后", text
        ), text
        assert bool(step.claims_topic) == ("{announcement}" in step.text)
        assert step.grants is None or step.rule == {"tag": "repair_was_late"}
    assert {step.grants for step in StepVersion.objects.filter(step__code__endswith="late-30")} == {
        Perk.objects.get(code="care_line")
    }
    assert {*shipped.TEXTS, *shipped.CARES} == {playbook["code"] for playbook in shipped.PLAYBOOKS}


# --- Who enters ---------------------------------------------------------------------------------------------


def test_a_tenant_enters_the_first_playbook_that_selects_them_and_everybody_else_the_general_one() -> None:
    social, price, both, neither = map(make_tenant, ("社交", "看价", "都是", "都不是"))
    no_consent = make_tenant("未同意个性化", consents=("marketing",))
    general = make_tenant("选了通用版", general_version=True)
    for tenant in (social, price, both, neither, no_consent, general):
        lease_of(tenant)
    tag(social, "social")
    tag(price, "price_sensitive")
    tag(both, "service_dependent", "price_sensitive")
    tag(no_consent, "social")
    tag(general, "social")

    assert enrol() == 6
    assert followed() == {
        "社交": "social",
        "看价": "price",
        "都是": "price",
        "都不是": "general",
        "未同意个性化": "general",
        "选了通用版": "general",
    }
    assert enrol() == 0


def test_only_leases_that_go_on_and_have_come_to_their_start_are_enrolled() -> None:
    for name, days, facts in [
        ("今天到期", 0, {}),
        ("六十天", 60, {}),
        ("六十一天", 61, {}),
        ("昨天到期", -1, {}),
        ("提前终止", 30, {"ended_by": "tenant"}),
        ("作废", 30, {"state": "void"}),
    ]:
        lease_of(make_tenant(name), days, **facts)
    renewed = lease_of(make_tenant("已续"), 30)
    make_lease(
        renewed.tenants.get(),
        renewed.unit,
        renews=renewed,
        first_day=renewed.last_day + timedelta(days=1),
        last_day=renewed.last_day + timedelta(days=365),
    )
    flatmate = make_tenant("同住人")
    shared = lease_of(make_tenant("主租客"), 30)
    LeaseTenant.objects.create(lease=shared, tenant=flatmate, is_primary=False)

    enrol()
    assert set(followed()) == {"今天到期", "六十天", "主租客"}


def test_a_void_successor_renews_nothing() -> None:
    lease = lease_of(make_tenant("续约作废"), 30)
    after = {"first_day": TODAY + timedelta(days=31), "last_day": TODAY + timedelta(days=300)}
    make_lease(make_tenant("下一位"), lease.unit, renews=lease, state="void", **after)
    assert enrol() == 1


def test_tags_that_change_later_move_nobody() -> None:
    tenant = make_tenant("变了")
    lease_of(tenant)
    enrol()
    tag(tenant, "social")
    assert (leave(), enrol()) == (0, 0)
    assert followed() == {"变了": "general"}


def test_a_playbook_with_a_segment_takes_nobody_without_consent_to_profiling_whatever_the_rule() -> None:
    anybody = Segment.objects.create(code="any", name="any", rule={"lease": "days_to_end", "op": "<", "value": 999})
    make_playbook("personal", segment=anybody, rank=3)
    agrees, silent = make_tenant("同意"), make_tenant("没答复", consents=("marketing",))
    chose = make_tenant("选了通用版", general_version=True)
    for tenant in (agrees, silent, chose):
        lease_of(tenant)
    enrol()
    assert followed() == {"同意": "personal", "没答复": "general", "选了通用版": "general"}


def test_someone_who_was_merged_after_entering_is_not_enrolled_again() -> None:
    tenant = make_tenant("旧身份")
    lease_of(tenant)
    enrol()
    tenant.merged_into = make_tenant("本人")
    tenant.save()
    assert enrol() == 0


def test_enrolling_a_hundred_takes_as_many_queries_as_enrolling_one() -> None:
    lease_of(make_tenant())
    with CaptureQueriesContext(
        connection,
    ) as one:
        enrol()
    for _ in range(100):
        lease_of(make_tenant())
    with CaptureQueriesContext(connection) as hundred:
        assert enrol() == 100
    assert len(one) == len(hundred), hundred.captured_queries


# --- Who leaves ---------------------------------------------------------------------------------------------


def planned(lease: Lease) -> Push:
    return make_push(lease, StepVersion.objects.get(step__code="general-30"), state="planned")


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"ended_by": "tenant", "last_day": TODAY + timedelta(days=3)}, "租约提前终止"),
        ({"state": "void"}, "租约提前终止"),
        ({"last_day": TODAY - timedelta(days=1)}, "租约已到期"),
    ],
)
def test_a_lease_that_does_not_go_on_leaves_and_its_planned_push_is_dropped(
    change: dict[str, Any], because: str
) -> None:
    lease = lease_of(make_tenant(), 30)
    other = lease_of(make_tenant(), 30)
    enrol()
    dropped, kept = planned(lease), planned(other)
    Lease.objects.filter(pk=lease.pk).update(**change)

    assert leave() == 1
    assert leave() == 0

    left = Enrolment.objects.get(lease=lease)
    assert (left.left_on, left.left_because) == (TODAY, because)
    dropped.refresh_from_db()
    kept.refresh_from_db()
    assert (dropped.state, dropped.reason) == ("suppressed", because)
    assert kept.state == "planned"
    assert enrol() == 0


def test_a_renewed_lease_leaves() -> None:
    lease = lease_of(make_tenant(), 30)
    enrol()
    first_day = lease.last_day + timedelta(days=1)
    make_lease(lease.tenants.get(), lease.unit, renews=lease, first_day=first_day, last_day=TODAY + timedelta(days=395))
    assert leave() == 1
    assert Enrolment.objects.get(lease=lease).left_because == "已续租"


def test_who_withdraws_consent_to_profiling_is_moved_to_the_general_playbook_the_same_day() -> None:
    tenant = make_tenant("撤回")
    lease = lease_of(tenant)
    tag(tenant, "social")
    enrol()
    consents.record(
        tenant, purpose="profiling", channel="any", granted=False, at=NOW, text_version="", proof="App", now=NOW
    )

    assert leave() == 1
    assert (leave(), enrol()) == (0, 1)
    assert followed() == {"撤回": "general"}
    assert list(Enrolment.objects.filter(lease=lease).order_by("pk").values_list("left_because", flat=True)) == [
        "不再同意个性化内容",
        "",
    ]


def test_an_answer_stops_a_lease_for_good_even_before_it_was_enrolled() -> None:
    under_way, not_yet = lease_of(make_tenant("已入组"), 30), lease_of(make_tenant("未入组"), 90)
    enrol()
    push = planned(under_way)

    assert playbooks.stop(under_way, because="已确认退租", today=TODAY) == 1
    assert playbooks.stop(under_way, because="再说一次", today=TODAY) == 0
    assert playbooks.stop(not_yet, because="已确认退租", today=TODAY) == 0

    push.refresh_from_db()
    assert (push.state, push.reason) == ("suppressed", "已确认退租")
    tag(under_way.tenants.get(), "social")
    tag(not_yet.tenants.get(), "social")
    assert enrol(TODAY + timedelta(days=1)) == 0
    assert enrol(TODAY + timedelta(days=40)) == 0
    assert followed() == {}


def test_a_playbook_that_is_switched_off_takes_nobody() -> None:
    tenant = make_tenant("社交")
    lease_of(tenant)
    tag(tenant, "social")
    Playbook.objects.filter(code="social").update(is_active=False)
    enrol()
    assert followed() == {"社交": "general"}
    Playbook.objects.update(is_active=False)
    lease_of(make_tenant(), unit=make_unit())
    assert enrol() == 0
