"""Clearing up what is unknown: the provider is asked, and what it cannot tell waits for a receipt or for a person."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.utils.translation import gettext as _

from connectors.channels import Answer, Channel, Outcome
from tenants.clock import Now
from tenants.models import Message
from tenants.outbox import envelopes, rules
from tenants.outbox.calling import Calls
from tenants.outbox.claiming import Claim
from tenants.outbox.envelopes import Sealed
from tenants.outbox.marking import BACKOFF, MAX_FAILURES

State = Message.State
ASK_AGAIN = timedelta(seconds=30)  # doubled each time it could not say, up to an hour
ASK_AT_LEAST = timedelta(hours=1)
PROVED_ABSENT = {Outcome.NOT_SENT, Outcome.NO_RECIPIENT, Outcome.OPTED_OUT}


def resolve(way: Channel, calls: Calls, *, now: Now, until: float, limit: int) -> Counter[str]:
    """What is unknown on this channel and due to be asked has been asked about; counts of what was cleared up.

    A few are asked about at a time: where asking may deliver, each is judged right before. Nothing more is asked
    about from `until` on (`time.monotonic`).
    """
    counts: Counter[str] = Counter()
    left = limit
    while left > 0:
        asked, cleared_up = _resolve_some(way, calls, now=now(), limit=min(calls.most, left))
        counts += cleared_up
        left -= asked
        if not asked or time.monotonic() >= until:
            break
    return counts


def _resolve_some(way: Channel, calls: Calls, *, now: datetime, limit: int) -> tuple[int, Counter[str]]:
    """How many were asked about, and counts of what was cleared up."""
    counts: Counter[str] = Counter()
    due = Message.objects.filter(state=State.UNKNOWN, channel=way.name, not_before__lte=now)
    numbers = dict(due.order_by("not_before", "pk").values_list("pk", "attempt")[:limit])
    if not numbers:
        return 0, counts
    sealed = envelopes.seal(numbers, type(way), now=now)
    for message, reason in _not_to_be_asked(way, list(numbers), now=now).items():
        del sealed[message]
        counts += _move(message, numbers[message], {"state": State.PARKED, "reason": reason[:200]}, now=now)
    for message, one in sealed.items():
        calls.begin([Claim(message, numbers[message])], partial(_ask, way, one))
    for group, answers in calls.rest():
        for answer in answers or ():  # a question is begun without an end, so there is one
            counts += _settle(way, group[0], sealed[group[0].message], answer, now=now)
    return len(numbers), counts


def _ask(way: Channel, one: Sealed) -> list[Answer]:
    return [way.find(one.envelope)]


def _not_to_be_asked(way: Channel, ids: list[int], *, now: datetime) -> dict[int, str]:
    """Where asking may deliver: what may no longer be sent is not asked about; a person decides."""
    if not way.asks_by_sending:
        return {}
    with transaction.atomic():
        verdicts = rules.judge(ids, channel=way.name, now=now)
    why_not = {i: why for i, (_state, why, _moment) in verdicts.items()}
    taken_back = Message.objects.filter(pk__in=ids, recalled=True, stops_on_answer=True).values_list("pk", flat=True)
    why_not = dict.fromkeys(taken_back, rules.taken_back()) | why_not
    return {i: _("May have arrived; not tried again: %(why)s") % {"why": why} for i, why in why_not.items()}


def _settle(way: Channel, claim: Claim, one: Sealed, answer: Answer, *, now: datetime) -> Counter[str]:
    changes: dict[str, object]
    if answer.outcome == Outcome.ACCEPTED:
        changes = {"state": State.ACCEPTED, "sent_at": now, "reason": ""}
    elif answer.outcome in PROVED_ABSENT and one.failures + 1 >= MAX_FAILURES and not one.route:
        changes = {"state": State.FAILED, "reason": answer.detail[:200]}
    elif answer.outcome in PROVED_ABSENT:
        later = now + BACKOFF * one.failures
        changes = {"state": State.QUEUED, "reason": "", "not_before": later, "failures": one.failures + 1}
    elif answer.outcome == Outcome.FAILED:
        changes = {"state": State.FAILED, "reason": answer.detail[:200]}
    elif now - one.since >= way.patience:
        changes = {"state": State.PARKED}
    else:
        waited = now - one.since
        later = now + max(ASK_AGAIN, min(waited, ASK_AT_LEAST))
        Message.objects.filter(pk=claim.message, attempt=claim.attempt, state=State.UNKNOWN).update(not_before=later)
        return Counter()
    if answer.outcome not in {Outcome.UNKNOWN, Outcome.STOP, Outcome.SLOW_DOWN}:
        changes["doubtful"] = False
    return _move(claim.message, claim.attempt, changes, now=now)


def _move(message: int, attempt: int, changes: dict[str, object], *, now: datetime) -> Counter[str]:
    # The number and the state say that nobody settled it meanwhile.
    row = Message.objects.filter(pk=message, attempt=attempt, state=State.UNKNOWN)
    return Counter({f"resolved_{changes['state']}": row.update(**changes, changed_at=now)})
