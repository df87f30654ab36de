"""Taking offers back: who has just refused them, or personal wording, hears none, not even one that is claimed already.

Apart from the outbox, because the consent ledger calls it in the transaction that records a refusal.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import override

# What waits for a channel that was refused is looked at again when it is claimed: another channel may remain.
RECALL = """
    UPDATE tenants_message m
    SET state = CASE WHEN state = 'queued' THEN 'suppressed' ELSE state END, recalled = state = 'sending',
        reason = CASE WHEN state = 'queued' THEN %(reason)s ELSE reason END,
        -- What is claimed keeps the moment of its claim.
        changed_at = CASE WHEN state = 'queued' THEN %(now)s ELSE changed_at END
    WHERE klass = 'marketing' AND (is_personal OR NOT %(only_personal)s) AND tenant_id IN (
        SELECT id FROM tenants_tenant
        WHERE coalesce(merged_into_id, id) IN (
            SELECT coalesce(merged_into_id, id) FROM tenants_tenant WHERE id = ANY(%(tenants)s)))
      AND (state IN ('queued', 'sending') AND %(channel)s = 'any' OR state = 'sending' AND channel = %(channel)s)
"""

QUESTIONS = """
    UPDATE tenants_message m
    SET state = CASE WHEN state = 'queued' THEN 'suppressed' ELSE state END, recalled = state = 'sending',
        reason = CASE WHEN state = 'queued' THEN %(reason)s ELSE reason END, changed_at = %(now)s
    WHERE link_purpose IN ('mood', 'survey') AND state IN ('queued', 'sending') AND tenant_id IN (
        SELECT id FROM tenants_tenant
        WHERE coalesce(merged_into_id, id) IN (
            SELECT coalesce(merged_into_id, id) FROM tenants_tenant WHERE id = ANY(%(tenants)s)))
"""


def offers(tenants: Collection[int], *, channel: str = "any", now: datetime) -> int:
    """Offers to these persons, on that channel, are not sent: what waits is dropped, what is claimed is held back.

    Says how many there were. Only what is being handed over at this very moment can no longer be held back.
    """
    with override(settings.LANGUAGE_CODE):
        reason = _("The tenant does not consent to offers.")
    return _recall(tenants, channel=channel, reason=reason, only_personal=False, now=now)


def personal(tenants: Collection[int], *, channel: str = "any", now: datetime) -> int:
    """The same of those offers whose words were chosen by what these persons do. Says how many there were."""
    return _recall(tenants, channel=channel, reason=too_personal(), only_personal=True, now=now)


def questions(tenants: Collection[int], *, now: datetime) -> int:
    """No question about a bill or about living here goes to these persons any more; says how many there were."""
    with override(settings.LANGUAGE_CODE):
        reason = _("The tenant wants no questions.")
    with connection.cursor() as cursor:
        cursor.execute(QUESTIONS, {"tenants": list(tenants), "reason": reason, "now": now})
        recalled: int = cursor.rowcount
    return recalled


def too_personal() -> str:
    """Why what was chosen by what somebody does is not sent, in words."""
    with override(settings.LANGUAGE_CODE):
        return _("The tenant does not agree to personal wording.")


def _recall(tenants: Collection[int], *, channel: str, reason: str, only_personal: bool, now: datetime) -> int:
    facts: dict[str, Any] = {
        "tenants": list(tenants),
        "channel": channel,
        "reason": reason,
        "only_personal": only_personal,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(RECALL, facts)
        recalled: int = cursor.rowcount
    return recalled
