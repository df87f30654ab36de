"""The staff site's index: what today looks like; and in the demo the button that brings tomorrow.

`fill` and `everywhere` are called by django-unfold, which finds them by name in renewal/staffsite.py.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from celery import current_app
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from renewal import board, bookshelf, days, sources
from renewal.models import Case
from tenants import clock, desk
from tenants.models import Building, JobRun, Message
from tenants.outbox import gates

# Signed is teal, waiting sand, leaving warm; alarm only for what needs a person now.
CASE_HUES = {
    "signed": "signed", "transferred": "signed", "holdover": "waiting", "notice": "leaving", "declined": "leaving",
    "moved_out": "leaving", "ended_by_operator": "quiet",
}  # fmt: skip
PUSH_HUES = {
    "accepted": "signed", "delivered": "signed", "push_planned": "waiting", "push_held": "waiting",
    "planned": "waiting", "queued": "waiting", "sending": "waiting",
    "unknown": "alarm", "parked": "alarm", "failed": "alarm", "dead": "alarm", "undelivered": "alarm",
}  # fmt: skip
SHOWN_FIRST = (
    "upcoming", "contacted", "viewed", "considering", "signed", "transferred", "holdover", "declined", "notice",
    "moved_out", "ended_by_operator",
)  # fmt: skip


def everywhere(request: HttpRequest) -> dict[str, Any]:
    """What every page of the staff site knows: the product's moment, whether the day may be moved, what is stopped."""
    now = clock.now()
    may_move = _may_move_the_day(request)
    return {
        "product_now": now,
        "may_move_the_day": may_move,
        "running_day": may_move and days.under_way(today=clock.day_of(now)),
        "demo_login": settings.DEMO_LOGIN,
        "brand_colour": settings.BRAND_COLOUR,
        "stopped": gates.stopped() if desk.role(request) else [],
        "may_see_pushes": desk.may_see_people(request),
    }


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the index."""
    context.update(title=_("Today"), sees_people=desk.may_see_people(request))
    if not context["sees_people"]:
        return context
    now = clock.now()
    today = clock.day_of(now)
    shown = board.board(request.user, code=request.GET.get("building", ""), today=today, now=now)
    chosen = shown["chosen"]
    figures = shown["figures"]
    only = {"lease__unit__building__id__exact": chosen.pk} if chosen else {}
    context.update(
        shown,
        today=today,
        month=figures["renewal"]["month"],
        season=figures["renewal"]["season"],
        periods=[
            {**figures["renewal"][name], "name": title, "links": _outcome_links(figures["renewal"][name], chosen)}
            for name, title in (("month", _("this month")), ("season", _("this season")))
        ],
        cases=_case_bars(figures["cases"], chosen),
        accept=_accept(figures["accept"], chosen.pk if chosen else None),
        waiting_since=figures["accept"]["season"]["waiting_since"],
        pushes=_push_bars(figures["pushes"], only),
        clicks=figures["clicks"],
        vacancy=_vacancy_bars(figures["vacancy"], shown["of_building"]),
        weeks=_week_bars(shown["weeks"], chosen),
        target_hours=settings.ACCEPT_TARGET_HOURS,
        silent=sources.silences(now=now) if desk.may_run_the_house(request) else [],
        waiting_releases=bookshelf.waiting(request.user) if desk.may_run_the_house(request) else [],
    )
    return context


@require_POST
def next_day(request: HttpRequest) -> HttpResponse:
    """It is ten in the morning of the next day, and the worker has been asked to run it."""
    if not _may_move_the_day(request):
        return HttpResponseForbidden()
    tomorrow = clock.today() + timedelta(days=1)
    clock.set_to(clock.at(tomorrow, 10))
    current_app.send_task("renewal.run_day", kwargs={"today": tomorrow.isoformat()})
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect("admin:index")
    return progress(_as_get(request), tomorrow.isoformat())


@require_safe
def progress(request: HttpRequest, day: str) -> HttpResponse:
    """How far the run of a day has come; asked again every second until it is over."""
    if not _may_move_the_day(request):
        return HttpResponseForbidden()
    run = JobRun.objects.filter(job=days.JOB, period=day).first()
    names = [stage.name for stage in days.STAGES]
    at = names.index(run.stage) if run and run.stage in names else 0
    response = render(
        request,
        "staff/progress.html",
        {
            "day": date.fromisoformat(day),
            "product_now": clock.now(),
            "run": run,
            "failed": bool(run and run.error),
            "title": _(days.STAGES[at].title) if run else "",
            "number": at + 1,
            "of": len(names),
            "done": at,
            "kept": [_(stage.title) for stage in days.STAGES[:at]],
        },
    )
    if run and run.finished_at:
        response["HX-Redirect"] = reverse("admin:index")
    return response


def _as_get(request: HttpRequest) -> HttpRequest:
    request.method = "GET"
    return request


def _may_move_the_day(request: HttpRequest) -> bool:
    return bool(settings.IS_SHELTERED and request.user.is_authenticated and desk.may_run_the_house(request))


def _list(name: str, **query: Any) -> str:
    return f"{reverse(f'admin:{name}_changelist')}?{urlencode({key: value for key, value in query.items() if value})}"


def _cases(period: dict[str, Any], chosen: Building | None, **query: str) -> str:
    """The list of the cases whose leases end in a period, narrowed further."""
    query = {"from": period["from"], "to": period["to"], "building": chosen.code if chosen else "", **query}
    return f"{reverse('staff-cases')}?{urlencode({key: value for key, value in query.items() if value})}"


def _outcome_links(period: dict[str, Any], chosen: Building | None) -> dict[str, str]:
    names = ("ending", "decided", "renewed", "left", "undecided", "transferred", "holdover")
    return {name: _cases(period, chosen, outcome=name) for name in names}


def _case_bars(cases: dict[str, Any], chosen: Building | None) -> dict[str, Any]:
    rows = [
        {
            "title": Case.State(state).label,
            "n": cases["states"][state],
            "hue": CASE_HUES.get(state, "waiting"),
            "url": _cases(cases, chosen, state=state),
        }
        for state in SHOWN_FIRST
        if cases["states"][state]
    ]
    return {**cases, "rows": rows, "most": max((row["n"] for row in rows), default=0), "n": sum(r["n"] for r in rows)}


def _push_bars(pushes: dict[str, Any], only: dict[str, Any]) -> dict[str, Any]:
    """By the state of the message, or of the push where it never became one."""
    since = {"created_at_from": pushes["from"], "created_at_to": pushes["to"], **only}
    own = {
        "push_planned": _("waiting for the outbox"),
        "push_held": _("held back until something is put right"),
        "push_suppressed": _("decided against"),
    }
    rows = []
    for state, n in sorted(pushes["states"].items(), key=lambda pair: -pair[1]):
        where = {"state__exact": state.removeprefix("push_")} if state in own else {"message__state__exact": state}
        rows.append(
            {
                "title": own[state] if state in own else Message.State(state).label,
                "n": n,
                "hue": PUSH_HUES.get(state, "quiet"),
                "url": _list("campaigns_push", **where, **since),
            }
        )
    return {**pushes, "rows": rows, "most": max((row["n"] for row in rows), default=0)}


def _accept(accept: dict[str, Any], building: int | None) -> list[dict[str, Any]]:
    names = {"before": _("the year before"), "season": _("this season"), "month": _("this month")}
    rows = []
    for name, title in names.items():
        span = {
            "first_reported_at_from": accept[name]["from"],
            "first_reported_at_to": accept[name]["to"],
            "unit__building__id__exact": building,
        }
        rows.append(
            {
                **accept[name],
                "title": title,
                "name": name,
                "url": _list("workorders_workorder", **span),
                "waiting_url": _list("workorders_workorder", state__exact="open", **span),
            }
        )
    return rows


def _week_bars(weeks: list[dict[str, Any]], chosen: Building | None) -> dict[str, Any]:
    for week in weeks:
        span = {"from": week["monday"].isoformat(), "to": (week["monday"] + timedelta(days=6)).isoformat()}
        week["url"] = _cases(span, chosen, outcome="ending")
        week["settled"] = week["renewed"] + week["transferred"] + week["holdover"]
    return {
        "rows": weeks,
        "most": max((week["ending"] for week in weeks), default=0),
        "n": sum(week["ending"] for week in weeks),
        "undecided": sum(week["undecided"] for week in weeks),
    }


def _vacancy_bars(vacancy: dict[str, Any], of_building: list[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    rows = [{"building": building, "cost": Decimal(figures["vacancy"]["cost"])} for building, figures in of_building]
    rows.sort(key=lambda row: -row["cost"])
    return {**vacancy, "rows": rows, "most": max((row["cost"] for row in rows), default=0)}


# The site's own permission check stands before every view here.
next_day_view = admin.site.admin_view(next_day)
progress_view = admin.site.admin_view(progress)
