"""Lists of names: all of them, and one with who is on it, a paste of more, and what was done to it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from campaigns import lists
from campaigns.lists import NotDone, Pasted
from campaigns.models import ListChange, Listed, NameList
from renewal import audience
from renewal.views.segments import page
from tenants import access, clock, desk
from tenants.models import User

PER_PAGE = 50
UNDOABLE = {ListChange.Kind.ADDED, ListChange.Kind.TAKEN, ListChange.Kind.RENAMED, ListChange.Kind.REMOVED}


@require_http_methods(["GET", "HEAD", "POST"])
def listing(request: HttpRequest) -> HttpResponse:
    """Every list with how many are on it; by POST there is one more."""
    _refuse_without_people(request)
    name, refused = "", ""
    if request.method == "POST":
        _refuse_others(request)
        name = request.POST.get("name", "")[:300]
        try:
            made = lists.make(name, by=_by(request), now=clock.now())
        except NotDone as fault:
            refused = str(fault)
        else:
            return redirect("staff-list", pk=made.pk)
    today = clock.today()
    theirs = access.tenants_for(request.user, today=today)
    here = set(audience.members(None, audience.visible(request.user, today=today), today=today))
    rows = []
    for one in lists.live():
        on_it = set(theirs.filter(pk__in=lists.members(one)).values_list("pk", flat=True))
        rows.append({"list": one, "people": len(on_it), "here": len(on_it & here), "users": lists.users(one)})
    context = {
        "title": _("Lists of names"),
        "rows": rows,
        "gone": NameList.objects.exclude(removed_at=None).order_by("-removed_at"),
        "name": name,
        "refused": refused,
        "today": today,
    }
    return page(request, "staff/lists.html", context, status=422 if refused else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One list: who is on it, and by POST what is done to it (`do`)."""
    _refuse_without_people(request)
    found = get_object_or_404(NameList, pk=pk)
    if request.method != "POST":
        return _shown(request, found)
    _refuse_others(request)
    do = request.POST.get("do", "")
    try:
        if do == "paste":
            pasted = lists.paste(pk, request.POST.get("text", ""), by=_by(request), now=clock.now())
            return _shown(request, found, pasted=pasted, text="\n".join(each.text for each in pasted.unknown))
        _done(request, pk, do)
    except NotDone as fault:
        text, name = request.POST.get("text", ""), request.POST.get("name")
        return _shown(request, found, refused=str(fault), text=text, name=name)
    return redirect("staff-lists" if do == "remove" else "staff-list", *([] if do == "remove" else [pk]))


def _done(request: HttpRequest, pk: int, do: str) -> None:
    """What a button names is done, and said on the next page. Raises `NotDone`."""
    by, now = _by(request), clock.now()
    what, _space, number = do.partition(" ")
    if what == "rename":
        renamed = lists.rename(pk, request.POST.get("name", ""), by=by, now=now)
        messages.success(request, _("It is called “%(name)s” now.") % {"name": renamed.name})
    elif what == "take" and number.isdecimal() and len(number) < 19:
        lists.take(pk, [int(number)], by=by, now=now)
        messages.success(request, _("Taken off the list. This can be undone below."))
    elif what == "remove":
        gone = lists.remove(pk, by=by, now=now)
        messages.success(request, _("“%(name)s” is removed. It can be restored below.") % {"name": gone.list.name})
    elif what == "undo" and number.isdecimal() and len(number) < 19:
        try:
            lists.undo(pk, int(number), by=by, now=now)
        except ListChange.DoesNotExist:
            raise BadRequest("no such change") from None
        messages.success(request, _("It is as before."))
    else:
        raise BadRequest("no such act")


def _shown(
    request: HttpRequest,
    found: NameList,
    *,
    pasted: Pasted | None = None,
    refused: str = "",
    text: str = "",
    name: str | None = None,
) -> HttpResponse:
    found.refresh_from_db()
    today = clock.today()
    theirs = access.tenants_for(request.user, today=today)
    everyone = lists.members(found)
    here = set(audience.members(None, audience.visible(request.user, today=today), today=today))
    shown = theirs.filter(pk__in=everyone).order_by("name", "pk")
    rows: Page[Any] = Paginator(shown, PER_PAGE).get_page(request.GET.get("page"))
    put = {}
    on_it = Listed.objects.filter(list=found, taken=None).select_related("added__by", "tenant").order_by("-added")
    for listed in on_it:
        put[listed.tenant.merged_into_id or listed.tenant_id] = listed.added
    rows.object_list = [
        {"tenant": each, "put": put[each.pk], "is_here": each.pk in here, "phone": access.masked(each.phone)}
        for each in rows.object_list
    ]
    n = rows.paginator.count
    context: dict[str, Any] = {
        "title": found.name,
        "list": found,
        "answer": ngettext("%(name)s: %(n)d person", "%(name)s: %(n)d people", n) % {"name": found.name, "n": n},
        "here": len(here & set(shown.values_list("pk", flat=True))),
        "is_part": n < len(everyone),
        "page": rows,
        "history": _told(found),
        "users": lists.users(found),
        "pasted": pasted,
        "refused": refused,
        "text": text,
        "name": found.name if name is None else name,
        "today": today,
    }
    return page(request, "staff/list.html", context, status=422 if refused else 200)


def _told(found: NameList) -> list[dict[str, Any]]:
    """What was done to the list, and what of it can be undone."""
    told = []
    for change in lists.history(found)[:PER_PAGE]:
        stands = found.removed_at is None or change.kind == ListChange.Kind.REMOVED
        may_undo = change.kind in UNDOABLE and not change.is_undone and stands
        told.append({"change": change, "may_undo": may_undo})
    return told


def _by(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def _refuse_without_people(request: HttpRequest) -> None:
    if not desk.may_see_people(request):
        raise PermissionDenied


def _refuse_others(request: HttpRequest) -> None:
    if not desk.may_run_the_house(request):
        raise PermissionDenied


listing_view = admin.site.admin_view(listing)
one_view = admin.site.admin_view(one)
