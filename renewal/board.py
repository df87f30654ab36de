"""What the dashboard shows: the figures of today, what ends in the weeks ahead, and the latest renewals."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db.models import OuterRef, Subquery

from renewal import days, kpis
from renewal.models import Signature
from tenants import access
from tenants.access import Somebody
from tenants.models import Building, JobRun, Lease

LATEST = 8


def board(user: Somebody, *, code: str, today: date, now: datetime) -> dict[str, Any]:
    """The figures over a person's buildings, or the one of them that `code` names."""
    mine = list(access.buildings_for(user, today=today, roles=access.SEES_PEOPLE).order_by("code"))
    chosen = [building for building in mine if building.code == code] or mine
    figures = kpis.figures_by_building(day=today, building=chosen, now=now)
    return {
        "buildings": mine,
        "chosen": chosen[0] if len(chosen) == 1 and len(mine) > 1 else None,
        "figures": figures[None],
        "of_building": [(building, figures[building.pk]) for building in chosen],
        "weeks": kpis.endings(day=today, building=chosen, now=now),
        "effect": kpis.effect(day=today, building=chosen, now=now),
        "renewals": latest_renewals(chosen),
        "run": JobRun.objects.filter(job=days.JOB, period=today.isoformat()).first(),
    }


def latest_renewals(buildings: list[Building]) -> list[Any]:
    """The renewals signed last, here or on paper."""
    here = Signature.objects.filter(lease=OuterRef("pk")).order_by("-signed_at").values("signed_at")[:1]
    return list(
        Lease.objects.filter(renews__isnull=False, state=Lease.State.SIGNED, unit__building__in=buildings)
        .annotate(signed_here_at=Subquery(here))
        .select_related("unit__building", "renews")
        .prefetch_related("tenants")
        .order_by("-signed_on", "-recorded_at", "-pk")[:LATEST]
    )
