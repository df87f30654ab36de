"""Experiments: the list, one being made, its board, stopping it, and counts of another trial.

To be read by all who see tenants.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns import trials
from campaigns.models import Experiment, StepVersion
from renewal import bookwords, countboard, trialboard
from renewal.views.playbooks import by, page, refuse_others, refuse_without_people
from tenants import clock

LETTERS = trials.LETTERS[1:]
HERE = {"tabs_of": Experiment._meta}  # an entry of its own beside that of playbooks


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Every experiment: what is asked, when, and how it stands."""
    refuse_without_people(request)
    rows = trialboard.listed()
    answer = ngettext("%(n)d experiment", "%(n)d experiments", len(rows)) % {"n": len(rows)}
    context = {"title": _("Experiments"), **HERE, "rows": rows, "answer": answer, "today": clock.today()}
    return page(request, "staff/experiments.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A step is chosen, then its wordings are written; what was typed stays where it cannot be made."""
    refuse_others(request)
    now = clock.now()
    steps = trialboard.testable(today=clock.day_of(now))
    wanted = request.POST.get("step") or request.GET.get("step") or ""
    said = next((each for each in steps if str(each.pk) == wanted), None)
    typed = {letter: request.POST.get(f"text_{letter}", "") for letter in LETTERS}
    fault, place = "", ""
    if request.method == "POST":
        if said is None:
            raise BadRequest("no such step")
        wordings = [{"text": text, "templates": said.templates} for text in typed.values() if text.strip()]
        try:
            made = trials.make(said, wordings, name=request.POST.get("name", ""), by=by(request), now=now)
        except trials.NotMade as refused:
            fault, place = str(refused), refused.field
        else:
            messages.success(
                request, _("The experiment is laid down. Nothing of it can be changed any more; it can be stopped.")
            )
            return redirect("staff-experiment", pk=made.pk)
    expected = trialboard.expected(said) if said else 0
    context = {
        "title": _("New experiment"),
        **HERE,
        "steps": [{"said": each, "moment": bookwords.moment(each)} for each in steps],
        "said": said,
        "moment": bookwords.moment(said) if said else "",
        "expected": expected,
        "power": trialboard.power_words(expected, now=now) if expected else "",
        "typed": [{"letter": letter, "text": text} for letter, text in typed.items()],
        "name": request.POST.get("name", ""),
        "fault": fault,
        "place": place,
    }
    return page(request, "staff/experiment_new.html", context, status=422 if fault else 200)


@require_safe
def board(request: HttpRequest, pk: int) -> HttpResponse:
    """How one experiment stands, what it rests on, and what would change it."""
    refuse_without_people(request)
    one = get_object_or_404(Experiment.objects.select_related("step__playbook", "made_by"), pk=pk)
    now = clock.now()
    context: dict[str, Any] = {"title": one.name, **HERE, "now": now, **trialboard.board(one, now=now)}
    context["said"] = StepVersion.objects.filter(step=one.step_id).order_by("-pk").first()
    return page(request, "staff/experiment.html", context)


@require_safe
def counts(request: HttpRequest) -> HttpResponse:
    """A trial that ran elsewhere, by its counts: all of it is in the address, and nothing is kept."""
    refuse_without_people(request)
    told, fault, place = None, "", ""
    try:
        told = countboard.read(request.GET)
    except countboard.NotCounts as refused:
        fault, place = str(refused), refused.field
    context = {
        "title": _("Counts of another trial"),
        **HERE,
        "told": told,
        "fault": fault,
        "form": countboard.form(request.GET, place),
        "example": urlencode(countboard.example()),
        "threshold": countboard.srm.ALARM,
    }
    return page(request, "staff/experiment_counts.html", context, status=422 if fault else 200)


@require_POST
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """The experiment is over, for a reason that is kept."""
    refuse_others(request)
    get_object_or_404(Experiment, pk=pk)
    try:
        trials.stop(pk, why=request.POST.get("why", ""), by=by(request), now=clock.now())
    except trials.NotMade as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, _("Stopped. Everybody hears version A from now on."))
    return redirect("staff-experiment", pk=pk)


listing_view = admin.site.admin_view(listing)
new_view = admin.site.admin_view(new)
counts_view = admin.site.admin_view(counts)
board_view = admin.site.admin_view(board)
stop_view = admin.site.admin_view(stop)
