"""What comes late, out of quarantine or a back-fill, sends nothing by itself and makes nobody speak of stale things.

Every step is anchored to the end of a lease, is decided once, and its rules count events by when they happened, not
by when they were recorded: that is what holds here, and the last test shows that the first two could fail.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from campaigns.models import Push
from connectors.models import Refusal
from connectors.sources.tickets import COLUMNS
from renewal import days, quarantine
from tenants import clock
from tenants.models import Alias, Event, Message, Tenant, TenantTag
from tests.makers import NOW, TODAY, make_announcement, make_lease, make_tenant, make_unit
from tests.test_bad_files import manage, table

pytestmark = pytest.mark.django_db

VISITS = 24


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.set_to(NOW)
    monkeypatch.setenv("DATA", str(tmp_path / "data"))


@pytest.fixture
def lin() -> Tenant:
    """Her lease ends in 25 days, in a house that announces a better kitchen; of her cooking nothing is known."""
    tenant = make_tenant("林晓")
    lease = make_lease(tenant, make_unit())
    make_announcement(lease.unit.building)
    return tenant


def kitchen(folder: Path, tenant: Tenant, *, first: date) -> None:
    """Her visits to the kitchen are in quarantine: their moments bear no offset."""
    user = Alias.objects.get(tenant=tenant, source="app").ref
    lines = [
        {
            "type": "track", "event": "Facility Used", "messageId": f"k{n}", "userId": user,
            "timestamp": f"{first + timedelta(days=n)}T19:00:00", "properties": {"facility": "shared_kitchen"},
        }
        for n in range(VISITS)
    ]  # fmt: skip
    path = folder / "app.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    assert manage("load", "app", path)[0] == 1
    assert Refusal.objects.filter(resolved_at=None).count() == VISITS


def put_right() -> None:
    for row in Refusal.objects.filter(resolved_at=None):
        line = row.raw["line"].replace("T19:00:00", "T19:00:00+08:00")
        assert quarantine.correct(row.pk, {"line": line}, by="mei", now=NOW).resolved_at
    assert Event.objects.filter(kind="facility.used").count() == VISITS


def said() -> list[tuple[Any, ...]]:
    return [
        *Push.objects.order_by("pk").values_list("step__code", "state", "reason"),
        *Message.objects.order_by("pk").values_list("key", "text"),
    ]


def run(day: date) -> None:
    days.run(today=day, now=clock.at(day, 10))


def test_what_comes_in_after_the_day_was_run_sends_nothing_by_itself_nor_when_the_day_is_run_again(
    lin: Tenant, tmp_path: Path
) -> None:
    kitchen(tmp_path, lin, first=TODAY - timedelta(days=30))
    run(TODAY)
    before = said()
    assert before
    put_right()
    assert said() == before
    run(TODAY)
    assert TenantTag.objects.filter(tenant=lin, tag="kitchen_regular").exists()  # the late news is known
    assert said() == before  # and what has been decided stays decided
    run(TODAY + timedelta(days=1))
    assert [row for row in said() if row[0] in {"social-kitchen-25", "general-kitchen-25"}] == [
        row for row in before if row[0] in {"social-kitchen-25", "general-kitchen-25"}
    ]


def kitchen_steps() -> set[str]:
    return set(Push.objects.filter(step__code__endswith="kitchen-25").values_list("state", flat=True))


def test_old_visits_recorded_today_are_not_spoken_of_as_habits_of_today(lin: Tenant, tmp_path: Path) -> None:
    kitchen(tmp_path, lin, first=TODAY - timedelta(days=90 + VISITS))
    put_right()
    assert {event.recorded_at for event in Event.objects.filter(kind="facility.used")} == {NOW}
    run(TODAY)
    assert not TenantTag.objects.filter(tenant=lin, tag="kitchen_regular").exists()
    assert kitchen_steps() == {"suppressed"}
    assert not Message.objects.filter(text__contains="您常去的").exists()


def test_the_same_visits_of_the_last_weeks_are_spoken_of_however_late_they_came(lin: Tenant, tmp_path: Path) -> None:
    kitchen(tmp_path, lin, first=TODAY - timedelta(days=30))
    put_right()
    run(TODAY)
    assert kitchen_steps() == {"handed_over"}
    assert Message.objects.filter(text__contains="您常去的").count() == 1


def test_a_replay_of_contracts_and_tickets_sends_nothing_by_itself(lin: Tenant, tmp_path: Path) -> None:
    rows = [f"BX{n},前台,B9-{n},,漏水,漏水,2025-03-0{n} 10:00,,,,," for n in range(1, 6)]
    assert manage("load", "tickets", table(tmp_path / "t.csv", COLUMNS, *rows))[0] == 1
    run(TODAY)
    before = said()
    for n in range(1, 6):
        make_unit(f"B9-{n}")
    assert quarantine.replay(now=NOW)["tickets"]["accepted"] == 5
    assert said() == before
