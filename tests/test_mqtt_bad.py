"""What a broken or hostile device may say over MQTT: refused with a reason, or stored by rule."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from django.db import connection
from django.utils import translation
from django.utils.translation import gettext

from connectors.models import Refusal
from renewal import loading, quarantine
from tenants import clock, features, flood, listening
from tenants.models import Device, Event, Feature
from tests import broker as brokers
from tests import cost
from tests.listener import TOPIC, publish, reading, received, settle, until
from tests.listener import listening as listener
from tests.makers import NOW, TODAY, make_building, make_device, make_lease, make_unit

pytestmark = pytest.mark.django_db(transaction=True)

STORED = ""


def no(reason: str, **facts: object) -> str:
    """The reason as the listener writes it."""
    with translation.override("zh-hans"):
        return gettext(reason) % facts if facts else gettext(reason)


def unknown(device: str) -> str:
    return no("No unit or device is known as %(ref)s.", ref=device)


def elsewhere(device: str) -> str:
    return no("The device %(ref)s is not in the building that the topic names.", ref=device)


JSON, OBJECT = no("The line is not readable JSON."), no("The line is not a JSON object.")
VALUE = no("The meter's value is not a number that can be right.")
OTHER = no("The topic names another kind of device than the message.")
TIME = no("“%(name)s” is not a time with an offset such as 2025-11-30T21:14:05+08:00.", name="ts")
AHEAD = no("The device's clock is ahead: correct “ts” and remove “%(mark)s”.", mark="clock_wrong")
LATE = no(
    "The message is older than 7 days or the clock is behind: correct “ts” and remove “%(mark)s”.", mark="clock_wrong"
)
BACK = no("The device's clock has jumped back: correct “ts” and remove “%(mark)s”.", mark="clock_wrong")
LARGE = no("The message is larger than %(most)s kB.", most=8)
ID = no("“%(name)s” is missing or is not a short text.", name="id")
WAYS = no("A door cannot be opened in the way this message says.")
CHARACTERS = no("The line contains characters that cannot be stored.")
CONSENT = no("The tenant has not consented to door logs, or nobody lived there: nothing is kept.")
METRIC = no("The message says neither that a door was opened nor what a meter reads.")


def text(id: str, **parts: str) -> bytes:
    """A reading as text, so that a part can be what no JSON library writes."""
    said = {"ts": f'"{NOW.isoformat()}"', "metric": '"energy"', "value": "12.5", "unit": '"kWh"', "seq": "1"} | parts
    return ("{" + f'"id":"{id}",' + ",".join(f'"{name}":{value}' for name, value in said.items()) + "}").encode()


def at(id: str, ts: object) -> dict[str, Any]:
    return reading(id) | {"ts": ts}


# what, topic, payload, reason or STORED
CASES: list[tuple[str, str, object, str]] = [
    ("nothing", TOPIC, b"", JSON),
    ("1 MB of blanks", TOPIC, b" " * (1 << 20), LARGE),
    ("1 MB of a reading", TOPIC, text("m1", note='"' + "x" * (1 << 20) + '"'), LARGE),
    ("exactly 8 kB", TOPIC, text("8k").ljust(8192), STORED),
    ("8 kB and one", TOPIC, text("8k1").ljust(8193), LARGE),
    ("not UTF-8", TOPIC, b'{"id":"\xff\xfe"}', JSON),
    ("UTF-16", TOPIC, json.dumps(reading("u16")).encode("utf-16"), JSON),
    ("a byte order mark", TOPIC, b"\xef\xbb\xbf" + text("bom"), JSON),
    ("NUL bytes", TOPIC, b"\0" * 100, JSON),
    ("an escaped NUL", TOPIC, text("nul", note='"\\u0000"'), CHARACTERS),
    ("half a pair", TOPIC, text("half", note='"\\ud83d"'), CHARACTERS),
    ("depth 4,000", TOPIC, b"[" * 4000 + b"]" * 4000, JSON),
    ("depth 4,000 inside", TOPIC, text("deep", note='{"a":' * 1300 + "1" + "}" * 1300), JSON),
    ("depth 10,000", TOPIC, b"[" * 10_000, LARGE),
    ("depth 900 inside", TOPIC, text("d900", value="[" * 900 + "]" * 900), VALUE),
    ("a list", TOPIC, b"[]", OBJECT),
    ("a number", TOPIC, b"5", OBJECT),
    ("null", TOPIC, b"null", OBJECT),
    ("half a message", TOPIC, text("cut")[:40], JSON),
    ("two messages in one", TOPIC, text("t1") + text("t2"), JSON),
    ("NaN", TOPIC, text("nan", value="NaN"), JSON),
    ("Infinity", TOPIC, text("inf", value="-Infinity"), JSON),
    ("1e309", TOPIC, text("e309", value="1e309"), JSON),
    ("5,000 digits", TOPIC, text("digits", value="9" * 5000), JSON),
    ("400 digits", TOPIC, text("d400", value="9" * 400), VALUE),
    ("400 digits beside", TOPIC, text("d400b", seq="9" * 400), STORED),
    ("a negative value", TOPIC, reading("neg", value=-0.01), VALUE),
    ("a billion", TOPIC, reading("bn", value=1e9), VALUE),
    ("a text value", TOPIC, reading("tv", value="12.5"), VALUE),
    ("a true value", TOPIC, reading("bool", value=True), VALUE),
    ("a list as value", TOPIC, reading("list", value=[1]), VALUE),
    ("the same key twice: the last one counts", TOPIC, text("dup1", note="1,\"value\":99,\"value\":98"), STORED),
    ("no id", TOPIC, {k: v for k, v in reading("x").items() if k != "id"}, ID),
    ("a number as id", TOPIC, reading("x") | {"id": 7}, ID),
    ("an id of 129 characters", TOPIC, reading("x" * 129), ID),
    ("another unit", TOPIC, reading("wh", unit="Wh"), no("The meter's unit is not %(unit)s.", unit="kWh")),
    ("an unknown metric", TOPIC, reading("tm", metric="temperature"),
     METRIC),
    ("an unknown device", "site/B1/device/E-9/power", reading("ud"), unknown('E-9')),
    ("a device of another building", "site/B2/device/E-1/power", reading("ob"),
     elsewhere("E-1")),
    ("a building that is not there", "site/B9/device/E-1/power", reading("nb"),
     elsewhere("E-1")),
    ("water from a power meter's topic", TOPIC, reading("wp", metric="volume", unit="m3"), OTHER),
    ("power on the water topic", "site/B1/device/E-1/water", reading("pw"), OTHER),
    ("another last part", "site/B1/device/E-1/status", reading("st"), OTHER),
    ("no building", "site//device/E-1/power", reading("e1"),
     elsewhere("E-1")),
    ("no device", "site/B1/device//power", reading("e2"), unknown('')),
    ("dots as device", "site/B1/device/../power", reading("e3"), unknown('..')),
    ("a topic of 400 characters", f"site/B1/device/{'x' * 400}/power", reading("e4"),
     no("“%(name)s” is missing or is not a short text.", name="topic")),
    ("quotes in a topic", 'site/B1/device/";drop table/power', reading("e5"),
     unknown('";drop table')),
    ("another topic in the message", TOPIC, reading("e6", topic="site/B2/device/E-1/power"), STORED),
    ("ts 0", TOPIC, at("ts0", 0), TIME),
    ("ts in seconds", TOPIC, at("tss", 1764554400), TIME),
    ("ts in milliseconds", TOPIC, at("tsms", 1764554400000), TIME),
    ("a negative ts", TOPIC, at("tsneg", -1), TIME),
    ("1970", TOPIC, at("ts1970", "1970-01-01T00:00:00Z"), TIME),
    ("9999", TOPIC, at("ts9999", "9999-12-31T23:59:59Z"), TIME),
    ("no offset", TOPIC, at("tsnone", "2025-12-01T10:00:00"), TIME),
    ("a leap second", TOPIC, at("tsleap", "2025-11-30T23:59:60Z"), TIME),
    ("30 February", TOPIC, at("tsfeb", "2025-02-30T00:00:00Z"), TIME),
    ("Z", TOPIC, at("tsz", "2025-12-01T01:00:00Z"), STORED),
    ("+08:00", TOPIC, at("ts8", "2025-12-01T09:00:00+08:00"), STORED),
    ("four minutes ahead", TOPIC, reading("a4", NOW + timedelta(minutes=4)), STORED),
    ("an hour ahead", TOPIC, reading("a60", NOW + timedelta(hours=1)), AHEAD),
    ("ten years ahead", TOPIC, reading("a10y", NOW + timedelta(days=3650)), AHEAD),
    ("six days late", TOPIC, reading("l6", NOW - timedelta(days=6)), STORED),
    ("eight days late", TOPIC, reading("l8", NOW - timedelta(days=8)), LATE),
    ("ten years late", TOPIC, reading("l10y", NOW - timedelta(days=3650)), LATE),
    ("a way nobody opens a door", "site/B1/device/L-1/lock",
     reading("w1", metric="open", value="axe", unit=""), WAYS),
    ("a door without consent", "site/B1/device/L-1/lock", reading("w2", metric="open", value="app", unit=""),
     CONSENT),
    ("a lower reading than before (a new meter)", TOPIC, reading("low", NOW + timedelta(minutes=1), 0.5), STORED),
    ("the same seq, another id", TOPIC, reading("seq2", value=13), STORED),
]  # fmt: skip


@pytest.fixture
def broker() -> Iterator[int]:
    with brokers.running() as port:
        yield port


@pytest.fixture
def house() -> None:
    clock.set_to(NOW)
    lease = make_lease()
    make_device(lease.unit, "E-1")
    make_device(lease.unit, "L-1", "lock")
    make_device(make_unit(), "E-2")  # the neighbour
    make_unit(building=make_building("B2"))


def test_whatever_a_device_says_is_refused_with_a_reason_or_stored_and_its_neighbours_are(
    broker: int, house: None
) -> None:
    wrong = []
    with listener(broker) as process:
        start = cost.of(process.pid)
        for number, (what, topic, payload, expected) in enumerate(CASES):
            Refusal.objects.all().delete()
            said, known, began = received(), Event.objects.count(), cost.of(process.pid)
            neighbour = reading(f"n{number}")
            publish(broker, (topic, payload), ("site/B1/device/E-2/power", neighbour))
            until(lambda said=said: received() >= said + 2, 10, fail=False)  # type: ignore[misc]
            took = cost.of(process.pid).seconds - began.seconds
            reasons = list(Refusal.objects.values_list("reason", flat=True))
            stored = Event.objects.count() - known
            is_right = reasons == ([] if expected is STORED else [expected])
            if not (is_right and stored == len(reasons) + 2 * (not reasons) and took < 2):
                wrong.append((what, expected, reasons, stored, round(took, 2)))
            assert Event.objects.filter(source_id=f"n{number}").exists(), what
            assert process.poll() is None, what
        grown = cost.of(process.pid).most_mb - start.mb
    assert wrong == []
    assert grown < 200


@pytest.mark.skipif(brokers.MOSQUITTO is None, reason=brokers.KEEPS_LITTLE)
def test_each_quality_of_service_and_a_retained_message_are_stored_once(broker: int, house: None) -> None:
    publish(broker, (TOPIC, reading("kept")), retain=True)
    publish(broker, ("site/B1/device/E-2/power", reading("old", NOW - timedelta(days=9))), retain=True)
    for _start in range(2):
        # The broker hands out what it retains at every start of the listener.
        with listener(broker):
            for qos in (0, 1, 2):
                publish(broker, (TOPIC, reading(f"q{qos}")), qos=qos)
            until(lambda: Event.objects.count() == 4)
            settle()
    assert set(Event.objects.values_list("source_id", flat=True)) == {"kept", "q0", "q1", "q2"}
    refusal = Refusal.objects.exclude(raw__line="hello").get()
    assert refusal.reason == LATE
    assert refusal.attempts >= 2


def test_the_last_will_of_a_device_is_refused_and_harms_nobody(broker: int, house: None) -> None:
    with listener(broker):
        device = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        device.will_set("site/B1/device/E-1/status", b"offline", qos=1)
        device.connect("127.0.0.1", broker)
        device.loop_start()
        until(device.is_connected)
        device.socket().shutdown(2)  # type: ignore[union-attr]
        until(lambda: Refusal.objects.filter(raw__line="offline").exists())
        device.loop_stop()
        publish(broker, (TOPIC, reading("after")))
        until(lambda: Event.objects.filter(source_id="after").exists())
    refusal = Refusal.objects.get(raw__line="offline")
    assert (refusal.reason, refusal.raw["topic"]) == (JSON, "site/B1/device/E-1/status")


def test_a_message_that_the_database_will_not_have_is_set_aside_alone(broker: int, house: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN IF NEW.source_id = 'poison' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON tenants_event FOR EACH ROW EXECUTE FUNCTION refuse();
        """)
    try:
        with listener(broker):
            ids = [*(f"r{n}" for n in range(20)), "poison", *(f"s{n}" for n in range(20))]
            publish(broker, *((TOPIC, reading(id)) for id in ids))
            until(lambda: Event.objects.count() == 40)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER refuse ON tenants_event; DROP FUNCTION refuse()")
    refusal = Refusal.objects.exclude(raw__line="hello").get()
    assert refusal.reason == no("The message could not be stored.")
    assert json.loads(refusal.raw["line"])["id"] == "poison"
    # What stood in its way is gone: it can be tried again.
    quarantine.replay("iot", now=NOW)
    assert Event.objects.filter(source_id="poison").exists()


def test_replaying_the_quarantine_does_not_make_a_wrong_clock_history(broker: int, house: None) -> None:
    with listener(broker):
        publish(broker, (TOPIC, reading("old", NOW - timedelta(days=30))), (TOPIC, reading("far", NOW + timedelta(9))))
        publish(broker, ("site/B2/device/E-1/power", reading("elsewhere")))
        until(lambda: Refusal.objects.exclude(raw__line="hello").count() == 3)
    for _time in range(2):
        counts = quarantine.replay("iot", now=NOW + timedelta(days=20))
        assert (counts["iot"]["accepted"], counts["iot"]["rejected"]) == (0, 4)
    assert not Event.objects.exists()
    reasons = Refusal.objects.exclude(raw__line="hello").order_by("reason").values_list("reason", flat=True)
    assert set(reasons) == {AHEAD, LATE, elsewhere("E-1")}


def test_what_is_no_utf_8_is_none_when_it_is_tried_again(house: None) -> None:
    said = json.dumps(reading("u8", note="?")).encode().replace(b"?", b"\xff")
    assert listening.take([(TOPIC, said)], now=NOW).rejected == 1
    for _time in range(2):
        assert quarantine.replay("iot", now=NOW)["iot"]["rejected"] == 1
    assert Refusal.objects.get().reason == JSON
    assert not Event.objects.exists()


def test_a_file_may_tell_of_a_year_but_a_device_that_speaks_live_may_not(tmp_path: Path, house: None) -> None:
    history = tmp_path / "iot.jsonl"
    history.write_text(json.dumps(reading("old", NOW - timedelta(days=300)) | {"topic": TOPIC}) + "\n")
    assert loading.load("iot", history, now=NOW).accepted == 1
    counts = listening.take([(TOPIC, json.dumps(reading("old2", NOW - timedelta(days=300))).encode())], now=NOW)
    assert (counts.accepted, counts.rejected) == (0, 1)


def test_a_door_whose_message_is_refused_leaves_no_trace(broker: int, house: None) -> None:
    lock = "site/B1/device/L-1/lock"
    door: dict[str, Any] = {"metric": "open", "value": "app", "unit": ""}
    said = [
        (lock, reading("d1", **door)),  # no consent
        (lock, reading("d2", NOW - timedelta(days=30), **door)),
        (lock, b"{"),
        (TOPIC, reading("d3", **door)),
        ("site/B2/device/L-1/lock", reading("d4", **door)),
    ]
    with listener(broker):
        before = received()
        publish(broker, *said)
        until(lambda: received() == before + len(said))
    assert not Event.objects.exists()
    for refusal in Refusal.objects.exclude(raw__line="hello"):
        assert refusal.raw == {"withheld": "door"}


def test_a_meter_whose_clock_is_put_back_adds_no_use_and_what_comes_late_is_stored(house: None) -> None:
    days = [-6, -5, -4, -3, -6, -5, -2.5, -2]  # it is put back by four days, and set right again
    said = [reading(f"r{n}", NOW + timedelta(days=day), 100 + n, seq=n) for n, day in enumerate(days)]
    out_of_order = said[0], said[2], said[1], *said[3:]
    for message in (*out_of_order, *out_of_order):
        listening.take([(TOPIC, json.dumps(message).encode())], now=NOW)
    assert set(Event.objects.values_list("source_id", flat=True)) == {"r0", "r1", "r2", "r3", "r6", "r7"}
    assert set(Refusal.objects.values_list("reason", flat=True)) == {BACK}
    features.refresh(today=TODAY, now=NOW)
    assert Feature.objects.get().power_30 == 7
    # Trying it again does not believe it; corrected, it is stored.
    assert quarantine.replay("iot", now=NOW)["iot"]["rejected"] == 2
    # Another building's topic cannot spoil the clock of this one's device, and a counter that begins again is believed.
    listening.take([("site/B2/device/E-1/power", json.dumps(reading("x", NOW, seq=9)).encode())], now=NOW)
    again = [reading(f"s{n}", NOW - timedelta(minutes=30 - n), 1 + n, seq=n) for n in range(3)]
    assert listening.take([(TOPIC, json.dumps(m).encode()) for m in again], now=NOW).accepted == 3


def test_nothing_is_kept_of_when_a_lock_spoke_last(house: None) -> None:
    door: dict[str, Any] = {"metric": "open", "value": "app", "unit": ""}
    listening.take([("site/B1/device/L-1/lock", json.dumps(reading("d", **door)).encode())], now=NOW)
    assert Device.objects.get(ref="L-1").last_at is None


def test_a_meter_that_is_reset_or_runs_backwards_adds_no_use(broker: int, house: None) -> None:
    values = [100, 103, 50, 52, 51, 55]  # +3, a new meter, +2, back, +4
    with listener(broker):
        for n, value in enumerate(values):
            publish(broker, (TOPIC, reading(f"v{n}", NOW - timedelta(hours=10 - n), value)))
        until(lambda: Event.objects.count() == len(values))
    features.refresh(today=TODAY, now=NOW)
    assert Feature.objects.get().power_30 == 9


def test_the_allowance_of_a_device_lets_a_backlog_through_and_ends_a_flood() -> None:
    guard = flood.Guard()
    heard = [guard.admits("site/B1/device/E-1", 0.0) for _n in range(flood.ALLOWANCE + 100)]
    assert heard.count(True) == flood.ALLOWANCE
    assert guard.admits("site/B1/device/E-2", 0.0)
    # A flood that goes on is heard at the rate of the leak, and after a pause there is an allowance again.
    later = [guard.admits("site/B1/device/E-1", 1.0 + n / 1000) for n in range(10_000)]
    assert later.count(True) == int(11 * flood.RATE)
    assert guard.admits("site/B1/device/E-1", 3600.0)


def test_senders_with_made_up_names_do_not_fill_the_memory() -> None:
    guard = flood.Guard()
    for n in range(3 * flood.MANY):
        guard.admits(f"site/B1/device/{n}", 0.0)
    assert len(guard.full) <= flood.MANY + 1
