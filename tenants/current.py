"""What is known of each tenant is what has happened: in full when a day begins, and within seconds of an event."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection, transaction
from django.db.models import Max

from tenants import clock, features, tags
from tenants.models import DirtyTenant, Feature


@dataclass(frozen=True, slots=True)
class Freshness:
    """When features and tags were last computed, and of how many people something has happened since."""

    at: datetime | None
    behind: int


LOCK = 0xF0110  # any number, the same in every process
# When more than one in so many is marked, reading every event once is quicker than looking theirs up.
SHARE = 5


def compute(*, today: date, now: datetime, tenants: Collection[int] | None = None) -> int:
    """The feature rows and the tags of these tenants, or of everybody, are those of `today`; how many rows."""
    with transaction.atomic():
        written = features.refresh(today=today, now=now, tenants=tenants)
        tags.recompute(today=today, now=now, tenants=tenants)
    return written


def catch_up(*, now: datetime) -> int:
    """Whoever is marked has been computed again, and everybody once the day has changed; how many rows.

    One process does it at a time; another returns at once.
    """
    today = clock.day_of(now)
    with transaction.atomic():
        if not _alone():
            return 0
        rows = Feature.objects.count()
        if Feature.objects.exclude(day=today).exists() or DirtyTenant.objects.count() * SHARE > rows:
            return compute(today=today, now=now)
        if marked := features.marked():
            return compute(today=today, now=now, tenants=features.and_beside(marked))
    return 0


def freshness(tenant: int | None = None) -> Freshness:
    """How fresh is what is known of everybody, or of one person."""
    rows, marks = Feature.objects.all(), DirtyTenant.objects.all()
    if tenant is not None:
        known = features.rows_of([tenant])
        rows, marks = rows.filter(pk__in=known), marks.filter(pk__in=known)
    return Freshness(rows.aggregate(at=Max("computed_at"))["at"], marks.count())


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])
