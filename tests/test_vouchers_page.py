"""The front desk: a code, what it is and whose, one click, and a slip taken back in minutes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from renewal.views.roadmap import qr
from tenants import catalogue, clock, perks, vouchers
from tenants.models import Grant, Lease, Membership, Perk
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user

pytestmark = pytest.mark.django_db
DESK = "/admin/voucher/"


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning_and_the_catalogue_is_there(db: None) -> None:
    clock.set_to(NOW)
    catalogue.ship()


def staff(role: str = "care", building: str = "B1") -> Client:
    user = make_user(f"{role}{building}")
    where = make_building(building) if building else None
    Membership.objects.create(user=user, role=role, building=where, first_day=TODAY - timedelta(days=500))
    client = Client()
    client.force_login(user)
    return client


def voucher(code: str = "cleaning", building: str = "B1", **facts: Any) -> Grant:
    lease: Lease = make_lease(make_tenant("林晓"), make_unit(building=make_building(building)))
    perk = Perk.objects.get(code=code)
    facts = {"owner": None, "reason": "住满 6 个月", "expires_at": perks.expiry(perk, now=NOW), "now": NOW} | facts
    return perks.grant(perk, lease.tenants.get(), lease=lease, key=f"v:{lease.pk}", **facts)


def look(client: Client, grant: Grant) -> Any:
    return client.get(DESK, {"code": vouchers.code_of(grant)})


def act(client: Client, grant: Grant, do: str, **more: str) -> Any:
    return client.post(DESK, {"code": vouchers.code_of(grant), "do": do, **more}, follow=True)


def test_a_code_shows_what_it_is_and_whose_masked_and_one_click_redeems_it() -> None:
    desk, grant = staff(), voucher()
    page = look(desk, grant).content.decode()
    assert "保洁一次：可以核销" in page
    assert "林*" in page
    assert "林晓" not in page
    assert grant.tenant.phone not in page
    assert Grant.objects.count() == 1, "looking redeems nothing"
    done = act(desk, grant, "redeem").content.decode()
    assert "保洁一次：已于 2025-12-01 10:00 核销" in done
    line = Grant.objects.get(kind="redeemed")
    assert (line.of, line.owner.username if line.owner else "") == (grant, "careB1")
    assert NOW <= line.granted_at < NOW + timedelta(minutes=1)


def test_a_second_time_says_when_it_was_redeemed_and_by_whom() -> None:
    one, two, grant = staff(), staff("manager"), voucher()
    act(one, grant, "redeem")
    clock.set_to(NOW + timedelta(days=3))
    page = act(two, grant, "redeem").content.decode()
    assert "这张券之前已核销，没有变化。" in page
    assert "已于 2025-12-01 10:00 核销" in page
    assert "careB1" in page
    assert Grant.objects.filter(kind="redeemed").count() == 1


def test_a_slip_is_taken_back_within_minutes_and_not_after() -> None:
    desk, grant = staff(), voucher()
    act(desk, grant, "redeem")
    clock.set_to(NOW + timedelta(minutes=9))
    assert "可撤回" in look(desk, grant).content.decode()
    assert "可以核销" in act(desk, grant, "back").content.decode()
    act(desk, grant, "redeem")
    clock.set_to(NOW + timedelta(minutes=20))
    assert "可撤回" not in look(desk, grant).content.decode()
    late = act(desk, grant, "back")
    assert late.status_code == 409
    assert "只能在 10 分钟内撤回" in late.content.decode()
    assert [line.kind for line in Grant.objects.order_by("pk")] == ["granted", "redeemed", "reversed", "redeemed"]


def test_expired_and_revoked_ones_say_so_and_are_not_redeemed() -> None:
    desk, manager, old, wrong = staff(), staff("manager"), voucher(), voucher()
    assert act(desk, wrong, "revoke", why="误发").status_code == 403
    assert "请写明原因" in act(manager, wrong, "revoke", why=" ").content.decode()
    assert "已于 2025-12-01 10:00 收回" in act(manager, wrong, "revoke", why="误发").content.decode()
    refused = act(desk, wrong, "redeem")
    assert (refused.status_code, "不能核销" in refused.content.decode()) == (409, True)
    clock.set_to(NOW + timedelta(days=366))
    assert "保洁一次：2026-12-01 后已过期" in look(desk, old).content.decode()
    assert act(desk, old, "redeem").status_code == 409
    assert not Grant.objects.filter(kind="redeemed").exists()


def test_a_slip_of_the_finger_is_told_from_a_code_that_is_not_there_and_stays_in_the_field() -> None:
    desk, grant = staff(), voucher()
    code = vouchers.code_of(grant)
    wrong = ("3" if code[0] != "3" else "4") + code[1:]
    for typed in (wrong, "ABCD", "0000-0000-0000", "<b>", "券码" * 50):
        page = desk.get(DESK, {"code": typed})
        assert page.status_code == 422
        assert "这不是券码" in page.content.decode()
    assert f'value="{wrong}"' in desk.get(DESK, {"code": wrong}).content.decode()
    missing = desk.get(DESK, {"code": vouchers.derive("nobody")})
    assert missing.status_code == 404
    assert "没有这个券码" in missing.content.decode()
    assert desk.get(DESK, {"code": code.lower().replace("-", " ")}).status_code == 200
    assert desk.get(DESK, {"code": f"https://x.example{DESK}?code={code}"}).status_code == 200


def test_a_voucher_of_another_building_is_not_there() -> None:
    grant = voucher(building="B2")
    desk = staff("care", "B1")
    for answer in (look(desk, grant), act(desk, grant, "redeem"), act(desk, grant, "back")):
        assert answer.status_code == 404
        assert "林" not in answer.content.decode()
    assert Grant.objects.count() == 1
    assert look(staff("hq", ""), grant).status_code == 200


def test_who_sees_no_tenants_redeems_nothing_and_nobody_does_without_signing_in() -> None:
    grant = voucher()
    assert act(staff("technician"), grant, "redeem").status_code == 403
    anonymous = Client().get(f"{DESK}?code={vouchers.code_of(grant)}")
    assert anonymous.status_code == 302
    assert quote(vouchers.code_of(grant)) in anonymous["Location"], "after signing in one is where the code led"
    assert Grant.objects.count() == 1


def test_no_act_but_those_of_the_buttons_and_none_without_a_code() -> None:
    desk, grant = staff(), voucher()
    assert act(desk, grant, "steal").status_code == 400
    assert desk.post(DESK, {"do": "redeem"}).status_code == 200
    assert Grant.objects.count() == 1


def test_what_was_redeemed_last_is_listed_within_one_s_own_buildings() -> None:
    desk, mine, theirs = staff(), voucher(), voucher("homestay", "B2")
    for grant in (mine, theirs):
        vouchers.redeem(grant, by=None, now=NOW)
    back = voucher()
    vouchers.redeem(back, by=None, now=NOW)
    vouchers.take_back(back, by=None, now=NOW)
    page = desk.get(DESK).content.decode()
    assert page.count("保洁一次") == 1
    assert "民宿体验券" not in page


def test_the_drawing_holds_the_address_of_the_desk(settings: Any) -> None:
    """Against the library that draws it: of any other address the drawing would be another."""
    settings.SITE_URL = "https://staff.example"
    import segno

    expected = segno.make("https://staff.example/admin/voucher/?code=ABCD-EFGH-JKMN", error="m", micro=False)
    drawn = expected.svg_inline(border=4, dark="#1d2329", light="#ffffff", omitsize=True)
    assert qr("ABCD-EFGH-JKMN") == drawn
