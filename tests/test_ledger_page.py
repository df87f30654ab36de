"""The consent ledger on a tenant's page: what stands, every line with its proof, refusals that staff heard."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from connectors.records import AliasSource, ConsentRecord, OptOutRecord
from renewal import preferences
from tenants import clock, consents, outbox, refusals
from tenants.models import Consent, Lease, Membership, Tenant
from tests.letter import make_letter
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user
from tests.test_outbox import draft, state_of

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _two_channels(settings: Any) -> None:
    settings.CHANNELS = ["sms", "jpush"]
    clock.set_to(NOW)


@pytest.fixture
def lease() -> Lease:
    return make_lease(make_tenant(consents=("marketing",)), make_unit("A-0101", make_building("A")))


@pytest.fixture
def person(lease: Lease) -> Tenant:
    return lease.tenants.get()


def client_of(role: str, building: str = "A") -> Client:
    user = make_user(f"{role}-{building}", last_name="梅", first_name="")
    Membership.objects.create(user=user, role=role, building=make_building(building), first_day=TODAY)
    client = Client()
    client.force_login(user)
    return client


def seen(client: Client, person: Tenant, more: str = "") -> str:
    """The panel as a person reads it: words, without marks."""
    response = client.get(reverse("staff-tenant", args=[person.pk]) + more)
    assert response.status_code == 200
    panel = response.content.decode().split('id="consents"')[1].split('id="identity"')[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", panel))


def refuse(client: Client, person: Tenant, **facts: str) -> Any:
    said = {"purpose": "marketing", "channel": "any", "who": "林晓", "at": "2025-12-01T09:30", "words": "别再发了"}
    return client.post(reverse("staff-refuse", args=[person.pk]), said | facts, follow=True)


def undo(client: Client, person: Tenant, line: Consent, why: str = "登记错了人") -> Any:
    return client.post(reverse("staff-unrefuse", args=[person.pk, line.pk]), {"why": why}, follow=True)


def stands(person: Tenant) -> dict[str, bool]:
    return {name: consents.holds(person, "marketing", channel=name) for name in ("any", "sms", "jpush")}


# --- what stands, and how it came ------------------------------------------------------------------


def test_the_page_says_what_stands_by_purpose_and_channel_as_sending_asks_it(person: Tenant) -> None:
    consents.refuse_marketing(person, now=NOW, proof="jpush: stopped", channel="jpush")
    text = seen(client_of("care"), person)
    held = text.split("没有同意就不发送")[0]
    assert "续租优惠 短信 同意 2025-02-04 起 App 拒绝 2025-12-01 起" in held
    assert "个性化内容 全部渠道 未征求" in held
    assert stands(person) == {"any": True, "sms": True, "jpush": False}


def test_each_line_says_how_it_came_with_the_words_that_were_shown_and_their_hash() -> None:
    link, _token = make_letter()
    person = link.tenant
    where = preferences.Where(link=link, page="preferences", address="10.0.0.1", device="phone")
    preferences.choose("offers", granted=False, where=where, now=NOW)
    written = Consent.objects.latest("pk")
    assert written.text
    phone = (AliasSource.PHONE, person.phone)
    consents.withdraw([OptOutRecord(1, phone, NOW + HOUR, "短信上行 TD 7")], now=NOW + HOUR)
    consents.refuse_marketing(person, now=NOW + 2 * HOUR, proof="sms: blocked", channel="sms")
    record = ConsentRecord(1, person.phone, "profiling", "any", True, NOW - HOUR, "2025-01", "入住登记")
    consents.enter([record], now=NOW)
    client = Client()
    client.force_login(make_user("chief", is_superuser=True))
    text = seen(client, person)
    lines = text.split("台账：")[1]
    assert re.findall(r"租客在自己的页面上|回复消息|渠道方告知|ERP 导入文件", lines)[:4] == [
        "渠道方告知", "回复消息", "租客在自己的页面上", "ERP 导入文件",
    ]  # fmt: skip
    digest = hashlib.sha256(written.text.text.encode()).hexdigest()
    assert written.text.text.splitlines()[-1] in lines
    assert f"SHA-256 {digest}" in lines
    assert "短信上行 TD 7" in lines
    assert "10.0.0.1" not in text


def test_the_whole_ledger_is_there_page_by_page_newest_first(person: Tenant) -> None:
    for n in range(24):
        consents.refuse_marketing(person, now=NOW + n * HOUR, proof=f"第{n}条。", channel="sms")
    client = client_of("care")
    found = [re.findall(r"第(\d+)条。", seen(client, person, f"?ledger={page}")) for page in (1, 2, 3)]
    assert "台账：25 条" in seen(client, person)
    assert [int(n) for page in found for n in page] == list(range(23, -1, -1))


# --- a refusal that was heard ----------------------------------------------------------------------


def test_a_refusal_heard_on_the_phone_holds_at_once_with_who_when_and_the_words(person: Tenant) -> None:
    outbox.post(draft(person), now=NOW)
    client = client_of("care")
    page = refuse(client, person).content.decode()
    assert "已登记，即刻生效" in page
    line = Consent.objects.latest("pk")
    assert (line.granted, line.channel, line.at) == (False, "any", datetime.fromisoformat("2025-12-01T09:30+08:00"))
    assert {name: line.evidence[name] for name in ("via", "who", "words")} == {
        "via": "staff", "who": "林晓", "words": "别再发了",
    }  # fmt: skip
    assert stands(person) == {"any": False, "sms": False, "jpush": False}
    assert state_of() == ("suppressed", "租客未同意接收续租优惠。")
    text = seen(client, person)
    assert "由 梅 听到并登记" in text
    assert "谁说的 林晓 原话 别再发了" in text


def test_told_twice_it_is_one_line(person: Tenant) -> None:
    client = client_of("care")
    for _time in range(2):
        refuse(client, person)
    assert Consent.objects.filter(granted=False).count() == 1


def test_who_agreed_in_that_very_minute_has_refused_after_it(person: Tenant) -> None:
    consents.record(
        person, purpose="marketing", channel="any", granted=True, at=datetime.fromisoformat("2025-12-01T09:30+08:00"),
        text_version="x", proof="x", now=NOW,
    )  # fmt: skip
    refuse(client_of("care"), person)
    assert not stands(person)["any"]


def test_a_consent_given_later_stands_and_the_page_says_so(person: Tenant) -> None:
    consents.record(
        person, purpose="marketing", channel="any", granted=True, at=NOW - timedelta(minutes=5),
        text_version="x", proof="x", now=NOW,
    )  # fmt: skip
    page = refuse(client_of("care"), person).content.decode()
    assert "又重新同意" in page
    assert stands(person)["any"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"words": " "}, "请写明是谁、用什么话拒绝的。"),
        ({"who": ""}, "请写明是谁、用什么话拒绝的。"),
        ({"at": "昨天"}, "请写明是什么时候说的。"),
        ({"at": "0001-01-01T00:00"}, "请写明是什么时候说的。"),
        ({"at": "2025-12-01T11:00"}, "时间在未来。"),
        ({"purpose": "rent"}, "请选择拒绝的内容和渠道。"),
        ({"channel": "pigeon"}, "请选择拒绝的内容和渠道。"),
        ({"words": "长" * 501}, "内容过长。"),
    ],
)
def test_without_its_proof_nothing_is_written_and_what_was_typed_stays(
    person: Tenant, typed: dict[str, str], said: str
) -> None:
    response = refuse(client_of("care"), person, **{"words": "别再打电话"} | typed)
    assert response.status_code == 409
    page = response.content.decode()
    assert said in page
    assert "words" in typed or 'value="别再打电话"' in page
    assert not Consent.objects.filter(granted=False).exists()


@pytest.mark.parametrize(("role", "building", "status"), [("technician", "A", 403), ("care", "B", 404)])
def test_only_who_may_see_the_person_writes_it_down(person: Tenant, role: str, building: str, status: int) -> None:
    line = Consent.objects.get()
    client = client_of(role, building)
    assert [each.status_code for each in (refuse(client, person), undo(client, person, line))] == [status, status]
    assert Consent.objects.count() == 1


# --- and taking it back ----------------------------------------------------------------------------


def test_taking_it_back_says_again_what_stood_and_deletes_nothing(person: Tenant) -> None:
    consents.refuse_marketing(person, now=NOW - HOUR * 2, proof="x", channel="jpush")
    before = stands(person)
    client = client_of("care")
    refuse(client, person)
    line = Consent.objects.latest("pk")
    assert stands(person) == {"any": False, "sms": False, "jpush": False}
    assert "恢复到登记之前的状态" in undo(client, person, line).content.decode()
    assert stands(person) == before == {"any": True, "sms": True, "jpush": False}
    assert Consent.objects.filter(pk=line.pk, granted=False).exists()
    assert {row.evidence["undoes"] for row in Consent.objects.filter(pk__gt=line.pk)} == {line.pk}
    assert "梅 收回" in seen(client, person)


def test_taking_it_back_invents_no_consent() -> None:
    person = make_lease(make_tenant(consents=()), make_unit("A-0101", make_building("A"))).tenants.get()
    client = client_of("care")
    refuse(client, person)
    undo(client, person, Consent.objects.get())
    assert stands(person) == {"any": False, "sms": False, "jpush": False}
    assert not Consent.objects.filter(granted=True).exists()


def test_of_one_channel_only_that_one_comes_back(person: Tenant) -> None:
    client = client_of("care")
    refuse(client, person, channel="sms")
    assert stands(person) == {"any": True, "sms": False, "jpush": True}
    undo(client, person, Consent.objects.latest("pk"))
    assert stands(person) == {"any": True, "sms": True, "jpush": True}


def test_a_channel_that_agreed_by_itself_agrees_again_after_all_is_taken_back() -> None:
    """At one moment a refusal wins, so what a channel had of its own is written after the rest."""
    person = make_lease(make_tenant(consents=()), make_unit("A-0101", make_building("A"))).tenants.get()
    consents.record(
        person,
        purpose="marketing",
        channel="sms",
        granted=True,
        at=NOW - HOUR * 9,
        text_version="x",
        proof="x",
        now=NOW,
    )
    client = client_of("care")
    refuse(client, person)
    undo(client, person, Consent.objects.latest("pk"))
    assert stands(person) == {"any": False, "sms": True, "jpush": False}


def test_it_cannot_be_taken_back_after_a_day_nor_after_the_tenant_said_more_nor_what_the_tenant_said(
    person: Tenant,
) -> None:
    client = client_of("hq")
    consents.refuse_marketing(person, now=NOW - HOUR * 30, proof="x")
    theirs = Consent.objects.latest("pk")
    assert "只能收回员工登记的拒绝" in undo(client, person, theirs).content.decode()
    refuse(client, person)
    line = Consent.objects.latest("pk")
    consents.refuse_marketing(person, now=NOW + HOUR, proof="x", channel="sms")
    assert "以之后的为准" in undo(client, person, line).content.decode()
    refuse(client, person, purpose="profiling")
    line = Consent.objects.latest("pk")
    assert "请写明原因" in undo(client, person, line, why=" ").content.decode()
    clock.set_to(line.recorded_at + timedelta(days=1))
    assert "已超过一天" in undo(client, person, line).content.decode()
    assert not Consent.objects.filter(evidence__has_key="undoes").exists()


def test_what_the_tenant_said_stays_because_the_obstacle_is_asked(
    person: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The red twin: without it staff would agree in the tenant's name."""
    consents.refuse_marketing(person, now=NOW - HOUR, proof="x")
    undo(client_of("hq"), person, Consent.objects.latest("pk"))
    assert not stands(person)["any"]
    monkeypatch.setattr(refusals, "obstacle", lambda *_, **__: "")
    undo(client_of("care"), person, Consent.objects.latest("pk"))
    assert stands(person)["any"]
