"""Sending what is due: claim and check in one short transaction, commit, talk to the provider, mark.

The claim's number, `attempt`, is its fencing token: a worker that slept through its claim marks nothing.
A claim that ran out becomes `unknown`, never `queued`: the message may have gone. What is unknown is asked
of the provider, and tried again only once it is proved absent.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from connectors.channels import Answer, Envelope, Outcome, channel
from tenants import codes, links
from tenants.models import Attempt, Message, Pause
from tenants.outbox import rules

log = logging.getLogger(__name__)
State = Message.State

CLAIM_SECONDS = 60  # more than any channel's whole time-out
MAX_ATTEMPTS = 5
BACKOFF = timedelta(seconds=30)  # doubled with every attempt

# Codes first: somebody is looking at their phone.
CLAIMABLE = """
    SELECT id FROM tenants_message
    WHERE state = 'queued' AND not_before <= %(now)s AND channel = %(channel)s
    ORDER BY klass = 'code' DESC, not_before, id
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
CLAIM = """
    UPDATE tenants_message SET state = 'sending', attempt = attempt + 1, reason = '', changed_at = %(now)s,
        lease_until = clock_timestamp() + make_interval(secs => %(seconds)s)
    WHERE id = ANY(%(ids)s) RETURNING id, attempt
"""
LAPSED = """
    UPDATE tenants_message SET state = 'unknown', lease_until = NULL, changed_at = %(now)s
    WHERE id IN (
        SELECT id FROM tenants_message WHERE state = 'sending' AND lease_until < clock_timestamp()
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to send one message, once."""

    message: int
    attempt: int


def drain(*, now: datetime, limit: int = 200) -> dict[str, int]:
    """What is due has been sent, settled or put off, `limit` messages a channel at most; says how many of each."""
    counts: Counter[str] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(LAPSED, {"now": now, "limit": limit})
    paused = set(Pause.objects.values_list("channel", flat=True))
    for name in settings.CHANNELS:
        if not paused & {"*", name}:
            counts += _resolve(name, now=now, limit=limit)
            # One claim, one send: a refusal is heard until the moment before.
            for _message in range(limit):
                claims, settled = _claim(name, now=now, limit=1)
                counts += settled
                if not claims and not settled:
                    break
                for claim in claims:
                    counts[_send(name, claim, now=now)] += 1
    return dict(counts)


@transaction.atomic
def _claim(name: str, *, now: datetime, limit: int) -> tuple[list[Claim], Counter[str]]:
    """What may be sent is claimed by us; what may not is settled or put off, with its reason."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIMABLE, {"now": now, "channel": name, "limit": limit})
        ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return [], Counter()
        # Two workers with two offers for one tenant: the second waits here and then sees the first.
        cursor.execute(
            """
            SELECT FROM tenants_tenant WHERE id IN (
                SELECT tenant_id FROM tenants_message WHERE id = ANY(%s) AND klass = 'marketing'
            ) ORDER BY id FOR NO KEY UPDATE
            """,
            [ids],
        )
        counts: Counter[str] = Counter()
        verdicts = rules.judge(ids, channel=name, now=now)
        for message, (state, reason, moment) in verdicts.items():
            counts[state] += 1
            row = Message.objects.filter(pk=message)
            if state == "later":
                row.update(not_before=moment, reason=reason, changed_at=now)
            else:
                row.update(state=state, reason=reason, changed_at=now)
        cursor.execute(CLAIM, {"ids": [i for i in ids if i not in verdicts], "now": now, "seconds": CLAIM_SECONDS})
        attempts = dict(cursor.fetchall())
    claims = [Claim(i, attempts[i]) for i in ids if i in attempts]
    Attempt.objects.bulk_create(
        [Attempt(message_id=c.message, number=c.attempt, channel=name, started_at=now) for c in claims]
    )
    return claims, counts


def _send(name: str, claim: Claim, *, now: datetime) -> str:
    """The claimed message has been handed to its provider, with no transaction open, and marked."""
    message = Message.objects.select_related("tenant__merged_into", "lease").get(pk=claim.message)
    try:
        answer = channel(name).send(_envelope(message, now=now))
    except Exception as error:
        # One message must not hold up the others, and after an error nobody knows how far it got.
        log.exception("Message %s could not be sent", claim.message)
        answer = Answer(Outcome.UNKNOWN, detail=type(error).__name__)
    return _mark(claim, answer, now=now)


def _envelope(message: Message, *, now: datetime) -> Envelope:
    """The message as it leaves: its digits and its link come into being here, and are kept nowhere."""
    url = ""
    if message.link_purpose and message.lease and message.tenant:
        _link, token = links.mint(
            f"message:{message.key}",
            tenant=message.tenant,
            lease=message.lease,
            purpose=message.link_purpose,
            expires_at=links.expiry(message.lease, now=now),
            now=now,
        )
        url = links.url(token)
    text = message.text.replace("{code}", codes.digits(message.key)) if "{code}" in message.text else message.text
    return Envelope(key=message.key, address=_address(message), text=text, url=url, sent_at=now)


def _address(message: Message) -> str:
    if message.tenant:
        return (message.tenant.merged_into or message.tenant).phone
    return ""


def _mark(claim: Claim, answer: Answer, *, now: datetime) -> str:
    """The message's state says what the provider said, if the claim is still ours."""
    changes: dict[str, object] = {"lease_until": None, "changed_at": now}
    if answer.outcome == Outcome.ACCEPTED:
        changes |= {"state": State.ACCEPTED, "sent_at": now}
    elif answer.outcome == Outcome.FAILED:
        changes |= {"state": State.FAILED, "reason": answer.detail[:200]}
    elif answer.outcome == Outcome.UNKNOWN:
        changes |= {"state": State.UNKNOWN, "reason": answer.detail[:200]}
    elif claim.attempt >= MAX_ATTEMPTS:
        changes |= {"state": State.DEAD, "reason": answer.detail[:200]}
    else:
        changes |= {"state": State.QUEUED, "not_before": now + BACKOFF * 2 ** (claim.attempt - 1)}
    state = str(changes["state"])
    with transaction.atomic():
        ours = Message.objects.filter(pk=claim.message, attempt=claim.attempt, state=State.SENDING)
        if not ours.update(**changes):
            log.warning("Message %s was settled by another worker; this answer only goes on record", claim.message)
            state = "fenced"
        Attempt.objects.filter(message=claim.message, number=claim.attempt).update(
            outcome=answer.outcome, provider_ref=answer.ref, detail=answer.detail[:300], finished_at=now
        )
    return state


def _resolve(name: str, *, now: datetime, limit: int) -> Counter[str]:
    """What is unknown on this channel has been asked of its provider; what it cannot tell waits for a person."""
    counts: Counter[str] = Counter()
    for message in Message.objects.filter(state=State.UNKNOWN, channel=name).order_by("changed_at", "pk")[:limit]:
        try:
            found = channel(name).find(message.key)
        except Exception:
            # As in sending: one question that fails must not hold up the other messages.
            log.exception("The provider could not be asked about message %s", message.pk)
            continue
        changes: dict[str, object]
        if found.outcome == Outcome.ACCEPTED:
            changes = {"state": State.ACCEPTED, "sent_at": now, "reason": ""}
        elif found.outcome == Outcome.NOT_SENT and message.attempt >= MAX_ATTEMPTS:
            changes = {"state": State.FAILED}
        elif found.outcome == Outcome.NOT_SENT:
            changes = {"state": State.QUEUED, "reason": "", "not_before": now + BACKOFF * (message.attempt - 1)}
        else:
            changes = {"state": State.PARKED}
        # The number and the state say that nobody settled it meanwhile.
        row = Message.objects.filter(pk=message.pk, attempt=message.attempt, state=State.UNKNOWN)
        if row.update(**changes, changed_at=now):
            counts[f"resolved_{changes['state']}"] += 1
    return counts
