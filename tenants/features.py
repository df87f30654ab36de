"""One row of features per tenant: what rules and tags ask of a year of events, computed in one statement.

A row belongs to each person with a lease that runs on `today` or later; people who were merged count as
one, under the person they were merged into. A window of n days ends with `today` and both ends are Shanghai
days: `today - (n - 1)` at 00:00 up to, not including, the midnight after `today`.

    gym_365, kitchen_90, kitchen_365, laundry_365   facility.used events by facility
    community_90, community_365                      community.joined events
    posts_90                                         community.posted events
    app_30                                           app.viewed events: screens and pages
    price_views_90, coupon_views_90, repair_views_90  of these, the rent price, the coupon and the repair pages
    repairs_365           problems, not reports: reports of one category by one person, each within MERGE_HOURS
                          of the one before, are one repair; it began with its first report
    repairs_open          of these, none of whose tickets is finished
    late_accepts_365      of these, first acceptance more than LATE_ACCEPT_HOURS after the first report
    worst_accept_hours    the longest such time; a repair nobody accepted has none
    night_share_365       of the repairs, those that began between 22:00 and 06:00 ÷ all; nothing where there is none
    last3_night           there were three or more, and the last three all began between 22:00 and 06:00
    last_bad_rating_at    latest ticket.rated with one of seen.BAD_SCORES in 365 days
    last_moods            the last three moods given in 365 days, newest first; of each bill the one given on it last
    last_bad_mood_at      latest 😞 of these, before the last three too
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
from django.db.backends.utils import CursorWrapper

from tenants import clock, planner, seen
from tenants.models import DirtyTenant, Feature

MERGE_HOURS = 24
LATE_ACCEPT_HOURS = 6
NIGHT_FROM_HOUR, NIGHT_TO_HOUR = 22, 6

# (id, root): every tenant, and the person they turned out to be. A merge never points at a merged tenant.
PERSON_SQL = "person(id, root) AS (SELECT id, coalesce(merged_into_id, id) FROM tenants_tenant)"

_WHO_SQL = """
WITH person AS (SELECT id, coalesce(merged_into_id, id) AS root FROM tenants_tenant {these}),
resident AS MATERIALIZED (
    SELECT DISTINCT person.root
    FROM tenants_lease lease
    JOIN tenants_leasetenant lt ON lt.lease_id = lease.id
    JOIN person ON person.id = lt.tenant_id
    WHERE lease.state = 'signed' AND lease.last_day >= %(today)s
)"""

# Reports joined to repairs, see `repairs_365` above. Expects the year's tickets in `few`, as `tenants.seen` has them.
REPAIR_SQL = f"""
report AS (
    SELECT root, at, source, source_id, said AS ticket, also AS category, at - lag(at) OVER same_trouble AS since_last
    FROM few WHERE {seen.what("reported")}
    WINDOW same_trouble AS (PARTITION BY root, also ORDER BY at, said)
),
answer AS (
    SELECT root, said AS ticket,
        min(at) FILTER (WHERE {seen.what("accepted")}) AS accepted_at,
        bool_or({seen.what("finished")}) AS is_finished
    FROM few WHERE {seen.what("accepted", "finished")}
    GROUP BY root, said
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
)"""  # noqa: S608

# Each half by an index.
_SAME_PEOPLE_SQL = """
WITH asked AS MATERIALIZED (
    SELECT DISTINCT coalesce(merged_into_id, id) AS root FROM tenants_tenant WHERE id = ANY(%(only)s::bigint[])
)
SELECT root FROM asked UNION SELECT id FROM tenants_tenant WHERE merged_into_id IN (SELECT root FROM asked)
"""

_COMPUTED_SQL = f"""
{_WHO_SQL},
{{seen}},
counted AS (
    SELECT root,
        count(*) FILTER (WHERE {seen.what("gym")}) AS gym_365,
        count(*) FILTER (WHERE {seen.what("kitchen")} AND at >= %(since_90)s) AS kitchen_90,
        count(*) FILTER (WHERE {seen.what("kitchen")}) AS kitchen_365,
        count(*) FILTER (WHERE {seen.what("laundry")}) AS laundry_365,
        count(*) FILTER (WHERE {seen.what("joined")} AND at >= %(since_90)s) AS community_90,
        count(*) FILTER (WHERE {seen.what("joined")}) AS community_365,
        count(*) FILTER (WHERE {seen.what("posted")}) AS posts_90,
        count(*) FILTER (
            WHERE {seen.what("price view", "coupon view", "repair view", "other view")} AND at >= %(since_30)s
        ) AS app_30,
        count(*) FILTER (WHERE {seen.what("price view")}) AS price_views_90,
        count(*) FILTER (WHERE {seen.what("coupon view")}) AS coupon_views_90,
        count(*) FILTER (WHERE {seen.what("repair view")}) AS repair_views_90,
        max(at) FILTER (WHERE {seen.what("bad rating")}) AS last_bad_rating_at
    FROM seen WHERE {seen.up_to("bad rating")}
    GROUP BY root
),
-- Of these there are few: who asks about one kind of them need not pass all the others by.
few AS MATERIALIZED (SELECT * FROM seen WHERE {seen.between("bad mood", "stated")}),
mood AS (
    SELECT root, coalesce(jsonb_agg(mood ORDER BY nth) FILTER (WHERE nth <= 3), '[]') AS last_moods,
        max(at) FILTER (WHERE is_bad) AS last_bad_mood_at
    FROM (
        -- Of each bill the mood given on it last: whoever changed their mind has that one.
        SELECT *, row_number() OVER (PARTITION BY root ORDER BY at DESC, source_id DESC) AS nth
        FROM (
            SELECT DISTINCT ON (root, bill) root, bill, at, source_id, said AS mood, {seen.what("bad mood")} AS is_bad
            FROM (SELECT *, coalesce(also, source || ' ' || source_id) AS bill FROM few) few
            WHERE {seen.what("bad mood", "other mood")}
            ORDER BY root, bill, at DESC, source DESC, source_id DESC
        ) standing
    ) given
    GROUP BY root
),
{REPAIR_SQL},
repaired AS (
    SELECT root,
        count(*) AS repairs_365,
        count(*) FILTER (WHERE NOT is_finished) AS repairs_open,
        count(*) FILTER (WHERE accepted_at - began_at > %(late)s) AS late_accepts_365,
        max(extract(epoch FROM accepted_at - began_at)) / 3600 AS worst_accept_hours,
        count(*) >= 3 AND bool_and(at_night) FILTER (WHERE latest <= 3) AS last3_night,
        (count(*) FILTER (WHERE at_night))::float8 / count(*) AS night_share_365
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
    -- Sums of whole days are exact in a float8: in whatever order they are read, the figure is the same to the last
    -- bit. OFFSET 0 keeps what a row needs from being worked out once for each figure that asks for it.
    SELECT root,
        count(*) AS payments_365,
        count(*) FILTER (WHERE late > 0) AS late_payments_365,
        CASE WHEN count(late) >= 2 THEN sqrt(count(late) * sum(late * late) - sum(late) ^ 2) / count(late) END
            AS pay_day_sd,
        count(DISTINCT due_month) FILTER (WHERE due_month < %(months)s)::float8
        / nullif(%(months)s - min(due_month), 0) AS paid_share
    FROM (
        SELECT root, (paid_on - due_on)::float8 AS late, CASE
            WHEN item = 'utility' THEN (date_part('year', due_on) * 12 + date_part('month', due_on))::int
        END AS due_month
        FROM (
            SELECT root, said AS item, nullif(also, '')::date AS due_on,
                (at AT TIME ZONE 'Asia/Shanghai')::date AS paid_on
            FROM seen WHERE {seen.what("payment")}
            OFFSET 0
        ) payment
        OFFSET 0
    ) dated
    GROUP BY root
),
used AS (
    SELECT root, sum(greatest(step, 0)) FILTER (WHERE step IS NOT NULL) AS power_30
    FROM (
        SELECT root, value - lag(value) OVER (PARTITION BY root, unit_id ORDER BY at, value, source_id) AS step
        FROM (SELECT root, unit_id, at, said::float8 AS value, source_id FROM seen WHERE {seen.what("power")}) read
    ) reading
    GROUP BY root
),
works AS (
    SELECT DISTINCT ON (root) root, said::jsonb AS workplace
    FROM few WHERE {seen.what("stated")} AND said IS NOT NULL
    ORDER BY root, at DESC, source_id DESC
),
computed AS (
    SELECT resident.root AS tenant_id, %(today)s::date AS day, %(now)s::timestamptz AS computed_at,
        coalesce(gym_365, 0) AS gym_365, coalesce(kitchen_90, 0) AS kitchen_90,
        coalesce(kitchen_365, 0) AS kitchen_365, coalesce(laundry_365, 0) AS laundry_365,
        coalesce(community_90, 0) AS community_90, coalesce(community_365, 0) AS community_365,
        coalesce(posts_90, 0) AS posts_90, coalesce(app_30, 0) AS app_30,
        coalesce(price_views_90, 0) AS price_views_90, coalesce(coupon_views_90, 0) AS coupon_views_90,
        coalesce(repair_views_90, 0) AS repair_views_90,
        coalesce(repairs_365, 0) AS repairs_365, coalesce(repairs_open, 0) AS repairs_open,
        coalesce(late_accepts_365, 0) AS late_accepts_365, coalesce(last3_night, false) AS last3_night,
        night_share_365, worst_accept_hours, last_bad_rating_at,
        coalesce(last_moods, '[]') AS last_moods, last_bad_mood_at,
        coalesce(payments_365, 0) AS payments_365, coalesce(late_payments_365, 0) AS late_payments_365,
        pay_day_sd, paid_share, power_30, workplace
    FROM resident
    LEFT JOIN counted USING (root)
    LEFT JOIN mood USING (root)
    LEFT JOIN repaired USING (root)
    LEFT JOIN paid USING (root)
    LEFT JOIN used USING (root)
    LEFT JOIN works USING (root)
)"""  # noqa: S608

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
_BESIDE_SQL = """
SELECT id FROM unnest(%(ids)s::bigint[]) AS t(id)
UNION
SELECT other.tenant_id FROM tenants_leasetenant own
JOIN tenants_leasetenant other ON other.lease_id = own.lease_id
WHERE own.tenant_id = ANY(%(ids)s)
ORDER BY 1
"""
_MARKS_SQL = """
SELECT tenant_id, xmin::text FROM tenants_dirtytenant WHERE %(ids)s::bigint[] IS NULL OR tenant_id = ANY(%(ids)s)
"""
_UNMARK_SQL = """
DELETE FROM tenants_dirtytenant mark USING unnest(%s::bigint[], %s::text[]) AS seen(tenant_id, version)
WHERE mark.tenant_id = seen.tenant_id AND mark.xmin::text = seen.version
"""

COLUMNS = [str(f.column) for f in Feature._meta.concrete_fields if f.name not in {"tenant", "day", "computed_at"}]
_WRITTEN = ["day", "computed_at", *COLUMNS]
_INSERT_SQL = f"INSERT INTO tenants_feature (tenant_id, {', '.join(_WRITTEN)}) SELECT tenant_id, {', '.join(_WRITTEN)}"
_OR_UPDATE_SQL = f"ON CONFLICT (tenant_id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _WRITTEN)}"

# Whoever has no lease any more loses their row.
_GONE_SQL = "DELETE FROM tenants_feature old WHERE NOT EXISTS (SELECT FROM resident WHERE root = old.tenant_id)"

# Of a few people: in one order, so that two who compute the same people wait for each other at most.
_REFRESH_SOME_SQL = f"""
{_COMPUTED_SQL.format(these="WHERE id = ANY(%(ids)s::bigint[])", seen=f"seen AS MATERIALIZED ({seen.of_these()})")},
gone AS ({_GONE_SQL} AND old.tenant_id = ANY(%(ids)s::bigint[])),
written AS ({_INSERT_SQL} FROM computed ORDER BY tenant_id {_OR_UPDATE_SQL})
SELECT count(*) FROM resident
"""  # noqa: S608
# Of everybody: the events are read into a table first, since PostgreSQL reads with several processes for a new table
# and never for one that stands. Nobody else writes rows meanwhile, so that they can be written in any order, and by
# MERGE: ON CONFLICT locks each row before, which takes half as long again.
_SEEN_ALL_SQL = f"CREATE TEMP TABLE feature_event ON COMMIT DROP AS {seen.of_everybody()}"


def _all_sql(read: str) -> str:
    return f"""
{_COMPUTED_SQL.format(these="", seen=read)}
MERGE INTO tenants_feature old USING computed ON old.tenant_id = computed.tenant_id
WHEN MATCHED THEN UPDATE SET {", ".join(f"{c} = computed.{c}" for c in _WRITTEN)}
WHEN NOT MATCHED THEN
    INSERT (tenant_id, {", ".join(_WRITTEN)}) VALUES ({", ".join(f"computed.{c}" for c in ["tenant_id", *_WRITTEN])})
"""  # noqa: S608


# Looked for only where there are more rows than were written.
_ALL_GONE_SQL = f"{_WHO_SQL.format(these='')} {_GONE_SQL}"
_REFRESH_ALL_SQL = _all_sql("seen AS NOT MATERIALIZED (SELECT * FROM feature_event)")
# In a world of another day (tenants.past) no table can be made, and PostgreSQL reads with one process in any case.
_REFRESH_THERE_SQL = _all_sql(f"seen AS MATERIALIZED ({seen.of_everybody()})")


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
        "months": today.year * 12 + today.month,
        "merge": timedelta(hours=MERGE_HOURS),
        "late": timedelta(hours=LATE_ACCEPT_HOURS),
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


def and_beside(tenants: Collection[int]) -> list[int]:
    """These tenants, and whoever stands on a lease with them: a bill of theirs is one of those people's too."""
    with connection.cursor() as cursor:
        cursor.execute(_BESIDE_SQL, {"ids": rows_of(tenants)})
        return [row for (row,) in cursor.fetchall()]


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
    params: dict[str, Any] = {**windows(today), "now": now, "ids": None}
    with transaction.atomic(), connection.cursor() as cursor:
        # Compiling these statements takes longer than what it saves.
        cursor.execute("SET LOCAL jit = off")
        if tenants is not None:
            params["ids"] = rows_of(tenants)
        # Marks are read before the events are, and deleted after: one made in between stays for the next time.
        cursor.execute(_MARKS_SQL, params)
        marks = cursor.fetchall()
        written = _refresh_all(cursor, params) if tenants is None else _refresh_some(cursor, params)
        cursor.execute(_UNMARK_SQL, [[mark[0] for mark in marks], [mark[1] for mark in marks]])
        planner.look_again_if_grown("tenants_feature", written)
        return written


def _refresh_some(cursor: CursorWrapper, params: dict[str, Any]) -> int:
    cursor.execute(_REFRESH_SOME_SQL, params)
    return int(cursor.fetchone()[0])


def _refresh_all(cursor: CursorWrapper, params: dict[str, Any]) -> int:
    # Nothing is looked up one by one: a table known as empty would be read anew for each person, while the same
    # statement fills it.
    cursor.execute("SET LOCAL work_mem = '128MB'; SET LOCAL enable_nestloop = off")
    if is_stored := _may_make_tables(cursor):
        # Nobody else writes rows until the transaction ends.
        cursor.execute("LOCK TABLE tenants_feature IN SHARE ROW EXCLUSIVE MODE")
        # A row from another process costs less than the planner thinks.
        cursor.execute("SET LOCAL parallel_tuple_cost = 0.001")
        cursor.execute(_SEEN_ALL_SQL, params)
    cursor.execute(_REFRESH_ALL_SQL if is_stored else _REFRESH_THERE_SQL, params)
    written = int(cursor.rowcount)
    cursor.execute("SELECT count(*) FROM tenants_feature")
    if cursor.fetchone()[0] > written:
        cursor.execute(_ALL_GONE_SQL, params)
    if is_stored:
        cursor.execute("DROP TABLE feature_event")
    cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")
    return written


def _may_make_tables(cursor: CursorWrapper) -> bool:
    cursor.execute("SHOW transaction_read_only")
    return bool(cursor.fetchone()[0] == "off")
