"""The columns of a handed-in sheet: what the file has, what we ask for, and which is taken for which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from connectors.sources import columns, sheet


@dataclass(frozen=True, slots=True)
class Header:
    """A sheet's header with some values under each of its columns, and the guess at ours."""

    title: str  # of the sheet, where a workbook has several
    row: int  # in which the header stands
    header: list[str]
    samples: dict[str, list[str]]
    columns: tuple[str, ...]  # ours
    required: frozenset[str]
    guessed: dict[str, str]


def of(source: str, path: Path) -> Header:
    """The header of the file's sheet that looks most like one of this source; raises `Unusable`."""
    pages = sheet.peek(path, source)
    page = max(pages, key=lambda page: len(columns.guess(source, page.header)))
    samples = {name: _some(page, at) for at, name in enumerate(page.header) if name}
    return Header(
        title=page.sheet if len(pages) > 1 else "",
        row=page.header_row,
        header=[name for name in dict.fromkeys(page.header) if name],
        samples=samples,
        columns=columns.names(source),
        required=frozenset(columns.required(source)),
        guessed=columns.guess(source, page.header),
    )


def _some(page: sheet.Page, at: int) -> list[str]:
    """Up to three different values of the column at this position."""
    values = [row[at] for row in page.samples if at < len(row) and row[at]]
    return list(dict.fromkeys(values))[:3]
