"""Opening what was handed in, and refusing at the door what is no readable file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from django.utils.translation import gettext as _

from connectors.sources import Unusable

WORKBOOKS = {".xlsx", ".xlsm", ".xls", ".xlsb", ".et"}
STARTS = {b"PK\x03\x04": "workbook", b"\xd0\xcf\x11\xe0": "workbook"}  # a zip archive; Microsoft's older container
PAGE = re.compile(rb"\s*<(!doctype|html|head|meta|table|\?xml|body|style|!--)", re.IGNORECASE)


def check(path: Path) -> None:
    """`path` is a file with something in it that we may read; raises `Unusable` otherwise."""
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise Unusable(_("%(name)s is a folder, not a file.") % {"name": path.name or path})
        if not stat.S_ISREG(facts.st_mode):
            raise Unusable(_("%(name)s is not an ordinary file.") % {"name": path.name})
        if facts.st_size == 0:
            raise Unusable(_("%(name)s is empty.") % {"name": path.name})
    except FileNotFoundError as missing:
        raise Unusable(_("There is no file %(name)s.") % {"name": path}) from missing
    except PermissionError as closed:
        raise Unusable(_("%(name)s may not be read by this account.") % {"name": path.name}) from closed
    except (OSError, ValueError) as broken:  # a name too long, a NUL in it, a loop of links
        raise Unusable(_("%(name)s cannot be opened.") % {"name": path}) from broken
    if not os.access(path, os.R_OK):
        raise Unusable(_("%(name)s may not be read by this account.") % {"name": path.name})


def kind_of(path: Path) -> str:
    """What the file is by its content: "workbook", "page" (of the web), "text", or "other"."""
    with path.open("rb") as file:
        start = file.read(4096)
    if kind := STARTS.get(start[:4]):
        return kind
    if PAGE.match(start.removeprefix(b"\xef\xbb\xbf")):
        return "page"
    return "other" if b"\0" in start and start[:2] not in (b"\xff\xfe", b"\xfe\xff") else "text"


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers, blank ones left out; raises `Unusable` if it is no UTF-8 text."""
    check(path)
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as text:
            for number, line in enumerate(text, start=1):
                if line := line.strip():
                    yield number, line
    except UnicodeDecodeError as broken:
        raise Unusable(_("%(name)s is not a UTF-8 text file.") % {"name": path.name}) from broken


def raw_lines(path: Path, wanted: Collection[int]) -> dict[int, dict[str, str]]:
    """The wanted lines as they stand in the file, for the quarantine."""
    return {number: {"line": line} for number, line in lines(path) if number in wanted}
