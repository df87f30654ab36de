"""The MQTT listener, by a real broker: what is published is stored once, before it is acknowledged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import paho.mqtt.client as mqtt
import pytest
from django.db import connection

from connectors.models import Refusal, Run
from tenants import clock
from tenants.models import Alias, Event
from tests.makers import NOW, make_device, make_lease
from tests.product import ROOT, free_port

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(MOSQUITTO is None, reason="the MQTT listener's test needs the broker mosquitto"),
]


@pytest.fixture
def broker() -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([str(MOSQUITTO), "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield port
    process.terminate()
    process.wait()


@pytest.fixture
def listener(broker: int) -> Iterator[subprocess.Popen[bytes]]:
    database = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}"))
    env = {**os.environ, "DATABASE_URL": database, "MQTT_URL": f"mqtt://127.0.0.1:{broker}"}
    process = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), "listen"], env=env)
    yield process
    process.terminate()
    assert process.wait(timeout=10) == 0


def publish(port: int, *messages: tuple[str, object]) -> None:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    for _attempt in range(100):
        try:
            client.connect("127.0.0.1", port)
            break
        except ConnectionRefusedError:
            time.sleep(0.05)  # the broker is starting
    client.loop_start()
    for topic, payload in messages:
        client.publish(topic, payload if isinstance(payload, bytes) else json.dumps(payload), qos=1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def until(received: int) -> None:
    deadline = time.monotonic() + 20
    while Run.objects.get().received < received:
        assert time.monotonic() < deadline, "not every message arrived"
        time.sleep(0.05)


def test_what_a_meter_says_is_stored_once_and_bad_messages_wait_in_quarantine(
    broker: int, listener: subprocess.Popen[bytes]
) -> None:
    clock.set_to(NOW)
    lease = make_lease()
    make_device(lease.unit, "E-1")
    reading = {
        "id": "r1",
        "ts": "2025-12-01T09:00:00+08:00",
        "metric": "energy",
        "value": 12.5,
        "unit": "kWh",
        "seq": 1,
    }
    topic = "site/B1/device/E-1/power"
    # Until the listener has subscribed, a reading goes to nobody: publish until the first one arrives.
    deadline = time.monotonic() + 20
    while not Run.objects.exists():
        assert time.monotonic() < deadline, "the listener took nothing"
        publish(broker, (topic, reading))
    so_far = Run.objects.get().received
    publish(broker, (topic, reading), (topic, b"{"), ("site/B1/device/E-9/power", {**reading, "id": "r2"}))
    until(so_far + 3)
    event = Event.objects.get()
    assert (event.source_id, event.unit, event.tenant) == ("r1", lease.unit, lease.tenants.get())
    run = Run.objects.get()
    assert (run.accepted, run.rejected) == (1, 2)
    assert run.received == run.accepted + run.duplicate + run.rejected
    assert Refusal.objects.count() == 2
    assert not Alias.objects.filter(ref="E-9").exists()
