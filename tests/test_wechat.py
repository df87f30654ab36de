"""公众号: signed, fresh and sealed messages become reports and refusals of offers, once, whatever is sent again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import psycopg2
import pytest
import requests
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection
from django.test import Client
from wechatpy.crypto import WeChatCrypto

from connectors.models import Refusal, Run
from connectors.sources import wechat
from tenants import clock, consents
from tenants.models import Alias, Consent, Event, Lease, WaitingEvent
from tests.inbound import drain, landed
from tests.makers import NOW, make_lease
from workorders import intake
from workorders.models import Report, WorkOrder

pytestmark = pytest.mark.django_db
TOKEN, APPID, AES_KEY = "lan-yu", "wx1234567890abcdef", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
PATH = "/api/sources/wechat"


@pytest.fixture(autouse=True)
def account(settings: Any) -> None:
    """An account in safe mode."""
    settings.WECHAT_TOKEN, settings.WECHAT_APPID, settings.WECHAT_AES_KEY = TOKEN, APPID, AES_KEY


@pytest.fixture
def plain_mode(settings: Any) -> None:
    settings.WECHAT_AES_KEY = ""


@pytest.fixture
def lease() -> Lease:
    """Lin follows the account as oLin."""
    clock.set_to(NOW)
    lease = make_lease()
    Alias.objects.create(source="wechat", ref="oLin", tenant=lease.tenants.get(), recorded_at=NOW)
    return lease


def message(number: str = "1001", kind: str = "text", **fields: Any) -> str:
    facts = {
        "ToUserName": "gh_1", "FromUserName": "oLin", "CreateTime": int(time.time()), "MsgType": kind, "MsgId": number,
        **fields,
    }  # fmt: skip
    inner = "".join(
        f"<{name}>{value}</{name}>" if isinstance(value, int) else f"<{name}><![CDATA[{value}]]></{name}>"
        for name, value in facts.items()
        if value is not None
    )
    return f"<xml>{inner}</xml>"


def signature(*parts: str) -> str:
    return hashlib.sha1("".join(sorted([TOKEN, *parts])).encode()).hexdigest()


def sealed(xml: str, *, appid: str = APPID, aes_key: str = AES_KEY, at: int | None = None) -> tuple[str, bytes]:
    """Address and body of a message as WeChat's server seals it."""
    stamp, nonce = str(at if at is not None else int(time.time())), "n0nce"
    body = WeChatCrypto(TOKEN, aes_key, appid).encrypt_message(xml, nonce, stamp)
    cipher = wechat.fields(body.encode())["Encrypt"]
    query = {
        "signature": signature(stamp, nonce), "timestamp": stamp, "nonce": nonce, "openid": "oLin",
        "encrypt_type": "aes", "msg_signature": signature(stamp, nonce, cipher),
    }  # fmt: skip
    return f"{PATH}?{urlencode(query)}", body.encode()


def send(xml: str, **facts: Any) -> Any:
    address, body = sealed(xml, **facts)
    return Client().post(address, body, content_type="text/xml")


def send_plain(xml: str | bytes, *, at: int | None = None, **query: str) -> Any:
    stamp = str(at if at is not None else int(time.time()))
    whole = {"signature": signature(stamp, "n"), "timestamp": stamp, "nonce": "n", **query}
    return Client().post(f"{PATH}?{urlencode(whole)}", xml, content_type="text/xml")


# --- from a follower's words to a work order -------------------------------------------------------


def test_a_sealed_message_becomes_a_report_of_a_work_order(lease: Lease) -> None:
    answer = send(message(Content="厨房水管漏水了，麻烦来看看"))
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (
        200,
        b"success",
        "text/plain; charset=utf-8",
    )
    assert (landed(), Event.objects.count()) == (1, 0)
    drain()
    event = Event.objects.get()
    assert (event.source, event.source_id, event.kind, event.tenant) == (
        "wechat", "1001", "ticket.reported", lease.tenants.get(),
    )  # fmt: skip
    assert event.data == {
        "ticket": "WX1001", "category": "water", "channel": "wechat", "text": "厨房水管漏水了，麻烦来看看",
    }  # fmt: skip
    # The product's clock stands in 2025: a moment ago is a moment ago by it, too.
    assert abs(event.at - NOW) < timedelta(seconds=30)
    intake.take(now=clock.now())
    order, report = WorkOrder.objects.get(), Report.objects.get()
    assert (order.unit, order.category, report.channel, report.text) == (
        lease.unit, "water", "wechat", "厨房水管漏水了，麻烦来看看",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "category"),
    [
        ("卫生间漏水", "water"), ("马桶堵了", "water"), ("门锁打不开", "lock"), ("WiFi 连不上", "network"),
        ("空调不制冷", "air"), ("又跳闸了", "power"), ("快递放错柜了", "parcel"),
        ("你好，请问怎么续租", "other"), ("", "other"),
    ],
)  # fmt: skip
def test_what_a_report_is_about_is_told_by_its_words(said: str, category: str) -> None:
    assert wechat.category(said) == category


def test_pictures_voices_and_places_are_reports_too(lease: Lease) -> None:
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("image", {"PicUrl": "http://x", "MediaId": "m"}), ("voice", {"Recognition": "空调坏了", "Format": "amr"}),
        ("location", {"Label": "杭州市西湖区", "Location_X": "30.2"}), ("video", {"MediaId": "m"}),
    ]  # fmt: skip
    for number, (kind, fields) in enumerate(kinds):
        assert send(message(str(number), kind, **fields)).content == b"success"
    drain()
    assert list(Event.objects.order_by("source_id").values_list("data__text", "data__category")) == [
        ("[图片]", "other"), ("[语音]空调坏了", "air"), ("[位置]杭州市西湖区", "other"), ("[视频]", "other"),
    ]  # fmt: skip


def test_what_a_follower_does_in_the_menu_is_kept_and_the_servers_own_events_are_not(lease: Lease) -> None:
    for name, key in (
        ("subscribe", "qrscene_7"),
        ("CLICK", "bill"),
        ("VIEW", "https://x/r/token"),
        ("TEMPLATESENDJOBFINISH", ""),
    ):
        assert send(message("", "event", MsgId=None, Event=name, EventKey=key)).content == b"success"
    drain()
    assert sorted(Event.objects.values_list("kind", "data__name", "data__key")) == [
        ("app.tracked", "wechat.click", "bill"), ("app.tracked", "wechat.subscribe", "qrscene_7"),
        ("app.tracked", "wechat.view", None),
    ]  # fmt: skip
    # A scene on a QR code says nothing about who scanned it.
    assert set(Alias.objects.filter(source="wechat").values_list("ref", flat=True)) == {"oLin"}


def test_an_unknown_follower_is_waited_for(lease: Lease) -> None:
    send(message(FromUserName="oNobody", Content="漏水"))
    drain()
    assert (Event.objects.count(), WaitingEvent.objects.get().who_ref) == (0, "oNobody")


# --- refusing offers ------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["退订", "R", "r", "TD", " td ", "拒收", "退订。"])
def test_one_word_withdraws_the_consent_to_offers_and_is_no_report(lease: Lease, word: str) -> None:
    tenant = lease.tenants.get()
    assert consents.holds(tenant, "marketing", channel="wechat")
    before = list(Consent.objects.order_by("pk").values())
    assert send(message(Content=word, CreateTime=int(time.time()) - 60)).content == b"success"
    drain()
    assert not consents.holds(tenant, "marketing", channel="wechat")
    assert not consents.holds(tenant, "marketing", channel="sms")
    assert consents.holds(tenant, "profiling", channel="wechat")
    ledger = list(Consent.objects.order_by("pk").values())
    assert ledger[:-1] == before
    assert (ledger[-1]["granted"], ledger[-1]["proof"]) == (False, "公众号 1001")
    assert not Event.objects.exists()


def test_the_same_refusal_sent_again_is_one_line_of_the_ledger(lease: Lease) -> None:
    xml = message(Content="退订")
    for _time in range(3):
        send(xml)
        drain()
    assert Consent.objects.filter(granted=False).count() == 1
    run = Run.objects.get()
    assert (run.received, run.accepted, run.duplicate) == (3, 1, 2)


def test_a_consent_given_after_the_refusal_stands(lease: Lease) -> None:
    tenant = lease.tenants.get()
    send(message(Content="退订", CreateTime=int(time.time()) - 60))
    consents.record(
        tenant, purpose="marketing", channel="any", granted=True, at=clock.now(), text_version="1", proof="前台",
        now=NOW,
    )  # fmt: skip
    drain()
    assert consents.holds(tenant, "marketing", channel="wechat")


def test_a_refusal_of_somebody_unknown_is_kept_until_they_are_known(lease: Lease) -> None:
    send(message(FromUserName="oZhou", Content="退订"))
    drain()
    assert Refusal.objects.get().reason == "找不到 oZhou 对应的租客。"
    Alias.objects.create(source="wechat", ref="oZhou", tenant=lease.tenants.get(), recorded_at=NOW)
    call_command("quarantine", "replay", "--source", "wechat", "--json")
    assert not consents.holds(lease.tenants.get(), "marketing", channel="any")
    assert not Refusal.objects.filter(resolved_at=None).exists()


# --- who is heard ---------------------------------------------------------------------------------


def test_wechat_is_answered_with_the_echo_when_it_checks_the_address() -> None:
    stamp = str(int(time.time()))
    query = {"signature": signature(stamp, "n"), "timestamp": stamp, "nonce": "n", "echostr": "<b>5837</b>"}
    answer = Client().get(f"{PATH}?{urlencode(query)}")
    assert (answer.status_code, answer.content) == (200, b"<b>5837</b>")
    assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("text/plain; charset=utf-8", "nosniff")
    for wrong in (
        {"signature": "0" * 40},
        {"timestamp": "1"},
        {"nonce": "other"},
        {"signature": ""},
        {"signature": "é"},
    ):
        assert Client().get(f"{PATH}?{urlencode({**query, **wrong})}").status_code == 403
    assert Client().get(PATH).status_code == 403


def test_a_message_that_is_stale_forged_or_for_another_account_is_refused_and_nothing_is_kept(lease: Lease) -> None:
    now = int(time.time())
    address, body = sealed(message())
    query = address.partition("?")[2]
    client = Client()

    def status(changed: str, content: bytes = body) -> int:
        return client.post(f"{PATH}?{changed}", content, content_type="text/xml").status_code

    assert send(message(), at=now - 302).status_code == 403
    assert send(message(), at=now + 303).status_code == 403
    assert send(message(), at=0).status_code == 403
    assert send(message(), appid="wx-other").status_code == 403
    assert send(message(), aes_key=AES_KEY[::-1]).status_code == 403
    assert status(query.replace("msg_signature=", "msg_signature=0")) == 403
    assert status(query.replace("n0nce", "n1nce")) == 403
    assert status(query.replace("encrypt_type=aes", "")) == 403
    assert status(query.split("&msg_signature")[0]) == 403
    assert status(query, sealed(message(Content="other"))[1]) == 403  # another body under this signature
    assert status("") == 403
    # In safe mode a plain message is not taken: its signature does not cover its text.
    assert send_plain(message()).status_code == 403
    assert landed() == 0


def test_just_within_five_minutes_is_fresh(lease: Lease) -> None:
    now = int(time.time())
    assert send(message("1"), at=now - 298).content == b"success"
    assert send(message("2"), at=now + 298).content == b"success"


def test_without_an_account_the_address_is_closed(settings: Any) -> None:
    settings.WECHAT_TOKEN = settings.WECHAT_AES_KEY = ""
    assert Client().get(PATH).status_code == 404
    assert send_plain(message()).status_code == 404


def test_a_key_of_the_wrong_length_is_found_at_the_start(settings: Any) -> None:
    settings.WECHAT_AES_KEY = "short"
    assert [problem.id for problem in run_checks() if problem.id == "renewal.E011"] == ["renewal.E011"]
    settings.WECHAT_AES_KEY = AES_KEY
    assert not [problem for problem in run_checks() if problem.id == "renewal.E011"]


# --- XML ------------------------------------------------------------------------------------------

EVIL = [
    '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><xml><Content>&e;</Content></xml>',
    '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><xml><Content>a</Content></xml>',
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><xml><Content>&b;</Content></xml>',
    "<xml><Content>&nbsp;</Content></xml>", "<xml>" + "<a>" * 10_000 + "</a>" * 10_000 + "</xml>",
    "<xml>" + "".join(f"<f{n}>1</f{n}>" for n in range(2000)) + "</xml>", "", "<", "<xml>", "not xml", '{"json": 1}',
    '<?xml version="1.0" encoding="nonsense"?><xml/>', '<?xml version="1.0" encoding="rot13"?><xml/>',
    "<xml><Content>&#0;</Content></xml>", "<xml><Content>&#xD800;</Content></xml>",
]  # fmt: skip


@pytest.mark.parametrize("xml", EVIL)
def test_no_document_type_no_entity_no_depth_is_read(lease: Lease, plain_mode: None, xml: str) -> None:
    began = time.process_time()
    assert send_plain(xml).status_code == 400
    assert time.process_time() - began < 2
    assert landed() == 0


def test_what_is_sealed_is_read_as_carefully(lease: Lease) -> None:
    for xml in EVIL[:3]:
        assert send(xml).status_code == 400
    assert send_plain(EVIL[0]).status_code == 403
    assert landed() == 0


def test_raw_bytes_that_are_no_message_are_refused(lease: Lease, plain_mode: None) -> None:
    utf16 = EVIL[0].replace("<!DOCTYPE", '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE').encode("utf-16")
    for raw, status in ((b"\xff\xfe\x00", 400), (utf16, 400), (b"x" * 1_000_000, 413)):
        assert send_plain(raw).status_code == status
    assert landed() == 0


def test_a_text_with_the_end_of_a_cdata_section_and_markup_stays_what_it_is(lease: Lease, plain_mode: None) -> None:
    xml = message(Content="a]]]]><![CDATA[>b <Event>x</Event> &amp; 漏水")
    assert send_plain(xml).content == b"success"
    drain()
    assert Event.objects.get().data["text"] == "a]]>b <Event>x</Event> &amp; 漏水"


@pytest.mark.parametrize("created", ["0", "-1", "1", "9999999999999", "99999999999", "soon", None])
def test_a_message_with_an_odd_time_happened_when_we_heard_of_it(lease: Lease, created: Any) -> None:
    send(message(Content="漏水", CreateTime=created))
    drain()
    assert abs(Event.objects.get().at - NOW) < timedelta(seconds=30)


def test_a_message_of_no_kind_we_know_waits_in_quarantine(lease: Lease) -> None:
    for facts in ({"kind": "hologram"}, {"FromUserName": ""}, {"FromUserName": "o" * 200}):
        assert send(message(**facts)).content == b"success"
    drain()
    assert (Refusal.objects.count(), Event.objects.count()) == (3, 0)


# --- sent again, and not answered -----------------------------------------------------------------


def test_the_same_message_three_times_and_replayed_is_one_report(lease: Lease) -> None:
    xml = message(Content="漏水")
    address, body = sealed(xml)
    for _retry in range(3):  # the very same call
        assert Client().post(address, body, content_type="text/xml").content == b"success"
    assert send(xml).content == b"success"  # sealed anew, with another nonce
    drain()
    run = Run.objects.get()
    assert (Event.objects.count(), run.received, run.duplicate) == (1, 4, 3)
    # An event has no number: who, when and what make it one.
    click = message("", "event", MsgId=None, Event="CLICK", EventKey="bill")
    for _retry in range(3):
        send(click)
    send(message("", "event", MsgId=None, Event="CLICK", EventKey="other"))
    drain()
    assert Event.objects.filter(kind="app.tracked").count() == 2
    assert "oLin" not in json.dumps(list(Event.objects.values_list("source_id", flat=True)))


def other_connection() -> Any:
    name = connection.settings_dict["NAME"]
    return psycopg2.connect(urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}")))


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_kept_within_four_seconds_is_not_acknowledged(lease: Lease, live_server: Any) -> None:
    address, body = sealed(message(Content="漏水"))
    with closing(other_connection()) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE connectors_landed IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        answer = requests.post(live_server.url + address, data=body, headers={"Connection": "close"}, timeout=10)
        took = time.monotonic() - began
        other.rollback()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert b"success" not in answer.content
    assert 3.5 < took < 5
    assert landed() == 0
    # WeChat comes again.
    assert (
        requests.post(live_server.url + address, data=body, headers={"Connection": "close"}, timeout=10).content
        == b"success"
    )
    drain()
    assert Event.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_database_that_takes_three_seconds_is_waited_for(lease: Lease) -> None:
    address, body = sealed(message(Content="漏水"))
    with closing(other_connection()) as other, other.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN PERFORM pg_sleep(3); RETURN NEW; END';"
            "CREATE TRIGGER slow BEFORE INSERT ON connectors_landed FOR EACH ROW EXECUTE FUNCTION slow()"
        )
        other.commit()
        try:
            assert Client().post(address, body, content_type="text/xml").content == b"success"
        finally:
            cursor.execute("DROP FUNCTION slow CASCADE")
            other.commit()
    assert landed() == 1


def test_the_fields_are_read_from_where_they_were_laid(tmp_path: Path) -> None:
    """A line of the quarantine's file reads like the message it was."""
    line = {"MsgType": "text", "MsgId": "7", "FromUserName": "oLin", "Content": "漏水", "at": NOW.isoformat()}
    path = tmp_path / "wechat.jsonl"
    path.write_text(json.dumps(line, ensure_ascii=False) + "\n{\n")
    good, bad = wechat.read(path)
    assert (getattr(good, "source_id", ""), getattr(bad, "reason", "")) == ("7", "这一行不是可读取的 JSON。")
