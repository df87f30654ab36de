"""Staff find two records of one person, merge them with a reason, and take them apart again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, expect

from connectors.records import ContractRecord, EventRecord, Kind
from tenants import attributes, candidates, clock, consents, ingest, leases, merges
from tenants.models import Alias, Building, Membership, Merge, Tenant, User
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user
from tests.test_leases import contract

pytestmark = pytest.mark.django_db
CARD = "a" * 63 + "1"


def sign(number: str, unit: str, phone: str, first: date, days_ago: int, **facts: Any) -> None:
    """A contract of 林晓, as the ERP told it so many days ago."""
    record: ContractRecord = contract(
        number, unit=unit, phone=phone, signed_on=first, first_day=first, last_day=first + timedelta(days=364), **facts
    )
    leases.apply(record, now=NOW - timedelta(days=days_ago))


@pytest.fixture
def twice() -> tuple[Tenant, Tenant]:
    """林晓 moved from A to B with a new number; only later did the second contract say the same identity card."""
    clock.set_to(NOW)
    for code in ("A-0101", "B-0202"):
        make_unit(code, make_building(code[0]))
    sign("HT1", "A-0101", "13900000001", date(2023, 5, 1), 300, id_hash=CARD, app_user="u-7")
    sign("HT2", "B-0202", "13900000002", date(2025, 3, 1), 3)
    sign("HT2", "B-0202", "13900000002", date(2025, 3, 1), 1, revision=2, id_hash=CARD)
    old, new = (Alias.objects.get(source="phone", ref=f"1390000000{n}").tenant for n in (1, 2))
    assert old
    assert new
    return old, new


def member(role: str, *codes: str) -> tuple[User, Client]:
    user = make_user(f"{role}-{''.join(codes)}")
    for code in codes or (None,):
        building = Building.objects.get(code=code) if code else None
        Membership.objects.create(user=user, role=role, building=building, first_day=TODAY)
    client = Client()
    client.force_login(user)
    return user, client


def html(response: Any) -> str:
    return str(response.content.decode())


# --- who may be one -------------------------------------------------------------------------------


def found() -> list[tuple[Tenant, Tenant, list[tuple[str, str, int]]]]:
    return [
        (pair.one, pair.other, [(each.source, each.contract_no, each.revision) for each in pair.evidence])
        for pair in candidates.candidates()
    ]


def test_an_identity_card_of_two_stays_with_the_first_and_suggests_them(twice: tuple[Tenant, Tenant]) -> None:
    old, new = twice
    assert Alias.objects.get(source="id_hash").tenant == old
    assert found() == [(old, new, [("id_hash", "HT2", 2)])]


def test_an_account_given_to_two_and_a_phone_and_name_on_file_twice_are_suggested_too() -> None:
    for code in ("A", "B"):
        make_unit(code)
    sign("HT1", "A", "13900000001", date(2024, 1, 1), 9, app_user="u-7", locker="K-1")
    sign("HT2", "B", "13900000002", date(2025, 2, 1), 9, app_user="u-7", tenant_name="周航")
    lin = Alias.objects.get(source="phone", ref="13900000001").tenant
    zhou = Alias.objects.get(source="phone", ref="13900000002").tenant
    assert (lin, zhou) == (Tenant.objects.get(name="林晓"), Tenant.objects.get(name="周航"))
    again = Tenant.objects.create(name="林晓", phone="13900000001", created_at=NOW)
    Tenant.objects.create(name="张伟", phone="13900000001", created_at=NOW)  # a number that was given out again
    assert found() == [(lin, again, [("phone", "", 0)]), (lin, zhou, [("app", "HT2", 1)])]


def test_whom_staff_told_apart_is_not_suggested_again(twice: tuple[Tenant, Tenant]) -> None:
    old, new = twice
    made = merges.merge(new, old, reason="身份证相同", by=None, now=NOW)
    assert found() == []
    merges.unmerge(made, why="是姐妹", by=None, now=NOW)
    assert found() == []


# --- what is held, and since when -----------------------------------------------------------------


def held(person: Tenant) -> dict[str, tuple[str, str, date | None, date | None]]:
    return {
        str(each.name): (each.value, each.source, each.true_on, each.learnt_on)
        for each in attributes.attributes(person)
    }


def test_every_attribute_says_who_told_us_when_it_was_true_and_since_when_we_know(twice: tuple[Tenant, Tenant]) -> None:
    old, new = twice
    stated = EventRecord(
        1, "app", "p1", Kind.PROFILE_STATED, datetime(2025, 11, 20, 2, tzinfo=UTC), ("app", "u-7"), None,
        {"workplace": [30.19, 120.2]},
    )  # fmt: skip
    ingest.take([stated], now=NOW - timedelta(days=2))
    consents.record(
        old, purpose="marketing", channel="any", granted=True, at=NOW - timedelta(days=200), text_version="1",
        proof="入住登记", now=NOW - timedelta(days=190),
    )  # fmt: skip
    learnt_first, learnt_last = TODAY - timedelta(days=300), TODAY - timedelta(days=3)
    assert held(old) == {
        "姓名": ("林晓", "合同 HT1 第 1 版", date(2023, 5, 1), learnt_first),
        "手机号": ("139****0001", "合同 HT1 第 1 版", date(2023, 5, 1), learnt_first),
        "身份证": ("已登记，仅存密钥散列", "合同 HT1 第 1 版", None, learnt_first),
        "App 账号": ("u-7", "合同 HT1 第 1 版", None, learnt_first),
        "工作地点": ("30.19, 120.20", "在 App 中填写", date(2025, 11, 20), TODAY - timedelta(days=2)),
        "通用版": ("未选择", "", None, None),
        "续租优惠": ("同意", "入住登记", TODAY - timedelta(days=200), TODAY - timedelta(days=190)),
    }
    assert held(new)["身份证"][:2] == ("合同已填写，与另一条记录相同", "合同 HT2 第 2 版")
    merges.merge(new, old, reason="身份证相同", by=None, now=NOW)
    assert held(new)["手机号"] == ("139****0002", "合同 HT2 第 1 版", date(2025, 3, 1), learnt_last)
    assert held(new)["工作地点"] == held(old)["工作地点"]


def test_the_page_shows_it_with_its_age_and_no_whole_number(twice: tuple[Tenant, Tenant]) -> None:
    _old, new = twice
    _user, client = member("care", "B")
    page = html(client.get(reverse("staff-tenant", args=[new.pk])))
    assert "身份与资料" in page
    assert "3 天前" in page
    assert "13900000002" not in page
    assert CARD not in page


# --- through the doors ----------------------------------------------------------------------------


def test_only_who_sees_both_is_told_and_only_a_manager_decides(twice: tuple[Tenant, Tenant]) -> None:
    old, new = twice
    address = reverse("staff-same")
    pages = {
        who: html(client.get(address))
        for who, (_user, client) in {"A": member("manager", "A"), "AB": member("manager", "A", "B")}.items()
    }
    assert ("身份证相同" in pages["A"], "身份证相同" in pages["AB"]) == (False, True)
    _care, client = member("care", "A", "B")
    assert "确认同一人，合并" not in html(client.get(address))
    told = {"other": old.pk, "reason": "身份证相同"}
    assert client.post(reverse("staff-merge", args=[new.pk]), told).status_code == 403
    _manager, client = member("manager", "B")
    assert client.post(reverse("staff-merge", args=[new.pk]), told).status_code == 404
    _technician, client = member("technician", "A")
    assert client.get(address).status_code == 403
    assert not Merge.objects.exists()


def test_a_manager_merges_and_undoes_and_both_stand_in_the_record(twice: tuple[Tenant, Tenant]) -> None:
    old, new = twice
    manager, client = member("manager", "A", "B")
    answer = client.post(reverse("staff-merge", args=[new.pk]), {"other": old.pk, "reason": "身份证相同"})
    assert (answer.status_code, answer["Location"]) == (302, reverse("staff-tenant", args=[new.pk]))
    made = Merge.objects.get()
    assert (made.kept, made.merged, made.reason, made.by) == (new, old, "身份证相同", manager)
    assert clock.day_of(made.at) == TODAY
    assert "林晓并入林晓" in html(client.get(answer["Location"]))
    answer = client.post(reverse("staff-undo-merge", args=[made.pk]), {"why": "是姐妹"})
    assert answer.status_code == 302
    made.refresh_from_db()
    assert made.undone_at
    assert (clock.day_of(made.undone_at), made.undone_by, made.undone_why) == (TODAY, manager, "是姐妹")
    again = client.post(reverse("staff-undo-merge", args=[made.pk]), {"why": "再来一次"})
    assert (again.status_code, "这次合并已经撤销。" in html(again)) == (409, True)


def test_what_was_typed_stays_when_a_merge_is_refused(twice: tuple[Tenant, Tenant]) -> None:
    old, new = twice
    Alias.objects.create(source="id_hash", ref="b" * 64, tenant=new, recorded_at=NOW)
    _user, client = member("hq")
    answer = client.post(reverse("staff-merge", args=[new.pk]), {"other": old.pk, "reason": "客户自己说的"})
    assert answer.status_code == 409
    assert "两人的身份证号不同，不是同一人。" in html(answer)
    assert not Merge.objects.exists()
    blank = client.post(reverse("staff-merge", args=[old.pk]), {"other": make_lease().tenants.get().pk, "reason": " "})
    assert (blank.status_code, "请写明为什么是同一人。" in html(blank)) == (409, True)


def test_anybody_may_be_compared_by_phone_or_contract_within_the_doors(twice: tuple[Tenant, Tenant]) -> None:
    old, new = twice
    _user, client = member("manager", "A", "B")

    def compare(words: str) -> tuple[int, str]:
        answer = client.get(reverse("staff-same"), {"one": str(new.pk), "other": words})
        return answer.status_code, html(answer)

    for words in (" 13900000001 ", "HT1"):
        status, page = compare(words)
        assert (status, "A-0101" in page, "确认同一人，合并" in page) == (200, True, True)
    status, page = compare("13911112222")
    assert (status, "没有找到 13911112222" in page) == (404, True)
    stranger = make_lease(make_tenant("陈默"), make_unit("C-0101", make_building("C")), contract_no="HT9")
    assert compare(stranger.contract_no)[0] == 404
    assert old.pk != new.pk


def test_the_head_office_sees_what_waits_and_for_whom(twice: tuple[Tenant, Tenant]) -> None:
    at = NOW - timedelta(days=1)
    for n in range(3):
        who = ("phone", "13977776666") if n else ("app", "u-99")
        ingest.take([EventRecord(1, "app", f"w{n}", Kind.APP_VIEWED, at, who, None, {"name": "home"})], now=NOW)
    page = html(member("hq")[1].get(reverse("staff-same")))
    assert "3 条事件等待认领" in page
    assert "139****6666" in page
    assert "13977776666" not in page
    assert "等待认领" not in html(member("manager", "A", "B")[1].get(reverse("staff-same")))


# --- in a browser ---------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_merge_and_its_undoing_by_clicks(chromium: Browser, live_server: Any, twice: tuple[Tenant, Tenant]) -> None:
    old, new = twice
    make_user("chief", is_superuser=True, password=make_password("chief"))
    page = chromium.new_page(base_url=live_server.url, locale="zh-CN", viewport={"width": 1440, "height": 900})
    page.goto("/admin/tenant/")
    page.fill("input[name=username]", "chief")
    page.fill("input[name=password]", "chief")
    page.click("button[type=submit]")
    page.get_by_role("link", name="是否同一人").click()
    expect(page.get_by_text("身份证相同")).to_be_visible()
    page.get_by_label("为什么是同一人").fill("换了手机号，身份证相同")
    page.get_by_role("button", name="确认同一人，合并").click()
    expect(page.get_by_text("已合并到林晓")).to_be_visible()
    expect(page.locator("#identity")).to_contain_text("换了手机号，身份证相同")
    assert Tenant.objects.get(pk=old.pk).merged_into == new
    page.locator("#identity").get_by_role("link", name="撤销").click()
    page.get_by_label("为什么不是同一人").fill("是姐妹")
    page.get_by_role("button", name="撤销合并").click()
    expect(page.get_by_text("林晓和林晓已恢复为两人")).to_be_visible()
    assert Tenant.objects.get(pk=old.pk).merged_into is None
    page.close()
