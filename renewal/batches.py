"""Batch preparation: leases that end in a range are looked at together, and their proposals prepared by one approval.

A lease passes by itself if the rent of the standard term is inside its band and differs from today's rent by no more
than a stated share (`BATCH_CHANGE_PERCENT`); any other is an exception, which somebody reviews. Whoever approves is
kept, with the moment and the version of the card. Without any batch proposals are prepared by the day's run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns import quiet
from renewal import bands, caps, cases, heldback, kpis, offers, proposals
from renewal.figures import Period
from renewal.models import Batch, BatchLine, Case, Proposal, Rate, RateBand
from renewal.weeks import monday_of
from tenants import outbox
from tenants.models import Building, Lease, LeaseTenant, Message, User

STANDARD_MONTHS = 12
MOST = 600  # leases of one batch: more is asked for in two
YEAR_DAYS = 365
LOCK = 0xBA7C4  # any number, the same in every process
Verdict = BatchLine.Verdict


class NotApproved(Exception):
    """A batch that cannot be approved so, in one sentence; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Leases whose last day is in a range, of buildings, perhaps of one room type."""

    first: date
    last: date
    buildings: tuple[Building, ...]
    room_type: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One lease: today's rent, the card's line for the standard term, and why it does not pass by itself."""

    lease: Lease
    rate: Rate | None
    band: RateBand | None
    reasons: tuple[str, ...]  # "unpriced", "outside", "change", "full"
    is_prepared: bool  # the day's run was there before

    @property
    def passes(self) -> bool:
        return not self.reasons

    @property
    def change(self) -> Decimal | None:
        """The card's rent less today's."""
        return self.rate.monthly_rent - self.lease.monthly_rent if self.rate else None

    @property
    def facts(self) -> list[Any]:
        """All that a person was shown of it."""
        rate = self.rate.pk if self.rate else None
        band = self.band.pk if self.band else None
        return [self.lease.pk, str(self.lease.monthly_rent), rate, band, self.reasons, self.is_prepared]


def lines(wanted: Wanted, *, today: date) -> list[Line]:
    """The leases of a batch, exceptions first, in five queries. Raises `NotApproved` if they are more than `MOST`."""
    found = list(_leases(wanted)[: MOST + 1])
    if len(found) > MOST:
        raise NotApproved(_("These are more than %(n)d leases. Choose a shorter range.") % {"n": MOST})
    ids = {building.pk for building in wanted.buildings}
    of_term = bands.standing(ids)
    published = _standard(ids, today=today)
    _lines, full = caps.published(today, buildings=ids)
    rows = []
    for lease in found:
        key = (lease.unit.building_id, lease.unit.room_type)
        rate, band = published.get(key), of_term.get((*key, STANDARD_MONTHS))
        reasons = _reasons(lease, rate, band, full.get(key, ()))
        rows.append(Line(lease, rate, band, reasons, bool(lease.has_proposal)))  # type: ignore[attr-defined]
    return sorted(rows, key=lambda row: row.passes)


def _reasons(lease: Lease, rate: Rate | None, band: RateBand | None, full: Collection[date]) -> tuple[str, ...]:
    if rate is None:
        return ("unpriced",)
    is_inside = bands.holds(band, rent=rate.monthly_rent, term_months=STANDARD_MONTHS, free_months=0)
    change = abs(rate.monthly_rent - lease.monthly_rent) * 100
    is_small = change <= settings.BATCH_CHANGE_PERCENT * lease.monthly_rent
    first_day = lease.last_day + timedelta(days=1)
    anchor_day = offers.anchor_for(first_day, lease.anchor_day)
    ends = offers.term_last_day(first_day, STANDARD_MONTHS, anchor_day)
    is_full = monday_of(ends) in full
    found = {"outside": not is_inside, "change": not is_small, "full": is_full}
    return tuple(reason for reason, applies in found.items() if applies)


def _leases(wanted: Wanted) -> QuerySet[Lease]:
    """Those that may still be renewed, whose tenant has not opened a proposal, and that are not held back."""
    case = Case.objects.filter(lease=OuterRef("pk"))
    written = Proposal.objects.filter(lease=OuterRef("pk"))
    rows = (
        _ending(wanted)
        .annotate(state_now=Subquery(case.values("state")[:1]), has_proposal=Exists(written))
        .filter(Q(state_now=None, ended_by="") | Q(state_now__in=proposals.OPEN))
        .exclude(Exists(written.filter(opened_at__isnull=False)))
        .exclude(heldback.of("pk"))
    )
    return rows.order_by("last_day", "unit__building__code", "unit__code", "pk")


def _ending(wanted: Wanted) -> QuerySet[Lease]:
    follows = Lease.objects.filter(
        ~Q(state=Lease.State.VOID),
        Q(renews=OuterRef("pk")) | Q(unit=OuterRef("unit"), first_day__gt=OuterRef("last_day")),
    )
    rows = Lease.objects.filter(
        state=Lease.State.SIGNED,
        last_day__gte=wanted.first,
        last_day__lte=wanted.last,
        unit__building__in=wanted.buildings,
    )
    if wanted.room_type:
        rows = rows.filter(unit__room_type=wanted.room_type)
    first = LeaseTenant.objects.filter(lease=OuterRef("pk"), is_primary=True)
    return rows.filter(~Exists(follows), Exists(first)).select_related("unit__building")


def opened_already(wanted: Wanted) -> int:
    """How many leases of the range are in no batch because their tenant has opened the proposal."""
    written = Proposal.objects.filter(lease=OuterRef("pk"), opened_at__isnull=False)
    return _ending(wanted).filter(Exists(written)).count()


def _standard(buildings: Collection[int], *, today: date) -> dict[tuple[int, str], Rate]:
    """The published line of the standard term without free months, per (building, room type)."""
    rows = Rate.objects.filter(
        building__in=buildings,
        term_months=STANDARD_MONTHS,
        free_months=0,
        signed_from__lte=today,
        signed_to__gte=today,
    )
    latest = rows.order_by("building_id", "room_type", "-signed_from").distinct("building_id", "room_type")
    return {(row.building_id, row.room_type): row for row in latest}


def digest(rows: Collection[Line]) -> str:
    """Stands for all that a person was shown of these leases."""
    return hashlib.sha256(json.dumps(sorted(row.facts for row in rows), default=str).encode()).hexdigest()


# --- Forecast ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expected:
    """Of one building: its leases of the batch, its renewal rate of the last year, and what that makes."""

    building: Building
    n: int
    rate: dict[str, Any]  # {"k", "n", "rate", "low", "high"}

    @property
    def renewals(self) -> tuple[float, float, float] | None:
        """n · rate, and n · each end of its Wilson interval; none where nothing ended there last year."""
        if self.rate["rate"] is None:
            return None
        return self.n * self.rate["rate"], self.n * self.rate["low"], self.n * self.rate["high"]


@dataclass(frozen=True, slots=True)
class Forecast:
    """Monthly rents now and at the card's standard term, and the renewals to be expected."""

    n: int
    today: Decimal
    card: Decimal
    buildings: tuple[Expected, ...]

    @property
    def renewals(self) -> tuple[float, float, float]:
        """The sum over the buildings, and of their bounds."""
        parts = [each.renewals for each in self.buildings if each.renewals]
        return (sum(p[0] for p in parts), sum(p[1] for p in parts), sum(p[2] for p in parts))


def forecast(rows: Collection[Line], *, today: date, now: datetime) -> Forecast:
    """Of the leases that have a price: today's rents, the card's, and renewals at last year's rate of each building."""
    priced = [row for row in rows if row.rate]
    of_building: dict[int, int] = {}
    there: dict[int, Building] = {}
    for row in priced:
        building = row.lease.unit.building
        there[building.pk] = building
        of_building[building.pk] = of_building.get(building.pk, 0) + 1
    period = Period(today - timedelta(days=YEAR_DAYS), today - timedelta(days=1))
    rates = kpis.renewals(period, day=today, building=list(there.values()), now=now) if there else {}
    expected = [Expected(there[pk], n, rates[pk]["rate"]) for pk, n in of_building.items()]
    return Forecast(
        n=len(priced),
        today=sum((row.lease.monthly_rent for row in priced), Decimal(0)),
        card=sum((row.rate.monthly_rent for row in priced if row.rate), Decimal(0)),
        buildings=tuple(sorted(expected, key=lambda each: each.building.code)),
    )


def _plain(found: Forecast) -> dict[str, Any]:
    return {
        "n": found.n,
        "today": str(found.today),
        "card": str(found.card),
        "renewals": found.renewals,
        "buildings": [{"code": e.building.code, "n": e.n, "rate": e.rate} for e in found.buildings],
    }


# --- Approval ---------------------------------------------------------------------------------------------


@transaction.atomic
def approve(
    wanted: Wanted,
    *,
    ticked: Collection[int],
    seen: str,
    is_held: bool,
    why: str,
    by: User,
    today: date,
    now: datetime,
) -> Batch:
    """The ticked leases have their proposals, and the others (`is_held`) are held back.

    Who, when and on which card is kept. Cases that were not open yet are opened. `seen` is the digest of what was
    shown. Raises `NotApproved`.
    """
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [LOCK])  # of two approvals at once the second looks again
    rows = lines(wanted, today=today)
    if digest(rows) != seen:
        raise NotApproved(_("The leases or the card have changed meanwhile. Please look once more."))
    priced = [row for row in rows if row.rate]
    yes = [row for row in priced if row.lease.pk in ticked]
    no = [row for row in priced if row.lease.pk not in ticked] if is_held else []
    if not yes and not no:
        raise NotApproved(_("No lease is ticked."))
    if not why.strip() and any(not row.passes for row in yes):
        raise NotApproved(_("There are exceptions among those ticked: say why they may pass."))
    batch = Batch.objects.create(
        asked={
            "first": wanted.first.isoformat(),
            "last": wanted.last.isoformat(),
            "buildings": [building.code for building in wanted.buildings],
            "room_type": wanted.room_type,
        },
        change_percent=settings.BATCH_CHANGE_PERCENT,
        card=card_version([building.pk for building in wanted.buildings], today=today),
        forecast=_plain(forecast(yes, today=today, now=now)),
        why=why.strip()[:200],
        by=by,
        at=now,
    )
    BatchLine.objects.bulk_create(
        BatchLine(
            batch=batch,
            lease=row.lease,
            verdict=verdict,
            rent_today=row.lease.monthly_rent,
            rate=row.rate,
            band=row.band,
            reasons=list(row.reasons),
        )
        for verdict, some in ((Verdict.APPROVED, yes), (Verdict.HELD, no))
        for row in some
    )
    _prepare([row.lease.pk for row in yes], today=today, now=now)
    _ask_none([row.lease for row in no], now=now)
    return batch


@transaction.atomic
def release(batch: Batch, leases: Collection[int], *, by: User, today: date, now: datetime) -> int:
    """These leases of the batch are held back no longer, and have their proposals; the number of them."""
    held = heldback.lines().filter(batch=batch, lease__in=leases)
    ids = list(held.values_list("lease", flat=True))
    held.update(released_at=now, released_by=by)
    quiet.lift_all(ids, why=_held_back(), now=now)
    _prepare(ids, today=today, now=now)
    return len(ids)


def _ask_none(leases: Collection[Lease], *, now: datetime) -> None:
    """Nobody is sent to a letter that is not there: playbooks wait, and what was on its way is cancelled."""
    quiet.keep({lease: lease.last_day + timedelta(days=1) for lease in leases}, why=_held_back(), now=now)
    waiting = [Message.State.QUEUED, Message.State.SENDING, Message.State.UNKNOWN, Message.State.PARKED]
    asking = Message.objects.filter(lease__in=leases, stops_on_answer=True, state__in=waiting)
    for lease in Lease.objects.filter(pk__in=asking.values("lease")):
        outbox.cancel_for_lease(lease, reason=_held_back(), now=now)


def _held_back() -> str:
    with override(settings.LANGUAGE_CODE):  # kept for staff to read
        return _("Their letter is held back in a batch.")


def _prepare(leases: Collection[int], *, today: date, now: datetime) -> None:
    cases.open_for(leases, now=now)
    if leases:
        proposals.prepare(today=today, now=now, leases=leases)


def card_version(buildings: Collection[int], *, today: date) -> dict[str, Any]:
    """The card of these buildings on a day: how many lines hold, the bands, the weekly caps, and a digest of it all."""
    held = Rate.objects.filter(building__in=buildings, signed_from__lte=today, signed_to__gte=today).order_by("pk")
    published = [[*row] for row in held.values_list("pk", "monthly_rent", "signed_to")]
    standing = sorted([band.pk, str(band.lowest), str(band.highest)] for band in bands.standing(buildings).values())
    of_week = sorted([cap.pk, cap.most] for cap in caps.standing(buildings).values())
    said = json.dumps([published, standing, of_week], default=str)
    return {
        "day": today.isoformat(),
        "lines": len(published),
        "bands": [pk for pk, *_rest in standing],
        "caps": [pk for pk, _most in of_week],
        "digest": hashlib.sha256(said.encode()).hexdigest(),
    }


def latest(buildings: Collection[int]) -> QuerySet[Batch]:
    """The batches with leases of these buildings, the latest first."""
    here = BatchLine.objects.filter(batch=OuterRef("pk"), lease__unit__building__in=buildings)
    return Batch.objects.filter(Exists(here)).select_related("by").order_by("-at", "-pk")


def lines_of(batch: Batch, buildings: Collection[int]) -> QuerySet[BatchLine]:
    """The leases of a batch in these buildings: those held back first, then exceptions."""
    rows = BatchLine.objects.filter(batch=batch, lease__unit__building__in=buildings)
    return rows.select_related("lease__unit__building", "rate", "band", "released_by").order_by(
        F("verdict").desc(), "released_at", "lease__last_day", "pk"
    )
