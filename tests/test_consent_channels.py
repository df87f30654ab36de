"""A refusal of one channel: no offer goes there any more, and the next lawful channel of its route carries it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from campaigns import playbooks, pushes
from campaigns.models import Push
from connectors.models import PhoneMessage
from tenants import clock, consents, outbox
from tenants.models import Consent, Message, Tenant
from tenants.outbox import Draft, claiming, rules
from tests.makers import NOW, TODAY, make_lease, make_playbook, make_tenant
from tests.standins.base import serving
from tests.standins.pager import PagerService

pytestmark = pytest.mark.django_db
DEADLINE = clock.at(TODAY + timedelta(days=3), 21)


@pytest.fixture
def service(settings: Any) -> Any:
    with serving(PagerService()) as service:
        settings.MORE_CHANNELS = {"pager": "tests.pager:Pager", "pagers": "tests.pager:PagerBatch"}
        settings.CHANNELS = ["pager", "pagers", "phone"]
        settings.PAGER_URL, settings.PAGER_TIMEOUT = service.url, 1.0
        yield service


def offer(tenant: Tenant, **facts: Any) -> None:
    facts = {"klass": "marketing", "text": "您的租约快到期了。", "deadline": DEADLINE, **facts}
    outbox.post(Draft(key="push:1", tenant_id=tenant.pk, **facts), now=NOW)


def refuse(tenant: Tenant, channel: str) -> None:
    consents.refuse_marketing(tenant, now=NOW, proof="前台", channel=channel)


def told() -> tuple[str, str, list[str]]:
    message = Message.objects.get()
    return message.state, message.channel, message.route


def test_a_refusal_of_one_channel_sends_the_offer_by_the_next_lawful_one(service: PagerService) -> None:
    tenant = make_tenant()
    offer(tenant)
    refuse(tenant, "pager")
    refuse(tenant, "pagers")
    assert outbox.drain(now=NOW) == {"next": 2, "accepted": 1}
    assert told() == ("accepted", "phone", [])
    assert not service.counts.arrived
    assert PhoneMessage.objects.get().key == "push:1"


def test_refused_on_every_channel_of_its_route_it_is_not_sent(service: PagerService) -> None:
    tenant = make_tenant()
    offer(tenant, route=["pager", "phone"])
    refuse(tenant, "pager")
    refuse(tenant, "phone")
    assert outbox.drain(now=NOW) == {"next": 1, "suppressed": 1}
    assert told()[0] == "suppressed"
    assert not service.counts.arrived
    assert not PhoneMessage.objects.exists()


def test_a_refusal_of_all_goes_by_no_channel(service: PagerService) -> None:
    tenant = make_tenant()
    offer(tenant)
    consents.refuse_marketing(tenant, now=NOW, proof="前台")
    outbox.drain(now=NOW)
    assert told()[0] == "suppressed"
    assert not service.counts.arrived
    assert not PhoneMessage.objects.exists()


def test_what_is_no_offer_goes_where_offers_are_refused(service: PagerService) -> None:
    tenant = make_tenant()
    refuse(tenant, "pager")
    offer(tenant, klass="service")
    assert outbox.drain(now=NOW) == {"accepted": 1}
    assert told() == ("accepted", "pager", ["pagers", "phone"])


def test_a_refusal_between_claim_and_call_moves_it_on(service: PagerService, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = make_tenant()
    offer(tenant, route=["pager", "phone"])
    still_ours = claiming.still_ours

    def and_refused_meanwhile(claims: Any, *, channel: str, now: Any) -> Any:
        if channel == "pager":
            refuse(tenant, "pager")
        return still_ours(claims, channel=channel, now=now)

    monkeypatch.setattr(claiming, "still_ours", and_refused_meanwhile)
    outbox.drain(now=NOW)
    outbox.drain(now=NOW)
    assert told() == ("accepted", "phone", [])
    assert not service.counts.arrived


def test_what_may_have_gone_before_a_restore_goes_by_no_other_channel(service: PagerService) -> None:
    tenant = make_tenant()
    offer(tenant)
    Message.objects.update(doubtful=True)
    refuse(tenant, "pager")
    ((state, _reason, _moment),) = rules.judge([Message.objects.get().pk], channel="pager", now=NOW).values()
    assert state == "suppressed"
    outbox.drain(now=NOW)
    assert not PhoneMessage.objects.exists()


def test_without_the_look_at_the_claim_a_refused_channel_is_used(
    service: PagerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The red twin."""
    tenant = make_tenant()
    offer(tenant)
    refuse(tenant, "pager")
    monkeypatch.setattr(rules, "judge", lambda ids, *, channel, now: {})
    outbox.drain(now=NOW)
    assert dict(service.counts.arrived) == {"push:1": 1}


@pytest.mark.parametrize(
    ("lines", "planned"),
    [
        ([("any", True), ("pager", False)], True),
        ([("any", True), ("pager", False), ("pagers", False), ("phone", False)], False),
        ([("any", False), ("phone", True)], True),
        ([("phone", True), ("any", False)], False),
        ([("wechat", True)], False),
        ([], False),
    ],
)
def test_an_offer_is_planned_for_who_agrees_on_one_channel_at_least(
    service: PagerService, lines: list[tuple[str, bool]], planned: bool
) -> None:
    tenant = make_tenant(consents=())
    for number, (channel, granted) in enumerate(lines):
        Consent.objects.create(
            tenant=tenant, purpose="marketing", channel=channel, granted=granted, text_version="2025-01",
            at=NOW - timedelta(days=9 - number), proof="入住登记", recorded_at=NOW - timedelta(days=9 - number),
        )  # fmt: skip
    make_lease(tenant)
    make_playbook("x")
    playbooks.enrol(today=TODAY, now=NOW)
    pushes.plan(today=TODAY, now=NOW)
    assert (Push.objects.get().state == "planned") is planned
