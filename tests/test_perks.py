"""The perks ledger: once per key, and never more than there is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections

from tenants import catalogue, perks
from tenants.models import Grant, Perk, Tenant
from tests.makers import NOW, make_lease, make_tenant, make_user

CLAIMS = 50


def make_perk(stock: int | None, code: str = "homestay") -> Perk:
    return Perk.objects.create(code=code, name="民宿体验券", condition="续租", cost=Decimal("280.00"), stock=stock)


def grant(perk: Perk, tenant: Tenant, key: str, **facts: Any) -> Grant:
    facts = {"lease": None, "owner": None, "reason": "续租 12 个月", "expires_at": None, "now": NOW} | facts
    return perks.grant(perk, tenant, key=key, **facts)


@pytest.mark.django_db
def test_shipping_the_catalogue_again_keeps_what_staff_changed() -> None:
    catalogue.ship()
    perk = Perk.objects.get(code="homestay")
    assert (perk.stock, perk.min_term_months, perk.is_choice) == (200, 12, True)
    Perk.objects.filter(code="homestay").update(stock=7, name="民宿两晚")
    Perk.objects.filter(code="cleaning").delete()

    catalogue.ship()

    codes = set(Perk.objects.values_list("code", flat=True))
    assert codes == {"care_line", "homestay", "cleaning", "first_choice", "partner"}
    assert Perk.objects.filter(code="homestay", stock=7, name="民宿两晚").exists()


@pytest.mark.django_db
def test_the_same_key_is_granted_once_and_keeps_its_first_line() -> None:
    perk, lease, owner = make_perk(stock=2), make_lease(), make_user("owner")
    tenant = lease.tenants.get()
    expires_at = NOW + timedelta(days=30)

    first = grant(perk, tenant, "sign:1", lease=lease, owner=owner, expires_at=expires_at)
    again = grant(perk, tenant, "sign:1", reason="另一次", now=NOW + timedelta(days=1))

    assert again == first
    assert again.reason == "续租 12 个月"
    assert (first.lease, first.owner, first.expires_at, first.granted_at) == (lease, owner, expires_at, NOW)
    perk.refresh_from_db()
    assert perk.stock == 1


@pytest.mark.django_db
def test_an_empty_stock_refuses_in_one_sentence_and_writes_nothing() -> None:
    perk, tenant = make_perk(stock=1), make_tenant()
    grant(perk, tenant, "a")

    with pytest.raises(perks.OutOfStock, match="“民宿体验券”已经领完。"):
        grant(perk, tenant, "b")

    perk.refresh_from_db()
    assert (perk.stock, Grant.objects.count()) == (0, 1)
    assert grant(perk, tenant, "a").key == "a", "a replay of what was granted is no new claim"


@pytest.mark.django_db
def test_of_many_claims_the_first_get_what_is_left_and_an_unlimited_perk_suffices_for_all() -> None:
    tenant = make_tenant()
    claims = [
        perks.Claim(key=f"k{n}", tenant_id=tenant.pk, lease_id=None, owner_id=None, reason="", expires_at=None)
        for n in range(5)
    ]
    assert set(perks.grant_many(make_perk(stock=3), claims, now=NOW)) == {"k0", "k1", "k2"}
    assert perks.grant_many(make_perk(None, code="care_line"), claims[3:], now=NOW).keys() == {"k3", "k4"}


@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_claim_a_stock_of_ten_and_exactly_ten_have_it() -> None:
    perk, tenant = make_perk(stock=10), make_tenant()
    start = Barrier(CLAIMS)

    def claim(n: int) -> bool:
        try:
            connection.ensure_connection()
            start.wait(timeout=30)
            grant(perk, tenant, f"claim:{n}")
        except perks.OutOfStock:
            return False
        else:
            return True
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CLAIMS) as pool:
        won = sum(pool.map(claim, range(CLAIMS)))

    perk.refresh_from_db()
    assert (won, Grant.objects.count(), perk.stock) == (10, 10, 0)


@pytest.mark.django_db(transaction=True)
def test_ten_at_once_with_one_key_are_one_grant() -> None:
    perk, tenant = make_perk(stock=10), make_tenant()
    start = Barrier(10)

    def claim(_n: int) -> int:
        try:
            connection.ensure_connection()
            start.wait(timeout=30)
            return grant(perk, tenant, "sign:1").pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(claim, range(10)))) == 1
    perk.refresh_from_db()
    assert (Grant.objects.count(), perk.stock) == (1, 9)
