"""Vouchers at the front desk: a code is typed or scanned, one click redeems it, and a slip is taken back in minutes.

GET  /admin/voucher/?code=…   what it is and whose; the address that a voucher's QR code holds; changes nothing
POST /admin/voucher/          code=…, do=redeem | back | revoke (with why: the head office and managers)

A voucher of somebody whom one may not see (tenants.access) is not there, as is one that was never given.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from renewal import perkboard
from renewal.views.perks import page
from renewal.views.pushes import refuse_without_people
from tenants import clock, desk, vouchers
from tenants.models import User
from tenants.vouchers import NotACode, Refused, Voucher

REDEEMED_BEFORE = 20  # shown below the form: what was redeemed last


@require_http_methods(["GET", "HEAD", "POST"])
def front_desk(request: HttpRequest) -> HttpResponse:
    """The one page: the form, and what the code in it stands for."""
    refuse_without_people(request)
    if not isinstance(request.user, User):
        raise PermissionDenied
    typed = (request.POST.get("code") or request.GET.get("code") or "")[:120].replace("\0", "").strip()
    found, fault, status = None, "", 200
    if typed:
        try:
            found = _visible(request.user, vouchers.read(typed))
            if found is None:
                fault, status = _("No voucher of your buildings has this code."), 404
        except NotACode as error:
            fault, status = str(error), 422
    if request.method == "POST" and found:
        try:
            return _done(request, request.user, found)
        except Refused as error:
            fault, status = str(error), 409
    now = clock.now()
    taken_back_until = found.last.granted_at + vouchers.TAKEN_BACK_WITHIN if found and found.last else None
    context: dict[str, Any] = {
        "title": _("Redeem a voucher"),
        "typed": typed,
        "code": vouchers.grouped(vouchers.read(typed)) if found else "",
        "voucher": found,
        "fault": fault,
        "may_take_back": bool(
            taken_back_until and taken_back_until > now and found and found.state in {"redeemed", "revoked"}
        ),
        "taken_back_until": taken_back_until,
        "may_revoke": desk.may_decide_contracts(request),
        "latest": perkboard.redeemed(request.user, today=clock.today())[:REDEEMED_BEFORE],
        "today": clock.today(),
    }
    return page(request, "staff/voucher.html", context, status=status)


def _visible(user: User, code: str) -> Voucher | None:
    found = vouchers.find(code, now=clock.now())
    return found if found and perkboard.may_see(found.grant, user=user, today=clock.today()) else None


def _done(request: HttpRequest, user: User, found: Voucher) -> HttpResponse:
    """What a button names is done. Raises `Refused`."""
    now, grant = clock.now(), found.grant
    match request.POST.get("do"):
        case "redeem":
            if vouchers.redeem(grant, by=user, now=now).last == found.last:
                messages.warning(request, _("It was redeemed before; nothing has changed."))
            else:
                messages.success(request, _("Redeemed: %(perk)s") % {"perk": grant.perk.name})
        case "back":
            vouchers.take_back(grant, by=user, now=now)
            messages.success(request, _("Taken back: it can be redeemed again."))
        case "revoke":
            if not desk.may_decide_contracts(request):
                raise PermissionDenied
            vouchers.revoke(grant, reason=request.POST.get("why", "")[:200].replace("\0", ""), by=user, now=now)
            messages.success(request, _("The perk is taken back from its tenant."))
        case _:
            raise BadRequest("no such act")
    code = vouchers.code_of(grant)
    return redirect(f"{reverse('staff-voucher')}?{urlencode({'code': code})}")


desk_view = admin.site.admin_view(front_desk)
