"""What stands in a cell, as a value: or one sentence a clerk understands about why not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from connectors.records import NUL_SIGN
from connectors.sources import dates

SHANGHAI = ZoneInfo("Asia/Shanghai")
Row = Mapping[str, Any]  # column → what stands there: text from a CSV, a typed value from a workbook
T = TypeVar("T")

# Full-width digits and letters, odd spaces and marks nobody sees are ways of typing, not other meanings.
WIDE = [code for code in range(0xFF01, 0xFF5F) if chr(code - 0xFEE0).isalnum()]
NARROW = {code: code - 0xFEE0 for code in WIDE} | {0x3000: " ", 0xA0: " ", 0x200B: None, 0x200D: None, 0xFEFF: None}
# What a spreadsheet may take for a formula, also after blanks; a mark in front says that it is text.
FORMULA = re.compile(r"\s*[=+\-@＝＋－＠\t\r\n]")
MARKED = re.compile(r"'(?=\s*[=+\-@＝＋－＠]|\d+\s*$)")
NO_RESULT = "#NO-RESULT!"
ERRORS = frozenset({
    "#REF!", "#N/A", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA", NO_RESULT
})  # fmt: skip
YES_NO = {
    "有": "是",
    "无": "否",
    "同意": "是",
    "不同意": "否",
    "拒绝": "否",
    "Y": "是",
    "N": "否",
    "1": "是",
    "0": "否",
}
EMPTY: Mapping[str, str] = {}
NUMBERS = {int, float}  # as a workbook has them; a bool is none
KEPT = 10**15  # a spreadsheet keeps fifteen digits of a number; what follows is made up
CONTROL = re.compile(f"[{NUL_SIGN}\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Problem(ValueError):
    """A cell cannot be used; the message names the column and what is wrong with it."""

    def __init__(self, column: str, complaint: str, *, is_cell: bool = True) -> None:
        super().__init__(_("%(column)s: %(complaint)s") % {"column": column, "complaint": complaint})
        self.column = column if is_cell else ""  # the whole row may be wrong


class Line(dict[Any, Any]):
    """A row of a table. `is_1904`: a bare number in it that means a day counts from 1904."""

    is_1904 = False


@dataclass(frozen=True, slots=True)
class Broken:
    """A cell of a workbook that holds an error, or a formula without a result."""

    text: str
    where: str  # C7


def as_text(value: Any) -> str:
    """The cell as a person reads it: 13800000000.0 is 13800000000, a date is written year first."""
    if type(value) is str:
        return _tidy(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, Broken):
        return value.text
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, datetime):
        return (
            value.isoformat(sep=" ") if value.time().replace(tzinfo=None) != datetime.min.time() else str(value.date())
        )
    return _tidy(str(value))


def _tidy(text: str) -> str:
    text = text.translate(NARROW).strip()
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def marked(text: str) -> str:
    """The text so that no spreadsheet takes it for a formula; `optional` takes the mark off again."""
    return f"'{text}" if FORMULA.match(text) else text


def optional(row: Row, column: str, *, most: int = 200) -> str:
    """The cell's text; empty when nothing stands there."""
    value: Any = row.get(column)
    text = as_text(value)
    if text[:1] == "#" and text in ERRORS:
        raise Problem(column, _broken(text, value))
    if type(value) in NUMBERS and abs(value) >= KEPT:
        raise Problem(column, _("was rounded by a spreadsheet, which keeps 15 digits: make the column text"))
    if text[:1] == "'" and MARKED.match(text):
        text = text[1:].lstrip()
    if len(text) > most:
        raise Problem(column, _("longer than %(most)s characters") % {"most": most})
    if CONTROL.search(text):
        raise Problem(column, _("contains characters that cannot be stored"))
    return text


def _broken(text: str, value: Any) -> str:
    where = value.where if isinstance(value, Broken) else ""
    if text == NO_RESULT and where:
        return _("the formula in cell %(where)s has no result: open the file, save it, and hand it in again") % {
            "where": where
        }
    if where:
        return _("cell %(where)s shows the error %(error)s") % {"where": where, "error": text}
    return _("shows the error %(error)s") % {"error": text}


def text(row: Row, column: str, *, most: int = 200) -> str:
    found = optional(row, column, most=most)
    if not found:
        raise Problem(column, _("is empty"))
    return found


def choice(row: Row, column: str, words: Mapping[str, T], also: Mapping[str, str] = EMPTY) -> T:
    """What the cell's word means, of the words this column may hold; `also` are other words for some of them."""
    found = optional(row, column)
    found = also.get(found, found)
    if found not in words:
        known = "、".join(word for word in words if word)
        complaint = _("“%(value)s” is none of %(known)s") % {"value": found, "known": known}
        raise Problem(column, complaint if found else _("is empty"))
    return words[found]


def yes(row: Row, column: str) -> bool:
    return choice(row, column, {"是": True, "否": False}, YES_NO)


def phone(row: Row, column: str, *, required: bool = True) -> str:
    """Eleven digits, also where they came with blanks, with +86, or as 1.38…E+10 with none of them lost."""
    found = (text if required else optional)(row, column)
    number = re.sub(r"^(\+|00)?86(?=1\d{10}$)", "", re.sub(r"[\s\-()]", "", found))
    if match := re.fullmatch(r"(1)\.(\d{10})[eE]\+?10", found):
        number = match[1] + match[2]
    if number and not re.fullmatch(r"1[0-9]{10}", number):
        raise Problem(column, _("“%(value)s” is not a mobile number of eleven digits") % {"value": found})
    return number


def day(row: Row, column: str) -> date:
    found = optional_day(row, column)
    if found is None:
        raise Problem(column, _("is empty"))
    return found


def optional_day(row: Row, column: str) -> date | None:
    value: Any = row.get(column)
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if type(value) in NUMBERS:
        # A day that nobody has given the look of one: its number as a spreadsheet counts.
        value = dates.day_of_serial(value, is_1904=getattr(row, "is_1904", False))
        if value is not None:
            return value
    written = optional(row, column)
    if not written:
        return None
    if found := dates.day_of(written):
        return found
    if written in dates.OPEN_ENDED:
        raise Problem(column, _("“%(value)s” names no day: write the last day the contract gives") % {"value": written})
    raise Problem(column, _("“%(value)s” is not a date such as 2025-11-30") % {"value": written})


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
        value = dates.moment_of(found)
        if value is None:
            complaint = _("“%(value)s” is not a time such as 2025-11-30 21:14") % {"value": found}
            raise Problem(column, complaint)
    if value.tzinfo is None:
        value = value.replace(tzinfo=SHANGHAI)
    if not 2000 <= value.year <= 2100:
        raise Problem(column, _("the year %(year)s cannot be right") % {"year": value.year})
    return value


def decimal(row: Row, column: str, *, places: int = 2) -> Decimal:
    found = text(row, column)
    number = _number(found) or _number(_bare(found))
    if number is None:
        raise Problem(column, _("“%(value)s” is not a number") % {"value": found})
    if not number.is_finite() or abs(number) >= 100_000_000:
        raise Problem(column, _("“%(value)s” cannot be right") % {"value": found})
    if number != round(number, places):
        raise Problem(column, _("more than %(places)s decimal places") % {"places": places})
    return round(number, places)


def _number(written: str) -> Decimal | None:
    try:
        return Decimal(written)
    except InvalidOperation:
        return None


def _bare(written: str) -> str:
    """The number without the signs of money, and without the commas between thousands."""
    bare = re.sub(r"^(?:RMB|CNY|[¥￥])\s*", "", written, flags=re.IGNORECASE)
    bare = re.sub(r"\s*(?:元|圆)?(?:整|\s*/\s*月|每月)?$", "", bare)
    return re.sub("[,，]", "", bare) if re.fullmatch(r"-?\d{1,3}(?:[,，]\d{3})+(?:\.\d+)?", bare) else bare


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
