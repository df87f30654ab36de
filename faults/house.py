"""What the campaigns S1 to S8 share: a real worker with its beat, on a Redis of its own, that dies over and over."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from redis import Redis
from redis.exceptions import RedisError

from bench.scratch import ROOT
from connectors.channels import Answer, Envelope, Outcome
from faults import mail
from tenants import clock
from tenants.models import Message
from tests.makers import NOW
from tests.pager import Pager
from tests.product import free_port
from tests.standins.base import Fault
from tests.standins.pager import PagerService

SENDS = 10_000
LEASE = 5  # seconds, where the house has 60: after every death the campaign waits for it
SLOW = 0.02  # seconds a call takes at the provider, so that deaths meet messages on their way
WITHIN = LEASE + 60  # seconds in which everything has come to its end after the last death
OPEN = (Message.State.PLANNED, Message.State.QUEUED, Message.State.SENDING, Message.State.UNKNOWN)


class Forgetful(Pager):
    """The protection off: whatever may have arrived is taken for lost, and sent once more."""

    def find(self, envelope: Envelope) -> Answer:
        return Answer(Outcome.NOT_SENT)


class Broker:
    """A Redis of this campaign alone."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen([*command, "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL)
        with Redis(port=self.port) as redis:
            until(lambda: _answers(redis), "redis has not come up")

    def flush(self) -> None:
        with Redis(port=self.port) as redis:
            redis.flushall()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def environment(
    broker: Broker,
    service: PagerService,
    *,
    pager: str,
    sweep: bool = True,
    task: str = "tenants.drain_outbox",
    every: float = 1.0,
) -> dict[str, str]:
    """What a process of the house is told: its provider, its broker, its claims' length, what beat asks for."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "faults.settings",
        "FAULTS_PAGER": pager,
        "FAULTS_PAGER_URL": service.url,
        "FAULTS_SWEEP": "yes" if sweep else "",
        "FAULTS_TASK": task,
        "FAULTS_EVERY": str(every),
        "OUTBOX_CLAIM_SECONDS": str(LEASE),
        "REDIS_URL": broker.url,
    }


class Worker:
    """`celery worker` of two children, and the beat that sweeps every second; `told` as to `environment`."""

    def __init__(
        self, broker: Broker, service: PagerService, *, children: int = 2, name: str = "", **told: Any
    ) -> None:
        env = environment(broker, service, **told)
        celery = [sys.executable, "-m", "celery", "-A", "renewal"]
        schedule = ["--schedule", str(broker.folder / f"schedule{name}")]
        self.process, self.beat = (
            subprocess.Popen(
                [*celery, *command, "--loglevel", "ERROR"],
                cwd=ROOT,
                env=env,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for command in (
                ["worker", "--concurrency", str(children), "--hostname", f"faults{name}@%h"],
                ["beat", "--pidfile", "", *schedule],
            )
        )

    def kill(self) -> None:
        """All of it at once: the worker, its children and the beat."""
        for process in (self.process, self.beat):
            os.killpg(process.pid, signal.SIGKILL)
        for process in (self.process, self.beat):
            process.wait()

    def kill_child(self, dice: random.Random) -> None:
        """One of those that send."""
        children = [one for one in psutil.Process(self.process.pid).children() if one.is_running()]
        if children:
            dice.choice(children).kill()


@contextmanager
def house(messages: int, seed: int, *, keyless: bool = True) -> Iterator[tuple[Broker, PagerService]]:
    """So many offers wait; their provider forgets keys, but can be asked, and takes its time."""
    clock.set_to(NOW)
    with TemporaryDirectory() as name, mail.provider("pager", seed=seed) as service:
        service.keyless, service.faults = keyless, [Fault("delay", seconds=SLOW, path="/send")]
        mail.offers(mail.people(messages), deadline=mail.DEADLINE)
        broker = Broker(Path(name))
        try:
            yield broker, service
        finally:
            broker.kill()


def die(
    kills: int,
    seed: int,
    broker: Broker,
    service: PagerService,
    *,
    pager: str = "tests.pager:Pager",
    children: bool = False,
    sweep: bool = True,
    besides: Callable[[int], None] = lambda _death: None,
) -> dict[str, int]:
    """The worker dies `kills` times while it sends, then one may live; counts of where everything is in the end.

    `besides` is called after each death with its number, from 1. A death comes at a random moment after the provider
    has heard from this worker.
    """
    dice = random.Random(seed)
    worker = Worker(broker, service, pager=pager, sweep=sweep)
    deaths = 0
    try:
        for n in range(kills):
            until(_hears_more(service), "the worker sends nothing", complain=sweep)
            time.sleep(dice.uniform(0, 0.4))
            deaths += bool(_open())
            if children:
                worker.kill_child(dice)
            else:
                worker.kill()
            besides(n + 1)
            if not children:
                worker = Worker(broker, service, pager=pager, sweep=sweep)
        until(lambda: not _open(), "not all came to an end", WITHIN, complain=False)
    finally:
        worker.kill()
    return counted(service, deaths)


def counted(service: PagerService, deaths: int) -> dict[str, int]:
    """Where everything is in the end; `deaths` are those that met unfinished work."""
    states = mail.states()
    arrived = service.counts.arrived
    return {
        "sends": sum(states.values()),
        "deaths": deaths,
        "lost": sum(one not in arrived for one in Message.objects.values_list("key", flat=True)),
        "double": service.counts.doubles(),
        "not in an end": _open(),
        "accepted": states.get(Message.State.ACCEPTED, 0),
        "asked about": service.counts.found.total(),
    }


def deadly(kills: int, seed: int, share: float, *, children: bool = False) -> dict[str, Any]:
    """A share of SENDS while the worker, or one of its children, dies a share of `kills` times; and the red twin."""

    def campaign(part: float, pager: str) -> dict[str, Any]:
        with house(round(SENDS * part), seed) as (broker, service):
            counts = die(round(kills * part), seed, broker, service, pager=pager, children=children)
        return {"held": held(counts), "counts": counts}

    red = campaign(max(0.05, share / 10), "faults.house:Forgetful")
    return {**campaign(share, "tests.pager:Pager"), "red": red}


def held(counts: dict[str, int]) -> bool:
    """Everyone heard it once, and the house knows that."""
    return not (counts["lost"] or counts["double"] or counts["not in an end"]) and counts["accepted"] == counts["sends"]


def until(is_so: Callable[[], bool], complaint: str, seconds: float = 60, *, complain: bool = True) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            assert not complain, complaint
            return
        time.sleep(0.02)


def _hears_more(service: PagerService) -> Callable[[], bool]:
    """Whether the provider has heard more than until now, or nothing is left to be said."""
    heard = service.counts.requests
    return lambda: service.counts.requests > heard or not _open()


def _open() -> int:
    return Message.objects.filter(state__in=OPEN).count()


def _answers(redis: Any) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False
