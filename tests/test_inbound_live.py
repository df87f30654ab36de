"""The live sources with the processes of production: gunicorn takes a call, the bell rings, a worker takes it in."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from connectors.models import InboundKey
from tenants import clock
from tenants.models import Alias, Event
from tests.inbound import landed, make_key
from tests.makers import NOW, make_tenant
from tests.product import ROOT, free_port

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """This test's database, and a broker of its own."""
    name = connection.settings_dict["NAME"]
    url = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
    found = {**os.environ, "DATABASE_URL": url, "DATA": str(tmp_path)}
    found.pop("REDIS_URL", None)
    return found


@pytest.fixture
def web(env: dict[str, str]) -> Iterator[int]:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "renewal.wsgi",
        "--bind",
        f"127.0.0.1:{port}",
        "--log-level",
        "warning",
    ]
    process = subprocess.Popen(command, cwd=ROOT, env=env)
    until(lambda: reachable(port), "gunicorn did not start")
    yield port
    process.terminate()
    process.wait(timeout=30)


@pytest.fixture
def worker(env: dict[str, str]) -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "renewal",
        "-q",
        "worker",
        "--pool",
        "solo",
        "--loglevel",
        "warning",
    ]
    process = subprocess.Popen(command, cwd=ROOT, env=env)
    yield
    process.terminate()
    process.wait(timeout=30)


def reachable(port: int) -> bool:
    try:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("GET", "/healthz")
        return client.getresponse().status == 200
    except OSError:
        return False


def until(true: Callable[[], Any], otherwise: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def post(port: int, body: bytes | Iterable[bytes], key: str, **headers: str) -> tuple[int, Any]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    whole = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
    try:
        client.request("POST", "/v1/track", body, whole, encode_chunked=not isinstance(body, bytes))
        answer = client.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        client.close()


def test_a_call_is_taken_in_by_the_worker_that_the_bell_wakes_and_a_body_in_pieces_is_read(
    web: int, worker: None
) -> None:
    clock.set_to(NOW)
    tenant = make_tenant()
    Alias.objects.create(source="app", ref="u1", tenant=tenant, recorded_at=NOW)
    key = make_key("segment")
    call = json.dumps({"messageId": "m1", "userId": "u1", "event": "Facility Used", "properties": {"facility": "gym"}})
    assert post(web, call.encode(), key) == (200, {"success": True})
    # No beat runs here: only the bell can have called the worker.
    until(Event.objects.exists, "the bell was not heard")
    assert (Event.objects.get().tenant, landed()) == (tenant, 0)
    pieces = [part.encode() for part in (call[:30], call[30:].replace("m1", "m2"))]
    assert (
        post(web, iter([pieces[0].replace(b"m1", b"m2"), pieces[1]]), key, **{"Transfer-Encoding": "chunked"})[0] == 200
    )
    until(lambda: Event.objects.count() == 2, "the body in pieces did not arrive")
    # One that never ends is left at the limit.
    began = time.monotonic()
    status, said = post(web, (b" " * 65_536 for _piece in range(12)), key, **{"Transfer-Encoding": "chunked"})
    assert (status, said["success"]) == (400, False)
    assert time.monotonic() - began < 2
    assert InboundKey.objects.get().used_at is not None
