"""What the e-sign provider's server says to us."""

from __future__ import annotations

import time
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from connectors import esign
from renewal import sealing, signing
from tenants import clock, frame
from tenants.frame import Refused

TEXT = {"type": "string"}
SAID = {"type": "object", "properties": {"code": {"type": "string"}, "msg": TEXT}, "required": ["code", "msg"]}
HEADERS = [
    OpenApiParameter(f"X-Tsign-Open-{name}", str, OpenApiParameter.HEADER, required=False)
    for name in ("TIMESTAMP", "SIGNATURE-ALGORITHM", "App-Id", "SIGNATURE")
]


class EsignCallback(frame.Sender):
    """Callbacks of e签宝: what became of a flow."""

    def refuse(self, status: int, sentence: str) -> HttpResponse:
        return JsonResponse({"code": str(status), "msg": sentence}, status=status)

    @extend_schema(
        operation_id="esign_callback",
        tags=["E-sign"],
        summary="What became of a signing flow",
        description=(
            "Signed by e签宝: HMAC-SHA256 over time stamp, values of the query and body. Said again it changes nothing."
        ),
        parameters=HEADERS,
        request={"application/json": {"type": "object"}},
        responses={
            (200, "application/json"): SAID,
            **{(status, "application/json"): SAID for status in (400, 403, 404, 411, 413, 415, 503)},
        },
        auth=[],
    )
    def post(self, request: Request) -> HttpResponse:
        asked = frame.plain(request)
        if not esign.is_on():
            raise Refused(404, _("No e-sign provider is connected."))
        raw = frame.body(asked)
        try:
            # Their clock is the real one, whatever the product's is.
            esign.check(asked.headers, asked.GET.dict(), raw, at=time.time())
        except esign.Forged as forged:
            raise Refused(403, str(forged)) from None
        said: Any = frame.json(frame.text(raw))
        if isinstance(said, dict) and said.get("action") == "SIGN_FLOW_COMPLETE":
            state = esign.state_of(said.get("signFlowStatus"))
            flow = said.get("signFlowId")
            if state is not None and isinstance(flow, str) and "\0" not in flow:
                try:
                    sealing.heard(flow[:64], state, now=clock.now())
                except signing.Busy as busy:
                    raise Refused(503, str(busy)) from None
        return JsonResponse({"code": "200", "msg": "success"})
