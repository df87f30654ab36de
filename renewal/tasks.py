"""What Celery may be asked to do here: ids and days in, one verb called, nothing returned."""

from __future__ import annotations

from datetime import date
from typing import Any

from celery import shared_task

from campaigns import looking
from renewal import days, rehearsed, rounds, sealing
from tenants import clock


@shared_task(name="renewal.run_day_if_due")
def run_day_if_due(**kwargs: Any) -> None:
    """Asked every minute: the day is run once its hour has come."""
    days.run_if_due(now=clock.now())


@shared_task(name="renewal.run_day")
def run_day(*, today: str | None = None, **kwargs: Any) -> None:
    """Run a day, today's if none is named, whether or not it has been run before."""
    now = clock.now()
    day = date.fromisoformat(today) if today else clock.day_of(now)
    days.run(today=day, now=days.moment_of(day, now=now))


@shared_task(name="renewal.look")
def look(**kwargs: Any) -> None:
    """Asked every few minutes: the looks at experiments whose hour has come are taken."""
    looking.look(now=clock.now())


@shared_task(name="renewal.rehearse")
def rehearse(**kwargs: Any) -> None:
    """No rehearsal that somebody asked for waits any more."""
    while rehearsed.run_next(now=clock.now()):
        pass


@shared_task(name="renewal.lapse")
def lapse(**kwargs: Any) -> None:
    """Asked every minute: signings by several whose deadline has passed are over, and free what they kept."""
    rounds.lapse(now=clock.now())


@shared_task(name="renewal.seal")
def seal(**kwargs: Any) -> None:
    """Asked every few seconds: what waits for the e-sign provider is handed over, or asked about."""
    sealing.run(now=clock.now())
