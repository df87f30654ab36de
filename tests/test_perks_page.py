"""The catalogue as staff see it: figures that lead to their lists, a form with a history, a stock."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from tenants import catalogue, clock, perks, vouchers
from tenants.models import Grant, Lease, Membership, Perk, PerkChange, User
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user

pytestmark = pytest.mark.django_db
SOUND = {"name": "保洁一次", "condition": "在住满 6 个月", "cost": "120.00", "valid_days": "365", "has_voucher": "1"}


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning_and_the_catalogue_is_there(db: None) -> None:
    clock.set_to(NOW)
    catalogue.ship()


def staff(role: str, building: str = "") -> Client:
    user = make_user(f"{role}{building}")
    where = make_building(building) if building else None
    Membership.objects.create(user=user, role=role, building=where, first_day=TODAY)
    client = Client()
    client.force_login(user)
    return client


def give(code: str, lease: Lease | None = None, **facts: Any) -> Grant:
    lease = lease or make_lease()
    perk = Perk.objects.get(code=code)
    facts = {"owner": None, "reason": "住满", "expires_at": perks.expiry(perk, now=NOW), "now": NOW} | facts
    return perks.grant(perk, lease.tenants.get(), lease=lease, key=f"{code}:{lease.pk}", **facts)


def text(page: Any) -> str:
    assert page.status_code == 200
    return " ".join(page.content.decode().split())


def test_whoever_has_a_perk_is_led_to_in_english_too() -> None:
    give("cleaning", make_lease(make_tenant(pk=1140)))
    hq = staff("hq")
    hq.cookies["django_language"] = "en"
    page = hq.get(f"/admin/perks/{Perk.objects.get(code='cleaning').pk}/")
    assert 'href="/admin/tenant/1140/"' in text(page)


def test_the_title_says_what_is_owed_and_every_figure_leads_to_its_list() -> None:
    hq = staff("hq")
    used = give("cleaning")
    give("cleaning"), give("homestay")
    vouchers.redeem(used, by=None, now=NOW)
    page = text(hq.get("/admin/perks/"))
    assert "2 份权益可用，待兑现 400.00 元" in page
    assert "共发放 3 份，其中已核销 1 份，计 120.00 元" in page
    cleaning = Perk.objects.get(code="cleaning")
    for state, n in (("redeemed", 1), ("open", 1), ("expired", 0), ("revoked", 0)):
        listed = text(hq.get(f"/admin/perks/{cleaning.pk}/?state={state}"))
        assert listed.count("data-row") == n
    later = NOW + timedelta(days=400)
    clock.set_to(later)
    Membership.objects.update(first_day=TODAY)
    assert "0 份权益可用，待兑现 0.00 元" in text(hq.get("/admin/perks/"))


def test_whom_it_was_given_to_is_seen_within_one_s_own_buildings_and_the_page_says_so() -> None:
    mine = make_lease(make_tenant("林晓"), make_unit(building=make_building("B1")))
    theirs = make_lease(make_tenant("陈默"), make_unit(building=make_building("B2")))
    give("cleaning", mine), give("cleaning", theirs)
    address = f"/admin/perks/{Perk.objects.get(code='cleaning').pk}/"
    page = text(staff("manager", "B1").get(address))
    assert "林晓" in page
    assert "陈默" not in page
    assert "上面的数字含其他楼栋" in page
    assert "陈默" in text(staff("hq").get(address))


def test_who_sees_no_tenants_sees_no_catalogue_and_only_the_head_office_changes_it() -> None:
    address = f"/admin/perks/{Perk.objects.get(code='cleaning').pk}/"
    assert staff("technician", "B1").get("/admin/perks/").status_code == 403
    assert staff("technician", "B2").get(address).status_code == 403
    manager = staff("manager", "B1")
    assert 'name="cost"' not in text(manager.get(address))
    for data in (SOUND, {"do": "restock", "added": "5", "why": "补货"}):
        assert manager.post(address, data).status_code == 403
    assert manager.post("/admin/perks/new/", SOUND | {"code": "tea"}).status_code == 403
    assert not PerkChange.objects.exists()
    assert Client().get("/admin/perks/").status_code == 302


def test_a_change_is_saved_with_who_made_it_and_stands_in_the_history() -> None:
    hq, perk = staff("hq"), Perk.objects.get(code="cleaning")
    address = f"/admin/perks/{perk.pk}/"
    form = catalogue.given(perk) | {"cost": "135.5", "partner": "洁家", "is_choice": ""}
    assert hq.post(address, form)["Location"] == address
    perk.refresh_from_db()
    assert (perk.cost, perk.partner, perk.is_choice, perk.has_voucher) == (Decimal("135.50"), "洁家", False, True)
    line = PerkChange.objects.get()
    assert line.by == User.objects.get(username="hq")
    page = text(hq.get(address))
    assert '成本 <s class="quiet">120.00</s> → 135.50' in page
    assert '合作方 <s class="quiet">–</s> → 洁家' in page


def test_what_cannot_be_kept_is_said_in_one_sentence_and_stays_in_the_form() -> None:
    hq, perk = staff("hq"), Perk.objects.get(code="cleaning")
    answer = hq.post(f"/admin/perks/{perk.pk}/", catalogue.given(perk) | {"cost": "一百二", "partner": "洁家"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "请填写金额（元），例如 120 或 99.50。" in page
    assert 'value="一百二"' in page
    assert 'value="洁家"' in page
    assert not PerkChange.objects.exists()


def test_the_stock_is_changed_with_a_reason_and_below_nothing_it_cannot_go() -> None:
    hq, perk = staff("hq"), Perk.objects.get(code="homestay")
    address = f"/admin/perks/{perk.pk}/"
    assert hq.post(address, {"do": "restock", "added": "50", "why": "新签 50 晚"}).status_code == 302
    assert Perk.objects.get(pk=perk.pk).stock == 250
    for data, words in (
        ({"added": "-251", "why": "x"}, "库存只剩 250"),
        ({"added": "", "why": "x"}, "请填写整数"),
        ({"added": "1.5", "why": "x"}, "请填写整数"),
        ({"added": "5", "why": ""}, "请写明原因"),
        ({"added": "0", "why": "x"}, "请填写数量"),
    ):
        answer = hq.post(address, {"do": "restock", **data})
        assert answer.status_code == 422
        assert words in answer.content.decode()
    assert Perk.objects.get(pk=perk.pk).stock == 250
    assert "库存 +50" in text(hq.get(address))
    hq.post(address, {"do": "restock", "unlimited": "1", "why": "按需采购"})
    assert Perk.objects.get(pk=perk.pk).stock is None


def test_a_new_perk_is_made_once_and_a_second_of_its_code_is_refused() -> None:
    hq = staff("hq")
    made = hq.post("/admin/perks/new/", SOUND | {"code": "tea", "stock": "10"})
    perk = Perk.objects.get(code="tea")
    assert made["Location"] == f"/admin/perks/{perk.pk}/"
    assert (perk.stock, PerkChange.objects.get().added) == (10, 10)
    for code, words in (("tea", "已有同一代码的权益"), ("Tea!", "小写字母")):
        answer = hq.post("/admin/perks/new/", SOUND | {"code": code})
        assert answer.status_code == 422
        assert words in answer.content.decode()


def test_the_form_of_a_new_perk_says_what_is_asked() -> None:
    page = text(staff("hq").get("/admin/perks/new/"))
    assert "<h2>权益内容</h2>" in page
    assert re.search(r'name="valid_days"[^>]*placeholder="长期有效"', page)


def test_the_tenant_s_page_says_how_each_perk_stands() -> None:
    hq = staff("hq")
    grant = give("cleaning")
    vouchers.redeem(grant, by=None, now=NOW)
    page = text(hq.get(f"/admin/tenant/{grant.tenant_id}/"))
    assert page.count("保洁一次") == 1
    assert "已核销" in page


def test_who_has_reached_a_milestone_and_waits_is_counted() -> None:
    hq = staff("hq")
    make_lease(first_day=TODAY - timedelta(days=250), last_day=TODAY + timedelta(days=100))
    perk = Perk.objects.get(code="cleaning")
    catalogue.change(perk.pk, {"offered_to": TODAY - timedelta(days=1)}, by=None, now=NOW)
    assert "1 人待发放" in text(hq.get("/admin/perks/"))
    assert "1 人已达成、等待发放" in text(hq.get(f"/admin/perks/{perk.pk}/"))
