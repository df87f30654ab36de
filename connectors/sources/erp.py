"""Contracts as the ERP exports them: one row per revision."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import BadRecord, ContractRecord, CoTenant
from connectors.sources import cells, idcards, sheet

COLUMNS = (
    "合同编号", "版本", "房源编号", "租客姓名", "手机号", "签约日期", "起租日期", "到期日期", "月租金", "押金",
    "计租日", "合同状态", "续签自", "提前终止日期", "终止方", "终止约定日期", "App账号", "社群号",
)  # fmt: skip
# A file need not have these. Where the column of co-tenants is missing, it says nothing of them.
OPTIONAL = ("同住人", "身份证号", "微信openid", "快递柜账号")
MOST_COTENANTS = 9
STATES = {"已签": "signed", "作废": "void"}
# What other software calls a contract that was signed, whatever became of it since; its days say when it ended.
OTHER_STATES = {
    **dict.fromkeys(
        ("", "已签约", "已签署", "已生效", "生效", "生效中", "执行中", "履行中", "在租", "在租中", "租赁中", "正常",
         "有效", "已入住", "已续租", "已续签", "已到期", "到期", "即将到期", "已结束", "已完成"), "已签"),
    **dict.fromkeys(("已作废", "已取消", "取消", "无效", "撤销", "已撤销"), "作废"),
}  # fmt: skip
# These say that it ended early, so its row must say when: else a lease would stand that nobody lives in.
ENDED = {"已退租", "退租", "已终止", "提前终止", "提前退租", "已解约", "解约", "已退房"}


def read(path: Path, mapping: sheet.Chosen | None = None) -> Iterator[ContractRecord | BadRecord]:
    return sheet.read(path, "contracts", _contract, mapping)


def _contract(line: int, row: cells.Row) -> Iterator[ContractRecord]:
    first_day = cells.day(row, "起租日期")
    record = ContractRecord(
        line=line,
        contract_no=cells.text(row, "合同编号", most=64),
        # 0: the file does not count revisions; tenants/revisions.py does.
        revision=cells.whole(row, "版本", least=1, most=9999) if cells.optional(row, "版本") else 0,
        unit=cells.text(row, "房源编号", most=32),
        tenant_name=cells.text(row, "租客姓名", most=80),
        phone=cells.phone(row, "手机号"),
        signed_on=cells.optional_day(row, "签约日期") or first_day,
        first_day=first_day,
        last_day=cells.day(row, "到期日期"),
        monthly_rent=cells.money(row, "月租金"),
        deposit=cells.money(row, "押金", zero=True),
        anchor_day=cells.whole(row, "计租日", least=1, most=31) if cells.optional(row, "计租日") else first_day.day,
        state=_state(row),
        renews=cells.optional(row, "续签自", most=64) or None,
        ended_on=cells.optional_day(row, "提前终止日期"),
        ended_by=cells.choice(row, "终止方", {"": "", "租客": "tenant", "运营方": "operator"}),
        ended_agreed_on=cells.optional_day(row, "终止约定日期"),
        app_user=cells.optional(row, "App账号", most=128) or None,
        community_member=cells.optional(row, "社群号", most=128) or None,
        id_hash=idcards.read(row, "身份证号"),
        wechat=cells.optional(row, "微信openid", most=128) or None,
        locker=cells.optional(row, "快递柜账号", most=128) or None,
        cotenants=_cotenants(row, "同住人") if "同住人" in row else None,
    )
    _make_sense(record)
    yield record


def _state(row: cells.Row) -> str:
    word = cells.optional(row, "合同状态")
    if word in ENDED:
        if not cells.optional(row, "提前终止日期"):
            raise cells.Problem("提前终止日期", _("is empty, although the contract is “%(state)s”") % {"state": word})
        return "signed"
    return cells.choice(row, "合同状态", STATES, OTHER_STATES)


def _make_sense(record: ContractRecord) -> None:
    """Raise `cells.Problem` where each cell can be read but the row as a whole cannot be true."""
    first, last, ended = record.first_day, record.last_day, record.ended_on
    if last < first:
        raise cells.Problem(
            "到期日期", _("%(last)s is before the first day %(first)s") % {"last": last, "first": first}
        )
    if last.year - first.year > 20:
        # 民法典 705
        raise cells.Problem("到期日期", _("a lease of more than 20 years is not lawful"))
    if record.renews == record.contract_no:
        raise cells.Problem("续签自", _("a contract cannot renew itself"))
    if ended and not first <= ended <= last:
        raise cells.Problem("提前终止日期", _("%(ended)s is not within the lease") % {"ended": ended})
    if ended and not record.ended_by:
        raise cells.Problem("终止方", _("is empty, although the lease ended early"))
    _tell_apart(record)


def _cotenants(row: cells.Row, column: str) -> tuple[CoTenant, ...]:
    """“王敏 10012345678；李响 10012345679”: each with a phone, and with the identity number after it if known."""
    found = []
    for part in re.split(r"[；;\n]", cells.optional(row, column, most=800)):
        if not part.strip():
            continue
        match = re.fullmatch(r"(\D{1,80}?)[\s:：,，]*(1\d{10})(?:[\s,，]+(\S+))?", part.strip())
        if match is None:
            raise cells.Problem(column, _("write each as name, mobile number, separated by ；"))
        number = match[3]
        found.append(CoTenant(match[1].strip(), match[2], idcards.hashed(number, column) if number else None))
    if len(found) > MOST_COTENANTS:
        raise cells.Problem(column, _("more than %(most)s people") % {"most": MOST_COTENANTS})
    return tuple(found)


def _tell_apart(record: ContractRecord) -> None:
    """Raise `cells.Problem` where two people of one contract could not be told apart."""
    people = [(record.tenant_name, record.phone, record.id_hash)]
    people += [(other.name, other.phone, other.id_hash) for other in record.cotenants or ()]
    for what in zip(*people, strict=True):
        said = [value for value in what if value]
        if len(said) != len(set(said)):
            raise cells.Problem("同住人", _("two people of one contract have the same name, phone or identity number"))


def masked(raw: dict[str, Any]) -> dict[str, Any]:
    """The row as quarantine may keep it: of an identity card's number its end, and its hash where it is a good one."""
    kept = COLUMNS
    return {name: value if name in kept else idcards.mask_in(str(value)) for name, value in raw.items()}
