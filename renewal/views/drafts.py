"""Writing a playbook: a new one, its draft, and one step of it. The head office's only."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from campaigns import draftchecks, drafts, general, segments, shelf, shipping
from campaigns.draftchecks import NotSaved
from campaigns.grammar import BadRule, Rule
from campaigns.kinds import KINDS
from campaigns.models import Playbook, PlaybookVersion, Segment, Step, StepVersion
from renewal import audience, bookwords, followers, ruledrawing, ruleedits, stepforms
from renewal.views.playbooks import by, chosen, keep_for_undo, page, refuse_others
from tenants import clock
from tenants.models import Perk

NO_FORM = (ruleedits.NoSuchPlace, KeyError, TypeError, AttributeError, StopIteration)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A playbook that does not exist yet: its name, whom it is for, and what starts it."""
    refuse_others(request)
    typed = {
        "name": request.POST.get("name", "")[:300],
        "segment": request.POST.get("segment", ""),
        "starts": request.POST.get("starts", "end"),
        "lead_days": request.POST.get("lead_days", "60")[:20],
        "events": request.POST.get("s.events", ""),
        "refused": "",
        "place": "",
    }
    if request.method == "POST":
        segment = typed["segment"]
        try:
            made = shelf.create(
                typed["name"],
                segment=int(segment) if segment.isdecimal() and len(segment) < 10 else None,
                lead_days=typed["lead_days"],
                starts_on=stepforms.starts_on(request.POST),
                by=by(request),
                now=clock.now(),
            )
            return redirect("staff-playbook-draft", pk=made.pk)
        except NotSaved as fault:
            typed |= {"refused": str(fault), "place": fault.place}
    context = {
        **typed,
        "title": _("New playbook"),
        "segments": Segment.objects.order_by("name", "pk"),
        "kinds": {kind: happening.name for kind, happening in KINDS.items()},
    }
    return page(request, "staff/playbook_new.html", context, status=422 if typed["refused"] else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def draft(request: HttpRequest, pk: int) -> HttpResponse:
    """The next version while it is written: its facts and its steps. POST begins it, saves it, or throws it away."""
    refuse_others(request)
    one = get_object_or_404(Playbook, pk=pk)
    do = request.POST.get("do", "") if request.method == "POST" else "look"
    if do in ("begin", "begin-templates"):
        return _begun(request, pk, with_templates=do == "begin-templates")
    version = drafts.draft_of(pk)
    if version is None and request.method != "POST":
        return redirect("staff-playbook", pk=pk)
    if version is None:
        messages.warning(request, str(drafts.Overtaken(None)))
        version = drafts.latest(pk) or PlaybookVersion(playbook=one, number=1, at=clock.now())
    seen = drafts.mark(version) if version.pk else ""
    facts, refused, place = drafts.facts_of(version), "", ""
    if request.method == "POST":
        seen = request.POST.get("seen", "")
        try:
            if do == "discard":
                keep_for_undo(request, "draft", pk, drafts.discard(pk, seen=seen))
                messages.success(request, _("The draft is thrown away."))
                is_there = Playbook.objects.filter(pk=pk).exists()
                return redirect("staff-playbook", pk=pk) if is_there else redirect("staff-playbooks")
            if do.startswith("remove "):
                return _removed(request, pk, do.partition(" ")[2], seen=seen)
            facts = stepforms.facts(request.POST)
            facts["starts_on"] = stepforms.acted_start(facts["starts_on"], do)
            if do == "save":
                drafts.save_facts(pk, facts, seen=seen, by=by(request), now=clock.now())
                messages.success(request, _("Saved. Nothing changes for anybody until it is released."))
                return redirect("staff-playbook-draft", pk=pk)
        except NotSaved as fault:
            refused, place = str(fault), fault.place
            if isinstance(fault, drafts.Overtaken):  # whoever saves again has seen what they would overwrite
                seen = drafts.mark(version) if version.pk else ""
        except NO_FORM as error:
            raise BadRequest("the form of another draft") from error
    context = _of_draft(request, one, version, facts, today=clock.today())
    context |= {"seen": seen, "refused": refused, "place": place, "is_dirty": request.method == "POST"}
    return page(request, "staff/playbook_draft.html", context, status=422 if refused else 200)


def _of_draft(
    request: HttpRequest, one: Playbook, version: PlaybookVersion, facts: dict[str, Any], *, today: date
) -> dict[str, Any]:
    people = followers.sample(request.user, one, today=today)
    example = chosen(request.GET.get("as", ""), people)
    lines = bookwords.lines(version, example.lease if example else None, today=today) if version.pk else []
    before = PlaybookVersion.objects.filter(playbook=one, number__lt=version.number).order_by("-number").first()
    faults = drafts.faults(version, today=today) if version.pk else []
    return {
        "title": _("%(name)s: draft") % {"name": one.name},
        "playbook": one,
        "version": version,
        "facts": facts,
        "may_change_start": not PlaybookVersion.objects.filter(playbook=one, is_draft=False).exists(),
        "starts": ruledrawing.start(facts["starts_on"], "s") if facts["starts_on"] else [],
        "kinds": {kind: happening.name for kind, happening in KINDS.items()},
        "lines": lines,
        "example": example,
        "people": people,
        "faults": faults,
        "before": before,
        "changes": bookwords.changes(before, version) if before and version.pk else [],
        "under_way": PlaybookVersion.UnderWay.choices,
        "warned": {line.said.pk: _warnings(drafts.said_of(line.said)) for line in lines},
    }


def _warnings(said: dict[str, Any]) -> list[str]:
    """What speaks against either wording, each once."""
    texts = [text for text in (said["text"], said["general_text"]) if text]
    return list(dict.fromkeys(fault for text in texts for fault in draftchecks.warnings(text, said["claims_topic"])))


def _begun(request: HttpRequest, pk: int, *, with_templates: bool) -> HttpResponse:
    like = request.POST.get("like", "")
    try:
        if with_templates:
            shipping.begin_with_templates(pk, by=by(request), now=clock.now())
            return redirect("staff-playbook-draft", pk=pk)
        number = int(like) if like.isdecimal() and len(like) < 9 else None
        drafts.begin(pk, like=number, by=by(request), now=clock.now())
    except PlaybookVersion.DoesNotExist:
        raise BadRequest("no such version") from None
    except NotSaved as fault:
        messages.warning(request, str(fault))
    return redirect("staff-playbook-draft", pk=pk)


def _removed(request: HttpRequest, pk: int, code: str, *, seen: str) -> HttpResponse:
    """A step is gone from the draft. Raises `NotSaved`."""
    try:
        kept = drafts.remove_step(pk, code, seen=seen, by=by(request), now=clock.now())
    except StepVersion.DoesNotExist:
        raise BadRequest("no such step") from None
    version = drafts.draft_of(pk)
    if version:
        keep_for_undo(request, "step", pk, kept, code=code, seen=drafts.mark(version))
    messages.success(request, _("The step is removed from the draft."))
    return redirect("staff-playbook-draft", pk=pk)


# --- One step ------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def step(request: HttpRequest, pk: int, code: str) -> HttpResponse:
    """One step of the draft, or a `new` one: when, to whom, and what it says; beside it how a tenant reads it."""
    refuse_others(request)
    if request.method == "HEAD":  # the page asks whether it would be heard
        return HttpResponse()
    one = get_object_or_404(Playbook, pk=pk)
    version = drafts.draft_of(pk)
    do = request.POST.get("do", "") if request.method == "POST" else "look"
    code = "" if code == "new" else code
    said, refused = None, ""
    if code:
        get_object_or_404(Step, playbook=one, code=code)
        said = StepVersion.objects.filter(version=version, step__code=code).select_related("grants").first()
    if version is None or (code and said is None and request.method != "POST"):
        if request.method != "POST":
            return redirect("staff-playbook-draft", pk=pk)
        refused = str(drafts.Overtaken(None))
        version = version or drafts.latest(pk) or PlaybookVersion(playbook=one, number=1, at=clock.now())
    typed = stepforms.shown_step(drafts.said_of(said)) if said else stepforms.new_step(version)
    seen = drafts.mark(version) if version.pk else ""
    today, status = clock.today(), 200
    try:
        if request.method == "POST":
            seen = request.POST.get("seen", "")
            typed = (
                stepforms.restored_step(request.POST.get("draft", ""))
                if do == "restore"
                else stepforms.step(request.POST)
            )
        if do not in ("save", "restore"):
            typed["rule"] = ruleedits.acted(typed["rule"], do)
        if do == "save" and not refused:
            try:
                given = {**typed, "rule": stepforms.closed(typed["rule"])}
                if said is not None and said.rule is not None and stepforms.opened(said.rule) == typed["rule"]:
                    given["rule"] = said.rule
                drafts.save_step(pk, code, given, seen=seen, by=by(request), today=today, now=clock.now())
                messages.success(request, _("The step is saved. Nothing changes for anybody until it is released."))
                return redirect("staff-playbook-draft", pk=pk)
            except drafts.Overtaken as fault:
                refused, seen = str(fault), drafts.mark(drafts.draft_of(pk) or version)
            except NotSaved:
                status = 422  # said below, at its place
        known = drafts.waves(said.step_id) if said else set()
        context = _look(request, one, version, typed, known=known, today=today)
        if request.method != "POST" and said is None:  # nothing is wrong with what was not begun
            context |= {"fault": {"spot": "", "fault": ""}, "place": ""}
    except NO_FORM as error:
        raise BadRequest("the form of another step") from error
    context |= {
        "title": _("Change the step") if code else _("New step"),
        "playbook": one,
        "version": version,
        "code": code or "new",
        "seen": seen,
        "refused": refused,
        "is_dirty": request.method == "POST",
    }
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "staff/playbook_step_builder.html", context)
    return page(request, "staff/playbook_step.html", context, status=422 if refused else status)


def _look(
    request: HttpRequest,
    one: Playbook,
    version: PlaybookVersion,
    typed: dict[str, Any],
    *,
    known: set[date],
    today: date,
) -> dict[str, Any]:
    """What a step means: how it reads, whom its rule selects, and what is wrong with it."""
    rule = stepforms.closed(typed["rule"])
    bad, fault, place = None, "", ""
    try:
        draftchecks.step({**typed, "rule": rule}, version, known=known, today=today)
    except NotSaved as error:
        fault, place = str(error), error.place
    if rule is not None:
        try:
            segments.check(typed["rule"])
        except BadRule as error:
            bad = error
    root, spot = ruledrawing.drawn(typed["rule"], bad)
    people = followers.sample(request.user, one, today=today)
    example = chosen(request.POST.get("as", "") or request.GET.get("as", ""), people)
    lease = example.lease if example else None
    read, is_silent = bookwords.read(typed["text"], typed["claims_topic"], lease, today=today)
    plain = bookwords.read(typed["general_text"], typed["claims_topic"], lease, today=today)[0]
    return {
        "root": root,
        "draft": typed,
        "fault": {"spot": spot.spot, "fault": spot.fault} if spot else {"spot": f"step {place}", "fault": fault},
        "place": "" if spot else place,
        "sentence": segments.sentences(rule) if bad is None else None,
        "has_rule": rule is not None,
        "count": _count(request, one, rule, today=today) if bad is None else None,
        "read": read,
        "is_silent": is_silent,
        "plain": plain,
        "may_be_general": general.may_have(typed["kind"], rule, one.segment_id),
        "warnings": _warnings(typed),
        "people": people,
        "example": example,
        "anchors": [(anchor.value, anchor.label) for anchor in draftchecks.anchors_of(version.starts_on)],
        "kinds": StepVersion.Kind.choices,
        "topics": bookwords.topics(),
        "templates": bookwords.template_choices(typed["templates"], typed["kind"]),
        "general_templates": bookwords.template_choices(typed["general_templates"], typed["kind"]),
        "perks": Perk.objects.order_by("name", "pk"),
    }


def _count(request: HttpRequest, one: Playbook, rule: Rule | None, *, today: date) -> int:
    """How many tenants of the playbook's segment the rule selects today."""
    seen = audience.visible(request.user, today=today)
    inside = set(audience.members(one.segment.rule if one.segment else None, seen, today=today))
    return len(inside.intersection(audience.members(rule, seen, today=today)) if rule is not None else inside)


new_view = admin.site.admin_view(new)
draft_view = admin.site.admin_view(draft)
step_view = admin.site.admin_view(step)
