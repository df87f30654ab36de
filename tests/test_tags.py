"""Tags: who has one, and what it says."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.utils.translation import override

from tenants import clock, consents, features, tags
from tenants.models import Lease, LeaseTenant, Tenant, TenantTag
from tests.makers import NOW, TODAY, make_building, make_event, make_lease, make_tenant, make_unit

pytestmark = pytest.mark.django_db


def recompute(today: date = TODAY) -> dict[str, int]:
    now = clock.at(today, 10)
    features.refresh(today=today, now=now)
    return tags.recompute(today=today, now=now)


def tagged(tag: str) -> dict[str, dict[str, Any]]:
    return dict(TenantTag.objects.filter(tag=tag).values_list("tenant__name", "evidence"))


def resident(name: str, **facts: Any) -> Tenant:
    tenant = make_tenant(name, **facts)
    make_lease(tenant)
    return tenant


def uses_kitchen(tenant: Tenant, times: int) -> None:
    for n in range(times):
        at = clock.at(TODAY - timedelta(days=n * 5), 18)
        make_event("facility.used", tenant, at=at, source_id=f"k{tenant.pk}-{n}", data={"facility": "shared_kitchen"})


def reports(tenant: Tenant, ticket: str, at: datetime, *, accepted_after: float, category: str = "water") -> None:
    facts = {"ticket": ticket, "category": category, "channel": "app", "text": "漏水"}
    make_event("ticket.reported", tenant, at=at, source="tickets", source_id=f"{ticket}#reported", data=facts)
    facts = {"ticket": ticket, "technician": "wang"}
    at += timedelta(hours=accepted_after)
    make_event("ticket.accepted", tenant, at=at, source="tickets", source_id=f"{ticket}#accepted", data=facts)


def gives_mood(tenant: Tenant, month: str, mood: str | None) -> None:
    year, number = map(int, month.split("-"))
    issued = clock.at(date(year, number, 5), 9)
    bill = f"{tenant.pk}-{month}"
    facts = {"bill": bill, "amount": "88.00", "month": month}
    make_event("bill.issued", tenant, at=issued, source="bills", source_id=f"{bill}#issued", data=facts)
    if mood:
        said = {"bill": bill, "mood": mood}
        at = issued + timedelta(days=2)
        make_event("mood.given", tenant, at=at, source="bills", source_id=f"{bill}#mood", data=said)


def test_who_books_the_kitchen_eight_times_in_ninety_days_is_a_regular_with_the_last_bookings_as_evidence() -> None:
    often, seldom = resident("常客"), resident("偶尔")
    uses_kitchen(often, 8)
    uses_kitchen(seldom, 7)

    recompute()

    assert tagged("kitchen_regular") == {
        "常客": {
            "facts": {"count": 8, "days": 90},
            "events": [["app", f"k{often.pk}-{n}"] for n in range(3)],
        }
    }
    evidence = tagged("kitchen_regular")["常客"]
    assert tags.TAGS["kitchen_regular"].sentence(evidence) == "近 90 天使用共享厨房 8 次。"
    with override("en"):
        assert tags.TAGS["kitchen_regular"].sentence(evidence) == "Shared kitchen bookings in 90 days: 8."


def test_habits_are_tagged_only_with_consent_to_profiling_and_facts_of_service_for_everybody() -> None:
    people = [
        resident("同意"),
        resident("未同意", consents=("marketing",)),
        resident("通用版", general_version=True),
    ]
    for tenant in people:
        uses_kitchen(tenant, 18)
        reports(tenant, f"T{tenant.pk}", clock.at(date(2025, 11, 3), 8), accepted_after=6.7)

    recompute()
    assert set(tagged("kitchen_regular")) == set(tagged("social")) == {"同意"}
    assert set(tagged("repair_was_late")) == {"同意", "未同意", "通用版"}

    consents.record(
        people[0], purpose="profiling", channel="any", granted=False, at=NOW, text_version="", proof="App", now=NOW
    )
    recompute()
    assert tagged("kitchen_regular") == tagged("social") == {}
    assert len(tagged("repair_was_late")) == 3


def test_a_repair_was_late_after_six_hours_counted_from_the_first_of_several_reports() -> None:
    late, in_time = resident("等了很久"), resident("刚好六小时")
    began = clock.at(date(2025, 10, 21), 8, 12)
    reports(late, "L1", began, accepted_after=6.7)
    reports(late, "L2", began + timedelta(hours=1), accepted_after=5.7)
    reports(in_time, "L3", began, accepted_after=6)

    recompute()

    assert tagged("repair_was_late") == {
        "等了很久": {
            "facts": {"hours": 6.7, "category": "water", "on": "2025-10-21", "times": 1},
            "events": [["tickets", "L1#reported"]],
        }
    }
    sentence = tags.TAGS["repair_was_late"].sentence(tagged("repair_was_late")["等了很久"])
    assert sentence == "2025-10-21 的报修等了 6.7 小时才有人接单。"


def test_three_repairs_at_night_make_one_sensitive_and_one_leak_reported_thrice_does_not() -> None:
    nights, one_leak, newest_by_day = resident("夜里"), resident("一次漏水"), resident("最近在白天")
    for n, hour in enumerate((22, 5, 23)):
        reports(nights, f"N{n}", clock.at(date(2025, 9 + n, 8), hour), accepted_after=0.5)
        reports(one_leak, f"O{n}", clock.at(date(2025, 11, 8), 22, n), accepted_after=0.5)
        reports(newest_by_day, f"D{n}", clock.at(date(2025, 9 + n, 8), hour), accepted_after=0.5)
    reports(newest_by_day, "D3", clock.at(date(2025, 11, 20), 6), accepted_after=0.5)

    recompute()

    assert set(tagged("night_sensitive")) == {"夜里"}
    evidence = tagged("night_sensitive")["夜里"]
    assert evidence["events"] == [["tickets", f"N{n}#reported"] for n in (2, 1, 0)]
    assert evidence["facts"]["on"] == ["2025-11-08 23:00", "2025-10-08 05:00", "2025-09-08 22:00"]


def test_three_soso_bills_in_a_row_and_an_unanswered_one_between_breaks_the_row() -> None:
    flat, interrupted, better_now, still_to_answer = map(resident, ("平淡", "中断", "好转", "新账单未评"))
    for month, moods in {
        "2025-07": ("bad", "soso", "soso", "soso"),
        "2025-08": ("soso", "soso", "soso", "soso"),
        "2025-09": ("soso", None, "soso", "soso"),
        "2025-10": ("soso", "soso", "soso", "soso"),
        "2025-11": (None, "soso", "good", None),
    }.items():
        for tenant, mood in zip((flat, interrupted, better_now, still_to_answer), moods, strict=True):
            gives_mood(tenant, month, mood)

    recompute()

    assert set(tagged("mood_flat")) == {"平淡", "新账单未评"}
    assert tagged("mood_flat")["平淡"]["facts"] == {"months": ["2025-10", "2025-09", "2025-08"]}


def gives_mood_on(payer: Tenant, tenant: Tenant, month: str, mood: str) -> None:
    """A mood on a bill that was addressed to somebody else."""
    issued = clock.at(date(int(month[:4]), int(month[5:]), 5), 9)
    data = {"bill": f"{payer.pk}-{month}", "mood": mood}
    make_event("mood.given", tenant, at=issued + timedelta(days=3), source="letter", data=data)


def mates(payer: Tenant, *names: str) -> list[Tenant]:
    """They stand on the payer's lease as well."""
    found = [make_tenant(name) for name in names]
    for tenant in found:
        LeaseTenant.objects.create(lease=Lease.objects.get(tenants=payer), tenant=tenant, is_primary=False)
    return found


def test_a_flatmate_has_a_streak_of_their_own_on_the_bills_of_the_lease() -> None:
    payer = resident("付款人")
    flat, interrupted, short, own, better, alone = mates(
        payer, "平淡", "中断", "太短", "自己也有账单", "好转", "只评自己的"
    )
    months = ("2025-08", "2025-09", "2025-10")
    for month in ("2025-07", *months, "2025-11"):
        gives_mood(payer, month, "good")
    for month in months:
        gives_mood_on(payer, flat, month, "soso")
        gives_mood(alone, month, "soso")
    for month in ("2025-07", "2025-08", "2025-10"):
        gives_mood_on(payer, interrupted, month, "soso")
    for month in months[1:]:
        gives_mood_on(payer, short, month, "soso")
    # Of a month of which they had a bill themselves that one counts, whatever they said of the other.
    for tenant, mood, of_lease in ((own, "soso", "good"), (better, "good", "soso")):
        gives_mood_on(payer, tenant, "2025-08", "soso")
        gives_mood(tenant, "2025-09", mood)
        gives_mood_on(payer, tenant, "2025-09", of_lease)
        gives_mood_on(payer, tenant, "2025-10", "soso")

    recompute()

    assert set(tagged("mood_flat")) == {"平淡", "自己也有账单", "只评自己的"}
    assert tagged("mood_flat")["平淡"]["facts"] == {"months": ["2025-10", "2025-09", "2025-08"]}
    everything = tagged("mood_flat")
    TenantTag.objects.all().delete()
    for tenant in (payer, flat, interrupted, short, own, better, alone):
        tags.recompute(today=TODAY, now=NOW, tenants=[tenant.pk])
    assert tagged("mood_flat") == everything, "of one alone it is what it is among all"


def test_a_bill_of_before_they_lived_together_is_none_of_the_flatmates() -> None:
    payer = make_tenant("付款人")
    make_lease(payer, last_day=date(2025, 9, 30))
    now = make_lease(payer, first_day=date(2025, 10, 1), last_day=date(2026, 9, 30))
    flat = make_tenant("平淡")
    LeaseTenant.objects.create(lease=now, tenant=flat, is_primary=False)
    for month in ("2025-09", "2025-10", "2025-11"):
        gives_mood(payer, month, None)
        gives_mood_on(payer, flat, month, "soso")
    recompute()
    assert tagged("mood_flat") == {}
    gives_mood(payer, "2025-12", None)
    gives_mood_on(payer, flat, "2025-12", "soso")
    recompute(date(2025, 12, 20))
    assert tagged("mood_flat")["平淡"]["facts"] == {"months": ["2025-12", "2025-11", "2025-10"]}


def test_a_flatmate_known_under_two_rows_has_one_streak() -> None:
    payer = resident("付款人")
    (row,) = mates(payer, "平淡二")
    person = make_tenant("平淡")
    Tenant.objects.filter(pk=row.pk).update(merged_into=person)
    for month in ("2025-08", "2025-09", "2025-10"):
        gives_mood(payer, month, "soso")
        gives_mood_on(payer, person if month == "2025-09" else row, month, "soso")
    recompute()
    assert set(tagged("mood_flat")) == {"付款人", "平淡"}


def test_a_flatmate_is_missing_while_a_room_of_the_flat_is_not_let_today() -> None:
    building = make_building()
    rooms = {code: make_unit(code, building) for code in ("B1-0301A", "B1-0301B", "B1-0302A", "B1-0302B", "B1-0303A")}
    flats: dict[str, Any] = {}
    for code, unit in rooms.items():
        flats[code[:-1]] = unit.flat = flats.get(code[:-1], unit.flat)
        unit.save()
    make_lease(make_tenant("隔壁空着"), rooms["B1-0301A"])
    ended = TODAY - timedelta(days=1)
    make_lease(make_tenant("搬走了"), rooms["B1-0301B"], last_day=ended)
    make_lease(make_tenant("有室友"), rooms["B1-0302A"])
    make_lease(make_tenant("也有室友"), rooms["B1-0302B"], last_day=TODAY)
    make_lease(make_tenant("独住"), rooms["B1-0303A"])

    recompute()
    assert tagged("flatmate_missing") == {
        "隔壁空着": {"facts": {"flat": "B1-0301", "units": ["B1-0301B"]}, "events": []}
    }
    recompute(TODAY + timedelta(days=1))
    assert set(tagged("flatmate_missing")) == {"隔壁空着", "有室友"}


def test_six_payments_in_time_are_steady_and_one_late_is_not() -> None:
    steady, late_once = resident("稳定"), resident("逾期一次")
    for n in range(6):
        due = date(2025, 6 + n, 20)
        for tenant in (steady, late_once):
            paid = due + timedelta(days=1 if tenant is late_once and n == 3 else -(n % 2))
            facts = {"item": "utility", "amount": "90.00", "due_on": due.isoformat()}
            make_event("payment.made", tenant, at=clock.at(paid, 12), source_id=f"p{tenant.pk}-{n}", data=facts)

    recompute()
    assert {name: evidence["facts"] for name, evidence in tagged("steady_payer").items()} == {
        "稳定": {"payments": 6, "spread": 0.5}
    }


def test_a_tag_keeps_its_first_day_while_it_holds_and_starts_anew_after_a_gap() -> None:
    tenant = resident("常客")
    uses_kitchen(tenant, 8)

    recompute()
    recompute(TODAY + timedelta(days=1))
    assert TenantTag.objects.get(tag="kitchen_regular").since == TODAY

    recompute(TODAY + timedelta(days=80))
    assert not TenantTag.objects.filter(tag="kitchen_regular").exists()
    make_lease(tenant, last_day=TODAY + timedelta(days=300))
    for n in range(8):
        facts = {"facility": "shared_kitchen"}
        make_event("facility.used", tenant, at=clock.at(TODAY + timedelta(days=81), n), data=facts)
    recompute(TODAY + timedelta(days=82))
    assert TenantTag.objects.get(tag="kitchen_regular").since == TODAY + timedelta(days=82)


def test_one_person_has_one_type_at_most_the_first_that_fits() -> None:
    both = resident("爱社交也看价")
    for n in range(4):
        at = clock.at(TODAY - timedelta(days=n * 7), 19)
        make_event("community.joined", both, at=at, source_id=f"c{n}")
        make_event("app.viewed", both, at=at, data={"name": "rent_prices"})

    recompute()
    assert tagged("price_sensitive") == {}
    assert tagged("social")["爱社交也看价"] == {
        "facts": {"activities": 4, "posts": 0, "kitchen": 0},
        "events": [["app", f"c{n}"] for n in range(4)],
    }


def test_parcels_put_into_the_wrong_locker_are_counted_with_their_reports() -> None:
    twice, leak = resident("总被放错"), resident("只是漏水")
    for n, days_ago in enumerate((30, 3)):
        at = clock.at(TODAY - timedelta(days=days_ago), 20)
        reports(twice, f"P{n}", at, accepted_after=1, category="parcel")
        reports(leak, f"W{n}", at, accepted_after=1)
    # The same parcel, told once more an hour later, is one.
    reports(twice, "P2", clock.at(TODAY - timedelta(days=3), 21), accepted_after=1, category="parcel")

    recompute()

    assert tagged("parcel_misplaced") == {
        "总被放错": {
            "facts": {"times": 2, "on": ["2025-11-28", "2025-11-01"]},
            "events": [["tickets", "P1#reported"], ["tickets", "P0#reported"]],
        }
    }
    evidence = tagged("parcel_misplaced")["总被放错"]
    said = tags.TAGS["parcel_misplaced"].sentence(evidence)
    assert said == "近 365 天快递放错柜 2 次（2025-11-28 / 2025-11-01）。"


@pytest.mark.parametrize("code", tags.TAGS)
@pytest.mark.parametrize("evidence", [{}, {"facts": {}}])
def test_a_tag_whose_facts_are_not_known_says_so(code: str, evidence: dict[str, Any]) -> None:
    assert tags.TAGS[code].sentence(evidence) == "依据将在下次计算后显示。"


def test_door_logs_choose_no_tag() -> None:
    doors = resident("常出门")
    for n in range(200):
        make_event("door.opened", doors, at=clock.at(TODAY - timedelta(days=n % 80), 23), data={"way": "app"})
    assert set(recompute().values()) == {0}
    assert not [code for code, tag in tags.TAGS.items() if "door" in tag.query]
