"""Mismatch and the any-time interval agree with GrowthBook's statistics (tests/files/gbstats_values.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from campaigns.experiments.evalues import sequence
from campaigns.experiments.srm import chi_square_beyond, mismatch

GBSTATS = json.loads((Path(__file__).parent / "files/gbstats.json").read_text())


def test_mismatch_is_growthbooks() -> None:
    assert len(GBSTATS["srm"]) == 4
    for counts, weights, p in GBSTATS["srm"]:
        found = mismatch(counts, weights)
        if not found.is_exact:
            assert found.p == pytest.approx(p, rel=1e-9)
        # The small one is chi-square there and exact here.
        n, total = sum(counts), sum(weights)
        statistic = sum((k - n * w / total) ** 2 / (n * w / total) for k, w in zip(counts, weights, strict=True))
        assert chi_square_beyond(statistic, len(counts) - 1) == pytest.approx(p, rel=1e-9)


def test_the_any_time_interval_is_growthbooks() -> None:
    assert len(GBSTATS["sequences"]) == 20
    for (k1, n1, k2, n2), expected, level, values in GBSTATS["sequences"]:
        assert sequence(k1, n1, k2, n2, expected, level) == pytest.approx(tuple(values), rel=1e-9)
    assert sequence(0, 5, 0, 5, 140) == (-1.0, 1.0, 1.0)
