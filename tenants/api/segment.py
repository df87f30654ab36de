"""Segment's HTTP API: any Segment SDK can point here."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request

from connectors.sources import behaviour
from tenants import frame
from tenants.frame import Refused

MOST_CALLS = 2500
SENDERS = ("segment", "segment-server")
# Browsers ask first. The key is in the call, no cookie counts, so any page may send.
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding",
    "Access-Control-Max-Age": "86400",
}

TEXT = {"type": "string"}
ANSWER = {"type": "object", "properties": {"success": {"const": True}}, "required": ["success"]}
REFUSAL = {
    "type": "object",
    "properties": {"success": {"const": False}, "code": TEXT, "message": TEXT},
    "required": ["success", "code", "message"],
}
CALL = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": list(behaviour.TYPES), "description": "in a batch only"},
        "messageId": {"type": "string", "maxLength": 99, "description": "a call with a known one is a repetition"},
        "userId": {"type": ["string", "integer", "null"], "description": "the user's id in the app"},
        "anonymousId": {"type": ["string", "integer", "null"], "description": "the device's id"},
        "previousId": {"type": "string", "description": "alias: what the user was called before"},
        "groupId": {"type": "string", "description": "group"},
        "event": {"type": "string", "description": "track"},
        "name": {"type": "string", "description": "page, screen"},
        "properties": {"type": "object"},
        "traits": {"type": "object"},
        "timestamp": {"type": "string", "format": "date-time"},
        "sentAt": {"type": "string", "format": "date-time"},
        "writeKey": TEXT,
    },
}
BATCH = {
    "type": "object",
    "properties": {
        "batch": {"type": "array", "items": CALL, "maxItems": MOST_CALLS},
        "sentAt": {"type": "string", "format": "date-time"},
        "writeKey": TEXT,
    },
    "required": ["batch"],
}
BOOKING = {
    "messageId": "8f1c", "userId": "app-17", "event": "Facility Used", "properties": {"facility": "shared_kitchen"},
    "timestamp": "2025-12-01T10:00:00+08:00", "sentAt": "2025-12-01T10:00:02+08:00",
}  # fmt: skip


def described(kind: str, short: bool = False) -> Any:
    return extend_schema(
        operation_id=f"segment_{kind}{'_short' if short else ''}",
        tags=["Segment"],
        summary=f"Segment: {kind}" + (" (the address that browsers use)" if short else ""),
        description=(
            "Calls are kept, committed and then acknowledged; they are read a moment later. A call of a batch that "
            "cannot be used waits in quarantine with its reason, and the others are taken in. The key may also stand "
            "in the body, as writeKey. gzip is read. At most 32 KB a call, 500 KB and 2,500 calls a batch."
        ),
        request={"application/json": BATCH if kind == "batch" else CALL},
        responses={
            (200, "application/json"): ANSWER,
            **{(status, "application/json"): REFUSAL for status in (400, 401, 411, 415, 503)},
        },
        examples=[] if kind != "track" else [OpenApiExample("A kitchen was booked", BOOKING, request_only=True)],
        auth=frame.WITH_A_KEY,
    )


class Segment(frame.Sender):
    kind = ""

    def refuse(self, status: int, sentence: str) -> HttpResponse:
        # Segment knows one status for a call that cannot be used, whatever is wrong with it.
        status = 400 if status == 413 else status
        code = {401: "unauthorized", 503: "unavailable"}.get(status, "invalid_request")
        return JsonResponse({"success": False, "code": code, "message": sentence}, status=status)

    def post(self, request: Request) -> HttpResponse:
        asked = frame.plain(request)
        said = frame.text(frame.body(asked))
        call = frame.json(said)
        if type(call) is not dict:
            raise Refused(400, _("The call is not a JSON object."))
        secret = frame.bearer(asked) or call.get("writeKey")
        check(self.kind, call, size=len(said))
        landed = {"call": self.kind, "text": said} if self.kind != "batch" or call["batch"] else None
        frame.land("segment", SENDERS, secret if type(secret) is str else "", landed)
        return JsonResponse({"success": True})

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return HttpResponse(status=204)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in CORS.items():
            response.headers[name] = value
        return response


def check(kind: str, call: dict[str, Any], *, size: int) -> None:
    """The call is one that Segment would take; raises `Refused`. What is wrong inside a batch waits in quarantine."""
    if kind == "batch":
        if type(call.get("batch")) is not list:
            raise Refused(400, _("“%(name)s” is not a list.") % {"name": "batch"})
        if len(call["batch"]) > MOST_CALLS:
            raise Refused(400, _("A batch holds at most %(most)s calls.") % {"most": MOST_CALLS})
        return
    if size > behaviour.MOST_EVENT:
        raise Refused(400, _("The call is larger than 32 KB."))
    if not _is_id(call.get("userId")) and not _is_id(call.get("anonymousId")):
        raise Refused(400, _("The call names neither a user nor a device."))
    for needed in {"track": ["event"], "alias": ["previousId"], "group": ["groupId"]}.get(kind, []):
        if not _is_id(call.get(needed)):
            raise Refused(400, _("“%(name)s” is missing or is not a short text.") % {"name": needed})
    number = call.get("messageId")
    if number is not None and (type(number) is not str or len(number) >= 100):
        raise Refused(400, _("“%(name)s” is missing or is not a short text.") % {"name": "messageId"})


def _is_id(value: object) -> bool:
    return (type(value) is str and 0 < len(value) <= 128) or (type(value) is int and abs(value) < behaviour.MOST_NUMBER)


def view(kind: str, *, short: bool = False) -> Any:
    """The address of one kind of call."""
    name = f"Segment{kind.title()}{'Short' if short else ''}"
    here = type(name, (Segment,), {"kind": kind, "__doc__": f"Segment's {kind} call."})
    here.post = described(kind, short)(lambda self, request: Segment.post(self, request))  # type: ignore[attr-defined]
    return here.as_view()  # type: ignore[attr-defined]
