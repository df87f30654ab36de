"""Workbooks of Excel 2007 and later (.xlsx, .xlsm), read as a stream of rows.

Written here because no library says all that matters: which cell is an error, which formula has no value yet, which
sheet is hidden, and how many digits a number was given; and because a cell far outside must not make a table as large.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from connectors.sources.workbook import MOST_COLUMNS, Refused, Row, Sheet, in_bounds, letters
from connectors.sources.workbook.archive import Archive
from connectors.sources.workbook.xml import Listener

MOST_TEXTS = 400_000
MOST_CHARACTERS = 20_000_000
LAST_ROW, LAST_COLUMN = 1_048_576, 16_384
DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}  # built-in formats of a day or a time
NOT_FORMAT = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


def sheets(path: str) -> Iterator[Sheet]:
    """The sheets that can be seen, in the workbook's order."""
    book = Book(Archive(path))
    for name, part in book.visible:
        yield Sheet(name, book.is_1904, in_bounds(book.rows(part)))


class Book:
    """What the sheets of a workbook share: its texts, and which formats are those of days."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        start = self._related("", "officeDocument") or "xl/workbook.xml"
        if start not in archive.names:
            raise Refused("no_workbook" if "mimetype" in archive.names else "damaged")
        if start.endswith(".bin"):
            raise Refused("no_workbook")
        self.is_1904 = False
        self.visible: list[tuple[str, str]] = []
        self._read_workbook(start)
        self.texts = self._texts(start)
        self.dates = self._dates(start)

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        """What the part refers to: by id, the kind and the part."""
        folder, name = posixpath.split(part)
        rels = posixpath.join(folder, "_rels", f"{name}.rels")
        found: dict[str, tuple[str, str]] = {}
        if rels not in self.archive.names:
            return found

        def relation(facts: dict[str, str]) -> None:
            kind = facts.get("Type", "").rpartition("/")[2]
            target = posixpath.normpath(posixpath.join("/", folder, facts.get("Target", ""))).lstrip("/")
            found[facts.get("Id", "")] = kind, target

        listener = Listener()
        listener.begin["Relationship"] = relation
        listener.hear(self.archive.blocks(rels))
        return found

    def _related(self, part: str, kind: str) -> str:
        return next((target for its, target in self._relations(part).values() if its == kind), "")

    def _read_workbook(self, part: str) -> None:
        targets = {key: target for key, (kind, target) in self._relations(part).items() if kind == "worksheet"}

        def settings(facts: dict[str, str]) -> None:
            self.is_1904 = facts.get("date1904") in {"1", "true"}

        def sheet(facts: dict[str, str]) -> None:
            key = next((value for name, value in facts.items() if name.rpartition(":")[2] == "id"), "")
            if key in targets and facts.get("state", "visible") == "visible":
                self.visible.append((facts.get("name", ""), targets[key]))

        listener = Listener()
        listener.begin.update(workbookPr=settings, sheet=sheet)
        listener.hear(self.archive.blocks(part))
        if not self.visible:
            raise Refused("no_sheet")

    def _texts(self, start: str) -> list[str]:
        part = self._related(start, "sharedStrings")
        texts: list[str] = []
        if part not in self.archive.names:
            return texts
        # Counted before they are read: to read one takes a hundred times as long.
        if self.archive.count(part, b"</si>") > MOST_TEXTS:
            raise Refused("texts")
        parts: list[str] = []
        aside = [0]  # how deep in what is read aloud but not written: phonetic signs
        size = [0]

        def begin(_facts: dict[str, str]) -> None:
            parts.clear()

        def finish() -> None:
            text = unescaped("".join(parts))
            size[0] += len(text)
            if len(texts) >= MOST_TEXTS or size[0] > MOST_CHARACTERS:
                raise Refused("texts")
            texts.append(text)

        def aloud(_facts: dict[str, str]) -> None:
            aside[0] += 1

        def silent() -> None:
            aside[0] -= 1

        def word() -> None:
            text = listener.heard()
            if not aside[0]:
                parts.append(text)

        listener = Listener()
        listener.begin.update(si=begin, rPh=aloud, t=lambda _facts: listener.listen())
        listener.finish.update(si=finish, rPh=silent, t=word)
        listener.hear(self.archive.blocks(part))
        return texts

    def _dates(self, start: str) -> list[bool]:
        """For each style of a cell, whether it shows a day or a time."""
        part = self._related(start, "styles")
        custom: dict[int, bool] = {}
        styles: list[bool] = []
        if part not in self.archive.names:
            return styles
        inside = [False]

        def number_format(facts: dict[str, str]) -> None:
            custom[_whole(facts.get("numFmtId"))] = is_date(facts.get("formatCode", ""))

        def begin(_facts: dict[str, str]) -> None:
            inside[0] = True

        def finish() -> None:
            inside[0] = False

        def style(facts: dict[str, str]) -> None:
            if inside[0]:
                key = _whole(facts.get("numFmtId"))
                styles.append(custom.get(key, key in DATES))

        listener = Listener()
        listener.begin.update(numFmt=number_format, cellXfs=begin, xf=style)
        listener.finish.update(cellXfs=finish)
        listener.hear(self.archive.blocks(part))
        return styles

    def rows(self, part: str) -> Iterator[Row]:
        """The rows of a sheet that hold anything."""
        if part not in self.archive.names:
            raise Refused("damaged")
        reader = Page(self)
        for _pause in reader.listener.feed(self.archive.blocks(part)):
            yield from reader.done
            reader.done.clear()


class Page:
    """One sheet while it is read: rows that are complete stand in `done`."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.done: list[Row] = []
        self.number = 0
        self.column = -1
        self.cells: dict[int, Any] = {}
        self.kind = ""
        self.style = 0
        self.value: str | None = None
        self.has_formula = False
        self.inline: list[str] = []
        self.aside = 0
        self.listener = Listener()
        listen = self.listener.listen
        self.listener.begin.update(
            row=self._row, c=self._cell, v=lambda _facts: listen(), t=lambda _facts: listen(), f=self._formula,
            rPh=self._aloud,
        )  # fmt: skip
        self.listener.finish.update(
            row=self._row_done, c=self._cell_done, v=self._value, t=self._text, rPh=self._silent
        )

    def _row(self, facts: dict[str, str]) -> None:
        number = _whole(facts["r"]) if "r" in facts else self.number + 1
        if not self.number < number <= LAST_ROW:
            raise Refused("damaged")
        self.number, self.column, self.cells = number, -1, {}

    def _row_done(self) -> None:
        if self.cells:
            last = max(self.cells)
            if last >= MOST_COLUMNS:
                raise Refused("columns", f"{letters(last)}{self.number}")
            self.done.append((self.number, [self.cells.get(column) for column in range(last + 1)]))

    def _cell(self, facts: dict[str, str]) -> None:
        self.column = _column(facts["r"]) if "r" in facts else self.column + 1
        if self.column >= LAST_COLUMN:
            raise Refused("damaged")
        self.kind = facts.get("t", "n")
        self.style = _whole(facts.get("s", "0"))
        self.value, self.has_formula, self.inline = None, False, []

    def _formula(self, _facts: dict[str, str]) -> None:
        self.has_formula = True

    def _value(self) -> None:
        self.value = self.listener.heard()

    def _text(self) -> None:
        text = self.listener.heard()
        if not self.aside:
            self.inline.append(text)

    def _aloud(self, _facts: dict[str, str]) -> None:
        self.aside += 1

    def _silent(self) -> None:
        self.aside -= 1

    def _cell_done(self) -> None:
        value = self._meaning()
        if value is not None and not (isinstance(value, str) and not value.strip()):
            self.cells[self.column] = value

    def _meaning(self) -> Any:
        said = self.value
        if self.kind == "inlineStr":
            return unescaped("".join(self.inline))
        if said is None or (said == "" and self.kind != "str"):
            # A formula that gives an empty text has a value; one that nobody has worked out has none.
            return {"f": self._where()} if self.has_formula else None
        match self.kind:
            case "s":
                index = _whole(said)
                if index >= len(self.book.texts):
                    raise Refused("damaged")
                return self.book.texts[index]
            case "str":
                return unescaped(said)
            case "e":
                return {"e": said[:20], "at": self._where()}
            case "b":
                return said.strip() in {"1", "true"}
            case "d":
                return {"d": said[:19]}
        try:
            number = float(said)
        except ValueError:
            return said
        if self.style < len(self.book.dates) and self.book.dates[self.style]:
            return moment(number, self.book.is_1904)
        return tidy(number)

    def _where(self) -> str:
        return f"{letters(self.column)}{self.number}"


def tidy(number: float) -> Any:
    """The number in the fifteen digits that a spreadsheet keeps; whole ones without a fraction."""
    if number != number or number in {float("inf"), float("-inf")}:
        return str(number)
    if number.is_integer() and abs(number) < 1e15:
        return int(number)
    return float(f"{number:.15g}")


def moment(serial: float, is_1904: bool) -> Any:
    """The day or the time of day that a serial number stands for; the number itself where it stands for none."""
    if not 0 <= serial < 2_958_466 or (60 <= serial < 61 and not is_1904):
        return tidy(serial)
    seconds = timedelta(seconds=round(serial * 86_400))
    if serial < 1 and not is_1904:
        return {"t": str(seconds)[-8:].strip().zfill(8)}
    # 1900 counts a 29 February that there was not.
    start = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30 if serial >= 61 else 31)  # noqa: DTZ001
    try:
        return {"d": (start + seconds).isoformat()}
    except OverflowError:
        return tidy(serial)


def is_date(code: str) -> bool:
    return bool(re.search("[ymdhs年月日]", NOT_FORMAT.sub("", code.partition(";")[0]), re.IGNORECASE)) and (
        code.lower() != "general"
    )


def unescaped(text: str) -> str:
    """Characters that XML has not are written as _x0007_."""
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _column(reference: str) -> int:
    """A1 → 0."""
    number = 0
    for sign in reference:
        if "A" <= sign <= "Z":
            number = number * 26 + ord(sign) - 64
        else:
            break
    if not 0 < number <= LAST_COLUMN:
        raise Refused("damaged")
    return number - 1


def _whole(text: str | None) -> int:
    if not text or not text.isdecimal() or len(text) > 9:
        raise Refused("damaged")
    return int(text)
