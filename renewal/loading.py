"""From a source's file to rows, and from quarantine back: the one call behind `load` and `quarantine`."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from connectors import runs
from connectors.models import Refusal, Run
from connectors.records import AnnouncementRecord, BadRecord, Source
from connectors.runs import Counts
from connectors.sources import (
    behaviour,
    bills,
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
)
from renewal import embedded
from renewal import rates as card
from tenants import consents as ledger
from tenants import ingest, inventory, leases, planner

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Feed:
    """How a source is read, how it is stored, and the columns of its table (none: a line of JSON each)."""

    read: Callable[[Path], Iterator[Any]]
    store: Callable[..., Counts]
    columns: tuple[str, ...] = ()
    is_events: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a file."""

    received: int
    accepted: int
    duplicate: int
    rejected: int
    quarantine_file: str | None
    seconds: float


def _community(records: Iterable[Any], *, now: datetime, progress: Progress) -> Counts:
    rows = list(records)
    notices = [row for row in rows if isinstance(row, AnnouncementRecord)]
    counts = inventory.announce(notices, now=now)
    others = [row for row in rows if not isinstance(row, AnnouncementRecord)]
    counts.add(ingest.take(others, now=now, progress=progress))
    return counts


FEEDS: dict[str, Feed] = {
    Source.UNITS: Feed(units.read, inventory.furnish, units.COLUMNS),
    Source.CONTRACTS: Feed(erp.read, leases.enter, erp.COLUMNS),
    Source.RATES: Feed(rates.read, card.publish, rates.COLUMNS),
    Source.CONSENTS: Feed(consents.read, ledger.enter, consents.COLUMNS),
    Source.IOT: Feed(iot.read, ingest.take, is_events=True),
    Source.APP: Feed(behaviour.read, ingest.take, is_events=True),
    Source.TICKETS: Feed(tickets.read, ingest.take, tickets.COLUMNS, is_events=True),
    Source.COMMUNITY: Feed(community.read, _community, community.COLUMNS, is_events=True),
    Source.PAYMENTS: Feed(payments.read, ingest.take, payments.COLUMNS, is_events=True),
    Source.BILLS: Feed(bills.read, ingest.take, bills.COLUMNS, is_events=True),
    Source.STAFF: Feed(staff.read, inventory.employ, staff.COLUMNS),
}


def load(
    source: str, path: Path, *, now: datetime, dry_run: bool = False, progress: Progress = lambda rows: None
) -> Report:
    """The file's good rows are in and its bad ones in quarantine, or (`dry_run`) nothing has changed.

    All or nothing: raises `connectors.sources.Unusable`, and whatever else stops it, before anything is kept.
    """
    began = time.monotonic()
    file = None
    with transaction.atomic():
        run, counts = _pass(source, path, now=now, progress=progress)
        if dry_run:
            transaction.set_rollback(True)
        elif counts.refused:
            file = _write_quarantine(source, counts.refused, name=f"{source}-{run.pk}")
    return Report(
        received=counts.received,
        accepted=counts.accepted,
        duplicate=counts.duplicate,
        rejected=counts.rejected,
        quarantine_file=str(file) if file else None,
        seconds=round(time.monotonic() - began, 3),
    )


def _pass(
    source: str, path: Path, *, now: datetime, progress: Progress, origin: dict[int, Refusal] | None = None
) -> tuple[Run, Counts]:
    """One run of a source over a file; `origin` says which refused row stands on which of its lines, on a replay."""
    feed = FEEDS[source]
    files.check(path)
    run = runs.begin(source, path.name, now=now)
    options = {"progress": progress} if feed.is_events else {}
    counts = feed.store(feed.read(path), now=now, **options)
    if counts.accepted >= planner.MANY:
        planner.look_again()
    if origin is None:
        counts.refused = _with_raw(feed, path, counts.refused)
    else:
        counts.refused = [replace(bad, line=origin[bad.line].line, raw=origin[bad.line].raw) for bad in counts.refused]
    runs.finish(run, counts, now=now)
    return run, counts


def _with_raw(feed: Feed, path: Path, refused: list[BadRecord]) -> list[BadRecord]:
    """The refused rows as they stand in the file, in its order; a verb knows their line only."""
    wanted = {bad.line for bad in refused if not bad.raw}
    if wanted:
        found = sheet.raw_rows(path, feed.columns, wanted) if feed.columns else files.raw_lines(path, wanted)
        refused = [bad if bad.raw else replace(bad, raw=found.get(bad.line, {})) for bad in refused]
    return sorted(refused, key=lambda bad: bad.line)


def _write_quarantine(source: str, refused: Iterable[BadRecord], *, name: str) -> Path:
    """A table of the refused rows, which opens in a spreadsheet and, once corrected, can be loaded as it is."""
    folder = embedded.data_dir() / "quarantine"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{name}.csv"
    path.touch(mode=0o600)
    columns = FEEDS[source].columns or ("line",)
    with path.open("w", encoding="utf-8-sig", newline="") as text:
        table = csv.writer(text)
        table.writerow([_("row"), _("reason"), *columns])
        for bad in refused:
            table.writerow([bad.line, bad.reason, *(_cell(bad.raw.get(column, "")) for column in columns)])
    return path


def _cell(value: Any) -> str:
    """No cell is a formula to a spreadsheet: what begins like one is marked as text, and read back without the mark."""
    text = str(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text


def quarantined(source: str = "") -> list[dict[str, Any]]:
    """What is in quarantine now: row by row, with reason and record."""
    return [
        {
            "id": row.pk,
            "source": row.source,
            "line": row.line,
            "reason": row.reason,
            "record": row.raw,
            "attempts": row.attempts,
            "first_seen_at": row.first_seen_at.isoformat(),
        }
        for row in runs.refusals(source)
    ]


def export(source: str = "") -> dict[str, str]:
    """A file per source with all that is in its quarantine now."""
    written = {}
    for name, rows in _by_source(runs.refusals(source)).items():
        bad = [BadRecord(row.line, row.reason, row.raw) for row in rows]
        written[name] = str(_write_quarantine(name, bad, name=name))
    return written


def replay(source: str = "", *, now: datetime) -> dict[str, dict[str, int]]:
    """Every quarantined row was tried again by its source; those that came in are resolved."""
    results = {}
    for name, rows in _by_source(runs.refusals(source)).items():
        # Of what may not be kept there is nothing to try again.
        if kept := [row for row in rows if "withheld" not in row.raw]:
            results[name] = _replay(name, kept, now=now)
    return results


def _replay(source: str, rows: Collection[Refusal], *, now: datetime) -> dict[str, int]:
    with TemporaryDirectory() as folder, transaction.atomic():
        path = Path(folder) / "quarantine.csv"
        origin = _write_again(FEEDS[source], path, rows)
        # Settled first: those that are refused once more come back by being refused.
        runs.resolve([row.pk for row in rows], now=now)
        _run, counts = _pass(source, path, now=now, progress=lambda rows: None, origin=origin)
    return {
        "received": counts.received,
        "accepted": counts.accepted,
        "duplicate": counts.duplicate,
        "rejected": counts.rejected,
    }


def _write_again(feed: Feed, path: Path, rows: Collection[Refusal]) -> dict[int, Refusal]:
    """A file of the source with these rows, and which row stands on which of its lines."""
    with path.open("w", encoding="utf-8", newline="") as text:
        if not feed.columns:
            text.writelines(f"{row.raw.get('line', '')}\n" for row in rows)
            return dict(enumerate(rows, start=1))
        table = csv.writer(text)
        table.writerow(feed.columns)
        for row in rows:
            # What stood to the right of the header stands there again, and is refused again.
            beyond = [row.raw["+"]] if "+" in row.raw else []
            table.writerow([*(row.raw.get(column, "") for column in feed.columns), *beyond])
        return dict(enumerate(rows, start=2))


def _by_source(rows: Iterable[Refusal]) -> dict[str, list[Refusal]]:
    found: dict[str, list[Refusal]] = {}
    for row in rows:
        found.setdefault(row.source, []).append(row)
    return found
