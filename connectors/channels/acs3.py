"""The signature of Alibaba Cloud's interfaces, ACS3-HMAC-SHA256, as its own library makes it.

https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

ALGORITHM = "ACS3-HMAC-SHA256"


def canonical_query(query: Mapping[str, str]) -> str:
    """The query in the order and the spelling in which it is signed; fit to be sent as it is."""
    return "&".join(f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query))


def hashed(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def authorization(
    method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], *, key_id: str, secret: str
) -> str:
    """The header Authorization of a request. `headers` have lower-case names and hold x-acs-content-sha256."""
    signed = sorted(name for name in headers if name.startswith("x-acs-") or name in {"host", "content-type"})
    lines = [method, path, canonical_query(query), *(f"{name}:{headers[name].strip()}" for name in signed)]
    request = "\n".join([*lines, "", ";".join(signed), headers["x-acs-content-sha256"]])
    text = f"{ALGORITHM}\n{hashed(request.encode())}"
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Credential={key_id},SignedHeaders={';'.join(signed)},Signature={signature}"
