"""Leases: the only writer of them. What the ERP says is applied here, and what is signed here is written here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from connectors.records import BadRecord, ContractRecord
from connectors.runs import Counts
from tenants import contracts, features, merges, recording, waiting
from tenants.contracts import Refused
from tenants.models import Lease, LeaseRevision, LeaseTenant, Promotion, Tenant, Unit
from tenants.terms import signed_terms

__all__ = [
    "AlreadyRenewed", "NotOnLease", "Outcome", "Refused", "UnitTaken", "apply", "demote", "enter", "promote",
    "sign_renewal",
]  # fmt: skip

BATCH = 2000
# The advisory locks of this file, apart from those of others.
LOCK = 0x1EA5E


class Outcome(StrEnum):
    """What a contract record changed."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    WAITING = "waiting"


class UnitTaken(Exception):
    """Somebody else's lease covers one of these days of the unit."""


class AlreadyRenewed(Exception):
    """The lease has been renewed already."""


class NotOnLease(Exception):
    """Whoever is to stand first on a lease does not stand on it at all."""


def apply(record: ContractRecord, *, now: datetime) -> Outcome:
    """The contract stands at its highest revision that fits, or waits; raises `Refused`."""
    with transaction.atomic():
        desk = _desk([record], now=now)
        outcome = _outcome(desk, record)
        write(desk)
    return outcome


def enter(records: Iterable[ContractRecord | BadRecord], *, now: datetime) -> Counts:
    """As `apply`, for all records of a file, in their order and a batch at a time."""
    counts = Counts()
    stream = iter(records)
    while batch := list(islice(stream, BATCH)):
        usable = [record for record in batch if isinstance(record, ContractRecord)]
        with transaction.atomic():
            desk = _desk(usable, now=now)
            for record in batch:
                if isinstance(record, BadRecord):
                    counts.refused.append(record)
                    continue
                try:
                    outcome = _outcome(desk, record)
                except Refused as refused:
                    counts.refuse(record.line, str(refused))
                else:
                    counts.repeat() if outcome == Outcome.UNCHANGED else counts.accept(line=record.line)
            write(desk)
    return counts


def _desk(records: Sequence[ContractRecord], *, now: datetime) -> contracts.Desk:
    """All that bears on `records`, read after no other writer can touch their units any more."""
    lock_units(contracts.units_of(records))
    return contracts.Desk.read(records, now=now)


def write(desk: contracts.Desk) -> None:
    """All the desk decided is in the database, and rows its contracts showed to be one person are merged."""
    recording.write(desk)
    for kept, merged, number in desk.register.joined:
        reason = _("contract %(number)s names them as one person") % {"number": number}
        with suppress(merges.NotMergeable):  # something else says they are two: a person decides
            merges.merge(kept, merged, reason=reason, by=None, now=desk.now)


def _outcome(desk: contracts.Desk, record: ContractRecord) -> Outcome:
    if not desk.take(record):
        return Outcome.UNCHANGED
    known = record.contract_no in desk.leases
    desk.settle(record.contract_no)
    lease = desk.leases.get(record.contract_no)
    if lease is None or lease.revision < record.revision:
        return Outcome.WAITING
    return Outcome.CHANGED if known else Outcome.NEW


def lock_units(units: Iterable[int]) -> None:
    """No other transaction writes leases of these units until this one ends; taken in one order, so never in a ring."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, id::int) FROM (SELECT unnest(%s::bigint[]) AS id ORDER BY 1) AS units",
            [LOCK, sorted(set(units))],
        )


def refuse_if_let(unit: Unit, lease: Lease, *, last_day: date) -> None:
    """Nothing happens if nobody else has signed for the unit from the end of `lease` to `last_day`; else `UnitTaken`.

    The constraint of the table says so, too, but at the end: whoever waited for the lock in vain need not do all that
    comes before while others wait for it.
    """
    signed = Lease.objects.filter(unit=unit, state=Lease.State.SIGNED)
    after = signed.filter(last_day__gt=lease.last_day, first_day__lte=last_day)
    if after.exclude(pk=lease.pk).exclude(renews=lease).exists():
        raise UnitTaken(_("The unit is let to somebody else on one of these days."))


@transaction.atomic
def sign_renewal(
    lease: Lease,
    *,
    unit: Unit,
    tenants: list[Tenant],
    first_day: date,
    last_day: date,
    monthly_rent: Decimal,
    deposit: Decimal,
    anchor_day: int,
    signed_on: date,
    now: datetime,
) -> Lease:
    """The next lease of these tenants stands, and renews `lease`; raises `UnitTaken` or `AlreadyRenewed`.

    It has revision 0 and no contract number until the ERP's contract for it arrives.
    """
    # The constraints alone would decide; without the lock a loser of a race may be told of a deadlock instead.
    lock_units([unit.pk, lease.unit_id])
    try:
        with transaction.atomic():
            successor = Lease.objects.create(
                unit=unit,
                renews=lease,
                signed_on=signed_on,
                first_day=first_day,
                last_day=last_day,
                agreed_last_day=last_day,
                monthly_rent=monthly_rent,
                deposit=deposit,
                anchor_day=anchor_day,
                revision=0,
                recorded_at=now,
            )
    except IntegrityError as clash:
        code = getattr(clash.__cause__, "pgcode", "")
        if code not in {"23P01", "23505"}:
            raise
        # A second signature of the same lease breaks both constraints; which is named first is chance.
        if Lease.objects.filter(renews=lease).exclude(state=Lease.State.VOID).exists():
            raise AlreadyRenewed(_("This lease has been renewed already.")) from clash
        raise UnitTaken(_("The unit is let to somebody else on one of these days.")) from clash
    LeaseTenant.objects.bulk_create(
        LeaseTenant(lease=successor, tenant=tenant, is_primary=index == 0) for index, tenant in enumerate(tenants)
    )
    LeaseRevision.objects.create(lease=successor, revision=0, terms=signed_terms(successor, tenants), recorded_at=now)
    waiting.attribute([successor.pk], now=now)
    features.mark_around([successor.pk], now=now)
    return successor


@transaction.atomic
def promote(lease: Lease, tenant: Tenant, *, by: str, now: datetime) -> Promotion:
    """The person stands first on the lease until `demote`, whatever its contract says. Raises `NotOnLease`."""
    lock_units([lease.unit_id])
    rows = list(LeaseTenant.objects.filter(lease=lease).select_related("tenant").order_by("-is_primary", "pk"))
    person = tenant.merged_into_id or tenant.pk
    if person not in {_person(row.tenant) for row in rows}:
        raise NotOnLease
    standing = Promotion.objects.filter(lease=lease, undone_at=None).select_related("tenant").first()
    if standing and _person(standing.tenant) == person:
        return standing
    before = standing.before if standing else next((row.tenant for row in rows if row.is_primary), None)
    Promotion.objects.filter(lease=lease, undone_at=None).update(undone_at=now)
    promotion = Promotion.objects.create(lease=lease, tenant_id=person, before=before, at=now, by=by[:80])
    _put_first(lease, rows, person, now=now)
    return promotion


@transaction.atomic
def demote(lease: Lease, *, now: datetime) -> None:
    """Whoever stood first on the lease before somebody was promoted does so again; nothing changes if nobody was."""
    lock_units([lease.unit_id])
    standing = Promotion.objects.filter(lease=lease, undone_at=None).select_related("before").first()
    if standing is None:
        return
    Promotion.objects.filter(pk=standing.pk).update(undone_at=now)
    rows = list(LeaseTenant.objects.filter(lease=lease).select_related("tenant").order_by("pk"))
    those = {_person(row.tenant) for row in rows}
    if standing.before and _person(standing.before) in those:
        _put_first(lease, rows, _person(standing.before), now=now)


def _put_first(lease: Lease, rows: list[LeaseTenant], person: int, *, now: datetime) -> None:
    for row in rows:
        row.is_primary = _person(row.tenant) == person
    LeaseTenant.objects.bulk_update(rows, ["is_primary"])
    features.mark_around([lease.pk], now=now)


def _person(tenant: Tenant) -> int:
    return tenant.merged_into_id or tenant.pk
