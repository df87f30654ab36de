"""备案: every signed renewal is filed with the housing authority in time."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.conf import settings

from renewal.models import FilingTask
from tenants.models import Lease


def open_task(lease: Lease, *, today: date, now: datetime) -> FilingTask:
    """There is one task to file this lease, due as many days after its signature as the law leaves."""
    due_on = today + timedelta(days=settings.FILING_DAYS)
    return FilingTask.objects.get_or_create(lease=lease, defaults={"due_on": due_on, "created_at": now})[0]
