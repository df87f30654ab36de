"""The whole product as its users run it: `manage.py demo` in a process of its own, with its own data."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg2

ROOT = Path(__file__).resolve().parent.parent

SAYS_WHERE = "a phone  "  # the last line of a demo that is ready begins so


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Product:
    """One demo, with an embedded server of its own, or with a database of its own on the server of DATABASE_URL."""

    def __init__(self, *, rooms: int = 60, start: str = "10:00") -> None:
        # Not in pytest's own folder: the server may run as another user, whom pytest locks out.
        self.data = Path(tempfile.mkdtemp(prefix="renewal-")).resolve()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines: list[str] = []
        self.ready = threading.Event()
        self.command = ["demo", "--port", str(self.port), "--rooms", str(rooms), "--start", start]
        self.env = {
            **{k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "STAGE", "LANG"}},
            "DATA": str(self.data),
            "STAGE": "demo",
        }
        self.server = os.environ.get("SERVER_URL", "")  # set by tests/environment.py where DATABASE_URL was given
        if self.server:
            self.name = f"product_{self.port}"
            self._on_server(f"create database {self.name}")
            self.env["DATABASE_URL"] = urlunsplit(urlsplit(self.server)._replace(path=f"/{self.name}"))
        else:
            self.env.pop("REDIS_URL", None)

    def _on_server(self, statement: str) -> None:
        with closing(psycopg2.connect(self.server)) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)

    def start(self, timeout: float = 240) -> Product:
        """The product is ready; raises with all it printed if it is not in time."""
        # Fresh ones: what an earlier start left running may still write to the earlier pipe.
        self.ready = threading.Event()
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-u", str(ROOT / "manage.py"), *self.command],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(self.process, self.lines, self.ready), daemon=True).start()
        # Its output may end a moment before it does: what tells is whether it said where to look.
        if not self.ready.wait(timeout) or not self._is_up():
            self.stop(signal.SIGKILL)
            raise AssertionError("the demo did not become ready:\n" + "".join(self.lines))
        return self

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: list[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if SAYS_WHERE in line:
                ready.set()
        ready.set()

    def _is_up(self) -> bool:
        return any(SAYS_WHERE in line for line in self.lines)

    @property
    def printed(self) -> str:
        return "".join(self.lines)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Send the signal and wait for the end of the demo's own process."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=30)

    def close(self) -> None:
        """Nothing of this product is left; what it said is shown with a test that failed."""
        self.stop()
        sys.stdout.write(self.printed)
        for process in self.processes():
            process.kill()
        if self.server:
            self._on_server(f"drop database if exists {self.name} with (force)")
        shutil.rmtree(self.data, ignore_errors=True)

    def processes(self) -> list[psutil.Process]:
        """What runs for this product's folder: its web, worker, beat, and its embedded server."""
        found = []
        for process in psutil.process_iter():
            try:
                is_ours = process.environ().get("RENEWAL_DEMO") == str(self.data)
                is_server = str(self.data / "postgres") in " ".join(process.cmdline())
            except psutil.Error:
                continue
            if (is_ours or is_server) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def dsn(self) -> str:
        return self.env.get("DATABASE_URL") or f"postgresql://postgres@/postgres?host={self.data / 'postgres' / '18'}"

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.dsn())) as connection, connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def manage(self, *command: str) -> str:
        """What a command prints on stdout; it must end with 0 or 1."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *command],
            cwd=ROOT,
            env={**self.env, "DATABASE_URL": self.dsn(), "SITE_URL": self.url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    def json(self, *command: str) -> Any:
        return json.loads(self.manage(*command, "--json"))
