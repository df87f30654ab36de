"""The quarterly survey: how likely each person is to recommend us, asked once a quarter at most, and their answer.

People are asked spread over the quarter, each on a day drawn from a hash of who they are and which quarter it is, so
that a figure does not hang on one week. Nobody is asked soon after moving in, nobody who wants no questions, and
nobody to whom an offer or a question has just gone: they are asked within the next days.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from tenants import asking, clock, consents, links, outbox, templating
from tenants.models import Link, Message, Survey, Tenant

SPREAD_DAYS = 70  # of the quarter's 90 to 92: the last ones are left for answers
LATE_DAYS = 7  # so long after their day people are still asked: a day may not have been run, or an offer was just sent
OPEN_DAYS = 14
SEND_DAYS = 5
MOST_WORDS = 300
TEMPLATE = "survey-ask"  # by which it is asked on channels that send approved templates alone
REASONS = {
    "room": gettext_lazy("The room and the building"),
    "repair": gettext_lazy("Repairs"),
    "people": gettext_lazy("The people who work here"),
    "community": gettext_lazy("Neighbours and activities"),
    "place": gettext_lazy("Where it is"),
    "price": gettext_lazy("Rent and costs"),
    "quiet": gettext_lazy("How quiet it is"),
}

# Whoever lives here today, on their newest lease. Their day of the quarter is `slot`.
_ASK_SQL = f"""
    WITH person AS (
        SELECT coalesce(t.merged_into_id, t.id) AS root, lease.id AS lease_id, lease.first_day, lease.last_day,
            min(lease.first_day) OVER (PARTITION BY coalesce(t.merged_into_id, t.id)) AS since,
            row_number() OVER (
                PARTITION BY coalesce(t.merged_into_id, t.id),
                    %(today)s::date BETWEEN lease.first_day AND lease.last_day
                ORDER BY lease.first_day DESC, lease.id DESC) AS nth
        FROM tenants_lease lease
        JOIN tenants_leasetenant holder ON holder.lease_id = lease.id
        JOIN tenants_tenant t ON t.id = holder.tenant_id
        WHERE lease.state = 'signed'
    ), due AS (
        SELECT *, %(today)s::date - %(quarter)s::date
            - (('x' || left(md5(root || ':' || %(quarter)s::date), 8))::bit(32)::bigint %% {SPREAD_DAYS}) AS late
        FROM person
        WHERE nth = 1 AND %(today)s::date BETWEEN first_day AND last_day AND since <= %(moved_in_by)s
    ), refused AS (
        SELECT tenant_id FROM ({consents.CURRENT_SQL}) said WHERE purpose = 'surveys' AND NOT granted
    ), spoken_to AS (
        SELECT coalesce(t.merged_into_id, t.id) AS root
        FROM tenants_message m JOIN tenants_tenant t ON t.id = m.tenant_id
        WHERE (m.klass = 'marketing' OR m.link_purpose = 'mood')
          AND (m.state IN ('sending', 'unknown', 'accepted', 'delivered')
                AND coalesce(m.sent_at, m.changed_at) > %(gap)s
            OR m.state = 'queued' AND m.not_before <= %(now)s AND m.deadline > %(now)s)
    )
    INSERT INTO tenants_survey (tenant_id, lease_id, quarter, stay_months, asked_at, words, reasons)
    SELECT root, lease_id, %(quarter)s,
        (date_part('year', stay) * 12 + date_part('month', stay))::smallint, %(now)s, '', '{{}}'
    FROM due, age(%(today)s::date, since) AS stay
    WHERE late BETWEEN 0 AND {LATE_DAYS}
      AND root NOT IN (SELECT tenant_id FROM refused) AND root NOT IN (SELECT root FROM spoken_to)
      AND NOT EXISTS (
        SELECT FROM tenants_survey before JOIN tenants_tenant t ON t.id = before.tenant_id
        WHERE coalesce(t.merged_into_id, t.id) = due.root AND before.quarter = %(quarter)s)
    ORDER BY root
    ON CONFLICT (tenant_id, quarter) DO NOTHING
    RETURNING id
"""  # noqa: S608 - every value is a parameter


class NoAnswer(Exception):
    """What was sent is no answer: why, in one sentence."""


class Settled(Exception):
    """The survey was answered on an earlier day: the answer stands."""


def quarter_of(day: date) -> date:
    """The first day of a day's quarter."""
    return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)


@transaction.atomic
def ask(*, now: datetime) -> int:
    """Whoever's day has come is asked: a row, a link and a message each. Says how many are new."""
    if not asking.is_on(asking.SURVEYS):
        return 0
    today = clock.day_of(now)
    facts: dict[str, Any] = {
        "now": now,
        "today": today,
        "quarter": quarter_of(today),
        "moved_in_by": today - timedelta(days=settings.SURVEY_AFTER_DAYS),
        "gap": now - timedelta(hours=settings.MARKETING_GAP_HOURS),
        "channel": consents.ANY,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ASK_SQL, facts)
        new = [pk for (pk,) in cursor.fetchall()]
    asked = list(Survey.objects.select_related("lease__unit").filter(pk__in=new).order_by("pk"))
    links.mint_many([_wanted(one, now=now) for one in asked], now=now)
    standing = templating.shelf() if asked else {}
    with override(settings.LANGUAGE_CODE):
        outbox.post_many([_draft(one, standing, now=now) for one in asked], now=now)
    return len(asked)


def _wanted(one: Survey, *, now: datetime) -> links.Wanted:
    until = min(clock.at(one.lease.last_day + timedelta(days=1)), now + timedelta(days=OPEN_DAYS))
    return links.Wanted(carrier_of(one), one.tenant_id, one.lease_id, Link.Purpose.SURVEY, until)


def _draft(one: Survey, standing: templating.Shelf, *, now: datetime) -> outbox.Draft:
    words = _("[%(operator)s] Once a quarter we ask one question: would you recommend living here? It takes a minute.")
    klass = Message.Class.SERVICE
    return outbox.Draft(
        key=f"survey:{one.pk}",
        klass=klass,
        tenant_id=one.tenant_id,
        lease_id=one.lease_id,
        text=words % {"operator": settings.OPERATOR_NAME},
        forms=templating.forms_by(TEMPLATE, {"room": one.lease.unit.code}, klass=klass, standing=standing),
        deadline=now + timedelta(days=SEND_DAYS),
        link_purpose=Link.Purpose.SURVEY,
    )


def carrier_of(one: Survey) -> str:
    """What its link is carried by: its message."""
    return f"message:survey:{one.pk}"


def newest(person: Tenant, *, now: datetime) -> str:
    """The token of a person's newest survey; empty where none opens."""
    rows = [row.pk for row in consents.rows_of(person)]
    one = Survey.objects.filter(tenant__in=rows).order_by("-quarter").first()
    return links.live_token(carrier_of(one), now=now) if one else ""


def asked(token: str, *, now: datetime) -> Survey:
    """The survey behind a link, while it takes an answer. Changes nothing. Raises as `links.find`, and `Settled`."""
    link = links.find(token, purpose=Link.Purpose.SURVEY, now=now)
    one = Survey.objects.select_related("tenant").filter(pk=link.carrier.rpartition(":")[2]).first()
    if one is None:
        raise links.Unknown
    if one.answered_at and clock.day_of(one.answered_at) != clock.day_of(now):
        raise Settled
    return one


@transaction.atomic
def answer(token: str, *, score: str, reasons: list[str], words: str, now: datetime) -> Survey:
    """The answer stands; on the day it was first given it may be given anew. Raises as `asked`, and `NoAnswer`.

    The same answer again changes nothing.
    """
    one = asked(token, now=now)
    one = Survey.objects.select_for_update().get(pk=one.pk)
    words = " ".join(words.replace("\0", "").split())
    if score not in {str(n) for n in range(11)}:
        raise NoAnswer(_("Please choose a number from 0 to 10."))
    if len(words) > MOST_WORDS:
        raise NoAnswer(_("That is too long: %(most)d characters fit.") % {"most": MOST_WORDS})
    chosen = [code for code in REASONS if code in reasons]
    if one.answered_at and (one.score, one.reasons, one.words) == (int(score), chosen, words):
        return one
    one.score, one.reasons, one.words = int(score), chosen, words
    one.answered_at, one.changed_at = one.answered_at or now, now
    one.save(update_fields=["score", "reasons", "words", "answered_at", "changed_at"])
    return one
