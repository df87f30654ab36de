"""What one says to the letter besides a signature: let me think, what I lean to, another room, not this time, I leave.

    GET, POST …/think              "let me think": when to be reminded, once
    GET, POST …/intent             what one leans to: one tap; who may leave is asked why
    GET, POST …/wish               another room than those offered

GET, POST …/decline            "not this time"
GET, POST …/notice             "I am leaving": GET says what it means, or how far it has come; POST gives notice
POST      …/notice/withdraw    it is taken back
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_POST

from renewal import answers, intents, notices, proposals, thinking
from renewal.answers import NotNow
from renewal.models import Case, Notice
from renewal.views import words
from renewal.views.frame import READ_AT, go, opened, page, show
from tenants import clock
from tenants.models import Link


@page
def decline(request: HttpRequest, key: str) -> HttpResponse:
    """“Not this time”: GET asks, POST says it."""
    link = opened(request, key)
    if request.method == "POST":
        proposal = proposals.for_link(link, today=clock.today(), now=clock.now())
        answers.decline(proposal.lease, reason=_reason(request), now=clock.now())
        return show(request, "h5/answered.html", {"kind": "declined", "last_day": words.day(link.lease.last_day)})
    proposals.refuse_if_closed(link.lease, now=clock.now())
    return show(request, "h5/decline.html", {"reasons": answers.REASONS})


def _reason(request: HttpRequest) -> str:
    reason = request.POST.get("reason", "")
    more = request.POST.get("more", "").strip()
    return ": ".join(filter(None, [reason if reason in answers.REASONS else "", more]))[:180]


# --- Let me think ------------------------------------------------------------------------------------------


@page
def think(request: HttpRequest, key: str) -> HttpResponse:
    """“Let me think”: GET asks when to remind, POST says it."""
    link = opened(request, key)
    today, now = clock.today(), clock.now()
    proposals.refuse_if_closed(link.lease, now=now)
    last_day = words.day(link.lease.last_day)
    error = ""
    if request.method == "POST":
        try:
            fact = thinking.think(
                link.lease, link.tenant, request.POST.get("when", ""), day=_date(request.POST.get("day", "")), now=now
            )
        except NotNow as refused:
            error = str(refused)
        else:
            on = fact.said["on"]
            context: dict[str, Any] = {
                "kind": "reminder",
                "day": words.day(date.fromisoformat(on)) if on else "",
                "last_day": last_day,
            }
            return show(request, "h5/answered.html", context)
    days = thinking.days(link.lease, today=today)
    context = {
        "last_day": last_day,
        "soon": {choice: words.day(day) for choice, day in days.items()},
        "first": (today + timedelta(days=1)).isoformat(),
        "last": (link.lease.last_day - timedelta(days=1)).isoformat(),
        "may_choose": today + timedelta(days=1) < link.lease.last_day,
        "typed": {"when": request.POST.get("when", next(iter(days), "none")), "day": request.POST.get("day", "")},
        "error": error,
    }
    return show(request, "h5/think.html", context, status=422 if error else 200)


# --- What one leans to, and which room one would like ------------------------------------------------------


@page
def intent(request: HttpRequest, key: str) -> HttpResponse:
    """What one leans to. Who wants to stay sees the offers, who is not sure when to be reminded, who may leave why."""
    link = opened(request, key)
    now = clock.now()
    proposals.refuse_if_closed(link.lease, now=now)
    if request.method != "POST":
        why = {code: said for code, said in answers.REASONS.items() if code != "undecided"}
        return show(request, "h5/leaning.html", {"reasons": why, "last_day": words.day(link.lease.last_day)})
    said = {name: request.POST.get(name, "") for name in ("reason", "more")}
    try:
        heard = intents.say(link.lease, link.tenant, request.POST.get("lean", ""), **said, now=now)
    except NotNow:
        return go("letter-read", READ_AT)
    if heard.fact.said["lean"] == "stay":
        return go("letter-read", READ_AT, more="#offers")
    if heard.fact.said["lean"] == "unsure":
        return go("letter-think", READ_AT)
    if not heard.fact.said["reason"] and not heard.fact.said["more"] and "told" not in request.POST:
        return go("letter-intent", READ_AT)
    until = words.day(heard.quiet_until) if heard.quiet_until else ""
    context = {"kind": "leaning", "quiet_until": until, "last_day": words.day(link.lease.last_day)}
    return show(request, "h5/answered.html", context)


@page
def wish(request: HttpRequest, key: str) -> HttpResponse:
    """Another room than those offered: GET asks which, POST says it."""
    link = opened(request, key)
    now = clock.now()
    proposals.refuse_if_closed(link.lease, now=now)
    typed = {name: request.POST.get(name, "") for name in ("room_type", "floor", "month", "more")}
    error = ""
    if request.method == "POST":
        try:
            intents.wish(link.lease, link.tenant, **typed, now=now)
        except NotNow as refused:
            error = str(refused)
        else:
            last_day = words.day(link.lease.last_day)
            return show(request, "h5/answered.html", {"kind": "wished", "last_day": last_day})
    context = {"types": intents.room_types(link.lease), "months": _months(link), "typed": typed, "error": error}
    return show(request, "h5/wish.html", context, status=422 if error else 200)


def _months(link: Link) -> list[tuple[str, str]]:
    """The months around the lease's end in which one may move."""
    first = clock.today().replace(day=1)
    last = (link.lease.last_day + timedelta(days=62)).replace(day=1)
    found = []
    while first <= last:
        found.append((f"{first:%Y-%m}", words.month(first)))
        first = (first + timedelta(days=32)).replace(day=1)
    return found


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


# --- I am leaving ------------------------------------------------------------------------------------------


@page
def notice(request: HttpRequest, key: str) -> HttpResponse:
    """“I am leaving”: GET says what it means, or how far a notice has come; POST gives it."""
    link = opened(request, key)
    if request.method == "POST":
        return _give(request, link)
    case, standing = _standing(link)
    if standing is None:
        proposals.refuse_if_closed(link.lease, now=clock.now())
        return _form(request, link, {})
    return _how_far(request, link, case, standing)


def _give(request: HttpRequest, link: Link) -> HttpResponse:
    typed = request.POST
    try:
        last_day = date.fromisoformat(typed["day"]) if typed.get("day") else link.lease.last_day
    except ValueError:
        return _form(request, link, typed, error=_("This is no date: %(day)s.") % {"day": typed["day"][:20]})
    word = notices.Word(
        last_day=last_day,
        reason=typed.get("reason", ""),
        more=typed.get("more", ""),
        forwarding=typed.get("forwarding", ""),
        only_me=typed.get("who") == "me",
    )
    try:
        given = notices.give(link.lease, link.tenant, word, now=clock.now())
    except NotNow as refused:
        return _form(request, link, typed, error=str(refused))
    if given is None:
        return show(request, "h5/answered.html", {"kind": "kept"})
    return go("letter-notice", READ_AT)


@page
@require_POST
def withdraw(request: HttpRequest, key: str) -> HttpResponse:
    """The notice is taken back, and the letter is open again."""
    link = opened(request, key)
    case, standing = _standing(link)
    if standing is not None:
        try:
            notices.withdraw(standing, now=clock.now())
        except NotNow as refused:
            return _how_far(request, link, case, standing, error=str(refused))
    return show(request, "h5/answered.html", {"kind": "stays", "last_day": words.day(link.lease.last_day)})


def _standing(link: Link) -> tuple[Case | None, Notice | None]:
    case = Case.objects.filter(lease=link.lease_id).first()
    return case, notices.of(case, link.tenant) if case else None


def _form(request: HttpRequest, link: Link, typed: Any, *, error: str = "") -> HttpResponse:
    today, last_day = clock.today(), link.lease.last_day
    others = [each for each in notices.persons(link.lease) if each.pk != (link.tenant.merged_into_id or link.tenant_id)]
    context = {
        "last_day": words.day(last_day),
        "until": words.day(notices.window_end(today, last_day)),
        "reasons": Notice.Reason.choices,
        "others": "、".join(words.name(other.name) for other in others),
        "is_over": today > last_day,  # they stay on without a term: there is no day to choose within one
        "first": today.isoformat(),
        "last": last_day.isoformat(),
        "typed": {"day": last_day.isoformat(), **{name: typed.get(name, "") for name in typed}},
        "error": error,
    }
    return show(request, "h5/notice.html", context, status=422 if error else 200)


def _how_far(request: HttpRequest, link: Link, case: Case | None, standing: Notice, *, error: str = "") -> HttpResponse:
    """The notice that stands: what happens next with its days, and the way back while there is one."""
    now = clock.now()
    may_withdraw = standing.confirmed_at is None and now < standing.window_ends_at
    context = {
        "notice": standing,
        "others": standing.only_them,
        "last_day": words.day(standing.last_day),
        "until": words.day(clock.day_of(standing.window_ends_at - timedelta(seconds=1))),
        "may_withdraw": may_withdraw,
        "next": _next(standing),
        "forwarding": notices.masked(notices.forwarding(standing)),
        "error": error,
    }
    return show(request, "h5/noticed.html", context, status=409 if error else 200)


def _next(notice: Notice) -> list[dict[str, Any]]:
    """What has happened and what will, each with its day."""
    rows: list[dict[str, Any]] = [
        {"day": words.day(clock.day_of(notice.given_at)), "title": _("We have your notice"), "line": "", "past": True}
    ]
    if notice.confirmed_at:
        day = words.day(clock.day_of(notice.confirmed_at))
        rows.append({"day": day, "title": _("A colleague has confirmed it"), "line": "", "past": True})
    else:
        line = _("They call you about the handover. Until then nothing is settled.")
        rows.append(
            {
                "day": pgettext("answer", "next"),
                "title": _("A colleague confirms it with you"),
                "line": line,
                "past": False,
            }
        )
    if notice.only_them:
        line = _("Your flatmate stays, and may renew.")
        rows.append({"day": words.day(notice.last_day), "title": _("You move out"), "line": line, "past": False})
        return rows
    back = words.day(notice.last_day + timedelta(days=settings.DEPOSIT_RETURN_DAYS))
    return [
        *rows,
        {
            "day": words.day(notice.last_day),
            "title": _("You hand the room over"),
            "line": _("Until then it is yours as always."),
            "past": False,
        },
        {
            "day": _("by %(day)s") % {"day": back},
            "title": _("The deposit is returned"),
            "line": _("Less what the contract allows to be deducted, each item named."),
            "past": False,
        },
    ]
