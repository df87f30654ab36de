"""A whole day of a large portfolio, as the schedule runs it: 100,000 tenants with five million events of one year.

The first day of a portfolio is the longest: every lease near its end is met at once, and each message is sent by
itself. Then the same day is run once more. There is nothing to hold it against, so it is a time, by stage.

The sizes may be others for a try: TENANTS=10000 EVENTS=500000 make bench ONLY=run_day.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from bench import large
from bench.events import NOW, TODAY
from bench.figures import Figure, figure
from bench.large import EVENTS, TENANTS
from renewal import days
from tenants import clock

KEYS = ("run_day.s",)


def run() -> dict[str, Figure]:
    clock.set_to(NOW)
    with TemporaryDirectory() as name:
        made = large.make(Path(name), tenants=TENANTS, many=EVENTS)
        first = days.run(today=TODAY, now=NOW)
        again = days.run(today=TODAY, now=NOW)
    detail = {
        "tenants": made.tenants,
        "events": made.events,
        "stages_s": first["seconds"],
        "again_s": round(sum(again["seconds"].values()), 1),
        "counts": first["stages"],
    }
    return {"run_day.s": figure([sum(first["seconds"].values())], "s", **detail)}
