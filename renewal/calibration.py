"""Whether tenants do what they say: the last intent before a lease was decided, beside what became of it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db import connection

from renewal import facts, kpis
from renewal import figures as sums
from tenants import access
from tenants.access import Somebody

# An intent counts for STALE days; whoever said nothing, or said it longer ago, is a row of their own. What is decided,
# and how, is as in the figures: renewed, or left by a confirmed notice or unsigned.
SAID = f"""
with decided as (
    select l.id, {kpis.OUTCOME} as outcome, c.id as case_id, (
        select max(ch.at) from renewal_casechange ch
        where ch.case_id = c.id and ch.now in ('signed', 'notice', 'moved_out') and ch.was <> ch.now
            and ch.at <= %(until)s
    ) as at
    from {kpis.LEASES} join renewal_case c on c.lease_id = l.id
    where {kpis.COUNTED}
)
select coalesce(said.lean, ''), decided.outcome, count(*)
from decided left join lateral (
    select fact.said ->> 'lean' as lean from renewal_fact fact
    where fact.case_id = decided.case_id and fact.kind = 'intent' and fact.at <= decided.at
        and fact.at > decided.at - make_interval(days => %(stale)s)
    order by fact.at desc, fact.id desc limit 1
) said on true
where decided.outcome in ('renewed', 'left')
group by 1, 2
"""  # noqa: S608 - put together from constants


def table(user: Somebody, *, today: date, now: datetime) -> dict[str, Any]:
    """A row per intent: how many leases were decided, how many renewed, and the share with its 95 % interval."""
    mine = list(access.buildings_for(user, today=today, roles=access.SEES_PEOPLE))
    counted: dict[str, dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(SAID, {**kpis.facts_of(today, whose=mine, now=now), "stale": facts.STALE_DAYS})
        for lean, outcome, n in cursor.fetchall():
            counted.setdefault(lean, {})[outcome] = n
    rows: list[dict[str, Any]] = [
        {
            "lean": lean,
            "name": str(name),
            "renewed": counted.get(lean, {}).get("renewed", 0),
            "left": counted.get(lean, {}).get("left", 0),
        }
        for lean, name in [*facts.LEANS.items(), ("", "")]
    ]
    for row in rows:
        row["share"] = sums.share(row["renewed"], row["renewed"] + row["left"])
    return {"rows": rows, "n": sum(row["share"]["n"] for row in rows), "said": sum(r["share"]["n"] for r in rows[:-1])}
