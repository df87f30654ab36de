"""What if: ask for a back-test or a dry run, watch it, cancel it, read what came of it. The head office's pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.grammar import BadRule
from campaigns.models import Playbook, Segment
from renewal import rehearsed, whatif
from renewal.models import Rehearsal
from renewal.rehearsals import DAYS_AHEAD, CannotRehearse
from renewal.views.segments import page
from tenants import clock, desk, past

RECENT = 15
View = Callable[..., HttpResponse]


def _for_hq(view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not desk.may_run_the_house(request):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


@require_http_methods(["GET", "HEAD", "POST"])
@_for_hq
def desk_of(request: HttpRequest) -> HttpResponse:
    """The two forms, and what was asked for lately."""
    now, error = clock.now(), ""
    today = clock.day_of(now)
    span = {"from": (today - timedelta(days=30)).isoformat(), "to": today.isoformat()}
    named = {name: request.GET[name] for name in ("playbook", "segment") if name in request.GET}
    asked = {**span, **named, **request.POST.dict()}
    if request.method == "POST":
        try:
            row = rehearsed.ask(*_wanted(request), by=request.user, now=now)  # type: ignore[arg-type]
            return redirect("staff-rehearsal", row.pk)
        except (CannotRehearse, BadRule) as refused:
            error = str(refused)
        except ValueError:
            error = _("Choose the first day and the last one.")
    context = {
        "title": _("Back-tests and dry runs"),
        "asked": asked,
        "error": error,
        "playbooks": Playbook.objects.order_by("rank"),
        "segments": Segment.objects.order_by("name"),
        "ahead": DAYS_AHEAD,
        "recent": Rehearsal.objects.select_related("by").defer("result").order_by("-asked_at", "-pk")[:RECENT],
        "today": today,
    }
    return page(request, "staff/rehearsals.html", context, status=422 if error else 200)


def _wanted(request: HttpRequest) -> tuple[str, dict[str, Any]]:
    if request.POST.get("kind") == Rehearsal.Kind.AHEAD:
        return Rehearsal.Kind.AHEAD, {"days": DAYS_AHEAD}
    segment = request.POST.get("segment", "")
    rule = Segment.objects.filter(pk=segment).values_list("rule", flat=True).first() if segment.isdecimal() else None
    return Rehearsal.Kind.BACK, {
        "from": date.fromisoformat(request.POST.get("from", "")).isoformat(),
        "to": date.fromisoformat(request.POST.get("to", "")).isoformat(),
        "playbook": request.POST.get("playbook") or None,
        "rule": rule,
        "as_now": bool(request.POST.get("as_now")),
        "basis": past.HAPPENED if request.POST.get("basis") == past.HAPPENED else past.RECORDED,
    }


@require_safe
@_for_hq
def rehearsal(request: HttpRequest, pk: int) -> HttpResponse:
    """How far it is; or what came of it: by day, by push, by tenant."""
    row = get_object_or_404(Rehearsal.objects.select_related("by"), pk=pk)
    if row.state != Rehearsal.State.DONE:
        template = "staff/rehearsal_state.html"
        context = {"title": row.get_kind_display(), "rehearsal": row, "is_slow": rehearsed.is_silent(row)}
        if request.headers.get("HX-Request"):
            return render(request, template, context)
        return page(request, "staff/rehearsal.html", context)
    wanted = rehearsed.Wanted(
        words=request.GET.get("q", "").replace("\0", "").strip()[:80],
        what=request.GET.get("what", ""),
        tenant=_number(request.GET.get("tenant")),
        page=_number(request.GET.get("page")) or 1,
    )
    kept = {"q": wanted.words, "what": wanted.what, "tenant": wanted.tenant or ""}
    pushes = rehearsed.pushes(row, wanted)
    context = {
        "title": row.get_kind_display(),
        "rehearsal": row,
        "wanted": wanted,
        "tenant": rehearsed.tenant_of(wanted),
        "followings": rehearsed.followings_of(row, wanted),
        "roadmap": rehearsed.roadmap_of(row, wanted),
        "page": pushes,
        "steps": rehearsed.steps_of(pushes),
        "counts": rehearsed.counts(row),
        "notes": list(whatif.notes(row.result)) if row.result and row.kind == Rehearsal.Kind.BACK else [],
        "address": urlencode({name: value for name, value in kept.items() if value}),
    }
    if request.headers.get("HX-Request"):  # whoever watched it is shown the result
        return HttpResponse(headers={"HX-Refresh": "true"})
    return page(request, "staff/rehearsal.html", context)


@require_POST
@_for_hq
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """It is run no further."""
    rehearsed.cancel(pk, now=clock.now())
    return redirect("staff-rehearsal", pk)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 12 else 0


desk_view = admin.site.admin_view(desk_of)
rehearsal_view = admin.site.admin_view(rehearsal)
cancel_view = admin.site.admin_view(cancel)
