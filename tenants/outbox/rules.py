"""What may no longer be sent, or not yet: asked once more at the last moment, for a whole claim at once."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import override

from tenants import clock, consents, holdout, preferred, recalling, troubles
from tenants.outbox import hours

AGAIN = timedelta(hours=1)  # after so long it is looked at again whether a repair is done
YIELDS = timedelta(minutes=15)  # so long a message that is due holds up what matters less to the same person
# (state, "later", or "next" for the next channel of its route; reason; not before)
Verdict = tuple[str, str, datetime | None]

# One line per message that has anything about it that could hold it back. Each column answers one question; `judge`
# reads them in order. A marketing message counts against the budget from the moment it may have reached anybody, and
# a person who was merged from two tenants is one person: what is asked of persons is asked once for all the rows they
# are known as.
_MAY_HAVE_REACHED = "other.state IN ('sending', 'unknown', 'parked', 'accepted', 'delivered', 'undelivered')"
FACTS = f"""
    WITH asked AS MATERIALIZED (
        SELECT m.id, m.klass, m.deadline, m.priority, m.not_before, m.tenant_id, m.lease_id, m.claims_id, m.route,
            m.stops_on_answer, m.after_repairs, m.is_personal, m.doubtful,
            coalesce(t.merged_into_id, t.id) AS person, m.klass = 'marketing' AS is_marketing
        FROM tenants_message m LEFT JOIN tenants_tenant t ON t.id = m.tenant_id
        WHERE m.id = ANY(%(ids)s)
    ), persons AS MATERIALIZED (
        SELECT person, count(*) AS offers FROM asked WHERE is_marketing GROUP BY person
    ), known AS MATERIALIZED (
        SELECT person AS id, person FROM persons
        UNION ALL
        SELECT t.id, t.merged_into_id FROM tenants_tenant t JOIN persons ON persons.person = t.merged_into_id
    ), consent AS (
        {consents.CURRENT_OF_KNOWN_SQL.format(purpose="'marketing'")}
    ), profile AS (
        {consents.PROFILE_OF_KNOWN_SQL}
    ), wish AS (
        {preferred.OF_KNOWN_SQL}
    ), others AS (
        SELECT m.id,
            max(coalesce(other.sent_at, other.changed_at)) FILTER (WHERE {_MAY_HAVE_REACHED}) AS last_marketing,
            count(*) FILTER (
                WHERE {_MAY_HAVE_REACHED} AND coalesce(other.sent_at, other.changed_at) >= %(month)s
            ) AS told_this_month,
            -- What is judged with it is judged in order; anything else that matters more goes first, on any channel.
            max(other.not_before) FILTER (
                WHERE other.state = 'queued' AND other.id <> ALL(%(ids)s)
                  AND other.priority > m.priority AND other.deadline > %(now)s
                  AND other.not_before <= %(now)s AND other.not_before > %(held_up_since)s
            ) AS rival_since
        FROM asked m
        JOIN known ON known.person = m.person
        JOIN tenants_message other ON other.tenant_id = known.id AND other.klass = 'marketing' AND other.id <> m.id
        WHERE m.is_marketing
        GROUP BY m.id
    ), facts AS MATERIALIZED (
        SELECT m.id, m.klass, m.deadline, m.priority, m.not_before, m.person,
            coalesce(l.last_day < %(today)s, false) AS is_over,
            m.stops_on_answer AND EXISTS (
                SELECT FROM tenants_lease next WHERE next.renews_id = m.lease_id AND next.state <> 'void'
            ) AS is_answered,
            m.claims_id IS NOT NULL AND NOT coalesce(a.withdrawn_at IS NULL AND a.until >= %(today)s, false)
                AS is_untrue,
            m.tenant_id IS NOT NULL AND m.lease_id IS NOT NULL AND NOT EXISTS (
                SELECT FROM tenants_leasetenant lt JOIN tenants_tenant holder ON holder.id = lt.tenant_id
                WHERE lt.lease_id = m.lease_id AND coalesce(holder.merged_into_id, holder.id) = m.person
            ) AS is_strange,
            m.is_marketing AND NOT coalesce(consent.granted, false) AS is_refused,
            m.is_personal AND NOT coalesce(profile.granted, false) AS is_too_personal,
            m.is_marketing AND {holdout.HELD_OUT_SQL.format(lease="m.lease_id", person="m.person")} AS is_held_out,
            CASE WHEN m.is_marketing THEN wish.hours END AS preferred,
            -- What may have gone by this channel before the database was restored goes by no other.
            NOT m.doubtful AND m.route && %(channels)s::varchar[] AS may_go_on,
            others.last_marketing,
            coalesce(others.told_this_month, 0) AS told_this_month,
            others.rival_since,
            CASE WHEN m.after_repairs THEN {troubles.SQL} END AS trouble,
            m.is_marketing AND persons.offers > 1 AS is_one_of_several
        FROM asked m
        LEFT JOIN tenants_lease l ON l.id = m.lease_id
        LEFT JOIN tenants_announcement a ON a.id = m.claims_id
        LEFT JOIN tenants_feature f ON f.tenant_id = m.person
        LEFT JOIN persons ON persons.person = m.person
        LEFT JOIN consent ON consent.person = m.person
        LEFT JOIN profile ON profile.person = m.person
        LEFT JOIN wish ON wish.person = m.person
        LEFT JOIN others ON others.id = m.id
    )
    SELECT * FROM facts
    WHERE deadline <= %(now)s OR is_over OR is_answered OR is_untrue OR is_strange OR is_refused OR is_too_personal
        OR is_held_out OR trouble IS NOT NULL OR preferred IS NOT NULL OR last_marketing IS NOT NULL
        OR rival_since IS NOT NULL OR is_one_of_several OR klass = ANY(%(watched)s)
    ORDER BY priority DESC, not_before, id
"""  # noqa: S608 - every value is a parameter


def judge(ids: list[int], *, channel: str, now: datetime) -> dict[int, Verdict]:
    """The messages among `ids` that may not go now, each with what becomes of it and why."""
    today = clock.day_of(now)
    params = {"ids": ids, "today": today, "channel": channel, "channels": settings.CHANNELS, "now": now}
    params |= {"month": clock.at(today.replace(day=1)), "held_up_since": now - YIELDS, "watched": _watched(now)}
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


def _watched(now: datetime) -> list[str]:
    """The classes of which no message may go now for what it is alone: all of theirs are looked at."""
    shut = hours.shut(now)
    return shut if settings.MARKETING_PER_MONTH > 0 else [*shut, "marketing"]


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
    if row["is_too_personal"]:
        return "suppressed", recalling.too_personal(), None
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
