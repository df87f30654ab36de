"""I5: one device says 10,000 messages a second for a minute, beside 500 that each say one every five seconds.

Each has a connection of its own to a real broker and the real listener hears them all. None of the honest ones may
lose a message; of the flood no more than one device's allowance is stored, every other message of it is counted, and
the listener's memory stays below `MOST_MB`. How long the honest ones wait behind the flood, from saying to storing, is
a figure of the machine: it is stated and not judged.

Red twin: a device may say as much as it likes.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from datetime import UTC, datetime
from typing import Any

import psutil
from django.core.management import call_command

from connectors.models import Refusal
from faults import Outcome, outcome, rig
from tenants import flood
from tenants.models import Event
from tests import broker, makers

HONEST, EVERY = 500, 5.0  # devices, and seconds between two messages of one
RATE, SECONDS = 10_000, 60.0  # the flood
RED = 0.05  # share of the red twin
BEFORE = 3.0  # seconds in which only the honest ones speak, before the flood and after it
MOST_MB = 400.0
SILENCE = 60.0  # seconds without anything taken in: what is missing then does not come any more
FLOODER = "site/B1/device/F-000/power"


def run(seed: int, share: float) -> Outcome:
    assert broker.MOSQUITTO, broker.KEEPS_LITTLE
    green = _campaign(random.Random(seed), share)
    red = _campaign(random.Random(seed), min(share, RED), "faults.i5.patient")
    return outcome(*green, red=red)


def patient() -> None:
    """The listener without its protection."""
    flood.Guard.admits = lambda self, sender, at: True  # type: ignore[method-assign]
    call_command("listen")


def _campaign(dice: random.Random, share: float, call: str = "") -> tuple[bool, dict[str, Any]]:
    rig.empty(None)
    for n in range(HONEST):
        makers.make_device(makers.make_unit(f"B1-{n:03}"), f"E-{n:03}")
    makers.make_device(makers.make_unit("B1-F"), "F-000")
    seconds = max(2 * flood.ALLOWANCE / RATE, SECONDS * share)
    with broker.running("mosquitto") as port, rig.listener(port, call) as process:
        rig.greet(port, process)
        before = rig.received()
        quiet = threading.Event()
        honest, flooder = Honest(port, dice, quiet), Flood(port, round(RATE * seconds))
        honest.start()
        time.sleep(BEFORE)
        began = datetime.now(UTC)
        flooder.start()
        most_mb, last, moved = 0.0, before, time.monotonic()
        while True:
            now = rig.received()
            if now != last:
                last, moved = now, time.monotonic()
            if not flooder.is_alive() and not quiet.is_set():
                time.sleep(BEFORE)
                quiet.set()
                honest.join()
            is_all = quiet.is_set() and now - before >= honest.said + flooder.said
            if is_all or time.monotonic() - moved > SILENCE:
                break
            most_mb = max(most_mb, psutil.Process(process.pid).memory_info().rss / 2**20)
            time.sleep(0.1)
        process.terminate()
        assert process.wait(30) == 0
    return _look(honest, flooder, began, most_mb)


def _look(honest: Honest, flooder: Flood, began: datetime, most_mb: float) -> tuple[bool, dict[str, Any]]:
    rows = Event.objects.filter(source_id__startswith="E-").values_list("source_id", "data__value", "at", "recorded_at")
    stored = {id: value for id, value, _at, _recorded in rows}
    wrong = rig.difference(stored, honest.values)
    waits = [(at >= began, (recorded - at).total_seconds()) for _id, _value, at, recorded in rows]
    kept = Event.objects.filter(source_id__startswith="F-").count()
    counted = sum(Refusal.objects.filter(raw__withheld="flood").values_list("attempts", flat=True))
    allowed = flood.ALLOWANCE + round(flood.RATE * (datetime.now(UTC) - began).total_seconds())
    counts = {
        "honest": honest.said, **{f"{what} honest": count for what, count in wrong.items()},
        "honest wait before, p95 s": _p95([wait for is_flooded, wait in waits if not is_flooded]),
        "honest wait, p95 s": _p95([wait for is_flooded, wait in waits if is_flooded]),
        "honest wait, longest s": round(max(wait for _flooded, wait in waits), 2),
        "flood": flooder.said, "flood per s": round(flooder.said / flooder.seconds), "flood stored": kept,
        "flood counted": counted, "flood heard again": max(kept + counted - flooder.said, 0),
        "listener's MB": round(most_mb),
    }  # fmt: skip
    # What is not acknowledged when a connection breaks comes again, and is counted again.
    is_bounded = kept <= allowed and kept + counted >= flooder.said and most_mb <= MOST_MB
    held = is_bounded and not wrong.total()
    return held, counts


def _p95(waits: list[float]) -> float:
    return round(sorted(waits)[int(len(waits) * 0.95)], 2)


class Honest(threading.Thread):
    """All honest devices, each with its connection, one after the other and then again."""

    def __init__(self, port: int, dice: random.Random, quiet: threading.Event) -> None:
        super().__init__(daemon=True)
        self.quiet = quiet
        self.devices = [(f"E-{n:03}", rig.Publisher(port, f"honest-{n}")) for n in range(HONEST)]
        dice.shuffle(self.devices)
        self.values: dict[str, float] = {}

    @property
    def said(self) -> int:
        return len(self.values)

    def run(self) -> None:
        due = time.monotonic()
        for seq, (ref, publisher) in enumerate(itertools.cycle(self.devices)):
            if self.quiet.is_set():
                break
            id, value = f"{ref}-{seq}", 100 + seq / 8
            said = rig.message(id, datetime.now(UTC), "energy", value, "kWh", seq=seq)
            publisher.say((f"site/B1/device/{ref}/power", said))
            self.values[id] = value
            due += EVERY / HONEST
            time.sleep(max(due - time.monotonic(), 0))
        for _ref, publisher in self.devices:
            publisher.close()


class Flood(threading.Thread):
    """One device that says `count` readings, RATE a second if the broker takes them."""

    PART = 200

    def __init__(self, port: int, count: int) -> None:
        super().__init__(daemon=True)
        self.publisher, self.said, self.seconds = rig.Publisher(port, "flood"), count, 0.0

    def run(self) -> None:
        began = due = time.monotonic()
        for first in range(0, self.said, self.PART):
            now = datetime.now(UTC)
            numbers = range(first, min(first + self.PART, self.said))
            self.publisher.say(*((FLOODER, rig.message(f"F-{n}", now, "energy", n, "kWh", seq=n)) for n in numbers))
            due += self.PART / RATE
            time.sleep(max(due - time.monotonic(), 0))
        self.publisher.close()
        self.seconds = time.monotonic() - began
