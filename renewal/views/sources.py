"""What the sources gave us, on one page, and which of them nothing more is expected of: the head office's only."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from connectors.models import Retirement, Run
from connectors.records import Source
from renewal import sources
from tenants import clock, desk

BAR, GAP, TALL = 6, 2, 24  # pixels


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Each source with its latest record, how late it is, what came today, and what of it was refused."""
    if not desk.may_run_the_house(request):
        raise PermissionDenied
    now = clock.now()
    shown = sources.overview(now=now)
    for line in shown["lines"]:
        today = shown["today"].isoformat()
        line["runs_url"] = _runs(line["source"])
        line["today_url"] = _runs(line["source"], today)
        line["bars"] = _bars(line)
        for group in line["reasons"]:
            group["url"] = f"{reverse('staff-quarantine')}?{_query(source=group['source'], reason=group['group'])}"
    for sender in shown["senders"]:
        sender["url"] = (
            f"{reverse('admin:connectors_run_changelist')}?{_query(source=sender['source'], q=sender['way'])}"
        )
        sender["refused_url"] = f"{reverse('staff-quarantine')}?{_query(source=sender['source'])}"
    context = {
        **admin.site.each_context(request),
        **shown,
        "title": _("Sources"),
        "now": now,
        "today_url": _runs("", shown["today"].isoformat()),
        "width": sources.BAR_DAYS * (BAR + GAP) - GAP,
        "tall": TALL,
        "tabs_of": Run._meta,
    }
    return render(request, "staff/sources.html", context)


def retirement(request: HttpRequest, source: str) -> HttpResponse:
    """A source that is not missed any more: what that means, why, and the way back; both by POST."""
    if not desk.may_run_the_house(request):
        raise PermissionDenied
    if source not in sources.NAMES:
        raise Http404
    name, error = sources.NAMES[Source(source)], ""
    by, now = request.user.get_username(), clock.now()
    if request.method == "POST":
        try:
            if request.POST.get("do") == "revive":
                sources.revive(source, by=by, now=now)
                said = _("%(source)s is in use again: it is missed when it falls silent.")
            else:
                sources.retire(source, why=request.POST.get("why", ""), by=by, now=now)
                said = _("%(source)s is retired: its silence is not reported any more.")
        except ValueError as refused:
            error = str(refused)
        else:
            messages.success(request, said % {"source": name})
            return redirect(f"{reverse('staff-sources')}#{source}")
    context = {
        **admin.site.each_context(request),
        "title": _("Retire a source"),
        "source": source,
        "name": name,
        "rhythm": sources.rhythms().get(source),
        "history": Retirement.objects.filter(source=source).order_by("-at", "-pk"),
        "standing": sources.retirements().get(source),
        "why": request.POST.get("why", ""),
        "error": error,
    }
    return render(request, "staff/retirement.html", context, status=422 if error else 200)


def _bars(line: dict[str, Any]) -> list[dict[str, Any]]:
    """The last days as columns: their height is their share of the largest, and what came at all is to be seen."""
    most = max((day["received"] for day in line["days"]), default=0)
    bars = []
    for at, day in enumerate(line["days"]):
        height = max(2, round(TALL * day["received"] / most)) if day["received"] else 1
        url = _runs(line["source"], day["day"].isoformat())
        facts = {"x": at * (BAR + GAP), "y": TALL - height, "width": BAR, "height": height, "url": url}
        bars.append({**day, **facts})
    return bars


def _runs(source: str, day: str = "") -> str:
    """The list of a source's runs, of one day if one is named."""
    query = _query(source=source, started_at_from=day, started_at_to=day)
    return f"{reverse('admin:connectors_run_changelist')}?{query}"


def _query(**wanted: str) -> str:
    return urlencode({name: value for name, value in wanted.items() if value})


retirement_view = admin.site.admin_view(retirement)
overview_view = admin.site.admin_view(overview)
