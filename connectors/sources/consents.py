"""Consents as they were given or refused, with their proof."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from connectors.records import BadRecord, ConsentRecord
from connectors.sources import cells, sheet

COLUMNS = ("手机号", "用途", "渠道", "同意", "时间", "文本版本", "凭证")
PURPOSES = {"续租优惠": "marketing", "个性化": "profiling", "门锁记录": "door_logs", "入住调查": "surveys"}
CHANNELS = {"全部": "any", "手机": "phone", "短信": "sms", "微信": "wechat"}


def read(path: Path, mapping: sheet.Chosen | None = None) -> Iterator[ConsentRecord | BadRecord]:
    return sheet.read(path, "consents", _consent, mapping)


def _consent(line: int, row: cells.Row) -> Iterator[ConsentRecord]:
    yield ConsentRecord(
        line=line,
        phone=cells.phone(row, "手机号"),
        purpose=cells.choice(row, "用途", PURPOSES),
        channel=cells.choice(row, "渠道", CHANNELS),
        granted=cells.yes(row, "同意"),
        at=cells.moment(row, "时间"),
        text_version=cells.text(row, "文本版本", most=32),
        proof=cells.text(row, "凭证"),
    )
