"""What a benchmark answers with."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, TypedDict


class Figure(TypedDict):
    value: float  # the median of the runs
    unit: str
    runs: list[float]
    detail: dict[str, Any]


def figure(runs: Sequence[float], unit: str, **detail: Any) -> Figure:
    return Figure(value=_round(median(runs)), unit=unit, runs=[_round(run) for run in runs], detail=detail)


def _round(number: float) -> float:
    """Four digits are more than a benchmark knows."""
    return float(f"{number:.4g}")
