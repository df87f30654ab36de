"""What those do who have to sign as well: see the terms, agree with a code of their own, or not."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from renewal import following, proposals, quotes, rounds, sealing, signing
from renewal.models import Code, Round, Signature
from tenants import leases
from tenants.models import Lease, Link, Tenant


class Over(Exception):
    """The round is over: there is nothing to sign in it any more."""


@transaction.atomic
def ask_code(lease: Lease, signer: Tenant, *, now: datetime) -> Code:
    """A code for the terms that wait is on its way. Raises `Over`, `signing.TooSoon`, `signing.NoPhone`."""
    waiting = _mine(lease, signer, now=now)
    return signing.send_code(waiting.proposal, signer, now=now)


def agree(
    lease: Lease, signer: Tenant, *, digits: str, device: str, address: str | None, now: datetime, link: Link | None
) -> Signature:
    """This person's yes is kept; with the last one the lease is signed. A second call returns or raises the same.

    Raises `rounds.NotAll` while others are missing; `Over`; `signing.WrongCode`, `CodeExpired`, `TooManyTries`, `Busy`;
    `tenants.leases.UnitTaken`, `tenants.leases.AlreadyRenewed` or `quotes.Changed` if the terms cannot be kept: then
    the round is over, and whoever had signed is told.
    """
    if done := signing.signed_for(lease, signer):
        return done
    if waiting := rounds.signed_by(lease, signer, now=now):
        raise rounds.NotAll(waiting)
    waiting = _mine(lease, signer, now=now)
    code = signing.confirm(waiting.proposal, signer, digits, link=link, now=now)
    if isinstance(code, signing.Refused):
        if done := signing.signed_for(lease, signer):
            return done
        raise code
    yes = following.Yes(signer, code, device, address, now)
    try:
        settled = signing.settled_once(lambda: _settle(waiting, yes, now=now))
    except (leases.UnitTaken, leases.AlreadyRenewed, quotes.Refused, proposals.Closed):
        _break(waiting, now=now)
        raise
    if isinstance(settled, Round):
        raise rounds.NotAll(settled)
    return settled


def refuse(lease: Lease, signer: Tenant, *, because: str, now: datetime) -> None:
    """This person does not agree, or takes their yes back: the round is over. Raises `Over`."""
    waiting = _mine(lease, signer, now=now)
    if waiting.sealing == Round.Sealing.SIGNING:  # all may have signed there a moment ago
        sealing.ask(waiting, now=now)
    with transaction.atomic():
        waiting = _mine(lease, signer, now=now)
        Lease.objects.select_for_update(of=("self",)).get(pk=lease.pk)
        seat = rounds.seat_of(waiting, signer)
        to = Round.State.WITHDRAWN if seat and seat.signed_at else Round.State.REFUSED
        if not rounds.free(waiting, to, now=now, by=signer, because=because):
            raise Over


@transaction.atomic(durable=True)
def _settle(waiting: Round, yes: following.Yes, *, now: datetime) -> Signature | Round:
    signing.bound_the_waiting()
    leases.lock_units([waiting.unit_id, waiting.lease.unit_id])
    lease = Lease.objects.select_for_update(of=("self",)).select_related("unit").get(pk=waiting.lease_id)
    if done := signing.signed_for(lease, yes.signer):
        return done
    again = rounds.standing(lease, now=now)
    if again is None or again.pk != waiting.pk:
        raise Over
    if rounds.signed_by(lease, yes.signer, now=now):
        return again
    Code.objects.filter(pk=yes.code.pk).update(used_at=now)
    rounds.agree(again, yes)
    given = rounds.all_said_yes(again)
    if not given or rounds.sealed_elsewhere(again, now=now):
        return again
    rounds.conclude(again, lease, given, now=now)
    done = signing.signed_for(lease, yes.signer)
    assert done is not None  # noqa: S101 - everybody's signature has just been written
    return done


@transaction.atomic
def _break(waiting: Round, *, now: datetime) -> None:
    rounds.free(waiting, Round.State.BROKEN, now=now)


def _mine(lease: Lease, signer: Tenant, *, now: datetime) -> Round:
    """The open round in which this person has a seat. Raises `Over`."""
    waiting = rounds.standing(lease, now=now)
    if waiting is None or rounds.seat_of(waiting, signer) is None:
        raise Over
    return waiting
