"""What staff have to do about a case because of what its tenant said; one of a kind is open at a time."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from renewal import cards, proposals
from renewal.answers import NotNow
from renewal.models import Case, Errand, WeekCap
from tenants.models import Lease

NO_TERM = gettext_noop("every length of the letter would end in a week that is full")


def open(case: Case, kind: str, *, why: str, now: datetime) -> Errand:
    """Somebody has to do this. One that is open already is the same errand, for the reason that was given last."""
    errand, is_new = Errand.objects.get_or_create(
        case=case, kind=kind, done_at=None, defaults={"why": why[:200], "opened_at": now}
    )
    if not is_new and errand.why != why[:200]:
        errand.why = why[:200]
        errand.save(update_fields=["why"])
    return errand


def open_without_term(leases: Collection[int], *, now: datetime) -> None:
    """Somebody has to find a length for these leases, all of whose terms would end in full weeks."""
    Errand.objects.bulk_create(
        [
            Errand(case=case, kind=Errand.Kind.TERM, why=NO_TERM, opened_at=now)
            for case in Case.objects.filter(lease__in=leases)
        ],
        ignore_conflicts=True,  # one that is open already is the same errand
    )


def find_without_term(*, today: date, now: datetime) -> int:
    """As `open_without_term`, for every open case that no person was asked about before; the number of them."""
    of_case = Errand.objects.filter(case__lease=OuterRef("pk"), kind=Errand.Kind.TERM)
    capped = WeekCap.objects.filter(state=WeekCap.State.STANDING)
    leases = (
        Lease.objects.filter(
            Exists(Case.objects.filter(lease=OuterRef("pk"), state__in=proposals.OPEN)),
            ~Exists(Lease.objects.filter(renews=OuterRef("pk")).exclude(state=Lease.State.VOID)),
            ~Exists(of_case),
            state=Lease.State.SIGNED,
            unit__building__in=capped.values("building"),
        )
        .select_related("unit")
        .order_by("pk")
    )
    card_of = cards.build(list(leases), today=today, now=now, only={})
    shut = [pk for pk, card in card_of.items() if card.own.full and not card.own.rates]
    open_without_term(shut, now=now)
    return len(shut)


def finish(errand: Errand, *, outcome: str, now: datetime, by: str) -> None:
    """It is done, with what came of it. A second time changes nothing. Raises `NotNow`."""
    if not outcome.strip():
        raise NotNow(_("Write what came of it."))
    Errand.objects.filter(pk=errand.pk, done_at=None).update(
        done_at=now, done_by=by[:80], outcome=outcome.strip()[:200]
    )
