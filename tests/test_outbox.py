"""The outbox: once per key, checked again at the last moment, and honest about what it does not know."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction

from connectors.channels import Answer, Outcome
from connectors.channels.phone import Phone
from connectors.models import PhoneMessage
from tenants import clock, codes, consents, links, outbox, recalling
from tenants.models import Attempt, Link, Message, Pause, Tenant
from tenants.outbox import Draft, claiming, envelopes, marking, rules
from tenants.outbox.marking import Said
from tests.makers import NOW, TODAY, make_announcement, make_lease, make_tenant

pytestmark = pytest.mark.django_db
DEADLINE = clock.at(TODAY + timedelta(days=3), 21)
NIGHT = clock.at(TODAY, 23, 30)


def draft(tenant: Tenant, key: str = "push:1", **facts: Any) -> Draft:
    facts = {"klass": "marketing", "text": "您常去的共享厨房要升级了。", "deadline": DEADLINE, **facts}
    return Draft(key=key, tenant_id=tenant.pk, **facts)


def state_of(key: str = "push:1") -> tuple[str, str]:
    return Message.objects.values_list("state", "reason").get(key=key)


def received() -> list[str]:
    return list(PhoneMessage.objects.order_by("pk").values_list("text", flat=True))


def test_a_message_arrives_once_however_often_it_is_posted_and_drained() -> None:
    tenant = make_tenant()
    for _time in range(3):
        outbox.post(draft(tenant), now=NOW)
        outbox.drain(now=NOW)
    assert received() == ["您常去的共享厨房要升级了。"]
    message = Message.objects.get()
    assert (message.state, message.attempt, message.sent_at) == ("accepted", 1, NOW)
    assert list(Attempt.objects.values_list("number", "outcome")) == [(1, "accepted")]


def test_the_phone_of_the_tenant_gets_it() -> None:
    tenant = make_tenant()
    make_tenant("周航")
    outbox.post(draft(tenant), now=NOW)
    outbox.drain(now=NOW)
    assert PhoneMessage.objects.get().address == tenant.phone


def test_of_two_tenants_who_differ_only_in_consent_one_hears() -> None:
    hears, refused = make_tenant("林晓"), make_tenant("周航", consents=("profiling",))
    outbox.post_many([draft(hears, "push:1"), draft(refused, "push:2")], now=NOW)
    outbox.drain(now=NOW)
    assert PhoneMessage.objects.get().address == hears.phone
    assert state_of("push:2") == ("suppressed", "租客未同意接收续租优惠。")


def test_a_refusal_between_queue_and_send_is_heard() -> None:
    tenant = make_tenant()
    outbox.post(draft(tenant), now=NOW)
    consents.refuse_marketing(tenant, now=NOW, proof="R")
    outbox.drain(now=NOW)
    assert received() == []
    assert state_of()[0] == "suppressed"


def test_the_refusal_is_heard_because_it_is_asked_at_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    """The red twin: without taking back and without the last check the same refusal comes too late."""
    monkeypatch.setattr(recalling, "offers", lambda *_, **__: 0)
    monkeypatch.setattr(rules, "judge", lambda *_, **__: {})
    tenant = make_tenant()
    outbox.post(draft(tenant), now=NOW)
    consents.refuse_marketing(tenant, now=NOW, proof="R")
    outbox.drain(now=NOW)
    assert len(received()) == 1


@pytest.mark.parametrize("withdraw", ["withdrawn", "past"])
def test_a_message_dies_with_the_announcement_it_claims(withdraw: str) -> None:
    lease = make_lease()
    said = make_announcement(lease.unit.building)
    tenant = lease.tenants.get()
    outbox.post(draft(tenant, claims_id=said.pk), now=NOW)
    if withdraw == "withdrawn":
        said.withdrawn_at = NOW
    else:
        said.until = TODAY - timedelta(days=1)
    said.save()
    outbox.drain(now=NOW)
    assert received() == []
    assert state_of() == ("suppressed", "所提到的楼栋公告已失效。")


def test_a_lease_renewed_meanwhile_is_not_asked_again() -> None:
    lease = make_lease()
    tenant = lease.tenants.get()
    outbox.post(draft(tenant, lease_id=lease.pk, stops_on_answer=True), now=NOW)
    first = lease.last_day + timedelta(days=1)
    make_lease(tenant, lease.unit, renews=lease, first_day=first, last_day=date(2026, 12, 26))
    outbox.drain(now=NOW)
    assert received() == []
    assert state_of() == ("cancelled", "已续租。")


def test_late_is_worse_than_never() -> None:
    outbox.post(draft(make_tenant()), now=NOW)
    outbox.drain(now=DEADLINE)
    assert received() == []
    assert state_of()[0] == "expired"


def test_at_night_an_offer_waits_for_the_morning_and_a_code_does_not() -> None:
    tenant = make_tenant()
    outbox.post(draft(tenant, "push:1"), now=NIGHT)
    outbox.post(
        draft(tenant, "code:1:1:1", klass="code", text="验证码 {code}", deadline=NIGHT + timedelta(minutes=5)),
        now=NIGHT,
    )
    outbox.drain(now=NIGHT)
    assert received() == [f"验证码 {codes.digits('code:1:1:1')}"]
    morning = clock.at(TODAY + timedelta(days=1), 9)
    assert Message.objects.get(key="push:1").not_before == morning
    outbox.drain(now=morning - timedelta(seconds=1))
    assert len(received()) == 1
    outbox.drain(now=morning)
    assert len(received()) == 2


def test_a_night_that_outlasts_the_deadline_ends_the_message() -> None:
    outbox.post(draft(make_tenant(), deadline=NIGHT + timedelta(hours=2)), now=NIGHT)
    outbox.drain(now=NIGHT)
    assert state_of()[0] == "expired"


def test_two_offers_to_one_tenant_stand_three_days_apart() -> None:
    tenant = make_tenant()
    late = NOW + timedelta(days=9)
    outbox.post_many([draft(tenant, f"push:{n}", deadline=late) for n in (1, 2)], now=NOW)
    outbox.drain(now=NOW)
    assert len(received()) == 1
    assert Message.objects.get(key="push:2").not_before == NOW + timedelta(hours=72)
    outbox.drain(now=NOW + timedelta(hours=71))
    assert len(received()) == 1
    outbox.drain(now=NOW + timedelta(hours=72))
    assert len(received()) == 2


def test_digits_are_sent_and_stored_nowhere_of_ours() -> None:
    tenant = make_tenant()
    outbox.post(draft(tenant, "code:9:9:1", klass="code", text="验证码 {code}"), now=NOW)
    outbox.drain(now=NOW)
    digits = codes.digits("code:9:9:1")
    assert received() == [f"验证码 {digits}"]
    assert digits not in str([*Message.objects.values(), *Attempt.objects.values()])


def test_a_link_is_minted_at_sending_and_only_its_hash_is_kept() -> None:
    lease = make_lease()
    outbox.post(draft(lease.tenants.get(), lease_id=lease.pk, link_purpose="proposal"), now=NOW)
    assert not Link.objects.exists()
    outbox.drain(now=NOW)
    url = PhoneMessage.objects.get().url
    token = url.rsplit("/", 1)[1]
    link = Link.objects.get()
    assert links.find(token, now=NOW) == link
    assert (link.carrier, link.expires_at) == ("message:push:1", clock.at(lease.last_day + timedelta(days=1)))
    assert token not in link.token_hash


def lapse() -> None:
    """The claim of whoever is sending has run out, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update tenants_message set lease_until = clock_timestamp() - interval '1 s' where state = 'sending'"
        )


@pytest.mark.parametrize("had_sent", [True, False])
def test_a_worker_that_died_while_sending_leaves_one_message(had_sent: bool) -> None:
    tenant = make_tenant()
    outbox.post(draft(tenant), now=NOW)
    claims, _ = claiming.claim(Phone, now=NOW, limit=10)
    if had_sent:  # it died between the provider's answer and the mark
        (sealed,) = envelopes.seal([claims[0].message], Phone, now=NOW).values()
        Phone().send(sealed.envelope)
    assert outbox.drain(now=NOW) == {}  # while the claim holds, nobody else sends
    lapse()
    outbox.drain(now=NOW)
    outbox.drain(now=NOW)
    assert len(received()) == 1
    assert state_of()[0] == "accepted"
    assert Message.objects.get().attempt == (1 if had_sent else 2)
    assert claims[0].attempt == 1


def test_a_worker_that_overslept_its_claim_marks_nothing() -> None:
    outbox.post(draft(make_tenant()), now=NOW)
    (late,), _ = claiming.claim(Phone, now=NOW, limit=10)
    sealed = envelopes.seal([late.message], Phone, now=NOW)[late.message]
    lapse()
    outbox.drain(now=NOW)
    failed = Said(late, sealed, Answer(Outcome.FAILED, detail="late"))
    assert marking.mark("phone", [failed], now=NOW) == {"fenced": 1}
    assert state_of()[0] == "accepted"


def test_one_message_that_cannot_be_sent_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    tenants = [make_tenant() for _ in range(3)]
    nobody = make_tenant(phone="")
    outbox.post_many([draft(t, f"push:{t.pk}") for t in (nobody, *tenants)], now=NOW)
    outbox.drain(now=NOW)
    assert len(received()) == 3
    assert state_of(f"push:{nobody.pk}") == ("failed", "在这个渠道上没有地址。")


@pytest.mark.parametrize("channel", ["phone", "*"])
def test_a_paused_channel_keeps_everything(channel: str) -> None:
    outbox.post(draft(make_tenant()), now=NOW)
    pause = Pause.objects.create(channel=channel, at=NOW)
    outbox.drain(now=NOW)
    assert received() == []
    pause.delete()
    outbox.drain(now=NOW)
    assert len(received()) == 1


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("accepted", "queued"),
        ("expired", "queued"),
        ("sending", "expired"),
        ("unknown", "sending"),
        ("dead", "queued"),
        ("cancelled", "sending"),
    ],
)
def test_the_database_refuses_an_unlawful_move(was: str, becomes: str) -> None:
    message = Message.objects.create(
        key="push:1", klass="marketing", tenant=make_tenant(), channel="phone", state=was, lease_until=NOW,
        not_before=NOW, deadline=DEADLINE, created_at=NOW, changed_at=NOW,
    )  # fmt: skip
    with pytest.raises(IntegrityError, match="does not go from"), transaction.atomic():
        Message.objects.filter(pk=message.pk).update(state=becomes)


@pytest.mark.django_db(transaction=True)
def test_four_workers_send_two_hundred_messages_once_each() -> None:
    tenants = [make_tenant(f"租客{n}") for n in range(100)]
    # Two offers to each: the cap lets one through, whoever claims first.
    outbox.post_many([draft(t, f"push:{t.pk}:{n}") for t in tenants for n in (1, 2)], now=NOW)
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            start.wait()
            while any(outbox.drain(now=NOW, limit=7).values()):
                pass
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert PhoneMessage.objects.count() == 100
    assert PhoneMessage.objects.values("address").distinct().count() == 100
    assert Attempt.objects.count() == 100
    assert sorted(set(Message.objects.values_list("state", flat=True))) == ["accepted", "queued"]


def test_a_provider_that_cannot_be_asked_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox.post(draft(make_tenant(), "push:1"), now=NOW)
    claiming.claim(Phone, now=NOW, limit=1)
    lapse()
    outbox.post(draft(make_tenant(), "push:2"), now=NOW)

    def broken(*_: object) -> None:
        raise OSError("the line is dead")

    monkeypatch.setattr("connectors.channels.phone.Phone.find", broken)
    outbox.drain(now=NOW)
    assert (state_of("push:1")[0], state_of("push:2")[0]) == ("unknown", "accepted")
