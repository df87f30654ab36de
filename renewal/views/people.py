"""The list of tenants and one tenant's page."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from renewal import ledger, people, persons, roadmap, writing_hours
from renewal.models import Case
from tenants import access, clock, consents, current, desk, naming, preferred, refusals
from tenants.attributes import ALIASES
from tenants.models import Consent, Tenant, User
from tenants.tags import TAGS

TOPICS = {
    "": gettext_lazy("all"),
    "repairs": gettext_lazy("repairs"),
    "money": gettext_lazy("money"),
    "moods": gettext_lazy("moods"),
    "house": gettext_lazy("in the house"),
    "app": gettext_lazy("in the app"),
}


@require_safe
def roster(request: HttpRequest) -> HttpResponse:
    """Tenants, the nearest end of a lease first; every filter stands in the address."""
    _refuse_without_people(request)
    asked = request.GET
    wanted = people.Wanted(
        words=asked.get("q", "").strip()[:80],
        building=asked.get("building", ""),
        tag=asked.get("tag", ""),
        state=asked.get("state", ""),
        everybody=asked.get("who") == "all",
        page=_number(asked.get("page")),
    )
    today = clock.today()
    page = people.roster(request.user, wanted, today=today)
    kept = {key: value for key, value in asked.items() if key != "page" and value}
    whose = _whose(asked.get("is") or "")
    return render(
        request,
        "staff/tenants.html",
        {
            **admin.site.each_context(request),
            "title": _("Tenants"),
            "page": page,
            "wanted": wanted,
            "today": today,
            "address": urlencode(kept),
            "whose": whose,
            "hidden": {"is": asked["is"]} if whose else {},
            # Whom one looks for stays; without anything else to clear there is no link.
            "clear": f"?{urlencode({'is': asked['is']} if whose else {})}" if kept.keys() - {"is"} else "",
            "buildings": access.buildings_for(request.user, today=today, roles=access.SEES_PEOPLE).order_by("code"),
            "tags": TAGS.values(),
            "states": Case.State.choices,
        },
    )


@require_safe
def portrait(request: HttpRequest, tenant_id: int) -> HttpResponse:
    """One tenant: lease, case, tags with their reasons, what happened, what we told them."""
    _refuse_without_people(request)
    source, _colon, ref = request.GET.get("is", "").partition(":")
    return _portrait(request, tenant_id, {"source": source, "ref": ref[: naming.MOST]})


@require_POST
def alias(request: HttpRequest, tenant_id: int) -> HttpResponse:
    """The person is known by one more reference; refused, the page says why and keeps what was typed."""
    today = clock.today()
    if not isinstance(request.user, User) or not persons.may_decide(request.user, today=today):
        raise PermissionDenied
    person = get_object_or_404(access.tenants_for(request.user, today=today), pk=tenant_id)
    typed: dict[str, Any] = {name: request.POST.get(name, "") for name in ("source", "ref", "why")}
    try:
        made = naming.give(person, typed["source"], typed["ref"], why=typed["why"], by=request.user, now=clock.now())
    except naming.NotNameable as refused:
        theirs = access.tenants_for(request.user, today=today).filter(pk=refused.owner or 0).exclude(pk=person.pk)
        typed |= {"error": str(refused), "owner": theirs.first()}
        return _portrait(request, tenant_id, typed, status=409)
    said = _("%(what)s %(ref)s stands for %(name)s now. It can be taken back below.")
    messages.success(request, said % {**persons.named(made), "name": person.name})
    return redirect(reverse("staff-tenant", args=[tenant_id]) + "#identity")


@require_POST
def refusal(request: HttpRequest, tenant_id: int) -> HttpResponse:
    """A refusal that was heard stands in the ledger; what cannot be written down says why and keeps what was typed."""
    tenant, by = _person(request, tenant_id)
    typed: dict[str, Any] = {name: request.POST.get(name, "") for name in ("purpose", "channel", "who", "at", "words")}
    now = clock.now()
    try:
        if typed["channel"] not in ledger.channels():
            raise refusals.NotHeard(_("Say what was refused."))
        said = refusals.Said(typed["purpose"], typed["channel"], typed["who"], _moment(typed["at"]), typed["words"])
        line = refusals.hear(tenant, said, by=by, now=now)
    except refusals.NotHeard as error:
        return _portrait(request, tenant_id, {}, heard=typed | {"error": str(error)}, status=409)
    if consents.standing(tenant, [line.channel])[line.purpose, line.channel].granted:
        messages.warning(request, _("Written down. The tenant agreed again after that moment, and that stands."))
    else:
        messages.success(request, _("Written down: it holds from now on. It can be taken back below for a day."))
    return redirect(reverse("staff-tenant", args=[tenant_id]) + "#consents")


@require_POST
def unrefuse(request: HttpRequest, tenant_id: int, line_id: int) -> HttpResponse:
    """What stood before a refusal that was written down by mistake stands again."""
    tenant, by = _person(request, tenant_id)
    line = get_object_or_404(Consent, pk=line_id, tenant__in=consents.rows_of(tenant))
    try:
        refusals.take_back(tenant, line, why=request.POST.get("why", ""), by=by, now=clock.now())
    except refusals.NotHeard as error:
        return _portrait(request, tenant_id, {}, heard={"not_back": line_id, "error_back": str(error)}, status=409)
    messages.success(request, _("Taken back: what stood before stands again."))
    return redirect(reverse("staff-tenant", args=[tenant_id]) + "#consents")


@require_POST
def hours(request: HttpRequest, tenant_id: int) -> HttpResponse:
    """A wish that was heard, when to be written to, has its line; one that cannot have it says why and stays typed."""
    tenant, by = _person(request, tenant_id)
    typed: dict[str, Any] = {
        name: request.POST.get(name, "") for name in ("hours", "first", "end", "who", "at", "words")
    }
    try:
        wanted = writing_hours.chosen(typed["hours"], typed["first"][:8], typed["end"][:8])
        facts = {"who": typed["who"], "at": _moment(typed["at"]), "words": typed["words"]}
        line = preferred.hear(tenant, wanted, **facts, by=by, now=clock.now())
    except (refusals.NotHeard, writing_hours.NotOffered) as error:
        return _portrait(request, tenant_id, {}, wished=typed | {"error": str(error)}, status=409)
    if preferred.standing(tenant) != line:
        messages.warning(request, _("Written down. The tenant chose otherwise after that moment, and that stands."))
    else:
        messages.success(request, _("Written down: offers keep to it from now on."))
    return redirect(reverse("staff-tenant", args=[tenant_id]) + "#hours")


@require_POST
def roadmap_link(request: HttpRequest, tenant_id: int) -> HttpResponse:
    """A link to their roadmap is on its way to the tenant, once a day."""
    tenant, _by = _person(request, tenant_id)
    try:
        roadmap.send(tenant, day=clock.today(), now=clock.now())
        messages.success(request, _("The link to the roadmap is on its way; at most one a day."))
    except roadmap.NoStay:
        messages.error(request, _("They have never had a lease here."))
    return redirect("staff-tenant", tenant_id)


def _person(request: HttpRequest, tenant_id: int) -> tuple[Tenant, User]:
    """A person behind a door of who asks."""
    _refuse_without_people(request)
    if not isinstance(request.user, User):
        raise PermissionDenied
    return get_object_or_404(access.tenants_for(request.user, today=clock.today()), pk=tenant_id), request.user


def _moment(typed: str) -> datetime:
    """A moment of Shanghai, as a form names it. Raises `NotHeard`."""
    try:
        at = datetime.fromisoformat(typed).replace(tzinfo=clock.SHANGHAI)
    except ValueError:
        at = None
    if at is None or at.year < 2000:  # nor a year that no other time zone has
        raise refusals.NotHeard(_("Say when it was said."))
    return at


def _portrait(
    request: HttpRequest,
    tenant_id: int,
    typed: dict[str, Any],
    *,
    heard: dict[str, Any] | None = None,
    wished: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    topic = request.GET.get("topic", "")
    today = clock.today()
    pages = {"page": _number(request.GET.get("page")), "ledger_page": _number(request.GET.get("ledger"))}
    try:
        shown = people.portrait(request.user, tenant_id, topic=topic, today=today, **pages)
    except Tenant.DoesNotExist:
        raise Http404 from None
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        **shown,
        "title": shown["tenant"].name,
        "today": today,
        "days_left": (shown["current"].last_day - today).days,
        "computed": current.freshness(tenant_id),
        "topic": topic,
        "topics": TOPICS,
        "phone_url": f"/phone/{tenant_id}" if "phone" in settings.CHANNELS else "",
        "now": clock.now(),
        "typed": typed,
        "heard": heard or {},
        "wished": wished or {},
        "hours": writing_hours.form(preferred.standing(shown["tenant"]), wished),
    }
    return render(request, "staff/tenant.html", context, status=status)


def _whose(asked: str) -> dict[str, str] | None:
    """The alias for which somebody is looked for, so that each name leads to where it can be added."""
    source, _colon, ref = asked.partition(":")
    if source not in naming.SOURCES or not ref or len(ref) > naming.MOST:
        return None
    return {"what": str(ALIASES[source]), "ref": ref, "query": "?" + urlencode({"is": asked}) + "#alias"}


def _refuse_without_people(request: HttpRequest) -> None:
    if not desk.may_see_people(request):
        raise PermissionDenied


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 1


roster_view = admin.site.admin_view(roster)
portrait_view = admin.site.admin_view(portrait)
alias_view = admin.site.admin_view(alias)
refusal_view = admin.site.admin_view(refusal)
unrefuse_view = admin.site.admin_view(unrefuse)
hours_view = admin.site.admin_view(hours)
roadmap_view = admin.site.admin_view(roadmap_link)
