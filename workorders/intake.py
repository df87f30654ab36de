"""Tickets become work orders: one problem, many reports.

The rows are a function of the `ticket.*` events, worked out anew for all of them at once, so it does
not matter in which order files arrived or how often this ran. The rule:

* A report belongs to the unit its event names, or else to the unit the person rented that day.
* It joins the order of its fingerprint (unit and category) that is not finished when it comes;
  otherwise it opens a new one. An order is finished by the last finish of its reports. A report that the
  ticket system never closes is closed with the first finish of its fingerprint that comes after it.
* The order is accepted by the first acceptance over its reports, and belongs to that technician;
  it has the last rating given. The wait starts with the first report.
* An order is known by its earliest report. When late facts join two orders, the older row stays.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from workorders.models import WorkOrder

# Two runs at once would both find the same report new. Readers are not held up.
LOCK = "lock table workorders_workorder in share row exclusive mode"

TICKETS = """
create temp table intake_ticket on commit drop as
with reported as (
    select distinct on (data->>'ticket')
        data->>'ticket' as ticket, at, unit_id, tenant_id,
        left(coalesce(data->>'channel', ''), 16) as channel, left(coalesce(data->>'text', ''), 500) as text,
        case when data->>'category' = any(%(categories)s) then data->>'category' else 'other' end as category
    from tenants_event
    where kind like 'ticket.%%' and kind = 'ticket.reported' and at <= %(now)s and data->>'ticket' <> ''
    order by data->>'ticket', at, id
), handled as (
    select data->>'ticket' as ticket,
        min(at) filter (where kind = 'ticket.accepted') as accepted_at,
        (array_agg(data->>'technician' order by at, id) filter (where kind = 'ticket.accepted'))[1] as technician,
        min(at) filter (where kind = 'ticket.arrived') as arrived_at,
        max(at) filter (where kind = 'ticket.finished') as finished_at,
        max(at) filter (where kind = 'ticket.rated') as rated_at,
        (array_agg(data->>'score' order by at desc, id desc) filter (where kind = 'ticket.rated'))[1] as score
    from tenants_event
    where kind like 'ticket.%%' and kind <> 'ticket.reported' and at <= %(now)s
    group by 1
), located as (
    select r.*, coalesce(r.unit_id, (
        select l.unit_id
        from tenants_tenant who
        join tenants_tenant row on row.id = coalesce(who.merged_into_id, who.id)
            or row.merged_into_id = coalesce(who.merged_into_id, who.id)
        join tenants_leasetenant lt on lt.tenant_id = row.id join tenants_lease l on l.id = lt.lease_id
        where who.id = r.tenant_id and l.state = 'signed'
            and (r.at at time zone 'Asia/Shanghai')::date between l.first_day and l.last_day
        order by l.first_day desc, l.id desc limit 1
    )) as of_unit
    from reported r
)
select r.ticket, r.tenant_id, r.channel, r.text, r.category, r.at as reported_at, r.of_unit as unit_id,
    r.of_unit || ':' || r.category as fingerprint,
    -- A clock that runs slow somewhere must not make a wait negative.
    case when h.accepted_at is not null then greatest(h.accepted_at, r.at) end as accepted_at,
    case when h.arrived_at is not null then greatest(h.arrived_at, r.at) end as arrived_at,
    case when h.finished_at is not null then greatest(h.finished_at, r.at) end as finished_at,
    h.technician, h.rated_at,
    case when h.score ~ '^[1-5]$' then h.score::smallint end as score
from located r left join handled h using (ticket);
create index on intake_ticket (fingerprint, finished_at);
analyze intake_ticket
"""

# Gaps and islands: a report that comes when all earlier ones of its fingerprint are finished starts a new order.
ISLANDS = """
create temp table intake_report on commit drop as
with closed as (
    select t.*, coalesce(
        t.finished_at,
        (select min(o.finished_at) from intake_ticket o
         where o.fingerprint = t.fingerprint and o.finished_at > t.reported_at),
        'infinity'
    ) as closed_at
    from intake_ticket t
    where t.unit_id is not null
), started as (
    select *, reported_at >= max(closed_at) over (
        partition by fingerprint order by reported_at, ticket rows between unbounded preceding and 1 preceding
    ) as starts
    from closed
)
select *, count(*) filter (where starts) over (partition by fingerprint order by reported_at, ticket) as island
from started
"""

ORDERS = """
create temp table intake_order on commit drop as
with known as (
    select distinct on (order_id) order_id, ticket from workorders_report order by order_id, reported_at, ticket
), islands as (
    select i.fingerprint, i.island, min(known.order_id) as known_id,
        min(i.unit_id) as unit_id, min(i.category) as category,
        (array_agg(i.text order by i.reported_at, i.ticket))[1] as text,
        min(i.reported_at) as first_reported_at,
        min(i.accepted_at) as accepted_at,
        (array_agg(i.technician order by i.accepted_at, i.ticket) filter (where i.accepted_at is not null))[1]
            as technician,
        min(i.arrived_at) as arrived_at,
        nullif(max(i.closed_at), 'infinity') as finished_at,
        (array_agg(i.score order by i.rated_at desc, i.ticket) filter (where i.score is not null))[1] as score
    from intake_report i left join known on known.ticket = i.ticket
    group by i.fingerprint, i.island
)
select i.*, s.id as technician_id, known_id is null as is_new,
    coalesce(known_id, nextval(pg_get_serial_sequence('workorders_workorder', 'id'))) as order_id,
    case when i.finished_at is not null then 'finished' when i.accepted_at is not null then 'accepted' else 'open' end
        as state
from islands i
left join tenants_user u on u.username = i.technician
left join tenants_staff s on s.user_id = u.id
"""

# Finished ones first and emptied ones next: at no moment are two orders of one fingerprint unfinished.
FACTS = (
    "unit_id category fingerprint state text first_reported_at accepted_at arrived_at finished_at technician_id score"
)
CHANGE = f"""
update workorders_workorder w
set ({", ".join(FACTS.split())}) = ({", ".join(f"n.{fact}" for fact in FACTS.split())})
from intake_order n
where n.order_id = w.id and (n.state = 'finished') = %(finished)s
    and ({", ".join(f"w.{fact}" for fact in FACTS.split())})
        is distinct from ({", ".join(f"n.{fact}" for fact in FACTS.split())})
"""  # noqa: S608
EMPTIED = """
delete from workorders_workorder w
where not exists (select from intake_order n where n.order_id = w.id)
    and exists (select from workorders_report r where r.order_id = w.id)
    and not exists (
        select from workorders_report r left join intake_report i using (ticket)
        where r.order_id = w.id and i.ticket is null
    )
"""
OPEN = f"""
insert into workorders_workorder (id, {", ".join(FACTS.split())})
select order_id, {", ".join(FACTS.split())} from intake_order where is_new
"""  # noqa: S608
JOIN = """
insert into workorders_report (ticket, order_id, tenant_id, channel, text, reported_at)
select i.ticket, o.order_id, i.tenant_id, i.channel, i.text, i.reported_at
from intake_report i join intake_order o using (fingerprint, island)
on conflict (ticket) do update
set order_id = excluded.order_id, tenant_id = excluded.tenant_id, channel = excluded.channel,
    text = excluded.text, reported_at = excluded.reported_at
where (workorders_report.order_id, workorders_report.tenant_id, workorders_report.channel,
       workorders_report.text, workorders_report.reported_at)
    is distinct from (excluded.order_id, excluded.tenant_id, excluded.channel, excluded.text, excluded.reported_at)
returning xmax = 0 as inserted
"""


@transaction.atomic
def take(*, now: datetime) -> dict[str, int]:
    """Every ticket reported by `now` whose unit is known is a report of exactly one work order."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute("drop table if exists intake_ticket, intake_report, intake_order")
        cursor.execute(TICKETS, {"categories": WorkOrder.Category.values, "now": now})
        cursor.execute("select count(*) from intake_ticket where unit_id is null")
        homeless = cursor.fetchone()[0]
        cursor.execute(ISLANDS)
        cursor.execute(ORDERS)
        cursor.execute(CHANGE, {"finished": True})
        changed = cursor.rowcount
        cursor.execute(EMPTIED)
        joined = cursor.rowcount
        cursor.execute(CHANGE, {"finished": False})
        changed += cursor.rowcount
        cursor.execute(OPEN)
        opened = cursor.rowcount
        cursor.execute(JOIN)
        reports = sum(inserted for (inserted,) in cursor.fetchall())
    return {
        "reports": reports,
        "orders_opened": opened,
        "orders_changed": changed,
        "orders_joined": joined,
        "without_unit": homeless,
    }
