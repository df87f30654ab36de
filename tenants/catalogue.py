"""The perk catalogue: what may be given, to whom it is open, what it costs us; every change stays on record.

A perk is a trade term: its condition is published and open to all who meet it. What was given keeps the cost at which
it was given, so that a later price changes no figure of the past.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tenants.models import Perk, PerkChange, User

CATALOGUE: list[dict[str, Any]] = [
    {
        "code": "care_line",
        "name": "专属客服通道",
        "condition": "租约到期前 30 天时，过去 12 个月内有过报修超过 6 小时才被接单",
        "cost": Decimal("0.00"),
        "has_voucher": False,
    },
    {
        "code": "homestay",
        "name": "民宿体验券",
        "condition": "续租 12 个月及以上可选，一晚",
        "cost": Decimal("280.00"),
        "stock": 200,
        "valid_days": 365,
        "min_term_months": 12,
        "is_choice": True,
    },
    {
        "code": "cleaning",
        "name": "保洁一次",
        "condition": "在住满 6 个月赠一次；续租 6 个月及以上可选",
        "cost": Decimal("120.00"),
        "valid_days": 365,
        "min_term_months": 6,
        "is_choice": True,
    },
    {
        "code": "first_choice",
        "name": "新房源优先选",
        "condition": "在住满 12 个月",
        "cost": Decimal("0.00"),
        "has_voucher": False,
    },
    {
        "code": "partner",
        "name": "社区合伙人分红",
        "condition": "在住满 2 年起，每满一年 200 元，凭券在一期账单中抵扣",
        "cost": Decimal("200.00"),
        "valid_days": 365,
    },
]
# What the form of a perk may say; `stock` is moved by `restock` alone.
FIELDS = (
    "name", "condition", "partner", "cost", "budget", "valid_days", "offered_from", "offered_to", "min_term_months",
    "is_choice", "has_voucher",
)  # fmt: skip
MOST = {"name": 80, "condition": 200, "partner": 80}
MOST_DAYS, MOST_MONTHS, MOST_STOCK = 3650, 60, 1_000_000
MOST_YUAN = Decimal(1_000_000)


class NotSaved(Exception):
    """What was typed cannot be kept; the message says why, `place` names the field."""

    def __init__(self, words: str, place: str = "") -> None:
        super().__init__(words)
        self.place = place


def ship() -> None:
    """Every perk of the catalogue exists; those that did stay as staff left them."""
    Perk.objects.bulk_create([Perk(**facts) for facts in CATALOGUE], ignore_conflicts=True)


def given(perk: Perk | None) -> dict[str, str]:
    """The form of a perk: {field: text}, empty for what is not limited; of a new one the form to begin with."""
    if perk is None:
        return {**dict.fromkeys(("code", *FIELDS), ""), "has_voucher": "1", "valid_days": "365"}
    return {"code": perk.code} | {name: _text(getattr(perk, name)) or "" for name in FIELDS}


def checked(form: dict[str, str]) -> dict[str, Any]:
    """The facts in a form. Raises `NotSaved`."""
    facts: dict[str, Any] = {name: form.get(name, "").strip() for name in MOST}
    for name, most in MOST.items():
        if len(facts[name]) > most:
            raise NotSaved(_("At most %(n)d characters.") % {"n": most}, name)
    if not facts["name"]:
        raise NotSaved(_("Please give it a name."), "name")
    if not facts["condition"]:
        raise NotSaved(_("Please say to whom it is open: the condition is published."), "condition")
    cost = _money(form, "cost")
    if cost is None:
        raise NotSaved(_("Please give an amount in yuan, such as 120 or 99.50."), "cost")
    facts |= {"cost": cost, "budget": _money(form, "budget")}
    facts["valid_days"] = _whole(form, "valid_days", MOST_DAYS)
    facts["min_term_months"] = _whole(form, "min_term_months", MOST_MONTHS)
    facts |= {name: _day(form, name) for name in ("offered_from", "offered_to")}
    if facts["offered_from"] and facts["offered_to"] and facts["offered_to"] < facts["offered_from"]:
        raise NotSaved(_("The last day comes before the first."), "offered_to")
    return facts | {name: form.get(name) == "1" for name in ("is_choice", "has_voucher")}


def add(code: str, facts: dict[str, Any], *, stock: int | None, by: User | None, now: datetime) -> Perk:
    """A new perk. Raises `NotSaved`."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,31}", code):
        raise NotSaved(_("A code is of small letters, digits and _, and begins with a letter."), "code")
    with transaction.atomic():
        perk, is_new = Perk.objects.get_or_create(code=code, defaults={**facts, "stock": stock})
        if not is_new:
            raise NotSaved(_("There is a perk of this code."), "code")
        said = {name: [None, _text(value)] for name, value in facts.items() if value not in ("", None)}
        PerkChange.objects.create(perk=perk, changes=said, added=stock or 0, by=by, at=now)
    return perk


@transaction.atomic
def change(pk: int, facts: dict[str, Any], *, why: str = "", by: User | None, now: datetime) -> Perk:
    """The perk is as `facts` say, with a line that says what it was; without a difference there is no line."""
    perk = Perk.objects.select_for_update().get(pk=pk)
    said = {
        name: [_text(getattr(perk, name)), _text(value)]
        for name, value in facts.items()
        if name in FIELDS and getattr(perk, name) != value
    }
    if said:
        for name in said:
            setattr(perk, name, facts[name])
        perk.save(update_fields=list(said))
        PerkChange.objects.create(perk=perk, changes=said, why=why.strip()[:200], by=by, at=now)
    return perk


@transaction.atomic
def restock(pk: int, *, added: int | None, why: str, by: User | None, now: datetime) -> Perk:
    """So many more are there to give (fewer, below zero); `added` None: from now on not limited. Raises `NotSaved`.

    Of a perk that was not limited the stock begins with what is added, less those that are kept for somebody.
    """
    why = why.strip()[:200]
    if not why:
        raise NotSaved(_("Please say why, for whoever reads the history."), "why")
    perk = Perk.objects.select_for_update().get(pk=pk)
    was = perk.stock
    kept = perk.aside if was is None else 0  # of a limited stock they have been taken
    left = None if added is None else (was or 0) + added - kept
    if left is not None and left < 0 and kept:
        raise NotSaved(
            ngettext(
                "%(n)d is kept for agreements that are being signed: the stock begins with as many at least.",
                "%(n)d are kept for agreements that are being signed: the stock begins with as many at least.",
                kept,
            )
            % {"n": kept},
            "added",
        )
    if left is not None and not 0 <= left <= MOST_STOCK:
        raise NotSaved(_("Only %(n)d are left to take out.") % {"n": was or 0}, "added")
    if left == was:
        raise NotSaved(_("Please say how many."), "added")
    perk.stock = left
    perk.save(update_fields=["stock"])
    moved = (left or 0) - (was or 0) if None not in (left, was) else 0
    said = {} if None not in (left, was) else {"stock": [_text(was), _text(left)]}
    PerkChange.objects.create(perk=perk, changes=said, added=moved, why=why, by=by, at=now)
    return perk


def history(perk: Perk) -> list[PerkChange]:
    """What was changed, the latest first."""
    return list(PerkChange.objects.filter(perk=perk).select_related("by").order_by("-at", "-pk"))


def whole(text: str, most: int = MOST_STOCK) -> int | None:
    """A whole number as it was typed, with its sign; None where there is none, or one beyond `most`."""
    text = text.strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,7}", text):
        return None
    return int(text) if abs(int(text)) <= most else None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else ""
    return value.isoformat() if isinstance(value, date) else str(value)


def _money(form: dict[str, str], name: str) -> Decimal | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        if not re.fullmatch(r"[0-9]{1,8}(\.[0-9]{1,2})?", text):
            raise InvalidOperation
        amount = Decimal(text).quantize(Decimal("0.01"))
    except InvalidOperation:
        raise NotSaved(_("Please give an amount in yuan, such as 120 or 99.50."), name) from None
    if amount > MOST_YUAN:
        raise NotSaved(_("At most %(n)s yuan.") % {"n": MOST_YUAN}, name)
    return amount


def _whole(form: dict[str, str], name: str, most: int) -> int | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    number = whole(text, most)
    if number is None or number < 1:
        raise NotSaved(_("Please give a whole number from 1 to %(n)d, or leave it empty.") % {"n": most}, name)
    return number


def _day(form: dict[str, str], name: str) -> date | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotSaved(_("Please give a day, such as 2026-01-31."), name) from None
