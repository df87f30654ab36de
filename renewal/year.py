"""What a tenant's year held: each look asks once for everybody, and finds nothing where there is nothing to say.

The year ends with the day of preparation: 365 Shanghai days, as in `tenants.features`. What is found holds the
figure and what it takes to count it again. No look reads a door log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from renewal import commute
from tenants import clock
from tenants.features import LATE_ACCEPT_HOURS, PERSON_SQL

YEAR_DAYS = 365
AT_LEAST_TIMES = 6  # a facility used less often is not a habit worth a sentence
AT_LEAST_ACTIVITIES = 3
AT_LEAST_HELD = 6
AT_LEAST_PAYMENTS = 6
AT_LEAST_HOURS = 2
AT_LEAST_DAYS = 60
AT_LEAST_NEIGHBOURS = 10  # fewer, and a median would say something about one of them
POWER_OF_MEDIAN = 0.9
AT_LEAST_KWH = 5


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose year: the tenant of a lease, and where they live."""

    lease_id: int
    tenant_id: int  # the person, if they were merged
    building_id: int
    personal: bool  # agreed to personal wording, and did not choose the general version


# Per person id: the facts, "figure" among them. A person who is not in it has nothing to be told.
Found = dict[int, dict[str, Any]]

# The persons asked about with every tenant row that stands for them, and the bounds of their year.
_ASKED = f"""
with recursive {PERSON_SQL}, asked as materialized (select id, root from person where root = any(%(people)s))
"""  # noqa: S608
_HERE = "Asia/Shanghai"


def _rows(sql: str, people: Collection[int], today: date, **more: Any) -> list[dict[str, Any]]:
    """The rows `sql` finds, with days for its moments; its first column is the person."""
    bounds: dict[str, Any] = {
        "people": list(people),
        "today": today,
        "since_day": today - timedelta(days=YEAR_DAYS - 1),
        "since": clock.at(today - timedelta(days=YEAR_DAYS - 1)),
        "until": clock.at(today + timedelta(days=1)),
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, {**bounds, **more})
        columns = [column.name for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _found(sql: str, subjects: Sequence[Subject], today: date, **more: Any) -> Found:
    """Facts per person; days are ISO text, ready to be kept as evidence."""
    rows = _rows(sql, {subject.tenant_id for subject in subjects}, today, **more)
    return {
        row.pop("root"): {key: value.isoformat() if isinstance(value, date) else value for key, value in row.items()}
        for row in rows
    }


def days_lived(subjects: Sequence[Subject], today: date) -> Found:
    """Days under a signed lease up to today, each once, wherever with us it was."""
    sql = f"""
        {_ASKED}, stay as (
            select asked.root, unnest(range_agg(daterange(l.first_day, least(l.last_day, %(today)s), '[]'))) as span
            from asked
            join tenants_leasetenant lt on lt.tenant_id = asked.id
            join tenants_lease l on l.id = lt.lease_id
            where l.state = 'signed' and l.first_day <= %(today)s
            group by asked.root
        )
        select root, sum(upper(span) - lower(span))::int as figure, min(lower(span)) as first, count(*)::int as stays
        from stay group by root having sum(upper(span) - lower(span)) >= %(least)s
    """  # noqa: S608
    return _found(sql, subjects, today, least=AT_LEAST_DAYS)


def times(kind: str, least: int, **data: str) -> Callable[[Sequence[Subject], date], Found]:
    """How often something of this kind happened in the year, with its first and last day."""
    sql = f"""
        {_ASKED}
        select root, count(*)::int as figure,
            min((e.at at time zone '{_HERE}')::date) as first, max((e.at at time zone '{_HERE}')::date) as last
        from asked join tenants_event e on e.tenant_id = asked.id
        where e.kind = %(kind)s and e.at >= %(since)s and e.at < %(until)s and e.data @> %(data)s::jsonb
        group by root having count(*) >= %(least)s
    """  # noqa: S608

    def find(subjects: Sequence[Subject], today: date) -> Found:
        wanted = "{" + ",".join(f'"{key}": "{value}"' for key, value in data.items()) + "}"
        return _found(sql, subjects, today, kind=kind, least=least, data=wanted)

    return find


def hours_saved(subjects: Sequence[Subject], today: date) -> Found:
    """Hours a month less on the way than the city's average commuter, by the workplace they told us."""
    sql = f"""
        {_ASKED}
        select distinct on (root) root, (e.data#>>'{{workplace,0}}')::float8 as latitude,
            (e.data#>>'{{workplace,1}}')::float8 as longitude, (e.at at time zone '{_HERE}')::date as stated
        from asked join tenants_event e on e.tenant_id = asked.id
        where e.kind = 'profile.stated' and e.at < %(until)s
            and jsonb_typeof(e.data#>'{{workplace,0}}') = 'number'
            and jsonb_typeof(e.data#>'{{workplace,1}}') = 'number'
        order by root, e.at desc, e.id desc
    """  # noqa: S608
    stated = _found(sql, subjects, today)
    places = _places({subject.building_id for subject in subjects})
    found: Found = {}
    for subject in subjects:
        here, row = places.get(subject.building_id), stated.get(subject.tenant_id)
        if here and row:
            way = commute.between(here, (row["latitude"], row["longitude"]))
            saved = commute.hours_saved(way, baseline_minutes=settings.COMMUTE_BASELINE_MINUTES)
            if saved >= AT_LEAST_HOURS:
                # The workplace itself is not copied here: distance and day are enough to count it again.
                found[subject.tenant_id] = {
                    "figure": saved,
                    "straight_km": round(way.straight_km, 1),
                    "road_km": round(way.road_km, 1),
                    "minutes": round(way.minutes),
                    "baseline_minutes": settings.COMMUTE_BASELINE_MINUTES,
                    "workdays": commute.WORKDAYS_A_MONTH,
                    "stated": row["stated"],
                }
    return found


def _places(buildings: Collection[int]) -> dict[int, tuple[float, float]]:
    sql = "select id, latitude, longitude from tenants_building where id = any(%s) and latitude + longitude is not null"
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(buildings)])
        return {building: (latitude, longitude) for building, latitude, longitude in cursor.fetchall()}


def repairs(subjects: Sequence[Subject], today: date) -> Found:
    """Problems they reported, if every one was accepted in time, is mended, and none was rated badly."""
    sql = f"""
        {_ASKED}, problem as (
            select distinct asked.root, o.*
            from asked
            join workorders_report r on r.tenant_id = asked.id
            join workorders_workorder o on o.id = r.order_id
            where o.first_reported_at >= %(since)s and o.first_reported_at < %(until)s
        )
        select root, count(*)::int as figure,
            min((first_reported_at at time zone '{_HERE}')::date) as first,
            max((first_reported_at at time zone '{_HERE}')::date) as last
        from problem
        group by root
        having bool_and(state = 'finished' and coalesce(score, 5) > 2
            and coalesce(accepted_at - first_reported_at <= make_interval(hours => %(late)s), false))
    """  # noqa: S608
    return _found(sql, subjects, today, late=LATE_ACCEPT_HOURS)


def paid_on_time(subjects: Sequence[Subject], today: date) -> Found:
    """Rents paid by the day they were due, if none was paid later."""
    sql = f"""
        {_ASKED}, rent as (
            select root, (e.data->>'due_on')::date as due_on,
                bool_and((e.at at time zone '{_HERE}')::date <= (e.data->>'due_on')::date) as on_time
            from asked join tenants_event e on e.tenant_id = asked.id
            where e.kind = 'payment.made' and e.data->>'item' = 'rent'
                and (e.data->>'due_on')::date between %(since_day)s and %(today)s and e.at < %(until)s
            group by root, due_on
        )
        select root, count(*)::int as figure, min(due_on) as first, max(due_on) as last
        from rent group by root having bool_and(on_time) and count(*) >= %(least)s
    """  # noqa: S608
    return _found(sql, subjects, today, least=AT_LEAST_PAYMENTS)


def activities_held(subjects: Sequence[Subject], today: date) -> Found:
    """Activities that took place in the building: days with a title, whoever came."""
    sql = f"""
        with recursive {PERSON_SQL}, held as (
            select u.building_id, e.data->>'activity' as activity, (e.at at time zone '{_HERE}')::date as day
            from tenants_event e
            join person who on who.id = e.tenant_id
            join person holder on holder.root = who.root
            join tenants_leasetenant lt on lt.tenant_id = holder.id
            join tenants_lease l on l.id = lt.lease_id and l.state = 'signed'
                and (e.at at time zone '{_HERE}')::date between l.first_day and l.last_day
            join tenants_unit u on u.id = l.unit_id
            where e.kind = 'community.joined' and e.at >= %(since)s and e.at < %(until)s
                and u.building_id = any(%(people)s)
            group by 1, 2, 3
        )
        select building_id as root, count(*)::int as figure, min(day) as first, max(day) as last
        from held group by building_id having count(*) >= %(least)s
    """  # noqa: S608
    rows = _rows(sql, {subject.building_id for subject in subjects}, today, least=AT_LEAST_HELD)
    held = {
        row["root"]: {"figure": row["figure"], "first": row["first"].isoformat(), "last": row["last"].isoformat()}
        for row in rows
    }
    return {each.tenant_id: held[each.building_id] for each in subjects if each.building_id in held}


def less_power(subjects: Sequence[Subject], today: date) -> Found:
    """kWh less than the building's median in 30 days, where enough neighbours have a meter that was read."""
    sql = f"""
        with recursive {PERSON_SQL}, used as (
            select distinct on (person.root) u.building_id, person.root, f.power_30, f.day
            from tenants_lease l
            join tenants_unit u on u.id = l.unit_id
            join tenants_leasetenant lt on lt.lease_id = l.id and lt.is_primary
            join person on person.id = lt.tenant_id
            join tenants_feature f on f.tenant_id = person.root
            where l.state = 'signed' and %(today)s between l.first_day and l.last_day
                and u.building_id in (select building_id from tenants_unit where building_id = any(%(buildings)s))
                and f.power_30 > 0 and f.day between %(today)s - 7 and %(today)s
            order by person.root, l.first_day desc
        ), median as (
            select building_id, count(*)::int as neighbours,
                percentile_cont(0.5) within group (order by power_30) as median
            from used group by building_id
        )
        select root, round(median - power_30)::int as figure, round(power_30)::int as own,
            round(median)::int as median, neighbours, day
        from used join median using (building_id)
        where root = any(%(people)s) and neighbours >= %(neighbours)s
            and power_30 <= median * %(share)s and median - power_30 >= %(least)s
    """  # noqa: S608
    return _found(
        sql,
        subjects,
        today,
        buildings=list({subject.building_id for subject in subjects}),
        neighbours=AT_LEAST_NEIGHBOURS,
        share=POWER_OF_MEDIAN,
        least=AT_LEAST_KWH,
    )
