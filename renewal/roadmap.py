"""居住成就路线图: what the length of a stay unlocks, the same for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import Q

from renewal import offers
from tenants.models import Lease, Tenant

DIVIDEND = "partner"  # given again for each further year
MILESTONES = (("cleaning", 6), ("first_choice", 12), (DIVIDEND, 24))  # what, after so many months


@dataclass(frozen=True, slots=True)
class Step:
    code: str
    months: int
    on: date
    is_reached: bool


def living_since(tenant: Tenant) -> date:
    """The first day of the tenant's first lease."""
    theirs = Lease.objects.filter(Q(tenants=tenant) | Q(tenants__merged_into=tenant), state=Lease.State.SIGNED)
    first = theirs.order_by("first_day").first()
    assert first is not None  # noqa: S101 — asked only of people who have just signed
    return first.first_day


def steps(since: date, *, today: date) -> tuple[Step, ...]:
    """Each milestone with its day."""
    days = [(code, months, offers.add_months(since, months, since.day)) for code, months in MILESTONES]
    return tuple(Step(code, months, on, on <= today) for code, months, on in days)
