"""The weekly cap: so many leases of a room type of a building may end in one week, by what is signed on the letter.

A week is Monday to Sunday. Counted are signed leases whose last day is in it, of units that no other lease follows,
and what waits to be signed by several or at the e-sign provider. A full week takes the terms that would end in it off
every letter; it changes no rent. That no signature ever breaks a cap is a trigger's work (migration 0014), under the
lock of the week; the lock here only makes sure that whoever comes second is told so in time, and kindly.

Contracts of the ERP are facts: they are counted, and never refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from renewal import offers, rates, seconding
from renewal.models import WeekCap
from renewal.seconding import NotSet
from renewal.weeks import monday_of
from tenants.models import Building, Unit, User
from tenants.plans import Planned

Key = tuple[int, str]  # building, room type
Full = Mapping[Key, frozenset[date]]  # the Mondays of the weeks that are full
EVERY_TYPE = ""  # that has no cap of its own
MOST = 999
BREACH = "week_cap"
State = WeekCap.State

# The lines that hold on a day as in renewal/rates.py, each with the Mondays of its room type's full weeks. Nothing is
# counted where no cap stands.
OPEN = Planned(f"""
    with held as ({rates.HOLDING}), capped as materialized (
        select building_id, room_type, renewal_cap(building_id, room_type) as most
        from (select distinct building_id, room_type from held) kind
        where exists (
            select from renewal_weekcap c where c.building_id = kind.building_id and c.state = 'standing'
        )
    ), filled as (
        select c.building_id, c.room_type, array_agg(week.monday) as mondays
        from capped c cross join lateral (
            select renewal_monday(e.last_day) as monday
            from renewal_endings() e
            where e.building_id = c.building_id and e.room_type = c.room_type
            group by 1 having count(*) >= c.most
        ) week
        where c.most is not null
        group by 1, 2
    )
    select held.*, filled.mondays from held left join filled using (building_id, room_type)
    order by building_id, room_type, term_months, free_months
""")  # noqa: S608 - one query of ours within another
ENDINGS = """
    select building_id, room_type, renewal_monday(last_day), count(*)
    from renewal_endings()
    where building_id = any(%(buildings)s) and last_day >= renewal_monday(%(today)s)
    group by 1, 2, 3
"""


# --- What is open -----------------------------------------------------------------------------------------


def published(day: date, *, buildings: Collection[int]) -> tuple[dict[Key, tuple[offers.Rate, ...]], Full]:
    """The lines that hold for a signature on `day`, as `rates.on`, and the weeks that are full; in one query."""
    lines: dict[Key, list[offers.Rate]] = {}
    full: dict[Key, frozenset[date]] = {}
    for building, room_type, *line, mondays in OPEN.rows({"day": day, "buildings": list(buildings)}):
        lines.setdefault((building, room_type), []).append(offers.Rate(*line))
        full[building, room_type] = frozenset(mondays or ())
    return {key: tuple(rates) for key, rates in lines.items()}, full


def split(
    lines: Iterable[offers.Rate], full: Collection[date], *, first_day: date, anchor_day: int
) -> tuple[tuple[offers.Rate, ...], tuple[int, ...]]:
    """Of a lease that begins on `first_day`: the lines it may be offered, and the terms that would end in a full week.

    `full` are Mondays.
    """
    if not full:
        return tuple(lines), ()
    lines = tuple(lines)
    ends = {line.term_months: offers.term_last_day(first_day, line.term_months, anchor_day) for line in lines}
    shut = {term for term, last_day in ends.items() if monday_of(last_day) in full}
    return tuple(line for line in lines if line.term_months not in shut), tuple(sorted(shut))


def endings(buildings: Collection[int], *, today: date) -> dict[Key, dict[date, int]]:
    """How many leases are counted in each week from this one on, by its Monday."""
    found: dict[Key, dict[date, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(ENDINGS, {"buildings": list(buildings), "today": today})
        for building, room_type, week, n in cursor.fetchall():
            found.setdefault((building, room_type), {})[week] = n
    return found


def lock(unit: Unit, last_day: date) -> None:
    """Nobody else adds an ending to this week of the unit's type until this transaction ends.

    To be taken after the units and the lease, and before anything that signers of other leases may wait for.
    """
    with connection.cursor() as cursor:
        cursor.execute("select renewal_lock_week(%s, %s, %s)", [unit.building_id, unit.room_type, last_day])


def is_breach(error: IntegrityError) -> bool:
    """Whether the database refused a signature because its week is full."""
    diagnostics = getattr(error.__cause__, "diag", None)
    return getattr(diagnostics, "constraint_name", None) == BREACH


# --- The caps themselves ----------------------------------------------------------------------------------


def standing(buildings: Collection[int]) -> dict[Key, WeekCap]:
    """The caps that hold, of each room type that has one of its own, and (`EVERY_TYPE`) of the buildings."""
    rows = (
        WeekCap.objects.filter(building__in=buildings, state=State.STANDING)
        .order_by("building_id", "room_type", "-decided_at", "-pk")
        .distinct("building_id", "room_type")
    )
    return {(row.building_id, row.room_type): row for row in rows if row.most is not None}


def of(room_type: str, building: int, caps: Mapping[Key, WeekCap]) -> WeekCap | None:
    """The cap of a room type: its own, or else that of the building."""
    return caps.get((building, room_type)) or caps.get((building, EVERY_TYPE))


def ask(building: Building, *, room_type: str, most: int | None, why: str, by: User, now: datetime) -> WeekCap:
    """A cap, or (without a number) the end of the one that stands, waits for a second person. Raises `NotSet`."""
    if not why.strip():
        raise NotSet(_("Say why."), "why")
    if most is not None and not 1 <= most <= MOST:
        raise NotSet(_("A cap is a whole number from 1 to 999."), "most")
    was = standing([building.pk]).get((building.pk, room_type))
    if most is None and was is None:
        raise NotSet(_("No cap stands there that could end."), "most")
    if was is not None and was.most == most:
        raise NotSet(_("That is the cap already."), "most")
    try:
        with transaction.atomic():
            return WeekCap.objects.create(
                building=building, room_type=room_type, most=most, why=why.strip()[:200], asked_by=by, asked_at=now
            )
    except IntegrityError:
        raise NotSet(_("A cap of this room type waits for a second person already."), "most") from None


def decide(pk: int, *, is_approved: bool, why: str, by: User, now: datetime) -> WeekCap:
    """A second person has said yes or no. Raises `NotSet`."""
    return seconding.decide(WeekCap, pk, is_approved=is_approved, why=why, by=by, now=now)


def withdraw(pk: int, *, by: User, now: datetime) -> WeekCap:
    """Who asked for a cap no longer wants it. Raises `NotSet`."""
    return seconding.withdraw(WeekCap, pk, by=by, now=now)


def waiting(buildings: Collection[int]) -> QuerySet[WeekCap]:
    """The caps that wait for a second person, the oldest first."""
    rows = WeekCap.objects.filter(building__in=buildings, state=State.WAITING)
    return rows.select_related("building", "asked_by").order_by("asked_at", "pk")


def history(building: Building) -> QuerySet[WeekCap]:
    """Every cap that was ever asked for in a building, the latest first."""
    return WeekCap.objects.filter(building=building).select_related("asked_by", "decided_by").order_by("-pk")
