"""The ERP's write-back against a stand-in that checks signatures and knows a key once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.channels import Answer, Envelope, Outcome
from connectors.channels.erp import ErpWriteBack, signature
from tests.product import free_port
from tests.standins.base import Fault, serving
from tests.standins.erp import PATH, SECRET, Erp

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)


@pytest.fixture
def erp(settings: Any) -> Iterator[Erp]:
    with serving(Erp()) as standin:
        settings.ERP_URL, settings.ERP_SECRET = standin.url + PATH, SECRET
        yield standin


@pytest.fixture
def way(erp: Erp) -> Iterator[ErpWriteBack]:
    channel = ErpWriteBack()
    yield channel
    channel.close()


def lease(n: int = 1, **more: Any) -> Envelope:
    facts: dict[str, Any] = {
        "key": f"erp:{n}:1", "address": "", "text": "B1-0301 2025-12-27 – 2026-12-26 3850.00", "url": "",
        "sent_at": NOW, "klass": "system", "values": {"unit": "B1-0301", "monthly_rent": "3850.00"},
        "first_sent_at": NOW,
    }  # fmt: skip
    return Envelope(**{**facts, **more})


def again(envelope: Envelope) -> Envelope:
    return replace(envelope, sent_at=NOW + timedelta(minutes=1))


def test_a_lease_is_written_once_however_often_it_is_handed_over(erp: Erp, way: ErpWriteBack) -> None:
    assert way.send(lease()) == Answer(Outcome.ACCEPTED, ref="HT000001")
    assert way.send(again(lease())) == Answer(Outcome.ACCEPTED, ref="HT000001")
    assert (erp.counts.handed, erp.counts.arrived) == ({"erp:1:1": 2}, {"erp:1:1": 1})
    assert json.loads(erp.contracts["erp:1:1"][0]) == {
        "key": "erp:1:1", "text": "B1-0301 2025-12-27 – 2026-12-26 3850.00",
        "values": {"unit": "B1-0301", "monthly_rent": "3850.00"},
    }  # fmt: skip


def test_an_erp_that_ignores_keys_writes_twice(erp: Erp, way: ErpWriteBack) -> None:
    """The red twin."""
    erp.keyless = True
    way.send(lease())
    way.send(again(lease()))
    assert erp.counts.doubles() == 1


@pytest.mark.parametrize(
    ("kind", "came"), [("lost", 0), ("drop", 1), ("reset", 1), ("cut", 1), ("hang", 1), ("fail", 1), ("garble", 1)]
)
@pytest.mark.parametrize("many", [1, 3])
def test_what_was_not_answered_is_asked_about_and_written_once(
    erp: Erp, way: ErpWriteBack, kind: str, came: int, many: int
) -> None:
    way.way.pool.connection_pool_kw["timeout"] = 0.3
    erp.faults = [Fault(kind, times=1)]
    leases = [lease(n) for n in range(many)]
    assert {answer.outcome for answer in way.send_many(leases)} == {Outcome.UNKNOWN}
    wanted = Outcome.ACCEPTED if came else Outcome.NOT_SENT
    assert [way.find(again(one)).outcome for one in leases] == [wanted] * many
    assert erp.counts.arrived.total() == came * many
    for one in leases:
        way.send(again(one))
    assert erp.counts.arrived == {one.key: 1 for one in leases}


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("409", Outcome.UNKNOWN), ("408", Outcome.UNKNOWN), ("500", Outcome.UNKNOWN), ("503", Outcome.UNKNOWN),
        ("429", Outcome.SLOW_DOWN), ("401", Outcome.STOP), ("403", Outcome.STOP), ("404", Outcome.STOP),
        ("405", Outcome.STOP), ("302", Outcome.STOP), ("400", Outcome.FAILED), ("413", Outcome.FAILED),
        ("422", Outcome.FAILED), ("410", Outcome.FAILED),
    ],
)  # fmt: skip
def test_every_status_has_its_class(erp: Erp, way: ErpWriteBack, code: str, outcome: Outcome) -> None:
    erp.faults = [Fault("code", code=code, times=1)]
    answer = way.send(lease())
    assert (answer.outcome, answer.detail) == (outcome, f"{code} as scripted")
    assert answer.wait == (timedelta(seconds=90) if code == "429" else None)
    assert erp.counts.arrived == {}
    page = (Path(__file__).parent.parent / "docs" / "channels" / "erp.md").read_text(encoding="utf-8")
    assert code in page or code in {"408", "410", "413", "500"}  # named by their class


def test_five_hundred_are_one_call_with_an_answer_each(erp: Erp, way: ErpWriteBack) -> None:
    leases = [lease(n) for n in range(500)]
    erp.faults = [
        Fault("code", code="422", to="erp:17:1"), Fault("code", code="409", to="erp:18:1"),
        Fault("code", code="429", to="erp:19:1"),
    ]  # fmt: skip
    answers = way.send_many(leases)
    assert erp.counts.requests == 1
    others = {n: answer.outcome for n, answer in enumerate(answers) if answer.outcome != Outcome.ACCEPTED}
    assert others == {17: Outcome.FAILED, 18: Outcome.UNKNOWN, 19: Outcome.SLOW_DOWN}
    assert (answers[0].ref, erp.counts.arrived.total()) == ("HT000001", 497)


def test_a_batch_that_is_refused_is_refused_for_all(erp: Erp, way: ErpWriteBack) -> None:
    erp.faults = [Fault("code", code="401", path=f"{PATH}/batch")]
    assert [answer.outcome for answer in way.send_many([lease(1), lease(2)])] == [Outcome.STOP] * 2


def test_an_erp_without_batches_is_called_for_each(
    erp: Erp, way: ErpWriteBack, monkeypatch: pytest.MonkeyPatch
) -> None:
    erp.has_batch = False
    leases = [lease(n) for n in range(3)]
    assert [answer.outcome for answer in way.send_many(leases)] == [Outcome.ACCEPTED] * 3
    assert erp.counts.arrived == {one.key: 1 for one in leases}
    monkeypatch.setattr("connectors.channels.erp.LONGEST", -1.0)
    answers = way.send_many([lease(8), lease(9)])
    assert [(answer.outcome, answer.wait) for answer in answers] == [(Outcome.SLOW_DOWN, timedelta(0))] * 2


def test_one_key_with_another_content_is_refused(erp: Erp, way: ErpWriteBack) -> None:
    way.send(lease())
    assert way.send(lease(text="B1-0302")).outcome == Outcome.FAILED
    assert erp.counts.arrived == {"erp:1:1": 1}


def test_a_wrong_secret_stops_the_channel(erp: Erp, way: ErpWriteBack, settings: Any) -> None:
    settings.ERP_SECRET = "another-secret-than-theirs"
    assert way.send(lease()) == Answer(Outcome.STOP, detail="401 the signature is wrong")
    assert way.find(lease()).outcome == Outcome.UNKNOWN  # and proves nothing


def test_only_a_404_that_names_the_key_proves_absence(erp: Erp, way: ErpWriteBack, settings: Any) -> None:
    assert way.find(lease()).outcome == Outcome.NOT_SENT
    erp.faults = [Fault("code", code="404")]
    assert way.find(lease()).outcome == Outcome.UNKNOWN
    settings.ERP_URL = f"http://127.0.0.1:{free_port()}"
    assert way.find(lease()).outcome == Outcome.UNKNOWN


def test_keys_are_asked_about_whatever_stands_in_them(erp: Erp, way: ErpWriteBack) -> None:
    odd = lease(key="erp:1/2?a=b c%+#")
    way.send(odd)
    assert way.find(odd) == Answer(Outcome.ACCEPTED, ref="HT000001")


def test_the_signature_of_the_page_comes_out() -> None:
    body = b'{"key": "erp:7:0"}'
    found = signature("a-secret-of-more-than-twenty", "1795600800", "POST", "/renewals", body)
    page = (Path(__file__).parent.parent / "docs" / "channels" / "erp.md").read_text(encoding="utf-8")
    assert found in page


def test_where_nobody_is_nothing_was_sent(erp: Erp, settings: Any) -> None:
    settings.ERP_URL = f"http://127.0.0.1:{free_port()}"
    way = ErpWriteBack()
    assert {answer.outcome for answer in way.send_many([lease(1), lease(2)])} == {Outcome.NOT_SENT}
