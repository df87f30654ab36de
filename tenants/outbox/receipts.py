"""Receipts: what providers say later. They only move a message forward, in whatever order and however often they come.

A receipt may come before we have marked what we sent, or twice, or for a message we do not know. Each word of it is
kept once and waits, for a week at most, until there is a message it can move.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from connectors.channels import ReceiptRecord
from tenants.models import Receipt
from tenants.outbox import addresses

WAITS = timedelta(days=7)
MANY = 2000

# By our own key; by the provider's number, where it stands for one message; by number and address, where it stands
# for a batch. The address is the one the try went to; of a try or a receipt from before that was kept, the one that
# the person has now. A message that is still being sent is left alone until its sender has marked it.
MATCH = """
    WITH open AS (
        SELECT id, channel, key, ref, address, address_hash FROM tenants_receipt
        WHERE settled_at IS NULL AND message_id IS NULL AND received_at > %(since)s ORDER BY id LIMIT %(many)s
    ), found AS (
        SELECT open.id AS receipt, m.id AS message FROM open
        JOIN tenants_message m ON m.key = open.key AND open.key <> ''
        UNION
        SELECT open.id, a.message_id FROM open
        JOIN tenants_attempt a ON a.channel = open.channel AND a.provider_ref = open.ref AND open.ref <> ''
        JOIN tenants_message m ON m.id = a.message_id
        LEFT JOIN tenants_tenant t ON t.id = m.tenant_id
        LEFT JOIN tenants_tenant person ON person.id = coalesce(t.merged_into_id, t.id)
        LEFT JOIN tenants_staff staff ON staff.user_id = m.user_id
        WHERE open.key = '' AND CASE WHEN a.address_hash <> '' AND open.address_hash <> ''
            THEN a.address_hash = open.address_hash
            ELSE open.address IN ('', person.phone, t.phone, staff.phone) END
    ), sole AS (
        SELECT receipt, min(message) AS message FROM found GROUP BY receipt HAVING count(*) = 1
    )
    UPDATE tenants_receipt r SET message_id = sole.message, address = '', address_hash = ''
    FROM sole WHERE r.id = sole.receipt
"""
# A provider that has delivered has delivered, whatever it says besides; a message that is accepted, or of which it is
# unknown what became, moves; everything else came too late and stays as it is.
MOVE = """
    WITH ripe AS (
        SELECT r.id, r.message_id, r.outcome, r.detail FROM tenants_receipt r
        JOIN tenants_message m ON m.id = r.message_id
        WHERE r.settled_at IS NULL AND m.state <> 'sending' AND m.state <> 'queued'
        ORDER BY r.id LIMIT %(many)s FOR UPDATE OF r SKIP LOCKED
    ), best AS (
        SELECT DISTINCT ON (message_id) message_id, outcome, detail FROM ripe
        ORDER BY message_id, outcome = 'delivered' DESC, id
    ), moved AS (
        UPDATE tenants_message m SET state = best.outcome, changed_at = %(now)s, reason = best.detail,
            sent_at = coalesce(m.sent_at, %(now)s), doubtful = false
        FROM best WHERE m.id = best.message_id AND m.state IN ('accepted', 'unknown')
    )
    UPDATE tenants_receipt r SET settled_at = %(now)s FROM ripe WHERE r.id = ripe.id
"""
GIVE_UP = """
    UPDATE tenants_receipt SET settled_at = %(now)s, address = '', address_hash = ''
    WHERE settled_at IS NULL AND received_at <= %(since)s
"""


def take(channel: str, said: Sequence[ReceiptRecord], *, now: datetime) -> int:
    """Each receipt is kept, once; says how many are new. What they mean for their messages follows at once."""
    rows = [
        Receipt(
            channel=channel,
            digest=_digest(channel, one),
            key=one.key,
            ref=one.ref[:120],
            address=one.address[:64],
            address_hash=addresses.hashed(one.address),
            outcome=one.outcome,
            detail=one.detail[:200],
            said_at=one.at,
            received_at=now,
        )
        for one in said
    ]
    before = Receipt.objects.filter(digest__in=[row.digest for row in rows]).count()
    Receipt.objects.bulk_create(rows, ignore_conflicts=True)
    settle(now=now)
    return len({row.digest for row in rows}) - before


@transaction.atomic
def settle(*, now: datetime) -> int:
    """Every receipt whose message is known and marked has moved it; says how many receipts are done with."""
    facts: dict[str, Any] = {"now": now, "since": now - WAITS, "many": MANY}
    with connection.cursor() as cursor:
        cursor.execute(MATCH, facts)
        cursor.execute(MOVE, facts)
        done: int = cursor.rowcount
        cursor.execute(GIVE_UP, facts)
    return done


def _digest(channel: str, one: ReceiptRecord) -> str:
    facts = (channel, one.key, one.ref, one.address, one.outcome, one.at.isoformat() if one.at else "", one.detail)
    return hashlib.sha256("\x1f".join(facts).encode()).hexdigest()
