"""Files of refused rows, which open in a spreadsheet and, once corrected, can be loaded as they are."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import BadRecord
from renewal import embedded


def write_table(columns: Sequence[str], refused: Iterable[BadRecord], *, name: str) -> Path:
    """A table of the refused rows stands in the folder of quarantine."""
    path = new_file(f"{name}.csv")
    with path.open("w", encoding="utf-8-sig", newline="") as text:
        table = csv.writer(text)
        table.writerow([_("row"), _("reason"), *columns])
        for bad in refused:
            table.writerow([bad.line, bad.reason, *(_cell(bad.raw.get(column, "")) for column in columns)])
    return path


def new_file(name: str) -> Path:
    """An empty file of that name in the folder of quarantine, which nobody else may read."""
    folder = embedded.data_dir() / "quarantine"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    return path


def _cell(value: Any) -> str:
    """No cell is a formula to a spreadsheet: what begins like one is marked as text, and read back without the mark."""
    text = str(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text
