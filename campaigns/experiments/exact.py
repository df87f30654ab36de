"""P-values that hold at any size of audience: Fisher's, the mid-p, and the design's own re-randomisation.

Fisher's keeps its level whenever tenants answer independently. It is blind to who was put beside whom: where flat-mates
were assigned together and answer alike, only `rerandomised` is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from campaigns.experiments.logs import Array, log_factorials

ALIKE = 1 + 1e-7  # outcomes as probable as the one seen count as extreme; rounding must not part them (as R does)


def fisher(k1: int, n1: int, k2: int, n2: int) -> float:
    """Two-sided exact p (Fisher 1934): of all ways to deal k1 + k2 clicks to the arms, those no more probable."""
    return _p(k1, n1, k2, n2)[0]


def mid_p(k1: int, n1: int, k2: int, n2: int) -> float:
    """Fisher's p less half the probability of the outcomes exactly as probable as the one seen (Lancaster 1961).

    Nearer to its level than Fisher's, and sometimes above: shown beside it, never decided by.
    """
    p, alike = _p(k1, n1, k2, n2)
    return p - alike / 2


def _p(k1: int, n1: int, k2: int, n2: int) -> tuple[float, float]:
    if not (0 <= k1 <= n1 and 0 <= k2 <= n2):
        raise ValueError(f"{k1} of {n1} against {k2} of {n2}: more clicks than tenants, or fewer than none")
    first, odds = _deals(n1, n2, k1 + k2)
    seen = odds[k1 - first]
    extreme = odds <= seen * ALIKE
    alike = extreme & (odds >= seen / ALIKE)
    return min(1.0, float(odds[extreme].sum())), float(odds[alike].sum())


def _deals(n1: int, n2: int, clicks: int) -> tuple[int, Array]:
    """The fewest clicks the first arm can have, and the hypergeometric odds of each number from there on."""
    logs = log_factorials(n1 + n2)
    first = max(0, clicks - n2)
    x = np.arange(first, min(n1, clicks) + 1)
    terms = logs[n1] - logs[x] - logs[n1 - x] + logs[n2] - logs[clicks - x] - logs[n2 - clicks + x]
    odds = np.exp(terms - terms.max())
    return first, odds / odds.sum()


@lru_cache(maxsize=64)
def fisher_table(n1: int, n2: int) -> Array:
    """Fisher's p for every outcome, (n1 + 1, n2 + 1): `table[k1, k2]`. For simulations; not to be written to."""
    table = np.empty((n1 + 1, n2 + 1))
    for clicks in range(n1 + n2 + 1):
        first, odds = _deals(n1, n2, clicks)
        ordered = np.sort(odds)
        upto = np.searchsorted(ordered, odds * ALIKE, side="right")
        x = np.arange(first, first + len(odds))
        table[x, clicks - x] = np.minimum(1.0, np.concatenate([[0.0], np.cumsum(ordered)])[upto])
    table.setflags(write=False)
    return table


def rerandomised(units: Sequence[tuple[int, int, int, int]]) -> float:
    """Two-sided p of the design itself, exact: of all arms that chance could have dealt, those that differ as much.

    `units` are those of `assigning.units`, each as (persons, clicks) of the one arm and then of the other. Only which
    way round each unit lies is up to chance, each way with one half; if the wording changes nobody's mind, turning a
    unit round moves its clicks with it. The statistic is the clicks of the one less the other, less what their sizes
    let expect at the common rate; its whole distribution is added up unit by unit. With pairs of single tenants this is
    McNemar's exact test.
    """
    clicks = sum(one + other for _, one, _, other in units)
    persons = sum(one + other for one, _, other, _ in units)
    if clicks in (0, persons):
        return 1.0
    rate = clicks / persons
    places, odds = np.zeros(1), np.ones(1)
    seen = 0.0
    for n1, k1, n2, k2 in units:
        ahead = k1 - k2 - rate * (n1 - n2)
        seen += ahead
        if ahead:
            places, odds = _merged(np.concatenate([places - ahead, places + ahead]), np.tile(odds / 2, 2))
    return min(1.0, float(odds[np.abs(places) >= abs(seen) - 1e-9].sum()))


def _merged(places: Array, odds: Array) -> tuple[Array, Array]:
    """Each place once, with its odds; places nearer than rounding are one."""
    each, which = np.unique(np.round(places, 9), return_inverse=True)
    return each, np.bincount(which, weights=odds).astype(np.float64)
