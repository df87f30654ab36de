"""The moments of a send at which a campaign hits the worker: what S5 kills at and S7 stops at.

A nursery is a process that has loaded the product. For each hit it forks a worker, which drains one message and is hit
at exactly one of POINTS, as Celery forks the children that send.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.scratch import ROOT

POINTS = (
    "claiming",  # the claim is not committed yet
    "claim committed",
    "before the call",
    "half of the request out",
    "request out",  # whether the provider has it, nobody knows
    "answer waits",  # the provider has it, and nobody has read what it said
    "answer read",
    "before marking",
    "marked",
)


class Nursery:
    """The process that forks; it is asked for one worker at a time."""

    def __init__(self, how: str, env: dict[str, str]) -> None:
        # The package first: its Celery application reads the settings, which come from it.
        call = f"import renewal, django; django.setup(); from faults import points; points.fork({how!r})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", call],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def hit(self, point: str) -> None:
        """A worker has claimed the message that is first, and was killed, or stands still, at that point."""
        assert self._ask(point) == "hit", f"no worker came to: {point}"

    def go_on(self) -> list[dict[str, int]]:
        """Those that stood still have come to their end; what each counted."""
        counts: list[dict[str, int]] = json.loads(self._ask("go on"))
        return counts

    def _ask(self, what: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def nursery(how: str, env: dict[str, str]) -> Iterator[Nursery]:
    """`how` is "KILL" or "STOP"; whoever still stands still in the end is killed."""
    started = Nursery(how, env)
    try:
        yield started
    finally:
        os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait()


# --- In the nursery ---------------------------------------------------------------------------------------------


def fork(how: str) -> None:
    """Serve `hit` and `go_on`, until killed."""
    asleep: list[tuple[int, int]] = []  # the worker, and the pipe by which it tells its counts
    for line in sys.stdin:
        point = line.strip()
        if point == "go on":
            for pid, _heard in asleep:
                os.kill(pid, signal.SIGCONT)
            found = []
            for pid, heard in asleep:
                with os.fdopen(heard) as pipe:
                    found.append(json.load(pipe))
                os.waitpid(pid, 0)
            _say(json.dumps(found))
            continue
        heard, tell = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(heard)
            _drain_one(point, how, tell)
        os.close(tell)
        _pid, status = os.waitpid(pid, os.WUNTRACED)
        if how == "STOP" and os.WIFSTOPPED(status):
            asleep.append((pid, heard))
            _say("hit")
        else:
            os.close(heard)
            _say("hit" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else f"ended {status}")


def _say(what: str) -> None:
    print(what, flush=True)


def _drain_one(point: str, how: str, tell: int) -> None:
    """The worker: it drains one message, is hit, and tells its counts if it lives to."""
    from tenants import clock, outbox

    try:
        install(point, lambda: os.kill(os.getpid(), signal.Signals[f"SIG{how}"]))
        counts = outbox.drain(now=clock.now, limit=1)
        os.write(tell, json.dumps(counts).encode())
        os._exit(0)
    finally:
        os._exit(1)


def install(point: str, act: Callable[[], None]) -> None:
    """`act` is called, once, when this process comes to that point of a send; never while it asks about another."""
    from connectors import http
    from connectors.channels import kind
    from tenants.outbox import claiming, draining, rules

    way: Any = kind("pager")
    connection: Any = http._Connection
    local = threading.local()  # parts: how many parts of a request have left in this thread, none while it asks
    done: list[str] = []

    def reach(here: str) -> None:
        if here == point and not done:
            done.append(here)
            act()

    def after(module: Any, name: str, here: str) -> None:
        function = getattr(module, name)

        def wrapped(*args: Any, **facts: Any) -> Any:
            result = function(*args, **facts)
            reach(here)
            return result

        setattr(module, name, wrapped)

    after(rules, "judge", "claiming")
    after(claiming, "claim", "claim committed")
    send, part, response, mark = way.send, connection.send, connection.getresponse, draining.mark

    def call(self: Any, envelope: Any) -> Any:
        reach("before the call")
        local.parts = 0
        try:
            answer = send(self, envelope)
        finally:
            del local.parts
        reach("answer read")
        return answer

    def out(self: Any, data: Any) -> None:
        part(self, data)
        if hasattr(local, "parts"):
            local.parts += 1
            reach("half of the request out" if local.parts == 1 else "request out")

    def answered(self: Any) -> Any:
        if hasattr(local, "parts"):
            select.select([self.sock], [], [])
            reach("answer waits")
        return response(self)

    def marking(channel: str, said: Any, **facts: Any) -> Any:
        if said:
            reach("before marking")
        counts = mark(channel, said, **facts)
        if said:
            reach("marked")
        return counts

    way.send, connection.send, connection.getresponse, draining.mark = call, out, answered, marking
