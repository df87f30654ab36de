"""Touchpoints for staff: all of them with what they did, one with its draw and its effect, its form, its printed sheet.

Who sees tenants sees touchpoints; only the head office changes them. Whom a figure counts is shown within one's own
buildings (tenants.access), so that a list may be shorter than its figure, and says so.
"""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_http_methods, require_safe

from campaigns import placing, tickets, touchpoints
from campaigns.models import Touchpoint, TouchpointDay
from campaigns.touchpoints import NotSaved
from connectors.models import InboundKey
from renewal import touchfigures
from renewal.views import touch
from renewal.views.pushes import page, refuse_without_people
from tenants import access, clock, desk
from tenants.models import Building, User

PERIODS = (7, 30, 90)  # days, today included
DAYS = 30
FIELDS = ("name", "kind", "building", "partner", "origins", "key", "title", "line", "action")


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Every touchpoint with what it did in a period."""
    refuse_without_people(request)
    first, today, days = _period(request)
    seen = touchfigures.seen(first, today)
    came = {what: touchfigures.came(what, first, today) for what in touchfigures.CAME}
    rows: list[dict[str, Any]] = []
    for each in Touchpoint.objects.select_related("building").order_by("building__code", "kind", "code"):
        figures = {name: seen.get(each.pk, {}).get(name, 0) for name in touchfigures.SEEN}
        rows.append({"one": each, **figures, **{what: len(came[what].get(each.code, ())) for what in came}})
    context = {
        "title": _("Touchpoints"),
        "rows": rows,
        "clicked": len(set().union(*(came["clicked"].get(row["one"].code, set()) for row in rows))),
        "first": first,
        "today": today,
        "days": days,
        "periods": PERIODS,
        "may_edit": desk.may_run_the_house(request),
    }
    return page(request, "staff/touchpoints.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One touchpoint: its figures and who is behind them (`of`), its draw; by POST what is done to it (`do`)."""
    refuse_without_people(request)
    found = get_object_or_404(Touchpoint.objects.select_related("building", "key"), pk=pk)
    if request.method == "POST":
        return _done(request, found)
    first, today, days = _period(request)
    seen = touchfigures.seen(first, today).get(pk, dict.fromkeys(touchfigures.SEEN, 0))
    came = {what: touchfigures.came(what, first, today).get(found.code, set()) for what in touchfigures.CAME}
    of = request.GET.get("of", "")
    theirs = access.tenants_for(request.user, today=today).order_by("name", "pk")
    effect = touchfigures.effect(found, today=today)
    context = {
        "title": found.name,
        "one": found,
        "seen": seen,
        "came": {what: len(who) for what, who in came.items()},
        "of": of if of in came else "",
        "people": theirs.filter(pk__in=came[of]) if of in came else None,
        "first": first,
        "today": today,
        "days": days,
        "periods": PERIODS,
        "each_day": _each_day(found, first, today),
        "effect": effect,
        "opened_words": words(effect.opened) if effect else "",
        "signed_words": words(effect.signed) if effect else "",
        "shown_today": effect and not effect.placement.last_day,
        "history": touchpoints.history(found)[:50],
        "door": settings.SITE_URL + touch.door_path(found),
        "site": settings.SITE_URL,
        "height": 1920 if found.kind == Touchpoint.Kind.LIFT else 150,
        "has_tickets": found.key_id is not None and bool(tickets.known_by(found)),
        "may_edit": desk.may_run_the_house(request),
        "window": touchfigures.WINDOW,
    }
    return page(request, "staff/touchpoint.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def form(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """A new touchpoint, or one that is changed: the form with the page as it would look."""
    refuse_without_people(request)
    if not desk.may_run_the_house(request):
        raise PermissionDenied
    found = get_object_or_404(Touchpoint.objects.select_related("building", "key"), pk=pk) if pk else None
    fault: NotSaved | None = None
    if request.method == "POST":
        given = {name: request.POST.get(name, "")[:5000].replace("\0", "") for name in (*FIELDS, "code")}
        try:
            facts = touchpoints.checked(given)
            if request.POST.get("do") != "look":
                by, now = _by(request), clock.now()
                saved = (
                    touchpoints.change(found.pk, facts, by=by, now=now)
                    if found
                    else touchpoints.make(given["code"].strip(), facts, by=by, now=now)
                )
                messages.success(request, _("Saved. Pages that show it follow within five minutes."))
                return redirect("staff-touchpoint", pk=saved.pk)
        except NotSaved as refused:
            fault = refused
    else:
        given = _given(found, request.GET.get("kind", ""))
    is_refused = fault is not None and request.POST.get("do") != "look"
    context = {
        "title": found.name if found else _("New touchpoint"),
        "one": found,
        "given": given,
        "fault": fault,
        "is_refused": is_refused,
        "preview": "" if fault else _preview(given, found),
        "is_lift": given["kind"] == Touchpoint.Kind.LIFT,
        "kinds": Touchpoint.Kind.choices,
        "buildings": Building.objects.order_by("code"),
        "keys": InboundKey.objects.filter(source=touchpoints.KEYS, revoked_at=None).order_by("name"),
    }
    return page(request, "staff/touchpoint_edit.html", context, status=422 if is_refused else 200)


@require_safe
@xframe_options_sameorigin
def look(request: HttpRequest, pk: int) -> HttpResponse:
    """What the public sees, for the frame on its page: asked for here it counts nothing."""
    refuse_without_people(request)
    return HttpResponse(touch.drawn(get_object_or_404(Touchpoint.objects.select_related("building"), pk=pk)))


@require_safe
def sheet(request: HttpRequest, pk: int) -> HttpResponse:
    """A sheet to print: the code to scan, large, with the words and where it is to hang."""
    refuse_without_people(request)
    found = get_object_or_404(Touchpoint.objects.select_related("building"), pk=pk)
    address = settings.SITE_URL + touch.door_path(found)
    context = {"one": found, "qr": touch.qr(found), "door": address, "operator": settings.OPERATOR_NAME}
    return render(request, "staff/touchpoint_sheet.html", context)


@require_safe
def code(request: HttpRequest, pk: int) -> HttpResponse:
    """The code to scan alone, as an SVG file."""
    refuse_without_people(request)
    found = get_object_or_404(Touchpoint.objects.select_related("building"), pk=pk)
    drawing = touch.qr(found).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    response = HttpResponse(drawing, content_type="image/svg+xml")
    response.headers["Content-Disposition"] = f'attachment; filename="{found.code}.svg"'
    return response


def words(found: placing.Estimate | None) -> str:
    """An estimate as a sentence; it says when it is too early to tell."""
    if found is None or found.pairs < placing.FEWEST:
        n = found.pairs if found else 0
        return _("Too early to tell: %(n)d pairs of days are over; six are the fewest.") % {"n": n}
    facts = {
        "on": found.on,
        "off": found.off,
        "pairs": found.pairs,
        "ratio": _times(found.ratio.value),
        "low": _times(found.ratio.low),
        "high": _times(found.ratio.high),
    }
    if found.verdict == "early":
        return _("Too early to tell: %(on)d people with it, %(off)d without, in %(pairs)d pairs of days.") % facts
    if found.verdict == "open":
        return (
            _(
                "Not to be told from no effect: %(ratio)s times as many with it as without (95 %% interval %(low)s to "
                "%(high)s; %(on)d people against %(off)d, in %(pairs)d pairs of days)."
            )
            % facts
        )
    return (
        _(
            "On days with it %(ratio)s times as many as on days without (95 %% interval %(low)s to %(high)s; %(on)d "
            "people against %(off)d, in %(pairs)d pairs of days)."
        )
        % facts
    )


# --- The parts of it --------------------------------------------------------------------------------------


def _done(request: HttpRequest, found: Touchpoint) -> HttpResponse:
    """What a button names is done."""
    if not desk.may_run_the_house(request):
        raise PermissionDenied
    by, now, today = _by(request), clock.now(), clock.today()
    try:
        match request.POST.get("do"):
            case "pause":
                touchpoints.pause(found.pk, why=request.POST.get("why", ""), by=by, now=now)
                messages.success(request, _("It is paused. Pages that show it follow within five minutes."))
            case "resume":
                touchpoints.resume(found.pk, by=by, now=now)
                messages.success(request, _("It shows again."))
            case "draw":
                touchpoints.draw(found.pk, first_day=today + timedelta(days=1), by=by, now=now)
                messages.success(request, _("From tomorrow on a lot decides on which days it shows."))
            case "end":
                touchpoints.end_draw(found.pk, today=today, by=by, now=now)
                messages.success(request, _("From tomorrow on it shows every day again."))
            case "played":
                day, played = _reported(request, today)
                touchpoints.report_played(found, day=day, played=played)
                messages.success(request, _("Written down."))
            case _:
                raise BadRequest("no such act")
    except NotSaved as refused:
        messages.error(request, str(refused))
    return redirect("staff-touchpoint", pk=found.pk)


def _reported(request: HttpRequest, today: date) -> tuple[date, int]:
    """The day and the number of a partner's report. Raises `NotSaved`."""
    try:
        day, played = date.fromisoformat(request.POST.get("day", "")), int(request.POST.get("played", ""))
    except ValueError:
        raise NotSaved(_("Please give a day that is over or today, and a whole number.")) from None
    if day > today or day < today - timedelta(days=400) or not 0 <= played <= 10_000_000:
        raise NotSaved(_("Please give a day that is over or today, and a whole number."))
    return day, played


def _given(found: Touchpoint | None, kind: str) -> dict[str, str]:
    """The form of what is there, or of a new one of that kind with the words it begins with."""
    if found:
        return {
            **{name: getattr(found, name) for name in ("name", "kind", "partner", "title", "line", "action", "code")},
            "building": found.building.code if found.building else "",
            "origins": "\n".join(found.origins),
            "key": str(found.key_id or ""),
        }
    kind = kind if kind in Touchpoint.Kind.values else Touchpoint.Kind.LIFT
    title, line, action = touchpoints.WORDING[Touchpoint.Kind(kind)]
    empty = dict.fromkeys((*FIELDS, "code"), "")
    return empty | {"kind": str(kind), "title": title, "line": line, "action": action}


def _preview(given: dict[str, str], found: Touchpoint | None) -> str:
    """The page as it would look; what is no part of it may still be missing."""
    shown = Touchpoint(
        code=found.code if found else given["code"].strip() or "code",
        kind=given["kind"],
        **{name: given[name] for name in ("name", "title", "line", "action")},
    )
    return touch.drawn(shown)


def _each_day(found: Touchpoint, first: date, last: date) -> list[TouchpointDay]:
    rows = TouchpointDay.objects.filter(touchpoint=found, day__gte=first, day__lte=last).select_related("building")
    return list(rows.order_by("-day", "building__code"))[:200]


def _period(request: HttpRequest) -> tuple[date, date, int]:
    asked = request.GET.get("days", "")
    days = int(asked) if asked in {str(each) for each in PERIODS} else DAYS
    today = clock.today()
    return today - timedelta(days=days - 1), today, days


def _times(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _by(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


listing_view = admin.site.admin_view(listing)
one_view = admin.site.admin_view(one)
form_view = admin.site.admin_view(form)
sheet_view = admin.site.admin_view(sheet)
look_view = admin.site.admin_view(look)
code_view = admin.site.admin_view(code)
