"""The tenant's year in numbers: a library of sentences, each true, kind, and explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Told:
    """One card of the year in one language."""

    code: str
    figure: str
    unit: str
    sentence: str
    how: str
    evidence: dict[str, Any]


def told(stored: list[dict[str, Any]], *, language: str, general: bool = False) -> list[Told]:
    """The frozen cards of a proposal (`proposal.story`) in `language`; with `general`, only the impersonal ones."""
    raise NotImplementedError
