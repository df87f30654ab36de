"""What persons do about pushes: one push's story with its decisions, and the switches of the channels."""

from __future__ import annotations

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from campaigns.models import Push
from campaigns.pushes import read
from connectors import channels
from renewal import funnel, pushstory, switchboard
from renewal.views.pushes import page, refuse_without_people
from tenants import clock, desk
from tenants.models import Message, Pause, User
from tenants.outbox import gates, keeping


@require_safe
def story(request: HttpRequest, pk: int) -> HttpResponse:
    """One push: why it was decided, every try, receipts, clicks, the signature, and what persons decided."""
    refuse_without_people(request)
    push = _theirs(request, pk)
    state = push.message.state if push.message else ""
    for attempt in (told := pushstory.story(push))["attempts"]:
        attempt.said = channels.outcome_name(attempt.outcome)
    context = {
        "title": _("Push"),
        "push": push,
        "text": read(push),
        **told,
        "person": push.tenant.merged_into_id or push.tenant_id,
        "is_parked": state == Message.State.PARKED,
        "is_unknown": state == Message.State.UNKNOWN,
        "may_decide": desk.may_decide_pushes(request),
        "now": clock.now(),
    }
    return page(request, "staff/pushes_one.html", context)


@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """What becomes of a push in doubt: `do` is release, give_up or park, with a reason."""
    refuse_without_people(request)
    if not desk.may_decide_pushes(request):
        raise PermissionDenied
    push = _theirs(request, pk)
    why, by, now = request.POST.get("why", "").strip(), _by(request), clock.now()
    here = reverse("staff-pushes-one", args=[pk])
    back = reverse("staff-pushes") + "#parked" if request.POST.get("back") == "overview" else here
    do = request.POST.get("do")
    if do not in {"release", "give_up", "park"} or push.message_id is None:
        raise BadRequest("no such decision")
    if not why:
        messages.error(request, _("Please say why: it is kept with the decision."))
        return redirect(back)
    try:
        if do == "release":
            keeping.release(push.message_id, by=by, why=why, now=now)
            said = _("It is in the outbox again, and sent once more if it still may be.")
        elif do == "give_up":
            keeping.give_up(push.message_id, by=by, why=why, now=now)
            said = _("It is given up: it is not sent again.")
        else:
            keeping.park(push.message_id, by=by, why=why, now=now)
            said = _("It waits for a decision now; it is not asked about any more.")
    except keeping.NotMovable:
        messages.warning(request, _("Somebody was faster: it does not stand there any more. Nothing was changed."))
        return redirect(here)
    messages.success(request, said)
    return redirect(back)


@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """A channel, or everything, is stopped or let go (`do`), with a reason; the head office's only."""
    if not desk.may_run_the_house(request):
        raise PermissionDenied
    channel, do = request.POST.get("channel", ""), request.POST.get("do")
    if do not in {"stop", "go"} or not switchboard.knows(channel):
        raise BadRequest("no such switch")
    why, by, now = request.POST.get("why", "").strip(), _by(request), clock.now()
    back = redirect(reverse("staff-pushes") + "#switches")
    if not why:
        messages.error(request, _("Please say why: it is kept with the switch. Nothing was changed."))
        return back
    everything = channel == gates.EVERYTHING
    if do == "stop":
        is_new = gates.stop(channel, by=by, why=why, now=now)
        if not is_new:
            messages.warning(request, _("It was stopped already, by whom and why stands below."))
        elif everything:
            messages.success(request, _("Nothing is sent any more, on any channel. What is due waits."))
        else:
            messages.success(
                request, _("%(channel)s is stopped. What is due on it waits.") % {"channel": channels.title(channel)}
            )
        return back
    try:
        cause = gates.let_go(channel, by=by, why=why, seen=request.POST.get("seen", "") or "-", now=now)
    except gates.NotStopped as refused:
        messages.warning(request, str(refused))
        return back
    if cause == Pause.Cause.RESTORED:
        messages.success(request, _("This database sends again. What waited in it is first asked about."))
    elif everything:
        messages.success(request, _("Sending goes on, but for the channels that are stopped by themselves."))
    else:
        messages.success(request, _("%(channel)s sends again.") % {"channel": channels.title(channel)})
    return back


def _theirs(request: HttpRequest, pk: int) -> Push:
    rows = funnel.visible(request.user, today=clock.today())
    return get_object_or_404(
        rows.select_related("tenant", "lease__unit__building", "said__version", "step__playbook", "message"), pk=pk
    )


def _by(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


story_view = admin.site.admin_view(story)
decide_view = admin.site.admin_view(decide)
switch_view = admin.site.admin_view(switch)
