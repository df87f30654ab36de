"""What we owe tenants: the published catalogue, and a ledger that is only ever appended to.

A perk is a trade term, so its condition is published and open to all who meet it; a rule grants one only
for facts of service or tenure, never for belonging to a segment. The free month is no perk: the rate card
prices it. A key names the reason to give, so that the same reason gives once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from tenants import clock, perksums, vouchers
from tenants.models import Grant, Lease, Perk, Tenant, User

BATCH = 2000  # lines written at once


class OutOfStock(Exception):
    """Nothing is left of this perk, or it is not given now."""

    def __init__(self, perk: Perk, *, now: datetime) -> None:
        words = (
            _("“%(perk)s” has run out.") if is_offered(perk, now=now) else _("“%(perk)s” is not given at this time.")
        )
        super().__init__(words % {"perk": perk.name})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One line the ledger should have."""

    key: str
    tenant_id: int
    lease_id: int | None
    owner_id: int | None
    reason: str
    expires_at: datetime | None


def is_offered(perk: Perk, *, now: datetime) -> bool:
    """Whether the day is one on which this perk is given."""
    today = clock.day_of(now)
    return (perk.offered_from is None or perk.offered_from <= today) and (
        perk.offered_to is None or today <= perk.offered_to
    )


def expiry(perk: Perk, *, now: datetime) -> datetime | None:
    """When a grant of now ends: the end of its last day; none if it holds for good."""
    if perk.valid_days is None:
        return None
    return clock.at(clock.day_of(now) + timedelta(days=perk.valid_days + 1))


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
        raise OutOfStock(perk, now=now)
    return grants[key]


@transaction.atomic
def put_aside(perk: Perk, *, now: datetime) -> None:
    """One of this perk is kept for somebody who may still be given it. Raises `OutOfStock`."""
    locked = Perk.objects.select_for_update().get(pk=perk.pk)
    if not is_offered(locked, now=now) or perksums.left(locked) == 0:
        raise OutOfStock(locked, now=now)
    perksums.take(locked, 1)
    Perk.objects.filter(pk=perk.pk).update(aside=F("aside") + 1)


def put_back(perk: Perk) -> None:
    """What was kept by `put_aside` is there for everybody again; once for each time.

    Where a stock was begun meanwhile, `catalogue.restock` has taken it from that.
    """
    Perk.objects.filter(pk=perk.pk).update(stock=F("stock") + 1, aside=F("aside") - 1)


def grant_many(perk: Perk, claims: Sequence[Claim], *, now: datetime) -> dict[str, Grant]:
    """The ledger has a line for every claim that stock allows, first come first served; returned by key."""
    by_key = {claim.key: claim for claim in claims}
    with transaction.atomic():
        # Whoever gives this perk waits here, so the stock read is the stock left, and a key seen is a key written.
        locked = Perk.objects.select_for_update().get(pk=perk.pk)
        given = _by_key(by_key)
        left = perksums.left(locked) if is_offered(locked, now=now) else 0
        wanted = [claim for claim in by_key.values() if claim.key not in given][:left]
        lines = [_line(locked, claim, now=now) for claim in wanted]
        Grant.objects.bulk_create(lines, batch_size=BATCH)
        perksums.take(locked, len(lines))
        return given | {line.key: line for line in lines}


def _line(perk: Perk, claim: Claim, *, now: datetime) -> Grant:
    return Grant(
        key=claim.key,
        perk_id=perk.pk,
        tenant_id=claim.tenant_id,
        lease_id=claim.lease_id,
        cost=perk.cost,
        owner_id=claim.owner_id,
        reason=claim.reason,
        voucher_hash=vouchers.hash_of(vouchers.derive(claim.key)) if perk.has_voucher else "",
        expires_at=claim.expires_at,
        granted_at=now,
    )


def _by_key(keys: Collection[str]) -> dict[str, Grant]:
    return {grant.key: grant for grant in Grant.objects.filter(key__in=keys)}
