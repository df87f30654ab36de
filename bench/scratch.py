"""What benchmarks and fault campaigns share: a process and a scratch database of one's own, and a file of results."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg2

ROOT = Path(__file__).resolve().parent.parent
MARK = "result: "


def server() -> str:
    """The server of DATABASE_URL, or the embedded one."""
    if url := os.environ.get("DATABASE_URL"):
        return url
    from renewal import embedded

    return embedded.start()


@contextmanager
def database(on: str, name: str) -> Iterator[str]:
    """A database of this run alone; the one of the demo is not touched."""
    with closing(psycopg2.connect(on)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(on)._replace(path=f"/{name}"))
        finally:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def answer(module: str, url: str, **facts: Any) -> dict[str, Any] | None:
    """What `module.run(**facts)` returns, from a process that has run nothing else; None if it broke off."""
    env = {**os.environ, "DATABASE_URL": url, "STAGE": "test", "DJANGO_SETTINGS_MODULE": "renewal.settings"}
    command = [sys.executable, "-c", f"from bench.scratch import child; child({module!r}, {facts!r})"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = None
        for line in process.stdout:
            if line.startswith(MARK):
                found = json.loads(line.removeprefix(MARK))
            else:
                sys.stderr.write(line)
    return found if process.returncode == 0 else None


def child(module: str, facts: dict[str, Any]) -> None:
    """Runs in the process of `answer`."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    print(MARK + json.dumps(import_module(module).run(**facts)), flush=True)


def merge(path: Path, results: dict[str, Any], **facts: Any) -> None:
    """The file has `results` beside those of earlier runs, and says when and on what machine."""
    kept = json.loads(path.read_text(encoding="utf-8"))["results"] if path.exists() else {}
    whole = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        **facts,
        "results": dict(sorted((kept | results).items())),
    }
    path.write_text(json.dumps(whole, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
