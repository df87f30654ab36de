"""What follows from a signature: the next lease, the evidence, the filing task, the perk, the write-back, the case.

Called inside the transaction of whoever signs last, with the units and the lease locked: all of it, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings

from renewal import agreement, answers, evidence, filing, notices, proposals, quotes
from renewal.models import Case, Code, Proposal, Signature
from tenants import clock, leases, outbox, perks
from tenants.models import Lease, LeaseTenant, Message, Perk, Tenant, Unit


@dataclass(frozen=True, slots=True)
class Yes:
    """That somebody agreed, and what proves it."""

    signer: Tenant
    code: Code
    device: str
    address: str | None
    at: datetime


def conclude(
    proposal: Proposal,
    lease: Lease,
    unit: Unit,
    quote: Mapping[str, Any],
    words: agreement.Agreement,
    yeses: Sequence[Yes],
    *,
    now: datetime,
) -> list[Signature]:
    """The signatures, in the order of `yeses`, and all that they bring. `quote` is as `quotes.as_plain` keeps it.

    Raises `leases.UnitTaken`, `leases.AlreadyRenewed`, or `quotes.Changed` if the perk has run out.
    """
    today = clock.day_of(now)
    following = leases.sign_renewal(
        lease,
        unit=unit,
        tenants=_tenants(lease),
        first_day=date.fromisoformat(quote["first_day"]),
        last_day=date.fromisoformat(quote["last_day"]),
        monthly_rent=Decimal(quote["monthly_rent"]),
        deposit=Decimal(quote["deposit"]),
        anchor_day=quote["anchor_day"],
        signed_on=today,
        now=now,
    )
    signatures = [
        Signature.objects.create(
            proposal=proposal,
            signer=yes.signer,
            lease=following,
            quote=quote,
            text=words.text,
            text_version=words.version,
            text_hash=words.text_hash,
            code=yes.code,
            device=yes.device[:300],
            address=yes.address,
            signed_at=yes.at,
        )
        for yes in yeses
    ]
    filing.open_task(following, today=today, now=now)
    if quote["perk"]:
        _give(quote["perk"], yeses[0].signer, following, now=now)
    proposals.move_up(lease, Case.State.CONSIDERING, now=now, cause="the tenant signs")
    answers.settle(
        lease,
        Case.State.TRANSFERRED if quote["is_move"] else Case.State.SIGNED,
        cause=f"signature {signatures[0].pk}",
        now=now,
    )
    _write_back(following, now=now)
    evidence.keep_paper(following, now=now)
    return signatures


def _tenants(lease: Lease) -> list[Tenant]:
    """Who is on the lease, the primary tenant first, as it names them: the next lease is theirs, merged or not.

    Whoever leaves alone is not among them.
    """
    rows = LeaseTenant.objects.filter(lease=lease).select_related("tenant").order_by("-is_primary", "pk")
    gone = notices.leaving(lease)
    return [row.tenant for row in rows if (row.tenant.merged_into_id or row.tenant_id) not in gone]


def _give(code: str, signer: Tenant, lease: Lease, *, now: datetime) -> None:
    """The chosen perk is the signer's; if the last one has just gone, what was offered has changed."""
    perk = Perk.objects.get(code=code)
    try:
        perks.grant(
            perk,
            signer,
            lease=lease,
            key=f"perk:{lease.pk}:{code}",
            owner=None,
            reason="续租时选择",
            expires_at=perks.expiry(perk, now=now),
            now=now,
        )
    except perks.OutOfStock as error:
        raise quotes.Changed from error


def _write_back(lease: Lease, *, now: datetime) -> None:
    """The ERP hears of the lease, where one is connected."""
    if "erp" in settings.CHANNELS:
        outbox.post(
            outbox.Draft(
                key=f"erp:{lease.pk}:{lease.revision}",
                klass=Message.Class.SYSTEM,
                text=f"{lease.unit.code} {lease.first_day} – {lease.last_day} {lease.monthly_rent}",
                deadline=now + timedelta(days=30),  # a contract matters long after it was signed
                lease_id=lease.pk,
                route=["erp"],
                forms={"erp": {"values": _as_plain(lease)}},
            ),
            now=now,
        )


def _as_plain(lease: Lease) -> dict[str, str]:
    """A lease in the words of docs/channels/erp.md. Whose it is the ERP knows by the contract that it follows."""
    follows = lease.renews.contract_no if lease.renews else ""
    return {
        "follows": follows,
        "unit": lease.unit.code,
        "signed_on": lease.signed_on.isoformat(),
        "first_day": lease.first_day.isoformat(),
        "last_day": lease.last_day.isoformat(),
        "monthly_rent": str(lease.monthly_rent),
        "deposit": str(lease.deposit),
        "anchor_day": str(lease.anchor_day),
        "revision": str(lease.revision),
    }
