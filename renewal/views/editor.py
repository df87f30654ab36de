"""The editor of segments: a rule is built by choosing, and what it means stands beside it. The head office's only."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from campaigns import segments, versions
from campaigns.grammar import BadRule, Rule
from campaigns.models import Segment, SegmentVersion
from renewal import audience, people, ruledrawing, ruleedits, rulereading
from renewal.views.segments import page
from tenants import clock, desk
from tenants.access import Somebody
from tenants.models import User

SAMPLE = 8


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A segment that does not exist yet; `from` names one to begin with."""
    _refuse_others(request)
    like = request.GET.get("from", "")
    model = Segment.objects.filter(pk=int(like)).first() if like.isdecimal() and len(like) < 10 else None
    rule = ruleedits.opened(model.rule) if model else ruleedits.new_rule()
    return _editor(request, None, rule, _("%(name)s, copy") % {"name": model.name} if model else "")


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """A segment's rule and name, to be changed."""
    _refuse_others(request)
    segment = get_object_or_404(Segment, pk=pk)
    return _editor(request, segment, ruleedits.opened(segment.rule), segment.name)


def _editor(request: HttpRequest, segment: Segment | None, draft: Rule, name: str) -> HttpResponse:
    """The page, or what of it changes by a choice; by POST what was done to the draft, and at last it is saved."""
    latest = versions.history(segment).first() if segment else None
    typed: dict[str, Any] = {"name": name, "note": "", "seen": latest.number if latest else 0, "refused": ""}
    do = request.POST.get("do", "") if request.method == "POST" else "look"
    try:
        if request.method == "POST":
            typed |= {key: request.POST.get(key, "")[:300] for key in ("name", "note", "seen")}
            draft = (
                rulereading.restored(request.POST.get("draft", ""))
                if do == "restore"
                else (rulereading.read(request.POST))
            )
        if do not in ("save", "restore"):
            draft = ruleedits.acted(draft, do)
        if do == "save":
            try:
                return _saved(request, segment, draft, typed)
            except versions.NotSaved as refused:
                typed["refused"] = str(refused)
            except BadRule:
                pass  # said below, at its place
        context = {**typed, "segment": segment, **_look(request.user, segment, draft, today=clock.today())}
    except (ruleedits.NoSuchPlace, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise BadRequest("the form of another rule") from error
    context |= {"title": segment.name if segment else _("New segment"), "is_unsaved": do == "save"}
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "staff/segment_builder.html", context)
    return page(request, "staff/segment_edit.html", context, status=422 if do == "save" else 200)


def _saved(request: HttpRequest, segment: Segment | None, draft: Rule, typed: dict[str, Any]) -> HttpResponse:
    """It is saved. Raises `BadRule` or `NotSaved`."""
    segments.check(draft)
    by = request.user if isinstance(request.user, User) else None
    rule, note, now = ruleedits.closed(draft), typed["note"], clock.now()
    if segment is None:
        kept = versions.create(typed["name"], rule, note=note, by=by, now=now)
    else:
        if ruleedits.closed(segment.rule) == rule:
            rule = segment.rule
        seen = int(typed["seen"]) if str(typed["seen"]).isdecimal() else -1
        kept = versions.save(segment.pk, typed["name"], rule, seen=seen, note=note, by=by, now=now)
    messages.success(request, _("Saved. Playbooks that use it follow it from their next run on."))
    return redirect("staff-segment", pk=kept.pk)


def _look(user: Somebody, segment: Segment | None, draft: Rule, *, today: date) -> dict[str, Any]:
    """What a draft means: its words, whom it selects, and who would come and go."""
    fault = None
    told: dict[str, Any] = {"sentence": None}
    try:
        told["sentence"] = segments.sentences(draft)
    except BadRule as error:
        fault = error
    else:
        seen = audience.visible(user, today=today)
        inside = audience.members(draft, seen, today=today)
        told |= {"count": len(inside), "sample": _sample(user, inside, today=today)}
        if segment:
            before = set(audience.members(segment.rule, seen, today=today))
            joining = [tenant for tenant in inside if tenant not in before]
            leaving = sorted(before - set(inside))
            told |= {
                "joining": len(joining),
                "leaving": len(leaving),
                "joiners": _sample(user, joining, today=today),
                "leavers": _sample(user, leaving, today=today),
            }
    root, spot = ruledrawing.drawn(draft, fault)
    return {"root": root, "draft": draft, "fault": spot, **told}


def _sample(user: Somebody, tenants: list[int], *, today: date) -> list[people.Row]:
    """The first few of these, with their rooms."""
    if not tenants:
        return []
    return list(people.roster(user, people.Wanted(among=tenants[:SAMPLE]), today=today).object_list)


@require_http_methods(["GET", "HEAD", "POST"])
def history(request: HttpRequest, pk: int) -> HttpResponse:
    """The versions of a segment, by whom and why; by POST an earlier one holds again."""
    if not desk.may_see_people(request):
        raise PermissionDenied
    segment = get_object_or_404(Segment, pk=pk)
    if request.method == "POST":
        _refuse_others(request)
        return _gone_back(request, segment)
    rows = list(versions.history(segment))
    for version in rows:
        version.sentence = _said(version.rule)
    n = len(rows)
    context = {
        "title": _("%(name)s: versions") % {"name": segment.name},
        "segment": segment,
        "versions": rows,
        "answer": ngettext("%(n)d version", "%(n)d versions", n) % {"n": n},
        "sentence": segments.sentence(segment.rule),
    }
    return page(request, "staff/segment_versions.html", context)


def _said(rule: Rule) -> str:
    """An old rule in words, or why it has none any more."""
    try:
        return segments.sentence(rule)
    except BadRule as bad:
        return str(bad)


def _gone_back(request: HttpRequest, segment: Segment) -> HttpResponse:
    by = request.user if isinstance(request.user, User) else None
    number, seen = request.POST.get("number", ""), request.POST.get("seen", "")
    if not (number.isdecimal() and seen.isdecimal() and len(number) < 9 and len(seen) < 9):
        raise BadRequest("no version")
    try:
        versions.go_back(segment.pk, int(number), seen=int(seen), by=by, now=clock.now())
    except SegmentVersion.DoesNotExist:
        raise BadRequest("no such version") from None
    except versions.Overtaken as overtaken:
        messages.warning(request, str(overtaken))
    except BadRule as bad:
        messages.error(request, _("This version cannot be used any more: %(fault)s") % {"fault": bad})
    else:
        messages.success(request, _("The rule is as in version %(n)s again.") % {"n": number})
    return redirect("staff-segment-versions", pk=segment.pk)


def _refuse_others(request: HttpRequest) -> None:
    if not desk.may_run_the_house(request):
        raise PermissionDenied


new_view = admin.site.admin_view(new)
edit_view = admin.site.admin_view(edit)
versions_view = admin.site.admin_view(history)
