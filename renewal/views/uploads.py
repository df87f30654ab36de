"""Handing in a file: choose it, say what its columns mean, see what it would change, apply all of it or a part."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.cache import caches
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from connectors.models import Mapping, Upload
from connectors.sources import Unusable
from renewal import rowtext, uploads
from renewal.meanings import MEANINGS
from renewal.preview import Kind, Row
from renewal.uploads import Shown
from tenants import clock, desk

PAGE = 50
RECENT = 10
KINDS = {
    Kind.NEW: gettext_lazy("row is new"),
    Kind.CHANGED: gettext_lazy("row changes"),
    Kind.WAITING: gettext_lazy("row waits"),
    Kind.UNCHANGED: gettext_lazy("row is known"),
    Kind.REFUSED: gettext_lazy("row is refused"),
}
STALE = gettext_lazy("The data have changed since the preview. Nothing was applied; this is the preview as of now.")
NARROW = gettext_lazy(
    "Without the rows left out, others come out differently. Nothing was applied; this is what would happen."
)

View = Callable[..., HttpResponse]


def _for_hq(view: View) -> View:
    """The page is the head office's: others are refused."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not desk.may_run_the_house(request):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


@_for_hq
def hand_in(request: HttpRequest) -> HttpResponse:
    """The form, and what was handed in lately."""
    source, error, status = request.GET.get("source", ""), "", 200
    if request.method == "POST":
        source = request.POST.get("source", "")
        file = request.FILES.get("file")
        if source not in uploads.SOURCES:
            error = _("Choose what the file holds.")
        elif file is None or isinstance(file, list):
            error = _("Choose a file.")
        else:
            try:
                upload = uploads.receive(
                    source, file.name or "", file.read(), by=request.user.get_username(), now=clock.now()
                )
            except Unusable as unusable:
                error = str(unusable)
            else:
                step = "staff-upload-columns" if uploads.has_columns(source) else "staff-upload-preview"
                return _see_other(reverse(step, args=[upload.pk]))
        status = 422
    recent = Upload.objects.defer("content").select_related("run").order_by("-uploaded_at", "-pk")[:RECENT]
    context = {"source": source, "error": error, "sources": uploads.SOURCES, "recent": recent, "most": uploads.MOST_MB}
    return _page(request, "staff/upload.html", _("Hand in a file"), context, status=status)


@_for_hq
def columns(request: HttpRequest, upload_id: int) -> HttpResponse:
    """Which column of the file stands for which of ours."""
    upload = _open(upload_id)
    if upload.applied_at:
        return redirect("staff-upload-done", upload.pk)
    if not uploads.has_columns(upload.source):
        return redirect("staff-upload-preview", upload.pk)
    sheet = uploads.header_of(upload)
    saved = Mapping.objects.filter(source=upload.source).order_by("name")
    picked: Mapping | None = None
    error = ""
    if request.method == "POST":
        chosen = {
            column: name
            for n, column in enumerate(sheet.columns)
            if (name := request.POST.get(f"column-{n}", "")) in sheet.header
        }
        vendor = request.POST.get("vendor", "").strip()
        missing = [column for column in sheet.required if column not in chosen]
        if missing:
            error = _("Still needed: %(columns)s.") % {"columns": "、".join(missing)}
        else:
            uploads.choose(upload, chosen)
            if vendor:
                uploads.remember(upload.source, vendor, chosen, by=request.user.get_username(), now=clock.now())
            _forget(request, upload)
            return _see_other(reverse("staff-upload-preview", args=[upload.pk]))
    else:
        vendor = ""
        asked = request.GET.get("saved", "")
        if asked.isdigit():
            picked = saved.filter(pk=int(asked)).first()
        elif asked != "none" and not upload.mapping:
            picked = uploads.remembered(upload.source, sheet.header)
        if picked:
            chosen = {ours: theirs for ours, theirs in picked.columns.items() if theirs in sheet.header}
            vendor = picked.name
        else:
            chosen = dict(upload.mapping) if upload.mapping and asked != "none" else sheet.guessed
    used = set(chosen.values())
    samples = {name: [rowtext.safe(value) for value in values] for name, values in sheet.samples.items()}
    context = {
        "upload": upload,
        "earlier": _earlier(upload),
        "sheet": sheet,
        "samples": samples,
        "rows": [
            {
                "n": n,
                "name": column,
                "meaning": MEANINGS.get(column, ""),
                "is_required": column in sheet.required,
                "chosen": chosen.get(column, ""),
                "samples": samples.get(chosen.get(column, ""), []),
            }
            for n, column in enumerate(sheet.columns)
        ],
        "ignored": [name for name in sheet.header if name and name not in used],
        "saved": saved,
        "picked": picked,
        "vendor": vendor,
        "error": error,
        "source": uploads.SOURCES[upload.source],
    }
    return _page(request, "staff/mapping.html", _("Columns"), context,
                 status=422 if error else 200)  # fmt: skip


@_for_hq
@require_safe
def rows(request: HttpRequest, upload_id: int, notice: str = "") -> HttpResponse:
    """What the file would change, a page of rows at a time; every filter stands in the address."""
    upload = _open(upload_id)
    if upload.applied_at:
        return redirect("staff-upload-done", upload.pk)
    kept = _kept(request, upload)
    left_out = set(kept.get("left_out", []))
    if request.GET.get("fresh"):
        caches["previews"].delete_many([_key(upload, ()), _key(upload, left_out)])
        return redirect("staff-upload-preview", upload.pk)
    try:
        shown = _shown(upload, left_out if kept.get("narrow") else set())
    except Unusable as unusable:
        context: dict[str, Any] = {
            "upload": upload,
            "error": str(unusable),
            "has_columns": uploads.has_columns(upload.source),
            "source": uploads.SOURCES[upload.source],
        }
        return _page(request, "staff/preview.html", _("Preview"), context, status=422)
    kind = request.GET.get("kind", "")
    listed = [row for row in shown.rows.values() if not kind or row.kind == kind]
    page = Paginator(listed, PAGE).get_page(request.GET.get("page"))
    on_page = list(page.object_list)
    counts = {each: sum(row.kind == each for row in shown.rows.values()) for each in Kind}
    context = {
        "upload": upload,
        "earlier": _earlier(upload),
        "has_columns": uploads.has_columns(upload.source),
        "source": uploads.SOURCES[upload.source],
        "shown": shown,
        "notice": notice or kept.pop("notice", ""),
        "page": page,
        "lines": ",".join(str(row.line) for row in on_page),
        "rows": _with_text(upload, on_page, left_out),
        "kind": kind,
        "kinds": [(each, KINDS[each], counts[each]) for each in Kind if counts[each]],
        "total": len(shown.rows),
        "chosen": len(shown.rows.keys() - left_out),
        "left_out": len(shown.rows.keys() & left_out),
        "counts": counts,
        "news": counts[Kind.NEW] + counts[Kind.CHANGED] + counts[Kind.WAITING],
        "address": urlencode({"kind": kind} if kind else {}),
    }
    request.session.modified = True
    return _page(request, "staff/preview.html", _("Preview"), context)


@_for_hq
@require_POST
def decide(request: HttpRequest, upload_id: int) -> HttpResponse:
    """The rows ticked on a page are remembered; then on to another page, or all that is ticked is applied."""
    upload = _open(upload_id)
    if upload.applied_at:
        return _see_other(reverse("staff-upload-done", args=[upload.pk]))
    kept = _kept(request, upload)
    shown = {int(line) for line in request.POST.get("shown", "").split(",") if line.isdigit()}
    ticked = {int(line) for line in request.POST.getlist("row") if line.isdigit()}
    before = set(kept.get("left_out", []))
    left_out = (before - shown) | (shown - ticked)
    match request.POST.get("do", ""):
        case "discard":
            uploads.discard(upload.pk)
            _forget(request, upload)
            return _see_other(reverse("staff-upload"))
        case "tick-all":
            left_out = set()
        case "tick-none":
            left_out |= {row.line for row in _shown(upload, set()).rows.values()}
    chose_again = left_out != before and bool(kept.get("narrow"))
    if left_out != before:
        kept |= {"left_out": sorted(left_out), "narrow": False}
        request.session.modified = True
    if request.POST.get("do") != "apply":
        go = {name: request.POST.get(name, "") for name in ("kind", "page")}
        if "=" in (asked := request.POST.get("go", "")):
            name, _sign, value = asked.partition("=")
            go = {"kind": value, "page": ""} if name == "kind" else go | {"page": value}
        query = urlencode({name: value for name, value in go.items() if value})
        return _see_other(reverse("staff-upload-preview", args=[upload.pk]) + (f"?{query}" if query else ""))
    return _apply(request, upload, left_out, chose_again=chose_again)


def _apply(request: HttpRequest, upload: Upload, left_out: set[int], *, chose_again: bool) -> HttpResponse:
    seen, now = request.POST.get("seen", ""), clock.now()
    kept = _kept(request, upload)
    try:
        uploads.apply(upload.pk, seen=seen, left_out=left_out, now=now)
    except uploads.Otherwise as otherwise:
        # Where the whole file still comes out as it was seen, it is the choice that makes the difference.
        is_choice = bool(left_out) and (chose_again or otherwise.whole == seen)
        kept |= {"notice": str(NARROW if is_choice else STALE), "narrow": bool(left_out)}
        request.session.modified = True
        if otherwise.whole != seen:
            caches["previews"].delete(_key(upload, ()))
        caches["previews"].set(_key(upload, left_out), Shown(otherwise.rows, otherwise.digest, now))
        return _see_other(reverse("staff-upload-preview", args=[upload.pk]))
    except Unusable as unusable:
        kept["notice"] = str(unusable)
        request.session.modified = True
        return _see_other(reverse("staff-upload-preview", args=[upload.pk]))
    _forget(request, upload)
    return _see_other(reverse("staff-upload-done", args=[upload.pk]))


@_for_hq
@require_safe
def done(request: HttpRequest, upload_id: int) -> HttpResponse:
    """What became of an applied file."""
    upload = _open(upload_id)
    if not upload.applied_at:
        return redirect("staff-upload-preview", upload.pk)
    context = {
        "upload": upload,
        "run": upload.run,
        "has_columns": uploads.has_columns(upload.source),
        "waiting": uploads.waiting_since(upload),
        "refused_url": f"{reverse('staff-quarantine')}?upload={upload.pk}",
        "source": uploads.SOURCES[upload.source],
    }
    return _page(request, "staff/upload_done.html", _("Result"), context)


def _open(upload_id: int) -> Upload:
    upload = Upload.objects.select_related("run").filter(pk=upload_id).first()
    if upload is None or upload.source not in uploads.SOURCES:
        raise Http404
    return upload


def _page(
    request: HttpRequest, template: str, title: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    shared = {**admin.site.each_context(request), "title": title, "now": clock.now()}
    return render(request, template, shared | context, status=status)


def _see_other(address: str) -> HttpResponse:
    response = HttpResponseRedirect(address)
    response.status_code = 303
    return response


def _earlier(upload: Upload) -> dict[str, Any] | None:
    """The same file, handed in before, and how long ago that was."""
    same = uploads.earlier(upload)
    if same is None:
        return None
    at, now = same.applied_at or same.uploaded_at, clock.now()
    ago = timesince(at, now) if now - at >= timedelta(minutes=1) else _("less than a minute")
    return {"upload": same, "ago": ago}


def _kept(request: HttpRequest, upload: Upload) -> dict[str, Any]:
    """What this person has chosen of the file so far."""
    kept: dict[str, Any] = request.session.setdefault("uploads", {}).setdefault(str(upload.pk), {})
    return kept


def _forget(request: HttpRequest, upload: Upload) -> None:
    request.session.get("uploads", {}).pop(str(upload.pk), None)
    request.session.modified = True
    caches["previews"].delete(_key(upload, ()))


def _shown(upload: Upload, left_out: Collection[int]) -> Shown:
    """The preview; for some minutes the one that was worked out last, so that turning a page is quick."""
    key = _key(upload, left_out)
    found: Shown | None = caches["previews"].get(key)
    if found is None:
        found = uploads.show(upload, left_out=left_out, now=clock.now())
        caches["previews"].set(key, found)
    return found


def _key(upload: Upload, left_out: Collection[int]) -> str:
    facts = (upload.pk, upload.uploaded_at.isoformat(), sorted(upload.mapping.items()), sorted(left_out))
    return uploads.fingerprint(facts)


def _with_text(upload: Upload, page: Collection[Row], left_out: Collection[int]) -> list[dict[str, Any]]:
    texts = uploads.texts(upload, {row.line for row in page})
    return [
        {"row": row, "is_chosen": row.line not in left_out, "kind": KINDS[row.kind],
         **rowtext.describe(upload.source, row, texts.get(row.line, {}))}
        for row in page
    ]  # fmt: skip


hand_in_view = admin.site.admin_view(hand_in)
columns_view = admin.site.admin_view(columns)
rows_view = admin.site.admin_view(rows)
decide_view = admin.site.admin_view(decide)
done_view = admin.site.admin_view(done)
