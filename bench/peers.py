"""The same features as `tenants.features` counts, by duckdb and by polars from the parquet files of `bench.large`.

Both are given what suits them best: one file of events in the order of time, what a feature asks of the data of an
event in typed columns of its own, so that neither reads JSON, and both cores. Each writes its rows to a parquet file.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from bench.events import TODAY
from tenants import features

# Moments as `tenants.features` has them, without their zone: both compare UTC.
PARAMS = {
    name: value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
    for name, value in features.windows(TODAY).items()
} | {"this_month": TODAY.replace(day=1)}
YEARLY = ("facility.used", "community.joined", "ticket.rated", "mood.given", "payment.made",
          "ticket.reported", "ticket.accepted", "ticket.finished")  # fmt: skip
QUARTERLY = ("community.posted", "app.viewed")

DUCKDB_SQL = """
COPY (
WITH person AS (SELECT id, coalesce(merged_into_id, id) AS root FROM '{folder}/tenants_tenant.parquet'),
resident AS (
    SELECT DISTINCT root
    FROM '{folder}/tenants_lease.parquet' lease
    JOIN '{folder}/tenants_leasetenant.parquet' lt ON lt.lease_id = lease.id
    JOIN person ON person.id = lt.tenant_id
    WHERE lease.state = 'signed' AND lease.last_day >= $today
),
who AS (SELECT person.id, person.root FROM person JOIN resident USING (root)),
seen AS MATERIALIZED (
    SELECT who.root, kind, event.at AS moment, unit_id, source_id,
        facility, name, score, mood, ticket, category, item, due_on, value, workplace
    FROM '{folder}/tenants_event.parquet' event JOIN who ON who.id = event.tenant_id
    WHERE event.at < $until AND (
        kind IN ('facility.used', 'community.joined', 'ticket.rated', 'mood.given', 'payment.made',
                 'ticket.reported', 'ticket.accepted', 'ticket.finished') AND event.at >= $since_365
        OR kind IN ('community.posted', 'app.viewed') AND event.at >= $since_90
        OR kind = 'power.read' AND event.at >= $since_30
        OR kind = 'profile.stated')
),
counted AS (
    SELECT root,
        count(*) FILTER (facility = 'gym') AS gym_365,
        count(*) FILTER (facility = 'shared_kitchen' AND moment >= $since_90) AS kitchen_90,
        count(*) FILTER (facility = 'shared_kitchen') AS kitchen_365,
        count(*) FILTER (facility = 'laundry') AS laundry_365,
        count(*) FILTER (kind = 'community.joined' AND moment >= $since_90) AS community_90,
        count(*) FILTER (kind = 'community.joined') AS community_365,
        count(*) FILTER (kind = 'community.posted') AS posts_90,
        count(*) FILTER (kind = 'app.viewed' AND moment >= $since_30) AS app_30,
        count(*) FILTER (kind = 'app.viewed' AND name = 'rent_prices') AS price_views_90,
        count(*) FILTER (kind = 'app.viewed' AND name = 'coupons') AS coupon_views_90,
        count(*) FILTER (kind = 'app.viewed' AND name = 'repairs') AS repair_views_90,
        max(moment) FILTER (kind = 'ticket.rated' AND score <= 2) AS last_bad_rating_at,
        max(moment) FILTER (mood = 'bad') AS last_bad_mood_at,
        coalesce(list(mood ORDER BY moment DESC, source_id DESC) FILTER (kind = 'mood.given'), [])[:3] AS last_moods,
        last(workplace ORDER BY moment, source_id) FILTER (workplace IS NOT NULL) AS workplace,
        count(*) FILTER (kind = 'payment.made') AS payments_365
    FROM seen GROUP BY root
),
report AS (
    SELECT root, moment, ticket, category,
        moment - lag(moment) OVER (PARTITION BY root, category ORDER BY moment, ticket) AS since_last
    FROM seen WHERE kind = 'ticket.reported'
),
answer AS (
    SELECT root, ticket, min(moment) FILTER (kind = 'ticket.accepted') AS accepted_at,
        bool_or(kind = 'ticket.finished') AS is_finished
    FROM seen WHERE kind IN ('ticket.accepted', 'ticket.finished') GROUP BY root, ticket
),
repair AS (
    SELECT root, category, min(moment) AS began_at, min(accepted_at) AS accepted_at,
        coalesce(bool_or(is_finished), false) AS is_finished
    FROM (
        SELECT *, count(*) FILTER (since_last IS NULL OR since_last > $merge)
            OVER (PARTITION BY root, category ORDER BY moment, ticket ROWS UNBOUNDED PRECEDING) AS nth
        FROM report LEFT JOIN answer USING (root, ticket)
    ) GROUP BY root, category, nth
),
repaired AS (
    SELECT root, count(*) AS repairs_365, count(*) FILTER (NOT is_finished) AS repairs_open,
        count(*) FILTER (accepted_at - began_at > $late) AS late_accepts_365,
        max(epoch(accepted_at - began_at)) / 3600 AS worst_accept_hours,
        count(*) >= 3 AND bool_and(at_night) FILTER (latest <= 3) AS last3_night,
        count(*) FILTER (at_night) / count(*) AS night_share_365
    FROM (
        SELECT *, row_number() OVER (PARTITION BY root ORDER BY began_at DESC, category) AS latest,
            hour >= $night_from OR hour < $night_to AS at_night
        FROM (SELECT *, hour(began_at + INTERVAL 8 HOURS) AS hour FROM repair)
    ) GROUP BY root
),
paid AS (
    SELECT root, count(*) FILTER (paid_on > due_on) AS late_payments_365,
        CASE WHEN count(due_on) >= 2 THEN stddev_pop(paid_on - due_on) END AS pay_day_sd,
        count(DISTINCT due_month) FILTER (due_month < $this_month)
        / nullif(date_diff('month', min(due_month), $this_month), 0) AS paid_share
    FROM (
        SELECT root, (moment + INTERVAL 8 HOURS)::date AS paid_on, due_on,
            CASE WHEN item = 'utility' THEN date_trunc('month', due_on)::date END AS due_month
        FROM seen WHERE kind = 'payment.made'
    ) GROUP BY root
),
used AS (
    SELECT root, sum(greatest(step, 0)) AS power_30
    FROM (
        SELECT root, value - lag(value) OVER (PARTITION BY root, unit_id ORDER BY moment, value, source_id) AS step
        FROM seen WHERE kind = 'power.read'
    ) WHERE step IS NOT NULL GROUP BY root
)
SELECT resident.root AS tenant_id,
    coalesce(gym_365, 0) AS gym_365, coalesce(kitchen_90, 0) AS kitchen_90, coalesce(kitchen_365, 0) AS kitchen_365,
    coalesce(laundry_365, 0) AS laundry_365, coalesce(community_90, 0) AS community_90,
    coalesce(community_365, 0) AS community_365, coalesce(posts_90, 0) AS posts_90, coalesce(app_30, 0) AS app_30,
    coalesce(price_views_90, 0) AS price_views_90, coalesce(coupon_views_90, 0) AS coupon_views_90,
    coalesce(repair_views_90, 0) AS repair_views_90,
    coalesce(repairs_365, 0) AS repairs_365, coalesce(repairs_open, 0) AS repairs_open,
    coalesce(late_accepts_365, 0) AS late_accepts_365, coalesce(last3_night, false) AS last3_night,
    night_share_365, worst_accept_hours, last_bad_rating_at, coalesce(last_moods, []) AS last_moods, last_bad_mood_at,
    coalesce(payments_365, 0) AS payments_365, coalesce(late_payments_365, 0) AS late_payments_365,
    pay_day_sd, paid_share, power_30, workplace
FROM resident
LEFT JOIN counted USING (root)
LEFT JOIN repaired USING (root)
LEFT JOIN paid USING (root)
LEFT JOIN used USING (root)
ORDER BY tenant_id
) TO '{out}' (FORMAT parquet)
"""


def by_duckdb(folder: Path) -> Path:
    """The rows are in the file."""
    out = folder / "by_duckdb.parquet"
    asked = {name: value for name, value in PARAMS.items() if f"${name}" in DUCKDB_SQL}
    with duckdb.connect() as db:
        db.execute("SET enable_progress_bar = false")
        db.execute(DUCKDB_SQL.format(folder=folder, out=out), asked)
    return out


def by_polars(folder: Path) -> Path:
    """The rows are in the file."""
    out = folder / "by_polars.parquet"
    _polars(folder).sink_parquet(out)
    return out


def _since(days: int) -> pl.Expr:
    return pl.col("at") >= PARAMS[f"since_{days}"]


def _polars(folder: Path) -> pl.LazyFrame:
    kind = pl.col("kind")
    person = pl.scan_parquet(folder / "tenants_tenant.parquet").select(
        tenant_id="id", root=pl.coalesce("merged_into_id", "id")
    )
    resident = (
        pl.scan_parquet(folder / "tenants_lease.parquet")
        .filter((pl.col("state") == "signed") & (pl.col("last_day") >= TODAY))
        .join(pl.scan_parquet(folder / "tenants_leasetenant.parquet"), left_on="id", right_on="lease_id")
        .join(person, on="tenant_id")
        .select("root")
        .unique()
    )
    seen = (
        pl.scan_parquet(folder / "tenants_event.parquet")
        .filter(
            (pl.col("at") < PARAMS["until"])
            & (
                (kind.is_in(YEARLY) & _since(365))
                | (kind.is_in(QUARTERLY) & _since(90))
                | ((kind == "power.read") & _since(30))
                | (kind == "profile.stated")
            )
        )
        .join(person.join(resident, on="root", how="semi"), on="tenant_id")
    )
    by = seen.group_by("root")
    counted = by.agg(
        gym_365=(pl.col("facility") == "gym").sum(),
        kitchen_90=((pl.col("facility") == "shared_kitchen") & _since(90)).sum(),
        kitchen_365=(pl.col("facility") == "shared_kitchen").sum(),
        laundry_365=(pl.col("facility") == "laundry").sum(),
        community_90=((kind == "community.joined") & _since(90)).sum(),
        community_365=(kind == "community.joined").sum(),
        posts_90=(kind == "community.posted").sum(),
        app_30=((kind == "app.viewed") & _since(30)).sum(),
        price_views_90=(pl.col("name") == "rent_prices").sum(),
        coupon_views_90=(pl.col("name") == "coupons").sum(),
        repair_views_90=(pl.col("name") == "repairs").sum(),
        last_bad_rating_at=pl.col("at").filter(pl.col("score") <= 2).max(),
        last_bad_mood_at=pl.col("at").filter(pl.col("mood") == "bad").max(),
        payments_365=(kind == "payment.made").sum(),
    )
    moods = (
        seen.filter(kind == "mood.given")
        .sort("root", "at", "source_id", descending=[False, True, True])
        .group_by("root", maintain_order=True)
        .agg(last_moods=pl.col("mood").head(3))
    )
    works = (
        seen.filter(pl.col("workplace").is_not_null())
        .sort("at", "source_id")
        .group_by("root", maintain_order=True)
        .agg(pl.col("workplace").last())
    )
    found = resident
    for part in (counted, moods, works, _repaired(seen), _paid(seen), _used(seen)):
        found = found.join(part, on="root", how="left")
    return (
        found.with_columns(
            pl.col(COUNTS).fill_null(0),
            pl.col("last3_night").fill_null(value=False),
            pl.col("last_moods").fill_null([]),
        )
        .rename({"root": "tenant_id"})
        .select("tenant_id", *features.COLUMNS)
        .sort("tenant_id")
    )


SHARES = {"power_30", "night_share_365"}  # of whom nothing is known there is none
COUNTS = [name for name in features.COLUMNS if name.endswith(("_30", "_90", "_365", "_open")) and name not in SHARES]


def _repaired(seen: pl.LazyFrame) -> pl.LazyFrame:
    kind, at = pl.col("kind"), pl.col("at")
    answer = (
        seen.filter(kind.is_in(["ticket.accepted", "ticket.finished"]))
        .group_by("root", "ticket")
        .agg(accepted_at=at.filter(kind == "ticket.accepted").min(), is_finished=(kind == "ticket.finished").any())
    )
    trouble = ["root", "category"]
    since_last = at - at.shift(1).over(trouble)
    is_new = since_last.is_null() | (since_last > PARAMS["merge"])
    repair = (
        seen.filter(kind == "ticket.reported")
        .sort("root", "category", "at", "ticket")
        .with_columns(nth=is_new.cum_sum().over(trouble))
        .join(answer, on=["root", "ticket"], how="left")
        .group_by("root", "category", "nth")
        .agg(
            began_at=at.min(),
            accepted_at=pl.col("accepted_at").min(),
            is_finished=pl.col("is_finished").any().fill_null(value=False),
        )
    )
    wait = pl.col("accepted_at") - pl.col("began_at")
    hour = (pl.col("began_at") + timedelta(hours=8)).dt.hour()
    at_night = (hour >= PARAMS["night_from"]) | (hour < PARAMS["night_to"])
    return (
        repair.with_columns(wait=wait, at_night=at_night)
        .sort("root", "began_at", "category", descending=[False, True, False])
        .group_by("root", maintain_order=True)
        .agg(
            repairs_365=pl.len(),
            repairs_open=(~pl.col("is_finished")).sum(),
            late_accepts_365=(pl.col("wait") > PARAMS["late"]).sum(),
            worst_accept_hours=pl.col("wait").max().dt.total_microseconds() / 3.6e9,
            night_share_365=pl.col("at_night").mean(),
            last3_night=(pl.len() >= 3) & pl.col("at_night").head(3).all(),
        )
    )


def _paid(seen: pl.LazyFrame) -> pl.LazyFrame:
    paid_on = (pl.col("at") + timedelta(hours=8)).dt.date()
    late = (paid_on - pl.col("due_on")).dt.total_days()
    month = pl.when(pl.col("item") == "utility").then(pl.col("due_on").dt.truncate("1mo"))
    this = TODAY.replace(day=1)
    months = (this.year - pl.col("first").dt.year()) * 12 + this.month - pl.col("first").dt.month()
    return (
        seen.filter(pl.col("kind") == "payment.made")
        .with_columns(late=late, month=month)
        .group_by("root")
        .agg(
            late_payments_365=(pl.col("late") > 0).sum(),
            pay_day_sd=pl.when(pl.col("late").count() >= 2).then(pl.col("late").std(ddof=0)),
            first=pl.col("month").min(),
            paid=pl.col("month").filter(pl.col("month") < this).n_unique(),
        )
        .with_columns(months=months)
        .with_columns(paid_share=pl.when(pl.col("months") != 0).then(pl.col("paid") / pl.col("months")))
        .drop("first", "paid", "months")
    )


def _used(seen: pl.LazyFrame) -> pl.LazyFrame:
    step = pl.col("value") - pl.col("value").shift(1).over("root", "unit_id")
    return (
        seen.filter(pl.col("kind") == "power.read")
        .sort("root", "unit_id", "at", "value", "source_id")
        .with_columns(step=step)
        .filter(pl.col("step").is_not_null())
        .group_by("root")
        .agg(power_30=pl.col("step").clip(0).sum())
    )


PEERS: dict[str, Callable[[Path], Path]] = {"duckdb": by_duckdb, "polars": by_polars}


def check(peer: str, theirs: Path, ours: dict[int, dict[str, Any]]) -> None:
    """Row by row what the peer counted is what we did, floats to a billionth. Raises `AssertionError`."""
    rows = pl.read_parquet(theirs).to_dicts()
    assert len(rows) == len(ours), (peer, len(rows), len(ours))
    for row in rows:
        mine = ours[row["tenant_id"]]
        for name in features.COLUMNS:
            assert _same(row[name], mine[name]), (peer, row["tenant_id"], name, row[name], mine[name])


def _same(theirs: Any, mine: Any) -> bool:
    if isinstance(mine, float):
        return theirs is not None and abs(theirs - mine) <= 1e-9 * max(1, abs(mine))
    return bool(theirs == mine)
