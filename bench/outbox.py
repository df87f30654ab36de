"""10,000 pushes from planned to marked, beside a bare loop of the same HTTP calls and beside one Celery task a push.

The provider is a stand-in in a process of its own that takes a message a call, or a hundred. The bare loop says the
same words through the same connections with as many threads, and keeps nothing. Each is run several times in turn, and
the median of the ratios counts. The provider answers at once, so what is measured is our own part; a few pushes go to
one that takes 20 ms as real ones do, and that figure stands beside the first, which is the one the aim speaks of.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from bench.figures import Figure, figure
from bench.scratch import ROOT
from bench.tasks import push
from connectors.http import Way
from tenants import clock, outbox
from tenants.models import Attempt, Consent, Link, Message, Tenant
from tenants.outbox import claiming, draining
from tests.makers import NOW, TODAY
from tests.pager import Pager, PagerBatch
from tests.standins.base import Fault, Remote, process

KEYS = (
    "outbox.single.times_bare_loop",
    "outbox.single.times_celery_task",
    "outbox.single.per_s",
    "outbox.single_20ms.times_bare_loop",
    "outbox.batch.per_s",
    "outbox.claim.rows_per_s",
    "outbox.claim.service_rows_per_s",
)
PUSHES = int(os.environ.get("PUSHES", "10000"))
SLOW_PUSHES = min(PUSHES, 2000)  # to the provider that takes its time
SLOW = Fault("delay", seconds=0.02)
RUNS = int(os.environ.get("RUNS", "5"))
CLAIMERS = os.cpu_count() or 1
A_CLAIM = draining.BATCH_SLICE
TASKS = int(os.environ.get("TASKS", "3"))  # runs with one Celery task a push, minutes each; 0: that figure stays
TEXT = "您的租约将于 12 月 26 日到期，续租方案已备好。"
CHANNELS = {"pager": "tests.pager:Pager", "pagers": "tests.pager:PagerBatch"}


def run() -> dict[str, Figure]:
    settings.MORE_CHANNELS, settings.CHANNELS = CHANNELS, list(CHANNELS)
    clock.set_to(NOW)
    _people()
    with process("pager") as provider:
        settings.PAGER_URL = os.environ["PAGER_URL"] = provider.url
        runs: dict[str, list[float]] = {
            "bare": [],
            "single": [],
            "bare 20 ms": [],
            "single 20 ms": [],
            "bare batch": [],
            "batch": [],
            "claim": [],
            "claim service": [],
            "task": [],
        }
        _bare(provider, batch=False)  # connections, caches and the interpreter are warm
        for _run in range(RUNS):
            runs["bare"].append(_bare(provider, batch=False))
            runs["single"].append(_drained(provider, "pager"))
            provider.set(faults=[SLOW])
            runs["bare 20 ms"].append(_bare(provider, batch=False, pushes=SLOW_PUSHES))
            runs["single 20 ms"].append(_drained(provider, "pager", pushes=SLOW_PUSHES))
            provider.set(faults=[])
            runs["bare batch"].append(_bare(provider, batch=True))
            runs["batch"].append(_drained(provider, "pagers"))
            runs["claim"].append(_claimed("marketing"))
            runs["claim service"].append(_claimed("service"))
        for _run in range(TASKS):
            runs["task"].append(_by_tasks(provider))
    return _figures(runs)


def _figures(runs: dict[str, list[float]]) -> dict[str, Figure]:
    def rates(what: str) -> list[float]:
        return [PUSHES / seconds for seconds in runs[what]]

    def times(ours: str, bare: str) -> list[float]:
        return [mine / least for mine, least in zip(runs[ours], runs[bare], strict=True)]

    middle = statistics.median(runs["single"])
    detail = {"pushes": PUSHES, "threads": Pager.senders, "seconds": {what: runs[what] for what in runs}}
    beside_tasks = [middle / task for task in runs["task"]]
    return {
        "outbox.single.times_bare_loop": figure(times("single", "bare"), "×", **detail),
        **({"outbox.single.times_celery_task": figure(beside_tasks, "×")} if beside_tasks else {}),
        "outbox.single.per_s": figure(rates("single"), "sends/s", bare_loop=statistics.median(rates("bare"))),
        "outbox.single_20ms.times_bare_loop": figure(
            times("single 20 ms", "bare 20 ms"),
            "×",
            pushes=SLOW_PUSHES,
            threads=Pager.senders,
            answers_after_s=SLOW.seconds,
        ),
        "outbox.batch.per_s": figure(
            rates("batch"), "sends/s", a_call=PagerBatch.batch, bare_loop=statistics.median(rates("bare batch"))
        ),
        "outbox.claim.rows_per_s": figure(
            rates("claim"), "rows/s", a_claim=A_CLAIM, claimers=CLAIMERS, checks="all of tenants/outbox/rules.py"
        ),
        "outbox.claim.service_rows_per_s": figure(
            rates("claim service"),
            "rows/s",
            a_claim=A_CLAIM,
            claimers=CLAIMERS,
            checks="those of service: no person is locked or asked about",
        ),
    }


def _people() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE tenants_tenant, tenants_message CASCADE")
    people = Tenant.objects.bulk_create(
        [Tenant(name="租客", phone=f"100{n:08}", created_at=NOW) for n in range(PUSHES)], batch_size=5000
    )
    Consent.objects.bulk_create(
        [
            Consent(
                tenant=person, purpose="marketing", channel="any", granted=True, at=NOW, text_version="1", proof="1",
                recorded_at=NOW,
            )
            for person in people
        ],
        batch_size=5000,
    )  # fmt: skip


def _post(channel: str, klass: str = "marketing", *, pushes: int = PUSHES) -> None:
    """So many people have a push waiting each, and no other message is there."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE tenants_message CASCADE")
    deadline = clock.at(TODAY.replace(day=28), 21)
    people = Tenant.objects.order_by("pk").values_list("pk", flat=True)[:pushes]
    drafts = [
        outbox.Draft(key=f"push:{pk}", klass=klass, text=TEXT, deadline=deadline, tenant_id=pk, route=[channel])
        for pk in people
    ]
    outbox.post_many(drafts, now=NOW)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tenants_message, tenants_tenant, tenants_consent")


def _drained(provider: Remote, channel: str, *, pushes: int = PUSHES) -> float:
    provider.forget()
    _post(channel, pushes=pushes)
    seconds = _timed(lambda: outbox.drain(now=NOW, limit=pushes, seconds=600))
    seen = provider.counts()
    assert (len(seen["arrived"]), seen["doubles"]) == (pushes, 0)
    assert Message.objects.filter(state="accepted").count() == pushes == Attempt.objects.count()
    assert not Link.objects.exists()
    return seconds


def _bare(provider: Remote, *, batch: bool, pushes: int = PUSHES) -> float:
    provider.forget()
    told = [{"key": f"push:{n}", "to": f"100{n:08}", "text": TEXT} for n in range(pushes)]
    size, path = (PagerBatch.batch, "/send/batch") if batch else (1, "/send")
    threads = (PagerBatch if batch else Pager).senders
    way = Way(connections=threads)

    def call(at: int) -> None:
        body = told[at : at + size] if batch else told[at]
        headers = {"Content-Type": "application/json"}
        reply = way.call(
            "POST", provider.url + path, body=json.dumps(body, ensure_ascii=False).encode(), headers=headers
        )
        assert reply.status == 200
        assert reply.json()

    with ThreadPoolExecutor(threads) as pool:
        return _timed(lambda: list(pool.map(call, range(0, pushes, size))))


def _claimed(klass: str) -> float:
    """By as many claimers at once as there are cores, as workers do, each with a connection of its own."""
    _post("pagers", klass)
    ready = Barrier(CLAIMERS + 1)

    def claim_all() -> int:
        connection.ensure_connection()
        ready.wait()
        mine = 0
        try:
            while claims := claiming.claim(PagerBatch, now=NOW, limit=A_CLAIM)[0]:
                mine += len(claims)
        finally:
            connection.close()
        return mine

    with ThreadPoolExecutor(CLAIMERS) as pool:
        claimers = [pool.submit(claim_all) for _ in range(CLAIMERS)]
        ready.wait()
        seconds = _timed(lambda: [claimer.result() for claimer in claimers])
    assert sum(claimer.result() for claimer in claimers) == PUSHES
    assert Message.objects.filter(state="sending", attempt=1).count() == PUSHES
    return seconds


def _by_tasks(provider: Remote) -> float:
    """One Celery task a push, with as many threads as the outbox has."""
    provider.forget()
    _post("pager")
    command = [sys.executable, "-m", "celery", "-A", "bench.tasks", "worker", "-P", "threads", "-l", "ERROR"]
    worker = subprocess.Popen([*command, "-c", str(Pager.senders)], cwd=ROOT)
    try:
        first, *rest = Message.objects.values_list("pk", flat=True)
        push.delay(first)
        _until(provider, worker, 1)  # the worker is up

        def send() -> None:
            for message in rest:
                push.delay(message)
            _until(provider, worker, PUSHES)

        return _timed(send)
    finally:
        worker.kill()
        worker.wait()


def _until(provider: Remote, worker: subprocess.Popen[bytes], n: int) -> None:
    deadline = time.monotonic() + 240
    while provider.counts()["requests"] < n:
        assert worker.poll() is None, "the worker has ended"
        assert time.monotonic() < deadline, "the tasks did not come to an end"
        time.sleep(0.05)


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
