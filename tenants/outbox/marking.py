"""Marking: what the provider said is written down, for whole slices at once, where the claim is still ours."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from connectors.channels import Answer, Outcome
from tenants import consents
from tenants.models import Message, Tenant
from tenants.outbox import addresses, gates
from tenants.outbox.claiming import Claim
from tenants.outbox.envelopes import Sealed

log = logging.getLogger(__name__)
State = Message.State

MAX_FAILURES = 5
BACKOFF = timedelta(seconds=30)  # doubled with every failure
SLOW_DOWN = timedelta(minutes=1)  # where the provider does not say for how long

MARK = """
    WITH said AS (
        SELECT * FROM unnest(%(ids)s::bigint[], %(numbers)s::int[], %(states)s::text[], %(reasons)s::text[],
            %(moments)s::timestamptz[], %(moves)s::bool[], %(failed)s::int[])
            AS said (id, number, state, reason, moment, moves_on, failed)
    )
    UPDATE tenants_message m
    SET state = said.state, reason = said.reason, lease_until = NULL, changed_at = %(now)s,
        doubtful = m.doubtful AND said.state = 'queued',
        not_before = coalesce(said.moment, m.not_before), failures = m.failures + said.failed,
        sent_at = CASE WHEN said.state = 'accepted' THEN %(now)s ELSE m.sent_at END,
        channel = CASE WHEN said.moves_on THEN m.route[1] ELSE m.channel END,
        route = CASE WHEN said.moves_on THEN m.route[2:] ELSE m.route END
    FROM said WHERE m.id = said.id AND m.attempt = said.number AND m.state = 'sending'
    RETURNING m.id
"""
RECORD = """
    UPDATE tenants_attempt a
    SET outcome = said.outcome, provider_ref = said.ref, detail = said.detail, address_hash = said.went_to,
        finished_at = %(now)s
    FROM unnest(%(ids)s::bigint[], %(numbers)s::int[], %(outcomes)s::text[], %(refs)s::text[], %(details)s::text[],
        %(addresses)s::text[]) AS said (id, number, outcome, ref, detail, went_to)
    WHERE a.message_id = said.id AND a.number = said.number
"""


@dataclass(frozen=True, slots=True)
class Said:
    """A claim, what was sent under it, and what came of it."""

    claim: Claim
    sealed: Sealed
    answer: Answer


@dataclass(frozen=True, slots=True)
class Move:
    """Where a message goes after an answer."""

    state: str
    reason: str = ""
    not_before: datetime | None = None
    moves_on: bool = False  # by the next channel of its route
    failures: int = 0


def mark(channel: str, said: Sequence[Said], *, now: datetime) -> Counter[str]:
    """Each message is in the state its answer calls for, if its claim is still ours; counts by state."""
    if not said:
        return Counter()
    moves = [move_after(one.answer, route=one.sealed.route, failures=one.sealed.failures, now=now) for one in said]
    which: dict[str, Any] = {
        "ids": [one.claim.message for one in said],
        "numbers": [one.claim.attempt for one in said],
        "now": now,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        columns: dict[str, Any] = {
            "states": [move.state for move in moves],
            "reasons": [move.reason[:200] for move in moves],
            "moments": [move.not_before for move in moves],
            "moves": [move.moves_on for move in moves],
            "failed": [move.failures for move in moves],
        }
        cursor.execute(MARK, {**which, **columns})
        ours = {row[0] for row in cursor.fetchall()}
        told: dict[str, Any] = {
            "outcomes": [one.answer.outcome.value for one in said],
            "refs": [one.answer.ref[:120] for one in said],
            "details": [one.answer.detail[:300] for one in said],
            "addresses": [addresses.hashed(one.sealed.envelope.address) for one in said],
        }
        cursor.execute(RECORD, {**which, **told})
    _draw_consequences(channel, said, now=now)
    for one in said:
        if one.claim.message not in ours:
            log.warning("Message %s was settled by another worker; this answer only goes on record", one.claim.message)
    return Counter(move.state if one.claim.message in ours else "fenced" for one, move in zip(said, moves, strict=True))


def move_after(answer: Answer, *, route: Sequence[str], failures: int, now: datetime) -> Move:
    """What becomes of a message that was being sent. Another channel is tried only where this one certainly has not."""
    detail = answer.detail
    match answer.outcome:
        case Outcome.ACCEPTED:
            return Move(State.ACCEPTED)
        case Outcome.UNKNOWN:
            return Move(State.UNKNOWN, detail, not_before=now)
        case Outcome.SLOW_DOWN:
            return Move(State.QUEUED, detail, not_before=now + (SLOW_DOWN if answer.wait is None else answer.wait))
        case Outcome.STOP if not route:
            return Move(State.QUEUED, detail)
        case Outcome.FAILED:
            return Move(State.FAILED, detail)
        case Outcome.NOT_SENT if failures + 1 < MAX_FAILURES:
            return Move(State.QUEUED, detail, not_before=now + BACKOFF * 2**failures, failures=1)
    if route:
        return Move(State.QUEUED, detail, not_before=now, moves_on=True)
    return Move(State.DEAD if answer.outcome == Outcome.NOT_SENT else State.FAILED, detail, failures=1)


def _draw_consequences(channel: str, said: Sequence[Said], *, now: datetime) -> None:
    """A provider that takes nothing of ours stops its channel; one that was told no by a person tells the ledger."""
    for one in said:
        if one.answer.outcome == Outcome.STOP:
            gates.stop_for_provider(channel, why=one.answer.detail, now=now)
        elif one.answer.outcome == Outcome.OPTED_OUT:
            tenant = Tenant.objects.filter(pk__in=Message.objects.filter(pk=one.claim.message).values("tenant")).first()
            if tenant:
                consents.refuse_marketing(tenant, channel=channel, proof=f"{channel}: {one.answer.detail}", now=now)
