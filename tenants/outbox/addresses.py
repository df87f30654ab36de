"""Where a try went, so that it can be told again and cannot be read: a keyed hash of the number or account."""

from __future__ import annotations

import hmac

from django.conf import settings


def hashed(address: str) -> str:
    """HMAC-SHA256 under `IDENTITY_KEY`, hex; of none "". Of eleven digits a plain hash would soon be found out."""
    if not address:
        return ""
    return hmac.digest(settings.IDENTITY_KEY.encode(), f"address:{address}".encode(), "sha256").hex()
