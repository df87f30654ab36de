"""A contract's page, and the page on which a person decides about one that waits."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from renewal import contracts
from tenants import clock, deciding, desk
from tenants.models import ContractDecision, Lease, User, WaitingContract


@require_safe
def contract(request: HttpRequest, lease_id: int) -> HttpResponse:
    """A lease's revisions, its facts as known today or on `?known=`, and the chain of its unit."""
    if not desk.may_see_people(request):
        raise PermissionDenied
    today = clock.today()
    known_on, problem = _day(request.GET.get("known", ""), today=today)
    try:
        shown = contracts.story(request.user, lease_id, known_on=known_on, today=today)
    except Lease.DoesNotExist:
        raise Http404 from None
    title = shown["lease"].contract_no or _("signed online")
    context = {
        **admin.site.each_context(request),
        **shown,
        "title": title,
        "today": today,
        "problem": problem,
        "may_decide": desk.may_decide_contracts(request),
    }
    return render(request, "staff/contract.html", context)


def _day(text: str, *, today: date) -> tuple[date | None, str]:
    """The day that was asked for, and what is wrong with it."""
    if not text:
        return None, ""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None, _("“%(value)s” is not a date such as 2025-11-30") % {"value": text[:40]}
    if day > today:
        return None, _("%(day)s has not come yet: nothing is known of it.") % {"day": day}
    return day, ""


@require_http_methods(["GET", "HEAD", "POST"])
def waiting(request: HttpRequest, pk: int) -> HttpResponse:
    """Both sides of a contract that waits; POST takes the ERP's, or refuses it."""
    row = contracts.waiting_for(request.user, today=clock.today()).filter(pk=pk).first()
    if row is None:
        raise Http404
    typed = request.POST.get("why", "").strip()
    problem = ""
    if request.method == "POST":
        try:
            return _decide(request, row, typed)
        except deciding.CannotDecide as refusal:
            problem = str(refusal)
    context = {
        **admin.site.each_context(request),
        **contracts.both_sides(row),
        "title": row.contract_no,
        "problem": problem,
        "typed": typed,
    }
    return render(request, "staff/waiting.html", context, status=409 if problem else 200)


def _decide(request: HttpRequest, row: WaitingContract, why: str) -> HttpResponse:
    assert isinstance(request.user, User)  # noqa: S101 - the staff site knows whom it let in
    said: dict[str, Any] = {"why": why, "by": request.user, "now": clock.now()}
    if request.POST.get("verdict") == "accept":
        decision = deciding.accept(row.pk, **said)
        messages.success(request, _("The ERP's terms hold now. This can be undone below."))
        return redirect("staff-contract", decision.lease_id)
    deciding.refuse(row.pk, **said)
    messages.success(
        request, _("Contract %(number)s is refused. This can be undone here.") % {"number": row.contract_no}
    )
    return redirect("admin:tenants_contractdecision_changelist")


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """The decision is undone, and the revision waits again."""
    decision = contracts.decisions_of(request.user, today=clock.today()).filter(pk=pk).first()
    if decision is None:
        raise Http404
    assert isinstance(request.user, User)  # noqa: S101
    try:
        deciding.undo(decision.pk, by=request.user, now=clock.now())
    except deciding.CannotDecide as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("The decision is undone; the revision waits or holds as if nobody had decided."))
    return _after(decision)


def _after(decision: ContractDecision) -> HttpResponse:
    """Where one goes on: to the revision if it waits again, else to the lease, else to the decisions."""
    row = WaitingContract.objects.filter(contract_no=decision.contract_no, revision=decision.revision).first()
    if row:
        return redirect("staff-waiting", row.pk)
    lease = Lease.objects.filter(contract_no=decision.contract_no).first()
    return redirect("staff-contract", lease.pk) if lease else redirect("admin:tenants_contractdecision_changelist")


contract_view = admin.site.admin_view(contract)
waiting_view = admin.site.admin_view(waiting)
undo_view = admin.site.admin_view(undo)
