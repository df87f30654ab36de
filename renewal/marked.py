"""Files of refused rows, which open in a spreadsheet and, once corrected, can be loaded as they are."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from connectors import marking, sealing
from connectors.marking import Mark
from connectors.models import Refusal, Upload
from connectors.records import BadRecord
from connectors.sources import Unusable, cells, sheet
from renewal import embedded

Masked = Callable[[dict[str, Any]], dict[str, Any]]  # what may be kept of a row


@dataclass(frozen=True, slots=True)
class File:
    """A file of refused rows, as it is handed back."""

    name: str
    content: bytes


def hand_back(source: str, columns: Sequence[str], rows: Sequence[Refusal], *, masked: Masked = dict) -> list[File]:
    """The rows in the workbooks they stood in; those of which no workbook is kept together in one of their own.

    Lines of JSON go back as lines; of what is withheld there is nothing to hand back.
    """
    rows = [row for row in rows if "withheld" not in row.raw]
    if not columns:
        lines = "".join(f"{(row.fixed or row.raw).get('line', '')}\n" for row in rows)
        return [File(f"{source}.jsonl", lines.encode())] if rows else []
    files, homeless = [], [row for row in rows if row.upload_id is None]
    uploads = Upload.objects.in_bulk({row.upload_id for row in rows if row.upload_id is not None})
    for pk, upload in sorted(uploads.items()):
        theirs = [row for row in rows if row.upload_id == pk]
        file, missing = _in_its_workbook(upload, columns, theirs, masked)
        homeless += missing
        files += [file] if file else []
    if homeless:
        files.append(File(f"{source}.xlsx", _in_a_workbook(columns, homeless)))
    return files


def _in_its_workbook(
    upload: Upload, columns: Sequence[str], rows: Sequence[Refusal], masked: Masked
) -> tuple[File | None, list[Refusal]]:
    """The workbook as it came with these rows only, and those of them that are not found in it."""
    try:
        content = sealing.unseal(bytes(upload.content))
        book = marking.open_book(content)
    except (marking.Unmarkable, Unusable):
        return None, list(rows)
    theirs = dict(upload.mapping) or {column: column for column in columns}
    others = {name for name in rows[0].raw if name != "+" and name not in theirs}
    found = marking.find_table(book, {*theirs.values(), *others})
    if found is None:
        return None, list(rows)
    page, header, places = found
    # A record names its cells as the file does or as we do.
    places |= {ours: places[name] for ours, name in theirs.items() if name in places}
    marks, missing = [], []
    for row in rows:
        if header < row.line <= page.max_row and marking.says(page, row.line, places, row.raw, masked):
            changed = {places[name]: text for name, text in _changed(row).items() if name in places}
            marks.append(Mark(row.line, row.reason, places.get(bad_column(row)), row.pk, changed))
        else:
            missing.append(row)
    if not marks:
        return None, missing
    content = marking.thin(book, page, header=header, marks=marks, before=content)
    suffix = _("refused rows")
    return File(f"{Path(upload.name).stem}-{suffix}.xlsx", content), missing


def _in_a_workbook(columns: Sequence[str], rows: Sequence[Refusal]) -> bytes:
    """A workbook of the source's columns, and of the others that its files had."""
    records = [row.fixed or row.raw for row in rows]
    names = [*columns, *dict.fromkeys(name for record in records for name in record if name not in {*columns, "+"})]
    marks = [
        Mark(at, row.reason, names.index(bad) + 1 if (bad := bad_column(row)) in names else None, row.pk)
        for at, row in enumerate(rows, start=2)
    ]
    return marking.table(names, records, marks)


def _changed(row: Refusal) -> dict[str, str]:
    """The cells that somebody has changed since the row came."""
    return {name: text for name, text in (row.fixed or {}).items() if text != row.raw.get(name, "")}


def bad_column(row: Refusal) -> str:
    """The column of the cell that is wrong; where no reader named one, that of the longest cell the reason quotes."""
    if row.column:
        return row.column
    quoted = [
        (len(text), name)
        for name, value in row.raw.items()
        if len(text := cells.as_text(value)) > 1 and text in row.reason
    ]
    return max(quoted)[1] if quoted else ""


def write_table(columns: Sequence[str], refused: Iterable[BadRecord], *, name: str, numbers: dict[int, int]) -> Path:
    """A table of the refused rows stands in the folder of quarantine; `numbers` are theirs there, by line."""
    path = new_file(f"{name}.csv")
    with path.open("w", encoding="utf-8-sig", newline="") as text:
        table = csv.writer(text)
        table.writerow([_("row"), _("reason"), *columns, marking.NUMBER])
        for bad in refused:
            told = [_cell(bad.raw.get(column, "")) for column in columns]
            table.writerow([bad.line, bad.reason, *told, numbers.get(bad.line, "")])
    return path


def handed_back(
    path: Path, source: str, mapping: Mapping[str, str] | None = None, *, masked: Masked = dict
) -> dict[int, tuple[int, dict[str, str]]]:
    """By line, the rows of a file that were handed back before: the number of each in quarantine, and its cells."""
    found = {}
    for line, row in sheet.rows(path, source, mapping):
        if marking.NUMBER not in row:
            return {}
        if (number := cells.as_text(row[marking.NUMBER])).isdecimal():
            found[line] = int(number), masked({name: cells.as_text(value) for name, value in row.items() if name})
    return found


def new_file(name: str) -> Path:
    """An empty file of that name in the folder of quarantine, which nobody else may read."""
    folder = embedded.data_dir() / "quarantine"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    return path


def _cell(value: Any) -> str:
    """No cell is a formula to a spreadsheet: what begins like one is marked as text, and read back without the mark."""
    return cells.marked(str(value))
