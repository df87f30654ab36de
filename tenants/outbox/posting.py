"""Writing messages, once per key, and ringing the bell that wakes a worker."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from celery import current_app
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from kombu.exceptions import KombuError

from tenants.models import Lease, Message

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message as a room asks for it. The key names the reason to speak, so the same reason speaks once.

    `{code}` in the text stands for six digits, derived when it is sent. A `link_purpose` gives it a link of
    its own, minted when it is sent. `claims_id` names the announcement the text relies on, and
    `stops_on_answer` drops it once the lease is renewed.
    """

    key: str
    klass: str  # one of Message.Class
    text: str
    deadline: datetime
    not_before: datetime | None = None  # none: at once
    tenant_id: int | None = None
    user_id: int | None = None
    lease_id: int | None = None
    channel: str = ""  # empty: the first of settings.CHANNELS
    link_purpose: str = ""
    claims_id: int | None = None
    stops_on_answer: bool = False


INSERT = """
    insert into tenants_message (key, klass, tenant_id, user_id, lease_id, channel, text, link_purpose, claims_id,
                                 stops_on_answer, state, reason, not_before, deadline, attempt, created_at, changed_at)
    select key, klass, tenant_id, user_id, lease_id, coalesce(nullif(channel, ''), %(channel)s), text, link_purpose,
           claims_id, stops_on_answer, 'queued', '', coalesce(not_before, %(now)s), deadline, 0, %(now)s, %(now)s
    from jsonb_to_recordset(%(drafts)s::jsonb) as draft (
        key text, klass text, tenant_id bigint, user_id bigint, lease_id bigint, channel text, text text,
        link_purpose text, claims_id bigint, stops_on_answer boolean, not_before timestamptz, deadline timestamptz)
    on conflict (key) do nothing
"""


def post(draft: Draft, *, now: datetime) -> Message:
    """The message of this key is in the outbox, be it by this call or by an earlier one."""
    post_many([draft], now=now)
    return Message.objects.get(key=draft.key)


def post_many(drafts: Sequence[Draft], *, now: datetime) -> int:
    """Every draft's message is in the outbox; says how many are new. Keys that were there stay as they were."""
    if not drafts:
        return 0
    rows = json.dumps([asdict(draft) for draft in drafts], cls=DjangoJSONEncoder)
    channel = settings.CHANNELS[0] if settings.CHANNELS else ""
    with connection.cursor() as cursor:
        cursor.execute(INSERT, {"drafts": rows, "channel": channel, "now": now})
        new: int = cursor.rowcount
    if new:
        ring()
    return new


def cancel_for_lease(lease: Lease, *, reason: str, now: datetime) -> int:
    """Nothing that stops on an answer waits any more for this lease; says how many were cancelled."""
    waiting = Message.objects.filter(lease=lease, stops_on_answer=True, state=Message.State.QUEUED)
    return waiting.update(state=Message.State.CANCELLED, reason=reason, changed_at=now)


def ring() -> None:
    """After the commit a worker is told to look. Losing the bell costs seconds: the sweep needs none."""
    transaction.on_commit(_ring)


def _ring() -> None:
    try:
        # No retry here: a tenant's request must not wait for a broker that is away.
        current_app.send_task(settings.OUTBOX_BELL, retry=False, expires=60)
    except (KombuError, OSError) as error:
        log.warning("The outbox bell did not ring (%s); the sweep will find what is due.", type(error).__name__)
