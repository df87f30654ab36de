"""Sending through a real provider on loopback: fallback, receipts, stops, limits, and a restored database."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client

from connectors.models import PhoneMessage
from tenants import clock, consents, outbox
from tenants.models import Attempt, Consent, Decision, Epoch, Message, Pause, Receipt, Switching, Tenant, User
from tenants.outbox import Draft, addresses, claiming, gates, keeping
from tests import pager
from tests.makers import NOW, TODAY, make_lease, make_tenant
from tests.pager import Pager
from tests.standins.base import Fault, serving
from tests.standins.pager import PagerService

pytestmark = pytest.mark.django_db
DEADLINE = clock.at(TODAY + timedelta(days=3), 21)


@pytest.fixture
def service(settings: Any) -> Iterator[PagerService]:
    with serving(PagerService()) as service:
        settings.MORE_CHANNELS = {"pager": "tests.pager:Pager", "pagers": "tests.pager:PagerBatch"}
        settings.CHANNELS = ["pager", "phone"]
        settings.PAGER_URL, settings.PAGER_TIMEOUT = service.url, 1.0
        yield service


def offer(tenant: Tenant, key: str = "push:1", **facts: Any) -> Draft:
    facts = {"klass": "marketing", "text": "您的租约快到期了。", "deadline": DEADLINE, **facts}
    return Draft(key=key, tenant_id=tenant.pk, **facts)


def told(key: str = "push:1") -> tuple[str, str, list[str]]:
    message = Message.objects.get(key=key)
    return message.state, message.channel, message.route


def test_the_first_channel_that_carries_it_gets_it_and_the_others_stand_by(service: PagerService) -> None:
    outbox.post(offer(make_tenant()), now=NOW)
    assert outbox.drain(now=NOW) == {"accepted": 1}
    assert told() == ("accepted", "pager", ["phone"])
    assert dict(service.counts.arrived) == {"push:1": 1}
    assert not PhoneMessage.objects.exists()


@pytest.mark.parametrize("code", ["gone", "stop"])
def test_who_cannot_be_reached_on_one_channel_is_told_on_the_next(service: PagerService, code: str) -> None:
    tenant = make_tenant()
    service.faults = [Fault("code", code=code, to=tenant.phone)]
    outbox.post(offer(tenant), now=NOW)
    outbox.drain(now=NOW)
    outbox.drain(now=NOW)
    assert told() == ("accepted", "phone", [])
    assert PhoneMessage.objects.get().key == "push:1"
    tries = list(Attempt.objects.order_by("number").values_list("channel", "outcome"))
    assert tries == [("pager", {"gone": "no_recipient", "stop": "opted_out"}[code]), ("phone", "accepted")]
    refused = Consent.objects.filter(tenant=tenant, granted=False).values_list("channel", flat=True)
    assert list(refused) == (["pager"] if code == "stop" else [])


def test_a_drain_that_has_had_its_time_claims_no_more_and_the_next_judges_by_its_own_hour(
    service: PagerService,
) -> None:
    """Without the time all hundred go by the hour at which the first did."""
    outbox.post_many([offer(make_tenant(), f"push:{n}") for n in range(100)], now=NOW)
    assert outbox.drain(now=NOW, limit=100, seconds=0) == {"accepted": 64}
    assert len(service.counts.arrived) == 64
    night = NOW.replace(hour=14)  # ten in the evening
    assert outbox.drain(now=night, limit=100) == {"later": 36}
    assert len(service.counts.arrived) == 64
    assert outbox.drain(now=NOW + timedelta(days=1), limit=100) == {"accepted": 36}


def test_no_second_channel_starts_while_the_first_is_unknown(service: PagerService) -> None:
    service.faults = [Fault("drop"), Fault("hang", path="/sent")]
    outbox.post(offer(make_tenant()), now=NOW)
    for hours in range(3):
        outbox.drain(now=NOW + timedelta(hours=hours))
    assert told() == ("parked", "pager", ["phone"])
    assert not PhoneMessage.objects.exists()


def test_the_database_refuses_a_second_channel_for_what_is_unknown(service: PagerService) -> None:
    service.faults = [Fault("drop")]
    outbox.post(offer(make_tenant()), now=NOW)
    outbox.drain(now=NOW)
    assert told()[0] == "unknown"
    for changes in ({"channel": "phone"}, {"channel": "phone", "state": "queued"}, {"text": "另一句"}, {"attempt": 0}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Message.objects.update(**changes)


def test_what_the_provider_took_without_answering_is_asked_about_and_never_sent_again(service: PagerService) -> None:
    service.faults = [Fault("drop", times=1)]
    outbox.post(offer(make_tenant()), now=NOW)
    assert outbox.drain(now=NOW) == {"unknown": 1}
    assert outbox.drain(now=NOW) == {"resolved_accepted": 1}
    assert dict(service.counts.handed) == {"push:1": 1}


def test_what_never_arrived_is_sent_once_more(service: PagerService) -> None:
    service.faults = [Fault("lost", times=1)]
    outbox.post(offer(make_tenant()), now=NOW)
    outbox.drain(now=NOW)
    assert outbox.drain(now=NOW) == {"resolved_queued": 1, "accepted": 1}
    assert dict(service.counts.arrived) == {"push:1": 1}


def test_a_provider_that_takes_nothing_of_ours_stops_its_channel_and_what_can_goes_by_the_next(
    service: PagerService,
) -> None:
    first, second = make_tenant(), make_tenant()
    service.faults = [Fault("code", code="unpaid", to=one.phone) for one in (first, second)]
    outbox.post_many([offer(first), offer(second, "push:2", route=["pager"])], now=NOW)
    outbox.drain(now=NOW)
    outbox.drain(now=NOW)
    assert (told()[:2], told("push:2")[:2]) == (("accepted", "phone"), ("queued", "pager"))
    assert Pause.objects.values_list("channel", "cause", "why").get() == ("pager", "provider", "unpaid")
    service.faults = []
    assert outbox.drain(now=NOW) == {}
    gates.let_go("pager", by=User.objects.create(username="lan"), why="已充值", now=NOW)
    assert outbox.drain(now=NOW) == {"accepted": 1}
    assert list(Switching.objects.values_list("stopped", "why")) == [(False, "已充值"), (True, "unpaid")]


def test_a_provider_that_asks_for_time_spends_no_try(service: PagerService) -> None:
    tenant = make_tenant()
    service.faults = [Fault("code", code="slow", to=tenant.phone, times=9)]
    outbox.post(offer(tenant), now=NOW)
    for minutes in range(9):
        outbox.drain(now=NOW + timedelta(minutes=minutes))
    assert told()[0] == "queued"
    outbox.drain(now=NOW + timedelta(minutes=9))
    assert told() == ("accepted", "pager", ["phone"])


def test_a_house_whose_provider_is_away_tries_five_times_and_then_goes_by_the_next_channel(
    service: PagerService, settings: Any
) -> None:
    settings.PAGER_URL = "http://127.0.0.1:9"
    outbox.post(offer(make_tenant()), now=NOW)
    now = NOW
    for _try in range(5):
        outbox.drain(now=now)
        now = max(now, Message.objects.get().not_before)
    outbox.drain(now=now)
    assert told() == ("accepted", "phone", [])
    assert Attempt.objects.filter(channel="pager", outcome="not_sent").count() == 5


def test_batches_are_answered_one_by_one(service: PagerService, settings: Any) -> None:
    settings.CHANNELS = ["pagers"]
    tenants = [make_tenant() for _ in range(230)]
    service.faults = [Fault("code", code="gone", to=tenants[7].phone), Fault("code", code="rude", to=tenants[8].phone)]
    outbox.post_many([offer(tenant, f"push:{n}") for n, tenant in enumerate(tenants)], now=NOW)
    assert outbox.drain(now=NOW, limit=1000) == {"accepted": 228, "failed": 2}
    assert service.counts.requests == 3
    assert (told("push:7")[0], told("push:8")[0]) == ("failed", "failed")
    assert service.counts.doubles() == 0


def test_a_refusal_while_the_message_is_claimed_still_holds_it_back(service: PagerService) -> None:
    tenant = make_tenant()
    outbox.post(offer(tenant), now=NOW)
    (claim,), _settled = claiming.claim(Pager, now=NOW, limit=10)
    assert claiming.still_ours([claim], channel="pager", now=NOW) == {claim}
    consents.refuse_marketing(tenant, now=NOW, proof="R")
    assert claiming.still_ours([claim], channel="pager", now=NOW) == set()


@pytest.mark.parametrize("channel", ["pager", "*"])
def test_a_stop_holds_back_what_is_claimed_already(service: PagerService, channel: str) -> None:
    outbox.post(offer(make_tenant()), now=NOW)
    (claim,), _settled = claiming.claim(Pager, now=NOW, limit=10)
    gates.stop(channel, by=None, why="", now=NOW)
    assert claiming.still_ours([claim], channel="pager", now=NOW) == set()


def test_a_signature_while_the_message_is_claimed_holds_it_back(service: PagerService) -> None:
    lease = make_lease()
    outbox.post(offer(lease.tenants.get(), lease_id=lease.pk, stops_on_answer=True), now=NOW)
    (claim,), _settled = claiming.claim(Pager, now=NOW, limit=10)
    outbox.cancel_for_lease(lease, reason="signed", now=NOW)
    assert claiming.still_ours([claim], channel="pager", now=NOW) == set()


def test_a_notice_holds_for_what_was_claimed_when_it_came(
    service: PagerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the look at the claim it goes: no next lease says that the tenant has answered."""
    lease = make_lease()
    outbox.post(offer(lease.tenants.get(), lease_id=lease.pk, stops_on_answer=True), now=NOW)
    still_ours = claiming.still_ours

    def noticed_meanwhile(claims: Any, *, channel: str, now: Any) -> Any:
        outbox.cancel_for_lease(lease, reason="notice given", now=NOW)
        return still_ours(claims, channel=channel, now=now)

    with monkeypatch.context() as patch:
        patch.setattr(claiming, "still_ours", noticed_meanwhile)
        assert outbox.drain(now=NOW) == {"queued": 1, "cancelled": 1}
    outbox.drain(now=NOW)
    assert told() == ("cancelled", "pager", ["phone"])
    assert Message.objects.get().reason == "发送途中已被撤回。"
    assert not service.counts.arrived


@pytest.mark.parametrize(("has_answered", "arrived"), [(True, {}), (False, {"push:1": 1})])
def test_a_notice_holds_for_what_was_unknown_when_it_came(
    service: PagerService, has_answered: bool, arrived: dict[str, int]
) -> None:
    service.faults = [Fault("lost", times=1)]
    lease = make_lease()
    outbox.post(offer(lease.tenants.get(), lease_id=lease.pk, stops_on_answer=True), now=NOW)
    assert outbox.drain(now=NOW) == {"unknown": 1}
    if has_answered:
        outbox.cancel_for_lease(lease, reason="notice given", now=NOW)
    outbox.drain(now=NOW)
    assert dict(service.counts.arrived) == arrived


def test_a_channel_with_a_limit_is_never_asked_for_more(service: PagerService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pager, "per_second", 30)
    monkeypatch.setattr(Pager, "per", timedelta(hours=1))
    outbox.post_many([offer(make_tenant(), f"push:{n}") for n in range(50)], now=NOW)
    for _look in range(3):
        outbox.drain(now=NOW)
    assert service.counts.requests == 30
    assert Message.objects.filter(state="queued").count() == 20


# --- Receipts ------------------------------------------------------------------------------------------------


def report(client: Client, *said: dict[str, str], secret: bytes | None = None) -> int:
    body = json.dumps(said).encode()
    signed = pager.signature(body) if secret is None else "0" * 64
    answer = client.post("/api/receipts/pager", body, content_type="application/json", headers={"X-Signature": signed})
    return answer.status_code


def test_receipts_move_a_message_forward_only_however_often_and_in_whatever_order(
    service: PagerService, client: Client
) -> None:
    clock.set_to(NOW)
    delivered, lost = {"outcome": "delivered", "ref": "p1"}, {"outcome": "undelivered", "ref": "p1", "detail": "关机"}
    outbox.post(offer(make_tenant()), now=NOW)
    assert [report(client, delivered)] * 3 == [200] * 3  # before our own mark
    outbox.drain(now=NOW)
    outbox.drain(now=NOW)
    assert told()[0] == "delivered"
    for said in (lost, delivered, lost):
        assert report(client, said) == 200
    assert told()[0] == "delivered"
    assert Receipt.objects.count() == 2


def test_a_receipt_clears_up_what_was_unknown(service: PagerService, client: Client) -> None:
    clock.set_to(NOW)
    service.faults = [Fault("drop"), Fault("hang", path="/sent")]
    outbox.post(offer(make_tenant()), now=NOW)
    outbox.drain(now=NOW)
    assert told()[0] == "unknown"
    assert report(client, {"outcome": "delivered", "key": "push:1"}) == 200
    assert told()[0] == "delivered"


def test_a_receipt_for_many_numbers_is_known_by_the_number(service: PagerService, client: Client) -> None:
    clock.set_to(NOW)
    tenants = [make_tenant(), make_tenant()]
    outbox.post_many([offer(tenant, f"push:{n}") for n, tenant in enumerate(tenants)], now=NOW)
    outbox.drain(now=NOW)
    Attempt.objects.update(provider_ref="B7")
    report(client, {"outcome": "undelivered", "ref": "B7", "address": tenants[1].phone, "detail": "空号"})
    assert (told("push:0")[0], told("push:1")[0]) == ("accepted", "undelivered")
    assert Receipt.objects.get().address == ""  # once it is known whose it is, the number is not kept


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_new_number_between_sending_and_receipt_loses_no_receipt(
    service: PagerService, client: Client, is_kept: bool
) -> None:
    """Not even where the old number is another's by then. With its red twin: the way of tries that kept no address."""
    clock.set_to(NOW)
    tenants = [make_tenant(), make_tenant()]
    was = [tenant.phone for tenant in tenants]
    outbox.post_many([offer(tenant, f"push:{n}") for n, tenant in enumerate(tenants)], now=NOW)
    outbox.drain(now=NOW)
    assert set(Attempt.objects.values_list("address_hash", flat=True)) == {addresses.hashed(phone) for phone in was}
    assert not Attempt.objects.filter(address_hash__contains=was[0]).exists()
    Attempt.objects.update(provider_ref="B7", **({} if is_kept else {"address_hash": ""}))
    Tenant.objects.filter(pk=tenants[0].pk).update(phone="13900000001")
    Tenant.objects.filter(pk=tenants[1].pk).update(phone=was[0])
    report(client, {"outcome": "delivered", "ref": "B7", "address": was[0]})
    report(client, {"outcome": "undelivered", "ref": "B7", "address": was[1], "detail": "空号"})
    assert (told("push:0")[0], told("push:1")[0]) == (
        ("delivered", "undelivered") if is_kept else ("accepted", "delivered")
    )
    unmatched = Receipt.objects.filter(message=None)
    assert list(unmatched.values_list("address", flat=True)) == ([] if is_kept else [was[1]])
    assert not Receipt.objects.exclude(message=None).exclude(address="", address_hash="").exists()


def test_a_receipt_of_an_old_try_is_known_by_the_number_of_today(service: PagerService, client: Client) -> None:
    clock.set_to(NOW)
    tenants = [make_tenant(), make_tenant()]
    outbox.post_many([offer(tenant, f"push:{n}") for n, tenant in enumerate(tenants)], now=NOW)
    outbox.drain(now=NOW)
    Attempt.objects.update(provider_ref="B7", address_hash="")
    report(client, {"outcome": "undelivered", "ref": "B7", "address": tenants[0].phone})
    assert (told("push:0")[0], told("push:1")[0]) == ("undelivered", "accepted")


def test_a_forged_receipt_an_unknown_one_and_one_that_is_none_change_nothing(
    service: PagerService, client: Client
) -> None:
    clock.set_to(NOW)
    outbox.post(offer(make_tenant()), now=NOW)
    outbox.drain(now=NOW)
    assert report(client, {"outcome": "undelivered", "ref": "p1"}, secret=b"x") == 403
    assert report(client, {"outcome": "undelivered", "ref": "p999"}) == 200
    assert client.post("/api/receipts/phone", b"{}", content_type="application/json").status_code == 400
    assert client.post("/api/receipts/fax", b"{}", content_type="application/json").status_code == 404
    assert told()[0] == "accepted"


# --- What only a person does -----------------------------------------------------------------------------------


def test_a_parked_message_waits_for_a_person_who_is_named(service: PagerService) -> None:
    lan = User.objects.create(username="lan")
    service.faults = [Fault("drop", times=2), Fault("hang", path="/sent")]
    outbox.post_many([offer(make_tenant(), f"push:{n}", route=["pager"]) for n in (1, 2)], now=NOW)
    outbox.drain(now=NOW)
    later = NOW + timedelta(hours=1)
    outbox.drain(now=later)
    first, second = Message.objects.order_by("key").values_list("pk", flat=True)
    assert (told("push:1")[0], told("push:2")[0]) == ("parked", "parked")
    keeping.release(first, by=lan, why="租客说没收到", now=later)
    keeping.give_up(second, by=lan, why="租客已收到", now=later)
    outbox.drain(now=later)
    assert (told("push:1")[0], told("push:2")[0]) == ("accepted", "cancelled")
    assert list(Decision.objects.values_list("message", "verdict", "by")) == [
        (first, "released", lan.pk),
        (second, "cancelled", lan.pk),
    ]


def test_the_command_stops_and_lets_go_by_name_and_refuses_in_one_sentence(service: PagerService) -> None:
    User.objects.create(username="lan", is_staff=True)
    outbox.post(offer(make_tenant()), now=NOW)
    call_command("outbox", "stop", "--why", "演练", "--as", "lan", stdout=StringIO())
    assert outbox.drain(now=NOW) == {}
    for arguments, sentence in (
        (["go"], "Say who lets it go: outbox go --as USER."),
        (["go", "--as", "nobody"], "There is no member of staff with the account nobody."),
        (["stop", "fax"], "This house has no channel fax."),
        (["park", "x"], "“x” is no message's number."),
        (["go", "pager", "--as", "lan"], "pager 没有停用。"),
    ):
        with pytest.raises(CommandError, match=re.escape(sentence)) as refused:
            call_command("outbox", *arguments)
        assert refused.value.returncode == 2
    said = StringIO()
    call_command("outbox", "go", "--as", "lan", "--json", stdout=said)
    assert json.loads(said.getvalue()) == {"let go from": "person"}
    assert outbox.drain(now=NOW) == {"accepted": 1}
    kept = Switching.objects.values_list("channel", "stopped", "why", "by__username")
    assert list(kept) == [("*", False, "", "lan"), ("*", True, "演练", "lan")]


def restore(epoch: int) -> None:
    """The database is as it was when its number was `epoch`."""
    Epoch.objects.update(number=epoch)


def test_a_restored_database_sends_nothing_until_a_named_person_releases_it(
    service: PagerService, settings: Any, tmp_path: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.OUTBOX_EPOCH_DIR = str(tmp_path)
    with django_capture_on_commit_callbacks(execute=True):
        outbox.drain(now=NOW)
        outbox.drain(now=NOW + timedelta(minutes=5))
    before = Epoch.objects.get().number
    # What the dump held as waiting had gone by the time it was restored: the provider has it.
    gone, fresh, late = (make_tenant() for _ in range(3))
    soon = NOW + timedelta(hours=1)
    outbox.post_many([offer(gone, "push:1"), offer(fresh, "push:2"), offer(late, "push:3", deadline=soon)], now=NOW)
    service.known["push:1"] = "p1"
    restore(before - 1)
    for minutes in range(3):
        assert outbox.drain(now=NOW + timedelta(minutes=minutes)) == {}
    assert service.counts.requests == 0
    assert Pause.objects.values_list("channel", "cause").get() == ("*", "restored")
    lan = User.objects.create(username="lan")
    with django_capture_on_commit_callbacks(execute=True):
        gates.let_go("*", by=lan, why="已核对", now=soon)
    for minutes in range(3):
        outbox.drain(now=soon + timedelta(minutes=minutes))
    assert [told(f"push:{n}")[0] for n in (1, 2, 3)] == ["accepted", "accepted", "expired"]
    assert dict(service.counts.arrived) == {"push:2": 1}
    assert Switching.objects.filter(stopped=False).values_list("by", flat=True).get() == lan.pk


def test_threads_of_one_process_tell_the_file_at_once(settings: Any, tmp_path: Any) -> None:
    settings.OUTBOX_EPOCH_DIR = str(tmp_path)
    start = threading.Barrier(8)

    def live(first: int) -> None:
        start.wait(timeout=30)
        for number in range(first, 400, 8):
            gates._write("home", number)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(live, range(8))) == [None] * 8
    assert [each.name for each in tmp_path.iterdir()] == ["home"]
    assert gates._read("home") > 0


def test_a_copied_database_sends_nothing(service: PagerService, settings: Any, tmp_path: Any) -> None:
    settings.OUTBOX_EPOCH_DIR = str(tmp_path)
    outbox.drain(now=NOW)
    Epoch.objects.update(home="elsewhere")
    outbox.post(offer(make_tenant()), now=NOW)
    assert outbox.drain(now=NOW) == {}
    assert Pause.objects.get().cause == "restored"


def test_without_the_guard_a_restored_database_sends_again(
    service: PagerService, settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The red twin."""
    settings.OUTBOX_EPOCH_DIR = str(tmp_path)
    monkeypatch.setattr(gates, "_live", lambda **_: None)
    service.keyless = True
    outbox.post(offer(make_tenant()), now=NOW)
    outbox.drain(now=NOW)
    with connection.cursor() as cursor:  # as a restore does, past the guards
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE tenants_message DISABLE TRIGGER USER")
        cursor.execute("UPDATE tenants_message SET state = 'queued'")
    outbox.drain(now=NOW)
    assert service.counts.doubles() == 1
