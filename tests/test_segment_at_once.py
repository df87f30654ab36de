"""Rules over events are read from the events themselves: who belongs is right with the event, before any computing."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tenants import clock
from tenants.models import Feature
from tests.makers import NOW, make_event
from tests.test_segment_pages import LIST, NIGHTS, client_of, get, resident, segment

pytestmark = pytest.mark.django_db

APP, TICKET = "app.viewed", "ticket.reported"


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


# The rule, what has happened before, what happens now, and whether one belongs before and after. TODAY is a Monday.
CASES: dict[str, tuple[Any, list[tuple[str, datetime]], tuple[str, datetime], tuple[bool, bool]]] = {
    "count": ({"events": APP, "count": {"op": ">=", "value": 2}}, [(APP, ago(5))], (APP, ago(0)), (False, True)),
    "absence": ({"events": APP, "count": {"op": "=", "value": 0}}, [], (APP, ago(0)), (True, False)),
    "last": (
        NIGHTS,
        [(TICKET, clock.at(date(2025, 11, day), 23)) for day in (3, 13)],
        (TICKET, clock.at(date(2025, 12, 1), 2)),
        (False, True),
    ),
    "share": (
        {
            "events": TICKET,
            "share": {"satisfy": [{"field": "hour", "op": ">=", "value": 22}], "op": ">=", "value": 0.5},
        },
        [(TICKET, clock.at(date(2025, 11, 3), 12))],
        (TICKET, clock.at(date(2025, 11, 30), 23)),
        (False, True),
    ),
    "trend": (
        {"events": APP, "window": {"days": 30}, "trend": {"op": ">=", "value": 2}},
        [(APP, ago(40)), (APP, ago(5))],
        (APP, ago(0)),
        (False, True),
    ),
    "first": ({"events": APP, "window": {"days": 7}, "first": True}, [], (APP, ago(0)), (False, True)),
    "stopped": (
        {"events": APP, "window": {"days": 90}, "stopped": {"days": 30}},
        [(APP, ago(40))],
        (APP, ago(0)),
        (True, False),
    ),
    "restarted": (
        {"events": APP, "window": {"days": 30}, "restarted": {"days": 30}},
        [(APP, ago(60))],
        (APP, ago(0)),
        (False, True),
    ),
    # Whole weeks count, so it is an event of last week that arrives late.
    "regular": (
        {"events": APP, "regular": {"every": "week", "periods": 2}},
        [(APP, ago(10))],
        (APP, ago(3)),
        (False, True),
    ),
    "then": (
        {"events": TICKET, "then": {"events": "ticket.accepted", "hours": 48}},
        [(TICKET, ago(2))],
        ("ticket.accepted", ago(1)),
        (False, True),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_event_changes_who_belongs_with_nothing_computed(name: str) -> None:
    clock.set_to(NOW)
    rule, before, event, expected = CASES[name]
    lin = resident("林晓", "A-0101")
    one = segment(name, rule)
    hq = client_of("hq")

    def belongs() -> bool:
        says = f"{name}：1 人" in get(hq, f"{LIST}{one.pk}/")
        assert (f"林晓在“{name}”中" in get(hq, f"{LIST}{one.pk}/why/{lin.pk}/")) is says
        return says

    for kind, at in before:
        make_event(kind, lin, at=at)
    was = belongs()
    make_event(event[0], lin, at=event[1])
    assert (was, belongs()) == expected
    assert not Feature.objects.exists()
