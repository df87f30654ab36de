"""Loading the sample's events, beside COPY of the very same rows into the very same table.

Plain COPY is the floor of the machine: no alias is resolved, no tenant found, nothing is counted
twice, and a single known row would stop it. Staged COPY is the floor of any load that may run twice:
the resolved rows into a table without indexes, and from there by `INSERT … ON CONFLICT DO NOTHING`.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from datetime import date
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management import call_command
from django.db import connection, transaction

from bench.figures import Figure, figure
from renewal import loading
from tenants import clock
from tenants.models import Event

KEYS = ("ingest.load.events_per_s", "ingest.iot.of_plain_copy", "ingest.iot.of_staged_copy", "ingest.iot.rss_mb")
RUNS = 3
ROOMS = 1042
TODAY = date(2025, 12, 1)  # the sample's
SHELVES = {"units": "units.csv", "staff": "staff.csv", "contracts": "contracts.xlsx", "consents": "consents.csv"}
EVENTS = {
    "bills": "bills.csv",
    "payments": "payments.csv",
    "tickets": "tickets.csv",
    "community": "community.csv",
    "app": "app.jsonl",
    "iot": "iot.jsonl",
}
COLUMNS = "source, source_id, kind, at, tenant_id, unit_id, data, recorded_at"


def run() -> dict[str, Figure]:
    with TemporaryDirectory() as folder:
        sample = Path(folder)
        call_command("sample", str(sample), "--rooms", str(ROOMS))
        clock.set_to(clock.at(TODAY, 10))
        for source, name in SHELVES.items():
            loading.load(source, sample / name, now=clock.now())
        return _measure(sample)


def _measure(sample: Path) -> dict[str, Figure]:
    all_rates, iot_rates, plain_rates, staged_rates, seconds = [], [], [], [], {}
    rss = 0.0
    for _run in range(RUNS):
        _empty()
        took = {source: _timed(_load, source, sample / name) for source, name in EVENTS.items()}
        rss = rss or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # before the others fill the memory
        events = Event.objects.count()
        readings = Event.objects.filter(source="iot").count()
        all_rates.append(events / sum(took.values()))
        iot_rates.append(readings / took["iot"])
        seconds = {source: round(value, 2) for source, value in took.items()}
        text = _as_copy_text()
        _empty()
        plain_rates.append(readings / _timed(_plain, text))
        _empty()
        staged_rates.append(readings / _timed(_staged, text))
    detail = {"events": events, "seconds": seconds, "rooms": ROOMS}
    plain = [ours / theirs for ours, theirs in zip(iot_rates, plain_rates, strict=True)]
    staged = [ours / theirs for ours, theirs in zip(iot_rates, staged_rates, strict=True)]
    rates = {"rows": readings, "ours_per_s": [round(rate) for rate in iot_rates]}
    return {
        "ingest.load.events_per_s": figure(all_rates, "events/s", **detail),
        "ingest.iot.of_plain_copy": figure(plain, "ratio", **rates, copy_per_s=[round(rate) for rate in plain_rates]),
        "ingest.iot.of_staged_copy": figure(
            staged, "ratio", **rates, staged_per_s=[round(rate) for rate in staged_rates]
        ),
        "ingest.iot.rss_mb": figure([rss], "MB", rows=readings),
    }


def _load(source: str, path: Path) -> None:
    report = loading.load(source, path, now=clock.now())
    assert report.rejected == 0, report


def _timed(work: Callable[..., None], *facts: Any) -> float:
    started = time.monotonic()
    work(*facts)
    return time.monotonic() - started


def _empty() -> None:
    """An empty table, and no writing left over from the run before."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE tenants_event")
        cursor.execute("CHECKPOINT")


def _as_copy_text() -> StringIO:
    """The stored readings in the order in which the file told them."""
    text = StringIO()
    with connection.cursor() as cursor:
        query = f"SELECT {COLUMNS} FROM tenants_event WHERE source = 'iot' ORDER BY at, source_id"
        cursor.copy_expert(f"COPY ({query}) TO STDOUT", text)
    return text


def _plain(text: StringIO) -> None:
    text.seek(0)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.copy_expert(f"COPY tenants_event ({COLUMNS}) FROM STDIN", text)


def _staged(text: StringIO) -> None:
    text.seek(0)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE plain ON COMMIT DROP AS SELECT {COLUMNS} FROM tenants_event WITH NO DATA")
        cursor.copy_expert(f"COPY plain ({COLUMNS}) FROM STDIN", text)
        cursor.execute(f"INSERT INTO tenants_event ({COLUMNS}) SELECT * FROM plain ON CONFLICT DO NOTHING")
