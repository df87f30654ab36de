"""A drain that takes long: it hears the clock while it sends, and comes to an end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from connectors.channels import Answer, Envelope
from connectors.channels.phone import Phone
from connectors.models import PhoneMessage
from tenants import clock, outbox
from tenants.models import Message
from tenants.outbox import Draft
from tests.makers import TODAY, make_tenant

pytestmark = pytest.mark.django_db
EVENING = clock.at(TODAY, 20, 30) + timedelta(seconds=30)  # half an hour, and half a minute less, before it closes
DEADLINE = clock.at(TODAY + timedelta(days=3), 21)


class SlowPhone(Phone):
    """Every call takes it a minute."""

    name = "slow"

    def send(self, envelope: Envelope) -> Answer:
        clock.advance(timedelta(minutes=1))
        return super().send(envelope)


@pytest.fixture(autouse=True)
def slow(settings: Any) -> None:
    settings.MORE_CHANNELS, settings.CHANNELS = {"slow": "tests.test_draining:SlowPhone"}, ["slow"]
    clock.set_to(EVENING)


def post(n: int, **facts: Any) -> None:
    facts = {"klass": "marketing", "text": "您的租约快到期了。", "deadline": DEADLINE, **facts}
    outbox.post_many([Draft(key=f"push:{i}", tenant_id=make_tenant().pk, **facts) for i in range(n)], now=EVENING)


@pytest.mark.parametrize("klass", ["marketing", "service"])
def test_what_was_claimed_before_the_hours_end_is_held_back_when_they_do(klass: str) -> None:
    post(100, klass=klass)
    assert outbox.drain(now=clock.now) == {"accepted": 30, "queued": 34, "later": 70}
    waiting = Message.objects.filter(state="queued").values_list("not_before", "reason").distinct()
    assert list(waiting) == [(clock.at(TODAY + timedelta(days=1), 9), "夜间不打扰，等到早上再发。")]
    assert outbox.drain(now=clock.now) == {}
    clock.set_to(clock.at(TODAY + timedelta(days=1), 9))
    assert outbox.drain(now=clock.now) == {"accepted": 70}


def test_who_hears_no_clock_sends_until_late_at_night() -> None:
    """The red twin: the moment at which it began counts until its end."""
    post(100)
    assert outbox.drain(now=clock.now()) == {"accepted": 100}
    assert clock.now() > clock.at(TODAY, 22)


def test_what_comes_to_its_deadline_behind_others_expires() -> None:
    post(10, deadline=EVENING + timedelta(seconds=330))
    assert outbox.drain(now=clock.now) == {"accepted": 6, "queued": 4, "expired": 4}
    assert PhoneMessage.objects.count() == 6


def test_codes_go_at_any_hour() -> None:
    post(40, klass="code", text="验证码 {code}")
    assert outbox.drain(now=clock.now) == {"accepted": 40}
