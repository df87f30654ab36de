"""Reading workbooks in a process of its own, which has no database, no settings and few resources.

`python -m connectors.sources.workbook FILE` speaks JSON, a line each. Nothing here imports Django: a start takes
tens of milliseconds. What is found in the cells goes out as it stands; what it means is decided by who asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MOST_ROWS = 20_000
MOST_COLUMNS = 500
GAP = 200  # rows: whoever leaves more of them empty has finished the table
LONGEST = 40_000  # characters of a cell that are handed on; a spreadsheet holds 32,767
Row = tuple[int, list[Any]]  # its number as a spreadsheet shows it, and its cells from column A on


class Refused(Exception):
    """The workbook is not read; `code` is one of connectors.sources.books.SENTENCES."""

    def __init__(self, code: str, where: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.where = where


@dataclass(frozen=True)
class Sheet:
    """A sheet that can be seen. `is_1904`: its days are counted from 1904."""

    name: str
    is_1904: bool
    rows: Iterator[Row]


def in_bounds(rows: Iterator[Row]) -> Iterator[Row]:
    """The rows that hold anything. Raises `Refused` for more than a table has, before any is lost in silence."""
    before = 0
    for count, (number, values) in enumerate(rows, start=1):
        if count > MOST_ROWS:
            raise Refused("rows")
        if number - before > GAP + 1 and before:
            raise Refused("gap", str(number))
        before = number
        yield number, values


def letters(column: int) -> str:
    """0 is A, 26 is AA."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name
