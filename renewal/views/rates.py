"""The rate card for staff: the table of a building, one term with its lines and its band, and what waits.

Whoever sees tenants reads the card of their buildings. The head office and a building's manager ask for lines and
bands; only the head office decides about what waits, and never whoever asked.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from renewal import bands, caps, ratecard, ratechanges, waveboard, weekboard
from renewal.models import Rate, RateBand, RateChange, WeekCap
from renewal.seconding import NotSet
from tenants import access, clock, desk
from tenants.access import Role
from tenants.models import Building, User

FIELDS = ("free_months", "monthly_rent", "signed_from", "signed_to", "why")
DECISIONS = ("approve", "refuse", "withdraw", "explain")
BAND_FIELDS = ("lowest", "highest", "band_why")


@require_safe
def card(request: HttpRequest) -> HttpResponse:
    """The published card of a building, a table per room type."""
    refuse_without_people(request)
    now = clock.now()
    today = clock.day_of(now)
    theirs = ratecard.buildings(request.user, today=today)
    building = chosen(request, theirs)
    tables = ratecard.table(building, today=today) if building else []
    wave = waveboard.wave(building, today=today, now=now) if building else None
    if wave and building:
        waveboard.beside(tables, wave)
        by_week = weekboard.board(building, wave, today=today)
        for each in tables:
            each.weeks = by_week.get(each.name)
    waits = ratecard.waiting(request.user, today=today)
    context = {
        "title": _("Rate card"),
        "buildings": theirs,
        "building": building,
        "tables": tables,
        "lines": sum(each.lines for each in tables),
        "from": max((each.published_from for each in tables if each.published_from), default=None),
        "wave": waveboard.chart(wave.whole()) if wave else None,
        "rate": wave.rate if wave else None,
        "waiting": waits["n"],
        "may_ask": building is not None and may_ask(request, building),
        "today": today,
    }
    return page(request, "staff/rates.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def term(request: HttpRequest) -> HttpResponse:
    """One term of a room type: its lines, its band, their history. POST asks for a line, a last day or a band."""
    refuse_without_people(request)
    now = clock.now()
    today = clock.day_of(now)
    building = chosen(request, ratecard.buildings(request.user, today=today), needed=True)
    assert building is not None  # noqa: S101 - else it was a 404
    room_type, months = _term_of(request)
    typed = {name: request.POST.get(name, "").replace("\0", "").strip()[:200] for name in (*FIELDS, *BAND_FIELDS)}
    typed["end_why"] = request.POST.get("end_why", "").replace("\0", "").strip()[:200]
    fault: NotSet | None = None
    if request.method == "POST":
        if not may_ask(request, building):
            raise PermissionDenied
        try:
            return _asked(request, building, room_type, months, typed)
        except NotSet as refused:
            fault = refused
    lines = ratecard.history(building, room_type=room_type, term_months=months, today=today)
    if request.method != "POST":
        typed |= _proposed(building, room_type, months, lines, today=today)
    key = (building.pk, room_type, months)
    context = {
        "title": _("%(months)d months") % {"months": months},
        "building": building,
        "room_type": room_type,
        "months": months,
        "lines": lines,
        "band": bands.standing([building.pk]).get(key),
        "bands": ratecard.bands_of(building, room_type=room_type, term_months=months),
        "changes": ratecard.changes(building, room_type=room_type, term_months=months),
        "rent": ratecard.rent_today(building, room_type=room_type, term_months=months, today=today),
        "typed": typed,
        "fault": fault,
        "rate": int(request.POST.get("rate", "")) if request.POST.get("rate", "").isdecimal() else None,
        "do": request.POST.get("do", ""),
        "may_ask": may_ask(request, building),
        "may_decide": desk.may_run_the_house(request),
        "today": today,
    }
    return page(request, "staff/rates_term.html", context, status=422 if fault else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def waiting(request: HttpRequest) -> HttpResponse:
    """What waits for a second person. POST approves, refuses or withdraws one, or gives a file's line its reason."""
    refuse_without_people(request)
    today = clock.today()
    refused, row = "", ""
    if request.method == "POST":
        try:
            return _decided(request, today=today)
        except NotSet as fault:
            refused, row = str(fault), f"{request.POST.get('what', '')}-{request.POST.get('pk', '')}"
    waits = ratecard.waiting(request.user, today=today)
    mayor = {each.pk for each in ratecard.buildings(request.user, today=today) if may_ask(request, each)}
    context = {
        "title": _("Rents that wait"),
        **waits,
        "refused": refused,
        "row": row,
        "why": request.POST.get("why", "")[:200],
        "may_decide": desk.may_run_the_house(request),
        "may_ask_in": mayor,
        "today": today,
    }
    return page(request, "staff/rates_waiting.html", context, status=422 if refused else 200)


# --- The parts of it --------------------------------------------------------------------------------------


def _asked(
    request: HttpRequest, building: Building, room_type: str, months: int, typed: dict[str, str]
) -> HttpResponse:
    """Raises `NotSet`."""
    by, now = request.user, clock.now()
    assert isinstance(by, User)  # noqa: S101 - the staff site knows whom it let in
    back = f"{reverse('staff-rates-term')}?{urlencode({'building': building.code, 'type': room_type, 'term': months})}"
    facts: dict[str, Any] = {"room_type": room_type, "term_months": months}
    match request.POST.get("do"):
        case "line":
            free = typed["free_months"] or "0"
            change = ratechanges.ask(
                building,
                **facts,
                free_months=_whole(free, "free_months"),
                monthly_rent=money(typed["monthly_rent"], "monthly_rent"),
                signed_from=day(typed["signed_from"], "signed_from"),
                signed_to=day(typed["signed_to"], "signed_to"),
                why=typed["why"],
                by=by,
                now=now,
            )
            _say(request, change)
        case "end":
            rate = _rate(request, building, room_type, months)
            last = day(request.POST.get("last_day", ""), "last_day")
            change = ratechanges.give_last_day(rate.pk, last_day=last, why=typed["end_why"], by=by, now=now)
            _say(request, change)
        case "band":
            bands.ask(
                building,
                **facts,
                lowest=money(typed["lowest"], "lowest"),
                highest=money(typed["highest"], "highest"),
                why=typed["band_why"],
                by=by,
                now=now,
            )
            messages.success(request, _("The band waits for a second person of the head office."))
        case _:
            raise BadRequest("no such act")
    return redirect(back)


def _say(request: HttpRequest, change: RateChange) -> None:
    if change.state == RateChange.State.WAITING:
        messages.warning(
            request,
            _("This is outside the band: it waits for a second person of the head office. It can be withdrawn."),
        )
    else:
        facts = {"day": change.signed_from, "last": change.signed_to, "rent": change.monthly_rent}
        messages.success(request, _("Published: %(rent)s yuan, signed %(day)s to %(last)s.") % facts)


def _decided(request: HttpRequest, *, today: date) -> HttpResponse:
    """Raises `NotSet`."""
    do, what, pk = (request.POST.get(name, "") for name in ("do", "what", "pk"))
    by, now, why = request.user, clock.now(), request.POST.get("why", "").replace("\0", "")[:200]
    verbs: dict[str, Any] = {"line": (ratechanges, RateChange), "band": (bands, RateBand), "cap": (caps, WeekCap)}
    if what not in verbs or not pk.isdecimal() or len(pk) > 12 or do not in DECISIONS:
        raise BadRequest("no such decision")
    verb, model = verbs[what]
    theirs = ratecard.buildings(request.user, today=today)
    row = model.objects.filter(pk=int(pk), building__in=theirs).select_related("building").first()
    if row is None:
        raise Http404
    assert isinstance(by, User)  # noqa: S101
    if do == "explain":
        if not may_ask(request, row.building) or what != "line":
            raise PermissionDenied
        ratechanges.explain(row.pk, why=why, by=by, now=now)
        messages.success(request, _("The reason is kept. A second person of the head office decides."))
    elif do == "withdraw":
        verb.withdraw(row.pk, by=by, now=now)
        messages.success(request, _("Withdrawn; nothing was published."))
    else:
        if not desk.may_run_the_house(request):
            raise PermissionDenied
        verb.decide(row.pk, is_approved=do == "approve", why=why, by=by, now=now)
        messages.success(request, _("Approved.") if do == "approve" else _("Refused; nothing was published."))
    return redirect("staff-rates-waiting")


def _proposed(building: Building, room_type: str, months: int, lines: list[Any], *, today: date) -> dict[str, str]:
    """What the form of a new line begins with: the first day possible, and the last day of what holds."""
    first = ratechanges.earliest(building, room_type=room_type, term_months=months, free_months=0, today=today)
    last = max((line.rate.signed_to for line in lines), default=None)
    return {
        "free_months": "0",
        "signed_from": first.isoformat(),
        "signed_to": last.isoformat() if last and last >= first else "",
    }


def _rate(request: HttpRequest, building: Building, room_type: str, months: int) -> Rate:
    pk = request.POST.get("rate", "")
    of_term = Rate.objects.filter(building=building, room_type=room_type, term_months=months)
    found = of_term.filter(pk=int(pk)).first() if pk.isdecimal() and len(pk) < 13 else None
    if found is None:
        raise Http404
    return found


def _term_of(request: HttpRequest) -> tuple[str, int]:
    """The room type and the months of the address; a room type nobody has is none."""
    room_type, months = request.GET.get("type", "").replace("\0", "").strip(), request.GET.get("term", "")
    if not 0 < len(room_type) <= 32 or not months.isdecimal() or not 1 <= int(months[:4]) <= ratechanges.LONGEST:
        raise Http404
    return room_type, int(months)


def money(text: str, field: str) -> Decimal:
    """Raises `NotSet`."""
    try:
        amount = Decimal(text.replace(",", "").replace("，", ""))
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or not 0 < amount <= bands.MOST or amount != amount.quantize(Decimal("0.01")):
        raise NotSet(_("A rent is a number of yuan above nought with at most two places."), field)
    return amount.quantize(Decimal("0.01"))


def _whole(text: str, field: str) -> int:
    if not text.isdecimal() or len(text) > 3:
        raise NotSet(_("Free months are a whole number."), field)
    return int(text)


def day(text: str, field: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise NotSet(_("Please give a day such as 2025-12-01."), field) from None
    if not 2000 <= day.year < 2100:
        raise NotSet(_("Please give a day such as 2025-12-01."), field)
    return day


# --- What the pages share ---------------------------------------------------------------------------------


def refuse_without_people(request: HttpRequest) -> None:
    if not desk.may_see_people(request):
        raise PermissionDenied


def may_ask(request: HttpRequest, building: Building) -> bool:
    """Whether who asks may ask for lines and bands of this building: its manager, and the head office."""
    doors = access.buildings_for(request.user, today=clock.today(), roles={Role.HQ, Role.MANAGER})
    return desk.may_run_the_house(request) or doors.filter(pk=building.pk).exists()


def chosen(request: HttpRequest, theirs: list[Building], *, needed: bool = False) -> Building | None:
    """The building of the address, of those one may see; the first where none is named. Raises `Http404`."""
    code = request.GET.get("building", "")
    found = next((each for each in theirs if each.code == code), None)
    if found is None and (code or needed):
        raise Http404
    return found or (theirs[0] if theirs else None)


def page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A page with the tabs of the settings above it."""
    shared = {**admin.site.each_context(request), "tabs_of": Rate._meta}
    return render(request, template, {**shared, **context}, status=status)


card_view = admin.site.admin_view(card)
term_view = admin.site.admin_view(term)
waiting_view = admin.site.admin_view(waiting)
