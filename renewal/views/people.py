"""The list of tenants and one tenant's page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from renewal import people
from renewal.models import Case
from tenants import access, clock, desk
from tenants.models import Tenant
from tenants.tags import TAGS

TOPICS = {
    "": gettext_lazy("all"),
    "repairs": gettext_lazy("repairs"),
    "money": gettext_lazy("money"),
    "moods": gettext_lazy("moods"),
    "house": gettext_lazy("in the house"),
    "app": gettext_lazy("in the app"),
}


@require_safe
def roster(request: HttpRequest) -> HttpResponse:
    """Tenants, the nearest end of a lease first; every filter stands in the address."""
    _refuse_without_people(request)
    asked = request.GET
    wanted = people.Wanted(
        words=asked.get("q", "").strip()[:80],
        building=asked.get("building", ""),
        tag=asked.get("tag", ""),
        state=asked.get("state", ""),
        everybody=asked.get("who") == "all",
        page=_number(asked.get("page")),
    )
    today = clock.today()
    page = people.roster(request.user, wanted, today=today)
    kept = {key: value for key, value in asked.items() if key != "page" and value}
    return render(
        request,
        "staff/tenants.html",
        {
            **admin.site.each_context(request),
            "title": _("Tenants"),
            "page": page,
            "wanted": wanted,
            "today": today,
            "address": urlencode(kept),
            "is_narrowed": bool(kept),
            "buildings": access.buildings_for(request.user, today=today, roles=access.SEES_PEOPLE).order_by("code"),
            "tags": TAGS.values(),
            "states": Case.State.choices,
        },
    )


@require_safe
def portrait(request: HttpRequest, tenant_id: int) -> HttpResponse:
    """One tenant: lease, case, tags with their reasons, what happened, what we told them."""
    _refuse_without_people(request)
    topic = request.GET.get("topic", "")
    today = clock.today()
    try:
        shown = people.portrait(
            request.user, tenant_id, topic=topic, page=_number(request.GET.get("page")), today=today
        )
    except Tenant.DoesNotExist:
        raise Http404 from None
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        **shown,
        "title": shown["tenant"].name,
        "today": today,
        "days_left": (shown["current"].last_day - today).days,
        "topic": topic,
        "topics": TOPICS,
        "phone_url": f"/phone/{tenant_id}" if "phone" in settings.CHANNELS else "",
    }
    return render(request, "staff/tenant.html", context)


def _refuse_without_people(request: HttpRequest) -> None:
    if not desk.may_see_people(request):
        raise PermissionDenied


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 1


roster_view = admin.site.admin_view(roster)
portrait_view = admin.site.admin_view(portrait)
