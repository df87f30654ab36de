"""Who enters a playbook today, in which version, from which day on and why: set-based, one statement for all playbooks
before the lease's end and one for each that starts by what happened.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import override

from campaigns import kinds, releases, segments, starts
from campaigns.conditions import JOINS_SQL
from campaigns.due import CATCH_UP_DAYS
from campaigns.eligible import GOES_ON_SQL, PERSONAL_SQL
from campaigns.grammar import Bound
from campaigns.models import PlaybookVersion
from tenants import clock, features

REACH_DAYS = 30  # whom a release takes within so many days counts as reached by it

# --- Before the lease's end --------------------------------------------------------------------------------

_NEAR_SQL = f"""
WITH {features.PERSON_SQL},
personal AS ({PERSONAL_SQL}),
{starts.CROWD_SQL},
subject AS MATERIALIZED (
    SELECT person.root AS tenant_id, lease.id AS lease_id
    FROM tenants_lease lease
    JOIN tenants_leasetenant lt ON lt.lease_id = lease.id AND lt.is_primary
    JOIN person ON person.id = lt.tenant_id
    WHERE {GOES_ON_SQL} AND lease.last_day <= %(today)s + %(most)s
      AND NOT EXISTS (
        SELECT FROM campaigns_enrolment e JOIN person who ON who.id = e.tenant_id
        WHERE e.lease_id = lease.id AND who.root = person.root AND e.cycle = '1'
          AND (e.left_on IS NULL OR e.is_final))
)
SELECT DISTINCT ON (lease_id, tenant_id) playbook_id, version_id, lease_id, tenant_id, start_on, start_why, fix_first
FROM ({{taken}}) taken
ORDER BY lease_id, tenant_id, rank, number DESC
"""  # noqa: S608

_TAKEN_SQL = """
SELECT {playbook}::bigint AS playbook_id, {version}::bigint AS version_id, {rank} AS rank, {number} AS number,
    subject.lease_id, subject.tenant_id, start.on_day AS start_on, start.why AS start_why, {fix_first} AS fix_first
FROM subject {joins}
LEFT JOIN crowd ON crowd.lease_id = subject.lease_id
CROSS JOIN LATERAL {start} start
WHERE start.on_day <= %(today)s + %(within)s AND {personal} AND {condition} AND {released}
  AND NOT EXISTS (
    SELECT FROM campaigns_enrolment e JOIN person who ON who.id = e.tenant_id
    WHERE e.playbook_id = {playbook} AND e.lease_id = subject.lease_id AND who.root = subject.tenant_id
      AND e.cycle = '1')"""

_ENROL_SQL = """
INSERT INTO campaigns_enrolment (playbook_id, version_id, lease_id, tenant_id, cycle, start_on, start_why, fix_first,
    enrolled_on, left_because, is_final)
SELECT playbook_id, version_id, lease_id, tenant_id, '1', start_on, start_why, fix_first, %(today)s, '', false
FROM ({near}) near
ON CONFLICT DO NOTHING
"""

# --- By what happened --------------------------------------------------------------------------------------

_HAPPENED_SQL = f"""
WITH {features.PERSON_SQL},
personal AS ({PERSONAL_SQL}),
subject AS MATERIALIZED (
    -- Somebody may hold two leases: what happened is spoken of once.
    SELECT DISTINCT ON (e.id) e.id AS event_id, e.at, person.root AS tenant_id, lease.id AS lease_id
    FROM tenants_event e
    JOIN person ON person.id = e.tenant_id
    JOIN person same ON same.root = person.root
    JOIN tenants_leasetenant lt ON lt.tenant_id = same.id
    JOIN tenants_lease lease ON lease.id = lt.lease_id AND lease.state = 'signed'
      AND %(today)s BETWEEN lease.first_day AND lease.last_day
    WHERE {{started}} AND e.at >= {{since}} AND e.at < %(until)s
      AND NOT EXISTS (
        SELECT FROM campaigns_enrolment there WHERE there.playbook_id = {{playbook}} AND there.cycle = e.id::text)
    ORDER BY e.id, lease.first_day DESC, lease.id
)
INSERT INTO campaigns_enrolment (playbook_id, version_id, lease_id, tenant_id, cycle, started_at, start_on, start_why,
    fix_first, enrolled_on, left_because, is_final)
SELECT {{playbook}}, {{version}}, subject.lease_id, subject.tenant_id, subject.event_id::text, subject.at,
    (subject.at AT TIME ZONE 'Asia/Shanghai')::date, {{why}}, {{fix_first}}, %(today)s, '', false
FROM subject {JOINS_SQL}
WHERE {{personal}} AND {{condition}} AND {{released}}
ON CONFLICT DO NOTHING
"""  # noqa: S608

# --- From one version to another ---------------------------------------------------------------------------

UNDER_WAY_SQL = f"""
WITH {features.PERSON_SQL},
subject AS MATERIALIZED (
    SELECT e.id AS enrolment_id, person.root AS tenant_id, e.lease_id
    FROM campaigns_enrolment e JOIN person ON person.id = e.tenant_id
    WHERE e.left_on IS NULL AND {{which}}
)"""  # noqa: S608

_MOVE_SQL = (
    UNDER_WAY_SQL
    + f"""
UPDATE campaigns_enrolment e SET version_id = {{version}},
    moves = jsonb_build_array(jsonb_build_object('on', %(today)s, 'from', e.version_id)) || e.moves
FROM subject {JOINS_SQL}
WHERE e.id = subject.enrolment_id AND {{released}}"""  # noqa: S608
)


def enrol(*, today: date, now: datetime) -> int:
    """Every lease that is to follow a playbook does, in the version that is for it; returns how many are new."""
    live = releases.live()
    with transaction.atomic(), override(settings.LANGUAGE_CODE):
        _move(live, today=today)
        new = _enrol_by_event(live, today=today)
        near, params = _near([each for each in live if not each.version.starts_on], Bound(today))
        if near:
            with connection.cursor() as cursor:
                cursor.execute(_ENROL_SQL.format(near=near), params)
                new += cursor.rowcount
    return new


def reach(version: PlaybookVersion, *, percent: int, rule: Any, today: date, within: int = REACH_DAYS) -> int:
    """How many leases this release would take within so many days: newly, or at once out of other versions.

    Of a playbook that starts by what happened: how many leases run that it is for.
    """
    release = releases.Release(version=version, percent=percent, rule=rule)
    bound = Bound(today)
    with override(settings.LANGUAGE_CODE), connection.cursor() as cursor:
        if version.starts_on:
            where = " AND ".join(_audience(releases.Live(version, release), bound))
            cursor.execute(f"{_RUNNING_SQL} SELECT count(*) FROM subject {JOINS_SQL} WHERE {where}", bound.values)  # noqa: S608
            return int(cursor.fetchone()[0])
        near, params = _near([releases.Live(version, release)], bound, within=within)
        cursor.execute(f"SELECT count(*) FROM ({near}) near", params)  # noqa: S608
        found = int(cursor.fetchone()[0])
        if version.under_way == PlaybookVersion.UnderWay.MOVE:
            bound = Bound(today)
            which = UNDER_WAY_SQL.format(which=_earlier(version, bound))
            covered = releases.covers(release, version.playbook.code, bound)
            cursor.execute(f"{which} SELECT count(*) FROM subject {JOINS_SQL} WHERE {covered}", bound.values)  # noqa: S608
            found += int(cursor.fetchone()[0])
    return found


_RUNNING_SQL = f"""
WITH {features.PERSON_SQL},
personal AS ({PERSONAL_SQL}),
subject AS MATERIALIZED (
    SELECT DISTINCT person.root AS tenant_id, lease.id AS lease_id
    FROM tenants_lease lease
    JOIN tenants_leasetenant lt ON lt.lease_id = lease.id
    JOIN person ON person.id = lt.tenant_id
    WHERE lease.state = 'signed' AND %(today)s BETWEEN lease.first_day AND lease.last_day
)"""  # noqa: S608


def _near(live: list[releases.Live], bound: Bound, *, within: int = 0) -> tuple[str, dict[str, Any]]:
    """A query of the leases that these versions would take within so many days, each by one, and its parameters."""
    if not live:
        return "", {}
    taken = []
    for each in live:
        version, playbook = each.version, each.version.playbook
        personal, condition, released = _audience(each, bound)
        taken.append(
            _TAKEN_SQL.format(
                playbook=bound.add(playbook.pk),
                version=bound.add(version.pk),
                rank=bound.add(playbook.rank),
                number=bound.add(version.number),
                joins=JOINS_SQL,
                start=starts.sql(version.lead_days, bound),
                fix_first=_fix_first(version, bound),
                personal=personal,
                condition=condition,
                released=released,
            )
        )
    most = max(starts.most_days(each.version.lead_days) for each in live) + within
    return _NEAR_SQL.format(taken=" UNION ALL ".join(taken)), {**bound.values, "most": most, "within": within}


def _audience(each: releases.Live, bound: Bound) -> tuple[str, str, str]:
    """SQL of what makes a lease one of a released version: consent, segment, release."""
    playbook = each.version.playbook
    return (
        "subject.tenant_id IN (SELECT tenant_id FROM personal)" if playbook.segment else "TRUE",
        segments.condition(playbook.segment.rule if playbook.segment else None, bound),
        releases.covers(each.release, playbook.code, bound),
    )


def _fix_first(version: PlaybookVersion, bound: Bound) -> str:
    """SQL of whether asks wait for repairs: by lot not for some, against whom the others can be held."""
    if not version.fix_first:
        return "FALSE"
    return f"NOT ({releases.lot(f'fix first {version.playbook.code}', version.unfixed_percent, bound)})"


def _enrol_by_event(live: list[releases.Live], *, today: date) -> int:
    """Whatever happened lately and starts a playbook has started it, by the newest version that is for it."""
    new = 0
    for each in live:
        if not (rule := each.version.starts_on):
            continue
        bound = Bound(today)
        since = max(each.release.decided_at or each.release.asked_at, clock.at(today - timedelta(days=CATCH_UP_DAYS)))
        personal, condition, released = _audience(each, bound)
        statement = _HAPPENED_SQL.format(
            started=kinds.start_sql(rule, bound),
            since=bound.add(since),
            playbook=bound.add(each.version.playbook_id),
            version=bound.add(each.version.pk),
            why=bound.add(kinds.start_sentence(rule)[:200]),
            fix_first=_fix_first(each.version, bound),
            personal=personal,
            condition=condition,
            released=released,
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, {**bound.values, "until": clock.at(today + timedelta(days=1))})
            new += cursor.rowcount
    return new


def _move(live: list[releases.Live], *, today: date) -> None:
    """Those under way in an earlier version follow the newest one that takes them over."""
    # The newest comes first, so that an older one takes over only whom it leaves.
    for each in live:
        if each.version.under_way != PlaybookVersion.UnderWay.MOVE:
            continue
        bound = Bound(today)
        statement = _MOVE_SQL.format(
            which=_earlier(each.version, bound),
            version=bound.add(each.version.pk),
            released=releases.covers(each.release, each.version.playbook.code, bound),
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, bound.values)


def _earlier(version: PlaybookVersion, bound: Bound) -> str:
    earlier = PlaybookVersion.objects.filter(playbook=version.playbook_id, number__lt=version.number)
    return f"e.version_id = ANY({bound.add([one.pk for one in earlier])}::bigint[])"
