"""What happened in the large portfolio of `bench.large`, within a year.

The kinds of event stand in the proportion in which the sample portfolio has them (MIX), however few of them there are
of one person; each looks as its source tells it, and they stand in the order in which they happened.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from tenants import clock

TODAY = date(2025, 12, 1)
NOW = clock.at(TODAY, 10)
YEAR = 365
ROOMS_OF_A_BUILDING = 130
# Of a thousand events of the sample portfolio (1,042 rooms, seed of its command) so many are:
MIX = {
    "power.read": 306.4, "water.read": 306.4, "door.opened": 188.7,
    "app.viewed": 84.4, "facility.used": 54.1, "profile.stated": 0.9,
    "payment.made": 21.3, "bill.issued": 10.8, "mood.given": 6.6,
    "community.posted": 7.6, "community.joined": 3.6,
    "ticket": 9.2,  # its five events
}  # fmt: skip
SCREENS = {"home": 32.6, "community": 15.2, "bills": 12.7, "coupons": 9.9, "rent_prices": 8.5, "repairs": 5.4}
FACILITIES = {"laundry": 18.5, "gym": 16.7, "shared_kitchen": 13.9, "study": 5.2}
MOODS = {"good": 3.33, "soso": 2.34, "bad": 0.97}
CATEGORIES = ("water", "power", "air", "lock", "network", "parcel", "other")

ITEMS = {"rent": 11.6, "utility": 9.7}
DOOR_DAYS = 90
STORED = ("source", "source_id", "kind", "at", "tenant_id", "unit_id", "data", "recorded_at")

Numbers = npt.NDArray[np.int64]


def make(dice: np.random.Generator, rooms: Numbers, weights: npt.NDArray[np.float64], many: int) -> pl.DataFrame:
    """One row an event, `data` as its source tells it; what the features ask of it in columns of their own, too.

    Person n lives in room `rooms[n]` and does as much as its weight says.
    """
    spread = np.cumsum(weights) / weights.sum()
    found = []
    shares = sum(MIX.values())
    for kind, share in MIX.items():
        n = round(many * share / shares / (len(STEPS) if kind == "ticket" else 1))
        who = np.searchsorted(spread, dice.random(n))
        days = DOOR_DAYS if kind == "door.opened" else YEAR
        now = int(NOW.timestamp())
        at = dice.integers(now - days * 86_400, now, n)
        rows = pl.DataFrame({"tenant_id": who + 1, "room": rooms[who], "at": at, "n": np.arange(n)})
        found.append(_MAKERS[kind](dice, rows.with_columns(kind=pl.lit(kind))))
    rows = pl.concat(found, how="diagonal").sort("at", "source", "source_id")
    moment = pl.from_epoch("at", "s").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    return rows.with_columns(at=moment, recorded_at=moment).drop("room", "n")


def _any_of(dice: np.random.Generator, shares: dict[str, float], n: int) -> pl.Series:
    chances = np.array(list(shares.values()))
    return pl.Series(np.array(list(shares))[dice.choice(len(shares), n, p=chances / chances.sum())])


def _meter(dice: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    """A counter that grows by what its room uses a day; one in a hundred was changed three weeks ago."""
    day = (pl.col("at") - int(NOW.timestamp())) / 86_400 + YEAR
    is_new = (pl.col("room") % 100 == 7) & (day > YEAR - 21)
    start = pl.when(is_new).then(0).otherwise(pl.col("room") * 7919 % 8000 + 200)
    power = rows["kind"][0] == "power.read"
    letter, unit, a_day = ("P", "kWh", 3.4) if power else ("W", "m3", 0.13)
    value = (start + day * a_day * (0.5 + pl.col("room") * 31 % 100 / 100)).round(2)
    return rows.with_columns(value=value).with_columns(
        source=pl.lit("iot"),
        source_id=pl.format(letter + "-B{}-{}-{}", pl.col("room") // ROOMS_OF_A_BUILDING + 1, "room", "n"),
        unit_id=pl.col("room") + 1,
        data=pl.format('{{"value":{},"unit":"' + unit + '"}}', "value"),
    )


def _door(dice: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        source=pl.lit("iot"),
        source_id=pl.format("L-B{}-{}-{}", pl.col("room") // ROOMS_OF_A_BUILDING + 1, "room", "n"),
        unit_id=pl.col("room") + 1,
        data=pl.lit('{"way":"app"}'),
    )


def _viewed(dice: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    return _in_the_app(rows.with_columns(name=_any_of(dice, SCREENS, len(rows))), '{{"name":"{}"}}', "name", "s")


def _used(dice: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    facility = _any_of(dice, FACILITIES, len(rows))
    return _in_the_app(rows.with_columns(facility=facility), '{{"facility":"{}"}}', "facility", "f")


def _stated(dice: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    place = pl.format("[{}, {}]", 30 + pl.col("n") % 1000 / 1000, 120 + pl.col("n") % 900 / 1000)
    return _in_the_app(rows.with_columns(workplace=place), '{{"workplace":{}}}', "workplace", "w")


def _in_the_app(rows: pl.DataFrame, form: str, column: str, letter: str) -> pl.DataFrame:
    number = pl.format("m-app-{}-" + letter + "{}", 100_000 + pl.col("tenant_id"), "n")
    return rows.with_columns(source=pl.lit("app"), source_id=number, data=pl.format(form, column))


def _payment(dice: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    """Most pay on a day of their own up to a week before it is due, one in nine some days after."""
    late = np.where(dice.random(len(rows)) < 0.11, dice.integers(1, 15, len(rows)), -dice.integers(0, 8, len(rows)))
    paid_on = (pl.from_epoch("at", "s") + timedelta(hours=8)).dt.date()
    return (
        rows.with_columns(item=_any_of(dice, ITEMS, len(rows)), late=pl.Series(late))
        .with_columns(due_on=paid_on - pl.duration(days="late"))
        .with_columns(
            source=pl.lit("payments"),
            source_id=pl.format("ZF-HT2501-{}-R{}", "tenant_id", "n"),
            data=pl.format(
                '{{"item":"{}","amount":"{}.00","due_on":"{}"}}', "item", 1500 + pl.col("n") % 3000, "due_on"
            ),
        )
        .drop("late")
    )


def _bill(dice: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    month = pl.from_epoch("at", "s").dt.strftime("%Y-%m")
    return rows.with_columns(
        source=pl.lit("bills"),
        source_id=pl.format("ZD-{}-{}#issued", "tenant_id", "n"),
        data=pl.format(
            '{{"bill":"ZD-{}-{}","amount":"{}.94","month":"{}"}}', "tenant_id", "n", pl.col("n") % 200, month
        ),
    )


def _mood(dice: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(mood=_any_of(dice, MOODS, len(rows))).with_columns(
        source=pl.lit("bills"),
        source_id=pl.format("ZD-{}-{}#mood", "tenant_id", "n"),
        data=pl.format('{{"bill":"ZD-{}-{}","mood":"{}"}}', "tenant_id", "n", "mood"),
    )


def _posted(dice: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        source=pl.lit("community"),
        source_id=pl.format("FY-Q{}-{}", 200_000 + pl.col("tenant_id"), "n"),
        data=pl.lit('{"group":"西兴渡住户群"}'),
    )


def _joined(dice: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        source=pl.lit("community"),
        source_id=pl.format("HD-Q{}-{}", 200_000 + pl.col("tenant_id"), "n"),
        data=pl.lit('{"activity":"江边夜跑"}'),
    )


def _tickets(dice: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    """Each is reported, accepted, arrived at, finished and rated, some not so far; one in eight is told twice."""
    n = len(rows)
    again = pl.col("n") % 8 == 1
    whose = [pl.when(again).then(pl.col(name).shift(1)).otherwise(pl.col(name)) for name in ("tenant_id", "room")]
    at = pl.when(again).then(pl.col("at").shift(1) + 3600 * (pl.col("n") % 40)).otherwise(pl.col("at"))
    category = pl.Series(np.array(CATEGORIES)[dice.integers(0, len(CATEGORIES), n)])
    waits = [pl.Series(np.round(dice.exponential(hours * 3600, n)).astype(np.int64)) for hours in (0, 3, 1, 2, 20)]
    rows = rows.with_columns(*whose, at=at.clip(None, int(NOW.timestamp())), category=category)
    rows = rows.with_columns(ticket=pl.format("BX{}", "n"), far=pl.Series(dice.random(n)))
    found, passed = [], pl.Series(np.zeros(n, np.int64))
    for (step, share, facts), wait in zip(STEPS, waits, strict=True):
        passed = passed + wait
        score = pl.Series(dice.choice(5, n, p=(0.06, 0.08, 0.16, 0.3, 0.4)) + 1)
        part = rows.with_columns(at=pl.col("at") + passed, kind=pl.lit(f"ticket.{step}"))
        part = part.with_columns(score=score if step == "rated" else pl.lit(None, pl.Int64))
        part = part.filter((pl.col("far") < share) & (pl.col("at") <= int(NOW.timestamp())))
        if step != "reported":
            part = part.with_columns(category=pl.lit(None, pl.String))
        extra = [pl.col(name).fill_null("") for name in ("category",)] if step == "reported" else []
        extra = extra or ([pl.col("score").cast(pl.String)] if step == "rated" else [])
        found.append(
            part.with_columns(
                source=pl.lit("tickets"),
                source_id=pl.format("{}#" + step, "ticket"),
                unit_id=pl.col("room") + 1,
                data=pl.format('{{"ticket":"{}"' + facts + "}}", "ticket", *extra),
            )
        )
    return pl.concat(found, how="diagonal_relaxed").drop("far")


STEPS = (
    ("reported", 1.0, ',"category":"{}","channel":"app","text":"跳闸推不上去"'),
    ("accepted", 0.95, ',"technician":"yedachun"'),
    ("arrived", 0.93, ""),
    ("finished", 0.9, ""),
    ("rated", 0.6, ',"score":{}'),
)
_MAKERS = {
    "power.read": _meter, "water.read": _meter, "door.opened": _door, "app.viewed": _viewed, "facility.used": _used,
    "profile.stated": _stated, "payment.made": _payment, "bill.issued": _bill, "mood.given": _mood,
    "community.posted": _posted, "community.joined": _joined, "ticket": _tickets,
}  # fmt: skip
