"""Marking: what the provider said is written down, for whole slices at once, where the claim is still ours."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

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

# The message moves if the claim is still ours; the try goes on record either way. It has no line before, unless its
# claim ran out meanwhile.
MARK = """
    WITH said AS MATERIALIZED (
        SELECT * FROM unnest(%(ids)s::bigint[], %(numbers)s::int[], %(states)s::text[], %(reasons)s::text[],
            %(moments)s::timestamptz[], %(moves)s::bool[], %(failed)s::int[], %(outcomes)s::text[], %(refs)s::text[],
            %(details)s::text[], %(addresses)s::text[], %(began)s::timestamptz[])
            AS said (id, number, state, reason, moment, moves_on, failed, outcome, ref, detail, went_to, began_at)
    ), recorded AS (
        INSERT INTO tenants_attempt
            (message_id, number, channel, outcome, provider_ref, detail, address_hash, started_at, finished_at)
        SELECT id, number, %(channel)s, outcome, ref, detail, went_to, began_at, %(now)s FROM said
        ON CONFLICT (message_id, number) DO UPDATE
        SET outcome = excluded.outcome, provider_ref = excluded.provider_ref, detail = excluded.detail,
            address_hash = excluded.address_hash, finished_at = excluded.finished_at
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
    columns: dict[str, Any] = {
        "ids": [one.claim.message for one in said],
        "numbers": [one.claim.attempt for one in said],
        "states": [move.state for move in moves],
        "reasons": [move.reason[:200] for move in moves],
        "moments": [move.not_before for move in moves],
        "moves": [move.moves_on for move in moves],
        "failed": [move.failures for move in moves],
        "outcomes": [one.answer.outcome.value for one in said],
        "refs": [one.answer.ref[:120] for one in said],
        "details": [one.answer.detail[:300] for one in said],
        "addresses": [addresses.hashed(one.sealed.envelope.address) for one in said],
        "began": [one.sealed.since for one in said],
    }
    with connection.cursor() as cursor:
        cursor.execute(MARK, {**columns, "channel": channel, "now": now})
        ours = {row[0] for row in cursor.fetchall()}
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
