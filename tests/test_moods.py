"""The mood on a bill: asked once, given without login, changed until the next bill, and read by its last word."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connectors.channels import kind
from connectors.models import PhoneMessage
from renewal import days
from tenants import asking, clock, features, feedback, links, outbox, tags, templating
from tenants.models import BillAsk, Click, Consent, Event, Feature, Lease, LeaseTenant, Link, Message, Tenant, TenantTag
from tenants.outbox import envelopes
from tests.letter import digits_of, make_letter
from tests.makers import NOW, TODAY, make_event, make_lease, make_tenant
from tests.test_templates import approve

pytestmark = pytest.mark.django_db

HEADERS = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
BILLED = NOW - timedelta(days=6)


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


def switch_on() -> None:
    asking.switch(asking.MOODS, on=True, by=None, now=NOW - timedelta(days=1))


def bill(lease: Lease, month: str = "2025-11", **facts: Any) -> Event:
    facts.setdefault("at", BILLED)
    data = {"bill": f"ZD-{lease.pk}-{month}", "amount": "233.50", "month": month}
    return make_event("bill.issued", LeaseTenant.objects.filter(lease=lease).earliest("pk").tenant, data=data, **facts)


def token_of(one: BillAsk) -> str:
    return links.token_for(feedback.carrier_of(one))


def question(**facts: Any) -> tuple[BillAsk, str]:
    """A bill of last week that its tenant was asked about."""
    lease = make_lease(**facts)
    bill(lease)
    switch_on()
    feedback.ask(now=NOW)
    one = BillAsk.objects.get(lease=lease)
    return one, token_of(one)


def given() -> list[dict[str, Any]]:
    return list(Event.objects.filter(kind="mood.given").order_by("pk").values_list("data", flat=True))


# --- Asking ---


def test_nobody_is_asked_until_it_is_switched_on() -> None:
    bill(make_lease())
    assert feedback.ask(now=NOW) == 0
    switch_on()
    assert (feedback.ask(now=NOW), feedback.ask(now=NOW)) == (1, 0)
    asking.switch(asking.MOODS, on=False, by=None, now=NOW)
    bill(make_lease())
    assert feedback.ask(now=NOW) == 0


def test_a_day_asks_each_person_of_the_lease_once_and_the_phone_shows_a_link_that_works(client: Client) -> None:
    lease = make_lease(make_tenant("林晓"))
    LeaseTenant.objects.create(lease=lease, tenant=make_tenant("何静"), is_primary=False)
    bill(lease)
    switch_on()
    assert days.run(today=TODAY, now=NOW)["stages"]["questions"]["moods"] == 2
    days.run(today=TODAY, now=NOW)
    messages = Message.objects.filter(link_purpose="mood").order_by("pk")
    assert [(m.key, m.klass, m.state) for m in messages] == [
        (f"mood:{one.pk}", "service", "accepted") for one in BillAsk.objects.order_by("pk")
    ]
    urls = [row.url for row in PhoneMessage.objects.order_by("pk") if "账单" in row.text]
    assert len(set(urls)) == 2
    for url in urls:
        assert re.fullmatch(r"http://[^/]+/m/[a-z2-7]{26}", url)
        assert client.get(url.partition("//")[2].partition("/")[2].join(["/", ""])).status_code == 200
    text = PhoneMessage.objects.order_by("pk")[0].text
    assert "2025年11月" in text
    assert "林晓" not in text
    assert "233" not in text


def test_at_night_the_question_waits_for_the_morning() -> None:
    night = clock.at(TODAY, 22)
    bill(make_lease())
    switch_on()
    feedback.ask(now=night)
    outbox.drain(now=night)
    message = Message.objects.get()
    assert (message.state, message.not_before) == ("queued", clock.at(TODAY + timedelta(days=1), 9))


def test_whom_nobody_asks() -> None:
    """Those who said it already, who refused, whose lease is over, whose bill is old; and of two bills only the new."""
    switch_on()
    said, refused, agreed_again, over, old, two = (make_lease(make_tenant(name)) for name in "答拒又过旧二")
    for lease in (said, refused, agreed_again, over):
        bill(lease)
    Lease.objects.filter(pk=over.pk).update(last_day=TODAY - timedelta(days=1))
    bill(old, at=NOW - timedelta(days=10))
    bill(two, "2025-10", at=NOW - timedelta(days=9))
    bill(two)
    make_event("mood.given", said.tenants.get(), data={"bill": f"ZD-{said.pk}-2025-11", "mood": "good"})
    for lease in (refused, agreed_again):
        refuses(lease.tenants.get(), at=NOW - timedelta(days=9))
    refuses(agreed_again.tenants.get(), at=NOW - timedelta(days=8), granted=True)
    assert feedback.ask(now=NOW) == 2
    assert [(one.lease_id, one.month) for one in BillAsk.objects.order_by("pk")] == [
        (agreed_again.pk, "2025-11"), (two.pk, "2025-11"),
    ]  # fmt: skip


def refuses(tenant: Tenant, *, at: Any, granted: bool = False) -> None:
    Consent.objects.create(
        tenant=tenant, purpose="surveys", channel="any", granted=granted, at=at, text_version="1", proof="前台",
        recorded_at=at,
    )  # fmt: skip


# --- By templates, and through the common door ---


def approved(code: str, settings: Any) -> None:
    """SMS and WeChat alone are in use, and the template of that code has been approved there."""
    settings.CHANNELS = ["sms", "wechat", "wechat_subscribe"]
    templating.ship(now=NOW)
    for channel, number in (("sms", "SMS_500001"), ("wechat", "t" * 32), ("wechat_subscribe", "s" * 32)):
        approve(channel, code, number)


def test_where_approved_templates_alone_are_sent_the_question_goes_by_one(settings: Any) -> None:
    approved("mood-ask", settings)
    _one, token = question()
    message = Message.objects.get()
    assert (message.state, message.channel, message.route) == ("queued", "sms", ["wechat", "wechat_subscribe"])
    assert message.forms == {
        "sms": {"template": "SMS_500001", "values": {"month": "2025年11月"}},
        "wechat": {"template": "t" * 32, "values": {"thing1": "2025年11月"}},
        "wechat_subscribe": {"template": "s" * 32, "values": {"thing1": "2025年11月"}},
    }
    sealed = envelopes.seal([message.pk], kind("wechat"), now=NOW)[message.pk]
    assert sealed.envelope.url == f"{settings.SITE_URL}/m/{token}"


def test_the_shipped_texts_of_the_question_read_so(settings: Any) -> None:
    approved("mood-ask", settings)
    standing = templating.shelf()
    said = {
        channel: templating.read(standing[channel, "mood-ask"], {"month": "2025年11月"})
        for channel in settings.CHANNELS
    }
    door = f"{settings.SITE_URL}/r/?then=mood"
    assert said["sms"] == f"2025年11月的账单出来了。这个月住得怎么样？凭手机号在 {door} 点一个表情就好。"
    assert said["wechat"] == "账单月份：2025年11月\n提醒内容：这个月住得怎么样，点个表情就好"
    assert said["wechat_subscribe"] == said["wechat"]


def test_without_an_approved_template_nothing_goes_there_and_an_app_takes_our_words(settings: Any) -> None:
    settings.CHANNELS = ["sms", "wechat"]
    templating.ship(now=NOW)
    question()
    assert (Message.objects.get().state, Message.objects.get().forms) == ("suppressed", {})
    settings.CHANNELS = ["sms", "jpush"]
    bill(make_lease(make_tenant("何静")))
    feedback.ask(now=NOW)
    message = Message.objects.latest("pk")
    assert (message.state, message.channel, message.route, message.forms) == ("queued", "jpush", [], {})


def through_the_door(client: Client, phone: str, then: str = "mood") -> Any:
    client.post("/r/", {"phone": phone, "then": then})
    return client.post("/r/code", {"code": digits_of("door:")})


def test_the_common_door_leads_to_ones_own_newest_question_and_opens_no_letter(client: Client) -> None:
    link, _token = make_letter()
    lease = link.lease
    other = make_tenant("何静")
    LeaseTenant.objects.create(lease=lease, tenant=other, is_primary=False)
    bill(lease)
    switch_on()
    feedback.ask(now=NOW)
    assert "<h1>这个月怎么样</h1>" in client.get("/r/?then=mood").content.decode()
    for person in (link.tenant, other):
        own = token_of(BillAsk.objects.get(tenant=person))
        assert through_the_door(client, person.phone)["Location"] == f"/m/{own}"
        assert client.get("/r/letter/").status_code == 410, "who comes for a question has opened no letter"
        clock.advance(timedelta(minutes=2))
    assert not Link.objects.filter(carrier__startswith="door:").exists()
    assert not Click.objects.exists()
    bill(lease, "2025-12", at=NOW)
    feedback.ask(now=clock.now())
    newest = token_of(BillAsk.objects.get(tenant=other, month="2025-12"))
    assert through_the_door(client, other.phone)["Location"] == f"/m/{newest}"


def test_at_the_door_a_wrong_code_leads_to_no_question_and_where_none_opens_it_says_so(client: Client) -> None:
    one, _token = question()
    client.post("/r/", {"phone": one.tenant.phone, "then": "mood"})
    wrong = "000000" if digits_of("door:") != "000000" else "111111"
    assert client.post("/r/code", {"code": wrong}).status_code == 422
    assert "这次提问已经结束" in through_the_door(Client(), one.tenant.phone, then="survey").content.decode()
    clock.set_to(NOW + timedelta(days=62))
    assert "这次提问已经结束" in through_the_door(Client(), one.tenant.phone).content.decode()


# --- The page ---


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_at_the_question_changes_nothing(client: Client, method: str) -> None:
    _one, token = question()
    with CaptureQueriesContext(connection) as queries:
        for _again in range(3):
            getattr(client, method)(f"/m/{token}")
    assert not [q["sql"] for q in queries if re.match(r"\s*(insert|update|delete)", q["sql"], re.I)]
    assert given() == []


def test_the_page_shows_the_month_and_three_faces_and_nothing_personal(client: Client) -> None:
    one, token = question()
    client.post(f"/m/{token}", {"mood": "bad", "text": "楼道太吵"})
    page = client.get(f"/m/{token}").content.decode()
    assert "2025年11月" in page
    assert re.findall(r'type="radio" name="mood" value="(\w+)"', page) == ["good", "soso", "bad"]
    assert [face for face in "😊😐😞" if face in page] == ["😊", "😐", "😞"]
    assert [word for word in ("满意", "一般", "不满意") if word in page] == ["满意", "一般", "不满意"]
    for secret in (one.tenant.name, one.tenant.phone, "233", one.bill, "楼道", one.lease.unit.code, "checked"):
        assert secret not in page


def test_a_vote_is_an_event_and_the_same_again_is_the_same(client: Client) -> None:
    one, token = question()
    for _again in range(2):
        page = client.post(f"/m/{token}", {"mood": "soso", "text": " 还行，\n就是热水慢 "})
        assert page.status_code == 200
    assert "照看这栋楼的同事会看到" in page.content.decode()
    client.post(f"/m/{token}", {"mood": "soso"})
    assert given() == [{"bill": one.bill, "mood": "soso", "text": "还行， 就是热水慢"}]
    event = Event.objects.get(kind="mood.given")
    assert (event.source, event.source_id, event.tenant_id, event.at.date()) == (
        "letter", f"mood:{one.pk}#001", one.tenant_id, date(2025, 12, 1),
    )  # fmt: skip


def test_a_changed_vote_is_a_later_event_and_the_last_word_counts(client: Client) -> None:
    one, token = question()
    for mood in ("bad", "soso", "bad", "good"):
        client.post(f"/m/{token}", {"mood": mood})
        clock.advance(timedelta(minutes=1))
    assert [said["mood"] for said in given()] == ["bad", "soso", "bad", "good"]
    features.refresh(today=TODAY, now=clock.now())
    row = Feature.objects.get(tenant=one.tenant)
    assert (row.last_moods, row.last_bad_mood_at) == (["good"], None)


def test_three_soso_bills_are_a_streak_by_their_last_word() -> None:
    lease = make_lease()
    tenant = lease.tenants.get()
    for month, moods in (("2025-09", ["bad", "soso"]), ("2025-10", ["soso"]), ("2025-11", ["soso", "good", "soso"])):
        issued = clock.at(date(2025, int(month[-2:]), 25), 9)
        bill(lease, month, at=issued)
        for n, mood in enumerate(moods):
            data = {"bill": f"ZD-{lease.pk}-{month}", "mood": mood}
            make_event("mood.given", tenant, data=data, at=issued + timedelta(hours=n + 1))

    def tagged() -> bool:
        features.refresh(today=TODAY, now=NOW)
        tags.recompute(today=TODAY, now=NOW)
        return TenantTag.objects.filter(tenant=tenant, tag="mood_flat").exists()

    assert tagged()
    assert Feature.objects.get(tenant=tenant).last_moods == ["soso", "soso", "soso"]
    data = {"bill": f"ZD-{lease.pk}-2025-10", "mood": "good"}
    make_event("mood.given", tenant, data=data, at=NOW - timedelta(hours=1))
    assert not tagged()


def test_no_face_or_too_many_words_are_told_in_a_sentence_and_what_was_typed_stays(client: Client) -> None:
    _one, token = question()
    page = client.post(f"/m/{token}", {"mood": "angry", "text": "灯坏了"})
    assert (page.status_code, "请在三个表情里选一个。" in page.content.decode()) == (422, True)
    assert ">灯坏了</textarea>" in page.content.decode()
    page = client.post(f"/m/{token}", {"mood": "bad", "text": "长" * 201})
    assert (page.status_code, "最多 200 个字" in page.content.decode()) == (422, True)
    assert re.search(r'value="bad" required checked', page.content.decode())
    assert given() == []


def test_once_the_next_bill_is_there_the_page_says_so_and_leads_to_the_own_newest_one(client: Client) -> None:
    one, token = question()
    client.post(f"/m/{token}", {"mood": "good"})
    clock.set_to(NOW + timedelta(days=25))
    bill(one.lease, "2025-12", at=NOW + timedelta(days=24))
    page = client.get(f"/m/{token}").content.decode()
    assert "新的账单已经出来了" in page
    assert "/m/" not in page  # nobody was asked about it yet
    feedback.ask(now=clock.now())
    newest = token_of(BillAsk.objects.get(month="2025-12"))
    for answer in (client.get(f"/m/{token}"), client.post(f"/m/{token}", {"mood": "bad"})):
        assert f'href="/m/{newest}"' in answer.content.decode()
    assert [said["mood"] for said in given()] == ["good"]
    assert client.get(f"/m/{newest}").status_code == 200


def test_a_flatmate_votes_for_themselves(client: Client) -> None:
    lease = make_lease()
    LeaseTenant.objects.create(lease=lease, tenant=make_tenant("何静"), is_primary=False)
    bill(lease)
    switch_on()
    feedback.ask(now=NOW)
    for one, mood in zip(BillAsk.objects.order_by("pk"), ("good", "bad"), strict=True):
        client.post(f"/m/{token_of(one)}", {"mood": mood})
    moods = Event.objects.filter(kind="mood.given").order_by("pk").values_list("tenant__name", "data__mood")
    assert list(moods) == [("林晓", "good"), ("何静", "bad")]


# --- Refusing ---


def test_one_tap_refuses_all_questions_takes_back_what_waits_and_can_be_undone(client: Client) -> None:
    one, token = question()
    page = client.post(f"/m/{token}/stop")
    assert (page.status_code, "以后不再问您" in page.content.decode()) == (200, True)
    assert [m.state for m in Message.objects.all()] == ["suppressed"]
    line = Consent.objects.get(purpose="surveys")
    assert line.text
    assert (line.granted, line.text.text.splitlines()[0]) == (False, "居住感受的询问")
    bill(one.lease, "2025-12", at=NOW - timedelta(minutes=1))
    assert feedback.ask(now=NOW) == 0
    assert Client().post(f"/m/{token}/stop", {"undo": "1"}).content.decode().count("没有改动") >= 1
    assert "我们会继续问您" in client.post(f"/m/{token}/stop", {"undo": "1"}).content.decode()
    assert feedback.ask(now=clock.now()) == 1


# --- Links that open nothing ---


def test_expired_revoked_and_unknown_links_answer_as_letters_do(client: Client, settings: Any) -> None:
    one, token = question()
    shape = Client().get("/r/" + "a" * 26).content.decode()
    dead = {"a" * 26: 404, "x": 404, "letter": 404, token: 410}
    settings.H5_MISSES_PER_ADDRESS = 1000
    links.revoke(one.lease, purpose="mood", now=NOW)
    for times in range(2):
        for address, status in dead.items():
            for page in (client.get(f"/m/{address}"), client.head(f"/m/{address}"),
                         client.post(f"/m/{address}", {"mood": "bad"}), client.post(f"/m/{address}/stop")):  # fmt: skip
                assert page.status_code == status, (address, times)
                assert {name: page[name] for name in HEADERS} == HEADERS
                assert page["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
            assert client.get(f"/m/{address}").content.decode().count("<h1>") == shape.count("<h1>") == 1
            assert 'class="shut"' in client.get(f"/m/{address}").content.decode()
        Link.objects.filter(carrier=feedback.carrier_of(one)).update(revoked_at=None, expires_at=NOW)
    assert given() == []
    assert not Consent.objects.filter(purpose="surveys").exists()


def test_a_question_opens_no_letter_and_a_letter_no_question(client: Client) -> None:
    one, token = question()
    _link, letter = links.mint(
        "message:x", tenant=one.tenant, lease=one.lease, purpose="proposal", expires_at=NOW + timedelta(days=9), now=NOW
    )
    assert client.get(f"/r/{letter}").status_code == 200
    for address in (f"/r/{token}", f"/m/{letter}", f"/s/{token}", f"/s/{letter}"):
        assert client.get(address).status_code == 404
    assert client.post(f"/r/{token}/open").status_code == 404
    assert client.post(f"/r/{token}/refuse").status_code == 404


def test_the_headers_stand_on_every_page_and_the_form_is_checked(client: Client) -> None:
    _one, token = question()
    pages = [client.get(f"/m/{token}"), client.post(f"/m/{token}", {}), client.post(f"/m/{token}", {"mood": "good"})]
    pages += [client.put(f"/m/{token}"), client.get(f"/m/{token}/stop")]
    assert [page.status_code for page in pages] == [200, 422, 200, 405, 405]
    for page in pages:
        assert {name: page[name] for name in HEADERS} == HEADERS
        text = page.content.decode()
        assert not re.search(r"<[^>]+\s(style|on\w+)=|<style|<script(?![^>]+src=)", text)
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(f"/m/{token}", {"mood": "bad"}).status_code == 403
    assert [said["mood"] for said in given()] == ["good"]


def test_unknown_tokens_and_answers_are_throttled_as_letters_are(client: Client) -> None:
    _one, token = question()
    tried = ["abcdefghij"[n % 10] * 25 + "klmnopqrst"[n // 10] for n in range(12)]
    assert [client.get(f"/m/{each}").status_code for each in tried] == [404] * 10 + [429] * 2
    answers = [client.post(f"/m/{token}", {"mood": ("good", "bad")[n % 2]}).status_code for n in range(12)]
    assert answers == [200] * 10 + [429] * 2
    assert len(given()) == 10
    assert Client(REMOTE_ADDR="198.51.100.7").get(f"/m/{token}").status_code == 200
