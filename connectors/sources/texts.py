"""Tables in text files: CSV in UTF-8 (with or without a mark), GBK, or the UTF-16 that Excel calls Unicode text."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from django.utils.translation import gettext as _

from connectors.sources import Unusable
from connectors.sources.table import HEAD, Table, Values

DELIMITERS = ",\t;"
BLOCK = 1 << 20
# A text in GBK has none of these; that a file has them shows that it is something else.
NO_TEXT = {code for code in range(32) if code not in b"\t\n\r"}


def table(path: Path) -> Table:
    """The rows of the file that hold anything; raises `Unusable` where it is no text."""
    rows = _rows(path, encoding_of(path))
    head = list(islice(rows, HEAD))
    return Table("", head, chain(head, rows))


def encoding_of(path: Path) -> str:
    """How the whole file can be read as text; raises `Unusable`."""
    with path.open("rb") as file:
        start = file.read(3)
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return _checked(path, "utf-16")
    if start == codecs.BOM_UTF8 or _reads(path, "utf-8"):
        return _checked(path, "utf-8-sig")
    if _is_damaged_utf8(path) or _has_no_text(path):
        raise _no_text(path)
    return _checked(path, "gb18030")


def _checked(path: Path, encoding: str) -> str:
    if not _reads(path, encoding):
        raise _no_text(path)
    return encoding


def _reads(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding, newline="") as text:
            while text.read(BLOCK):
                pass
    except UnicodeError:
        return False
    return True


def _is_damaged_utf8(path: Path) -> bool:
    """Whether most of what is not ASCII is UTF-8: in GBK such sequences come up by chance only."""
    good = bad = 0
    with path.open(encoding="utf-8", errors="replace", newline="") as text:
        while block := text.read(BLOCK):
            replaced = block.count("\N{REPLACEMENT CHARACTER}")
            bad += replaced
            good += sum(sign > "\x7f" for sign in block) - replaced
    return good > bad


def _has_no_text(path: Path) -> bool:
    with path.open("rb") as file:
        return any(not NO_TEXT.isdisjoint(block) for block in iter(lambda: file.read(BLOCK), b""))


def _no_text(path: Path) -> Unusable:
    return Unusable(_("%(name)s is not a text file in UTF-8 or GBK.") % {"name": path.name})


def _rows(path: Path, encoding: str) -> Iterator[Values]:
    try:
        with path.open(encoding=encoding, newline="") as text:
            for number, values in enumerate(csv.reader(text, delimiter=_delimiter(path, encoding)), start=1):
                if any(value and not value.isspace() for value in values):
                    yield number, values
    except csv.Error as broken:
        raise Unusable(
            _("%(name)s cannot be read as a table: a quotation mark may be missing.") % {"name": path.name}
        ) from broken


def _delimiter(path: Path, encoding: str) -> str:
    with path.open(encoding=encoding) as text:
        start = "\n".join(text.read(BLOCK).splitlines()[:20])
    return max(DELIMITERS, key=start.count)
