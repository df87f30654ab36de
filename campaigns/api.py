"""What partners' servers ask of touchpoints: a ticket for somebody they know."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request

from campaigns import tickets, touchpoints
from tenants import clock, frame
from tenants.frame import Refused

MOST_REF = 128
BY_A_KEY: Any = [{"writeKey": []}, {"bearer": []}]  # in a header; it stands in no address
TEXT = {"type": "string"}
ASKED = {
    "type": "object",
    "properties": {
        "who": {
            "type": "string",
            "minLength": 1,
            "description": "locker:… at a parcel locker, app:… in an app, contract:… on a payment page or a bill",
        }
    },
    "required": ["who"],
}
ANSWER = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "format": "uri", "description": "opens once"},
        "expires_at": {"type": "string", "format": "date-time"},
    },
    "required": ["url", "expires_at"],
}
PROBLEM = {
    "type": "object",
    "properties": {"type": TEXT, "title": TEXT, "status": {"type": "integer"}, "detail": TEXT},
    "required": ["title", "status", "detail"],
}
TITLES = {
    400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 410: "Gone", 411: "Length Required",
    413: "Content Too Large", 415: "Unsupported Media Type", 429: "Too Many Requests", 503: "Service Unavailable",
}  # fmt: skip


class Links(frame.Sender):
    """Personal links of a touchpoint."""

    def refuse(self, status: int, sentence: str) -> HttpResponse:
        facts = {"type": "about:blank", "title": TITLES[status], "status": status, "detail": sentence}
        return JsonResponse(facts, status=status, content_type="application/problem+json")

    @extend_schema(
        operation_id="touchpoint_link",
        tags=["Touchpoints"],
        summary="An address that opens one tenant's own letter",
        description=(
            "It opens once, within ten minutes, and only by a person's tap; signing still needs the code sent to the "
            "phone on file. Somebody nobody knows gets an address of the same kind, which leads to the common door: "
            "the answer never tells who lives here. Send the person there; do not fetch it yourself."
        ),
        parameters=[OpenApiParameter("code", str, OpenApiParameter.PATH, description="the touchpoint's code")],
        request={"application/json": ASKED},
        responses={
            (201, "application/json"): ANSWER,
            **{(status, "application/problem+json"): PROBLEM for status in TITLES},
        },
        examples=[OpenApiExample("A locker's account", {"who": "locker:8812"}, request_only=True)],
        auth=BY_A_KEY,
    )
    def post(self, request: Request, code: str) -> HttpResponse:
        asked = frame.plain(request)
        said = frame.json(frame.text(frame.body(asked)))
        key = frame.land(touchpoints.KEYS, [touchpoints.KEYS], frame.bearer(asked), None)
        one = tickets.of_key(code, key)
        if one is None:
            raise Refused(404, _("This key has no touchpoint of this code."))
        if one.paused_at is not None:
            raise Refused(410, _("This touchpoint is paused."))
        source, ref = _who(said, tickets.known_by(one))
        try:
            token, ticket = tickets.make(one, source, ref, now=clock.now())
        except tickets.TooMany:
            raise Refused(429, _("This touchpoint asks for too many links. Try again in a minute.")) from None
        answer = {"url": f"{settings.SITE_URL}/r/once/{token}", "expires_at": ticket.expires_at}
        return JsonResponse(answer, status=201, headers={"Cache-Control": "no-store"})


def _who(said: Any, sources: tuple[str, ...]) -> tuple[str, str]:
    """The reference in a call: (source, reference). Raises `Refused` for one that this kind of place cannot know."""
    who = said.get("who") if type(said) is dict else None
    source, _colon, ref = who.partition(":") if type(who) is str else ("", "", "")
    ref = ref.strip()
    if source not in sources or not 0 < len(ref) <= MOST_REF or not ref.isprintable():
        wanted = " / ".join(f"{each}:…" for each in sources) or "–"
        raise Refused(400, _("“%(name)s” is missing, or is not %(wanted)s.") % {"name": "who", "wanted": wanted})
    return source, ref
