"""Files handed in by hand: kept as they came, previewed, applied in one transaction, once.

PostgreSQL holds the file, sealed; a copy lies in a folder of ours only while it is read.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors import runs, sealing
from connectors.models import Mapping as Saved
from connectors.models import Upload
from connectors.records import Source
from connectors.sources import Unusable, files
from renewal import embedded, headers, loading, preview
from renewal.headers import Header
from renewal.models import RateChange
from renewal.preview import Row
from tenants.models import WaitingContract

MOST_MB = 10
# What one request applies before anybody gives up waiting; more is for `load`.
MOST_ROWS = 10_000
MOST_EVENTS = 60_000
KEPT_DAYS = 90  # after that only the file's name, its hash and its report are left

SOURCES: dict[str, Any] = {
    Source.UNITS: gettext_lazy("units"),
    Source.CONTRACTS: gettext_lazy("contracts"),
    Source.RATES: gettext_lazy("published rents"),
    Source.CONSENTS: gettext_lazy("consents"),
    Source.TICKETS: gettext_lazy("tickets"),
    Source.COMMUNITY: gettext_lazy("community"),
    Source.PAYMENTS: gettext_lazy("payments"),
    Source.BILLS: gettext_lazy("bills and moods"),
    Source.STAFF: gettext_lazy("members of staff"),
    Source.APP: gettext_lazy("app behaviour"),
    Source.IOT: gettext_lazy("locks and meters"),
}


class Otherwise(Exception):
    """The rows would come out otherwise than they were shown; nothing was applied.

    `rows` says how, with their `digest`; `whole` is the digest of the file with all its rows.
    """

    def __init__(self, rows: dict[int, Row], whole: str) -> None:
        super().__init__()
        self.rows, self.digest, self.whole = rows, preview.digest_of(rows), whole


@dataclass(frozen=True, slots=True)
class Shown:
    """A preview as somebody sees it, and the digest by which it is recognised when it is applied."""

    rows: dict[int, Row]
    digest: str
    at: datetime


def receive(source: str, name: str, content: bytes, *, by: str, now: datetime) -> Upload:
    """The file is kept as it came; raises `Unusable` with one sentence, and then nothing is."""
    name = Path(name.replace("\\", "/")).name[-200:] or _("a file without a name")
    if len(content) > MOST_MB << 20:
        facts = {"name": name, "mb": MOST_MB}
        raise Unusable(_("%(name)s is larger than %(mb)d MB. Split it, or load it on the server with `load`.") % facts)
    upload = Upload(
        source=source,
        name=name,
        content=sealing.seal(content),
        sha256=hashlib.sha256(content).hexdigest(),
        by=by,
        uploaded_at=now,
    )
    with on_disk(upload) as path:
        look(source, path)
    upload.save()
    return upload


def has_columns(source: str) -> bool:
    """Whether files of this source are tables; the others are a line of JSON each."""
    return bool(loading.FEEDS[source].columns)


def look(source: str, path: Path) -> None:
    """The file can be a file of this source; raises `Unusable`."""
    files.check(path)
    if has_columns(source):
        headers.of(source, path)
    else:
        for _line in files.lines(path):
            pass


def header_of(upload: Upload) -> Header:
    """What the file's columns are called, and which is taken for which of ours."""
    with on_disk(upload) as path:
        return headers.of(upload.source, path)


def waiting_since(upload: Upload) -> int:
    """How many contracts, or lines of the card, of an applied file wait now."""
    if not upload.applied_at:
        return 0
    if upload.source == Source.RATES:
        return RateChange.objects.filter(asked_at=upload.applied_at, state=RateChange.State.WAITING).count()
    return WaitingContract.objects.filter(recorded_at=upload.applied_at).count()


def fingerprint(facts: object) -> str:
    """Stands for these facts, among the keys of a cache."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def earlier(upload: Upload) -> Upload | None:
    """The same file, as it was handed in for the same source before: the one that was applied, if one was."""
    same = Upload.objects.filter(source=upload.source, sha256=upload.sha256, pk__lt=upload.pk).defer("content")
    return same.filter(applied_at__isnull=False).order_by("pk").last() or same.order_by("pk").last()


@contextmanager
def on_disk(upload: Upload) -> Iterator[Path]:
    """A copy of the file under its own name, for as long as it is read."""
    shelf = embedded.data_dir() / "handed-in"
    shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
    _clear(shelf)
    with tempfile.TemporaryDirectory(dir=shelf) as folder:
        path = Path(folder) / upload.name
        path.write_bytes(sealing.unseal(bytes(upload.content)))
        yield path


def _clear(shelf: Path) -> None:
    """What a killed process left behind is gone: nobody reads a copy for an hour."""
    for left in shelf.iterdir():
        try:
            if time.time() - left.stat().st_mtime > 3600:
                shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:
            continue


def show(upload: Upload, *, left_out: Collection[int] = (), now: datetime) -> Shown:
    """What applying the file would change; with `left_out`, what it changes without those rows. Nothing has changed."""
    options = _options(upload, now)
    with on_disk(upload) as path:
        rows = preview.work_out(upload.source, path, **options).rows
        if left_out:
            rows = rows | preview.work_out(upload.source, path, only=rows.keys() - set(left_out), **options).rows
    return Shown(rows, preview.digest_of(rows), now)


def _options(upload: Upload, now: datetime) -> dict[str, Any]:
    most = MOST_EVENTS if loading.FEEDS[upload.source].is_events else MOST_ROWS
    return {"now": now, "mapping": upload.mapping, "most": most}


def apply(upload_id: int, *, seen: str, left_out: Collection[int] = (), now: datetime) -> Upload:
    """The rows but for `left_out` are in, all of them or none; one that was applied before stays as it is.

    `seen` is the digest of what was shown. Raises `Otherwise` where the rows would not come out so, and `Unusable`
    where the file cannot be read or no row is left.
    """
    with transaction.atomic():
        upload = Upload.objects.select_for_update().get(pk=upload_id)
        if upload.applied_at:
            return upload
        options = _options(upload, now)
        with on_disk(upload) as path:
            rows: dict[int, Row] = {}
            only = whole = None
            if left_out:
                rows = preview.work_out(upload.source, path, **options).rows
                only, whole = rows.keys() - set(left_out), preview.digest_of(rows)
                if not only:
                    raise Unusable(_("No row is chosen."))
            run = runs.begin(upload.source, upload.name, now=now)
            trial = preview.take(upload.source, path, only=only, **options)
            rows = rows | trial.rows
            if preview.digest_of(rows) != seen:
                raise Otherwise(rows, whole or preview.digest_of(rows))
            loading.finish(run, path, trial.counts, now=now, mapping=upload.mapping, upload=upload.pk, only=only)
        upload.applied_at, upload.run = now, run
        if upload.source == Source.IOT:
            upload.content = b""  # openings of doors are kept nowhere but where they can be forgotten
        upload.save()
    return upload


def choose(upload: Upload, columns: Mapping[str, str]) -> None:
    """The file is read by these columns: ours → the file's."""
    upload.mapping = dict(columns)
    upload.save(update_fields=["mapping"])


def remember(source: str, name: str, columns: Mapping[str, str], *, by: str, now: datetime) -> Saved:
    """The mapping is saved under the vendor's name, in place of an earlier one of that name."""
    facts = {"columns": dict(columns), "by": by, "changed_at": now}
    return Saved.objects.update_or_create(source=source, name=name[:64], defaults=facts)[0]


def remembered(source: str, header: Collection[str]) -> Saved | None:
    """The saved mapping that fits a file with this header, the latest of several."""
    names = set(header)
    rows = Saved.objects.filter(source=source).order_by("-changed_at", "-pk")
    return next((saved for saved in rows if saved.columns and set(saved.columns.values()) <= names), None)


def discard(upload_id: int) -> bool:
    """A file that was never applied is gone; whether it was there to go."""
    with transaction.atomic():
        gone, _each = Upload.objects.filter(pk=upload_id, applied_at=None).delete()
    return bool(gone)


def forget(*, now: datetime) -> int:
    """Files handed in longer than `KEPT_DAYS` ago are a name, a hash and a report; says how many were more.

    One with doors in it that nobody applied is not kept until the next day.
    """
    old = Q(uploaded_at__lt=now - timedelta(days=KEPT_DAYS))
    doors = Q(source=Source.IOT, uploaded_at__lt=now - timedelta(days=1))
    return Upload.objects.filter(old | doors).exclude(content=b"").update(content=b"")


def texts(upload: Upload, lines: Collection[int]) -> dict[int, dict[str, str]]:
    """These rows as they stand in the file, by the names of our columns."""
    with on_disk(upload) as path:
        return loading.raw_of(upload.source, path, lines, upload.mapping)
