"""`load`: files become rows once, the counts add up, and every event belongs to the right person."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.models import Refusal, Run
from connectors.records import EventRecord, Kind
from renewal import loading
from tenants import clock, ingest
from tenants.models import (
    Alias,
    Announcement,
    Building,
    Consent,
    Device,
    Event,
    Flat,
    Lease,
    LeaseTenant,
    Membership,
    Staff,
    Tenant,
    Unit,
    User,
    WaitingEvent,
)
from tests.makers import NOW, TODAY, make_building, make_device, make_lease, make_tenant, make_unit, make_user

pytestmark = pytest.mark.django_db

FILES = {
    "units": "units.csv",
    "staff": "staff.csv",
    "contracts": "contracts.xlsx",
    "consents": "consents.csv",
    "rates": "rates.csv",
    "bills": "bills.csv",
    "payments": "payments.csv",
    "tickets": "tickets.csv",
    "community": "community.csv",
    "app": "app.jsonl",
    "iot": "iot.jsonl",
}


@pytest.fixture(autouse=True)
def _now() -> None:
    clock.set_to(NOW)


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", str(tmp_path / "data"))


@pytest.fixture(scope="session")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("portfolio")
    call_command("sample", str(folder), "--rooms", "24")
    return folder


def load(source: str, path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit status and answer of `load … --json`."""
    from io import StringIO

    out = StringIO()
    status = 0
    try:
        call_command("load", source, str(path), "--json", *options, stdout=out)
    except SystemExit as end:
        status = int(end.code or 0)
    return status, json.loads(out.getvalue())


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    return answer["received"], answer["accepted"], answer["duplicate"], answer["rejected"]


def table(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def lines(path: Path, *messages: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(message, ensure_ascii=False) + "\n" for message in messages), encoding="utf-8")
    return path


def stored() -> dict[str, int]:
    tables = (Building, Flat, Unit, Device, User, Staff, Membership, Announcement, Tenant, Alias, Consent, Lease, Event)
    return {model.__name__: model._default_manager.count() for model in tables}


def reading(device: str, at: str, number: int = 1, value: float = 10.5, **facts: Any) -> dict[str, Any]:
    return {
        "topic": f"site/B1/device/{device}/power",
        "id": f"{device}-{number}",
        "ts": at,
        "metric": "energy",
        "value": value,
        "unit": "kWh",
        "seq": number,
        **facts,
    }


def opening(device: str, at: str, number: int = 1) -> dict[str, Any]:
    return {
        "topic": f"site/B1/device/{device}/lock",
        "id": f"{device}-{number}",
        "ts": at,
        "metric": "open",
        "value": "app",
        "seq": number,
    }


# --- the sample's own files -----------------------------------------------------------------------


def test_every_source_adds_up_and_a_second_time_all_is_known(portfolio: Path) -> None:
    for source, name in FILES.items():
        status, answer = load(source, portfolio / name)
        received, accepted, duplicate, rejected = counts(answer)
        assert (status, rejected, answer["quarantine_file"]) == (0, 0, None), (source, answer)
        assert received == accepted + duplicate + rejected > 0
        assert accepted == received, source
    assert Event.objects.count() > 10_000
    before = stored()
    for source, name in FILES.items():
        status, answer = load(source, portfolio / name)
        received, accepted, duplicate, rejected = counts(answer)
        assert (status, accepted, rejected) == (0, 0, 0), source
        assert duplicate == received, source
    assert stored() == before


def test_a_dry_run_says_what_would_happen_and_changes_nothing(portfolio: Path) -> None:
    status, answer = load("units", portfolio / "units.csv", "--dry-run")
    assert status == 0
    assert counts(answer) == (24, 24, 0, 0)
    assert stored() == dict.fromkeys(stored(), 0)
    assert not Run.objects.exists()


def test_a_dry_run_of_bad_rows_writes_no_quarantine(tmp_path: Path) -> None:
    path = table(
        tmp_path / "rates.csv", ",".join(loading.FEEDS["rates"].columns), "B9,一居,12,0,3800,2025-01-01,2025-12-31"
    )
    status, answer = load("rates", path, "--dry-run")
    assert (status, counts(answer), answer["quarantine_file"]) == (1, (1, 0, 0, 1), None)
    assert not Refusal.objects.exists()


# --- what the rows say ----------------------------------------------------------------------------


UNITS = ",".join(loading.FEEDS["units"].columns)


def test_a_unit_brings_its_building_flat_and_devices(tmp_path: Path) -> None:
    row = "B1,江南里,江南大道 1 号,30.20,120.21,是,B1-0301,B1-0301A,朝南一居,3,28.5,3900,L-1,P-1,W-1"
    assert counts(load("units", table(tmp_path / "units.csv", UNITS, row))[1]) == (1, 1, 0, 0)
    unit = Unit.objects.select_related("building", "flat").get()
    assert (unit.code, unit.building.name, unit.flat and unit.flat.code) == ("B1-0301A", "江南里", "B1-0301")
    assert (unit.list_rent, unit.area, unit.building.has_iot) == (Decimal("3900.00"), Decimal("28.50"), True)
    assert set(Device.objects.values_list("ref", "what")) == {("L-1", "lock"), ("P-1", "power"), ("W-1", "water")}
    assert set(Alias.objects.values_list("source", "ref")) == {
        ("unit", "B1-0301A"),
        ("device", "L-1"),
        ("device", "P-1"),
        ("device", "W-1"),
    }


def test_a_meter_that_is_moved_stands_for_its_new_unit(tmp_path: Path) -> None:
    def row(unit: str, meter: str) -> str:
        return f"B1,江南里,,30.20,120.21,是,B1-0301,{unit},一居,3,28.5,3900,,{meter},"

    load("units", table(tmp_path / "units.csv", UNITS, row("A", "P-1"), row("B", "")))
    _status, answer = load("units", table(tmp_path / "units.csv", UNITS, row("A", ""), row("B", "P-1")))
    # Of A nothing new is said: that a meter is missing is no news of it.
    assert counts(answer) == (2, 1, 1, 0)
    alias = Alias.objects.select_related("unit").get(source="device", ref="P-1")
    assert alias.unit == Unit.objects.get(code="B")


def test_rows_that_contradict_an_earlier_one_are_refused(tmp_path: Path) -> None:
    rows = (
        "B1,江南里,,30.20,120.21,是,F,A,一居,3,28.5,3900,,P-1,",
        "B1,江北里,,30.20,120.21,是,F,B,一居,3,28.5,3900,,,",
        "B1,江南里,,30.20,120.21,是,F,C,一居,3,28.5,3900,,P-1,",
    )
    status, answer = load("units", table(tmp_path / "units.csv", UNITS, *rows))
    assert (status, counts(answer)) == (1, (3, 1, 0, 2))
    assert list(Refusal.objects.order_by("line").values_list("line", "reason")) == [
        (3, "楼栋 B1 的资料与第 2 行不一致。"),
        (4, "设备 P-1 在第 2 行属于另一个房间。"),
    ]


def test_staff_have_an_account_skills_and_a_place(tmp_path: Path) -> None:
    building = make_building("B1")
    rows = ("wang,王师傅,10000000001,维修,B1,水;电,08:00-20:00", "hq,总部,10000000002,总部,,,")
    path = table(tmp_path / "staff.csv", "账号,姓名,手机号,角色,楼栋,技能,班次", *rows)
    assert counts(load("staff", path)[1]) == (2, 2, 0, 0)
    person = Staff.objects.select_related("user").get(user__username="wang")
    assert (person.name, person.skills, person.shift) == ("王师傅", ["water", "power"], "08:00-20:00")
    assert not person.user.has_usable_password()
    assert set(Membership.objects.values_list("user__username", "building", "role", "last_day")) == {
        ("wang", building.pk, "technician", None),
        ("hq", None, "hq", None),
    }
    # Who leaves a building is not there from tomorrow on.
    other = make_building("B2")
    load("staff", table(path, "账号,姓名,手机号,角色,楼栋,技能,班次", rows[0].replace("B1", "B2")))
    assert set(Membership.objects.filter(user=person.user).values_list("building", "last_day")) == {
        (building.pk, TODAY),
        (other.pk, None),
    }


def test_staff_may_have_an_account_in_wecom_which_no_file_without_it_takes_away(tmp_path: Path) -> None:
    make_building("B1")
    header, wang = "账号,姓名,手机号,角色,楼栋,技能,班次", "wang,王师傅,10000000001,维修,B1,水,08:00-20:00"
    path = tmp_path / "staff.csv"
    load("staff", table(path, f"{header},企业微信", f"{wang},WangShiFu"))
    assert Staff.objects.get().wecom_id == "WangShiFu"
    assert counts(load("staff", table(path, header, wang))[1]) == (1, 0, 1, 0)
    load("staff", table(path, f"{header},企业微信账号", f"{wang.replace('08:00', '09:00')},"))
    assert (Staff.objects.get().wecom_id, Staff.objects.get().shift) == ("WangShiFu", "09:00-20:00")
    # One account is one person's, in whatever letters; nobody is everybody.
    others = [
        f"li{n},李{n},1000000001{n},维修,B1,水,,{account}" for n, account in enumerate(("wangshifu", "@all", "a|b"))
    ]
    assert counts(load("staff", table(path, f"{header},userid", *others))[1]) == (3, 0, 0, 3)
    assert list(Refusal.objects.order_by("line").values_list("reason", flat=True)) == [
        "企业微信账号 wangshifu 已属于 wang。",
        "企业微信账号：“@all”不是企业微信账号",
        "企业微信账号：“a|b”不是企业微信账号",
    ]


def test_a_ticket_tells_as_many_events_as_it_has_come_steps(tmp_path: Path) -> None:
    tenant, unit = make_tenant(phone="10000000009"), make_unit("B1-0301A")
    header = ",".join(loading.FEEDS["tickets"].columns)
    begun = "T1,App,B1-0301A,10000000009,漏水,厨房漏水,2025-11-20T22:10:00+08:00,,,,,"
    assert counts(load("tickets", table(tmp_path / "t.csv", header, begun))[1]) == (1, 1, 0, 0)
    done = begun[: -len(",,,,")] + "2025-11-21 04:52,2025-11-21 05:30,2025-11-21 06:00,wang,4"
    assert done.count(",") == begun.count(",")
    assert counts(load("tickets", table(tmp_path / "t.csv", header, done))[1]) == (1, 1, 0, 0)
    assert counts(load("tickets", table(tmp_path / "t.csv", header, done))[1]) == (1, 0, 1, 0)
    events = Event.objects.order_by("at", "pk").values_list("source_id", "kind", "tenant", "unit", "data")
    assert list(events) == [
        (
            "T1#reported",
            "ticket.reported",
            tenant.pk,
            unit.pk,
            {"ticket": "T1", "category": "water", "channel": "app", "text": "厨房漏水"},
        ),
        ("T1#accepted", "ticket.accepted", tenant.pk, unit.pk, {"ticket": "T1", "technician": "wang"}),
        ("T1#arrived", "ticket.arrived", tenant.pk, unit.pk, {"ticket": "T1"}),
        ("T1#finished", "ticket.finished", tenant.pk, unit.pk, {"ticket": "T1"}),
        ("T1#rated", "ticket.rated", tenant.pk, unit.pk, {"ticket": "T1", "score": 4}),
    ]


def test_a_ticket_from_an_unknown_phone_belongs_to_who_holds_the_unit(tmp_path: Path) -> None:
    lease = make_lease(unit=make_unit("B1-0301A"))
    header = ",".join(loading.FEEDS["tickets"].columns)
    rows = (
        "T1,电话,B1-0301A,10099999999,空调,不冷,2025-11-20 12:00,,,,,",
        "T2,电话,B1-9999A,10099999999,空调,不冷,2025-11-20 12:00,,,,,",
        "T3,电话,,10099999999,空调,不冷,2025-11-20 12:00,,,,,",
        "T4,电话,B1-0301A,,空调,不冷,2025-11-20 12:00,2025-11-20 11:00,,,,",
    )
    status, answer = load("tickets", table(tmp_path / "t.csv", header, *rows))
    assert (status, counts(answer)) == (1, (4, 2, 0, 2))
    assert Event.objects.get().tenant_id == LeaseTenant.objects.get(lease=lease).tenant_id
    # The third names no unit: it waits until somebody is known by that number.
    assert list(WaitingEvent.objects.values_list("source_id", "who_ref")) == [("T3#reported", "10099999999")]
    assert list(Refusal.objects.order_by("line").values_list("reason", flat=True)) == [
        "没有编号为 B1-9999A 的房间或设备。",
        "接单时间：早于报修时间",
    ]


def test_of_a_line_with_one_bad_event_nothing_is_stored(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    row = "T1,App,B1-0301A,,漏水,厨房漏水,2025-11-20 10:00,2025-11-20 11:00,,2026-11-20 12:00,wang,"
    status, answer = load("tickets", table(tmp_path / "t.csv", ",".join(loading.FEEDS["tickets"].columns), row))
    assert (status, counts(answer)) == (1, (1, 0, 0, 1))
    assert not Event.objects.exists()
    assert Refusal.objects.get().reason == "发生时间在将来。"


def test_bills_and_payments_reach_the_tenant_through_the_contract(tmp_path: Path) -> None:
    lease = make_lease(contract_no="HT1")
    tenant = LeaseTenant.objects.get(lease=lease).tenant
    bill = "ZD1,HT1,2025-11,4012.50,2025-11-28 09:00,😐,2025-11-28 20:00"
    path = table(tmp_path / "b.csv", ",".join(loading.FEEDS["bills"].columns), bill, bill.replace("😐", ""))
    # The second row says less than the first: nothing new.
    assert counts(load("bills", path)[1]) == (2, 1, 1, 0)
    payment = "LS1,HT1,房租,3800.00,2025-11-01,2025-11-03T08:15:00+08:00"
    path = table(tmp_path / "p.csv", ",".join(loading.FEEDS["payments"].columns), payment)
    assert counts(load("payments", path)[1]) == (1, 1, 0, 0)
    assert list(Event.objects.order_by("at").values_list("source_id", "kind", "tenant", "data")) == [
        ("LS1", "payment.made", tenant.pk, {"item": "rent", "amount": "3800.00", "due_on": "2025-11-01"}),
        ("ZD1#issued", "bill.issued", tenant.pk, {"bill": "ZD1", "amount": "4012.50", "month": "2025-11"}),
        ("ZD1#mood", "mood.given", tenant.pk, {"bill": "ZD1", "mood": "soso"}),
    ]


def test_the_community_book_brings_events_and_announcements(tmp_path: Path) -> None:
    tenant, building, owner = make_tenant(), make_building("B1"), make_user("mei")
    Alias.objects.create(source="community", ref="Q1", tenant=tenant, recorded_at=NOW)
    rows = (
        "活动,C1,Q1,2025-11-08 19:00,烘焙夜,,B1,,",
        "发言,C2,Q1,2025-11-09 19:00,江南里住户群,谢谢大家,B1,,",
        "公告,G1,,2025-12-20,shared_kitchen,共享厨房 12 月 20 日升级烘焙区,B1,2026-01-31,mei",
        "公告,G2,,2025-12-20,gym,健身房更换跑步机,B7,2026-01-31,mei",
        "公告,G3,,2025-12-20,gym,健身房更换跑步机,B1,2026-01-31,nobody",
        "公告,G4,,2025-12-20,gym,健身房更换跑步机,B1,2025-12-01,mei",
    )
    path = table(tmp_path / "c.csv", ",".join(loading.FEEDS["community"].columns), *rows)
    status, answer = load("community", path)
    assert (status, counts(answer)) == (1, (6, 3, 0, 3))
    assert list(Event.objects.order_by("at").values_list("kind", "tenant", "data")) == [
        ("community.joined", tenant.pk, {"activity": "烘焙夜"}),
        ("community.posted", tenant.pk, {"group": "江南里住户群"}),
    ]
    notice = Announcement.objects.get()
    assert (notice.building_id, notice.topic, notice.on, notice.until, notice.owner_id) == (
        building.pk,
        "shared_kitchen",
        date(2025, 12, 20),
        date(2026, 1, 31),
        owner.pk,
    )
    assert list(Refusal.objects.order_by("line").values_list("reason", flat=True)) == [
        "没有楼栋 B7。",
        "没有账号为 nobody 的员工。",
        "截止日期：早于公告所说的日期",
    ]
    assert counts(load("community", path)[1]) == (6, 0, 3, 3)


def test_what_the_app_tells_is_understood(tmp_path: Path) -> None:
    tenant = make_tenant()
    Alias.objects.create(source="app", ref="u1", tenant=tenant, recorded_at=NOW)
    at = "2025-11-20T10:00:00+08:00"
    calls = (
        {"type": "screen", "messageId": "m1", "userId": "u1", "timestamp": at, "name": "rent_prices"},
        {
            "type": "track",
            "messageId": "m2",
            "userId": "u1",
            "timestamp": at,
            "event": "Facility Used",
            "properties": {"facility": "shared_kitchen"},
        },
        {
            "type": "track",
            "messageId": "m3",
            "userId": "u1",
            "timestamp": at,
            "event": "Coupon Opened",
            "properties": {"coupon": "C-9", "name": "另一个名字"},
        },
        {
            "type": "identify",
            "messageId": "m4",
            "userId": "u1",
            "timestamp": at,
            "traits": {"workplace": {"lat": 30.19, "lng": 120.2}, "id_card": "never kept"},
        },
    )
    assert counts(load("app", lines(tmp_path / "a.jsonl", *calls))[1]) == (4, 4, 0, 0)
    assert list(Event.objects.order_by("source_id").values_list("kind", "data")) == [
        ("app.viewed", {"name": "rent_prices"}),
        ("facility.used", {"facility": "shared_kitchen"}),
        ("app.tracked", {"coupon": "C-9", "name": "Coupon Opened"}),
        ("profile.stated", {"workplace": [30.19, 120.2]}),
    ]
    assert set(Event.objects.values_list("tenant", flat=True)) == {tenant.pk}


def test_a_device_that_signs_in_is_known_from_then_on(tmp_path: Path) -> None:
    tenant = make_tenant()
    Alias.objects.create(source="app", ref="u1", tenant=tenant, recorded_at=NOW)

    def screen(number: int, **who: str) -> dict[str, Any]:
        at = f"2025-11-20T10:00:0{number}+08:00"
        return {"type": "screen", "messageId": f"m{number}", "timestamp": at, "name": "home", **who}

    both = screen(2, userId="u1", anonymousId="phone-1")
    calls = (screen(1, anonymousId="phone-1"), both, screen(3, anonymousId="phone-1"), screen(4, anonymousId="phone-2"))
    status, answer = load("app", lines(tmp_path / "a.jsonl", *calls))
    assert (status, counts(answer)) == (0, (4, 4, 0, 0))
    assert Alias.objects.get(source="anonymous").tenant_id == tenant.pk
    assert Event.objects.filter(tenant=tenant).count() == 3
    assert WaitingEvent.objects.get().who_ref == "phone-2"


# --- who it was -----------------------------------------------------------------------------------


def test_a_reading_belongs_to_who_held_the_unit_on_that_day_in_shanghai(tmp_path: Path) -> None:
    unit = make_unit()
    first = make_lease(unit=unit, first_day=date(2025, 1, 1), last_day=date(2025, 10, 31))
    second = make_lease(unit=unit, first_day=date(2025, 11, 1), last_day=date(2026, 10, 31))
    before, after = (LeaseTenant.objects.get(lease=lease).tenant_id for lease in (first, second))
    make_device(unit, "P-1")
    readings = (
        reading("P-1", "2024-12-31T23:59:59+08:00", 1),  # nobody's yet
        reading("P-1", "2025-01-01T00:00:00+08:00", 2),
        reading("P-1", "2025-10-31T23:59:59+08:00", 3),
        reading("P-1", "2025-10-31T16:00:00+00:00", 4),  # midnight in Shanghai
        reading("P-1", "2025-11-01T00:00:00+08:00", 5),
    )
    assert counts(load("iot", lines(tmp_path / "i.jsonl", *readings))[1]) == (5, 5, 0, 0)
    events = Event.objects.order_by("source_id").values_list("tenant", "unit", "data")
    assert [(tenant, place) for tenant, place, _data in events] == [
        (None, unit.pk),
        (before, unit.pk),
        (before, unit.pk),
        (after, unit.pk),
        (after, unit.pk),
    ]
    assert events[0][2] == {"value": 10.5, "unit": "kWh"}


def test_a_reading_after_an_early_end_is_nobodys_and_a_void_lease_holds_nothing(tmp_path: Path) -> None:
    unit = make_unit()
    make_lease(unit=unit, first_day=date(2025, 1, 1), last_day=date(2025, 6, 30), agreed_last_day=date(2025, 12, 31))
    make_lease(unit=unit, first_day=date(2025, 9, 1), last_day=date(2026, 8, 31), state="void")
    make_device(unit, "P-1")
    load(
        "iot",
        lines(
            tmp_path / "i.jsonl",
            reading("P-1", "2025-07-01T00:00:00+08:00"),
            reading("P-1", "2025-09-02T00:00:00+08:00", 2),
        ),
    )
    assert list(Event.objects.values_list("tenant", flat=True)) == [None, None]


def test_of_two_tenants_on_a_lease_the_primary_one_is_meant(tmp_path: Path) -> None:
    unit = make_unit()
    lease = make_lease(unit=unit)
    partner = LeaseTenant.objects.create(lease=lease, tenant=make_tenant("周航"), is_primary=False)
    make_device(unit, "P-1")
    load("iot", lines(tmp_path / "i.jsonl", reading("P-1", "2025-11-01T00:00:00+08:00")))
    assert Event.objects.get().tenant_id == LeaseTenant.objects.exclude(pk=partner.pk).get(lease=lease).tenant_id


def test_events_of_a_merged_tenant_stay_under_the_one_their_alias_or_lease_names(tmp_path: Path) -> None:
    stays, unit = make_tenant(), make_unit()
    gone = make_tenant(merged_into=stays)
    Alias.objects.create(source="app", ref="old", tenant=gone, recorded_at=NOW)
    make_lease(gone, unit)
    make_device(unit, "P-1")
    at = "2025-11-20T10:00:00+08:00"
    call = {"type": "screen", "messageId": "m1", "userId": "old", "timestamp": at, "name": "home"}
    load("app", lines(tmp_path / "a.jsonl", call))
    load("iot", lines(tmp_path / "i.jsonl", reading("P-1", at)))
    assert list(Event.objects.values_list("tenant", flat=True)) == [gone.pk, gone.pk]


# --- door logs ------------------------------------------------------------------------------------


def consent(tenant: Tenant, granted: bool, at: datetime) -> None:
    facts = {"text_version": "1", "proof": "入住登记", "recorded_at": at}
    Consent.objects.create(tenant=tenant, purpose="door_logs", channel="any", granted=granted, at=at, **facts)


def test_doors_are_stored_only_under_a_consent_that_covers_their_moment(tmp_path: Path) -> None:
    agreed, silent, withdrawn = (make_lease(unit=make_unit(code)) for code in ("A", "B", "C"))
    people = {lease.unit.code: LeaseTenant.objects.get(lease=lease).tenant for lease in (agreed, silent, withdrawn)}
    for code in "ABC":
        make_device(Unit.objects.get(code=code), f"L-{code}", "lock")
    consent(people["A"], True, datetime(2025, 11, 10, 4, tzinfo=UTC))
    consent(people["C"], True, datetime(2025, 1, 1, tzinfo=UTC))
    consent(people["C"], False, datetime(2025, 11, 25, tzinfo=UTC))
    doors = (
        opening("L-A", "2025-11-10T11:59:59+08:00", 1),  # a second before the consent
        opening("L-A", "2025-11-10T12:00:00+08:00", 2),
        opening("L-B", "2025-11-20T08:00:00+08:00"),
        opening("L-C", "2025-11-20T08:00:00+08:00"),  # covered then, withdrawn since
        opening("L-X", "2025-11-20T08:00:00+08:00"),
    )
    status, answer = load("iot", lines(tmp_path / "i.jsonl", *doors))
    assert (status, counts(answer)) == (1, (5, 1, 0, 4))
    event = Event.objects.get()
    assert (event.source_id, event.kind, event.data, event.tenant_id) == (
        "L-A-2",
        "door.opened",
        {"way": "app"},
        people["A"].pk,
    )
    # Nothing of a refused door record is kept: neither which door, nor when, nor how.
    assert list(Refusal.objects.order_by("pk").values_list("raw", "reason", "attempts")) == [
        ({"withheld": "door"}, "租客没有同意保存门锁记录，或当日无人在租，内容未保留。", 3),
        ({"withheld": "unit"}, "没有编号为 L-X 的房间或设备。", 1),
    ]
    kept = Path(answer["quarantine_file"]).read_text(encoding="utf-8-sig")
    assert "2025-11-20" not in kept
    assert "L-B" not in kept
    assert len(kept.splitlines()) == 1 + 4


def test_doors_older_than_ninety_days_are_refused(tmp_path: Path) -> None:
    lease = make_lease(unit=make_unit("A"))
    consent(LeaseTenant.objects.get(lease=lease).tenant, True, datetime(2025, 1, 1, tzinfo=UTC))
    make_device(lease.unit, "L-A", "lock")
    limit = NOW - timedelta(days=90)
    doors = (
        opening("L-A", limit.isoformat(), 1),
        opening("L-A", (limit - timedelta(minutes=1)).isoformat(), 2),
    )
    # The product's clock runs on between the two lines of this test; half a minute is given.
    doors[0]["ts"] = (limit + timedelta(seconds=30)).isoformat()
    assert counts(load("iot", lines(tmp_path / "i.jsonl", *doors))[1]) == (2, 1, 0, 1)
    assert Event.objects.get().source_id == "L-A-1"
    assert Refusal.objects.get().reason == "超过 90 天的门锁记录不予保存。"


# --- once -----------------------------------------------------------------------------------------


def test_an_event_that_stands_twice_in_a_file_is_stored_once_and_counted(tmp_path: Path) -> None:
    make_device(make_unit("A"), "P-1")
    message = reading("P-1", "2025-11-01T00:00:00+08:00")
    changed = {**message, "value": 99.0}
    assert counts(load("iot", lines(tmp_path / "i.jsonl", message, message, changed))[1]) == (3, 1, 2, 0)
    assert Event.objects.get().data["value"] == 10.5


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    messages=st.lists(st.tuples(st.sampled_from(["P-1", "P-2", "P-?"]), st.integers(1, 6)), max_size=30),
    batch=st.integers(1, 7),
)
def test_whatever_comes_the_counts_add_up_and_once_is_enough(
    messages: list[tuple[str, int]], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Event.objects.all().delete()
    for ref in ("P-1", "P-2"):
        if not Alias.objects.filter(source="device", ref=ref).exists():
            make_device(make_unit(), ref)
    monkeypatch.setattr(ingest, "BATCH", batch)
    records = [
        EventRecord(
            line=line,
            source="iot",
            source_id=f"{device}-{number}",
            kind=Kind.POWER_READ,
            at=NOW,
            who=None,
            where=("device", device),
            data={"value": number, "unit": "kWh"},
        )
        for line, (device, number) in enumerate(messages, start=1)
    ]
    good = {message for message in messages if message[0] != "P-?"}
    bad = [line for line, message in enumerate(messages, start=1) if message[0] == "P-?"]
    first, second = (ingest.take(records, now=NOW) for _time in range(2))
    for result in (first, second):
        assert result.received == len(messages)
        assert sorted(refused.line for refused in result.refused) == bad
    assert (first.accepted, second.accepted) == (len(good), 0)
    assert Event.objects.count() == len(good)


def test_what_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "BATCH", 1)
    make_device(make_unit("A"), "P-1")
    path = lines(tmp_path / "i.jsonl", *(reading("P-1", "2025-11-01T00:00:00+08:00", number) for number in range(5)))
    with path.open("ab") as file:
        file.write(b"\xff\xfe broken\n")
    with pytest.raises(Exception, match="不是 UTF-8"):
        call_command("load", "iot", str(path))
    assert not Event.objects.exists()
    assert not Run.objects.exists()


def test_a_folder_that_lacks_a_file_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "units.csv").write_text(
        "楼栋编号,楼栋,房间,房型,挂牌租金\nB1,滨江,101,独立开间,3800\n", encoding="utf-8"
    )
    with pytest.raises(CommandError, match=r"staff\.csv、contracts\.xlsx") as fault:
        call_command("load_all", str(tmp_path))
    assert fault.value.returncode == 2
    assert not Unit.objects.exists()
