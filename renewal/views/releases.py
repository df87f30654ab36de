"""Releasing a playbook's version: asked for by one person of the head office, approved by another where it is large."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from campaigns import drafts, joining, releases
from campaigns.draftchecks import NotSaved
from campaigns.grammar import BadRule
from campaigns.models import Playbook, PlaybookVersion, Release
from campaigns.releases import NotReleased
from renewal import bookwords, followers, ruledrawing, ruleedits, stepforms
from renewal.views.drafts import NO_FORM
from renewal.views.playbooks import by, page, refuse_others
from tenants import clock
from tenants.models import Building

SHARES = (5, 10, 30, 50, 100)


@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Whom a version may take: by POST how many that would be, and at last it is asked for."""
    refuse_others(request)
    one = get_object_or_404(Playbook.objects.select_related("segment"), pk=pk)
    version = get_object_or_404(
        PlaybookVersion.objects.select_related("playbook__segment", "by"), playbook=one, number=number
    )
    do = request.POST.get("do", "") if request.method == "POST" else "look"
    typed = stepforms.shown_release(releases.latest(version))
    seen, refused, status, today = drafts.mark(version), "", 200, clock.today()
    try:
        if request.method == "POST":
            typed = (
                stepforms.restored_release(request.POST.get("draft", ""))
                if do == "restore"
                else stepforms.release(request.POST)
            )
        if do not in ("save", "restore"):
            typed["rule"] = ruleedits.acted(typed["rule"], do)
        if do == "save":
            try:
                made = drafts.ask(
                    version.pk,
                    percent=_percent(typed["percent"]),
                    rule=_rule(typed),
                    why=typed["why"],
                    seen=request.POST.get("seen", ""),
                    by=request.user,  # type: ignore[arg-type]
                    today=today,
                    now=clock.now(),
                )
                return _asked(request, made)
            except (NotSaved, NotReleased) as fault:
                refused, status = str(fault), 422
            except BadRule:
                status = 422  # said below, at its place
        context = _look(version, typed, today=today)
    except NO_FORM as error:
        raise BadRequest("the form of another release") from error
    context |= {
        "title": _("Release %(name)s") % {"name": one.name},
        "playbook": one,
        "version": version,
        "seen": seen,
        "refused": refused,
    }
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "staff/playbook_release_builder.html", context)
    return page(request, "staff/playbook_release.html", context, status=status)


def _percent(text: str) -> int:
    """Raises `NotReleased`."""
    if not text.strip().isdecimal() or len(text.strip()) > 4:
        raise NotReleased(_("The share is a whole number from 0 to 100."))
    return int(text)


def _rule(typed: dict[str, Any]) -> Any:
    """The rule of what was typed. Raises `NotReleased`."""
    if typed["whom"] == stepforms.BUILDINGS and not typed[stepforms.BUILDINGS]:
        raise NotReleased(_("Choose at least one building."))
    if typed["whom"] == "list" and not typed["list"]:
        raise NotReleased(_("Choose a list."))
    return stepforms.released_to(typed)


def _asked(request: HttpRequest, made: Release) -> HttpResponse:
    if made.state == Release.State.WAITING:
        messages.success(request, _("Asked for. It waits for a second person of the head office."))
        return redirect("staff-playbook-decide", pk=made.pk)
    messages.success(request, _("Released. Leases enter with the next day's run."))
    return redirect("staff-playbook", pk=made.version.playbook_id)


def _look(version: PlaybookVersion, typed: dict[str, Any], *, today: date) -> dict[str, Any]:
    """What a release would do: how many it takes, whether it waits, and what is wrong."""
    bad, fault, reach = None, "", None
    try:
        percent, rule = _percent(typed["percent"]), _rule(typed)
        if percent > 100:
            raise NotReleased(_("The share is a whole number from 0 to 100."))
        reach = joining.reach(version, percent=percent, rule=rule, today=today)
        told = bookwords.release(Release(version=version, percent=percent, rule=rule))
    except NotReleased as error:
        fault, told = str(error), ""
    except BadRule as error:
        bad, fault, told = (error if typed["whom"] == "rule" else None), str(error), ""
    root, spot = ruledrawing.drawn(typed["rule"], bad)
    return {
        "root": root,
        "draft": typed,
        "fault": {"spot": spot.spot, "fault": spot.fault} if spot else {"spot": "release", "fault": fault},
        "version": version,
        "reach": reach,
        "within": joining.REACH_DAYS,
        "told": told,
        "waits": reach is not None and reach >= settings.MASS_START and told and int(typed["percent"]) > 0,
        "mass_start": settings.MASS_START,
        "faults": drafts.faults(version, today=today) if version.is_draft else [],
        "shares": SHARES,
        "buildings": Building.objects.order_by("code"),
        "lists": ruleedits.lists(typed["list"]),
        "last": releases.latest(version),
        "under_way": _under_way(version),
    }


def _under_way(version: PlaybookVersion) -> str:
    if version.number == 1:
        return ""
    if version.under_way == PlaybookVersion.UnderWay.MOVE:
        return _("Those under way whom it is for move to this version with the next day's run.")
    return _("Those under way finish the version they are in; this one takes whoever enters from now on.")


@require_http_methods(["GET", "HEAD", "POST"])
def release(request: HttpRequest, pk: int) -> HttpResponse:
    """One release: what it does, who asked, what was decided. POST approves, refuses or withdraws it."""
    refuse_others(request)
    made = get_object_or_404(
        Release.objects.select_related("version__playbook__segment", "version__by", "asked_by", "decided_by"), pk=pk
    )
    refused, why = "", request.POST.get("why", "")[:300]
    if request.method == "POST":
        try:
            return _decided(request, made, why)
        except NotReleased as fault:
            refused = str(fault)
    today, version = clock.today(), made.version
    before = (
        PlaybookVersion.objects.filter(playbook=version.playbook, number__lt=version.number, is_draft=False)
        .order_by("-number")
        .first()
    )
    people = followers.sample(request.user, version.playbook, today=today)
    example = people[0] if people else None
    context = {
        "title": _("Release of %(name)s") % {"name": version.playbook.name},
        "release": made,
        "version": version,
        "playbook": version.playbook,
        "told": bookwords.release(made),
        "start": bookwords.start(version),
        "lines": bookwords.lines(version, example.lease if example else None, today=today),
        "changes": bookwords.changes(before, version),
        "reach": joining.reach(version, percent=made.percent, rule=made.rule, today=today)
        if made.state == Release.State.WAITING
        else None,
        "under_way": _under_way(version),
        "is_mine": made.asked_by_id == request.user.pk,
        "is_waiting": made.state == Release.State.WAITING,
        "refused": refused,
        "why": why,
        "today": today,
    }
    return page(request, "staff/release.html", context, status=422 if refused else 200)


def _decided(request: HttpRequest, made: Release, why: str) -> HttpResponse:
    """Raises `NotReleased`."""
    do, who, now = request.POST.get("do", ""), by(request), clock.now()
    if who is None or do not in ("approve", "refuse", "withdraw"):
        raise BadRequest("no such decision")
    if do == "withdraw":
        releases.withdraw(made.pk, by=who, now=now)
        messages.success(request, _("The release is withdrawn."))
    else:
        releases.decide(made.pk, is_approved=do == "approve", why=why, by=who, now=now)
        messages.success(
            request,
            _("Approved. Leases enter with the next day's run.") if do == "approve" else _("The release is refused."),
        )
    return redirect("staff-playbook", pk=made.version.playbook_id)


ask_view = admin.site.admin_view(ask)
release_view = admin.site.admin_view(release)
