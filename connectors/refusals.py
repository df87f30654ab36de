"""What people write who want no more offers, whichever way they write it."""

from __future__ import annotations

import unicodedata

WORDS = {"R", "T", "TD", "退订", "拒收", "不要再发", "取消订阅"}


def is_refusal(text: str) -> bool:
    """Whether this is all it says: R, ＴＤ, 退订。"""
    return unicodedata.normalize("NFKC", text).strip(" \t\r\n.。!！,，~～").upper() in WORDS
