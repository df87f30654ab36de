"""What perks cost for each renewal that would not have been: by hand, and not at all where nothing can be said."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from math import sqrt
from typing import Any

import pytest
from django.template.loader import render_to_string

from renewal import figures, kpis
from tenants import catalogue, clock, perks, vouchers
from tenants.models import Grant, Lease, Perk
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit
from tests.test_holdout import drawn, ended

Z = 1.959963984540054


def wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson's interval, written out (1927)."""
    p, z2 = k / n, Z * Z
    middle, half = (p + z2 / (2 * n)) / (1 + z2 / n), Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return middle - half, middle + half


def fen(value: float) -> Decimal:
    return Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_UP)


def cost(yuan: str, rest: tuple[int, int], held_out: tuple[int, int]) -> dict[str, Any]:
    """Of k renewed of n on each side."""
    outcomes = [{"renewed": k, "left": n - k} for k, n in (rest, held_out)]
    return figures.cost_per_renewal(Decimal(yuan), figures.effect(*outcomes))


def test_by_hand_on_newcombes_first_example() -> None:
    # 56 of 70 less 48 of 80: d = 0.8 − 0.6 = 0.2, so 0.2 · 70 = 14 renewals; 14,000 / 14 = 1,000 yuan each.
    found = cost("14000.00", (56, 70), (48, 80))
    assert found["each"]["rate"] == Decimal("1000.00")
    # The ends of d are 0.0524 and 0.3339 (Newcombe 1998, table II): 14,000 / (0.3339 · 70) and / (0.0524 · 70).
    assert float(found["each"]["low"]) == pytest.approx(598.98, rel=0.001)
    assert float(found["each"]["high"]) == pytest.approx(3816.79, rel=0.001)
    assert (found["why"], found["cost"]) == ("", Decimal("14000.00"))


@pytest.mark.parametrize(
    ("yuan", "rest", "held_out"),
    [("14000.00", (56, 70), (48, 80)), ("33600.00", (700, 850), (30, 50)), ("0.00", (90, 100), (10, 40))],
)
def test_the_interval_is_that_of_the_difference_turned_over(
    yuan: str, rest: tuple[int, int], held_out: tuple[int, int]
) -> None:
    (l1, u1), (l2, u2) = wilson(*rest), wilson(*held_out)
    p1, p2 = rest[0] / rest[1], held_out[0] / held_out[1]
    low, high = p1 - p2 - sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2), p1 - p2 + sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2)
    found = cost(yuan, rest, held_out)["each"]
    n = rest[1]
    assert found == {
        "rate": fen(float(yuan) / ((p1 - p2) * n)),
        "low": fen(float(yuan) / (high * n)),
        "high": fen(float(yuan) / (low * n)),
    }
    assert found["low"] <= found["rate"] <= found["high"]


@pytest.mark.parametrize(
    ("rest", "held_out", "why"),
    [
        ((0, 0), (0, 0), "nobody"),
        ((70, 100), (0, 0), "nobody"),
        ((28, 29), (2, 60), "few"),
        ((28, 30), (2, 29), "few"),
        ((70, 100), (33, 50), "unclear"),
        ((70, 100), (35, 50), "unclear"),
        ((20, 100), (45, 50), "fewer"),
    ],
)
def test_where_nothing_can_be_said_there_is_no_figure_and_the_panel_says_why(
    rest: tuple[int, int], held_out: tuple[int, int], why: str
) -> None:
    found = cost("14000.00", rest, held_out)
    assert (found["each"], found["why"], found["cost"]) == (None, why, Decimal("14000.00"))
    words = render_to_string("staff/perk_cost.html", {"perks": found})
    assert "给不出数字" in words
    assert "14,000.00 元" in words


# --- Which costs --------------------------------------------------------------------------------------------


def renew(lease: Lease, perk: str = "", *, unit: Any = None) -> Grant | None:
    """The next lease of a lease, with the perk that was chosen with it."""
    tenant = lease.tenants.get()
    following = make_lease(
        tenant, unit or lease.unit, renews=lease, first_day=TODAY, last_day=TODAY + timedelta(days=364)
    )
    if not perk:
        return None
    return perks.grant(
        Perk.objects.get(code=perk), tenant, lease=following, key=f"perk:{following.pk}:{perk}", owner=None,
        reason="续租时选择", expires_at=None, now=NOW,
    )  # fmt: skip


@pytest.mark.django_db
def test_counted_is_what_was_chosen_with_the_renewals_of_who_could_hear_offers_less_what_was_taken_back() -> None:
    clock.set_to(NOW)
    catalogue.ship()
    leases = ended(16)
    out = [lease for lease in leases if drawn(lease) < 50]
    rest = [lease for lease in leases if drawn(lease) >= 50]
    assert min(len(out), len(rest)) >= 4
    renew(rest[0], "homestay")  # 280
    redeemed, revoked = renew(rest[1], "cleaning"), renew(rest[2], "cleaning")  # 120; taken back
    assert redeemed
    assert revoked
    vouchers.redeem(redeemed, by=None, now=NOW)
    vouchers.revoke(revoked, reason="误发", by=None, now=NOW)
    renew(out[0], "homestay")  # held out
    renew(rest[3])
    stays = make_lease(make_tenant(), make_unit(building=make_building()), first_day=TODAY - timedelta(days=200))
    perks.grant(  # for the stay, not for a renewal
        Perk.objects.get(code="cleaning"), stays.tenants.get(), lease=rest[0], key="roadmap:1:cleaning", owner=None,
        reason="住满", expires_at=None, now=NOW,
    )  # fmt: skip
    catalogue.change(Perk.objects.get(code="homestay").pk, {"cost": Decimal("999.00")}, by=None, now=NOW)
    found = kpis.effect(day=TODAY, now=NOW)["perks"]
    assert (found["cost"], found["why"]) == (Decimal("400.00"), "few")
    assert kpis.effect(day=TODAY, now=NOW, building=[])["perks"]["cost"] == 0
