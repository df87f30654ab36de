"""What we owe tenants: the published catalogue, and a ledger that is only ever appended to.

A perk is a trade term, so its condition is published and open to all who meet it; a rule grants one only
for facts of service or tenure, never for belonging to a segment. The free month is no perk: the rate card
prices it. A key names the reason to give, so that the same reason gives once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from tenants.models import Grant, Lease, Perk, Tenant, User

CATALOGUE: list[dict[str, Any]] = [
    {
        "code": "care_line",
        "name": "专属客服通道",
        "condition": "租约到期前 30 天时，过去 12 个月内有过报修超过 6 小时才被接单",
        "cost": Decimal("0.00"),
    },
    {
        "code": "homestay",
        "name": "民宿体验券",
        "condition": "续租 12 个月及以上可选，一晚",
        "cost": Decimal("280.00"),
        "stock": 200,
        "min_term_months": 12,
        "is_choice": True,
    },
    {
        "code": "cleaning",
        "name": "保洁一次",
        "condition": "续租 6 个月及以上可选",
        "cost": Decimal("120.00"),
        "min_term_months": 6,
        "is_choice": True,
    },
    {
        "code": "first_choice",
        "name": "新房源优先选",
        "condition": "在住满 12 个月",
        "cost": Decimal("0.00"),
    },
]


class OutOfStock(Exception):
    """Nothing is left of this perk."""

    def __init__(self, perk: Perk) -> None:
        super().__init__(_("“%(perk)s” has run out.") % {"perk": perk.name})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One line the ledger should have."""

    key: str
    tenant_id: int
    lease_id: int | None
    owner_id: int | None
    reason: str
    expires_at: datetime | None


def ship_catalogue() -> None:
    """Every perk of the catalogue exists; those that did stay as staff left them."""
    Perk.objects.bulk_create([Perk(**facts) for facts in CATALOGUE], ignore_conflicts=True)


def grant(
    perk: Perk,
    tenant: Tenant,
    *,
    lease: Lease | None,
    key: str,
    owner: User | None,
    reason: str,
    expires_at: datetime | None,
    now: datetime,
) -> Grant:
    """The ledger has the line of this key, by this call or by an earlier one. Raises `OutOfStock`."""
    claim = Claim(
        key=key,
        tenant_id=tenant.pk,
        lease_id=lease.pk if lease else None,
        owner_id=owner.pk if owner else None,
        reason=reason,
        expires_at=expires_at,
    )
    grants = grant_many(perk, [claim], now=now)
    if key not in grants:
        raise OutOfStock(perk)
    return grants[key]


def put_aside(perk: Perk) -> None:
    """One of this perk is kept for somebody who may still be given it. Raises `OutOfStock`."""
    if not Perk.objects.filter(Q(stock__gt=0) | Q(stock=None), pk=perk.pk).update(stock=F("stock") - 1):
        raise OutOfStock(perk)


def put_back(perk: Perk) -> None:
    """What was kept by `put_aside` is there for everybody again; once for each time."""
    Perk.objects.filter(pk=perk.pk).update(stock=F("stock") + 1)


def grant_many(perk: Perk, claims: Sequence[Claim], *, now: datetime) -> dict[str, Grant]:
    """The ledger has a line for every claim that stock allows, first come first served; returned by key."""
    by_key = {claim.key: claim for claim in claims}
    with transaction.atomic():
        # Whoever gives this perk waits here, so the stock read is the stock left, and a key seen is a key written.
        left = Perk.objects.select_for_update().values_list("stock", flat=True).get(pk=perk.pk)
        given = _by_key(by_key)
        wanted = [claim for claim in by_key.values() if claim.key not in given][:left]
        Grant.objects.bulk_create(
            [
                Grant(
                    key=claim.key,
                    perk_id=perk.pk,
                    tenant_id=claim.tenant_id,
                    lease_id=claim.lease_id,
                    owner_id=claim.owner_id,
                    reason=claim.reason,
                    expires_at=claim.expires_at,
                    granted_at=now,
                )
                for claim in wanted
            ]
        )
        if wanted and left is not None:
            Perk.objects.filter(pk=perk.pk).update(stock=F("stock") - len(wanted))
        return given | _by_key([claim.key for claim in wanted])


def _by_key(keys: Collection[str]) -> dict[str, Grant]:
    return {grant.key: grant for grant in Grant.objects.filter(key__in=keys)}
