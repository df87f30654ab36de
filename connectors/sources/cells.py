"""What stands in a cell, as a value: or one sentence a clerk understands about why not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from connectors.records import NUL_SIGN

SHANGHAI = ZoneInfo("Asia/Shanghai")
Row = Mapping[str, Any]  # column → what stands there: text from a CSV, a typed value from a workbook
T = TypeVar("T")

# Full-width digits and letters, odd spaces and marks nobody sees are ways of typing, not other meanings.
WIDE = [code for code in range(0xFF01, 0xFF5F) if chr(code - 0xFEE0).isalnum()]
NARROW = {code: code - 0xFEE0 for code in WIDE} | {0x3000: " ", 0xA0: " ", 0x200B: None, 0x200D: None, 0xFEFF: None}
CONTROL = re.compile(f"[{NUL_SIGN}\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Problem(ValueError):
    """A cell cannot be used; the message names the column and what is wrong with it."""

    def __init__(self, column: str, complaint: str) -> None:
        super().__init__(_("%(column)s: %(complaint)s") % {"column": column, "complaint": complaint})
        self.column = column


def as_text(value: Any) -> str:
    """The cell as a person reads it: 13800000000.0 is 13800000000, a date is written year first."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, datetime):
        return (
            value.isoformat(sep=" ") if value.time().replace(tzinfo=None) != datetime.min.time() else str(value.date())
        )
    return str(value).translate(NARROW).strip()


def optional(row: Row, column: str, *, most: int = 200) -> str:
    """The cell's text; empty when nothing stands there."""
    text = as_text(row.get(column))
    if text[:1] == "'" and text[1:2] and text[1] in "=+-@":
        text = text[1:]  # the mark by which a spreadsheet is told that this is no formula
    if len(text) > most:
        raise Problem(column, _("longer than %(most)s characters") % {"most": most})
    if CONTROL.search(text):
        raise Problem(column, _("contains characters that cannot be stored"))
    return text


def text(row: Row, column: str, *, most: int = 200) -> str:
    found = optional(row, column, most=most)
    if not found:
        raise Problem(column, _("is empty"))
    return found


def choice(row: Row, column: str, words: Mapping[str, T]) -> T:
    """What the cell's word means, of the words this column may hold."""
    found = optional(row, column)
    if found not in words:
        known = "、".join(word for word in words if word)
        complaint = _("“%(value)s” is none of %(known)s") % {"value": found, "known": known}
        raise Problem(column, complaint if found else _("is empty"))
    return words[found]


def yes(row: Row, column: str) -> bool:
    return choice(row, column, {"是": True, "否": False})


def phone(row: Row, column: str, *, required: bool = True) -> str:
    found = (text if required else optional)(row, column)
    if found and not re.fullmatch(r"1[0-9]{10}", found):
        raise Problem(column, _("“%(value)s” is not a mobile number of eleven digits") % {"value": found})
    return found


def day(row: Row, column: str) -> date:
    found = optional_day(row, column)
    if found is None:
        raise Problem(column, _("is empty"))
    return found


def optional_day(row: Row, column: str) -> date | None:
    value = row.get(column)
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    found = optional(row, column)
    if not found:
        return None
    if match := re.fullmatch(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})", found):
        try:
            return date(*map(int, match.groups()))
        except ValueError:
            pass
    raise Problem(column, _("“%(value)s” is not a date such as 2025-11-30") % {"value": found})


def moment(row: Row, column: str) -> datetime:
    found = optional_moment(row, column)
    if found is None:
        raise Problem(column, _("is empty"))
    return found


def optional_moment(row: Row, column: str) -> datetime | None:
    """A point in time; one without an offset is Shanghai's."""
    value = row.get(column)
    if not isinstance(value, datetime):
        found = optional(row, column)
        if not found:
            return None
        try:
            value = datetime.fromisoformat(found)
        except ValueError:
            complaint = _("“%(value)s” is not a time such as 2025-11-30 21:14") % {"value": found}
            raise Problem(column, complaint) from None
    if value.tzinfo is None:
        value = value.replace(tzinfo=SHANGHAI)
    if not 2000 <= value.year <= 2100:
        raise Problem(column, _("the year %(year)s cannot be right") % {"year": value.year})
    return value


def decimal(row: Row, column: str, *, places: int = 2) -> Decimal:
    found = text(row, column)
    try:
        number = Decimal(found)
    except InvalidOperation:
        raise Problem(column, _("“%(value)s” is not a number") % {"value": found}) from None
    if not number.is_finite() or abs(number) >= 100_000_000:
        raise Problem(column, _("“%(value)s” cannot be right") % {"value": found})
    if number != round(number, places):
        raise Problem(column, _("more than %(places)s decimal places") % {"places": places})
    return round(number, places)


def money(row: Row, column: str, *, zero: bool = False) -> Decimal:
    """An amount in yuan with at most two places, above nought unless `zero` is lawful."""
    amount = decimal(row, column)
    if amount < 0 or (amount == 0 and not zero):
        raise Problem(column, _("the amount %(amount)s cannot be right") % {"amount": amount})
    return amount


def whole(row: Row, column: str, *, least: int, most: int) -> int:
    found = text(row, column)
    if not re.fullmatch(r"-?\d{1,9}", found) or not least <= int(found) <= most:
        limits = {"value": found, "least": least, "most": most}
        raise Problem(column, _("“%(value)s” is not a whole number from %(least)s to %(most)s") % limits)
    return int(found)


def degrees(row: Row, column: str, *, most: int) -> float:
    return float(_within(decimal(row, column, places=8), column, most))


def _within(number: Decimal, column: str, most: int) -> Decimal:
    if abs(number) > most:
        raise Problem(column, _("“%(value)s” cannot be right") % {"value": number})
    return number
