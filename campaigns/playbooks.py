"""剧本: which lease follows which sequence of steps, from when to when.

Two kinds. Most playbooks start before a lease's end, on a day computed for each lease (`campaigns.starts`): a tenant
enters the first one, by rank, whose segment selects them, and follows one at a time, each at most once per lease. A
playbook that starts by what happened (a repair was finished, a bad rating given) is followed beside them, once for
each occurrence.

A playbook with a segment is personal, so it takes only those who consent to profiling and did not choose the general
version; one without takes everybody. Who leaves the segment or withdraws that consent leaves the playbook the same
day, and the next one that takes them goes on. A lease that is renewed, ended or over leaves, and so does one for
which the tenant has given an answer (`stop`): that one for good.

Which version of a playbook somebody follows is decided on entering it, by what has been released
(`campaigns.releases`); a later version takes over those under way only where it says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns import segments
from campaigns.conditions import JOINS_SQL
from campaigns.due import CATCH_UP_DAYS
from campaigns.eligible import GOES_ON_SQL, PERSONAL_SQL
from campaigns.grammar import Bound
from campaigns.joining import UNDER_WAY_SQL, enrol
from campaigns.models import Enrolment, PlaybookVersion, StepVersion
from tenants import features
from tenants.models import Lease, LeaseTenant

__all__ = ["PERSONAL_SQL", "enrol", "leave", "steps", "stop"]

_GONE_SQL = (
    UNDER_WAY_SQL
    + f"""
UPDATE campaigns_enrolment e SET left_on = %(today)s, left_because = %(gone)s
FROM subject {JOINS_SQL}
WHERE e.id = subject.enrolment_id AND NOT {{condition}}"""  # noqa: S608
)

_OVER_SQL = f"""
UPDATE campaigns_enrolment e SET left_on = %(today)s, left_because = CASE
    WHEN lease.ended_by <> '' AND e.cycle = '1' OR lease.state = 'void' THEN %(ended)s
    WHEN lease.last_day < %(today)s THEN %(over)s
    ELSE %(renewed)s END
FROM tenants_lease lease
WHERE lease.id = e.lease_id AND e.left_on IS NULL AND CASE
    WHEN e.cycle = '1' THEN NOT ({GOES_ON_SQL})
    ELSE lease.state = 'void' OR lease.last_day < %(today)s END
"""  # noqa: S608

_STRANGE_SQL = f"""
WITH {features.PERSON_SQL}
UPDATE campaigns_enrolment e SET left_on = %(today)s, left_because = %(strange)s
FROM person WHERE person.id = e.tenant_id AND e.left_on IS NULL AND NOT EXISTS (
    SELECT FROM tenants_leasetenant lt JOIN person holder ON holder.id = lt.tenant_id
    WHERE lt.lease_id = e.lease_id AND holder.root = person.root)
"""  # noqa: S608

# Of several on a lease one is asked: who stands first. A flatmate may have taken that place.
_SECOND_SQL = f"""
WITH {features.PERSON_SQL}
UPDATE campaigns_enrolment e SET left_on = %(today)s, left_because = %(second)s
FROM person WHERE person.id = e.tenant_id AND e.left_on IS NULL AND e.cycle = '1' AND NOT EXISTS (
    SELECT FROM tenants_leasetenant lt JOIN person holder ON holder.id = lt.tenant_id
    WHERE lt.lease_id = e.lease_id AND lt.is_primary AND holder.root = person.root)
"""  # noqa: S608

_WITHDRAWN_SQL = f"""
WITH {features.PERSON_SQL}
UPDATE campaigns_enrolment e SET left_on = %(today)s, left_because = %(withdrawn)s
FROM campaigns_playbook playbook, person
WHERE playbook.id = e.playbook_id AND playbook.segment_id IS NOT NULL AND person.id = e.tenant_id
  AND e.left_on IS NULL AND person.root NOT IN ({PERSONAL_SQL})
"""  # noqa: S608

_FINISHED_SQL = """
UPDATE campaigns_enrolment e SET left_on = %(today)s, left_because = %(finished)s
WHERE e.left_on IS NULL AND e.cycle <> '1' AND e.start_on + %(patience)s + (
    SELECT coalesce(max(said.days), 0) FROM campaigns_stepversion said WHERE said.version_id = e.version_id
) < %(today)s
"""

_DROP_SQL = """
UPDATE campaigns_push push SET state = 'suppressed', reason = e.left_because
FROM campaigns_enrolment e, campaigns_step step
WHERE push.state IN ('planned', 'held') AND e.left_on IS NOT NULL AND step.id = push.step_id
  AND (e.playbook_id, e.lease_id, e.tenant_id, e.cycle)
    = (step.playbook_id, push.lease_id, push.tenant_id, push.cycle)
"""


def leave(*, today: date, now: datetime) -> int:
    """Nobody follows a playbook that is not for them any more; returns how many left.

    Planned pushes of those who left are dropped with them.
    """
    with override(settings.LANGUAGE_CODE):
        words = {
            "renewed": _("renewed"),
            "ended": _("ended early"),
            "over": _("the lease is over"),
            "withdrawn": _("no longer agrees to personal wording"),
            "strange": _("not this person's lease"),
            "second": _("another stands first on the lease"),
            "gone": _("no longer in the segment"),
            "finished": _("came to its end"),
        }
    params = {**Bound(today).values, **words, "patience": CATCH_UP_DAYS}
    left = 0
    with transaction.atomic(), connection.cursor() as cursor:
        # _STRANGE_SQL: of a merge that was undone, the lease is somebody else's.
        for statement in (_OVER_SQL, _STRANGE_SQL, _SECOND_SQL, _WITHDRAWN_SQL, _FINISHED_SQL):
            cursor.execute(statement, params)
            left += cursor.rowcount
        for gone, bound in _gone(today):
            cursor.execute(gone, {**bound.values, **words})
            left += cursor.rowcount
        _drop_pushes_of_those_who_left()
    return left


def _gone(today: date) -> Iterator[tuple[str, Bound]]:
    """For each segment a statement by which those who are not in it any more leave its playbooks."""
    versions: dict[int, list[PlaybookVersion]] = {}
    followed = Enrolment.objects.filter(left_on=None, cycle="1").values("version")
    for version in PlaybookVersion.objects.filter(
        pk__in=followed, leaves_with_segment=True, playbook__segment__isnull=False
    ).select_related("playbook__segment"):
        versions.setdefault(version.playbook.segment_id or 0, []).append(version)
    for those in versions.values():
        bound = Bound(today)
        segment = those[0].playbook.segment
        which = f"e.cycle = '1' AND e.version_id = ANY({bound.add([version.pk for version in those])}::bigint[])"
        condition = segments.condition(segment.rule if segment else None, bound)
        yield _GONE_SQL.format(which=which, condition=condition), bound


def stop(lease: Lease, *, because: str, today: date) -> int:
    """No playbook asks about the lease any more, nor ever will, for a reason a person can read; how many it left."""
    asking = Enrolment.objects.filter(lease=lease, cycle="1")
    with transaction.atomic():
        left = asking.filter(left_on=None).update(left_on=today, left_because=because[:80])
        _drop_pushes_of_those_who_left()
        asking.update(is_final=True)
        version = _general()
        if version and not asking.exists():
            # An answer may come before the first step is in sight: a row that has been left keeps enrolment away.
            Enrolment.objects.bulk_create(
                [
                    Enrolment(
                        playbook=version.playbook,
                        version=version,
                        lease=lease,
                        tenant_id=tenant,
                        start_on=today,
                        start_why=because[:80],
                        enrolled_on=today,
                        left_on=today,
                        left_because=because[:80],
                        is_final=True,
                    )
                    for tenant in LeaseTenant.objects.filter(lease=lease, is_primary=True)
                    .annotate(person=Coalesce("tenant__merged_into_id", "tenant_id"))
                    .values_list("person", flat=True)
                ],
                ignore_conflicts=True,
            )
    return left


def steps() -> Iterator[StepVersion]:
    """What the steps say in the versions that are followed; playbooks that are switched off are left out."""
    followed = Enrolment.objects.filter(left_on=None, version=OuterRef("version"))
    return (
        StepVersion.objects.filter(Exists(followed), version__playbook__is_active=True)
        .select_related("step", "version__playbook__segment", "grants")
        .order_by("pk")
        .iterator()
    )


def _general() -> PlaybookVersion | None:
    """A version of the playbook for everybody."""
    return (
        PlaybookVersion.objects.filter(playbook__is_active=True, playbook__segment=None, is_draft=False, starts_on={})
        .select_related("playbook")
        .order_by("playbook__rank", "-number")
        .first()
    )


def _drop_pushes_of_those_who_left() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_DROP_SQL)
