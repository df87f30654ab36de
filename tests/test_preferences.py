"""What a tenant wants to hear: one tap from any page, per purpose and way, with the way back and its proof."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from renewal import preferences as words
from renewal import proposals
from tenants import clock, consents, links, outbox, preferences
from tenants.models import Consent, ConsentText, GeneralChoice, Link, Message, Tenant
from tenants.outbox import Draft
from tests.letter import digits_of, make_letter, opened
from tests.makers import NOW, make_lease, make_tenant

pytestmark = pytest.mark.django_db
PAGE = "/r/letter/preferences"


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


@pytest.fixture
def two_ways(settings: Any) -> None:
    settings.CHANNELS = ["sms", "jpush", "wechat"]


def choose(client: Client, what: str, granted: int, **more: str) -> Any:
    return client.post("/r/letter/choose", {"what": what, "granted": str(granted), **more})


def open_ways(tenant: Tenant) -> dict[str, bool]:
    return {str(way): is_open for way, is_open in preferences.standing(tenant).ways.items()}


def lines(tenant: Tenant) -> list[tuple[str, str, bool]]:
    """What was added by the tenant, in order."""
    rows = Consent.objects.filter(tenant=tenant).exclude(proof="入住登记").order_by("at", "pk")
    return list(rows.values_list("purpose", "channel", "granted"))


# --- One tap on any page ---


@pytest.mark.parametrize("where", ["", "agreement", "decline", "notice"])
def test_every_page_of_an_open_letter_refuses_by_one_tap_and_leads_to_the_choices(client: Client, where: str) -> None:
    link, token = make_letter()
    opened(client, token)
    page = client.get(f"/r/letter/{where}").content.decode()
    assert page.count('action="/r/letter/refuse"') == 1
    assert page.count(f'href="{PAGE}"') == 1
    assert client.post("/r/letter/refuse", {"page": "letter-read"}).status_code == 200
    assert not preferences.standing(link.tenant).offers


def test_the_cover_refuses_by_one_tap_and_back_in_the_same_browser_alone(client: Client) -> None:
    link, token = make_letter()
    assert f'action="/r/{token}/refuse"' in client.get(f"/r/{token}").content.decode()
    answer = client.post(f"/r/{token}/refuse", {"page": "letter-cover"}).content.decode()
    assert "<h1>收到了</h1>" in answer
    for secret in (link.tenant.name, link.tenant.phone, link.lease.unit.code):
        assert secret not in answer
    assert not preferences.standing(link.tenant).offers
    Client().post(f"/r/{token}/refuse", {"undo": "1"})
    assert not preferences.standing(link.tenant).offers  # whoever was sent the link agrees to nothing
    assert "已改回" in client.post(f"/r/{token}/refuse", {"undo": "1"}).content.decode()
    assert preferences.standing(link.tenant).offers
    client.post(f"/r/{token}/refuse", {"undo": "1"})
    assert lines(link.tenant) == [("marketing", "any", False), ("marketing", "any", True)]


def test_who_had_not_agreed_is_offered_no_way_back(client: Client) -> None:
    link, token = make_letter(tenant=make_tenant(consents=()))
    assert "改回来" not in client.post(f"/r/{token}/refuse").content.decode()
    client.post(f"/r/{token}/refuse", {"undo": "1"})
    assert lines(link.tenant) == [("marketing", "any", False)]


def test_an_undo_is_worth_half_an_hour(client: Client) -> None:
    link, token = make_letter()
    client.post(f"/r/{token}/refuse")
    clock.set_to(NOW + timedelta(minutes=31))
    client.post(f"/r/{token}/refuse", {"undo": "1"})
    assert not preferences.standing(link.tenant).offers


def test_a_refusal_takes_back_what_waits(client: Client) -> None:
    link, token = make_letter()
    outbox.post(
        Draft(key="push:9", klass="marketing", tenant_id=link.tenant_id, text="信", deadline=NOW + timedelta(days=1)),
        now=NOW,
    )
    client.post(f"/r/{token}/refuse")
    assert Message.objects.get().state == "suppressed"


# --- Who may see and choose ---


def test_a_bare_token_shows_nothing_of_what_holds_and_agrees_to_nothing(client: Client) -> None:
    link, token = make_letter(tenant=make_tenant(consents=()))
    assert client.get(f"/r/{token}/preferences")["Location"] == f"/r/{token}"
    assert client.post(f"/r/{token}/choose", {"what": "offers", "granted": "1"})["Location"] == f"/r/{token}"
    assert client.post("/r/letter/choose", {"what": "offers", "granted": "1"}).status_code == 410
    assert not Consent.objects.exists()
    assert not preferences.standing(link.tenant).offers


def test_without_a_letter_the_choices_are_reached_by_a_code_to_the_phone(client: Client) -> None:
    tenant = make_tenant()
    make_lease(tenant)  # no case: there is nothing to renew yet
    page = client.get(PAGE, follow=True)
    assert page.redirect_chain == [("/r/?then=preferences", 303)]
    assert 'name="then" value="preferences"' in page.content.decode()
    client.post("/r/", {"phone": tenant.phone, "then": "preferences"})
    assert client.post("/r/code", {"code": digits_of("door:")})["Location"] == PAGE
    assert "续租来信" in client.get(PAGE).content.decode()
    choose(client, "offers", 0)
    assert not preferences.standing(tenant).offers


def test_a_revoked_link_chooses_nothing(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    links.revoke(link.lease, purpose="proposal", now=NOW)
    assert client.get(PAGE).status_code == 410
    assert choose(client, "offers", 0).status_code == 410
    assert lines(link.tenant) == []


@pytest.mark.parametrize("action", ["choose", "refuse"])
def test_a_get_changes_nothing(client: Client, action: str) -> None:
    link, token = make_letter()
    opened(client, token)
    assert client.get(f"/r/letter/{action}").status_code == 405
    assert client.get(PAGE).status_code == 200
    assert lines(link.tenant) == []


# --- The choices ---


def test_one_way_is_switched_off_and_on_and_the_others_stay(client: Client, two_ways: None) -> None:
    link, token = make_letter()
    opened(client, token)
    page = client.get(PAGE).content.decode()
    assert re.findall(r'id="choice-(\w+)"', page) == ["offers", "phone", "app", "personal", "questions"]
    assert choose(client, "phone", 0)["Location"] == PAGE
    assert open_ways(link.tenant) == {"phone": False, "app": True}
    page = client.get(PAGE).content.decode()
    assert "已关闭：短信" in page
    assert page.count("改回来</button>") == 1
    assert "改回来</button>" not in client.get(PAGE).content.decode()  # said once
    choose(client, "phone", 1, back="1")
    assert open_ways(link.tenant) == {"phone": True, "app": True}
    assert lines(link.tenant) == [("marketing", "sms", False), ("marketing", "sms", True)]


def test_who_refused_one_way_and_comes_back_to_letters_has_still_refused_it(client: Client, two_ways: None) -> None:
    link, token = make_letter()
    opened(client, token)
    choose(client, "phone", 0)
    choose(client, "offers", 0)
    assert open_ways(link.tenant) == {"phone": False, "app": False}
    choose(client, "offers", 1)
    assert open_ways(link.tenant) == {"phone": False, "app": True}


def test_personal_wording_is_a_purpose_of_its_own(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    choose(client, "personal", 0)
    assert not proposals.is_personal(link.tenant)
    assert preferences.standing(link.tenant).offers
    choose(client, "personal", 1)
    assert proposals.is_personal(link.tenant)
    client.post("/r/letter/general", {"general": "1"})
    assert not preferences.standing(link.tenant).personal
    choose(client, "personal", 1)
    assert proposals.is_personal(Tenant.objects.get(pk=link.tenant_id))


def test_what_is_no_choice_is_none(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    for what in ("door_logs", "wecom", "", "jpush"):
        assert choose(client, what, 1)["Location"] == PAGE
    assert lines(link.tenant) == []


def test_a_refusal_holds_for_every_row_of_a_person_and_a_yes_for_the_one_asked(client: Client) -> None:
    link, token = make_letter()
    gone = make_tenant(consents=(), merged_into=link.tenant)
    opened(client, token)
    choose(client, "offers", 0)
    choose(client, "offers", 1)
    assert lines(gone) == [("marketing", "any", False)]
    assert preferences.standing(gone).offers


def test_what_was_said_as_another_row_of_the_person_is_shown_too_and_a_no_once(client: Client) -> None:
    link, token = make_letter()
    gone = make_tenant(consents=(), merged_into=link.tenant)
    earlier = Consent.objects.create(
        tenant=gone, purpose="surveys", channel="any", granted=False, at=NOW - timedelta(days=9),
        text_version="2025-01", proof="App", recorded_at=NOW,
    )  # fmt: skip
    opened(client, token)
    choose(client, "offers", 0)
    refused = [words._line(row) for row in Consent.objects.filter(purpose="marketing", granted=False)]
    assert len(refused) == 2  # a line a row
    shown = [line["said"] for line in words.lines(link.tenant)]
    assert (shown[0], shown.count(refused[0]), shown.count(words._line(earlier))) == (refused[0], 1, 1)


def test_a_line_dated_ahead_of_our_clock_outlives_no_choice(client: Client) -> None:
    link, token = make_letter()
    Consent.objects.create(
        tenant=link.tenant, purpose="marketing", channel="any", granted=True, at=NOW + timedelta(minutes=4),
        text_version="2025-01", proof="App", recorded_at=NOW,
    )  # fmt: skip
    opened(client, token)
    choose(client, "offers", 0)
    assert not preferences.standing(link.tenant).offers


# --- The proof ---


def test_a_line_keeps_the_words_the_page_and_the_browser_without_its_address(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    client.post(
        "/r/letter/choose", {"what": "offers", "granted": "0"}, REMOTE_ADDR="203.0.113.7", HTTP_USER_AGENT="WeChat/8"
    )
    line = Consent.objects.latest("pk")
    assert NOW <= line.at == line.recorded_at < NOW + timedelta(minutes=1)
    assert (line.text_version, line.proof) == (words.VERSION, f"letter:{link.pk}")
    assert line.text is not None
    assert line.text.text == "续租来信\n蓝寓就续租写信给我：方案、权益和价格。\n我拒绝"
    assert line.text.digest == hashlib.sha256(line.text.text.encode()).hexdigest()
    assert (line.evidence["page"], line.evidence["link"]) == ("preferences", link.pk)
    assert re.fullmatch(r"[0-9a-f]{16}", line.evidence["address"])
    assert re.fullmatch(r"[0-9a-f]{16}", line.evidence["device"])
    assert "203.0.113.7" not in str(line.evidence)
    assert Link.objects.get().pk == link.pk
    choose(client, "offers", 1)
    choose(client, "offers", 0)
    assert ConsentText.objects.count() == 2  # the same words are kept once


CHANGES = [
    "UPDATE tenants_consent SET granted = NOT granted",
    "DELETE FROM tenants_consent",
    "UPDATE tenants_consenttext SET text = 'x'",
    "DELETE FROM tenants_consenttext",
    "UPDATE tenants_generalchoice SET general = NOT general",
    "DELETE FROM tenants_generalchoice",
]


@pytest.fixture
def ledger(client: Client) -> Link:
    link, token = make_letter()
    opened(client, token)
    choose(client, "offers", 0)
    client.post("/r/letter/general", {"general": "1"})
    assert (Consent.objects.exists(), ConsentText.objects.exists(), GeneralChoice.objects.exists()) == (True,) * 3
    return link


@pytest.mark.parametrize("change", CHANGES)
def test_the_database_refuses_to_change_or_delete_a_line(ledger: Link, change: str) -> None:
    with pytest.raises(IntegrityError, match="only ever added to"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)


@pytest.mark.parametrize("change", CHANGES[:1] + CHANGES[-1:])
def test_without_the_trigger_a_line_can_be_changed(ledger: Link, change: str) -> None:
    """The red twin."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("tenants_consent", "tenants_consenttext", "tenants_generalchoice"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER consent_ledger_only_grows")
        cursor.execute(change)
        assert cursor.rowcount > 0


def test_the_ledger_tells_any_channel_the_same(client: Client, two_ways: None) -> None:
    link, token = make_letter()
    opened(client, token)
    choose(client, "app", 0)
    assert consents.holds(link.tenant, "marketing", channel="sms")
    assert not consents.holds(link.tenant, "marketing", channel="jpush")
