"""e签宝, SaaS API V3: the agreement as a file, a flow in which its tenants sign it, and what becomes of the flow.

    hand_over   upload address → PUT of the file → its state → create-by-file; the id of the flow
    door        where one signer signs; the provider's own page
    state       what the flow came to, for callbacks that never come
    check       whether a callback is the provider's, and of now

A call is signed over method, content MD5, content type and path. A callback is signed in another way: over the
time stamp, the values of the query sorted by name, and the body as it came. See docs/signing.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings

from connectors.http import NotSent, Unclear, Way

KIND = "application/json; charset=UTF-8"
PDF = "application/pdf"
READY = {2, 5}  # the states of a file that can be signed
LOOKS, PAUSE = 4, 0.5  # so often its state is asked for, so many seconds apart; then the next run goes on
FRESH = 600  # seconds a callback may be old, or ahead


class Trouble(Exception):
    """The provider did not do it; the words are for staff."""


class Forged(Exception):
    """Not the provider's callback, or one of another time."""


class State(StrEnum):
    """What a flow has come to, as the provider says it."""

    SIGNING = "1"
    DONE = "2"
    REVOKED = "3"
    EXPIRED = "5"
    REFUSED = "7"


@dataclass(frozen=True, slots=True)
class Signer:
    name: str
    phone: str


def is_on() -> bool:
    """Whether agreements are signed at the provider."""
    return bool(settings.ESIGN_APP_ID and settings.ESIGN_SECRET)


def hand_over(pdf: bytes, *, title: str, signers: Sequence[Signer], lasts: timedelta, back: str, notify: str) -> str:
    """The file is there, and a flow of these signers has begun; its id. Raises `Trouble`.

    If the answer to the last call is lost there may be a flow that nobody knows: nobody has its address, the provider
    sends no messages about it, and it ends by itself once it has lasted so long.
    """
    file = _upload(pdf, f"{title}.pdf")
    for look in range(LOOKS):
        if _call("GET", f"/v3/files/{quote(file)}").get("fileStatus") in READY:
            break
        if look == LOOKS - 1:
            raise Trouble("the file is not ready yet")
        time.sleep(PAUSE)
    flow = {
        "docs": [{"fileId": file, "fileName": f"{title}.pdf"}],
        "signFlowConfig": {
            "signFlowTitle": title,
            "signFlowExpireTime": int((time.time() + lasts.total_seconds()) * 1000),  # by their clock, the real one
            "autoStart": True,
            "autoFinish": True,  # else it never says that it is complete
            "notifyUrl": notify,
            "noticeConfig": {"noticeTypes": ""},  # our own messages lead there
            "redirectConfig": {"redirectUrl": back},
        },
        "signers": [
            {
                "signerType": 0,  # a person
                "psnSignerInfo": {"psnAccount": signer.phone, "psnInfo": {"psnName": signer.name}},
                "signFields": [{"fileId": file, "normalSignFieldConfig": {"freeMode": True}}],
            }
            for signer in signers
        ],
    }
    return _text(_call("POST", "/v3/sign-flow/create-by-file", flow), "signFlowId")


def door(flow: str, phone: str, *, back: str) -> str:
    """The address at which the signer with this phone signs; it is short-lived. Raises `Trouble`."""
    asked = {
        "needLogin": False,
        "urlType": 2,
        "clientType": "ALL",
        "operator": {"psnAccount": phone},
        "redirectConfig": {"redirectUrl": back},
    }
    url = _text(_call("POST", f"/v3/sign-flow/{quote(flow)}/sign-url", asked), "url")
    if urlsplit(url).scheme not in {"https", urlsplit(settings.ESIGN_URL).scheme}:
        raise Trouble("the address to sign at is none")
    return url


def state(flow: str) -> State | None:
    """What the flow has come to; none for a state that is not known here. Raises `Trouble`."""
    return state_of(_call("GET", f"/v3/sign-flow/{quote(flow)}/detail").get("signFlowStatus"))


def revoke(flow: str, *, because: str) -> None:
    """Nobody signs in this flow any more. Raises `Trouble`."""
    _call("POST", f"/v3/sign-flow/{quote(flow)}/revoke", {"revokeReason": because})


def state_of(said: Any) -> State | None:
    """A state as the provider writes it, a number or its text."""
    return State(str(said)) if str(said) in set(State) else None


def check(headers: Mapping[str, str], query: Mapping[str, str], raw: bytes, *, at: float) -> None:
    """Nothing happens if a callback is the provider's, and of about `at` (Unix seconds). Raises `Forged`."""
    stamp = headers.get("X-Tsign-Open-TIMESTAMP", "")
    if headers.get("X-Tsign-Open-App-Id") != settings.ESIGN_APP_ID:
        raise Forged("another application")
    if headers.get("X-Tsign-Open-SIGNATURE-ALGORITHM", "hmac-sha256").lower() != "hmac-sha256":
        raise Forged("another algorithm")
    said = headers.get("X-Tsign-Open-SIGNATURE", "").lower()
    due = callback_signature(settings.ESIGN_SECRET, stamp, query, raw)
    if not hmac.compare_digest(said.encode(), due.encode()):
        raise Forged("the signature does not fit")
    is_number = stamp.isascii() and stamp.isdigit() and len(stamp) <= 16
    if not is_number or abs(int(stamp) / 1000 - at) > FRESH:
        raise Forged("too old, or from the future")


def callback_signature(secret: str, stamp: str, query: Mapping[str, str], raw: bytes) -> str:
    """The header X-Tsign-Open-SIGNATURE of a callback: HMAC-SHA256, hex."""
    values = "".join(query[name] for name in sorted(query))
    return hmac.new(secret.encode(), f"{stamp}{values}".encode() + raw, hashlib.sha256).hexdigest()


def call_signature(secret: str, method: str, md5: str, kind: str, path: str) -> str:
    """The header X-Tsign-Open-Ca-Signature of a call: HMAC-SHA256, Base64; the empty line is the date's."""
    text = f"{method}\n*/*\n{md5}\n{kind}\n\n{path}"
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def md5_of(body: bytes) -> str:
    """Content-MD5, which the provider asks for: a checksum, not a protection."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


_way = Way(connections=4)


def _upload(pdf: bytes, name: str) -> str:
    md5 = md5_of(pdf)
    asked = {
        "contentMd5": md5,
        "contentType": PDF,
        "convertToPDF": False,
        "fileName": name,
        "fileSize": len(pdf),
    }
    given = _call("POST", "/v3/files/file-upload-url", asked)
    try:
        reply = _way.call(
            "PUT", _text(given, "fileUploadUrl"), headers={"Content-MD5": md5, "Content-Type": PDF}, body=pdf
        )
    except (NotSent, Unclear) as error:
        raise Trouble(str(error)) from error
    if reply.status != 200:
        raise Trouble(f"the upload was answered with {reply.status}")
    return _text(given, "fileId")


def _call(method: str, path: str, data: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    body = b"" if data is None else json.dumps(data, ensure_ascii=False).encode()
    md5 = md5_of(body) if body else ""
    headers = {
        "Accept": "*/*",
        "Content-Type": KIND,
        "Content-MD5": md5,
        "X-Tsign-Open-App-Id": settings.ESIGN_APP_ID,
        "X-Tsign-Open-Auth-Mode": "Signature",
        "X-Tsign-Open-Ca-Timestamp": str(int(time.time() * 1000)),
        "X-Tsign-Open-Ca-Signature": call_signature(settings.ESIGN_SECRET, method, md5, KIND, path),
    }
    try:
        reply = _way.call(method, settings.ESIGN_URL + path, headers=headers, body=body or None)
        said = reply.json()
    except (NotSent, Unclear) as error:
        raise Trouble(str(error)) from error
    if not isinstance(said, dict) or said.get("code") != 0:
        words = said.get("message", "") if isinstance(said, dict) else ""
        raise Trouble(f"{reply.status} {said.get('code') if isinstance(said, dict) else ''} {words}".strip()[:200])
    found = said.get("data")
    return found if isinstance(found, dict) else {}


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value:
        raise Trouble(f"the provider says no {name}")
    return value
