"""I6: a process that applies a workbook of 5,000 contracts is killed (-9) at any moment: all rows are in, or none.

Half of the kills come from inside, before or after a statement drawn by lot (the last ones before the commit and the
moment after it among them); half from outside, in the middle of a statement that the server is at work on. Then the
file is applied to its end, and handed in once more: the same report, and no new row. A share of the campaign has a
share of the rows.

Red twin: the same rows without the one transaction, so that each batch of `leases.enter` commits by itself.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOW = datetime(2025, 12, 1, 2, 0, tzinfo=UTC)
ROWS, BAD = 5000, 7
FEWEST_ROWS = 1000  # of a share: below it there is hardly a moment in which to be killed
KILLS = 50
DEADLINE = 120  # seconds for anything that is waited for
TABLES = (
    "tenants_tenant", "tenants_alias", "tenants_lease", "tenants_leasetenant", "tenants_leaserevision",
    "tenants_waitingcontract", "connectors_run", "connectors_refusal", "connectors_sourcehour",
)  # fmt: skip


def run(seed: int, share: float) -> dict[str, Any]:
    """`share` of the kills, each of as large a share of the workbook."""
    dice = random.Random(seed)
    rows = max(FEWEST_ROWS, round(ROWS * share))
    content = workbook(rows, BAD)
    kills = max(4, round(KILLS * share))
    world = World(content, rows=rows)
    last = world.statements()
    green = campaign(world, last, dice, kills=kills)
    red = campaign(
        World(content, rows=rows, is_protected=False, full=world.full), last, dice, kills=max(2, round(kills / 5))
    )
    return {**green, "red": red}


def campaign(world: World, last: int, dice: random.Random, *, kills: int) -> dict[str, Any]:
    """Kills, each followed by a look at what is there; then the whole file, and the same file again.

    `last` is the statement after which the file is committed.
    """
    is_protected = world.is_protected
    found = {"none": 0, "all": 0, "part": 0, "ended before the kill": 0}
    began = time.monotonic()
    for number in range(kills):
        world.reset()
        if is_protected and number % 2:
            process = world.start(0)
            kill_at_work(process, world.name, on=dice.choice(["tenants_lease", "tenants_alias", "tenants_tenant"]))
        elif is_protected:
            late = {0: last, 2: last + 1}  # the last statement, and the moment after the commit
            process = world.start(late.get(number) or dice.randint(1, last))
        else:
            process = world.start(dice.randint(last // 3, last * 9 // 10))
        if process.wait(DEADLINE) == 0:
            found["ended before the kill"] += 1
        found[world.state()] += 1
    counts: dict[str, Any] = {"kills": kills, **found}
    if is_protected:
        counts |= world.to_the_end()
    counts["seconds"] = round(time.monotonic() - began, 1)
    held = not found["part"] and found["ended before the kill"] < kills
    return {"held": held and counts.get("new rows the second time", 0) == 0, "counts": counts}


class World:
    """Units to let, the file that lets them, and a process that applies it."""

    def __init__(
        self, content: bytes, *, rows: int = ROWS, is_protected: bool = True, full: dict[str, int] | None = None
    ) -> None:
        self.content, self.size, self.is_protected = content, rows, is_protected
        self.name = f"i6-{os.getpid()}"
        self.seen = ""
        self.full = full or {}  # what is there when everything is
        self.reset()

    def reset(self) -> None:
        """Units and the file, and nothing of what it says."""
        from django.db import connection

        from renewal import uploads
        from tenants.models import Alias, Building, Flat, Unit

        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(TABLES)}, connectors_upload CASCADE")
        if not Unit.objects.exists():
            building = Building.objects.create(code="B1", name="滨江店", latitude=30.2, longitude=120.2)
            flat = Flat.objects.create(building=building, code="B1")
            facts: dict[str, Any] = {"room_type": "朝南一居", "floor": 3, "area": 28, "list_rent": 3900}
            Unit.objects.bulk_create(
                Unit(building=building, flat=flat, code=f"B1-{n:04}", **facts) for n in range(self.size)
            )
        Alias.objects.bulk_create(
            Alias(source="unit", ref=unit.code, unit=unit, recorded_at=NOW) for unit in Unit.objects.all()
        )
        self.upload = uploads.receive("contracts", "contracts.xlsx", self.content, by="root", now=NOW)
        self.empty = self.rows()
        if self.is_protected and not self.seen:
            self.seen = uploads.show(self.upload, now=NOW).digest

    def rows(self) -> dict[str, int]:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in TABLES))
            return dict(cursor.fetchall())

    def statements(self) -> int:
        """After how many statements the file is applied and committed."""
        process = self.start(0)
        assert process.stdout
        said = process.stdout.read()
        assert process.wait(DEADLINE) == 0, said
        self.full = self.rows()
        return int(said)

    def start(self, kill_at: int) -> subprocess.Popen[str]:
        """A process that applies the file, and kills itself at that statement (0: not)."""
        from django.db import connection

        facts = connection.settings_dict
        env = {
            **os.environ,
            "DATABASE_URL": _url(facts),
            "PGAPPNAME": self.name,
            "DJANGO_SETTINGS_MODULE": "renewal.settings",
            "STAGE": "test",
        }
        call = f"from faults.i6 import child; child({self.upload.pk}, {self.seen!r}, {kill_at}, {self.is_protected})"
        return subprocess.Popen([sys.executable, "-c", call], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)

    def state(self) -> str:
        """What is there of the file, once the server has done with whoever applied it."""
        until(lambda: not backends(self.name), "the killed process's session did not end")
        self.upload.refresh_from_db()
        rows = self.rows()
        if rows == self.empty and self.upload.applied_at is None:
            return "none"
        if rows == self.full and (self.upload.applied_at is not None or not self.is_protected):
            return "all"
        return "part"

    def to_the_end(self) -> dict[str, int]:
        """The file is applied by who comes next, and handed in once more."""
        from renewal import uploads

        if self.upload.applied_at is None:
            assert self.start(0).wait(DEADLINE) == 0
            self.upload.refresh_from_db()
        first = self.upload.run
        assert first
        before = self.rows()
        again = uploads.receive("contracts", "contracts.xlsx", self.content, by="root", now=NOW)
        done = uploads.apply(again.pk, seen=uploads.show(again, now=NOW).digest, now=NOW).run
        assert done
        same_report = (first.received, first.rejected, first.accepted + first.duplicate) == (
            done.received, done.rejected, done.duplicate)  # fmt: skip
        after = {**self.rows(), "connectors_run": before["connectors_run"]}
        return {
            "rows": first.received,
            "accepted": first.accepted,
            "refused": first.rejected,
            "new rows the second time": sum(after.values()) - sum(before.values()) + done.accepted + (not same_report),
        }


def kill_at_work(process: subprocess.Popen[str], name: str, *, on: str) -> None:
    """Kill the process while the server works on a statement of its that names the table."""
    until(
        lambda: process.poll() is not None or any(state == "active" and on in query for state, query in backends(name)),
        f"no statement on {on} was seen",
    )
    process.kill()


def until(is_so: Any, complaint: str) -> None:
    end = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < end, complaint
        time.sleep(0.002)


def backends(name: str) -> list[tuple[str, str]]:
    """What the sessions under that name are at."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT state, query FROM pg_stat_activity WHERE application_name = %s", [name])
        return cursor.fetchall()


def child(upload_id: int, seen: str, kill_at: int, is_protected: bool) -> None:
    """The process under test: it applies the file and says after how many statements that was committed."""
    import django

    django.setup()
    from django.db import connection, transaction

    done = committed = 0
    is_told = False

    def settle() -> None:
        nonlocal committed
        committed = done

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal done, is_told
        done += 1
        if not is_told and is_protected and connection.in_atomic_block:
            is_told = True
            transaction.on_commit(settle)  # before what others do then
        if done == kill_at and done % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        result = execute(sql, params, many, context)
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    with connection.execute_wrapper(count):
        if is_protected:
            from renewal import uploads

            uploads.apply(upload_id, seen=seen, now=NOW)
        else:
            _apply_in_batches(upload_id)
    if kill_at == done + 1:
        os.kill(os.getpid(), signal.SIGKILL)
    print(committed or done, flush=True)


def _apply_in_batches(upload_id: int) -> None:
    """As `uploads.apply`, without the one transaction."""
    from connectors import runs
    from connectors.models import Upload
    from renewal import loading, uploads

    upload = Upload.objects.get(pk=upload_id)
    with uploads.on_disk(upload) as path:
        run = runs.begin(upload.source, upload.name, now=NOW)
        counts = loading.take_in(upload.source, path, now=NOW)
        loading.finish(run, path, counts, now=NOW, upload=upload.pk)
    upload.applied_at, upload.run = NOW, run
    upload.save()


def workbook(rows: int, bad: int) -> bytes:
    """Contracts of as many units; some have a rent nobody can read."""
    import openpyxl

    from connectors.sources import erp

    book = openpyxl.Workbook(write_only=True)
    page = book.create_sheet("合同")
    page.append(erp.COLUMNS)
    for n in range(rows):
        rent = "三千八" if n % (rows // bad) == 3 else 3800 + n % 400
        page.append(
            [f"HT{n:05}", 1, f"B1-{n:04}", f"租客{n}", f"1{n:010}", date(2024, 12, 20), date(2025, 1, 1),
             date(2025, 12, 31), rent, 3800, 1, "已签"]
        )  # fmt: skip
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def _url(facts: dict[str, Any]) -> str:
    """The database this process is connected to, as the child's DATABASE_URL."""
    from urllib.parse import quote, urlsplit, urlunsplit

    given = urlsplit(os.environ["DATABASE_URL"])
    return urlunsplit(given._replace(path="/" + quote(str(facts["NAME"]))))
