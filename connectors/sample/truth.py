"""What the generator meant, for tests only: never loaded, and evidence of nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from connectors.sample.days import Calendar
from connectors.sample.files import write_csv
from connectors.sample.leases import Tenancy
from connectors.sample.money import BAD, GOOD, Bill
from connectors.sample.people import RENEWED_IN_SEASON, Person
from connectors.sample.tickets import Ticket

TENANTS_HEADER = ("phone", "contract_no", "latent", "would_renew")


def write_tenants(path: Path, tenancies: list[Tenancy], bills: list[Bill], tickets: list[Ticket], cal: Calendar) -> int:
    """Each tenancy's newest contract that has begun, the person's latent type, and how likely they are to renew."""
    moods: dict[Person, Counter[str]] = {}
    for bill in bills:
        moods.setdefault(bill.tenancy.person, Counter())[bill.mood] += 1
    late = Counter(ticket.tenancy.person for ticket in tickets if ticket.accepted and (ticket.hours or 0) > 6)

    def rows() -> Iterator[list[object]]:
        for tenancy in tenancies:
            person = tenancy.person
            begun = [lease for lease in tenancy.contracts if lease.first_day <= cal.today] or tenancy.contracts[:1]
            given = moods.get(person, Counter())
            answered = max(1, given.total() - given[""])
            chance = RENEWED_IN_SEASON[person.latent] - 0.10 * min(2, late[person])
            chance += 0.10 * given[GOOD] / answered - 0.35 * given[BAD] / answered
            yield [person.phone, begun[-1].no, person.latent, f"{min(0.97, max(0.05, chance)):.3f}"]

    return write_csv(path, TENANTS_HEADER, rows())


def write_cast(path: Path, tenancies: list[Tenancy]) -> None:
    """Where the fixed people are found."""
    found = {}
    for tenancy in tenancies:
        if tenancy.person.cast:
            lease = tenancy.contracts[-1]
            found[tenancy.person.cast] = {
                "name": tenancy.person.name,
                "phone": tenancy.person.phone,
                "contract_no": lease.no,
                "unit": tenancy.unit.code,
                "app_user": tenancy.person.app_user,
                "last_day": lease.last_day.isoformat(),
            }
    _write_json(path, found)


def write_totals(path: Path, facts: dict[str, Any]) -> None:
    """Exact counts: rows of each file, events of each kind, leases."""
    _write_json(path, facts)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")
