"""What a person decides about a contract that waits: take it over what was signed here, or refuse it. Either is undone.

Accepted, the ERP's terms hold instead of those signed here; refused, the revision is put aside and comes back with
no file. Both stay on record, also after they are undone.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from connectors.records import AliasSource
from tenants import contracts, features, leases, recording, waiting
from tenants.models import Alias, ContractDecision, Lease, LeaseRevision, User, WaitingContract
from tenants.terms import differs, record_of, write_on

Verdict = ContractDecision.Verdict


class CannotDecide(Exception):
    """The decision cannot be taken now; the message says why, fit for a person."""


@transaction.atomic
def accept(pk: int, *, why: str, by: User, now: datetime) -> ContractDecision:
    """The waiting revision holds instead of what was signed here. Raises `CannotDecide`."""
    row = _waiting(pk)
    record = record_of(row.terms)
    leases.lock_units(contracts.units_of([record]))
    desk = contracts.Desk.read([record], now=now)
    lease = desk.leases.get(row.contract_no) or desk.signed_here(row.terms)
    if lease is None or lease.revision != 0 or not differs(lease, row.terms):
        raise CannotDecide(_("This contract waits for other days or people to be put right, not for a decision."))
    stood_at = lease.revision
    desk.accepted.add((row.contract_no, row.revision))
    desk.settle(row.contract_no)
    if desk.leases.get(row.contract_no) is not lease or lease.revision != row.revision:
        raise CannotDecide(desk.blocked[row.contract_no].get(row.revision) or _("Another revision came first."))
    leases.write(desk)
    return _record(row, Verdict.ACCEPTED, why=why, by=by, now=now, lease=lease, stood_at=stood_at)


@transaction.atomic
def refuse(pk: int, *, why: str, by: User, now: datetime) -> ContractDecision:
    """The waiting revision is put aside, with the reason; the same revision in another file changes nothing."""
    row = _waiting(pk)
    if not why.strip():
        raise CannotDecide(_("Say why the contract is refused."))
    decision = _record(row, Verdict.REFUSED, why=why, by=by, now=now)
    row.delete()
    return decision


@transaction.atomic
def undo(pk: int, *, by: User, now: datetime) -> None:
    """The revision waits again as if nobody had decided. Raises `CannotDecide` where that cannot be any more."""
    decision = ContractDecision.objects.select_for_update().filter(pk=pk, undone_at=None).first()
    if decision is None:
        raise CannotDecide(_("This decision was undone already."))
    if decision.verdict == Verdict.ACCEPTED:
        _take_back(decision, now=now)
    decision.undone_at, decision.undone_by = now, by
    decision.save(update_fields=["undone_at", "undone_by"])
    if decision.verdict == Verdict.REFUSED:
        leases.apply(record_of(decision.terms), now=now)


def _take_back(decision: ContractDecision, *, now: datetime) -> None:
    """The lease says again what was signed here, and the ERP's revisions since then wait again."""
    assert decision.lease_id  # noqa: S101 - what an acceptance always has
    assert decision.stood_at is not None  # noqa: S101
    record = record_of(decision.terms)
    leases.lock_units({*contracts.units_of([record]), decision.unit_id})
    lease = Lease.objects.select_for_update(of=("self",)).select_related("unit").get(pk=decision.lease_id)
    if lease.revision != decision.revision:
        raise CannotDecide(_("A later revision of this contract holds by now."))
    before = LeaseRevision.objects.get(lease=lease, revision=decision.stood_at)
    first, last = before.terms["first_day"], before.terms["last_day"]
    others = Lease.objects.filter(unit__code=before.terms["unit"], state=Lease.State.SIGNED).exclude(pk=lease.pk)
    if taken := others.filter(first_day__lte=last, last_day__gte=first).first():
        raise CannotDecide(_("Contract %(other)s has taken these days by now.") % {"other": taken})
    since = LeaseRevision.objects.filter(lease=lease, revision__gt=decision.stood_at)
    WaitingContract.objects.bulk_create(
        WaitingContract(
            contract_no=row.terms["contract_no"],
            revision=row.revision,
            unit=decision.unit,
            terms=row.terms,
            reason=decision.waited_for,
            recorded_at=decision.waited_since,
        )
        for row in since
    )
    since.delete()
    number = lease.contract_no
    write_on(lease, before.terms, unit=lease.unit_id)
    recording.write_rows([lease])
    Alias.objects.filter(source=AliasSource.CONTRACT, ref=number).delete()
    waiting.attribute([lease.pk], now=now)
    features.mark_around([lease.pk], now=now)


def _waiting(pk: int) -> WaitingContract:
    row = WaitingContract.objects.select_for_update().filter(pk=pk).first()
    if row is None:
        raise CannotDecide(_("This contract does not wait any more."))
    return row


def _record(
    row: WaitingContract,
    verdict: str,
    *,
    why: str,
    by: User,
    now: datetime,
    lease: Lease | None = None,
    stood_at: int | None = None,
) -> ContractDecision:
    return ContractDecision.objects.create(
        contract_no=row.contract_no,
        revision=row.revision,
        unit_id=row.unit_id,
        lease=lease,
        stood_at=stood_at,
        terms=row.terms,
        waited_for=row.reason,
        waited_since=row.recorded_at,
        verdict=verdict,
        why=why.strip()[:200],
        by=by,
        at=now,
    )
