"""Repair tickets: one row tells up to five events, as far as the ticket has come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import AliasSource, BadRecord, EventRecord, Kind, Source
from connectors.sources import cells, sheet

COLUMNS = (
    "报修单号", "渠道", "房源编号", "手机号", "报修类型", "内容", "报修时间", "接单时间", "到场时间", "完成时间",
    "维修人", "评分",
)  # fmt: skip
CHANNELS = {"App": "app", "公众号": "wechat", "微信群": "group", "前台": "desk", "电话": "phone"}
CATEGORIES = {
    "漏水": "water", "电路": "power", "空调": "air", "门锁": "lock", "网络": "network", "快递错柜": "parcel",
    "其他": "other",
}  # fmt: skip
OTHER_CHANNELS = {"APP": "App", "小程序": "App", "微信": "公众号", "微信公众号": "公众号", "群": "微信群",
                  "来电": "电话",
                  "管家": "前台", "现场": "前台"}  # fmt: skip
OTHER_CATEGORIES = {"水": "漏水", "水路": "漏水", "水管": "漏水", "电": "电路", "电器": "其他", "照明": "电路",
                    "制冷": "空调",
                    "锁": "门锁", "智能锁": "门锁", "宽带": "网络", "快递": "快递错柜", "其它": "其他"}  # fmt: skip
STEPS = ("报修时间", "接单时间", "到场时间", "完成时间")


def read(path: Path, mapping: sheet.Chosen | None = None) -> Iterator[EventRecord | BadRecord]:
    return sheet.read(path, "tickets", _ticket, mapping)


def _ticket(line: int, row: cells.Row) -> Iterator[EventRecord]:
    ticket = cells.text(row, "报修单号", most=100)
    phone = cells.phone(row, "手机号", required=False)
    unit = cells.optional(row, "房源编号", most=32)
    if not phone and not unit:
        raise cells.Problem("房源编号", _("neither the unit nor the phone number is given"))
    who = (AliasSource.PHONE, phone) if phone else None
    where = (AliasSource.UNIT, unit) if unit else None
    reported_at = cells.moment(row, "报修时间")
    times = {step: cells.optional_moment(row, step) for step in STEPS}
    _in_order(times)

    def event(step: str, kind: Kind, at: datetime, **facts: Any) -> EventRecord:
        data = {"ticket": ticket, **facts}
        return EventRecord(line, Source.TICKETS, f"{ticket}#{step}", kind, at, who, where, data)

    yield event(
        "reported",
        Kind.TICKET_REPORTED,
        reported_at,
        category=cells.choice(row, "报修类型", CATEGORIES, OTHER_CATEGORIES),
        channel=cells.choice(row, "渠道", CHANNELS, OTHER_CHANNELS) if cells.optional(row, "渠道") else "",
        text=cells.optional(row, "内容", most=2000),
    )
    if at := times["接单时间"]:
        yield event("accepted", Kind.TICKET_ACCEPTED, at, technician=cells.text(row, "维修人", most=150))
    if at := times["到场时间"]:
        yield event("arrived", Kind.TICKET_ARRIVED, at)
    finished_at = times["完成时间"]
    if finished_at:
        yield event("finished", Kind.TICKET_FINISHED, finished_at)
    if cells.optional(row, "评分"):
        if not finished_at:
            raise cells.Problem("评分", _("is given, although the work is not finished"))
        # The export does not say when the rating was given; it cannot be before the work was done.
        yield event("rated", Kind.TICKET_RATED, finished_at, score=cells.whole(row, "评分", least=1, most=5))


def _in_order(times: dict[str, datetime | None]) -> None:
    known = [(step, at) for step, at in times.items() if at]
    for (before, earlier), (step, later) in pairwise(known):
        if later < earlier:
            raise cells.Problem(step, _("is before %(step)s") % {"step": before})
