"""Playbooks: the list, one with its steps, who follows it, and its versions. To be read by all who see tenants."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from campaigns import drafts, releases, shelf, shipping
from campaigns.draftchecks import NotSaved
from campaigns.models import Playbook, PlaybookVersion, StepVersion
from renewal import bookshelf, bookwords, followers
from tenants import clock, desk
from tenants.models import User

UNDO_MINUTES = 30


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Every playbook by rank: what it does, for whom, and how it goes."""
    refuse_without_people(request)
    words, now = _words(request), clock.now()
    rows = bookshelf.listed(request.user, words, today=clock.day_of(now), now=now)
    context = {
        "title": _("Playbooks"),
        "rows": rows,
        "words": words,
        "clear": "?" if words else "",
        "today": clock.day_of(now),
        "waiting": bookshelf.waiting(request.user),
        "drafts": [row for row in rows if row.draft],
        "sent_days": bookshelf.SENT_DAYS,
    }
    return page(request, "staff/playbooks.html", context)


@require_safe
def playbook(request: HttpRequest, pk: int) -> HttpResponse:
    """What one playbook says and when, as a tenant reads it, and how it goes; `version` names an earlier one."""
    refuse_without_people(request)
    one = get_object_or_404(Playbook.objects.select_related("segment"), pk=pk)
    now = clock.now()
    today = clock.day_of(now)
    row = bookshelf.row_of(request.user, one, today=today, now=now)
    number = request.GET.get("version", "")
    shown = row.taking[0].version if row.taking else drafts.latest(pk)
    if number.isdecimal() and len(number) < 6:
        shown = get_object_or_404(
            PlaybookVersion.objects.select_related("playbook__segment"), playbook=one, number=number
        )
    people = followers.sample(request.user, one, today=today)
    example = chosen(request.GET.get("as", ""), people)
    lines = bookwords.lines(shown, example.lease if example else None, today=today) if shown else []
    here, left = followers.counted(request.user, one, today=today)
    newest = drafts.latest(pk)
    context = {
        "title": one.name,
        "playbook": one,
        "row": row,
        "shown": shown,
        "lacking": len(shipping.lacking(newest)) if newest and not newest.is_draft else 0,
        "lacking_general": len(shipping.lacking_general(newest)) if newest and not newest.is_draft else 0,
        "start": bookwords.start(shown) if shown else "",
        "lines": [line for line in lines if line.said.anchor != StepVersion.Anchor.WAVE],
        "waves": [line for line in lines if line.said.anchor == StepVersion.Anchor.WAVE],
        "steps": len(lines),
        "people": people,
        "example": example,
        "here": here,
        "left": left,
        "fixed": bookshelf.fixed_first(request.user, one, today=today),
        "today": today,
        "sent_days": bookshelf.SENT_DAYS,
    }
    return page(request, "staff/playbook.html", context)


@require_safe
def people(request: HttpRequest, pk: int) -> HttpResponse:
    """Who follows a playbook, or (`who=left`) who left it and why."""
    refuse_without_people(request)
    one = get_object_or_404(Playbook.objects.select_related("segment"), pk=pk)
    today, words, is_left = clock.today(), _words(request), request.GET.get("who") == "left"
    here, left = followers.counted(request.user, one, today=today)
    found = followers.page(
        request.user, one, is_left=is_left, words=words, number=_number(request.GET.get("page")), today=today
    )
    kept = {name: value for name, value in (("who", "left" if is_left else ""), ("q", words)) if value}
    context = {
        "title": one.name,
        "playbook": one,
        "page": found,
        "is_left": is_left,
        "reasons": followers.left_why(request.user, one, today=today) if is_left else [],
        "here": here,
        "left": left,
        "words": words,
        "hidden": {"who": "left"} if is_left else {},
        "clear": f"?{'who=left' if is_left else ''}" if words else "",
        "address": urlencode(kept),
        "today": today,
        "is_part": bookshelf.buildings(request.user, today=today) is not None,
    }
    return page(request, "staff/playbook_people.html", context)


@require_safe
def versions(request: HttpRequest, pk: int) -> HttpResponse:
    """The versions of a playbook: by whom, what each changed, and its releases."""
    refuse_without_people(request)
    one = get_object_or_404(Playbook.objects.select_related("segment"), pk=pk)
    rows = list(
        PlaybookVersion.objects.filter(playbook=one).select_related("playbook__segment", "by").order_by("-number")
    )
    told = [
        {
            "version": version,
            "start": bookwords.start(version),
            "steps": len(drafts.steps(version)),
            "changes": bookwords.changes(before, version),
            "is_first": before is None,
            "releases": [{"release": each, "words": bookwords.release(each)} for each in releases.history(version)],
        }
        for version, before in zip(rows, [*rows[1:], None], strict=True)
    ]
    n = len(rows)
    context = {
        "title": _("%(name)s: versions") % {"name": one.name},
        "playbook": one,
        "versions": told,
        "answer": ngettext("%(n)d version", "%(n)d versions", n) % {"n": n},
        "has_draft": any(version.is_draft for version in rows),
    }
    return page(request, "staff/playbook_versions.html", context)


@require_POST
def act(request: HttpRequest, pk: int) -> HttpResponse:
    """The playbook is switched, moved, named or copied."""
    refuse_others(request)
    one = get_object_or_404(Playbook, pk=pk)
    do = request.POST.get("do", "")
    back = "staff-playbooks" if request.POST.get("from") == "list" else ""
    try:
        match do:
            case "on" | "off":
                waits = shelf.switch(pk, is_active=do == "on", by=by(request), now=clock.now())
                said = _("“%(name)s” is switched on.") if do == "on" else _("“%(name)s” is switched off.")
                messages.success(request, said % {"name": one.name})
                if waits:
                    messages.warning(
                        request, _("It would take many at once, so its release waits for a second person.")
                    )
            case "up" | "down":
                shelf.move(pk, up=do == "up")
            case "rename":
                shelf.rename(pk, request.POST.get("name", ""))
            case "copy":
                pk = shelf.copy(pk, by=by(request), now=clock.now()).pk
                messages.success(request, _("This is a copy. It says nothing to anybody until it is released."))
            case _:
                raise BadRequest("no such act")
    except NotSaved as fault:
        messages.error(request, str(fault))
    return redirect(back) if back else redirect("staff-playbook", pk=pk)


@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    """What was thrown away last in this browser is there again."""
    refuse_others(request)
    kept = request.session.pop("playbook_undo", None)
    if kept is None:
        messages.warning(request, _("There is nothing to undo any more."))
        return redirect("staff-playbooks")
    now = clock.now()
    try:
        if kept["what"] == "draft":
            drafts.restore(kept["playbook"], kept["kept"], by=by(request), now=now)
        else:
            drafts.save_step(
                kept["playbook"],
                kept["code"],
                kept["kept"],
                seen=kept["seen"],
                by=by(request),
                today=clock.day_of(now),
                now=now,
            )
    except NotSaved as fault:
        messages.error(request, str(fault))
        return redirect("staff-playbooks")
    return redirect("staff-playbook-draft", pk=kept["playbook"])


# --- What the pages share ------------------------------------------------------------------------------------


def chosen(wanted: str, people: list[Any]) -> Any:
    """The one of these that the address names, else the first."""
    return next((each for each in people if str(each.lease_id) == wanted), people[0] if people else None)


def by(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def keep_for_undo(request: HttpRequest, what: str, playbook: int, kept: Any, **more: str) -> None:
    """This can be undone for a while, by whoever did it."""
    facts = {"what": what, "playbook": playbook, "kept": kept, "at": clock.now().isoformat(), **more}
    request.session["playbook_undo"] = facts


def refuse_without_people(request: HttpRequest) -> None:
    if not desk.may_see_people(request):
        raise PermissionDenied


def refuse_others(request: HttpRequest) -> None:
    if not desk.may_run_the_house(request):
        raise PermissionDenied


def page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A page with the tabs of segments and playbooks above it, and what can still be undone."""
    undo = request.session.get("playbook_undo")
    if undo and datetime.fromisoformat(undo["at"]) < clock.now() - timedelta(minutes=UNDO_MINUTES):
        undo = None
    shared = {
        **admin.site.each_context(request),
        "tabs_of": Playbook._meta,
        "may_edit": desk.may_run_the_house(request),
        "undo": undo,
    }
    return render(request, template, {**shared, **context}, status=status)


def _words(request: HttpRequest) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()[:80]


def _number(page_number: str | None) -> int:
    return int(page_number) if page_number and page_number.isdecimal() and len(page_number) < 7 else 1


listing_view = admin.site.admin_view(listing)
playbook_view = admin.site.admin_view(playbook)
people_view = admin.site.admin_view(people)
versions_view = admin.site.admin_view(versions)
act_view = admin.site.admin_view(act)
undo_view = admin.site.admin_view(undo)
