"""Receipts: the addresses to which providers say what became of a message, and who answered 回复R."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from connectors.channels import Channel, Forged, Heard, Unreadable, channel
from tenants import clock, consents, frame
from tenants.frame import Refused
from tenants.outbox import receipts

TEXT = {"type": "string"}
WITHOUT_A_KEY: Any = [{}]  # the channel itself says who may call


class Receipts(frame.Sender):
    """A provider's call back."""

    def refuse(self, status: int, sentence: str) -> HttpResponse:
        return HttpResponse(sentence, status=status, content_type="text/plain; charset=utf-8")

    @extend_schema(
        operation_id="receipts",
        tags=["Receipts"],
        summary="What became of messages",
        description=(
            "In the provider's own words, verified as it signs them; what it wants to hear is the answer. Each receipt "
            "is kept once, in whatever order it comes, and moves its message only forward."
        ),
        parameters=[OpenApiParameter("channel", str, OpenApiParameter.PATH)],
        request={"application/json": {}},
        responses={
            (200, "application/json"): {},
            **{(status, "text/plain"): TEXT for status in (400, 403, 404, 411, 413, 415, 503)},
        },
        auth=WITHOUT_A_KEY,
    )
    def post(self, request: Request, channel: str) -> HttpResponse:
        heard = self._read(request, _way(channel))
        now = clock.now()
        with transaction.atomic():
            receipts.take(channel, heard.receipts, now=now)
            consents.withdraw(heard.refusals, now=now)
        return HttpResponse(heard.answer, content_type=heard.content_type)

    def _read(self, request: Request, way: Channel) -> Heard:
        asked = frame.plain(request)
        raw = frame.body(asked)
        try:
            return way.read(headers=asked.headers, query=asked.GET.dict(), body=raw)
        except Forged:
            raise Refused(403, _("This call was not signed by the provider.")) from None
        except Unreadable as problem:
            raise Refused(400, str(problem)) from None
        finally:
            way.close()


def _way(name: str) -> Channel:
    if name not in settings.CHANNELS:
        raise Refused(404, _("This house has no such channel."))
    return channel(name)
