"""The text a tenant agrees to: five plain lines, and the whole of it.

It is written in Chinese whatever language the page has: this is the text of the contract, and its hash is kept.
Amounts, first and last day are printed as they are stored, and so is every period with its rent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.conf import settings

from renewal import offers
from renewal.models import Proposal
from tenants.models import Perk, Tenant, Unit

# The name of these words, kept with each signature. Whoever changes a word below gives them a new name, and adds it
# to docs/signing.md; a test compares.
VERSION = "renewal-1"
VERSION_OF_SEVERAL = "renewal-1-several"


@dataclass(frozen=True, slots=True)
class Agreement:
    lines: tuple[tuple[str, str], ...]  # five: (label, plain sentence)
    text: str  # the whole
    version: str
    text_hash: str  # SHA-256 of `text`, hex


def draft(
    proposal: Proposal, signer: Tenant, quote: offers.Quote, *, today: date, others: Sequence[Tenant] = ()
) -> Agreement:
    """What `signer` would agree to today by accepting `quote`; signing on that day stores this very text.

    `others` are those who have to agree to it as well.
    """
    everybody = [signer, *others]
    names = "、".join(each.name for each in everybody)
    people = "；".join(f"{each.name}，预留手机号 {masked(each.phone)}" for each in everybody)
    bound = "全体承租方确认后生效，在此之前对任何一方都没有约束。" if others else ""
    lease = proposal.lease
    unit = Unit.objects.select_related("building").get(code=quote.unit)
    perk = Perk.objects.filter(code=quote.perk).first() if quote.perk else None
    lines = (
        ("谁", f"出租方{settings.OPERATOR_NAME}，承租方{names}。"),
        ("哪里", f"{unit.building.name} {unit.code}，{unit.room_type}，{unit.area} 平方米。"),
        (
            "多久",
            f"{_day(quote.first_day)}至 {_day(quote.last_day)}，共 {quote.term_months} 个月，首尾两日都算在内。",
        ),
        (
            "多少",
            f"月租 {_yuan(quote.monthly_rent)} 元{_free(quote)}；押金 {_yuan(quote.deposit)} 元{_deposit(quote)}。",
        ),
        ("怎样结束", "到期自然结束。想提前离开，请提前 30 天告知，双方商定后结束。"),
    )
    schedule = "\n".join(
        f"  第 {number} 期　{period.first_day} 至 {period.last_day}　"
        + (f"{_yuan(period.rent)} 元，{period.first_day} 或之前支付" if period.rent else "免租")
        for number, period in enumerate(offers.periods(quote), 1)
    )
    clauses = [
        f"出租方：{settings.OPERATOR_NAME}。承租方：{people}。",
        f"房屋：{unit.building.name}（{unit.building.address or '地址同原租约'}）{unit.code}，{unit.room_type}，"
        f"建筑面积 {unit.area} 平方米，{unit.floor} 层，仅供居住。",
        f"租期：自 {quote.first_day} 起至 {quote.last_day} 止，共 {quote.term_months} 个月，首尾两日均计入。"
        f"本租约续接合同 {lease.contract_no or lease.pk}（{lease.last_day} 到期），中间没有空档。",
        f"租金：每月 {_yuan(quote.monthly_rent)} 元{_free(quote)}，整个租期合计 {_yuan(quote.total)} 元。"
        f"租金取自 {today} 公布的价目表，同楼栋、同户型、同租期、同日签约者价格相同。各期如下：\n{schedule}",
        f"押金：{_yuan(quote.deposit)} 元{_deposit(quote)}。"
        f"退房交接完成之日起 {settings.DEPOSIT_RETURN_DAYS} 日内退还；"
        "可以扣除的只有未结清的租金和水电费，以及有凭据的损坏维修费用，扣除时列明明细。",
        "结束：租期届满自然结束。任何一方希望提前结束，应提前 30 天告知对方，双方商定后结束。",
        f"权益：{f'随本次续租赠送{perk.name}，条件为{perk.condition}' if perk else '本次未选择附加权益'}。",
        f"备案：出租方在签署后 {settings.FILING_DAYS} 日内办理住房租赁合同备案。",
        f"其他：本租约未写明的事项，沿用合同 {lease.contract_no or lease.pk} 的约定。",
        f"签署：{today}。承租方以发送至预留手机号的一次性验证码确认同意以上全部内容。{bound}",
    ]
    text = "房屋租赁续租协议\n\n" + "\n".join(f"{number}. {clause}" for number, clause in enumerate(clauses, 1)) + "\n"
    return Agreement(lines, text, VERSION_OF_SEVERAL if others else VERSION, hashlib.sha256(text.encode()).hexdigest())


def _day(day: date) -> str:
    return f"{day.year} 年 {day.month} 月 {day.day} 日"


def _yuan(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _free(quote: offers.Quote) -> str:
    return f"，租期最后 {quote.free_months} 个月免租" if quote.free_months else ""


def _deposit(quote: offers.Quote) -> str:
    if quote.deposit_difference > 0:
        return f"，原押金转入，另补 {_yuan(quote.deposit_difference)} 元"
    if quote.deposit_difference < 0:
        return f"，原押金转入，退还 {_yuan(-quote.deposit_difference)} 元"
    return "，由原押金转入，不用再交"


def masked(phone: str) -> str:
    """A number as the agreement shows it."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 7 else "（无）"
