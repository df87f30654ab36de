"""S8: two beats tick 1,000 times for two workers of four children each, while the days go by.

Each day is run once and has one row; nobody hears anything twice. In the red twin nobody waits for whoever runs the
day already, and a day may have two rows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection
from redis import Redis

from faults import house, mail, tasks
from tenants import clock, outbox
from tenants.models import JobRun, Message
from tests.makers import NOW, make_lease

TICKS, DAYS, PEOPLE = 1000, 20, 100
EVERY = 0.2  # seconds between two ticks of a beat


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    counts = _campaign(seed, round(TICKS * share), max(3, round(DAYS * share)), "faults.tick")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tenants_jobrun DROP CONSTRAINT job_run_once")
    red = _campaign(seed, TICKS // 10, 3, "faults.tick_without_lock")
    return {"held": _held(counts), "counts": counts, "red": {"held": _held(red), "counts": red}}


def _held(counts: dict[str, int]) -> bool:
    once = counts["days"] == counts["rows"] == counts["runs"]
    return once and not (counts["lost"] or counts["double"] or counts["not in an end"])


def _campaign(seed: int, ticks: int, days: int, task: str) -> dict[str, int]:
    JobRun.objects.all().delete()
    with house.house(0, seed) as (broker, service), Redis(port=broker.port, decode_responses=True) as redis:
        leases = [make_lease(last_day=clock.day_of(NOW) + timedelta(days=300)) for _ in range(PEOPLE)]
        told = {"pager": "tests.pager:Pager", "task": task, "every": EVERY}
        workers = [house.Worker(broker, service, children=4, name=name, **told) for name in "ab"]
        try:
            for day in range(days):
                now = NOW + timedelta(days=day)
                clock.set_to(now)
                outbox.post_many([_word(lease.tenants.get().pk, day) for lease in leases], now=now)
                house.until(_over(redis, day, ticks * (day + 1) // days), "the day does not end", 120, complain=False)
        finally:
            for worker in workers:
                worker.kill()
        counts = house.counted(service, 0)
        runs = list(JobRun.objects.values_list("times", flat=True))
        return {
            "ticks": _ticks(redis),
            "days": days,
            "rows": len(runs),
            "runs": sum(time["broke_off"] == "" for times in runs for time in times),
            "sends": counts["sends"],
            "lost": counts["lost"],
            "double": counts["double"],
            "not in an end": counts["not in an end"],
        }


def _word(tenant: int, day: int) -> outbox.Draft:
    deadline = NOW + timedelta(days=day, hours=8)
    return outbox.Draft(
        key=f"word:{day}:{tenant}", klass=Message.Class.SERVICE, tenant_id=tenant, text=mail.TEXT, deadline=deadline
    )


def _ticks(redis: Redis) -> int:
    return int(redis.get(tasks.TICKS) or 0)


def _over(redis: Redis, day: int, ticks: int) -> Callable[[], bool]:
    """Whether so many ticks have come, the day has been run to its end and nothing waits."""
    ended = JobRun.objects.filter(period=clock.day_of(NOW + timedelta(days=day)).isoformat(), finished_at__isnull=False)
    return lambda: _ticks(redis) >= ticks and ended.exists() and not house._open()
