"""Which leases there is something to ask about, and whom personal wording may reach."""

from collections.abc import Collection

from django.db import connection

from tenants import consents

# Those to whom personal wording may be said: tenant_id. Expects %(channel)s.
PERSONAL_SQL = f"""
    SELECT consent.tenant_id
    FROM ({consents.CURRENT_SQL}) consent
    WHERE consent.purpose = 'profiling' AND consent.granted
      AND consent.tenant_id NOT IN ({consents.GENERAL_SQL})"""  # noqa: S608

# The same for the persons %(people)s, without reading what the others ever said.
_PERSONAL_OF_SQL = f"""
    WITH known AS (
        SELECT id, coalesce(merged_into_id, id) AS person FROM tenants_tenant
        WHERE id = ANY(%(people)s) OR merged_into_id = ANY(%(people)s)
    )
    SELECT person FROM ({consents.PROFILE_OF_KNOWN_SQL}) profile WHERE granted AND person = ANY(%(people)s)"""  # noqa: S608

# A lease there is still something to ask about. Expects `lease`.
GOES_ON_SQL = """
    lease.state = 'signed' AND lease.ended_by = '' AND lease.last_day >= %(today)s
    AND NOT EXISTS (SELECT FROM tenants_lease next WHERE next.renews_id = lease.id AND next.state <> 'void')"""


def personal(people: Collection[int]) -> set[int]:
    """Those of these persons to whom personal wording may be said: they agree, and did not choose otherwise."""
    with connection.cursor() as cursor:
        cursor.execute(_PERSONAL_OF_SQL, {"people": list(people), "channel": consents.ANY})
        return {person for (person,) in cursor.fetchall()}
