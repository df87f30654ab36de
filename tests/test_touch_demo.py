"""The demo's touchpoints: they hang there with nothing counted, and a second start hangs no more."""

from __future__ import annotations

import pytest

from campaigns.models import Placement, Touchpoint, TouchpointDay
from renewal.management.commands.demo import hang_touchpoints
from tenants import clock
from tests.makers import NOW, TODAY, make_building


@pytest.mark.django_db
def test_a_second_start_hangs_no_more() -> None:
    clock.set_to(NOW)
    for code in ("B3", "B1", "B2"):
        make_building(code)
    hang_touchpoints()
    hang_touchpoints()
    codes = Touchpoint.objects.order_by("code").values_list("code", flat=True)
    assert list(codes) == ["bill", "lift-b1", "lift-b2", "locker", "payment"]
    assert (Placement.objects.get().first_day, TouchpointDay.objects.exists()) == (TODAY, False)
