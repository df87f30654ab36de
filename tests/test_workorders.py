"""Reports become work orders: a brute-force walk, ticket by ticket, must agree with the set-based intake."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from tenants.models import Staff, Unit
from tests.makers import NOW, make_building, make_event, make_lease, make_tenant, make_unit, make_user
from workorders import intake
from workorders.models import Report, WorkOrder

pytestmark = pytest.mark.django_db


def hours(number: float) -> datetime:
    return NOW - timedelta(days=20) + timedelta(hours=number)


def report(ticket: str, at: float, unit: Unit | None = None, category: str = "water", **facts: Any) -> None:
    """A ticket with the facts given: accepted, arrived, finished and rated are hours, too."""
    make_event(
        "ticket.reported", facts.get("tenant"), unit, source="tickets", source_id=f"{ticket}#reported", at=hours(at),
        data={"ticket": ticket, "category": category, "channel": facts.get("channel", "app"), "text": "厨房漏水"},
    )  # fmt: skip
    for what in ("accepted", "arrived", "finished", "rated"):
        if facts.get(what) is not None and unit:
            happened(ticket, what, facts[what], unit, technician="li", score=facts.get("score"))


def happened(ticket: str, what: str, at: float, unit: Unit, **data: Any) -> None:
    make_event(
        f"ticket.{what}", None, unit, source="tickets", source_id=f"{ticket}#{what}", at=hours(at),
        data={"ticket": ticket, **data},
    )  # fmt: skip


def rows() -> list[tuple[object, ...]]:
    """All orders with their reports, without ids."""
    return [
        (o.fingerprint, o.state, o.first_reported_at, o.accepted_at, o.arrived_at, o.finished_at, o.score,
         tuple(Report.objects.filter(order=o).order_by("ticket").values_list("ticket", flat=True)))
        for o in WorkOrder.objects.order_by("fingerprint", "first_reported_at", "pk")
    ]  # fmt: skip


def test_a_leak_reported_through_three_channels_is_one_order_that_waits_from_the_first_report() -> None:
    technician = Staff.objects.create(user=make_user("li"), name="李师傅", phone="10000009999", skills=["water"])
    unit = make_unit()
    tenant = make_lease(unit=unit).tenants.get()
    report("T1", 0, unit, tenant=tenant, channel="app", accepted=6.7, arrived=8, finished=9, rated=30, score=2)
    report("T2", 0.5, unit, tenant=tenant, channel="wechat", accepted=7, finished=9)
    report("T3", 1, unit, tenant=tenant, channel="phone", finished=9)

    assert intake.take(now=NOW) == {
        "reports": 3, "orders_opened": 1, "orders_changed": 0, "orders_joined": 0, "without_unit": 0
    }  # fmt: skip
    order = WorkOrder.objects.get()
    assert (order.unit, order.category, order.state, order.technician) == (unit, "water", "finished", technician)
    assert (order.first_reported_at, order.accepted_at) == (hours(0), hours(6.7))
    assert (order.arrived_at, order.finished_at, order.score) == (hours(8), hours(9), 2)
    assert list(Report.objects.order_by("ticket").values_list("ticket", "channel", "tenant", "order")) == [
        ("T1", "app", tenant.pk, order.pk), ("T2", "wechat", tenant.pk, order.pk), ("T3", "phone", tenant.pk, order.pk)
    ]  # fmt: skip


def test_taking_twice_changes_nothing() -> None:
    unit = make_unit()
    report("T1", 0, unit, accepted=1)
    intake.take(now=NOW)
    before = list(WorkOrder.objects.values()), list(Report.objects.values())
    assert intake.take(now=NOW) == {
        "reports": 0, "orders_opened": 0, "orders_changed": 0, "orders_joined": 0, "without_unit": 0
    }  # fmt: skip
    assert (list(WorkOrder.objects.values()), list(Report.objects.values())) == before


def test_an_order_follows_its_tickets_through_acceptance_and_finish_to_the_next_problem() -> None:
    unit = make_unit()
    report("T1", 0, unit)
    intake.take(now=NOW)
    order = WorkOrder.objects.get()
    assert (order.state, order.accepted_at) == ("open", None)

    happened("T1", "accepted", 2, unit, technician="nobody we know")
    intake.take(now=NOW)
    order.refresh_from_db()
    assert (order.state, order.accepted_at, order.technician) == ("accepted", hours(2), None)

    happened("T1", "finished", 5, unit)
    report("T2", 5, unit)  # at the very moment of the finish: a new problem
    intake.take(now=NOW)
    order.refresh_from_db()
    assert (order.state, order.finished_at) == ("finished", hours(5))
    assert WorkOrder.objects.exclude(pk=order.pk).get().state == "open"


def test_another_category_or_another_unit_is_another_order() -> None:
    one, two = make_unit(), make_unit()
    report("T1", 0, one)
    report("T2", 1, one, category="power")
    report("T3", 1, two)
    report("T4", 2, one, category="a word nobody agreed on")
    intake.take(now=NOW)
    assert sorted(WorkOrder.objects.values_list("unit", "category")) == sorted(
        [(one.pk, "water"), (one.pk, "power"), (two.pk, "water"), (one.pk, "other")]
    )


def test_a_report_without_a_unit_goes_to_the_one_the_tenant_rented_that_day() -> None:
    old, new, tenant = make_unit(), make_unit(), make_tenant()
    moved_on = hours(0).date()
    make_lease(tenant, old, last_day=moved_on - timedelta(days=1))
    make_lease(tenant, new, first_day=moved_on, last_day=moved_on + timedelta(days=364))
    report("T1", -30, tenant=tenant)
    report("T2", 30, tenant=tenant)
    report("T3", 31, tenant=make_tenant("a guest"))
    assert intake.take(now=NOW)["without_unit"] == 1
    assert {r.ticket: r.order.unit_id for r in Report.objects.select_related("order")} == {"T1": old.pk, "T2": new.pk}


def test_a_finish_that_arrives_late_splits_what_had_looked_like_one_problem() -> None:
    unit = make_unit()
    report("T1", 0, unit)
    report("T2", 10, unit)
    intake.take(now=NOW)
    first = WorkOrder.objects.get()
    happened("T1", "finished", 5, unit)
    assert intake.take(now=NOW) == {
        "reports": 0, "orders_opened": 1, "orders_changed": 1, "orders_joined": 0, "without_unit": 0
    }  # fmt: skip
    assert Report.objects.get(ticket="T1").order == first
    assert Report.objects.get(ticket="T2").order != first


def test_a_report_that_arrives_late_joins_two_orders_and_the_older_row_stays() -> None:
    unit = make_unit()
    report("T1", 0, unit, finished=5)
    report("T3", 6, unit)
    intake.take(now=NOW)
    first = Report.objects.get(ticket="T1").order
    report("T2", 4, unit, finished=8)
    assert intake.take(now=NOW)["orders_joined"] == 1
    assert WorkOrder.objects.get() == first
    assert set(Report.objects.values_list("ticket", "order")) == {(f"T{n}", first.pk) for n in (1, 2, 3)}


@dataclass
class Walked:
    tickets: list[str]
    reported: list[float]
    closed: float
    accepted: list[float] = field(default_factory=list)


@pytest.mark.parametrize("seed", range(6))
def test_random_tickets_fall_into_the_orders_that_a_walk_through_time_finds(seed: int) -> None:
    dice = random.Random(seed)
    building = make_building()
    units = [make_unit(building=building) for _ in range(3)]
    tickets = []
    for number in range(60):
        at = dice.uniform(0, 200)
        accepted = at + dice.expovariate(1 / 4) if dice.random() < 0.8 else None
        finished = at + dice.expovariate(1 / 15) if dice.random() < 0.8 else None
        tickets.append(
            (f"T{number}", round(at, 3), dice.choice(units), dice.choice(["water", "air"]), accepted, finished)
        )

    # Walk: for each report in the order of time, look for an order of its fingerprint that is not finished.
    walked: dict[tuple[int, str], list[Walked]] = {}
    for ticket, at, unit, category, accepted, finished in sorted(tickets, key=lambda t: (t[1], t[0])):
        mates = [t for t in tickets if t[2:4] == (unit, category)]
        closed = finished
        if closed is None:
            later = [t[5] for t in mates if t[5] is not None and t[5] > at]
            closed = min(later, default=float("inf"))
        orders = walked.setdefault((unit.pk, category), [])
        if not orders or orders[-1].closed <= at:
            orders.append(Walked([], [], closed))
        orders[-1].tickets.append(ticket)
        orders[-1].reported.append(at)
        orders[-1].closed = max(orders[-1].closed, closed)
        orders[-1].accepted += [accepted] if accepted is not None else []
    expected = sorted(
        (
            f"{unit}:{category}", tuple(sorted(o.tickets)), hours(min(o.reported)),
            hours(min(o.accepted)) if o.accepted else None, hours(o.closed) if o.closed < float("inf") else None,
            "finished" if o.closed < float("inf") else "accepted" if o.accepted else "open",
        )
        for (unit, category), orders in walked.items() for o in orders
    )  # fmt: skip

    # The tickets arrive in three files, in no order; each is taken in by itself.
    dice.shuffle(tickets)
    for part in (tickets[:25], tickets[25:30], tickets[30:]):
        for ticket, at, unit, category, accepted, finished in part:
            report(ticket, at, unit, category, accepted=accepted, finished=finished)
        intake.take(now=NOW)
    assert [(r[0], r[7], r[2], r[3], r[5], r[1]) for r in sorted(rows(), key=lambda r: (r[0], r[7]))] == expected
    assert Report.objects.count() == 60
