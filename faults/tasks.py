"""Tasks that a campaign's workers know beside the product's; faults/settings.py says which one is beaten."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import transaction
from redis import Redis

from faults import mail
from renewal import days
from tenants import clock, outbox

TICKS = "ticks"


@shared_task(name="faults.drain_in_one_transaction")
def drain_in_one_transaction(**kwargs: Any) -> None:
    """S4's protection off: a claim is not committed before its message goes."""
    with transaction.atomic():
        outbox.drain(now=clock.now)


@shared_task(name="faults.tick")
def tick(**kwargs: Any) -> None:
    """What beat asks for in a house: the outbox is swept, and the day is run if it is due."""
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.incr(TICKS)
    days.run_if_due(now=clock.now())
    outbox.drain(now=clock.now)


@shared_task(name="faults.tick_without_lock")
def tick_without_lock(**kwargs: Any) -> None:
    """S8's protection off: nobody waits for whoever runs the day already."""
    with mail.off("renewal.days._alone", lambda **_: nullcontext()):
        tick()
