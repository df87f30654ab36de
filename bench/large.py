"""A large portfolio, straight into the database by COPY, and the same rows as parquet for those it is compared with.

Nothing but the seed and the sizes decides what is in it. Of `tenants` people with a lease one in a hundred is known
under two rows, one in twenty more has moved out and left a year of events, and three in a hundred have signed their
next lease. What happened to them is in `bench.events`.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from django.db import connection, transaction

from bench import events
from bench.events import NOW, ROOMS_OF_A_BUILDING, STORED, TODAY, YEAR
from tenants import planner

TENANTS, EVENTS = int(os.environ.get("TENANTS", "100000")), int(os.environ.get("EVENTS", "5000000"))
ROOMS_OF_A_FLAT = 3
ROOM_TYPES = ("独立开间", "温馨次卧", "阳光主卧", "一室一厅", "复式开间", "亲子两居")

MERGED, GONE, NEXT = 100, 20, 33  # one in so many

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What was made: people with a lease, and events; the parquet files are in `folder`."""

    tenants: int
    events: int
    folder: Path


def make(folder: Path, *, tenants: int, many: int, seed: int = 1) -> Portfolio:
    """The database has this portfolio and no other, and `folder` has it as parquet."""
    dice = np.random.default_rng([seed, tenants, many])
    people = tenants + tenants // MERGED + tenants // GONE
    # Who does much does much of everything: a spread of a half, as in the sample.
    weights = dice.gamma(4, 1 / 4, people)
    number = np.arange(people)
    merged = tenants // MERGED
    # Whoever is known twice lives in one room.
    room = np.where(number < tenants, number, np.where(number < tenants + merged, number - tenants, number - merged))
    happened = events.make(dice, room, weights, many)
    tables = {
        **_places(dice, tenants + tenants // GONE),
        **_people(dice, tenants),
        "tenants_event": happened.select(STORED),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE tenants_building, tenants_tenant, tenants_event CASCADE")
        for name, rows in tables.items():
            _copy(name, rows)
    for name in ("tenants_tenant", "tenants_lease", "tenants_leasetenant"):
        tables[name].write_parquet(folder / f"{name}.parquet")
    happened.drop("data").with_columns(pl.col("at").dt.replace_time_zone(None)).write_parquet(
        folder / "tenants_event.parquet"
    )
    with connection.cursor() as cursor:
        for name in tables:
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) + 1 FROM {name}))")
        cursor.execute("VACUUM tenants_event, tenants_lease, tenants_leasetenant, tenants_tenant")
    planner.look_again()
    return Portfolio(tenants=tenants, events=len(happened), folder=folder)


def _copy(name: str, rows: pl.DataFrame) -> None:
    """The table has these rows. The indexes of events are built afterwards, which takes a third of the time."""
    with connection.cursor() as cursor:
        later = _without_indexes(name) if name == "tenants_event" else []
        text = io.BytesIO()
        for part in rows.iter_slices(500_000):
            text.seek(0)
            text.truncate()
            part.write_csv(text, include_header=False, datetime_format="%Y-%m-%d %H:%M:%S%.6f%:z")
            text.seek(0)
            cursor.copy_expert(f"COPY {name} ({', '.join(rows.columns)}) FROM STDIN CSV", text)
        for statement in later:
            cursor.execute(statement)


def _without_indexes(name: str) -> list[str]:
    """Unique constraints and indexes that no foreign key needs are gone; the statements that bring them back."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
                format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
            FROM pg_constraint WHERE conrelid = %(name)s::regclass AND contype IN ('u', 'x')
            UNION ALL
            SELECT format('DROP INDEX %%I', relname), pg_get_indexdef(indexrelid)
            FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
            WHERE indrelid = %(name)s::regclass
              AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
            """,
            {"name": name},
        )
        found = cursor.fetchall()
        for drop, _back in found:
            cursor.execute(drop)
    return [back for _drop, back in found]


# --- where and who ------------------------------------------------------------------------------------------


def _places(dice: np.random.Generator, rooms: int) -> dict[str, pl.DataFrame]:
    """Buildings of 130 rooms; each third room is a flat of its own, the others share one by threes."""
    room = np.arange(rooms)
    building = room // ROOMS_OF_A_BUILDING
    flat = room // ROOMS_OF_A_FLAT
    area = np.round(dice.uniform(14, 46, rooms), 2)
    buildings, flats = np.unique(building), np.unique(flat)
    return {
        "tenants_building": pl.DataFrame({"id": buildings + 1}).select(
            "id",
            code=pl.format("B{}", "id"),
            name=pl.format("蓝寓 {} 号", "id"),
            address=pl.lit("杭州市滨江区"),
            latitude=30.2 + (pl.col("id") % 100) / 1000,
            longitude=120.2 + (pl.col("id") % 70) / 1000,
            has_iot=pl.lit(value=True),
        ),
        "tenants_flat": pl.DataFrame(
            {"id": flats + 1, "building_id": flats * ROOMS_OF_A_FLAT // ROOMS_OF_A_BUILDING + 1}
        ).with_columns(code=pl.format("F{}", "id")),
        "tenants_unit": pl.DataFrame(
            {
                "id": room + 1,
                "building_id": building + 1,
                "flat_id": flat + 1,
                "room_type": np.array(ROOM_TYPES)[room % len(ROOM_TYPES)],
                "floor": room % ROOMS_OF_A_BUILDING // 12 + 1,
                "area": area,
                "list_rent": np.round(1500 + area * 60, -1),
            }
        ).with_columns(code=pl.format("B{}-{}", "building_id", "id")),
    }


def _people(dice: np.random.Generator, tenants: int) -> dict[str, pl.DataFrame]:
    """Tenants 1 to `tenants` live here; then come those merged into the first of them, then those who moved out."""
    merged, gone = tenants // MERGED, tenants // GONE
    people = tenants + merged + gone
    number = np.arange(people)
    known = pl.DataFrame({"id": number + 1}).select(
        "id",
        name=pl.format("租客{}", "id"),
        phone=pl.format("100{}", pl.col("id").cast(pl.String).str.zfill(8)),
        merged_into_id=pl.when((pl.col("id") > tenants) & (pl.col("id") <= tenants + merged)).then(
            pl.col("id") - tenants
        ),
        general_version=pl.col("id") % 50 == 0,
        created_at=pl.lit(NOW - timedelta(days=3 * YEAR)),
    )
    # Two in five of the leases end in the season, November to January.
    ends_in = np.where(dice.random(tenants) < 0.4, dice.integers(0, 62, tenants), dice.integers(62, YEAR, tenants))
    lives = _leases(number[:tenants], ends_in, number[:tenants])
    left = _leases(tenants + np.arange(gone), -dice.integers(1, YEAR, gone), number[tenants + merged :])
    after = lives.filter(pl.col("unit_id") % NEXT == 0).with_columns(
        id=pl.col("id") + people,
        renews_id="id",
        signed_on=pl.lit(TODAY - timedelta(days=3)),
        first_day=pl.col("last_day") + timedelta(days=1),
        last_day=pl.col("last_day") + timedelta(days=YEAR),
        agreed_last_day=pl.col("last_day") + timedelta(days=YEAR),
    )
    leases = pl.concat([lives, left, after])
    consents = pl.concat(
        pl.DataFrame({"tenant_id": number[dice.random(people) < 0.95] + 1}).with_columns(
            purpose=pl.lit(purpose),
            channel=pl.lit("any"),
            granted=(pl.col("tenant_id") * 7919 % 1000) < share * 1000,
            at=pl.lit(NOW - timedelta(days=2 * YEAR)),
            text_version=pl.lit("2023-01"),
            proof=pl.lit("App 补充确认"),
            recorded_at=pl.lit(NOW - timedelta(days=2 * YEAR)),
        )
        for purpose, share in (("marketing", 0.82), ("profiling", 0.76))
    )
    return {
        "tenants_tenant": known,
        "tenants_lease": leases.drop("tenant_id"),
        "tenants_leasetenant": leases.select(
            lease_id="id", tenant_id="tenant_id", is_primary=pl.lit(value=True)
        ).with_row_index("id", 1),
        "tenants_consent": consents,
    }


def _leases(unit: Numbers, ends_in: Numbers, who: Numbers) -> pl.DataFrame:
    """A year on each of these units, which ends so many days after today."""
    last_day = pl.lit(TODAY) + pl.duration(days="ends_in")
    first_day = last_day - timedelta(days=YEAR - 1)
    return pl.DataFrame({"unit": unit, "ends_in": ends_in, "who": who}).select(
        id=pl.col("who") + 1,
        unit_id=pl.col("unit") + 1,
        tenant_id=pl.col("who") + 1,
        contract_no=pl.lit(""),
        signed_on=first_day - timedelta(days=9),
        first_day=first_day,
        last_day=last_day,
        agreed_last_day=last_day,
        monthly_rent=1500 + pl.col("unit") % 300 * 10,
        deposit=1500 + pl.col("unit") % 300 * 10,
        anchor_day=1 + pl.col("unit") % 28,
        state=pl.lit("signed"),
        ended_by=pl.lit(""),
        renews_id=pl.lit(None, pl.Int64),
        revision=pl.lit(1),
        recorded_at=pl.lit(NOW - timedelta(days=YEAR)),
    )
