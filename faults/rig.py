"""What the MQTT campaigns share: publishers faster than a client library, and the listener as a process of its own.

The broker is mosquitto, with the limits of our mosquitto.conf: amqtt keeps nothing for a listener that is away.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import translation
from django.utils.translation import gettext

from bench.scratch import ROOT
from connectors.models import Refusal, Run, SourceHour
from tenants import clock
from tenants.models import Building, DirtyTenant, Event, Lease, Tenant

PUBLISH_QOS_1, PUBACK, DISCONNECT = 0x32, 0x40, b"\xe0\x00"
WINDOW = 2_000  # messages on their way to the broker that it has not taken yet
ROWS = (Event, Refusal, Run, SourceHour, DirtyTenant, Lease, Tenant, Building)


class Publisher:
    """A connection to the broker that says things at QoS 1 and waits for their acknowledgements only at a window.

    MQTT 3.1.1 by hand: encoding a message costs a tenth of what a client library takes, on the cores it is to test.
    """

    def __init__(self, port: int, name: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.sent = self.taken = 0
        self.mid = 0
        self.rest = b""
        # Clean session, no keep-alive.
        self.socket.sendall(_packet(0x10, _text("MQTT") + b"\x04\x02\x00\x00" + _text(name)))
        answer = self.socket.recv(4)
        assert answer == b"\x20\x02\x00\x00", answer

    def say(self, *messages: tuple[str, bytes]) -> None:
        """The broker has been sent the messages, and took all but the last `WINDOW`."""
        parts = []
        for topic, payload in messages:
            self.mid = self.mid % 65_535 + 1
            parts.append(_packet(PUBLISH_QOS_1, _text(topic) + self.mid.to_bytes(2, "big") + payload))
        self.socket.sendall(b"".join(parts))
        self.sent += len(messages)
        self.hear(WINDOW)

    def hear(self, most: int) -> None:
        """No more than `most` messages wait for the broker's acknowledgement."""
        while self.sent - self.taken > most or select.select([self.socket], [], [], 0)[0]:
            heard = self.rest + self.socket.recv(1 << 16)
            assert heard, "the broker has hung up"
            whole = len(heard) // 4
            assert heard[0] == PUBACK, heard[:4]
            self.taken += whole
            self.rest = heard[4 * whole :]

    def close(self) -> None:
        """All that was said has been taken by the broker."""
        self.hear(0)
        self.socket.sendall(DISCONNECT)
        self.socket.close()


def _packet(kind: int, body: bytes) -> bytes:
    size, length = bytearray(), len(body)
    while True:
        length, low = divmod(length, 128)
        size.append(low | (128 if length else 0))
        if not length:
            return bytes([kind]) + bytes(size) + body


def _text(text: str) -> bytes:
    said = text.encode()
    return len(said).to_bytes(2, "big") + said


@contextmanager
def listener(port: int, call: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py listen`, or a process that calls `call` of a campaign instead; killed at the end."""
    url = os.environ["DATABASE_URL"]
    env = {**os.environ, "DATABASE_URL": url, "MQTT_URL": f"mqtt://127.0.0.1:{port}"}
    module, _dot, function = call.rpartition(".")
    what = (
        ["-c", f"import django; django.setup(); import {module}; {module}.{function}()"]
        if call
        else ["manage.py", "listen"]
    )
    process = subprocess.Popen([sys.executable, *what], cwd=ROOT, env=env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def greet(port: int, process: subprocess.Popen[bytes]) -> None:
    """The listener has subscribed: what is said before that goes to nobody. Each greeting is refused."""

    def is_heard() -> bool:
        assert process.poll() is None, "the listener has ended"
        publisher = Publisher(port, "greeter")
        publisher.say(("site/hello/device/hello/power", b"hello"))
        publisher.close()
        return received() > 0

    until(is_heard, "the listener has taken nothing")
    settle()


def until(is_so: Callable[[], bool], complaint: str, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, complaint
        time.sleep(0.1)


def settle(seconds: float = 1, is_over: Callable[[], bool] = lambda: False) -> None:
    """Nothing has come for so long: what was said is not on its way any more. Or it is over before."""
    seen, since = received(), time.monotonic()
    while time.monotonic() - since < seconds and not is_over():
        if received() != seen:
            seen, since = received(), time.monotonic()
        time.sleep(0.05)


def message(id: str, at: datetime, metric: str, value: object, unit: str, **facts: Any) -> bytes:
    said = {"id": id, "ts": at.isoformat(), "metric": metric, "value": value, "unit": unit, "seq": 1}
    return json.dumps(said | facts, separators=(",", ":")).encode()


def reason(text: str, **facts: object) -> str:
    """A refusal's reason as the listener writes it."""
    with translation.override("zh-hans"):
        return gettext(text) % facts if facts else gettext(text)


def received() -> int:
    run = Run.objects.order_by("pk").first()
    return run.received if run else 0


def empty(now: datetime | None) -> None:
    """Nobody lives anywhere, nothing has happened, and it is `now`; the real time if that is None."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(model._meta.db_table for model in ROWS)} CASCADE")
    if now is None:
        clock.reset()
    else:
        clock.set_to(now)


def difference(found: dict[str, Any], expected: dict[str, Any]) -> Counter[str]:
    """How many are missing, more than expected, and other than expected."""
    return Counter(
        missing=len(expected.keys() - found.keys()),
        unexpected=len(found.keys() - expected.keys()),
        other=sum(found[key] != value for key, value in expected.items() if key in found),
    )
