"""Contracts as the ERP exports them: one row per revision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _

from connectors.records import BadRecord, ContractRecord
from connectors.sources import cells, sheet

COLUMNS = (
    "合同编号", "版本", "房源编号", "租客姓名", "手机号", "签约日期", "起租日期", "到期日期", "月租金", "押金",
    "计租日", "合同状态", "续签自", "提前终止日期", "终止方", "终止约定日期", "App账号", "社群号",
)  # fmt: skip


def read(path: Path) -> Iterator[ContractRecord | BadRecord]:
    return sheet.read(path, COLUMNS, _contract)


def _contract(line: int, row: cells.Row) -> Iterator[ContractRecord]:
    record = ContractRecord(
        line=line,
        contract_no=cells.text(row, "合同编号", most=64),
        revision=cells.whole(row, "版本", least=1, most=9999),
        unit=cells.text(row, "房源编号", most=32),
        tenant_name=cells.text(row, "租客姓名", most=80),
        phone=cells.phone(row, "手机号"),
        signed_on=cells.day(row, "签约日期"),
        first_day=cells.day(row, "起租日期"),
        last_day=cells.day(row, "到期日期"),
        monthly_rent=cells.money(row, "月租金"),
        deposit=cells.money(row, "押金", zero=True),
        anchor_day=cells.whole(row, "计租日", least=1, most=31),
        state=cells.choice(row, "合同状态", {"已签": "signed", "作废": "void"}),
        renews=cells.optional(row, "续签自", most=64) or None,
        ended_on=cells.optional_day(row, "提前终止日期"),
        ended_by=cells.choice(row, "终止方", {"": "", "租客": "tenant", "运营方": "operator"}),
        ended_agreed_on=cells.optional_day(row, "终止约定日期"),
        app_user=cells.optional(row, "App账号", most=128) or None,
        community_member=cells.optional(row, "社群号", most=128) or None,
    )
    _make_sense(record)
    yield record


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
