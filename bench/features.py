"""Features and rules of a large portfolio: 100,000 tenants with five million events of one year.

In one run, one after the other, as often as RUNS says: the full pass of the complete feature set as it ships, duckdb
and polars computing the same features from parquet (`bench.peers`), and a bare scan of the events. What the two peers
count is compared with ours row by row; if anything differs, there is no result. Every ratio is of times that lie
seconds apart.

- The full pass is what a night does: the events are there, and so are yesterday's rows. Between two passes the table
  is vacuumed, as a day would do.
- Dirty tenants are marked, and then computed as the worker does it; with their tags in `with_tags_s`.
- A rule is compared with a scan of the feature rows that reads each of them whole; `of_its_condition` is the same by
  the scan that evaluates the rule's condition on the rows and asks no more, which is the least any rule could take.
- The ORM loop is measured on a sample of the tenants, and its time multiplied.
- With MILLION=1 there follow a million tenants with ten million events, under keys of their own.

The sizes may be others for a try: TENANTS=10000 EVENTS=500000 make bench ONLY=features.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.db import connection

from bench import large, orm, peers
from bench.events import NOW, TODAY
from bench.figures import Figure, figure
from bench.large import EVENTS, TENANTS
from campaigns import segments, shipped
from tenants import clock, current, features
from tenants.models import Feature, Tenant

KEYS = (
    "features.full.times_duckdb", "features.full.times_polars", "features.full.times_scan", "features.growth",
    "features.dirty_1.of_full", "features.dirty_100.of_full", "features.dirty_1000.of_full",
    "rules.times_feature_scan", "rules.orm_loop.times_rule",
    "features.million.times_duckdb", "features.million.times_polars", "features.million.times_scan",
)  # fmt: skip
RUNS = 5
DIRTY = (1, 100, 1000)
SAMPLE = 100  # tenants of the ORM loop
SCAN_EVENTS = "SELECT count(data) FROM tenants_event"
SCAN_ROWS = "SELECT count(f) FROM tenants_feature f"
# One number above a limit, another not above one: the rule whose ratio is the figure. The shipped ones stand beside.
RULE = {
    "all": [
        {"feature": "kitchen_90", "op": ">=", "value": 1},
        {"not": {"feature": "late_payments_365", "op": ">", "value": 2}},
    ]
}
# What may be asked otherwise, and selects many or is known of nobody without reading what they did.
OTHERS: dict[str, segments.Rule] = {
    "consent": {"consent": "marketing"},
    "lease": {"lease": "days_to_end", "op": "<=", "value": 60},
    "none": {"events": "app.viewed", "window": {"days": 180}, "count": {"op": "=", "value": 0}},
    "any": {"events": "app.viewed", "count": {"op": ">=", "value": 1}},
    "any of a field": {
        "events": "facility.used",
        "where": [{"field": "facility", "op": "=", "value": "shared_kitchen"}],
        "window": {"days": 90},
        "count": {"op": ">=", "value": 1},
    },
    "share": {
        "events": "payment.made",
        "share": {"satisfy": [{"field": "days_late", "op": ">", "value": 0}], "op": ">=", "value": 0.5},
    },
    "trend": {"events": "app.viewed", "window": {"days": 30}, "trend": {"op": "<=", "value": 0.5}},
    "first": {"events": "facility.used", "window": {"days": 30}, "first": True},
    "stopped": {"events": "facility.used", "window": {"days": 90}, "stopped": {"days": 30}},
    "restarted": {"events": "facility.used", "window": {"days": 90}, "restarted": {"days": 30}},
    "regular": {"events": "facility.used", "regular": {"every": "week", "periods": 8, "at_least": 6}},
    "then": {"events": "ticket.reported", "then": {"events": "ticket.accepted", "hours": 6}},
    "about the end": {
        "events": "app.viewed",
        "window": {"from_end": -60, "to_end": -25},
        "count": {"op": ">=", "value": 2},
    },
}
ITS_CONDITION = "SELECT tenant_id FROM tenants_feature WHERE kitchen_90 >= 1 AND NOT late_payments_365 > 2"


def run() -> dict[str, Figure]:
    clock.set_to(NOW)
    with TemporaryDirectory() as name:
        folder = Path(name)
        found: dict[str, Figure] = {}
        # Three sizes, the last of them the one of everything else.
        sizes, full_s = [], []
        for share in (4, 2, 1):
            made = large.make(folder, tenants=TENANTS // share, many=EVENTS // share)
            _warm_up(folder)
            found |= _full(folder, made, "full")
            sizes.append({"tenants": made.tenants, "events": made.events})
            full_s.append(found["features.full.times_scan"]["detail"]["ours_s"])
        found |= _growth(sizes, full_s) | _dirty(full_s[-1]) | _rules()
        if os.environ.get("MILLION"):
            made = large.make(folder, tenants=1_000_000, many=10_000_000)
            _warm_up(folder)
            found |= _full(folder, made, "million")
    return found


def _warm_up(folder: Path) -> None:
    """Everybody has a row, and both peers count what we do."""
    features.refresh(today=TODAY, now=NOW)
    _vacuum()
    rows = {}
    for row in Feature.objects.values(*["tenant_id", *features.COLUMNS]).iterator():
        for name in ("last_bad_rating_at", "last_bad_mood_at"):
            row[name] = row[name] and row[name].replace(tzinfo=None)
        row["workplace"] = row["workplace"] and "[{}, {}]".format(*row["workplace"])
        rows[row["tenant_id"]] = row
    for peer, work in peers.PEERS.items():
        peers.check(peer, work(folder), rows)


def _full(folder: Path, made: large.Portfolio, name: str) -> dict[str, Figure]:
    ours, scans = [], []
    theirs: dict[str, list[float]] = {peer: [] for peer in peers.PEERS}
    for _run in range(RUNS):
        scans.append(_timed(lambda: _sql(SCAN_EVENTS)))
        ours.append(_timed(lambda: features.refresh(today=TODAY, now=NOW)))
        for peer, work in peers.PEERS.items():
            theirs[peer].append(_timed(work, folder))
        _vacuum()
    facts = {"features": len(features.COLUMNS), "tenants": made.tenants, "events": made.events, "ours_s": _short(ours)}
    figures = {
        f"features.{name}.times_{peer}": _ratio(ours, spent, **facts, **{f"{peer}_s": _short(spent)})
        for peer, spent in theirs.items()
    }
    return figures | {f"features.{name}.times_scan": _ratio(ours, scans, **facts, scan_s=_short(scans))}


def _growth(sizes: list[dict[str, int]], full_s: list[list[float]]) -> dict[str, Figure]:
    """What a tenant of the largest portfolio takes, as a multiple of what one of the smallest takes."""
    each = [[spent / size["tenants"] * 1e6 for spent in times] for size, times in zip(sizes, full_s, strict=True)]
    detail = [
        {**size, "full_s": times, "us_a_tenant": _short(cost)}
        for size, times, cost in zip(sizes, full_s, each, strict=True)
    ]
    return {"features.growth": _ratio(each[-1], each[0], sizes=detail)}


def _dirty(full_s: list[float]) -> dict[str, Figure]:
    dice = random.Random(1)
    found = {}
    for many in DIRTY:
        ours: list[float] = []
        with_tags: list[float] = []
        for _run in range(RUNS):
            for spent, work in ((ours, features.refresh), (with_tags, current.compute)):
                features.mark(dice.sample(range(1, TENANTS + 1), many), now=NOW)
                marked = features.marked()
                assert len(marked) == many
                spent.append(_timed(lambda: work(today=TODAY, now=NOW, tenants=marked)))  # noqa: B023
                assert not features.marked()
        _vacuum()
        facts = {
            "tenants": TENANTS,
            "ours_s": _short(ours),
            "full_s": full_s,
            "with_tags_s": _short(with_tags),
            "with_tags_of_full": _ratio(with_tags, full_s)["value"],
        }
        found[f"features.dirty_{many}.of_full"] = _ratio(ours, full_s, **facts)
    return found


def _rules() -> dict[str, Figure]:
    shipped_rules = {each["code"]: each["rule"] for each in shipped.SEGMENTS}
    beside = {**shipped_rules, **OTHERS}
    ours, scans, bare = [], [], []
    took: dict[str, list[float]] = {name: [] for name in beside}
    for _run in range(RUNS * 2):
        scans.append(_timed(lambda: _sql(SCAN_ROWS)))
        bare.append(_timed(lambda: _sql(ITS_CONDITION)))
        ours.append(_timed(lambda: segments.members(RULE, today=TODAY)))
        for name, rule in beside.items():
            took[name].append(_timed(lambda: segments.members(rule, today=TODAY)))  # noqa: B023
    facts = {
        "rows": Feature.objects.count(),
        "members": len(segments.members(RULE, today=TODAY)),
        "rule_s": _short(ours),
        "scan_s": _short(scans),
        "of_its_condition": _ratio(ours, bare)["value"],
        "shipped_rules": {name: _ratio(took[name], scans)["value"] for name in shipped_rules},
        "other_rules": {name: _ratio(took[name], scans)["value"] for name in OTHERS},
    }
    loop, rule_s = _orm_loop({code: shipped_rules[code] for code in ("social", "price")})
    return {
        "rules.times_feature_scan": _ratio(ours, scans, **facts),
        "rules.orm_loop.times_rule": _ratio(
            loop, rule_s, tenants_of_loop=SAMPLE, loop_s=_short(loop), rule_s=_short(rule_s)
        ),
    }


def _orm_loop(rules: dict[str, segments.Rule]) -> tuple[list[float], list[float]]:
    """Seconds of a loop over everybody, by a sample, and of the rule; which agree on whom it selects."""
    dice = random.Random(2)
    loop, ours = [], []
    for rule in rules.values():
        for _run in range(3):
            sample = list(Tenant.objects.filter(pk__in=dice.sample(range(1, TENANTS + 1), SAMPLE)).order_by("pk"))
            found: list[int] = []
            spent = _timed(lambda: found.extend(each.pk for each in sample if orm.holds(rule, each)))  # noqa: B023
            loop.append(spent * TENANTS / SAMPLE)
            members: set[int] = set()
            ours.append(_timed(lambda: members.update(segments.members(rule, today=TODAY))))  # noqa: B023
            assert found == [each.pk for each in sample if each.pk in members]
    return loop, ours


def _timed(work: Callable[..., Any], *facts: Any) -> float:
    started = time.perf_counter()
    work(*facts)
    return time.perf_counter() - started


def _sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        cursor.fetchall()


def _vacuum() -> None:
    _sql_only("VACUUM ANALYZE tenants_feature")
    _sql_only("CHECKPOINT")


def _sql_only(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _short(numbers: list[float]) -> list[float]:
    return [float(f"{number:.3g}") for number in numbers]


def _ratio(ours: list[float], theirs: list[float], **detail: Any) -> Figure:
    return figure([our / their for our, their in zip(ours, theirs, strict=True)], "ratio", **detail)
