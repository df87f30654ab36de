"""What may no longer be sent, or not yet: asked once more at the last moment, for a whole claim at once."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import override

from tenants import clock, consents, holdout, preferred, troubles
from tenants.outbox import hours

AGAIN = timedelta(hours=1)  # after so long it is looked at again whether a repair is done
YIELDS = timedelta(minutes=15)  # so long a message that is due holds up what matters less to the same person
# (state, "later", or "next" for the next channel of its route; reason; not before)
Verdict = tuple[str, str, datetime | None]

# One line per claimed message. Each column answers one question; `judge` reads them in order.
# A marketing message counts against the budget from the moment it may have reached anybody, and a person who
# was merged from two tenants is one person.
_OTHERS = """
            FROM tenants_message other
            WHERE m.klass = 'marketing' AND other.klass = 'marketing' AND other.id <> m.id
              AND other.tenant_id IN (SELECT id FROM tenants_tenant WHERE id = person.id OR merged_into_id = person.id)
"""
_MAY_HAVE_REACHED = "other.state IN ('sending', 'unknown', 'parked', 'accepted', 'delivered', 'undelivered')"
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
        m.klass = 'marketing' AND {holdout.HELD_OUT_SQL.format(lease="m.lease_id", person="person.id")} AS is_held_out,
        CASE WHEN m.klass = 'marketing' THEN {preferred.SQL.format(person="person.id")} END AS preferred,
        -- What may have gone by this channel before the database was restored goes by no other.
        NOT m.doubtful AND m.route && %(channels)s::varchar[] AS may_go_on,
        (
            SELECT max(coalesce(other.sent_at, other.changed_at)) {_OTHERS} AND {_MAY_HAVE_REACHED}
        ) AS last_marketing,
        (
            SELECT count(*) {_OTHERS} AND {_MAY_HAVE_REACHED}
              AND coalesce(other.sent_at, other.changed_at) >= %(month)s
        ) AS told_this_month,
        -- What is judged with it is judged in order; anything else that matters more goes first, by whatever channel.
        (
            SELECT max(other.not_before) {_OTHERS} AND other.state = 'queued' AND other.id <> ALL(%(ids)s)
              AND other.priority > m.priority AND other.deadline > %(now)s
              AND other.not_before <= %(now)s AND other.not_before > %(held_up_since)s
        ) AS rival_since,
        CASE WHEN m.after_repairs THEN {troubles.SQL} END AS trouble
    FROM tenants_message m
    LEFT JOIN tenants_lease l ON l.id = m.lease_id
    LEFT JOIN tenants_announcement a ON a.id = m.claims_id
    LEFT JOIN tenants_tenant t ON t.id = m.tenant_id
    LEFT JOIN tenants_tenant person ON person.id = coalesce(t.merged_into_id, t.id)
    LEFT JOIN tenants_feature f ON f.tenant_id = person.id
    WHERE m.id = ANY(%(ids)s)
    ORDER BY m.priority DESC, m.not_before, m.id
"""  # noqa: S608 - every value is a parameter


def judge(ids: list[int], *, channel: str, now: datetime) -> dict[int, Verdict]:
    """The messages among `ids` that may not go now, each with what becomes of it and why."""
    today = clock.day_of(now)
    params = {"ids": ids, "today": today, "channel": channel, "channels": settings.CHANNELS, "now": now}
    params |= {"month": clock.at(today.replace(day=1)), "held_up_since": now - YIELDS}
    with connection.cursor() as cursor:
        cursor.execute(FACTS, params)
        names = [column.name for column in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    verdicts: dict[int, Verdict] = {}
    told: Counter[int] = Counter()  # people to whom this very claim sends marketing
    with override(settings.LANGUAGE_CODE):  # kept for staff to read
        for row in rows:
            verdict = _verdict(row, told[row["person"]], now)
            if verdict:
                verdicts[row["id"]] = verdict
            elif row["klass"] == "marketing":
                told[row["person"]] += 1
    return verdicts


def _verdict(row: dict[str, Any], told_just_now: int, now: datetime) -> Verdict | None:
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
    if row["is_refused"] and row["may_go_on"]:  # which is looked at there in its turn
        return "next", _("The tenant does not consent to offers on this channel."), None
    if row["is_refused"]:
        return "suppressed", _("The tenant does not consent to offers."), None
    if row["is_held_out"]:
        return "suppressed", holdout.words(), None
    if row["klass"] in hours.AT_ALL_HOURS:
        return None
    if row["trouble"]:
        return _later(row, now + AGAIN, troubles.words(row["trouble"]))
    if hours.opens(row["klass"], now) > now:
        return _later(row, now, _quiet(row["klass"], now))
    if (wanted := _wanted(row)) and hours.opens(row["klass"], now, wanted=wanted) > now:
        why = _("Waits for the hours the tenant prefers, %(first)s to %(end)s.")
        return _later(row, now, why % {"first": wanted[0], "end": wanted[1]})
    return _over_budget(row, told_just_now, now) if is_marketing else None


def _quiet(klass: str, now: datetime) -> str:
    """Why nothing of this class goes now, in words."""
    working = hours.window("service", clock.day_of(now))
    is_by_day = working[0] <= now.astimezone(clock.SHANGHAI).hour < working[1]
    if is_by_day and hours.is_rest(clock.day_of(now)) is not None:
        return _("Waits for its hours: on days off offers go later and stop earlier.")
    if is_by_day:
        return _("Waits for its hours: the calendar of holidays does not know this year yet.")
    return _("Waits for the morning: no messages at night.")


def _over_budget(row: dict[str, Any], told_just_now: int, now: datetime) -> Verdict | None:
    """What the tenant's attention has been asked for already, over all channels and playbooks."""
    most = settings.MARKETING_PER_MONTH
    if row["told_this_month"] + told_just_now >= most:
        first = clock.day_of(now).replace(day=1)
        next_month = clock.at((first + timedelta(days=31)).replace(day=1))
        return _later(row, next_month, _("This month's offers to the tenant, %(n)s, have gone out.") % {"n": most})
    gap = timedelta(hours=settings.MARKETING_GAP_HOURS)
    last = now if told_just_now else row["last_marketing"]
    if last and last + gap > now:
        why = _("Another offer went out less than %(n)s hours ago.")
        return _later(row, last + gap, why % {"n": settings.MARKETING_GAP_HOURS})
    if row["rival_since"]:
        return _later(row, row["rival_since"] + YIELDS, _("An offer that matters more goes first."))
    return None


def _later(row: dict[str, Any], moment: datetime, why: str) -> Verdict:
    """Not before `moment`, and then in the hours of its class."""
    moment = hours.opens(row["klass"], moment, wanted=_wanted(row))
    return ("expired", why, None) if moment >= row["deadline"] else ("later", why, moment)


def _wanted(row: dict[str, Any]) -> tuple[int, int] | None:
    first, end = row["preferred"] or (None, None)
    return None if first is None or end is None else (first, end)


def taken_back() -> str:
    """Why what was on its way when the tenant answered does not go again, in words."""
    with override(settings.LANGUAGE_CODE):
        return _("It was taken back while it was on its way.")
