"""`make bench`: every benchmark of this folder, each in a process and a scratch database of its own.

    python -m bench.run [PREFIX]

A benchmark is a file with `KEYS`, the figures it gives, and `run() -> dict[key, Figure]`. Only those
with a key that begins with PREFIX are run. A table goes to stdout and the figures into
bench/results.json, beside those of earlier runs.
"""

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

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
NOT_BENCHMARKS = {"__init__", "run", "figures"}
MARK = "bench-result: "


def main(prefix: str = "") -> int:
    server = _server()
    chosen = [name for name in _benchmarks() if _wanted(name, prefix)]
    results: dict[str, Any] = {}
    failed = []
    for name in chosen:
        print(f"{name} …", file=sys.stderr, flush=True)
        with _scratch(server, f"bench_{name}_{os.getpid()}") as url:
            figures = _one(name, url)
        if figures is None:
            failed.append(name)
        else:
            results |= {key: figure for key, figure in figures.items() if key.startswith(prefix)}
    if results:
        _merge(results)
        _show(results)
    for name in failed:
        print(f"{name}: did not finish", file=sys.stderr)
    return 1 if failed or not chosen else 0


def _benchmarks() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_BENCHMARKS)


def _wanted(name: str, prefix: str) -> bool:
    # A prefix may be longer than a key's first word or shorter: "ingest", "ingest.iot".
    source = (HERE / f"{name}.py").read_text(encoding="utf-8")
    return not prefix or f'"{prefix}' in source


def _one(name: str, url: str) -> dict[str, Any] | None:
    """The figures of one benchmark, from a process that has run nothing else."""
    env = {**os.environ, "DATABASE_URL": url, "STAGE": "test", "DJANGO_SETTINGS_MODULE": "renewal.settings"}
    command = [sys.executable, "-c", f"from bench.run import child; child({name!r})"]
    with subprocess.Popen(command, cwd=HERE.parent, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        answer = None
        for line in process.stdout:
            if line.startswith(MARK):
                answer = json.loads(line.removeprefix(MARK))
            else:
                sys.stderr.write(line)
    return answer if process.returncode == 0 else None


def child(name: str) -> None:
    """Runs in the benchmark's process."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    print(MARK + json.dumps(import_module(f"bench.{name}").run()), flush=True)


def _server() -> str:
    if url := os.environ.get("DATABASE_URL"):
        return url
    from renewal import embedded

    return embedded.start()


@contextmanager
def _scratch(server: str, name: str) -> Iterator[str]:
    """A database of this run alone; the one of the demo is not touched."""
    with closing(psycopg2.connect(server)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _merge(results: dict[str, Any]) -> None:
    kept = json.loads(RESULTS.read_text(encoding="utf-8"))["results"] if RESULTS.exists() else {}
    whole = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "results": dict(sorted((kept | results).items())),
    }
    RESULTS.write_text(json.dumps(whole, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _show(results: dict[str, Any]) -> None:
    width = max(map(len, results))
    for key, figure in sorted(results.items()):
        runs = " ".join(f"{run:,.3g}" for run in figure["runs"])
        print(f"{key:<{width}}  {figure['value']:>12,.4g} {figure['unit']:<10} {runs}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
