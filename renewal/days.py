"""The day's run: once through every room, in the order in which each stage finds what it needs.

Each stage commits by itself, and a `JobRun` row says which one runs, what the others counted and what
went wrong. A run may be repeated at any time: every stage is a function of the facts, so that a second run
of a day finds nothing left to do, and one cut short is simply run again.

Only one run goes at a time. What holds the others off is an advisory lock of the session: it ends with the
process that holds it, so that a worker killed half-way blocks nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from campaigns import looking, playbooks, pushes, rosters, shipping
from renewal import cases, errands, kpis, milestones, proposals, uploads
from renewal.models import KpiDay
from tenants import clock, features, feedback, holdout, outbox, planner, retention, surveys, tags, waiting
from tenants.models import JobRun
from workorders import intake

JOB = "day"
LOCK = 0x1DA7  # any number, the same in every process
DRAIN_ROUNDS = 1000  # of 200 messages: more than this the sweep takes over

Counts = dict[str, int]


class AlreadyRunning(Exception):
    """Another process is running a day."""

    def __init__(self) -> None:
        super().__init__(_("A day is being run already."))


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the day. `at_once`: in one transaction; sending commits message by message.

    Those that `decide` who is told what are done again for a past day, and for a coming one (renewal/rehearsals.py);
    what runs `ahead` is done for a coming one alone.
    """

    name: str
    title: str
    work: Callable[[date, datetime], Counts]
    at_once: bool = True
    decides: bool = False
    ahead: bool = False


def _prepare(today: date, now: datetime) -> Counts:
    planner.look_again()
    shipping.ship(now=now)
    holdout.keep(now=now)
    return {}


def _retain(today: date, now: datetime) -> Counts:
    """Nothing is kept longer than it may be; nothing waits for an alias that is known."""
    return {
        "doors": retention.forget_doors(today=today),
        "released": waiting.release_known(now=now),
        "waiting_dropped": waiting.forget(today=today),
        "files": uploads.forget(now=now),
    }


def _cases(today: date, now: datetime) -> Counts:
    return {"opened": cases.open_due(today=today, now=now), **cases.advance(today=today, now=now)}


def _propose(today: date, now: datetime) -> Counts:
    prepared = proposals.prepare(today=today, now=now)
    without = errands.find_without_term(today=today, now=now)
    return {"prepared": prepared} | ({"without_term": without} if without else {})


def _questions(today: date, now: datetime) -> Counts:
    return {"moods": feedback.ask(now=now), "surveys": surveys.ask(now=now)}


def _drain(today: date, now: datetime) -> Counts:
    total: Counts = {}
    for _round in range(DRAIN_ROUNDS):
        counts = outbox.drain(now=now)
        if not any(counts.values()):
            break
        for what, n in counts.items():
            total[what] = total.get(what, 0) + n
    return total


def _kpis(today: date, now: datetime) -> Counts:
    """Today's figures, and yesterday's for good."""
    yesterday = today - timedelta(days=1)
    closed = kpis.store(day=yesterday, now=now) if KpiDay.objects.filter(day=yesterday).exists() else 0
    return {"rows": kpis.store(day=today, now=now), "rows_closed": closed}


STAGES = (
    Stage("prepare", gettext_noop("Making ready"), _prepare),
    Stage("retention", gettext_noop("Forgetting what may not be kept"), _retain),
    Stage("intake", gettext_noop("Taking in repairs"), lambda today, now: intake.take(now=now)),
    Stage(
        "features",
        gettext_noop("Counting each tenant's year"),
        lambda today, now: {"tenants": features.refresh(today=today, now=now)},
        decides=True,
    ),
    Stage(
        "tags",
        gettext_noop("Working out tags"),
        lambda today, now: tags.recompute(today=today, now=now),
        decides=True,
    ),
    Stage("cases", gettext_noop("Opening and moving cases"), _cases),
    # Given for the length of a stay alone: it decides of nobody whom to tell what, and no past day does it again.
    Stage(
        "roadmap",
        gettext_noop("Giving what a stay has reached"),
        lambda today, now: milestones.give(today=today, now=now),
        ahead=True,
    ),
    Stage(
        "proposals",
        gettext_noop("Preparing proposals"),
        _propose,
    ),
    Stage(
        "leave",
        gettext_noop("Leaving playbooks"),
        lambda today, now: {"left": playbooks.leave(today=today, now=now)},
        decides=True,
    ),
    Stage(
        "enrol",
        gettext_noop("Joining playbooks"),
        lambda today, now: {"enrolled": playbooks.enrol(today=today, now=now)},
        decides=True,
    ),
    Stage(
        "plan",
        gettext_noop("Planning messages"),
        lambda today, now: pushes.plan(today=today, now=now),
        decides=True,
    ),
    # No lot is drawn in a rehearsal: what was drawn for is known there, and who is to be drawn for hears A.
    Stage(
        "experiments",
        gettext_noop("Drawing for experiments"),
        lambda today, now: rosters.freeze(today=today, now=now),
    ),
    Stage(
        "hand_over",
        gettext_noop("Handing messages over"),
        lambda today, now: pushes.hand_over(today=today, now=now),
        decides=True,
    ),
    Stage("questions", gettext_noop("Asking how it is to live here"), _questions),
    Stage("drain", gettext_noop("Sending what is due"), _drain, at_once=False),
    # What was sent a moment ago has made contacts.
    Stage("contacts", gettext_noop("Noting whom we reached"), lambda today, now: cases.advance(today=today, now=now)),
    Stage("looks", gettext_noop("Looking at experiments"), lambda today, now: looking.look(now=now)),
    Stage("kpis", gettext_noop("Counting the figures"), _kpis),
)

Report = Callable[[Stage, int], None]


def quiet(stage: Stage, done: int) -> None:
    """Report to nobody."""


def run(*, today: date, now: datetime, report: Report = quiet, wait: bool = True) -> dict[str, Any]:
    """All that a day does has been done for `today`; what each stage counted, and its seconds.

    With `wait` a run of another process is waited for, without it `AlreadyRunning` is raised.
    """
    with _alone(wait=wait):
        row, _new = JobRun.objects.get_or_create(job=JOB, period=today.isoformat(), defaults={"started_at": now})
        mine = JobRun.objects.filter(pk=row.pk)
        mine.update(started_at=now, finished_at=None, stage="", counts={}, error="")
        counts: dict[str, Counts] = {}
        seconds: dict[str, float] = {}
        for done, stage in enumerate(STAGES):
            mine.update(stage=stage.name, times=[*row.times, {"at": now.isoformat(), "broke_off": stage.name}])
            report(stage, done)
            began = time.perf_counter()
            try:
                counts[stage.name] = _do(stage, today, now)
            except Exception as error:
                mine.update(error=f"{type(error).__name__}: {error}", counts=counts)
                raise
            seconds[stage.name] = round(time.perf_counter() - began, 3)
            mine.update(counts=counts)
        mine.update(finished_at=now, stage="", times=[*row.times, {"at": now.isoformat(), "broke_off": ""}])
    return {"today": today.isoformat(), "stages": counts, "seconds": seconds}


def run_if_due(*, now: datetime) -> dict[str, Any] | None:
    """The day of `now` has been run, unless it is too early, done already or under way."""
    today = clock.day_of(now)
    early = now < clock.at(today, settings.RUN_DAY_FROM_HOUR)
    if early or JobRun.objects.filter(job=JOB, period=today.isoformat(), finished_at__isnull=False).exists():
        return None
    try:
        return run(today=today, now=now, wait=False)
    except AlreadyRunning:
        return None


def under_way(*, today: date) -> str:
    """The day that is being run, or was begun and not finished; empty if today's is over or not begun."""
    run = JobRun.objects.filter(job=JOB, period=today.isoformat(), finished_at=None).first()
    return run.period if run else ""


def moment_of(today: date, *, now: datetime) -> datetime:
    """The moment at which a day is run: now, if it is that day; else ten in the morning of that day."""
    return now if clock.day_of(now) == today else clock.at(today, 10)


def _do(stage: Stage, today: date, now: datetime) -> Counts:
    if not stage.at_once:
        return stage.work(today, now)
    with transaction.atomic(durable=True):
        return stage.work(today, now)


@contextmanager
def _alone(*, wait: bool) -> Iterator[None]:
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("select pg_advisory_lock(%s)", [LOCK])
        else:
            cursor.execute("select pg_try_advisory_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                raise AlreadyRunning
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(%s)", [LOCK])
