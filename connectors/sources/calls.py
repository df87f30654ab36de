"""Calls in JSON as objects that can be stored, or one sentence about why not."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from connectors.records import NUL_SIGN

BACKLOG = timedelta(days=7)  # a sender that was away tells what happened this long ago …
AHEAD = timedelta(minutes=5)  # … and its clock is at most so much ahead
MOST_LEVELS = 32  # of a call; more than anything we read has
UNREADABLE_LEVELS = 200  # nested deeper, JSON is not readable to us: a decoder stops at a depth of its own


class Problem(ValueError):
    """A message cannot be used; the text is one sentence for a clerk."""


class Told(NamedTuple):
    """One call as it is read, and as a line of a file would tell it; with a problem it is refused unread."""

    call: Any
    problem: str = ""


def decode(text: str) -> Any:
    """What this JSON says; raises `Problem`. NaN and Infinity are no JSON; of a name given twice the last counts."""
    try:
        value = DECODER.decode(text)
    except (ValueError, RecursionError):
        raise Problem(_("This is not readable JSON.")) from None
    if is_deeper(value, UNREADABLE_LEVELS):
        raise Problem(_("This is not readable JSON."))
    return value


def is_deeper(value: Any, levels: int) -> bool:
    """Whether objects and lists are nested deeper than `levels`; looks no deeper."""
    layer = [value] if type(value) in (dict, list) else []
    for _level in range(levels):
        if not layer:
            return False
        layer = [
            part
            for whole in layer
            for part in (whole.values() if type(whole) is dict else whole)
            if type(part) in (dict, list)
        ]
    return bool(layer)


def parse(line: str) -> dict[str, Any]:
    """The object on this line; raises `Problem` for what is no object or could not be stored."""
    try:
        call = DECODER.decode(line)
    except (ValueError, RecursionError):
        raise Problem(_("The line is not readable JSON.")) from None
    if type(call) is not dict:
        raise Problem(_("The line is not a JSON object."))
    if ("\\u" in line or NUL_SIGN in line) and not can_be_stored(call):
        raise Problem(_("The line contains characters that cannot be stored."))
    return call


def line(call: Any) -> str:
    """The call as a line of a file, so that the quarantine can try it again."""
    try:
        text = json.dumps(call, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:  # half of a pair of characters: kept as the escape it came as
        text = json.dumps(call)
    except RecursionError:
        text = ""
    return text


def text(call: dict[str, Any], name: str, *, most: int = 128) -> str:
    value = call.get(name)
    if type(value) is not str or not value or len(value) > most:
        raise Problem(_("“%(name)s” is missing or is not a short text.") % {"name": name})
    return value


def optional(call: dict[str, Any], name: str, *, most: int = 128) -> str:
    """The text; empty where none is given."""
    return text(call, name, most=most) if call.get(name) not in (None, "") else ""


def moment(call: dict[str, Any], name: str) -> datetime:
    value = call.get(name)
    at = _moment(value) if type(value) is str else None
    if at is None:
        raise Problem(_("“%(name)s” is not a time with an offset such as 2025-11-30T21:14:05+08:00.") % {"name": name})
    return at


def said(value: object) -> datetime | None:
    """The moment a sender names, if it is one."""
    return _moment(value.strip()) if type(value) is str else None


def believed(at: datetime | None, *, received_at: datetime) -> datetime | None:
    """The moment a sender names, if its clock can be believed: not long before we heard of it and not after."""
    return at if at and received_at - BACKLOG <= at <= received_at + AHEAD else None


@lru_cache(maxsize=256)  # meters report together: most lines say the time of the line before
def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo and 2000 <= at.year < 2100 else None


def can_be_stored(call: Any) -> bool:
    """Whether PostgreSQL has a character for each: not for NUL, and not for half of a pair."""
    text = json.dumps(call, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return NUL_SIGN not in text and not NUL.search(text)


def check(call: Any, *, as_it_came: str) -> dict[str, Any]:
    """The call is an object that can be stored; raises `Problem`. `as_it_came` is the text it stood in."""
    if type(call) is not dict:
        raise Problem(_("The call is not a JSON object."))
    if is_deeper(call, MOST_LEVELS):
        raise Problem(_("The call is nested too deeply."))
    if ("\\u" in as_it_came or NUL_SIGN in as_it_came) and not can_be_stored(call):
        raise Problem(_("The line contains characters that cannot be stored."))
    return call


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)
    return number


def _constant(word: str) -> float:
    raise ValueError(word)  # NaN and Infinity are not JSON, though Python reads them


NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # after an even number of backslashes it is an escape
DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_constant)
