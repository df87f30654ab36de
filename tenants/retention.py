"""What is kept no longer than it may be."""

from __future__ import annotations

from datetime import date, timedelta

from django.conf import settings
from django.db import connection, transaction

from connectors.records import Kind
from tenants import clock

# The same statement deletes and counts, so that no opening is lost between the two or counted twice.
_FORGET_SQL = """
WITH gone AS (
    DELETE FROM tenants_event WHERE kind = %(kind)s AND at < %(limit)s RETURNING tenant_id, at
),
kept AS (
    INSERT INTO tenants_doormonth (tenant_id, month, openings)
    SELECT tenant_id, date_trunc('month', at AT TIME ZONE 'Asia/Shanghai')::date, count(*)
    FROM gone
    -- Events carry no foreign key; an opening of a tenant who was erased is only forgotten.
    WHERE tenant_id IN (SELECT id FROM tenants_tenant)
    GROUP BY 1, 2
    ORDER BY 1, 2
    ON CONFLICT (tenant_id, month) DO UPDATE SET openings = tenants_doormonth.openings + excluded.openings
)
SELECT count(*) FROM gone
"""


def forget_doors(*, today: date) -> int:
    """Door logs older than `settings.DOOR_LOG_DAYS` are monthly counts only; returns how many raw rows went."""
    limit = clock.at(today - timedelta(days=settings.DOOR_LOG_DAYS))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_FORGET_SQL, {"kind": Kind.DOOR_OPENED, "limit": limit})
        (gone,) = cursor.fetchone()
    return int(gone)
