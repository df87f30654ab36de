"""The inventory: buildings, flats, units and their devices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from connectors.records import BadRecord, UnitRecord
from connectors.sources import cells, sheet

COLUMNS = (
    "楼栋编号", "楼栋名称", "地址", "纬度", "经度", "物联网", "套", "房源编号", "户型", "楼层", "面积", "挂牌月租",
    "门锁编号", "电表编号", "水表编号",
)  # fmt: skip
DEVICES = {"门锁编号": "lock", "电表编号": "power", "水表编号": "water"}


def read(path: Path, mapping: sheet.Chosen | None = None) -> Iterator[UnitRecord | BadRecord]:
    return sheet.read(path, "units", _unit, mapping)


def _unit(line: int, row: cells.Row) -> Iterator[UnitRecord]:
    devices = [(cells.optional(row, column, most=64), what) for column, what in DEVICES.items()]
    yield UnitRecord(
        line=line,
        building=cells.text(row, "楼栋编号", most=16),
        building_name=cells.optional(row, "楼栋名称", most=80) or cells.text(row, "楼栋编号", most=16),
        address=cells.optional(row, "地址"),
        latitude=cells.degrees(row, "纬度", most=90),
        longitude=cells.degrees(row, "经度", most=180),
        has_iot=cells.yes(row, "物联网") if cells.optional(row, "物联网") else any(ref for ref, _what in devices),
        flat=cells.optional(row, "套", most=32) or cells.text(row, "房源编号", most=32),
        unit=cells.text(row, "房源编号", most=32),
        room_type=cells.text(row, "户型", most=32),
        floor=cells.whole(row, "楼层", least=-9, most=200),
        area=cells.decimal(row, "面积"),
        list_rent=cells.money(row, "挂牌月租"),
        devices=tuple((ref, what) for ref, what in devices if ref),
    )
