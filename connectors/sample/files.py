"""How the files are written: always the same bytes for the same rows."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font

_FIXED = datetime(2025, 1, 1)  # noqa: DTZ001 - workbook properties carry no zone


def columns(text: str) -> list[str]:
    """A header row as it would be said: names with commas between them."""
    return text.split(",")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """The rows with their header stand in the file; how many."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header)
        for row in rows:
            out.writerow(row)
            count += 1
    return count


def write_lines(path: Path, chunks: Iterable[Sequence[str]]) -> int:
    """The lines of all chunks stand in the file; how many."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for lines in chunks:
            if lines:
                file.write("\n".join(lines))
                file.write("\n")
            count += len(lines)
    return count


def write_workbook(path: Path, title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """The rows stand in one sheet, days as real date cells; how many."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for index in range(len(header)):
        sheet.column_dimensions[chr(ord("A") + index)].width = 14
    heads = []
    for text in header:
        head = WriteOnlyCell(sheet, value=text)
        head.font = Font(bold=True)
        heads.append(head)
    sheet.append(heads)
    count = 0
    for row in rows:
        sheet.append([_date_cell(sheet, value) if isinstance(value, date) else value for value in row])
        count += 1
    buffer = BytesIO()
    book.properties.created = _FIXED
    book.save(buffer)
    _rewrite(buffer, path)
    return count


def _date_cell(sheet: Any, value: Any) -> Any:
    cell = WriteOnlyCell(sheet, value=value)
    cell.number_format = "yyyy-mm-dd"
    return cell


def _rewrite(buffer: BytesIO, path: Path) -> None:
    """openpyxl writes the time of saving into the properties and into each entry: both are fixed here."""
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(source.namelist(), key=lambda name: (name != "[Content_Types].xml", name)):
            data = source.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>2025-01-01T00:00:00Z", data)
            entry = zipfile.ZipInfo(name, date_time=(2025, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, data)
