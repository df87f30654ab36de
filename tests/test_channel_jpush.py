"""JPush against a stand-in that knows a cid for a day: pushed once however often it is handed over, or asked about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.channels import Answer, Envelope, Outcome
from connectors.channels.jpush import CODES, JPush, cid
from tests.product import free_port
from tests.standins import jpush
from tests.standins.base import Fault, serving

NOW = datetime.now(UTC)


@pytest.fixture
def app(settings: Any) -> Iterator[jpush.JPush]:
    settings.JPUSH_APPKEY, settings.JPUSH_SECRET = jpush.APPKEY, jpush.SECRET
    with serving(jpush.JPush()) as standin:
        settings.JPUSH_URL = standin.url
        yield standin


@pytest.fixture
def way(app: jpush.JPush) -> Iterator[JPush]:
    channel = JPush()
    yield channel
    channel.close()


def notice(n: int = 1, **more: Any) -> Envelope:
    facts: dict[str, Any] = {
        "key": f"push:{n}:{n}:day30:1", "address": f"lin{n}", "text": "租约还有30天到期", "url": "https://r.example/r/x",
        "sent_at": NOW, "klass": "service",
    }  # fmt: skip
    return Envelope(**{**facts, **more})


def later(envelope: Envelope, waited: timedelta = timedelta(minutes=1)) -> Envelope:
    return replace(envelope, first_sent_at=NOW, sent_at=NOW + waited)


def test_a_notice_arrives_with_its_link_and_its_cid(app: jpush.JPush, way: JPush) -> None:
    assert way.send(notice()) == Answer(Outcome.ACCEPTED, ref="18100000001")
    assert app.counts.arrived == {"push:1:1:day30:1": 1}
    assert re.fullmatch(f"{jpush.APPKEY}-{jpush.UUID}", cid("push:1:1:day30:1"))
    assert list(app.known) == [cid("push:1:1:day30:1")]


def test_the_same_message_twice_is_pushed_once_and_bears_one_number(app: jpush.JPush, way: JPush) -> None:
    assert [way.send(notice()).ref for _time in range(3)] == ["18100000001"] * 3
    assert (app.counts.handed.total(), app.counts.arrived.total()) == (3, 1)


def test_a_provider_that_ignores_cids_pushes_twice(app: jpush.JPush, way: JPush) -> None:
    """The red twin: it is the cid that keeps it to one."""
    app.keyless = True
    way.send(notice())
    way.find(later(notice()))
    assert app.counts.doubles() == 1


@pytest.mark.parametrize(
    ("kind", "came"), [("lost", 0), ("drop", 1), ("reset", 1), ("cut", 1), ("hang", 1), ("fail", 1), ("garble", 1)]
)
def test_what_was_not_answered_is_asked_about_by_sending_and_arrives_once(
    app: jpush.JPush, way: JPush, kind: str, came: int
) -> None:
    way.way.pool.connection_pool_kw["timeout"] = 0.3
    app.faults = [Fault(kind, times=1)]
    assert way.send(notice()).outcome == Outcome.UNKNOWN
    assert app.counts.arrived.total() == came
    assert way.find(later(notice())).outcome == Outcome.ACCEPTED
    assert app.counts.arrived == {notice().key: 1}


def test_after_a_day_it_can_no_longer_be_asked(app: jpush.JPush, way: JPush) -> None:
    way.send(notice())
    app.ages = timedelta(days=1)
    assert way.find(later(notice(), timedelta(hours=23))).outcome == Outcome.UNKNOWN
    assert app.counts.handed.total() == 1  # nothing was sent by asking


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_documented_code_has_its_class(app: jpush.JPush, way: JPush, code: int) -> None:
    app.faults = [Fault("code", code=str(code), times=1)]
    answer = way.send(notice())
    assert answer.outcome == CODES[code]
    assert answer.detail == f"{code} as scripted"
    assert answer.wait == (timedelta(seconds=17) if code == 2002 else None)
    assert app.counts.arrived == {}
    page = (Path(__file__).parent.parent / "docs" / "channels" / "jpush.md").read_text(encoding="utf-8")
    assert f"`{code}`" in page


def test_a_refusal_nobody_has_heard_of_is_final_since_they_say_that_4xx_is_one(app: jpush.JPush, way: JPush) -> None:
    app.faults = [Fault("code", code="1999")]
    assert way.send(notice()).outcome == Outcome.FAILED


def test_whoever_has_no_app_is_reached_elsewhere(app: jpush.JPush, way: JPush) -> None:
    app.aliases = {"lin1"}
    assert [way.send(notice(n)).outcome for n in (1, 2)] == [Outcome.ACCEPTED, Outcome.NO_RECIPIENT]
    assert way.send(notice(address="x" * 41)).outcome == Outcome.NO_RECIPIENT
    assert app.counts.requests == 2


def test_wrong_keys_stop_the_channel(app: jpush.JPush, way: JPush, settings: Any) -> None:
    settings.JPUSH_SECRET = "another"
    assert way.send(notice()) == Answer(Outcome.STOP, detail="1004 Basic authentication failed")


def test_a_provider_that_refuses_our_cids_stops_the_channel(
    app: jpush.JPush, way: JPush, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each message would fail for good, one after the other."""
    monkeypatch.setattr("connectors.channels.jpush.cid", lambda _key: "of-another-form")
    assert way.send(notice()) == Answer(Outcome.STOP, detail="1003 The cid is invalid")


def test_where_nobody_is_nothing_was_sent(app: jpush.JPush, settings: Any) -> None:
    settings.JPUSH_URL = f"http://127.0.0.1:{free_port()}"
    assert JPush().send(notice()).outcome == Outcome.NOT_SENT
