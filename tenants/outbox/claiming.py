"""Claiming: who may send which messages now, decided in one short transaction.

The claim's number, `attempt`, is its fencing token: a worker that slept through its claim marks nothing.
The claim ends at a time of the database's clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from connectors.channels import Channel
from tenants.models import Message
from tenants.outbox import hours, rules

# What is left of the claim when its message is handed over: more than any channel's whole time-out.
LEFT = 1 / 4

# As the index `message_claim` has them: codes first, somebody is looking at their phone; then what matters more.
CLAIMABLE = """
    SELECT id, recalled AND stops_on_answer, CASE WHEN klass = 'marketing' THEN tenant_id END FROM tenants_message
    WHERE state = 'queued' AND channel = %(channel)s AND not_before <= %(now)s
      AND NOT EXISTS (SELECT FROM tenants_pause WHERE channel IN ('*', %(channel)s))
    ORDER BY CASE WHEN klass = 'code' THEN 0 ELSE 1 END, priority DESC, not_before, id
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
# To find the best order of the joins of `rules.FACTS` takes longer than to do them: they are taken as they are written.
AS_WRITTEN = "SET LOCAL join_collapse_limit = 1;"
# Two workers with two offers for one person: the second waits here and then sees the first. A person who was
# merged is locked as the one person they are.
LOCK_PERSONS = """
    SELECT FROM tenants_tenant WHERE id IN (
        SELECT coalesce(merged_into_id, id) FROM tenants_tenant WHERE id = ANY(%s)
    ) ORDER BY id FOR NO KEY UPDATE
"""
SETTLE = """
    UPDATE tenants_message m
    SET state = CASE WHEN v.state IN ('later', 'next') THEN 'queued' ELSE v.state END,
        channel = CASE WHEN v.state = 'next' THEN m.route[1] ELSE m.channel END,
        route = CASE WHEN v.state = 'next' THEN m.route[2:] ELSE m.route END,
        not_before = coalesce(v.moment, m.not_before), reason = v.reason, recalled = false, changed_at = %(now)s
    FROM unnest(%(ids)s::bigint[], %(states)s::text[], %(reasons)s::text[], %(moments)s::timestamptz[])
        AS v (id, state, reason, moment)
    WHERE m.id = v.id
"""
CLAIM = """
    UPDATE tenants_message SET state = 'sending', attempt = attempt + 1, recalled = false, reason = '',
        changed_at = %(now)s, lease_until = clock_timestamp() + make_interval(secs => %(seconds)s)
    WHERE id = ANY(%(ids)s) RETURNING id, attempt
"""
# By their ids: `state || ''` keeps the planner off the index of all that is claimed, most of whose lines are dead.
STILL_OURS = """
    SELECT id, attempt FROM tenants_message
    WHERE id = ANY(%(ids)s) AND state || '' = 'sending' AND NOT recalled
      AND deadline > %(now)s AND klass <> ALL(%(shut)s::text[])
      AND lease_until > clock_timestamp() + make_interval(secs => %(left)s)
      AND NOT EXISTS (SELECT FROM tenants_pause WHERE channel IN ('*', %(channel)s))
"""
# A try has its line from when its answer is written down, or from here: as it began, and without an answer.
LAPSED = """
    WITH lapsed AS MATERIALIZED (
        SELECT id, attempt, channel, changed_at FROM tenants_message
        WHERE state = 'sending' AND (%(all)s OR lease_until < clock_timestamp())
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE tenants_message m
        SET state = 'unknown', lease_until = NULL, not_before = %(now)s, changed_at = %(now)s
        FROM lapsed WHERE m.id = lapsed.id
    ), kept AS (
        INSERT INTO tenants_attempt (message_id, number, channel, outcome, provider_ref, detail, started_at)
        SELECT id, attempt, channel, '', '', '', changed_at FROM lapsed
        ON CONFLICT (message_id, number) DO NOTHING
    )
    SELECT count(*) FROM lapsed
"""
# One row a channel: workers pass it one after the other, for as long as a claim takes.
ALLOWANCE = """
    INSERT INTO tenants_throttle AS t (channel, since, taken) VALUES (%(channel)s, clock_timestamp(), 0)
    ON CONFLICT (channel) DO UPDATE SET (since, taken) = (
        SELECT CASE WHEN is_over THEN clock_timestamp() ELSE t.since END, CASE WHEN is_over THEN 0 ELSE t.taken END
        FROM (SELECT t.since <= clock_timestamp() - make_interval(secs => %(per)s) AS is_over) AS _
    )
    RETURNING taken
"""
TAKEN = "UPDATE tenants_throttle SET taken = taken + %(n)s WHERE channel = %(channel)s"


class Claim(NamedTuple):
    """The right to send one message, once."""

    message: int
    attempt: int


@transaction.atomic
def claim(way: type[Channel], *, now: datetime, limit: int) -> tuple[list[Claim], Counter[str]]:
    """What may be sent is claimed by us; what may not is settled or put off, with its reason."""
    name = way.name
    with connection.cursor() as cursor:
        if way.per_second is not None:
            cursor.execute(ALLOWANCE, {"channel": name, "per": way.per.total_seconds()})
            limit = min(limit, way.per_second - cursor.fetchone()[0])
        if limit <= 0:
            return [], Counter()
        cursor.execute(AS_WRITTEN + CLAIMABLE, {"now": now, "channel": name, "limit": limit})
        due = cursor.fetchall()
        if not due:
            return [], Counter()
        ids = [row[0] for row in due]
        if offered := [tenant for _id, _is_taken_back, tenant in due if tenant is not None]:
            cursor.execute(LOCK_PERSONS, [offered])
        verdicts = rules.judge(ids, channel=name, now=now)
        for i, is_taken_back, _tenant in due:
            # An answer other than a signature is nowhere to be seen but here.
            if is_taken_back and verdicts.get(i, ("later",))[0] == "later":
                verdicts[i] = ("cancelled", rules.taken_back(), None)
        _settle(cursor, verdicts, now=now)
        free = [i for i in ids if i not in verdicts]
        cursor.execute(CLAIM, {"ids": free, "now": now, "seconds": settings.OUTBOX_CLAIM_SECONDS})
        attempts = dict(cursor.fetchall())
        if way.per_second is not None:
            cursor.execute(TAKEN, {"channel": name, "n": len(attempts)})
    claims = [Claim(i, attempts[i]) for i in free if i in attempts]
    return claims, Counter(state for state, _reason, _moment in verdicts.values())


def _settle(cursor: Any, verdicts: dict[int, rules.Verdict], *, now: datetime) -> None:
    if not verdicts:
        return
    states, reasons, moments = zip(*verdicts.values(), strict=True)
    columns = {"states": list(states), "reasons": [str(reason) for reason in reasons], "moments": list(moments)}
    cursor.execute(SETTLE, {"ids": list(verdicts), **columns, "now": now})


def still_ours(claims: Sequence[Claim], *, channel: str, now: datetime) -> set[Claim]:
    """The claims whose messages may be handed over this very moment.

    Nobody refused, stopped or took them meanwhile, and neither their deadline nor the last of their hours has come.
    """
    asked: dict[str, Any] = {
        "ids": [claim.message for claim in claims],
        "channel": channel,
        "now": now,
        "shut": hours.shut(now),
    }
    with connection.cursor() as cursor:
        cursor.execute(STILL_OURS, {**asked, "left": settings.OUTBOX_CLAIM_SECONDS * LEFT})
        ours = set(map(Claim._make, cursor.fetchall()))
    return ours.intersection(claims)


def seconds_until_allowed(way: type[Channel], *, now: datetime) -> float:
    """How long the channel's limit still holds back what is due; 0 where it holds nothing back."""
    if way.per_second is None or not _is_due(way.name, now=now):
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT extract(epoch FROM since + make_interval(secs => %(per)s) - clock_timestamp())
            FROM tenants_throttle WHERE channel = %(name)s
            """,
            {"per": way.per.total_seconds(), "name": way.name},
        )
        row = cursor.fetchone()
    return max(float(row[0]), 0.01) if row else 0.0


def _is_due(channel: str, *, now: datetime) -> bool:
    return Message.objects.filter(state=Message.State.QUEUED, channel=channel, not_before__lte=now).exists()


def let_lapse(*, now: datetime, limit: int | None = None, all: bool = False) -> int:
    """Claims that ran out, or all there are, are unknown, never queued: their messages may have gone. Says how many."""
    with connection.cursor() as cursor:
        cursor.execute(LAPSED, {"now": now, "limit": limit, "all": all})
        lapsed: int = cursor.fetchone()[0]
    return lapsed


def groups(claims: Sequence[Claim], size: int) -> list[Sequence[Claim]]:
    """The claims in groups of at most `size`, in their order."""
    return [claims[at : at + size] for at in range(0, len(claims), size)]
