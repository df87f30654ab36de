"""What the forecast of endings is made of, per room type of a building: four questions to the database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from renewal import cases, kpis, waves
from renewal.figures import Period
from renewal.models import Case, Rate
from renewal.offers import anchor_for
from renewal.ratecard import Type
from renewal.waves import Forecast, Open
from tenants.models import Building

YEAR = timedelta(days=365)
TOO_FEW = 30  # renewals: below it the shares of terms are taken from more of the house

# A lease that another one of its unit follows does not end there: the last one does.
KNOWN = """
select u.room_type, date_trunc('month', l.last_day)::date, count(*)
from tenants_lease l join tenants_unit u on u.id = l.unit_id
where l.state = 'signed' and u.building_id = %(building)s and l.last_day between %(first)s and %(last)s
    and not exists (
        select from tenants_lease s where s.unit_id = l.unit_id and s.state = 'signed' and s.first_day > l.last_day
    )
group by 1, 2
"""
CHOSEN = """
select u.building_id = %(building)s, u.room_type,
    (extract(year from l.agreed_last_day + 1) - extract(year from l.first_day)) * 12
        + extract(month from l.agreed_last_day + 1) - extract(month from l.first_day) as months, count(*)
from tenants_lease l join tenants_unit u on u.id = l.unit_id
where l.state = 'signed' and l.renews_id is not null and l.signed_on > %(since)s and l.signed_on <= %(today)s
group by 1, 2, 3
"""


@dataclass(slots=True)
class Facts:
    """What is known of one room type: endings, open cases, terms chosen last year (of `basis`), the published lines."""

    known: dict[date, int] = field(default_factory=dict)
    cases: list[Open] = field(default_factory=list)
    chosen: dict[int, int] = field(default_factory=dict)
    n: int = 0
    basis: str = "house"  # whose renewals the shares are of: "type", "building" or "house"
    lines: list[tuple[int, int, Decimal]] = field(default_factory=list)

    @property
    def shares(self) -> dict[int, float]:
        return waves.shares_of(self.chosen, (term for term, _free, _rent in self.lines))


@dataclass(slots=True)
class Wave:
    """A building's forecast: `rate` is its renewal rate of the last year ({"k", "n", "rate", "low", "high"})."""

    months: tuple[date, ...]
    rate: dict[str, Any]
    types: dict[str, Facts]

    def of(self, room_type: str, shares: dict[int, float] | None = None) -> Forecast:
        facts = self.types[room_type]
        return waves.forecast(
            facts.known,
            facts.cases,
            months=self.months,
            rate=self.rate["rate"] or 0.0,
            shares=facts.shares if shares is None else shares,
        )

    def whole(self, instead: dict[str, Forecast] | None = None) -> Forecast:
        """Over all room types, with some of them `instead`."""
        parts = {name: self.of(name) for name in self.types} | (instead or {})
        return waves.together(parts.values(), self.months)

    def leaning(self, room_type: str, rents: dict[tuple[int, int], Decimal], *, response: float) -> Forecast:
        """Of a room type, were these the rents of its lines (term, free months)."""
        facts = self.types[room_type]
        was = waves.price_a_month(facts.lines)
        draft = waves.price_a_month((term, free, rents.get((term, free), rent)) for term, free, rent in facts.lines)
        return self.of(room_type, waves.leaning(facts.shares, was, draft, response=response))

    def more_of(self, room_type: str) -> dict[int, Forecast]:
        """Of each term, were it chosen by ten of a hundred more."""
        shares = self.types[room_type].shares
        return {term: self.of(room_type, waves.more_of(shares, term)) for term in shares}


def wave(building: Building, *, today: date, now: datetime) -> Wave:
    """The endings of next year as forecast today."""
    months = waves.next_year(today)
    types: dict[str, Facts] = defaultdict(Facts)
    facts: dict[str, Any] = {
        "building": building.pk,
        "first": months[0],
        "last": (months[-1] + timedelta(days=31)).replace(day=1) - timedelta(days=1),
        "since": today - YEAR,
        "today": today,
    }
    with connection.cursor() as cursor:
        cursor.execute(KNOWN, facts)
        for room_type, month, n in cursor.fetchall():
            types[room_type].known[month] = n
        cursor.execute(CHOSEN, facts)
        chosen = [(is_here, kind, int(months_), n) for is_here, kind, months_, n in cursor.fetchall()]
    open_ones = Case.objects.filter(lease__unit__building=building, state__in=cases.UNDECIDED)
    for room_type, last_day, anchor in open_ones.values_list(
        "lease__unit__room_type", "lease__last_day", "lease__anchor_day"
    ):
        types[room_type].cases.append(_open(last_day, anchor))
    held: set[tuple[str, int, int]] = set()
    for line in Rate.objects.filter(building=building, signed_from__lte=today, signed_to__gte=today).order_by(
        "term_months", "free_months", "-signed_from"
    ):
        key = (line.room_type, line.term_months, line.free_months)
        if key not in held:
            held.add(key)
            types[line.room_type].lines.append((line.term_months, line.free_months, line.monthly_rent))
    for name, each in types.items():
        each.basis, each.chosen = _basis(name, chosen)
        each.n = sum(each.chosen.values())
    period = Period(today - YEAR, today - timedelta(days=1))
    rate = kpis.renewals(period, day=today, building=building, now=now)[building.pk]["rate"]
    return Wave(months, rate, dict(types))


def _open(last_day: date, anchor: int) -> Open:
    first = last_day + timedelta(days=1)
    return Open(first, anchor_for(first, anchor))


def _basis(name: str, chosen: Iterable[tuple[bool, str, int, int]]) -> tuple[str, dict[int, int]]:
    """The terms chosen for this room type here; of the building, or of the whole house, where those are too few."""
    rows = list(chosen)
    narrow = {
        "type": [row for row in rows if row[0] and row[1] == name],
        "building": [row for row in rows if row[0]],
    }
    for basis, some in narrow.items():
        counts: Counter[int] = Counter()
        for _is_here, _kind, months, n in some:
            counts[months] += n
        if counts.total() >= TOO_FEW:
            return basis, dict(counts)
    counts = Counter()
    for _is_here, _kind, months, n in rows:
        counts[months] += n
    return "house", dict(counts)


# --- Drawn ------------------------------------------------------------------------------------------------


def chart(now: Forecast, draft: Forecast | None = None) -> dict[str, Any]:
    """A column per month: what is known, what open cases add, and all of it with the draft."""
    most = max((*now.each, *(draft.each if draft else ())), default=0.0)

    def part(n: float) -> str:
        return f"{100 * n / most:.2f}%" if most else "0%"

    bars = [
        {
            "month": month,
            "is_winter": month.month in waves.WINTER,
            "n": now.each[place],
            "known_part": part(now.known[place]),
            "added_part": part(now.added[place]),
            "draft": draft.each[place] if draft else None,
            "draft_part": part(draft.each[place]) if draft else "",
        }
        for place, month in enumerate(now.months)
    ]
    return {
        "bars": bars,
        "total": now.total,
        "peak": now.peak,
        "share": now.peak_share,
        "winter": now.winter_share,
        "later": now.later,
        "has_draft": draft is not None,
        "draft_peak": draft.peak if draft else None,
        "draft_share": draft.peak_share if draft else None,
        "draft_winter": draft.winter_share if draft else None,
        "draft_later": draft.later if draft else None,
    }


def beside(tables: list[Type], wave: Wave) -> None:
    """Each term of the card knows how often it is chosen, and the winter's share of endings were it chosen more."""
    for table in tables:
        if table.name not in wave.types or not wave.types[table.name].lines:
            continue
        now, more = wave.of(table.name), wave.more_of(table.name)
        table.winter_share = now.winter_share
        for term in table.terms:
            if term.months in more:
                term.share = wave.types[table.name].shares[term.months]
                then = more[term.months].winter_share
                if then is not None and now.winter_share is not None:
                    term.shift = then - now.winter_share
