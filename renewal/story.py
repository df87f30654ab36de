"""The tenant's year in numbers: a library of sentences, each true, kind, and explained.

A sentence looks once for everybody it is asked about and answers with facts; where it has nothing true and
kind to say about somebody it is silent. Whoever did not agree to personal wording, or chose the general
version, gets only the general ones. No sentence reads a door log.

The year ends with the day of preparation: 365 Shanghai days, as in `tenants.features`. What was found is frozen
in both languages with its evidence, so that a proposal reads the same for as long as it lives.
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

MOST_CARDS = 6
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


@dataclass(frozen=True, slots=True)
class Words:
    zh: str
    en: str

    def filled(self, facts: dict[str, Any]) -> dict[str, str]:
        return {"zh": self.zh.format(**facts), "en": self.en.format(**facts)}


# Per person id: the facts that fill the words; "figure" is among them.
Found = dict[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Sentence:
    code: str
    find: Callable[[Sequence[Subject], date], Found]
    unit: Words
    sentence: Words
    how: Words
    general: bool = False  # says nothing drawn from behaviour


def tell(subjects: Sequence[Subject], *, today: date) -> dict[Subject, list[dict[str, Any]]]:
    """Each subject's cards in order, at most six; one look per sentence, however many subjects."""
    year: dict[Subject, list[dict[str, Any]]] = {subject: [] for subject in subjects}
    for sentence in LIBRARY:
        asked = [subject for subject in subjects if subject.personal or sentence.general]
        found = sentence.find(asked, today) if asked else {}
        for subject in asked:
            if (facts := found.get(subject.tenant_id)) and len(year[subject]) < MOST_CARDS:
                words = {**facts, "figure": f"{facts['figure']:,}", "operator": settings.OPERATOR_NAME}
                year[subject].append(
                    {
                        "code": sentence.code,
                        "figure": words["figure"],
                        "unit": sentence.unit.filled(words),
                        "sentence": sentence.sentence.filled(words),
                        "how": sentence.how.filled(words),
                        "evidence": facts,
                        "general": sentence.general,
                    }
                )
    return year


@dataclass(frozen=True, slots=True)
class Told:
    """One card of the year in one language."""

    code: str
    figure: str
    unit: str
    sentence: str
    how: str
    evidence: dict[str, Any]


def told(stored: list[dict[str, Any]], *, language: str, general: bool = False) -> list[Told]:
    """The frozen cards of a proposal (`proposal.story`) in `language`; with `general`, only the impersonal ones."""
    key = "en" if language.startswith("en") else "zh"
    return [
        Told(
            code=card["code"],
            figure=card["figure"],
            unit=card["unit"][key],
            sentence=card["sentence"][key],
            how=card["how"][key],
            evidence=card["evidence"],
        )
        for card in stored
        if card["general"] or not general
    ]


# --- Looking ----------------------------------------------------------------------------------------------

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


def _days_lived(subjects: Sequence[Subject], today: date) -> Found:
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


def _times(kind: str, least: int, **data: str) -> Callable[[Sequence[Subject], date], Found]:
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


def _commute(subjects: Sequence[Subject], today: date) -> Found:
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


def _repairs(subjects: Sequence[Subject], today: date) -> Found:
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


def _paid_on_time(subjects: Sequence[Subject], today: date) -> Found:
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


def _activities_held(subjects: Sequence[Subject], today: date) -> Found:
    """Activities that took place in the building: days with a title, whoever came."""
    sql = f"""
        with held as (
            select u.building_id, e.data->>'activity' as activity, (e.at at time zone '{_HERE}')::date as day
            from tenants_event e
            join tenants_leasetenant lt on lt.tenant_id = e.tenant_id
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


def _less_power(subjects: Sequence[Subject], today: date) -> Found:
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


# --- The library, in the order of the cards ---------------------------------------------------------------

LIBRARY = (
    Sentence(
        "days",
        _days_lived,
        unit=Words("天", "days"),
        sentence=Words("到今天，您在{operator}住了 {figure} 天。", "You have lived with {operator} for {figure} days."),
        how=Words(
            "从 {first} 起，按租约在期的天数相加，同一天只算一次。",
            "The days under a lease since {first} added up, each day once.",
        ),
        general=True,
    ),
    Sentence(
        "gym",
        _times("facility.used", AT_LEAST_TIMES, facility="gym"),
        unit=Words("次", "times"),
        sentence=Words("过去一年，您共使用健身房 {figure} 次。", "In the past year you used the gym {figure} times."),
        how=Words(
            "按您在 App 里的健身房使用记录计数，{first} 至 {last}。",
            "Counted from your gym records in the app, {first} to {last}.",
        ),
    ),
    Sentence(
        "kitchen",
        _times("facility.used", AT_LEAST_TIMES, facility="shared_kitchen"),
        unit=Words("次", "times"),
        sentence=Words(
            "过去一年，您用过 {figure} 次共享厨房。", "In the past year you used the shared kitchen {figure} times."
        ),
        how=Words(
            "按您在 App 里的共享厨房使用记录计数，{first} 至 {last}。",
            "Counted from your shared-kitchen records in the app, {first} to {last}.",
        ),
    ),
    Sentence(
        "commute",
        _commute,
        unit=Words("小时", "hours"),
        sentence=Words(
            "平均每月节省通勤时间约 {figure} 小时。",
            "On average you spend about {figure} hours a month less commuting.",
        ),
        how=Words(
            "按您 {stated} 填写的工作地点估算：直线 {straight_km} 公里，按 1.3 倍绕行约 {road_km} 公里；"
            "前 3 公里时速 12 公里、3 至 10 公里时速 20 公里、更远时速 30 公里，单程约 {minutes} 分钟。"
            "与全城平均的单程 {baseline_minutes} 分钟相比，往返，每月 {workdays} 个工作日。",
            "Estimated from the workplace you gave on {stated}: {straight_km} km straight, about {road_km} km by road "
            "(× 1.3); 12 km/h up to 3 km, 20 km/h up to 10 km, 30 km/h beyond, about {minutes} minutes one way. "
            "Compared with the city's average of {baseline_minutes} minutes, both ways, {workdays} workdays a month.",
        ),
    ),
    Sentence(
        "community",
        _times("community.joined", AT_LEAST_ACTIVITIES),
        unit=Words("次", "times"),
        sentence=Words(
            "过去一年，您参加了 {figure} 次社区活动。", "In the past year you came to {figure} community activities."
        ),
        how=Words("按活动签到计数，{first} 至 {last}。", "Counted from the sign-ins of activities, {first} to {last}."),
    ),
    Sentence(
        "repairs",
        _repairs,
        unit=Words("件", "repairs"),
        sentence=Words(
            "过去一年，您报修 {figure} 件，已修好 {figure} 件。",
            "In the past year: {figure} reported, {figure} mended.",
        ),
        how=Words(
            "按工单计数，同一件事报过几次也只算一件，{first} 至 {last}。",
            "Counted by work order; one problem reported more than once counts once, {first} to {last}.",
        ),
    ),
    Sentence(
        "on_time",
        _paid_on_time,
        unit=Words("期", "rents"),
        sentence=Words(
            "过去一年，{figure} 期房租您都按时交了。", "In the past year you paid all {figure} rents on time."
        ),
        how=Words(
            "按房租的应付日与支付日比对，应付日 {first} 至 {last}。",
            "The day each rent was paid against the day it was due, {first} to {last}.",
        ),
        general=True,
    ),
    Sentence(
        "power",
        _less_power,
        unit=Words("度", "kWh"),
        sentence=Words(
            "近 30 天，您比同楼的中位数少用了 {figure} 度电。",
            "In the last 30 days you used {figure} kWh less than the building's median.",
        ),
        how=Words(
            "同楼 {neighbours} 户近 30 天用电的中位数约 {median} 度，您约 {own} 度，截至 {day}。",
            "The median of {neighbours} homes in the building over 30 days is about {median} kWh, yours about {own}, "
            "up to {day}.",
        ),
    ),
    Sentence(
        "held",
        _activities_held,
        unit=Words("场", "activities"),
        sentence=Words(
            "过去一年，这栋楼办了 {figure} 场社区活动。",
            "In the past year {figure} activities took place in this building.",
        ),
        how=Words(
            "按有人签到的活动计数，同一天同一主题算一场，{first} 至 {last}。",
            "Activities somebody signed in to; one title on one day counts once, {first} to {last}.",
        ),
        general=True,
    ),
)
