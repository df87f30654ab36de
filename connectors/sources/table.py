"""A table as it stands in a file: rows of cells with the numbers a spreadsheet shows, and where its header is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.sources import cells, columns

HEAD = 40  # rows by which a table is judged
DEEPEST = 20  # rows in which a header may begin
Values = tuple[int, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet, or the whole of a text file. `head` is the beginning of `rows`, which can be read once."""

    name: str
    head: list[Values]
    rows: Iterator[Values]
    is_1904: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """The names of a table's columns, by position; `row` is the last row of it, `depth` how many rows it takes."""

    row: int
    names: tuple[str, ...]
    depth: int = 1


def headers(head: Sequence[Values]) -> Iterator[Header]:
    """Every row that may be the header, and every two: a group above (租期), its parts below (开始, 结束)."""
    above: tuple[int, list[str]] | None = None
    for number, values in head:
        if number > DEEPEST + 1 and above is not None:
            return
        names = [_name(value) for value in values]
        if above and above[0] == number - 1:
            yield Header(number, tuple(_joined(above[1], names)), depth=2)
        while names and not names[-1]:
            names.pop()
        yield Header(number, tuple(names))
        above = number, names


def find(head: Sequence[Values], score: Callable[[Header], int]) -> Header | None:
    """The header with the highest score; of several the uppermost, and one row rather than two."""
    found = list(headers(head))
    return max(found, key=lambda header: (score(header), -header.depth, -header.row), default=None)


def fullest(head: Sequence[Values]) -> Header | None:
    """The header by shape alone: the first row that has as many words as any."""
    found = [header for header in headers(head) if header.depth == 1]
    return max(found, key=lambda header: (sum(map(bool, header.names)), -header.row), default=None)


def _name(value: Any) -> str:
    return " ".join(cells.as_text(value).split())


def _joined(above: Sequence[str], below: Sequence[str]) -> list[str]:
    """租期, "" over 开始, 结束 are 租期开始 and 租期结束; 姓名 below 租客信息 is a word of its own."""
    group, pairs = "", []
    for at in range(max(len(above), len(below))):
        upper = above[at] if at < len(above) else ""
        lower = below[at] if at < len(below) else ""
        group = upper or (group if lower else "")
        pairs.append((group, lower) if lower and lower != group else ("", upper or lower))
    own = [lower if columns.is_known(lower) and not columns.is_known(upper + lower) else "" for upper, lower in pairs]
    names = [
        word if word and own.count(word) == 1 else upper + lower
        for word, (upper, lower) in zip(own, pairs, strict=True)
    ]
    while names and not names[-1]:
        names.pop()
    return names
