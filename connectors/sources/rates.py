"""The published rate card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _

from connectors.records import BadRecord, RateRecord
from connectors.sources import cells, sheet

COLUMNS = ("楼栋编号", "户型", "租期月数", "免租月数", "月租金", "签约起", "签约止")


def read(path: Path, mapping: sheet.Chosen | None = None) -> Iterator[RateRecord | BadRecord]:
    return sheet.read(path, "rates", _rate, mapping)


def _rate(line: int, row: cells.Row) -> Iterator[RateRecord]:
    record = RateRecord(
        line=line,
        building=cells.text(row, "楼栋编号", most=16),
        room_type=cells.text(row, "户型", most=32),
        term_months=cells.whole(row, "租期月数", least=1, most=60),
        free_months=cells.whole(row, "免租月数", least=0, most=12) if cells.optional(row, "免租月数") else 0,
        monthly_rent=cells.money(row, "月租金"),
        signed_from=cells.day(row, "签约起"),
        signed_to=cells.day(row, "签约止"),
    )
    if record.signed_to < record.signed_from:
        raise cells.Problem("签约止", _("is before the first signing day"))
    if record.free_months >= record.term_months:
        raise cells.Problem("免租月数", _("leaves no month to pay for"))
    yield record
