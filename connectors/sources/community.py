"""The community group's book: activities, posts, and announcements about a building."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _

from connectors.records import AliasSource, AnnouncementRecord, BadRecord, EventRecord, Kind, Source
from connectors.sources import cells, sheet

COLUMNS = ("类型", "编号", "社群号", "时间", "主题", "内容", "楼栋编号", "截止日期", "负责人")
ANNOUNCEMENT = "公告"
KINDS = {"活动": Kind.COMMUNITY_JOINED, "发言": Kind.COMMUNITY_POSTED, ANNOUNCEMENT: None}


def read(path: Path, mapping: sheet.Chosen | None = None) -> Iterator[EventRecord | AnnouncementRecord | BadRecord]:
    return sheet.read(path, "community", _entry, mapping)


def _entry(line: int, row: cells.Row) -> Iterator[EventRecord | AnnouncementRecord]:
    kind = cells.choice(row, "类型", KINDS)
    if kind is None:
        yield _announcement(line, row)
        return
    topic = cells.optional(row, "主题")
    yield EventRecord(
        line=line,
        source=Source.COMMUNITY,
        source_id=cells.text(row, "编号", most=128),
        kind=kind,
        at=cells.moment(row, "时间"),
        who=(AliasSource.COMMUNITY, cells.text(row, "社群号", most=128)),
        where=None,
        # What was said in the group is not kept: no figure and no rule needs it.
        data={"activity": topic} if kind == Kind.COMMUNITY_JOINED else {"group": topic},
    )


def _announcement(line: int, row: cells.Row) -> AnnouncementRecord:
    record = AnnouncementRecord(
        line=line,
        code=cells.text(row, "编号", most=32),
        building=cells.text(row, "楼栋编号", most=16),
        topic=cells.text(row, "主题", most=32),
        text=cells.text(row, "内容", most=300),
        on=cells.moment(row, "时间").astimezone(cells.SHANGHAI).date(),
        until=cells.day(row, "截止日期"),
        owner=cells.text(row, "负责人", most=150),
    )
    if record.until < record.on:
        raise cells.Problem("截止日期", _("is before the announced day"))
    return record
