"""`make bench`: every benchmark of this folder, each in a process and a scratch database of its own.

    python -m bench.run [PREFIX …]

A benchmark is a file with `KEYS`, the figures it gives, and `run() -> dict[key, Figure]`. Only those
with a key that begins with a PREFIX are run. A table goes to stdout and the figures into
bench/results.json, beside those of earlier runs.
"""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path
from typing import Any

from bench import scratch

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
NOT_BENCHMARKS = {
    "__init__",
    "run",
    "figures",
    "scratch",
    "bare",
    "events",
    "large",
    "orm",
    "peers",
    "tasks",
    "trivial",
}


def main(*prefixes: str) -> int:
    server = scratch.server()
    chosen = [name for name in _benchmarks() if _wanted(name, prefixes)]
    results: dict[str, Any] = {}
    failed = []
    for name in chosen:
        print(f"{name} …", file=sys.stderr, flush=True)
        with scratch.database(server, f"bench_{name}_{os.getpid()}") as url:
            figures = scratch.answer(f"bench.{name}", url)
        if figures is None:
            failed.append(name)
        else:
            results |= {key: figure for key, figure in figures.items() if key.startswith(prefixes or "")}
    if results:
        scratch.merge(RESULTS, results)
        _show(results)
    for name in failed:
        print(f"{name}: did not finish", file=sys.stderr)
    return 1 if failed or not chosen else 0


def _benchmarks() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_BENCHMARKS)


def _wanted(name: str, prefixes: tuple[str, ...]) -> bool:
    # A prefix may be longer than a key's first word or shorter: "ingest", "ingest.iot".
    return not prefixes or any(key.startswith(prefixes) for key in _keys(name))


def _keys(name: str) -> tuple[str, ...]:
    """The figures a benchmark gives, read without loading it: that would need the product's settings."""
    tree = ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))
    given = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["KEYS"]
    )
    return tuple(ast.literal_eval(given))


def _show(results: dict[str, Any]) -> None:
    width = max(map(len, results))
    for key, figure in sorted(results.items()):
        runs = " ".join(f"{run:,.3g}" for run in figure["runs"])
        print(f"{key:<{width}}  {figure['value']:>12,.4g} {figure['unit']:<10} {runs}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
