"""Perks that the length of a stay unlocks, given by the day's run: the same for everybody, whoever they are.

The stay counts from the first day of a person's first lease with us. Whoever lives here today and has reached a
milestone is given its perk, once a person and milestone: the key is `roadmap:{tenant}:{milestone}`, and a person who
was given it under any of their rows has it, so that neither a repeated run nor a merge of two rows gives it again.
The dividend is a yearly one: each full year from the second on is a milestone, and that of the latest anniversary is
given; years before there was a dividend are not made up for. Where stock or budget is used up nothing is written, and
the next day asks again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from campaigns import granting
from renewal.roadmap import DIVIDEND, MILESTONES
from tenants import perks
from tenants.models import Grant, Perk

PREFIX = "roadmap:"  # of the keys of its lines

# Expects %(today)s, %(codes)s and %(months)s: the milestones that are reached once; %(dividend)s and %(after)s: the
# yearly one, and the months before its first. Months are added as renewal.offers does: clamped to the month's end.
_DUE_SQL = """
WITH who AS (
    SELECT lt.lease_id, coalesce(t.merged_into_id, t.id) AS person
    FROM tenants_leasetenant lt JOIN tenants_tenant t ON t.id = lt.tenant_id
),
stay AS (
    SELECT who.person, min(lease.first_day) AS since
    FROM who JOIN tenants_lease lease ON lease.id = who.lease_id AND lease.state = 'signed'
    GROUP BY who.person
),
home AS (
    SELECT DISTINCT ON (who.person) who.person, lease.id AS lease, unit.building_id AS building
    FROM who
    JOIN tenants_lease lease ON lease.id = who.lease_id AND lease.state = 'signed'
    JOIN tenants_unit unit ON unit.id = lease.unit_id
    LEFT JOIN renewal_case held ON held.lease_id = lease.id
    WHERE lease.first_day <= %(today)s AND (lease.last_day >= %(today)s OR held.state = 'holdover')
    ORDER BY who.person, lease.first_day DESC, lease.id DESC
),
reached AS (
    SELECT home.*, stay.since, once.code AS perk, once.code AS milestone, once.months
    FROM home JOIN stay USING (person)
    JOIN unnest(%(codes)s::text[], %(months)s::int[]) AS once (code, months)
        ON stay.since + make_interval(months => once.months) <= %(today)s
    UNION ALL
    SELECT home.*, stay.since, %(dividend)s, %(dividend)s || '-' || years, years * 12
    FROM home JOIN stay USING (person)
    CROSS JOIN LATERAL (SELECT extract(year FROM age(%(today)s, stay.since))::int AS whole) lived
    -- age() counts the anniversary of 29 February from 1 March; the roadmap names 28 February.
    CROSS JOIN LATERAL (SELECT lived.whole
        + (stay.since + make_interval(years => lived.whole + 1) <= %(today)s)::int AS years) full_years
    WHERE years * 12 >= %(after)s
)
SELECT person, lease, building, since, perk, milestone, months
FROM reached
WHERE NOT EXISTS (
    SELECT FROM tenants_tenant row
    JOIN tenants_grant line ON line.key = 'roadmap:' || row.id || ':' || reached.milestone
    WHERE row.id = reached.person OR row.merged_into_id = reached.person)
ORDER BY since, person, months
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A milestone that somebody has reached and was not given anything for."""

    person: int
    lease: int
    building: int
    since: date
    perk: str
    milestone: str
    months: int


def give(*, today: date, now: datetime) -> dict[str, int]:
    """Whoever has reached a milestone has its perk: {"given", "short"}: short, where stock or budget is used up."""
    rows = due(today=today)
    owners = granting.owners_of({row.building for row in rows}, today=today)
    of_perk: dict[str, list[Due]] = defaultdict(list)
    for row in rows:
        of_perk[row.perk].append(row)
    given = 0
    for perk in Perk.objects.filter(code__in=of_perk).order_by("pk"):
        expires_at = perks.expiry(perk, now=now)
        claims = [
            perks.Claim(
                key=key_of(row),
                tenant_id=row.person,
                lease_id=row.lease,
                owner_id=owners.get(row.building),
                reason=f"自 {row.since} 住满 {_span(row.months)}",
                expires_at=expires_at,
            )
            for row in of_perk[perk.code]
        ]
        given += len(perks.grant_many(perk, claims, now=now))
    return {"given": given, "short": len(rows) - given}


def given(*, since: datetime) -> list[Grant]:
    """What was given from that moment on, in its order."""
    lines = Grant.objects.filter(key__startswith=PREFIX, kind=Grant.Kind.GRANTED, granted_at__gte=since)
    return list(lines.select_related("perk").order_by("granted_at", "pk"))


def due(*, today: date) -> list[Due]:
    """Who has reached what and was not given it, whoever has lived here longest first."""
    once = dict(each for each in MILESTONES if each[0] != DIVIDEND)
    facts: dict[str, Any] = {
        "today": today,
        "codes": list(once),
        "months": list(once.values()),
        "dividend": DIVIDEND,
        "after": dict(MILESTONES)[DIVIDEND],
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE_SQL, facts)
        return [Due(*row) for row in cursor.fetchall()]


def key_of(row: Due) -> str:
    """What the line of the ledger is known by."""
    return f"{PREFIX}{row.person}:{row.milestone}"


def short(rows: Iterable[Due]) -> dict[str, int]:
    """By perk, how many of these wait for it."""
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        counts[row.perk] += 1
    return dict(counts)


def _span(months: int) -> str:
    years, rest = divmod(months, 12)
    return f"{months} 个月" if rest else f"{years} 年"
