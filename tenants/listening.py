"""What MQTT brings: whole batches at a time, kept before they are acknowledged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from connectors import runs
from connectors.models import Run
from connectors.records import BadRecord, EventRecord, Source
from connectors.runs import Counts
from connectors.sources import calls, iot
from tenants import clock, ingest


@transaction.atomic
def take(messages: Sequence[tuple[str, bytes]], *, now: datetime) -> Counts:
    """Each (topic, payload) is stored once or in quarantine; the day's run of the listener counts them."""
    counts = ingest.take([_record(number, *message) for number, message in enumerate(messages, start=1)], now=now)
    # One line of the diary a day, not one a batch: a listener hears something every second.
    run, _new = Run.objects.get_or_create(
        source=Source.IOT, name=f"mqtt {clock.day_of(now)}", defaults={"started_at": now}
    )
    Run.objects.filter(pk=run.pk).update(
        received=F("received") + counts.received,
        accepted=F("accepted") + counts.accepted,
        duplicate=F("duplicate") + counts.duplicate,
        rejected=F("rejected") + counts.rejected,
        finished_at=now,
    )
    runs.tally(Source.IOT, counts, now=now)
    kept = {number: {"line": _line(*message)} for number, message in enumerate(messages, start=1)}
    refused = [bad if bad.raw else replace(bad, raw=kept[bad.line]) for bad in counts.refused]
    runs.quarantine(run, refused, now=now)
    return counts


def _record(number: int, topic: str, payload: bytes) -> EventRecord | BadRecord:
    try:
        try:
            message = calls.parse(payload.decode())
        except UnicodeDecodeError:
            raise calls.Problem(_("The line is not readable JSON.")) from None
        return iot.event(number, message | {"topic": topic})
    except calls.Problem as problem:
        return BadRecord(number, str(problem), iot.DOOR if topic.endswith("/lock") else {})


def _line(topic: str, payload: bytes) -> str:
    """The message as a line of a file, so that the quarantine can replay it."""
    text = payload.decode(errors="replace")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return text[:4000]
    return json.dumps(message | {"topic": topic}, ensure_ascii=False) if isinstance(message, dict) else text[:4000]
