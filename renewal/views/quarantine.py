"""Refused records: the list, one record as a form, and what is done with many at once. The head office's only."""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connectors.models import Refusal, Run, Upload
from renewal import marked, quarantine, sources
from renewal.marked import File
from renewal.quarantine import Wanted
from tenants import clock, desk

PER_PAGE = 50
STATES = {
    "waiting": gettext_lazy("waiting for a fix"),
    "aside": gettext_lazy("put aside"),
    "settled": gettext_lazy("settled"),
}


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """The refused records that the address asks for, and how many there are of each reason."""
    _refuse_others(request)
    wanted, kept = _asked(request)
    rows = quarantine.listed(wanted).select_related("run", "upload").defer("upload__content", "upload__mapping")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    for row in page.object_list:
        row.bad_column = marked.bad_column(row)
    groups = quarantine.reasons(wanted)
    most = max((group["n"] for group in groups), default=0)
    for group in groups:
        group["url"] = f"?{urlencode({**kept, 'source': group['source'], 'reason': group['group']})}"
    context = {
        "title": _("Refused records"),
        "page": page,
        "wanted": wanted,
        "groups": groups,
        "chosen": next((group for group in groups if group["group"] == wanted.reason), None),
        "most": most,
        "numbers": quarantine.numbers(),
        "oldest": quarantine.listed(Wanted()).order_by("first_seen_at").first() if page.paginator.count else None,
        "states": [(name, title, f"?{urlencode({**kept, 'state': name})}") for name, title in STATES.items()],
        "sources": sources.NAMES,
        "address": urlencode(kept),
        "all_reasons": urlencode({name: value for name, value in kept.items() if name != "reason"}),
        "is_narrowed": bool(kept.keys() - {"state"}),
        "file": _file_asked_for(wanted),
        "now": clock.now(),
    }
    return _page(request, "staff/quarantine.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def record(request: HttpRequest, pk: int) -> HttpResponse:
    """One refused record: its cells to correct, or why there are none; by POST something is done about it."""
    _refuse_others(request)
    row = get_object_or_404(Refusal.objects.select_related("run", "upload").defer("upload__content"), pk=pk)
    _wanted, kept = _asked(request)
    typed = {name.removeprefix("cell:"): str(value) for name, value in request.POST.items() if name.startswith("cell:")}
    error = ""
    if request.method == "POST":
        try:
            return _act(request, row, typed, urlencode(kept))
        except quarantine.Settled:
            messages.warning(request, _("Somebody else was faster: this record does not wait any more."))
            return redirect(_address("staff-refusal", urlencode(kept), pk))
        except quarantine.Unanswered as unanswered:
            error = str(unanswered)
    cells = quarantine.form_of(row)
    for cell in cells:
        cell["value"] = typed.get(cell["name"], cell["value"])
        cell["is_long"] = cell["name"] == "line" or len(cell["value"]) > 60 or "\n" in cell["value"]
        cell["is_changed"] = cell["value"] != cell["came"]
    context = {
        "title": _("Refused record"),
        "row": row,
        "cells": cells,
        "error": error,
        "because": request.POST.get("because", ""),
        "is_withheld": "withheld" in row.raw,
        "is_message": "line" in row.raw,
        "has_mark": any(cell["is_bad"] for cell in cells),
        "state": quarantine.state_of(row),
        "address": urlencode(kept),
        "list_url": _address("staff-quarantine", urlencode(kept)),
    }
    return _page(request, "staff/quarantine_record.html", context, status=422 if error else 200)


def _act(request: HttpRequest, row: Refusal, typed: dict[str, str], address: str) -> HttpResponse:
    by, now = request.user.get_username(), clock.now()
    back = redirect(_address("staff-quarantine", address))
    match request.POST.get("do"):
        case "correct":
            known = {cell["name"] for cell in quarantine.form_of(row)}
            answer = quarantine.correct(row.pk, {n: typed[n] for n in typed if n in known}, by=by, now=now)
            if answer.resolved_at:
                messages.success(request, _("The record is in. What it was before stays on record."))
                return back
            messages.error(request, _("Refused again: %(reason)s What you typed is kept.") % {"reason": answer.reason})
            return redirect(_address("staff-refusal", address, row.pk))
        case "replay":
            results = quarantine.replay_these(Refusal.objects.filter(pk=row.pk), now=now)
            _tell(request, results)
            settled = any(counts["rejected"] == 0 for counts in results.values())
            return back if settled else redirect(_address("staff-refusal", address, row.pk))
        case "aside":
            quarantine.put_aside(row.pk, request.POST.get("because", ""), by=by, now=now)
            messages.success(request, _("Put aside. It can be taken up again at any time."))
            return back
        case "up":
            quarantine.take_up(row.pk, by=by)
            messages.success(request, _("The record waits again."))
            return redirect(_address("staff-refusal", address, row.pk))
        case _:
            raise Http404


@require_POST
def replay(request: HttpRequest) -> HttpResponse:
    """All refused records that the address asks for were tried again."""
    _refuse_others(request)
    wanted, kept = _asked(request)
    _tell(request, quarantine.replay_these(quarantine.listed(wanted), now=clock.now()))
    # What was asked for by its reason may have another reason now.
    return redirect(_address("staff-quarantine", urlencode({n: v for n, v in kept.items() if n != "reason"})))


@require_safe
def export(request: HttpRequest) -> HttpResponse:
    """The refused records that the address asks for, in the workbooks they stood in; several files in one archive."""
    _refuse_others(request)
    wanted, kept = _asked(request)
    files = quarantine.hand_back(quarantine.listed(wanted))
    if not files:
        messages.warning(request, _("There is nothing to hand back: of these records nothing is kept."))
        return redirect(_address("staff-quarantine", urlencode(kept)))
    file = files[0] if len(files) == 1 else _archive(files)
    response = HttpResponse(file.content, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    response.headers["Cache-Control"] = "no-store"
    return response


def _tell(request: HttpRequest, results: dict[str, dict[str, int]]) -> None:
    total = {name: sum(counts[name] for counts in results.values()) for name in quarantine.COUNTED}
    if not total["received"]:
        messages.warning(request, _("There was nothing to try again."))
        return
    sentence = ngettext(
        "%(received)d record tried again: %(accepted)d new, %(duplicate)d known, %(rejected)d refused once more.",
        "%(received)d records tried again: %(accepted)d new, %(duplicate)d known, %(rejected)d refused once more.",
        total["received"],
    )
    (messages.warning if total["rejected"] else messages.success)(request, sentence % total)


def _asked(request: HttpRequest) -> tuple[Wanted, dict[str, str]]:
    """What the address asks for, and the address itself without the page."""
    kept = {
        name: value.strip()[:200]
        for name in ("state", "source", "reason", "q", "upload", "run")
        if (value := request.GET.get(name, "")).strip()
    }
    number = {name: int(kept[name]) if kept.get(name, "").isdecimal() else None for name in ("upload", "run")}
    wanted = Wanted(
        source=kept.get("source", ""),
        reason=kept.get("reason", ""),
        words=kept.get("q", "").replace("\0", ""),
        state=kept["state"] if kept.get("state") in quarantine.STATES else "waiting",
        **number,
    )
    return wanted, kept


def _file_asked_for(wanted: Wanted) -> Upload | Run | None:
    if wanted.upload:
        return Upload.objects.filter(pk=wanted.upload).defer("content").first()
    return Run.objects.filter(pk=wanted.run).first() if wanted.run else None


def _archive(files: list[File]) -> File:
    """One archive; of two files of one name the second is numbered."""
    out, used = BytesIO(), set()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, file in enumerate(files, start=1):
            name = f"{number}-{file.name}" if file.name in used else file.name
            used.add(file.name)
            archive.writestr(name, file.content)
    return File(_("refused records") + ".zip", out.getvalue())


def _address(name: str, query: str, *args: int) -> str:
    return reverse(name, args=args) + (f"?{query}" if query else "")


def _refuse_others(request: HttpRequest) -> None:
    if not desk.may_run_the_house(request):
        raise PermissionDenied


def _page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    # The tabs of the lists beside this one.
    shared = {**admin.site.each_context(request), "tabs_of": Run._meta}
    return render(request, template, {**shared, **context}, status=status)


listing_view = admin.site.admin_view(listing)
record_view = admin.site.admin_view(record)
replay_view = admin.site.admin_view(replay)
export_view = admin.site.admin_view(export)
