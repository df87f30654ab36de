"""I3: the ERP's revisions are delivered in all orders, and what is then in the database is one and the same.

A scenario is a set of revisions of a few contracts whose last ones fit beside each other: whatever overlaps on
the way, whoever moves, is corrected, replaced or made void, every order must end in one state of leases, people,
aliases, revisions and waiting contracts. The red twin numbers revisions as they arrive: the last one wins.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from math import factorial
from typing import Any

from django.db import transaction

from connectors.records import ContractRecord, CoTenant
from tenants import leases
from tenants.models import (
    Alias,
    Building,
    Lease,
    LeaseRevision,
    LeaseTenant,
    Tenant,
    Unit,
    WaitingContract,
)

NOW = datetime(2025, 12, 1, 2, 0, tzinfo=UTC)
UNITS = ("I3-A", "I3-B")
MOST_REVISIONS = 7
SCENARIOS, ORDERS = 40, 60  # of the whole campaign

State = dict[str, list[Any]]


def scenario(dice: random.Random, *, fits: bool = True) -> list[ContractRecord]:
    """Up to seven revisions of two or three contracts; the last ones fit beside each other if `fits`."""
    contracts = dice.choice((2, 2, 3))
    lengths = [1] * contracts
    for _more in range(dice.randint(1, MOST_REVISIONS - contracts)):
        lengths[dice.randrange(contracts)] += 1
    # Half a year on one of two units each: the places where the contracts end.
    places = [(unit, half) for unit in UNITS for half in (0, 1)]
    ends = dice.sample(places, contracts) if fits else [dice.choice(places) for _each in range(contracts)]
    records: list[ContractRecord] = []
    for number, (length, end) in enumerate(zip(lengths, ends, strict=True), start=1):
        records += _contract(dice, number, length, end, before=number - 1 if dice.random() < 0.4 else 0)
    return records


def _contract(
    dice: random.Random, number: int, length: int, end: tuple[str, int], *, before: int
) -> Iterator[ContractRecord]:
    """The revisions of one contract: each changes something of the one before it."""
    facts: dict[str, Any] = {
        "tenant_name": f"租客{number}",
        "phone": f"1000000{number}000",
        "monthly_rent": Decimal(3000 + number),
        "renews": f"HT{before}" if before else None,
        "cotenants": None,
    }
    for revision in range(1, length + 1):
        what = dice.choice(["name", "phone", "person", "rent", "cotenants", "cotenants", "nothing", "renews"])
        mark = f"{number}{revision}"
        if what == "name":
            facts["tenant_name"] = f"改名{mark}"
        elif what == "phone":
            facts["phone"] = f"100000{mark}100"
        elif what == "person":
            facts |= {"tenant_name": f"新租客{mark}", "phone": f"100000{mark}200"}
        elif what == "rent":
            facts["monthly_rent"] = Decimal(4000 + revision)
        elif what == "renews":
            facts["renews"] = None
        elif what == "cotenants":
            facts["cotenants"] = tuple(
                CoTenant(f"同住{number}{other}", f"100000{number}{other}300") for other in range(dice.randint(0, 2))
            )
        is_last = revision == length
        unit, half = end if is_last else (dice.choice(UNITS), dice.choice((0, 0, 1)))
        # Before the end a contract may claim the whole year of a unit.
        first = date(2026, 1, 1) if half == 0 else date(2026, 7, 1)
        last = date(2026, 6, 30) if half == 0 and (is_last or dice.random() < 0.5) else date(2026, 12, 31)
        yield ContractRecord(
            line=2,
            contract_no=f"HT{number}",
            revision=revision,
            unit=unit,
            signed_on=date(2025, 11, number),
            first_day=first,
            last_day=last,
            deposit=Decimal("3000.00"),
            anchor_day=1,
            state="void" if dice.random() < 0.15 else "signed",
            **facts,
        )


@contextmanager
def nothing_kept() -> Iterator[None]:
    """Whatever is written within is gone afterwards."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def furnish() -> None:
    """The two units stand in the inventory."""
    building = Building.objects.create(code="I3", name="I3")
    for code in UNITS:
        unit = Unit.objects.create(
            building=building, code=code, room_type="x", floor=1, area=Decimal(20), list_rent=Decimal(3000)
        )
        Alias.objects.create(source="unit", ref=code, unit=unit, recorded_at=NOW)


def deliver(records: Sequence[ContractRecord], *, at_once: bool = False) -> State:
    """The records came in this order, one by one or as one file: what is in the database then."""
    with nothing_kept():
        furnish()
        if at_once:
            leases.enter(iter(records), now=NOW)
        else:
            for hours, record in enumerate(records):
                leases.enter([record], now=NOW + timedelta(hours=hours))
        return state()


def state() -> State:
    """All tables of contracts and people, by natural keys: numbers of rows and moments of arrival left out."""
    root = {tenant.pk: tenant.merged_into_id or tenant.pk for tenant in Tenant.objects.all()}
    known_as: dict[int, list[str]] = {}
    for alias in Alias.objects.filter(tenant__isnull=False).order_by("source", "ref"):
        known_as.setdefault(root[alias.tenant_id or 0], []).append(f"{alias.source}:{alias.ref}")

    def who(tenant: int) -> str:
        return " ".join(known_as.get(root[tenant], ["nobody"]))

    return {
        "leases": sorted(
            Lease.objects.values_list(
                "contract_no", "unit__code", "signed_on", "first_day", "last_day", "agreed_last_day", "monthly_rent",
                "deposit", "anchor_day", "state", "ended_by", "ended_agreed_on", "renews__contract_no", "revision",
            ),
            key=str,
        ),
        "stands": sorted(
            (row.lease.contract_no, who(row.tenant_id), row.is_primary)
            for row in LeaseTenant.objects.select_related("lease")
        ),
        "revisions": sorted(
            LeaseRevision.objects.values_list("lease__contract_no", "revision", "terms"), key=lambda row: row[:2]
        ),
        "waiting": sorted(
            WaitingContract.objects.values_list("contract_no", "revision", "unit__code", "terms", "reason"), key=str
        ),
        "people": sorted(
            (tenant.name, tenant.phone, who(tenant.pk)) for tenant in Tenant.objects.filter(merged_into=None)
        ),
    }  # fmt: skip


def orders(records: Sequence[ContractRecord], most: int, dice: random.Random) -> Iterator[tuple[ContractRecord, ...]]:
    """All orders if there are no more than `most`; else the first and so many others."""
    if factorial(len(records)) <= most:
        yield from permutations(records)
        return
    yield tuple(records)
    for _other in range(most - 1):
        yield tuple(dice.sample(list(records), len(records)))


def last_one_wins(records: Sequence[ContractRecord]) -> list[ContractRecord]:
    """What a loader without revisions would make of them: each counts as later than all that came before it."""
    return [replace(record, revision=place) for place, record in enumerate(records, start=1)]


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    held, counts = _campaign(seed, share, deliver)
    red_held, red = _campaign(seed, share, lambda records, at_once=False: _leases_only(last_one_wins(records)))
    return {"held": held, "counts": counts, "red": {"held": red_held, "counts": red}}


def _leases_only(records: Sequence[ContractRecord]) -> State:
    """Numbers of revisions differ of necessity; the facts of the leases must not."""
    return {"leases": [row[:-1] for row in deliver(records)["leases"]]}


def _campaign(seed: int, share: float, bring: Callable[..., State]) -> tuple[bool, dict[str, int]]:
    dice = random.Random(seed)
    counts = {"scenarios": 0, "orders": 0, "revisions": 0, "other_ends": 0}
    for _scenario in range(max(2, round(SCENARIOS * share))):
        records = scenario(dice)
        counts["scenarios"] += 1
        expected: State | None = None
        for order in orders(records, ORDERS, dice):
            got = bring(order, at_once=dice.random() < 0.3)
            expected = expected or got
            counts["orders"] += 1
            counts["revisions"] += len(order)
            counts["other_ends"] += got != expected
    return counts["other_ends"] == 0, counts
