"""Segments: the list, one segment with its members, and why somebody belongs to it or not."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from campaigns import segments
from campaigns.models import Playbook, Segment
from renewal import audience, people
from tenants import access, clock, current, desk


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Every segment with its rule in words and how many belong to it."""
    _refuse_without_people(request)
    words, today = _words(request), clock.today()
    rows = audience.listed(request.user, words, today=today)
    context = {
        "title": _("Segments"),
        "rows": rows,
        "words": words,
        "today": today,
        "computed": current.freshness(),
        "clear": "?" if words else "",
    }
    return page(request, "staff/segments.html", context)


@require_safe
def segment(request: HttpRequest, pk: int) -> HttpResponse:
    """One segment: its rule, and who belongs to it or (`who=others`) does not."""
    _refuse_without_people(request)
    one = get_object_or_404(Segment, pk=pk)
    today = clock.today()
    seen = audience.visible(request.user, today=today)
    inside = audience.members(one.rule, seen, today=today)
    outside = sorted(set(audience.members(None, seen, today=today)) - set(inside))
    is_others = request.GET.get("who") == "others"
    words = _words(request)
    wanted = people.Wanted(words=words, among=outside if is_others else inside, page=_number(request.GET.get("page")))
    kept = {name: value for name, value in (("who", "others" if is_others else ""), ("q", words)) if value}
    context = {
        "title": one.name,
        "segment": one,
        "sentence": segments.sentences(one.rule),
        "inside": len(inside),
        "outside": len(outside),
        "is_part": seen is not None,
        "playbooks": audience.playbooks().get(one.pk, []),
        "page": people.roster(request.user, wanted, today=today),
        "is_others": is_others,
        "computed": current.freshness(),
        "words": words,
        "hidden": {"who": "others"} if is_others else {},
        "clear": f"?{'who=others' if is_others else ''}" if words else "",
        "address": urlencode(kept),
        "today": today,
    }
    return page(request, "staff/segment.html", context)


@require_safe
def why(request: HttpRequest, pk: int, tenant_id: int) -> HttpResponse:
    """Why one tenant belongs to a segment or does not, and what is missing."""
    _refuse_without_people(request)
    one = get_object_or_404(Segment, pk=pk)
    today = clock.today()
    tenant = get_object_or_404(access.tenants_for(request.user, today=today), pk=tenant_id)
    seen = audience.visible(request.user, today=today)
    if seen is not None and tenant.pk not in seen:
        raise Http404
    try:
        told = audience.why(one.rule, tenant.pk, today=today)
    except segments.NotAResident:
        told = {"tree": None, "holds": False, "nearest": []}
    context = {"title": f"{tenant.name} · {one.name}", "segment": one, "tenant": tenant, "today": today, **told}
    context |= {"hidden": {"who": "others"}, "computed": current.freshness(tenant.pk)}
    return page(request, "staff/segment_why.html", context)


def _words(request: HttpRequest) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()[:80]


def _number(page_number: str | None) -> int:
    return int(page_number) if page_number and page_number.isdecimal() and len(page_number) < 7 else 1


def _refuse_without_people(request: HttpRequest) -> None:
    if not desk.may_see_people(request):
        raise PermissionDenied


def page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A page with the tabs of segments and playbooks above it."""
    shared = {
        **admin.site.each_context(request),
        "tabs_of": Playbook._meta,
        "may_edit": desk.may_run_the_house(request),
    }
    return render(request, template, {**shared, **context}, status=status)


listing_view = admin.site.admin_view(listing)
segment_view = admin.site.admin_view(segment)
why_view = admin.site.admin_view(why)
