"""The staff: roles, buildings, skills and shifts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _

from connectors.records import WECOM_ID, BadRecord, StaffRecord
from connectors.sources import cells, sheet

COLUMNS = ("账号", "姓名", "手机号", "角色", "楼栋", "技能", "班次")
OPTIONAL = ("企业微信账号",)
ROLES = {"维修": "technician", "管家": "care", "店长": "manager", "财务": "finance", "总部": "hq"}
SKILLS = {"水": "water", "电": "power", "空调": "air", "门锁": "lock", "网络": "network", "其他": "other"}
SKILLS |= {english: english for english in SKILLS.values()} | {"水路": "water", "电路": "power", "漏水": "water"}
SHIFT = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d")


def read(path: Path, mapping: sheet.Chosen | None = None) -> Iterator[StaffRecord | BadRecord]:
    return sheet.read(path, "staff", _person, mapping)


def _person(line: int, row: cells.Row) -> Iterator[StaffRecord]:
    shift = cells.optional(row, "班次")
    if shift and not SHIFT.fullmatch(shift):
        raise cells.Problem("班次", _("“%(value)s” is not a shift such as 08:00-20:00") % {"value": shift})
    wecom_id = cells.optional(row, "企业微信账号")
    if wecom_id and not WECOM_ID.fullmatch(wecom_id):
        raise cells.Problem("企业微信账号", _("“%(value)s” is not an account of WeCom") % {"value": wecom_id})
    yield StaffRecord(
        line=line,
        username=cells.text(row, "账号", most=150),
        name=cells.text(row, "姓名", most=80),
        phone=cells.phone(row, "手机号"),
        role=cells.choice(row, "角色", ROLES),
        buildings=_parts(row, "楼栋"),
        skills=tuple(cells.choice({"技能": skill}, "技能", SKILLS) for skill in _parts(row, "技能")),
        shift=shift,
        wecom_id=wecom_id,
    )


def _parts(row: cells.Row, column: str) -> tuple[str, ...]:
    """What stands between the semicolons, each once and in the order it came."""
    parts = re.split("[;；]", cells.optional(row, column))
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
