"""Keeping the outbox: what a person and a monitor see of it, and the two moves that only a person makes.

A message whose sending ended in doubt waits as `unknown`. Who cannot wait parks it; who has found out that
nothing arrived releases it again.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Min
from kombu import Connection
from kombu.exceptions import KombuError

from tenants.models import Attempt, Decision, Message, User
from tenants.outbox.posting import ring

State = Message.State
BROKER_PATIENCE = 1  # seconds; whoever asks whether we are ready asks again soon


class NotMovable(Exception):
    """A person asked for a move that the message's state does not allow."""


def counts() -> list[tuple[str, str, int]]:
    """How many messages there are, as (state, class, n), of every pair that occurs."""
    found = Message.objects.order_by("state", "klass").values_list("state", "klass").annotate(n=Count("id"))
    return [(state, klass, n) for state, klass, n in found]


def tries_of(messages: Collection[Message]) -> dict[int, list[Attempt]]:
    """By message its tries in order. One that is on its way has no line yet: what is told of it is not saved."""
    found: dict[int, list[Attempt]] = {message.pk: [] for message in messages}
    for line in Attempt.objects.filter(message__in=found).order_by("number"):
        found[line.message_id].append(line)
    for message in messages:
        tries = found[message.pk]
        if message.state == State.SENDING and message.attempt not in {line.number for line in tries}:
            tries.append(
                Attempt(message=message, number=message.attempt, channel=message.channel, started_at=message.changed_at)
            )
    return found


def oldest_due(*, now: datetime) -> float:
    """For how many seconds the oldest due message has waited; 0 when nothing is due."""
    due = Message.objects.filter(state__in=[State.PLANNED, State.QUEUED], not_before__lte=now)
    first: datetime | None = due.aggregate(first=Min("not_before"))["first"]
    return (now - first).total_seconds() if first else 0.0


def broker_answers() -> bool:
    """Whether the bell can be rung: Redis answers, or the folder that stands for it is there."""
    if not settings.REDIS_URL:
        return Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"]).is_dir()
    patience = {"socket_connect_timeout": BROKER_PATIENCE, "socket_timeout": BROKER_PATIENCE}
    with Connection(settings.REDIS_URL, transport_options=patience) as broker:
        try:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_PATIENCE)
        except (KombuError, OSError):
            return False
    return True


def park(message_id: int, *, by: User | None = None, why: str = "", now: datetime) -> None:
    """The message, whose sending ended in doubt, waits for a person. Raises `NotMovable`."""
    _move_one(message_id, State.UNKNOWN, State.PARKED, by=by, why=why or "parked by a person", now=now)


def release(message_id: int | None = None, *, by: User | None = None, why: str = "", now: datetime) -> int:
    """That parked message, or every one, is queued again; says how many. Raises `NotMovable` for one that is not.

    Whoever releases says that it has not arrived: it is sent once more, if it still may be.
    """
    if message_id is not None:
        _move_one(message_id, State.PARKED, State.QUEUED, by=by, why=why, now=now)
        released = 1
    else:
        parked = list(Message.objects.filter(state=State.PARKED).values_list("pk", flat=True))
        released = sum(_moved(pk, State.PARKED, State.QUEUED, by=by, why=why, now=now) for pk in parked)
    if released:
        ring()
    return released


def give_up(message_id: int, *, by: User | None, why: str = "", now: datetime) -> None:
    """The parked message is not sent again: it has arrived, or it no longer matters. Raises `NotMovable`."""
    _move_one(message_id, State.PARKED, State.CANCELLED, by=by, why=why, now=now)


VERDICTS = {
    State.PARKED: Decision.Verdict.PARKED,
    State.QUEUED: Decision.Verdict.RELEASED,
    State.CANCELLED: Decision.Verdict.CANCELLED,
}


def _move_one(
    message_id: int, old: Message.State, new: Message.State, *, by: User | None, why: str, now: datetime
) -> None:
    if _moved(message_id, old, new, by=by, why=why, now=now):
        return
    state = Message.objects.filter(pk=message_id).values_list("state", flat=True).first()
    if state is None:
        raise NotMovable(f"There is no message {message_id}.")
    raise NotMovable(f"Message {message_id} is {state}, and only one that is {old} can become {new}.")


@transaction.atomic
def _moved(
    message_id: int, old: Message.State, new: Message.State, *, by: User | None, why: str, now: datetime
) -> bool:
    changes: dict[str, object] = {"state": new, "reason": why[:200], "changed_at": now}
    if new == State.QUEUED:
        changes |= {"doubtful": False, "not_before": now, "reason": ""}
    if not Message.objects.filter(pk=message_id, state=old).update(**changes):
        return False
    Decision.objects.create(message_id=message_id, verdict=VERDICTS[new], by=by, why=why[:200], at=now)
    return True
