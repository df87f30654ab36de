"""The figures of a day, as DOMAIN.md counts them: set-based SQL in, renewal/figures.py for the sums.

A figure of a day uses what had happened by the end of that day (or by `now`, if that is earlier):
contracts by their signing day, cases by their changes, work orders, clicks and pushes by their moments.
Two things have no history: a message's state and a unit's list rent are today's, whatever the day.

`known_at` goes further and reads what was *recorded* by then: contracts in the terms they had, who stood on them
and who was merged into whom (tenants/history.py); case changes and orders by their own moments. The figures kept
of a day are those known at its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext_lazy as _

from renewal import figures as sums
from renewal.cases import RENEWED
from renewal.figures import Period
from renewal.models import Case, KpiDay
from tenants import clock, history, holdout
from tenants.models import Building

# What a figure's list may be asked for: the outcomes, and what E and "decided so far" are made of.
OUTCOMES_NAMED = {
    "ending": _("counted"),
    "decided": _("decided"),
    "renewed": _("renewed"),
    "left": _("leaving or left"),
    "transferred": _("transferred"),
    "holdover": _("holdover"),
    "undecided": _("undecided"),
    "ended_by_operator": _("ended by the operator"),
    "ended_early": _("ended before the renewal window"),
}
MADE_OF = {
    "ending": ["renewed", "left", "transferred", "holdover", "undecided"],
    "decided": ["renewed", "left"],
}
WEEKS_AHEAD = 13
ALL_WE_KNOW = "infinity"  # a moment to PostgreSQL
RECENT_DAYS = 30  # pushes and clicks are counted over so many days

# A row per building and one over all of them (building null) from one pass.
BY_BUILDING = "grouping sets ((), (u.building_id))"
CASE_THEN = """(
    select ch.now from renewal_casechange ch join renewal_case c on c.id = ch.case_id
    where c.lease_id = l.id and ch.at <= %(until)s order by ch.at desc, ch.id desc limit 1
)"""
# A notice is a tenant's word *confirmed by staff* (DOMAIN.md): until then nothing is decided. Where the contract itself
# says that the tenant ends it, staff have confirmed it there.
UNCONFIRMED = """l.ended_by <> 'tenant' and exists (
    select from renewal_notice n join renewal_case nc on nc.id = n.case_id
    where nc.lease_id = l.id and not n.only_them and n.given_at <= %(until)s
        and (n.withdrawn_at is null or n.withdrawn_at > %(until)s)
        and (n.confirmed_at is null or n.confirmed_at > %(until)s)
)"""
OUTCOME = f"""case
    when l.ended_by = 'operator' then 'ended_by_operator'
    when l.ended_by = 'tenant' and coalesce(l.ended_agreed_on, l.last_day) < l.agreed_last_day - %(window)s
        then 'ended_early'
    when {RENEWED} then 'renewed'
    else case {CASE_THEN}
        when 'transferred' then 'transferred'
        when 'holdover' then 'holdover'
        when 'notice' then case when {UNCONFIRMED} then 'undecided' else 'left' end
        when 'moved_out' then 'left'
        else 'undecided'
    end
end"""
LEASES = """tenants_lease l join tenants_unit u on u.id = l.unit_id"""
COUNTED = "l.state = 'signed' and l.recorded_at <= %(known_at)s and u.building_id = any(%(buildings)s)"

LEASES_WITH = f"""
select l.id from {LEASES} where {COUNTED} and exists (select from renewal_case c where c.lease_id = l.id)
    and {OUTCOME} = any(%(outcomes)s)
"""  # noqa: S608
OUTCOMES = f"""
with ending as (
    select p.name, u.building_id, {OUTCOME} as outcome
    from unnest(%(names)s, %(firsts)s::date[], %(lasts)s::date[]) as p(name, first, last)
    join tenants_lease l on l.last_day between p.first and p.last
    join tenants_unit u on u.id = l.unit_id
    where {COUNTED}
)
select u.building_id, u.name, u.outcome, count(*) from ending u
group by u.name, u.outcome, {BY_BUILDING}
"""  # noqa: S608
CASES = f"""
select u.building_id, u.state, count(*) from (
    select u.building_id, {CASE_THEN} as state
    from {LEASES}
    where {COUNTED} and l.last_day between %(first)s and %(last)s
) u
where u.state is not null
group by u.state, {BY_BUILDING}
"""  # noqa: S608
ENDINGS = f"""
select date_trunc('week', l.last_day)::date as monday, {OUTCOME} as outcome, count(*)
from {LEASES}
where {COUNTED} and l.last_day between %(first)s and %(last)s
group by 1, 2
"""  # noqa: S608
# By lot, as it stood when the lease's case could open: who was drawn later had heard offers, or might have.
ENDED = f"""
select l.id, {holdout.DRAWN} as is_held_out, {OUTCOME} as outcome
from {LEASES}
join lateral (
    select salt, percent from tenants_holdout line
    where line.at <= (l.last_day - %(window)s)::timestamp at time zone 'Asia/Shanghai'
    order by line.at desc, line.id desc limit 1
) draw on draw.percent > 0
where {COUNTED} and l.last_day between %(first)s and %(last)s
"""  # noqa: S608
EFFECT = f"select ended.is_held_out, ended.outcome, count(*) from ({ENDED}) ended group by 1, 2"  # noqa: S608
# What perks were given with the leases that followed on those that could hear offers, less those taken back: yuan, by
# what was given and not by what is redeemed yet. Only what was chosen with a renewal (renewal/following.py).
PERKS_GIVEN = f"""
select coalesce(sum(line.cost * line.quantity), 0)
from ({ENDED}) ended
join tenants_lease next on next.renews_id = ended.id and next.state = 'signed'
join tenants_grant given on given.lease_id = next.id
join tenants_perk perk on perk.id = given.perk_id and given.key = 'perk:' || next.id || ':' || perk.code
join tenants_grant line on (line.id = given.id or line.of_id = given.id) and line.granted_at <= %(until)s
where not ended.is_held_out
"""  # noqa: S608
# An order that was finished though nobody pressed "accept" was accepted when they came, at the latest.
WAITS = f"""
with waited as (
    select o.unit_id, o.first_reported_at, coalesce(o.accepted_at, o.arrived_at, o.finished_at) as accepted_at
    from workorders_workorder o
)
select u.building_id, p.name,
    array_agg(extract(epoch from o.accepted_at - o.first_reported_at)::float / 3600)
        filter (where o.accepted_at <= %(until)s),
    array_agg(extract(epoch from %(until)s - o.first_reported_at)::float / 3600)
        filter (where (o.accepted_at <= %(until)s) is not true),
    min(o.first_reported_at) filter (where (o.accepted_at <= %(until)s) is not true)
from unnest(%(names)s, %(firsts)s::timestamptz[], %(lasts)s::timestamptz[]) as p(name, first, last)
join waited o on o.first_reported_at >= p.first and o.first_reported_at < p.last
    and o.first_reported_at <= %(until)s
join tenants_unit u on u.id = o.unit_id
where u.building_id = any(%(buildings)s)
group by p.name, {BY_BUILDING}
"""  # noqa: S608
# Pushes are counted on the day they were decided: a late comer's step may have been due long before.
DECIDED = "(p.created_at at time zone 'Asia/Shanghai')::date between %(first)s and %(last)s"
# A push that never became a message is counted apart: `push_planned`, `push_held`, `push_suppressed`.
PUSHES = f"""
select u.building_id, coalesce(m.state, 'push_' || p.state) as state, count(*)
from campaigns_push p
join tenants_lease l on l.id = p.lease_id
join tenants_unit u on u.id = l.unit_id
left join tenants_message m on m.id = p.message_id
where {DECIDED} and u.building_id = any(%(buildings)s)
group by coalesce(m.state, 'push_' || p.state), {BY_BUILDING}
"""  # noqa: S608
CLICKS = f"""
select u.building_id, count(distinct coalesce(t.merged_into_id, t.id)),
    count(distinct coalesce(t.merged_into_id, t.id)) filter (where k.proven_at <= %(until)s),
    count(distinct coalesce(t.merged_into_id, t.id)) filter (where k.opened_at <= %(until)s)
from campaigns_push p
join tenants_tenant t on t.id = p.tenant_id
join tenants_lease l on l.id = p.lease_id
join tenants_unit u on u.id = l.unit_id
join tenants_message m on m.id = p.message_id
left join tenants_link i on i.carrier = 'message:' || m.key
left join tenants_click k on k.link_id = i.id
where {DECIDED} and m.sent_at <= %(until)s and u.building_id = any(%(buildings)s)
group by {BY_BUILDING}
"""  # noqa: S608
# A unit is let on the days of its signed lease; one who stays on without a new lease still lives there.
VACANCY = f"""
with stay as (
    select l.unit_id, l.first_day,
        case when {CASE_THEN} = 'holdover' then greatest(l.last_day, %(last)s) else l.last_day end as last_day
    from {LEASES}
    where {COUNTED} and l.first_day <= %(last)s
        and l.last_day >= %(first)s - 366
), vacant as (
    select u.building_id, u.list_rent, greatest(0, %(last)s - %(first)s + 1 - coalesce(sum(
        greatest(0, least(stay.last_day, %(last)s) - greatest(stay.first_day, %(first)s) + 1)
    ) filter (where stay.unit_id is not null), 0)) as days
    from tenants_unit u left join stay on stay.unit_id = u.id
    where u.building_id = any(%(buildings)s)
    group by u.id
)
select u.building_id, sum(u.days), sum(u.days * u.list_rent) / %(days_of_month)s from vacant u group by {BY_BUILDING}
"""  # noqa: S608

Whose = Building | Collection[Building] | None
Figures = dict[str, Any]


def figures(*, day: date, building: Whose = None, now: datetime | None = None, known_on: date | None = None) -> Figures:
    """The figures of a day over one building, several, or (none given) all: plain values, fit for JSON."""
    return _measure(day, whose=building, now=now, known_on=known_on)[None]


def figures_by_building(*, day: date, building: Whose, now: datetime) -> dict[int | None, Figures]:
    """The figures of each building by its id, and of all those asked for under None."""
    return _measure(day, whose=building, now=now)


def store(*, day: date, now: datetime) -> int:
    """The day has a row of figures over all and one per building; a day that is over keeps what was last counted.

    The first count after a day's end replaces what was counted during it; later ones do not. Counts changed rows.
    """
    end = clock.at(day + timedelta(days=1))
    known = {row.building_id: row for row in KpiDay.objects.filter(day=day)}
    changed = [
        KpiDay(day=day, building_id=building, figures=figure, computed_at=now)
        for building, figure in _measure(day, now=now, is_over=now >= end).items()
        if (old := known.get(building)) is None or (old.computed_at < end and old.figures != figure)
    ]
    KpiDay.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["day", "building"],
        update_fields=["figures", "computed_at"],
    )
    return len(changed)


def renewals(period: Period, *, day: date, building: Whose = None, now: datetime) -> dict[int | None, dict[str, Any]]:
    """The renewal rate of the leases that ended in a period, per building by its id and of all under None."""
    facts = facts_of(day, whose=building, now=now)
    outcomes: dict[int | None, dict[str, int]] = {each: {} for each in [None, *facts["buildings"]]}
    for place, _name, outcome, count in _rows(OUTCOMES, {**facts, **_periods({"asked": period})}):
        outcomes[place][outcome] = count
    return {place: sums.renewal_rate(counts) for place, counts in outcomes.items()}


def endings(*, day: date, building: Whose = None, now: datetime | None = None) -> list[dict[str, Any]]:
    """The leases that end in each of the next weeks, by outcome so far; a week is known by its Monday."""
    monday = day - timedelta(days=day.weekday())
    span = Period(monday, monday + timedelta(days=7 * WEEKS_AHEAD - 1))
    weeks: dict[date, dict[str, int]] = {monday + timedelta(days=7 * n): {} for n in range(WEEKS_AHEAD)}
    for week, outcome, count in _rows(ENDINGS, {**facts_of(day, whose=building, now=now), **_span(span)}):
        weeks[week][outcome] = count
    return [{"monday": week, **sums.renewal_rate(outcomes)} for week, outcomes in weeks.items()]


def effect(*, day: date, building: Whose = None, now: datetime | None = None) -> dict[str, Any]:
    """How the leases of the last 365 days renewed that could hear offers, and how those that were held out."""
    span = Period(day - timedelta(days=364), day)
    facts = {**facts_of(day, whose=building, now=now), **_span(span)}
    outcomes: dict[bool, dict[str, int]] = {True: {}, False: {}}
    for is_held_out, outcome, count in _rows(EFFECT, facts):
        outcomes[is_held_out][outcome] = count
    found = sums.effect(outcomes[False], outcomes[True])
    ((cost,),) = _rows(PERKS_GIVEN, facts)
    return {**_iso(span), **found, "perks": sums.cost_per_renewal(cost, found)}


def leases_with(outcome: str, *, day: date, now: datetime | None = None) -> list[int]:
    """The leases with a case that a figure of the day counts under `outcome`."""
    facts = {**facts_of(day, whose=None, now=now), "outcomes": MADE_OF.get(outcome, [outcome])}
    return [lease for (lease,) in _rows(LEASES_WITH, facts)]


def _measure(
    day: date,
    *,
    whose: Whose = None,
    now: datetime | None = None,
    known_on: date | None = None,
    is_over: bool = False,
) -> dict[int | None, Figures]:
    """The figures per building, and over all of them under None; of a day that is over, as known at its end."""
    facts = facts_of(day, whose=whose, now=now, known_on=day if is_over else known_on)
    month, season = sums.month_of(day), sums.season_of(day)
    periods = {"month": month, "season": season}
    recent = Period(day - timedelta(days=RECENT_DAYS - 1), day)
    so_far = Period(month.first, day)

    outcomes: dict[tuple[int | None, str], dict[str, int]] = defaultdict(dict)
    for building, name, outcome, count in _rows(OUTCOMES, {**facts, **_periods(periods)}):
        outcomes[building, name][outcome] = count

    cases: dict[int | None, dict[str, int]] = defaultdict(dict)
    for building, state, count in _rows(CASES, {**facts, **_span(season)}):
        cases[building][state] = count

    waited = {"before": sums.year_before(season), "season": Period(season.first, day), "month": so_far}
    moments = {
        **_periods(waited),
        "firsts": [clock.at(period.first) for period in waited.values()],
        "lasts": [clock.at(period.last + timedelta(days=1)) for period in waited.values()],
    }
    waits = {
        (building, name): (over or [], waiting or [], since)
        for building, name, over, waiting, since in _rows(WAITS, {**facts, **moments})
    }

    pushes: dict[int | None, dict[str, int]] = defaultdict(dict)
    for building, state, count in _rows(PUSHES, {**facts, **_span(recent)}):
        pushes[building][state] = count
    clicks = {building: counts for building, *counts in _rows(CLICKS, {**facts, **_span(recent)})}

    days_of_month = (month.last - month.first).days + 1
    vacancy = {
        building: (days or 0, cost or Decimal(0))  # over no buildings at all, SQL's sums are null
        for building, days, cost in _rows(VACANCY, {**facts, **_span(so_far), "days_of_month": days_of_month})
    }

    def of(building: int | None) -> Figures:
        reached, proven, opened = clicks.get(building, (0, 0, 0))
        vacant_days, cost = vacancy.get(building, (0, Decimal(0)))
        return {
            "day": day.isoformat(),
            "known_on": known_on.isoformat() if known_on else None,
            "renewal": {
                name: {**_iso(period), **sums.renewal_rate(outcomes[building, name])}
                for name, period in periods.items()
            },
            "cases": {
                **_iso(season),
                "states": {state: cases[building].get(state, 0) for state in Case.State.values},
            },
            "accept": {
                name: {**_iso(period), **_waits(*waits.get((building, name), ([], [], None)))}
                for name, period in waited.items()
            },
            "pushes": {**_iso(recent), "total": sum(pushes[building].values()), "states": pushes[building]},
            "clicks": {**_iso(recent), "proven": sums.share(proven, reached), "unproven": opened - proven},
            "vacancy": {**_iso(so_far), "unit_days": int(vacant_days), "cost": sums.yuan(Decimal(cost))},
        }

    return {building: of(building) for building in [None, *facts["buildings"]]}


def _waits(over: list[float], waiting: list[float], since: datetime | None) -> dict[str, Any]:
    since_day = since.isoformat() if since else None
    return {**sums.waits(over, waiting, target=settings.ACCEPT_TARGET_HOURS), "waiting_since": since_day}


def facts_of(day: date, *, whose: Whose, now: datetime | None, known_on: date | None = None) -> dict[str, Any]:
    """What every query may ask for: the day, its end (or now), what was known, and whose buildings."""
    buildings = [whose] if isinstance(whose, Building) else whose
    end = clock.at(day + timedelta(days=1)) - timedelta(microseconds=1)
    until = min(now, end) if now else end
    known_at: Any = ALL_WE_KNOW
    if known_on:
        known_at = clock.at(known_on + timedelta(days=1)) - timedelta(microseconds=1)
        until = min(until, known_at)
    if buildings is None:
        ids = list(Building.objects.order_by("code").values_list("pk", flat=True))
    else:
        ids = [building.pk for building in buildings]
    return {
        "day": day,
        "until": until,
        "known_at": known_at,
        "buildings": ids,
        "window": settings.CASE_OPENS_DAYS,
    }


def _span(period: Period) -> dict[str, date]:
    return {"first": period.first, "last": period.last}


def _iso(period: Period) -> dict[str, str]:
    return {"from": period.first.isoformat(), "to": period.last.isoformat()}


def _periods(periods: dict[str, Period]) -> dict[str, list[Any]]:
    return {
        "names": list(periods),
        "firsts": [period.first for period in periods.values()],
        "lasts": [period.last for period in periods.values()],
    }


def _rows(sql: str, facts: dict[str, Any]) -> list[tuple[Any, ...]]:
    if facts["known_at"] != ALL_WE_KNOW:
        sql = history.as_known(sql)
    with connection.cursor() as cursor:
        cursor.execute(sql, facts)
        return cursor.fetchall()
