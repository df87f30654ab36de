"""A seeded tenth of every fault campaign: each holds, and does not hold with its protection off."""

from __future__ import annotations

import os

import pytest

from faults import run


@pytest.mark.parametrize("name", run.campaigns())
def test_the_campaign_holds_and_its_red_twin_does_not(name: str) -> None:
    result = run.one(name, os.environ["DATABASE_URL"], seed=run.SEED, share=0.1)
    assert result is not None, f"{name} broke off"
    assert result["held"], result["counts"]
    assert not result["red"]["held"], f"{name} held without its protection: {result['red']['counts']}"
