"""iot.jsonl: what locks and meters send, day by day, in the form of the MQTT topics.

The meters are those of the units that are let today, with their whole year.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from connectors.sample.days import HISTORY_DAYS, Calendar, Seconds, seconds, stamps
from connectors.sample.doors import WAYS, openings
from connectors.sample.leases import Tenancy
from connectors.sample.meters import Meters
from connectors.sample.people import Person


def lines(
    meters: list[Meters], tenancies: list[Tenancy], logged: set[Person], calendar: Calendar, counts: Counter[str]
) -> Iterator[list[str]]:
    """The lines of one day after the other, each day in the order of time; `counts` by metric on the way."""
    let = {tenancy.unit for tenancy in tenancies if tenancy.current(calendar.today)}
    sent = [m for m in meters if m.unit in let and m.unit.building.has_iot]
    heads = [_head(m) for m in sent]
    read_at = np.array([m.read_at for m in sent], np.int64).reshape(len(sent), HISTORY_DAYS)
    at, text = _door_lines(tenancies, logged, calendar)
    counts["open"] = len(at)
    for day in range(HISTORY_DAYS):
        start = seconds(calendar.history_start) + day * 86_400
        low, high = np.searchsorted(at, (start, start + 86_400))
        when = read_at[:, day]
        seq = day + 1
        readings: list[str] = []
        for (power, water), m, ts in zip(heads, sent, stamps(when), strict=True):
            kwh, cubic = f"{m.power[day]:.2f}", f"{m.water[day]:.2f}"
            readings += (
                f'{power}{seq}","ts":"{ts}","metric":"energy","value":{kwh},"unit":"kWh","seq":{seq}}}',
                f'{water}{seq}","ts":"{ts}","metric":"volume","value":{cubic},"unit":"m3","seq":{seq}}}',
            )
        counts["energy"] += len(sent)
        counts["volume"] += len(sent)
        both = readings + text[low:high]
        order = np.argsort(np.concatenate((np.repeat(when, 2), at[low:high])), kind="stable")
        yield [both[index] for index in order]


def _head(m: Meters) -> tuple[str, str]:
    """The beginning of each line of a unit's two meters; ids are device and sequence number."""
    site = f'{{"topic":"site/{m.unit.building.code}/device/'
    power, water = m.unit.power_meter, m.unit.water_meter
    return f'{site}{power}/power","id":"{power}-', f'{site}{water}/water","id":"{water}-'


def _door_lines(tenancies: list[Tenancy], logged: set[Person], calendar: Calendar) -> tuple[Seconds, list[str]]:
    """All openings in the order of time. A lock counts its openings on, whoever lives there."""
    moments: list[Seconds] = [np.empty(0, np.int64)]
    text: list[str] = []
    sequence: Counter[str] = Counter()
    for tenancy in tenancies:
        unit = tenancy.unit
        if not unit.building.has_iot or tenancy.person not in logged:
            continue
        at, way = openings(tenancy, calendar)
        moments.append(at)
        head = f'{{"topic":"site/{unit.building.code}/device/{unit.lock}/lock","id":"{unit.lock}-'
        for seq, ts, how in zip(range(sequence[unit.lock] + 1, 10**9), stamps(at), way.tolist(), strict=False):
            text.append(f'{head}{seq}","ts":"{ts}","metric":"open","value":"{WAYS[how]}","unit":"","seq":{seq}}}')
        sequence[unit.lock] += len(at)
    at = np.concatenate(moments)
    order = np.argsort(at, kind="stable")
    return at[order], [text[index] for index in order]
