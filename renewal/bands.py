"""Approved bands: between which rents a term of a room type may be published without asking again.

One person asks for a band and another approves it. The one approved last holds; earlier ones stay as they were.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from renewal import seconding
from renewal.models import RateBand
from renewal.seconding import NotSet
from tenants.models import Building, User

Key = tuple[int, str, int]  # building, room type, term in months
MOST = Decimal("9999999.99")
State = RateBand.State


def standing(buildings: Collection[int]) -> dict[Key, RateBand]:
    """The band that holds for each term of these buildings, of those that have one."""
    rows = (
        RateBand.objects.filter(building__in=buildings, state=State.STANDING)
        .order_by("building_id", "room_type", "term_months", "-decided_at", "-pk")
        .distinct("building_id", "room_type", "term_months")
    )
    return {(row.building_id, row.room_type, row.term_months): row for row in rows}


def holds(band: RateBand | None, *, rent: Decimal, term_months: int, free_months: int) -> bool:
    """Whether a line may be published under its band; any may where there is none.

    No month costs more than the highest rent, and over the whole term, free months included, a month brings no less
    than the lowest: rent ≤ highest, and rent · (term − free) ≥ lowest · term.
    """
    if band is None:
        return True
    return rent <= band.highest and rent * (term_months - free_months) >= band.lowest * term_months


def ask(
    building: Building,
    *,
    room_type: str,
    term_months: int,
    lowest: Decimal,
    highest: Decimal,
    why: str,
    by: User,
    now: datetime,
) -> RateBand:
    """A band waits for a second person. Raises `NotSet`."""
    if not why.strip():
        raise NotSet(_("Say why."), "band_why")
    if highest < lowest:
        raise NotSet(_("The highest rent is below the lowest."), "highest")
    if (was := standing([building.pk]).get((building.pk, room_type, term_months))) and (
        (was.lowest, was.highest) == (lowest, highest)
    ):
        raise NotSet(_("That is the band already."), "lowest")
    try:
        with transaction.atomic():
            return RateBand.objects.create(
                building=building,
                room_type=room_type,
                term_months=term_months,
                lowest=lowest,
                highest=highest,
                why=why.strip()[:200],
                asked_by=by,
                asked_at=now,
            )
    except IntegrityError:
        raise NotSet(_("A band of this term waits for a second person already."), "lowest") from None


def decide(pk: int, *, is_approved: bool, why: str, by: User, now: datetime) -> RateBand:
    """A second person has said yes or no. Raises `NotSet`."""
    return seconding.decide(RateBand, pk, is_approved=is_approved, why=why, by=by, now=now)


def withdraw(pk: int, *, by: User, now: datetime) -> RateBand:
    """Who asked for a band no longer wants it. Raises `NotSet`."""
    return seconding.withdraw(RateBand, pk, by=by, now=now)


def waiting(buildings: Collection[int]) -> QuerySet[RateBand]:
    """The bands that wait for a second person, the oldest first."""
    rows = RateBand.objects.filter(building__in=buildings, state=State.WAITING)
    return rows.select_related("building", "asked_by").order_by("asked_at", "pk")
