"""剧本: which lease follows which sequence of steps, from when to when.

Enrolment looks at leases that end within the widest step of a playbook. A tenant enters the first playbook, by
rank, whose segment selects them, once per lease; later changes of tags move nobody. A playbook with a segment is
personal, so it takes only those who consent to profiling and did not choose the general version; one without
takes everybody. Who withdraws that consent is moved to the playbook for everybody the same day. A lease that is
renewed, ended or over leaves, and so does one for which the tenant has given an answer (`stop`).
"""

from __future__ import annotations

from datetime import date, datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns import segments, shipped
from campaigns.conditions import JOINS_SQL
from campaigns.grammar import Bound
from campaigns.models import Enrolment, Playbook, Segment, Step
from tenants import consents, features, perks
from tenants.models import Lease, LeaseTenant, Perk

# Those to whom personal wording may be said: tenant_id. Expects %(channel)s.
PERSONAL_SQL = f"""
    SELECT consent.tenant_id
    FROM ({consents.CURRENT_SQL}) consent
    WHERE consent.purpose = 'profiling' AND consent.granted
      AND consent.tenant_id NOT IN ({consents.GENERAL_SQL})"""  # noqa: S608

# A lease there is still something to ask about. Expects `lease`.
GOES_ON_SQL = """
    lease.state = 'signed' AND lease.ended_by = '' AND lease.last_day >= %(today)s
    AND NOT EXISTS (SELECT FROM tenants_lease next WHERE next.renews_id = lease.id AND next.state <> 'void')"""

_ENROL_SQL = f"""
WITH {features.PERSON_SQL},
personal AS ({PERSONAL_SQL}),
subject AS MATERIALIZED (
    SELECT person.root AS tenant_id, lease.id AS lease_id
    FROM tenants_lease lease
    JOIN tenants_leasetenant lt ON lt.lease_id = lease.id AND lt.is_primary
    JOIN person ON person.id = lt.tenant_id
    WHERE {GOES_ON_SQL} AND lease.last_day <= %(today)s + %(widest)s
      AND NOT EXISTS (
        SELECT FROM campaigns_enrolment e JOIN person who ON who.id = e.tenant_id
        WHERE e.lease_id = lease.id AND who.root = person.root)
)
INSERT INTO campaigns_enrolment (playbook_id, lease_id, tenant_id, cycle, enrolled_on, left_because)
SELECT DISTINCT ON (lease_id, tenant_id) playbook_id, lease_id, tenant_id, '1', %(today)s, ''
FROM ({{taken}}) taken
ORDER BY lease_id, tenant_id, rank
ON CONFLICT DO NOTHING
"""  # noqa: S608

_TAKEN_SQL = """
SELECT {playbook} AS playbook_id, {rank} AS rank, subject.lease_id, subject.tenant_id
FROM subject {joins}
WHERE l.last_day <= %(today)s + {days} AND {personal} AND {condition}"""

_OVER_SQL = f"""
UPDATE campaigns_enrolment e SET left_on = %(today)s, left_because = CASE
    WHEN lease.ended_by <> '' OR lease.state = 'void' THEN %(ended)s
    WHEN lease.last_day < %(today)s THEN %(over)s
    ELSE %(renewed)s END
FROM tenants_lease lease
WHERE lease.id = e.lease_id AND e.left_on IS NULL AND NOT ({GOES_ON_SQL})
"""  # noqa: S608

_STRANGE_SQL = f"""
WITH {features.PERSON_SQL}
UPDATE campaigns_enrolment e SET left_on = %(today)s, left_because = %(strange)s
FROM person WHERE person.id = e.tenant_id AND e.left_on IS NULL AND NOT EXISTS (
    SELECT FROM tenants_leasetenant lt JOIN person holder ON holder.id = lt.tenant_id
    WHERE lt.lease_id = e.lease_id AND holder.root = person.root)
"""  # noqa: S608

_WITHDRAWN_SQL = f"""
WITH {features.PERSON_SQL}
UPDATE campaigns_enrolment e SET left_on = %(today)s, left_because = %(withdrawn)s
FROM campaigns_playbook playbook, person
WHERE playbook.id = e.playbook_id AND playbook.segment_id IS NOT NULL AND person.id = e.tenant_id
  AND e.left_on IS NULL AND person.root NOT IN ({PERSONAL_SQL})
RETURNING e.lease_id, e.tenant_id, e.cycle
"""  # noqa: S608


def ship() -> None:
    """Every shipped perk, segment, playbook and step exists; those that did stay as staff left them."""
    perks.ship_catalogue()
    Segment.objects.bulk_create([Segment(**facts) for facts in shipped.SEGMENTS], ignore_conflicts=True)
    segment_of = {segment.code: segment for segment in Segment.objects.all()}
    Playbook.objects.bulk_create(
        [Playbook(**{**facts, "segment": segment_of.get(facts["segment"])}) for facts in shipped.PLAYBOOKS],
        ignore_conflicts=True,
    )
    playbook_of = {playbook.code: playbook for playbook in Playbook.objects.all()}
    perk_of = {perk.code: perk for perk in Perk.objects.all()}
    Step.objects.bulk_create(
        [
            Step(**{**facts, "grants": perk_of.get(facts.get("grants", ""))}, playbook=playbook_of[code])
            for code in shipped.TEXTS
            if code in playbook_of
            for facts in shipped.steps(code)
        ],
        ignore_conflicts=True,
    )


def enrol(*, today: date, now: datetime) -> int:
    """Every lease near its end follows the playbook that takes its tenant; returns how many are new."""
    playbooks = list(
        Playbook.objects.filter(is_active=True)
        .annotate(
            widest=Subquery(
                Step.objects.filter(playbook=OuterRef("pk"), is_active=True)
                .order_by("-days_before_end")
                .values("days_before_end")[:1]
            )
        )
        .filter(widest__isnull=False)
        .select_related("segment")
        .order_by("rank")
    )
    if not playbooks:
        return 0
    bound = Bound(today)
    taken = [
        _TAKEN_SQL.format(
            playbook=bound.add(playbook.pk),
            rank=bound.add(playbook.rank),
            days=bound.add(playbook.widest),
            joins=JOINS_SQL,
            personal="subject.tenant_id IN (SELECT tenant_id FROM personal)" if playbook.segment else "TRUE",
            condition=segments.condition(playbook.segment.rule if playbook.segment else None, bound),
        )
        for playbook in playbooks
    ]
    params = {**bound.values, "widest": max(playbook.widest for playbook in playbooks)}
    with connection.cursor() as cursor:
        cursor.execute(_ENROL_SQL.format(taken=" UNION ALL ".join(taken)), params)
        return cursor.rowcount


def leave(*, today: date, now: datetime) -> int:
    """No lease that is renewed, ended or over follows a playbook, and none a personal one against the tenant's will.

    Returns how many left. Planned pushes of those who left are dropped with them.
    """
    with override(settings.LANGUAGE_CODE):
        words = {
            "renewed": _("renewed"),
            "ended": _("ended early"),
            "over": _("the lease is over"),
            "withdrawn": _("no longer agrees to personal wording"),
            "strange": _("not this person's lease"),
        }
    params = {**Bound(today).values, **words}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_OVER_SQL, params)
        left = cursor.rowcount
        # Of a merge that was undone: the lease is somebody else's.
        cursor.execute(_STRANGE_SQL, params)
        left += cursor.rowcount
        cursor.execute(_WITHDRAWN_SQL, params)
        withdrawn = cursor.fetchall()
        general = _general()
        if general and withdrawn:
            Enrolment.objects.bulk_create(
                [
                    Enrolment(playbook=general, lease_id=lease, tenant_id=tenant, cycle=cycle, enrolled_on=today)
                    for lease, tenant, cycle in withdrawn
                ],
                ignore_conflicts=True,
            )
        _drop_pushes_of_those_who_left()
    return left + len(withdrawn)


def stop(lease: Lease, *, because: str, today: date) -> int:
    """The lease follows no playbook any more, nor ever will, for a reason a person can read; says how many it left."""
    with transaction.atomic():
        left = Enrolment.objects.filter(lease=lease, left_on=None).update(left_on=today, left_because=because[:80])
        _drop_pushes_of_those_who_left()
        general = _general()
        if general and not Enrolment.objects.filter(lease=lease).exists():
            # An answer may come before the first step is in sight: a row that has been left keeps enrolment away.
            Enrolment.objects.bulk_create(
                [
                    Enrolment(
                        playbook=general,
                        lease=lease,
                        tenant_id=tenant,
                        enrolled_on=today,
                        left_on=today,
                        left_because=because[:80],
                    )
                    for tenant in LeaseTenant.objects.filter(lease=lease, is_primary=True)
                    .annotate(person=Coalesce("tenant__merged_into_id", "tenant_id"))
                    .values_list("person", flat=True)
                ],
                ignore_conflicts=True,
            )
    return left


def _general() -> Playbook | None:
    """The playbook for everybody."""
    return Playbook.objects.filter(is_active=True, segment=None).order_by("rank").first()


def _drop_pushes_of_those_who_left() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_push push SET state = 'suppressed', reason = e.left_because
            FROM campaigns_enrolment e, campaigns_step step
            WHERE push.state = 'planned' AND e.left_on IS NOT NULL AND step.id = push.step_id
              AND (e.playbook_id, e.lease_id, e.tenant_id, e.cycle)
                = (step.playbook_id, push.lease_id, push.tenant_id, push.cycle)
            """
        )
