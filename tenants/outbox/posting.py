"""Writing messages, once per key, and ringing the bell that wakes a worker."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import override
from kombu.exceptions import KombuError

from connectors.channels import TENANTS, Channel, Reach, kind
from tenants.models import Lease, Message, Tenant

log = logging.getLogger(__name__)
STAFF = {Reach.PHONE, Reach.WECOM}
OTHERS = {Reach.GROUP, Reach.SYSTEM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message as a room asks for it. The key names the reason to speak, so the same reason speaks once.

    `{code}` in the text stands for six digits, derived when it is sent. A `link_purpose` gives it a link of
    its own, minted when it is sent. `claims_id` names the announcement the text relies on, and
    `stops_on_answer` drops it once the lease is renewed; `after_repairs` keeps it back while the tenant is in trouble;
    `is_personal` drops it once the tenant no longer agrees to personal wording.
    """

    key: str
    klass: str  # one of Message.Class
    text: str
    deadline: datetime
    not_before: datetime | None = None  # none: at once
    tenant_id: int | None = None
    user_id: int | None = None
    lease_id: int | None = None
    route: Sequence[str] = ()  # channels by preference; none: settings.CHANNELS that carry this class to this recipient
    forms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by channel, as in `Message.forms`
    priority: int = 0
    link_purpose: str = ""
    claims_id: int | None = None
    stops_on_answer: bool = False
    after_repairs: bool = False
    is_personal: bool = False


_NAMES = [each.name for each in fields(Draft)]
INSERT = """
    insert into tenants_message (key, klass, tenant_id, user_id, lease_id, channel, route, text, forms, priority,
                                 link_purpose, claims_id, stops_on_answer, after_repairs, is_personal, state, reason,
                                 not_before, deadline, attempt, created_at, changed_at)
    select key, klass, tenant_id, user_id, lease_id, coalesce(route[1], ''), coalesce(route[2:], '{}'), text, forms,
           priority, link_purpose, claims_id, stops_on_answer, after_repairs, is_personal,
           case when route = '{}' then 'suppressed' else 'queued' end,
           case when route = '{}' then %(nowhere)s else '' end,
           coalesce(not_before, %(now)s), deadline, 0, %(now)s, %(now)s
    from jsonb_to_recordset(%(drafts)s::jsonb) as draft (
        key text, klass text, tenant_id bigint, user_id bigint, lease_id bigint, route text[], text text,
        forms jsonb, priority smallint, link_purpose text, claims_id bigint, stops_on_answer boolean,
        after_repairs boolean, is_personal boolean, not_before timestamptz, deadline timestamptz)
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
    rows = json.dumps([_row(draft) for draft in drafts], cls=DjangoJSONEncoder)
    with override(settings.LANGUAGE_CODE):
        nowhere = _("No channel of this house carries such a message.")
    with connection.cursor() as cursor:
        cursor.execute(INSERT, {"drafts": rows, "now": now, "nowhere": nowhere})
        new: int = cursor.rowcount
    if new:
        ring()
    return new


def _row(draft: Draft) -> dict[str, Any]:
    # Not `asdict`, which copies every value in depth: half the time of posting.
    return {**{name: getattr(draft, name) for name in _NAMES}, "route": route(draft)}


def route(draft: Draft) -> list[str]:
    """The channels by which it may go, by preference: those that carry its class to its recipient, in a form it has."""
    wanted = draft.route or settings.CHANNELS
    return [name for name in wanted if name in settings.CHANNELS and _can_carry(kind(name), draft)]


def _can_carry(way: type[Channel], draft: Draft) -> bool:
    if draft.klass not in way.carries or (way.needs_template and way.name not in draft.forms):
        return False
    if draft.tenant_id:
        return way.reaches in TENANTS
    return way.reaches in STAFF if draft.user_id else way.reaches in OTHERS


def cancel_for_lease(lease: Lease, *, reason: str, now: datetime, tenant: Tenant | None = None, keys: str = "") -> int:
    """Nothing that stops on an answer waits any more for this lease; says how many were cancelled.

    Of one `tenant` only, whoever they are known as, or only what has a key that begins with `keys`, where that is
    said.
    """
    asking = Message.objects.filter(lease=lease, stops_on_answer=True)
    if tenant is not None:
        person = tenant.merged_into_id or tenant.pk
        asking = asking.filter(Q(tenant=person) | Q(tenant__merged_into=person))
    if keys:
        asking = asking.filter(key__startswith=keys)
    # What is claimed is held back if it still can be; it, and what proves absent, is cancelled at the next claim.
    on_its_way = [Message.State.SENDING, Message.State.UNKNOWN, Message.State.PARKED]
    asking.filter(state__in=on_its_way).update(recalled=True)
    waiting = asking.filter(state=Message.State.QUEUED)
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
