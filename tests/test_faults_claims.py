"""A seeded tenth of fault campaigns, see tests/campaigns.py."""

from __future__ import annotations

import pytest

from tests import campaigns


@pytest.mark.parametrize("name", campaigns.IN_A_FILE["claims"])
def test_the_campaign_holds_and_its_red_twin_does_not(name: str) -> None:
    campaigns.holds(name)
