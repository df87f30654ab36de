"""Some of the benchmark's seasons: they say what `judge` says, confirm little where nothing is, and find the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import experiments
from bench.experiments import Cell, clicked_by, confirmed, season_clicks, shares
from campaigns.experiments.exact import fisher_table
from campaigns.experiments.verdicts import HOURS, Look, Plan, judge


@pytest.mark.parametrize("cell", [Cell(70, 0.2, 0.2, runs=60), Cell(70, 0.15, 0.35, "fast", runs=40)])
def test_a_simulated_verdict_is_the_verdict(cell: Cell) -> None:
    clicks = season_clicks(cell)
    at_looks = [clicked_by(clicks, hour) for hour in HOURS]
    simulated = confirmed(np.stack(at_looks, axis=1), cell.per_arm, fisher_table(cell.per_arm, cell.per_arm))
    plan = Plan((cell.per_arm, cell.per_arm))
    for season in range(cell.runs):
        looks = [Look(hour, tuple(counts[season].tolist())) for hour, counts in zip(HOURS, at_looks, strict=True)]
        assert (judge(plan, looks).kind == "confirmed") == simulated[season]


def test_hourly_peeking_confirms_nothing_where_nothing_is() -> None:
    """1,000 seasons: at most 5 %, of which ours takes about 3; the hourly z-test is the red twin."""
    found = shares(Cell(70, 0.2, 0.2, runs=1000))
    assert found["ours"] <= 0.05
    assert found["e_value"] <= 0.05
    assert found["hourly_z"] > 0.2


@pytest.mark.parametrize("pace", ["even", "fast"])
def test_what_is_there_is_found_nearly_as_often_as_by_one_test_at_the_end(pace: str) -> None:
    found = shares(Cell(70, 0.15, 0.30, pace, runs=200))
    assert found["ours"] >= 0.9 * found["once"] > 0.35


def test_three_arms_share_the_error() -> None:
    """150 seasons of three arms of 50, two of them alike: those are told apart in 5 % at most, the third is found."""
    rng = np.random.default_rng(9)
    plan, rates = Plan((50, 50, 50)), (0.15, 0.15, 0.50)
    verdicts = []
    for _ in range(150):
        hour = np.where(rng.random((50, 3)) < rates, rng.random((50, 3)) * 72, np.inf)
        looks = [Look(at, tuple((hour <= at).sum(axis=0).tolist())) for at in HOURS]
        verdicts.append(judge(plan, looks))
    wrongly = [any(each.pair == (0, 1) and each.worse is not None for each in found.comparisons) for found in verdicts]
    assert np.mean(wrongly) <= 0.05
    assert {found.arm for found in verdicts if found.kind == "confirmed"} == {2}
    assert np.mean([found.kind == "confirmed" for found in verdicts]) > 0.75


def test_the_table_is_written_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "experiments.md"
    page.write_text("before\n" + "old\n".join(experiments.MARKS) + "after\n")
    monkeypatch.setattr(experiments, "DOCUMENT", page)
    experiments.write({Cell(70, 0.15, 0.3): dict.fromkeys(experiments.METHODS, 0.0468)})
    text = page.read_text()
    assert text.startswith("before\n<!--")
    assert text.endswith("to here -->\nafter\n")
    assert "old" not in text
    assert "| 140 | 15% and 30% | even | 10,000 | **4.7%** | 4.7% |" in text
