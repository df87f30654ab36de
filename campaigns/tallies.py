"""What an experiment's audience did until a moment, person by person and counted by arm.

assigned    everybody an arm was drawn for: what every share is a share of (intention to treat)
accepted    a channel took the message
delivered   its receipt said so, by now
opened      the letter was opened by a POST that nobody proves to be a person's: scanners post too
clicked     a proven click: a person's gesture, or an opening that the code confirmed later
signed      a lease follows the one in question
refused     offers were refused since the start
answered    the tenant gave notice, declined, or stays without a new lease
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection

from campaigns.models import Experiment
from tenants import clock

COUNTED = ("accepted", "delivered", "opened", "clicked", "signed", "refused", "answered")

_OUTCOMES_SQL = """
    SELECT arm.letter, seat.block, seat.household,
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
                              WHERE next.renews_id = seat.lease_id AND next.state = 'signed')) AS answered
    FROM campaigns_assigned seat
    JOIN campaigns_arm arm ON arm.id = seat.arm_id
    JOIN campaigns_experiment experiment ON experiment.id = seat.experiment_id
    JOIN tenants_tenant person ON person.id = seat.tenant_id
    LEFT JOIN campaigns_push push ON push.lease_id = seat.lease_id AND push.tenant_id = seat.tenant_id
        AND push.step_id = experiment.step_id AND push.cycle = '1'
    LEFT JOIN tenants_message message ON message.id = push.message_id
    LEFT JOIN tenants_link link ON link.carrier = 'message:' || message.key
    LEFT JOIN tenants_click click ON click.link_id = link.id
    WHERE seat.experiment_id = %(experiment)s
    ORDER BY seat.block, arm.letter, seat.id
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one person of the audience."""

    letter: str
    block: int
    household: str
    accepted: bool
    delivered: bool
    opened: bool
    clicked_at: datetime | None
    signed_on: date | None
    refused: bool
    answered: bool

    @property
    def clicked(self) -> bool:
        return self.clicked_at is not None

    @property
    def signed(self) -> bool:
        return self.signed_on is not None


def outcomes(experiment: Experiment, *, at: datetime) -> list[Outcome]:
    """Everybody of the audience, block by block, as known at `at`."""
    with connection.cursor() as cursor:
        cursor.execute(_OUTCOMES_SQL, {"experiment": experiment.pk, "at": at, "day": clock.day_of(at)})
        return [Outcome(*row) for row in cursor.fetchall()]


def count(rows: Iterable[Outcome], letters: Iterable[str]) -> dict[str, dict[str, int]]:
    """By arm how many were assigned, and of them how many each of COUNTED happened to."""
    found = {letter: dict.fromkeys(("assigned", *COUNTED), 0) for letter in letters}
    for row in rows:
        arm = found[row.letter]
        arm["assigned"] += 1
        for what in COUNTED:
            arm[what] += getattr(row, what)
    return found
