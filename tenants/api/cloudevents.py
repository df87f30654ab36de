"""CloudEvents 1.0 over HTTP in its binary, structured and batch mode."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request

from connectors.sources import calls, cloudevents
from tenants import frame
from tenants.frame import Refused

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
MOST_EVENTS = 2500

TEXT = {"type": "string"}
EVENT = {
    "type": "object",
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
        "type": {"type": "string", "minLength": 1, "examples": list(cloudevents.KINDS)},
        "time": {"type": ["string", "null"], "format": "date-time"},
        "subject": {"type": "string", "minLength": 1, "description": "contract:…, phone:…, unit:…"},
        "who": {"type": "string", "minLength": 1, "description": "contract:…, phone:…, app:…, wechat:…, community:…"},
        "where": {"type": "string", "minLength": 1, "description": "unit:… or device:…"},
        "datacontenttype": {"const": "application/json"},
        "data": {"description": "what this kind of event says"},
    },
    "required": ["specversion", "id", "source", "type"],
}
PROBLEM = {
    "type": "object",
    "properties": {"type": TEXT, "title": TEXT, "status": {"type": "integer"}, "detail": TEXT},
    "required": ["title", "status", "detail"],
}
LEAK = {
    "specversion": "1.0", "id": "1", "source": "/tickets", "type": "ticket.reported", "where": "unit:1-0301",
    "time": "2025-12-01T10:00:00+08:00",
    "data": {"ticket": "T-1", "category": "water", "channel": "desk", "text": "厨房漏水"},
}  # fmt: skip
TITLES = {
    400: "Bad Request", 401: "Unauthorized", 411: "Length Required", 413: "Content Too Large",
    415: "Unsupported Media Type", 503: "Service Unavailable",
}  # fmt: skip


class CloudEvents(frame.Sender):
    """CloudEvents 1.0."""

    def refuse(self, status: int, sentence: str) -> HttpResponse:
        facts = {"type": "about:blank", "title": TITLES[status], "status": status, "detail": sentence}
        return JsonResponse(facts, status=status, content_type="application/problem+json")

    @extend_schema(
        operation_id="cloudevents",
        tags=["CloudEvents"],
        summary="CloudEvents 1.0: binary, structured, batch",
        description=(
            "In binary mode the attributes are headers (ce-id, ce-source, ce-type, ce-specversion, …) and the body is "
            "the data. Events are kept, committed and then acknowledged. An event is known by its source and id. One "
            "of a batch that cannot be used waits in quarantine with its reason, and the others are taken in."
        ),
        parameters=[OpenApiParameter("key", str, description="The key, where no header can be set.")],
        request={STRUCTURED: EVENT, BATCH: {"type": "array", "items": EVENT, "maxItems": MOST_EVENTS}},
        responses={
            202: None,
            **{(status, "application/problem+json"): PROBLEM for status in TITLES},
        },
        examples=[OpenApiExample("A leak", LEAK, request_only=True, media_type=STRUCTURED)],
        auth=frame.WITH_A_KEY,
    )
    def post(self, request: Request) -> HttpResponse:
        asked = frame.plain(request)
        said = frame.text(frame.body(asked))
        kind = (asked.content_type or "").lower()  # the media type alone
        try:
            if kind == BATCH:
                _check_batch(frame.json(said))
            elif kind == STRUCTURED:
                _check_one(frame.json(said))
            elif "ce-specversion" in asked.headers and not kind.startswith("application/cloudevents"):
                said = _structured(asked, said)
            else:
                raise Refused(415, _("The body is no CloudEvent in JSON, and no header says that it is one."))
        except calls.Problem as problem:
            raise Refused(400, str(problem)) from None
        secret = frame.bearer(asked) or asked.GET.get("key", "")
        frame.land("cloudevents", ["cloudevents"], secret, {"text": said})
        return HttpResponse(status=202)


def _check_one(event: Any) -> None:
    if type(event) is not dict:
        raise Refused(400, _("The event is not a JSON object."))
    cloudevents.check(event)


def _check_batch(events: Any) -> None:
    if type(events) is not list:
        raise Refused(400, _("The batch is not a JSON list."))
    if len(events) > MOST_EVENTS:
        raise Refused(400, _("A batch holds at most %(most)s events.") % {"most": MOST_EVENTS})


def _structured(request: HttpRequest, said: str) -> str:
    """An event in binary mode, as it would stand in structured mode."""
    if not cloudevents.is_json(request.content_type or "application/json"):
        raise Refused(415, _("The data is not JSON."))
    attributes = {
        name.lower().removeprefix("ce-"): _unescaped(value)
        for name, value in request.headers.items()
        if name.lower().startswith("ce-")
    }
    event = {**attributes, "data": frame.json(said) if said.strip() else None}
    cloudevents.check(event)
    return calls.line(event)


def _unescaped(value: str) -> str:
    """A header's value: what is not ASCII comes percent-encoded."""
    value = value.strip()
    if value[:1] == '"' == value[-1:] and len(value) > 1:
        value = value[1:-1]
    return unquote(value)
