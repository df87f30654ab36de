"""The roadmap as its reader sees it: from the day of moving in, by every way that leads there; no look changes it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client

from campaigns import pushes
from campaigns.draftchecks import NotSaved
from campaigns.models import StepVersion
from connectors.models import PhoneMessage
from renewal import milestones, offers, roadmap
from renewal.models import Case
from renewal.views import words
from tenants import catalogue, clock, links, merges, outbox, perks, vouchers
from tenants.models import Click, Grant, Lease, LeaseTenant, Link, Membership, Message, Perk, Tenant
from tests.letter import digits_of, make_letter, opened, sign_it, without_form_token
from tests.makers import NOW, TODAY, make_enrolment, make_lease, make_playbook, make_tenant, make_user

pytestmark = pytest.mark.django_db
ROAD = "/r/letter/roadmap"


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning_and_the_catalogue_is_there(db: None) -> None:
    clock.set_to(NOW)
    catalogue.ship()


def home(months: int, tenant: Tenant | None = None, **facts: Any) -> Lease:
    since = offers.add_months(TODAY, -months, TODAY.day)
    return make_lease(tenant, **{"first_day": since, "last_day": TODAY + timedelta(days=200), **facts})


def link_of(lease: Lease, carrier: str = "message:roadmap:1") -> tuple[Link, str]:
    tenant = lease.tenants.first()
    assert tenant is not None
    expires_at = links.expiry(lease, now=NOW)
    return links.mint(carrier, tenant=tenant, lease=lease, purpose="roadmap", expires_at=expires_at, now=NOW)


def text(page: Any) -> str:
    assert page.status_code == 200, page
    return " ".join(page.content.decode().split())


def names(page: str) -> list[str]:
    return re.findall(r'class="mile-name">([^<]+)<', page)


def read(client: Client, lease: Lease) -> str:
    _link, token = link_of(lease)
    assert opened(client, token)["Location"] == ROAD
    return text(client.get(ROAD))


# --- What it shows --------------------------------------------------------------------------------------


def test_on_the_day_of_moving_in_everything_lies_ahead_with_its_day(client: Client) -> None:
    page = read(client, home(0))
    assert "<strong>1 天</strong>" in page
    assert names(page) == ["入住", "今天", "保洁一次", "新房源优先选", "社区合伙人分红"]
    for words_of_it in (
        "住满 6 个月 · 2026 年 6 月 1 日",
        "住满 1 年 · 2026 年 12 月 1 日",
        "住满 2 年 · 2027 年 12 月 1 日",
    ):
        assert words_of_it in page
    assert "还有 182 天" in page
    assert "voucher-code" not in page


def test_what_is_reached_stands_with_its_day_and_voucher_and_what_comes_next_with_its_day(client: Client) -> None:
    lease = home(13)
    milestones.give(today=TODAY, now=NOW)
    page = read(client, lease)
    assert "<strong>1 年 1 个月</strong>" in page
    assert names(page) == ["入住", "保洁一次", "新房源优先选", "今天", "社区合伙人分红"]
    cleaning = Grant.objects.get(perk__code="cleaning")
    assert vouchers.code_of(cleaning) in page
    assert page.count('class="voucher-qr"') == 1, "the first choice holds by itself"
    assert "有效期至 2026 年 12 月 1 日" in page
    assert "在住期间一直有效。" in page


def test_redeemed_expired_and_revoked_ones_say_so_and_show_no_code(client: Client) -> None:
    lease = home(30)
    milestones.give(today=TODAY, now=NOW)
    cleaning, partner = Grant.objects.get(perk__code="cleaning"), Grant.objects.get(perk__code="partner")
    vouchers.redeem(cleaning, by=None, now=NOW)
    vouchers.revoke(partner, reason="误发", by=None, now=NOW)
    homestay = Perk.objects.get(code="homestay")
    perks.grant(
        homestay, lease.tenants.get(), lease=lease, key="perk:1:homestay", owner=None, reason="续租时选择",
        expires_at=NOW - timedelta(days=1), now=NOW - timedelta(days=300),
    )  # fmt: skip
    page = read(client, lease)
    assert "已于 2025 年 12 月 1 日 使用" in page
    assert "已于 2025 年 12 月 1 日 收回" in page
    assert "已于 2025 年 11 月 30 日 过期" in page
    assert "其他权益" in page
    assert "voucher-code" not in page
    for grant in Grant.objects.filter(kind="granted"):
        assert vouchers.code_of(grant) not in page


def test_reached_and_not_given_is_said_to_be_coming(client: Client) -> None:
    lease = home(7)
    catalogue.change(Perk.objects.get(code="cleaning").pk, {"offered_to": TODAY - timedelta(days=1)}, by=None, now=NOW)
    milestones.give(today=TODAY, now=NOW)
    assert "已达成。正在准备" in read(client, lease)


def test_of_the_yearly_dividend_those_given_the_last_reached_and_the_next_are_shown(client: Client) -> None:
    lease = home(61)
    milestones.give(today=TODAY, now=NOW)
    page = read(client, lease)
    assert "住满 5 年" in page
    assert "住满 6 年 · 2026 年 11 月 1 日" in page
    assert "住满 2 年 ·" not in page, "nothing was given for it, and nothing will be"


def test_flat_mates_each_have_their_own_codes(client: Client) -> None:
    lease = home(7)
    mate = make_tenant("陈默")
    LeaseTenant.objects.create(lease=lease, tenant=mate, is_primary=False)
    milestones.give(today=TODAY, now=NOW)
    mine, theirs = (Grant.objects.get(tenant=who) for who in (lease.tenants.exclude(pk=mate.pk).get(), mate))
    page = read(client, lease)
    assert vouchers.code_of(mine) in page
    assert vouchers.code_of(theirs) not in page


def test_two_rows_of_one_person_are_one_way(client: Client) -> None:
    old, new = make_tenant("林晓"), make_tenant("林晓")
    make_lease(old, first_day=date(2023, 1, 10), last_day=date(2025, 1, 9))
    lease = home(7, new)
    milestones.give(today=TODAY, now=NOW)
    grant = Grant.objects.get()
    merges.merge(old, new, reason="同一人", by=None, now=NOW)
    page = read(client, lease)
    assert vouchers.code_of(grant) in page
    assert "2023 年 1 月 10 日" in page


def test_who_has_moved_out_is_promised_nothing_and_keeps_what_they_have(client: Client) -> None:
    lease = home(8)
    milestones.give(today=TODAY, now=NOW)
    Lease.objects.filter(pk=lease.pk).update(last_day=TODAY - timedelta(days=1))
    lease.refresh_from_db()
    client.post("/r/", {"phone": lease.tenants.get().phone})
    assert client.post("/r/code", {"code": digits_of("door:")})["Location"] == ROAD
    page = text(client.get(ROAD))
    assert names(page) == ["入住", "保洁一次"]
    assert "谢谢您住过这里" in page


@pytest.mark.parametrize(
    ("since", "today", "said"),
    [
        (date(2025, 12, 1), date(2025, 12, 1), "1 天"),
        (date(2025, 11, 2), date(2025, 12, 1), "30 天"),
        (date(2025, 11, 1), date(2025, 12, 1), "1 个月"),
        (date(2025, 8, 31), date(2025, 11, 30), "3 个月"),
        (date(2024, 12, 2), date(2025, 12, 1), "11 个月"),
        (date(2024, 12, 1), date(2025, 12, 1), "1 年"),
        (date(2024, 2, 29), date(2026, 2, 28), "2 年"),
        (date(2023, 6, 15), date(2025, 12, 1), "2 年 5 个月"),
    ],
)
def test_how_long_is_said_in_whole_months(since: date, today: date, said: str) -> None:
    assert words.lived(since, today) == said


# --- The ways there -------------------------------------------------------------------------------------


def test_the_cover_of_its_own_link_tells_nothing_and_changes_nothing(client: Client) -> None:
    lease = home(7)
    link, token = link_of(lease)
    page = text(client.get(f"/r/{token}"))
    assert "打开路线图" in page
    assert lease.tenants.get().name not in page
    assert not Click.objects.exists()
    assert Client().get(ROAD).status_code == 410
    opened(client, token)
    assert Click.objects.get(link=link).proof == "gesture"
    other = opened(Client(), token)
    assert other["Location"] == "/r/confirm", "a proven link belongs to its first device"


def test_looking_changes_nothing(client: Client) -> None:
    lease = home(13)
    read(client, lease)
    before = [list(model.objects.values()) for model in (Grant, Click, Case, Link, Message)]
    first, second = client.get(ROAD), client.get(ROAD)
    assert without_form_token(first) == without_form_token(second)
    assert [list(model.objects.values()) for model in (Grant, Click, Case, Link, Message)] == before
    assert client.post(ROAD).status_code == 405


def test_what_opens_the_roadmap_opens_no_letter(client: Client) -> None:
    letter, _token = make_letter()
    _link, token = link_of(letter.lease)
    opened(client, token)
    for path in ("", "agreement", "decline", "notice", "code", "done"):
        assert client.get(f"/r/letter/{path}")["Location"] == ROAD
    for path in ("quote", "sign", "decline", "agreement", "general"):
        assert client.post(f"/r/letter/{path}", {"term": "12"})["Location"] == ROAD
    assert Case.objects.get().state == "contacted"
    assert client.get("/r/letter/preferences").status_code == 200


def test_from_the_letter_and_its_last_page_a_link_leads_there_and_back(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    assert f'href="{ROAD}"' in text(client.get("/r/letter/"))
    page = text(client.get(ROAD))
    assert 'href="/r/letter/"' in page
    sign_it(client)
    assert f'href="{ROAD}"' in text(client.get("/r/letter/done"))
    assert "居住成就" in text(client.get(ROAD))
    assert 'href="/r/letter/"' not in text(client.get(ROAD)), "there is nothing left to choose"


def test_the_common_door_leads_whoever_has_nothing_to_renew_yet_to_their_roadmap(client: Client) -> None:
    lease = home(3)
    client.post("/r/", {"phone": lease.tenants.get().phone})
    assert client.post("/r/code", {"code": digits_of("door:")})["Location"] == ROAD
    assert "入住" in text(client.get(ROAD))
    assert Link.objects.get().purpose == "roadmap"


def test_the_common_door_leads_there_who_asks_for_it_though_a_letter_waits(client: Client) -> None:
    letter, _token = make_letter()
    assert "居住成就路线图" in text(client.get("/r/?then=roadmap"))
    client.post("/r/?then=roadmap", {"phone": letter.tenant.phone, "then": "roadmap"})
    assert client.post("/r/code", {"code": digits_of("door:")})["Location"] == ROAD
    assert 'href="/r/letter/"' in text(client.get(ROAD))


def test_a_letter_that_is_closed_leads_on_to_the_roadmap(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    Case.objects.update(state="moved_out")
    page = client.get("/r/letter/")
    if page.status_code == 410:
        assert f'href="{ROAD}"' in page.content.decode()
    else:
        pytest.fail(f"{page.status_code}")
    assert link.lease.pk


def test_staff_send_the_link_once_a_day_and_it_opens_the_roadmap(client: Client) -> None:
    lease = home(7)
    tenant = lease.tenants.get()
    mei = make_user("mei")
    Membership.objects.create(user=mei, role="care", building=lease.unit.building, first_day=TODAY)
    client.force_login(mei)
    for _click in range(2):
        assert client.post(f"/admin/tenant/{tenant.pk}/roadmap/").status_code == 302
    message = Message.objects.get()
    assert (message.klass, message.link_purpose, message.lease) == ("service", "roadmap", lease)
    outbox.drain(now=clock.now())
    url = PhoneMessage.objects.get().url
    assert opened(client, url.rsplit("/", 1)[1])["Location"] == ROAD
    other = make_user("li")
    Membership.objects.create(user=other, role="care", building=make_lease().unit.building, first_day=TODAY)
    stranger = Client()
    stranger.force_login(make_user("xu"))
    assert stranger.post(f"/admin/tenant/{tenant.pk}/roadmap/").status_code == 403


def test_a_step_about_a_service_may_lead_there_and_one_about_renewing_may_not() -> None:
    lease = home(7, last_day=TODAY + timedelta(days=25))
    said = {"code": "road", "kind": "care", "days": 25, "text": "您已住满半年，可以看看居住成就 {roadmap}"}
    version = make_playbook("stay", said)
    make_enrolment(lease, version)
    pushes.plan(today=TODAY, now=NOW)
    pushes.hand_over(today=TODAY, now=NOW)
    message = Message.objects.get()
    assert (message.text, message.link_purpose) == ("您已住满半年，可以看看居住成就", Link.Purpose.ROADMAP)
    with pytest.raises(NotSaved, match="服务消息"):
        _checked(StepVersion.Kind.ASK, "续租看这里 {roadmap}")
    assert _checked(StepVersion.Kind.CARE, "看看居住成就 {roadmap}")["text"] == "看看居住成就 {roadmap}"


def _checked(kind: str, said: str) -> dict[str, Any]:
    from campaigns import draftchecks

    return draftchecks._wording({"text": said, "claims_topic": "", "kind": kind})


def test_a_message_about_the_roadmap_is_not_sent_to_who_has_never_lived_here() -> None:
    with pytest.raises(roadmap.NoStay):
        roadmap.send(make_tenant(), now=NOW, day=TODAY)
