"""The published rate card: per building, room type, term and free months, one rent for each signing day.

A published rent never changes. A new one is a new line that starts on a later day; a line may only be given
another last day. Of two lines that hold on a day, the one that started later counts.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import date, datetime
from decimal import Decimal

from django.db import connection
from django.utils.translation import gettext as _

from connectors.records import BadRecord, RateRecord
from connectors.runs import Counts
from renewal import offers
from renewal.models import Rate
from tenants.models import Building

Key = tuple[str, str, int, int, date]

# A line that is there already is given another last day, or left alone; its rent is never touched.
UPSERT = """
    insert into renewal_rate as line (building_id, room_type, term_months, free_months, monthly_rent, signed_from,
                                      signed_to, recorded_at)
    select b.id, r.room_type, r.term_months, r.free_months, r.monthly_rent, r.signed_from, r.signed_to, %(now)s
    from jsonb_to_recordset(%(rows)s::jsonb) as r (building text, room_type text, term_months int, free_months int,
                                                   monthly_rent numeric, signed_from date, signed_to date)
    join tenants_building b on b.code = r.building
    on conflict on constraint rate_once do update
    set signed_to = excluded.signed_to, recorded_at = excluded.recorded_at
    where line.monthly_rent = excluded.monthly_rent and line.signed_to <> excluded.signed_to
    returning (select code from tenants_building where id = line.building_id), room_type, term_months, free_months,
        signed_from
"""


def publish(records: Iterable[RateRecord | BadRecord], *, now: datetime) -> Counts:
    """The card holds every line of `records` that does not contradict a rent published before."""
    counts = Counts()
    rows: dict[Key, RateRecord] = {}
    buildings = set(Building.objects.values_list("code", flat=True))
    for row in records:
        if isinstance(row, BadRecord):
            counts.refused.append(row)
        elif row.building not in buildings:
            counts.refuse(row.line, _("There is no building %(code)s.") % {"code": row.building})
        elif row.free_months >= row.term_months:
            counts.refuse(row.line, _("A term cannot be free from its first month to its last."))
        elif (first := rows.setdefault(_key(row), row)) is not row:
            if (first.monthly_rent, first.signed_to) == (row.monthly_rent, row.signed_to):
                counts.repeat()
            else:
                counts.refuse(row.line, _("Another line of the file says something else for the same term and day."))
    new = _store(rows.values(), now=now)
    for key in new:
        counts.accept(line=rows[key].line)
    left = {key: row for key, row in rows.items() if key not in new}
    rents = _rents(left)
    for key, row in left.items():
        if rents[key] == row.monthly_rent:
            counts.repeat()
        else:
            reason = _(
                "A rent of %(rent)s is published for this term and day already. "
                "A published rent does not change: give the new one a later first day."
            )
            counts.refuse(row.line, reason % {"rent": rents[key]})
    return counts


def _key(row: RateRecord) -> Key:
    return row.building, row.room_type, row.term_months, row.free_months, row.signed_from


def _store(rows: Collection[RateRecord], *, now: datetime) -> set[Key]:
    """Write the lines; the keys of those that are new or have another last day."""
    plain = [
        {
            "building": row.building,
            "room_type": row.room_type,
            "term_months": row.term_months,
            "free_months": row.free_months,
            "monthly_rent": str(row.monthly_rent),
            "signed_from": row.signed_from.isoformat(),
            "signed_to": row.signed_to.isoformat(),
        }
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, {"rows": json.dumps(plain), "now": now})
        return set(cursor.fetchall())


def _rents(keys: Collection[Key]) -> dict[Key, Decimal]:
    lines = Rate.objects.filter(building__code__in={key[0] for key in keys}).values_list(
        "building__code", "room_type", "term_months", "free_months", "signed_from", "monthly_rent"
    )
    return {(code, kind, term, free, day): rent for code, kind, term, free, day, rent in lines}


def on(day: date, *, buildings: Collection[int]) -> dict[tuple[int, str], tuple[offers.Rate, ...]]:
    """The lines that hold for a signature on `day`, per (building, room type)."""
    lines = (
        Rate.objects.filter(building_id__in=buildings, signed_from__lte=day, signed_to__gte=day)
        .order_by("building_id", "room_type", "term_months", "free_months", "-signed_from")
        .distinct("building_id", "room_type", "term_months", "free_months")
    )
    published: dict[tuple[int, str], list[offers.Rate]] = {}
    for line in lines:
        rate = offers.Rate(line.term_months, line.free_months, line.monthly_rent, line.signed_to)
        published.setdefault((line.building_id, line.room_type), []).append(rate)
    return {key: tuple(rates) for key, rates in published.items()}
