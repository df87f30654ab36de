"""For a while no playbook asks about a lease: its tenant has said something that a person is to answer first, several
are signing, or staff hold its letter back.

What is held back is no decision: once the days are over it goes out, as what waits for a repair does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime

from django.db import transaction

from campaigns.models import Push, Quiet, StepVersion
from tenants import clock
from tenants.models import Lease

# The line that holds at %(now)s. Expects `e`, an enrolment.
_HOLDS = """(
    SELECT {column} FROM campaigns_quiet quiet WHERE quiet.lease_id = e.lease_id AND quiet.at <= %(now)s
    ORDER BY quiet.at DESC, quiet.id DESC LIMIT 1)"""
WHY_SQL = f"CASE WHEN {_HOLDS.format(column='quiet.until')} > %(today)s THEN {_HOLDS.format(column='quiet.why')} END"


@transaction.atomic
def keep(untils: Mapping[Lease, date], *, why: str, now: datetime) -> None:
    """No playbook asks about these leases, each before its day; what was planned for them waits as well."""
    why = why[:200]
    Quiet.objects.bulk_create(Quiet(lease=lease, until=until, why=why, at=now) for lease, until in untils.items())
    asks = Push.objects.filter(lease__in=untils, state=Push.State.PLANNED, said__kind=StepVersion.Kind.ASK)
    asks.update(state=Push.State.HELD, held_on=clock.day_of(now), reason=why)


def lift(lease: Lease, *, now: datetime) -> None:
    """Playbooks ask about it again, if they did not."""
    lift_all([lease.pk], now=now)


def lift_all(leases: Collection[int], *, now: datetime, why: str = "") -> None:
    """Playbooks ask about these again; with `why` only about those that were quiet for that reason."""
    today = clock.day_of(now)
    last = Quiet.objects.filter(lease__in=leases, at__lte=now).order_by("lease_id", "-at", "-pk").distinct("lease_id")
    kept = [line.lease_id for line in last if line.until > today and why[:200] in ("", line.why)]
    Quiet.objects.bulk_create(Quiet(lease_id=lease, until=today, why="", at=now) for lease in kept)


def until(lease: Lease, *, now: datetime) -> date | None:
    """The day from which on they ask again; none where they ask."""
    last = Quiet.objects.filter(lease=lease, at__lte=now).order_by("-at", "-pk").first()
    return last.until if last and last.until > clock.day_of(now) else None
