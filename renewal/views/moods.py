"""Moods and the quarterly survey as staff read them, and the switches of both questions.

GET  /admin/moods/            by month and building, streaks, answers; ?building= &month= &mood= &words=1 &page=
GET  /admin/surveys/          the score by quarter and building, answers; ?building= &quarter= &group= &words=1 &page=
POST /admin/moods/switch/     what=moods|surveys, on=1|0: from the next day's run on; the head office's only
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_POST, require_safe

from renewal import moodfigures, nps, surveyfigures
from renewal.moodfigures import Month
from tenants import access, asking, clock, desk, surveys
from tenants.models import Asking, Building, Lease, LeaseTenant, Survey, Tenant, User
from tenants.vocabulary import MOODS

FACES = {"good": "😊", "soso": "😐", "bad": "😞"}
PER_PAGE = 30
GROUPS = {
    "answered": pgettext_lazy("survey", "with an answer"),
    "promoters": gettext_lazy("9–10"),
    "passives": gettext_lazy("7–8"),
    "detractors": gettext_lazy("0–6"),
    "silent": gettext_lazy("no answer"),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """The buildings a person may see, and those the address asks for."""

    all: list[Building]
    chosen: list[Building]
    building: str

    @property
    def ids(self) -> list[int]:
        return [each.pk for each in self.chosen]


@require_safe
def moods(request: HttpRequest) -> HttpResponse:
    """Moods by month and building with the share of bills that were answered, streaks, and the answers."""
    scope, now = _scope(request), clock.now()
    kept = {name: request.GET.get(name, "").strip()[:20] for name in ("month", "mood", "words")}
    kept["mood"] = kept["mood"] if kept["mood"] in MOODS else ""
    counts = moodfigures.by_month(scope.ids, now=now)
    months: dict[str, Month] = {}
    for (month, _building), line in sorted(counts.items(), reverse=True):
        months[month] = months[month] + line if month in months else line
    shown = kept["month"] if kept["month"] in months else next(iter(months), "")
    of_those = [line for name, line in months.items() if kept["month"] in ("", name)]
    n = sum(getattr(line, kept["mood"] or "votes") for line in of_those)
    rows = moodfigures.Answers(
        scope.ids, kept["month"], kept["mood"], only_words=bool(kept["words"]), n=None if kept["words"] else n, now=now
    )
    page: Any = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    for row in page.object_list:
        row |= {"face": FACES.get(row["mood"], ""), "title": MOODS.get(row["mood"], row["mood"])}
    left = moodfigures.left(scope.ids, now=now)
    in_streak = moodfigures.in_streak(_people(scope, clock.day_of(now)))
    streaks: list[Any] = list(in_streak[:PER_PAGE])
    for tag in streaks:
        tag.months = tag.evidence.get("facts", {}).get("months", [])
    context = {
        "title": _("Moods"),
        "months": list(months.values()),
        "shown": months.get(shown),
        "by_building": [
            {"building": each, "line": counts[shown, each.pk]} for each in scope.all if (shown, each.pk) in counts
        ],
        "streaks": streaks,
        "streaks_n": in_streak.count(),
        "left": left,
        "prior": nps.PRIOR_WEIGHT,
        "page": page,
        "moods": {code: (FACES[code], name) for code, name in MOODS.items()},
        "wanted": kept,
        **_shared(request, scope, kept, asking.MOODS, now),
    }
    return _page(request, "staff/moods.html", context)


@require_safe
def survey(request: HttpRequest) -> HttpResponse:
    """The score by quarter and building, weighted against silence, with what is and is not a change; the answers."""
    scope, now = _scope(request), clock.now()
    kept = {name: request.GET.get(name, "").strip()[:20] for name in ("quarter", "group", "words")}
    kept["group"] = kept["group"] if kept["group"] in GROUPS else ""
    lines, apart = surveyfigures.lines(scope.ids)
    chosen = next((line for line in lines if line.quarter.isoformat() == kept["quarter"]), None)
    kept["quarter"] = kept["quarter"] if chosen else ""
    shown = chosen or next(iter(lines), None)
    listed = surveyfigures.listed(
        scope.ids,
        quarter=chosen.quarter if chosen else None,
        group=kept["group"] or "answered",
        only_words=bool(kept["words"]),
    )
    page: Any = Paginator(listed, PER_PAGE).get_page(request.GET.get("page"))
    for row in page.object_list:
        row.person = row.tenant.merged_into or row.tenant
        row.because = [surveys.REASONS[code] for code in row.reasons if code in surveys.REASONS]
    context = {
        "title": _("Survey"),
        "lines": [_in_words(line) for line in lines],
        "shown": shown and _in_words(shown),
        "by_building": [
            {"building": each, **_in_words(apart[shown.quarter, each.pk])}
            for each in scope.all
            if shown and (shown.quarter, each.pk) in apart
        ],
        "under_way": surveys.quarter_of(clock.day_of(now)),
        "page": page,
        "groups": GROUPS,
        "wanted": kept,
        "least": nps.LEAST,
        **_shared(request, scope, kept, asking.SURVEYS, now),
    }
    return _page(request, "staff/surveys.html", context)


def _in_words(line: surveyfigures.Line) -> dict[str, Any]:
    """A line's scores as they are read; a change is called one only where chance does not explain it."""
    score, weighted, change = line.score, line.weighted, line.change
    moved = ""
    if change:
        moved = _("no change that chance alone would not make")
        if line.is_too_few_to_compare:
            moved = _("too few answers to tell")
        elif line.is_changed:
            said = _("up %(n)s") if change.value > 0 else _("down %(n)s")
            moved = said % {"n": f"{abs(change.value):.0f}"}
    return {
        "line": line,
        "name": _quarter(line.quarter),
        "value": score and _signed(score.value),
        "range": score and _range(score),
        "is_few": score is not None and score.is_few,
        "weighted": weighted and _signed(weighted.score.value),
        "weighted_range": weighted and _range(weighted.score),
        "strata": weighted,
        "moved": moved,
    }


def _signed(value: float) -> str:
    rounded = int(math.copysign(math.floor(abs(value) + 0.5), value))
    return f"+{rounded}" if rounded > 0 else str(rounded).replace("-", "−")


def _range(score: nps.Score) -> str:
    return f"{_signed(score.low)} – {_signed(score.high)}"


def _quarter(first: date) -> str:
    return _("%(year)d Q%(n)d") % {"year": first.year, "n": (first.month + 2) // 3}


@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Questions of a kind are asked, or no more."""
    if not desk.may_run_the_house(request) or not isinstance(request.user, User):
        raise PermissionDenied
    what = request.POST.get("what", "")
    if what not in Asking.What.values:
        raise BadRequest("no such question")
    is_on = request.POST.get("on") == "1"
    if asking.switch(what, on=is_on, by=request.user, now=clock.now()):
        said = (
            _("It is asked from the next day's run on.")
            if is_on
            else _("It is asked no more. Links sent keep working.")
        )
        messages.success(request, said)
    return redirect("staff-moods" if what == asking.MOODS else "staff-surveys")


def _scope(request: HttpRequest) -> Scope:
    if not desk.may_see_people(request):
        raise PermissionDenied
    theirs = access.buildings_for(request.user, today=clock.today(), roles=access.SEES_PEOPLE)
    every = list(theirs.order_by("code"))
    code = request.GET.get("building", "").strip()[:32]
    chosen = [each for each in every if each.code == code] if code else every
    if code and not chosen:
        raise Http404
    return Scope(every, chosen, code)


def _people(scope: Scope, today: date) -> Any:
    """Whoever lives in these buildings today."""
    on_lease = LeaseTenant.objects.filter(
        Q(tenant=OuterRef("pk")) | Q(tenant__merged_into=OuterRef("pk")),
        lease__in=Lease.objects.filter(
            unit__building__in=scope.ids, state=Lease.State.SIGNED, first_day__lte=today, last_day__gte=today
        ),
    )
    return Tenant.objects.filter(Exists(on_lease), merged_into=None)


def _shared(request: HttpRequest, scope: Scope, kept: dict[str, str], what: str, now: datetime) -> dict[str, Any]:
    query = {name: value for name, value in {"building": scope.building, **kept}.items() if value}
    return {
        "buildings": scope.all,
        "building": scope.building,
        "address": urlencode(query),
        "here": urlencode({"building": scope.building} if scope.building else {}),
        "is_narrowed": bool(query),
        "asking": asking.latest(what),
        "what": what,
        "may_switch": desk.may_run_the_house(request),
        "now": now,
    }


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return render(request, template, {**admin.site.each_context(request), "tabs_of": Survey._meta, **context})


moods_view = admin.site.admin_view(moods)
survey_view = admin.site.admin_view(survey)
switch_view = admin.site.admin_view(switch)
