"""身份证号: the number of an identity card, of which nothing but a keyed hash goes further.

The hash has a key of its own (`IDENTITY_KEY`): of eighteen digits with a birthday in them, a plain hash is soon
guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import date

from django.conf import settings
from django.utils.translation import gettext as _

from connectors.sources import cells

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643, modulo 11
ENDINGS = "10X98765432"
KEPT = re.compile(r"\*{14}[\dXx]{4}·([0-9a-f]{64})")  # what quarantine keeps of a good one, read back on a replay
LIKE_ONE = re.compile(r"(?<![\dA-Za-z])(?:\d{17}[\dXx]|\d{14}[\dXx]|\d\.\d+[eE]\+?\d+)(?![\dA-Za-z])")


def read(row: cells.Row, column: str) -> str | None:
    """The hash of the number in the cell; none where nothing stands there."""
    if isinstance(row.get(column), int | float) and not isinstance(row.get(column), bool):
        raise cells.Problem(column, _ROUNDED())
    number = cells.optional(row, column)
    return hashed(number, column) if number else None


def hashed(number: str, column: str) -> str:
    """HMAC-SHA256 of a good number, hex. Raises `cells.Problem`, which never repeats the number."""
    if kept := KEPT.fullmatch(number):
        return kept[1]
    number = number.upper()
    if "E+" in number or (len(number) == 18 and number.endswith("000")):
        raise cells.Problem(column, _ROUNDED())
    if re.fullmatch(r"\d{15}", number):
        raise cells.Problem(column, _("has 15 digits: the number of today's card has 18"))
    if not is_good(number):
        raise cells.Problem(column, _("is no identity number: 18 digits whose last one checks the others"))
    return hmac.new(settings.IDENTITY_KEY.encode(), number.encode(), hashlib.sha256).hexdigest()


def _ROUNDED() -> str:
    return _("was rounded by a spreadsheet, which keeps 15 digits: make the column text and type the number again")


def is_good(number: str) -> bool:
    """Whether it is eighteen digits (the last may be X) with a birthday in them, and the last one fits."""
    if not re.fullmatch(r"[1-9]\d{16}[\dX]", number, re.ASCII):
        return False
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    return number[17] == ENDINGS[sum(int(digit) * weight for digit, weight in zip(number, WEIGHTS, strict=False)) % 11]


def mask_in(text: str) -> str:
    """The text without identity numbers: of each its last four, and of a good one its hash."""
    return LIKE_ONE.sub(_masked, cells.as_text(text))


def _masked(found: re.Match[str]) -> str:
    number = found[0].upper()
    try:
        return f"{'*' * 14}{number[-4:]}·{hashed(number, '')}"
    except cells.Problem:
        return f"{'*' * (len(number) - 4)}{number[-4:]}"
