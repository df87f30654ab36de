"""What a tenant wants to hear.

GET  /r/letter/preferences   what holds, with a button for each choice; the common door where no letter is open
POST /r/letter/choose        what=offers|personal|<way>, granted=1|0 → 303 to the page, which offers the way back
POST /r/<key>/refuse         no more offers, in one tap from any page; undo=1 takes that back in the same browser

A bare token may refuse, for a refusal tells nothing and must be easy; whoever only holds a forwarded link can neither
see what holds nor agree to anything. For that the letter is opened, and on a second device a code says who it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST, require_safe

from renewal import preferences
from renewal.preferences import Where
from renewal.views.frame import READ_AT, NotOpened, go, is_open, opened, page, show, token_of
from tenants import clock, links
from tenants.models import Link

UNDO = timedelta(minutes=30)


@page
@require_safe
def read(request: HttpRequest, key: str) -> HttpResponse:
    """The page; a token in its address leads to the cover, where the letter is opened."""
    try:
        link = opened(request, key)
    except NotOpened as error:
        if error.token:
            raise
        return go("door", more="?then=preferences")
    if key != READ_AT:
        return go("letter-preferences", READ_AT)
    did = request.session.pop("chosen", None)
    if did:
        did["said"] = preferences.said(did["what"], granted=did["granted"])
    context = {
        "choices": preferences.choices(link.tenant),
        "lines": preferences.lines(link.tenant),
        "did": did,
        "refuse_at": "",
    }
    return show(request, "h5/preferences.html", context)


@page
@require_POST
def choose(request: HttpRequest, key: str) -> HttpResponse:
    """One choice, by one tap."""
    link = opened(request, key)
    what, granted = request.POST.get("what", ""), request.POST.get("granted") == "1"
    try:
        preferences.choose(what, granted=granted, where=_where(request, link, "preferences"), now=clock.now())
    except preferences.NoChoice:
        return go("letter-preferences", READ_AT)
    if "back" not in request.POST:
        request.session["chosen"] = {"what": what, "granted": granted}
    return go("letter-preferences", READ_AT)


@page
@require_POST
def refuse(request: HttpRequest, key: str) -> HttpResponse:
    """No more messages about renewing, and back."""
    now = clock.now()
    link = opened(request, key) if key == READ_AT else links.find(token_of(key), now=now)
    if request.POST.get("undo"):
        held = request.session.pop("undo", None) or {}
        if held.get("link") != link.pk or datetime.fromisoformat(held["until"]) <= now:
            return go("letter-preferences", READ_AT)
        where = _where(request, link, "undo")
        preferences.choose(preferences.OFFERS, granted=True, where=where, now=now)
        return show(request, "h5/refused.html", {"undone": True, "is_open": is_open(request)})
    name = "".join(c for c in request.POST.get("page", "") if c.isascii() and (c.isalpha() or c == "-"))[:32]
    context = {"is_open": is_open(request), "refuse_at": ""}
    if preferences.refuse(_where(request, link, name), now=now):
        request.session["undo"] = {"link": link.pk, "until": (now + UNDO).isoformat()}
        context["undo_at"] = key if key == READ_AT else token_of(key)
    return show(request, "h5/refused.html", context)


def _where(request: HttpRequest, link: Link, name: str) -> Where:
    return Where(
        link=link,
        page=name,
        address=request.META.get("REMOTE_ADDR") or "",
        device=request.headers.get("User-Agent", "")[:300],
    )
