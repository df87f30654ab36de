"""Who held which unit on which day: the tenant a lease names, whoever they turned out to be."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

# The days of a signed lease as moments, its primary tenant as the lease names them, and the person (`root`) they
# are known as now. What is stored takes `tenant_id`, so that undoing a merge gives everybody back what was theirs.
HELD_SQL = """
    SELECT lease.id AS lease_id, lease.unit_id, who.tenant_id, coalesce(tenant.merged_into_id, tenant.id) AS root,
        lease.first_day::timestamp AT TIME ZONE 'Asia/Shanghai' AS from_at,
        (lease.last_day + 1)::timestamp AT TIME ZONE 'Asia/Shanghai' AS to_at
    FROM tenants_lease lease
    JOIN LATERAL (
        SELECT tenant_id FROM tenants_leasetenant
        WHERE lease_id = lease.id ORDER BY is_primary DESC, id LIMIT 1
    ) who ON true
    JOIN tenants_tenant tenant ON tenant.id = who.tenant_id
    WHERE lease.state = 'signed'
"""


def holder_of(unit: int, *, at: datetime) -> int | None:
    """The id of the person who held the unit at that moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT root FROM ({HELD_SQL}) held WHERE unit_id = %(unit)s AND from_at <= %(at)s AND to_at > %(at)s",  # noqa: S608
            {"unit": unit, "at": at},
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None
