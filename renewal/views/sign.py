"""Agreement → code → done. The browser carries the signed quote; the price in it is the server's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from renewal import door, evidence, letters, proposals, quotes, rounds, signing, throttles, visitors
from renewal.views import words
from renewal.views.frame import READ_AT, go, kept, opened, page, show
from renewal.views.h5 import kept_choice, plain_choice
from renewal.views.repeating import new_key, one_answer, said_otherwise
from tenants import clock, leases
from tenants.models import Link

RESEND = timedelta(minutes=1)
# Why one is back at the agreement; the sentence, not the address, is the server's.
SAYINGS = {
    "price": quotes.Expired.sentence,
    "changed": quotes.Changed.sentence,
    "agree": gettext_lazy("Please tick that you have read the agreement and agree to it."),
    "phone": signing.NoPhone.sentence,
    "reach": rounds.Unreachable.sentence,
}


@page
def agreement(request: HttpRequest, key: str) -> HttpResponse:
    """Five lines and the whole text, at today's price. POST comes from the sliders and keeps their choice.

    A room other than the own is kept for them from that POST on; where it is not free, or the length has no place left,
    they are back at the sliders.
    """
    link = opened(request, key)
    if request.method == "POST":
        kept(request)["choice"] = plain_choice(request)
        try:
            letters.go_on(link, kept_choice(request), today=clock.today(), now=clock.now())
        except quotes.RoomGone:
            return _to_offers(say="gone")
        except quotes.RoomHeld:
            return _to_offers(say="held")
        return go("letter-agreement", READ_AT)
    draft = letters.draft(link, kept_choice(request), today=clock.today(), now=clock.now())
    if draft.missed:  # never another room or length than the chosen one, without a word
        return _to_offers(say=draft.missed)
    context = {
        "lines": [
            {"icon": icon, "label": label, "words": sentence}
            for icon, (label, sentence) in zip(
                ("person", "pin", "days", "money", "end"), draft.agreement.lines, strict=False
            )
        ],
        "text": draft.agreement.text,
        "price": words.price(draft.offer),
        "token": draft.offer.token,
        "kept": words.kept(draft),
        "say": SAYINGS.get(request.GET.get("say", ""), ""),
    }
    return show(request, "h5/agreement.html", context)


@page
def code(request: HttpRequest, key: str) -> HttpResponse:
    """POST sends a code to the phone on file; GET is where one types it."""
    link = opened(request, key)
    held = kept(request)
    if request.method != "POST":
        if not held.get("quote"):
            return go("letter-agreement", READ_AT)
        return _code_page(request, link.tenant.phone)
    now = clock.now()
    token = request.POST.get("quote") or held.get("quote", "")
    if "quote" in request.POST and request.POST.get("agree") != "1":
        return _back(say="agree")
    try:
        proposal = proposals.for_link(link, today=clock.today(), now=now)
        signing.ask_code(proposal, proposal.tenant, quote_token=token, now=now)
    except signing.TooSoon as error:
        # A code is already on its way; what it will sign is what was agreed to last.
        held["asked"] = (now + timedelta(seconds=error.seconds) - RESEND).isoformat()
    except signing.NoPhone:
        return _back(say="phone")
    except rounds.Unreachable:
        return _back(say="reach")
    except (quotes.RoomGone, quotes.RoomHeld, quotes.TermFull) as error:
        return _to_offers(say=_saying(error))
    except quotes.Refused as error:
        return _back(say=_saying(error))
    else:
        held["asked"] = now.isoformat()
    held["quote"] = token
    return go("letter-code", READ_AT)


def _said_otherwise(request: HttpRequest, key: str) -> HttpResponse:
    """The form's key came with other digits, or for another offer, before."""
    link = opened(request, key, even_if_closed=True)
    return _code_page(request, link.tenant.phone, error=said_otherwise(), status=422)


@page
@require_POST
@one_answer(_said_otherwise)
def sign(request: HttpRequest, key: str) -> HttpResponse:
    """The signature. A second POST leads to the same page, and one with the same key to the same answer."""
    link = opened(request, key, even_if_closed=True)
    now = clock.now()
    if letters.after(link, today=clock.today()):
        return go("letter-done", READ_AT)
    link = opened(request, key)
    throttles.signing(link, now=now)
    token = request.POST.get("quote") or kept(request).get("quote", "")
    try:
        proposal = proposals.for_link(link, today=clock.today(), now=now)
        signing.sign(
            proposal,
            proposal.tenant,
            quote_token=token,
            digits=request.POST.get("code", "").strip(),
            device=request.headers.get("User-Agent", "")[:300],
            address=visitors.address(request.META) or None,
            now=now,
            link=link,
        )
    except (quotes.RoomGone, quotes.RoomHeld, quotes.TermFull) as error:
        return _taken(request, link, str(error))
    except leases.UnitTaken as error:
        return _taken(request, link, str(error))
    except rounds.NotAll:
        return go("letter-together", READ_AT)
    except quotes.Refused as error:
        return _back(say=_saying(error))
    except leases.AlreadyRenewed as error:
        return _code_page(request, link.tenant.phone, error=str(error), status=409)
    except signing.Refused as error:
        status = 503 if isinstance(error, signing.Busy) else 422
        return _code_page(request, link.tenant.phone, error=str(error), status=status)
    return go("letter-done", READ_AT)


@page
@require_safe
def done(request: HttpRequest, key: str) -> HttpResponse:
    """What happens next, with its days."""
    after = _after(request, key)
    if after is None:
        return go("letter-read", READ_AT)
    context = {
        "building": after.lease.unit.building.name,
        "last_day": words.day(after.lease.last_day),
        "next": _next(after),
        "roadmap": [
            {
                "name": _milestones()[step.code],
                "months": words.term(step.months),
                "day": words.month(step.on),
                "step": step,
            }
            for step in after.roadmap
        ],
        "text": after.signature.text,
    }
    return show(request, "h5/done.html", context)


@page
@require_safe
def text(request: HttpRequest, key: str) -> HttpResponse:
    """The whole text as a file: the signed one, or what would be signed now."""
    after = _after(request, key)
    if after:
        whole = after.signature.text
    else:
        link = opened(request, key)
        try:
            whole = letters.words(link, kept_choice(request), today=clock.today(), now=clock.now()).text
        except letters.NotThere as missed:
            return _to_offers(say=missed.why)
    headers = {"Content-Disposition": 'attachment; filename="agreement.txt"'}
    # With a byte order mark: phones and old editors then read it as UTF-8.
    return HttpResponse("\ufeff" + whole, content_type="text/plain; charset=utf-8", headers=headers)


@page
@require_safe
def pdf(request: HttpRequest, key: str) -> HttpResponse:
    """The agreement on paper: the signed one, or a draft of what would be signed now."""
    after = _after(request, key)
    if after:
        content = evidence.pdf_of(after.lease)
    else:
        link = opened(request, key)
        try:
            draft = letters.words(link, kept_choice(request), today=clock.today(), now=clock.now())
        except letters.NotThere as missed:
            return _to_offers(say=missed.why)
        content = evidence.draft_pdf(draft)
    name = _("Renewal agreement") if after else _("Renewal agreement (draft)")
    headers = {"Content-Disposition": content_disposition_header(True, f"{name}.pdf") or ""}
    return HttpResponse(content, content_type="application/pdf", headers=headers)


@page
@require_safe
def calendar(request: HttpRequest, key: str) -> HttpResponse:
    """The days of the new lease, for the phone's own calendar."""
    after = _after(request, key)
    if after is None:
        return go("letter-read", READ_AT)
    stamp = after.signature.signed_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    entries = [
        ("rent", after.lease.first_day, _("First rent: %s yuan") % words.yuan(after.lease.monthly_rent)),
        ("end", after.lease.last_day, _("Last day of the lease")),
    ]
    rows = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:-//{settings.OPERATOR_NAME}//letter//ZH"]
    for code, day, text in entries:
        rows += [
            "BEGIN:VEVENT",
            f"UID:lease-{after.lease.pk}-{code}@letter",
            f"DTSTAMP:{stamp}",
            f"DTSTART;VALUE=DATE:{day:%Y%m%d}",
            f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}",
            f"SUMMARY:{settings.OPERATOR_NAME} {text}".replace(",", "\\,"),
            "END:VEVENT",
        ]
    body = "\r\n".join([*rows, "END:VCALENDAR", ""])
    headers = {"Content-Disposition": 'attachment; filename="renewal.ics"'}
    return HttpResponse(body, content_type="text/calendar; charset=utf-8", headers=headers)


def _after(request: HttpRequest, key: str) -> letters.After | None:
    """What follows the signature; signing closes the link, and this browser may read on."""
    return letters.after(opened(request, key, even_if_closed=True), today=clock.today())


def _next(after: letters.After) -> list[dict[str, Any]]:
    """The days that follow the signature, in their order."""
    filed = _("We file the contract with the housing authority by this day; you need do nothing.")
    rent = _("%s yuan, for the first month of the new lease.") % words.yuan(after.lease.monthly_rent)
    rows = [(clock.day_of(after.signature.signed_at), _("Signed"), "")]
    rows += [(clock.day_of(grant.granted_at), grant.perk.name, _("Yours from this day.")) for grant in after.grants]
    rows += [(after.filing_due_on, _("Contract on file"), filed)] if after.filing_due_on else []
    rows += [(after.lease.first_day, _("First rent"), rent)]
    today = clock.today()
    return [
        {"day": words.day(day), "title": title, "line": line, "past": day <= today}
        for day, title, line in sorted(rows, key=lambda row: row[0])
    ]


def _milestones() -> dict[str, str]:
    return {
        "cleaning": _("One cleaning"),
        "first_choice": _("First choice of new rooms"),
        "partner": _("Community partner, with a dividend"),
    }


def _code_page(request: HttpRequest, phone: str, *, error: str = "", status: int = 200) -> HttpResponse:
    held = kept(request)
    asked = datetime.fromisoformat(held["asked"]) if held.get("asked") else None
    wait = max(0, int((asked + RESEND - clock.now()).total_seconds()) + 1) if asked else 0
    context = {
        "phone": door.masked(phone),
        "wait": min(wait, 60),
        "error": error,
        "typed": request.POST.get("code", "")[:6] if error else "",
        "check_url": reverse("letter-sign", args=[READ_AT]),
        "once": new_key(),
        "resend_url": reverse("letter-code", args=[READ_AT]),
        "action": _("Sign"),
        "back_url": reverse("letter-agreement", args=[READ_AT]),
        "purpose": _("With this code you sign the renewal."),
    }
    return show(request, "h5/code.html", context, status=status)


def _taken(request: HttpRequest, link: Link, why: str) -> HttpResponse:
    """Somebody else was faster: nothing was signed, and here is what one may sign instead."""
    choice = kept_choice(request)
    rooms = letters.instead(link, choice, today=clock.today(), now=clock.now())
    kept(request)["choice"] = None  # not what is gone, wherever they go on from here
    context = {
        "why": why,
        "is_one_room": len({room.unit for room in rooms}) == 1 < len(rooms),  # what differs is the length
        "rooms": [
            {
                "quote": room,
                "rent": words.yuan(room.monthly_rent),
                "term": words.term(room.term_months),
                "last_day": words.day(room.last_day),
            }
            for room in rooms
        ],
    }
    return show(request, "h5/taken.html", context, status=409)


def _back(*, say: str) -> HttpResponse:
    return go("letter-agreement", READ_AT, more=f"?say={say}")


def _to_offers(*, say: str) -> HttpResponse:
    """The chosen room or length is not to be had now: back to where one chooses."""
    return go("letter-read", READ_AT, more=f"?say={say}#offers")


def _saying(error: quotes.Refused) -> str:
    if isinstance(error, quotes.RoomGone):
        return "gone"
    if isinstance(error, quotes.RoomHeld):
        return "held"
    if isinstance(error, quotes.TermFull):
        return "full"
    return "price" if isinstance(error, quotes.Expired) else "changed"
