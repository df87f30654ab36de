"""Workbooks as the process that reads them tells of them: connectors.sources.workbook, with its limits."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from connectors.sources import Unusable, cells
from connectors.sources.table import Table, Values

ROOT = Path(__file__).resolve().parents[2]
MOST_MB = 10
SENTENCES = {
    "damaged": gettext_noop("%(name)s is not a readable Excel workbook."),
    "no_workbook": gettext_noop("%(name)s is no Excel workbook of rows and columns. Save it as .xlsx."),
    "password": gettext_noop("%(name)s is protected by a password. Take the password off first."),
    "no_sheet": gettext_noop("%(name)s has no sheet that can be seen."),
    "members": gettext_noop("%(name)s holds parts that no workbook has; it was not opened."),
    "inflated": gettext_noop("%(name)s is far larger unpacked than a table can be; it was not read."),
    "texts": gettext_noop("%(name)s is far larger unpacked than a table can be; it was not read."),
    "doctype": gettext_noop("%(name)s holds parts that no workbook has; it was not opened."),
    "rows": gettext_noop("%(name)s has more than 20,000 rows. Split it, or save it as CSV."),
    "columns": gettext_noop(
        "%(name)s has something in cell %(where)s, far to the right of any table. Empty that cell."
    ),
    "gap": gettext_noop(
        "%(name)s has something in row %(where)s, more than 200 empty rows below the table. "
        "Empty that row, or move it up."
    ),
    "time": gettext_noop("%(name)s takes too long to read. Copy the table alone into a new workbook."),
}


def tables(path: Path) -> Iterator[Table]:
    """The sheets that can be seen, one after the other: one whose rows are not read is passed over.

    Raises `Unusable`. Close the iterator when no more of it is wanted.
    """
    if path.stat().st_size > MOST_MB << 20:
        facts = {"name": path.name, "mb": MOST_MB}
        raise Unusable(_("%(name)s is larger than %(mb)d MB. Split it, or save it as CSV.") % facts)
    reader = subprocess.Popen(  # noqa: S603 - our own module; the path is an argument, not a command
        [sys.executable, "-m", "connectors.sources.workbook", str(path.resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},  # and none of our keys
        text=True,
        encoding="ascii",
    )
    try:
        yield from _told(path, reader)
    finally:
        reader.kill()
        reader.communicate()


def _told(path: Path, reader: subprocess.Popen[str]) -> Iterator[Table]:
    while "sheet" in (said := _next(path, reader)):
        head = [_row(row) for row in said["rows"]]
        further = _further(path, reader)
        yield Table(said["sheet"], head, chain(head, further), is_1904=said["is_1904"])
        if inspect.getgeneratorstate(further) != inspect.GEN_CREATED:
            return
        _answer(reader, "next")


def _further(path: Path, reader: subprocess.Popen[str]) -> Generator[Values]:
    """The rows of a sheet below its head."""
    _answer(reader, "rest")
    while isinstance(row := _next(path, reader), list):
        yield _row(row)


def _next(path: Path, reader: subprocess.Popen[str]) -> Any:
    assert reader.stdout is not None  # noqa: S101 - it is a pipe
    line = reader.stdout.readline()
    if not line.endswith("\n"):
        # It was stopped: by the limit of its time, or by one of memory that Python could not answer.
        code = "time" if reader.wait() in {-9, -24} else "inflated"
        raise Unusable(_(SENTENCES[code]) % {"name": path.name})
    said = json.loads(line)
    if isinstance(said, dict) and "refused" in said:
        raise Unusable(_(SENTENCES[said["refused"]]) % {"name": path.name, "where": said["where"]})
    return said


def _answer(reader: subprocess.Popen[str], word: str) -> None:
    assert reader.stdin is not None  # noqa: S101 - it is a pipe
    try:
        reader.stdin.write(f"{word}\n")
        reader.stdin.flush()
    except BrokenPipeError:
        pass  # what it says last, or that it says nothing, tells why


def _row(row: list[Any]) -> Values:
    number, values = row
    return number, [_value(value) if isinstance(value, dict) else value for value in values]


def _value(said: Mapping[str, str]) -> Any:
    match said:
        case {"d": text}:
            try:
                return datetime.fromisoformat(text)
            except ValueError:
                return text
        case {"t": text}:
            return text.removesuffix(":00")
        case {"e": text, "at": where}:
            return cells.Broken(text, where)
        case {"f": where}:
            return cells.Broken(cells.NO_RESULT, where)
    return None
