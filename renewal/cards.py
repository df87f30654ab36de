"""What a lease may be offered: the published lines of its room, rooms that are really vacant, and the perks.

Nothing about a person is read here. Whoever holds the same lease on the same day is shown the same card.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from renewal import caps, offers
from renewal.models import Case
from tenants import perksums, rows
from tenants.models import Lease, Perk
from tenants.plans import Planned

OTHER_ROOMS = 3

# A unit is listed only if nobody may live in it any more when the renewal would begin: no signed lease reaches
# that day, no contract waits for a person's word, no tenant holds the priority that an undecided case or a
# holdover gives, and none has said yes by word of mouth (renewal/spoken.py). One room of each type, dearer types
# before cheaper ones, the nearest rent first. Which of several alike is drawn by lot, the same at every look, so that
# not all neighbours are shown the one room; one that is kept for somebody else at this moment (renewal/holds.py) is
# drawn only where all of its type are.
VACANT = Planned("""
    with wanted as (
        select l.id as lease_id, l.unit_id, own.building_id, own.list_rent, l.last_day + 1 as first_day
        from tenants_lease l join tenants_unit own on own.id = l.unit_id
        where l.id = any(%(leases)s)
    ), vacant as (
        select w.lease_id, w.list_rent as own_rent, u.*, (
            select max(h.until) from renewal_hold h join renewal_proposal p on p.id = h.proposal_id
            where h.unit_id = u.id and p.lease_id <> w.lease_id and h.until > %(now)s::timestamptz
        ) as held_until, (
            select max(l.last_day) + 1 from tenants_lease l where l.unit_id = u.id and l.state = 'signed'
        ) as free_from
        from wanted w join tenants_unit u on u.building_id = w.building_id and u.id <> w.unit_id
        where not exists (
            select from tenants_lease l left join renewal_case c on c.lease_id = l.id
            where l.unit_id = u.id and l.state = 'signed' and (
                l.last_day >= w.first_day
                or coalesce(c.state, case when l.last_day >= %(today)s then 'upcoming' else 'moved_out' end)
                   <> all(%(gone)s)
                -- A notice that staff have not confirmed may be withdrawn: nobody else is offered the room.
                or c.state = 'notice' and l.ended_by <> 'tenant' and exists (
                    select from renewal_notice n
                    where n.case_id = c.id and not n.only_them and n.confirmed_at is null and n.withdrawn_at is null
                )
            )
        ) and not exists (select from tenants_waitingcontract c where c.unit_id = u.id)
        -- Several who sign for it together have it until their deadline (renewal/rounds.py).
        and not exists (
            select from renewal_round r where r.unit_id = u.id and r.state = 'open' and r.lease_id <> w.lease_id
        )
        -- A verbal yes keeps it, but breaks no promise that was made before.
        and not exists (
            select from renewal_case c join tenants_lease l on l.id = c.lease_id cross join lateral (
                select f.said, f.at from renewal_fact f
                where f.case_id = c.id and f.kind = 'word' order by f.at desc, f.id desc limit 1
            ) as word
            where l.unit_id = u.id and word.said ->> 'until' >= %(today)s::date::text and not exists (
                select from renewal_hold h join renewal_proposal p on p.id = h.proposal_id
                where h.unit_id = u.id and p.lease_id = w.lease_id
                    and h.until > %(now)s::timestamptz and h.taken_at < word.at
            ) and not exists (
                select from renewal_round r
                where r.unit_id = u.id and r.lease_id = w.lease_id and r.state = 'open' and r.opened_at < word.at
            )
        )
    ), of_type as (
        select *, row_number() over (
            partition by lease_id, room_type order by held_until is not null, md5(lease_id || ':' || code)
        ) as place
        from vacant where building_id || ':' || room_type = any(%(types)s)
    ), near as (
        select *, row_number() over (
            partition by lease_id, place order by list_rent < own_rent, abs(list_rent - own_rent), code
        ) as nth
        from of_type
    )
    select lease_id, code, room_type, area, floor, list_rent, building_id, held_until, free_from
    from near
    where case when %(named)s then code = any(%(units)s::text[]) else place = 1 and nth <= %(most)s end
    order by lease_id, list_rent < own_rent, abs(list_rent - own_rent), code
""")
_PERKS = rows.Joined("tenants_perk perk", perk=Perk)
OFFERED = """
    perk.is_choice and (perk.stock is null or perk.stock > 0)
    and (perk.offered_from is null or perk.offered_from <= %(today)s)
    and (perk.offered_to is null or perk.offered_to >= %(today)s)
    order by perk.code
"""
GONE = [
    Case.State.SIGNED,  # the next lease speaks for itself
    Case.State.TRANSFERRED,
    Case.State.NOTICE,
    Case.State.MOVED_OUT,
    Case.State.ENDED_BY_OPERATOR,
]


def build(
    leases: Collection[Lease],
    *,
    today: date,
    now: datetime | None = None,
    only: Mapping[int, Collection[str]] | None = None,
    capped: bool = True,
) -> dict[int, offers.Card]:
    """The card of each lease as published on `today`, in three queries.

    With `only` (lease → unit codes) no other room is put on the card than those named, if still vacant. Rooms that
    are kept for others at `now` are named apart; without `now` nobody's hold is looked at. Terms that would end in a
    full week are left out, unless it is asked what is published whether or not there is a place (`capped`).
    """
    published, full = caps.published(today, buildings={lease.unit.building_id for lease in leases})
    perks = _perks(today)
    others, held = _others(leases, published=published, today=today, now=now, only=only)
    cards = {}
    for lease in leases:
        first_day = lease.last_day + timedelta(days=1)
        anchor_day = offers.anchor_for(first_day, lease.anchor_day)
        own = offers.Room(
            unit=lease.unit.code,
            room_type=lease.unit.room_type,
            area=lease.unit.area,
            floor=lease.unit.floor,
            deposit=lease.deposit,  # stays where it is
            rates=published.get((lease.unit.building_id, lease.unit.room_type), ()),
        )
        rooms = [own, *others.get(lease.pk, ())]
        if capped:
            building = lease.unit.building_id
            rooms = [
                _open(room, full.get((building, room.room_type), ()), first_day=first_day, anchor_day=anchor_day)
                for room in rooms
            ]
        cards[lease.pk] = offers.Card(
            first_day=first_day,
            anchor_day=anchor_day,
            current_rent=lease.monthly_rent,
            current_deposit=lease.deposit,
            # Whoever asks for a room by its name is told that its weeks are full; nobody else is shown it.
            rooms=tuple(room for room in rooms if room.rates or not room.full or room is rooms[0] or only is not None),
            perks=perks,
            held=tuple(held.get(lease.pk, ())),
        )
    return cards


def _open(room: offers.Room, full: Collection[date], *, first_day: date, anchor_day: int) -> offers.Room:
    """The room with those of its lines that end in a week with a place left."""
    lines, shut = caps.split(room.rates, full, first_day=first_day, anchor_day=anchor_day)
    return replace(room, rates=lines, full=shut) if shut else room


def _perks(today: date) -> tuple[offers.Perk, ...]:
    """The perks one may choose, of which one is left: those published for `today`."""
    there = [found["perk"] for found in _PERKS.all(OFFERED, {"today": today})]
    return tuple(
        offers.Perk(perk.code, perk.name, perk.condition, perk.min_term_months or 0)
        for perk in there
        if perksums.left(perk) != 0
    )


def _others(
    leases: Collection[Lease],
    *,
    published: Mapping[tuple[int, str], tuple[offers.Rate, ...]],
    today: date,
    now: datetime | None,
    only: Mapping[int, Collection[str]] | None,
) -> tuple[dict[int, list[offers.Room]], dict[int, list[offers.Held]]]:
    """Per lease, the vacant rooms of its building that have a published rent: the free ones, and those kept."""
    types = [f"{building}:{room_type}" for building, room_type in published]
    units = sorted({code for codes in only.values() for code in codes}) if only is not None else []
    if not types or (only is not None and not units):
        return {}, {}
    rooms: dict[int, list[offers.Room]] = {}
    kept: dict[int, list[offers.Held]] = {}
    found = VACANT.rows(
        {
            "leases": [lease.pk for lease in leases],
            "today": today,
            "now": now,
            "gone": [str(state) for state in GONE],
            "types": types,
            "named": only is not None,
            "units": units,
            "most": OTHER_ROOMS,
        }
    )
    for lease_id, code, room_type, area, floor, list_rent, building_id, until, free_from in found:
        if only is not None and code not in only.get(lease_id, ()):
            continue
        if until is not None:
            kept.setdefault(lease_id, []).append(offers.Held(code, room_type, area, floor, until))
        else:
            lines = published[building_id, room_type]
            room = offers.Room(code, room_type, area, floor, deposit=list_rent, rates=lines, free_from=free_from)
            rooms.setdefault(lease_id, []).append(room)
    return rooms, kept


# --- Frozen -----------------------------------------------------------------------------------------------


def freeze(card: offers.Card) -> dict[str, Any]:
    """The card for a JSON column."""
    frozen: dict[str, Any] = plain(card)
    return frozen


def thaw(frozen: Mapping[str, Any]) -> offers.Card:
    """The card that was frozen."""
    return offers.Card(
        first_day=date.fromisoformat(frozen["first_day"]),
        anchor_day=frozen["anchor_day"],
        current_rent=Decimal(frozen["current_rent"]),
        current_deposit=Decimal(frozen["current_deposit"]),
        rooms=tuple(
            offers.Room(
                unit=room["unit"],
                room_type=room["room_type"],
                area=Decimal(room["area"]),
                floor=room["floor"],
                deposit=Decimal(room["deposit"]),
                rates=tuple(
                    offers.Rate(
                        term_months=rate["term_months"],
                        free_months=rate["free_months"],
                        monthly_rent=Decimal(rate["monthly_rent"]),
                        signed_to=date.fromisoformat(rate["signed_to"]),
                    )
                    for rate in room["rates"]
                ),
                free_from=date.fromisoformat(room["free_from"]) if room.get("free_from") else None,
                full=tuple(room.get("full", ())),
            )
            for room in frozen["rooms"]
        ),
        perks=tuple(offers.Perk(**perk) for perk in frozen["perks"]),
        held=tuple(
            offers.Held(
                unit=room["unit"],
                room_type=room["room_type"],
                area=Decimal(room["area"]),
                floor=room["floor"],
                until=datetime.fromisoformat(room["until"]),
            )
            for room in frozen.get("held", ())
        ),
    )


def plain(value: Any) -> Any:
    """The same for JSON: what has fields as a dictionary of them, money as text, days as ISO."""
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return value
