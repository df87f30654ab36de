"""Pushes: how far they came, by playbook and by channel; the list behind each figure."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_safe

from campaigns.models import Playbook, Push
from campaigns.pushes import read
from renewal import funnel, switchboard
from renewal.funnel import Wanted
from tenants import clock, desk
from tenants.models import Message

PER_PAGE = 50
PARKED = 20  # shown on the overview; all of them are a click away
PERIODS = (7, 30, 90)  # days, today included
DAYS = 30
# The columns of both tables, in the order in which a push goes; hues are those of the dashboard.
COLUMNS = {
    "waiting": (pgettext_lazy("push", "waiting"), gettext_lazy("held back, planned, or in the outbox"), "waiting"),
    "suppressed": (
        pgettext_lazy("push", "not sent"),
        gettext_lazy("suppressed, cancelled or expired, with the reason"),
        "quiet",
    ),
    "failed": (pgettext_lazy("push", "failed"), gettext_lazy("no channel took it"), "alarm"),
    "unknown": (pgettext_lazy("push", "unknown"), gettext_lazy("it may have arrived"), "alarm"),
    "sent": (pgettext_lazy("push", "sent"), gettext_lazy("accepted by the channel"), "signed"),
    "delivered": (pgettext_lazy("push", "delivered"), gettext_lazy("by the channel's receipt"), "signed"),
    "clicked": (pgettext_lazy("push", "clicked"), gettext_lazy("opened by a person's gesture"), "signed"),
    "signed": (
        pgettext_lazy("push", "signed afterwards"),
        gettext_lazy("the last push before the signature"),
        "signed",
    ),
}
STAGE_NAMES = {name: title for name, (title, _what, _hue) in COLUMNS.items()} | {
    "parked": pgettext_lazy("push", "waiting for a decision"),
    "undelivered": pgettext_lazy("push", "not delivered"),
    "came": gettext_lazy("tried on this channel"),
    "passed": gettext_lazy("passed on to the next channel"),
}


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """The funnel of a period, why pushes were not sent, and what waits for a person."""
    refuse_without_people(request)
    today = clock.today()
    wanted, kept = asked(request, today=today)
    playbooks = funnel.by_playbook(request.user, wanted, today=today)
    channels = funnel.by_channel(request.user, wanted, today=today)
    why = funnel.reasons(request.user, wanted, today=today)
    for row in playbooks:
        only = {**kept, "playbook": row["playbook"].code}
        row["url"] = _list(only)
        row["cells"] = _cells(row, only)
    for row in channels:
        only = {**kept, "channel": row["channel"]}
        row["came_url"], row["passed_url"] = (_list({**only, "stage": stage}) for stage in funnel.AT_CHANNEL)
        row["cells"] = _cells(row, only)
    for group in why:
        group["url"] = _list({**kept, "stage": "suppressed", "reason": group["group"]})
    sums = funnel.totals(playbooks)
    context = {
        "title": _("Pushes"),
        "wanted": wanted,
        "periods": _periods(kept, wanted, today=today),
        "columns": COLUMNS,
        "playbooks": playbooks,
        "channels": channels,
        "sums": sums,
        "sums_url": _list(kept),
        "sum_cells": _cells(sums, kept),
        "reasons": why,
        "most": max((group["n"] for group in why), default=0),
        "buildings": funnel.buildings(request.user, today=today).order_by("code"),
        "ever": bool(playbooks) or funnel.visible(request.user, today=today).exists(),
        **_parked(request, today=today),
        **switchboard.board(),
        "may_switch": desk.may_run_the_house(request),
        "may_decide": desk.may_decide_pushes(request),
        "now": clock.now(),
    }
    return page(request, "staff/pushes.html", context)


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """The pushes that the address asks for."""
    refuse_without_people(request)
    today = clock.today()
    wanted, kept = asked(request, today=today)
    rows = funnel.listed(request.user, wanted, today=today).select_related(
        "tenant", "lease__unit__building", "said", "message", "step__playbook"
    )
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    for row in shown.object_list:
        row.text = read(row)
        row.url = reverse("staff-pushes-one", args=[row.pk])
    reason = ""
    if wanted.reason and shown.object_list:
        reason = shown.object_list[0].shape
    always = {"from", "to"}
    context = {
        "title": _("Pushes"),
        "page": shown,
        "wanted": wanted,
        "reason": reason,
        "stages": STAGE_NAMES,
        "stage_name": STAGE_NAMES.get(wanted.stage, ""),
        "playbooks": Playbook.objects.order_by("rank"),
        "buildings": funnel.buildings(request.user, today=today).order_by("code"),
        "address": urlencode(kept),
        "overview_url": f"{reverse('staff-pushes')}?{urlencode({k: kept[k] for k in always & kept.keys()})}",
        "clear": urlencode({name: kept[name] for name in always & kept.keys()}),
        "is_narrowed": bool(kept.keys() - always),
        "now": clock.now(),
    }
    return page(request, "staff/pushes_list.html", context)


def asked(request: HttpRequest, *, today: date) -> tuple[Wanted, dict[str, str]]:
    """What the address asks for, and the part of it that means anything."""
    said = {name: value.strip()[:80] for name, value in request.GET.items() if isinstance(value, str)}
    last = _day(said.get("to"), today)
    first = min(_day(said.get("from"), last - timedelta(days=DAYS - 1)), last)
    stage = said.get("stage", "")
    if stage not in funnel.COUNTED and not (stage in funnel.AT_CHANNEL and said.get("channel")):
        stage = ""
    kept = {name: said.get(name, "") for name in ("playbook", "channel", "building", "reason", "q")}
    wanted = Wanted(first, last, kept["playbook"], kept["channel"], kept["building"], stage, kept["reason"], kept["q"])
    kept |= {"stage": stage, "from": first.isoformat(), "to": last.isoformat()}
    return wanted, {name: value for name, value in kept.items() if value}


def page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A page with the tabs of pushes above it."""
    return render(
        request, template, {**admin.site.each_context(request), "tabs_of": Push._meta, **context}, status=status
    )


def refuse_without_people(request: HttpRequest) -> None:
    """Raises `PermissionDenied` for whoever may see no tenants."""
    if not desk.may_see_people(request):
        raise PermissionDenied


def _parked(request: HttpRequest, *, today: date) -> dict[str, Any]:
    """What waits for a person, of any day; for the head office also how many messages that are no pushes."""
    parked = funnel.waiting_for_decision(request.user, today=today)
    first, n = list(parked[:PARKED]), parked.count()
    since = min((clock.day_of(push.created_at) for push in first), default=today)
    others = 0
    if desk.may_run_the_house(request):
        others = Message.objects.filter(state=Message.State.PARKED).exclude(pk__in=parked.values("message")).count()
    return {
        "parked": n,
        "parked_rows": first,
        "parked_url": _list({"stage": "parked", "from": since.isoformat(), "to": today.isoformat()}),
        "parked_others": others,
    }


def _cells(row: dict[str, Any], only: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"n": row[name], "url": _list({**only, "stage": name}), "hue": hue, "title": title, "name": name}
        for name, (title, _what, hue) in COLUMNS.items()
    ]


def _list(query: dict[str, str]) -> str:
    return f"{reverse('staff-pushes-list')}?{urlencode(query)}"


def _periods(kept: dict[str, str], wanted: Wanted, *, today: date) -> list[dict[str, Any]]:
    spans = []
    for days in PERIODS:
        first = today - timedelta(days=days - 1)
        query = {**kept, "from": first.isoformat(), "to": today.isoformat()}
        chosen = (wanted.first, wanted.last) == (first, today)
        spans.append({"days": days, "url": f"?{urlencode(query)}", "is_chosen": chosen})
    return spans


def _day(text: str | None, otherwise: date) -> date:
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return otherwise
    # A day far off the calendar has no moment after it.
    return found if 1900 < found.year < 2200 else otherwise


overview_view = admin.site.admin_view(overview)
listing_view = admin.site.admin_view(listing)
