"""The cases: which leases end and who waits for whom; one case with all that is known of it; what staff do about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from renewal import answers, calibration, casebook, casefile, errands, facts, kpis, notices, proposals, spoken
from renewal.answers import NotNow
from renewal.cases import UnlawfulMove
from renewal.models import Case, Errand, Notice
from tenants import access, clock, desk

SHOWN_FIRST = (
    "upcoming", "contacted", "viewed", "considering", "signed", "transferred", "holdover", "declined", "notice",
    "moved_out", "ended_by_operator",
)  # fmt: skip


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """The cases that fit, the nearest end first; every filter stands in the address.

    `q` words · `state` · `outcome` as a figure of the dashboard counts it · `building` its code · `month` (YYYY-MM) or
    `from`, `to`: days on which leases end · `waits` for whom (casebook.WAITS)
    """
    _refuse_without_people(request)
    asked = {name: request.GET.get(name, "").replace("\0", "").strip()[:80] for name in KEPT}
    now = clock.now()
    today = clock.day_of(now)
    wanted = _wanted(asked, request.GET.get("page"))
    rows = casebook.fitting(request.user, wanted, today=today, now=now)
    kept = {name: value for name, value in asked.items() if value}
    unwaited = {name: value for name, value in kept.items() if name != "waits"}
    counted = casebook.sums(rows)
    context = {
        **admin.site.each_context(request),
        "tabs_of": Case._meta,
        "title": _("Renewal cases"),
        "wanted": wanted,
        "asked": asked,
        "sums": counted,
        "waits": [
            {"code": code, "name": name, "n": counted[code], "address": urlencode({**unwaited, "waits": code})}
            for code, name in casebook.WAITS.items()
        ],
        "all_address": urlencode(unwaited),
        "page": casebook.listed(rows, waits=wanted.waits, page=wanted.page, today=today, now=now),
        "words": wanted.words,
        "address": urlencode(kept),
        "clear": "?" if kept else "",
        "hidden": {name: asked[name] for name in ("outcome", "from", "to", "waits") if asked[name]},
        "outcome": kpis.OUTCOMES_NAMED.get(wanted.outcome, ""),
        "states": [(code, Case.State(code).label) for code in SHOWN_FIRST],
        "months": casebook.months(request.user, today=today),
        "buildings": access.buildings_for(request.user, today=today, roles=access.SEES_PEOPLE).order_by("code"),
        "today": today,
        "now": now,
        "ever": bool(counted["n"]) or casebook.visible(request.user, today=today).exists(),
    }
    return render(request, "staff/cases.html", context)


@require_safe
def intents(request: HttpRequest) -> HttpResponse:
    """Whether tenants do what they say: intent beside outcome, with n and intervals."""
    _refuse_without_people(request)
    now = clock.now()
    context = {
        **admin.site.each_context(request),
        **calibration.table(request.user, today=clock.day_of(now), now=now),
        "tabs_of": Case._meta,
        "title": _("Do tenants do what they say"),
        "now": now,
    }
    return render(request, "staff/intents.html", context)


KEPT = ("q", "state", "outcome", "building", "month", "from", "to", "waits")


def _wanted(asked: dict[str, str], page: str | None) -> casebook.Wanted:
    """What the list is asked for; what is none of its values is not asked for."""
    first, last = _day(asked["from"]), _day(asked["to"])
    if starts := _day(f"{asked['month']}-01"):
        first, last = casebook.month(starts)
    return casebook.Wanted(
        words=asked["q"],
        state=asked["state"] if asked["state"] in Case.State.values else "",
        outcome=asked["outcome"] if asked["outcome"] in kpis.OUTCOMES_NAMED else "",
        building=asked["building"],
        first=first,
        last=last,
        waits=asked["waits"] if asked["waits"] in casebook.WAITS else "",
        page=int(page) if page and page.isdecimal() and len(page) < 9 else 1,
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@require_safe
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """Who, where, until when; every change and word; what was sent and opened; what may be done now."""
    _refuse_without_people(request)
    return _page(request, pk, {})


@require_POST
def act(request: HttpRequest, pk: int) -> HttpResponse:
    """One of `DEEDS` is done, or its reason not to be stands on the page, and what was typed stays."""
    _refuse_without_people(request)
    if not desk.may_work_on_cases(request):
        raise PermissionDenied
    case = _case(request, pk)
    deed = DEEDS.get(request.POST.get("do", ""))
    if deed is None:
        raise Http404
    try:
        said = deed(request, case)
    except (NotNow, UnlawfulMove, proposals.Closed) as refused:
        closed = _("The case is settled: look at it once more.")
        error = closed if isinstance(refused, proposals.Closed) else str(refused)
        return _page(request, pk, {"error": error, "typed": request.POST}, status=409)
    messages.success(request, said)
    return redirect("staff-case", pk)


def _note(request: HttpRequest, case: Case) -> str:
    if facts.note(case, request.POST.get("text", ""), now=clock.now(), by=_by(request)) is None:
        raise NotNow(_("Write what is to be noted."))
    return _("Noted.")


def _reopen(request: HttpRequest, case: Case) -> str:
    answers.reopen(case, cause=request.POST.get("why", "").strip(), now=clock.now(), by=_by(request))
    return _("The case is being considered again.")


def _confirm(request: HttpRequest, case: Case) -> str:
    stays = _number(request.POST.get("stays"))
    notices.confirm(_notice(request, case), now=clock.now(), by=_by(request), stays=stays)
    return _("The notice is confirmed.")


def _leaves(request: HttpRequest, case: Case) -> str:
    """What a tenant told us: all of them leave, or one of them and who stays stands first from now on."""
    typed = request.POST
    those = notices.persons(case.lease)
    alone = next((person for person in those if person.pk == _number(typed.get("who"))), None)
    day = _day(typed.get("day", ""))
    if not those or (typed.get("who") != "all" and alone is None):
        raise NotNow(_("Say who leaves."))
    if day is None:
        raise NotNow(_("Say on which day."))
    said = {name: typed.get(name, "") for name in ("reason", "more", "forwarding")}
    word = notices.Word(last_day=day, only_me=alone is not None, **said)
    stays = _number(typed.get("stays"))
    notices.enter(case.lease, alone or those[0], word, now=clock.now(), by=_by(request), stays=stays)
    return _("Written down and confirmed.")


def _withdraw(request: HttpRequest, case: Case) -> str:
    notices.withdraw(_notice(request, case), now=clock.now(), by=_by(request))
    return _("The notice is withdrawn.")


def _word(request: HttpRequest, case: Case) -> str:
    now = clock.now()
    fact = spoken.note(
        case,
        via=request.POST.get("via", ""),
        more=request.POST.get("more", ""),
        today=clock.day_of(now),
        now=now,
        by=_by(request),
    )
    return _("Noted: the room is kept until %(day)s.") % {"day": spoken.until(fact)}


def _unword(request: HttpRequest, case: Case) -> str:
    now = clock.now()
    spoken.take_back(case, why=request.POST.get("why", ""), today=clock.day_of(now), now=now, by=_by(request))
    return _("The verbal yes is taken back; the room is kept no longer.")


def _done(request: HttpRequest, case: Case) -> str:
    errand = Errand.objects.filter(case=case, pk=_number(request.POST.get("errand"))).first()
    if errand is None:
        raise Http404
    errands.finish(errand, outcome=request.POST.get("outcome", ""), now=clock.now(), by=_by(request))
    return _("Done, and kept with what came of it.")


DEEDS: dict[str, Callable[[HttpRequest, Case], str]] = {
    "note": _note,
    "reopen": _reopen,
    "confirm": _confirm,
    "withdraw": _withdraw,
    "leaves": _leaves,
    "done": _done,
    "word": _word,
    "unword": _unword,
}


def _notice(request: HttpRequest, case: Case) -> Notice:
    notice = Notice.objects.filter(case=case, pk=_number(request.POST.get("notice"))).select_related("case__lease")
    if (found := notice.first()) is None:
        raise Http404
    return found


def _case(request: HttpRequest, pk: int) -> Case:
    try:
        return casebook.lease_of(request.user, pk, today=clock.today())
    except Case.DoesNotExist:
        raise Http404 from None


def _page(request: HttpRequest, pk: int, more: dict[str, Any], *, status: int = 200) -> HttpResponse:
    now = clock.now()
    today = clock.day_of(now)
    try:
        found = casefile.read(request.user, pk, today=today, now=now)
    except Case.DoesNotExist:
        raise Http404 from None
    context = {
        **admin.site.each_context(request),
        **found,
        **more,
        "tabs_of": Case._meta,
        "title": "、".join(person.name for person in found["row"].people),
        "headline": casefile.headline(found),
        "today": today,
        "now": now,
        "age": now - found["case"].since,
        "may_act": desk.may_work_on_cases(request),
    }
    return render(request, "staff/case.html", context, status=status)


def _by(request: HttpRequest) -> str:
    return request.user.get_username()


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 18 else 0


def _refuse_without_people(request: HttpRequest) -> None:
    if not desk.may_see_people(request):
        raise PermissionDenied


listing_view = admin.site.admin_view(listing)
one_view = admin.site.admin_view(one)
intents_view = admin.site.admin_view(intents)
act_view = admin.site.admin_view(act)
