"""The outbox through the real channels: answers are lost, and each message still arrives once, or is seen not to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from connectors.channels import Answer, Outcome
from connectors.channels.aliyun import AliyunSms
from tenants import clock, outbox
from tenants.models import Alias, Consent, Message, Tenant
from tenants.outbox import Draft
from tests.makers import make_tenant
from tests.standins import jpush
from tests.standins import sms as aliyun
from tests.standins.base import Fault, serving
from tests.standins.erp import PATH, SECRET, Erp

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)  # a provider's lists are of its own days, so these tests run in the real one
LATER = NOW + timedelta(minutes=16)


@pytest.fixture(autouse=True)
def at_any_hour(settings: Any) -> None:
    settings.QUIET_BEFORE_HOUR, settings.QUIET_FROM_HOUR = 0, 24
    settings.QUIET_REST_BEFORE_HOUR, settings.QUIET_REST_FROM_HOUR = 0, 24
    clock.set_to(NOW)


@pytest.fixture
def sms(settings: Any) -> Iterator[aliyun.Sms]:
    settings.ALIYUN_SMS_KEY_ID, settings.ALIYUN_SMS_KEY_SECRET = aliyun.KEY_ID, aliyun.KEY_SECRET
    settings.ALIYUN_SMS_SIGN, settings.ALIYUN_SMS_RECEIPTS_SECRET = aliyun.SIGN, "s" * 20
    settings.CHANNELS = ["sms"]
    with serving(aliyun.Sms()) as standin:
        settings.ALIYUN_SMS_URL = standin.url
        yield standin


def post(channel: str, tenants: list[Tenant], klass: str = "service") -> None:
    forms = {"sms": {"template": "SMS_100", "values": {"days": "30"}}}
    drafts = [
        Draft(
            key=f"push:{n}", tenant_id=tenant.pk, klass=klass, text="还有30天到期", deadline=NOW + timedelta(days=3),
            route=[channel], forms=forms,
        )
        for n, tenant in enumerate(tenants)
    ]  # fmt: skip
    outbox.post_many(drafts, now=NOW)


def people(many: int) -> list[Tenant]:
    return [make_tenant(f"租客{n}", phone=f"139{n:08d}") for n in range(many)]


def states() -> Counter[str]:
    return Counter(Message.objects.values_list("state", flat=True))


def test_sms_whose_answers_are_lost_arrive_once_and_lost_ones_are_sent_again(sms: aliyun.Sms) -> None:
    post("sms", people(150))
    # Three calls of sixty, sixty and thirty: one is lost on the way, one is taken and not answered.
    sms.faults = [Fault("lost", path="SendBatchSms", times=1), Fault("drop", path="SendBatchSms", times=1)]
    outbox.drain(now=NOW)
    assert states()["accepted"] < 100
    assert set(states()) == {"accepted", "unknown"}
    outbox.drain(now=NOW + timedelta(minutes=5))
    before = states()["unknown"]
    assert before in {30, 60}  # those of the lost call: not yet proved absent
    assert sms.counts.arrived.total() == 150 - before
    for minutes in (16, 17, 18):
        outbox.drain(now=NOW + timedelta(minutes=minutes))
    assert states() == {"accepted": 150}
    assert (sms.counts.arrived.total(), sms.counts.doubles()) == (150, 0)


def test_sending_blindly_again_doubles(sms: aliyun.Sms, monkeypatch: pytest.MonkeyPatch) -> None:
    """The red twin: it is the list of the provider that keeps it to one."""
    monkeypatch.setattr(AliyunSms, "find", lambda _way, _envelope: Answer(Outcome.NOT_SENT))
    post("sms", people(3))
    sms.faults = [Fault("drop", path="SendBatchSms", times=1)]
    for minutes in range(5):
        outbox.drain(now=NOW + timedelta(minutes=minutes))
    assert sms.counts.doubles() == 3


def test_an_attempt_that_has_just_been_made_again_is_not_proved_absent_by_the_first(sms: aliyun.Sms) -> None:
    post("sms", people(1))
    sms.faults = [Fault("lost", path="SendSms", times=2)]
    outbox.drain(now=NOW)
    outbox.drain(now=LATER)  # proved absent, queued
    outbox.drain(now=LATER + timedelta(minutes=1))  # sent again, and lost again
    assert states() == {"unknown": 1}
    outbox.drain(now=LATER + timedelta(minutes=10))
    assert states() == {"unknown": 1}
    outbox.drain(now=LATER + timedelta(minutes=40))
    outbox.drain(now=LATER + timedelta(minutes=45))
    assert states() == {"accepted": 1}
    assert sms.counts.arrived.total() == 1


def test_receipts_of_one_and_of_many_find_their_messages_and_a_refusal_is_heard(sms: aliyun.Sms) -> None:
    some = people(4)
    post("sms", some[:3])
    sms.faults = [Fault("drop", path="SendBatchSms", times=1)]
    outbox.drain(now=NOW)
    assert states() == {"unknown": 3}
    client, address = Client(), f"/api/receipts/sms?secret={'s' * 20}"
    said = client.post(address, json.dumps(sms.receipts()), content_type="application/json")
    assert (said.status_code, said.json()) == (200, {"code": 0, "msg": "接收成功"})
    assert states() == {"delivered": 3}
    letter = [{"phone_number": some[3].phone, "content": "R", "send_time": "2026-11-25 10:00:00", "sequence_id": "7"}]
    for _twice in range(2):
        assert client.post(address, json.dumps(letter), content_type="application/json").status_code == 200
    assert Consent.objects.filter(tenant=some[3], granted=False).exists()
    forged = client.post("/api/receipts/sms?secret=guess", json.dumps(letter), content_type="application/json")
    assert forged.status_code == 403


def test_a_notice_of_the_app_is_pushed_once(settings: Any) -> None:
    settings.JPUSH_APPKEY, settings.JPUSH_SECRET, settings.CHANNELS = jpush.APPKEY, jpush.SECRET, ["jpush"]
    some = people(20)
    for n, tenant in enumerate(some):
        Alias.objects.create(source="app", ref=f"account{n}", tenant=tenant, recorded_at=NOW)
    with serving(jpush.JPush(faults=[Fault("drop", times=3), Fault("lost", times=3)])) as app:
        settings.JPUSH_URL = app.url
        post("jpush", some)
        for minutes in range(4):
            outbox.drain(now=NOW + timedelta(minutes=minutes))
    assert states() == {"accepted": 20}
    assert (app.counts.arrived.total(), app.counts.doubles(), app.counts.handed.total()) == (20, 0, 23)


def test_the_erp_hears_each_lease_once(settings: Any) -> None:
    settings.CHANNELS, settings.ERP_SECRET = ["erp"], SECRET
    with serving(Erp(faults=[Fault("drop", times=1), Fault("fail", times=1)])) as erp:
        settings.ERP_URL = erp.url + PATH
        drafts = [
            Draft(key=f"erp:{n}:0", klass="system", text=f"B1-{n}", deadline=NOW + timedelta(days=30), route=["erp"])
            for n in range(30)
        ]
        outbox.post_many(drafts, now=NOW)
        for minutes in range(4):
            outbox.drain(now=NOW + timedelta(minutes=minutes))
    assert states() == {"accepted": 30}
    assert (len(erp.contracts), erp.counts.doubles()) == (30, 0)
