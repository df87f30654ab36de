"""Payments of rent and utilities."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from connectors.records import AliasSource, BadRecord, EventRecord, Kind, Source
from connectors.sources import cells, sheet

COLUMNS = ("流水号", "合同编号", "项目", "金额", "应付日", "支付时间")
ITEMS = {"房租": "rent", "水电": "utility"}
OTHER_ITEMS = {"租金": "房租", "月租金": "房租", "水费": "水电", "电费": "水电", "水电费": "水电", "能耗费": "水电"}


def read(path: Path, mapping: sheet.Chosen | None = None) -> Iterator[EventRecord | BadRecord]:
    return sheet.read(path, "payments", _payment, mapping)


def _payment(line: int, row: cells.Row) -> Iterator[EventRecord]:
    yield EventRecord(
        line=line,
        source=Source.PAYMENTS,
        source_id=cells.text(row, "流水号", most=128),
        kind=Kind.PAYMENT_MADE,
        at=cells.moment(row, "支付时间"),
        who=(AliasSource.CONTRACT, cells.text(row, "合同编号", most=64)),
        where=None,
        data={
            "item": cells.choice(row, "项目", ITEMS, OTHER_ITEMS),
            "amount": str(cells.money(row, "金额")),
            "due_on": cells.day(row, "应付日").isoformat(),
        },
    )
