"""Logarithms of factorials: what exact probabilities of counts are made of."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def log_factorials(n: int) -> Array:
    """ln 0!, ln 1!, … and on to at least ln n!. Not to be written to: it is shared."""
    return _up_to(1 << max(10, n.bit_length()))


@lru_cache
def _up_to(n: int) -> Array:
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    logs.setflags(write=False)
    return logs
