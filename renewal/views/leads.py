"""Where letters begin: the lead of each room type of a building, what it is weighed by, and what else was weighed."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from renewal import leadboard, leading, leads, ratecard
from renewal.views import rates as pages
from tenants import clock


@require_safe
def beginnings(request: HttpRequest) -> HttpResponse:
    """What letters prepared today would begin with; looking changes nothing."""
    pages.refuse_without_people(request)
    now = clock.now()
    today = clock.day_of(now)
    building = pages.chosen(request, ratecard.buildings(request.user, today=today), needed=True)
    assert building is not None  # noqa: S101 - else it was a 404
    found = leadboard.board(building, today=today, now=now)
    context = {
        "title": _("Where letters begin"),
        "building": building,
        "board": found,
        "above": settings.LEAD_ABOVE_PERCENT,
        "too_few": leading.TOO_FEW,
        "letters": leads.LETTERS,
        "today": today,
    }
    return pages.page(request, "staff/rates_leads.html", context)


beginnings_view = admin.site.admin_view(beginnings)
