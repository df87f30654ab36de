"""Changing the published card by hand: a line inside its band is published at once, any other needs a second person.

A published rent never changes: another one is a new line from a later day, for everybody who signs from then on. So
that all who sign on one day are offered one price, a line that follows another begins tomorrow at the earliest. What
came of it can be undone: a waiting line is withdrawn, a published one is given another last day, and the line before
it holds again from the day after.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from renewal import bands, rates
from renewal.models import Rate, RateBand, RateChange
from renewal.seconding import NotSet
from tenants import clock
from tenants.models import Building, User

State = RateChange.State
LONGEST, MOST_FREE = 60, 12  # months, as in the sheet


def earliest(building: Building, *, room_type: str, term_months: int, free_months: int, today: date) -> date:
    """The first day a line may begin: today, or tomorrow where one holds today already."""
    same = Rate.objects.filter(building=building, room_type=room_type, term_months=term_months, free_months=free_months)
    return today + timedelta(days=same.filter(signed_from__lte=today, signed_to__gte=today).exists())


@transaction.atomic
def ask(
    building: Building,
    *,
    room_type: str,
    term_months: int,
    free_months: int,
    monthly_rent: Decimal,
    signed_from: date,
    signed_to: date,
    why: str,
    by: User,
    now: datetime,
) -> RateChange:
    """The line is published if its band allows it, and else waits. Raises `NotSet`."""
    today = clock.day_of(now)
    first = earliest(building, room_type=room_type, term_months=term_months, free_months=free_months, today=today)
    if not 1 <= term_months <= LONGEST or not 0 <= free_months <= min(MOST_FREE, term_months - 1):
        raise NotSet(_("A term has 1 to 60 months, of which at least one is paid."), "free_months")
    if signed_from < first:
        raise NotSet(_("The first day is %(day)s at the earliest.") % {"day": first}, "signed_from")
    if signed_to < signed_from:
        raise NotSet(_("The last day is before the first."), "signed_to")
    change = RateChange(
        building=building,
        room_type=room_type,
        term_months=term_months,
        free_months=free_months,
        monthly_rent=monthly_rent,
        signed_from=signed_from,
        signed_to=signed_to,
        why=why.strip()[:200],
        asked_by=by,
        asked_at=now,
    )
    return _settled(change, now=now)


@transaction.atomic
def give_last_day(pk: int, *, last_day: date, why: str, by: User, now: datetime) -> RateChange:
    """A published line ends on another day: at once if earlier, as a new line would if later. Raises `NotSet`."""
    rate = Rate.objects.select_for_update(of=("self",)).select_related("building").get(pk=pk)
    today = clock.day_of(now)
    if rate.signed_to < today:
        raise NotSet(_("It is over: publish a new line."), "last_day")
    if last_day == rate.signed_to:
        raise NotSet(_("That is its last day already."), "last_day")
    if last_day < max(today, rate.signed_from):
        facts = {"day": max(today, rate.signed_from)}
        raise NotSet(_("It holds today already: its last day is %(day)s at the earliest.") % facts, "last_day")
    if not why.strip():
        raise NotSet(_("Say why."), "end_why")
    change = RateChange(
        building=rate.building,
        room_type=rate.room_type,
        term_months=rate.term_months,
        free_months=rate.free_months,
        monthly_rent=rate.monthly_rent,
        signed_from=rate.signed_from,
        signed_to=last_day,
        why=why.strip()[:200],
        asked_by=by,
        asked_at=now,
    )
    return _settled(change, now=now, is_less=last_day < rate.signed_to)


def _settled(change: RateChange, *, now: datetime, is_less: bool = False) -> RateChange:
    """Published, or waiting for a second person. Raises `NotSet`."""
    key = (change.building_id, change.room_type, change.term_months)
    change.band = bands.standing([change.building_id]).get(key)
    change.is_inside = is_less or _fits(change, change.band)
    if change.is_inside:
        return _published(change, signed_from=change.signed_from, now=now)
    if not change.why:
        raise NotSet(_("This is outside the band: say why, so that a second person can decide."), "why")
    try:
        with transaction.atomic():
            change.save()
    except IntegrityError:
        raise NotSet(_("A line of this term and first day waits for a second person already.")) from None
    return change


def _fits(change: RateChange, band: RateBand | None) -> bool:
    return bands.holds(band, rent=change.monthly_rent, term_months=change.term_months, free_months=change.free_months)


def _published(change: RateChange, *, signed_from: date, now: datetime) -> RateChange:
    """Raises `NotSet`; nothing is kept of it then, for the caller's transaction is over."""
    was = Rate.objects.filter(
        building=change.building_id,
        room_type=change.room_type,
        term_months=change.term_months,
        free_months=change.free_months,
        signed_from=signed_from,
    ).first()
    if was and (was.monthly_rent, was.signed_to) == (change.monthly_rent, change.signed_to):
        raise NotSet(_("That is published already."), "monthly_rent")
    try:
        change.rate = rates.put(change, signed_from=signed_from, now=now)
    except rates.Contradicted as other:
        facts = {"rent": other.rent, "day": signed_from}
        raise NotSet(
            _("A rent of %(rent)s is published from %(day)s: give the new one a later first day.") % facts,
            "signed_from",
        ) from None
    change.state = State.PUBLISHED
    change.save()
    return change


@transaction.atomic
def explain(pk: int, *, why: str, by: User, now: datetime) -> RateChange:
    """Somebody stands for a line that a file brought, and says why; a second person may decide it now.

    Raises `NotSet`.
    """
    change = _waiting(pk)
    if change.asked_by_id:
        raise NotSet(_("Somebody has given the reason already."))
    if not why.strip():
        raise NotSet(_("Say why."))
    change.asked_by, change.why = by, why.strip()[:200]
    change.save(update_fields=["asked_by", "why"])
    return change


@transaction.atomic
def decide(pk: int, *, is_approved: bool, why: str, by: User, now: datetime) -> RateChange:
    """A second person has said yes or no; a first day that is over becomes the first one possible. Raises `NotSet`."""
    change = _waiting(pk)
    if change.asked_by_id == by.pk:
        raise NotSet(_("Who asked for it cannot decide it: a second person has to."))
    if not is_approved and not why.strip():
        raise NotSet(_("Say why it is refused."))
    change.decided_by, change.decided_at, change.answer = by, now, why.strip()[:200]
    if not is_approved:
        change.state = State.REFUSED
        change.save()
        return change
    if not change.asked_by_id:
        raise NotSet(_("A file brought it: one person gives the reason, and another approves."))
    today = clock.day_of(now)
    is_there = Rate.objects.filter(  # then it is another last day that was asked for
        building=change.building_id,
        room_type=change.room_type,
        term_months=change.term_months,
        free_months=change.free_months,
        signed_from=change.signed_from,
        monthly_rent=change.monthly_rent,
    ).exists()
    first = change.signed_from
    if not is_there:
        facts = {"room_type": change.room_type, "term_months": change.term_months, "free_months": change.free_months}
        first = max(first, earliest(change.building, **facts, today=today))  # type: ignore[arg-type]
    if change.signed_to < first:
        raise NotSet(_("Its last day is over: it cannot be published any more."))
    return _published(change, signed_from=first, now=now)


@transaction.atomic
def withdraw(pk: int, *, by: User, now: datetime) -> RateChange:
    """Who asked for a line no longer wants it. Raises `NotSet`."""
    change = _waiting(pk)
    if change.asked_by_id != by.pk:
        raise NotSet(_("Only who asked for it withdraws it; anybody else refuses it."))
    change.state, change.decided_by, change.decided_at = State.WITHDRAWN, by, now
    change.save(update_fields=["state", "decided_by", "decided_at"])
    return change


def waiting(buildings: Collection[int]) -> QuerySet[RateChange]:
    """The lines that wait for a second person, the oldest first."""
    rows = RateChange.objects.filter(building__in=buildings, state=State.WAITING)
    return rows.select_related("building", "asked_by", "band").order_by("asked_at", "pk")


def _waiting(pk: int) -> RateChange:
    rows = RateChange.objects.select_for_update(of=("self",)).select_related("building")
    change = rows.filter(pk=pk, state=State.WAITING).first()
    if change is None:
        raise NotSet(_("It waits for nobody any more."))
    return change
