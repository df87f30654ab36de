"""What every page under /r/ shares: its headers, the form check, who is reading, and the pages that say no.

The letter is opened at /r/<token>, but read at /r/letter/…: after the opening the address holds no token, and
the browser's session says which link was opened. Every action exists under both addresses, and under the
token's it works only in a browser that has opened that token.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import decorator_from_middleware
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from renewal import letters, proposals, rounds, throttles, visitors
from tenants import clock, links
from tenants.models import Link

LOOKS = {"GET", "HEAD"}
READ_AT = "letter"  # stands where the token stood, once the letter is open
SESSION = timedelta(hours=12)
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}

View = Callable[..., HttpResponseBase]


class _FormCheck(CsrfViewMiddleware):
    """Django's check, for pages that send no referrer: there browsers post forms with `Origin: null`.

    The token in the form and the cookie still have to match.
    """

    def _origin_verified(self, request: HttpRequest) -> bool:
        return request.META.get("HTTP_ORIGIN") == "null" or super()._origin_verified(request)  # type: ignore[misc]


_form_check = decorator_from_middleware(_FormCheck)


class NotOpened(Exception):
    """This browser has no open letter; `token` names one it could open."""

    def __init__(self, token: str = "") -> None:
        super().__init__()
        self.token = token


class OnlyRoadmap(Exception):
    """What this browser has opened leads to a roadmap, and to no letter."""


def page(view: View) -> View:
    """Run `view` as a page under /r/: with the headers, the form check, and a kind word for every refusal."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            try:
                with clock.one_moment():
                    _look(request, kwargs)
                    return view(request, *args, **kwargs)
            except links.Unknown:
                throttles.miss(address=visitors.address(request.META), now=clock.now())
                return refusal(request, "unknown", 404)
        except throttles.TooOften as error:
            response = refusal(request, "often", 429)
            response["Retry-After"] = str(error.seconds)
            return response
        except links.NotUsable:
            return refusal(request, "expired", 410)
        except letters.OpenedElsewhere as error:
            request.session["door"] = {"link": error.link.pk}
            return go("letter-confirm")
        except OnlyRoadmap:
            return go("letter-roadmap", READ_AT)
        except NotOpened as error:
            return go("letter-cover", error.token) if error.token else refusal(request, "shut", 410)
        except proposals.Closed as error:
            if error.kind == "signed" and _signed_here(request):
                return go("letter-done", READ_AT)
            if error.kind in {"waiting", "cotenant"} and _sits_here(request):
                return go("letter-together", READ_AT)
            if error.kind == "cotenant" and settings.ALL_TENANTS_SIGN:
                return refusal(request, "cosigner", 200)
            return refusal(
                request,
                error.kind,
                200 if error.kind in {"not_yet", "unpriced", "full", "cotenant", "waiting"} else 410,
            )

    checked = csrf_exempt(_form_check(answer))

    @wraps(view)
    def framed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = checked(request, *args, **kwargs)
        for name, value in HEADERS.items():
            response[name] = value
        return response

    return csrf_exempt(framed)


def _look(request: HttpRequest, where: dict[str, Any]) -> None:
    """A page is looked at: in a browser with an open letter as its reader, else by somebody at an address.

    Whose address holds a token is counted once the token is known (`found`).
    """
    if request.method not in LOOKS:
        return
    held = request.session.get("letter") if is_open(request) else None
    if held or where.get("token", where.get("key", READ_AT)) == READ_AT:
        address = visitors.address(request.META)
        throttles.look(address=address, link=held["link"] if held else None, now=clock.now())


def found(request: HttpRequest, key: str, *, purpose: str = Link.Purpose.PROPOSAL) -> Link:
    """The live link of the token in an address; a look counts. Raises as `links.find`, and `throttles.TooOften`."""
    link = links.find(token_of(key), purpose=purpose, now=clock.now())
    counted(request, link.pk)
    return link


def counted(request: HttpRequest, link: int) -> None:
    """A look at the address of this link's token counts, unless `_look` has counted it as its reader's."""
    if request.method in LOOKS and not is_open(request):
        throttles.look(address="", link=link, now=clock.now())


class SeeOther(HttpResponseRedirect):
    """On to another page, by GET whatever came before."""

    status_code = 303


def go(name: str, *args: str, more: str = "") -> SeeOther:
    """On to the page of that name; `more` is a query or a fragment."""
    return SeeOther(reverse(name, args=args) + more)


def show(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A page with the facts that every page needs."""
    shared = {
        "operator": settings.OPERATOR_NAME,
        "large_type": request.COOKIES.get("type") == "large",
        "brand_sheet": brand_sheet(),
        "at": READ_AT,
        "back": _address(request),
    }
    if "refuse_at" not in context:
        shared["refuse_at"] = READ_AT if is_open(request) else ""
    return render(request, template, shared | context, status=status)


def _signed_here(request: HttpRequest) -> bool:
    """Whether the letter this browser has opened was signed by its reader (and not on paper, or by a flatmate)."""
    try:
        link = opened(request, READ_AT, even_if_closed=True)
    except (NotOpened, links.NotUsable):
        return False
    return letters.after(link, today=clock.today()) is not None


def _sits_here(request: HttpRequest) -> bool:
    """Whether the reader of the open letter has to sign terms that wait (or has signed them)."""
    try:
        link = opened(request, READ_AT)
    except (NotOpened, links.NotUsable):
        return False
    waiting = rounds.standing(link.lease, now=clock.now())
    return waiting is not None and rounds.seat_of(waiting, link.tenant) is not None


# Pages that are the answer to a POST: by GET they are seen here.
SEEN_AT = {"letter-sign": "letter-code", "letter-together-sign": "letter-together-code"}
SEEN_AT |= {"letter-withdraw": "letter-notice"}
SEEN_AT |= dict.fromkeys(("letter-refuse", "letter-choose", "letter-hours"), "letter-preferences")


def _address(request: HttpRequest) -> str:
    """Where this page can be asked for again; never with a token in it."""
    match = request.resolver_match
    if match is None or match.url_name is None or "token" in match.kwargs:
        return reverse("door")
    name = SEEN_AT.get(match.url_name, match.url_name)
    return reverse(name, args=[READ_AT] if "key" in match.kwargs else [])


def brand_sheet() -> str:
    """The sheet that lays another operator's colour over the tokens; none for the colour they hold."""
    return "" if settings.BRAND_COLOUR.lower() == "#0b6e63" else reverse("letter-brand")


def refusal(request: HttpRequest, kind: str, status: int) -> HttpResponse:
    """The same page for every link that opens nothing: what is so, and where to go on."""
    title, line = {
        "unknown": (_("There is no letter at this address."), _("Perhaps a character was lost on the way.")),
        "expired": (
            _("This link has come to its end."),
            _("Links are put away after a while, to keep letters private."),
        ),
        "often": (
            _("Please wait a moment."),
            _("This was asked for very often just now. Nothing is lost: try again in a few minutes."),
        ),
        "shut": (_("This letter is closed again."), _("It closes by itself when it has not been read for a while.")),
        "signed": (_("This lease has been renewed."), _("There is nothing left to do here.")),
        "notice": (_("We have your notice."), _("If your plans change, say so here, or at the front desk.")),
        "moved_out": (_("This lease has ended."), _("Thank you for the time you lived here.")),
        "over": (_("This lease has ended."), _("If anything is unclear, the front desk is there for you.")),
        "not_yet": (_("It is a little early."), _("Your letter comes about three months before your lease ends.")),
        "unpriced": (_("Your offers are not ready yet."), _("We will write to you as soon as they are.")),
        "full": (
            _("No length can be chosen at this moment."),
            _(
                "So that every handover is looked after, only so many leases may end in one week, and those weeks are "
                "full. Your lease goes on as it is, and the front desk will find another length with you."
            ),
        ),
        "cotenant": (
            _("Whoever is named first in your contract has the letter."),
            _("They renew for all of you: you stand on the next lease as on this one."),
        ),
        "no_question": (_("There is no question at this address."), _("Perhaps a character was lost on the way.")),
        "question_over": (
            _("This question has come to its end."),
            _("If there is something you would like to tell us, use the app or the front desk."),
        ),
        "cosigner": (
            _("Whoever is named first in your contract chooses first."),
            _("As soon as they have signed, the same terms come to you, to sign or not."),
        ),
        "waiting": (
            _("Others are signing this renewal."),
            _("Until they have, or the time for it is over, nothing else can be chosen here."),
        ),
        "nobody": (_("There is no lease to renew for this number."), _("Try the number your lease names.")),
    }[kind]
    onward = kind in {"unknown", "expired", "shut", "nobody", "signed"}
    context = {
        "title": title,
        "line": line,
        "onward": onward,
        "noticed": kind == "notice" and is_open(request),
        "may_say": kind == "full" and is_open(request),
        "has_road": kind in HAS_ROAD and is_open(request),
    }
    return show(request, "h5/closed.html", context, status=status)


# Whoever reads no letter (any more) still has a way to look at.
HAS_ROAD = frozenset(
    {"signed", "notice", "moved_out", "over", "not_yet", "unpriced", "full", "cotenant", "cosigner", "waiting"}
)


# --- Who is reading ---------------------------------------------------------------------------------------


def remember(request: HttpRequest, link: Link, *, now: datetime) -> None:
    """This browser has opened `link`; it is asked no more for some hours."""
    if request.session.get("letter", {}).get("link") != link.pk:
        request.session.cycle_key()  # a session id handed to the reader by somebody else opens nothing
        request.session["letter"] = {"link": link.pk}
    request.session["letter"]["until"] = (now + SESSION).isoformat()
    request.session.modified = True


def is_open(request: HttpRequest) -> bool:
    """Whether some letter is open in this browser."""
    held = request.session.get("letter")
    return held is not None and datetime.fromisoformat(held["until"]) > clock.now()


def has_opened(request: HttpRequest, link: Link) -> bool:
    return bool(request.session.get("letter", {}).get("link") == link.pk)


def opened(request: HttpRequest, key: str, *, even_if_closed: bool = False, is_letter: bool = True) -> Link:
    """The link behind an address that this browser has opened. Raises `NotOpened` or `links.NotUsable`.

    Raises `OnlyRoadmap` where a letter is asked for (`is_letter`) and the link is one to the roadmap.
    """
    link = _opened(request, key, even_if_closed=even_if_closed)
    if is_letter and link.purpose == Link.Purpose.ROADMAP:
        raise OnlyRoadmap
    return link


def _opened(request: HttpRequest, key: str, *, even_if_closed: bool) -> Link:
    now = clock.now()
    held = request.session.get("letter")
    if key != READ_AT:
        link = found(request, key)
        if not has_opened(request, link):
            raise NotOpened(token_of(key))
        return link
    if not held or datetime.fromisoformat(held["until"]) <= now:
        raise NotOpened
    return letters.link_of(held["link"], even_if_closed=even_if_closed, now=now)


def token_of(key: str) -> str:
    """The token in what was typed or pasted: messengers add punctuation to the end of an address."""
    found = re.match(r"[a-z2-7]+", key[:64].lower(), re.ASCII)
    return found.group() if found else ""


def kept(request: HttpRequest) -> dict[str, Any]:
    """What this browser has chosen so far; changes stay."""
    request.session.modified = True
    held: dict[str, Any] = request.session["letter"]
    return held
