"""A seeded tenth of fault campaigns, see tests/campaigns.py."""

from __future__ import annotations

import pytest

from faults import run
from tests import campaigns


@pytest.mark.parametrize("name", campaigns.IN_A_FILE["sending"])
def test_the_campaign_holds_and_its_red_twin_does_not(name: str) -> None:
    campaigns.holds(name)


def test_no_campaign_is_forgotten() -> None:
    shared_out = [name for names in campaigns.IN_A_FILE.values() for name in names]
    assert sorted([*shared_out, *campaigns.ONLY_WHOLE]) == run.campaigns()
