"""For a while no playbook asks about a lease: its tenant has said something that a person is to answer first.

What is held back is no decision: once the days are over it goes out, as what waits for a repair does.
"""

from __future__ import annotations

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
def keep(lease: Lease, *, until: date, why: str, now: datetime) -> Quiet:
    """No playbook asks about the lease before `until`; what was planned for it waits as well."""
    line = Quiet.objects.create(lease=lease, until=until, why=why[:200], at=now)
    asks = Push.objects.filter(lease=lease, state=Push.State.PLANNED, said__kind=StepVersion.Kind.ASK)
    asks.update(state=Push.State.HELD, held_on=clock.day_of(now), reason=line.why)
    return line


def lift(lease: Lease, *, now: datetime) -> None:
    """Playbooks ask about it again, if they did not."""
    today = clock.day_of(now)
    if until(lease, now=now):
        Quiet.objects.create(lease=lease, until=today, why="", at=now)


def until(lease: Lease, *, now: datetime) -> date | None:
    """The day from which on they ask again; none where they ask."""
    last = Quiet.objects.filter(lease=lease, at__lte=now).order_by("-at", "-pk").first()
    return last.until if last and last.until > clock.day_of(now) else None
