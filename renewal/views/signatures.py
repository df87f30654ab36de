"""A signature with all the evidence for it, and the paper that was signed."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from renewal import evidence
from renewal.models import Signature
from tenants import clock, desk


@require_safe
def signature(request: HttpRequest, pk: int) -> HttpResponse:
    """What is kept of a signature, and whether it still is what was signed."""
    if not desk.may_see_people(request):
        raise PermissionDenied
    try:
        shown = evidence.story(request.user, pk, today=clock.today())
    except Signature.DoesNotExist:
        raise Http404 from None
    verdict = shown["verdict"]
    whole = verdict.text and verdict.paper is not False
    title = _("The evidence of this signature is whole") if whole else _("This signature was changed afterwards")
    context = {**admin.site.each_context(request), **shown, "title": title, "whole": whole, "checked_at": clock.now()}
    return render(request, "staff/signature.html", context)


@require_safe
def pdf(request: HttpRequest, pk: int) -> HttpResponse:
    """The paper as it was kept."""
    if not desk.may_see_people(request):
        raise PermissionDenied
    try:
        found = evidence.seen_by(request.user, pk, today=clock.today())
    except Signature.DoesNotExist:
        raise Http404 from None
    name = f"{_('Renewal agreement')} {found.lease.unit.code} {found.lease.first_day}.pdf"
    headers = {
        "Content-Disposition": content_disposition_header(True, name) or "",
        "Cache-Control": "no-store",
    }
    return HttpResponse(evidence.pdf_of(found.lease), content_type="application/pdf", headers=headers)


signature_view = admin.site.admin_view(signature)
pdf_view = admin.site.admin_view(pdf)
