"""隔离区: what was refused and why, handed back as files, corrected in place, put aside, and tried again.

A refusal waits until its record comes in (`resolved_at`), by whatever way: tried again after something else was
put right, corrected here, or corrected in a file that was handed back. Or somebody puts it aside, with a reason,
and may take that back. `raw` is what came and never changes; `fixed` is what somebody made of it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Func, Min, Q, QuerySet, TextField, Value
from django.db.models.functions import MD5, Cast, Left
from django.utils.translation import gettext as _

from connectors import runs
from connectors.models import Refusal
from connectors.sources import cells
from renewal import loading, marked
from renewal.marked import File

STATES = {
    "waiting": Q(resolved_at=None),
    "aside": Q(resolved_at__isnull=False) & ~Q(dismissed_because=""),
    "settled": Q(resolved_at__isnull=False, dismissed_because=""),
}
# What a reason says of one record only: what it quotes, and words with a figure in them.
OWN_WORDS = r"“[^”]*”|[A-Za-z0-9_.:/#+-]*[0-9][A-Za-z0-9_.:/#+-]*"
COUNTED = ("received", "accepted", "duplicate", "rejected")
Record = dict[str, str]
Tally = dict[str, int]


class Settled(Exception):
    """The refusal does not wait any more: somebody was faster."""


class Unanswered(Exception):
    """What was handed in cannot be tried; the message says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the list is asked for; every field stands in the address."""

    source: str = ""
    reason: str = ""  # a group of reasons, as `grouped` names it
    words: str = ""
    upload: int | None = None
    run: int | None = None
    state: str = "waiting"


# --- The list -----------------------------------------------------------------------------------------------


def listed(wanted: Wanted) -> QuerySet[Any]:
    """The refusals that are asked for, the latest file first and in its order."""
    rows = grouped().filter(STATES.get(wanted.state, STATES["waiting"]))
    if wanted.source:
        rows = rows.filter(source=wanted.source)
    if wanted.reason:
        rows = rows.filter(group=wanted.reason)
    if wanted.upload:
        rows = rows.filter(upload=wanted.upload)
    if wanted.run:
        rows = rows.filter(run=wanted.run)
    for word in wanted.words.split():
        # In the record as it came, as it is now, or in the reason.
        texts = [Q(text__icontains=word), Q(text_now__icontains=word), Q(reason__icontains=word)]
        rows = rows.annotate(text=Cast("raw", TextField()), text_now=Cast("fixed", TextField()))
        rows = rows.filter(texts[0] | texts[1] | texts[2])
    return rows.order_by("-run_id", "source", "line", "pk")


def grouped() -> QuerySet[Any]:
    """Refusals with the shape of their reason: the same for all that differ only in the values they quote."""
    shape = Func(F("reason"), Value(OWN_WORDS), Value("…"), Value("g"), function="regexp_replace")
    return Refusal.objects.annotate(
        shape=Cast(shape, TextField()), group=Left(MD5(Cast(shape, TextField())), 8, output_field=TextField())
    )


def reasons(wanted: Wanted, *, most: int | None = 12) -> list[dict[str, Any]]:
    """How many refusals there are of each source and shape, whatever reason is chosen; the most frequent first."""
    every = listed(Wanted(wanted.source, "", wanted.words, wanted.upload, wanted.run, wanted.state))
    counted = every.order_by().values("source", "shape", "group").annotate(n=Count("pk"), since=Min("first_seen_at"))
    return list(counted.order_by("-n", "source", "shape")[:most])


def numbers() -> Tally:
    """How many wait, were put aside, and are settled."""
    return Refusal.objects.aggregate(**{name: Count("pk", filter=where) for name, where in STATES.items()})


def quarantined(source: str = "") -> list[dict[str, Any]]:
    """What is in quarantine now: row by row, with reason and record."""
    return [
        {
            "id": row.pk,
            "source": row.source,
            "line": row.line,
            "column": row.column,
            "reason": row.reason,
            "record": row.raw,
            "attempts": row.attempts,
            "first_seen_at": row.first_seen_at.isoformat(),
        }
        for row in runs.refusals(source)
    ]


# --- Handing back -------------------------------------------------------------------------------------------


def export(source: str = "") -> dict[str, str]:
    """Files with all that is in quarantine now, by source; a source that has several is followed by a number."""
    written = {}
    for name, rows in _by_source(runs.refusals(source)).items():
        for number, file in enumerate(_hand_back(name, rows), start=1):
            label = name if number == 1 else f"{name}-{number}"
            path = marked.new_file(f"{label}{Path(file.name).suffix}")
            path.write_bytes(file.content)
            written[label] = str(path)
    return written


def hand_back(rows: QuerySet[Refusal]) -> list[File]:
    """These refusals in the workbooks they stood in, marked."""
    return [file for name, theirs in _by_source(rows).items() for file in _hand_back(name, theirs)]


def _hand_back(source: str, rows: Sequence[Refusal]) -> list[File]:
    feed = loading.FEEDS.get(source)
    return marked.hand_back(source, feed.columns, rows, masked=feed.masked) if feed else []


# --- Trying again -------------------------------------------------------------------------------------------


def replay(source: str = "", *, now: datetime) -> dict[str, Tally]:
    """Every quarantined row was tried again by its source; those that came in are resolved."""
    return replay_these(runs.refusals(source), now=now)


def replay_these(wanted: QuerySet[Refusal], *, now: datetime) -> dict[str, Tally]:
    """Each of these that waits was tried again, source by source: of one source all together or none."""
    results = {}
    for source in sorted(set(wanted.order_by().values_list("source", flat=True))):
        with transaction.atomic():
            waiting = (
                runs.refusals(source).filter(pk__in=wanted.order_by().values("pk")).select_for_update(of=("self",))
            )
            if rows := [row for row in waiting if can_be_tried(row)]:
                results[source] = _try_again(source, rows, now=now)
    return results


def can_be_tried(row: Refusal) -> bool:
    """Whether its source would find anything in the record: nothing is kept of a door log, and blank lines are skipped.

    What a reader passes over is not refused by it, and must not be taken for accepted.
    """
    feed = loading.FEEDS.get(row.source)
    record = row.fixed or row.raw
    return feed is not None and any(cells.as_text(record.get(name)) for name in feed.columns or ("line",))


def _try_again(source: str, rows: Sequence[Refusal], *, now: datetime) -> Tally:
    """These rows went through their source once more, in a run of their own; the source itself gave us nothing."""
    run = runs.begin(source, _("tried again from quarantine"), now=now)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "quarantine.csv"
        origin = _write_again(loading.FEEDS[source], path, rows)
        counts = loading.take_in(source, path, now=now)
    runs.close(run, counts, now=now)
    runs.settle([row.pk for row in rows], {origin[bad.line]: bad for bad in counts.refused}, now=now)
    return {name: getattr(counts, name) for name in COUNTED}


def _write_again(feed: loading.Feed, path: Path, rows: Sequence[Refusal]) -> dict[int, int]:
    """A file of the source with these rows as they are now, and which row stands on which of its lines."""
    records = [row.fixed or row.raw for row in rows]
    with path.open("w", encoding="utf-8", newline="") as text:
        if not feed.columns:
            text.writelines(f"{record.get('line', '')}\n" for record in records)
            return {line: row.pk for line, row in enumerate(rows, start=1)}
        table = csv.writer(text)
        columns = feed.table(records)
        table.writerow(columns)
        for record in records:
            # What stood to the right of the header stands there again, and is refused again.
            beyond = [record["+"]] if "+" in record else []
            table.writerow([*(record.get(column, "") for column in columns), *beyond])
        return {line: row.pk for line, row in enumerate(rows, start=2)}


# --- One refusal --------------------------------------------------------------------------------------------


@transaction.atomic
def correct(pk: int, typed: Record, *, by: str, now: datetime) -> Refusal:
    """The record as corrected was tried at once: it is in, or it waits with its new reason and what was typed.

    Raises `Settled`, and `Unanswered` where nothing could be tried.
    """
    row = _waiting(pk)
    if "withheld" in row.raw:
        raise Unanswered(_("Nothing of this record is kept, so there is nothing to correct."))
    was = row.fixed or row.raw
    # A message may be laid out over several lines while it is corrected; between its parts they mean nothing.
    one_line = {"line": " ".join(typed["line"].splitlines())} if "line" in typed else {}
    feed = loading.FEEDS.get(row.source)
    row.fixed = runs.storable((feed.masked if feed else dict)({**typed, **one_line}))
    row.settled_by = by
    if not can_be_tried(row):
        raise Unanswered(_("Nothing stands in this record any more. Put it aside if it is not needed."))
    if "+" in was and "+" not in row.fixed and was["+"]:
        row.fixed["+"] = was["+"]
    row.save(update_fields=["fixed", "settled_by"])
    _try_again(row.source, [row], now=now)
    row.refresh_from_db()
    return row


@transaction.atomic
def put_aside(pk: int, because: str, *, by: str, now: datetime) -> Refusal:
    """Nobody deals with the record any more, for a reason a person can read. Raises `Settled` or `Unanswered`."""
    row = _waiting(pk)
    if not because.strip():
        raise Unanswered(_("Say why the record is put aside."))
    row.dismissed_because, row.settled_by, row.resolved_at = because.strip()[:200], by, now
    row.save(update_fields=["dismissed_because", "settled_by", "resolved_at"])
    return row


@transaction.atomic
def take_up(pk: int, *, by: str) -> Refusal:
    """The record that was put aside waits again. Raises `Settled`."""
    row = Refusal.objects.select_for_update().get(pk=pk)
    if not row.dismissed_because:
        raise Settled
    row.dismissed_because, row.settled_by, row.resolved_at = "", by, None
    row.save(update_fields=["dismissed_because", "settled_by", "resolved_at"])
    return row


def form_of(row: Refusal) -> list[dict[str, Any]]:
    """The record's cells as they are now and as they came, in the order of its source; the bad one is marked."""
    feed = loading.FEEDS.get(row.source)
    names = [*(feed.columns if feed else ()), *row.raw] if "line" not in row.raw else ["line"]
    record, bad = row.fixed or row.raw, marked.bad_column(row)
    read = {*(feed.columns or ("line",)), *feed.optional} if feed else set()
    return [
        {
            "name": name,
            "value": cells.as_text(record.get(name)),
            "came": cells.as_text(row.raw.get(name)),
            "is_bad": name == bad,
            "is_read": name in read or name == "+",  # a column that its source does not know changes nothing
        }
        for name in dict.fromkeys(names)
    ]


def state_of(row: Refusal) -> str:
    """Which of `STATES` the refusal is in."""
    if row.resolved_at is None:
        return "waiting"
    return "aside" if row.dismissed_because else "settled"


def _waiting(pk: int) -> Refusal:
    row = Refusal.objects.select_for_update().get(pk=pk)
    if row.resolved_at:
        raise Settled
    return row


def _by_source(rows: Iterable[Refusal]) -> dict[str, list[Refusal]]:
    found: dict[str, list[Refusal]] = {}
    for row in rows:
        found.setdefault(row.source, []).append(row)
    return found
