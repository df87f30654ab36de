"""How a row of a handed-in file is read aloud: what it is about, the rest of its cells, and which of them matters."""

from __future__ import annotations

import json
import re
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import Source
from connectors.sources import idcards
from renewal.preview import Kind, Row
from renewal.standing import Cells

# What a row is called by, and what of a new one is worth a look before all else.
TITLES: dict[str, tuple[str, ...]] = {
    Source.UNITS: ("房源编号", "户型"),
    Source.CONTRACTS: ("合同编号", "租客姓名", "房源编号"),
    Source.RATES: ("楼栋编号", "户型", "租期月数", "免租月数"),
    Source.CONSENTS: ("手机号", "用途", "渠道"),
    Source.TICKETS: ("报修单号", "房源编号", "报修类型"),
    Source.COMMUNITY: ("类型", "编号", "主题"),
    Source.PAYMENTS: ("流水号", "合同编号", "项目"),
    Source.BILLS: ("账单号", "合同编号", "月份"),
    Source.STAFF: ("姓名", "账号", "角色"),
    Source.APP: ("账号", "事件"),
    Source.IOT: ("设备", "读数"),
}
FACTS: dict[str, tuple[str, ...]] = {
    Source.UNITS: ("楼栋编号", "楼层", "面积", "挂牌月租"),
    Source.CONTRACTS: ("起租日期", "到期日期", "月租金"),
    Source.RATES: ("月租金", "签约起", "签约止"),
    Source.CONSENTS: ("同意", "时间", "凭证"),
    Source.TICKETS: ("报修时间", "接单时间", "完成时间"),
    Source.COMMUNITY: ("时间", "社群号", "楼栋编号"),
    Source.PAYMENTS: ("金额", "支付时间"),
    Source.BILLS: ("金额", "出账时间", "心情"),
    Source.STAFF: ("手机号", "楼栋", "技能", "班次", "企业微信账号"),
    Source.APP: ("时间", "编号"),
    Source.IOT: ("时间", "编号"),
}
HASH = re.compile("·[0-9a-f]{64}")
UNITS_OF = {"租期月数": "%s 个月", "免租月数": "免 %s 个月"}


def safe(text: str) -> str:
    """The text with no more of an identity number than its last four digits."""
    return HASH.sub("", idcards.mask_in(text))


def describe(source: str, row: Row, cells: Cells) -> dict[str, Any]:
    """The parts of a row's line on the page."""
    cells = {name: safe(value) for name, value in cells.items() if value}
    if "line" in cells:
        cells = _of_line(source, cells["line"])
    named = [UNITS_OF.get(name, "%s") % cells[name] for name in TITLES[source] if name in cells]
    if source == Source.RATES and cells.get("免租月数") == "0":
        named.pop()
    return {
        "title": " · ".join(named) or _("row %(line)s") % {"line": row.line},
        "facts": [(name, cells[name]) for name in FACTS[source] if name in cells] if row.kind == Kind.NEW else [],
        "wrong": cells.get(row.column, "") if row.column else "",
        "cells": list(cells.items()),
    }


def _of_line(source: str, line: str) -> Cells:
    """A line of JSON as cells. Of a door nothing is shown: openings are never looked at one by one."""
    if source == Source.IOT and '"open"' in line:
        return {"设备": _("a door's record"), "读数": _("not shown one by one")}
    try:
        call = json.loads(line)
    except (ValueError, RecursionError):
        call = None
    if not isinstance(call, dict):
        return {"内容": line[:200]}
    if source == Source.IOT:
        topic = str(call.get("topic", "")).split("/")
        cells = {
            "设备": topic[3] if len(topic) > 3 else "",
            "读数": f"{call.get('metric', '')} {call.get('value', '')} {call.get('unit', '')}".strip(),
            "时间": call.get("ts"),
            "编号": call.get("id"),
        }
    else:
        cells = {
            "账号": call.get("userId") or call.get("anonymousId"),
            "事件": call.get("event") or call.get("name") or call.get("type"),
            "时间": call.get("timestamp"),
            "编号": call.get("messageId"),
        }
    return {name: str(value)[:120] for name, value in cells.items() if value}
