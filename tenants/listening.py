"""What MQTT brings: whole batches at a time, kept before they are acknowledged."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import psycopg2
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from connectors import runs
from connectors.models import Refusal, Run
from connectors.records import BadRecord, EventRecord, Source
from connectors.runs import Counts
from connectors.sources import calls, iot
from tenants import clock, devices

log = logging.getLogger(__name__)
Message = tuple[str, bytes]  # topic and payload

MOST_BYTES = 8 * 1024
KEPT = 4000  # characters of a message that cannot be read
# The database is away, or asks for another try; the store's own thread raises the driver's.
AWAY = (OperationalError, InterfaceError, psycopg2.OperationalError, psycopg2.InterfaceError)


def take(messages: Sequence[Message], *, now: datetime, surplus: Mapping[str, int] | None = None) -> Counts:
    """Each message is stored once or in quarantine; the day's run of the listener counts them.

    `surplus` says how many messages of which senders were heard beyond what one may say: they are counted, not kept.
    A message that nobody foresaw is set aside alone, and its neighbours are stored. Raises one of `AWAY`.
    """
    try:
        return _take(messages, surplus or {}, now=now)
    except AWAY:
        raise
    except Exception:
        log.exception("A batch of %s messages cannot be stored as it is", len(messages))
        if len(messages) <= 1:
            return _set_aside(messages, surplus or {}, now=now)
    half = len(messages) // 2
    counts = take(messages[:half], now=now, surplus=surplus)
    counts.add(take(messages[half:], now=now))
    return counts


@transaction.atomic
def _take(messages: Sequence[Message], surplus: Mapping[str, int], *, now: datetime) -> Counts:
    records = [_record(number, *message, now=now) for number, message in enumerate(messages, start=1)]
    for bad in _put_back(records, messages):
        records[bad.line - 1] = bad
    counts = devices.take(records, now=now)
    kept = {number: _raw(*message) for number, message in enumerate(messages, start=1)} if counts.refused else {}
    counts.refused = [bad if bad.raw else replace(bad, raw=kept[bad.line]) for bad in counts.refused]
    _book(counts, surplus, now=now)
    return counts


@transaction.atomic
def _set_aside(messages: Sequence[Message], surplus: Mapping[str, int], *, now: datetime) -> Counts:
    counts = Counts()
    for topic, payload in messages:
        counts.refuse(1, _("The message could not be stored."), _door(topic, payload) or _raw(topic, payload))
    _book(counts, surplus, now=now)
    return counts


def _book(counts: Counts, surplus: Mapping[str, int], *, now: datetime) -> None:
    """The counts are in the books, and what was refused in quarantine."""
    # One line of the diary a day, not one a batch: a listener hears something every second.
    run, _new = Run.objects.get_or_create(
        source=Source.IOT, name=f"mqtt {clock.day_of(now)}", defaults={"started_at": now}
    )
    runs.quarantine(run, counts.refused, now=now)
    for sender, times in surplus.items():
        bad = _surplus(sender)
        counts.refused += [bad] * times
        runs.quarantine(run, [bad], now=now)
        if times > 1:
            row = Refusal.objects.filter(source=Source.IOT, digest=runs.digest(Source.IOT, bad.raw))
            row.update(attempts=F("attempts") + times - 1)
    Run.objects.filter(pk=run.pk).update(
        received=F("received") + counts.received,
        accepted=F("accepted") + counts.accepted,
        duplicate=F("duplicate") + counts.duplicate,
        rejected=F("rejected") + counts.rejected,
        finished_at=now,
    )
    runs.tally(Source.IOT, counts, now=now)


def _surplus(sender: str) -> BadRecord:
    reason = _("The device says more than is stored of one device: the surplus is counted, not kept.")
    return BadRecord(0, reason, {"withheld": "flood", "sender": sender[:300]})


def _record(number: int, topic: str, payload: bytes, *, now: datetime) -> EventRecord | BadRecord:
    door = _door(topic, payload)
    try:
        if len(payload) > MOST_BYTES:
            raise calls.Problem(_("The message is larger than %(most)s kB.") % {"most": MOST_BYTES // 1024})
        try:
            message = calls.parse(payload.decode())
        except UnicodeDecodeError:
            raise calls.Problem(_("The line is not readable JSON.")) from None
        return iot.live(iot.event(number, message | {"topic": topic}), heard_at=now)
    except iot.WrongClock as wrong:
        return _wrong_clock(number, wrong, topic, payload)
    except calls.Problem as problem:
        return BadRecord(number, str(problem), door)


def _put_back(records: Sequence[EventRecord | BadRecord], messages: Sequence[Message]) -> list[BadRecord]:
    """What meters said after their clock was put back, also where the broker brings it again after it went on."""
    back, late = devices.out_of_step(records)
    bad = {line: _wrong_clock(line, iot.WrongClock("back"), *messages[line - 1]) for line in back + late}
    digests = {line: runs.digest(Source.IOT, bad[line].raw) for line in late}
    known = Refusal.objects.filter(source=Source.IOT, digest__in=digests.values()) if late else Refusal.objects.none()
    refused = set(known.values_list("digest", flat=True))
    return [bad[line] for line in back + [line for line in late if digests[line] in refused]]


def _wrong_clock(number: int, wrong: iot.WrongClock, topic: str, payload: bytes) -> BadRecord:
    raw = _door(topic, payload) or _raw(topic, payload, **{iot.CLOCK: wrong.how})
    return BadRecord(number, str(wrong), raw)


def _door(topic: str, payload: bytes) -> dict[str, str]:
    """What is kept of a refused message that may tell of a door: nothing but that."""
    return iot.DOOR if topic.endswith("/lock") or b'"open"' in payload else {}


def _raw(topic: str, payload: bytes, **mark: str) -> dict[str, str]:
    """The message as a line of a file, so that the quarantine can replay it; what is no object has its topic beside."""
    # A byte that is no UTF-8 stays visible as one, and is no JSON on a replay either.
    text = payload[: MOST_BYTES + 1].decode(errors="backslashreplace")
    try:
        message = json.loads(text)
        if isinstance(message, dict):
            return {"line": _written(message | {"topic": topic} | mark)}
    except (ValueError, RecursionError):
        pass
    return {"line": text[:KEPT], "topic": topic[:300]}


def _written(message: dict[str, object]) -> str:
    line = json.dumps(message, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # half of a pair: it stays the escape that it was
        line = json.dumps(message)
    return line
