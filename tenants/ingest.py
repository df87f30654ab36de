"""Events from any source become rows, once: resolve who and where, find the lease of that day, insert."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from connectors.records import AliasRecord, BadRecord, EventRecord, Kind
from connectors.runs import Counts
from tenants import identity
from tenants.leases import HELD_SQL

BATCH = 50_000
# A sender's clock may be a little ahead of ours; what is to happen tomorrow has not happened.
CLOCK_SLACK = timedelta(hours=1)

Progress = Callable[[int], None]


@transaction.atomic
def take(
    records: Iterable[EventRecord | AliasRecord | BadRecord], *, now: datetime, progress: Progress = lambda rows: None
) -> Counts:
    """Every event of `records` that concerns somebody we know is stored once; either all of them or none.

    Counts are of lines: one that tells several events is a duplicate when all of them are known.
    """
    counts = Counts()
    batch = Batch(now)
    for record in records:
        if isinstance(record, EventRecord):
            # A batch ends between two lines, so that a line is judged as a whole.
            if batch.size >= BATCH and record.line != batch.line:
                batch.store(counts)
                progress(counts.received)
            batch.add(record)
        elif isinstance(record, AliasRecord):
            batch.pairs.append((record.known, record.also))
        else:
            counts.refuse(record.line, record.reason, record.raw)
    batch.store(counts)
    progress(counts.received)
    return counts


STAGE = """
    CREATE TEMP TABLE IF NOT EXISTS staged (
        line integer, source text, source_id text, kind text, at timestamptz,
        who_source text, who_ref text, where_source text, where_ref text, data jsonb
    ) ON COMMIT DROP
"""
COPY = "COPY staged FROM STDIN"

# One statement a batch. An event whose own alias is unknown belongs to whoever held the unit on that day, if
# a unit is named. A line with one bad event is refused whole. Door logs are stored only under a consent that
# covers their moment and has not been withdrawn since.
STORE = f"""
    WITH
    held AS MATERIALIZED ({HELD_SQL}),
    door AS MATERIALIZED (
        SELECT coalesce(tenant.merged_into_id, tenant.id) AS tenant_id, line.granted, line.at AS from_at,
            lead(line.at, 1, 'infinity') OVER answers AS to_at,
            last_value(line.granted) OVER (
                answers ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS still
        FROM tenants_consent line JOIN tenants_tenant tenant ON tenant.id = line.tenant_id
        WHERE line.purpose = 'door_logs'
        WINDOW answers AS (
            PARTITION BY coalesce(tenant.merged_into_id, tenant.id) ORDER BY line.at, line.granted DESC, line.id)
    ),
    resolved AS MATERIALIZED (
        SELECT staged.*, coalesce(person.merged_into_id, person.id, held.tenant_id) AS tenant_id, place.unit_id,
            CASE
                WHEN staged.at > %(latest)s THEN 'future'
                WHEN staged.where_ref IS NOT NULL AND place.unit_id IS NULL THEN 'unit'
                WHEN person.id IS NULL AND place.unit_id IS NULL THEN 'person'
                WHEN staged.kind <> 'door.opened' THEN NULL
                WHEN staged.at < %(door_from)s THEN 'old door'
                WHEN NOT EXISTS (
                    SELECT FROM door WHERE door.tenant_id = coalesce(person.merged_into_id, person.id, held.tenant_id)
                        AND door.granted AND door.still AND staged.at >= door.from_at AND staged.at < door.to_at
                ) THEN 'door'
            END AS problem
        FROM staged
        LEFT JOIN tenants_alias who ON who.source = staged.who_source AND who.ref = staged.who_ref
        LEFT JOIN tenants_tenant person ON person.id = who.tenant_id
        LEFT JOIN tenants_alias place ON place.source = staged.where_source AND place.ref = staged.where_ref
        LEFT JOIN held ON held.unit_id = place.unit_id AND staged.at >= held.from_at AND staged.at < held.to_at
    ),
    bad AS (
        SELECT DISTINCT ON (line) line, problem, kind, coalesce(where_ref, '') AS place, coalesce(who_ref, '') AS person
        FROM resolved WHERE problem IS NOT NULL ORDER BY line
    ),
    stored AS (
        INSERT INTO tenants_event (source, source_id, kind, at, tenant_id, unit_id, data, recorded_at)
        SELECT source, source_id, kind, at, tenant_id, unit_id, data, %(now)s FROM resolved
        WHERE line NOT IN (SELECT line FROM bad)
        ON CONFLICT (source, source_id) DO NOTHING
        RETURNING source, source_id
    )
    SELECT line, problem, kind, place, person FROM bad
    UNION ALL
    SELECT count(DISTINCT line), NULL, NULL, NULL, NULL FROM resolved JOIN stored USING (source, source_id)
"""  # noqa: S608 - put together from constants

# A refused door log keeps nothing of what it said: not even where or when.
WITHHELD = {problem: {"withheld": problem} for problem in ("future", "unit", "person", "old door", "door")}


@dataclass(slots=True)
class Batch:
    """Events on their way to the database: text for COPY, and what is counted on this side."""

    now: datetime
    text: StringIO = field(default_factory=StringIO)
    seen: set[str] = field(default_factory=set)
    pairs: list[tuple[tuple[str, str], tuple[str, str]]] = field(default_factory=list)
    size: int = 0  # staged events
    line: int = 0  # the line of the latest event
    lines: int = 0  # lines of all events, staged or not

    def add(self, event: EventRecord) -> None:
        if event.line != self.line:
            self.line = event.line
            self.lines += 1
        if event.source_id in self.seen:
            return  # the same event again: whether it was new is counted where it stood first
        self.seen.add(event.source_id)
        self.size += 1
        who_source, who_ref = event.who or NOBODY
        where_source, where_ref = event.where or NOBODY
        source_id = event.source_id
        if not (source_id.isalnum() and who_ref.isalnum() and where_ref.isalnum()):
            source_id, who_ref, where_ref = _escape(source_id), _reference(who_ref), _reference(where_ref)
        data = ENCODE(event.data).replace("\\", "\\\\")
        self.text.write(
            f"{event.line}\t{event.source}\t{source_id}\t{event.kind}\t{event.at.isoformat()}\t"
            f"{who_source}\t{who_ref}\t{where_source}\t{where_ref}\t{data}\n"
        )

    def store(self, counts: Counts) -> None:
        """What was added is in the database and counted; the batch is empty."""
        identity.learn_pairs(self.pairs, now=self.now)
        if self.size:
            self._count(counts, self._write())
        self.text, self.seen, self.pairs = StringIO(), set(), []
        self.size = self.line = self.lines = 0

    def _write(self) -> list[tuple[Any, ...]]:
        self.text.seek(0)
        with connection.cursor() as cursor:
            cursor.execute(STAGE)
            cursor.copy_expert(COPY, self.text)
            cursor.execute("ANALYZE staged")
            cursor.execute(
                STORE,
                {
                    "now": self.now,
                    "latest": self.now + CLOCK_SLACK,
                    "door_from": self.now - timedelta(days=settings.DOOR_LOG_DAYS),
                },
            )
            answer = cursor.fetchall()
            cursor.execute("TRUNCATE staged")
        return answer

    def _count(self, counts: Counts, answer: list[tuple[Any, ...]]) -> None:
        refused = 0
        accepted = 0
        for line, problem, kind, place, person in answer:
            if problem is None:
                accepted = line
                continue
            refused += 1
            counts.refuse(
                line, _reason(problem, place, person), WITHHELD[problem] if kind == Kind.DOOR_OPENED else None
            )
        counts.accept(accepted)
        counts.repeat(self.lines - accepted - refused)


NOBODY = ("\\N", "\\N")
ENCODE = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def _escape(text: str) -> str:
    """As COPY's text format wants it."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _reference(ref: str) -> str:
    return ref if ref is NOBODY[1] else _escape(ref)


def _reason(problem: str, place: str, person: str) -> str:
    match problem:
        case "future":
            return _("The time lies in the future.")
        case "unit":
            return _("No unit or device is known as %(ref)s.") % {"ref": place}
        case "person":
            return _("Nobody is known as %(ref)s.") % {"ref": person}
        case "old door":
            days = {"days": settings.DOOR_LOG_DAYS}
            return _("Door logs older than %(days)s days are not kept.") % days
        case _:
            return _("The tenant has not consented to door logs, or nobody lived there: nothing is kept.")
