"""Sending what is due."""

from __future__ import annotations

from datetime import datetime


def drain(*, now: datetime, limit: int = 200) -> dict[str, int]:
    """What is due has been sent, settled or put off; says how many of each."""
    raise NotImplementedError
