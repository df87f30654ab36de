"""One-time codes. Their digits are derived from the message's key when it is sent, and never stored or logged."""

from __future__ import annotations

import hashlib
import hmac

from django.conf import settings


def digits(key: str) -> str:
    """The six digits that the message with this key carries."""
    mac = hmac.new(settings.LINK_KEY.encode(), f"code:{key}".encode(), hashlib.sha256).digest()
    return f"{int.from_bytes(mac, 'big') % 1_000_000:06}"


def matches(key: str, typed: str) -> bool:
    """Whether these are the digits of that message; says nothing of its age or its tries."""
    # Compared as bytes: typed text may be anything, and compare_digest refuses non-ASCII strings.
    return hmac.compare_digest(digits(key).encode(), typed.strip().encode())
