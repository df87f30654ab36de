"""The robot of a group against a stand-in: every code in its class, and what is unknown stays unknown."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.channels import Answer, Envelope, Outcome
from connectors.channels.robot import WecomRobot
from connectors.channels.wecom_codes import ROBOT
from renewal.redact import Tokens
from tenants import clock, outbox
from tenants.models import Message
from tenants.outbox import Draft
from tests.product import free_port
from tests.standins import wecom
from tests.standins.base import Fault, serving
from tests.standins.wecom import WeCom

NOW = datetime.now(UTC)


@pytest.fixture
def group(settings: Any) -> Iterator[WeCom]:
    settings.WECOM_ROBOT_KEY = wecom.ROBOT_KEY
    with serving(WeCom()) as standin:
        settings.WECOM_URL = standin.url
        yield standin


@pytest.fixture
def way(group: WeCom) -> Iterator[WecomRobot]:
    channel = WecomRobot()
    yield channel
    channel.close()


def word(text: str = "今晚维护", url: str = "") -> Envelope:
    return Envelope(key="notice:1", address="", text=text, url=url, sent_at=NOW, klass="system")


def test_a_word_is_said_in_the_group(group: WeCom, way: WecomRobot) -> None:
    assert way.send(word(url="https://r.example/x")) == Answer(Outcome.ACCEPTED)
    assert group.texts == ["今晚维护\nhttps://r.example/x"]


def test_a_long_word_is_cut_on_a_character_and_nobody_is_called_by_it(group: WeCom, way: WecomRobot) -> None:
    assert way.send(word("<@all>" + "一" * 1000)) == Answer(Outcome.ACCEPTED)
    (text,) = group.texts
    assert text == "＜@all>" + "一" * 679 + "…"
    assert len(text.encode()) == 2048


@pytest.mark.parametrize("kind", ["lost", "drop", "reset", "cut", "hang", "fail", "garble"])
def test_what_was_not_answered_is_unknown_and_cannot_be_asked_about(group: WeCom, way: WecomRobot, kind: str) -> None:
    way.way.pool.connection_pool_kw["timeout"] = 0.3
    group.faults = [Fault(kind, times=1)]
    assert way.send(word()).outcome == Outcome.UNKNOWN
    assert way.find(word()).outcome == Outcome.UNKNOWN
    assert group.counts.requests == 1
    assert way.patience == timedelta(0)


def test_where_nobody_is_nothing_was_said(settings: Any, group: WeCom, way: WecomRobot) -> None:
    settings.WECOM_URL = f"http://127.0.0.1:{free_port()}"
    assert way.send(word()).outcome == Outcome.NOT_SENT


@pytest.mark.parametrize("code", sorted(ROBOT.outcomes))
def test_every_documented_code_has_its_class(group: WeCom, way: WecomRobot, code: int) -> None:
    group.faults = [Fault("code", code=str(code))]
    answer = way.send(word())
    assert answer.outcome == ROBOT.outcomes[code]
    assert answer.detail.startswith(f"{code} as scripted")
    assert group.texts == []


def test_a_code_nobody_has_heard_of_is_unknown(group: WeCom, way: WecomRobot) -> None:
    group.faults = [Fault("code", code="99999")]
    assert way.send(word()).outcome == Outcome.UNKNOWN


def test_the_codes_are_those_of_the_page() -> None:
    text = Path("docs/channels/robot.md").read_text()
    assert {int(code) for code in re.findall(r"`(-?\d{1,5})`", text.split("## Codes")[1])} == {*ROBOT.outcomes}


def test_another_key_stops_the_channel(settings: Any, group: WeCom, way: WecomRobot) -> None:
    settings.WECOM_ROBOT_KEY = "another"
    assert way.send(word()).outcome == Outcome.STOP


@pytest.mark.django_db
def test_twenty_are_said_in_a_minute_and_the_rest_waits(settings: Any, group: WeCom) -> None:
    clock.set_to(NOW)
    settings.CHANNELS = ["wecom_robot"]
    drafts = [
        Draft(key=f"notice:{n:02}", klass="system", text=f"第{n}条", deadline=NOW + timedelta(hours=1))
        for n in range(25)
    ]
    outbox.post_many(drafts, now=NOW)
    outbox.drain(now=NOW)
    assert group.texts == [f"第{n}条" for n in range(20)]
    assert group.counts.refused == {}
    assert Message.objects.filter(state="queued").count() == 5


@pytest.mark.django_db
def test_what_is_unknown_is_parked_at_the_next_look_and_never_said_twice(settings: Any, group: WeCom) -> None:
    clock.set_to(NOW)
    settings.CHANNELS = ["wecom_robot"]
    outbox.post(Draft(key="notice:1", klass="system", text="一次", deadline=NOW + timedelta(hours=1)), now=NOW)
    group.faults = [Fault("drop", times=1)]
    outbox.drain(now=NOW)
    assert Message.objects.get().state == "unknown"
    for minutes in (1, 2, 10):
        outbox.drain(now=NOW + timedelta(minutes=minutes))
    assert (Message.objects.get().state, group.texts) == ("parked", ["一次"])


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (
            '"POST /cgi-bin/webhook/send?key=693axxx6-7aoc HTTP/1.1" 200',
            '"POST /cgi-bin/webhook/send?key=… HTTP/1.1" 200',
        ),
        ("GET /cgi-bin/gettoken?corpid=ww1&corpsecret=abc", "GET /cgi-bin/gettoken?corpid=ww1&corpsecret=…"),
        ("/message/send?access_token=abc&debug=1", "/message/send?access_token=…&debug=1"),
        ("/api/receipts/sms?secret=abc", "/api/receipts/sms?secret=…"),
        ("key=push:1", "key=push:1"),
    ],
)
def test_no_log_line_keeps_what_opens_a_providers_door(line: str, kept: str) -> None:
    record = logging.LogRecord("urllib3", logging.DEBUG, "", 0, line, (), None)
    Tokens().filter(record)
    assert record.getMessage() == kept
