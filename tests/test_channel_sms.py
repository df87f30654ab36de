"""Alibaba Cloud SMS against a stand-in that checks its signatures: every code in its class, and what is unknown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_dysmsapi20170525 import models
from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_tea_openapi.utils import Utils
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.request import DaraRequest

from connectors.channels import Answer, Envelope, Forged, Outcome, Unreadable
from connectors.channels.acs3 import authorization, canonical_query, hashed
from connectors.channels.aliyun import AliyunSms, batch_id, batch_ref
from connectors.channels.aliyun_codes import CODES, wait_after
from tests.product import free_port
from tests.standins.base import Fault, serving
from tests.standins.sms import KEY_ID, KEY_SECRET, SHANGHAI, SIGN, Sms, counted

NOW = datetime.now(UTC)
LONG_AGO = timedelta(minutes=20)
SECRET = "a-secret-in-the-address"


@pytest.fixture
def sms(settings: Any) -> Iterator[Sms]:
    settings.ALIYUN_SMS_KEY_ID, settings.ALIYUN_SMS_KEY_SECRET = KEY_ID, KEY_SECRET
    settings.ALIYUN_SMS_SIGN, settings.ALIYUN_SMS_RECEIPTS_SECRET = SIGN, SECRET
    with serving(Sms()) as standin:
        settings.ALIYUN_SMS_URL = standin.url
        yield standin


@pytest.fixture
def way(sms: Sms) -> Iterator[AliyunSms]:
    channel = AliyunSms()
    yield channel
    channel.close()


def letter(n: int = 1, **more: Any) -> Envelope:
    facts: dict[str, Any] = {
        "key": f"push:{n}:{n}:day30:1", "address": f"138{n:08d}", "text": "租约还有30天到期", "url": "", "sent_at": NOW,
        "klass": "service", "template": "SMS_100", "values": {"days": "30", "unit": "A-0301"},
    }  # fmt: skip
    return Envelope(**{**facts, **more})


def later(envelope: Envelope, waited: timedelta = LONG_AGO) -> Envelope:
    """As it is asked about after so long."""
    return replace(envelope, first_sent_at=NOW, last_sent_at=NOW, sent_at=NOW + waited)


def arrived(sms: Sms, *envelopes: Envelope) -> list[int]:
    return [sms.counts.arrived[counted(one.address, one.key)] for one in envelopes]


def outcomes(answers: list[Answer]) -> list[Outcome]:
    return [answer.outcome for answer in answers]


# --- The signature ---------------------------------------------------------------------------------------------


def test_the_published_signature_comes_out() -> None:
    query = {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"}
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com", "x-acs-action": "RunInstances", "x-acs-version": "2014-05-26",
        "x-acs-date": "2023-10-26T10:22:32Z", "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-content-sha256": hashed(b""), "accept": "application/json",
    }  # fmt: skip
    found = authorization("POST", "/", query, headers, key_id="YourAccessKeyId", secret="YourAccessKeySecret")
    assert found == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;"
        "x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def test_the_vendors_library_signs_the_same() -> None:
    request = DaraRequest()
    query = {
        "PhoneNumbers": "13800000001",
        "TemplateParam": '{"name":"林 ~*+/=&"}',
        "OutId": "push:1:2:a-b_c.d:1",
        "E": "",
    }
    headers = {
        "host": "dysmsapi.aliyuncs.com", "x-acs-action": "SendSms", "x-acs-version": "2017-05-25",
        "x-acs-date": "2026-11-25T01:02:03Z", "x-acs-signature-nonce": "n", "x-acs-content-sha256": hashed(b"a=1"),
        "content-type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    request.method, request.pathname, request.query, request.headers = "POST", "/", query, headers
    theirs = Utils.get_authorization(request, "ACS3-HMAC-SHA256", hashed(b"a=1"), "id", "secret")
    assert authorization("POST", "/", query, headers, key_id="id", secret="secret") == theirs


def test_the_stand_in_takes_what_the_vendors_library_sends(sms: Sms) -> None:
    """So what our own calls are measured against speaks as the provider does."""
    endpoint = sms.url.removeprefix("http://")
    theirs = Client(Config(access_key_id=KEY_ID, access_key_secret=KEY_SECRET, endpoint=endpoint, protocol="HTTP"))
    one = letter()
    said = theirs.send_sms(
        models.SendSmsRequest(
            phone_numbers=one.address,
            sign_name=SIGN,
            template_code="SMS_100",
            template_param='{"days":"30"}',
            out_id=one.key,
        )
    )
    assert said.body.code == "OK"
    two = letter(2)
    said = theirs.send_batch_sms(
        models.SendBatchSmsRequest(
            phone_number_json=json.dumps([one.address, two.address]), sign_name_json=json.dumps([SIGN, SIGN]),
            template_code="SMS_100", template_param_json='[{"days":"30"},{"days":"29"}]', out_id=batch_id([one, two]),
        )
    )  # fmt: skip
    assert said.body.code == "OK"
    assert arrived(sms, one, two) == [2, 1]
    found = theirs.query_send_details(
        models.QuerySendDetailsRequest(
            phone_number=one.address, send_date=f"{datetime.now(SHANGHAI):%Y%m%d}", page_size=50, current_page=1
        )
    )
    assert [row.out_id for row in found.body.sms_send_detail_dtos.sms_send_detail_dto] == [
        one.key,
        batch_id([one, two]),
    ]
    # And what they read of it is what we read of it.
    assert AliyunSms().find(later(one)).outcome == Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        ("ALIYUN_SMS_KEY_SECRET", "another", "SignatureDoesNotMatch"),
        ("ALIYUN_SMS_KEY_ID", "another", "InvalidAccessKeyId.NotFound"),
        ("ALIYUN_SMS_SIGN", "别家", "isv.SMS_SIGNATURE_ILLEGAL"),
    ],
)
def test_wrong_keys_and_another_sign_name_stop_the_channel(
    sms: Sms, way: AliyunSms, settings: Any, setting: str, value: str, code: str
) -> None:
    setattr(settings, setting, value)
    answer = way.send(letter())
    assert (answer.outcome, answer.detail.split(" ")[0]) == (Outcome.STOP, code)
    assert sms.counts.arrived == {}


def test_what_is_signed_is_what_is_sent() -> None:
    assert canonical_query({"b": "x y~*/", "a": "林"}) == "a=%E6%9E%97&b=x%20y~%2A%2F"


# --- One message -------------------------------------------------------------------------------------------------


def test_one_message_arrives_with_its_values_and_its_key(sms: Sms, way: AliyunSms) -> None:
    answer = way.send(letter())
    assert (answer.outcome, answer.ref) == (Outcome.ACCEPTED, "900000000001^0")
    row = sms.lists["13800000001", f"{datetime.now(SHANGHAI):%Y%m%d}"][0]
    assert (row["OutId"], row["TemplateCode"]) == ("push:1:1:day30:1", "SMS_100")
    assert row["Content"] == '【蓝寓】{"days":"30","unit":"A-0301"}'


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_documented_code_has_its_class(sms: Sms, way: AliyunSms, code: str) -> None:
    sms.faults = [Fault("code", code=code, times=1)]
    answer = way.send(letter())
    assert answer.outcome == CODES[code]
    assert answer.detail.startswith(code)
    assert (answer.wait is not None) == (answer.outcome == Outcome.SLOW_DOWN)
    assert sms.counts.arrived == {}


def test_a_code_nobody_has_heard_of_is_unknown(sms: Sms, way: AliyunSms) -> None:
    sms.faults = [Fault("code", code="isv.SOMETHING_NEW")]
    assert way.send(letter()).outcome == Outcome.UNKNOWN


def test_the_codes_are_those_of_the_page() -> None:
    page = (Path(__file__).parent.parent / "docs" / "channels" / "sms.md").read_text(encoding="utf-8")
    assert {code for code in CODES if f"`{code}`" not in page} == set()


@pytest.mark.parametrize(
    ("detail", "at", "wait"),
    [
        ("isv.BUSINESS_LIMIT_CONTROL 触发分钟级流控Permits:1", "2026-11-25T10:00:00+08:00", timedelta(minutes=1)),
        ("isv.BUSINESS_LIMIT_CONTROL 触发小时级流控Permits:5", "2026-11-25T10:00:00+08:00", timedelta(hours=1)),
        ("isv.BUSINESS_LIMIT_CONTROL 触发天级流控Permits:40", "2026-11-25T10:00:00+08:00", timedelta(hours=14)),
        ("isv.BUSINESS_LIMIT_CONTROL", "2026-11-25T10:00:00+08:00", timedelta(hours=1)),
        ("isv.DAY_LIMIT_CONTROL 触发日发送限额", "2026-11-25T23:30:00+08:00", timedelta(minutes=30)),
        ("Throttling.User", "2026-11-25T10:00:00+08:00", timedelta(seconds=10)),
    ],
)
def test_they_say_for_how_long(detail: str, at: str, wait: timedelta) -> None:
    assert wait_after(detail.split(" ")[0], detail, datetime.fromisoformat(at)) == wait


@pytest.mark.parametrize(
    ("kind", "came"), [("lost", 0), ("drop", 1), ("reset", 1), ("cut", 1), ("hang", 1), ("fail", 1), ("garble", 1)]
)
def test_what_was_sent_and_not_answered_is_unknown_until_it_is_found(
    sms: Sms, way: AliyunSms, kind: str, came: int
) -> None:
    way.way.total = 0.3
    way.way.pool.connection_pool_kw["timeout"] = 0.3
    sms.faults = [Fault(kind, times=1)]
    one = letter()
    assert way.send(one).outcome == Outcome.UNKNOWN
    assert arrived(sms, one) == [came]
    # Too early it proves nothing; once their list must be complete it proves absence.
    assert way.find(later(one, timedelta(minutes=14))).outcome == (Outcome.ACCEPTED if came else Outcome.UNKNOWN)
    assert way.find(later(one)).outcome == (Outcome.ACCEPTED if came else Outcome.NOT_SENT)
    assert arrived(sms, one) == [came]  # asking sends nothing


def test_absence_counts_from_the_latest_attempt(way: AliyunSms) -> None:
    second = replace(later(letter()), last_sent_at=NOW + timedelta(minutes=10))
    assert way.find(second).outcome == Outcome.UNKNOWN
    assert way.find(replace(second, sent_at=NOW + timedelta(minutes=26))).outcome == Outcome.NOT_SENT


def test_where_nobody_is_nothing_was_sent(sms: Sms, settings: Any) -> None:
    settings.ALIYUN_SMS_URL = f"http://127.0.0.1:{free_port()}"
    assert AliyunSms().send(letter()).outcome == Outcome.NOT_SENT
    assert AliyunSms().find(later(letter())).outcome == Outcome.UNKNOWN


def test_another_message_to_the_same_number_proves_nothing(sms: Sms, way: AliyunSms) -> None:
    way.send(letter(key="push:another"))
    assert way.find(later(letter())).outcome == Outcome.NOT_SENT


def test_a_list_that_counts_more_than_it_shows_proves_nothing(sms: Sms, way: AliyunSms) -> None:
    one = letter()
    way.send(one)
    sms.shows_nothing = True
    assert way.find(later(one)).outcome == Outcome.UNKNOWN


def test_a_long_list_is_read_to_its_end(sms: Sms, way: AliyunSms) -> None:
    for n in range(120):
        way.send(letter(key=f"push:{n}"))
    assert way.find(later(letter(key="push:119"))).outcome == Outcome.ACCEPTED
    assert way.find(later(letter(key="push:120"))).outcome == Outcome.NOT_SENT
    assert sms.counts.found == {"13800000001": 6}


def test_a_query_that_is_refused_proves_nothing(sms: Sms, way: AliyunSms) -> None:
    sms.faults = [Fault("code", code="isp.RAM_PERMISSION_DENY", path="QuerySendDetails")]
    assert way.find(later(letter())).outcome == Outcome.UNKNOWN


def test_a_message_of_midnight_is_looked_for_on_both_days(sms: Sms, way: AliyunSms) -> None:
    at = datetime(2026, 11, 24, 23, 59, 58, tzinfo=SHANGHAI)
    one = letter()
    sms.lists[one.address, "20261125"] = [{"OutId": one.key, "SendStatus": 1}]
    asked = replace(one, first_sent_at=at, last_sent_at=at, sent_at=at + LONG_AGO)
    assert way.find(asked).outcome == Outcome.ACCEPTED
    assert way.find(replace(asked, key="push:another")).outcome == Outcome.NOT_SENT


def test_what_the_carrier_could_not_deliver_has_failed(sms: Sms, way: AliyunSms) -> None:
    one = letter()
    way.send(one)
    sms.receipts("MOBILE_NOT_ON_SERVICE")
    assert way.find(later(one)) == Answer(Outcome.FAILED, detail="MOBILE_NOT_ON_SERVICE")


# --- Batches ---------------------------------------------------------------------------------------------------


def test_a_batch_of_sixty_is_one_call_and_each_of_it_is_found(sms: Sms, way: AliyunSms) -> None:
    many = [letter(n) for n in range(60)]
    assert outcomes(way.send_many(many)) == [Outcome.ACCEPTED] * 60
    assert sms.counts.requests == 1
    assert arrived(sms, *many) == [1] * 60
    assert len(batch_id(many)) == 245  # a provider's OutId has fewer than 256
    assert {way.find(later(one)).outcome for one in many} == {Outcome.ACCEPTED}
    assert way.find(later(letter(7, key="push:another"))).outcome == Outcome.NOT_SENT


def test_a_batch_whose_answer_is_lost_is_unknown_and_found_again(sms: Sms, way: AliyunSms) -> None:
    many = [letter(n) for n in range(5)]
    sms.faults = [Fault("drop", path="SendBatchSms", times=1)]
    answers = way.send_many(many)
    assert outcomes(answers) == [Outcome.UNKNOWN] * 5
    assert {answer.ref for answer in answers} == {batch_ref(batch_id(many))}  # by which its receipts will be known
    assert {way.find(later(one)).outcome for one in many} == {Outcome.ACCEPTED}
    assert arrived(sms, *many) == [1] * 5


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("isv.MOBILE_NUMBER_ILLEGAL", Outcome.NO_RECIPIENT),
        ("isv.CUSTOMER_REFUSED", Outcome.OPTED_OUT),
        ("isv.BUSINESS_LIMIT_CONTROL", Outcome.SLOW_DOWN),
        ("isv.SMS_CONTENT_ILLEGAL", Outcome.FAILED),
    ],
)
def test_one_bad_message_holds_up_none_of_its_batch(sms: Sms, way: AliyunSms, code: str, outcome: Outcome) -> None:
    many = [letter(n) for n in range(60)]
    sms.faults = [Fault("code", code=code, to=many[41].address)]
    answers = way.send_many(many)
    assert [n for n, answer in enumerate(answers) if answer.outcome != Outcome.ACCEPTED] == [41]
    assert answers[41].outcome == outcome
    assert arrived(sms, *many) == [1] * 41 + [0] + [1] * 18
    assert sms.counts.requests <= 13


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("isv.AMOUNT_NOT_ENOUGH", Outcome.STOP), ("Throttling.User", Outcome.SLOW_DOWN)],
)
def test_what_holds_for_all_is_asked_once(sms: Sms, way: AliyunSms, code: str, outcome: Outcome) -> None:
    sms.faults = [Fault("code", code=code)]
    many = [letter(n, template=f"SMS_{n}") for n in range(5)]
    assert outcomes(way.send_many(many)) == [outcome] * 5
    assert sms.counts.requests == 1


def test_templates_repeated_numbers_and_codes_go_apart(sms: Sms, way: AliyunSms) -> None:
    many = [
        letter(1), letter(2), letter(3, template="SMS_200"), letter(1, key="second"), letter(4, klass="code"),
        letter(5, klass="staff"), letter(6, values={}),
    ]  # fmt: skip
    assert outcomes(way.send_many(many)) == [Outcome.ACCEPTED] * 7
    assert arrived(sms, *many) == [1] * 7
    assert sms.counts.requests == 5  # 1, 2 and 6 together


def test_no_call_is_begun_when_the_time_of_a_batch_is_up(
    sms: Sms, way: AliyunSms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.channels.aliyun.LONGEST", -1.0)
    answers = way.send_many([letter(1), letter(2)])
    assert [(answer.outcome, answer.wait) for answer in answers] == [(Outcome.SLOW_DOWN, timedelta(0))] * 2
    assert sms.counts.requests == 0


# --- Call backs --------------------------------------------------------------------------------------------------


def heard(way: AliyunSms, items: Any, secret: str | None = SECRET) -> Any:
    body = items if isinstance(items, bytes) else json.dumps(items, ensure_ascii=False).encode()
    return way.read(headers={}, query={} if secret is None else {"secret": secret}, body=body)


def test_receipts_name_the_key_of_one_and_the_number_and_address_of_a_batch(sms: Sms, way: AliyunSms) -> None:
    many = [letter(1), letter(2)]
    refs = {answer.ref for answer in way.send_many(many)}
    way.send(letter(3))
    said = heard(way, sms.receipts())
    assert [(one.outcome, one.key, one.address) for one in said.receipts] == [
        ("delivered", "", "13800000001"), ("delivered", "", "13800000002"), ("delivered", letter(3).key, "13800000003"),
    ]  # fmt: skip
    assert {one.ref for one in said.receipts[:2]} == refs
    assert said.receipts[0].detail == "DELIVERED 用户接收成功"
    assert abs(said.receipts[0].at - datetime.now(UTC)) < timedelta(minutes=5)
    assert json.loads(said.answer) == {"code": 0, "msg": "接收成功"}
    assert said.content_type == "application/json"


def test_what_was_not_delivered_says_why_and_a_refusal_in_it_is_heard(way: AliyunSms) -> None:
    report = {
        "phone_number": "8613800000001", "send_time": "2026-11-25 10:00:00", "report_time": "2026-11-25 10:00:05",
        "success": False, "err_code": "USER_REJECT", "err_msg": "已退订", "biz_id": "9^0", "out_id": "push:1",
    }  # fmt: skip
    said = heard(way, [report, {**report, "err_code": "MOBILE_NOT_ON_SERVICE", "out_id": "push:2"}])
    assert [(one.outcome, one.key, one.detail) for one in said.receipts] == [
        ("undelivered", "push:1", "USER_REJECT 已退订"), ("undelivered", "push:2", "MOBILE_NOT_ON_SERVICE 已退订"),
    ]  # fmt: skip
    assert [(one.who, one.proof) for one in said.refusals] == [(("phone", "13800000001"), "短信回执 USER_REJECT 9^0")]


@pytest.mark.parametrize("words", ["R", "r", "ＴＤ", " 退订。", "拒收", "T", "取消订阅"])
def test_who_answers_with_a_refusal_is_heard(way: AliyunSms, words: str) -> None:
    letter = {
        "phone_number": "13800000001", "content": words, "send_time": "2026-11-25 21:03:04", "dest_code": "1",
        "sequence_id": 1234567890,
    }  # fmt: skip
    (refusal,) = heard(way, [letter]).refusals
    assert refusal.who == ("phone", "13800000001")
    assert refusal.at == datetime(2026, 11, 25, 21, 3, 4, tzinfo=SHANGHAI)
    assert re.fullmatch(r"短信 .+ 1234567890", refusal.proof)


def test_other_answers_of_people_are_not_refusals(way: AliyunSms) -> None:
    said = heard(
        way, [{"phone_number": "13800000001", "content": "什么时候来修？", "send_time": "x", "sequence_id": "1"}]
    )
    assert (said.receipts, said.refusals) == ([], [])


def test_a_refusal_without_a_readable_hour_is_heard_all_the_same(way: AliyunSms) -> None:
    (refusal,) = heard(way, [{"phone_number": "13800000001", "content": "R", "send_time": "soon"}]).refusals
    assert abs(refusal.at - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("secret", [None, "", "another", SECRET + "x", SECRET.upper(), "密"])
def test_who_does_not_know_the_secret_is_not_heard(way: AliyunSms, secret: str | None) -> None:
    with pytest.raises(Forged):
        heard(way, [], secret)


def test_without_a_secret_of_ours_nobody_is_heard(way: AliyunSms, settings: Any) -> None:
    settings.ALIYUN_SMS_RECEIPTS_SECRET = ""
    with pytest.raises(Forged):
        heard(way, [], "")


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff", b'[{"phone_number": "1"}]', b'{"a": [}'])
def test_what_is_no_report_is_said_to_be_none(way: AliyunSms, body: bytes) -> None:
    with pytest.raises(Unreadable):
        heard(way, body)
