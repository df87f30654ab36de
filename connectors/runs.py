"""Book-keeping of what a source gave us: counts of rows, and the refused ones with their reasons."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from connectors import sealing
from connectors.models import Refusal, Run, Upload
from connectors.records import NUL_SIGN, BadRecord


@dataclass(slots=True)
class Counts:
    """What became of the rows of one file: received = accepted + duplicate + rejected, always.

    A verb counts a row by calling one of the three methods; a row is a duplicate when nothing it
    says is new. A refusal without `raw` gets it from the file, by its line; one that must not be
    kept (a door log without consent) brings a `raw` of its own that says no more than why.
    """

    accepted: int = 0
    duplicate: int = 0
    refused: list[BadRecord] = field(default_factory=list)
    waiting: dict[int, str] = field(default_factory=dict)  # of the accepted: the line of each that waits, and why
    news: set[int] = field(default_factory=set)  # the lines of accepted rows, from verbs that know them one by one

    @property
    def rejected(self) -> int:
        return len(self.refused)

    @property
    def received(self) -> int:
        return self.accepted + self.duplicate + self.rejected

    def accept(self, rows: int = 1, *, line: int = 0) -> None:
        self.accepted += rows
        if line:
            self.news.add(line)

    def wait(self, line: int, reason: str) -> None:
        """The row is taken in, but a person has to say yes before it holds."""
        self.accept(line=line)
        self.waiting[line] = reason

    def repeat(self, rows: int = 1) -> None:
        self.duplicate += rows

    def refuse(self, line: int, reason: str, raw: dict[str, Any] | None = None, column: str = "") -> None:
        self.refused.append(BadRecord(line, reason, raw or {}, column))

    def add(self, other: Counts) -> None:
        self.accepted += other.accepted
        self.duplicate += other.duplicate
        self.refused.extend(other.refused)
        self.waiting |= other.waiting
        self.news |= other.news


def digest(source: str, raw: dict[str, Any]) -> str:
    """The same bad row has the same digest, wherever in whichever file it stood."""
    text = json.dumps(raw, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(f"{source}\n{text}".encode()).hexdigest()


def begin(source: str, name: str, *, now: datetime) -> Run:
    """A run of `source` over the file `name` is on the books."""
    readable = name.encode(errors="replace").decode()  # a file's name need not be UTF-8
    return Run.objects.create(source=source, name=readable[:255], started_at=now)


def finish(
    run: Run,
    counts: Counts,
    *,
    now: datetime,
    upload: int | None = None,
    corrected: dict[int, tuple[int, dict[str, str]]] | None = None,
) -> None:
    """The run has its counts, and each refused row is in quarantine once, with its latest reason.

    `upload` is the id of the file, where it is kept; `corrected` its rows that had been handed back from quarantine,
    by line: the number of each there, and its cells as they are now.
    """
    close(run, counts, now=now)
    tally(run.source, counts, now=now)
    known = _take_back(run.source, corrected or {}, counts.refused, now=now)
    quarantine(run, [bad for bad in counts.refused if bad.line not in known], now=now, upload=upload)


def close(run: Run, counts: Counts, *, now: datetime) -> None:
    """The run has its counts and is over."""
    run.received, run.accepted = counts.received, counts.accepted
    run.duplicate, run.rejected = counts.duplicate, counts.rejected
    run.finished_at = now
    run.save()


KEPT_MB = 10
WORKBOOK = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # what .xlsx and .xls begin with


def keep_workbook(run: Run, path: Path, *, now: datetime) -> int | None:
    """The id under which a workbook is kept as it was handed in, once; None for other files and very large ones."""
    if path.stat().st_size > KEPT_MB << 20:
        return None
    content = path.read_bytes()
    if not content.startswith(WORKBOOK):
        return None
    facts = {"name": run.name, "content": sealing.seal(content), "uploaded_at": now, "applied_at": now, "run": run}
    same = {"source": run.source, "sha256": hashlib.sha256(content).hexdigest()}
    kept = Upload.objects.filter(**same).defer("content").order_by("pk").last()
    return (kept or Upload.objects.create(**same, **facts)).pk


def keep_columns(upload: int, columns: dict[str, str]) -> None:
    """It is known which column of the kept file stands for which of ours, unless somebody had said so before."""
    Upload.objects.filter(pk=upload, mapping={}).update(mapping=columns)


TALLY = """
    INSERT INTO connectors_sourcehour AS hour (source, hour, received, accepted, duplicate, rejected, last_at)
    VALUES (%(source)s, date_trunc('hour', %(now)s), %(received)s, %(accepted)s, %(duplicate)s, %(rejected)s, %(now)s)
    ON CONFLICT (source, hour) DO UPDATE SET
        received = hour.received + excluded.received, accepted = hour.accepted + excluded.accepted,
        duplicate = hour.duplicate + excluded.duplicate, rejected = hour.rejected + excluded.rejected,
        last_at = greatest(hour.last_at, excluded.last_at)
"""


def tally(source: str, counts: Counts, *, now: datetime) -> None:
    """The hour of `now` counts these rows of the source, if there are any: an empty run breaks no silence."""
    if not counts.received:
        return
    facts: dict[str, Any] = {
        "source": source, "now": now, "received": counts.received, "accepted": counts.accepted,
        "duplicate": counts.duplicate, "rejected": counts.rejected,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(TALLY, facts)


UPSERT = """
    INSERT INTO connectors_refusal AS kept
        (run_id, upload_id, source, line, "column", digest, raw, reason, attempts, first_seen_at, resolved_at)
    SELECT %(run)s, %(upload)s, %(source)s, line, "column", digest, raw, reason, attempts, %(now)s, NULL
    FROM jsonb_to_recordset(%(rows)s::jsonb)
        AS row(line int, "column" text, digest text, raw jsonb, reason text, attempts int)
    ON CONFLICT (source, digest) DO UPDATE SET
        run_id = excluded.run_id, upload_id = excluded.upload_id, line = excluded.line,
        "column" = excluded.column, reason = excluded.reason, attempts = kept.attempts + excluded.attempts,
        -- What somebody has corrected or put aside stays so when its file comes again.
        resolved_at = CASE WHEN kept.fixed IS NOT NULL OR kept.dismissed_because <> '' THEN kept.resolved_at END
"""


def quarantine(
    run: Run,
    refused: Iterable[BadRecord],
    *,
    now: datetime,
    upload: int | None = None,
    same: Mapping[int, dict[str, Any] | None] = MappingProxyType({}),
) -> None:
    """Each of `refused` is in quarantine; one that was there already counts another attempt.

    `upload` is the id of the file they stood in, where it is kept; `same`, by line, what a record is known by where
    that is less than all it says.
    """
    rows: dict[str, dict[str, Any]] = {}
    for bad in refused:
        key = digest(run.source, same.get(bad.line) or bad.raw)
        if key in rows:
            rows[key]["attempts"] += 1
        else:
            rows[key] = {
                "line": bad.line, "column": bad.column[:64], "digest": key, "raw": storable(bad.raw),
                "reason": bad.reason[:500], "attempts": 1,
            }  # fmt: skip
    if not rows:
        return
    text = json.dumps(list(rows.values()), ensure_ascii=False)
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, {"run": run.pk, "upload": upload, "source": run.source, "now": now, "rows": text})


def storable(raw: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL has no character NUL: it is kept as the sign for it, which no reader accepts on a replay."""
    return {name: value.replace("\0", NUL_SIGN) if isinstance(value, str) else value for name, value in raw.items()}


def numbers(source: str, refused: Iterable[BadRecord]) -> dict[int, int]:
    """The number in quarantine of each of these, by line."""
    digests = {bad.line: digest(source, bad.raw) for bad in refused}
    kept = dict(Refusal.objects.filter(source=source, digest__in=digests.values()).values_list("digest", "pk"))
    return {line: kept[key] for line, key in digests.items() if key in kept}


def refusals(source: str = "") -> QuerySet[Refusal]:
    """What is in quarantine now, oldest first."""
    waiting = Refusal.objects.filter(resolved_at__isnull=True)
    if source:
        waiting = waiting.filter(source=source)
    return waiting.order_by("source", "first_seen_at", "line", "pk")


AGAIN = """
    UPDATE connectors_refusal AS kept SET
        "column" = row.column, reason = row.reason, attempts = kept.attempts + 1,
        raw = coalesce(row.withheld, kept.raw), fixed = CASE WHEN row.withheld IS NULL THEN kept.fixed END
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS row(id bigint, "column" text, reason text, withheld jsonb)
    WHERE kept.id = row.id
"""


def settle(tried: Collection[int], refused: dict[int, BadRecord], *, now: datetime) -> None:
    """Of the refusals `tried` again, `refused` (by id) have their new reason, and the others are resolved.

    A record of which nothing may be kept loses what was kept of it; its digest stays, so that it is known again.
    """
    Refusal.objects.filter(pk__in=set(tried) - set(refused), resolved_at__isnull=True).update(resolved_at=now)
    rows = [
        {
            "id": pk, "column": bad.column[:64], "reason": bad.reason[:500],
            "withheld": bad.raw if "withheld" in bad.raw else None,
        }
        for pk, bad in refused.items()
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(AGAIN, {"rows": json.dumps(rows, ensure_ascii=False)})


def _take_back(
    source: str, corrected: dict[int, tuple[int, dict[str, str]]], refused: Iterable[BadRecord], *, now: datetime
) -> set[int]:
    """The lines of rows that wait in quarantine: those that came in are resolved there, the others refused again."""
    numbers = {number for number, _record in corrected.values()}
    waiting = {row.pk: row for row in refusals(source).filter(pk__in=numbers).select_for_update()} if numbers else {}
    known = {line: number for line, (number, _record) in corrected.items() if number in waiting}
    for line, number in known.items():
        row, record = waiting[number], corrected[line][1]
        row.fixed = storable({name: record.get(name, "") for name in row.raw if name != "+"})
    Refusal.objects.bulk_update(waiting.values(), ["fixed"], batch_size=1000)
    again = {known[bad.line]: bad for bad in refused if bad.line in known}
    settle(set(known.values()), again, now=now)
    return set(known)
