"""Seasons in which nothing is true, and seasons in which something is: what a verdict of 72 hours is worth.

A season is one wave of two arms. Each tenant clicks or not; when, is spread evenly over the 72 hours, or comes fast:
with a mean of 18 hours and nothing after 72. Somebody looks every hour. Ours confirms at six looks, by `verdicts`.
Beside it, on the same seasons: the same exact test run once at 72 hours, the two with the mid-p, the e-value that may
be seen at any moment, and what many do, a z-test every hour.

The table goes into docs/experiments.md between its two marks. There is nothing of the database in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, figure
from campaigns.experiments.evalues import CONFIRMS, by_clicks
from campaigns.experiments.exact import fisher_table, mid_p
from campaigns.experiments.looks import boundaries, information
from campaigns.experiments.verdicts import HOURS

KEYS = ("experiments.null_confirmed", "experiments.power_of_single_test")

RUNS = 10_000
SEED = 72
DOCUMENT = Path(__file__).resolve().parent.parent / "docs/experiments.md"
MARKS = ("<!-- make bench writes from here -->\n", "<!-- to here -->\n")
METHODS = ("ours", "ours_mid_p", "once", "once_mid_p", "e_value", "hourly_z")
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    per_arm: int
    first: float  # share of each arm that clicks in the end
    second: float
    pace: str = "even"
    runs: int = RUNS


NULL = [Cell(70, share, share) for share in (0.05, 0.10, 0.15, 0.20, 0.30, 0.50)] + [Cell(70, 0.20, 0.20, "fast")]
TRUE = [Cell(70, 0.15, 0.30), Cell(70, 0.15, 0.30, "fast"), Cell(57, 0.15, 0.40)]
LARGE = [Cell(200, 0.20, 0.20, runs=2000), Cell(200, 0.15, 0.30, runs=2000)]


def run() -> dict[str, Figure]:
    found = {cell: shares(cell) for cell in (*NULL, *TRUE, *LARGE)}
    write(found)
    null = [found[cell]["ours"] for cell in NULL]
    main = found[TRUE[0]]
    detail = {"seasons_a_cell": RUNS, "cells": [{**cell.__dict__, **found[cell]} for cell in found]}
    return {
        # The worst of seven null worlds: every one is held to 5 %.
        "experiments.null_confirmed": figure([max(null)], "share", **detail),
        "experiments.power_of_single_test": figure([main["ours"] / main["once"]], "ratio", **main),
    }


def shares(cell: Cell) -> dict[str, float]:
    """The share of the cell's seasons in which each method said at some moment: they differ."""
    clicks = season_clicks(cell)
    hourly = np.stack([clicked_by(clicks, hour) for hour in range(1, HOURS[-1] + 1)], axis=1)
    at_looks = hourly[:, [hour - 1 for hour in HOURS]]
    fisher, middle = fisher_table(cell.per_arm, cell.per_arm), mid_p_table(cell.per_arm)
    said = {
        "ours": confirmed(at_looks, cell.per_arm, fisher),
        "ours_mid_p": confirmed(at_looks, cell.per_arm, middle),
        "once": fisher[at_looks[:, -1, 0], at_looks[:, -1, 1]] < 0.05,
        "once_mid_p": middle[at_looks[:, -1, 0], at_looks[:, -1, 1]] < 0.05,
        "e_value": np.array([ever_bets(each) for each in clicks]),
        "hourly_z": (np.abs(z(hourly, cell.per_arm)) > 1.959964).any(axis=1),
    }
    return {method: float(np.mean(said[method])) for method in METHODS}


def season_clicks(cell: Cell) -> NDArray[np.float64]:
    """The hour of each tenant's click, infinite for none: (runs, per arm, 2)."""
    rng = np.random.default_rng([SEED, cell.per_arm, round(1000 * cell.first), round(1000 * cell.second)])
    shape = (cell.runs, cell.per_arm, 2)
    does = rng.random(shape) < (cell.first, cell.second)
    even = rng.random(shape)
    hour = 72 * even if cell.pace == "even" else -18 * np.log1p(-even * (1 - np.exp(-72 / 18)))
    return np.where(does, hour, np.inf)


def clicked_by(clicks: NDArray[np.float64], hour: float) -> Counts:
    """(runs, 2)."""
    return (clicks <= hour).sum(axis=1)


def confirmed(at_looks: Counts, per_arm: int, table: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether any of the six looks confirmed: (runs,). What `verdicts.judge` says, with its levels and a table of p."""
    p = table[at_looks[..., 0], at_looks[..., 1]]
    found = np.zeros(len(at_looks), dtype=bool)
    fractions = [hour / HOURS[-1] for hour in HOURS]
    for season in np.flatnonzero((p < 0.05).any(axis=1)):  # no level is ever above
        informed = [information(int(clicked), 2 * per_arm) for clicked in at_looks[season].sum(axis=1)]
        levels = [look.level for look in boundaries(fractions, informed)]
        found[season] = (p[season] < levels).any()
    return found


def mid_p_table(per_arm: int) -> NDArray[np.float64]:
    return np.array([[mid_p(k1, per_arm, k2, per_arm) for k2 in range(per_arm + 1)] for k1 in range(per_arm + 1)])


def ever_bets(clicks: NDArray[np.float64]) -> bool:
    """Whether the e-value of either direction's average reached 20 after any click of this season."""
    hours = clicks.ravel()
    arms = np.argsort(hours, kind="stable")[: int(np.isfinite(hours).sum())] % 2
    one, other = by_clicks(arms, (len(clicks), len(clicks)))
    return bool(((one + other) / 2).max(initial=0) >= CONFIRMS)


def z(counts: Counts, per_arm: int) -> NDArray[np.float64]:
    pooled = counts.sum(axis=-1) / (2 * per_arm)
    spread = np.sqrt(pooled * (1 - pooled) * 2 / per_arm)
    return np.divide((counts[..., 0] - counts[..., 1]) / per_arm, spread, out=np.zeros(pooled.shape), where=spread > 0)


def write(found: dict[Cell, dict[str, float]]) -> None:
    lines = [
        "| tenants | truth | clicks come | seasons | six looks, Fisher (**ours**) | six looks, mid-p | once, Fisher "
        "| once, mid-p | e-value, always | z-test every hour |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell, said in found.items():
        truth = f"{cell.first:.0%} and {cell.second:.0%}"
        numbers = " | ".join(f"**{said[m]:.1%}**" if m == "ours" else f"{said[m]:.1%}" for m in METHODS)
        lines.append(f"| {2 * cell.per_arm} | {truth} | {cell.pace} | {cell.runs:,} | {numbers} |")
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    DOCUMENT.write_text(before + MARKS[0] + "\n".join(lines) + "\n" + MARKS[1] + after, encoding="utf-8")
