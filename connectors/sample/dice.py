"""Chance that can be repeated: one generator per name, derived from the seed and from nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def dice(*names: object) -> np.random.Generator:
    """The generator of this name. SHA-256 rather than `hash`, which differs from run to run."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, each as likely."""
    return options[int(rng.integers(len(options)))]


def weighted(rng: np.random.Generator, options: Mapping[T, float]) -> T:
    """One of the options, as likely as its weight says."""
    mark = rng.random() * sum(options.values())
    for option, weight in options.items():
        mark -= weight
        if mark < 0:
            return option
    return option


def whole(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number between the two, both included."""
    return int(rng.integers(low, high + 1))


def portions(total: int, weights: Mapping[T, float]) -> dict[T, int]:
    """`total` shared out by weight in whole pieces; what rounding leaves goes to the largest remainders."""
    scale = total / sum(weights.values())
    exact = {key: weight * scale for key, weight in weights.items()}
    shares = {key: int(value) for key, value in exact.items()}
    by_remainder = sorted(exact, key=lambda key: shares[key] - exact[key])
    for key in by_remainder[: total - sum(shares.values())]:
        shares[key] += 1
    return shares
