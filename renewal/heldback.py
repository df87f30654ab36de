"""Which leases a batch has held back: their tenants read that it is a little early, until somebody releases them."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from renewal.models import BatchLine


def lines() -> QuerySet[BatchLine]:
    """The leases that are held back now."""
    return BatchLine.objects.filter(verdict=BatchLine.Verdict.HELD, released_at=None)


def of(lease_id: str) -> Exists:
    """A condition: the lease that the outer row names so is held back."""
    return Exists(lines().filter(lease=OuterRef(lease_id)))
