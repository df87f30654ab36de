"""The letter: cover → year and offers → what one says to them.

    GET  /r/<token>            the cover: no name, no figure, no price; changes nothing
    POST /r/<token>/open       opens the letter (gesture=1: a trusted gesture), then 303 to
    GET  /r/letter/            the year and the offers
    POST /r/letter/quote       a choice → its price (JSON, or 303 back to the page without scripts)
    GET  …/certificate         why it is this price: the published line, and the rent computed without the person
    GET, POST …/agreement      the five lines (POST keeps the choice)      → signing.py
    POST …/code, …/sign        the code and the signature                  → signing.py
    GET, POST …/decline        "not this time"; …/notice: "I am leaving"  → answers.py
    POST …/general             the general version
    GET …/preferences, POST …/choose, …/hours, …/refuse   what one wants to hear, and when → preferences.py

Every POST exists as /r/<token>/… too, for a browser that has opened that token.
"""

from __future__ import annotations

from datetime import date

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language, gettext_noop
from django.views.decorators.http import require_POST, require_safe

from renewal import covers, intents, letters, offers, proposals, quotes, throttles
from renewal.views import words
from renewal.views.frame import (
    READ_AT,
    SeeOther,
    counted,
    go,
    has_opened,
    kept,
    opened,
    page,
    remember,
    show,
    token_of,
)
from tenants import clock, links
from tenants.models import Link


@page
@require_safe
def cover(request: HttpRequest, token: str) -> HttpResponse:
    """The cover. Previews and scanners fetch it as they like: it tells nothing and changes nothing."""
    key = token_of(token)
    said = covers.find(key, now=clock.now())
    counted(request, said.link)
    if said.over:
        raise proposals.Closed(said.over)
    context = {
        "place": said.building.removeprefix(settings.OPERATOR_NAME).strip(" ·・-") or said.building,
        "open_url": reverse("letter-open", args=[key]),
        "refuse_at": key,
        "is_road": said.is_road,
    }
    return show(request, "h5/cover.html", context)


@page
@require_POST
def open_letter(request: HttpRequest, token: str) -> HttpResponse:
    """The tap. From here on the address holds no token."""
    now = clock.now()
    link = links.find(token_of(token), now=now)
    throttles.opening(link, now=now)
    trusted, here_before = request.POST.get("gesture") == "1", has_opened(request, link)
    if link.purpose == Link.Purpose.ROADMAP:
        letters.open_roadmap(link, trusted=trusted, here_before=here_before, now=now)
        remember(request, link, now=now)
        return go("letter-roadmap", READ_AT)
    try:
        letters.open(link, trusted=trusted, here_before=here_before, today=clock.today(), now=now)
    except proposals.Closed as closed:
        # The letter is shut, but a notice may be seen and taken back; and where only lengths are missing, given.
        if closed.kind in {"notice", "full"}:
            remember(request, link, now=now)
        raise
    remember(request, link, now=now)
    return go("letter-read", READ_AT)


@page
@require_safe
def read(request: HttpRequest, key: str) -> HttpResponse:
    """The year and the offers, priced now, with the choice as it was left."""
    link = opened(request, key)
    now = clock.now()
    wanted = kept_choice(request)
    language = get_language() or ""
    letter = letters.read(link, wanted, language=language, today=clock.today(), now=now, move_on=kept_day(request))
    context = {
        "name": words.name(link.tenant.name),
        "building": link.lease.unit.building.name,
        "today": words.day(clock.today()),
        "last_day": words.day(link.lease.last_day),
        "general": letter.general,
        "lean": intents.leaning(link.lease, now=clock.now()),
        "story": [{"icon": words.ICONS.get(card.code, card.code), "card": card} for card in letter.story],
        "offer": words.offer(letter, now=now),
        "say": words.missed(letter, wanted, now=now) if request.GET.get("say") in {"held", "gone", "full"} else "",
    }
    return show(request, "h5/letter.html", context)


@page
@require_POST
def quote(request: HttpRequest, key: str) -> HttpResponseBase:
    """The server's price of a choice; the choice is remembered."""
    link = opened(request, key)
    wants_json = "application/json" in request.headers.get("Accept", "")
    try:
        choice = choice_of(request)
        kept(request)["move_on"] = request.POST.get("move_on", "")[:10]
        priced = letters.choose(link, choice, today=clock.today(), now=clock.now(), move_on=kept_day(request))
    except offers.NotOffered as error:
        if wants_json:
            return JsonResponse({"error": quotes.sentence(error)}, status=422)
        kept(request)["choice"] = plain_choice(request)
    except quotes.RoomHeld as error:
        if wants_json:
            return JsonResponse({"error": str(error)}, status=422)
        kept(request)["choice"] = plain_choice(request)
        return go("letter-read", READ_AT, more="?say=held#offers")
    else:
        kept(request)["choice"] = [choice.term_months, choice.free_months, choice.unit, choice.perk]
        if wants_json:
            return JsonResponse(words.answer(priced))
    return go("letter-read", READ_AT, more="#offers")


@page
@require_safe
def certificate(request: HttpRequest, key: str) -> HttpResponse:
    """Why it is this price, for the choice as it was left."""
    link = opened(request, key)
    found = letters.certificate(link, kept_choice(request), today=clock.today(), now=clock.now())
    return show(request, "h5/certificate.html", {"certificate": found.certificate, **words.certificate(found)})


@page
@require_POST
def general(request: HttpRequest, key: str) -> HttpResponse:
    """The version that knows nothing about the reader, and back (PIPL 24)."""
    link = opened(request, key)
    letters.prefer_general(link.tenant, general=request.POST.get("general") == "1", now=clock.now())
    return go("letter-read", READ_AT)


@page
@require_POST
def large_type(request: HttpRequest) -> HttpResponse:
    """大字: kept in a cookie, for every page of the letter."""
    back = request.POST.get("back", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts=None) and back.startswith("/r/")
    response = SeeOther(back if safe else reverse("door"))
    response.set_cookie(
        "type", "large" if request.POST.get("large") else "", max_age=31_536_000, path="/r/", samesite="Lax"
    )
    return response


@require_safe
def brand(request: HttpRequest) -> HttpResponse:
    """The operator's colour laid over the tokens; by night, and for tints, mixed from it."""
    sheet = (
        f":root{{--brand-base:{settings.BRAND_COLOUR};--brand:var(--brand-base);"
        "--brand-strong:color-mix(in srgb,var(--brand-base) 84%,black);"
        "--brand-tint:color-mix(in srgb,var(--brand-base) 11%,white)}"
        "@media (prefers-color-scheme:dark){:root{--brand:color-mix(in srgb,var(--brand-base) 45%,white);"
        "--brand-strong:color-mix(in srgb,var(--brand-base) 30%,white);"
        "--brand-tint:color-mix(in srgb,var(--brand-base) 26%,#14181c)}}"
    )
    return HttpResponse(sheet, content_type="text/css", headers={"Cache-Control": "max-age=3600"})


# --- What was chosen --------------------------------------------------------------------------------------


def choice_of(request: HttpRequest) -> offers.Choice:
    """The choice in a form. Raises `offers.NotOffered` for what is no choice at all."""
    choice = _choice(plain_choice(request))
    if choice is None:
        raise offers.NotOffered(NO_CHOICE)
    return choice


# Marked for translation; `quotes.sentence` translates it.
NO_CHOICE = gettext_noop("Please choose how long you would like to stay.")


def plain_choice(request: HttpRequest) -> list[str]:
    moves = request.POST.get("tab") == "move"
    unit = request.POST.get("unit", "") if moves or "tab" not in request.POST else ""
    return [request.POST.get("term", ""), request.POST.get("free", "") or "0", unit, request.POST.get("perk", "")]


def _choice(plain: list[str]) -> offers.Choice | None:
    term, free, unit, perk = (str(each)[:40] for each in plain)
    if not (_is_small(term) and _is_small(free)):
        return None
    return offers.Choice(int(term), int(free), unit, perk)


def _is_small(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 3


def kept_choice(request: HttpRequest) -> offers.Choice | None:
    plain = request.session.get("letter", {}).get("choice")
    return _choice(plain) if plain else None


def kept_day(request: HttpRequest) -> date | None:
    """The day on which they asked what moving would cost, if it is a day."""
    try:
        return date.fromisoformat(request.session.get("letter", {}).get("move_on", ""))
    except ValueError:
        return None
