"""Receipts of 公众号: sealed events at the account's one address move the messages they speak of, forward and once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from connectors.channels import tokens
from connectors.models import Refusal
from tenants import clock, outbox
from tenants.models import Alias, Event, Message, Receipt
from tenants.outbox import Draft
from tests.inbound import drain, landed
from tests.makers import make_tenant
from tests.standins import wechat
from tests.standins.base import Fault, Remote, serving
from tests.standins.wechat import WeChat

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime.now(UTC)
PATH = "/api/sources/wechat"
FORMS = {
    "wechat": {"template": wechat.TEMPLATE, "values": {"thing1": "B1-0301A"}},
    "wechat_subscribe": {"template": wechat.SUBSCRIBED, "values": {"thing1": "维修上门"}},
}


@pytest.fixture
def account(settings: Any) -> Iterator[WeChat]:
    settings.WECHAT_APPID, settings.WECHAT_SECRET = wechat.APPID, wechat.SECRET
    settings.WECHAT_TOKEN, settings.WECHAT_AES_KEY = wechat.TOKEN, wechat.AES_KEY
    settings.CHANNELS = ["wechat", "wechat_subscribe"]
    settings.QUIET_BEFORE_HOUR, settings.QUIET_FROM_HOUR = 0, 24
    settings.QUIET_REST_BEFORE_HOUR, settings.QUIET_REST_FROM_HOUR = 0, 24
    clock.set_to(NOW)
    tokens.forget()
    with serving(WeChat()) as standin:
        settings.WECHAT_URL = standin.url
        yield standin


def post(channel: str = "wechat", many: int = 1) -> None:
    tenants = [make_tenant(f"租客{n}", phone=f"139{n:08d}") for n in range(many)]
    for n, tenant in enumerate(tenants):
        Alias.objects.create(source="wechat", ref=f"o{n}", tenant=tenant, recorded_at=NOW)
    drafts = [
        Draft(
            key=f"push:{n}", tenant_id=tenant.pk, klass="service", text="还有30天到期", route=[channel], forms=FORMS,
            deadline=NOW + timedelta(days=3),
        )
        for n, tenant in enumerate(tenants)
    ]  # fmt: skip
    outbox.post_many(drafts, now=NOW)
    outbox.drain(now=NOW)


def deliver(reports: list[tuple[dict[str, str], bytes]]) -> None:
    for query, body in reports:
        answer = Client().post(f"{PATH}?{urlencode(query)}", body, content_type="text/xml")
        assert (answer.status_code, answer.content) == (200, b"success")


def states() -> list[tuple[str, str]]:
    return list(Message.objects.order_by("key").values_list("state", "reason"))


@pytest.mark.parametrize("channel", ["wechat", "wechat_subscribe"])
@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        ("success", "delivered", ""),
        ("failed:user block", "undelivered", "failed:user block"),
        ("failed: system failed", "undelivered", "failed: system failed"),
    ],
)
def test_a_message_is_sent_and_its_receipt_says_what_became_of_it(
    account: WeChat, channel: str, status: str, state: str, reason: str
) -> None:
    post(channel)
    assert states() == [("accepted", "")]
    deliver(account.reports(status))
    assert landed() == 1  # answered before it is taken in
    drain()
    shown = f"1 {reason}" if reason and channel == "wechat_subscribe" else reason
    assert states() == [(state, shown)]
    assert (Receipt.objects.get().channel, Event.objects.count(), Refusal.objects.count()) == (channel, 0, 0)


def test_the_same_event_three_times_is_one_receipt_and_a_later_no_takes_nothing_back(account: WeChat) -> None:
    post()
    numbers = list(account.unreported)
    reports = account.reports()
    for _retry in range(3):  # the very same call
        deliver(reports)
    drain()
    account.unreported = numbers
    deliver(account.reports("failed:user block"))
    drain()
    assert states() == [("delivered", "")]
    assert sorted(Receipt.objects.values_list("outcome", flat=True)) == ["delivered", "undelivered"]


def test_each_of_many_moves_its_own_message_and_of_somebody_elses_nothing_is_said(account: WeChat) -> None:
    post(many=3)
    account.unreported.sort(key=lambda sent: sent[1])  # calls side by side arrive in any order
    account.unreported.append(("template", "oOther", 77))
    reports = account.reports("success")
    deliver(reports[1:])
    drain()
    assert [state for state, _reason in states()] == ["accepted", "delivered", "delivered"]
    assert Receipt.objects.filter(message=None).get().ref == "77"


def test_a_forged_receipt_moves_nothing(account: WeChat) -> None:
    post()
    ((query, body),) = account.reports("failed:user block")
    for changed in ({**query, "msg_signature": "0" * 40}, {**query, "timestamp": "1"}):
        assert Client().post(f"{PATH}?{urlencode(changed)}", body, content_type="text/xml").status_code == 403
    drain()
    assert states() == [("accepted", "")]


def test_an_answer_that_was_lost_is_found_again_with_its_number_and_its_receipt_counts(account: WeChat) -> None:
    account.faults = [Fault("drop", path="/cgi-bin/message", times=1)]
    post()
    assert [state for state, _reason in states()] == ["unknown"]
    outbox.drain(now=NOW + timedelta(minutes=1))
    assert [state for state, _reason in states()] == ["accepted"]
    assert (account.counts.arrived.total(), account.counts.doubles()) == (1, 0)


def test_what_was_subscribed_to_and_not_answered_is_parked_and_never_sent_again(account: WeChat) -> None:
    account.faults = [Fault("drop", path="/cgi-bin/message", times=1)]
    post("wechat_subscribe")
    for minutes in (1, 5, 60):
        outbox.drain(now=NOW + timedelta(minutes=minutes))
    assert [state for state, _reason in states()] == ["parked"]
    assert account.counts.arrived == {"o0": 1}


def test_a_template_message_nobody_can_tell_about_is_parked_after_ten_minutes(account: WeChat) -> None:
    account.faults = [Fault("lost", path="/cgi-bin/message")]
    post()
    for minutes in (2, 5, 7):
        outbox.drain(now=NOW + timedelta(minutes=minutes))
        assert [state for state, _reason in states()] == ["unknown"]
    account.faults = []
    outbox.drain(now=NOW + timedelta(minutes=12))
    assert [state for state, _reason in states()] == ["parked"]
    assert account.counts.arrived.total() == 0


def test_who_does_not_follow_is_told_by_the_next_channel(settings: Any, account: WeChat) -> None:
    settings.CHANNELS = ["wechat", "phone"]
    account.followers = set()
    tenant = make_tenant("林晓", phone="13900000009")
    Alias.objects.create(source="wechat", ref="oLin", tenant=tenant, recorded_at=NOW)
    draft = Draft(
        key="push:1", tenant_id=tenant.pk, klass="service", text="还有30天到期", forms=FORMS,
        deadline=NOW + timedelta(days=3),
    )  # fmt: skip
    outbox.post(draft, now=NOW)
    outbox.drain(now=NOW)
    message = Message.objects.get()
    assert (message.channel, message.state) == ("phone", "accepted")


def test_offers_never_go_by_template_message(account: WeChat) -> None:
    tenant = make_tenant("林晓", phone="13900000009")
    draft = Draft(
        key="push:1", tenant_id=tenant.pk, klass="marketing", text="续租有礼", forms=FORMS,
        deadline=NOW + timedelta(days=3),
    )  # fmt: skip
    assert outbox.post(draft, now=NOW).state == "suppressed"


def test_over_the_wire_the_provider_posts_what_became_of_it(account: WeChat, live_server: Any) -> None:
    post(many=2)
    said = Remote(account.url).ask("/__report", {"to": f"{live_server.url}{PATH}", "status": "success"})
    assert said == ["success", "success"]
    drain()
    assert [state for state, _reason in states()] == ["delivered", "delivered"]
