"""A POST that may come twice: from a double tap, a browser that tries again, or a client with `Idempotency-Key`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from uuid import uuid4

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from renewal import letters, repeats
from renewal.views.frame import READ_AT, go, opened, show
from tenants import clock

KEY = re.compile(r"[!-~]{1,64}")
FIELD = "once"  # the form's own key, where no header names one
UNHEARD = {"csrfmiddlewaretoken", FIELD}  # differ from one request to the next that says the same
NOT_KEPT = {409, 429}  # come back later: it may be different then


def said_otherwise() -> str:
    """What one reads where a key came with something else before."""
    return _("This form was sent before with something else in it. Please check it and send it once more.")


View = Callable[[HttpRequest, str], HttpResponse]


def new_key() -> str:
    """For the field of a form that is about to be shown."""
    return uuid4().hex


def one_answer(other: View) -> Callable[[View], View]:
    """A view under `page` that answers a key once, and then the same again; `other` if it came with something else.

    409 while the first request with the key is being acted on. Without a key the view is asked each time.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(request: HttpRequest, key: str) -> HttpResponse:
            said = request.headers.get("Idempotency-Key") or request.POST.get(FIELD, "")
            if not KEY.fullmatch(said):
                return view(request, key)
            link = opened(request, key, even_if_closed=True)
            quote = request.session.get("letter", {}).get("quote", "")
            # The names with a space are ours: no form of this house has such a field.
            whole = {name: str(value) for name, value in request.POST.items() if name not in UNHEARD}
            try:
                found = repeats.begin(
                    link, said, {**whole, "quote ": quote, "page ": _page_of(request)}, now=clock.now()
                )
            except repeats.OtherRequest:
                return other(request, key)
            except repeats.InFlight as error:
                if letters.after(link, today=clock.today()):  # it has been done; only its answer is on its way
                    return go("letter-done", READ_AT)
                return _wait(request, error.seconds)
            if isinstance(found, repeats.Answer):
                return _again(found)
            try:
                response = view(request, key)
            except BaseException:
                repeats.let_go(found)
                raise
            if response.status_code >= 500 or response.status_code in NOT_KEPT:
                repeats.let_go(found)
            else:
                kept = repeats.Answer(response.status_code, response.get("Location", ""), response.content.decode())
                repeats.keep(found, kept)
            return response

        return answer

    return decorate


def _page_of(request: HttpRequest) -> str:
    match = request.resolver_match
    return str(match.url_name) if match else ""


def _again(kept: repeats.Answer) -> HttpResponse:
    headers = {"Location": kept.location} if kept.location else None
    return HttpResponse(kept.body, status=kept.status, headers=headers)


def _wait(request: HttpRequest, seconds: int) -> HttpResponse:
    context = {
        "title": _("Your signature is being written."),
        "line": _("This takes a few seconds. You need not send it again."),
        "on": (reverse("letter-done", args=[READ_AT]), _("See whether it is done")),
    }
    response = show(request, "h5/closed.html", context, status=409)
    response["Retry-After"] = str(seconds)
    return response
