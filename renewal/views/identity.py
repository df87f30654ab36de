"""Who may be one person: two people side by side, merged with a reason, and taken apart again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from connectors.records import AliasSource
from renewal import persons
from renewal.persons import Pair
from tenants import access, clock, desk, merges, naming, waiting
from tenants.models import Merge, Tenant, User


@require_safe
def same(request: HttpRequest) -> HttpResponse:
    """Everybody who may be one person; or one person beside the one whose number was typed."""
    _refuse_without_people(request)
    today = clock.today()
    if "one" not in request.GET:
        found = persons.suggested(request.user, today=today)
        pairs = [
            persons.beside(pair.one, pair.other, pair.evidence, user=request.user, today=today)
            for pair in found[: persons.MOST]
        ]
        return _pairs(request, pairs, more=max(0, len(found) - persons.MOST), is_list=True)
    one = _tenant(request, request.GET["one"])
    typed = request.GET.get("other", "").strip()[:64]
    other = persons.find(request.user, typed, today=today)
    if other is None:
        error = _("Nobody you may see is known by %(words)s.") % {"words": typed} if typed else ""
        return _pairs(request, [], one=one, typed=typed, error=error, status=404 if typed else 200)
    return _pairs(request, [_beside(request, one, other)], one=one, typed=typed)


@require_POST
def merge(request: HttpRequest, tenant_id: int) -> HttpResponse:
    """The tenant of the address stays; the other becomes part of them."""
    by = _decider(request)
    kept, other = _tenant(request, str(tenant_id)), _tenant(request, request.POST.get("other", ""))
    reason = request.POST.get("reason", "")
    try:
        merges.merge(kept, other, reason=reason, by=by, now=clock.now())
    except merges.NotMergeable as error:
        pair = _beside(request, kept, other)
        return _pairs(request, [pair], one=kept, error=str(error), reason=reason, status=409)
    messages.success(request, _("%(name)s is one person now. It can be undone below.") % {"name": kept.name})
    return redirect("staff-tenant", tenant_id=kept.pk)


def undo(request: HttpRequest, merge_id: int) -> HttpResponse:
    """What undoing a merge will do, and the button that does it."""
    _refuse_without_people(request)
    try:
        made = persons.visible(request.user, merge_id, today=clock.today())
    except Merge.DoesNotExist:
        raise Http404 from None
    error, why = "", request.POST.get("why", "")
    if request.method == "POST":
        by = _decider(request)
        undo_it = naming.take_back if made.alias_source else merges.unmerge
        try:
            undo_it(made, why=why, by=by, now=clock.now())
        except (merges.NotMergeable, merges.NotUndoable) as refused:
            error = str(refused)
        else:
            if made.alias_source:
                said = _("%(what)s %(ref)s stands for nobody again.") % persons.named(made)
            else:
                facts = {"one": made.kept.name, "other": made.merged.name}
                said = _("%(one)s and %(other)s are two people again.") % facts
            messages.success(request, said)
            return redirect("staff-tenant", tenant_id=merges.root_of(made.kept))
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Take an alias back") if made.alias_source else _("Undo a merge"),
        "made": made,
        "given": persons.named(made) if made.alias_source else None,
        "person": made.kept.merged_into or made.kept,
        "error": error,
        "why": why,
        "may_decide": persons.may_decide(request.user, today=clock.today()),
    }
    return render(request, "staff/undo.html", context, status=409 if error else 200)


def _pairs(request: HttpRequest, pairs: list[Pair], *, status: int = 200, **more: Any) -> HttpResponse:
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("One person or two"),
        "pairs": pairs,
        "may_decide": persons.may_decide(request.user, today=clock.today()),
        # A phone number does not belong in an address.
        "nameable": [source for source in naming.SOURCES if source != AliasSource.PHONE],
        "waits": waiting.summary() if desk.may_run_the_house(request) and more.get("is_list") else None,
        **more,
    }
    return render(request, "staff/same.html", context, status=status)


def _beside(request: HttpRequest, one: Tenant, other: Tenant) -> Pair:
    today = clock.today()
    found = persons.suggested(request.user, today=today, about=one)
    evidence = next((pair.evidence for pair in found if {pair.one.pk, pair.other.pk} == {one.pk, other.pk}), [])
    return persons.beside(one, other, evidence, user=request.user, today=today)


def _tenant(request: HttpRequest, pk: str) -> Tenant:
    """A person behind a door of theirs, under the row that is seen."""
    tenant = access.tenants_for(request.user, today=clock.today()).filter(pk=int(pk) if pk.isdigit() else 0).first()
    if tenant is None:
        raise Http404
    return tenant


def _decider(request: HttpRequest) -> User:
    if not isinstance(request.user, User) or not persons.may_decide(request.user, today=clock.today()):
        raise PermissionDenied
    return request.user


def _refuse_without_people(request: HttpRequest) -> None:
    if not desk.may_see_people(request):
        raise PermissionDenied


same_view = admin.site.admin_view(same)
merge_view = admin.site.admin_view(merge)
undo_view = admin.site.admin_view(undo)
