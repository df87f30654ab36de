"""What a worker does for this room."""

from typing import Any

from celery import shared_task

from tenants import clock, current, landing, outbox

ROUNDS = 50  # of 200 messages; the sweep comes back in seconds


@shared_task(name="tenants.drain_outbox")
def drain_outbox(**kwargs: Any) -> None:
    """Nothing that is due waits any more."""
    for _round in range(ROUNDS):
        if not any(outbox.drain(now=clock.now).values()):
            break


@shared_task(name="tenants.catch_up")
def catch_up(**kwargs: Any) -> None:
    """Feature rows and tags know what happened until now."""
    current.catch_up(now=clock.now())


@shared_task(name="tenants.take_landed")
def take_landed(**kwargs: Any) -> None:
    """Nothing that senders handed in waits any more."""
    for _round in range(ROUNDS):
        if not landing.take(now=clock.now()):
            break
    landing.take_again(now=clock.now())
