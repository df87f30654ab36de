"""A seeded tenth of every fault campaign: each holds, and does not hold with its protection off."""

from __future__ import annotations

import os

import pytest

from faults import run
from tests import broker

SHARE = 0.1
# What is left out where mosquitto is missing, with the reason.
NEED_MOSQUITTO = {"I1", "I5"}


# Short ones whose edges have tests of their own (tests/test_sending.py), and two that let a worker die as S1 does;
# `make faults` runs them whole.
ONLY_WHOLE = {"S2", "S3", "S10", "S12", "S13"}


@pytest.mark.parametrize("name", [name for name in run.campaigns() if name not in ONLY_WHOLE])
def test_the_campaign_holds_and_its_red_twin_does_not(name: str) -> None:
    if name in NEED_MOSQUITTO and broker.MOSQUITTO is None:
        pytest.skip(broker.KEEPS_LITTLE)
    result = run.one(name, os.environ["DATABASE_URL"], seed=run.SEED, share=SHARE)
    assert result is not None, f"{name} broke off"
    assert result["held"], result["counts"]
    assert not result["red"]["held"], f"{name} held without its protection: {result['red']['counts']}"
