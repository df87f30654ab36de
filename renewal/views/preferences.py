"""What a tenant wants to hear.

GET  /r/letter/preferences   what holds, with a button for each choice; the common door where no letter is open
POST /r/letter/choose        what=offers|personal|<way>, granted=1|0 → 303 to the page, which offers the way back
POST /r/letter/hours         hours=any|morning|noon|evening|own, first, end → 303 to the page; refused: 409, the page
POST /r/<key>/refuse         no more offers, in one tap from any page; undo=1 takes that back in the same browser

A bare token may refuse, for a refusal tells nothing and must be easy; whoever only holds a forwarded link can neither
see what holds nor agree to anything. For that the letter is opened, and on a second device a code says who it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from renewal import preferences, visitors, writing_hours
from renewal.preferences import Where
from renewal.views.frame import READ_AT, NotOpened, go, is_open, opened, page, show, token_of
from tenants import clock, links, preferred
from tenants.models import Link

UNDO = timedelta(minutes=30)


@page
@require_safe
def read(request: HttpRequest, key: str) -> HttpResponse:
    """The page; a token in its address leads to the cover, where the letter is opened."""
    try:
        link = opened(request, key, is_letter=False)
    except NotOpened as error:
        if error.token:
            raise
        return go("door", more="?then=preferences")
    if key != READ_AT:
        return go("letter-preferences", READ_AT)
    did = request.session.pop("chosen", None)
    if did and "hours" in did:
        said = writing_hours.words(did["hours"] and tuple(did["hours"]))
        did["said"] = _("From now on: %(hours)s") % {"hours": said}
        did["back"] = writing_hours.is_offered(did["was"])
    elif did:
        did["said"] = preferences.said(did["what"], granted=did["granted"])
    return _page(request, link, did=did)


@page
@require_POST
def choose(request: HttpRequest, key: str) -> HttpResponse:
    """One choice, by one tap."""
    link = opened(request, key, is_letter=False)
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
def hours(request: HttpRequest, key: str) -> HttpResponse:
    """When the tenant likes to be written to."""
    link = opened(request, key, is_letter=False)
    typed = {name: request.POST.get(name, "")[:8] for name in ("hours", "first", "end")}
    try:
        wanted = writing_hours.chosen(typed["hours"], typed["first"], typed["end"])
    except writing_hours.NotOffered as error:
        return _page(request, link, typed=typed | {"error": str(error)}, status=409)
    was = preferences.choose_hours(wanted, where=_where(request, link, "preferences"), now=clock.now())
    if "back" not in request.POST:
        request.session["chosen"] = {"hours": wanted, "was": was}
    return go("letter-preferences", READ_AT)


@page
@require_POST
def refuse(request: HttpRequest, key: str) -> HttpResponse:
    """No more messages about renewing, and back."""
    now = clock.now()
    link = opened(request, key, is_letter=False) if key == READ_AT else links.find(token_of(key), now=now)
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


def _page(
    request: HttpRequest,
    link: Link,
    *,
    did: dict[str, Any] | None = None,
    typed: dict[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    line = preferred.standing(link.tenant)
    title, text = preferences.hours_words()
    context = {
        "choices": preferences.choices(link.tenant),
        "lines": preferences.lines(link.tenant),
        "did": did,
        "hours": {
            "title": title,
            "text": text,
            "stands": writing_hours.words(preferred.span(line)),
            "is_set_aside": writing_hours.is_set_aside(line),
            **writing_hours.form(line, typed),
        },
        "refuse_at": "",
    }
    return show(request, "h5/preferences.html", context, status=status)


def _where(request: HttpRequest, link: Link, name: str) -> Where:
    return Where(
        link=link,
        page=name,
        address=visitors.address(request.META),
        device=request.headers.get("User-Agent", "")[:300],
    )
