"""Moods: each new bill's people are asked for one face, and their answers become events.

Whoever is on the lease of the day of the bill is asked, each with a link of their own, once a bill. The mood given
last holds, until the next bill is there. Events are not changed: a changed mood is a later event of the same bill.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import override

from connectors.records import Kind
from tenants import asking, clock, consents, ingest, links, outbox, templating
from tenants.models import BillAsk, Event, Link, Message, Tenant
from tenants.vocabulary import MOODS

ASK_DAYS = 10  # so long after a bill was issued its people are asked
OPEN_DAYS = 62  # so long their links open; once the next bill is there, they lead to it
ANSWER_DAYS = 14  # after so many days nobody remembers which month was meant: not sent any more
MOST_WORDS = 200
TEMPLATE = "mood-ask"  # by which it is asked on channels that send approved templates alone

# The newest bill of each lease that still runs, and whoever is on that lease; but nobody who has given their mood in
# the app already, and nobody who wants no questions.
_ASK_SQL = f"""
    WITH bill AS (
        SELECT DISTINCT ON (lease.id) lease.id AS lease_id, event.data->>'bill' AS bill, event.data->>'month' AS month,
            event.at
        FROM tenants_event event
        JOIN tenants_tenant payer ON payer.id = event.tenant_id
        JOIN LATERAL (
            SELECT lease.id, lease.last_day
            FROM tenants_tenant row
            JOIN tenants_leasetenant holder ON holder.tenant_id = row.id
            JOIN tenants_lease lease ON lease.id = holder.lease_id AND lease.state = 'signed'
                AND (event.at AT TIME ZONE 'Asia/Shanghai')::date BETWEEN lease.first_day AND lease.last_day
            WHERE row.id = coalesce(payer.merged_into_id, payer.id)
                OR row.merged_into_id = coalesce(payer.merged_into_id, payer.id)
            ORDER BY lease.first_day DESC, lease.id DESC LIMIT 1
        ) lease ON lease.last_day >= %(today)s
        WHERE event.kind = '{Kind.BILL_ISSUED}' AND event.at > %(since)s AND event.at <= %(now)s
          AND length(event.data->>'bill') BETWEEN 1 AND 100 AND event.data->>'month' ~ '^20\\d\\d-[01]\\d$'
        ORDER BY lease.id, event.data->>'month' DESC, event.at DESC, event.data->>'bill' DESC
    ), refused AS (
        SELECT tenant_id FROM ({consents.CURRENT_SQL}) said WHERE purpose = 'surveys' AND NOT granted
    ), asked AS (
        SELECT DISTINCT coalesce(person.merged_into_id, person.id) AS root, bill.*
        FROM bill
        JOIN tenants_leasetenant holder ON holder.lease_id = bill.lease_id
        JOIN tenants_tenant person ON person.id = holder.tenant_id
    )
    INSERT INTO tenants_billask (tenant_id, lease_id, bill, month, issued_at, asked_at)
    SELECT root, lease_id, bill, month, at, %(now)s FROM asked
    WHERE root NOT IN (SELECT tenant_id FROM refused)
      AND NOT EXISTS (
        SELECT FROM tenants_event given JOIN tenants_tenant giver ON giver.id = given.tenant_id
        WHERE given.kind = '{Kind.MOOD_GIVEN}' AND given.data->>'bill' = asked.bill
          AND coalesce(giver.merged_into_id, giver.id) = asked.root)
    ORDER BY root, bill
    ON CONFLICT (tenant_id, bill) DO NOTHING
    RETURNING id
"""  # noqa: S608 - every value is a parameter


class NoMood(Exception):
    """What was sent is no answer: why, in one sentence."""


class Over(Exception):
    """The next bill is there; `newest` is the token of the person's question about it, if they have one."""

    def __init__(self, newest: str) -> None:
        super().__init__(self.__doc__)
        self.newest = newest


@transaction.atomic
def ask(*, now: datetime) -> int:
    """Everybody is asked about their newest bill once: a row, a link and a message each. Says how many are new."""
    if not asking.is_on(asking.MOODS):
        return 0
    facts: dict[str, Any] = {
        "now": now,
        "today": clock.day_of(now),
        "since": now - timedelta(days=ASK_DAYS),
        "channel": consents.ANY,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ASK_SQL, facts)
        new = [pk for (pk,) in cursor.fetchall()]
    asks = list(BillAsk.objects.select_related("lease").filter(pk__in=new).order_by("pk"))
    links.mint_many([_wanted(one, now=now) for one in asks], now=now)
    standing = templating.shelf() if asks else {}
    with override(settings.LANGUAGE_CODE):
        outbox.post_many([_draft(one, standing) for one in asks], now=now)
    return len(asks)


def _wanted(one: BillAsk, *, now: datetime) -> links.Wanted:
    until = min(clock.at(one.lease.last_day + timedelta(days=1)), now + timedelta(days=OPEN_DAYS))
    return links.Wanted(carrier_of(one), one.tenant_id, one.lease_id, Link.Purpose.MOOD, until)


def _draft(one: BillAsk, standing: templating.Shelf) -> outbox.Draft:
    words = _("[%(operator)s] The bill of %(month)s is there. How was the month? One tap on a face is enough.")
    month, klass = month_words(one.month), Message.Class.SERVICE
    return outbox.Draft(
        key=f"mood:{one.pk}",
        klass=klass,
        tenant_id=one.tenant_id,
        lease_id=one.lease_id,
        text=words % {"operator": settings.OPERATOR_NAME, "month": month},
        forms=templating.forms_by(TEMPLATE, {"month": month}, klass=klass, standing=standing),
        deadline=one.issued_at + timedelta(days=ANSWER_DAYS),
        link_purpose=Link.Purpose.MOOD,
    )


def month_words(month: str) -> str:
    """A bill's month as a person says it."""
    year, number = month.split("-")
    return _("%(month)d/%(year)s") % {"month": int(number), "year": year}


def carrier_of(one: BillAsk) -> str:
    """What its link is carried by: its message."""
    return f"message:mood:{one.pk}"


def asked(token: str, *, now: datetime) -> BillAsk:
    """The question behind a link, while it takes an answer. Changes nothing. Raises as `links.find`, and `Over`."""
    link = links.find(token, purpose=Link.Purpose.MOOD, now=now)
    one = BillAsk.objects.select_related("tenant", "lease").filter(pk=link.carrier.rpartition(":")[2]).first()
    if one is None:
        raise links.Unknown
    if _next_is_there(one, now=now):
        raise Over(newest(link.tenant, after=one.month, now=now))
    return one


def _next_is_there(one: BillAsk, *, now: datetime) -> bool:
    """Whether somebody of the lease has a bill of a later month."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT EXISTS (
                SELECT FROM tenants_leasetenant holder
                JOIN tenants_tenant person ON person.id = holder.tenant_id
                JOIN tenants_tenant same ON same.id = coalesce(person.merged_into_id, person.id)
                    OR same.merged_into_id = coalesce(person.merged_into_id, person.id)
                JOIN tenants_event later ON later.tenant_id = same.id AND later.kind = 'bill.issued'
                    AND later.at > %(issued)s AND later.at <= %(now)s AND later.data->>'month' > %(month)s
                WHERE holder.lease_id = %(lease)s)
            """,
            {"issued": one.issued_at, "now": now, "month": one.month, "lease": one.lease_id},
        )
        return bool(cursor.fetchone()[0])


def newest(person: Tenant, *, after: str = "", now: datetime) -> str:
    """The token of a person's question about their newest bill, of a month after that one; empty where none opens."""
    rows = [row.pk for row in consents.rows_of(person)]
    one = BillAsk.objects.filter(tenant__in=rows, month__gt=after).order_by("-month", "-issued_at").first()
    return links.live_token(carrier_of(one), now=now) if one else ""


@transaction.atomic
def give(token: str, *, mood: str, words: str, now: datetime) -> BillAsk:
    """The mood holds for the bill, with its sentence if there is one. Raises as `asked`, and `NoMood`.

    The same answer again, or the same face without a sentence, changes nothing.
    """
    one = asked(token, now=now)
    # One answer of a person after the other: the first of two at once is known to the second.
    Link.objects.select_for_update().get(carrier=carrier_of(one))
    words = " ".join(words.replace("\0", "").split())
    if mood not in MOODS:
        raise NoMood(_("Please choose one of the three faces."))
    if len(words) > MOST_WORDS:
        raise NoMood(_("That is too long: %(most)d characters fit.") % {"most": MOST_WORDS})
    said = {"bill": one.bill, "mood": mood} | ({"text": words} if words else {})
    before = _given(one)
    if before and before.data.get("mood") == mood and (not words or before.data.get("text") == words):
        return one
    ours = Event.objects.filter(source=ingest.LETTER, source_id__startswith=f"mood:{one.pk}#").count()
    person = one.tenant.merged_into_id or one.tenant_id
    name = f"mood:{one.pk}#{ours + 1:03}"
    ingest.note(person, Kind.MOOD_GIVEN, name, said, at=now, now=now)
    return one


def _given(one: BillAsk) -> Event | None:
    """The mood that holds for the bill as this person gave it, from whatever source."""
    rows = [row.pk for row in consents.rows_of(one.tenant)]
    given = Event.objects.filter(tenant__in=rows, kind=Kind.MOOD_GIVEN, data__bill=one.bill)
    return given.order_by("-at", "-source", "-source_id").first()
