"""bills.csv with moods, and payments.csv: the monthly rhythm of each tenancy.

A bill for power and water is issued on the 25th and due ten days later; somewhat more than half are answered
with a mood, worse in a month with a late repair. Rent is due on the anchor day. Four rhythms of paying:
on the day (automatic), early, late, and anyhow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import exp

import numpy as np

from connectors.sample.days import Calendar, boundary, month_start, stamp
from connectors.sample.dice import weighted, whole
from connectors.sample.files import columns
from connectors.sample.leases import Contract, Tenancy
from connectors.sample.meters import Meters
from connectors.sample.people import Latent, Person
from connectors.sample.tickets import Ticket

BILL_HEADER = columns("账单号,合同编号,月份,金额,出账时间,心情,心情时间")
PAYMENT_HEADER = columns("流水号,合同编号,项目,金额,应付日,支付时间")

GOOD, SOSO, BAD = "😊", "😐", "😞"
_MOODS = {  # of a month without a late repair
    Latent.SOCIAL: (0.72, 0.22, 0.06),
    Latent.PRICE: (0.46, 0.42, 0.12),
    Latent.SERVICE: (0.50, 0.32, 0.18),
    Latent.OTHER: (0.42, 0.46, 0.12),
}
_ANSWERED = {Latent.SOCIAL: 0.72, Latent.PRICE: 0.55, Latent.SERVICE: 0.62, Latent.OTHER: 0.42}
_FLAT = {Latent.SOCIAL: 0.02, Latent.PRICE: 0.06, Latent.SERVICE: 0.07, Latent.OTHER: 0.09}  # nearly always 😐
_CAST_MOODS = {  # newest first; older bills got the last one
    "kitchen": (GOOD, GOOD, GOOD, SOSO, GOOD),
    "kitchen_refused": (GOOD, GOOD, GOOD, SOSO, GOOD),
    "late_repair": (SOSO, BAD, SOSO, GOOD),
    "old_building": (SOSO, SOSO, SOSO, GOOD),
}
# Name: (mean days after the due day, spread), and how likely the types are to pay that way.
_RHYTHMS = {"on the day": (0.0, 0.0), "early": (-2.8, 1.0), "late": (3.2, 2.4), "anyhow": (1.5, 5.0)}
_RHYTHM_ODDS = {
    Latent.SOCIAL: (0.45, 0.30, 0.10, 0.15),
    Latent.PRICE: (0.30, 0.12, 0.38, 0.20),
    Latent.SERVICE: (0.45, 0.25, 0.12, 0.18),
    Latent.OTHER: (0.35, 0.20, 0.15, 0.30),
}
_FEN_PER_KWH, _FEN_PER_CUBIC_METRE = 54, 410
_LATE_REPAIR_HOURS = 6.0


@dataclass(slots=True, eq=False)
class Bill:
    tenancy: Tenancy
    lease: Contract
    issued: datetime
    fen: int
    mood: str = ""
    mood_at: datetime | None = None

    @property
    def no(self) -> str:
        return f"ZD{self.issued:%y%m}-{self.lease.no}"

    def row(self) -> list[object]:
        return [
            self.no, self.lease.no, f"{self.issued:%Y-%m}", yuan(self.fen), stamp(self.issued),
            self.mood, stamp(self.mood_at),
        ]  # fmt: skip


def yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02}"


def bill(tenancies: list[Tenancy], meters: dict[str, Meters], tickets: list[Ticket], calendar: Calendar) -> list[Bill]:
    """All bills of the year, with the moods given until now."""
    late = {
        (ticket.tenancy.person, month_start(ticket.reported.date(), 0))
        for ticket in tickets
        if ticket.accepted and (ticket.hours or 0) > _LATE_REPAIR_HOURS
    }
    bills = []
    for tenancy in tenancies:
        own = list(_bills(tenancy, meters[tenancy.unit.code], calendar))
        _answer(own, tenancy.person, late, calendar)
        bills += own
    return sorted(bills, key=lambda bill: (bill.issued, bill.no))


def _bills(tenancy: Tenancy, meter: Meters, calendar: Calendar) -> Iterator[Bill]:
    """One on each 25th that the tenancy saw for ten days at least; a lease's first days go to its own first bill."""
    for back in range(-12, 1):
        day = month_start(calendar.today, back).replace(day=25)
        previous = month_start(day, -1).replace(day=25)
        issued = datetime.combine(day, time(9, int(tenancy.unit.code[-2:], 36) % 60))
        first, last = ((d - calendar.history_start).days for d in (max(previous, tenancy.start), day))
        lease = tenancy.current(day)
        if lease is None or issued > calendar.now or first < 0 or last - first < 10:
            continue
        power, water = meter.used(first, last)
        fen = int(power * _FEN_PER_KWH + 0.5) + int(water * _FEN_PER_CUBIC_METRE + 0.5)
        yield Bill(tenancy, lease, issued, fen)


def _answer(bills: list[Bill], person: Person, late: set[tuple[Person, date]], calendar: Calendar) -> None:
    """Moods, some within the hour and some after days; a person's own leaning lasts over the year."""
    rng = person.dice("moods")
    answers = float(np.clip(rng.normal(_ANSWERED[person.latent], 0.2), 0.05, 0.98))
    lean = float(rng.normal(0, 0.5))
    good, soso, bad = _MOODS[person.latent]
    if rng.random() < _FLAT[person.latent]:
        answers, good, soso, bad = 0.95, 0.04, 0.92, 0.04
    for newest, one in enumerate(reversed(bills)):
        wait, seen = float(rng.exponential(20)), rng.random() < answers
        worse = 2.2 if (person, month_start(one.issued.date(), 0)) in late else 0.0
        mood = weighted(rng, {GOOD: good * exp(lean - worse), SOSO: soso, BAD: bad * exp(worse - lean)})
        if person.cast:
            moods = _CAST_MOODS[person.cast]
            mood, seen, wait = moods[min(newest, len(moods) - 1)], True, min(wait, 30.0)
        at = one.issued + timedelta(minutes=int(wait * 60) + 2)
        if seen and at <= calendar.now:
            one.mood, one.mood_at = mood, at


def payments(tenancies: list[Tenancy], bills: list[Bill], calendar: Calendar) -> list[list[object]]:
    """payments.csv in the order of time: what has been paid by now of what fell due in the year."""
    rows: list[list[object]] = []
    of_tenancy: dict[Tenancy, list[Bill]] = {}
    for one in bills:
        of_tenancy.setdefault(one.tenancy, []).append(one)
    for tenancy in tenancies:
        rows += _of(tenancy, of_tenancy.get(tenancy, []), calendar)
    return sorted(rows, key=lambda row: (str(row[5]), str(row[0])))


def _of(tenancy: Tenancy, bills: list[Bill], calendar: Calendar) -> Iterator[list[object]]:
    person = tenancy.person
    rng = person.dice("payments")
    odds = dict(zip(_RHYTHMS, _RHYTHM_ODDS[person.latent], strict=True))
    mean, spread = _RHYTHMS["on the day" if person.cast else weighted(rng, odds)]

    def paid(due: date, earliest: datetime) -> datetime | None:
        """When it was paid; None: not yet, or never (one in seventy)."""
        days, hour, forgotten = rng.normal(mean, spread), whole(rng, 8, 22), rng.random() < 0.014
        at = datetime.combine(due + timedelta(days=round(days)), time(hour, whole(rng, 0, 59), whole(rng, 0, 59)))
        at = max(at, earliest)
        return None if at > calendar.now or (forgotten and not person.cast) else at

    for lease in tenancy.contracts:
        for month in range(lease.months):
            due = boundary(lease.first_day, month, lease.anchor)
            if due > lease.end:
                break
            arrival = datetime.combine(lease.first_day, time(14, whole(rng, 0, 59)))
            at = paid(due, arrival)
            if at and due >= calendar.history_start:
                yield [f"ZF-{lease.no}-R{month + 1:02}", lease.no, "房租", f"{lease.rent}.00", stamp(due), stamp(at)]
    for one in bills:
        due = one.issued.date() + timedelta(days=10)
        at = paid(due, one.issued + timedelta(minutes=whole(rng, 5, 300)))
        if at:
            yield [f"ZF-{one.no}", one.lease.no, "水电", yuan(one.fen), stamp(due), stamp(at)]
