"""F8: 1,000 people claim a perk of which there are 100, and a budget for 60 of another, 50 of them at any moment; then
each voucher is scanned by ten desks at once.

Exactly as many are given as there are, the stock is what the ledger left of it, a claim that is made twice is given
once, and each voucher is redeemed once. The red twin takes no lock and has none of the constraints behind it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from decimal import Decimal
from threading import Barrier
from typing import Any
from unittest.mock import patch

from django.db import IntegrityError, connection, connections
from django.db.models import QuerySet

from faults import Outcome, outcome
from tenants import perks, vouchers
from tenants.models import Grant, Perk, Tenant
from tests.makers import NOW, make_tenant

CLAIMS, AT_ONCE, STOCK, PAID_FOR, DESKS = 1000, 50, 100, 60, 10
COST = Decimal("120.00")


def run(seed: int, share: float) -> Outcome:
    claims = max(AT_ONCE * 2, round(CLAIMS * share))
    green = _campaign("green", seed, claims, off=False)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tenants_perk DROP CONSTRAINT tenants_perk_stock_check")
        cursor.execute("DROP INDEX grant_answered_once")
        cursor.execute("ALTER TABLE tenants_grant DROP CONSTRAINT tenants_grant_key_key")
    red = _campaign("red", seed, claims, off=True)
    return outcome(*green, red=red)


def _campaign(name: str, seed: int, claims: int, *, off: bool) -> tuple[bool, dict[str, Any]]:
    dice = random.Random(seed)
    tenant = make_tenant(name)
    stock, paid = max(1, claims * STOCK // CLAIMS), max(1, claims * PAID_FOR // CLAIMS)
    limited = _perk(f"{name}_stock", stock=stock)
    budgeted = _perk(f"{name}_budget", budget=COST * paid)
    keys = [f"{name}:{n}" for n in range(claims)]
    twice = [*keys, *dice.sample(keys, claims // 10)]
    dice.shuffle(twice)
    unlocked = patch.object(QuerySet, "select_for_update", lambda rows, **_facts: rows) if off else nullcontext()
    with unlocked:
        _at_once([lambda key=key: _claim(limited, tenant, key) for key in twice])  # type: ignore[misc]
        _at_once([lambda key=key: _claim(budgeted, tenant, f"b:{key}") for key in keys])  # type: ignore[misc]
        given = list(Grant.objects.filter(perk=limited, kind="granted"))
        _at_once([lambda one=one: _scan(one) for one in given for _desk in range(DESKS)])  # type: ignore[misc]
    redeemed = Grant.objects.filter(perk=limited, kind="redeemed").values_list("of", flat=True)
    limited.refresh_from_db()
    wrong = {
        "given beyond the stock": max(0, len(given) - stock),
        "given beyond the budget": max(0, Grant.objects.filter(perk=budgeted).count() - paid),
        "not given though there": max(0, stock - len(given))
        + max(0, paid - Grant.objects.filter(perk=budgeted).count()),
        "keys given twice": len(given) - len({one.key for one in given}),
        "stock that the ledger does not explain": abs(stock - len(given) - (limited.stock or 0)),
        "vouchers redeemed twice": len(redeemed) - len(set(redeemed)),
        "vouchers not redeemed": len(given) - len(set(redeemed)),
    }
    counts = {"claims": len(twice) + len(keys), "scans": len(given) * DESKS, "given": len(given), **wrong}
    return not any(wrong.values()), counts


def _perk(code: str, **facts: Any) -> Perk:
    return Perk.objects.create(code=code, name=code, condition="住满 6 个月", cost=COST, **facts)


def _claim(perk: Perk, tenant: Tenant, key: str) -> None:
    with suppress(perks.OutOfStock, IntegrityError):
        perks.grant(perk, tenant, lease=None, key=key, owner=None, reason="", expires_at=None, now=NOW)


def _scan(grant: Grant) -> None:
    with suppress(vouchers.Refused, IntegrityError):
        vouchers.redeem(grant, by=None, now=NOW)


def _at_once(acts: Sequence[Callable[[], None]]) -> None:
    """All of them, on fifty threads with a connection each, that begin together."""
    start = Barrier(min(AT_ONCE, len(acts)))
    mine = [acts[n :: start.parties] for n in range(start.parties)]

    def work(those: Sequence[Callable[[], None]]) -> None:
        try:
            connection.ensure_connection()
            start.wait(timeout=60)
            for act in those:
                act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(start.parties) as pool:
        list(pool.map(work, mine))
