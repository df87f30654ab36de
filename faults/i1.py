"""I1: a million messages through a real broker to the real listener, which is killed (-9) twenty times on the way.

30 % say again what was said, some of them with another value under the same id; 20 % come out of order, 5 % late
(up to seven days), 1 % are bad. Then what is stored must be, row for row, what was said first of each id, with the
tenant who held the unit on that day; and in quarantine must be the bad ones, each with its reason and nothing else.
Trying those again changes nothing until their cause is mended, and then once.

Red twin: messages are acknowledged as they are heard, not when they are committed.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.core.management import call_command

from connectors.models import Refusal
from faults import Outcome, outcome, rig
from renewal import quarantine
from tenants import clock
from tenants.management.commands import listen
from tenants.models import Event, Unit
from tests import broker, makers

MESSAGES, KILLS = 1_000_000, 20
RED = 0.02  # share of the red twin
AGAIN, OUT_OF_ORDER, LATE, BAD = 0.30, 0.20, 0.05, 0.01
OTHER_VALUE = 0.05  # of what is said again
NEAR, FAR = 500, 50_000  # how many messages later something comes that is out of order, or said again
UNITS = 60
NOW = datetime(2025, 12, 1, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai
SHANGHAI = timedelta(hours=8)
MOVED_ON = date(2025, 11, 28)  # the first day of the second tenant of each unit
SILENCE = 60.0  # seconds without anything stored: what is missing then does not come any more

Row = tuple[str, datetime, str, str | None, object]  # kind, at, unit, tenant's name, value
Message = tuple[str, bytes]  # topic and payload
Facts = tuple[str, Row | None, Message]  # its id, and the row it is to become if it is good


def run(seed: int, share: float) -> Outcome:
    assert broker.MOSQUITTO, broker.KEEPS_LITTLE
    green = _campaign(random.Random(seed), share)
    red = _campaign(random.Random(seed), min(share, RED), "faults.i1.careless")
    return outcome(*green, red=red)


def careless() -> None:
    """The listener without its protection: the client library acknowledges what it has handed over."""

    def client(*args: Any, **options: Any) -> Any:
        return honest(*args, **options | {"manual_ack": False})

    honest, listen.mqtt.Client = listen.mqtt.Client, client  # type: ignore[misc, assignment]
    call_command("listen")


def _campaign(dice: random.Random, share: float, listener: str = "") -> tuple[bool, dict[str, Any]]:
    began = time.monotonic()
    rig.empty(NOW)
    _furnish()
    said = Said(dice, max(6_000, round(MESSAGES * share)))
    kills = max(3 if listener else 2, round(KILLS * share))
    with broker.running("mosquitto") as port:
        done = _deliver(said, port, dice, kills, listener)
        delivered = time.monotonic() - began
    stored, refused = _stored(), _refused()
    wrong = rig.difference(stored, said.reference)
    wrong_bad = rig.difference(refused, {id: [reason] for id, reason in said.bad.items()})
    changed = _replay(said) if not listener else 0
    counts = {
        "messages": said.count, "said again": said.again, "out of order": said.displaced, "late": said.late,
        "bad": len(said.bad), "kills": done, "stored": len(stored),
        **{f"{what} rows": count for what, count in wrong.items()},
        **{f"{what} refusals": count for what, count in wrong_bad.items()},
        "heard again after a kill": rig.received() - said.count, "wrong after replays": changed,
        "seconds": round(delivered),
    }  # fmt: skip
    return done == kills and not (wrong.total() or wrong_bad.total() or changed), counts


# --- What is said -------------------------------------------------------------------------------------------


class Said:
    """The messages in the order in which they are published, and what must become of them."""

    def __init__(self, dice: random.Random, count: int) -> None:
        self.dice, self.wanted = dice, count
        self.reference: dict[str, Row] = {}
        self.bad: dict[str, str] = {}  # id → reason
        self.mendable: dict[str, Row] = {}  # of the bad ones, those of a device that is not known yet
        self.count = self.again = self.displaced = self.late = 0

    def __iter__(self) -> Iterator[Message]:
        """Something said at place n is published then, or up to FAR messages later."""
        dice, waiting, ties = self.dice, [], itertools.count()  # type: ignore[var-annotated]
        new = round(self.wanted * (1 - AGAIN))
        for n in range(new):
            is_bad = dice.random() < BAD / (1 - AGAIN)
            facts: Facts = self._bad(n) if is_bad else self._good(n)
            place = n
            if dice.random() < OUT_OF_ORDER / (1 - AGAIN):
                self.displaced += 1
                place += dice.randint(2, NEAR)
            heapq.heappush(waiting, (place, next(ties), facts))
            if not is_bad and dice.random() < AGAIN / (1 - AGAIN - BAD):
                place += dice.choice((1, dice.randint(1, NEAR), dice.randint(1, FAR)))
                heapq.heappush(waiting, (place, next(ties), self._once_more(facts)))
                self.again += 1
            while waiting and waiting[0][0] <= n:
                yield self._publish(heapq.heappop(waiting)[2])
        while waiting:
            yield self._publish(heapq.heappop(waiting)[2])

    def _publish(self, facts: Facts) -> Message:
        """Of two messages with one id the first that is published stays."""
        id, row, message = facts
        self.count += 1
        if row is not None:
            self.reference.setdefault(id, row)
        return message

    def _good(self, n: int) -> Facts:
        """One of a day's readings and openings in the order of time; some were kept by their device for days."""
        at = NOW - timedelta(days=1) + timedelta(milliseconds=n)
        if self.dice.random() < LATE / (1 - AGAIN):
            self.late += 1
            at -= timedelta(seconds=self.dice.randint(600, 5 * 86_400 + 80_000))
        unit = self.dice.randrange(UNITS)
        what = self.dice.randrange(3 if unit % 2 else 2)  # who lives in a unit of an even number keeps no door log
        value: object = "card" if what == 2 else round(100 + n / 1000, 3)
        return self._message(f"m{n}", at, unit, what, value)

    def _message(self, id: str, at: datetime, unit: int, what: int, value: object) -> Facts:
        kind, metric, of, letter, last = (
            ("power.read", "energy", "kWh", "E", "power"),
            ("water.read", "volume", "m3", "W", "water"),
            ("door.opened", "open", "", "L", "lock"),
        )[what]
        first, second = f"先住{unit}", (f"后住{unit}" if unit % 5 else None)
        tenant = first if (at + SHANGHAI).date() < MOVED_ON else second
        if what == 2 and tenant is None:  # a door of nobody is not recorded
            return self._message(id, at, unit + 1 if unit % 10 == 5 else unit, 0, 100.5)
        written = at.isoformat().replace("+00:00", "Z") if unit % 3 else (at + SHANGHAI).isoformat()[:-6] + "+08:00"
        payload = rig.message(id, at, metric, value, of, ts=written, seq=int(at.timestamp() * 1000))
        topic = f"site/B1/device/{letter}-{unit:03}/{last}"
        return id, (kind, at, f"B1-{unit:03}", tenant, value), (topic, payload)

    def _once_more(self, facts: Facts) -> Facts:
        id, row, (topic, payload) = facts
        assert row
        if row[0] == "door.opened" or self.dice.random() >= OTHER_VALUE:
            return facts
        said = json.loads(payload) | {"value": row[4] + 0.5}  # type: ignore[operator]
        return id, (*row[:4], said["value"]), (topic, json.dumps(said).encode())

    def _bad(self, n: int) -> Facts:
        id, at, unit = f"b{n}", NOW - timedelta(hours=1), self.dice.randrange(UNITS)
        _id, row, (topic, payload) = self._message(id, at, unit, 0, 7.5)
        wrong = self.dice.randrange(8)
        if wrong == 0:
            payload, reason = payload[:-1], rig.reason("The line is not readable JSON.")
        elif wrong == 1:
            payload, reason = payload[:-1] + b',"x":"\xff"}', rig.reason("The line is not readable JSON.")
        elif wrong == 2:
            topic = f"site/B1/device/N-{unit:03}/power"
            reason = rig.reason("No unit or device is known as %(ref)s.", ref=f"N-{unit:03}")
            assert row
            self.mendable[id] = row
        elif wrong == 3:
            topic = topic.replace("B1", "B2")
            reason = rig.reason(
                "The device %(ref)s is not in the building that the topic names.", ref=f"E-{unit:03}"
            )  # fmt: skip
        elif wrong == 4:
            payload = payload.replace(b"7.5", b"-7.5")
            reason = rig.reason("The meter's value is not a number that can be right.")
        elif wrong == 5:
            payload = payload.replace(b"kWh", b"MWh")
            reason = rig.reason("The meter's unit is not %(unit)s.", unit="kWh")
        elif wrong == 6:
            payload = rig.message(id, NOW + timedelta(days=self.dice.randint(2, 3650)), "energy", 7.5, "kWh")
            reason = rig.reason("The device's clock is ahead: correct “ts” and remove “%(mark)s”.", mark="clock_wrong")
        else:
            payload = rig.message(id, NOW - timedelta(days=self.dice.randint(8, 3650)), "energy", 7.5, "kWh")
            reason = rig.reason(
                "The message is older than 7 days or the clock is behind: correct “ts” and remove “%(mark)s”.",
                mark="clock_wrong",
            )
        self.bad[id] = reason
        return id, None, (topic, payload)


def _furnish() -> None:
    """Units with their meters and locks; all changed hands on a day of this week, every fifth to nobody."""
    makers.make_building("B2")
    for n in range(UNITS):
        unit = makers.make_unit(f"B1-{n:03}")
        for letter, what in (("E", "power"), ("W", "water"), ("L", "lock")):
            makers.make_device(unit, f"{letter}-{n:03}", what)
        consents = ("door_logs",) if n % 2 else ()
        makers.make_lease(
            makers.make_tenant(f"先住{n}", consents), unit,
            first_day=date(2025, 1, 1), last_day=MOVED_ON - timedelta(days=1),
        )  # fmt: skip
        if n % 5:
            makers.make_lease(
                makers.make_tenant(f"后住{n}", consents), unit, first_day=MOVED_ON, last_day=date(2026, 11, 27)
            )


# --- Broker, publisher, listener and their killer -----------------------------------------------------------


def _deliver(said: Said, port: int, dice: random.Random, kills: int, call: str) -> int:
    """All was said, and all that ever comes has come; returns how often the listener was killed at it."""
    with ExitStack() as stack:
        process = stack.enter_context(rig.listener(port, call))
        # The session must be known to the broker before anything is said that counts.
        rig.greet(port, process)
        before = rig.received()
        publisher = Talk(said, port)
        publisher.start()
        done = 0
        while done < kills:
            start, aim = rig.received(), dice.uniform(0.2, 1.2) * said.wanted * 0.8 / kills
            moved = time.monotonic()
            seen = start
            while (now := rig.received()) < start + aim and time.monotonic() - moved < SILENCE:
                if now != seen:
                    seen, moved = now, time.monotonic()
                time.sleep(0.01)
            if now < start + aim:
                break  # what it should have been killed at has been lost
            time.sleep(dice.random() * 0.1)  # anywhere between a batch that is heard and its acknowledgement
            process.kill()
            process.wait()
            done += 1
            process = stack.enter_context(rig.listener(port, call))
        publisher.join()
        assert publisher.is_done, "the publisher broke off"
        rig.settle(SILENCE, lambda: Event.objects.filter(source_id="the-end").exists())
        rig.settle()
        process.terminate()
        assert process.wait(30) == 0
    Event.objects.filter(source_id="the-end").delete()
    assert rig.received() > before
    return done


class Talk(threading.Thread):
    """One connection that says everything, in order, and a last message after it."""

    def __init__(self, said: Said, port: int) -> None:
        super().__init__(daemon=True)
        self.said, self.port = said, port
        self.is_done = False

    def run(self) -> None:
        publisher = rig.Publisher(self.port, "devices")
        messages = iter(self.said)
        while part := list(itertools.islice(messages, 200)):
            publisher.say(*part)
        publisher.say(("site/B1/device/E-000/power", rig.message("the-end", NOW, "energy", 1, "kWh")))
        publisher.close()
        self.is_done = True


# --- What became of it --------------------------------------------------------------------------------------


def _stored() -> dict[str, Row]:
    rows = Event.objects.values_list("source_id", "kind", "at", "unit__code", "tenant__name", "data")
    return {
        id: (kind, at, unit, tenant, data["way"] if kind == "door.opened" else data["value"])
        for id, kind, at, unit, tenant, data in rows.iterator(chunk_size=20_000)
    }


def _refused() -> dict[str, list[str]]:
    """Reasons by id; one that is there twice has two."""
    found: dict[str, list[str]] = {}
    for raw, reason in Refusal.objects.filter(resolved_at=None).values_list("raw", "reason"):
        if raw.get("line") != "hello":
            known = re.search(r'"id": ?"(\w+)"', raw.get("line", ""))
            found.setdefault(known[1] if known else json.dumps(raw), []).append(reason)
    return found


def _replay(said: Said) -> int:
    """Tried again twice, mended, and tried again twice: how many rows and refusals are not as they must be."""
    wrong = 0
    expected = {id: [reason] for id, reason in said.bad.items()}
    rows = dict(said.reference)
    for is_mended in (False, True):
        if is_mended:
            for n in range(UNITS):
                makers.make_device(Unit.objects.get(code=f"B1-{n:03}"), f"N-{n:03}")
            rows |= said.mendable
            expected = {id: reasons for id, reasons in expected.items() if id not in said.mendable}
        for _time in range(2):
            quarantine.replay("iot", now=clock.now())
            wrong += rig.difference(_stored(), rows).total() + rig.difference(_refused(), expected).total()
    return wrong
