"""What handing in a file would change, row by row: tried out in a transaction, seen from both sides, rolled back.

The same function tries a file and applies it, so that a preview cannot say anything else than what is then done.
`Trial.digest` stands for all that a person was shown; who applies hands it in again, and where the rows would now
come out otherwise nothing is applied.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from django.db import transaction
from django.utils.translation import gettext as _

from connectors.records import AliasRecord, BadRecord, ContractRecord, EventRecord, Source
from connectors.runs import Counts
from connectors.sources import Unusable
from renewal import loading, standing
from renewal.standing import Cells, Key
from tenants import contracts, leases


class Kind(StrEnum):
    """What becomes of a row. The first three are accepted."""

    NEW = "new"
    CHANGED = "changed"
    WAITING = "waiting"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the file: what becomes of it, which cells it changes, why it is refused or waits."""

    line: int
    kind: Kind
    changes: dict[str, tuple[str, str]] = field(default_factory=dict)  # column → what stood there, what will
    reason: str = ""
    column: str = ""  # the cell that is wrong, if one is


@dataclass(frozen=True, slots=True)
class Trial:
    """What became, or would become, of a file's rows."""

    rows: dict[int, Row]
    counts: Counts

    @property
    def digest(self) -> str:
        """Stands for everything a person was shown of these rows."""
        return digest_of(self.rows)

    def by_kind(self) -> dict[str, int]:
        found = Counter(row.kind for row in self.rows.values())
        return {kind: found[kind] for kind in Kind}


def digest_of(rows: Mapping[int, Row]) -> str:
    """Stands for these rows: the same one only where each comes out the same."""
    facts = [(row.line, row.kind, sorted(row.changes.items()), row.reason) for _line, row in sorted(rows.items())]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()


def work_out(
    source: str,
    path: Path,
    *,
    now: datetime,
    mapping: Mapping[str, str] | None = None,
    only: Collection[int] | None = None,
    most: int | None = None,
) -> Trial:
    """What the file would change, or those rows of it whose lines are `only`; nothing has changed."""
    with transaction.atomic():
        trial = take(source, path, now=now, mapping=mapping, only=only, most=most)
        transaction.set_rollback(True)
    return trial


def take(
    source: str,
    path: Path,
    *,
    now: datetime,
    mapping: Mapping[str, str] | None = None,
    only: Collection[int] | None = None,
    most: int | None = None,
) -> Trial:
    """The file's good rows are in; the trial says what each of them changed. To be called within a transaction.

    Raises `Unusable` before anything is tried if there are more than `most` of them.
    """
    records = list(loading.records(source, path, mapping, only=only))
    if most and (length := len({record.line for record in records})) > most:
        facts = {"name": path.name, "rows": length, "most": most}
        raise Unusable(
            _(
                "%(name)s has %(rows)d rows, more than the %(most)d a page can apply at once. "
                "Split it, or load it on the server with `load`."
            )
            % facts
        )
    usable = [record for record in records if not isinstance(record, BadRecord | AliasRecord)]
    events = [record for record in usable if isinstance(record, EventRecord)]
    others = [record for record in usable if not isinstance(record, EventRecord)]
    if source == Source.CONTRACTS:
        # Nobody changes a lease of these units between the look at it and the change.
        leases.lock_units(contracts.units_of(others))
    side = standing.SIDES.get(source)
    keys = {side.key(record) for record in others} if side else set()
    before = side.now(keys) if side and keys else {}
    ids = {event.source_id for event in events}
    known = standing.known_events(source, ids) if ids else set()
    counts = loading.store(source, records, now=now)
    after = side.now(keys) if side and keys else {}
    refused = {bad.line: bad for bad in counts.refused}
    rows = {line: Row(line, Kind.REFUSED, reason=bad.reason, column=bad.column) for line, bad in refused.items()}
    if source == Source.CONTRACTS:
        rows |= _contracts([record for record in others if record.line not in refused], counts, before, after)
    elif side:
        for record in others:
            if record.line not in refused:
                key = side.key(record)
                rows[record.line] = (
                    Row(record.line, Kind.WAITING, reason=counts.waiting[record.line])
                    if record.line in counts.waiting
                    else _row(record.line, record.line in counts.news, before.get(key), after.get(key, {}))
                )
    rows |= _events(source, events, refused, known)
    return Trial(dict(sorted(rows.items())), counts)


def _row(line: int, is_news: bool, before: Cells | None, after: Cells) -> Row:
    if not is_news:
        return Row(line, Kind.UNCHANGED)
    if before is None:
        return Row(line, Kind.NEW)
    return Row(line, Kind.CHANGED, changes=_changes(before, after))


def _changes(before: Cells, after: Cells) -> dict[str, tuple[str, str]]:
    return {
        column: (before.get(column, ""), value) for column, value in after.items() if before.get(column, "") != value
    }


def _contracts(
    records: list[ContractRecord], counts: Counts, before: dict[Key, Cells], after: dict[Key, Cells]
) -> dict[int, Row]:
    """Of several revisions of a contract one holds; the others are kept as its history, or wait."""
    waiting = standing.waiting_contracts({record.contract_no for record in records})
    rows = {}
    for record in records:
        number, line = record.contract_no, record.line
        held = after.get(number, {}).get("版本", "")
        if line not in counts.news:
            rows[line] = Row(line, Kind.UNCHANGED)
        elif (reason := waiting.get((number, record.revision))) is not None:
            rows[line] = Row(line, Kind.WAITING, reason=reason)
        elif held != str(record.revision):
            kind = Kind.CHANGED if number in before else Kind.NEW
            rows[line] = Row(line, kind, reason=_("Kept as history: revision %(held)s holds.") % {"held": held})
        else:
            rows[line] = _row(line, True, before.get(number), after[number])
    return rows


def _events(
    source: str, events: Iterable[EventRecord], refused: Collection[int], known: Collection[str]
) -> dict[int, Row]:
    """A row of events is news when one of them is: all of them, or steps that a known one had not come to."""
    seen: set[str] = set()
    lines: dict[int, list[EventRecord]] = {}
    for event in events:
        lines.setdefault(event.line, []).append(event)
    waiting = standing.waiting_events(source, {event.source_id for event in events}) if lines else set()
    rows = {}
    for line, told in lines.items():
        fresh = [event for event in told if event.source_id not in seen and event.source_id not in known]
        was_known = any(event.source_id in known for event in told)
        seen.update(event.source_id for event in told)
        if line in refused:
            continue
        if not fresh:
            rows[line] = Row(line, Kind.UNCHANGED)
        elif any(event.source_id in waiting for event in fresh):
            reason = _("Nobody is known by what the row names; it waits until somebody is.")
            rows[line] = Row(line, Kind.WAITING, reason=reason)
        elif was_known:
            steps = dict(standing.step(source, event) for event in fresh)
            rows[line] = Row(line, Kind.CHANGED, changes={column: ("", value) for column, value in steps.items()})
        else:
            rows[line] = Row(line, Kind.NEW)
    return rows
