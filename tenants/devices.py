"""Locks and meters: where they are, and whether their clocks go on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from connectors.records import BadRecord, EventRecord, Kind
from connectors.runs import Counts
from connectors.sources import iot
from tenants import ingest
from tenants.models import Device

# A message whose number is at most so much higher is taken for one that was said later: a week of one a minute, and
# some. A device that has been reset counts from the beginning, and what it had kept from before is not told by that.
NEXT = 12_000


def take(records: Iterable[Any], *, now: datetime, progress: ingest.Progress = lambda rows: None) -> Counts:
    """What locks and meters say is stored as `ingest.take` stores it, but for those that speak for another building."""
    return ingest.take(_at_home(records), now=now, progress=progress)


def _at_home(records: Iterable[Any]) -> Iterator[Any]:
    """A record whose topic names another building than its device's is a bad one."""
    homes = dict(Device.objects.values_list("ref", "unit__building__code"))
    for record in records:
        if type(record) is EventRecord and record.where and homes.get(record.where[1], record.site) != record.site:
            reason = _("The device %(ref)s is not in the building that the topic names.") % {"ref": record.where[1]}
            yield BadRecord(record.line, reason, iot.DOOR if record.kind == Kind.DOOR_OPENED else {})
        else:
            yield record


SPOKEN = """
    UPDATE tenants_device device SET last_seq = row.seq, last_at = row.at
    FROM jsonb_to_recordset(%s::jsonb) AS row(id bigint, seq bigint, at timestamptz) WHERE device.id = row.id
"""


def out_of_step(records: Sequence[EventRecord | BadRecord]) -> tuple[list[int], list[int]]:
    """The lines of what meters say live after their clock was put back, and of what comes late or out of order.

    A clock was put back when a message of a higher number is of an earlier time than the latest one. Such readings
    would stand among older ones that they do not follow, and every step between them count as use. What comes late
    has a lower number, too. The latest message of each meter is remembered.
    """
    said = [r for r in records if isinstance(r, EventRecord) and r.where and r.seq is not None and r.kind in METERS]
    # In one order, so that two listeners wait for each other at most.
    rows = Device.objects.filter(ref__in={r.where[1] for r in said if r.where}).order_by("pk")
    known = {
        (row.ref, row.unit.building.code): row
        for row in rows.select_related("unit__building").select_for_update(of=("self",), no_key=True)
    }
    back: list[int] = []
    late: list[int] = []
    spoken = {}
    for record in said:
        device = known.get((record.where[1], record.site)) if record.where else None
        if device is None or record.seq is None:
            continue
        if device.last_seq is None or device.last_at is None or record.at >= device.last_at:
            device.last_seq, device.last_at = record.seq, record.at
            spoken[device.pk] = {"id": device.pk, "seq": record.seq, "at": record.at.isoformat()}
        elif record.at < device.last_at - iot.AHEAD:
            (back if 0 < record.seq - device.last_seq <= NEXT else late).append(record.line)
    if spoken:
        with connection.cursor() as cursor:
            cursor.execute(SPOKEN, [json.dumps(list(spoken.values()))])
    return back, late


METERS = (Kind.POWER_READ, Kind.WATER_READ)
