"""Monthly bills, and the mood a tenant gave on one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _

from connectors.records import AliasSource, BadRecord, EventRecord, Kind, Source
from connectors.sources import cells, sheet

COLUMNS = ("账单号", "合同编号", "月份", "金额", "出账时间", "心情", "心情时间")
MOODS = {"": None, "😊": "good", "😐": "soso", "😞": "bad"}


def read(path: Path, mapping: sheet.Chosen | None = None) -> Iterator[EventRecord | BadRecord]:
    return sheet.read(path, "bills", _bill, mapping)


def _bill(line: int, row: cells.Row) -> Iterator[EventRecord]:
    number = cells.text(row, "账单号", most=100)
    who = (AliasSource.CONTRACT, cells.text(row, "合同编号", most=64))
    issued_at = cells.moment(row, "出账时间")
    facts = {"bill": number, "amount": str(cells.money(row, "金额", zero=True)), "month": _month(row)}
    yield EventRecord(line, Source.BILLS, f"{number}#issued", Kind.BILL_ISSUED, issued_at, who, None, facts)
    if mood := cells.choice(row, "心情", MOODS):
        at = cells.moment(row, "心情时间")
        if at < issued_at:
            raise cells.Problem("心情时间", _("is before the bill was issued"))
        said = {"bill": number, "mood": mood}
        yield EventRecord(line, Source.BILLS, f"{number}#mood", Kind.MOOD_GIVEN, at, who, None, said)


def _month(row: cells.Row) -> str:
    """2025-11, also from a day of that month, 2025/11, 2025年11月, 202511."""
    written = cells.text(row, "月份")
    match = re.match(r"(20\d\d)\s*[-/.年]?\s*(0[1-9]|1[0-2]|[1-9](?!\d))(?=\D|$|\d\d$)", written)
    if match is None:
        raise cells.Problem("月份", _("“%(value)s” is not a month such as 2025-11") % {"value": written})
    return f"{match[1]}-{int(match[2]):02}"
