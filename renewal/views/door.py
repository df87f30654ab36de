"""The common door: phone → code → one's letter. For SMS, screens and forwarded links; never a token in it.

GET, POST /r/          the number (`?from=` names the touchpoint, `?at=` the building; GET counts, and changes no more)
                       (`?then=` says where to, THEN: an SMS asks a question so, since it bears no link of one's own)
GET, POST /r/code      the code; every number gets the same page
GET, POST /r/confirm   a letter that was opened on another device: a code to the phone on file
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from campaigns import touchpoints
from renewal import door, visitors
from renewal.views.frame import READ_AT, go, page, refusal, remember, show
from tenants import clock
from tenants.models import Link

# Where one may want to go, once one is known; for none of them a letter has to be there.
THEN = {"preferences": "letter-preferences", "roadmap": "letter-roadmap", "mood": "mood", "survey": "survey"}


@page
def number(request: HttpRequest) -> HttpResponse:
    """Where one types one's number. The answer is the same whoever has it."""
    origin = re.sub(r"[^\w-]", "", request.GET.get("from") or request.POST.get("from") or "")[:32]
    # Whoever comes to choose what they hear needs no letter to be there.
    asked = {request.GET.get("then"), request.POST.get("then")}
    then = next((each for each in THEN if each in asked), "")
    if origin and request.method in {"GET", "HEAD"}:
        kind = "machines" if visitors.is_machine(request.method, request.headers) else "opened"
        at = request.GET.get("at", "")[:16].replace("\0", "")
        touchpoints.count(origin, kind, building=at, day=clock.today())
    typed, error = request.POST.get("phone", ""), ""
    if request.method == "POST":
        try:
            phone = door.phone_of(typed)
            request.session["door"] = {"phone": phone, "from": origin, "then": then}
            return _ask(request, phone)
        except door.Refused as refused:
            error = str(refused)
    context = {"typed": typed[:24], "error": error, "from": origin, "then": then}
    return show(request, "h5/door.html", context, status=422 if error else 200)


@page
def code(request: HttpRequest) -> HttpResponse:
    """Where one types the code, or asks for another."""
    held = request.session.get("door")
    if not held:
        return go("door")
    link = _link(held)
    phone = link.tenant.phone if link else held["phone"]
    if request.method != "POST":
        return _code_page(request, phone)
    if "code" not in request.POST:
        try:
            return _ask(request, phone)
        except door.Refused as refused:
            return _code_page(request, phone, error=str(refused))
    now = clock.now()
    then = held.get("then", "")
    try:
        if not link and then in door.QUESTIONS:
            token = door.question(phone, request.POST["code"], purpose=then, now=now)
            request.session.pop("door", None)
            return go(THEN[then], token)
        if link:
            link = door.confirm(link, request.POST["code"], now=now)
        else:
            origin = held.get("from") or "r"
            link = door.enter(phone, request.POST["code"], origin=origin, now=now)
    except door.WrongCode as refused:
        return _code_page(request, phone, error=str(refused))
    except door.NothingHere:
        return refusal(request, "question_over" if then in door.QUESTIONS else "nobody", 200)
    remember(request, link, now=now)
    request.session.pop("door", None)
    # Whoever has nothing to renew yet comes to the roadmap of their stay.
    on = THEN.get(then, "letter-roadmap" if link.purpose == Link.Purpose.ROADMAP else "letter-read")
    return go(on, READ_AT)


@page
def confirm(request: HttpRequest) -> HttpResponse:
    """This letter was opened on another device: GET says so, POST sends the code."""
    held = request.session.get("door") or {}
    link = _link(held)
    if link is None:
        return go("door")
    if request.method == "POST":
        try:
            return _ask(request, link.tenant.phone)
        except door.Refused as refused:
            return show(request, "h5/confirm.html", {"phone": door.masked(link.tenant.phone), "error": str(refused)})
    return show(request, "h5/confirm.html", {"phone": door.masked(link.tenant.phone)})


def _ask(request: HttpRequest, phone: str) -> HttpResponse:
    held = request.session["door"]
    now = clock.now()
    try:
        door.ask_code(phone, now=now)
        held["asked"] = now.isoformat()
    except door.TooSoon as soon:
        held["asked"] = (now + timedelta(seconds=soon.seconds) - door.PAUSE).isoformat()
    request.session.modified = True
    return go("door-code")


def _link(held: dict[str, Any]) -> Link | None:
    return Link.objects.select_related("tenant").filter(pk=held["link"]).first() if held.get("link") else None


def _code_page(request: HttpRequest, phone: str, *, error: str = "") -> HttpResponse:
    asked = request.session["door"].get("asked")
    wait = (datetime.fromisoformat(asked) + door.PAUSE - clock.now()).total_seconds() if asked else 0
    context = {
        "phone": door.masked(phone),
        "wait": min(max(0, int(wait) + 1), 60) if wait > 0 else 0,
        "error": error,
        "typed": request.POST.get("code", "")[:6],
        "check_url": reverse("door-code"),
        "resend_url": reverse("door-code"),
        "action": _("Continue") if request.session["door"].get("then") else _("Read my letter"),
        "back_url": reverse("door"),
        "purpose": _("If this number is on one of our leases, the code arrives in a moment."),
        "for_door": True,
    }
    return show(request, "h5/code.html", context, status=422 if error else 200)
