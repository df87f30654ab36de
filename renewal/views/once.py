"""A ticket in the browser: GET a cover that is the same for every ticket, POST the letter or the common door.

GET  /r/once/<ticket>   changes nothing, and does not tell whether the ticket stands for anybody
POST /r/once/<ticket>   spends it (gesture=1: a trusted gesture)
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from renewal import once, throttles, visitors
from renewal.views.frame import READ_AT, go, page, remember, show, token_of
from tenants import clock


@page
@require_http_methods(["GET", "HEAD", "POST"])
def ticket(request: HttpRequest, token: str) -> HttpResponse:
    """The cover, and the tap on it."""
    now, key = clock.now(), token_of(token)
    try:
        if request.method == "POST":
            is_trusted = request.POST.get("gesture") == "1"
            link = once.open(key, trusted=is_trusted, today=clock.today(), now=now)
            remember(request, link, now=now)
            return go("letter-read", READ_AT)
        found = once.good(key, now=now)
    except once.ToTheDoor as shut:
        if not shut.origin:
            throttles.miss(address=visitors.address(request.META), now=now)
        return go("door", more=f"?from={shut.origin}" if shut.origin else "")
    building = found.touchpoint.building
    place = building.name.removeprefix(settings.OPERATOR_NAME).strip(" ·・-") if building else ""
    context = {
        "place": place or settings.OPERATOR_NAME,
        "open_url": reverse("letter-once", args=[key]),
        "refuse_at": "",
    }
    return show(request, "h5/cover.html", context)
