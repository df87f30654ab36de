"""CloudEvents 1.0 in three modes: tickets, payments, bills and moods of other systems, each once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from django.core.management import call_command

from connectors.models import InboundKey, Refusal, Run
from tenants import clock
from tenants.models import Event, Lease, WaitingEvent
from tests.inbound import drain, landed, make_key, post, reasons
from tests.makers import NOW, make_lease, make_unit
from workorders import intake
from workorders.models import WorkOrder

pytestmark = pytest.mark.django_db
ONE, MANY = "application/cloudevents+json", "application/cloudevents-batch+json"
AT = "2025-12-01T09:59:00+08:00"
MINUTE_BEFORE = datetime(2025, 12, 1, 1, 59, tzinfo=UTC)


@pytest.fixture
def lease() -> Lease:
    """Lin's lease of unit 1-0301."""
    clock.set_to(NOW)
    return make_lease(unit=make_unit("1-0301"), contract_no="HT000301")


def leak(number: str = "1", **facts: Any) -> dict[str, Any]:
    event = {
        "specversion": "1.0", "id": number, "source": "/tickets", "type": "ticket.reported", "time": AT,
        "where": "unit:1-0301",
        "data": {"ticket": f"T-{number}", "category": "water", "channel": "desk", "text": "厨房漏水"},
    }  # fmt: skip
    return {name: value for name, value in {**event, **facts}.items() if value is not ...}


def send(event: Any, key: str, kind: str = ONE, **headers: str) -> Any:
    return post("/api/events", event, key, kind=kind, **headers)


# --- the real SDK, against a running server -------------------------------------------------------


def deliver(url: str, key: str, message: HTTPMessage) -> int:
    headers = {**message.headers, "Authorization": f"Bearer {key}", "Connection": "close"}
    return requests.post(f"{url}/api/events", data=message.body, headers=headers, timeout=10).status_code


@pytest.mark.django_db(transaction=True)
def test_the_sdk_delivers_in_all_three_modes(lease: Lease, live_server: Any) -> None:
    key = make_key("cloudevents")

    def event(number: str, text: str) -> CloudEvent:
        attributes = {
            "id": number, "source": "https://erp.example/工单", "type": "ticket.reported", "where": "unit:1-0301",
            "time": MINUTE_BEFORE, "specversion": "1.0", "datacontenttype": "application/json",
        }  # fmt: skip
        return CloudEvent(attributes, {"ticket": f"T-{number}", "category": "water", "text": text})

    assert deliver(live_server.url, key, to_binary_event(event("1", "厨房漏水"))) == 202
    assert deliver(live_server.url, key, to_structured_event(event("2", "还在漏"))) == 202
    both = [json.loads(to_structured_event(event(number, "漏")).body) for number in ("3", "2")]
    assert deliver(live_server.url, key, HTTPMessage({"Content-Type": MANY}, json.dumps(both).encode())) == 202
    assert landed() == 3
    drain()
    # The second event of the batch was told before.
    assert list(Event.objects.order_by("source_id").values_list("source_id", "data__text", "unit", "tenant", "at")) == [
        (f"https://erp.example/工单 {number}", text, lease.unit_id, lease.tenants.get().pk, MINUTE_BEFORE)
        for number, text in (("1", "厨房漏水"), ("2", "还在漏"), ("3", "漏"))
    ]  # fmt: skip
    run = Run.objects.get()
    assert (run.source, run.received, run.accepted, run.duplicate) == ("cloudevents", 4, 3, 1)


# --- what is told ---------------------------------------------------------------------------------


def test_a_ticket_from_report_to_rating_becomes_one_work_order(lease: Lease) -> None:
    key = make_key("cloudevents")
    steps: list[tuple[str, dict[str, Any]]] = [
        ("reported", {"category": "water", "text": "厨房漏水"}), ("accepted", {"technician": "wang"}), ("arrived", {}),
        ("finished", {}), ("rated", {"score": 5}),
    ]  # fmt: skip
    batch = [
        leak(step, type=f"ticket.{step}", time=f"2025-12-01T0{n}:00:00+08:00", data={"ticket": "T-1", **facts})
        for n, (step, facts) in enumerate(steps, start=1)
    ]
    assert send(batch, key, MANY).status_code == 202
    drain()
    intake.take(now=clock.now())
    order = WorkOrder.objects.get()
    assert (order.unit, order.category, order.state, order.score) == (lease.unit, "water", "finished", 5)
    assert order.first_reported_at == datetime(2025, 11, 30, 17, tzinfo=UTC)
    assert order.finished_at == datetime(2025, 11, 30, 20, tzinfo=UTC)


def test_payments_bills_moods_activities_and_bookings_are_understood(lease: Lease) -> None:
    key = make_key("cloudevents")
    tenant = lease.tenants.get()
    told: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("payment.made", {"item": "rent", "amount": "3800", "due_on": "2025-12-01"},
         {"item": "rent", "amount": "3800.00", "due_on": "2025-12-01"}),
        ("bill.issued", {"bill": "B1", "amount": 120.5, "month": "2025-11", "note": "unknown"},
         {"bill": "B1", "amount": "120.50", "month": "2025-11"}),
        ("mood.given", {"bill": "B1", "mood": "soso"}, {"bill": "B1", "mood": "soso"}),
        ("community.joined", {"activity": "烘焙课"}, {"activity": "烘焙课"}),
        ("community.posted", {"group": "三楼", "text": "what was said is not kept"}, {"group": "三楼"}),
        ("facility.used", {"facility": "shared_kitchen"}, {"facility": "shared_kitchen"}),
    ]  # fmt: skip
    people = [{"who": "contract:HT000301"}, {"subject": f"phone:{tenant.phone}"}]
    for n, (kind, data, _kept) in enumerate(told):
        event = leak(str(n), type=kind, where=..., data=data, **people[n % 2])
        if n == 4:  # in the data they are as good
            event["data"] = {**data, "who": event.pop("who")}
        assert send(event, key).status_code == 202
    drain()
    assert list(Event.objects.order_by("source_id").values_list("kind", "data", "tenant")) == [
        (kind, kept, tenant.pk) for kind, _data, kept in told
    ]


def test_what_an_event_is_known_by_is_its_source_and_its_id(lease: Lease) -> None:
    key = make_key("cloudevents")
    long = [leak("x" * most, data=leak()["data"]) for most in (500, 499)]
    for event in (leak("1"), leak("1"), leak("1", source="/other"), leak("2"), *long):
        send(event, key)
    drain()
    run = Run.objects.get()
    assert (Event.objects.count(), run.accepted, run.duplicate) == (5, 5, 1)


def test_somebody_unknown_is_waited_for(lease: Lease) -> None:
    send(leak(where=..., who="phone:13900000009"), make_key("cloudevents"))
    drain()
    assert (Event.objects.count(), WaitingEvent.objects.get().who_ref) == (0, "13900000009")


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("2025-12-01T01:59:00Z", datetime(2025, 12, 1, 1, 59, tzinfo=UTC)),
        ("2025-12-01t01:59:00z", datetime(2025, 12, 1, 1, 59, tzinfo=UTC)),
        ("2025-12-01T01:59:00.123456789Z", datetime(2025, 12, 1, 1, 59, 0, 123456, tzinfo=UTC)),
        ("2025-11-30T15:59:00-10:00", datetime(2025, 12, 1, 1, 59, tzinfo=UTC)),
        ("2025-12-01T07:29:00+05:30", datetime(2025, 12, 1, 1, 59, tzinfo=UTC)),
        ("2025-11-30T23:59:60Z", datetime(2025, 11, 30, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_every_way_to_write_a_time_is_read(lease: Lease, said: str, at: datetime) -> None:
    send(leak(time=said), make_key("cloudevents"))
    drain()
    assert Event.objects.get().at == at


@pytest.mark.parametrize("said", [None, ...])
def test_without_a_time_it_happened_when_we_heard_of_it(lease: Lease, said: Any) -> None:
    assert send(leak(time=said), make_key("cloudevents")).status_code == 202
    drain()
    assert abs(Event.objects.get().at - NOW) < timedelta(seconds=30)


def test_in_binary_mode_the_attributes_are_headers(lease: Lease) -> None:
    headers = {
        "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/tickets/%E5%B7%A5%E5%8D%95", "ce-type": "ticket.reported",
        "ce-time": AT, "ce-where": "unit:1-0301", "ce-myextension": "unknown",
    }  # fmt: skip
    answer = send(leak()["data"], make_key("cloudevents"), "application/json; charset=utf-8", **headers)
    assert (answer.status_code, answer.content) == (202, b"")
    drain()
    assert Event.objects.get().source_id == "/tickets/工单 1"


# --- what is refused ------------------------------------------------------------------------------

BAD: list[tuple[Any, str, int]] = [
    (b" ", ONE, 400), (b"{", ONE, 400), (b"[]", ONE, 400), (b"7", ONE, 400), (b"\xff", ONE, 400),
    (b'{"specversion": NaN}', ONE, 400), (b"[" * 10_000 + b"]" * 10_000, MANY, 400), (b"{}", MANY, 400),
    (leak(id=...), ONE, 400), (leak(id=""), ONE, 400), (leak(id=7), ONE, 400), (leak(source=...), ONE, 400),
    (leak(type=...), ONE, 400), (leak(specversion="0.3"), ONE, 400), (leak(specversion=...), ONE, 400),
    (leak(subject=7), ONE, 400), (leak(time="yesterday"), ONE, 400), (leak(time=0), ONE, 400),
    (leak(time=-1), ONE, 400),
    (leak(time="2025-12-01"), ONE, 400), (leak(time="2025-12-01T10:00:00"), ONE, 400), (leak(time=""), ONE, 400),
    (leak(time="2025-13-01T10:00:00Z"), ONE, 400), (leak(datacontenttype="text/xml"), ONE, 400),
    ([{}] * 2501, MANY, 400), (b" " * 1_000_000, MANY, 413), (leak(), "application/json", 415),
    (leak(), "application/cloudevents+avro", 415), (leak(), "text/plain", 415), (leak(), "", 415), (b"", ONE, 415),
]  # fmt: skip


@pytest.mark.parametrize(("body", "kind", "status"), BAD)
def test_what_is_no_cloudevent_is_answered_with_one_sentence_and_nothing_is_kept(
    lease: Lease, body: Any, kind: str, status: int
) -> None:
    key = make_key("cloudevents")
    began = time.monotonic()
    answer = send(body, key, kind)
    assert time.monotonic() - began < 2
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status
    assert answer.json()["detail"].endswith(("。", "."))
    assert landed() == 0


def test_in_binary_mode_headers_that_lack_something_are_refused(lease: Lease) -> None:
    key = make_key("cloudevents")
    assert send({}, key, "application/json", **{"ce-specversion": "1.0", "ce-id": "1"}).status_code == 400
    whole = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/t", "ce-type": "ticket.reported"}
    assert send(b"<xml/>", key, "text/xml", **whole).status_code == 415
    assert send(b"{", key, "application/json", **whole).status_code == 400
    assert landed() == 0


def test_without_the_right_key_nothing_is_taken(lease: Lease) -> None:
    key = make_key("cloudevents")
    for wrong in ("", "nonsense", make_key("segment"), make_key("ttlock")):
        answer = send(leak(), wrong)
        assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")
    assert landed() == 0
    # Where no header can be set the key stands in the address.
    assert post(f"/api/events?key={key}", leak(), kind=ONE).status_code == 202
    InboundKey.objects.update(revoked_at=NOW)
    assert send(leak(), key).status_code == 401


def test_one_bad_event_in_a_batch_waits_in_quarantine_and_its_neighbours_come_in(lease: Lease) -> None:
    bad: list[Any] = [
        None, "leak", [], leak(id=...), leak("b1", type="pizza.ordered"), leak("b2", data=...), leak("b3", data="漏水"),
        leak("b4", data={"ticket": "T"}), leak("b5", where="unit:9-9999"), leak("b6", where="1-0301"),
        leak("b7", where=...),
        leak("b8", time="1970-01-01T00:00:00Z"), leak("b9", time="9999-12-31T23:59:59Z"),
        leak("b10", time="2025-12-01T12:00:00+08:00"),
        leak("b11", data={"ticket": "T", "category": "lava"}), leak("nul\u0000"), leak("half\ud800"),
        leak("b12", type="ticket.rated", data={"ticket": "T", "score": 6}),
        leak("b13", type="ticket.rated", data={"ticket": "T", "score": True}),
        leak("b14", type="payment.made", data={"item": "rent", "amount": "1e9", "due_on": "2025-12-01"}),
        leak("b15", type="payment.made", data={"item": "rent", "amount": 10**400, "due_on": "2025-12-01"}),
        leak("b16", type="payment.made", data={"item": "rent", "amount": "3850.005", "due_on": "2025-12-01"}),
        leak("b17", type="payment.made", data={"item": "rent", "amount": "10", "due_on": "2027-02-30"}),
        leak("b18", type="bill.issued", data={"bill": "B", "amount": "10", "month": "2025-13"}),
        leak("b19", data={**leak()["data"], "deep": json.loads("[" * 60 + "]" * 60)}),
        leak("b20", data={**leak()["data"], "text": "x" * 70_000}),
    ]  # fmt: skip
    batch = [event for n, one in enumerate(bad) for event in (one, leak(f"good-{n}"))]
    began = time.monotonic()
    assert send(batch, make_key("cloudevents"), MANY).status_code == 202
    drain()
    assert time.monotonic() - began < 2
    assert set(Event.objects.values_list("source_id", flat=True)) == {f"/tickets good-{n}" for n in range(len(bad))}
    run = Run.objects.get()
    assert (run.received, run.accepted, run.rejected) == (2 * len(bad), len(bad), len(bad))
    assert len(reasons()) == len(bad)
    assert all(reasons())


def test_an_event_refused_for_its_unit_comes_in_once_the_unit_is_there(lease: Lease) -> None:
    send(leak(where="unit:2-0801", time="2025-12-01T01:59:00.5Z"), make_key("cloudevents"))
    drain()
    assert Refusal.objects.get().reason == "没有编号为 2-0801 的房间或设备。"
    make_unit("2-0801")
    call_command("quarantine", "replay", "--source", "cloudevents", "--json")
    event = Event.objects.get()
    assert (event.source_id, event.at) == ("/tickets 1", datetime(2025, 12, 1, 1, 59, 0, 500_000, tzinfo=UTC))
