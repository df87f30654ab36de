"""The whole life of a contract, from the ERP's file to the pages of the staff: who stands on it, where, until when."""

from __future__ import annotations

import csv
import json
import logging
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from connectors.models import Refusal
from connectors.records import CoTenant
from connectors.sources import erp, idcards
from renewal import cases, quarantine
from renewal.models import Case
from tenants import clock, features, leases
from tenants.leases import Outcome
from tenants.models import (
    Alias,
    Consent,
    ContractDecision,
    Event,
    Lease,
    LeaseRevision,
    LeaseTenant,
    Merge,
    Tenant,
    Unit,
    User,
    WaitingContract,
)
from tests.makers import NOW, TODAY, make_building, make_event, make_unit, make_user
from tests.test_access import member
from tests.test_leases import apply, contract, holder, other, sign

pytestmark = pytest.mark.django_db

GOOD = "110101199003072316"  # the check digit fits; nobody's
ANOTHER = "11010119900307301X"
WANG, LI = CoTenant("王敏", "10000000003"), CoTenant("李响", "10000000004")


@pytest.fixture(autouse=True)
def units() -> tuple[Unit, Unit]:
    clock.set_to(NOW)
    return make_unit("A"), make_unit("B")


def people(number: str = "HT1") -> dict[str, bool]:
    rows = LeaseTenant.objects.filter(lease__contract_no=number).select_related("tenant")
    return {row.tenant.name: row.is_primary for row in rows}


ROW = {
    "合同编号": "HT1", "版本": "1", "房源编号": "A", "租客姓名": "林晓", "手机号": "10000000001",
    "签约日期": "2024-12-20", "起租日期": "2025-01-01", "到期日期": "2025-12-31", "月租金": "3800", "押金": "3800",
    "计租日": "1", "合同状态": "已签",
}  # fmt: skip


def load(folder: Path, *rows: dict[str, str]) -> dict[str, Any]:
    path = folder / "contracts.csv"
    columns = list(dict.fromkeys([*erp.COLUMNS, *(name for row in rows for name in row)]))
    with path.open("w", encoding="utf-8", newline="") as text:
        table = csv.DictWriter(text, columns)
        table.writeheader()
        table.writerows(rows)
    from renewal import loading

    report = loading.load("contracts", path, now=clock.now())
    return {"accepted": report.accepted, "duplicate": report.duplicate, "rejected": report.rejected}


def reason() -> str:
    return Refusal.objects.get(resolved_at=None).reason


# --- Who stands on it -----------------------------------------------------------------------------


def test_co_tenants_stand_on_the_lease_and_go_when_a_revision_no_longer_names_them(tmp_path: Path) -> None:
    assert load(tmp_path, ROW | {"同住人": "王敏 10000000003；李响 10000000004"})["accepted"] == 1
    assert people() == {"林晓": True, "王敏": False, "李响": False}
    assert set(Alias.objects.filter(source="phone").values_list("ref", flat=True)) == {
        "10000000001", "10000000003", "10000000004"
    }  # fmt: skip
    load(tmp_path, ROW | {"版本": "2", "同住人": "王敏 10000000003"})
    assert people() == {"林晓": True, "王敏": False}
    load(tmp_path, ROW | {"版本": "3", "同住人": ""})
    assert people() == {"林晓": True}
    assert Tenant.objects.filter(name="李响").exists()  # who was there is still known
    assert LeaseRevision.objects.get(revision=1).terms["cotenants"] == [
        {"name": "王敏", "phone": "10000000003"},
        {"name": "李响", "phone": "10000000004"},
    ]


def test_a_file_without_the_column_says_nothing_of_co_tenants(tmp_path: Path) -> None:
    load(tmp_path, ROW | {"同住人": "王敏 10000000003"})
    load(tmp_path, ROW | {"版本": "2", "月租金": "3900"})
    assert people() == {"林晓": True, "王敏": False}


@pytest.mark.parametrize("later", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_co_tenants_are_those_of_the_last_revision_that_spoke_of_them(later: tuple[int, ...]) -> None:
    revisions = {
        1: contract(cotenants=(WANG, LI)),
        2: contract(revision=2, cotenants=(LI,)),
        3: contract(revision=3, monthly_rent=Decimal("3900.00")),
    }
    apply(*(revisions[number] for number in later))
    assert people() == {"林晓": True, "李响": False}


def test_a_co_tenant_may_become_the_first_tenant() -> None:
    apply(contract(cotenants=(WANG,)))
    first = {tenant.name: tenant.pk for tenant in Tenant.objects.all()}
    apply(contract(revision=2, tenant_name="王敏", phone=WANG.phone, cotenants=(CoTenant("林晓", "10000000001"),)))
    assert people() == {"王敏": True, "林晓": False}
    assert {tenant.name: tenant.pk for tenant in Tenant.objects.all()} == first


def test_a_renewal_signed_here_keeps_the_co_tenants_and_so_does_its_contract_from_the_erp() -> None:
    apply(contract(cotenants=(WANG,)))
    old = Lease.objects.get()
    successor = leases.sign_renewal(
        old,
        unit=old.unit,
        tenants=[holder(old), Tenant.objects.get(name="王敏")],
        first_day=date(2026, 1, 1),
        last_day=date(2026, 12, 31),
        monthly_rent=Decimal("3900.00"),
        deposit=Decimal("3800.00"),
        anchor_day=1,
        signed_on=TODAY,
        now=NOW,
    )
    filed: dict[str, Any] = {"first_day": date(2026, 1, 1), "last_day": date(2026, 12, 31), "renews": "HT1"}
    assert apply(contract("HT2", monthly_rent=Decimal("3900.00"), **filed)) == [Outcome.NEW]
    successor.refresh_from_db()
    assert (successor.contract_no, people("HT2")) == ("HT2", {"林晓": True, "王敏": False})


def test_one_same_tenant_makes_it_a_renewal_whoever_was_named_first() -> None:
    apply(contract(cotenants=(WANG,)))
    apply(
        contract(
            "HT2", tenant_name="王敏", phone=WANG.phone, cotenants=(), signed_on=date(2025, 11, 20),
            first_day=date(2026, 1, 1), last_day=date(2026, 12, 31), renews="HT1",
        )
    )  # fmt: skip
    cases.open_due(today=TODAY, now=NOW)
    cases.advance(today=TODAY, now=NOW)
    assert Case.objects.get(lease__contract_no="HT1").state == Case.State.SIGNED


def test_what_happens_in_the_unit_is_the_first_tenants_and_what_a_co_tenant_does_is_theirs(tmp_path: Path) -> None:
    load(tmp_path, ROW | {"同住人": "王敏 10000000003"})
    wang = Tenant.objects.get(name="王敏")
    Event.objects.all().delete()
    make_event("facility.used", wang, data={"facility": "gym"})
    features.refresh(today=TODAY, now=NOW)
    from tenants.models import Feature

    assert dict(Feature.objects.values_list("tenant__name", "gym_365")) == {"林晓": 0, "王敏": 1}


def test_a_co_tenant_at_the_common_door_is_told_who_has_the_letter(client: Client, tmp_path: Path) -> None:
    from renewal import proposals
    from tenants import links
    from tenants.models import Link

    load(tmp_path, ROW | {"同住人": "王敏 10000000003"})
    cases.open_due(today=TODAY, now=NOW)
    lease, wang = Lease.objects.get(), Tenant.objects.get(name="王敏")
    link, _token = links.mint(
        "x", tenant=wang, lease=lease, purpose=Link.Purpose.PROPOSAL, expires_at=NOW + timedelta(days=9), now=NOW
    )
    with pytest.raises(proposals.Closed) as closed:
        proposals.for_link(link, today=TODAY, now=NOW)
    assert closed.value.kind == "cotenant"


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("王敏", "请按“姓名 手机号”填写"),
        ("王敏 1000000000", "请按“姓名 手机号”填写"),
        ("王敏 10000000001", "姓名、手机号或身份证号相同"),
        ("王敏 10000000003；王敏 10000000004", "姓名、手机号或身份证号相同"),
        ("王敏 10000000003 110101199003072310", "不是有效的身份证号"),
        ("；".join(f"人{n} 1000000010{n}" for n in range(10)), "姓名"),
    ],
)
def test_co_tenants_that_cannot_be_told_apart_are_refused(tmp_path: Path, cell: str, why: str) -> None:
    if cell.count("；") == 9:
        cell = "；".join(f"同住{'甲乙丙丁戊己庚辛壬癸'[n]} 1000000010{n}" for n in range(10))
        why = "超过 9 人"
    assert load(tmp_path, ROW | {"同住人": cell})["rejected"] == 1
    assert why in reason()
    assert not Lease.objects.exists()


# --- Identity numbers -----------------------------------------------------------------------------


def test_an_identity_number_is_kept_as_a_hash_under_its_own_key_and_nowhere_else(
    tmp_path: Path, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    load(tmp_path, ROW | {"身份证号": GOOD, "同住人": f"王敏 10000000003 {ANOTHER.lower()}"})
    hashes = dict(Alias.objects.filter(source="id_hash").values_list("tenant__name", "ref"))
    assert hashes == {"林晓": idcards.hashed(GOOD, ""), "王敏": idcards.hashed(ANOTHER, "")}
    settings.IDENTITY_KEY = "another"
    assert idcards.hashed(GOOD, "") != hashes["林晓"]
    everything = json.dumps(list(LeaseRevision.objects.values_list("terms", flat=True))) + caplog.text
    assert GOOD not in everything
    assert ANOTHER not in everything.upper()


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("110101199003072310", "最后一位与前 17 位相符"),
        ("110101199013072316", "最后一位与前 17 位相符"),  # the thirteenth month
        ("110101900307231", "15 位"),
        ("110101199003072000", "取整"),
        ("1.10101E+17", "取整"),
        ("护照 E12345678", "最后一位与前 17 位相符"),
    ],
)
def test_a_number_that_cannot_be_right_is_refused_and_not_kept(tmp_path: Path, number: str, why: str) -> None:
    assert load(tmp_path, ROW | {"身份证号": number})["rejected"] == 1
    row = Refusal.objects.get()
    assert why in row.reason
    kept = json.dumps(row.raw, ensure_ascii=False) + row.reason
    digits = "".join(mark for mark in number if mark.isdigit())
    if len(digits) >= 15:
        assert digits not in kept
        assert row.raw["身份证号"].endswith(number[-4:])


def test_a_refused_row_keeps_the_end_of_a_number_and_comes_in_once_its_unit_is_known(tmp_path: Path) -> None:
    load(tmp_path, ROW | {"房源编号": "Z-9", "身份证号": GOOD, "备注": f"证件 {ANOTHER}"})
    row = Refusal.objects.get()
    assert row.raw["身份证号"].startswith(f"**************{GOOD[-4:]}")
    assert GOOD not in json.dumps(row.raw)
    assert ANOTHER not in json.dumps(row.raw)
    make_unit("Z-9")
    assert quarantine.replay("contracts", now=NOW)["contracts"]["accepted"] == 1
    assert Alias.objects.get(source="id_hash").ref == idcards.hashed(GOOD, "")


def test_who_comes_with_the_same_card_and_another_phone_is_the_same_person() -> None:
    card = idcards.hashed(GOOD, "")
    apply(contract(id_hash=card))
    apply(
        contract("HT2", unit="B", id_hash=card, phone="10000000077", signed_on=date(2025, 11, 1), first_day=date(2026, 1, 1), last_day=date(2026, 12, 31))  # noqa: E501
    )  # fmt: skip
    tenant = Tenant.objects.get()
    assert tenant.phone == "10000000077"
    assert Lease.objects.filter(tenants=tenant).count() == 2


def test_who_comes_with_the_same_phone_and_another_card_is_a_stranger() -> None:
    apply(contract(id_hash=idcards.hashed(GOOD, "")))
    with pytest.raises(leases.Refused, match="手机号 10000000001 属于租客林晓，其身份证号与此不同。"):
        apply(contract("HT2", unit="B", id_hash=idcards.hashed(ANOTHER, "")))
    with pytest.raises(leases.Refused, match="王强的身份证号属于租客林晓。"):
        apply(contract("HT3", unit="B", tenant_name="王强", phone="10000000009", id_hash=idcards.hashed(GOOD, "")))
    # Within one contract a revision may correct the card.
    assert apply(contract(revision=2, id_hash=idcards.hashed(ANOTHER, ""))) == [Outcome.CHANGED]


def test_openid_and_locker_account_stand_for_the_tenant(tmp_path: Path) -> None:
    load(tmp_path, ROW | {"微信openid": "oX1", "快递柜账号": "L-7"})
    tenant = Tenant.objects.get()
    named = set(Alias.objects.filter(tenant=tenant).values_list("source", "ref"))
    assert {("wechat", "oX1"), ("locker", "L-7")} <= named


# --- Corrected ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (1, 3, 2), (3, 1, 2), (2, 1, 3), (2, 3, 1)])
def test_a_name_and_a_phone_corrected_one_after_the_other_are_of_one_person(order: tuple[int, ...]) -> None:
    revisions = {
        1: contract(tenant_name="林小"),
        2: contract(revision=2),
        3: contract(revision=3, phone="10000000077"),
    }
    apply(*(revisions[number] for number in order))
    (tenant,) = Tenant.objects.filter(merged_into=None)
    assert (tenant.name, tenant.phone) == ("林晓", "10000000077")
    lease = Lease.objects.get()
    assert (holder(lease).merged_into or holder(lease)) == tenant
    # Where the first and the last came before what ties them, it shows as a merge that can be undone.
    assert Merge.objects.count() == (1 if order in {(1, 3, 2), (3, 1, 2)} else 0)


def test_whoever_is_known_from_elsewhere_is_not_merged_by_a_contract() -> None:
    apply(contract("HT0", unit="B", phone="10000000077"))
    apply(contract(phone="10000000001"), contract(revision=2, phone="10000000077"))
    kept = Tenant.objects.get(merged_into=None)  # the one known through HT1 alone was
    assert Lease.objects.filter(tenants=kept).count() == 2
    apply(contract("HT5", unit="B", phone="10000000088", first_day=date(2026, 1, 1), last_day=date(2026, 6, 30)))
    make_unit("C")
    apply(contract("HT6", unit="C", phone="10000000099"))
    apply(contract("HT6", unit="C", revision=2, phone="10000000088"), contract("HT6", unit="C", revision=3))
    assert Tenant.objects.filter(merged_into=None).count() == 2  # two of one name, each with a contract of their own


def test_a_first_day_is_corrected_and_an_early_end_taken_back() -> None:
    apply(contract(ended_on=date(2025, 6, 30), ended_by="tenant", ended_agreed_on=date(2025, 6, 1)))
    apply(contract(revision=2, first_day=date(2025, 2, 1)))
    lease = Lease.objects.get()
    assert (lease.first_day, lease.last_day, lease.ended_by, lease.ended_agreed_on) == (
        date(2025, 2, 1), date(2025, 12, 31), "", None
    )  # fmt: skip


def test_an_early_end_cannot_be_taken_back_over_the_next_tenant_until_they_give_way() -> None:
    apply(contract(ended_on=date(2025, 6, 30), ended_by="operator"))
    apply(other(first_day=date(2025, 7, 1), last_day=date(2026, 6, 30)))
    assert apply(contract(revision=2)) == [Outcome.WAITING]
    assert Lease.objects.get(contract_no="HT1").ended_by == "operator"
    apply(other(revision=2, first_day=date(2026, 1, 1), last_day=date(2026, 6, 30)))
    lease = Lease.objects.get(contract_no="HT1")
    assert (lease.ended_by, lease.last_day) == ("", date(2025, 12, 31))
    assert not WaitingContract.objects.exists()


def test_revision_three_before_two_before_one_and_again() -> None:
    revisions = [contract(revision=number, monthly_rent=Decimal(3800 + number)) for number in (3, 2, 1)]
    assert apply(*revisions) == [Outcome.NEW, Outcome.CHANGED, Outcome.CHANGED]
    assert apply(*revisions) == [Outcome.UNCHANGED] * 3
    assert (Lease.objects.get().monthly_rent, LeaseRevision.objects.count()) == (Decimal("3803.00"), 3)


def test_what_a_later_revision_no_longer_renews_is_let_go() -> None:
    later: dict[str, Any] = {"first_day": date(2026, 1, 1), "last_day": date(2026, 12, 31)}
    apply(contract(), contract("HT2", renews="HT1", **later))
    apply(contract("HT3", unit="B", renews="HT1", **later))
    assert Lease.objects.get(contract_no="HT3").renews is None
    apply(contract("HT2", revision=2, renews="HT1", state="void", **later))
    # The one that claimed it second has it, now that the first is void; and keeps it when the first comes back.
    assert Lease.objects.get(contract_no="HT3").renews == Lease.objects.get(contract_no="HT1")
    apply(contract("HT2", revision=3, renews="HT1", **later))
    assert dict(Lease.objects.values_list("contract_no", "renews__contract_no")) == {
        "HT1": None, "HT2": None, "HT3": "HT1"
    }  # fmt: skip


# --- Moved ----------------------------------------------------------------------------------------


def test_who_moves_by_a_revision_keeps_what_happened_before_where_it_happened(units: tuple[Unit, Unit]) -> None:
    a, b = units
    apply(contract())
    tenant = Tenant.objects.get()
    make_event("ticket.reported", tenant, a, source_id="t1", at=NOW - timedelta(days=30), data={"ticket": "t1"})
    apply(contract(revision=2, unit="B"))
    lease = Lease.objects.get()
    assert (lease.unit, Event.objects.get().unit, Event.objects.get().tenant) == (b, a, tenant)
    # The unit left behind is free for somebody else.
    assert apply(other()) == [Outcome.NEW]


def test_an_early_end_and_a_new_contract_elsewhere_next_day_is_a_transfer() -> None:
    apply(contract())
    cases.open_due(today=TODAY, now=NOW)
    moved = date(2025, 12, 10)
    apply(contract(revision=2, ended_on=moved, ended_by="tenant", ended_agreed_on=TODAY))
    cases.advance(today=TODAY, now=NOW)
    case = Case.objects.get()
    assert case.state == Case.State.NOTICE
    next_day: dict[str, Any] = {"first_day": date(2025, 12, 11), "last_day": date(2026, 12, 10), "signed_on": TODAY}
    apply(contract("HT2", unit="B", **next_day))
    cases.advance(today=TODAY, now=NOW)
    case.refresh_from_db()
    assert case.state == Case.State.TRANSFERRED
    assert Tenant.objects.count() == 1


def test_a_void_contract_frees_its_days_and_comes_back_only_if_they_are_free() -> None:
    apply(contract(), contract(revision=2, state="void"), other())
    assert apply(contract(revision=3)) == [Outcome.WAITING]
    assert WaitingContract.objects.get().reason == "租期与合同 HT2（2025-01-01 至 2025-12-31）重叠。"
    apply(other(revision=2, state="void"))
    assert dict(Lease.objects.values_list("contract_no", "state")) == {"HT1": "signed", "HT2": "void"}


# --- Our own renewal comes back -------------------------------------------------------------------


@pytest.fixture
def signed_here() -> Lease:
    apply(contract())
    return sign(Lease.objects.get(contract_no="HT1"))


def filed(lease: Lease, **facts: Any) -> Any:
    said: dict[str, Any] = {
        "renews": "HT1", "first_day": lease.first_day, "last_day": lease.last_day,
        "monthly_rent": lease.monthly_rent, "signed_on": date(2025, 12, 2),
    }  # fmt: skip
    return contract("HT2", **{**said, **facts})


def test_the_same_terms_are_recognised_under_the_erps_number(signed_here: Lease) -> None:
    assert apply(filed(signed_here)) == [Outcome.NEW]
    signed_here.refresh_from_db()
    assert (signed_here.contract_no, signed_here.revision, Lease.objects.count()) == ("HT2", 1, 2)


@pytest.mark.parametrize(
    "facts",
    [
        {"monthly_rent": Decimal("4100.00")},
        {"deposit": Decimal("1.00")},
        {"last_day": date(2026, 6, 30)},
        {"monthly_rent": Decimal("4100.00"), "renews": None},
    ],
)
def test_other_terms_wait_for_a_person_who_takes_them(signed_here: Lease, facts: dict[str, Any]) -> None:
    assert apply(filed(signed_here, **facts)) == [Outcome.WAITING]
    row = WaitingContract.objects.get()
    page, client = seen(member("manager", "B1"), row)
    assert "月租金、押金或到期日期与租客在线签署的不一致" in page
    assert "采用 ERP 的条款" in page
    response = client.post(reverse("staff-waiting", args=[row.pk]), {"verdict": "accept", "why": "门店另行约定"})
    assert response.headers["Location"] == reverse("staff-contract", args=[signed_here.pk])
    before = (signed_here.monthly_rent, signed_here.deposit, signed_here.last_day)
    signed_here.refresh_from_db()
    said = filed(signed_here, **facts)
    assert (signed_here.contract_no, signed_here.monthly_rent, signed_here.deposit) == (
        "HT2", said.monthly_rent, said.deposit
    )  # fmt: skip
    assert not WaitingContract.objects.exists()
    assert signed_here.renews == Lease.objects.get(contract_no="HT1")
    decision = ContractDecision.objects.get()
    assert (decision.verdict, decision.why, decision.by) == (
        "accepted",
        "门店另行约定",
        User.objects.get(username="manager-B1"),
    )
    # The same revision again is nothing new, and undone it waits again with what was signed in force.
    assert apply(filed(signed_here, **{"last_day": said.last_day, **facts})) == [Outcome.UNCHANGED]
    client.post(reverse("staff-undo", args=[decision.pk]))
    signed_here.refresh_from_db()
    assert (signed_here.contract_no, signed_here.revision) == ("", 0)
    assert (signed_here.monthly_rent, signed_here.deposit, signed_here.last_day) == before
    assert signed_here.renews == Lease.objects.get(contract_no="HT1")
    assert WaitingContract.objects.get().reason == row.reason
    assert not Alias.objects.filter(source="contract", ref="HT2").exists()


def seen(user: User, row: WaitingContract) -> tuple[str, Client]:
    client = Client()
    client.force_login(user)
    response = client.get(reverse("staff-waiting", args=[row.pk]))
    assert response.status_code == 200
    return response.content.decode(), client


def test_a_refused_revision_waits_no_longer_and_stays_refused_when_it_comes_again(signed_here: Lease) -> None:
    record = filed(signed_here, monthly_rent=Decimal("4100.00"))
    apply(record)
    row = WaitingContract.objects.get()
    _page, client = seen(member("manager", "B1"), row)
    # Without a reason nothing is refused, and the page says so.
    answer = client.post(reverse("staff-waiting", args=[row.pk]), {"verdict": "refuse", "why": "  "})
    assert (answer.status_code, "请写明拒绝的原因" in answer.content.decode()) == (409, True)
    client.post(reverse("staff-waiting", args=[row.pk]), {"verdict": "refuse", "why": "录入有误"})
    assert not WaitingContract.objects.exists()
    assert apply(record) == [Outcome.UNCHANGED]
    with pytest.raises(leases.Refused, match="合同 HT2 已有版本 1，内容与此不同。"):
        apply(filed(signed_here, monthly_rent=Decimal("4200.00")))
    # A later revision that agrees is recognised; the refused one never held.
    assert apply(filed(signed_here, revision=2)) == [Outcome.NEW]
    assert set(LeaseRevision.objects.filter(lease=signed_here).values_list("revision", flat=True)) == {0, 2}


def test_a_refusal_is_undone_from_the_list_of_decisions(signed_here: Lease) -> None:
    apply(filed(signed_here, monthly_rent=Decimal("4100.00")))
    manager = member("manager", "B1")
    row = WaitingContract.objects.get()
    _page, client = seen(manager, row)
    client.post(reverse("staff-waiting", args=[row.pk]), {"verdict": "refuse", "why": "录入有误"})
    decision = ContractDecision.objects.get()
    listed = client.get(reverse("admin:tenants_contractdecision_changelist")).content.decode()
    assert "录入有误" in listed
    assert reverse("staff-undo", args=[decision.pk]) in listed
    response = client.post(reverse("staff-undo", args=[decision.pk]))
    assert response.headers["Location"] == reverse("staff-waiting", args=[WaitingContract.objects.get().pk])
    decision.refresh_from_db()
    assert (decision.undone_by, decision.undone_at is not None) == (manager, True)


def test_an_acceptance_whose_days_have_been_let_meanwhile_cannot_be_undone(signed_here: Lease) -> None:
    apply(filed(signed_here, last_day=date(2026, 6, 30)))
    row = WaitingContract.objects.get()
    _page, client = seen(make_user("root", is_superuser=True), row)
    client.post(reverse("staff-waiting", args=[row.pk]), {"verdict": "accept", "why": ""})
    apply(other("HT9", first_day=date(2026, 7, 1), last_day=date(2026, 12, 31)))
    answer = client.post(reverse("staff-undo", args=[ContractDecision.objects.get().pk]), follow=True)
    assert "合同 HT9 已占用这些日期" in answer.content.decode()
    signed_here.refresh_from_db()
    assert signed_here.contract_no == "HT2"


def test_what_only_waits_for_days_cannot_be_accepted() -> None:
    apply(contract(), other())
    row = WaitingContract.objects.get()
    page, client = seen(make_user("root", is_superuser=True), row)
    assert "采用 ERP 的条款" not in page
    assert "HT1" in page
    answer = client.post(reverse("staff-waiting", args=[row.pk]), {"verdict": "accept", "why": "急"})
    assert (answer.status_code, 'value="急"' in answer.content.decode()) == (409, True)
    assert WaitingContract.objects.get() == row


@pytest.mark.parametrize(("role", "code", "status"), [
    ("manager", "B1", 200), ("manager", "B2", 404), ("care", "B1", 404), ("technician", "B1", 404), ("hq", None, 200),
])  # fmt: skip
def test_the_head_office_and_the_manager_of_the_building_decide(role: str, code: str | None, status: int) -> None:
    make_building("B2")
    apply(contract(), other())
    client = Client()
    client.force_login(member(role, code))
    row = WaitingContract.objects.get()
    address = reverse("staff-waiting", args=[row.pk])
    assert client.get(address).status_code == status
    assert client.post(address, {"verdict": "refuse", "why": "x"}).status_code == (302 if status == 200 else 404)
    assert WaitingContract.objects.exists() == (status == 404)
    assert client.get(reverse("admin:tenants_waitingcontract_changelist")).status_code == (
        200 if role in {"hq", "manager"} else 403
    )


# --- The page of a contract -----------------------------------------------------------------------


def test_the_page_of_a_contract_shows_its_revisions_and_how_it_was_known_on_a_day(tmp_path: Path) -> None:
    clock.set_to(clock.at(date(2025, 11, 3), 9))
    load(tmp_path, ROW | {"同住人": "王敏 10000000003"})
    clock.set_to(clock.at(date(2025, 11, 20), 9))
    load(tmp_path, ROW | {"版本": "2", "房源编号": "B", "月租金": "3950", "同住人": ""})
    clock.set_to(NOW)
    lease = Lease.objects.get()
    client = Client()
    client.force_login(member("care", "B1"))
    page = client.get(reverse("staff-contract", args=[lease.pk])).content.decode()
    assert "3,800.00" in page
    assert "3,950.00" in page
    assert "contracts.csv" in page  # the file that brought it
    assert "2025-11-20 09:00" in page
    then = client.get(reverse("staff-contract", args=[lease.pk]), {"known": "2025-11-10"}).content.decode()
    aside = then[then.index("<aside") :]
    assert ("3,800.00" in aside, "3,950.00" in aside, "王敏" in aside) == (True, False, True)
    assert "那天还不知道" in then
    before = client.get(reverse("staff-contract", args=[lease.pk]), {"known": "2025-11-01"}).content.decode()
    assert "那天还没有这份租约的任何记录" in before
    for wrong, why in (("2026-13-01", "不是有效日期"), ("2027-01-01", "还没有到")):
        assert why in client.get(reverse("staff-contract", args=[lease.pk]), {"known": wrong}).content.decode()
    # Linked from the tenant's page.
    tenant = client.get(reverse("staff-tenant", args=[Tenant.objects.get(name="林晓").pk])).content.decode()
    assert reverse("staff-contract", args=[lease.pk]) in tenant


@pytest.mark.parametrize(("role", "code", "status"), [
    ("care", "B1", 200), ("care", "B2", 404), ("technician", "B1", 403), ("hq", None, 200),
])  # fmt: skip
def test_a_contract_of_another_building_does_not_exist(role: str, code: str | None, status: int) -> None:
    make_building("B2")
    apply(contract())
    client = Client()
    client.force_login(member(role, code))
    assert client.get(reverse("staff-contract", args=[Lease.objects.get().pk])).status_code == status


def test_who_moved_here_from_another_building_is_not_followed_there() -> None:
    make_unit("Z", building=make_building("B2"))
    leases.enter([contract(unit="Z")], now=clock.at(date(2025, 11, 3)))
    leases.enter(
        [other(unit="Z", first_day=date(2026, 1, 1), last_day=date(2026, 2, 1))], now=clock.at(date(2025, 11, 4))
    )
    leases.enter([contract(revision=2, unit="A")], now=clock.at(date(2025, 11, 20)))
    client = Client()
    client.force_login(member("care", "B1"))
    page = client.get(
        reverse("staff-contract", args=[Lease.objects.get(contract_no="HT1").pk]), {"known": "2025-11-10"}
    )
    assert page.status_code == 200
    assert "周航" not in page.content.decode()


def test_the_command_loads_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(tmp_path, ROW | {"身份证号": GOOD, "同住人": "王敏 10000000003"})
    call_command("load", "contracts", str(tmp_path / "contracts.csv"), json=True)
    assert json.loads(capsys.readouterr().out)["duplicate"] == 1
    assert Consent.objects.count() == 0
