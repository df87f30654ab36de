"""Batches of app behaviour over HTTP, beside a bare Django view that only parses them.

Both are served by gunicorn with the demo's options and get the same bodies: a hundred of the sample's calls each, in
the form of Segment's `/v1/batch`. Ours checks the key, checks the batch and commits it before it answers; that is the
rate compared. What a worker then does with the calls, until they are events, is measured after it and stands beside.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import date
from http.client import HTTPConnection
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management import call_command

from bench.figures import Figure, figure
from bench.scratch import ROOT
from connectors.models import Landed
from renewal import loading
from tenants import clock, keys, landing
from tenants.models import Event, WaitingEvent

KEYS = ("ingest.http.of_bare_view", "ingest.http.taken_in_per_s")
RUNS = 5
BATCHES, CALLS = 200, 100
SENDERS = 4  # at a time
WORKERS = 3  # the demo's
TODAY = date(2025, 12, 1)  # the sample's
SHELVES = {"units": "units.csv", "staff": "staff.csv", "contracts": "contracts.xlsx", "consents": "consents.csv"}


def run() -> dict[str, Figure]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        call_command("sample", name, "--rooms", "150")
        clock.set_to(clock.at(TODAY, 10))
        for source, file in SHELVES.items():
            loading.load(source, folder / file, now=clock.now())
        with (folder / "app.jsonl").open(encoding="utf-8") as lines:
            calls = [json.loads(line) for line in lines]
        _row, secret = keys.make("segment", "bench", by="bench", now=clock.now())
        with served("renewal.wsgi", folder) as ours, served("bench.bare:application", folder) as bare:
            return _measure(ours, bare, calls, secret)


def _measure(ours: int, bare: int, calls: list[dict[str, Any]], secret: str) -> dict[str, Figure]:
    for port in (ours, bare):
        _post_all(port, [b'{"batch": []}'] * 50, secret)  # every worker has loaded what it needs
    our_rates, bare_rates, taken_rates = [], [], []
    for nth in range(RUNS):
        bodies = list(_bodies(calls, nth))
        events = len(bodies) * CALLS
        bare_rates.append(events / _post_all(bare, bodies, secret))
        our_rates.append(events / _post_all(ours, bodies, secret))
        landed = Landed.objects.count()
        assert landed == len(bodies), landed
        before = _stored()
        started = time.monotonic()
        while landing.take(now=clock.now()):
            pass
        taken_rates.append(events / (time.monotonic() - started))
        assert not Landed.objects.exists()
        assert _stored() > before
    rates = {"ours_per_s": [round(rate) for rate in our_rates], "bare_per_s": [round(rate) for rate in bare_rates]}
    facts = {"batches": BATCHES, "calls_of_a_batch": CALLS}
    ratios = [our / their for our, their in zip(our_rates, bare_rates, strict=True)]
    return {
        "ingest.http.of_bare_view": figure(ratios, "ratio", **facts, **rates),
        "ingest.http.taken_in_per_s": figure(taken_rates, "events/s", **facts),
    }


def _stored() -> int:
    return Event.objects.count() + WaitingEvent.objects.count()


def _bodies(calls: list[dict[str, Any]], nth: int) -> Iterator[bytes]:
    """The batches of a run; no call's number was ever sent before."""
    endless = cycle(calls)
    for batch in range(BATCHES):
        found = [{**call, "messageId": f"{nth}-{batch}-{n}"} for n, call in enumerate(islice(endless, CALLS))]
        yield json.dumps({"batch": found, "sentAt": "2025-12-01T10:00:00+08:00"}, ensure_ascii=False).encode()


# --- serving and sending --------------------------------------------------------------------------


@contextmanager
def served(application: str, folder: Path) -> Iterator[int]:
    """The port on which gunicorn serves the application, as the demo starts it."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS), "--timeout", "60", "--log-level", "warning"]
    # The bell rings into a folder of its own, where no worker listens.
    env = {**os.environ, "DATA": str(folder / "data"), "LOG_LEVEL": "WARNING"}
    command = [sys.executable, "-m", "gunicorn", application, *options]
    server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=sys.stderr)
    try:
        _wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    for _attempt in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(port)


def _post_all(port: int, bodies: list[bytes], secret: str) -> float:
    """Seconds until each body was answered with 200."""
    started = time.monotonic()
    with ThreadPoolExecutor(SENDERS) as pool:
        for status in pool.map(lambda body: _post(port, body, secret), bodies):
            assert status == 200, status
    return time.monotonic() - started


def _post(port: int, body: bytes, secret: str) -> int:
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {secret}"}
        connection.request("POST", "/v1/batch", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
