"""Templates: all of them, and one with its preview beside it, its versions, and a test to oneself."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from campaigns import retiring
from connectors.channels import kind
from renewal import letterbox
from renewal.views.segments import page
from tenants import clock, desk, templatechecks, templating
from tenants.models import Message, Template, TemplateVersion, User
from tenants.templating import BadTemplate

PER_PAGE = 50
ACTS = ("rename", "give", "retire", "back")  # done to the template itself, whatever its versions say
CLASSES = [each for each in Message.Class if each != Message.Class.SYSTEM]


def _may_look(request: HttpRequest) -> None:
    if not desk.may_see_people(request):
        raise PermissionDenied


def _may_change(request: HttpRequest) -> None:
    if not desk.may_run_the_house(request):
        raise PermissionDenied


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """The templates that fit, each with its newest version, what is sent of it, and where it is used.

    `q` are words of its name, code or newest text; `channel` is one; `state` one of `letterbox.STATES`, without which
    those that are retired are left out.
    """
    _may_look(request)
    wanted = {name: request.GET.get(name, "").replace("\0", "").strip()[:80] for name in ("q", "channel", "state")}
    rows = letterbox.listed(words=wanted["q"], channel=wanted["channel"], state=wanted["state"])
    found: Page[Any] = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    for row in found.object_list:
        row["steps"] = letterbox.users(row["template"])
        row["is_used_here"] = row["template"].channel in settings.CHANNELS
    waiting = len(letterbox.listed(state="waiting"))
    kept = {name: value for name, value in wanted.items() if value}
    context = {
        "title": _("Templates"),
        "page": found,
        "n": len(rows),
        "words": wanted["q"],
        "wanted": wanted,
        "is_narrowed": bool(kept),
        "clear": "?" if kept else "",
        "address": urlencode(kept),
        "channels": templatechecks.channels(),
        "states": letterbox.STATES,
        "waiting": waiting,
        "today": clock.today(),
    }
    return page(request, "staff/templates.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A form for a template that is none yet."""
    _may_change(request)
    form = request.POST if request.method == "POST" else request.GET
    head = {name: form.get(name, "")[:80] for name in ("channel", "klass", "code", "name")}
    given, error = letterbox.typed(request.POST), None
    if request.method == "POST" and request.POST.get("do") == "save":
        try:
            version = templating.create(
                head["channel"], head["code"], klass=head["klass"], name=head["name"], by=_by(request),
                now=clock.now(), **given,
            )  # fmt: skip
            return redirect("staff-template", version.template_id)
        except BadTemplate as refused:
            error = refused
    context = {"title": _("New template"), "head": head, "channels": templatechecks.channels(), "classes": CLASSES}
    return _shown(request, None, head["channel"], head["klass"], given, error, context)


@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One template. By POST it is looked at (`do` = look), saved, sent to whoever asks (test), or what `ACTS` name."""
    _may_look(request)
    template = get_object_or_404(Template.objects.select_related("owner"), pk=pk)
    versions = list(TemplateVersion.objects.filter(template=template).select_related("by").order_by("-number"))
    given, error = letterbox.shown(_like(request, versions)), None
    if request.method == "POST":
        _may_change(request)
        do = request.POST.get("do", "look")
        try:
            if do == "test":
                _send_test(request, versions[0])
                return redirect("staff-template", pk)
            given = letterbox.typed(request.POST)
            if do == "save":
                seen = request.POST.get("seen", "")
                templating.save(
                    pk, **given, seen=int(seen) if seen.isdecimal() else 0, by=_by(request), now=clock.now()
                )
                messages.success(request, _("Saved as a new version."))
                return redirect("staff-template", pk)
            if do in ACTS:
                _act(request, template, do)
                return redirect("staff-template", pk)
        except BadTemplate as refused:
            error = refused
    context = {
        "title": template.name,
        "template": template,
        "versions": versions,
        "newest": versions[0],
        "sent": templating.shelf().get((template.channel, template.code)),
        "steps": letterbox.users(template),
        "holders": retiring.holders(template),
        "owners": templating.owners(),
        "nonce": uuid4().hex,
    }
    return _shown(request, template, template.channel, template.klass, given, error, context)


def _act(request: HttpRequest, template: Template, do: str) -> None:
    """What is done to the template itself. Raises `BadTemplate`."""
    match do:
        case "rename":
            templating.rename(template.pk, request.POST.get("name", "")[:300])
            messages.success(request, _("It has its new name."))
        case "give":
            owner = request.POST.get("owner", "")
            templating.give(template.pk, int(owner) if owner.isdecimal() and len(owner) < 19 else 0)
            messages.success(request, _("It has its new owner."))
        case "retire":
            retiring.retire(template.pk, now=clock.now())
            messages.success(request, _("Retired: no new step is offered it. It can be brought back."))
        case "back":
            templating.bring_back(template.pk)
            messages.success(request, _("It is back: steps are offered it again."))


def _like(request: HttpRequest, versions: list[TemplateVersion]) -> TemplateVersion:
    """The version that the form begins with: the newest, or the one that the address names."""
    wanted = request.GET.get("like", "")
    return next((each for each in versions if str(each.number) == wanted), versions[0])


def _send_test(request: HttpRequest, newest: TemplateVersion) -> None:
    today = clock.today()
    to = letterbox.reader(request.user, request.POST.get("as", "").strip()[:80], today=today)
    values = letterbox.values(to, today=today) | {"code": "123456"}
    user = _by(request)
    if user is None:
        raise PermissionDenied
    sent = templating.send_test(newest, values, to=user, nonce=request.POST.get("nonce", "")[:32], now=clock.now())
    messages.success(request, _("Version %(n)d is on its way to your own number: %(text)s") % {
        "n": newest.number, "text": sent.text,
    })  # fmt: skip


def _shown(
    request: HttpRequest,
    template: Template | None,
    channel: str,
    klass: str,
    given: dict[str, Any],
    error: BadTemplate | None,
    context: dict[str, Any],
) -> HttpResponse:
    today = clock.today()
    words = (request.POST.get("as") or request.GET.get("as") or "").strip()[:80]
    to = letterbox.reader(request.user, words, today=today)
    read, fault = {}, error
    if given["text"] or request.method == "POST":
        try:
            read = letterbox.preview(channel, klass, given, letterbox.values(to, today=today))
        except BadTemplate as bad:
            fault = fault or bad
    is_saving = request.method == "POST" and request.POST.get("do") in {"save", "test", *ACTS}
    known = channel in templatechecks.channels()
    shared = {
        "template": template,
        "given": given,
        "rows": letterbox.rows(given),
        "as": words,
        "to": to,
        "read": read,
        "fault": {"place": fault.place, "words": str(fault)} if fault else None,
        "is_refused": bool(error) and is_saving,
        "values": [(name, label) for name, (label, _sample) in templatechecks.VALUES.items()],
        "kinds": list(templatechecks.rules(channel).kinds) if known else ["text"],
        "named_by_kind": known and templatechecks.rules(channel).named_by_kind,
        "needs_number": known and kind(channel).needs_template,
    }
    return page(request, "staff/template.html", shared | context, status=422 if shared["is_refused"] else 200)


def _by(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


listing_view = admin.site.admin_view(listing)
new_view = admin.site.admin_view(new)
one_view = admin.site.admin_view(one)
