"""TTLock's callback: how and when a door was opened, and never the number that was typed or by whom."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import serializers
from django.db import connection

from connectors.models import Landed, Refusal, Run
from tenants import clock
from tenants.models import Consent, Event, Lease
from tests.inbound import drain, landed, make_key, post
from tests.makers import NOW, make_device, make_lease

pytestmark = pytest.mark.django_db
FORM = "application/x-www-form-urlencoded"
OPENED = 1764550740000  # 2025-12-01 08:59 in Shanghai
SECRETS = ("135790", "林晓的手机号13800000001")


@pytest.fixture
def lease() -> Lease:
    """Lin has agreed to door logs; lock 4711 is on Lin's door."""
    clock.set_to(NOW)
    lease = make_lease()
    make_device(lease.unit, "4711", "lock")
    Consent.objects.create(
        tenant=lease.tenants.get(), purpose="door_logs", channel="any", granted=True,
        at=datetime(2025, 1, 1, tzinfo=UTC), text_version="1", proof="入住登记", recorded_at=NOW,
    )  # fmt: skip
    return lease


def record(kind: int, **facts: Any) -> dict[str, Any]:
    """As a lock's record stands in a real callback."""
    found = {
        "lockId": 4711, "electricQuantity": 80, "serverDate": OPENED + 2000, "recordType": kind,
        "recordTypeFromLock": kind, "success": 1, "lockMac": "AA:BB", "keyboardPwd": SECRETS[0],
        "lockDate": OPENED + kind * 1000, "username": SECRETS[1],
    }  # fmt: skip
    return {**found, **facts}


def tell(records: Any, key: str, **form: Any) -> Any:
    text = records if isinstance(records, str) else json.dumps(records)
    fields = {"lockId": 4711, "notifyType": 1, "admin": "admin@x", "lockMac": "AA:BB", "records": text, **form}
    return post(f"/api/sources/ttlock?key={key}", urlencode(fields).encode(), kind=FORM)


def everything() -> str:
    """All that the database holds, as text."""
    tables = [table for table in connection.introspection.table_names() if not table.startswith("django_")]
    with connection.cursor() as cursor:
        found = []
        for table in tables:
            cursor.execute(f"select coalesce(string_agg(\"{table}\"::text, ' '), '') from \"{table}\"")
            found.append(cursor.fetchone()[0])
    return " ".join(found)


def test_each_way_to_open_a_door_is_understood_and_other_records_are_not_openings(lease: Lease) -> None:
    key = make_key("ttlock")
    kinds = (1, 4, 7, 8, 10, 11, 30, 31, 32, 44, 48)
    answer = tell([record(kind) for kind in kinds] + [record(4, success=0, lockDate=OPENED)], key)
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (
        200,
        b"success",
        "text/plain; charset=utf-8",
    )
    drain()
    assert list(Event.objects.order_by("at").values_list("kind", "data", "tenant", "unit")) == [
        ("door.opened", {"way": way}, lease.tenants.get().pk, lease.unit_id)
        for way in ("app", "code", "card", "finger")
    ]
    assert Event.objects.order_by("at")[0].at == datetime(2025, 12, 1, 0, 59, 1, tzinfo=UTC)


def test_what_somebody_typed_and_who_typed_it_is_stored_nowhere(lease: Lease) -> None:
    key = make_key("ttlock")
    # One that is stored, one of an unknown lock, one with a bad time: each way through.
    tell([record(4), record(4, lockId=9999), record(4, lockDate=0, serverDate=0)], key)
    assert landed() == 1
    before = everything()
    # The search finds what is there: the red twin of the two lines below.
    assert "4711" in serializers.serialize("json", Landed.objects.all())
    assert all(secret not in before for secret in SECRETS)
    drain()
    after = everything()
    assert Event.objects.count() == 1
    assert Refusal.objects.count() == 2
    assert all(secret not in after for secret in (*SECRETS, "AA:BB", "admin@x"))
    # Of a door that was refused nothing is kept, not even which.
    assert "9999" not in json.dumps(list(Refusal.objects.values_list("raw", flat=True)))


def test_the_same_record_three_times_is_one_opening(lease: Lease) -> None:
    key = make_key("ttlock")
    for uploaded in (1, 2, 3):
        tell([record(4, serverDate=OPENED + uploaded)], key)
    drain()
    run = Run.objects.get()
    assert (Event.objects.count(), run.source, run.accepted, run.duplicate) == (1, "iot", 1, 2)


def test_without_a_consent_nothing_is_kept(lease: Lease) -> None:
    given = Consent.objects.get(purpose="door_logs")
    Consent.objects.create(
        tenant=given.tenant, purpose="door_logs", granted=False, at=NOW,
        text_version="2025-01", proof="前台", recorded_at=given.recorded_at,
    )  # fmt: skip
    tell([record(4)], make_key("ttlock"))
    drain()
    assert (Event.objects.count(), Run.objects.get().rejected) == (0, 1)


@pytest.mark.parametrize("at", [0, -1, OPENED // 1000, 253402300799000, 10**17, 10**30, "x", None, 1.5, True])
def test_a_time_that_cannot_be_right_is_refused_and_its_neighbour_comes_in(lease: Lease, at: Any) -> None:
    began = time.monotonic()
    assert tell([record(4, lockDate=at, serverDate=at), record(7)], make_key("ttlock")).content == b"success"
    drain()
    assert time.monotonic() - began < 2
    assert Event.objects.get().data == {"way": "card"}
    assert list(Refusal.objects.values_list("raw", flat=True)) == [{"withheld": "door"}]


@pytest.mark.parametrize(
    ("records", "form", "status"),
    [
        ("", {}, 400), ("{", {}, 400), ("{}", {}, 400), ("[1]", {}, 400), ("[NaN]", {}, 400),
        ("[" * 10_000 + "]" * 10_000, {}, 400), ([record(4)], {"lockId": "../1"}, 400),
        ([record(4)], {"lockId": ""}, 400),
        ("x" * 600_000, {}, 413), ([], {}, 200), ("nonsense", {"notifyType": 2}, 200),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_read_is_refused(lease: Lease, records: Any, form: dict[str, Any], status: int) -> None:
    key = make_key("ttlock")
    began = time.monotonic()
    answer = tell(records, key, **form)
    assert time.monotonic() - began < 2
    assert answer.status_code == status
    assert answer.content
    assert landed() == 0


def test_only_who_has_the_key_is_heard(lease: Lease) -> None:
    for wrong in ("", "nonsense", make_key("segment")):
        assert tell([record(4)], wrong).status_code == 401
    assert post("/api/sources/ttlock", b"{}", make_key("ttlock")).status_code == 415
    assert (
        post("/api/sources/ttlock", "&".join(["a=1"] * 2000).encode(), make_key("ttlock"), kind=FORM).status_code == 400
    )
    assert landed() == 0
