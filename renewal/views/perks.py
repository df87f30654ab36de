"""Perks for staff: the catalogue with its figures, one perk with its form, its stock, its history and its grants.

Who sees tenants sees the catalogue; only the head office changes it. Figures count all buildings; the people behind
them are shown within one's own (tenants.access).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from renewal import kpis, perkboard
from renewal.views.pushes import refuse_without_people
from tenants import catalogue, clock, desk, perksums
from tenants.catalogue import FIELDS, NotSaved
from tenants.models import Building, Perk, User

PER_PAGE = 50


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Every perk, with what was given of it and what is owed."""
    refuse_without_people(request)
    now = clock.now()
    rows = perkboard.rows(today=clock.today(), now=now)
    context = {
        "title": _("Perks"),
        "rows": rows,
        "all": perksums.total([row.sums for row in rows]),
        "effect": kpis.effect(day=clock.today(), now=now),
        "now": now,
    }
    return page(request, "staff/perks.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One perk. By POST it is changed (`do` = save) or its stock is (restock)."""
    refuse_without_people(request)
    perk = get_object_or_404(Perk, pk=pk)
    form, fault = catalogue.given(perk), None
    if request.method == "POST":
        _may_change(request)
        form |= {name: _typed(request, name) for name in (*FIELDS, "why", "added")}
        try:
            return _done(request, perk, form)
        except NotSaved as refused:
            fault = refused
            perk.refresh_from_db()
    now, today = clock.now(), clock.today()
    state = request.GET.get("state", "")
    state = state if state in perkboard.STATES else ""
    lines = perkboard.given(perk, state, user=_user(request), today=today, now=now)
    context = {
        "title": perk.name,
        "perk": perk,
        "row": next(row for row in perkboard.rows(today=today, now=now) if row.perk.pk == pk),
        "form": form,
        "fault": fault,
        "states": perkboard.STATES,
        "state": state,
        "page": Paginator(lines, PER_PAGE).get_page(request.GET.get("page")),
        "address": urlencode({"state": state}) if state else "",
        "history": perkboard.changes(perk, catalogue.history(perk)),
        "now": now,
    }
    return page(request, "staff/perk.html", context, status=422 if fault else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A form for a perk that is none yet."""
    refuse_without_people(request)
    _may_change(request)
    form, fault = catalogue.given(None), None
    if request.method == "POST":
        form = {name: _typed(request, name) for name in ("code", "stock", *FIELDS)}
        try:
            stock = catalogue.whole(form["stock"]) if form["stock"].strip() else None
            if form["stock"].strip() and (stock is None or stock < 0):
                raise NotSaved(_("Please give a whole number, or leave it empty."), "stock")
            made = catalogue.add(
                form["code"].strip(), catalogue.checked(form), stock=stock, by=_user(request), now=clock.now()
            )
            messages.success(request, _("It is in the catalogue."))
            return redirect("staff-perk", made.pk)
        except NotSaved as refused:
            fault = refused
    context = {"title": _("New perk"), "perk": None, "form": form, "fault": fault}
    return page(request, "staff/perk.html", context, status=422 if fault else 200)


def page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A page with the tabs of settings above it."""
    shared = {
        **admin.site.each_context(request),
        "tabs_of": Building._meta,
        "may_edit": desk.may_run_the_house(request),
    }
    return render(request, template, {**shared, **context}, status=status)


def _done(request: HttpRequest, perk: Perk, form: dict[str, str]) -> HttpResponse:
    by, now = _user(request), clock.now()
    if request.POST.get("do") == "restock":
        unlimited = request.POST.get("unlimited") == "1"
        added = None if unlimited else catalogue.whole(form["added"])
        if added is None and not unlimited:
            raise NotSaved(_("Please give a whole number; below zero it takes out of the stock."), "added")
        catalogue.restock(perk.pk, added=added, why=form["why"], by=by, now=now)
        messages.success(request, _("The stock is changed."))
    else:
        catalogue.change(perk.pk, catalogue.checked(form), why=form["why"], by=by, now=now)
        messages.success(request, _("Saved. What was given before keeps its cost and its last day."))
    return redirect("staff-perk", perk.pk)


def _may_change(request: HttpRequest) -> None:
    if not desk.may_run_the_house(request):
        raise PermissionDenied


def _typed(request: HttpRequest, name: str) -> str:
    return request.POST.get(name, "")[:300].replace("\0", "")


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


listing_view = admin.site.admin_view(listing)
one_view = admin.site.admin_view(one)
new_view = admin.site.admin_view(new)
