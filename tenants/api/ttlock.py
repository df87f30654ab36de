"""TTLock 通通锁: the address to which its cloud tells what locks recorded."""

from __future__ import annotations

from django.core.exceptions import SuspiciousOperation
from django.http import HttpResponse, QueryDict
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from connectors.sources import calls, ttlock
from tenants import frame
from tenants.frame import Refused

TEXT = {"type": "string"}
FORM = {
    "type": "object",
    "properties": {
        "lockId": TEXT,
        "notifyType": {"type": "string", "description": "1: records; anything else is acknowledged and not read"},
        "records": {"type": "string", "description": "a JSON list of records"},
    },
    "required": ["lockId", "records"],
}


class TTLock(frame.Sender):
    """TTLock's callback."""

    def refuse(self, status: int, sentence: str) -> HttpResponse:
        return HttpResponse(sentence, status=status, content_type="text/plain; charset=utf-8")

    @extend_schema(
        operation_id="ttlock",
        tags=["TTLock"],
        summary="What locks recorded",
        description=(
            "The lock's id is the device's reference. Of each record only the way, the time and whether it succeeded "
            "are kept; the number that was typed and the name of who typed it are dropped before anything is stored."
        ),
        parameters=[OpenApiParameter("key", str, required=False)],
        request={"application/x-www-form-urlencoded": FORM},
        responses={
            (200, "text/plain"): TEXT,
            **{(status, "text/plain"): TEXT for status in (400, 401, 411, 413, 415, 503)},
        },
        auth=frame.WITH_A_KEY,
    )
    def post(self, request: Request) -> HttpResponse:
        asked = frame.plain(request)
        raw = frame.body(asked)
        if asked.content_type != "application/x-www-form-urlencoded":
            raise Refused(415, _("The body is no form."))
        try:
            form = QueryDict(raw, encoding="utf-8")
            kept = _openings(form)
        except calls.Problem as problem:
            raise Refused(400, str(problem)) from None
        except (ValueError, SuspiciousOperation):  # for instance more fields than a form may have
            raise Refused(400, _("The form is not readable.")) from None
        secret = asked.GET.get("key", "") or frame.bearer(asked)
        frame.land("ttlock", ["ttlock"], secret, {"records": kept} if kept else None)
        return HttpResponse("success", content_type="text/plain; charset=utf-8")


def _openings(form: QueryDict) -> list[dict[str, int | None]]:
    if form.get("notifyType", "1") != "1":
        return []
    lock = str(form.get("lockId", ""))
    if not lock.isascii() or not lock.isdigit() or len(lock) > 18:
        raise calls.Problem(_("“%(name)s” is not a lock's number.") % {"name": "lockId"})
    return ttlock.stripped(str(form.get("records", "")), lock=lock)
