"""What senders hand in over HTTP: landed and committed before the answer, taken in a moment later.

A call is one row until it is taken in. Then, in one transaction, its records become events, what is refused goes
to quarantine, the source's books are kept and the row is gone. One that cannot be taken in for a reason nobody
foresaw is tried five times and then set aside with its error; its neighbours go on.
"""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _
from kombu.exceptions import KombuError

from connectors import runs
from connectors.channels import ReceiptRecord
from connectors.channels.wechat import receipts as said_of_ours
from connectors.models import Landed, Run
from connectors.records import AliasRecord, BadRecord, EventRecord, OptOutRecord, SamePersonRecord, Source
from connectors.runs import Counts
from connectors.sources import behaviour, calls, cloudevents, ttlock, wechat
from tenants import clock, consents, identity, ingest, merges
from tenants.models import Merge, Tenant
from tenants.outbox import receipts

log = logging.getLogger(__name__)

WITHIN = 4.0  # seconds; WeChat waits five for its answer
TOGETHER = 50  # calls taken in by one transaction
TRIES = 5
QUIET = 0.5  # seconds between two rings of the bell from one process

Record = EventRecord | AliasRecord | SamePersonRecord | OptOutRecord | BadRecord
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Intake:
    """How the calls of one sender are read, and the source under which they are counted and refused.

    `clock` is what a call's time stands under once it is unpacked: of its own clock, or of ours when it came.
    `receipts` is what it says of messages that we sent, each with its channel.
    """

    source: Source
    unpack: Callable[..., Iterator[calls.Told]]
    records: Callable[[int, Any], Sequence[Record]]
    clock: str
    receipts: Callable[[Any], Iterable[tuple[str, ReceiptRecord]]] = lambda call: ()


INTAKES = {
    "segment": Intake(Source.APP, behaviour.unpack, behaviour.records, "timestamp"),
    "cloudevents": Intake(Source.CLOUDEVENTS, cloudevents.unpack, cloudevents.records, "time"),
    "wechat": Intake(Source.WECHAT, wechat.unpack, wechat.records, "at", said_of_ours),
    "ttlock": Intake(Source.IOT, ttlock.unpack, ttlock.records, "lockDate"),
}


# --- landing --------------------------------------------------------------------------------------


@contextmanager
def promptly() -> Iterator[Callable[[], None]]:
    """A transaction whose statements end within four seconds, or in an error.

    It gives a function to call before a statement that must fit into what is left of them.
    """
    end = time.monotonic() + WITHIN

    def hurry() -> None:
        left = max(1, int((end - time.monotonic()) * 1000))
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {left}")

    with transaction.atomic():
        hurry()
        yield hurry


def land(source: str, body: dict[str, Any], *, now: datetime) -> None:
    """The call is a row; once that is committed a worker hears of it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO connectors_landed (source, body, received_at, attempts, error) VALUES (%s, %s, %s, 0, '')",
            [source, json.dumps(body, ensure_ascii=False), now],
        )
    transaction.on_commit(_ring)


_rung_at = float("-inf")


def _ring() -> None:
    """A worker is told to look. Losing the bell costs seconds: the sweep needs none."""
    global _rung_at
    if time.monotonic() - _rung_at < QUIET:
        return  # whoever was called then finds this row too, or the sweep does
    _rung_at = time.monotonic()
    try:
        current_app.send_task(settings.LANDING_BELL, retry=False, expires=60)
    except (KombuError, OSError) as error:
        log.warning("The landing bell did not ring (%s); the sweep will find what came.", type(error).__name__)


# --- taking in ------------------------------------------------------------------------------------


def take(*, now: datetime) -> int:
    """Some calls that landed are taken in, the oldest first; says how many were tried."""
    fresh: list[int] = []
    try:
        with transaction.atomic():
            rows = list(_waiting().filter(attempts=0)[:TOGETHER])
            fresh = [row.pk for row in rows]
            _take_in(rows, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database, not a call: nothing is counted against anybody
    except Exception as error:
        log.warning("A landed call cannot be taken in (%s); each is tried alone.", type(error).__name__)
        for pk in fresh:
            _take_alone(pk, now=now)
    return len(fresh)


def take_again(*, now: datetime) -> int:
    """Calls that could not be taken in before were tried once more, each alone; says how many."""
    rows = Landed.objects.filter(attempts__gt=0, attempts__lt=TRIES).order_by("pk")
    again = list(rows.values_list("pk", flat=True)[:TOGETHER])
    for pk in again:
        _take_alone(pk, now=now)
    return len(again)


def set_aside() -> int:
    """How many calls nobody tries any more."""
    return Landed.objects.filter(attempts__gte=TRIES).count()


def forgive(calls_landed: Iterable[int]) -> int:
    """These calls are tried as if they had just come; says how many there were."""
    found = Landed.objects.filter(pk__in=list(calls_landed), attempts__gt=0).update(attempts=0, error="")
    transaction.on_commit(_ring)
    return found


def _waiting() -> Any:
    return Landed.objects.select_for_update(skip_locked=True).order_by("pk")


def _take_alone(pk: int, *, now: datetime) -> None:
    try:
        with transaction.atomic():
            _take_in(list(_waiting().filter(pk=pk, attempts__lt=TRIES)), now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}"[:300].replace("\0", "")
        Landed.objects.filter(pk=pk).update(attempts=F("attempts") + 1, error=said)


def _take_in(rows: Sequence[Landed], *, now: datetime) -> None:
    """These rows' records are stored or refused, counted, and the rows are gone."""
    by_source: dict[Source, list[Landed]] = defaultdict(list)
    for row in rows:
        by_source[INTAKES[row.source].source].append(row)
    for source, theirs in sorted(by_source.items()):  # always in this order, so that two workers never cross
        _book(source, *_store(theirs, now=now), now=now)
    if rows:
        Landed.objects.filter(pk__in=[row.pk for row in rows]).delete()


def _store(rows: Sequence[Landed], *, now: datetime) -> tuple[Counts, dict[int, Any]]:
    """What became of the calls in these rows, and the calls themselves by the numbers they were given."""
    kept: dict[int, Any] = {}
    records: list[Record] = []
    said: dict[str, list[ReceiptRecord]] = defaultdict(list)
    silent = Counts()
    for row in rows:
        intake = INTAKES[row.source]
        # Were a number given twice, for instance after a restore, its moment would still tell the two apart.
        key = f"{row.pk} {row.received_at.isoformat()}"
        for told in intake.unpack(row.body, received_at=row.received_at, key=key):
            number = len(kept) + 1
            kept[number] = told.call
            found = _read(partial(intake.records, number, told.call), number, told.problem)
            records.extend(found)
            for channel, receipt in intake.receipts(told.call):
                said[channel].append(receipt)
            silent.repeat(not found)
    counts = keep(records, now=now)
    for channel, theirs in sorted(said.items()):
        receipts.take(channel, theirs, now=now)
    counts.add(silent)
    return counts, kept


def _read(records: Callable[[], Sequence[Record]], number: int, problem: str) -> Sequence[Record]:
    if problem:
        return [BadRecord(number, problem)]
    try:
        return records()
    except calls.Problem as said:
        return [BadRecord(number, str(said))]


def keep(records: Iterable[Record], *, now: datetime, progress: Progress = lambda rows: None) -> Counts:
    """What the records say is stored: who is who, what happened, and who wants no more offers."""
    others = Counts()
    refusals: list[OptOutRecord] = []
    counts = ingest.take(_events(records, others, refusals, now=now), now=now, progress=progress)
    counts.add(others)
    counts.add(consents.withdraw(refusals, now=now))
    return counts


def _events(
    records: Iterable[Record], others: Counts, refusals: list[OptOutRecord], *, now: datetime
) -> Iterator[EventRecord | AliasRecord | BadRecord]:
    """The records that `ingest` stores; of the others those that say who is who are learnt on the way."""
    for record in records:
        if isinstance(record, OptOutRecord):
            refusals.append(record)
        elif isinstance(record, SamePersonRecord):
            _same(record, others, now=now)
        else:
            yield record


def _same(record: SamePersonRecord, counts: Counts, *, now: datetime) -> None:
    """What stands for nobody yet stands for the known one; two that are known are merged, if that is certain."""
    is_new = False
    if record.is_certain:  # then it does not matter which of them was known; whom one stands for the others do next
        is_new = bool(identity.learn_pairs([(also, record.known) for also in record.also], now=now))
    is_new |= bool(identity.learn_pairs([(record.known, also) for also in record.also], now=now))
    kept = identity.tenant_of(*record.known)
    for also in record.also if record.is_certain else ():
        other = identity.tenant_of(*also)
        if kept and other and kept != other:
            try:
                _refuse_if_parted(kept, other)
                merges.merge(kept, other, reason=f"{record.known[1]} = {also[1]}", by=None, now=now)
            except merges.NotMergeable as problem:
                counts.refuse(record.line, str(problem))
                return
            is_new = True
    counts.accept(is_new)
    counts.repeat(not is_new)


def _refuse_if_parted(kept: Tenant, other: Tenant) -> None:
    """Raises `NotMergeable` if staff once took these two apart: a call that comes again does not know better."""
    either = Q(kept=kept, merged=other) | Q(kept=other, merged=kept)
    if Merge.objects.filter(either, undone_at__isnull=False).exists():
        raise merges.NotMergeable(_("Staff have said that they are two people."))


def _book(source: Source, counts: Counts, kept: dict[int, Any], *, now: datetime) -> None:
    """The source's day and hour count these calls, and the refused are in quarantine as lines to try again."""
    name = f"http {clock.day_of(now)}"
    with connection.cursor() as cursor:  # two workers would both begin the day
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"{source} {name}"])
    run, _is_new = Run.objects.get_or_create(source=source, name=name, defaults={"started_at": now})
    Run.objects.filter(pk=run.pk).update(
        received=F("received") + counts.received,
        accepted=F("accepted") + counts.accepted,
        duplicate=F("duplicate") + counts.duplicate,
        rejected=F("rejected") + counts.rejected,
        finished_at=now,
    )
    runs.tally(source, counts, now=now)
    refused = [bad if bad.raw else replace(bad, raw=_raw(source, kept[bad.line])) for bad in counts.refused]
    runs.quarantine(run, refused, now=now, same={bad.line: _without_time(source, kept[bad.line]) for bad in refused})


def _without_time(source: Source, call: Any) -> dict[str, Any] | None:
    """What a refused call is known by when its sender sends it again: then only its time is another one."""
    if source == Source.IOT or type(call) is not dict:
        return None
    clocks = {intake.clock for intake in INTAKES.values() if intake.source == source}
    return {"line": calls.line({name: value for name, value in call.items() if name not in clocks})}


def _raw(source: Source, call: Any) -> dict[str, Any]:
    # Of a door nothing is kept: it is a trace of somebody's movements.
    return {"withheld": "door"} if source == Source.IOT else {"line": calls.line(call)}
