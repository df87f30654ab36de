"""A process killed while it applies a file leaves all of it or nothing (the campaign of 5,000 rows: faults/i6.py)."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from connectors.models import Refusal, Run, Upload
from faults import i6
from renewal import uploads
from tenants import clock
from tenants.models import Lease, Tenant

pytestmark = pytest.mark.django_db(transaction=True)

ROWS, BAD = 60, 4


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    clock.set_to(i6.NOW)


def test_killed_before_half_way_or_at_its_last_statement_nothing_is_in_and_after_the_commit_everything() -> None:
    world = i6.World(i6.workbook(ROWS, BAD), rows=ROWS)
    last = world.statements()
    assert last > 20
    for point, state in ((2, "none"), (last // 2, "none"), (last, "none"), (last + 1, "all")):
        world.reset()
        assert world.start(point).wait(i6.DEADLINE) == -signal.SIGKILL
        assert world.state() == state, point
        assert Lease.objects.count() == Tenant.objects.count() == (ROWS - BAD if state == "all" else 0)
    assert (Run.objects.get().accepted, Refusal.objects.count()) == (ROWS - BAD, BAD)


def test_who_comes_after_a_kill_applies_the_file_and_the_same_file_again_brings_nothing() -> None:
    world = i6.World(i6.workbook(ROWS, BAD), rows=ROWS)
    last = world.statements()
    world.reset()
    assert world.start(last // 2).wait(i6.DEADLINE) == -signal.SIGKILL
    assert world.state() == "none"
    assert world.to_the_end() == {
        "rows": ROWS,
        "accepted": ROWS - BAD,
        "refused": BAD,
        "new rows the second time": 0,
    }
    first, again = Upload.objects.order_by("pk")
    assert uploads.earlier(again) == first


def test_without_the_one_transaction_a_kill_leaves_a_part() -> None:
    world = i6.World(i6.workbook(ROWS, BAD), rows=ROWS, is_protected=False)
    last = world.statements()
    world.reset()
    # The last rows go in three statements before the end; what follows them only says that the file is applied.
    assert world.start(last - 3).wait(i6.DEADLINE) == -signal.SIGKILL
    assert world.state() == "part"
    assert Lease.objects.count() == ROWS - BAD
    assert Upload.objects.get().applied_at is None
