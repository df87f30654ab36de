"""The simulated phone, and what monitors ask: is it alive, is it ready, how much waits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from connectors.models import PhoneMessage
from tenants import clock
from tenants.models import Tenant
from tenants.outbox import keeping

SHOWN = 50  # the phone shows so many, the newest
CODE = re.compile(r"(?<![0-9.,])([0-9]{6})(?![0-9.,][0-9]|[0-9])")
PHONE_HEADERS = {
    "Referrer-Policy": "no-referrer",  # a message's link holds a token
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


@dataclass(frozen=True, slots=True)
class Card:
    """A received message as it is drawn; its text is split where a six-digit code stands."""

    id: int
    sender: str
    at: datetime
    is_today: bool
    before: str
    code: str
    after: str
    url: str


@require_safe
def phone(request: HttpRequest, tenant_id: int) -> HttpResponse:
    """What a tenant's phone has received; `?fragment` leaves out everything around the messages."""
    if "phone" not in settings.CHANNELS:
        raise Http404
    tenant = get_object_or_404(Tenant, pk=tenant_id)
    now = clock.now()
    received = PhoneMessage.objects.filter(address=tenant.phone).order_by("-received_at", "-id")[:SHOWN]
    cards = [card(message, now=now) for message in received]
    template = "tenants/_messages.html" if "fragment" in request.GET else "tenants/phone.html"
    context = {"tenant": tenant, "cards": cards, "now": now, "operator": settings.OPERATOR_NAME}
    return HttpResponse(render(request, template, context).content, headers=PHONE_HEADERS)


def card(message: PhoneMessage, *, now: datetime) -> Card:
    before, code, after = split_at_code(message.text)
    is_today = clock.day_of(message.received_at) == clock.day_of(now)
    return Card(message.pk, message.sender, message.received_at, is_today, before, code, after, message.url)


def split_at_code(text: str) -> tuple[str, str, str]:
    """The text before its first six-digit code, the code, and the rest; without a code, the text and nothing."""
    found = CODE.search(text)
    return (text[: found.start()], found[1], text[found.end() :]) if found else (text, "", "")


@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """The process answers; nothing else is asked, so that a lost database never restarts it."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Whether requests may be sent here: 503 without the database, or without the Redis that is configured."""
    try:
        waited = keeping.oldest_due(now=clock.now())
    except (DatabaseError, InterfaceError):
        waited = None
    has_broker = keeping.broker_answers()
    facts = {
        "database": "unreachable" if waited is None else "ok",
        "broker": "ok" if has_broker else "unreachable",
        "oldest_due_seconds": None if waited is None else round(waited, 1),
    }
    # Without Redis the broker is a folder that the worker makes when it starts.
    is_ready = waited is not None and (has_broker or not settings.REDIS_URL)
    return JsonResponse(facts, status=200 if is_ready else 503)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The outbox in Prometheus' text format."""
    lines = [
        "# HELP renewal_messages Messages in the outbox, by state and class.",
        "# TYPE renewal_messages gauge",
        *(f'renewal_messages{{state="{state}",class="{klass}"}} {n}' for state, klass, n in keeping.counts()),
        "# HELP renewal_outbox_oldest_due_seconds How long the oldest due message has waited.",
        "# TYPE renewal_outbox_oldest_due_seconds gauge",
        f"renewal_outbox_oldest_due_seconds {keeping.oldest_due(now=clock.now()):.1f}",
    ]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")
