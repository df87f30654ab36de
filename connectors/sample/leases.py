"""Who lived where and when: contracts, in chains of renewals, one tenancy after the other on each unit.

Worked backwards from today. 89 % of the units are let. Of the current leases 14 % end this month and 16 %
next month; as many as 10 % ended last month, of which 78 % were renewed, so that well over a third of the
leases end in the season and last month's cases are mostly decided. Terms: 12 months 80 %, 6 months 12 %,
24 months 8 %. A tenth of the tenancies that are over ended early by the tenant's wish, one in a hundred by
the operator's. All of it is invented.
"""

from __future__ import annotations

import calendar as months_of
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from connectors.sample.days import Calendar, boundary, month_start, term_end
from connectors.sample.dice import weighted, whole
from connectors.sample.people import RENEWED_BEFORE, SHARES, Crowd, Latent, Person
from connectors.sample.places import Unit
from connectors.sample.prices import rent_when_signed

TERMS = {12: 80.0, 6: 12.0, 24: 8.0}
_LEFT_BEFORE = sum(SHARES[latent] * (1 - RENEWED_BEFORE[latent]) for latent in Latent) / 100


@dataclass(slots=True, eq=False)
class Contract:
    """One lease. `last_day` is the agreed one; `ended_on` the earlier day on which it was ended, if it was."""

    unit: Unit
    person: Person
    signed_on: date
    first_day: date
    last_day: date
    months: int
    rent: int
    anchor: int
    renews: Contract | None = None
    ended_on: date | None = None
    ended_by: str = ""  # 租客 or 运营方
    ended_agreed_on: date | None = None
    void: bool = False
    no: str = ""
    beside: Person | None = None  # who stands on it as well

    @property
    def end(self) -> date:
        return self.ended_on or self.last_day


@dataclass(slots=True, eq=False)
class Tenancy:
    """One person in one unit without a break: a chain of contracts, oldest first."""

    person: Person
    unit: Unit
    contracts: list[Contract] = field(default_factory=list)

    @property
    def start(self) -> date:
        return self.contracts[0].first_day

    @property
    def end(self) -> date:
        return self.contracts[-1].end

    def current(self, day: date) -> Contract | None:
        return next((lease for lease in self.contracts if lease.first_day <= day <= lease.end), None)


def chain(
    person: Person, unit: Unit, *, last_day: date, terms: Sequence[int], calendar: Calendar, exact: bool = False
) -> Tenancy:
    """Leases without a gap, of these terms, the last of which ends on `last_day`.

    It ends up to three days earlier where the month of the first day is too short to anchor it, unless
    `exact`, which anchors on a day that the first month does not have.
    """
    rng = person.dice(f"signing {unit.code if not person.cast else ''}")
    edge = last_day + timedelta(days=1)
    origin = month_start(edge, -sum(terms))
    days_in_month = months_of.monthrange(origin.year, origin.month)[1]
    anchor = edge.day if exact else min(edge.day, days_in_month)
    first = origin.replace(day=min(anchor, days_in_month))
    tenancy = Tenancy(person, unit)
    before: Contract | None = None
    for months in terms:
        signed_on = first - timedelta(days=whole(rng, 5, 45) if before else whole(rng, 1, 14))
        signed_on = min(signed_on, calendar.today - timedelta(days=1))
        rent = rent_when_signed(unit, months=months, signed_on=signed_on, calendar=calendar)
        before = Contract(
            unit, person, signed_on, first, term_end(first, months, anchor), months, rent, anchor, renews=before
        )
        tenancy.contracts.append(before)
        first = boundary(first, months, anchor)
    return tenancy


def extend(tenancy: Tenancy, *, months: int, signed_on: date, calendar: Calendar) -> None:
    """The tenancy has a signed successor of its last lease."""
    before = tenancy.contracts[-1]
    first = before.last_day + timedelta(days=1)
    rent = rent_when_signed(tenancy.unit, months=months, signed_on=signed_on, calendar=calendar)
    last_day = term_end(first, months, before.anchor)
    after = Contract(
        tenancy.unit, tenancy.person, signed_on, first, last_day, months, rent, before.anchor, renews=before
    )
    tenancy.contracts.append(after)


def terms_until_now(person: Person, *, months: int, renewals: int | None = None) -> list[int]:
    """The terms of a tenancy whose newest lease has so many months: how often it was renewed follows the type."""
    rng = person.dice("terms")
    renewed = RENEWED_BEFORE[person.latent]
    share = renewed / (renewed + _LEFT_BEFORE)  # of the leases that began after another, those which renewed it
    terms = [months]
    while sum(terms) < 48 and (len(terms) <= renewals if renewals is not None else rng.random() < share):
        terms.insert(0, weighted(rng, TERMS))
    return terms


def history(unit: Unit, *, free_until: date, last_end: date | None, crowd: Crowd, calendar: Calendar) -> list[Tenancy]:
    """The tenancies before, newest first, back beyond the start of the history.

    `free_until` is the last day on which an earlier tenant may still have been there; `last_end` the exact
    end of the newest of them, if that matters. Vacancies last a median of two weeks.
    """
    earlier: list[Tenancy] = []
    rng = crowd.dice(f"history {unit.code}")
    while free_until > calendar.history_start - timedelta(days=35):
        end = last_end or free_until - timedelta(days=min(75, int(rng.lognormal(2.6, 0.8))))
        last_end = None
        person = crowd.newcomer(
            weighted(rng, {latent: SHARES[latent] * (1 - RENEWED_BEFORE[latent]) for latent in Latent})
        )
        early = rng.random()
        agreed = end + timedelta(days=whole(rng, 25, 140)) if early < 0.11 else end
        terms = terms_until_now(person, months=weighted(rng, TERMS))
        tenancy = chain(person, unit, last_day=agreed, terms=terms, calendar=calendar)
        if early < 0.11:
            last = tenancy.contracts[-1]
            last.ended_on, last.ended_by = end, "租客" if early < 0.10 else "运营方"
            last.ended_agreed_on = max(last.first_day, end - timedelta(days=whole(rng, 10, 40)))
        earlier.append(tenancy)
        free_until = tenancy.start - timedelta(days=1)
    return earlier
