"""What an experiment's audience did until a moment, person by person and counted by arm.

assigned    everybody an arm was drawn for: what every share is a share of (intention to treat)
accepted    a channel took the message
delivered   its receipt said so, by now
opened      the letter was opened by a POST that nobody proves to be a person's: scanners post too
clicked     a proven click: a person's gesture, or an opening that the code confirmed later
signed      a lease follows the one in question
refused     offers were refused since the start
answered    the tenant gave notice, declined, or stays without a new lease
complained  the tenant reported something of a category of COMPLAINTS since the start
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from campaigns.models import Experiment
from tenants import clock

GUARDED = ("refused", "answered", "complained")  # what a wording must not bring about
COUNTED = ("accepted", "delivered", "opened", "clicked", "signed", *GUARDED)
COMPLAINTS = ("投诉", "complaint")
USUAL_DAYS, USUAL_HOURS = 90, 72  # the asks of so many days, and what followed each within so many hours
USUAL_LEAST = 200  # asks from which a usual rate is known

_OUTCOMES_SQL = """
    SELECT arm.letter, seat.block, seat.household, seat.at,
        coalesce(message.sent_at <= %(at)s, false) AS accepted,
        coalesce(message.state = 'delivered', false) AS delivered,
        coalesce(click.opened_at <= %(at)s AND click.proven_at IS NULL OR click.proven_at > %(at)s, false) AS opened,
        CASE WHEN click.proven_at <= %(at)s THEN click.proven_at END AS clicked_at, (
            SELECT min(next.signed_on) FROM tenants_lease next
            WHERE next.renews_id = seat.lease_id AND next.state = 'signed' AND next.signed_on <= %(day)s) AS signed_on,
        EXISTS (
            SELECT FROM tenants_consent no JOIN tenants_tenant t ON t.id = no.tenant_id
            WHERE coalesce(t.merged_into_id, t.id) = coalesce(person.merged_into_id, person.id)
              AND no.purpose = 'marketing' AND NOT no.granted AND no.at BETWEEN seat.at AND %(at)s) AS refused,
        EXISTS (
            SELECT FROM campaigns_enrolment final
            WHERE final.lease_id = seat.lease_id AND final.is_final AND final.left_on <= %(day)s
              AND NOT EXISTS (SELECT FROM tenants_lease next
                              WHERE next.renews_id = seat.lease_id AND next.state = 'signed')) AS answered,
        EXISTS (
            SELECT FROM tenants_event report JOIN tenants_tenant t ON t.id = report.tenant_id
            WHERE coalesce(t.merged_into_id, t.id) = coalesce(person.merged_into_id, person.id)
              AND report.kind = 'ticket.reported' AND report.data ->> 'category' = ANY(%(complaints)s)
              AND report.at BETWEEN seat.at AND %(at)s) AS complained
    FROM campaigns_assigned seat
    JOIN campaigns_arm arm ON arm.id = seat.arm_id
    JOIN campaigns_experiment experiment ON experiment.id = seat.experiment_id
    JOIN tenants_tenant person ON person.id = seat.tenant_id
    -- The push that the arm was drawn for: of a step that follows an event there may be others, of other cycles.
    LEFT JOIN LATERAL (
        SELECT * FROM campaigns_push
        WHERE lease_id = seat.lease_id AND tenant_id = seat.tenant_id AND step_id = experiment.step_id
          AND created_at <= seat.at
        ORDER BY created_at DESC LIMIT 1
    ) push ON true
    LEFT JOIN tenants_message message ON message.id = push.message_id
    LEFT JOIN tenants_link link ON link.carrier = 'message:' || message.key
    LEFT JOIN tenants_click click ON click.link_id = link.id
    WHERE seat.experiment_id = %(experiment)s
    ORDER BY seat.block, arm.letter, seat.id
"""

# The asks a channel took, and what their tenants did in the hours after, whatever the reason.
_USUAL_SQL = """
    WITH asked AS (
        SELECT push.lease_id, coalesce(t.merged_into_id, t.id) AS root, message.sent_at AS since,
            message.sent_at + %(hours)s AS until
        FROM campaigns_push push
        JOIN campaigns_stepversion said ON said.id = push.said_id AND said.kind = 'ask'
        JOIN tenants_tenant t ON t.id = push.tenant_id
        JOIN tenants_message message ON message.id = push.message_id
        WHERE message.sent_at > %(at)s - %(days)s AND message.sent_at + %(hours)s <= %(at)s
    )
    SELECT count(*) AS asked,
        count(*) FILTER (WHERE EXISTS (
            SELECT FROM tenants_consent no JOIN tenants_tenant t ON t.id = no.tenant_id
            WHERE coalesce(t.merged_into_id, t.id) = asked.root AND no.purpose = 'marketing' AND NOT no.granted
              AND no.at BETWEEN asked.since AND asked.until)) AS refused,
        count(*) FILTER (WHERE EXISTS (
            SELECT FROM campaigns_enrolment final
            WHERE final.lease_id = asked.lease_id AND final.is_final
              AND final.left_on BETWEEN (asked.since AT TIME ZONE 'Asia/Shanghai')::date
                                    AND (asked.until AT TIME ZONE 'Asia/Shanghai')::date
              AND NOT EXISTS (SELECT FROM tenants_lease next
                              WHERE next.renews_id = asked.lease_id AND next.state = 'signed'))) AS answered,
        count(*) FILTER (WHERE EXISTS (
            SELECT FROM tenants_event report JOIN tenants_tenant t ON t.id = report.tenant_id
            WHERE coalesce(t.merged_into_id, t.id) = asked.root AND report.kind = 'ticket.reported'
              AND report.data ->> 'category' = ANY(%(complaints)s)
              AND report.at BETWEEN asked.since AND asked.until)) AS complained
    FROM asked
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one person of the audience."""

    letter: str
    block: int
    household: str
    assigned_at: datetime
    accepted: bool
    delivered: bool
    opened: bool
    clicked_at: datetime | None
    signed_on: date | None
    refused: bool
    answered: bool
    complained: bool

    @property
    def clicked(self) -> bool:
        return self.clicked_at is not None

    @property
    def signed(self) -> bool:
        return self.signed_on is not None


def outcomes(experiment: Experiment, *, at: datetime) -> list[Outcome]:
    """Everybody of the audience, block by block, as known at `at`."""
    with connection.cursor() as cursor:
        params: dict[str, Any] = {
            "experiment": experiment.pk,
            "at": at,
            "day": clock.day_of(at),
            "complaints": list(COMPLAINTS),
        }
        cursor.execute(_OUTCOMES_SQL, params)
        return [Outcome(*row) for row in cursor.fetchall()]


def usual(*, at: datetime) -> dict[str, float]:
    """{"asked": asks of 90 days, and of each of GUARDED the share of them that it followed within 72 hours}.

    One more than was seen is taken, so that what was never seen is not impossible. {} where fewer than USUAL_LEAST
    asks are known.
    """
    params: dict[str, Any] = {
        "at": at,
        "days": timedelta(days=USUAL_DAYS),
        "hours": timedelta(hours=USUAL_HOURS),
        "complaints": list(COMPLAINTS),
    }
    with connection.cursor() as cursor:
        cursor.execute(_USUAL_SQL, params)
        asked, *happened = cursor.fetchone()
    if asked < USUAL_LEAST:
        return {}
    return {"asked": asked} | {what: (k + 1) / asked for what, k in zip(GUARDED, happened, strict=True)}


def count(rows: Iterable[Outcome], letters: Iterable[str]) -> dict[str, dict[str, int]]:
    """By arm how many were assigned, and of them how many each of COUNTED happened to."""
    found = {letter: dict.fromkeys(("assigned", *COUNTED), 0) for letter in letters}
    for row in rows:
        arm = found[row.letter]
        arm["assigned"] += 1
        for what in COUNTED:
            arm[what] += getattr(row, what)
    return found
