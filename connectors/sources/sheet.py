"""Rows of a CSV file or an Excel workbook as dictionaries, by the names in the header row."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import openpyxl
from django.utils.translation import gettext as _

from connectors.records import BadRecord
from connectors.sources import Unusable, cells, files

R = TypeVar("R")
ZIP = b"PK\x03\x04"  # a workbook is a zip archive, whatever the file is called


def read(path: Path, columns: Sequence[str], build: Callable[[int, cells.Row], Iterable[R]]) -> Iterator[R | BadRecord]:
    """The records `build` makes of each row; a row it cannot use becomes a `BadRecord`."""
    for line, row in rows(path, columns):
        try:
            if None in row:
                raise _too_long()
            records = list(build(line, row))
        except cells.Problem as problem:
            yield BadRecord(line, str(problem), column=problem.column)
        else:
            yield from records


def raw_rows(path: Path, columns: Sequence[str], wanted: Collection[int]) -> dict[int, dict[str, str]]:
    """The wanted rows as text, for the quarantine: cells of unnamed columns are joined under "+"."""
    found = {}
    for line, row in rows(path, columns):
        if line in wanted:
            found[line] = {name or "+": cells.as_text(value) for name, value in row.items()}
    return found


def rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[Any, Any]]]:
    """Each row that holds anything, with its number as a spreadsheet shows it.

    The header must name all `columns`, in any order and among others; cells to the right of the
    header stand under None. Raises `Unusable`.
    """
    files.check(path)
    with path.open("rb") as start:
        is_workbook = start.read(4) == ZIP
    table: Iterator[Sequence[Any]]
    if is_workbook:
        table = _workbook(path, columns)
    elif path.suffix.lower() in {".xlsx", ".xlsm", ".xls"}:
        raise Unusable(_("%(name)s is not an Excel workbook, whatever its name says.") % {"name": path.name})
    else:
        table = _csv(path)
    header: list[str] = []
    for number, values in enumerate(table, start=1):
        if number == 1:
            header = _header(values, columns, path)
        elif any(value not in (None, "") for value in values):
            row = dict(zip(header, values, strict=False))
            row.pop("", None)
            extra = [cells.as_text(value) for value in values[len(header) :] if value not in (None, "")]
            yield number, row | ({None: ",".join(extra)} if extra else {})
    if not header:
        raise Unusable(_("%(name)s is empty.") % {"name": path.name})


def _header(values: Sequence[Any], columns: Sequence[str], path: Path) -> list[str]:
    header = [cells.as_text(value) for value in values]
    while header and not header[-1]:
        header.pop()
    if missing := [column for column in columns if column not in header]:
        raise Unusable(
            _("%(name)s lacks the columns: %(columns)s.") % {"name": path.name, "columns": "、".join(missing)}
        )
    if twice := sorted({column for column in columns if header.count(column) > 1}):
        raise Unusable(
            _("%(name)s has these columns twice: %(columns)s.") % {"name": path.name, "columns": "、".join(twice)}
        )
    return header


def _csv(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield from csv.reader(text)
    except UnicodeDecodeError as broken:
        raise Unusable(_("%(name)s is not a UTF-8 text file.") % {"name": path.name}) from broken
    except csv.Error as broken:
        raise Unusable(
            _("%(name)s cannot be read as a table: a quotation mark may be missing.") % {"name": path.name}
        ) from broken


def _workbook(path: Path, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of the first sheet that has the columns; of the first sheet if none has."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions, which do not concern the values
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            sheets = book.worksheets
            chosen = sheets[0] if sheets else None
            for sheet in sheets:
                sheet.reset_dimensions()  # what a file says about its own size need not be true
                first = next(sheet.iter_rows(max_row=1, values_only=True), ())
                if set(columns) <= {cells.as_text(value) for value in first}:
                    chosen = sheet
                    break
            if chosen is not None:
                yield from chosen.iter_rows(values_only=True)
        finally:
            book.close()
    # openpyxl lets through whatever the zip, the XML and its own parsers raise: some twenty classes.
    except Exception as broken:
        raise Unusable(_("%(name)s is not a readable Excel workbook.") % {"name": path.name}) from broken


def _too_long() -> cells.Problem:
    return cells.Problem(_("row"), _("has more cells than the header has columns"))
