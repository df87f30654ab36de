"""Touchpoints as the public meets them: their page, their widget, and the count of what was seen.

    GET  /t/<code>             the page of its kind: a lift's screen, or a card for a frame (`?at=` names the building)
    GET  /t/<code>/widget.js   the card as one script
    POST /t/<code>/shown       the widget has come into view; `?at=` as above

No cookie, no session, nothing about anybody: these stand on walls and in other people's pages. They speak the house's
language, whatever the browser prefers, and change nothing but counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

import segno
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from campaigns import touchpoints
from campaigns.models import Touchpoint
from renewal import visitors
from renewal.views.frame import brand_sheet
from tenants import clock
from tenants.models import Building

FRESH = 300  # seconds for which a card may be kept: so long a pause takes to reach every page
SOURCES = Path(settings.BASE_DIR) / "static" / "touch"
POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"


def _public(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """In the house's language and without what stops a page from being framed: each says itself who may."""

    @xframe_options_exempt
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with override(settings.LANGUAGE_CODE):
            response = view(request, *args, **kwargs)
        response.headers["Content-Language"] = settings.LANGUAGE_CODE
        response.headers["X-Robots-Tag"] = "noindex"
        return response

    return answer


@require_safe
@_public
def page(request: HttpRequest, code: str) -> HttpResponse:
    """The touchpoint's page. 404 for a code nobody gave, 410 while it is paused: the same quiet page for both."""
    one, building = _asked(request, code)
    if one is None:
        return _quiet(_("There is nothing to see here just now."), 404, origins=[])
    if one.paused_at is not None:
        return _quiet(_("There is nothing to see here just now."), 410, origins=one.origins)
    now = clock.now()
    today = clock.day_of(now)
    is_shown = touchpoints.shows(one, building, drawn=touchpoints.placement(one, day=today), day=today)
    if one.kind == Touchpoint.Kind.LIFT:
        # A screen asks again and again: how often it is seen, only whoever plays it knows (`played`).
        return _answer(drawn(one, building=building, is_shown=is_shown), 200, origins=one.origins, age=_age(now))
    if not is_shown:
        return _quiet("", 200, origins=one.origins, age=_age(now))
    _count(request, code, building, day=today)
    return _answer(drawn(one, building=building), 200, origins=one.origins, age=_age(now))


def drawn(one: Touchpoint, *, building: str = "", is_shown: bool = True) -> SafeString:
    """The page of a touchpoint, saved or not."""
    template = "touch/lift.html" if one.kind == Touchpoint.Kind.LIFT else "touch/card.html"
    context = {
        **_shared(),
        "card": one,
        "is_shown": is_shown,
        "door_path": door_path(one, building),
        "qr": qr(one, building),
    }
    return render_to_string(template, context)


def door_path(one: Touchpoint, building: str = "") -> str:
    """The way to the common door that says where somebody came from."""
    where = {"from": one.code} | ({"at": building} if building and one.building is None else {})
    return f"{reverse('door')}?{urlencode(where)}"


def qr(one: Touchpoint, building: str = "") -> SafeString:
    """The way as a QR code: SVG without a size of its own, with the quiet zone of four modules that readers need."""
    made = segno.make(settings.SITE_URL + door_path(one, building), error="m", micro=False)
    drawing = made.svg_inline(border=4, dark="#1d2329", light="#ffffff", omitsize=True)
    return mark_safe(drawing)  # noqa: S308 - drawn by segno; the address is in its modules only


@require_safe
@_public
def widget(request: HttpRequest, code: str) -> HttpResponse:
    """The card as one script; one that does nothing while it is paused, so that no partner's page shows an error."""
    script = _script_of(code, clock.today())
    response = HttpResponse(script, status=200 if script else 404, content_type="text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = f"public, max-age={_age(clock.now())}"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # it is there to be embedded
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["ETag"] = f'"{hashlib.sha256(script.encode()).hexdigest()[:16]}"'
    if not script:
        return response
    return get_conditional_response(request, etag=response.headers["ETag"], response=response) or response


@csrf_exempt
@require_POST
@_public
def shown(request: HttpRequest, code: str) -> HttpResponse:
    """One more was seen. Nothing is answered, whatever was asked, so that a page learns nothing from it."""
    one, building = _asked(request, code)
    if one is not None:
        _count(request, code, building, day=clock.today())
    return HttpResponse(status=204)


# --- The parts of it --------------------------------------------------------------------------------------


def _asked(request: HttpRequest, code: str) -> tuple[Touchpoint | None, str]:
    """The touchpoint, and the building it is asked in: its own, or the one that the page names."""
    one = Touchpoint.objects.select_related("building").filter(code=code[:32]).first()
    if one is not None and one.building is not None:
        return one, one.building.code
    return one, request.GET.get("at", "")[:16].replace("\0", "")


def _count(request: HttpRequest, code: str, building: str, *, day: date) -> None:
    """One more was shown, to a person as far as one can tell."""
    column = "machines" if visitors.is_machine(request.method or "", request.headers) else "shown"
    touchpoints.count(code, column, building=building, day=day)


def _script_of(code: str, day: date) -> str:
    """The widget of a touchpoint on a day; empty for a code nobody gave."""
    one = Touchpoint.objects.select_related("building").filter(code=code[:32]).first()
    if one is None:
        return ""
    by_lot = touchpoints.placement(one, day=day)
    only = None
    if by_lot and one.building is None:
        everywhere = Building.objects.order_by("code").values_list("code", flat=True)
        only = [each for each in everywhere if touchpoints.shows(one, each, drawn=by_lot, day=day)]
    own = one.building.code if one.building else ""
    card = {
        "code": one.code,
        "shown": touchpoints.shows(one, own, drawn=by_lot, day=day),
        "only": only,
        "title": one.title,
        "line": one.line,
        "action": one.action,
        "operator": settings.OPERATOR_NAME,
        "lang": settings.LANGUAGE_CODE,
        "css": f":host{{--brand:{settings.BRAND_COLOUR}}}{_source('widget.css')}",
    }
    return _source("widget.js").replace("__CARD__", json.dumps(card))


@lru_cache
def _source(name: str) -> str:
    """A file of static/touch; its comments at the beginning stay with us."""
    lines = (SOURCES / name).read_text(encoding="utf-8").splitlines()
    return "\n".join(line.strip() for line in lines if not line.lstrip().startswith("//"))


def _age(now: datetime) -> int:
    """Seconds for which an answer holds: a few minutes, and not beyond the day for which it was drawn."""
    midnight = clock.at(clock.day_of(now) + timedelta(days=1))
    return min(FRESH, int((midnight - now).total_seconds()))


def _quiet(line: str, status: int, *, origins: list[str], age: int = 60) -> HttpResponse:
    context = {**_shared(), "line": line, "is_page": status != 200}
    return _answer(render_to_string("touch/quiet.html", context), status, origins=origins, age=age)


def _answer(content: str, status: int, *, origins: list[str], age: int) -> HttpResponse:
    ancestors = " ".join(origins) or "'none'"
    response = HttpResponse(content, status=status)
    response.headers["Content-Security-Policy"] = f"{POLICY}; frame-ancestors {ancestors}"
    response.headers["Cache-Control"] = f"private, max-age={age}"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _shared() -> dict[str, Any]:
    return {"operator": settings.OPERATOR_NAME, "brand_sheet": brand_sheet()}
