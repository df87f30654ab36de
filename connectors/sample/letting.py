"""Which units are let today, to which type of person, and until when: the plan that `leases` carries out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from connectors.sample import cast, leases
from connectors.sample.days import Calendar, month_start
from connectors.sample.dice import dice, pick, portions, weighted, whole
from connectors.sample.leases import TERMS, Contract, Tenancy
from connectors.sample.people import RENEWED_IN_SEASON, SHARES, Crowd, Latent
from connectors.sample.places import Unit

LET_SHARE = 0.89
_ENDED_LAST_MONTH, _ENDS_THIS_MONTH, _ENDS_NEXT_MONTH = 0.10, 0.14, 0.16  # of the leases of today
_RELET_AT_ONCE = 0.3  # of the units whose tenants left last month
_SIGNED_EARLY = {0: 0.17, 1: 0.06}  # of the leases that end this month and next, how many are renewed already
# In how many of the larger rooms two people stand on the contract, if some are to.
_SHARED = {"朝南一居": 0.30, "复式一居": 0.45}
# When the other leases end: this many months after the current one (0: this month).
_LATER_ENDS = {2: 4.0, 3: 8.0, 4: 7.0, 5: 6.0, 6: 9.0, 7: 12.0, 8: 11.0, 9: 9.0, 10: 5.0, 13: 1.0, 15: 2.0, 18: 2.0}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of one unit."""

    latent: Latent  # of the tenant of today, or of the last one who left
    ends: date | None  # of the lease of today; None: vacant
    months: int = 12
    renewals: int | None = None  # how often today's tenant renewed so far; None: follows the type
    last_end: date | None = None  # exact end of the tenancy before
    successor: bool = False  # the next lease is signed already


def let(
    units: list[Unit], *, seed: int, calendar: Calendar, shared: bool = False
) -> tuple[list[Tenancy], list[Contract]]:
    """All tenancies since the start of the history, and the contracts that came to nothing.

    `shared`: in some of the larger rooms two people stand on the contracts. Nothing else is another for that.
    """
    crowd = Crowd(seed, taken_names=cast.NAMES)
    fixed = cast.move_in(units, calendar)
    plans = _plans(round(len(units) * LET_SHARE), len(units), fixed, seed, calendar)
    tenancies: list[Tenancy] = []
    for tenancy in fixed:
        before = tenancy.start - timedelta(days=1)
        tenancies += leases.history(tenancy.unit, free_until=before, last_end=None, crowd=crowd, calendar=calendar)
        tenancies.append(tenancy)
    taken = {tenancy.unit.code for tenancy in fixed}
    for unit, plan in zip((unit for unit in units if unit.code not in taken), plans, strict=True):
        tenancies += _carry_out(plan, unit, crowd, seed, calendar)
    _end_some_early(tenancies, seed, calendar)
    tenancies.sort(key=lambda tenancy: (tenancy.unit.code, tenancy.start))
    void = list(_void_contracts(units, crowd, seed, calendar))
    _number([lease for tenancy in tenancies for lease in tenancy.contracts] + void)
    if shared:
        _share(tenancies, crowd, seed)
    return tenancies, void


def _share(tenancies: list[Tenancy], crowd: Crowd, seed: int) -> None:
    """Two people are on all contracts of some tenancies; of the second one nothing but name and number is known."""
    for tenancy in tenancies:
        share = 0.0 if tenancy.person.cast else _SHARED.get(tenancy.unit.room_type, 0.0)
        if dice(seed, "shared", tenancy.unit.code, tenancy.start).random() >= share:
            continue
        other = crowd.newcomer(Latent.OTHER)
        while other.name == tenancy.person.name:
            other = crowd.newcomer(Latent.OTHER)
        for lease in tenancy.contracts:
            lease.beside = other


def _plans(count: int, rooms: int, fixed: list[Tenancy], seed: int, calendar: Calendar) -> list[Plan]:
    """One plan for each unit that no fixed person lives in, shuffled."""
    rng = dice(seed, "plans")
    ended = portions(round(count * _ENDED_LAST_MONTH), SHARES)
    renewed = {latent: round(n * RENEWED_IN_SEASON[latent]) for latent, n in ended.items()}
    left = [latent for latent, n in ended.items() for _ in range(n - renewed[latent])]
    people = portions(count, SHARES)
    for latent in [*(tenancy.person.latent for tenancy in fixed), *(x for x, n in renewed.items() for _ in range(n))]:
        people[latent] = max(0, people[latent] - 1)
    to_come = count - len(fixed) - sum(renewed.values())
    latents = [latent for latent, n in people.items() for _ in range(n)][:to_come]
    latents += [Latent.OTHER] * (to_come - len(latents))
    rng.shuffle(latents)

    plans = [_renewed_last_month(latent, rng, calendar) for latent, n in renewed.items() for _ in range(n)]
    relet = min(round(len(left) * _RELET_AT_ONCE), len(latents))
    plans += [_relet_last_month(latents.pop(), rng, calendar) for _ in range(relet)]
    for offset, share in ((0, _ENDS_THIS_MONTH), (1, _ENDS_NEXT_MONTH)):
        here = sum(month_start(t.end, 0) == month_start(calendar.today, offset) for t in fixed)
        for _ in range(min(round(count * share) - here, len(latents))):
            plans.append(_ending(latents.pop(), offset, rng, calendar))
    later = portions(len(latents), _LATER_ENDS)
    for offset, n in later.items():
        plans += [_ending(latents.pop(), offset, rng, calendar) for _ in range(n)]

    vacant = rooms - len(fixed) - len(plans)
    plans += _vacancies(vacant, left[: max(0, len(left) - relet)], rng, calendar)
    order = rng.permutation(len(plans))
    return [plans[index] for index in order]


def _vacancies(count: int, left: list[Latent], rng: np.random.Generator, calendar: Calendar) -> Iterator[Plan]:
    """Units whose tenants left last month, and others that have stood empty for longer."""
    month_end = month_start(calendar.today, 0) - timedelta(days=1)
    for index in range(count):
        if index < len(left):
            yield Plan(left[index], None, last_end=_day(rng, calendar.season_start, month_end))
        else:
            days = 1 + min(150, int(rng.exponential(40)))
            yield Plan(weighted(rng, SHARES), None, last_end=calendar.season_start - timedelta(days=days))


def _renewed_last_month(latent: Latent, rng: np.random.Generator, calendar: Calendar) -> Plan:
    month_end = month_start(calendar.today, 0) - timedelta(days=1)
    months = weighted(rng, TERMS)
    last_day = _day(rng, calendar.season_start, month_end)
    # The renewal's own last day, counted from the day after the old lease's.
    ends = leases.term_end(last_day + timedelta(days=1), months, (last_day + timedelta(days=1)).day)
    return Plan(latent, ends, months, renewals=1 + int(rng.random() < 0.4))


def _relet_last_month(latent: Latent, rng: np.random.Generator, calendar: Calendar) -> Plan:
    first = _day(rng, calendar.season_start + timedelta(days=10), calendar.today)
    last_end = _day(rng, calendar.season_start, first - timedelta(days=3))
    last_end = min(last_end, month_start(calendar.today, 0) - timedelta(days=1))
    months = weighted(rng, {12: 80.0, 6: 20.0})
    return Plan(latent, leases.term_end(first, months, first.day), months, renewals=0, last_end=last_end)


def _ending(latent: Latent, offset: int, rng: np.random.Generator, calendar: Calendar) -> Plan:
    """A lease that ends in that month, and began before the season."""
    start = month_start(calendar.today, offset)
    last = month_start(start, 1) - timedelta(days=1)
    ends = last if rng.random() < 0.22 else _day(rng, max(start, calendar.today), last)
    begins_before = month_start(ends, 0) if offset < 2 else calendar.season_start
    fitting = {months: w for months, w in TERMS.items() if month_start(ends, -months) < begins_before} or {24: 1.0}
    months = 24 if offset > 11 else weighted(rng, fitting)
    early = _SIGNED_EARLY.get(offset, 0) * RENEWED_IN_SEASON[latent] / 0.78
    return Plan(latent, ends, months, successor=rng.random() < early)


def _carry_out(plan: Plan, unit: Unit, crowd: Crowd, seed: int, calendar: Calendar) -> list[Tenancy]:
    rng = dice(seed, "let", unit.code)
    if plan.ends is None:
        free_until = plan.last_end or calendar.today
        earlier = leases.history(unit, free_until=free_until, last_end=plan.last_end, crowd=crowd, calendar=calendar)
        if rng.random() < 0.06:
            earlier.append(_coming(unit, crowd, rng, calendar))
        return earlier
    person = crowd.newcomer(plan.latent)
    terms = leases.terms_until_now(person, months=plan.months, renewals=plan.renewals)
    tenancy = leases.chain(person, unit, last_day=plan.ends, terms=terms, calendar=calendar)
    if tenancy.end < calendar.today:  # a short month moved it into the past
        tenancy = leases.chain(person, unit, last_day=plan.ends, terms=terms, calendar=calendar, exact=True)
    if plan.successor:
        signed_on = calendar.today - timedelta(days=whole(rng, 1, 32))
        leases.extend(tenancy, months=weighted(rng, TERMS), signed_on=signed_on, calendar=calendar)
    before = tenancy.start - timedelta(days=1)
    return [
        *leases.history(unit, free_until=before, last_end=plan.last_end, crowd=crowd, calendar=calendar),
        tenancy,
    ]


def _coming(unit: Unit, crowd: Crowd, rng: np.random.Generator, calendar: Calendar) -> Tenancy:
    """Somebody who has signed and moves in soon."""
    first = calendar.today + timedelta(days=whole(rng, 2, 20))
    person = crowd.newcomer(weighted(rng, SHARES))
    return leases.chain(person, unit, last_day=leases.term_end(first, 12, first.day), terms=[12], calendar=calendar)


def _end_some_early(tenancies: list[Tenancy], seed: int, calendar: Calendar) -> None:
    """A few leases of today will end before their agreed day: the tenants have asked for it."""
    rng = dice(seed, "early ends")
    candidates = [
        tenancy
        for tenancy in tenancies
        if not tenancy.person.cast
        and tenancy.current(calendar.today) is tenancy.contracts[-1]
        and tenancy.end > calendar.season_end + timedelta(days=60)
    ]
    for _ in range(round(len(candidates) * 0.006)):
        lease = pick(rng, candidates).contracts[-1]
        lease.ended_on, lease.ended_by = calendar.today + timedelta(days=whole(rng, 8, 50)), "租客"
        lease.ended_agreed_on = max(lease.first_day, calendar.today - timedelta(days=whole(rng, 5, 50)))


def _void_contracts(units: list[Unit], crowd: Crowd, seed: int, calendar: Calendar) -> Iterator[Contract]:
    """Signed, then given up before the first day: they may lie over others."""
    rng = dice(seed, "void")
    for _ in range(max(1, len(units) // 170)):
        first = calendar.today - timedelta(days=whole(rng, 20, 300))
        person = crowd.newcomer(weighted(rng, SHARES))
        last_day = leases.term_end(first, 12, first.day)
        lease = leases.chain(person, pick(rng, units), last_day=last_day, terms=[12], calendar=calendar).contracts[0]
        lease.void = True
        yield lease


def _number(contracts: list[Contract]) -> None:
    """Every contract has its number: the month of signing and a serial number."""
    contracts.sort(key=lambda lease: (lease.signed_on, lease.unit.code, lease.first_day))
    for serial, lease in enumerate(contracts, start=1):
        lease.no = lease.no or f"HT{lease.signed_on:%y%m}-{serial:05}"


def _day(rng: np.random.Generator, first: date, last: date) -> date:
    return first + timedelta(days=whole(rng, 0, max(0, (last - first).days)))
