"""How a drain hands over: no later than a look is fresh, the next slice meanwhile, and every try on record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from threading import Event
from typing import Any, ClassVar

import pytest
from django.db import connection

from connectors.channels import Answer, Channel, Envelope, Outcome, Reach
from tenants import clock, consents, outbox
from tenants.models import Attempt, Message, User
from tenants.outbox import Draft, calling, claiming, draining, envelopes, gates, keeping, marking
from tenants.outbox.calling import Calls
from tenants.outbox.claiming import Claim
from tenants.outbox.marking import Said
from tests.makers import NOW, TODAY, make_tenant

pytestmark = pytest.mark.django_db
DEADLINE = clock.at(TODAY + timedelta(days=3), 21)
LATER = NOW + timedelta(minutes=5)
YES = Answer(Outcome.ACCEPTED)


class Wire(Channel):
    """Eight threads, and an answer at once; what was said stands in `said`."""

    name = "wire"
    reaches = Reach.PHONE
    said: ClassVar[list[str]] = []
    gate: ClassVar[Event] = Event()  # who is said something after `holds_from` others waits for it
    holds_from: ClassVar[int] = 1 << 30

    def send(self, envelope: Envelope) -> Answer:
        type(self).said.append(envelope.key)
        if len(self.said) > self.holds_from and not self.gate.wait(5):
            return Answer(Outcome.FAILED, detail="nothing more was claimed meanwhile")
        return YES


class Narrow(Wire):
    """The same with a limit."""

    name = "narrow"
    said: ClassVar[list[str]] = []
    per_second = 10_000


class Single(Wire):
    name = "single"
    senders = 1


@pytest.fixture(autouse=True)
def ways(settings: Any) -> None:
    settings.MORE_CHANNELS = {way.name: f"tests.test_handing_over:{way.__name__}" for way in (Wire, Narrow)}
    settings.CHANNELS = ["wire"]
    for way in (Wire, Narrow):
        way.said.clear()
        way.gate, way.holds_from = Event(), 1 << 30


def post(n: int = 1, **facts: Any) -> None:
    facts = {"klass": "marketing", "text": "您的租约快到期了。", "deadline": DEADLINE, **facts}
    outbox.post_many([Draft(key=f"push:{i}", tenant_id=make_tenant().pk, **facts) for i in range(n)], now=NOW)


def claimed(n: int = 1) -> list[Claim]:
    post(n)
    claims, _settled = claiming.claim(Wire, now=NOW, limit=n)
    return claims


def run_out() -> None:
    """All claims have, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tenants_message SET lease_until = clock_timestamp() - interval '1 s'")


def lines() -> list[tuple[Any, ...]]:
    return list(Attempt.objects.order_by("number").values_list("number", "outcome", "started_at", "finished_at"))


# --- A look is fresh for 20 ms ----------------------------------------------------------------------------------


def test_what_no_thread_took_in_time_comes_back_unsent() -> None:
    sent: list[int] = []
    begun = Event()

    def first() -> list[Answer]:
        begun.set()
        time.sleep(2 * calling.FRESH)  # the only thread is busy for longer than a look is fresh
        sent.append(1)
        return [YES]

    def second() -> list[Answer]:
        sent.append(2)
        return [YES]

    with Calls(Single()) as calls:
        calls.begin([Claim(1, 1)], first)
        assert begun.wait(5)
        calls.begin([Claim(2, 1)], second, until=time.monotonic() + calling.FRESH)
        came = {group[0].message: answers for group, answers in calls.rest()}
    assert (came, sent) == ({1: [YES], 2: None}, [1])


def test_it_is_looked_at_again_before_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    still_ours = claiming.still_ours

    def look(claims: Sequence[Claim], **facts: Any) -> set[Claim]:
        looks.append(len(claims))
        # After the first look no thread is in time; before the second one the tenants refuse.
        monkeypatch.setattr(draining, "FRESH", -1.0 if len(looks) == 1 else calling.FRESH)
        if len(looks) == 2:
            for message in Message.objects.select_related("tenant"):
                assert message.tenant
                consents.refuse_marketing(message.tenant, now=NOW, proof="R")
        return still_ours(claims, **facts)

    monkeypatch.setattr(claiming, "still_ours", look)
    post(3)
    assert outbox.drain(now=NOW) == {"queued": 3, "suppressed": 3}
    assert (looks, Wire.said) == ([3, 3], [])


def test_after_an_error_of_ours_what_no_thread_has_taken_does_not_go() -> None:
    sent: list[int] = []
    begun = Event()
    calls = Calls(Single())

    def first() -> list[Answer]:
        begun.set()
        until = time.monotonic() + 5
        while calls.waiting.qsize() == 2 and time.monotonic() < until:
            time.sleep(0.001)  # until whoever leaves has taken back the other two
        sent.append(1)
        return [YES]

    def other() -> list[Answer]:
        sent.append(2)
        return [YES]

    def work() -> None:
        calls.begin([Claim(1, 1)], first)
        assert begun.wait(5)
        calls.begin([Claim(2, 1)], other)
        calls.begin([Claim(3, 1)], other)
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="the database is gone"), calls:
        work()
    assert sent == [1]


def test_what_breaks_a_thread_ends_the_drain_and_is_never_taken_for_unsent() -> None:
    """A `SystemExit` of a provider's library is no `Exception`: nobody knows whether the message has gone."""

    def broken(self: Wire, envelope: Envelope) -> Answer:
        self.said.append(envelope.key)
        raise SystemExit("a library gave up")

    post()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Wire, "send", broken)
        with pytest.raises(SystemExit, match="a library gave up"):
            outbox.drain(now=NOW)
    assert (Message.objects.get().state, Wire.said) == ("sending", ["push:0"])
    run_out()
    outbox.drain(now=LATER)
    assert (Message.objects.get().state, Wire.said) == ("parked", ["push:0"])


# --- The next slice ---------------------------------------------------------------------------------------------


def claims_of(monkeypatch: pytest.MonkeyPatch, way: type[Wire]) -> list[int]:
    """How many had been said at each claim that found something."""
    found: list[int] = []
    claim = claiming.claim

    def watched(of: type[Channel], **facts: Any) -> Any:
        claims, settled = claim(of, **facts)
        if claims:
            found.append(len(way.said))
            if len(found) == 2:
                way.gate.set()
        return claims, settled

    monkeypatch.setattr(claiming, "claim", watched)
    return found


def test_the_next_slice_is_claimed_while_calls_of_this_one_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    Wire.holds_from = draining.SLICE - 4  # the last four of the first slice go on only after the second claim
    at = claims_of(monkeypatch, Wire)
    post(100)
    assert outbox.drain(now=NOW) == {"accepted": 100}
    assert (len(at), sorted(Wire.said)) == (2, sorted(f"push:{n}" for n in range(100)))


def test_on_a_channel_with_a_limit_it_waits_for_them(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.CHANNELS = ["narrow"]
    at = claims_of(monkeypatch, Narrow)
    post(100)
    assert outbox.drain(now=NOW) == {"accepted": 100}
    assert at == [0, draining.SLICE]


def test_no_more_are_claimed_than_were_asked_for() -> None:
    post(100)
    assert outbox.drain(now=NOW, limit=70) == {"accepted": 70}
    assert len(Wire.said) == 70


# --- Every try on record ----------------------------------------------------------------------------------------


def test_a_try_that_is_on_its_way_is_told_by_its_message() -> None:
    claimed()
    message = Message.objects.get()
    (now,) = keeping.tries_of([message])[message.pk]
    assert (now.pk, now.number, now.channel, now.outcome, now.started_at) == (None, 1, "wire", "", NOW)
    assert lines() == []


def test_a_claim_that_ran_out_leaves_its_try_and_a_late_answer_goes_on_it() -> None:
    (claim,) = claimed()
    sealed = envelopes.seal([claim.message], Wire, now=NOW)[claim.message]
    run_out()
    assert claiming.let_lapse(now=LATER, limit=10) == 1
    assert lines() == [(1, "", NOW, None)]
    assert claiming.let_lapse(now=LATER, limit=10) == 0
    assert marking.mark("wire", [Said(claim, sealed, YES)], now=LATER) == {"fenced": 1}
    assert lines() == [(1, "accepted", NOW, LATER)]
    assert Message.objects.get().state == "unknown"


def test_so_does_one_that_a_restored_database_held() -> None:
    claimed()
    gates.open_channels(now=NOW)
    gates._stop("*", cause="restored", by=None, why="restored", now=LATER)  # type: ignore[arg-type]
    gates.let_go("*", by=User.objects.create(username="lan"), why="checked", now=LATER)
    assert (Message.objects.get().state, lines()) == ("unknown", [(1, "", NOW, None)])


def test_an_answer_in_time_is_written_as_the_whole_try_with_the_moment_of_its_claim() -> None:
    (claim,) = claimed()
    message = Message.objects.get()
    assert message.tenant
    consents.refuse_marketing(message.tenant, now=LATER, proof="R")  # it is called back, and keeps that moment
    sealed = envelopes.seal([claim.message], Wire, now=LATER)[claim.message]
    assert (sealed.envelope.first_sent_at, sealed.envelope.last_sent_at) == (NOW, NOW)
    assert marking.mark("wire", [Said(claim, sealed, YES)], now=LATER) == {"accepted": 1}
    assert lines() == [(1, "accepted", NOW, LATER)]
