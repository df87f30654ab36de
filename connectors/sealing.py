"""Files handed in, as they are kept: sealed with AES-256-GCM, since a contract's row may hold an identity number.

The key is made of FILE_KEY, which is neither in the database nor in its dumps.
"""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.utils.translation import gettext as _

from connectors.sources import Unusable

MARK = b"\x00sealed1"  # no file of ours begins so; what was kept before files were sealed has none
NONCE = 12


def seal(content: bytes) -> bytes:
    """The file as it is kept; nothing stays nothing."""
    if not content:
        return b""
    nonce = secrets.token_bytes(NONCE)
    return MARK + nonce + _cipher().encrypt(nonce, content, MARK)


def unseal(kept: bytes) -> bytes:
    """The file as it came; raises `Unusable` where it was sealed under another key or has been changed."""
    if not kept.startswith(MARK):
        return kept
    body = kept[len(MARK) :]
    try:
        return _cipher().decrypt(body[:NONCE], body[NONCE:], MARK)
    except InvalidTag:
        raise Unusable(_("The kept file cannot be opened: it was kept under another FILE_KEY.")) from None


def _cipher() -> AESGCM:
    return AESGCM(hashlib.sha256(b"files:" + settings.FILE_KEY.encode()).digest())
