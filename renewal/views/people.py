"""The list of tenants and one tenant's page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from renewal import people, persons
from renewal.models import Case
from tenants import access, clock, current, desk, naming
from tenants.attributes import ALIASES
from tenants.models import Tenant, User
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
    whose = _whose(asked.get("is") or "")
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
            "whose": whose,
            "hidden": {"is": asked["is"]} if whose else {},
            # Whom one looks for stays; without anything else to clear there is no link.
            "clear": f"?{urlencode({'is': asked['is']} if whose else {})}" if kept.keys() - {"is"} else "",
            "buildings": access.buildings_for(request.user, today=today, roles=access.SEES_PEOPLE).order_by("code"),
            "tags": TAGS.values(),
            "states": Case.State.choices,
        },
    )


@require_safe
def portrait(request: HttpRequest, tenant_id: int) -> HttpResponse:
    """One tenant: lease, case, tags with their reasons, what happened, what we told them."""
    _refuse_without_people(request)
    source, _colon, ref = request.GET.get("is", "").partition(":")
    return _portrait(request, tenant_id, {"source": source, "ref": ref[: naming.MOST]})


@require_POST
def alias(request: HttpRequest, tenant_id: int) -> HttpResponse:
    """The person is known by one more reference; refused, the page says why and keeps what was typed."""
    today = clock.today()
    if not isinstance(request.user, User) or not persons.may_decide(request.user, today=today):
        raise PermissionDenied
    person = get_object_or_404(access.tenants_for(request.user, today=today), pk=tenant_id)
    typed: dict[str, Any] = {name: request.POST.get(name, "") for name in ("source", "ref", "why")}
    try:
        made = naming.give(person, typed["source"], typed["ref"], why=typed["why"], by=request.user, now=clock.now())
    except naming.NotNameable as refused:
        theirs = access.tenants_for(request.user, today=today).filter(pk=refused.owner or 0).exclude(pk=person.pk)
        typed |= {"error": str(refused), "owner": theirs.first()}
        return _portrait(request, tenant_id, typed, status=409)
    said = _("%(what)s %(ref)s stands for %(name)s now. It can be taken back below.")
    messages.success(request, said % {**persons.named(made), "name": person.name})
    return redirect(reverse("staff-tenant", args=[tenant_id]) + "#identity")


def _portrait(request: HttpRequest, tenant_id: int, typed: dict[str, Any], *, status: int = 200) -> HttpResponse:
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
        "computed": current.freshness(tenant_id),
        "topic": topic,
        "topics": TOPICS,
        "phone_url": f"/phone/{tenant_id}" if "phone" in settings.CHANNELS else "",
        "typed": typed,
    }
    return render(request, "staff/tenant.html", context, status=status)


def _whose(asked: str) -> dict[str, str] | None:
    """The alias for which somebody is looked for, so that each name leads to where it can be added."""
    source, _colon, ref = asked.partition(":")
    if source not in naming.SOURCES or not ref or len(ref) > naming.MOST:
        return None
    return {"what": str(ALIASES[source]), "ref": ref, "query": "?" + urlencode({"is": asked}) + "#alias"}


def _refuse_without_people(request: HttpRequest) -> None:
    if not desk.may_see_people(request):
        raise PermissionDenied


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 1


roster_view = admin.site.admin_view(roster)
portrait_view = admin.site.admin_view(portrait)
alias_view = admin.site.admin_view(alias)
