"""Batches of proposals: leases by their end, looked at together, approved with one click; and what came of each.

Whoever sees tenants may look; the head office approves, and a manager for their buildings.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from renewal import batches, casebook, ratecard
from renewal.batches import Wanted
from renewal.models import BatchLine, Case
from renewal.views.rates import may_ask, refuse_without_people
from tenants import clock
from tenants.models import Building, Unit, User

DAYS_AHEAD = 105  # batches go out so long before the end
PER_PAGE = 100
REASONS = {
    "unpriced": gettext_lazy("no rent is published for twelve months"),
    "outside": gettext_lazy("outside the band"),
    "change": gettext_lazy("differs more than may pass"),
    "full": gettext_lazy("the week in which twelve months would end is full"),
}


@require_http_methods(["GET", "HEAD", "POST"])
def desk(request: HttpRequest) -> HttpResponse:
    """Leases of a range with their forecast; POST approves the ticked ones, and holds back the others if asked to."""
    refuse_without_people(request)
    now = clock.now()
    today = clock.day_of(now)
    theirs = ratecard.buildings(request.user, today=today)
    wanted, building, problem = _wanted(request, theirs, today=today)
    may_act = bool(theirs) and all(may_ask(request, each) for each in wanted.buildings)
    refused, why = "", request.POST.get("why", "").replace("\0", "")[:200]
    ticked: set[int] | None = None
    if request.method == "POST":
        if not may_act:
            raise PermissionDenied
        ticked = {int(each) for each in request.POST.getlist("lease") if each.isdecimal() and len(each) < 18}
        try:
            return _approved(request, wanted, ticked, why, today=today)
        except batches.NotApproved as fault:
            refused = str(fault)
    rows: list[batches.Line] = []
    try:
        rows = batches.lines(wanted, today=today) if not problem else []
    except batches.NotApproved as fault:
        problem = str(fault)
    people = casebook.people_of([row.lease.pk for row in rows])
    shown: list[dict[str, Any]] = [
        {
            "line": row,
            "people": people.get(row.lease.pk, []),
            "reasons": [REASONS[reason] for reason in row.reasons],
            "is_ticked": row.rate is not None and (ticked is None or row.lease.pk in ticked),
        }
        for row in rows
    ]
    context = {
        "title": _("Batches"),
        "buildings": theirs,
        "building": building,
        "types": _types(theirs),
        "wanted": wanted,
        "exceptions": [each for each in shown if not each["line"].passes],
        "passing": [each for each in shown if each["line"].passes],
        "unbanded": sum(row.band is None for row in rows if row.rate),
        "seen": batches.digest(rows),
        "forecast": batches.forecast(rows, today=today, now=now),
        "opened": batches.opened_already(wanted) if not problem else 0,
        "change": settings.BATCH_CHANGE_PERCENT,
        "before": list(batches.latest([each.pk for each in theirs])[:20]),
        "problem": problem,
        "refused": refused,
        "why": why,
        "may_act": may_act,
        "today": today,
    }
    return page(request, "staff/batches.html", context, status=422 if refused else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One batch: who approved what on which card. POST releases what it held back."""
    refuse_without_people(request)
    now = clock.now()
    today = clock.day_of(now)
    theirs = ratecard.buildings(request.user, today=today)
    ids = [each.pk for each in theirs]
    batch = batches.latest(ids).filter(pk=pk).first()
    if batch is None:
        raise Http404
    mine = [each.pk for each in theirs if may_ask(request, each)]
    lines = batches.lines_of(batch, ids)
    if request.method == "POST":
        wanted = batches.lines_of(batch, mine).filter(verdict=BatchLine.Verdict.HELD, released_at=None)
        asked = request.POST.get("lease", "")
        if not mine:
            raise PermissionDenied
        if asked != "all":
            if not asked.isdecimal() or len(asked) > 17:
                raise BadRequest("no such lease")
            wanted = wanted.filter(lease=int(asked))
        assert isinstance(request.user, User)  # noqa: S101 - the staff site knows whom it let in
        leases = list(wanted.values_list("lease", flat=True))
        n = batches.release(batch, leases, by=request.user, today=today, now=now)
        said = ngettext("%(n)d lease is released.", "%(n)d leases are released.", n)
        messages.success(request, said % {"n": n})
        return redirect("staff-batch", pk=pk)
    found = Paginator(lines, PER_PAGE).get_page(request.GET.get("page"))
    people = casebook.people_of([line.lease_id for line in found.object_list])
    held = lines.filter(verdict=BatchLine.Verdict.HELD)
    context = {
        "title": _("Batch of %(day)s") % {"day": clock.day_of(batch.at)},
        "batch": batch,
        "page": found,
        "rows": [
            {
                "line": line,
                "people": people.get(line.lease_id, []),
                "reasons": [REASONS[reason] for reason in line.reasons],
                "may_release": line.lease.unit.building_id in mine,
            }
            for line in found.object_list
        ],
        "approved": lines.filter(verdict=BatchLine.Verdict.APPROVED).count(),
        "exceptions": lines.filter(verdict=BatchLine.Verdict.APPROVED).exclude(reasons=[]).count(),
        "held": held.count(),
        "still": held.filter(released_at=None).count(),
        "may_act": bool(mine),
        "today": today,
    }
    return page(request, "staff/batch.html", context)


def _approved(request: HttpRequest, wanted: Wanted, ticked: set[int], why: str, *, today: date) -> HttpResponse:
    """Raises `NotApproved`."""
    do = request.POST.get("do", "")
    if do not in ("approve", "hold"):
        raise BadRequest("no such decision")
    assert isinstance(request.user, User)  # noqa: S101 - the staff site knows whom it let in
    made = batches.approve(
        wanted,
        ticked=ticked,
        seen=request.POST.get("seen", ""),
        is_held=do == "hold",
        why=why,
        by=request.user,
        today=today,
        now=clock.now(),
    )
    n = made.forecast["n"]
    said = ngettext("%(n)d proposal is approved.", "%(n)d proposals are approved.", n)
    messages.success(request, said % {"n": n})
    return redirect("staff-batch", pk=made.pk)


def _wanted(request: HttpRequest, theirs: list[Building], *, today: date) -> tuple[Wanted, Building | None, str]:
    """What the address asks for, the one building it names, and what is wrong with it. Raises `Http404`."""
    code, room_type = request.GET.get("building", ""), request.GET.get("type", "").replace("\0", "")[:32]
    building = next((each for each in theirs if each.code == code), None)
    if code and building is None:
        raise Http404
    first, last, problem = today + timedelta(days=1), today + timedelta(days=DAYS_AHEAD), ""
    try:
        first = date.fromisoformat(request.GET.get("from") or first.isoformat())
        last = date.fromisoformat(request.GET.get("to") or last.isoformat())
    except ValueError:
        problem = _("Please give a day such as 2025-12-01.")
    if not problem and last < first:
        problem = _("The last day is before the first.")
    if not problem and last > today + timedelta(days=366):
        problem = _("A batch reaches a year ahead at most.")
    return Wanted(first, last, (building,) if building else tuple(theirs), room_type), building, problem


def _types(theirs: list[Building]) -> list[str]:
    rows = Unit.objects.filter(building__in=theirs).order_by("room_type")
    return list(rows.values_list("room_type", flat=True).distinct())


def page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A page with the tabs of cases above it."""
    shared = {**admin.site.each_context(request), "tabs_of": Case._meta}
    return render(request, template, {**shared, **context}, status=status)


desk_view = admin.site.admin_view(desk)
one_view = admin.site.admin_view(one)
