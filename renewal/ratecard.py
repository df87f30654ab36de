"""The card as staff read it: what is published for each term, from when to when, its band, and what waits."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import Count

from renewal import bands, caps, ratechanges
from renewal.models import Rate, RateBand, RateChange
from tenants import access
from tenants.access import SEES_PEOPLE
from tenants.models import Building, Unit

if TYPE_CHECKING:
    from renewal.weekboard import TypeWeeks

Somebody = access.Somebody
HISTORY = 50


@dataclass(slots=True)
class Cell:
    """One line of the card: what holds today (if anything), and what comes after."""

    free_months: int
    holds: Rate | None = None
    coming: list[Rate] = field(default_factory=list)
    waits: int = 0
    is_outside: bool = False  # of the band that holds now: published before it was approved


@dataclass(slots=True)
class Term:
    """A row of the table: the lines of one term by their free months, and its band."""

    months: int
    cells: list[Cell]
    band: RateBand | None = None
    band_waits: bool = False
    share: float | None = None  # of the renewals of the last year (renewal/waveboard.py fills in these two)
    shift: float | None = None  # of the winter's share of endings, were the term chosen by ten of a hundred more


@dataclass(slots=True)
class Type:
    """The table of one room type."""

    name: str
    rooms: int
    free: list[int]
    terms: list[Term]
    published_from: date | None = None  # of the line published last among those that hold today
    winter_share: float | None = None  # of next year's endings, November to January
    weeks: TypeWeeks | None = None  # its endings by week (renewal/weekboard.py fills it in)

    @property
    def lines(self) -> int:
        """How many lines hold today."""
        return sum(cell.holds is not None for term in self.terms for cell in term.cells)


def buildings(user: Somebody, *, today: date) -> list[Building]:
    """The buildings whose card a person may read."""
    return list(access.buildings_for(user, today=today, roles=SEES_PEOPLE).order_by("code"))


def table(building: Building, *, today: date) -> list[Type]:
    """Every room type of a building, with its terms: published today or later, asked for, or with a band."""
    rooms = dict(
        Unit.objects.filter(building=building).values_list("room_type").annotate(n=Count("pk")).order_by("room_type")
    )
    published: dict[tuple[str, int, int], list[Rate]] = {}
    for line in Rate.objects.filter(building=building, signed_to__gte=today).order_by("signed_from"):
        published.setdefault((line.room_type, line.term_months, line.free_months), []).append(line)
    waits: dict[tuple[str, int, int], int] = {}
    for change in RateChange.objects.filter(building=building, state=RateChange.State.WAITING):
        key = (change.room_type, change.term_months, change.free_months)
        waits[key] = waits.get(key, 0) + 1
    of_term = bands.standing([building.pk])
    asked = {(band.room_type, band.term_months) for band in bands.waiting([building.pk])}
    terms = {(kind, months) for kind, months, _free in (*published, *waits)} | asked
    terms |= {(kind, months) for _building, kind, months in of_term}
    free_of: dict[str, set[int]] = {}
    for kind, _months, f in (*published, *waits):
        free_of.setdefault(kind, {0}).add(f)
    tables = []
    for kind in sorted(rooms.keys() | {kind for kind, _months in terms}):
        free = sorted(free_of.get(kind, {0}))
        rows = []
        for months in sorted(months for each, months in terms if each == kind):
            band = of_term.get((building.pk, kind, months))
            cells = [
                _cell(f, published.get((kind, months, f), []), waits.get((kind, months, f), 0), band, today=today)
                for f in free
            ]
            rows.append(Term(months, cells, band, (kind, months) in asked))
        held = [cell.holds.signed_from for row in rows for cell in row.cells if cell.holds]
        tables.append(Type(kind, rooms.get(kind, 0), free, rows, max(held, default=None)))
    return sorted(tables, key=lambda each: not each.terms)  # those without a line last


def _cell(free: int, lines: Collection[Rate], waits: int, band: RateBand | None, *, today: date) -> Cell:
    begun = [line for line in lines if line.signed_from <= today]
    cell = Cell(free, begun[-1] if begun else None, [line for line in lines if line.signed_from > today], waits)
    if cell.holds and band:
        cell.is_outside = not bands.holds(
            band, rent=cell.holds.monthly_rent, term_months=cell.holds.term_months, free_months=free
        )
    return cell


@dataclass(slots=True)
class Line:
    """A published line of a term's history, with who published it and why, where that is known."""

    rate: Rate
    change: RateChange | None
    holds: bool
    may_end: bool


def history(building: Building, *, room_type: str, term_months: int, today: date) -> list[Line]:
    """The lines ever published for a term, the latest first day first."""
    of_term = {"building": building, "room_type": room_type, "term_months": term_months}
    lines = list(Rate.objects.filter(**of_term).order_by("free_months", "-signed_from"))
    by_rate: dict[int | None, RateChange] = {}
    for change in (
        RateChange.objects.filter(**of_term, rate__isnull=False).select_related("asked_by", "decided_by").order_by("pk")
    ):
        by_rate[change.rate_id] = change
    held: set[int] = set()
    found = []
    for line in lines:
        holds = line.signed_from <= today <= line.signed_to and line.free_months not in held
        if holds:
            held.add(line.free_months)
        found.append(Line(line, by_rate.get(line.pk), holds, line.signed_to >= today))
    return found


def changes(building: Building, *, room_type: str, term_months: int) -> list[RateChange]:
    """What was asked for of a term, the latest first: waiting, published, refused and withdrawn."""
    rows = RateChange.objects.filter(building=building, room_type=room_type, term_months=term_months)
    return list(rows.select_related("asked_by", "decided_by", "band").order_by("-pk")[:HISTORY])


def bands_of(building: Building, *, room_type: str, term_months: int) -> list[RateBand]:
    """The bands ever asked for of a term, the latest first."""
    rows = RateBand.objects.filter(building=building, room_type=room_type, term_months=term_months)
    return list(rows.select_related("asked_by", "decided_by").order_by("-pk")[:HISTORY])


def rent_today(building: Building, *, room_type: str, term_months: int, today: date) -> Decimal | None:
    """What the term costs without free months, if it is published today."""
    lines = Rate.objects.filter(
        building=building,
        room_type=room_type,
        term_months=term_months,
        free_months=0,
        signed_from__lte=today,
        signed_to__gte=today,
    )
    line = lines.order_by("-signed_from").first()
    return line.monthly_rent if line else None


def waiting(user: Somebody, *, today: date) -> dict[str, Any]:
    """What waits for a second person in one's buildings: `lines`, `bands` and `caps`; and how many (`n`)."""
    theirs = [building.pk for building in buildings(user, today=today)]
    rows: dict[str, Any] = {
        "lines": list(ratechanges.waiting(theirs)),
        "bands": list(bands.waiting(theirs)),
        "caps": list(caps.waiting(theirs)),
    }
    return rows | {"n": sum(map(len, rows.values()))}
