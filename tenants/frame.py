"""What all senders' addresses have in common: reading a body within limits, checking a key, answering."""

from __future__ import annotations

import base64
import binascii
import logging
import zlib
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from connectors.models import InboundKey
from connectors.sources import calls
from tenants import clock, keys, landing

log = logging.getLogger(__name__)

MOST_BYTES = 500 * 1024  # of a body, unpacked
RETRY_AFTER = "5"  # seconds
# In a header by either scheme; the last stands for the key in the address or in the body.
WITH_A_KEY: Any = [{"writeKey": []}, {"bearer": []}, {}]


class Refused(Exception):
    """The call is answered with this status and this sentence, and nothing is kept of it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Anything(BaseContentNegotiation):
    """A sender is answered in one way, whatever it says it accepts."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class Sender(APIView, ABC):
    """An address that takes calls from outside. No session, no cookie: a key or a signature in the call itself."""

    authentication_classes: Any = []
    permission_classes: Any = []
    renderer_classes = [JSONRenderer]
    content_negotiation_class = Anything

    @abstractmethod
    def refuse(self, status: int, sentence: str) -> HttpResponse:
        """The sentence as this sender's own protocol says what is wrong."""

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, Refused):
            response: HttpResponseBase = self.refuse(exc.status, exc.sentence)
            if exc.status == 401:
                response.headers["WWW-Authenticate"] = 'Basic realm="writeKey", Bearer'
            return response
        if isinstance(exc, DatabaseError | InterfaceError):
            # Not kept, so not acknowledged: the sender keeps it and comes again.
            log.warning("A call could not be kept in time (%s)", type(exc).__name__)
            response = self.refuse(503, _("This could not be kept just now. Send it again in a moment."))
            response.headers["Retry-After"] = RETRY_AFTER
            return response
        return super().handle_exception(exc)


def plain(request: Request) -> HttpRequest:
    """Django's request, whose body nobody has parsed."""
    return request._request


def body(request: HttpRequest) -> bytes:
    """The body, unpacked, within the limit; raises `Refused`."""
    raw = _read(request)
    match request.headers.get("Content-Encoding", "").strip().lower():
        case "" | "identity":
            return raw
        case "gzip" | "x-gzip":
            return _unzipped(raw)
        case _:
            raise Refused(415, _("The only Content-Encoding that is read is gzip."))


def _read(request: HttpRequest) -> bytes:
    said = request.META.get("CONTENT_LENGTH") or ""
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower() and not said:
        if not request.META.get("wsgi.input_terminated"):
            raise Refused(411, _("The call does not say how long it is."))
        raw: bytes = request.META["wsgi.input"].read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise too_large()
        return raw
    if said.isascii() and said.isdigit() and int(said) > MOST_BYTES:
        raise too_large()
    return request.body


def _unzipped(raw: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        whole = unpacking.decompress(raw, MOST_BYTES + 1)
    except zlib.error:
        raise Refused(400, _("The body is not readable gzip.")) from None
    if len(whole) > MOST_BYTES:
        raise too_large()
    if not unpacking.eof:
        raise Refused(400, _("The body is not readable gzip."))
    return whole


def too_large() -> Refused:
    return Refused(413, _("The call is larger than 500 KB."))


def text(raw: bytes) -> str:
    """The body as text; raises `Refused`."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(400, _("The body is not UTF-8 text.")) from None


def json(said: str) -> Any:
    """What the text says; raises `Refused`."""
    try:
        return calls.decode(said)
    except calls.Problem as problem:
        raise Refused(400, str(problem)) from None


def bearer(request: HttpRequest) -> str:
    """The key of an Authorization header, be it Bearer or the user of Basic; empty without one."""
    scheme, _space, value = request.headers.get("Authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return base64.b64decode(value.strip(), validate=True).decode().partition(":")[0]
            except (binascii.Error, ValueError):
                return ""
        case _:
            return ""


def land(source: str, senders: Collection[str], secret: str, said: dict[str, Any] | None) -> InboundKey:
    """What a sender with this key says is kept, and committed; raises `Refused`. With nothing said the key is checked.

    A call under a server's key is marked as one.
    """
    with landing.promptly() as hurry:
        now = clock.now()
        key = keys.find(senders, secret)
        if key is None:
            raise Refused(401, _("The key is missing or unknown."))
        hurry()
        if said is not None:
            landing.land(source, said | ({"trusted": True} if key.source == "segment-server" else {}), now=now)
        keys.note_use(key, now=now)
    return key
