"""Several who sign one agreement: the terms that the first one fixed, each one's code, and the way to say no.

GET  …/together          the terms, who has agreed and who has not, until when
POST …/together/code     a code to the reader's own phone; GET is where one types it
POST …/together/sign     the reader's yes; with the last one the lease is signed
GET, POST …/together/refuse   what it means not to agree (or to take one's yes back), and doing it
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from renewal import agreement, cosigning, door, letters, quotes, rounds, sealing, signing, throttles, visitors
from renewal.models import Round, Seat
from renewal.views import words
from renewal.views.frame import READ_AT, SeeOther, go, kept, opened, page, show
from renewal.views.repeating import new_key, one_answer, said_otherwise
from tenants import clock, leases
from tenants.models import Link

RESEND = timedelta(minutes=1)
ICONS = ("person", "pin", "days", "money", "end")


@page
@require_safe
def page_of(request: HttpRequest, key: str) -> HttpResponse:
    """The terms that wait, with what is still missing."""
    link, waiting, seat = _here(request, key)
    if waiting is None or seat is None:
        return _elsewhere(link)
    everybody = rounds.seats(waiting)
    context = {
        "lines": [
            {"icon": icon, "label": label, "words": sentence}
            for icon, (label, sentence) in zip(ICONS, waiting.lines, strict=False)
        ],
        "text": waiting.text,
        "people": [_person(each, seat) for each in everybody],
        "missing": sum(each.signed_at is None for each in everybody),
        "sealing": waiting.sealing,
        "has_signed": seat.signed_at is not None,
        "until": _until(waiting),
        "say": {
            "agree": _("Please tick that you have read the agreement and agree to it."),
            "phone": str(signing.NoPhone.sentence),
            "provider": _("The signing page cannot be reached just now. Please try again in a few minutes."),
        }.get(request.GET.get("say", ""), ""),
    }
    return show(request, "h5/together.html", context)


@page
def code(request: HttpRequest, key: str) -> HttpResponse:
    """POST sends the reader a code of their own; GET is where one types it."""
    link, waiting, seat = _here(request, key)
    if waiting is None or seat is None:
        return _elsewhere(link)
    if seat.signed_at:
        return go("letter-together", READ_AT)
    if request.method != "POST":
        return _code_page(request, link)
    held = kept(request)
    if "first" in request.POST and request.POST.get("agree") != "1":
        return go("letter-together", READ_AT, more="?say=agree")
    now = clock.now()
    try:
        cosigning.ask_code(link.lease, link.tenant, now=now)
        held["asked"] = now.isoformat()
    except signing.TooSoon as soon:
        held["asked"] = (now + timedelta(seconds=soon.seconds) - RESEND).isoformat()
    except signing.NoPhone:
        return go("letter-together", READ_AT, more="?say=phone")
    except cosigning.Over:
        return _elsewhere(link)
    return go("letter-together-code", READ_AT)


def _said_otherwise(request: HttpRequest, key: str) -> HttpResponse:
    """The form's key came with other digits before."""
    return _code_page(request, opened(request, key, even_if_closed=True), error=said_otherwise(), status=422)


@page
@require_safe
def provider(request: HttpRequest, key: str) -> HttpResponse:
    """On to the provider's own page, where the agreement is signed."""
    link, waiting, seat = _here(request, key)
    if waiting is None or seat is None:
        return _elsewhere(link)
    try:
        return SeeOther(sealing.door(link.lease, link.tenant, now=clock.now()))
    except sealing.NotThere:
        return go("letter-together", READ_AT, more="?say=provider")


@page
@require_POST
@one_answer(_said_otherwise)
def sign(request: HttpRequest, key: str) -> HttpResponse:
    """The reader's yes. A second POST leads to the same page."""
    link = opened(request, key, even_if_closed=True)
    if letters.after(link, today=clock.today()):
        return go("letter-done", READ_AT)
    link = opened(request, key)
    throttles.signing(link, now=clock.now())
    try:
        cosigning.agree(
            link.lease,
            link.tenant,
            digits=request.POST.get("code", "").strip(),
            device=request.headers.get("User-Agent", "")[:300],
            address=visitors.address(request.META) or None,
            now=clock.now(),
            link=link,
        )
    except rounds.NotAll:
        return go("letter-together", READ_AT)
    except cosigning.Over:
        return _elsewhere(link)
    except (leases.UnitTaken, leases.AlreadyRenewed, quotes.Refused):
        return show(request, "h5/together_over.html", {"kind": Round.State.BROKEN.value}, status=409)
    except signing.Refused as error:
        return _code_page(request, link, error=str(error), status=503 if isinstance(error, signing.Busy) else 422)
    return go("letter-done", READ_AT)


@page
def refuse(request: HttpRequest, key: str) -> HttpResponse:
    """What it means not to agree, and the button that does it."""
    link, waiting, seat = _here(request, key)
    if waiting is None or seat is None:
        return _elsewhere(link)
    if request.method == "POST":
        try:
            cosigning.refuse(link.lease, link.tenant, because=request.POST.get("more", "").strip(), now=clock.now())
        except cosigning.Over:
            return _elsewhere(link)
        kind = Round.State.WITHDRAWN if seat.signed_at else Round.State.REFUSED
        return show(request, "h5/together_over.html", {"kind": kind.value})
    return show(request, "h5/together_refuse.html", {"has_signed": seat.signed_at is not None})


def _here(request: HttpRequest, key: str) -> tuple[Link, Round | None, Seat | None]:
    link = opened(request, key, even_if_closed=True)
    waiting = rounds.standing(link.lease, now=clock.now())
    return link, waiting, rounds.seat_of(waiting, link.tenant) if waiting else None


def _elsewhere(link: Link) -> HttpResponse:
    """Nothing waits for this reader (any more): it was signed, or they are back at the letter."""
    return go("letter-done" if signing.signed_for(link.lease, link.tenant) else "letter-read", READ_AT)


def _person(seat: Seat, reader: Seat) -> dict[str, Any]:
    who = seat.signer.merged_into or seat.signer
    moment = seat.signed_at and timezone.localtime(seat.signed_at, clock.SHANGHAI)
    return {
        "name": rounds.short(who.name),
        "phone": agreement.masked(who.phone),
        "is_reader": seat.pk == reader.pk,
        "signed": f"{words.day(moment.date())} {moment:%H:%M}" if moment else "",
    }


def _until(waiting: Round) -> str:
    moment = timezone.localtime(waiting.deadline, clock.SHANGHAI)
    return f"{words.day(moment.date())} {moment:%H:%M}"


def _code_page(request: HttpRequest, link: Link, *, error: str = "", status: int = 200) -> HttpResponse:
    held = kept(request)
    asked = datetime.fromisoformat(held["asked"]) if held.get("asked") else None
    wait = max(0, int((asked + RESEND - clock.now()).total_seconds()) + 1) if asked else 0
    context = {
        "phone": door.masked(link.tenant.phone),
        "wait": min(wait, 60),
        "error": error,
        "typed": request.POST.get("code", "")[:6] if error else "",
        "check_url": reverse("letter-together-sign", args=[READ_AT]),
        "once": new_key(),
        "resend_url": reverse("letter-together-code", args=[READ_AT]),
        "action": _("Sign"),
        "back_url": reverse("letter-together", args=[READ_AT]),
        "purpose": _("With this code you agree to the terms that you have just read."),
    }
    return show(request, "h5/code.html", context, status=status)
