"""The listener as a process of its own, publishers, and what became of what they said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import paho.mqtt.client as mqtt
from django.db import connection

from connectors.models import Run
from tests.makers import NOW
from tests.product import ROOT

TOPIC = "site/B1/device/E-1/power"


@contextmanager
def listening(port: int, log: Path | None = None, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py listen`, which has subscribed; it ends well when told to."""
    with started(port, log, **env) as process:
        hello(port)
        yield process


@contextmanager
def started(port: int, log: Path | None = None, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    database = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}"))
    env = {**os.environ, "DATABASE_URL": database, "MQTT_URL": f"mqtt://127.0.0.1:{port}", "LANGUAGE_CODE": "en"} | env
    output = log.open("ab") if log else None
    process = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), "listen"], env=env, stderr=output)
    try:
        yield process
        if process.poll() is None:
            process.terminate()
            assert process.wait(timeout=15) == 0
    finally:
        process.kill()
        process.wait()


def hello(port: int) -> None:
    """Until the listener has subscribed, a message goes to nobody: say hello until the first one arrives."""
    before = received()
    deadline = time.monotonic() + 30
    while received() == before:
        assert time.monotonic() < deadline, "the listener took nothing"
        publish(port, ("site/hello/device/hello/power", b"hello"))
        until(lambda: received() > before, 0.3, fail=False)
    settle()


def settle() -> None:
    """No greeting is on its way any more."""
    seen, since = received(), time.monotonic()
    while time.monotonic() - since < 0.5:
        if received() != seen:
            seen, since = received(), time.monotonic()
        time.sleep(0.05)


def publish(port: int, *messages: tuple[str, object], qos: int = 1, retain: bool = False) -> None:
    """All the messages were taken by the broker."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for topic, payload in messages:
        content = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False)
        client.publish(topic, content, qos=qos, retain=retain).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def received() -> int:
    run = Run.objects.first()
    return run.received if run else 0


def until(is_so: Callable[[], bool], seconds: float = 20, *, fail: bool = True) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            assert not fail, "it did not come to that in time"
            return
        time.sleep(0.02)


def reading(id: str, at: datetime = NOW, value: object = 12.5, **facts: Any) -> dict[str, Any]:
    said = {"id": id, "ts": at.isoformat(), "metric": "energy", "value": value, "unit": "kWh", "seq": 1}
    return {**said, **facts}
