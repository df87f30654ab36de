"""I2: everything that every source ever said is said again, three times, with a run of the day between.

The sample portfolio comes in as files through `load`, and beside it calls over HTTP as Segment, CloudEvents, TTLock
and WeChat send them. Then, three times, all files are loaded again, the senders send all calls again, and the calls
are put back as they had landed, as after a restore. What must hold: no row of any table is another one or one more,
no push is planned or sent, and no figure changes; only the books of what came in count on.

Red twin, on a tenth of the rooms and once: an event is known by the number of its arrival, so that none comes again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

from django.conf import settings
from django.db import connection, transaction
from django.test import Client

from connectors.models import Landed
from connectors.records import EventRecord
from connectors.sample import portfolio
from faults import Outcome, i8, outcome
from renewal import days, loading
from renewal.management.commands.demo import SAMPLE_TODAY
from renewal.management.commands.load_all import FILES
from tenants import clock, ingest, keys, landing
from tenants.models import Alias, JobRun, Unit

ROOMS, CALLS = 1042, 2000  # in full
REPLAYS = 3
# What a load or a run of the day writes about itself.
BOOKS = {"connectors_run", "connectors_sourcehour", "tenants_jobrun", "tenants_clock", "django_migrations"}
# When a thing was worked out or used last; and where something that is refused again stood the last time.
MOMENTS = ["computed_at", "used_at"]
LAST_SEEN = {"connectors_refusal": ["attempts", "run_id", "line"]}
PUSHES = ("campaigns_push", "tenants_message", "tenants_attempt", "connectors_phonemessage")
FIGURES = ("renewal_kpiday",)

Call = tuple[str, bytes, str, str]  # path, body, media type, key
Prints = dict[str, tuple[int, int]]


def run(seed: int, share: float) -> Outcome:
    settings.WECHAT_TOKEN, settings.WECHAT_APPID, settings.WECHAT_AES_KEY = i8.TOKEN, i8.APPID, i8.AES_KEY
    settings.ALLOWED_HOSTS = ["testserver"]
    green = _campaign(seed, share, replays=max(1, round(REPLAYS * share)))
    _empty()
    with patch.object(ingest.Batch, "add", _as_if_new(ingest.Batch.add)):
        red = _campaign(seed, share / 10, replays=1)
    return outcome(*green, red=red)


def _as_if_new(add: Any) -> Any:
    arrivals = count(1)

    def add_as_new(batch: ingest.Batch, event: EventRecord) -> None:
        add(batch, event._replace(source_id=f"{event.source_id} {next(arrivals)}"))

    return add_as_new


def _campaign(seed: int, share: float, *, replays: int) -> tuple[bool, dict[str, Any]]:
    start, evening = (
        clock.at(SAMPLE_TODAY, 10),
        clock.at(SAMPLE_TODAY, 20),
    )  # every run of the day looks back from there
    dice = random.Random(seed)
    counts: dict[str, Any] = {"records": 0, "calls": 0, "replays": replays, "accepted_again": 0}
    changed: dict[str, set[str]] = {"tables": set(), "pushes": set(), "figures": set()}
    with TemporaryDirectory() as folder:
        clock.set_to(start)
        portfolio.write(
            Path(folder), rooms=max(portfolio.MINIMUM_ROOMS, round(ROOMS * share)), seed=seed, today=SAMPLE_TODAY
        )
        counts["records"], _new = _load(Path(folder), now=start)
        calls = list(_calls(Path(folder), dice, max(40, round(CALLS * share)), now=start))
        landed = _send(calls)
        _take([])
        counts["calls"] = len(landed)
        days.run(today=SAMPLE_TODAY, now=evening)
        stood = fingerprints()
        counts["rows"] = sum(rows for rows, _print in stood.values())
        counts["tables"] = len(stood)
        counts["pushes_sent"] = stood["connectors_phonemessage"][0]
        for _replay in range(replays):
            counts["accepted_again"] += _load(Path(folder), now=clock.now())[1]
            _send(calls)
            _take(landed)
            days.run(today=SAMPLE_TODAY, now=evening)
            found = fingerprints()
            others = {table for table in found if found[table] != stood[table]}
            changed["tables"] |= others
            changed["pushes"] |= others & set(PUSHES)
            changed["figures"] |= others & set(FIGURES)
            counts["new_rows"] = sum(rows for rows, _print in found.values()) - counts["rows"]
    counts |= {f"changed_{what}": sorted(tables) for what, tables in changed.items()}
    has_moved = any(changed.values()) or counts["accepted_again"] or counts["new_rows"]
    return not has_moved and counts["pushes_sent"] > 0 and JobRun.objects.filter(error="").exists(), counts


def _load(folder: Path, *, now: datetime) -> tuple[int, int]:
    """All files are loaded: how many records they held, and how many were new."""
    reports = [loading.load(source, folder / name, now=now) for source, name in FILES.items()]
    return sum(report.received for report in reports), sum(report.accepted for report in reports)


# --- calls ------------------------------------------------------------------------------------------------


def _calls(folder: Path, dice: random.Random, number: int, *, now: datetime) -> Iterator[Call]:
    """What senders of each kind send about people and units of the portfolio: good, repeated, unknown and bad."""
    secret = {source: keys.make(source, "i2", by="i2", now=now)[1] for source in keys.SENDERS}
    with (folder / "app.jsonl").open(encoding="utf-8") as file:
        people = sorted({json.loads(line).get("userId") or "" for line in file} - {""})
    units = list(Unit.objects.order_by("code"))
    locks = {1_000_000 + unit.pk: unit for unit in units[:: max(1, len(units) // 50)]}  # TTLock's numbers of some doors
    Alias.objects.bulk_create(
        Alias(source="device", ref=str(lock), unit=unit, recorded_at=now) for lock, unit in locks.items()
    )
    for nth in range(number):
        at = now - timedelta(minutes=dice.randint(1, 3000))
        match nth % 4:
            case 0:
                openid = {"traits": {"wechat_openid": f"o{nth}"}}
                call: dict[str, Any] = {"type": "track", "event": "Facility Used", "properties": {"facility": "gym"}}
                call = {**dice.choice([call, {"type": "identify", **openid}]), "messageId": f"i2-{nth}"}
                call |= {"userId": dice.choice([*people, "nobody"]), "timestamp": at.isoformat()}
                call |= {"userId": ""} if nth % 40 == 8 else {}
                batch = {"batch": [call, call], "sentAt": now.isoformat()}
                yield "/v1/batch", json.dumps(batch).encode(), "application/json", secret["segment-server"]
            case 1:
                data = {"ticket": f"I2-{nth}", "category": "water", "text": "漏水"}
                event: dict[str, Any] = {
                    "specversion": "1.0",
                    "id": str(nth),
                    "source": "/i2",
                    "type": "ticket.reported",
                }
                event |= {
                    "where": f"unit:{dice.choice([*(unit.code for unit in units), 'nowhere'])}",
                    "time": at.isoformat(),
                    "data": data,
                }
                yield "/api/events", json.dumps(event).encode(), "application/cloudevents+json", secret["cloudevents"]
            case 2:
                opened = {"lockDate": int(at.timestamp() * 1000), "recordType": 4, "success": 1}
                records = json.dumps([{"lockId": dice.choice([*locks, 1]), **opened}])
                form = {"lockId": 1, "notifyType": 1, "records": records}
                media = "application/x-www-form-urlencoded"
                yield f"/api/sources/ttlock?key={secret['ttlock']}", urlencode(form).encode(), media, ""
            case _:
                at -= clock.offset()  # WeChat's clock is the real one
                said = {"FromUserName": f"o{nth // 8 * 4}", "CreateTime": int(at.timestamp()), "MsgType": "text"}
                said |= {"MsgId": f"i2-{nth}", "Content": dice.choice(["空调不制冷", "跳闸了", "退订"])}
                xml = "".join(f"<{name}>{value}</{name}>" for name, value in said.items())
                # Its signature is of now by the real clock: sealed when it is sent.
                yield i8.PATH, f"<xml>{xml}</xml>".encode(), "text/xml", ""


def _send(calls: list[Call]) -> list[dict[str, Any]]:
    """Every call is answered as taken; the rows that landed."""
    client = Client()
    for path, body, media, key in calls:
        address = path
        if path == i8.PATH:
            address, body = i8.sealed(body.decode())
        headers = {"authorization": f"Bearer {key}"} if key else {}
        answer = client.post(address, body, content_type=media, headers=headers)
        assert answer.status_code in (200, 202), (path, answer.status_code, answer.content[:200])
    return [dict(row) for row in Landed.objects.order_by("pk").values()]


def _take(landed: list[dict[str, Any]]) -> None:
    """A worker takes in what landed, and once more what is put back as it had landed before."""
    Landed.objects.bulk_create(Landed(**row) for row in landed)
    while landing.take(now=clock.now()):
        pass
    while landing.take_again(now=clock.now()):
        pass


# --- what is there ----------------------------------------------------------------------------------------


def fingerprints() -> Prints:
    """Of every table but the books: how many rows, and a sum that another row would change."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        tables = [table for (table,) in cursor.fetchall() if table not in BOOKS]
        found: Prints = {}
        for table in tables:
            cursor.execute(
                "SELECT count(*), coalesce(sum(hashtextextended((to_jsonb(t) - %s::text[])::text, 0)), 0)"
                f' FROM "{table}" t',
                [MOMENTS + LAST_SEEN.get(table, [])],
            )
            found[table] = cursor.fetchone()
    return found


def _empty() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^django_'")
        tables = ", ".join(f'"{table}"' for (table,) in cursor.fetchall())
        cursor.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
