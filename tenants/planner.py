"""What PostgreSQL's planner believes about the size of the big tables.

It learns that from `ANALYZE`, which the server runs by itself a minute or so after a big change, and
never sees rows of a transaction still open. A plan made for an empty table and run over a million rows takes
hours, so whoever has just written many says so.
"""

from django.db import connection

MANY = 1000
TABLES = (
    "tenants_event", "tenants_tenant", "tenants_alias", "tenants_consent", "tenants_unit", "tenants_lease",
    "tenants_leasetenant", "tenants_feature",
)  # fmt: skip


def look_again() -> None:
    """The planner knows how large the tables are now: a second for millions of rows, since it takes a sample."""
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(TABLES)}")


def look_again_if_grown(table: str, rows: int) -> None:
    """The planner knows that the table has so many rows, give or take half."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [table])
        if rows >= MANY and rows > 2 * cursor.fetchone()[0]:
            cursor.execute(f"ANALYZE {table}")
