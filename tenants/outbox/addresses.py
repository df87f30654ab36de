"""Where a try went, so that it can be told again and cannot be read: a keyed hash of the number or account."""

from __future__ import annotations

import hmac
from functools import lru_cache

from django.conf import settings


def hashed(address: str) -> str:
    """HMAC-SHA256 under `IDENTITY_KEY`, hex; of none "". Of eleven digits a plain hash would soon be found out."""
    if not address:
        return ""
    digest = _keyed(settings.IDENTITY_KEY).copy()
    digest.update(f"address:{address}".encode())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _keyed(key: str) -> hmac.HMAC:
    """To be copied: the key goes in once, and not again for every address."""
    return hmac.new(key.encode(), digestmod="sha256")
