"""I4: meters whose clocks are wrong: ten years, twelve hours, five minutes, put back, leap seconds, no time zone.

Forty days of readings, one every six hours, reach the listener's verb step by step; the broker brings some again, at
once or with the next ones. Each kind of clock says for itself what must become of its readings. Then what is stored is
exactly what can be believed, nothing of it lies outside the limits, no meter has used more than it has, and trying the
quarantine again, also a month later, takes nothing in.

A clock that is wrong by the same hours every day, within the limits, cannot be told from a meter that is heard late:
its readings are stored at the time it says.

Red twin: times are believed as they come.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from unittest.mock import patch

from connectors.models import Refusal
from connectors.sources import iot
from faults import Outcome, outcome, rig
from renewal import quarantine
from tenants import devices, features, listening
from tenants.models import Event, Feature
from tests import makers

NOW = datetime(2025, 12, 1, 2, 0, tzinfo=UTC)
TODAY = date(2025, 12, 1)
DAYS, STEP = 40, timedelta(hours=6)
METERS = 20  # of each kind of clock, in full
AHEAD, BEHIND = timedelta(minutes=5), timedelta(days=7)  # the limits, as promised
A_STEP_KWH = 1.0
MOST_KWH = 30 * 4 * A_STEP_KWH  # what a meter can have used in thirty days
YEARS = timedelta(days=3652)

Told = tuple[str, datetime | None]  # the time as it is written, and as it must be stored; None: refused
Clock = Callable[["Meter", datetime], Told]


@dataclass
class Meter:
    ref: str
    clock: str
    tenant: int
    put_back_at: datetime = NOW
    put_back_by: timedelta = timedelta()
    until: datetime = NOW
    latest: datetime | None = None  # the latest time that was believed
    read: float = 100.0
    seq: int = 0
    kept: list[tuple[bytes, str, datetime | None]] = field(default_factory=list)  # told later


def believed(at: datetime) -> Told:
    return at.isoformat(), at


def refused(at: datetime) -> Told:
    return at.isoformat(), None


def put_back(meter: Meter, at: datetime) -> Told:
    """Wrong for a while, or for good: believed again from where it had been on."""
    told = at - meter.put_back_by if meter.put_back_at <= at < meter.until else at
    if meter.latest and told < meter.latest - AHEAD:
        return refused(told)
    meter.latest = told
    return believed(told)


def zones(at: datetime, hours: int) -> str:
    """The time of Shanghai, said to be of another zone."""
    return f"{(at + timedelta(hours=8)).replace(tzinfo=None).isoformat()}{hours:+03}:00"


# What each kind of clock says of a moment, and what must become of that.
CLOCKS: dict[str, Clock] = {
    "right": lambda meter, at: believed(at),
    "right, heard late": lambda meter, at: believed(at),
    "10 years behind": lambda meter, at: refused(at - YEARS),
    "10 years ahead": lambda meter, at: refused(at + YEARS),
    "12 hours ahead": lambda meter, at: refused(at + timedelta(hours=12)),
    "12 hours behind": lambda meter, at: believed(at - timedelta(hours=12)),
    "6 minutes ahead": lambda meter, at: refused(at + timedelta(minutes=6)),
    "5 minutes ahead": lambda meter, at: believed(at + AHEAD),
    "7 days behind": lambda meter, at: believed(at - BEHIND),
    "7 days and a second behind": lambda meter, at: refused(at - BEHIND - timedelta(seconds=1)),
    "put back by days": put_back,
    "put back by an hour or a zone": put_back,
    "put back for a while": put_back,
    "local time as UTC": lambda meter, at: (zones(at, 0), None),
    "local time as that of UTC+14": lambda meter, at: (zones(at, 14), at - timedelta(hours=6)),
    "no zone": lambda meter, at: ((at + timedelta(hours=8)).replace(tzinfo=None).isoformat(), None),
    "leap second": lambda meter, at: (f"{at:%Y-%m-%d}T23:59:60Z", None),
    "30 February": lambda meter, at: (f"{at:%Y}-02-30T{at:%H:%M:%S}Z", None),
    "1970": lambda meter, at: ("1970-01-01T00:00:00Z", None),
    "9999": lambda meter, at: ("9999-12-31T23:59:59Z", None),
    "milliseconds": lambda meter, at: (str(round(at.timestamp() * 1000)), None),
}
# Refused because their time had not come; once it has, they would be believed. These are brought again at once only.
COMES_TRUE = {"12 hours ahead", "6 minutes ahead", "local time as UTC"}


def run(seed: int, share: float) -> Outcome:
    green = _campaign(random.Random(seed), share)
    with ExitStack() as off:
        off.enter_context(patch.object(iot, "live", lambda event, heard_at: event))
        off.enter_context(patch.object(devices, "out_of_step", lambda records: ([], [])))
        red = _campaign(random.Random(seed), share)
    return outcome(*green, red=red)


def _campaign(dice: random.Random, share: float) -> tuple[bool, dict[str, Any]]:
    rig.empty(NOW)
    meters = _furnish(dice, max(1, round(METERS * share)))
    expected, bad, messages = _live(meters, dice)
    stored = dict(Event.objects.values_list("source_id", "at"))
    wrong = rig.difference(stored, expected)
    wrong_bad = rig.difference(_refused(), dict.fromkeys(bad, 1))
    features.refresh(today=TODAY, now=NOW)
    used = dict(Feature.objects.values_list("tenant", "power_30"))
    for later in (timedelta(0), timedelta(days=30)):
        quarantine.replay("iot", now=NOW + later)
    outside = sum(
        not recorded - BEHIND <= at <= recorded + AHEAD
        for recorded, at in Event.objects.values_list("recorded_at", "at")
    )
    counts = {
        "meters": len(meters), "kinds of clocks": len(CLOCKS), "messages": messages, "believed": len(expected),
        "refused": len(bad),
        **{f"{what} rows": count for what, count in wrong.items()},
        **{f"{what} refusals": count for what, count in wrong_bad.items()},
        "taken in by a replay": Event.objects.count() - len(stored),
        "outside the limits": outside,
        "meters with another use than they say": sum(used[m.tenant] != _use(m, expected) for m in meters),
        "meters with more use than there was": sum((used[m.tenant] or 0) > MOST_KWH for m in meters),
    }  # fmt: skip
    good = ("meters", "kinds of clocks", "messages", "believed", "refused")
    return not any(count for what, count in counts.items() if what not in good), counts


def _furnish(dice: random.Random, each: int) -> list[Meter]:
    meters: list[Meter] = []
    for kind in CLOCKS:
        for _nth in range(each):
            ref = f"E-{len(meters):03}"
            tenant = makers.make_tenant(f"租客{ref}")
            lease = makers.make_lease(tenant)
            makers.make_device(lease.unit, ref)
            at = NOW - timedelta(days=dice.randint(8, 25))
            by, lasts = timedelta(), NOW
            if kind == "put back by days":
                by, lasts = timedelta(days=dice.randint(1, 6)), NOW + STEP
            elif kind == "put back by an hour or a zone":
                by, lasts = timedelta(hours=dice.randint(7, 14)), NOW + STEP
            elif kind == "put back for a while":
                by, lasts = timedelta(days=dice.randint(1, 6)), at + timedelta(days=dice.randint(1, 6))
            meters.append(Meter(ref, kind, tenant.pk, at, by, lasts))
    return meters


def _live(meters: list[Meter], dice: random.Random) -> tuple[dict[str, datetime], set[str], int]:
    """All was heard: what must be stored of it, what must be refused, and how many messages it took."""
    expected: dict[str, datetime] = {}
    bad: set[str] = set()
    count = 0
    again: list[tuple[str, bytes]] = []
    now = NOW - timedelta(days=DAYS)
    while now < NOW:
        now += STEP
        batch, at_once = again, []
        again = []
        for meter in meters:
            for topic, payload, id, at in _said(meter, now, dice):
                batch.append((topic, payload))
                if at is None:
                    bad.add(id)
                else:
                    expected[id] = at
                if dice.random() < 0.2:
                    at_once.append((topic, payload))
                if dice.random() < 0.2 and meter.clock not in {*COMES_TRUE, "7 days behind"}:
                    again.append((topic, payload))
        listening.take(batch, now=now)
        listening.take(at_once, now=now)
        count += len(batch) + len(at_once)
    return expected, bad, count


def _said(meter: Meter, now: datetime, dice: random.Random) -> list[tuple[str, bytes, str, datetime | None]]:
    """What reaches us of a meter at that moment: its reading, or, of those that are heard late, what it had kept."""
    meter.seq += 1
    meter.read += A_STEP_KWH
    written, at = CLOCKS[meter.clock](meter, now)
    id = f"{meter.ref}-{meter.seq}"
    payload = rig.message(id, now, "energy", meter.read, "kWh", ts=written, seq=meter.seq)
    if meter.clock == "milliseconds":
        payload = payload.replace(f'"{written}"'.encode(), written.encode())
    meter.kept.append((payload, id, at))
    if meter.clock == "right, heard late" and now < NOW and dice.random() < 0.9 and len(meter.kept) < 28:
        return []
    said, meter.kept = meter.kept, []
    if meter.clock == "right, heard late":
        dice.shuffle(said)
    return [(f"site/B1/device/{meter.ref}/power", payload, id, at) for payload, id, at in said]


def _refused() -> Counter[str]:
    """How many refusals there are of each message."""
    found: Counter[str] = Counter()
    for raw in Refusal.objects.filter(resolved_at=None).values_list("raw", flat=True):
        known = re.search(r'"id": ?"([\w-]+)"', raw["line"])
        found[known[1] if known else str(raw)] += 1
    return found


def _use(meter: Meter, expected: dict[str, datetime]) -> float | None:
    """The steps between what was believed of the last thirty days of Shanghai, as the meter counts them."""
    since = datetime(2025, 11, 1, 16, tzinfo=UTC)  # 2 November, 00:00
    read = sorted(
        (at, 100.0 + seq * A_STEP_KWH)
        for seq in range(1, meter.seq + 1)
        if (at := expected.get(f"{meter.ref}-{seq}")) and at >= since
    )
    if len(read) < 2:
        return None
    return sum(max(later - earlier, 0) for (_at, earlier), (_then, later) in pairwise(read))
