"""S3: as S1, while Redis forgets everything 10 times and dies 5 times; sending goes on without being told to.

The red twin has no sweep: each message was rung for once, when it was posted, and the bell is lost with Redis.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from faults import house

KILLS, FLUSHES, RESTARTS = 50, 10, 5


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    messages, kills = round(house.SENDS * share), round(KILLS * share)
    with house.house(messages, seed) as (broker, service):

        def besides(death: int) -> None:
            if not death % (KILLS // FLUSHES):
                broker.flush()
            if not death % (KILLS // RESTARTS):
                broker.kill()
                broker.start()

        counts = house.die(kills, seed, broker, service, besides=besides)
    return {"held": house.held(counts), "counts": counts, "red": _without_sweep(seed)}


def _without_sweep(seed: int) -> dict[str, Any]:
    with house.house(house.SENDS // 20, seed) as (broker, service):
        Celery(broker=broker.url).send_task("tenants.drain_outbox")
        counts = house.die(2, seed, broker, service, sweep=False, besides=lambda _death: broker.flush())
    return {"held": house.held(counts), "counts": counts}
