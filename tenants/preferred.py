"""The hours in which a person likes to hear offers: lines that are only added; the latest holds."""

from __future__ import annotations

from datetime import datetime

from tenants.models import Preference, Tenant

# The hours, [first, end) or null, of the people of `known (id, person)`, each with the rows they are known as.
OF_KNOWN_SQL = """
    SELECT DISTINCT ON (known.person) known.person, ARRAY[line.first_hour, line.end_hour] AS hours
    FROM known JOIN tenants_preference line ON line.tenant_id = known.id
    ORDER BY known.person, line.at DESC, line.id DESC
"""


def prefer(tenant: Tenant, hours: tuple[int, int] | None, *, now: datetime, proof: str) -> Preference:
    """From now on offers to the person go between these hours of Shanghai, the second not in it; None: at any allowed.

    Raises `ValueError` for what is no span of a day.
    """
    first, end = hours if hours else (None, None)
    if first is not None and end is not None and not 0 <= first < end <= 24:
        raise ValueError(f"{first}-{end} is no span of a day")
    person = tenant.merged_into_id or tenant.pk
    return Preference.objects.create(tenant_id=person, first_hour=first, end_hour=end, proof=proof[:200], at=now)
