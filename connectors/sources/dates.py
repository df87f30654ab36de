"""The ways in which people write a day."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

WRITTEN = re.compile(
    r"(\d{4})\s*(?:[-/.年．·]\s*(\d{1,2})\s*[-/.月．·]\s*(\d{1,2})|(\d{2})(\d{2}))\s*[日号]?(?:[T\s]+[\d:.]+)?"
)
CHINESE = re.compile(
    r"([〇零○Ｏ一二三四五六七八九]{4})年([一二三四五六七八九十]{1,3})月([一二三四五六七八九十]{1,3})[日号]"
)
CLOCK = re.compile(r"(?:(\d{1,2}):(\d{2})(?::(\d{2}))?)?")
DIGITS = dict(zip("〇零○Ｏ一二三四五六七八九", (0, 0, 0, 0, *range(1, 10)), strict=True))
OPEN_ENDED = frozenset({"长期", "长期有效", "永久", "不定期", "无固定期限", "无期限", "至今", "无"})
SERIALS = range(32_874, 73_051)  # 1990 to 2099: a number outside stands for no day of a lease


def day_of(text: str) -> date | None:
    """2025-11-30, 2025/11/30, 2025.11.30, 20251130, 2025年11月30日, 二〇二五年十一月三十日; none for anything else."""
    if len(text) == 10 and text[4] == text[7] == "-":  # by far the most, so without the pattern
        try:
            return date.fromisoformat(text)
        except ValueError:
            return None
    if match := WRITTEN.fullmatch(text):
        parts = [int(part) for part in match.groups() if part]
    elif match := CHINESE.fullmatch(text):
        parts = [int("".join(str(DIGITS[sign]) for sign in match[1])), _number(match[2]), _number(match[3])]
    else:
        return None
    try:
        return date(*parts)
    except ValueError:
        return None


def day_of_serial(serial: float, *, is_1904: bool) -> date | None:
    """The day that a spreadsheet means by a number; none where it cannot mean one."""
    if is_1904:
        serial += 1462
    return date(1899, 12, 30) + timedelta(days=int(serial)) if int(serial) in SERIALS else None


def moment_of(text: str) -> datetime | None:
    """A day, with a time of day behind it or not; none for anything else."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    found, _space, rest = text.partition(" ")
    day = day_of(found)
    match = CLOCK.fullmatch(rest.strip())
    if day is None or match is None:
        return None
    hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        return datetime.combine(day, time(hour, minute, second))
    except ValueError:
        return None


def _number(signs: str) -> int:
    """三十一 → 31; 0 for what is no number up to 99."""
    tens, ten, ones = signs.rpartition("十")
    if len(tens) > 1 or len(ones) > 1 or "十" in tens:
        return 0
    return (DIGITS[tens] if tens else 1 if ten else 0) * 10 + (DIGITS[ones] if ones else 0)
