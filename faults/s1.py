"""S1: 10,000 offers are sent by a real worker that is killed whole 50 times; nobody goes without, nobody hears twice.

The provider forgets keys, so that only asking it saves a message that was on its way. The red twin does not ask.
"""

from __future__ import annotations

from typing import Any

from faults import house

KILLS = 50


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    return house.deadly(KILLS, seed, share)
