"""Signing at the e-sign provider, where one is set: after all codes, and before there is a lease.

Everybody's yes by code closes nothing yet: the paper goes to the provider, each signer signs it there, and only when
the provider says that the flow is complete is the lease signed. It says so by callback, perhaps twice; where it does
not, it is asked. No call is made inside a transaction, and what a call brought is written in one of its own.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from connectors import esign
from connectors.esign import State
from renewal import agreement, paper, proposals, quotes, rounds, signing
from renewal.models import Round
from tenants import leases
from tenants.models import Lease, Tenant

log = logging.getLogger(__name__)

ASK_AFTER = timedelta(minutes=2)  # without a word of the provider; and so often after that
AT_ONCE = 20  # rounds a run takes on of each kind
CALLBACK = "/api/esign/callback"
BACK = "/r/letter/together"
ENDS = {State.REVOKED: Round.State.WITHDRAWN, State.EXPIRED: Round.State.LAPSED, State.REFUSED: Round.State.REFUSED}


class NotThere(Exception):
    """The provider has no page for this reader now."""


def run(*, now: datetime) -> None:
    """What waits to be handed over is; flows that have been silent are asked about; those that are over, revoked."""
    if not esign.is_on():
        return
    rows = Round.objects.select_related("proposal__tenant", "unit", "lease__unit__building")
    wanted = rows.filter(state=Round.State.OPEN, sealing=Round.Sealing.WANTED)
    for waiting in wanted.order_by("sealing_at")[:AT_ONCE]:
        _hand_over(waiting, now=now)
    silent = rows.filter(state=Round.State.OPEN, sealing=Round.Sealing.SIGNING, sealing_at__lte=now - ASK_AFTER)
    for waiting in silent.order_by("sealing_at")[:AT_ONCE]:
        ask(waiting, now=now)
    over = rows.filter(~Q(state__in=[Round.State.OPEN, Round.State.SIGNED]), sealing=Round.Sealing.SIGNING)
    for waiting in over.order_by("sealing_at")[:AT_ONCE]:
        _revoke(waiting)


def door(lease: Lease, tenant: Tenant, *, now: datetime) -> str:
    """The provider's page for this signer. Raises `NotThere`."""
    waiting = rounds.standing(lease, now=now)
    seat = rounds.seat_of(waiting, tenant) if waiting else None
    if waiting is None or seat is None or waiting.sealing != Round.Sealing.SIGNING:
        raise NotThere
    who = seat.signer.merged_into or seat.signer
    try:
        return esign.door(waiting.flow, who.phone, back=settings.SITE_URL + BACK)
    except esign.Trouble as trouble:
        log.warning("e-sign: no page for round %s (%s)", waiting.pk, trouble)
        raise NotThere from trouble


def heard(flow: str, state: State, *, now: datetime) -> None:
    """The provider says what a flow came to. Said again it changes nothing. Raises `signing.Busy`."""
    waiting = Round.objects.filter(flow=flow).first() if flow else None
    if waiting is None or waiting.state != Round.State.OPEN:
        return
    if state == State.DONE:
        try:
            signing.settled_once(lambda: _conclude(waiting, now=now))
        except (leases.UnitTaken, leases.AlreadyRenewed, quotes.Refused, proposals.Closed):
            _free(waiting, Round.State.BROKEN, now=now)
    elif state in ENDS:
        _free(waiting, ENDS[state], now=now)


@transaction.atomic(durable=True)
def _conclude(waiting: Round, *, now: datetime) -> None:
    signing.bound_the_waiting()
    leases.lock_units([waiting.unit_id, waiting.lease.unit_id])
    lease = Lease.objects.select_for_update(of=("self",)).select_related("unit").get(pk=waiting.lease_id)
    again = Round.objects.select_related("proposal__tenant", "unit__building").get(pk=waiting.pk)
    given = rounds.all_said_yes(again)
    if again.state != Round.State.OPEN or not given:
        return
    rounds.conclude(again, lease, given, now=now)


@transaction.atomic
def _free(waiting: Round, to: Round.State, *, now: datetime) -> None:
    Lease.objects.select_for_update(of=("self",)).get(pk=waiting.lease_id)
    if rounds.free(waiting, to, now=now):
        Round.objects.filter(pk=waiting.pk).update(sealing=Round.Sealing.OVER)


def _hand_over(waiting: Round, *, now: datetime) -> None:
    given = rounds.all_said_yes(waiting)
    people = [yes.signer.merged_into or yes.signer for yes in given]
    pdf = paper.draw(
        waiting.text,
        text_hash=waiting.text_hash,
        version=waiting.text_version,
        acceptances=[
            paper.Acceptance(who.name, agreement.masked(who.phone), yes.at, yes.device)
            for who, yes in zip(people, given, strict=True)
        ],
    )
    # Taken on before the call, so that two workers do not begin two flows.
    mine = Round.objects.filter(pk=waiting.pk, sealing=Round.Sealing.WANTED, sealing_at=waiting.sealing_at)
    if not mine.update(sealing_at=now + ASK_AFTER):
        return
    try:
        flow = esign.hand_over(
            pdf,
            title=f"续租协议 {waiting.unit.code}",
            signers=[esign.Signer(who.name, who.phone) for who in people],
            lasts=max(waiting.deadline - now, timedelta(minutes=5)),
            back=settings.SITE_URL + BACK,
            notify=settings.SITE_URL + CALLBACK,
        )
    except esign.Trouble as trouble:
        log.warning("e-sign: round %s was not handed over (%s)", waiting.pk, trouble)
        Round.objects.filter(pk=waiting.pk).update(sealing_trouble=str(trouble)[:200])
        return
    with transaction.atomic():
        it = Round.objects.filter(pk=waiting.pk)
        it.update(sealing=Round.Sealing.SIGNING, flow=flow, sealing_at=now, sealing_trouble="")
        if it.filter(state=Round.State.OPEN).exists():  # it may have been freed during the call
            rounds.keep_quiet_at_the_provider(waiting, now=now)


def ask(waiting: Round, *, now: datetime) -> None:
    """What the provider knows of this round is known here, if it answers."""
    Round.objects.filter(pk=waiting.pk).update(sealing_at=now)
    try:
        state = esign.state(waiting.flow)
        if state is not None:
            heard(waiting.flow, state, now=now)
    except (esign.Trouble, signing.Busy) as trouble:
        log.warning("e-sign: nothing is known of round %s (%s)", waiting.pk, trouble)


def _revoke(waiting: Round) -> None:
    try:
        esign.revoke(waiting.flow, because="承租方没有达成一致")
    except esign.Trouble as trouble:
        log.warning("e-sign: round %s was not revoked (%s)", waiting.pk, trouble)
        return
    Round.objects.filter(pk=waiting.pk).update(sealing=Round.Sealing.OVER)
