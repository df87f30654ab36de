"""Experiments: laid down before the start, drawn for whole households, said as drawn, and stopped for good."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from campaigns import playbooks, pushes, rosters, trials
from campaigns.experiments import assigning
from campaigns.models import Arm, Assigned, Experiment, Look, Push, StepVersion, Verdict
from renewal import days, rehearsals
from tenants import clock
from tenants.models import Flat, Lease, Message
from tests.makers import TODAY, first_step, make_building, make_lease, make_playbook, make_tenant, make_unit, make_user

pytestmark = pytest.mark.django_db

TOMORROW = TODAY + timedelta(days=1)
NOW = clock.at(TODAY, 10)
WAVE: dict[str, Any] = {
    "code": "wave",
    "anchor": "wave",
    "on": TOMORROW,
    "ends_from": 20,
    "ends_to": 75,
    "text": "租约 {last_day}到期。",
}
B = {"text": "{last_day}之后，还住这里吗？", "templates": {}}


def wave(*wordings: dict[str, Any], **step: Any) -> Experiment:
    said = first_step(make_playbook("p", {**WAVE, **step}, rank=50))  # before the shipped ones
    return trials.make(said, wordings or [B], name="问一句", by=make_user(), now=NOW)


def audience(flats: int, *, of_two: int = 0, building: str = "B1") -> list[Lease]:
    """A lease for each flat, and two for each of those that two people share by rooms."""
    house, found = make_building(building), []
    for n in range(flats):
        flat = Flat.objects.create(building=house, code=f"F{n}")
        rooms = 2 if n < of_two else 1
        for room in range(rooms):
            unit = make_unit(f"{building}-{n}-{room}", building=house, flat=flat)
            found.append(make_lease(make_tenant(), unit, last_day=TODAY + timedelta(days=40)))
    return found


def run(today: Any) -> None:
    now = clock.at(today, 10)
    playbooks.leave(today=today, now=now)
    playbooks.enrol(today=today, now=now)
    pushes.plan(today=today, now=now)
    rosters.freeze(today=today, now=now)
    pushes.hand_over(today=today, now=now)


def test_a_wave_is_drawn_for_on_its_day_by_households_and_each_hears_its_arm() -> None:
    experiment = wave()
    audience(11, of_two=4)
    run(TODAY)
    assert Experiment.objects.get().state == "ready"
    assert not Assigned.objects.exists()
    run(TOMORROW)
    rows = list(Assigned.objects.select_related("arm"))
    assert len(rows) == 15
    assert set(Counter(row.household for row in rows).values()) == {1, 2}
    arms = {row.household: row.arm.letter for row in rows}
    assert all(row.arm.letter == arms[row.household] for row in rows)
    households, persons = Counter(arms.values()), Counter(row.arm.letter for row in rows)
    assert abs(households["A"] - households["B"]) == 1
    assert abs(persons["A"] - persons["B"]) == 1
    said = {"A": "租约 1 月 10 日到期。", "B": "1 月 10 日之后，还住这里吗？"}
    for row in rows:
        message = Message.objects.get(lease=row.lease_id, tenant=row.tenant_id)
        assert message.text == said[row.arm.letter]
    experiment.refresh_from_db()
    assert (experiment.state, experiment.started_at) == ("running", clock.at(TOMORROW, 10))
    due = list(Look.objects.order_by("number").values_list("due_at", flat=True))
    assert due == [clock.at(TOMORROW, 10) + timedelta(hours=hours) for hours in (12, 24, 36, 48, 60, 72)]


def test_whoever_has_the_seed_comes_to_the_same_arms() -> None:
    experiment = wave()
    audience(9)
    run(TOMORROW)
    drawn = dict(Assigned.objects.values_list("household", "arm__letter"))
    # Everybody is alike but for the key: of one building, without a mood, and moved in on one day.
    roster = [assigning.Household(key, "B1", 1, 325) for key in sorted(drawn, reverse=True)]
    again = assigning.assign(roster, experiment.seed)
    assert {key: "AB"[arm] for key, arm in again.items()} == drawn


def test_a_step_that_trickles_draws_as_its_pushes_come_by_a_hash_that_anybody_can_verify() -> None:
    said = first_step(make_playbook("p", {"code": "s", "anchor": "end", "days": 40, "text": "甲"}, rank=50))
    experiment = trials.make(said, [B], name="n", by=None, now=NOW)
    audience(8, building="B1")
    run(TODAY)
    early = dict(Assigned.objects.values_list("household", "arm__letter"))
    assert len(early) == 8
    for household, letter in early.items():
        assert letter == "AB"[assigning.bucket(experiment.seed, household) >= 0.5]  # type: ignore[operator]
    late = make_lease(make_tenant(), make_unit("late"), last_day=TOMORROW + timedelta(days=40))
    run(TOMORROW)
    assert Assigned.objects.filter(lease=late).count() == 1
    assert dict(Assigned.objects.exclude(lease=late).values_list("household", "arm__letter")) == early
    assert not Look.objects.exists()


def test_a_wave_that_nobody_hears_ends_without_a_verdict_on_anything() -> None:
    wave()
    run(TOMORROW)
    assert Experiment.objects.get().state == "stopped"
    assert Verdict.objects.values_list("kind", "arm", "why").get() == ("blocked", None, "波次当天没有人要收到这一步。")


def test_stopped_everybody_new_hears_what_the_step_says_and_who_was_drawn_for_keeps_their_arm() -> None:
    said = first_step(make_playbook("p", {"code": "s", "anchor": "end", "days": 40, "text": "甲"}, rank=50))
    experiment = trials.make(said, [B], name="n", by=None, now=NOW)
    audience(6)
    run(TODAY)
    with pytest.raises(trials.NotMade, match="请说明停止的原因"):
        trials.stop(experiment.pk, why=" ", by=None, now=NOW)
    trials.stop(experiment.pk, why="写错了", by=make_user(), now=NOW)
    late = [make_lease(make_tenant(), make_unit(f"l{n}"), last_day=TOMORROW + timedelta(days=40)) for n in range(6)]
    run(TOMORROW)
    assert set(Message.objects.filter(lease__in=late).values_list("text", flat=True)) == {"甲"}
    assert Assigned.objects.count() == 6
    assert Verdict.objects.values_list("kind", "arm__letter", "why", "by__username").get() == (
        "stopped",
        "A",
        "写错了",
        "mei",
    )
    with pytest.raises(trials.NotMade, match="已经停止"):
        trials.stop(experiment.pk, why="再停", by=None, now=NOW)


@pytest.mark.parametrize(
    ("step", "wordings", "fault"),
    [
        ({"kind": "care"}, [B], "只有询问续租的步骤"),
        ({"on": TODAY}, [B], "已经开始或结束"),
        ({}, [], "两到 4 种"),
        ({}, [B, B], "有两种文案相同"),
        ({}, [{"text": WAVE["text"], "templates": {}}], "有两种文案相同"),
        ({}, [{"text": "  ", "templates": {}}], "文案不能为空"),
        ({}, [{"text": "请{name}看", "templates": {}}], "name"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_a_sentence(
    step: dict[str, Any], wordings: list[dict[str, Any]], fault: str
) -> None:
    said = first_step(make_playbook("p", {**WAVE, **step}, rank=50))  # before the shipped ones
    with pytest.raises(trials.NotMade, match=fault):
        trials.make(said, wordings, name="n", by=None, now=NOW)
    assert not Experiment.objects.exists()


def test_a_step_has_one_experiment_at_a_time() -> None:
    experiment = wave()
    said = StepVersion.objects.get(step=experiment.step_id)
    with pytest.raises(trials.NotMade, match="正在进行"):
        trials.make(said, [{"text": "另一句", "templates": {}}], name="n", by=None, now=NOW)
    trials.stop(experiment.pk, why="w", by=None, now=NOW)
    trials.make(said, [{"text": "另一句", "templates": {}}], name="n", by=None, now=NOW)


def test_what_was_drawn_and_concluded_cannot_be_changed() -> None:
    wave()
    audience(2)
    run(TOMORROW)
    trials.stop(Experiment.objects.get().pk, why="w", by=None, now=NOW)
    for statement in (
        f"UPDATE campaigns_assigned SET arm_id = {Arm.objects.earliest('pk').pk}",
        "DELETE FROM campaigns_assigned",
        "UPDATE campaigns_verdict SET why = ''",
        "DELETE FROM campaigns_verdict",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_a_push_held_back_on_the_day_is_not_of_the_audience() -> None:
    wave()
    audience(2)
    lease = Lease.objects.earliest("pk")
    Push.objects.create(
        lease=lease, tenant=lease.tenants.get(), step=StepVersion.objects.get().step, said=StepVersion.objects.get(),
        due_on=TOMORROW, state="suppressed", reason="", created_at=NOW,
    )  # fmt: skip
    run(TOMORROW)
    assert Assigned.objects.count() == 1


def test_a_look_at_the_past_says_again_what_was_drawn() -> None:
    wave()
    audience(8)
    for day in (TODAY, TOMORROW):
        clock.set_to(clock.at(day, 10))
        days.run(today=day, now=clock.now())
    sent = set(Message.objects.values_list("lease", "text"))
    assert len({text for _lease, text in sent}) == 2
    then = clock.at(TOMORROW + timedelta(days=1), 9)
    found = rehearsals.backtest(rehearsals.BackTest(first=TODAY, last=TOMORROW), now=then)
    assert (found["same"], found["different"]) == (8, 0)
    assert {(pair["lease"], pair["would"]["text"]) for pair in found["pushes"]} == sent
    assert Assigned.objects.count() == 8
