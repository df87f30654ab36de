"""What touchpoints did: seen, opened, clicked and signed by touchpoint, and what showing them on drawn days made of it.

A **proven click** of a touchpoint is a person who came to their letter through it: by the common door with a code, or
by a ticket with a tap. A **signature** belongs to the touchpoint by which the letter was opened last in the 14 days
before it; if it was opened last by a message, it belongs to none. The **effect** of showing counts, on days with it
and without, all people of the building who opened their letter that day by whatever way: on a day without it nobody
comes through it, so that its own clicks could only flatter it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import connection
from django.db.models import Sum

from campaigns import placing
from campaigns.models import Placement, Touchpoint, TouchpointDay
from tenants import clock
from tenants.models import Building

WINDOW = 14  # days from an opening to the signature that may still be its work
SEEN = ("shown", "played", "opened", "machines")
CAME = ("clicked", "signed")

# By which touchpoint who came when. `door:<code>:…` and `once:<code>:…` are the carriers of such links; the door names
# its entrance for a second device "device", which is no way in.
_CLICKED_SQL = """
    SELECT split_part(link.carrier, ':', 2), coalesce(reader.merged_into_id, reader.id)
    FROM tenants_click click
    JOIN tenants_link link ON link.id = click.link_id
    JOIN tenants_tenant reader ON reader.id = link.tenant_id
    WHERE link.carrier ~ '^(door|once):' AND click.proven_at >= %(start)s AND click.proven_at < %(end)s
"""
_SIGNED_SQL = """
    SELECT split_part(last.carrier, ':', 2), coalesce(signer.merged_into_id, signer.id)
    FROM renewal_signature signature
    JOIN renewal_proposal proposal ON proposal.id = signature.proposal_id
    JOIN tenants_tenant signer ON signer.id = signature.signer_id
    CROSS JOIN LATERAL (
        SELECT link.carrier FROM tenants_link link
        JOIN tenants_click click ON click.link_id = link.id
        JOIN tenants_tenant reader ON reader.id = link.tenant_id
        WHERE link.lease_id = proposal.lease_id AND link.carrier NOT LIKE 'door:device:%%'
            AND coalesce(reader.merged_into_id, reader.id) = coalesce(signer.merged_into_id, signer.id)
            AND click.proven_at IS NOT NULL AND click.opened_at <= signature.signed_at
            AND click.opened_at > signature.signed_at - make_interval(days => %(window)s)
        ORDER BY click.opened_at DESC, link.id DESC LIMIT 1
    ) last
    WHERE last.carrier ~ '^(door|once):' AND signature.signed_at >= %(start)s AND signature.signed_at < %(end)s
"""
# People by building and day of their opening, and how many of them signed within the window after it.
_DAYS_SQL = """
    SELECT building.code, opening.day, count(*), count(*) FILTER (WHERE opening.signed)
    FROM (
        SELECT unit.building_id, (click.proven_at AT TIME ZONE 'Asia/Shanghai')::date AS day,
            coalesce(reader.merged_into_id, reader.id) AS person,
            bool_or(EXISTS (
                SELECT FROM renewal_signature signature
                JOIN renewal_proposal proposal ON proposal.id = signature.proposal_id
                JOIN tenants_tenant signer ON signer.id = signature.signer_id
                WHERE proposal.lease_id = link.lease_id
                    AND coalesce(signer.merged_into_id, signer.id) = coalesce(reader.merged_into_id, reader.id)
                    AND signature.signed_at >= click.proven_at
                    AND signature.signed_at < click.proven_at + make_interval(days => %(window)s)
            )) AS signed
        FROM tenants_click click
        JOIN tenants_link link ON link.id = click.link_id
        JOIN tenants_tenant reader ON reader.id = link.tenant_id
        JOIN tenants_lease lease ON lease.id = link.lease_id
        JOIN tenants_unit unit ON unit.id = lease.unit_id
        WHERE click.proven_at >= %(start)s AND click.proven_at < %(end)s
        GROUP BY 1, 2, 3
    ) opening
    JOIN tenants_building building ON building.id = opening.building_id
    GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a draw of days says by now: of openings, and of signatures, which are known two weeks later."""

    placement: Placement
    buildings: int
    opened: placing.Estimate | None
    signed: placing.Estimate | None


def seen(first: date, last: date) -> dict[int, dict[str, int]]:
    """Sums of the days between two, both inclusive, by touchpoint: {id: {"shown", "played", "opened", "machines"}}."""
    rows = TouchpointDay.objects.filter(day__gte=first, day__lte=last)
    sums = rows.values_list("touchpoint").annotate(*map(Sum, SEEN))
    return {pk: dict(zip(SEEN, figures, strict=True)) for pk, *figures in sums}


def came(what: str, first: date, last: date) -> dict[str, set[int]]:
    """People by the code they came through, between two days: who clicked (proven) or signed (`what`)."""
    found: dict[str, set[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute({"clicked": _CLICKED_SQL, "signed": _SIGNED_SQL}[what], _between(first, last))
        for code, person in cursor.fetchall():
            found.setdefault(code, set()).add(person)
    return found


def effect(one: Touchpoint, *, today: date) -> Effect | None:
    """What the latest draw of a touchpoint's days says; none if there was no draw. Only days that are over count."""
    drawn = Placement.objects.filter(touchpoint=one).order_by("-first_day", "-pk").first()
    if drawn is None:
        return None
    everywhere = Building.objects.order_by("code").values_list("code", flat=True)
    codes = [one.building.code] if one.building else list(everywhere)
    last = min(drawn.last_day or today, today - timedelta(days=1))
    people = _days(drawn.first_day, last) if drawn.first_day <= last else {}

    def estimate(which: int, until: date) -> placing.Estimate | None:
        pairs = placing.pairs(drawn.seed, codes, drawn.first_day, until)
        nobody = (0, 0)
        counts = [
            (people.get((pair.building, pair.on), nobody)[which], people.get((pair.building, pair.off), nobody)[which])
            for pair in pairs
        ]
        return placing.estimate(counts)

    return Effect(
        placement=drawn,
        buildings=len(codes),
        opened=estimate(0, last),
        signed=estimate(1, min(last, today - timedelta(days=WINDOW + 1))),
    )


def _days(first: date, last: date) -> dict[tuple[str, date], tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_DAYS_SQL, _between(first, last))
        return {(code, day): (opened, signed) for code, day, opened, signed in cursor.fetchall()}


def _between(first: date, last: date) -> dict[str, Any]:
    return {"start": clock.at(first), "end": clock.at(last + timedelta(days=1)), "window": WINDOW}
