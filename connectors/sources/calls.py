"""Lines of JSON as objects that can be stored, or one sentence about why not."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import NUL_SIGN


class Problem(ValueError):
    """A message cannot be used; the text is one sentence for a clerk."""


def parse(line: str) -> dict[str, Any]:
    """The object on this line; raises `Problem` for what is no object or could not be stored."""
    try:
        call = DECODER.decode(line)
    except (ValueError, RecursionError):
        raise Problem(_("The line is not readable JSON.")) from None
    if type(call) is not dict:
        raise Problem(_("The line is not a JSON object."))
    if ("\\u" in line or NUL_SIGN in line) and not _can_be_stored(line, call):
        raise Problem(_("The line contains characters that cannot be stored."))
    return call


def text(call: dict[str, Any], name: str, *, most: int = 128) -> str:
    value = call.get(name)
    if type(value) is not str or not value or len(value) > most:
        raise Problem(_("“%(name)s” is missing or is not a short text.") % {"name": name})
    return value


def moment(call: dict[str, Any], name: str) -> datetime:
    value = call.get(name)
    at = _moment(value) if type(value) is str else None
    if at is None:
        raise Problem(_("“%(name)s” is not a time with an offset such as 2025-11-30T21:14:05+08:00.") % {"name": name})
    return at


@lru_cache(maxsize=256)  # meters report together: most lines say the time of the line before
def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo and 2000 <= at.year < 2100 else None


def _can_be_stored(line: str, call: dict[str, Any]) -> bool:
    """Whether PostgreSQL has a character for each escape: not for NUL, and not for half of a pair."""
    try:
        json.dumps(call, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return NUL_SIGN not in line and not NUL.search(line)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)
    return number


def _constant(word: str) -> float:
    raise ValueError(word)  # NaN and Infinity are not JSON, though Python reads them


NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # after an even number of backslashes it is an escape
DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_constant)
