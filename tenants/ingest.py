"""Events from any source become rows, once: resolve who and where, find the lease of that day, insert."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _
from psycopg2.extensions import cursor as Cursor

from connectors.records import AliasRecord, BadRecord, EventRecord, Kind
from connectors.runs import Counts
from tenants import features, identity, waiting
from tenants.holders import HELD_SQL
from tenants.waiting import Ref

# Large enough that rows sorted by their key meet in the pages of its index; two are in memory at a time.
BATCH = 100_000
# A sender's clock may be a little ahead of ours; what is to happen tomorrow has not happened.
CLOCK_SLACK = timedelta(hours=1)
LETTER = "letter"  # the source of what people say on pages of ours

Progress = Callable[[int], None]
Answer = list[tuple[Any, ...]]


@transaction.atomic
def take(
    records: Iterable[EventRecord | AliasRecord | BadRecord], *, now: datetime, progress: Progress = lambda rows: None
) -> Counts:
    """Every event of `records` is stored once, or waits for who it names to be known; either all of them or none.

    Counts are of lines: one that tells several events is a duplicate when all of them are known.
    """
    counts = Counts()
    # The server stores one batch while this process reads the next: both cores work.
    with closing(Store(counts, now=now, progress=progress)) as store:
        batch = Batch()
        for record in records:
            if isinstance(record, EventRecord):
                # A batch ends between two lines, so that a line is judged as a whole.
                if batch.size >= BATCH and record.line != batch.line:
                    store.put(batch)
                    batch = Batch()
                batch.add(record)
            elif isinstance(record, AliasRecord):
                batch.pairs.append((record.known, record.also))
            else:
                counts.refused.append(record)
        store.put(batch)
    # Once and at the end, so that two loads that touch the same people hold each other up as little as can be.
    features.mark(store.touched, now=now)
    waiting.release_later(store.awaited, now=now)
    return counts


STAGE = """
    CREATE TEMP TABLE IF NOT EXISTS staged (
        source text, source_id text, line integer, kind text, at timestamptz,
        who_source text, who_ref text, where_source text, where_ref text, data jsonb
    ) ON COMMIT DROP
"""
COPY = "COPY staged FROM STDIN"

# One statement a batch. An event belongs to the tenant its alias or the lease of that day names, whoever they
# turned out to be. One whose own alias is unknown belongs to whoever held the unit on that day, if a unit is named,
# and waits if none is. A line with one bad event is refused whole. Door logs are stored only under the tenant's own
# consent that covers their moment, if the person has not withdrawn theirs since under any row; and never wait.
STORE = f"""
    WITH
    held AS MATERIALIZED ({HELD_SQL}),
    door AS MATERIALIZED (
        SELECT line.tenant_id, line.granted, line.at AS from_at, lead(line.at, 1, 'infinity') OVER own AS to_at,
            last_value(line.granted) OVER (own ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
            AND last_value(line.granted) OVER (person ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
            AS still
        FROM tenants_consent line JOIN tenants_tenant tenant ON tenant.id = line.tenant_id
        WHERE line.purpose = 'door_logs'
        WINDOW
            own AS (PARTITION BY line.tenant_id ORDER BY line.at, line.granted DESC, line.id),
            person AS (
                PARTITION BY coalesce(tenant.merged_into_id, tenant.id) ORDER BY line.at, line.granted DESC, line.id)
    ),
    resolved AS MATERIALIZED (
        SELECT staged.*, coalesce(who.tenant_id, held.tenant_id) AS tenant_id, place.unit_id,
            CASE
                WHEN staged.at > %(latest)s THEN 'future'
                WHEN staged.where_ref IS NOT NULL AND place.unit_id IS NULL THEN 'unit'
                WHEN staged.kind <> 'door.opened' THEN NULL
                WHEN who.tenant_id IS NULL AND place.unit_id IS NULL THEN 'person'
                WHEN staged.at < %(door_from)s THEN 'old door'
                WHEN door.tenant_id IS NULL THEN 'door'
            END AS problem
        FROM staged
        LEFT JOIN tenants_alias who ON who.source = staged.who_source AND who.ref = staged.who_ref
        LEFT JOIN tenants_alias place ON place.source = staged.where_source AND place.ref = staged.where_ref
        LEFT JOIN held ON held.unit_id = place.unit_id AND staged.at >= held.from_at AND staged.at < held.to_at
        LEFT JOIN door ON staged.kind = 'door.opened' AND door.granted AND door.still
            AND door.tenant_id = coalesce(who.tenant_id, held.tenant_id)
            AND staged.at >= door.from_at AND staged.at < door.to_at
    ),
    bad AS (
        SELECT DISTINCT ON (line) line, problem, kind, coalesce(where_ref, '') AS place, coalesce(who_ref, '') AS person
        FROM resolved WHERE problem IS NOT NULL ORDER BY line
    ),
    stored AS (
        INSERT INTO tenants_event (source, source_id, kind, at, tenant_id, unit_id, data, recorded_at)
        SELECT source, source_id, kind, at, tenant_id, unit_id, data, %(now)s FROM resolved
        WHERE line NOT IN (SELECT line FROM bad) AND (tenant_id IS NOT NULL OR unit_id IS NOT NULL)
        -- In the order of the unique index: measured, half the time of the order in which devices report.
        ORDER BY source, source_id COLLATE "C"
        ON CONFLICT (source, source_id) DO NOTHING
        RETURNING source, source_id, tenant_id
    ),
    waits AS (
        INSERT INTO tenants_waitingevent (source, source_id, kind, at, who_source, who_ref, data, recorded_at)
        SELECT source, source_id, kind, at, who_source, who_ref, data, %(now)s FROM resolved
        WHERE tenant_id IS NULL AND unit_id IS NULL AND line NOT IN (SELECT line FROM bad)
          AND NOT EXISTS (
            SELECT FROM tenants_event known
            WHERE known.source = resolved.source AND known.source_id = resolved.source_id)
        ORDER BY source, source_id COLLATE "C"
        ON CONFLICT (source, source_id) DO NOTHING
        RETURNING source, source_id, who_source, who_ref
    )
    SELECT line, problem, kind, place, person, NULL::bigint[], NULL::text[] FROM bad
    UNION ALL
"""  # noqa: S608 - put together from constants
# The last row: how many lines were new, the tenants something was stored for, and whom something waits for.
LATEST = """, NULL, NULL, NULL, NULL,
    (SELECT array_agg(tenant_id) FROM (SELECT tenant_id FROM stored WHERE tenant_id IS NOT NULL GROUP BY 1) touched),
    (SELECT array_agg(DISTINCT ARRAY[who_source, who_ref]) FROM waits)
"""
COUNT_LINES = f"""
    SELECT count(DISTINCT line){LATEST} FROM resolved
    WHERE (source, source_id) IN (SELECT source, source_id FROM stored UNION ALL SELECT source, source_id FROM waits)
"""  # noqa: S608
# The same where each line tells one event.
COUNT_ROWS = f"SELECT (SELECT count(*) FROM stored) + (SELECT count(*) FROM waits){LATEST}"  # noqa: S608

# A refused door log keeps nothing of what it said: not even where or when.
WITHHELD = {problem: {"withheld": problem} for problem in ("future", "unit", "person", "old door", "door")}


@dataclass(slots=True)
class Batch:
    """Events on their way to the database, as text for COPY."""

    rows: list[str] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)  # source and its id → the line it stood on first
    pairs: list[tuple[tuple[str, str], tuple[str, str]]] = field(default_factory=list)
    repeats: dict[int, int] = field(default_factory=dict)  # line of known events only → the line of the first of them
    line: int = 0  # the line of the latest event
    staged: int = 0  # the line of the latest row
    lines: int = 0  # lines of all events, staged or not
    one_each: bool = True  # no line told more than one
    at: datetime | None = None  # the latest moment, and how it is written: often that of the next event too
    at_text: str = ""

    @property
    def size(self) -> int:
        return len(self.rows)

    def add(self, event: EventRecord) -> None:
        if event.line == self.line:
            self.one_each = False
        else:
            self.line = event.line
            self.lines += 1
        key = f"{event.source}\t{_plain(event.source_id)}"  # as it stands in the row, too
        if first := self.seen.get(key):
            if self.staged != event.line:
                self.repeats[event.line] = first
            return
        self.seen[key] = self.staged = event.line
        if self.repeats:
            self.repeats.pop(event.line, None)
        if event.at is not self.at:
            self.at, self.at_text = event.at, event.at.isoformat()
        data = ENCODE(event.data).replace("\\", "\\\\")
        self.rows.append(
            f"{key}\t{event.line}\t{event.kind}\t{self.at_text}\t{_alias(event.who)}\t{_alias(event.where)}\t{data}\n"
        )


def _alias(alias: tuple[str, str] | None) -> str:
    return f"{alias[0]}\t{_plain(alias[1])}" if alias else NOBODY


def _plain(text: str) -> str:
    """As COPY's text format wants it."""
    if not SPECIAL.search(text):
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


SPECIAL = re.compile(r"[\\\t\n\r]")
NOBODY = "\\N\t\\N"
ENCODE = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


class Store:
    """Stores batches one after the other, each while the next is being read."""

    def __init__(self, counts: Counts, *, now: datetime, progress: Progress) -> None:
        self.counts, self.now, self.progress = counts, now, progress
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ingest")
        self.under_way: tuple[Batch, Future[Answer]] | None = None
        self.touched: set[int] = set()  # the tenants something was stored for
        self.awaited: set[Ref] = set()  # whom something waits for
        with connection.cursor() as cursor:
            cursor.execute(STAGE)
            # A plan compiled for each batch costs more than it saves; a batch is sorted in memory.
            cursor.execute("SET LOCAL jit = off; SET LOCAL work_mem = '64MB'")

    def put(self, batch: Batch) -> None:
        """What was put before is stored and counted, and `batch` is under way."""
        self._settle()
        identity.learn_pairs(batch.pairs, now=self.now)
        if batch.rows:
            # Django's connection belongs to this thread; the driver's may be used by either, one at a time.
            cursor = connection.connection.cursor()
            self.under_way = batch, self.thread.submit(_write, cursor, batch, self.now)

    def close(self) -> None:
        try:
            self._settle()
        finally:
            self.thread.shutdown()

    def _settle(self) -> None:
        """What was under way is in the database, and counted."""
        if self.under_way is None:
            return
        batch, future = self.under_way
        self.under_way = None
        answer = future.result()
        accepted = 0
        refused = {}
        for line, problem, kind, place, person, tenants, awaited in answer:
            if not problem:
                accepted = line
                self.touched.update(tenants or ())
                self.awaited.update((source, ref) for source, ref in awaited or ())
            else:
                raw = WITHHELD[problem] if kind == Kind.DOOR_OPENED else None
                refused[line] = _reason(problem, place, person), raw
        # The same event again is as bad as it was the first time.
        refused |= {line: refused[first] for line, first in batch.repeats.items() if first in refused}
        for line, (reason, raw) in refused.items():
            self.counts.refuse(line, reason, raw)
        self.counts.accept(accepted)
        self.counts.repeat(batch.lines - accepted - len(refused))
        self.progress(self.counts.received)


def _write(cursor: Cursor, batch: Batch, now: datetime) -> Answer:
    """The batch is in the database; each refused line with its reason, and how many lines were new."""
    # The statement sorts them too, for which it needs a quarter of the time if they come sorted.
    batch.rows.sort()
    with cursor:
        cursor.copy_expert(COPY, BytesIO("".join(batch.rows).encode()))
        limits = {
            "now": now,
            "latest": now + CLOCK_SLACK,
            "door_from": now - timedelta(days=settings.DOOR_LOG_DAYS),
        }
        cursor.execute(STORE + (COUNT_ROWS if batch.one_each else COUNT_LINES), limits)
        answer = cursor.fetchall()
        cursor.execute("TRUNCATE staged")
    return answer


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


def note(tenant: int, kind: Kind, source_id: str, data: dict[str, Any], *, at: datetime, now: datetime) -> bool:
    """What a person said on a page of ours is an event, once by its name; whether it is new.

    Who said it is known, so there is no alias to look up.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO tenants_event (source, source_id, kind, at, tenant_id, data, recorded_at)
            SELECT %(source)s, %(source_id)s, %(kind)s, %(at)s, id, %(data)s::jsonb, %(now)s
            FROM tenants_tenant WHERE id = %(tenant)s
            ON CONFLICT (source, source_id) DO NOTHING
            """,
            {
                "source": LETTER, "source_id": source_id, "kind": kind, "at": at, "tenant": tenant,
                "data": ENCODE(data), "now": now,
            },
        )  # fmt: skip
        is_new = cursor.rowcount > 0
    if is_new:
        features.mark([tenant], now=now)
    return is_new
