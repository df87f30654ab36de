"""Segment's HTTP API: what an app tells is kept before it is acknowledged, and becomes what happened, once."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import segment.analytics as analytics
from django.core.management import call_command
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from segment.analytics.request import _session

from connectors.models import InboundKey, Landed, Refusal, Run, SourceHour
from connectors.sources import behaviour
from tenants import clock, landing, merges
from tenants.models import Alias, Event, LeaseTenant, Merge, Tenant
from tests.inbound import drain, landed, make_key, post, reasons
from tests.makers import NOW, make_lease, make_tenant

pytestmark = pytest.mark.django_db
AT = "2025-12-01T09:59:00+08:00"  # a minute before NOW


@pytest.fixture
def lin() -> Tenant:
    """Lin is the app's user u1."""
    clock.set_to(NOW)
    tenant = make_tenant()
    Alias.objects.create(source="app", ref="u1", tenant=tenant, recorded_at=NOW)
    return tenant


def booking(number: str = "m1", **facts: Any) -> dict[str, Any]:
    call = {
        "messageId": number, "userId": "u1", "event": "Facility Used", "properties": {"facility": "shared_kitchen"},
        "timestamp": AT,
    }  # fmt: skip
    return {**call, **facts}


def near(at: datetime, wanted: datetime) -> bool:
    """The product's clock runs on while a test does."""
    return abs(at - wanted) < timedelta(seconds=30)


# --- calls and keys -------------------------------------------------------------------------------


def test_a_booking_is_kept_before_it_is_acknowledged_and_becomes_one_event(lin: Tenant) -> None:
    lease = make_lease(lin)
    key = make_key("segment")
    answer = post("/v1/track", booking(), key)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert landed() == 1
    assert not Event.objects.exists()
    drain()
    event = Event.objects.get()
    assert (event.source, event.source_id, event.kind, event.data) == (
        "app", "m1", "facility.used", {"facility": "shared_kitchen"},
    )  # fmt: skip
    assert (event.tenant, event.at) == (lease.tenants.get(), datetime(2025, 12, 1, 1, 59, tzinfo=UTC))
    assert landed() == 0
    run, hour = Run.objects.get(), SourceHour.objects.get()
    assert (run.source, run.name) == ("app", "http 2025-12-01")
    for books in (run, hour):
        assert (books.received, books.accepted, books.duplicate, books.rejected) == (1, 1, 0, 0)


def test_the_same_call_three_times_is_one_event(lin: Tenant) -> None:
    key = make_key("segment")
    for _time in range(3):
        assert post("/v1/track", booking(), key).status_code == 200
        drain()
    run = Run.objects.get()
    assert (Event.objects.count(), run.received, run.accepted, run.duplicate) == (1, 3, 1, 2)


def test_every_way_to_say_the_key_is_understood_and_any_other_key_refused(lin: Tenant) -> None:
    key = make_key("segment")
    basic = base64.b64encode(f"{key}:".encode()).decode()
    for number, (headers, body) in enumerate(
        [({"authorization": f"Basic {basic}"}, {}), ({"authorization": f"Bearer {key}"}, {}), ({}, {"writeKey": key})]
    ):
        assert post("/v1/track", booking(f"m{number}", **body), **headers).status_code == 200
    assert landed() == 3
    revoked = make_key("segment")
    InboundKey.objects.filter(hint=revoked[-4:]).update(revoked_at=NOW)
    for wrong in ("", "x" * 32, revoked, make_key("cloudevents"), key[:-1], "\ud800", "x" * 10_000):
        answer = post("/v1/track", booking(writeKey=wrong))
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer["WWW-Authenticate"].startswith("Basic")
    assert post("/v1/track", booking(), authorization="Basic !!!").status_code == 401
    assert landed() == 3


def test_a_key_is_kept_as_a_hash_and_its_last_use_written_down_once_an_hour(lin: Tenant) -> None:
    key = make_key("segment")
    row = InboundKey.objects.get()
    assert key not in json.dumps([row.digest, row.hint, row.name])
    assert row.used_at is None
    post("/v1/track", booking(), key)
    row.refresh_from_db()
    first = row.used_at
    assert first is not None
    assert near(first, NOW)
    clock.set_to(NOW + timedelta(minutes=59))
    post("/v1/track", booking(), key)
    row.refresh_from_db()
    assert row.used_at == first
    clock.set_to(NOW + timedelta(minutes=61))
    post("/v1/track", booking(), key)
    row.refresh_from_db()
    assert near(row.used_at or NOW, NOW + timedelta(minutes=61))


def test_every_kind_of_call_is_understood(lin: Tenant) -> None:
    key = make_key("segment")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("track", {"event": "Coupon Opened", "properties": {"coupon": "C-9", "deep": {"a": 1}, "big": "x" * 501}}),
        ("page", {"name": "rent_prices"}),
        ("page", {"properties": {"title": "租金"}}),
        ("screen", {"name": "coupons"}),
        ("identify", {"traits": {"workplace": {"lat": 30.19, "lng": 120.2}, "email": "never kept"}}),
        ("group", {"groupId": "g1", "traits": {"name": "三楼"}}),
    ]
    for number, (kind, facts) in enumerate(calls):
        body = {"messageId": f"m{number}", "userId": "u1", "timestamp": AT, "context": {"ip": "10.1.2.3"}, **facts}
        assert post(f"/v1/{kind}", body, key).status_code == 200
        assert post(f"/v1/{kind[0]}", body, key).status_code == 200  # the address that browsers use
    drain()
    assert list(Event.objects.order_by("source_id").values_list("kind", "data")) == [
        ("app.tracked", {"coupon": "C-9", "name": "Coupon Opened"}),
        ("app.viewed", {"name": "rent_prices"}),
        ("app.viewed", {"name": "租金"}),
        ("app.viewed", {"name": "coupons"}),
        ("profile.stated", {"workplace": [30.19, 120.2]}),
        ("app.tracked", {"name": "Group Joined", "group": "三楼"}),
    ]


def test_a_browser_may_ask_first_and_send_from_any_page(lin: Tenant) -> None:
    asked = Client().options(
        "/v1/t", headers={"origin": "https://app.example", "access-control-request-method": "POST"}
    )
    assert (asked.status_code, asked["Access-Control-Allow-Origin"]) == (204, "*")
    assert "Authorization" in asked["Access-Control-Allow-Headers"]
    sent = post("/v1/t", booking(writeKey=make_key("segment")), kind="text/plain", origin="https://app.example")
    assert (sent.status_code, sent["Access-Control-Allow-Origin"]) == (200, "*")
    assert Client().get("/v1/track").status_code == 405


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("track", b""),
        ("track", b"{"),
        ("track", b"[]"),
        ("track", b"null"),
        ("track", b"\xff\xfe{}"),
        ("track", b'{"userId": "u1", "event": "x", "n": NaN}'),
        ("track", b'{"userId": "u1", "event": "x", "n": -Infinity}'),
        ("track", b'{"userId": "u1", "event": "x", "n": 1e999}'),
        ("track", b'{"userId": "u1", "event": "x", "n": ' + b"9" * 5000 + b"}"),
        ("track", b'{"userId": "u1", "event": "x", "p": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
        ("track", b'{"p": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b', "userId": "u1", "event": "x"}'),
        ("track", {"event": "x"}),
        ("track", {"userId": "", "anonymousId": None, "event": "x"}),
        ("track", {"userId": ["u1"], "event": "x"}),
        ("track", {"userId": "u1"}),
        ("track", {"userId": "u1", "event": {"a": 1}}),
        ("track", booking(messageId=7)),
        ("track", booking(messageId="m" * 100)),
        ("track", booking(properties={"text": "x" * 40_000})),
        ("alias", {"userId": "u1"}),
        ("group", {"userId": "u1"}),
        ("batch", {}),
        ("batch", {"batch": {}}),
        ("batch", {"batch": [{}] * 2501}),
        ("batch", b" " * (500 * 1024 + 1)),
        ("batch", b"x" * 1_000_000),
    ],
)
def test_what_cannot_be_a_call_is_answered_400_at_once_and_nothing_is_kept(lin: Tenant, kind: str, body: Any) -> None:
    key = make_key("segment")
    began = time.process_time()
    answer = post(f"/v1/{kind}", body, key)
    assert time.process_time() - began < 2
    assert (answer.status_code, answer.json()["success"], answer.json()["code"]) == (400, False, "invalid_request")
    assert answer.json()["message"]
    assert landed() == 0


def test_one_bad_call_in_a_batch_waits_in_quarantine_and_its_neighbours_come_in(lin: Tenant) -> None:
    key = make_key("segment")
    bad: list[Any] = [
        7, None, [], {"type": "track"}, booking(type="?"), booking(type="track", event=None),
        booking("x" * 200, type="track"), booking(type="track", properties=[]), booking("n1", type="page"),
        booking(type="track", event="a\u0000b"), booking(type="track", event="half \ud800"),
        booking(type="track", event="x", properties={"text": "x" * 33_000}), booking(type="track", userId={"a": 1}),
        booking(type="track", properties={"facility": "sauna"}),
        {**booking(type="track"), "deep": json.loads("[" * 100 + "]" * 100)},
    ]  # fmt: skip
    calls = [call for n, one in enumerate(bad) for call in (one, booking(f"good-{n}", type="track"))]
    began = time.process_time()
    assert post("/v1/batch", {"batch": calls}, key).status_code == 200
    drain()
    assert time.process_time() - began < 2
    assert set(Event.objects.values_list("source_id", flat=True)) == {f"good-{n}" for n in range(len(bad))}
    run = Run.objects.get()
    assert (run.received, run.accepted, run.rejected) == (2 * len(bad), len(bad), len(bad))
    assert Refusal.objects.count() == len(bad)
    assert all(reasons())
    assert (landed(), landing.set_aside()) == (0, 0)


def test_what_is_odd_but_lawful_is_taken(lin: Tenant) -> None:
    key = make_key("segment")
    twice = b'{"userId": "nobody", "userId": "u1", "event": "A", "messageId": "m1"}'
    huge = b'{"userId": "u1", "event": "B", "messageId": "m2", "properties": {"n": ' + b"9" * 400 + b', "ok": true}}'
    marked = b'\xef\xbb\xbf{"userId": 17, "event": "C", "messageId": "m3"}'
    Alias.objects.create(source="app", ref="17", tenant=lin, recorded_at=NOW)
    for body in (twice, huge, marked):
        assert post("/v1/track", body, key).status_code == 200
    drain()
    assert list(Event.objects.order_by("source_id").values_list("data", "tenant")) == [
        ({"name": "A"}, lin.pk), ({"name": "B", "ok": True}, lin.pk), ({"name": "C"}, lin.pk),
    ]  # fmt: skip


def test_gzip_is_read_and_a_bomb_is_not(lin: Tenant) -> None:
    key = make_key("segment")
    packed = gzip.compress(json.dumps(booking()).encode())
    assert post("/v1/track", packed, key, **{"content-encoding": "gzip"}).status_code == 200
    bomb = gzip.compress(b" " * 200_000_000, compresslevel=1)
    for body in (bomb[: 500 * 1024], gzip.compress(b"[" * 5_000_000), packed[:-9], b"not gzip", b""):
        began = time.process_time()
        assert post("/v1/track", body, key, **{"content-encoding": "gzip"}).status_code == 400
        assert time.process_time() - began < 2
    assert post("/v1/track", packed, key, **{"content-encoding": "br"}).status_code == 415
    assert landed() == 1


def test_a_refused_call_can_be_tried_again_from_quarantine(lin: Tenant) -> None:
    key = make_key("segment")
    post("/v1/batch", {"batch": [booking("m9", type="track", properties={"facility": "sauna"})]}, key)
    drain()
    refusal = Refusal.objects.get()
    assert (refusal.source, refusal.reason) == ("app", "公共设施的名称不认识。")
    behaviour.FACILITIES.add("sauna")
    try:
        call_command("quarantine", "replay", "--source", "app", "--json")
    finally:
        behaviour.FACILITIES.discard("sauna")
    event = Event.objects.get()
    assert (event.source_id, event.data, event.at) == (
        "m9", {"facility": "sauna"}, datetime(2025, 12, 1, 1, 59, tzinfo=UTC),
    )  # fmt: skip
    refusal.refresh_from_db()
    assert refusal.resolved_at is not None


def test_a_refused_call_that_its_sender_repeats_waits_once(lin: Tenant) -> None:
    key = make_key("segment")
    bad = booking("m9", type="track", properties={"facility": "sauna"}, timestamp="2025-12-01T09:59:00+08:00")
    for second in range(3):  # each time an SDK says anew when it sent, by which its clock is put right
        post("/v1/batch", {"batch": [bad], "sentAt": f"2025-12-01T10:00:0{second}+08:00"}, key)
        drain()
    post("/v1/batch", {"batch": [{**bad, "messageId": "m10"}], "sentAt": "2025-12-01T10:00:00+08:00"}, key)
    drain()
    assert list(Refusal.objects.order_by("pk").values_list("attempts", flat=True)) == [3, 1]


# --- time -----------------------------------------------------------------------------------------


def event_of(call: dict[str, Any], key: str) -> Event:
    assert post("/v1/track", call, key).status_code == 200
    drain()
    return Event.objects.get(source_id=call["messageId"])


def test_a_senders_wrong_clock_is_put_right_by_when_it_sent(lin: Tenant) -> None:
    # The phone's clock is three years behind; the booking was made 90 seconds before it was sent.
    call = booking(timestamp="2022-12-01T10:00:00+08:00", sentAt="2022-12-01T10:01:30+08:00")
    event = event_of(call, make_key("segment"))
    assert near(event.at, NOW - timedelta(seconds=90))
    assert event.data == {"facility": "shared_kitchen"}


def test_a_batch_says_once_when_it_was_sent(lin: Tenant) -> None:
    batch = [booking(f"m{n}", type="track", timestamp=f"2022-12-01T10:00:{n:02}Z") for n in (0, 30)]
    assert post("/v1/batch", {"batch": batch, "sentAt": "2022-12-01T10:01:00Z"}, make_key("segment")).status_code == 200
    drain()
    first, second = Event.objects.order_by("at").values_list("at", flat=True)
    assert second - first == timedelta(seconds=30)
    assert near(second, NOW - timedelta(seconds=30))


@pytest.mark.parametrize(
    "said",
    [
        "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2025-11-24T01:59:00Z", "2025-12-01T02:06:00Z", "0", "-1",
        "soon", "2025-12-01T10:00:00", "1764554400", 0, -1, 1764554400, 1764554400000, 1e300, [], {}, True,
    ],
)  # fmt: skip
def test_a_time_that_cannot_be_believed_is_when_we_heard_of_it_and_says_so(lin: Tenant, said: Any) -> None:
    event = event_of(booking(timestamp=said), make_key("segment"))
    assert near(event.at, NOW)
    assert event.data == {"facility": "shared_kitchen", "said_at": str(said)[:40]}


@pytest.mark.parametrize(("said", "at"), [("2025-11-24T02:01:00Z", -7), ("2025-12-01T02:04:00Z", 0)])
def test_a_backlog_of_seven_days_and_five_minutes_ahead_are_believed(lin: Tenant, said: str, at: int) -> None:
    event = event_of(booking(timestamp=said), make_key("segment"))
    assert (event.at, event.data) == (datetime.fromisoformat(said), {"facility": "shared_kitchen"})


def test_without_a_time_it_happened_when_we_heard_of_it(lin: Tenant) -> None:
    call = booking()
    del call["timestamp"]
    event = event_of(call, make_key("segment"))
    assert near(event.at, NOW)
    assert event.data == {"facility": "shared_kitchen"}


moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    happened=moments, skew=st.timedeltas(timedelta(days=-3650), timedelta(days=3650)), waited=st.integers(0, 9 * 86400)
)
def test_the_time_is_ours_whatever_the_senders_clock_shows(happened: datetime, skew: timedelta, waited: int) -> None:
    # The oracle: what a clock of ours beside the sender would have shown.
    received = happened + timedelta(seconds=waited)
    call = {"timestamp": (happened + skew).isoformat(), "messageId": "m"}
    settled = behaviour.settle(call, received_at=received, sent=(received + skew).isoformat(), key="1", nth=0)
    readable = all(2000 <= (at + skew).year < 2100 for at in (happened, received))
    believed = readable and waited <= 7 * 86400
    assert datetime.fromisoformat(settled["timestamp"]) == (happened if believed else received)
    assert ("saidAt" in settled) is not believed


def test_a_call_without_a_number_sent_again_is_the_same_and_two_without_a_time_are_two(lin: Tenant) -> None:
    key = make_key("segment")
    numbered = booking()
    del numbered["messageId"]
    for _time in range(2):
        post("/v1/track", numbered, key)
    timeless = {name: value for name, value in numbered.items() if name != "timestamp"}
    for _time in range(2):
        post("/v1/track", timeless, key)
    drain()
    assert Event.objects.count() == 3


# --- who is who -----------------------------------------------------------------------------------


def aliases(tenant: Tenant) -> set[tuple[str, str]]:
    return set(Alias.objects.filter(tenant=tenant).exclude(origin="").values_list("source", "ref"))


def test_a_device_that_signs_in_is_its_users_from_then_on_and_before(lin: Tenant) -> None:
    key = make_key("segment")
    post("/v1/screen", {"messageId": "m1", "anonymousId": "dev-1", "name": "home", "timestamp": AT}, key)
    drain()
    assert not Event.objects.exists()
    post("/v1/identify", {"messageId": "m2", "userId": "u1", "anonymousId": "dev-1", "timestamp": AT}, key)
    drain()
    assert aliases(lin) == {("anonymous", "dev-1")}
    assert set(Event.objects.values_list("source_id", "tenant")) == {("m1", lin.pk), ("m2", lin.pk)}


PROFILE = {"phone": "+86 139-0000-0001", "wechat_openid": "oLin", "locker": "L-1"}


def test_under_a_public_key_nobody_claims_a_phone_an_openid_or_a_locker(lin: Tenant) -> None:
    key = make_key("segment")
    post("/v1/identify", {"messageId": "m1", "userId": "u1", "timestamp": AT, "traits": PROFILE}, key)
    post("/v1/alias", {"messageId": "m2", "userId": "u1", "previousId": "old", "timestamp": AT}, key)
    # Nor does saying so make a call a server's.
    post("/v1/identify", {"messageId": "m3", "userId": "u1", "timestamp": AT, "traits": PROFILE, "trusted": True}, key)
    drain()
    assert aliases(lin) == {("anonymous", "old")}


def test_under_a_secret_key_a_known_user_gets_what_is_nobodys(lin: Tenant) -> None:
    key = make_key("segment-server")
    post("/v1/identify", {"messageId": "m1", "userId": "u1", "timestamp": AT, "traits": PROFILE}, key)
    drain()
    assert aliases(lin) == {("phone", "13900000001"), ("wechat", "oLin"), ("locker", "L-1")}


def test_who_claims_the_phone_of_another_becomes_nobody_by_it(lin: Tenant) -> None:
    zhou = make_tenant("周航")
    key = make_key("segment-server")
    for number, user in enumerate(("u1", "stranger")):
        claim = {"messageId": f"m{number}", "userId": user, "timestamp": AT, "traits": {"phone": zhou.phone}}
        post("/v1/identify", claim, key)
    drain()
    assert Alias.objects.get(source="phone", ref=zhou.phone).tenant == zhou
    assert not Alias.objects.filter(source="app", ref="stranger").exists()
    assert set(Event.objects.values_list("tenant", flat=True)) == {lin.pk}


def test_two_users_are_merged_only_under_a_secret_key(lin: Tenant) -> None:
    zhou = make_tenant("周航")
    Alias.objects.create(source="app", ref="u2", tenant=zhou, recorded_at=NOW)
    same = {"messageId": "m1", "userId": "u1", "previousId": "u2", "timestamp": AT}
    post("/v1/alias", same, make_key("segment"))
    drain()
    zhou.refresh_from_db()
    assert zhou.merged_into is None
    server = make_key("segment-server")
    for _time in range(2):
        post("/v1/alias", same, server)
        drain()
    zhou.refresh_from_db()
    assert zhou.merged_into == lin
    assert Merge.objects.get().reason == "u1 = u2"
    run = Run.objects.get()
    assert (run.received, run.accepted, run.duplicate) == (3, 2, 1)
    # What a person has taken apart no call joins again.
    merges.unmerge(Merge.objects.get(), why="两个人", by=None, now=clock.now())
    post("/v1/alias", same, server)
    drain()
    zhou.refresh_from_db()
    assert (zhou.merged_into, Merge.objects.count()) == (None, 1)
    assert reasons() == ["员工已确认这是两个人。"]


def test_a_new_name_of_a_known_user_is_learnt_from_a_server_whichever_of_the_two_was_known(lin: Tenant) -> None:
    post("/v1/alias", {"userId": "u1-new", "previousId": "u1", "timestamp": AT}, make_key("segment-server"))
    drain()
    assert aliases(lin) == {("app", "u1-new"), ("anonymous", "u1")}


def test_tenants_of_one_room_are_not_merged_and_the_call_waits_with_the_reason(lin: Tenant) -> None:
    zhou = make_tenant("周航")
    Alias.objects.create(source="app", ref="u2", tenant=zhou, recorded_at=NOW)
    LeaseTenant.objects.create(lease=make_lease(lin), tenant=zhou, is_primary=False)
    post("/v1/alias", {"userId": "u1", "previousId": "u2", "timestamp": AT}, make_key("segment-server"))
    drain()
    zhou.refresh_from_db()
    assert (zhou.merged_into, Refusal.objects.count()) == (None, 1)


# --- landing --------------------------------------------------------------------------------------


def test_a_call_nobody_foresaw_is_set_aside_after_five_tries_and_its_neighbours_go_on(lin: Tenant) -> None:
    key = make_key("segment")
    post("/v1/track", booking("m1"), key)
    poison = Landed.objects.create(source="segment", body={"call": "track"}, received_at=NOW)  # lacks its text
    stranger = Landed.objects.create(source="telex", body={}, received_at=NOW)
    post("/v1/track", booking("m2"), key)
    drain()
    assert set(Event.objects.values_list("source_id", flat=True)) == {"m1", "m2"}
    for tried in (2, 3, 4, 5, 5):
        drain()
        assert set(Landed.objects.values_list("pk", "attempts")) == {(poison.pk, tried + 1 if tried < 5 else 5)} | {
            (stranger.pk, tried + 1 if tried < 5 else 5)
        }
    poison.refresh_from_db()
    assert (poison.error, landing.set_aside()) == ("KeyError: 'text'", 2)


# --- the real SDK, against a running server -------------------------------------------------------


@pytest.fixture
def server(live_server: Any) -> Iterator[str]:
    # Or the server's thread, and its connection to the database, would wait for the SDK's next call.
    _session.headers["Connection"] = "close"
    yield live_server.url
    del _session.headers["Connection"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("packed", [False, True])
def test_the_python_sdk_delivers_what_an_app_says(server: str, packed: bool) -> None:
    clock.set_to(NOW)
    tenant = make_tenant()
    Alias.objects.create(source="app", ref="u1", tenant=tenant, recorded_at=NOW)
    failed: list[Any] = []
    sdk = analytics.Client(
        make_key("segment"),
        host=server,
        gzip=packed,
        max_retries=1,
        on_error=lambda *facts: failed.append(facts),
    )
    sdk.identify("u1", {"workplace": {"lat": 30.19, "lng": 120.2}}, anonymous_id="dev-1")
    for number in range(150):  # more than one batch of the SDK
        sdk.track("u1", "Facility Used", {"facility": "gym", "n": number})
    sdk.screen("u1", name="rent_prices")
    sdk.page("u1", name="home")
    sdk.group("u1", "g1", {"name": "三楼"})
    sdk.alias("dev-0", "u1")
    sdk.flush()
    sdk.shutdown()
    assert failed == []
    drain()
    kinds = Event.objects.values_list("kind", flat=True)
    assert {kind: list(kinds).count(kind) for kind in set(kinds)} == {
        "profile.stated": 1, "facility.used": 150, "app.viewed": 2, "app.tracked": 1,
    }  # fmt: skip
    # The product's clock stands in 2025 and the SDK's does not: it is put right by when it sent.
    assert all(near(at, NOW) for at in Event.objects.values_list("at", flat=True))
    assert aliases(tenant) == {("anonymous", "dev-1"), ("anonymous", "dev-0")}
    assert not Refusal.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_python_sdk_is_told_that_its_key_is_unknown(server: str) -> None:
    failed: list[Any] = []
    sdk = analytics.Client("x" * 32, host=server, max_retries=0, on_error=lambda error, _batch: failed.append(error))
    sdk.track("u1", "Facility Used", {"facility": "gym"})
    sdk.flush()
    sdk.shutdown()
    assert [error.status for error in failed] == [401]
    assert landed() == 0
