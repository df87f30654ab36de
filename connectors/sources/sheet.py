"""Rows of a text file or a workbook under the names of our columns, whatever the file calls them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from connectors.records import BadRecord
from connectors.sources import Unusable, books, cells, columns, files, texts
from connectors.sources.table import Header, Table, find, fullest

R = TypeVar("R")
Chosen = Mapping[str, str]  # our column → the file's
SAMPLES = 5
MOST_NAMED = 30  # of a file's own columns, in a sentence
# How the row below a table begins that adds it up. It is no record.
SUM = re.compile(r"(本页|本月|本表)?(合计|总计|小计|共计|汇总)([：:（(].*)?")


@dataclass(frozen=True, slots=True)
class Page:
    """A sheet as somebody sees it who says what its columns mean."""

    sheet: str  # empty for a text file
    header_row: int  # as a spreadsheet numbers rows; of a header of two rows the lower
    header: tuple[str, ...]
    samples: tuple[tuple[str, ...], ...]  # the first rows below it, as text


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a source's columns stand in a file."""

    sheet: str
    header_row: int
    columns: dict[str, int]  # ours → its number in the sheet; A is 1
    names: dict[str, str]  # ours → what the header calls it


def peek(path: Path, source: str = "") -> list[Page]:
    """The sheets that hold anything, with the header as far as it can be told; raises `Unusable`."""
    sources = [source] if source in columns.SYNONYMS else list(columns.SYNONYMS)
    pages = []
    with closing(_tables(path)) as tables:
        for table in tables:
            header = find(table.head, lambda header: max(_fit(name, header) for name in sources))
            if header is None or max(_fit(name, header) for name in sources) < 2:
                header = fullest(table.head)
            if header:
                below = [values for number, values in table.head if number > header.row][:SAMPLES]
                samples = tuple(tuple(map(cells.as_text, values)) for values in below)
                pages.append(Page(table.name, header.row, header.names, samples))
    if not pages:
        raise Unusable(_("%(name)s is empty.") % {"name": path.name})
    return pages


def read(
    path: Path, source: str, build: Callable[[int, cells.Row], Iterable[R]], mapping: Chosen | None = None
) -> Iterator[R | BadRecord]:
    """The records `build` makes of each row; a row it cannot use becomes a `BadRecord`."""
    for line, row in rows(path, source, mapping):
        try:
            if None in row:
                raise cells.Problem(_("row"), _("has more cells than the header has columns"), is_cell=False)
            records = list(build(line, row))
        except cells.Problem as problem:
            yield BadRecord(line, str(problem), column=problem.column)
        else:
            yield from records


def raw_rows(
    path: Path, source: str, wanted: Collection[int], mapping: Chosen | None = None
) -> dict[int, dict[str, str]]:
    """The wanted rows as text, for the quarantine: cells of unnamed columns are joined under "+"."""
    found = {}
    for line, row in rows(path, source, mapping):
        if line in wanted:
            found[line] = {name or "+": cells.as_text(value) for name, value in row.items()}
    return found


def layout(path: Path, source: str, mapping: Chosen | None = None) -> Layout:
    """Where the columns stand that `rows` reads; raises `Unusable`."""
    with closing(_tables(path)) as tables:
        table, header, places = _settle(path, tables, source, mapping)
        names = {ours: header.names[at] for ours, at in places.items()}
        return Layout(table.name, header.row, {ours: at + 1 for ours, at in places.items()}, names)


def rows(path: Path, source: str, mapping: Chosen | None = None) -> Iterator[tuple[int, cells.Line]]:
    """Each row below the header that holds anything, with its number as a spreadsheet shows it.

    Our columns stand under our names, where the file has them, and all others under its own; cells to the right of
    the header stand under None. Sums and repeated headers are passed over. Raises `Unusable`.
    """
    with closing(_tables(path)) as tables:
        table, header, places = _settle(path, tables, source, mapping)
        names = _names(source, header, places)
        width = len(names)
        for number, values in table.rows:
            if number <= header.row or _is_aside(values, header):
                continue
            row = cells.Line(zip(names, values, strict=False))
            row.is_1904 = table.is_1904
            row.pop("", None)
            if len(values) > width and (
                extra := [cells.as_text(value) for value in values[width:] if _is_there(value)]
            ):
                row[None] = ",".join(extra)
            yield number, row


def _tables(path: Path) -> Generator[Table]:
    """The tables of the file, whose kind is told by how it begins; one that is not what its name says is refused."""
    files.check(path)
    kind = files.kind_of(path)
    if kind == "workbook":
        yield from books.tables(path)
        return
    if kind == "page":
        raise Unusable(_("%(name)s is a web page. Open it in Excel or WPS and save it as .xlsx.") % {"name": path.name})
    if path.suffix.lower() in files.WORKBOOKS:
        if kind == "text":
            raise Unusable(
                _("%(name)s is a text file. Call it .csv, or save it as .xlsx in Excel or WPS.") % {"name": path.name}
            )
        raise Unusable(_("%(name)s is not an Excel workbook, whatever its name says.") % {"name": path.name})
    yield texts.table(path)


def _settle(
    path: Path, tables: Iterator[Table], source: str, mapping: Chosen | None
) -> tuple[Table, Header, dict[str, int]]:
    """The first table that has the columns, its header, and the positions of ours in it; raises `Unusable`."""
    nearest: list[tuple[int, Header, list[str]]] = []
    for table in tables:
        header = find(table.head, lambda header: _fit(source, header, mapping))
        if header is None:
            continue
        bound = _bind(source, header, mapping)
        missing = [name for name in columns.required(source) if name not in bound]
        # A column that somebody chose is missed by the name that the file had for it.
        missing += [theirs for ours, theirs in (mapping or {}).items() if ours not in bound and ours not in missing]
        if not missing:
            return table, header, _places(path, header, bound)
        nearest.append((len(bound), header, missing))
    if not nearest:
        raise Unusable(_("%(name)s is empty.") % {"name": path.name})
    _count, header, missing = max(nearest, key=lambda entry: entry[0])
    there = list(dict.fromkeys(name[:40] for name in header.names if name))
    facts = {
        "name": path.name,
        "columns": "、".join(missing),
        "there": "、".join(there[:MOST_NAMED]) + ("…" if len(there) > MOST_NAMED else ""),
    }
    raise Unusable(_("%(name)s lacks the columns: %(columns)s. It has: %(there)s.") % facts)


def _bind(source: str, header: Header, mapping: Chosen | None) -> dict[str, str]:
    """Our columns → the header's names."""
    return columns.chosen(source, mapping, header.names) if mapping else columns.guess(source, header.names)


def _fit(source: str, header: Header, mapping: Chosen | None = None) -> int:
    return len(_bind(source, header, mapping))


def _places(path: Path, header: Header, bound: Chosen) -> dict[str, int]:
    if twice := sorted({theirs for theirs in bound.values() if header.names.count(theirs) > 1}):
        raise Unusable(
            _("%(name)s has these columns twice: %(columns)s.") % {"name": path.name, "columns": "、".join(twice)}
        )
    return {ours: header.names.index(theirs) for ours, theirs in bound.items()}


def _names(source: str, header: Header, places: Mapping[str, int]) -> list[str]:
    """What each position is called: ours by our name, another by its own if that is none of ours."""
    ours = {at: name for name, at in places.items()}
    reserved = columns.names(source)
    return [ours.get(at, "" if name in reserved else name) for at, name in enumerate(header.names)]


def _is_aside(values: Sequence[Any], header: Header) -> bool:
    """Whether the row is no record: the table's sum, or the header again as on a new printed page."""
    start = values[0]
    if type(start) is str and start[:1].isascii() and start[:1].isalnum() and start != header.names[0]:
        return False  # as nearly every row begins: with a number of something
    first = next((text for value in values if (text := cells.as_text(value))), "")
    if SUM.fullmatch(first):
        return True
    return first == next(filter(None, header.names), None) and all(
        cells.as_text(value) == name for value, name in zip(values, header.names, strict=False)
    )


def _is_there(value: Any) -> bool:
    return value is not None and value != ""
