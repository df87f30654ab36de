"""One row of features per tenant: what rules and tags ask of a year of events, computed in one statement.

A row belongs to each person with a lease that runs on `today` or later; people who were merged count as
one, under the person they were merged into. A window of n days ends with `today` and both ends are Shanghai
days: `today - (n - 1)` at 00:00 up to, not including, the midnight after `today`.

    gym_365, kitchen_90, kitchen_365, laundry_365   facility.used events by facility
    community_90, community_365                      community.joined events
    posts_90                                         community.posted events
    app_30                                           app.viewed events: screens and pages
    price_views_90, coupon_views_90                  of these, the rent price and the coupon pages
    repairs_365           problems, not reports: reports of one category by one person, each within MERGE_HOURS
                          of the one before, are one repair; it began with its first report
    repairs_open          of these, none of whose tickets is finished
    late_accepts_365      of these, first acceptance more than LATE_ACCEPT_HOURS after the first report
    worst_accept_hours    the longest such time; a repair nobody accepted has none
    last3_night           there were three or more, and the last three all began between 22:00 and 06:00
    last_bad_rating_at    latest ticket.rated with one of BAD_SCORES in 365 days
    last_moods            the last three moods given in 365 days, newest first
    last_bad_mood_at      latest 😞 in 365 days
    payments_365          payment.made events
    late_payments_365     of these, paid on a later day than they were due
    pay_day_sd            standard deviation of (day paid − day due), days; needs two payments
    paid_share            months with a utility payment due in them ÷ all months from the first such month in the
                          window to the month before `today`'s: how regularly somebody lives there
    power_30              kWh: steps of the meter between readings in 30 days; a step back (a new meter) counts nothing,
                          and of readings of one moment the lower one is the earlier
    workplace             the one stated last
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from tenants import clock, planner
from tenants.models import DirtyTenant, Feature

MERGE_HOURS = 24
LATE_ACCEPT_HOURS = 6
BAD_SCORES = ("1", "2")
NIGHT_FROM_HOUR, NIGHT_TO_HOUR = 22, 6

# (id, root): every tenant, and the person they turned out to be. A merge never points at a merged tenant.
PERSON_SQL = "person(id, root) AS (SELECT id, coalesce(merged_into_id, id) FROM tenants_tenant)"

_WHO_SQL = f"""
WITH {PERSON_SQL},
resident AS MATERIALIZED (
    SELECT DISTINCT person.root
    FROM tenants_lease lease
    JOIN tenants_leasetenant lt ON lt.lease_id = lease.id
    JOIN person ON person.id = lt.tenant_id
    WHERE lease.state = 'signed' AND lease.last_day >= %(today)s
      AND (%(only)s::bigint[] IS NULL
           OR person.root IN (SELECT root FROM person WHERE id = ANY(%(only)s::bigint[])))
)"""  # noqa: S608

# Reports joined to repairs, see `repairs_365` above. Expects `who(id, root)`.
REPAIR_SQL = """
report AS (
    SELECT who.root, at, source, source_id, data->>'ticket' AS ticket, data->>'category' AS category,
        at - lag(at) OVER same_trouble AS since_last
    FROM tenants_event JOIN who ON who.id = tenant_id {narrow}
    WHERE kind = 'ticket.reported' AND at >= %(since_365)s AND at < %(until)s
    WINDOW same_trouble AS (PARTITION BY who.root, data->>'category' ORDER BY at, data->>'ticket')
),
answer AS (
    SELECT who.root, data->>'ticket' AS ticket,
        min(at) FILTER (WHERE kind = 'ticket.accepted') AS accepted_at,
        bool_or(kind = 'ticket.finished') AS is_finished
    FROM tenants_event JOIN who ON who.id = tenant_id {narrow}
    WHERE kind IN ('ticket.accepted', 'ticket.finished') AND at >= %(since_365)s AND at < %(until)s
    GROUP BY who.root, data->>'ticket'
),
repair AS (
    SELECT root, category, min(at) AS began_at, min(accepted_at) AS accepted_at,
        coalesce(bool_or(is_finished), false) AS is_finished,
        (array_agg(jsonb_build_array(source, source_id) ORDER BY at, ticket))[1] AS first_report
    FROM (
        SELECT *, count(*) FILTER (WHERE since_last IS NULL OR since_last > %(merge)s)
            OVER (PARTITION BY root, category ORDER BY at, ticket) AS nth
        FROM report LEFT JOIN answer USING (root, ticket)
    ) numbered
    GROUP BY root, category, nth
)"""

_SAME_PEOPLE_SQL = f"""
WITH {PERSON_SQL}
SELECT id FROM person WHERE root IN (SELECT root FROM person WHERE id = ANY(%(only)s::bigint[]))
"""  # noqa: S608

_FORGET_SQL = f"""
{_WHO_SQL}
DELETE FROM tenants_feature f
WHERE (%(only)s::bigint[] IS NULL OR f.tenant_id = ANY(%(only)s::bigint[]))
  AND NOT EXISTS (SELECT FROM resident WHERE resident.root = f.tenant_id)
"""  # noqa: S608

_REFRESH_SQL = f"""
{_WHO_SQL},
who AS MATERIALIZED (SELECT person.id, person.root FROM person JOIN resident USING (root)),
counted AS (
    SELECT who.root,
        count(*) FILTER (WHERE kind = 'facility.used' AND data->>'facility' = 'gym') AS gym_365,
        count(*) FILTER (WHERE kind = 'facility.used' AND data->>'facility' = 'shared_kitchen'
                           AND at >= %(since_90)s) AS kitchen_90,
        count(*) FILTER (WHERE kind = 'facility.used' AND data->>'facility' = 'shared_kitchen') AS kitchen_365,
        count(*) FILTER (WHERE kind = 'facility.used' AND data->>'facility' = 'laundry') AS laundry_365,
        count(*) FILTER (WHERE kind = 'community.joined' AND at >= %(since_90)s) AS community_90,
        count(*) FILTER (WHERE kind = 'community.joined') AS community_365,
        count(*) FILTER (WHERE kind = 'community.posted') AS posts_90,
        count(*) FILTER (WHERE kind = 'app.viewed' AND at >= %(since_30)s) AS app_30,
        count(*) FILTER (WHERE kind = 'app.viewed' AND data->>'name' = 'rent_prices') AS price_views_90,
        count(*) FILTER (WHERE kind = 'app.viewed' AND data->>'name' = 'coupons') AS coupon_views_90,
        max(at) FILTER (WHERE kind = 'ticket.rated' AND data->>'score' = ANY(%(bad_scores)s)) AS last_bad_rating_at,
        max(at) FILTER (WHERE kind = 'mood.given' AND data->>'mood' = 'bad') AS last_bad_mood_at
    FROM tenants_event JOIN who ON who.id = tenant_id {{narrow}}
    WHERE (kind IN ('facility.used', 'community.joined', 'ticket.rated', 'mood.given') AND at >= %(since_365)s
           OR kind IN ('community.posted', 'app.viewed') AND at >= %(since_90)s)
      AND at < %(until)s
    GROUP BY who.root
),
mood AS (
    SELECT root, jsonb_agg(mood ORDER BY nth) AS last_moods
    FROM (
        SELECT who.root, data->>'mood' AS mood,
            row_number() OVER (PARTITION BY who.root ORDER BY at DESC, source_id DESC) AS nth
        FROM tenants_event JOIN who ON who.id = tenant_id {{narrow}}
        WHERE kind = 'mood.given' AND at >= %(since_365)s AND at < %(until)s
    ) given
    WHERE nth <= 3
    GROUP BY root
),
{REPAIR_SQL},
repaired AS (
    SELECT root,
        count(*) AS repairs_365,
        count(*) FILTER (WHERE NOT is_finished) AS repairs_open,
        count(*) FILTER (WHERE accepted_at - began_at > %(late)s) AS late_accepts_365,
        max(extract(epoch FROM accepted_at - began_at)) / 3600 AS worst_accept_hours,
        count(*) >= 3 AND bool_and(at_night) FILTER (WHERE latest <= 3) AS last3_night
    FROM (
        SELECT *,
            row_number() OVER (PARTITION BY root ORDER BY began_at DESC, category) AS latest,
            extract(hour FROM began_at AT TIME ZONE 'Asia/Shanghai') >= %(night_from)s
            OR extract(hour FROM began_at AT TIME ZONE 'Asia/Shanghai') < %(night_to)s AS at_night
        FROM repair
    ) ranked
    GROUP BY root
),
paid AS (
    SELECT root,
        count(*) AS payments_365,
        count(*) FILTER (WHERE paid_on > due_on) AS late_payments_365,
        CASE WHEN count(due_on) >= 2 THEN stddev_pop(paid_on - due_on) END AS pay_day_sd,
        count(DISTINCT due_month) FILTER (WHERE due_month < %(this_month)s)::float8
        / nullif((date_part('year', age(%(this_month)s, min(due_month))) * 12
                  + date_part('month', age(%(this_month)s, min(due_month)))), 0) AS paid_share
    FROM (
        SELECT root, paid_on, due_on,
            CASE WHEN item = 'utility' THEN date_trunc('month', due_on)::date END AS due_month
        FROM (
            SELECT who.root, data->>'item' AS item, nullif(data->>'due_on', '')::date AS due_on,
                (at AT TIME ZONE 'Asia/Shanghai')::date AS paid_on
            FROM tenants_event JOIN who ON who.id = tenant_id {{narrow}}
            WHERE kind = 'payment.made' AND at >= %(since_365)s AND at < %(until)s
        ) payment
    ) dated
    GROUP BY root
),
used AS (
    SELECT root, sum(greatest(step, 0)) FILTER (WHERE step IS NOT NULL) AS power_30
    FROM (
        SELECT who.root, (data->>'value')::float8 - lag((data->>'value')::float8)
            OVER (PARTITION BY who.root, unit_id ORDER BY at, (data->>'value')::float8, source_id) AS step
        FROM tenants_event JOIN who ON who.id = tenant_id {{narrow}}
        WHERE kind = 'power.read' AND at >= %(since_30)s AND at < %(until)s
    ) reading
    GROUP BY root
),
works AS (
    SELECT DISTINCT ON (who.root) who.root, data->'workplace' AS workplace
    FROM tenants_event JOIN who ON who.id = tenant_id {{narrow}}
    WHERE kind = 'profile.stated' AND at < %(until)s AND data->'workplace' IS NOT NULL
    ORDER BY who.root, at DESC, source_id DESC
)
INSERT INTO tenants_feature (tenant_id, day, computed_at, {{columns}})
SELECT resident.root, %(today)s, %(now)s,
    coalesce(gym_365, 0), coalesce(kitchen_90, 0), coalesce(kitchen_365, 0), coalesce(laundry_365, 0),
    coalesce(community_90, 0), coalesce(community_365, 0), coalesce(posts_90, 0),
    coalesce(app_30, 0), coalesce(price_views_90, 0), coalesce(coupon_views_90, 0),
    coalesce(repairs_365, 0), coalesce(repairs_open, 0), coalesce(late_accepts_365, 0),
    coalesce(last3_night, false), worst_accept_hours, last_bad_rating_at,
    coalesce(last_moods, '[]'), last_bad_mood_at,
    coalesce(payments_365, 0), coalesce(late_payments_365, 0), pay_day_sd, paid_share,
    power_30, workplace
FROM resident
LEFT JOIN counted USING (root)
LEFT JOIN mood USING (root)
LEFT JOIN repaired USING (root)
LEFT JOIN paid USING (root)
LEFT JOIN used USING (root)
LEFT JOIN works USING (root)
ORDER BY resident.root
ON CONFLICT (tenant_id) DO UPDATE SET day = excluded.day, computed_at = excluded.computed_at, {{updates}}
"""  # noqa: S608

# A mark made again is a new version of its row, and whoever read the old one does not delete it. In one order, so
# that two who mark the same people wait for each other at most.
_MARK_SQL = """
INSERT INTO tenants_dirtytenant (tenant_id, since)
SELECT tenant_id, %(now)s FROM unnest(%(tenants)s::bigint[]) AS t(tenant_id)
ON CONFLICT (tenant_id) DO UPDATE SET since = excluded.since
"""
# Who stands or stood on these leases, whom their terms ever named, and who lives in the same flats as they did: what is
# known of them follows from contracts too.
_AROUND_SQL = """
WITH said AS (
    SELECT lease_id, terms FROM tenants_leaserevision WHERE lease_id = ANY(%(leases)s::bigint[])
),
place AS (
    SELECT unit_id AS id FROM tenants_lease WHERE id = ANY(%(leases)s::bigint[])
    UNION
    SELECT alias.unit_id FROM said
    JOIN tenants_alias alias ON alias.source = 'unit' AND alias.ref = said.terms ->> 'unit'
),
near AS (
    SELECT id FROM place
    UNION
    SELECT other.id FROM place JOIN tenants_unit own USING (id) JOIN tenants_unit other ON other.flat_id = own.flat_id
),
phone AS (
    SELECT terms ->> 'phone' AS ref FROM said
    UNION
    SELECT other ->> 'phone' FROM said, jsonb_array_elements(coalesce(terms -> 'cotenants', '[]')) AS other
)
SELECT stands.tenant_id FROM near
JOIN tenants_lease lease ON lease.unit_id = near.id JOIN tenants_leasetenant stands ON stands.lease_id = lease.id
UNION
SELECT alias.tenant_id FROM phone JOIN tenants_alias alias ON alias.source = 'phone' AND alias.ref = phone.ref
WHERE alias.tenant_id IS NOT NULL
"""
_MARKS_SQL = """
SELECT tenant_id, xmin::text FROM tenants_dirtytenant WHERE %(ids)s::bigint[] IS NULL OR tenant_id = ANY(%(ids)s)
"""
_UNMARK_SQL = """
DELETE FROM tenants_dirtytenant mark USING unnest(%s::bigint[], %s::text[]) AS seen(tenant_id, version)
WHERE mark.tenant_id = seen.tenant_id AND mark.xmin::text = seen.version
"""

# In the order of the SELECT above.
COLUMNS = [str(f.column) for f in Feature._meta.concrete_fields if f.name not in {"tenant", "day", "computed_at"}]
_UPSERT = {"columns": ", ".join(COLUMNS), "updates": ", ".join(f"{c} = excluded.{c}" for c in COLUMNS)}
_REFRESH_ALL_SQL = _REFRESH_SQL.format(narrow="", **_UPSERT)
# Told which people it is about, the planner takes the index of events instead of reading them all.
_REFRESH_SOME_SQL = _REFRESH_SQL.format(narrow="AND tenant_id = ANY(%(ids)s::bigint[])", **_UPSERT)


def since(today: date, days: int) -> datetime:
    """The first moment of a window of `days` days that ends with `today`."""
    return clock.at(today - timedelta(days=days - 1))


def windows(today: date) -> dict[str, Any]:
    """The parameters of windows and limits that the SQL of features, and of the tags beside them, is written with."""
    return {
        "today": today,
        "until": clock.at(today + timedelta(days=1)),
        "since_30": since(today, 30),
        "since_90": since(today, 90),
        "since_365": since(today, 365),
        "this_month": today.replace(day=1),
        "merge": timedelta(hours=MERGE_HOURS),
        "late": timedelta(hours=LATE_ACCEPT_HOURS),
        "bad_scores": list(BAD_SCORES),
        "night_from": NIGHT_FROM_HOUR,
        "night_to": NIGHT_TO_HOUR,
    }


def mark(tenants: Collection[int], *, now: datetime) -> None:
    """Something happened to these tenants since their feature rows were computed. Deleted by `refresh`."""
    if tenants:
        with connection.cursor() as cursor:
            cursor.execute(_MARK_SQL, {"tenants": sorted(set(tenants)), "now": now})


def mark_around(leases: Collection[int], *, now: datetime) -> None:
    """These leases were written: whoever has to do with them, their flatmates included, is to be computed again."""
    if leases:
        with connection.cursor() as cursor:
            cursor.execute(_AROUND_SQL, {"leases": sorted(leases)})
            mark([tenant for (tenant,) in cursor.fetchall()], now=now)


def marked() -> list[int]:
    """The tenants something happened to since: whom `refresh` has to compute again."""
    return list(DirtyTenant.objects.order_by("pk").values_list("pk", flat=True))


def rows_of(tenants: Collection[int]) -> list[int]:
    """Every row under which the people of these rows are known."""
    with connection.cursor() as cursor:
        cursor.execute(_SAME_PEOPLE_SQL, {"only": sorted(tenants)})
        return [row for (row,) in cursor.fetchall()]


def refresh(*, today: date, now: datetime, tenants: Collection[int] | None = None) -> int:
    """Every feature row (or those of `tenants`) says what is known on `today`; returns how many were written."""
    only = None if tenants is None else sorted(tenants)
    params: dict[str, Any] = {**windows(today), "now": now, "only": only}
    with transaction.atomic(), connection.cursor() as cursor:
        # Compiling this statement takes longer than what it saves.
        cursor.execute("SET LOCAL jit = off")
        params["ids"] = None
        if tenants is not None:
            params["ids"] = rows_of(tenants)
        # Marks are read before the events are, and deleted after: one made in between stays for the next time.
        cursor.execute(_MARKS_SQL, params)
        marks = cursor.fetchall()
        cursor.execute(_FORGET_SQL, params)
        cursor.execute(_REFRESH_ALL_SQL if tenants is None else _REFRESH_SOME_SQL, params)
        written = int(cursor.rowcount)
        cursor.execute(_UNMARK_SQL, [[mark[0] for mark in marks], [mark[1] for mark in marks]])
        if written >= planner.MANY:
            planner.look_again()
        return written
