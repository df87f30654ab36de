"""What the test_faults_*.py share: a seeded tenth of a fault campaign, in files of about a length.

`make test` gives each file to one process: what takes long is apart from what else takes long.
"""

from __future__ import annotations

import os

import pytest

from faults import run
from tests import broker
from tests.browser import chromium_path

SHARE = 0.1
# What is left out where mosquitto is missing, with the reason.
NEED_MOSQUITTO = {"I1", "I5"}
NEED_CHROMIUM = {"K1", "K4"}
# Short ones whose edges have tests of their own (tests/test_sending.py), those that let a worker die as S1 does, and
# those that wait for a server, a lease or a season longer than a tenth of them is worth; `make faults` runs them whole.
ONLY_WHOLE = {"S2", "S3", "S4", "S7", "S8", "S10", "S12", "S13", "Y1"}
# Shares of their own: of K1 twenty people come, each with a browser. Of L1 to L5, which make letters and sign them, as
# much as takes a quarter of a minute each: of L1 two rounds of each crowd, of L2 one round of each kind.
SHARES = {"K1": 0.04, "K2": 0.02, "K4": 0.03, "L1": 0.004, "L2": 0.05, "L3": 0.016, "L4": 0.015, "L5": 0.024}
IN_A_FILE = {
    "claims": ("F8",),
    "clicks": ("K1",),
    "flood": ("I1", "I4"),
    "intake": ("I2", "I3", "I5", "I8"),
    "kills": ("I6", "S1", "S5"),
    "links": ("K2", "K3", "K4"),
    "prices": ("L4", "L5", "L6", "L7", "L8"),
    "signing": ("L1", "L2", "L3"),
    "sending": ("P1", "R1", "S6", "S9", "S11", "S14", "S15"),
}


def holds(name: str) -> None:
    """The campaign holds, and does not hold with its protection off."""
    if name in NEED_MOSQUITTO and broker.MOSQUITTO is None:
        pytest.skip(broker.KEEPS_LITTLE)
    if name in NEED_CHROMIUM and chromium_path() is None:
        pytest.skip("Chromium was not found")
    result = run.one(name, os.environ["DATABASE_URL"], seed=run.SEED, share=SHARES.get(name, SHARE))
    assert result is not None, f"{name} broke off"
    assert result["held"], result["counts"]
    assert not result["red"]["held"], f"{name} held without its protection: {result['red']['counts']}"
