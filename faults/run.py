"""`make faults`: every fault campaign of this folder, each in a process and a scratch database of its own.

    python -m faults.run [ID] [--share S] [--seed N]

A campaign is a file named after its id, `i1.py` for I1, with `run(seed, share) -> Outcome`: `share` of its
full size (`make test` runs a tenth), seeded, with real processes. A table goes to stdout and the counts into
faults/results.json, beside those of earlier runs. Status 1: one did not hold, did not finish, or held
although its protection was off.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from bench import scratch

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
SEED = 20251201


def main() -> int:
    options = _options()
    known = campaigns()
    if options.only and options.only.upper() not in known:
        print(f"There is no campaign {options.only}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    server = scratch.server()
    results: dict[str, Any] = {}
    unfinished = []
    for name in [options.only.upper()] if options.only else known:
        print(f"{name} …", file=sys.stderr, flush=True)
        result = one(name, server, seed=options.seed, share=options.share)
        if result is None:
            unfinished.append(name)
        else:
            results[name] = result
    if results:
        scratch.merge(RESULTS, results, seed=options.seed)
        _show(results)
    for name in unfinished:
        print(f"{name}: did not finish", file=sys.stderr)
    return 0 if results and all(map(is_good, results.values())) and not unfinished else 1


def campaigns() -> list[str]:
    """The ids of the campaigns that are there: I1, I4, …"""
    return sorted(path.stem.upper() for path in HERE.glob("[a-z][0-9]*.py"))


def one(name: str, server: str, *, seed: int, share: float) -> dict[str, Any] | None:
    """The outcome of one campaign; None if it broke off."""
    with scratch.database(server, f"faults_{name.lower()}_{os.getpid()}") as url:
        return scratch.answer(f"faults.{name.lower()}", url, seed=seed, share=share)


def is_good(result: dict[str, Any]) -> bool:
    """Held, and did not hold with the protection off."""
    return result["held"] and not result["red"]["held"]


def _show(results: dict[str, Any]) -> None:
    for name, result in results.items():
        for side, found, wanted in (("", result, True), ("red twin", result["red"], False)):
            said = "held" if found["held"] else "did not hold"
            mark = "ok " if found["held"] is wanted else "BAD"
            counts = ", ".join(f"{word} {_short(count)}" for word, count in found["counts"].items())
            print(f"{mark} {name:<4} {side:<9} {said:<13} {counts}")


def _short(count: Any) -> str:
    return f"{count:,}" if isinstance(count, int | float) and not isinstance(count, bool) else str(count)


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="faults.run", description="Runs the fault campaigns.")
    options.add_argument("only", nargs="?", default="", metavar="ID")
    options.add_argument("--share", type=float, default=1.0, help="of each campaign's full size")
    options.add_argument("--seed", type=int, default=SEED)
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
