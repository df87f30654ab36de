"""The endings of a building by week, what a weekly cap would change of them, and the caps that were asked for.

Trying a cap (GET) keeps nothing. Asking for one, or for its end (POST), waits for a second person of the head office.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from renewal import caps, ratecard, waveboard, weekboard
from renewal.seconding import NotSet
from renewal.views import rates as pages
from tenants import clock
from tenants.models import Building, User

HISTORY = 50


@require_http_methods(["GET", "HEAD", "POST"])
def by_week(request: HttpRequest) -> HttpResponse:
    """Per room type the weeks before and after the cap that holds, or is tried. POST asks for one, or for its end."""
    pages.refuse_without_people(request)
    now = clock.now()
    today = clock.day_of(now)
    building = pages.chosen(request, ratecard.buildings(request.user, today=today), needed=True)
    assert building is not None  # noqa: S101 - else it was a 404
    wave = waveboard.wave(building, today=today, now=now)
    given = request.POST if request.method == "POST" else request.GET
    typed = {name: given.get(name, "").replace("\0", "").strip()[:200] for name in ("type", "most", "why")}
    types = [each.name for each in ratecard.table(building, today=today)]
    fault: NotSet | None = None
    tried: tuple[str, int] | None = None
    try:
        if typed["type"] not in (caps.EVERY_TYPE, *types):
            raise NotSet(_("There are no rooms of this type here."), "type")
        tried = (typed["type"], _whole(typed["most"])) if typed["most"] else None
        if request.method == "POST":
            return _asked(request, building, typed, tried)
    except NotSet as refused:
        fault = refused
    found = weekboard.board(building, wave, today=today, tried=tried)
    context = {
        "title": _("Endings by week"),
        "building": building,
        "types": types,
        "weeks": list(found.values()),
        "tried": tried,
        "rate": wave.rate,
        "standing": caps.standing([building.pk]),
        "caps": list(caps.history(building)[:HISTORY]),
        "typed": typed,
        "fault": fault,
        "may_ask": pages.may_ask(request, building),
        "today": today,
    }
    return pages.page(request, "staff/rates_weeks.html", context, status=422 if fault else 200)


def _asked(
    request: HttpRequest, building: Building, typed: dict[str, str], tried: tuple[str, int] | None
) -> HttpResponse:
    """Raises `NotSet`."""
    if not pages.may_ask(request, building):
        raise PermissionDenied
    do = request.POST.get("do")
    if do not in ("ask", "end"):
        raise BadRequest("no such act")
    if do == "ask" and tried is None:
        raise NotSet(_("A cap is a whole number from 1 to 999."), "most")
    assert isinstance(request.user, User)  # noqa: S101 - the staff site knows whom it let in
    most = tried[1] if tried and do == "ask" else None
    caps.ask(building, room_type=typed["type"], most=most, why=typed["why"], by=request.user, now=clock.now())
    if do == "ask":
        messages.success(request, _("The cap waits for a second person of the head office."))
    else:
        messages.success(request, _("The end of the cap waits for a second person of the head office."))
    return redirect(f"{reverse('staff-rates-weeks')}?{urlencode({'building': building.code})}")


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:4]) <= caps.MOST:
        raise NotSet(_("A cap is a whole number from 1 to 999."), "most")
    return int(text)


by_week_view: Any = admin.site.admin_view(by_week)
