"""The hours in which a person likes to hear offers: lines that are only added; the latest holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from tenants import consents, refusals
from tenants.models import ConsentText, Preference, Tenant, User

Hours = tuple[int, int] | None  # of Shanghai, the second not in it; None: any that are allowed

# The hours, [first, end) or null, of the people of `known (id, person)`, each with the rows they are known as.
OF_KNOWN_SQL = """
    SELECT DISTINCT ON (known.person) known.person, ARRAY[line.first_hour, line.end_hour] AS hours
    FROM known JOIN tenants_preference line ON line.tenant_id = known.id
    ORDER BY known.person, line.at DESC, line.id DESC
"""


def standing(tenant: Tenant) -> Preference | None:
    """The line that holds for the person; None where they never said."""
    return Preference.objects.filter(tenant__in=consents.rows_of(tenant)).order_by("-at", "-pk").first()


def prefer(
    tenant: Tenant,
    hours: Hours,
    *,
    now: datetime,
    proof: str,
    at: datetime | None = None,
    text: ConsentText | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Preference:
    """From `at` on offers to the person go between these hours; without it from now, whatever was said before.

    Raises `ValueError` for what is no span of a day.
    """
    first, end = hours if hours else (None, None)
    if first is not None and end is not None and not 0 <= first < end <= 24:
        raise ValueError(f"{first}-{end} is no span of a day")
    if at is None:
        latest = standing(tenant)
        at = max(now, latest.at) if latest else now  # a clock ahead of ours outlives no choice
    return Preference.objects.create(
        tenant_id=consents.person_of(tenant),
        first_hour=first,
        end_hour=end,
        text=text,
        proof=proof[:200],
        evidence=dict(evidence or {}),
        at=at,
        recorded_at=now,
    )


@transaction.atomic
def hear(tenant: Tenant, hours: Hours, *, who: str, at: datetime, words: str, by: User, now: datetime) -> Preference:
    """The wish that a member of staff heard has its line, of the moment it was said; told again it is the same line.

    Raises `refusals.NotHeard`. What the person chose after that moment stands.
    """
    who, words = refusals.checked(who, words, at, lacking=_("Say who said it, and in which words."), now=now)
    rows = consents.rows_of(tenant)
    Tenant.objects.select_for_update().filter(pk__in=[row.pk for row in rows]).order_by("pk").first()
    same = Preference.objects.filter(tenant__in=rows, at=at).order_by("-pk").first()
    if same and span(same) == hours:
        return same
    evidence = {"via": consents.STAFF, "by": by.pk, "who": who, "words": words}
    return prefer(tenant, hours, now=now, proof=f"staff:{by.pk}", at=at, evidence=evidence)


def span(line: Preference | None) -> Hours:
    """The hours of a line; of none: any."""
    if line is None or line.first_hour is None or line.end_hour is None:
        return None
    return line.first_hour, line.end_hour
