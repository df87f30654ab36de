"""What benchmarks and fault campaigns share: a process and a scratch database of one's own, and a file of results."""

from __future__ import annotations

import hashlib
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
LOCK = 0x5C7A7C  # one at a time makes or copies the migrated database


def server() -> str:
    """The server of DATABASE_URL, or the embedded one."""
    if url := os.environ.get("DATABASE_URL"):
        return url
    from renewal import embedded

    return embedded.start()


@contextmanager
def database(on: str, name: str) -> Iterator[str]:
    """A database of this run alone, with its tables; the one of the demo is not touched."""
    with closing(psycopg2.connect(on)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{_migrated(cursor, on)}"')
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        try:
            yield _beside(on, name)
        finally:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _migrated(cursor: Any, on: str) -> str:
    """The database that others are copies of: migrating is done once for each state of the migrations."""
    digest = hashlib.sha256()
    for path in sorted(ROOT.glob("*/migrations/*.py")):
        digest.update(path.read_bytes())
    name = f"scratch_{digest.hexdigest()[:16]}"
    cursor.execute(r"SELECT datname FROM pg_database WHERE datname LIKE 'scratch\_%'")
    known = {row[0] for row in cursor.fetchall()}
    if name not in known:
        for old in known:
            cursor.execute(f'DROP DATABASE "{old}" WITH (FORCE)')
        making = f"scratch_making_{digest.hexdigest()[:16]}"
        cursor.execute(f'CREATE DATABASE "{making}"')
        command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
        env = {**os.environ, "DATABASE_URL": _beside(on, making), "STAGE": "test"}
        subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=sys.stderr)
        cursor.execute(f'ALTER DATABASE "{making}" RENAME TO "{name}"')
    return name


def _beside(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


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

    django.setup()
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
