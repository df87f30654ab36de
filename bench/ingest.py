"""Loading two million readings, beside COPY and beside django-import-export of the very same rows into the same table.

Ours is the command itself, in a process of its own: it parses, validates, resolves device, unit and tenant, counts
each row once, stores it, marks whose features are due, keeps the books and commits. The peers get what all that found
out: rows with their tenant and unit.

- Plain COPY is the floor of the machine; a single known row would stop it.
- Staged COPY is the floor of any load that may run twice: the rows into a table without indexes, and from there by
  `INSERT … ON CONFLICT DO NOTHING`.
- django-import-export gets an empty table and the first rows only, since it would need hours; once as it comes, which
  is a model resource that knows a row by source and number, and once with every switch that makes it fast.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tablib
from django.db import connection, transaction
from import_export import fields, resources, widgets
from import_export.instance_loaders import CachedInstanceLoader

from bench.figures import Figure, figure
from bench.scratch import ROOT
from tenants import clock
from tenants.models import Event

KEYS = (
    "ingest.load.events_per_s", "ingest.iot.of_plain_copy", "ingest.iot.of_staged_copy",
    "ingest.iot.times_import_export", "ingest.iot.times_import_export_bulk", "ingest.iot.rss_mb",
)  # fmt: skip
RUNS = 3
ROOMS = 2600  # whose meters and locks tell a little more than
LINES = 2_000_000
AS_IT_COMES, IN_BULK = 3_000, 20_000  # rows for django-import-export
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
NAMES = COLUMNS.split(", ")


def run() -> dict[str, Figure]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        _manage("sample", str(folder), "--rooms", str(ROOMS))
        whole = (folder / "iot.jsonl").rename(folder / "more.jsonl")
        half = folder / "half.jsonl"
        _cut(whole, folder / "iot.jsonl", LINES)
        _cut(whole, half, LINES // 2)
        clock.set_to(clock.at(TODAY, 10))
        for source, file in SHELVES.items():
            _load(source, folder / file)
        return _measure(folder, half)


def _measure(folder: Path, half: Path) -> dict[str, Figure]:
    all_rates, iot_rates, small, bulk = [], [], [], []
    peers: dict[str, list[float]] = {"plain": [], "staged": []}
    # First, while this process is small: a child begins with the size of its parent.
    _seconds, half_mb = _load("iot", half)
    rss = []
    for _run in range(RUNS):
        _empty()
        took = {source: _load(source, folder / file) for source, file in EVENTS.items()}
        rss.append(took["iot"][1])
        events = Event.objects.count()
        seconds = {source: round(spent, 2) for source, (spent, _mb) in took.items()}
        all_rates.append(events / sum(spent for spent, _mb in took.values()))
        iot_rates.append(LINES / took["iot"][0])
        rows = folder / "rows.copy"
        _write_rows(rows)
        for peer, insert in (("plain", _plain), ("staged", _staged)):
            _empty()
            peers[peer].append(LINES / _timed(insert, rows))
        small.append(_import_export(AsItComes, rows, AS_IT_COMES))
        bulk.append(_import_export(InBulk, rows, IN_BULK))
    ours = {"rows": LINES, "ours_per_s": _whole(iot_rates)}
    times = {"rows_of_peer": AS_IT_COMES, "peer_per_s": _whole(small)}
    times_bulk = {"rows_of_peer": IN_BULK, "peer_per_s": _whole(bulk)}
    return {
        "ingest.load.events_per_s": figure(all_rates, "events/s", events=events, seconds=seconds, rooms=ROOMS),
        "ingest.iot.of_plain_copy": _ratio(iot_rates, peers["plain"], **ours, copy_per_s=_whole(peers["plain"])),
        "ingest.iot.of_staged_copy": _ratio(iot_rates, peers["staged"], **ours, staged_per_s=_whole(peers["staged"])),
        "ingest.iot.times_import_export": _ratio(iot_rates, small, **ours, **times),
        "ingest.iot.times_import_export_bulk": _ratio(iot_rates, bulk, **ours, **times_bulk),
        "ingest.iot.rss_mb": figure(rss, "MB", rows=LINES, half_the_rows_mb=round(half_mb, 1)),
    }


def _ratio(ours: list[float], theirs: list[float], **detail: Any) -> Figure:
    return figure([our / their for our, their in zip(ours, theirs, strict=True)], "ratio", **detail)


def _whole(rates: list[float]) -> list[int]:
    return [round(rate) for rate in rates]


# --- ours -----------------------------------------------------------------------------------------


def _load(source: str, path: Path) -> tuple[float, float]:
    """Seconds, and the most memory of the process that loaded it (MB)."""
    text, mb = _manage("load", source, str(path), "--json")
    report = json.loads(text)
    assert report["rejected"] == 0, report
    return report["seconds"], mb


def _manage(*command: str) -> tuple[str, float]:
    """What the command prints, and the most memory it took (MB)."""
    process = subprocess.Popen([sys.executable, "manage.py", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    with process.stdout as out:
        text = out.read()
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (command, process.returncode)
    return text, usage.ru_maxrss / 1024


def _cut(whole: Path, part: Path, lines: int) -> None:
    """`part` has the first lines of the whole."""
    with whole.open("rb") as file, part.open("wb") as out:
        out.writelines(islice(file, lines))


# --- the peers ------------------------------------------------------------------------------------


def _timed(work: Callable[..., None], *facts: Any) -> float:
    started = time.monotonic()
    work(*facts)
    return time.monotonic() - started


def _empty() -> None:
    """An empty table, and no writing left over from the run before."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE tenants_event")
        cursor.execute("CHECKPOINT")


def _write_rows(path: Path) -> None:
    """The stored readings in the order in which the file told them."""
    query = f"SELECT {COLUMNS} FROM tenants_event WHERE source = 'iot' ORDER BY at, source_id"
    with path.open("wb") as file, connection.cursor() as cursor:
        cursor.copy_expert(f"COPY ({query}) TO STDOUT", file)


def _plain(rows: Path) -> None:
    with rows.open("rb") as file, transaction.atomic(), connection.cursor() as cursor:
        cursor.copy_expert(f"COPY tenants_event ({COLUMNS}) FROM STDIN", file)


def _staged(rows: Path) -> None:
    with rows.open("rb") as file, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE plain ON COMMIT DROP AS SELECT {COLUMNS} FROM tenants_event WITH NO DATA")
        cursor.copy_expert(f"COPY plain ({COLUMNS}) FROM STDIN", file)
        cursor.execute(f"INSERT INTO tenants_event ({COLUMNS}) SELECT * FROM plain ON CONFLICT DO NOTHING")


MOMENT = widgets.DateTimeWidget("%Y-%m-%d %H:%M:%S%z")


class AsItComes(resources.ModelResource):
    at = fields.Field("at", "at", widget=MOMENT)
    recorded_at = fields.Field("recorded_at", "recorded_at", widget=MOMENT)

    class Meta:
        model = Event
        fields = ("source", "source_id", "kind", "at", "tenant", "unit", "data", "recorded_at")
        import_id_fields = ("source", "source_id")


class InBulk(AsItComes):
    """No query a row: known rows are read at once by their number, and ids are taken for granted."""

    tenant = fields.Field("tenant_id", "tenant", widget=widgets.IntegerWidget())
    unit = fields.Field("unit_id", "unit", widget=widgets.IntegerWidget())

    class Meta:
        import_id_fields = ("source_id",)
        instance_loader_class = CachedInstanceLoader
        use_bulk = True
        batch_size = 1000
        skip_diff = True


def _import_export(resource: type[AsItComes], rows: Path, most: int) -> float:
    """Rows a second of the first `most`, which are in memory already, into an empty table."""
    headers = [name.removesuffix("_id") if name in ("tenant_id", "unit_id") else name for name in NAMES]
    data = tablib.Dataset(headers=headers)
    with rows.open(encoding="utf-8") as file:
        for line in islice(file, most):
            data.append([_cell(text) for text in line.rstrip("\n").split("\t")])
    _empty()
    took = _timed(lambda: resource().import_data(data, raise_errors=True, use_transactions=True))
    stored = Event.objects.count()
    assert stored == most, stored
    return most / took


def _cell(text: str) -> str:
    """What COPY writes, as a table has it: no \\N, and moments as `MOMENT` reads them, without parts of a second."""
    if text == "\\N":
        return ""
    return f"{text[:19]}+0000" if text.endswith("+00") else text
