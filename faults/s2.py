"""S2: as S1, but what is killed 50 times is one of the children that send; the worker replaces it and goes on.

The red twin takes for lost whatever the dead child had handed over.
"""

from __future__ import annotations

from typing import Any

from faults import house

KILLS = 50


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    return house.deadly(KILLS, seed, share, children=True)
