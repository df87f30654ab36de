"""隔离区: what was refused and why, handed back as files, corrected in place, and tried again."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from connectors import runs
from connectors.models import Refusal
from connectors.records import BadRecord
from renewal import loading, marked


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
        written[name] = str(marked.write_table(loading.FEEDS[name].columns or ("line",), bad, name=name))
    return written


def replay(source: str = "", *, now: datetime) -> dict[str, dict[str, int]]:
    """Every quarantined row was tried again by its source; those that came in are resolved."""
    results = {}
    for name in _by_source(runs.refusals(source)):
        if counts := _replay(name, now=now):
            results[name] = counts
    return results


@transaction.atomic
def _replay(source: str, *, now: datetime) -> dict[str, int] | None:
    rows = [row for row in runs.refusals(source).select_for_update() if can_be_tried(row)]
    return _try_again(source, rows, now=now) if rows else None


def can_be_tried(row: Refusal) -> bool:
    """Whether its source would find anything in the record: nothing is kept of a door log, and blank lines are skipped.

    What a reader passes over is not refused by it, and must not be taken for accepted.
    """
    feed = loading.FEEDS.get(row.source)
    record = row.fixed or row.raw
    return feed is not None and any(str(record.get(name, "")).strip() for name in feed.columns or ("line",))


def _try_again(source: str, rows: Sequence[Refusal], *, now: datetime) -> dict[str, int]:
    """These rows went through their source once more, in a run of their own; the source itself gave us nothing."""
    run = runs.begin(source, _("tried again from quarantine"), now=now)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "quarantine.csv"
        origin = _write_again(loading.FEEDS[source], path, rows)
        counts = loading.take_in(source, path, now=now)
    runs.close(run, counts, now=now)
    runs.settle([row.pk for row in rows], {origin[bad.line]: bad for bad in counts.refused}, now=now)
    return {
        "received": counts.received,
        "accepted": counts.accepted,
        "duplicate": counts.duplicate,
        "rejected": counts.rejected,
    }


def _write_again(feed: loading.Feed, path: Path, rows: Sequence[Refusal]) -> dict[int, int]:
    """A file of the source with these rows as they are now, and which row stands on which of its lines."""
    records = [row.fixed or row.raw for row in rows]
    with path.open("w", encoding="utf-8", newline="") as text:
        if not feed.columns:
            text.writelines(f"{record.get('line', '')}\n" for record in records)
            return {line: row.pk for line, row in enumerate(rows, start=1)}
        table = csv.writer(text)
        table.writerow(feed.columns)
        for record in records:
            # What stood to the right of the header stands there again, and is refused again.
            beyond = [record["+"]] if "+" in record else []
            table.writerow([*(record.get(column, "") for column in feed.columns), *beyond])
        return {line: row.pk for line, row in enumerate(rows, start=2)}


def _by_source(rows: Iterable[Refusal]) -> dict[str, list[Refusal]]:
    found: dict[str, list[Refusal]] = {}
    for row in rows:
        found.setdefault(row.source, []).append(row)
    return found
