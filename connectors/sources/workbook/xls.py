"""Workbooks of Excel 97 to 2003 (.xls)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import xlrd

from connectors.sources.workbook import MOST_COLUMNS, Refused, Row, Sheet, in_bounds, letters
from connectors.sources.workbook.xlsx import moment, tidy

ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # what a newer workbook with a password is kept in


def sheets(path: str) -> Iterator[Sheet]:
    """The sheets that can be seen, in the workbook's order."""
    with open(path, "rb") as file:
        content = file.read()
    if ENCRYPTED in content:
        raise Refused("password")
    try:
        with open(os.devnull, "w") as log:
            book = xlrd.open_workbook(file_contents=content, logfile=log, on_demand=True, ragged_rows=True)
            is_1904 = bool(book.datemode)
            seen = 0
            for index in range(book.nsheets):
                page = book.sheet_by_index(index)
                if page.visibility == 0:
                    seen += 1
                    yield Sheet(page.name, is_1904, in_bounds(_rows(page, is_1904)))
                book.unload_sheet(index)
    except (Refused, MemoryError, GeneratorExit):
        raise
    # xlrd lets through whatever a broken record makes its parsers raise.
    except Exception as broken:
        raise Refused("password" if "encrypted" in str(broken) else "damaged") from broken
    if not seen:
        raise Refused("no_sheet")


def _rows(page: xlrd.sheet.Sheet, is_1904: bool) -> Iterator[Row]:
    for number in range(page.nrows):
        values = [_meaning(cell, number, column, is_1904) for column, cell in enumerate(page.row(number))]
        while values and (values[-1] is None or (isinstance(values[-1], str) and not values[-1].strip())):
            values.pop()
        if len(values) > MOST_COLUMNS:
            raise Refused("columns", f"{letters(len(values) - 1)}{number + 1}")
        if values:
            yield number + 1, values


def _meaning(cell: xlrd.sheet.Cell, row: int, column: int, is_1904: bool) -> Any:
    match cell.ctype:
        case xlrd.XL_CELL_TEXT:
            return cell.value
        case xlrd.XL_CELL_NUMBER:
            return tidy(cell.value)
        case xlrd.XL_CELL_DATE:
            return moment(cell.value, is_1904)
        case xlrd.XL_CELL_BOOLEAN:
            return bool(cell.value)
        case xlrd.XL_CELL_ERROR:
            text = xlrd.error_text_from_code.get(cell.value, "#VALUE!")
            return {"e": text, "at": f"{letters(column)}{row + 1}"}
    return None
