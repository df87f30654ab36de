"""WeCom against a stand-in that drops what says the same: every code in its class, and a word to staff told once."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from connectors.channels import Answer, Envelope, Outcome, tokens
from connectors.channels.errcodes import fitted
from connectors.channels.wecom import WecomMessage
from connectors.channels.wecom_codes import MESSAGE
from tenants import clock, outbox
from tenants.models import Message, Pause, Staff
from tenants.outbox import Draft
from tests.makers import make_user
from tests.product import free_port
from tests.standins import wecom
from tests.standins.base import Fault, serving
from tests.standins.wecom import WeCom

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
SEND = "/cgi-bin/message/send"
TOKEN = "/cgi-bin/gettoken"


@pytest.fixture
def company(settings: Any) -> Iterator[WeCom]:
    settings.WECOM_CORPID, settings.WECOM_SECRET, settings.WECOM_AGENT = wecom.CORPID, wecom.SECRET, wecom.AGENT
    tokens.forget()
    with serving(WeCom()) as standin:
        settings.WECOM_URL = standin.url
        yield standin


@pytest.fixture
def way(company: WeCom) -> Iterator[WecomMessage]:
    channel = WecomMessage()
    yield channel
    channel.close()


def word(n: int = 1, **more: Any) -> Envelope:
    facts: dict[str, Any] = {
        "key": f"sla:{n}:2:wang", "address": "WangShiFu", "text": f"工单 {n} 超时未接单", "url": "", "sent_at": NOW,
        "klass": "staff",
    }  # fmt: skip
    return Envelope(**{**facts, **more})


def later(envelope: Envelope, waited: timedelta = timedelta(minutes=1)) -> Envelope:
    return replace(envelope, first_sent_at=NOW, sent_at=NOW + waited)


def test_a_word_arrives_with_its_link(company: WeCom, way: WecomMessage) -> None:
    assert way.send(word(url="https://r.example/s/x")) == Answer(Outcome.ACCEPTED, ref="m1")
    assert company.counts.arrived == {"WangShiFu 工单 1 超时未接单\nhttps://r.example/s/x": 1}


def test_the_same_word_twice_is_told_once_and_half_an_hour_later_again(company: WeCom, way: WecomMessage) -> None:
    assert {way.send(word()).ref for _time in range(3)} == {"m1"}
    assert company.counts.arrived.total() == 1
    company.ages = timedelta(minutes=31)
    assert way.send(word()).ref == "m2"


def test_a_provider_that_compares_nothing_tells_twice(company: WeCom, way: WecomMessage) -> None:
    """The red twin: it is the comparison that keeps it to one."""
    company.keyless = True
    way.send(word())
    way.find(later(word()))
    assert company.counts.doubles() == 1


@pytest.mark.parametrize(
    ("kind", "came"), [("lost", 0), ("drop", 1), ("reset", 1), ("cut", 1), ("hang", 1), ("fail", 1), ("garble", 1)]
)
def test_what_was_not_answered_is_asked_about_by_sending_and_arrives_once(
    company: WeCom, way: WecomMessage, kind: str, came: int
) -> None:
    way.account.way.pool.connection_pool_kw["timeout"] = 0.3
    company.faults = [Fault(kind, times=1, path=SEND)]
    assert way.send(word()).outcome == Outcome.UNKNOWN
    assert company.counts.arrived.total() == came
    assert way.find(later(word())).outcome == Outcome.ACCEPTED
    assert company.counts.arrived.total() == 1


def test_after_25_minutes_it_is_not_asked_about_and_nothing_is_sent(company: WeCom, way: WecomMessage) -> None:
    assert way.find(later(word(), timedelta(minutes=25))).outcome == Outcome.UNKNOWN
    assert company.counts.requests == 0


def test_that_asking_did_not_leave_proves_nothing(company: WeCom, way: WecomMessage) -> None:
    way.send(word())
    way.account.url = f"http://127.0.0.1:{free_port()}"
    assert way.send(word()).outcome == Outcome.NOT_SENT
    assert way.find(later(word())).outcome == Outcome.UNKNOWN


# --- Who is not there -------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["@all", "a|b", "", "a b", "王", "a\n", "x" * 65])
def test_what_is_no_account_is_not_handed_over(company: WeCom, way: WecomMessage, address: str) -> None:
    assert way.send(word(address=address)).outcome == Outcome.NO_RECIPIENT
    assert company.counts.requests == 0


def test_who_is_not_there_or_has_no_licence_is_not_reached(company: WeCom, way: WecomMessage) -> None:
    company.members, company.unlicensed = {"WangShiFu"}, {"WangShiFu"}
    assert way.send(word(address="LiShiFu")).outcome == Outcome.NO_RECIPIENT
    assert way.send(word()) == Answer(Outcome.NO_RECIPIENT, detail="unlicenseduser")
    assert company.counts.arrived.total() == 0


# --- Codes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(MESSAGE.outcomes))
def test_every_documented_code_has_its_class(company: WeCom, way: WecomMessage, code: int) -> None:
    company.faults = [Fault("code", code=str(code), path=SEND)]
    answer = way.send(word())
    assert answer.outcome == MESSAGE.outcomes[code]
    assert answer.detail.startswith(f"{code} as scripted")
    assert (answer.wait is not None) == (answer.outcome == Outcome.SLOW_DOWN)
    assert company.counts.arrived.total() == 0


def test_a_code_nobody_has_heard_of_is_unknown(company: WeCom, way: WecomMessage) -> None:
    company.faults = [Fault("code", code="99999", path=SEND)]
    assert way.send(word()).outcome == Outcome.UNKNOWN


def test_the_codes_are_those_of_the_page() -> None:
    text = Path("docs/channels/wecom.md").read_text()
    named = {int(code) for code in re.findall(r"`(-?\d{1,6})`", text.split("## Codes")[1])}
    assert named == {*MESSAGE.outcomes, 40001, 40014, 41001, 42001}


@pytest.mark.parametrize(("name", "value"), [("WECOM_SECRET", "wrong"), ("WECOM_CORPID", "wrong"), ("WECOM_AGENT", 7)])
def test_wrong_facts_of_the_company_stop_the_channel(settings: Any, company: WeCom, name: str, value: Any) -> None:
    setattr(settings, name, value)
    assert WecomMessage().send(word()).outcome == Outcome.STOP


# --- The token --------------------------------------------------------------------------------------------


def test_a_token_that_is_refused_is_changed_once_and_the_word_arrives_once(company: WeCom, way: WecomMessage) -> None:
    way.send(word(1))
    company.revoke()
    assert way.send(word(2)).outcome == Outcome.ACCEPTED
    assert (company.given, company.counts.arrived.total()) == (2, 2)


def test_one_that_is_refused_twice_holds_up_the_word_and_spends_no_try(company: WeCom, way: WecomMessage) -> None:
    company.faults = [Fault("code", code="42001", path=SEND)]
    assert way.send(word()).outcome == Outcome.SLOW_DOWN
    assert company.counts.refused == {"42001": 2}


@pytest.mark.django_db(transaction=True)
def test_two_threads_whose_token_is_refused_get_one_new_one(company: WeCom, way: WecomMessage) -> None:
    way.send(word(0))
    company.revoke()
    company.faults = [Fault("delay", seconds=0.3, path=TOKEN)]
    barrier = threading.Barrier(2)

    def run(n: int) -> None:
        barrier.wait()
        way.send(word(n))
        connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (company.given, company.token_calls, company.counts.arrived.total()) == (2, 2, 3)


# --- What fits --------------------------------------------------------------------------------------------


def test_a_long_text_ends_on_a_character_and_keeps_its_link() -> None:
    text = fitted("一" * 1000, "https://r.example/s/x", 2048)
    assert text.endswith("…\nhttps://r.example/s/x")
    assert 2045 <= len(text.encode()) <= 2048
    assert set(text.split("…")[0]) == {"一"}
    assert fitted("一" * 682 + "ab", "", 2048) == "一" * 682 + "ab"
    assert fitted("一" * 682 + "abc", "", 2048) == "一" * 681 + "…"


def test_what_somebody_wrote_makes_no_link() -> None:
    assert fitted('<a href="http://evil">点这里</a>', "", 2048) == '＜a href="http://evil">点这里＜/a>'


# --- Through the outbox -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_words_to_staff_leave_by_the_outbox_and_lost_answers_double_nothing(settings: Any, company: WeCom) -> None:
    clock.set_to(NOW)
    settings.CHANNELS = ["wecom"]
    user, nobody = make_user("wang"), make_user("li")
    Staff.objects.create(user=user, name="王师傅", phone="10000009999", wecom_id="WangShiFu")
    Staff.objects.create(user=nobody, name="李师傅", phone="10000009998")
    drafts = [
        Draft(
            key=f"sla:{n}", user_id=person.pk, klass="staff", text=f"工单 {n} 超时", deadline=NOW + timedelta(hours=2)
        )
        for n, person in enumerate([user, user, user, nobody])
    ]
    outbox.post_many(drafts, now=NOW)
    company.faults = [Fault("drop", path=SEND, times=2)]
    outbox.drain(now=NOW)
    outbox.drain(now=NOW + timedelta(minutes=1))
    assert dict(Message.objects.order_by("key").values_list("key", "state")) == {
        "sla:0": "accepted", "sla:1": "accepted", "sla:2": "accepted", "sla:3": "failed",
    }  # fmt: skip
    assert (company.counts.arrived.total(), company.counts.doubles()) == (3, 0)


@pytest.mark.django_db(transaction=True)
def test_a_wrong_secret_stops_the_channel_and_no_message_is_lost(settings: Any, company: WeCom) -> None:
    clock.set_to(NOW)
    settings.CHANNELS, settings.WECOM_SECRET = ["wecom"], "wrong"
    user = make_user("wang")
    Staff.objects.create(user=user, name="王师傅", phone="10000009999", wecom_id="WangShiFu")
    outbox.post(
        Draft(key="sla:1", user_id=user.pk, klass="staff", text="工单超时", deadline=NOW + timedelta(hours=2)), now=NOW
    )
    outbox.drain(now=NOW)
    assert Message.objects.get().state == "queued"
    assert Pause.objects.get().channel == "wecom"
