"""A workbook handed back as it came, with nothing but the refused rows in it and their bad cells marked.

Styles, widths, formats, title rows and formulas stay. A formula follows the rows it reads; one that read a row
which is left out keeps the value it had. What marks a row disturbs no reader: a fill, a note, one more column.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import openpyxl
from openpyxl.cell.cell import Cell
from openpyxl.comments import Comment
from openpyxl.formula import Tokenizer
from openpyxl.formula.tokenizer import Token
from openpyxl.styles import Alignment, PatternFill
from openpyxl.utils import get_column_letter, range_boundaries
from openpyxl.worksheet.formula import ArrayFormula
from openpyxl.worksheet.worksheet import Worksheet

from connectors.sources import cells

REASON, NUMBER = "未通过原因", "隔离编号"  # the columns that are added; a row that comes back is known by its number
SEARCHED = 30  # rows from the top among which the header is looked for
BAD = PatternFill("solid", fgColor="FFFAD2CF")
AUTHOR = "quarantine"
MOST_MEMBERS, MOST_MB = 400, 100  # of a workbook unpacked: what is larger is no workbook to edit


class Unmarkable(Exception):
    """The workbook cannot be edited here."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A refused row of a sheet: why, and in which column (counted from one; none: the row as a whole).

    `number` is its own in quarantine; `values` are cells that somebody has changed since it came.
    """

    row: int
    reason: str
    column: int | None = None
    number: int = 0
    values: dict[int, str] = field(default_factory=dict)


def open_book(content: bytes) -> openpyxl.Workbook:
    """The workbook for editing; raises `Unmarkable`."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS or sum(each.file_size for each in members) > MOST_MB << 20:
                raise Unmarkable
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about extensions that are not kept
            return openpyxl.load_workbook(BytesIO(content))
    # As in connectors.sources.sheet: whatever the zip, the XML and their parsers raise.
    except Exception as broken:
        raise Unmarkable from broken


def find_table(book: openpyxl.Workbook, names: Collection[str]) -> tuple[Worksheet, int, dict[str, int]] | None:
    """The sheet and the row that hold most of these names as a header, and where each of its columns stands."""
    best: tuple[Worksheet, int, dict[str, int]] | None = None
    most = len(set(names)) // 2
    for sheet in book.worksheets:
        for row, values in enumerate(sheet.iter_rows(max_row=SEARCHED, values_only=True), start=1):
            header: dict[str, int] = {}
            for column, value in enumerate(values, start=1):
                if text := cells.as_text(value):
                    header.setdefault(text, column)
            if (found := len(set(names) & set(header))) > most:
                best, most = (sheet, row, header), found
    return best


def says(
    sheet: Worksheet,
    row: int,
    header: dict[str, int],
    record: dict[str, Any],
    masked: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> bool:
    """Whether the row is the one of which `record` was made, as far as its cells are no formulas.

    `masked` says of a row what may be kept of it, as was done to the record.
    """
    values = {name: sheet.cell(row, header[name]).value for name in record if name in header}
    plain = masked({name: cells.as_text(value) for name, value in values.items() if not _is_formula(value)})
    return any(plain.values()) and all(plain[name] == record[name] for name in plain)


def thin(book: openpyxl.Workbook, sheet: Worksheet, *, header: int, marks: Sequence[Mark], before: bytes) -> bytes:
    """The workbook with the rows above the data and the marked ones only; `before` is how it came."""
    rows = Kept([*range(1, header + 1), *(mark.row for mark in marks)])
    values = _values(before, sheet.title, rows)
    _keep(sheet, rows, values)
    for other in book.worksheets:
        if other is not sheet:
            _follow(other, sheet.title, rows)
    _clear(sheet, header)
    places = _headings(sheet, header)
    for mark in marks:
        _mark(sheet, rows.new[mark.row], mark, places)
    return _with_values(_bytes(book), sheet, values, rows)


def table(columns: Sequence[str], records: Sequence[dict[str, Any]], marks: Sequence[Mark]) -> bytes:
    """A workbook of these records under these columns, every cell a text; a mark's row is that of its record."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for at, name in enumerate(columns, start=1):
        _text(sheet.cell(1, at), name)
        sheet.column_dimensions[get_column_letter(at)].width = max(12, 2 * len(name) + 4)
    for row, record in enumerate(records, start=2):
        for at, name in enumerate(columns, start=1):
            _text(sheet.cell(row, at), str(record.get(name, "")))
    sheet.freeze_panes = "A2"
    places = _headings(sheet, 1)
    for mark in marks:
        _mark(sheet, mark.row, mark, places)
    return _bytes(book)


# --- Marks --------------------------------------------------------------------------------------------------


def _mark(sheet: Worksheet, row: int, mark: Mark, places: dict[str, int]) -> None:
    _text(sheet.cell(row, places[REASON]), mark.reason)
    sheet.cell(row, places[REASON]).alignment = Alignment(wrap_text=True, vertical="top")
    sheet.cell(row, places[NUMBER]).value = mark.number or None
    for column, text in mark.values.items():
        _text(sheet.cell(row, column), text)
    cell = sheet.cell(row, mark.column) if mark.column else None
    if isinstance(cell, Cell):  # the hidden part of a merged cell bears nothing
        said = f"\n\n{cell.comment.text}" if cell.comment else ""
        cell.fill = BAD
        cell.comment = Comment(f"{mark.reason}{said}", AUTHOR, width=280, height=90)


def _clear(sheet: Worksheet, header: int) -> None:
    """The marks of an earlier hand-back are gone."""
    added = {cell.column for cell in sheet[header] if cells.as_text(cell.value) in (REASON, NUMBER)}
    for row in sheet.iter_rows(min_row=header + 1):
        for cell in row:
            if cell.comment and cell.comment.author == AUTHOR:
                cell.comment = None
                cell.fill = PatternFill()
            if cell.column in added:
                cell.value = None


def _headings(sheet: Worksheet, row: int) -> dict[str, int]:
    """Where the two columns stand that are added to the right, dressed as the header beside them."""
    places = {cells.as_text(cell.value): int(cell.column or 0) for cell in sheet[row]}
    beside = sheet.cell(row, max(at for text, at in places.items() if text))
    for name, width in ((REASON, 48), (NUMBER, 10)):
        if name not in places:
            places[name] = sheet.max_column + 1
            cell = sheet.cell(row, places[name])
            cell._style = copy(beside._style)  # type: ignore[union-attr]
            _text(cell, name)
            sheet.column_dimensions[get_column_letter(places[name])].width = width
    return places


def _text(cell: Any, text: str) -> None:
    """The cell holds a text, whatever it begins with: nothing that came from outside becomes a formula."""
    cell.value = openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE.sub("", text)
    cell.data_type = "s"
    if text[:1] in ("=", "+", "-", "@"):
        cell.quotePrefix = True


# --- Rows ---------------------------------------------------------------------------------------------------


class Kept:
    """Which rows stay, and where each of them stands afterwards."""

    def __init__(self, rows: Iterable[int]) -> None:
        self.rows = sorted(set(rows))
        self.new = {row: place for place, row in enumerate(self.rows, start=1)}

    def span(self, first: int, last: int) -> tuple[int, int] | None:
        """Where the rows between these two stand now, if any of them stays."""
        low, high = bisect_left(self.rows, first), bisect_right(self.rows, last)
        return (low + 1, high) if low < high else None


def _keep(sheet: Worksheet, rows: Kept, values: dict[tuple[int, int], Any]) -> None:
    """No other rows are in the sheet, and all that speaks of its rows speaks of the new ones."""
    for merged in list(sheet.merged_cells.ranges):
        if not all(row in rows.new for row in range(merged.min_row, merged.max_row + 1)):
            sheet.unmerge_cells(merged.coord)
    cells_now: dict[tuple[int, int], Any] = {}
    for (row, column), cell in sorted(sheet._cells.items()):
        if row in rows.new:
            _move_formula(cell, sheet.title, sheet.title, rows, values.get((row, column)))
            cell.row = rows.new[row]
            cells_now[cell.row, column] = cell
            if isinstance(cell, Cell) and cell.hyperlink:
                cell.hyperlink.ref = cell.coordinate
    sheet._cells = cells_now
    sheet._hyperlinks = [  # type: ignore[attr-defined]
        cell.hyperlink for cell in cells_now.values() if isinstance(cell, Cell) and cell.hyperlink
    ]
    for merged in sheet.merged_cells.ranges:
        merged.shift(row_shift=rows.new[merged.min_row] - merged.min_row)
    heights = {row: sheet.row_dimensions[row] for row in list(sheet.row_dimensions)}
    sheet.row_dimensions.clear()
    for row, height in heights.items():
        if row in rows.new:
            height.index = rows.new[row]
            height.hidden = False  # a filter may have hidden what has to be seen now
            sheet.row_dimensions[height.index] = height
    for table in sheet.tables.values():
        table.ref = _moved(table.ref, rows) or table.ref
        if table.autoFilter:
            table.autoFilter.ref = table.ref
    if sheet.auto_filter.ref:
        sheet.auto_filter.ref = _moved(sheet.auto_filter.ref, rows) or sheet.auto_filter.ref
        sheet.auto_filter.filterColumn = []
    for rule in list(sheet.data_validations.dataValidation):
        ranges = [moved for one in str(rule.sqref).split() if (moved := _moved(one, rows))]
        if ranges:
            rule.sqref = type(rule.sqref)(" ".join(ranges))
        else:
            sheet.data_validations.dataValidation.remove(rule)


def _moved(reference: str, rows: Kept) -> str | None:
    """A range of the sheet where it stands now; None if all of it has gone."""
    left, first, right, last = range_boundaries(reference)
    if left is None or first is None or right is None or last is None:
        return reference  # whole columns
    if (span := rows.span(first, last)) is None:
        return None
    start, end = f"{get_column_letter(left)}{span[0]}", f"{get_column_letter(right)}{span[1]}"
    return start if start == end else f"{start}:{end}"


# --- Formulas -----------------------------------------------------------------------------------------------

REFERENCE = re.compile(
    r"(?:(?P<sheet>'(?:[^']|'')+'|[^'!]+)!)?(?P<a>\$?[A-Za-z]{1,3}\$?)(?P<first>\d+)"
    r"(?::(?P<b>\$?[A-Za-z]{1,3}\$?)(?P<last>\d+))?"
)


def _is_formula(value: Any) -> bool:
    return isinstance(value, ArrayFormula) or (isinstance(value, str) and value.startswith("="))


def _follow(sheet: Worksheet, changed: str, rows: Kept) -> None:
    """The formulas of another sheet read the rows of the changed one where they stand now."""
    for cell in list(sheet._cells.values()):
        _move_formula(cell, sheet.title, changed, rows, None)


def _move_formula(cell: Any, own: str, changed: str, rows: Kept, value: Any) -> None:
    if getattr(cell, "data_type", "") != "f":
        return
    if isinstance(cell.value, ArrayFormula):
        formula = _rewritten(cell.value.text or "", own, changed, rows)
        span = _moved(cell.value.ref, rows) if own == changed else cell.value.ref
        cell.value = ArrayFormula(span, formula) if formula and span else value
    elif isinstance(cell.value, str):
        cell.value = _rewritten(cell.value, own, changed, rows) or value


def _rewritten(formula: str, own: str, changed: str, rows: Kept) -> str | None:
    """The formula with its references to the changed sheet; None if it reads a row that is left out."""
    tokens = Tokenizer(formula)
    for token in tokens.items:
        if token.type != Token.OPERAND or token.subtype != Token.RANGE:
            continue
        found = REFERENCE.fullmatch(token.value)
        if not found or (_unquoted(found["sheet"]) or own) != changed:
            continue
        prefix = f"{found['sheet']}!" if found["sheet"] else ""
        first = int(found["first"])
        if not found["last"]:
            if first not in rows.new:
                return None
            token.value = f"{prefix}{found['a']}{rows.new[first]}"
        elif span := rows.span(first, int(found["last"])):
            token.value = f"{prefix}{found['a']}{span[0]}:{found['b']}{span[1]}"
        else:
            return None
    return str(tokens.render())


def _unquoted(name: str | None) -> str:
    return name[1:-1].replace("''", "'") if name and name.startswith("'") else name or ""


# --- Values of formulas -------------------------------------------------------------------------------------


def _values(content: bytes, title: str, rows: Kept) -> dict[tuple[int, int], Any]:
    """What the formulas of the kept rows came to when the workbook was last saved by a spreadsheet."""
    book = openpyxl.load_workbook(BytesIO(content), read_only=True, data_only=True)
    try:
        sheet = book[title]
        sheet.reset_dimensions()
        return {
            (row, column): value
            for row, found in enumerate(sheet.iter_rows(max_row=rows.rows[-1], values_only=True), start=1)
            if row in rows.new
            for column, value in enumerate(found, start=1)
            if value is not None
        }
    finally:
        book.close()


FORMULA = re.compile(rb'<c r="([A-Z]+)(\d+)"([^>]*)><f([^>]*)>(.*?)</f><v ?/?>(?:</v>)?</c>', re.S)


def _with_values(content: bytes, sheet: Worksheet, values: dict[tuple[int, int], Any], rows: Kept) -> bytes:
    """The workbook with the last value of each formula, for readers and previews that do not reckon themselves."""
    known = {f"{get_column_letter(column)}{rows.new[row]}".encode(): value for (row, column), value in values.items()}

    def filled(match: re.Match[bytes]) -> bytes:
        column, row, style, options, formula = match.groups()
        value = known.get(column + row)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return match.group()
        style = re.sub(rb' t="[^"]*"', b"", style)
        kind = b' t="str"' if isinstance(value, str) else b""
        text = str(value).replace("&", "&amp;").replace("<", "&lt;").encode()
        return b'<c r="%s%s"%s%s><f%s>%s</f><v>%s</v></c>' % (column, row, style, kind, options, formula, text)

    path = sheet.path.lstrip("/")
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as came, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in came.infolist():
            data = came.read(member)
            archive.writestr(member, FORMULA.sub(filled, data) if member.filename == path else data)
    return out.getvalue()


def _bytes(book: openpyxl.Workbook) -> bytes:
    out = BytesIO()
    book.save(out)
    return out.getvalue()
