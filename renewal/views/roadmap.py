"""居住成就路线图 as its reader sees it, from the day of moving in.

GET /r/letter/roadmap   since when, what is reached with its voucher, what comes next; nothing is changed by looking

One comes here from the letter and its last page, through the common door (`/r/?then=roadmap`, and whoever has nothing
to renew yet), or by a link of its own (Link.Purpose.ROADMAP), behind the same cover as the letter's.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import segno
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from renewal import cases, letters, roadmap
from renewal.views import words
from renewal.views.frame import opened, page, refusal, show
from tenants import clock, links, vouchers
from tenants.models import Link
from tenants.vouchers import Voucher


@page
@require_safe
def read(request: HttpRequest, key: str) -> HttpResponse:
    """The way of whoever has opened a link here."""
    link = _link(request, key)
    today, now = clock.today(), clock.now()
    try:
        road = roadmap.road(link.tenant, today=today, now=now)
    except roadmap.NoStay:
        return refusal(request, "nobody", 200)
    stops = [_stop(each, today=today) for each in road.stops]
    case = cases.case_of(link.lease)
    context = {
        "name": words.name(link.tenant.name),
        "building": road.lease.unit.building.name,
        "since": words.day(road.since),
        "lived": words.lived(road.since, today) if road.is_home and road.since <= today else "",
        "is_home": road.is_home,
        "begins": road.since > today,
        "reached": [each for each in stops if each["is_reached"]],
        "ahead": [each for each in stops if not each["is_reached"]],
        "others": [_voucher(each) for each in road.others],
        "today": words.day(today),
        "has_letter": link.purpose == Link.Purpose.PROPOSAL and case is not None and case.state in cases.CHAIN,
    }
    return show(request, "h5/roadmap.html", context)


def _link(request: HttpRequest, key: str) -> Link:
    """The link opened here. Signing closes a letter's, and its signer reads on; one that has run out shows nothing."""
    try:
        return opened(request, key, is_letter=False)
    except links.NotUsable:
        link = opened(request, key, even_if_closed=True, is_letter=False)
        if link.purpose != Link.Purpose.PROPOSAL or letters.after(link, today=clock.today()) is None:
            raise
        return link


def _stop(stop: roadmap.Stop, *, today: date) -> dict[str, Any]:
    return {
        "months": _("After %(span)s") % {"span": words.term(stop.months)},
        "day": words.day(stop.on),
        "days": (stop.on - today).days,
        "is_reached": stop.is_reached,
        "name": stop.perk.name,
        "condition": stop.perk.condition,
        "voucher": _voucher(stop.voucher) if stop.voucher else None,
    }


def _voucher(voucher: Voucher) -> dict[str, Any]:
    """What the page says of a perk that was given; the code and its drawing only while it can be redeemed."""
    grant = voucher.grant
    shown = voucher.is_open and bool(grant.voucher_hash)
    until = clock.day_of(grant.expires_at - timedelta(microseconds=1)) if grant.expires_at else None
    at = words.day(clock.day_of(voucher.last.granted_at)) if voucher.last else ""
    ended = words.day(until) if until else ""
    says = {
        "open": _("Valid until %(day)s") % {"day": ended} if until else _("It holds for as long as you live here."),
        "redeemed": _("Redeemed on %(day)s") % {"day": at},
        "expired": _("Expired on %(day)s") % {"day": ended},
        "revoked": _("Taken back on %(day)s") % {"day": at},
    }
    code = vouchers.code_of(grant) if shown else ""
    return {
        "pk": grant.pk,
        "name": grant.perk.name,
        "partner": grant.perk.partner,
        "state": voucher.state,
        "says": says[voucher.state],
        "code": code,
        "qr": qr(code) if code else "",
    }


def qr(code: str) -> SafeString:
    """The address at which staff redeem a code, as a QR code: SVG with the quiet zone that readers need."""
    address = f"{settings.SITE_URL}{reverse('staff-voucher')}?code={code}"
    made = segno.make(address, error="m", micro=False)
    return mark_safe(made.svg_inline(border=4, dark="#1d2329", light="#ffffff", omitsize=True))  # noqa: S308 - drawn by segno
