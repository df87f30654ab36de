"""Which steps have come due for whom, with all that decides about them: one query over all steps at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection

from campaigns import quiet, segments
from campaigns.conditions import JOINS_SQL
from campaigns.eligible import GOES_ON_SQL, PERSONAL_SQL
from campaigns.grammar import Bound
from campaigns.models import StepVersion
from tenants import clock, consents, features, troubles

CATCH_UP_DAYS = 7  # what came due longer ago is not made up for


@dataclass(slots=True)
class Due:
    """A step that has come due for one enrolment, with what decides about it."""

    lease: int
    tenant: int  # as enrolled: part of the row's key
    person: int  # who that turned out to be: who hears it
    cycle: str
    said: int  # the step in the version that is followed
    building: int
    due_on: date
    last_day: date
    enrolled_on: date
    start_why: str
    started_at: datetime | None
    fits: bool
    is_personal: bool  # agrees to personal wording
    agrees: bool  # to offers, on one channel of the house at least
    heard_lately: bool
    may_ask: bool  # the lease goes on, and nobody has answered
    fix_first: bool  # asks wait until what is wrong is put right
    trouble: (
        str | None
    )  # what that is, as in tenants.troubles; "apology" if one has just gone out, "promised" if it has yet to
    quiet: str | None  # why no playbook asks for a while (campaigns.quiet)
    held_on: date | None  # the last day it was held back
    held_why: str | None
    announcement: str | None
    general: bool = False  # hears the step's general wording
    held_out: bool = False  # hears no marketing (tenants.holdout)
    refusal: str = ""  # why not
    hold: str = ""  # why not yet


_DUE_SQL = f"""
WITH {features.PERSON_SQL},
personal AS ({PERSONAL_SQL}),
agreed AS ({consents.REACHABLE_SQL}),
-- Whom an apology reached, or is about to, within the hours that an ask keeps from it.
answered AS (
    SELECT DISTINCT person.root
    FROM campaigns_push push
    JOIN campaigns_stepversion said ON said.id = push.said_id AND said.kind = 'care'
    JOIN person ON person.id = push.tenant_id
    WHERE push.state IN ('planned', 'handed_over')
      AND push.created_at > %(now)s::timestamptz - interval '{troubles.HOURS} hours'
),
-- Whom one is still to reach: what was put right today is spoken of before anything is asked.
promised AS (
    SELECT DISTINCT person.root
    FROM campaigns_enrolment e
    JOIN campaigns_playbook playbook ON playbook.id = e.playbook_id AND playbook.is_active
    JOIN campaigns_stepversion said ON said.version_id = e.version_id AND said.kind = 'care'
    JOIN person ON person.id = e.tenant_id
    WHERE e.left_on IS NULL AND e.cycle <> '1' AND e.start_on + said.days > %(today)s
),
subject AS MATERIALIZED (
    SELECT e.id AS enrolment_id, e.version_id, e.lease_id, e.tenant_id AS enrolled_id, e.cycle, e.enrolled_on,
        e.start_on, e.start_why, e.started_at, e.fix_first, person.root AS tenant_id,
        person.root IN (SELECT tenant_id FROM personal) AS is_personal,
        person.root IN (SELECT tenant_id FROM agreed) AS agrees,
        CASE WHEN person.root IN (SELECT root FROM answered) THEN 'apology'
            WHEN person.root IN (SELECT root FROM promised) THEN 'promised' END AS sorry,
        EXISTS (
            SELECT FROM campaigns_push heard LEFT JOIN tenants_message told ON told.id = heard.message_id
            WHERE heard.lease_id = e.lease_id AND heard.tenant_id = e.tenant_id
              AND heard.state IN ('planned', 'handed_over') AND heard.created_at >= %(lately)s
              -- Nobody has heard what was dropped when it was to leave.
              AND told.state IS DISTINCT FROM 'suppressed') AS heard_lately,
        EXISTS (SELECT FROM tenants_lease lease WHERE lease.id = e.lease_id AND {GOES_ON_SQL})
        AND NOT EXISTS (SELECT FROM campaigns_enrolment final WHERE final.lease_id = e.lease_id AND final.is_final)
            AS may_ask,
        {quiet.WHY_SQL} AS quiet
    FROM campaigns_enrolment e JOIN person ON person.id = e.tenant_id
    WHERE e.left_on IS NULL
)
{{steps}}
ORDER BY lease, tenant, due_on, said, cycle
"""  # noqa: S608

_DUE_STEP_SQL = f"""
SELECT subject.lease_id AS lease, subject.enrolled_id AS tenant, subject.tenant_id AS person, subject.cycle,
    {{said}} AS said, u.building_id AS building, {{due_on}} AS due_on, l.last_day, subject.enrolled_on,
    subject.start_why, subject.started_at,
    {{condition}} AS fits, subject.is_personal, subject.agrees, subject.heard_lately, subject.may_ask,
    subject.fix_first, coalesce({troubles.SQL}, subject.sorry) AS trouble,
    subject.quiet, held.held_on, held.reason AS held_why, (
        SELECT live.text FROM tenants_announcement live
        WHERE live.building_id = u.building_id AND live.topic = {{topic}}
          AND live.until >= %(today)s AND live.withdrawn_at IS NULL
        ORDER BY live.on, live.id LIMIT 1) AS announcement
FROM subject {JOINS_SQL}
LEFT JOIN campaigns_push held ON held.lease_id = subject.lease_id AND held.tenant_id = subject.enrolled_id
    AND held.step_id = {{step}} AND held.cycle = subject.cycle
WHERE subject.version_id = {{version}} AND l.last_day >= %(today)s AND {{due_on}} <= %(today)s AND {{these}}
  AND (held.id IS NULL OR held.state = 'held')"""  # noqa: S608


def find(steps: Collection[StepVersion], *, today: date, now: datetime) -> list[Due]:
    """Every step that has come due for a live enrolment and is not decided yet."""
    if not steps:
        return []
    bound = Bound(today)
    parts = []
    for said in steps:
        due_on, these = _when(said, bound)
        parts.append(
            _DUE_STEP_SQL.format(
                said=bound.add(said.pk),
                step=bound.add(said.step_id),
                version=bound.add(said.version_id),
                due_on=due_on,
                these=these,
                topic=bound.add(said.claims_topic),
                condition=segments.condition(said.rule, bound),
            )
        )
    params = {**bound.values, "lately": clock.at(today - timedelta(days=CATCH_UP_DAYS - 1)), "now": now}
    params["channels"] = consents.offer_channels() or [consents.ANY]
    with connection.cursor() as cursor:
        cursor.execute(_DUE_SQL.format(steps=" UNION ALL ".join(parts)), params)
        return [Due(*row) for row in cursor.fetchall()]


def _when(said: StepVersion, bound: Bound) -> tuple[str, str]:
    """SQL of the day a step is due, and of the enrolments it is for."""
    match said.anchor:
        case StepVersion.Anchor.END:
            return f"(l.last_day - {bound.add(said.days)})", "TRUE"
        case StepVersion.Anchor.WAVE:
            day = f"{bound.add(said.on)}::date"
            ends = f"l.last_day BETWEEN {day} + {bound.add(said.ends_from)} AND {day} + {bound.add(said.ends_to)}"
            # Its roster is who was enrolled on the day: nobody catches up with a wave.
            return day, f"{ends} AND subject.enrolled_on <= {day}"
    return f"(subject.start_on + {bound.add(said.days)})", "TRUE"
