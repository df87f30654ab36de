"""What the lead of a letter is weighed by, and the lead as its proposal keeps it: renewal/leads.py counts.

Nothing of a person is read: renewals and empty days per building, and what letters that began with a line led to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from renewal import kpis, leads, offers
from renewal.cases import RENEWED
from renewal.figures import Period
from renewal.leads import Facts, Lead
from renewal.models import Case

YEAR = timedelta(days=365)
TOO_FEW = 30  # decided endings of the house: below it letters begin with about a year, as without leads
ENDINGS = 10  # so many endings weigh as much as the house's average
VACANT_DAYS = 1095  # so long ago the endings may be whose empty days are counted
LONGEST_DAYS = 180  # a room that stands empty longer is not empty for the season's sake

# Days between a lease and the next one of its unit, of those that were not renewed, by the month in which it ended.
# A room that is still empty counts with its days so far.
VACANT = f"""
    select u.building_id, extract(month from l.last_day)::int, count(*),
        sum(least(coalesce(later.first_day, %(day)s::date) - l.last_day - 1, %(longest)s))
    from tenants_lease l
    join tenants_unit u on u.id = l.unit_id
    left join lateral (
        select min(s.first_day) as first_day from tenants_lease s
        where s.unit_id = l.unit_id and s.state = 'signed' and s.first_day > l.last_day
    ) later on true
    where l.state = 'signed' and l.last_day between %(day)s::date - {VACANT_DAYS} and %(day)s::date - 1
        and not {RENEWED}
    group by 1, 2
"""  # noqa: S608 - a condition of ours
# Of the letters first opened a month to thirteen months ago, by the line they began with: how many, and how many led to
# a signature. A month is what it takes to decide; those opened since would count as a no.
LED = """
    select (p.lead ->> 'term_months')::int, (p.lead ->> 'free_months')::int, count(*),
        count(*) filter (where c.state = any(%(renewed)s))
    from renewal_proposal p join renewal_case c on c.lease_id = p.lease_id
    where p.lead <> '{}' and p.opened_at >= %(now)s - interval '395 days' and p.opened_at < %(now)s - interval '30 days'
    group by 1, 2
"""


def facts(buildings: Collection[int], *, today: date, now: datetime) -> dict[int, Facts]:
    """What leads are weighed by, per building; nothing while too little has ended in the house. Three queries."""
    period = Period(today - YEAR, today - timedelta(days=1))
    rates = kpis.renewals(period, day=today, now=now)
    house = rates[None]["rate"]
    if house["n"] < TOO_FEW:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(VACANT, {"day": today, "known_at": now, "longest": LONGEST_DAYS})
        ended = cursor.fetchall()
        cursor.execute(LED, {"now": now, "renewed": [Case.State.SIGNED, Case.State.TRANSFERRED]})
        led = {(term, free): (n, renewed) for term, free, n, renewed in cursor.fetchall()}
    found = {}
    for building in buildings:
        own = rates.get(building, {}).get("rate") or {"k": 0, "n": 0}
        rate = (own["k"] + ENDINGS * house["rate"]) / (own["n"] + ENDINGS)
        found[building] = Facts(rate, _vacant_days(building, ended), led)
    return found


def _vacant_days(building: int, ended: Collection[tuple[int, int, int, int]]) -> dict[int, float]:
    """By calendar month: d = (days + K · house) ÷ (endings + K), with `house` the d of all buildings in that month.

    The house's own d leans in the same way on its average over the whole year.
    """
    n = sum(count for _building, _month, count, _days in ended)
    if not n:
        return {}
    always = float(sum(days for *_rest, days in ended)) / n
    found = {}
    for month in range(1, 13):
        house = _leaned([(count, days) for _b, m, count, days in ended if m == month], always)
        found[month] = _leaned([(count, days) for b, m, count, days in ended if m == month and b == building], house)
    return found


def _leaned(rows: Collection[tuple[int, int]], towards: float) -> float:
    days, n = sum(float(days) for _count, days in rows), sum(count for count, _days in rows)
    return (days + ENDINGS * towards) / (n + ENDINGS)


def of_card(card: offers.Card, known: Facts | None) -> Lead | None:
    """The lead of a letter with this card; none where nothing is known."""
    if known is None:
        return None
    return leads.choose(
        card.own.rates,
        first_day=card.first_day,
        anchor_day=card.anchor_day,
        facts=known,
        above_percent=settings.LEAD_ABOVE_PERCENT,
    )


def freeze(lead: Lead | None) -> dict[str, Any]:
    """The lead for a proposal, with what it was chosen by; empty where there is none."""
    if lead is None:
        return {}
    term, free = lead.line.line
    return {
        "term_months": term,
        "free_months": free,
        "cheapest": list(lead.cheapest.line),
        "above_percent": settings.LEAD_ABOVE_PERCENT,
        "horizon": lead.horizon,
        "weighed": [
            [*each.line, str(each.rate.monthly_rent), round(each.chance, 4), round(each.income), round(each.expected)]
            for each in lead.weighed
        ],
    }


def choice(frozen: Mapping[str, Any]) -> offers.Choice | None:
    """The choice a letter begins with; none if its proposal has no lead."""
    return offers.Choice(frozen["term_months"], frozen["free_months"]) if frozen else None
