"""What staff have to do about a case because of what its tenant said; one of a kind is open at a time."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from renewal.answers import NotNow
from renewal.models import Case, Errand


def open(case: Case, kind: str, *, why: str, now: datetime) -> Errand:
    """Somebody has to do this. One that is open already is the same errand, for the reason that was given last."""
    errand, is_new = Errand.objects.get_or_create(
        case=case, kind=kind, done_at=None, defaults={"why": why[:200], "opened_at": now}
    )
    if not is_new and errand.why != why[:200]:
        errand.why = why[:200]
        errand.save(update_fields=["why"])
    return errand


def finish(errand: Errand, *, outcome: str, now: datetime, by: str) -> None:
    """It is done, with what came of it. A second time changes nothing. Raises `NotNow`."""
    if not outcome.strip():
        raise NotNow(_("Write what came of it."))
    Errand.objects.filter(pk=errand.pk, done_at=None).update(
        done_at=now, done_by=by[:80], outcome=outcome.strip()[:200]
    )
