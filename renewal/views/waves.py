"""A draft of the card: other rents for the lines of a room type, and what they would do to next winter's wave.

Looking keeps nothing. Publishing asks for each changed line as the page of its term does.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from renewal import bands, ratecard, ratechanges, waveboard, waves
from renewal.models import RateChange
from renewal.seconding import NotSet
from renewal.views import rates as pages
from tenants import clock
from tenants.models import Building, User

MOST_RESPONSE = 30


@require_http_methods(["GET", "HEAD", "POST"])
def draft(request: HttpRequest) -> HttpResponse:
    """The lines of a room type with other rents: the wave now and then. By POST what differs may be published."""
    pages.refuse_without_people(request)
    now = clock.now()
    today = clock.day_of(now)
    building = pages.chosen(request, ratecard.buildings(request.user, today=today), needed=True)
    assert building is not None  # noqa: S101 - else it was a 404
    wave = waveboard.wave(building, today=today, now=now)
    room_type = request.GET.get("type", "")
    if room_type not in wave.types or not wave.types[room_type].lines:
        raise Http404
    lines: list[dict[str, Any]] = [
        {"term": term, "free": free, "rent": rent, "name": f"rent-{term}-{free}", "typed": "", "is_bad": False}
        for term, free, rent in sorted(wave.types[room_type].lines)
    ]
    given = request.POST if request.method == "POST" else request.GET
    typed = {name: given.get(name, "").replace("\0", "").strip()[:200] for name in ("signed_from", "signed_to", "why")}
    response, fault = waves.RESPONSE, ""
    rents: dict[tuple[int, int], Decimal] = {}
    for line in lines:
        line["typed"] = given.get(line["name"], "").replace("\0", "").strip()[:20] or str(line["rent"])
        try:
            rents[line["term"], line["free"]] = pages.money(line["typed"], line["name"])
        except NotSet as refused:
            line["is_bad"], fault = True, str(refused)
    asked = given.get("response", "").strip()
    if asked:
        try:
            response = float(asked)
        except ValueError:
            response = -1
        if not 0 <= response <= MOST_RESPONSE:
            response, fault = waves.RESPONSE, _("The response is a number from 0 to 30.")
    was = {(line["term"], line["free"]): line["rent"] for line in lines}
    changed = {key: rent for key, rent in rents.items() if rent != was[key]}
    if request.POST.get("do") == "publish" and not fault:
        if not pages.may_ask(request, building):
            raise PermissionDenied
        try:
            return _published(request, building, room_type, changed, typed)
        except NotSet as refused:
            fault = str(refused)
    of_term = bands.standing([building.pk])
    for line in lines:
        key = (line["term"], line["free"])
        line["is_changed"] = key in changed
        line["is_outside"] = key in rents and not bands.holds(
            of_term.get((building.pk, room_type, line["term"])),
            rent=rents[key],
            term_months=line["term"],
            free_months=line["free"],
        )
    before, after = wave.of(room_type), wave.leaning(room_type, rents, response=response)
    context = {
        "title": _("Draft of the card"),
        "building": building,
        "room_type": room_type,
        "lines": lines,
        "facts": wave.types[room_type],
        "rate": wave.rate,
        "now_shares": wave.types[room_type].shares,
        "wave": waveboard.chart(before, after),
        "whole": waveboard.chart(wave.whole(), wave.whole({room_type: after})),
        "response": f"{response:g}",
        "changed": len(changed),
        "typed": typed,
        "first": _first(building, room_type, changed or rents, today=today),
        "fault": fault,
        "may_ask": pages.may_ask(request, building),
        "today": today,
    }
    return pages.page(request, "staff/rates_draft.html", context, status=422 if fault else 200)


def _first(building: Building, room_type: str, keys: Any, *, today: date) -> date:
    """The first day on which all of these lines may begin."""
    return max(
        ratechanges.earliest(building, room_type=room_type, term_months=term, free_months=free, today=today)
        for term, free in keys
    )


def _published(
    request: HttpRequest,
    building: Building,
    room_type: str,
    changed: dict[tuple[int, int], Decimal],
    typed: dict[str, str],
) -> HttpResponse:
    """Each changed line is asked for, all of them or none. Raises `NotSet`."""
    by = request.user
    assert isinstance(by, User)  # noqa: S101 - the staff site knows whom it let in
    if not changed:
        raise NotSet(_("No rent of the draft differs from what is published."))
    first, last = pages.day(typed["signed_from"], "signed_from"), pages.day(typed["signed_to"], "signed_to")
    with transaction.atomic():
        made = [
            ratechanges.ask(
                building,
                room_type=room_type,
                term_months=term,
                free_months=free,
                monthly_rent=rent,
                signed_from=first,
                signed_to=last,
                why=typed["why"],
                by=by,
                now=clock.now(),
            )
            for (term, free), rent in changed.items()
        ]
    waits = sum(change.state == RateChange.State.WAITING for change in made)
    there = len(made) - waits
    if there:
        said = ngettext("%(n)d line is published.", "%(n)d lines are published.", there)
        messages.success(request, said % {"n": there})
    if waits:
        said = ngettext(
            "%(n)d line is outside its band and waits for a second person.",
            "%(n)d lines are outside their bands and wait for a second person.",
            waits,
        )
        messages.warning(request, said % {"n": waits})
    return redirect(f"{reverse('staff-rates')}?{urlencode({'building': building.code})}")


draft_view = admin.site.admin_view(draft)
