"""What may no longer be sent, or not yet: asked once more at the last moment, for a whole claim at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import override

from tenants import clock, consents

# (state or "later", reason, not before)
Verdict = tuple[str, str, datetime | None]

# One line per claimed message. Each column answers one question; `judge` reads them in order.
# A marketing message counts against the cap from the moment it may have reached anybody, and a person who
# was merged from two tenants is one person.
FACTS = f"""
    SELECT m.id, m.klass, m.deadline, person.id AS person,
        coalesce(l.last_day < %(today)s, false) AS is_over,
        m.stops_on_answer AND EXISTS (
            SELECT FROM tenants_lease next WHERE next.renews_id = m.lease_id AND next.state <> 'void'
        ) AS is_answered,
        m.claims_id IS NOT NULL AND NOT coalesce(a.withdrawn_at IS NULL AND a.until >= %(today)s, false) AS is_untrue,
        m.tenant_id IS NOT NULL AND m.lease_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM tenants_leasetenant lt JOIN tenants_tenant holder ON holder.id = lt.tenant_id
            WHERE lt.lease_id = m.lease_id AND coalesce(holder.merged_into_id, holder.id) = person.id
        ) AS is_strange,
        m.klass = 'marketing' AND NOT coalesce((
            {consents.CURRENT_OF_ONE_SQL.format(purpose="'marketing'", person="person.id")}
        ), false) AS is_refused,
        (
            SELECT max(coalesce(other.sent_at, other.changed_at)) FROM tenants_message other
            WHERE m.klass = 'marketing' AND other.klass = 'marketing' AND other.id <> m.id
              AND other.tenant_id IN (SELECT id FROM tenants_tenant WHERE id = person.id OR merged_into_id = person.id)
              AND other.state IN ('sending', 'unknown', 'parked', 'accepted', 'delivered', 'undelivered')
        ) AS last_marketing
    FROM tenants_message m
    LEFT JOIN tenants_lease l ON l.id = m.lease_id
    LEFT JOIN tenants_announcement a ON a.id = m.claims_id
    LEFT JOIN tenants_tenant t ON t.id = m.tenant_id
    LEFT JOIN tenants_tenant person ON person.id = coalesce(t.merged_into_id, t.id)
    WHERE m.id = ANY(%(ids)s)
    ORDER BY m.not_before, m.id
"""  # noqa: S608 - every value is a parameter


def judge(ids: list[int], *, channel: str, now: datetime) -> dict[int, Verdict]:
    """The messages among `ids` that may not go now, each with what becomes of it and why."""
    with connection.cursor() as cursor:
        cursor.execute(FACTS, {"ids": ids, "today": clock.day_of(now), "channel": channel})
        names = [column.name for column in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    verdicts: dict[int, Verdict] = {}
    told: set[int] = set()  # people to whom this very claim sends marketing
    with override(settings.LANGUAGE_CODE):  # kept for staff to read
        for row in rows:
            verdict = _verdict(row, row["person"] in told, now)
            if verdict:
                verdicts[row["id"]] = verdict
            elif row["klass"] == "marketing":
                told.add(row["person"])
    return verdicts


def _verdict(row: dict[str, Any], told_just_now: bool, now: datetime) -> Verdict | None:
    is_marketing = row["klass"] == "marketing"
    if row["deadline"] <= now:
        return "expired", _("Its time has passed."), None
    if row["is_answered"]:
        return "cancelled", _("The lease has been renewed."), None
    if is_marketing and row["is_over"]:
        return "cancelled", _("The lease has ended."), None
    if row["is_strange"]:
        return "cancelled", _("The lease is not this person's."), None
    if row["is_untrue"]:
        return "suppressed", _("The announcement it speaks of no longer holds."), None
    if row["is_refused"]:
        return "suppressed", _("The tenant does not consent to offers."), None
    if row["klass"] in ("code", "staff", "system"):
        return None
    wakes = waking_hour(now)
    if wakes > now:
        return _later(row, wakes, _("Waits for the morning: no messages at night."))
    gap = timedelta(hours=settings.MARKETING_GAP_HOURS)
    last = now if told_just_now else row["last_marketing"]
    if is_marketing and last and last + gap > now:
        hours = settings.MARKETING_GAP_HOURS
        return _later(
            row, waking_hour(last + gap), _("Another offer went out less than %(n)s hours ago.") % {"n": hours}
        )
    return None


def _later(row: dict[str, Any], moment: datetime, why: str) -> Verdict:
    return ("expired", why, None) if moment >= row["deadline"] else ("later", why, moment)


def waking_hour(moment: datetime) -> datetime:
    """`moment` itself by day; else the next morning at which messages may be sent, Shanghai time."""
    local = moment.astimezone(clock.SHANGHAI)
    if local.hour < settings.QUIET_BEFORE_HOUR:
        return clock.at(local.date(), settings.QUIET_BEFORE_HOUR)
    if local.hour >= settings.QUIET_FROM_HOUR:
        return clock.at(local.date() + timedelta(days=1), settings.QUIET_BEFORE_HOUR)
    return moment
