"""A day is run once, all of it, in stages that commit; a second run finds nothing to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import InternalError, connection

from campaigns.models import Enrolment, Push
from renewal import days, tasks
from renewal.models import Case, CaseChange, KpiDay, Proposal
from tenants import clock
from tenants.models import Event, Feature, Grant, JobRun, Message, Tenant, TenantTag
from tests.makers import NOW, TODAY, make_announcement, make_event, make_lease, make_tenant, make_unit
from workorders.models import Report, WorkOrder

pytestmark = pytest.mark.django_db

STAGES = [
    "prepare", "retention", "intake", "features", "tags", "cases", "roadmap", "proposals", "leave", "enrol", "plan",
    "experiments", "hand_over", "questions", "drain", "contacts", "looks", "kpis",
]  # fmt: skip


@pytest.fixture
def lin() -> Tenant:
    """Somebody who cooks often, whose lease ends in 25 days, in a house that announces a better kitchen."""
    clock.set_to(NOW)
    tenant = make_tenant("林晓")
    unit = make_unit()
    make_lease(tenant, unit)
    make_announcement(unit.building)
    for n in range(16):
        make_event("facility.used", tenant, data={"facility": "shared_kitchen"}, at=NOW - timedelta(days=3 * n + 1))
    # The neighbour's pipe: one's own would be put right before one is asked to renew.
    neighbour = make_tenant("何静")
    next_door = make_lease(neighbour, last_day=TODAY + timedelta(days=300)).unit
    make_event(
        "ticket.reported", neighbour, next_door, at=NOW - timedelta(hours=5),
        data={"ticket": "T1", "category": "water", "channel": "app", "text": "漏水"},
    )  # fmt: skip
    return tenant


def world() -> dict[str, list[Any]]:
    """Every row that a day may write, without the moments at which it was worked out."""
    left_out = {"computed_at"}
    return {
        model.__name__: sorted(
            tuple(sorted((k, str(v)) for k, v in row.items() if k not in left_out)) for row in model.objects.values()
        )
        for model in (
            Case, CaseChange, Enrolment, Event, Feature, Grant, KpiDay, Message, Proposal, Push, Report, TenantTag,
            WorkOrder,
        )
    }  # fmt: skip


def test_a_day_goes_through_every_room(lin: Tenant) -> None:
    done = days.run(today=TODAY, now=NOW)
    assert list(done["stages"]) == STAGES
    assert WorkOrder.objects.get().state == "open"
    assert TenantTag.objects.filter(tenant=lin, tag="kitchen_regular").exists()
    message = Message.objects.get(tenant=lin, klass="marketing")
    assert "共享厨房" in message.text
    assert message.state in ("accepted", "delivered")
    # Reached today, and on record today.
    assert Case.objects.get().state == "contacted"
    assert KpiDay.objects.get(building=None).figures["cases"]["states"]["contacted"] == 1
    run = JobRun.objects.get()
    assert (run.job, run.period, run.finished_at, run.stage, run.error) == ("day", "2025-12-01", NOW, "", "")
    assert run.counts == done["stages"]


def test_a_second_run_of_the_day_changes_nothing_more(lin: Tenant) -> None:
    days.run(today=TODAY, now=NOW)
    before = world()
    again = days.run(today=TODAY, now=NOW)["stages"]
    assert world() == before
    # What is worked out anew is counted anew; all else is zero.
    assert {stage: counts for stage, counts in again.items() if any(counts.values())}.keys() <= {"features", "tags"}
    assert JobRun.objects.count() == 1


@pytest.fixture
def broken_figures() -> Iterator[None]:
    """The table of figures refuses every row."""
    with connection.cursor() as cursor:
        cursor.execute(
            """create function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'the disk is full'; end $$;
            create trigger refuse before insert on renewal_kpiday for each row execute function refuse()"""
        )
    yield
    mend()


def mend() -> None:
    with connection.cursor() as cursor:
        cursor.execute("drop function if exists refuse() cascade")


def test_a_stage_that_fails_keeps_the_earlier_ones_and_the_day_is_finished_by_running_it_again(
    lin: Tenant, broken_figures: None
) -> None:
    with pytest.raises(InternalError, match="the disk is full"):
        days.run(today=TODAY, now=NOW)
    run = JobRun.objects.get()
    assert (run.stage, run.finished_at) == ("kpis", None)
    assert "the disk is full" in run.error
    assert set(run.counts) == set(STAGES[:-1])  # jsonb keeps no order
    assert Case.objects.get().state == "contacted"
    sent = Message.objects.count()

    mend()
    assert days.run_if_due(now=NOW) is not None
    run.refresh_from_db()
    assert (run.stage, run.finished_at, run.error) == ("", NOW, "")
    assert (Message.objects.count(), KpiDay.objects.count()) == (sent, 2)


def test_the_schedule_runs_the_day_once_its_hour_has_come() -> None:
    make_unit()
    assert days.run_if_due(now=clock.at(TODAY, 5, 59)) is None
    assert not JobRun.objects.exists()
    assert days.run_if_due(now=clock.at(TODAY, 6)) is not None
    assert days.run_if_due(now=clock.at(TODAY, 7)) is None
    assert days.run_if_due(now=clock.at(TODAY + timedelta(days=1), 6)) is not None
    assert list(JobRun.objects.order_by("period").values_list("period", flat=True)) == ["2025-12-01", "2025-12-02"]


def test_while_another_process_runs_a_day_the_schedule_leaves_it_alone() -> None:
    other = connection.copy()  # a session of its own, as another process has
    try:
        with other.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(%s)", [days.LOCK])
        assert days.run_if_due(now=NOW) is None
        assert not JobRun.objects.exists()
        with pytest.raises(days.AlreadyRunning):
            days.run(today=TODAY, now=NOW, wait=False)
    finally:
        other.close()  # a process that dies lets go, as soon as the server has noticed
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", [days.LOCK])
        cursor.execute("select pg_advisory_unlock(%s)", [days.LOCK])
    assert days.run_if_due(now=NOW) is not None


def test_the_next_days_run_closes_the_figures_of_the_day_before(lin: Tenant) -> None:
    days.run(today=TODAY, now=NOW)
    WorkOrder.objects.update(accepted_at=NOW + timedelta(hours=3), state="accepted")
    make_event(
        "ticket.accepted", None, WorkOrder.objects.get().unit, data={"ticket": "T1"}, at=NOW + timedelta(hours=3)
    )
    tomorrow = TODAY + timedelta(days=1)
    days.run(today=tomorrow, now=clock.at(tomorrow, 6))
    row = KpiDay.objects.get(day=TODAY, building=None)
    assert (row.figures["accept"]["month"]["over"], row.computed_at) == (1, clock.at(tomorrow, 6))
    assert KpiDay.objects.filter(day=tomorrow).count() == 2


def test_the_command_prints_one_json_object_with_the_counts_of_every_stage(
    lin: Tenant, capfd: pytest.CaptureFixture[str]
) -> None:
    call_command("run_day", json=True)
    out, err = capfd.readouterr()
    printed = json.loads(out)
    assert printed["today"] == "2025-12-01"
    assert list(printed["stages"]) == list(printed["seconds"]) == STAGES
    assert printed["stages"]["plan"]["planned"] == 1
    assert "\x1b[" not in err  # no progress bar where nobody looks


def test_another_day_is_run_as_of_ten_in_its_morning(lin: Tenant) -> None:
    call_command("run_day", today="2025-12-05")
    run = JobRun.objects.get()
    assert (run.period, run.started_at) == ("2025-12-05", clock.at(date(2025, 12, 5), 10))


def test_a_day_that_is_none_is_refused_in_one_sentence() -> None:
    with pytest.raises(CommandError, match="“yesterday” is not a day"):
        call_command("run_day", "--today", "yesterday")
    assert not JobRun.objects.exists()


def test_the_tasks_run_the_day_they_are_asked_for(lin: Tenant) -> None:
    tasks.run_day(today="2025-12-02", asked_by="a newer web process")
    tasks.run_day_if_due()
    assert set(JobRun.objects.values_list("period", flat=True)) == {"2025-12-01", "2025-12-02"}
