"""The fault campaigns: each breaks something on purpose, counts what was lost or doubled, and then does the same
with the protection off, which must show.
"""

from __future__ import annotations

from typing import Any, TypedDict


class Side(TypedDict):
    held: bool
    counts: dict[str, Any]


class Outcome(Side):
    red: Side  # the twin with the protection off; it must not hold


def outcome(held: bool, counts: dict[str, Any], *, red: tuple[bool, dict[str, Any]]) -> Outcome:
    return Outcome(held=held, counts=counts, red=Side(held=red[0], counts=red[1]))
