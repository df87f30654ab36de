"""公众号: the address to which WeChat's server passes on what followers write."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from wechatpy.crypto import PrpCrypto, WeChatCrypto

from connectors.sources import wechat
from tenants import clock, frame, landing
from tenants.frame import Refused

FRESH = 300  # seconds either way
TEXT = {"type": "string"}
SIGNED = [
    OpenApiParameter(name, str, required=False)
    for name in ("signature", "timestamp", "nonce", "encrypt_type", "msg_signature")
]
REFUSALS = {(status, "text/plain"): TEXT for status in (400, 403, 404, 411, 413, 415, 503)}


class WeChat(frame.Sender):
    """Messages and events of a 公众号, in plain or in safe mode."""

    def refuse(self, status: int, sentence: str) -> HttpResponse:
        return HttpResponse(sentence, status=status, content_type="text/plain; charset=utf-8")

    @extend_schema(
        operation_id="wechat_verify",
        tags=["WeChat"],
        summary="WeChat checks the address",
        parameters=[*SIGNED[:3], OpenApiParameter("echostr", str, required=False)],
        responses={(200, "text/plain"): TEXT, **{(status, "text/plain"): TEXT for status in (403, 404, 503)}},
        auth=[],
    )
    def get(self, request: Request) -> HttpResponse:
        asked = frame.plain(request)
        check(asked, asked.GET.get("signature", ""))
        return HttpResponse(asked.GET.get("echostr", ""), content_type="text/plain; charset=utf-8")

    @extend_schema(
        operation_id="wechat_message",
        tags=["WeChat"],
        summary="A message or an event",
        description=(
            "Signed by WeChat. With WECHAT_AES_KEY set only sealed messages are taken. Answered with “success” once "
            "it is committed, within four seconds or not at all."
        ),
        parameters=SIGNED,
        request={"text/xml": {"type": "object", "xml": {"name": "xml"}}},
        responses={(200, "text/plain"): TEXT, **REFUSALS},
        auth=[],
    )
    def post(self, request: Request) -> HttpResponse:
        asked = frame.plain(request)
        raw = frame.body(asked)
        message = opened(asked, raw) if settings.WECHAT_AES_KEY else signed(asked, raw)
        with landing.promptly() as hurry:
            ahead = clock.offset().total_seconds()
            now = clock.now()
            hurry()
            kept = {name: message[name] for name in wechat.KEPT if name in message}
            landing.land("wechat", {"message": kept, "ahead": ahead}, now=now)
        return HttpResponse("success", content_type="text/plain; charset=utf-8")


def signed(request: HttpRequest, raw: bytes) -> dict[str, str]:
    """A plain message; raises `Refused`. The signature does not cover its text: safe mode does."""
    check(request, request.GET.get("signature", ""))
    return _fields(raw)


def opened(request: HttpRequest, raw: bytes) -> dict[str, str]:
    """A sealed message; raises `Refused`."""
    if request.GET.get("encrypt_type") != "aes":
        raise Refused(403, _("Only sealed messages are taken here."))
    sealed = _fields(raw).get("Encrypt", "")
    check(request, request.GET.get("msg_signature", ""), sealed)
    try:
        # The signature was compared above, in constant time; this opens it and compares the appid.
        crypto = WeChatCrypto(settings.WECHAT_TOKEN, settings.WECHAT_AES_KEY, settings.WECHAT_APPID)
        xml = PrpCrypto(crypto.key).decrypt(sealed, settings.WECHAT_APPID)
    except Exception:  # sealed with another key or for another appid: a dozen classes
        raise Refused(403, _("The message is not sealed for this account.")) from None
    return _fields(xml.encode())


def check(request: HttpRequest, signature: str, *more: str) -> None:
    """The call is signed with our token, and just now; raises `Refused`."""
    if not settings.WECHAT_TOKEN:
        raise Refused(404, _("No WeChat account is set up here."))
    stamp, nonce = request.GET.get("timestamp", ""), request.GET.get("nonce", "")
    parts = sorted([settings.WECHAT_TOKEN, stamp, nonce, *more])
    expected = hashlib.sha1("".join(parts).encode(errors="replace"), usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        raise Refused(403, _("The signature is wrong."))
    # WeChat's clock and the real one: the product's may be moved in the demo.
    is_number = stamp.isascii() and stamp.isdigit() and len(stamp) <= 11
    if not is_number or abs(datetime.now(UTC).timestamp() - int(stamp)) > FRESH:
        raise Refused(403, _("The call is too old, or its clock is wrong."))


def _fields(raw: bytes) -> dict[str, Any]:
    try:
        return wechat.fields(raw)
    except wechat.NotXml:
        raise Refused(400, _("The message is not readable XML.")) from None
