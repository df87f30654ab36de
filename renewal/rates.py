"""The published rate card: per building, room type, term and free months, one rent for each signing day.

A published rent never changes. A new one is a new line that starts on a later day; a line may only be given
another last day. Of two lines that hold on a day, the one that started later counts.

Where a band is approved for a term (renewal/bands.py), a line outside it waits for a second person, whoever brought
it; a line that is there already may be shortened freely.
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
from renewal import bands, offers
from renewal.models import Rate, RateBand, RateChange
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
# Of the lines that hold on a day, the one that started last.
HOLDING = """
    select distinct on (building_id, room_type, term_months, free_months)
        building_id, room_type, term_months, free_months, monthly_rent, signed_to
    from renewal_rate
    where building_id = any(%(buildings)s) and signed_from <= %(day)s and signed_to >= %(day)s
    order by building_id, room_type, term_months, free_months, signed_from desc
"""


def publish(records: Iterable[RateRecord | BadRecord], *, now: datetime) -> Counts:
    """The card holds every line of `records` that does not contradict a rent published before.

    A line outside its band is accepted too, but waits for a second person: `counts.waiting` names it.
    """
    counts = Counts()
    rows: dict[Key, RateRecord] = {}
    buildings = dict(Building.objects.values_list("code", "pk"))
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
    for key in _hold_back(rows, buildings, counts, now=now):
        del rows[key]
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


class Contradicted(Exception):
    """Another rent is published for the same term and first day."""

    def __init__(self, rent: Decimal) -> None:
        super().__init__(str(rent))
        self.rent = rent


def put(change: RateChange, *, signed_from: date, now: datetime) -> Rate:
    """The line stands on the card from this day. Raises `Contradicted`. To be called within a transaction."""
    row = RateRecord(
        line=0,
        building=change.building.code,
        room_type=change.room_type,
        term_months=change.term_months,
        free_months=change.free_months,
        monthly_rent=change.monthly_rent,
        signed_from=signed_from,
        signed_to=max(signed_from, change.signed_to),
    )
    _store([row], now=now)
    rate = Rate.objects.get(
        building=change.building_id,
        room_type=change.room_type,
        term_months=change.term_months,
        free_months=change.free_months,
        signed_from=signed_from,
    )
    if rate.monthly_rent != change.monthly_rent:
        raise Contradicted(rate.monthly_rent)
    return rate


def _hold_back(
    rows: dict[Key, RateRecord], buildings: dict[str, int], counts: Counts, *, now: datetime
) -> Collection[Key]:
    """The lines that may not be published by themselves are counted, and wait if they are new; their keys."""
    of_term = bands.standing({buildings[key[0]] for key in rows})
    if not of_term:
        return []
    known = _lines(rows)
    outside: dict[Key, RateBand] = {}
    for key, row in rows.items():
        band = of_term.get((buildings[row.building], row.room_type, row.term_months))
        if key in known and (known[key][0] != row.monthly_rent or row.signed_to <= known[key][1]):
            continue  # refused for its rent, or no more is published than was
        fits = bands.holds(band, rent=row.monthly_rent, term_months=row.term_months, free_months=row.free_months)
        if band is not None and not fits:
            outside[key] = band
    asked = _asked(outside, buildings)
    new = []
    for key, band in outside.items():
        row, before = rows[key], asked.get(key, [])
        same = [each for each in before if (each.monthly_rent, each.signed_to) == (row.monthly_rent, row.signed_to)]
        open_or_done = {RateChange.State.WAITING, RateChange.State.PUBLISHED}
        if any(each.state in open_or_done for each in same):
            counts.repeat()
        elif same:
            counts.refuse(
                row.line,
                _("A person decided against this line before (%(why)s).") % {"why": same[0].answer or _("withdrawn")},
            )
        elif any(each.state == RateChange.State.WAITING for each in before):
            counts.refuse(row.line, _("Another rent waits for a second person for this term and day."))
        else:
            facts = {"lowest": band.lowest, "highest": band.highest}
            reason = _("Outside the band %(lowest)s to %(highest)s: it waits for a second person.") % facts
            counts.wait(row.line, reason)
            new.append(_change(row, band, building=buildings[row.building], now=now))
    # Of two files that bring one line at once, one brings it.
    RateChange.objects.bulk_create(new, ignore_conflicts=True, batch_size=500)
    return outside.keys()


def _change(row: RateRecord, band: RateBand, *, building: int, now: datetime) -> RateChange:
    return RateChange(
        building_id=building,
        room_type=row.room_type,
        term_months=row.term_months,
        free_months=row.free_months,
        monthly_rent=row.monthly_rent,
        signed_from=row.signed_from,
        signed_to=row.signed_to,
        is_inside=False,
        band=band,
        asked_at=now,
    )


def _asked(keys: Collection[Key], buildings: dict[str, int]) -> dict[Key, list[RateChange]]:
    """What was asked for before under these keys, the latest first."""
    found: dict[Key, list[RateChange]] = {}
    if keys:
        rows = RateChange.objects.filter(building__in={buildings[key[0]] for key in keys}).select_related("building")
        for each in rows.order_by("-pk"):
            key = (each.building.code, each.room_type, each.term_months, each.free_months, each.signed_from)
            found.setdefault(key, []).append(each)
    return found


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
    return {key: rent for key, (rent, _last) in _lines(keys).items()}


def _lines(keys: Collection[Key]) -> dict[Key, tuple[Decimal, date]]:
    """Rent and last day of the lines published in the buildings of these keys."""
    lines = Rate.objects.filter(building__code__in={key[0] for key in keys}).values_list(
        "building__code", "room_type", "term_months", "free_months", "signed_from", "monthly_rent", "signed_to"
    )
    return {(code, kind, term, free, day): (rent, last) for code, kind, term, free, day, rent, last in lines}


def on(day: date, *, buildings: Collection[int]) -> dict[tuple[int, str], tuple[offers.Rate, ...]]:
    """The lines that hold for a signature on `day`, per (building, room type)."""
    published: dict[tuple[int, str], list[offers.Rate]] = {}
    with connection.cursor() as cursor:
        cursor.execute(HOLDING, {"day": day, "buildings": list(buildings)})
        for building, room_type, *line in cursor.fetchall():
            published.setdefault((building, room_type), []).append(offers.Rate(*line))
    return {key: tuple(rates) for key, rates in published.items()}
