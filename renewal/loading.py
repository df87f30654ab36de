"""From a source's file to rows: the one call behind `load`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from connectors import marking, runs
from connectors.models import Run
from connectors.records import AnnouncementRecord, BadRecord, Source
from connectors.runs import Counts
from connectors.sources import (
    behaviour,
    bills,
    cloudevents,
    community,
    consents,
    erp,
    files,
    iot,
    payments,
    rates,
    sheet,
    staff,
    tickets,
    units,
    wechat,
)
from renewal import marked
from renewal import rates as card
from tenants import consents as ledger
from tenants import devices, ingest, inventory, landing, leases, planner, revisions

Progress = Callable[[int], None]
Chosen = Mapping[str, str]  # our column → the file's


@dataclass(frozen=True, slots=True)
class Feed:
    """How a source is read, how it is stored, and the columns of its table (none: a line of JSON each).

    `optional` are columns a file may lack; `masked` takes out of a refused row what may not be kept.
    """

    read: Callable[..., Iterator[Any]]  # of a path, and of a table also with a mapping
    store: Callable[..., Counts]
    columns: tuple[str, ...] = ()
    is_events: bool = False
    optional: tuple[str, ...] = ()
    masked: Callable[[dict[str, Any]], dict[str, Any]] = dict

    def table(self, raws: Iterable[dict[str, Any]]) -> tuple[str, ...]:
        """The columns of a table of these rows: an optional one where a row has it, for its absence says something."""
        named = {name for raw in raws for name in raw}
        return self.columns + tuple(name for name in self.optional if name in named)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a file. `exceptions`: lines of a card among the accepted that wait for a second person."""

    received: int
    accepted: int
    duplicate: int
    rejected: int
    quarantine_file: str | None
    seconds: float
    exceptions: int = 0


def _community(records: Iterable[Any], *, now: datetime, progress: Progress) -> Counts:
    rows = list(records)
    notices = [row for row in rows if isinstance(row, AnnouncementRecord)]
    counts = inventory.announce(notices, now=now)
    others = [row for row in rows if not isinstance(row, AnnouncementRecord)]
    counts.add(ingest.take(others, now=now, progress=progress))
    return counts


FEEDS: dict[str, Feed] = {
    Source.UNITS: Feed(units.read, inventory.furnish, units.COLUMNS),
    Source.CONTRACTS: Feed(erp.read, leases.enter, erp.COLUMNS, optional=erp.OPTIONAL, masked=erp.masked),
    Source.RATES: Feed(rates.read, card.publish, rates.COLUMNS),
    Source.CONSENTS: Feed(consents.read, ledger.enter, consents.COLUMNS),
    Source.IOT: Feed(iot.read, devices.take, is_events=True),
    Source.APP: Feed(behaviour.read, landing.keep, is_events=True),
    Source.TICKETS: Feed(tickets.read, ingest.take, tickets.COLUMNS, is_events=True),
    Source.COMMUNITY: Feed(community.read, _community, community.COLUMNS, is_events=True),
    Source.PAYMENTS: Feed(payments.read, ingest.take, payments.COLUMNS, is_events=True),
    Source.BILLS: Feed(bills.read, ingest.take, bills.COLUMNS, is_events=True),
    Source.STAFF: Feed(staff.read, inventory.employ, staff.COLUMNS, optional=staff.OPTIONAL),
    # These come over HTTP; their refused calls are tried again as lines of a file.
    Source.CLOUDEVENTS: Feed(cloudevents.read, ingest.take, is_events=True),
    Source.WECHAT: Feed(wechat.read, landing.keep, is_events=True),
}


def load(
    source: str,
    path: Path,
    *,
    now: datetime,
    mapping: Chosen | None = None,
    dry_run: bool = False,
    progress: Progress = lambda rows: None,
) -> Report:
    """The file's good rows are in and its bad ones in quarantine, or (`dry_run`) nothing has changed.

    `mapping` says which column of the file stands for which of ours; without one it is guessed from the header.
    All or nothing: raises `connectors.sources.Unusable`, and whatever else stops it, before anything is kept.
    """
    began = time.monotonic()
    file = None
    with transaction.atomic():
        run, counts, numbers = _pass(source, path, mapping, now=now, progress=progress)
        if dry_run:
            transaction.set_rollback(True)
        elif counts.refused:
            columns = FEEDS[source].table(bad.raw for bad in counts.refused) or ("line",)
            file = marked.write_table(columns, counts.refused, name=f"{source}-{run.pk}", numbers=numbers)
    return Report(
        received=counts.received,
        accepted=counts.accepted,
        duplicate=counts.duplicate,
        rejected=counts.rejected,
        quarantine_file=str(file) if file else None,
        seconds=round(time.monotonic() - began, 3),
        exceptions=len(counts.waiting),
    )


def _pass(
    source: str, path: Path, mapping: Chosen | None, *, now: datetime, progress: Progress
) -> tuple[Run, Counts, dict[int, int]]:
    """One run of a source over a file, and the number in quarantine of each refused line."""
    files.check(path)
    run = runs.begin(source, path.name, now=now)
    counts = store(source, records(source, path, mapping), now=now, progress=progress)
    return run, counts, finish(run, path, counts, now=now, mapping=mapping)


def finish(
    run: Run,
    path: Path,
    counts: Counts,
    *,
    now: datetime,
    mapping: Chosen | None = None,
    upload: int | None = None,
    only: Collection[int] | None = None,
) -> dict[int, int]:
    """The run is over, and the file's refused rows are in quarantine, of the file kept as `upload` if it is.

    `only` are the lines that were taken in, if not all were. Line → the number in quarantine, of refused rows and
    of those that had one before.
    """
    feed = FEEDS[run.source]
    corrected = marked.handed_back(path, run.source, mapping, masked=feed.masked) if feed.columns else {}
    if only is not None:
        corrected = {line: row for line, row in corrected.items() if line in only}
    counts.refused = _with_raw(run.source, path, mapping, counts.refused)
    # A workbook is kept as it came where rows of it were refused: they are handed back in it, marked.
    if counts.refused and upload is None:
        upload = runs.keep_workbook(run, path, now=now)
        if upload is not None and feed.columns:
            runs.keep_columns(upload, sheet.layout(path, run.source, mapping).names)
    runs.finish(run, counts, now=now, upload=upload, corrected=corrected)
    came_with = {line: number for line, (number, _record) in corrected.items()}
    return came_with | runs.numbers(run.source, counts.refused)


def records(
    source: str, path: Path, mapping: Chosen | None = None, *, only: Collection[int] | None = None
) -> Iterator[Any]:
    """What the file says, or those rows of it that stand on the lines `only`."""
    feed = FEEDS[source]
    rows = feed.read(path, mapping) if feed.columns else feed.read(path)
    if source == Source.CONTRACTS:
        rows = revisions.numbered(rows)
    if only is None:
        return rows
    wanted = frozenset(only)
    return (row for row in rows if row.line in wanted)


def take_in(source: str, path: Path, *, now: datetime, progress: Progress = lambda rows: None) -> Counts:
    """The file's good rows are in; the counts know its bad ones by their line."""
    return store(source, records(source, path), now=now, progress=progress)


def store(source: str, rows: Iterable[Any], *, now: datetime, progress: Progress = lambda rows: None) -> Counts:
    """The good ones of these records are in."""
    feed = FEEDS[source]
    options = {"progress": progress} if feed.is_events else {}
    counts = feed.store(rows, now=now, **options)
    if counts.accepted >= planner.MANY:
        planner.look_again()
    return counts


def _with_raw(source: str, path: Path, mapping: Chosen | None, refused: list[BadRecord]) -> list[BadRecord]:
    """The refused rows as they stand in the file, in its order; a verb knows their line only."""
    wanted = {bad.line for bad in refused if not bad.raw}
    if wanted:
        found, masked = raw_of(source, path, wanted, mapping), FEEDS[source].masked
        refused = [bad if bad.raw else replace(bad, raw=masked(found.get(bad.line, {}))) for bad in refused]
    return sorted(refused, key=lambda bad: bad.line)


def raw_of(source: str, path: Path, lines: Collection[int], mapping: Chosen | None = None) -> dict[int, dict[str, str]]:
    """These rows of the file as text, by the names of our columns."""
    if not FEEDS[source].columns:
        return files.raw_lines(path, lines)
    found = sheet.raw_rows(path, source, lines, mapping)
    added = {marking.REASON, marking.NUMBER}  # by us, when the rows were handed back; no part of the record
    return {line: {name: text for name, text in raw.items() if name not in added} for line, raw in found.items()}
