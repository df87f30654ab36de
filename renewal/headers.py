"""The columns of a handed-in sheet: what the file has, what we ask for, and which is taken for which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from connectors.sources import cells, sheet
from renewal import loading


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
    ours = loading.FEEDS[source].columns
    samples: dict[str, list[str]] = {}
    header: list[str] = []
    for _line, row in sheet.rows(path, ()):
        header = [str(name) for name in row if name is not None]
        for name in header:
            value = cells.as_text(row.get(name))
            if value and len(samples.setdefault(name, [])) < 3 and value not in samples[name]:
                samples[name].append(value)
    return Header("", 1, header, samples, ours, frozenset(ours), {name: name for name in ours if name in header})
