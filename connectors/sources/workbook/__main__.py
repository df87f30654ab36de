"""The process that reads one workbook: a sheet's head at a time, and the rest of the one that is asked for.

Out: {"sheet", "is_1904", "rows": [[number, cells], …]}, then a line from who asked: "rest" for its further rows as
[number, cells] each, anything else for the next sheet; {"end": true}; or {"refused": code, "where": cell}.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from connectors.sources.workbook import LONGEST, Refused, Sheet, xlsx

HEAD = 40  # rows among which a header is looked for, and those that show what the columns hold
ZIP = b"PK\x03\x04"
MOST_TOLD = 60_000_000  # characters
LIMITS = {resource.RLIMIT_AS: 512 << 20, resource.RLIMIT_CPU: 20, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}


def main(path: str) -> None:
    for what, most in LIMITS.items():
        with suppress(ValueError, OSError):  # a system that does not know one has the others
            resource.setrlimit(what, (most, most))
    try:
        tell(path)
    except Refused as refused:
        say({"refused": refused.code, "where": refused.where})
    except (MemoryError, RecursionError):
        say({"refused": "inflated", "where": ""})


def tell(path: str) -> None:
    for sheet in _sheets(path):
        head = [[number, _short(values)] for number, values in islice(sheet.rows, HEAD)]
        say({"sheet": sheet.name, "is_1904": sheet.is_1904, "rows": head})
        sys.stdout.flush()
        if sys.stdin.readline().strip() == "rest":
            sys.stdout.writelines(_rest(sheet))
            break
    say({"end": True})


def _rest(sheet: Sheet) -> list[str]:
    """The further rows, a line each: all of them before the first is told, so that none is told of a bad sheet."""
    lines, size = [], 0
    for number, values in sheet.rows:
        lines.append(json.dumps([number, _short(values)]) + "\n")
        size += len(lines[-1])
        if size > MOST_TOLD:
            raise Refused("inflated")
    return lines


def _sheets(path: str) -> Iterator[Sheet]:
    with open(path, "rb") as file:
        is_zip = file.read(4) == ZIP
    if is_zip:
        return xlsx.sheets(path)
    from connectors.sources.workbook import xls  # only where it is needed: half of the time to start

    return xls.sheets(path)


def _short(values: list[Any]) -> list[Any]:
    return [value[:LONGEST] if isinstance(value, str) else value for value in values]


def say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
