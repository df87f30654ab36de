"""The leads of a building as staff see them: what letters prepared today would begin with, per month of ending."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import connection

from renewal import caps, leading, leads, proposals
from renewal.leads import Facts, Lead
from tenants.models import Building

OPEN = """
    select u.room_type, date_trunc('month', l.last_day)::date, max(l.last_day), count(*)
    from renewal_case c join tenants_lease l on l.id = c.lease_id join tenants_unit u on u.id = l.unit_id
    where u.building_id = %(building)s and c.state = any(%(states)s) and l.last_day >= %(today)s
    group by 1, 2 order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Month:
    """The open cases of a room type whose leases end in one month; the lead is that of those that end last in it."""

    first: date
    n: int
    lead: Lead


@dataclass(frozen=True, slots=True)
class Board:
    """`facts` are what leads are weighed by, none while too little has ended in the house; `types` by room type."""

    facts: Facts | None
    types: dict[str, list[Month]]


def board(building: Building, *, today: date, now: datetime) -> Board:
    """What letters prepared today would begin with."""
    known = leading.facts([building.pk], today=today, now=now).get(building.pk)
    if known is None:
        return Board(None, {})
    published, full = caps.published(today, buildings=[building.pk])
    states = [str(state) for state in proposals.OPEN]
    with connection.cursor() as cursor:
        cursor.execute(OPEN, {"building": building.pk, "states": states, "today": today})
        rows = cursor.fetchall()
    types: dict[str, list[Month]] = {}
    for room_type, month, last_day, n in rows:
        key, first_day = (building.pk, room_type), last_day + timedelta(days=1)
        lines, _shut = caps.split(
            published.get(key, ()), full.get(key, ()), first_day=first_day, anchor_day=first_day.day
        )
        lead = leads.choose(
            lines,
            first_day=first_day,
            anchor_day=first_day.day,
            facts=known,
            above_percent=settings.LEAD_ABOVE_PERCENT,
        )
        if lead:
            types.setdefault(room_type, []).append(Month(month, n, lead))
    return Board(known, types)
