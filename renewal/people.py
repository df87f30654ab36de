"""Tenants as staff meet them: the list, and one person's page. Only through the doors of tenants.access."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Case as When
from django.db.models import Q, QuerySet, Value
from django.db.models import When as If
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from campaigns.models import Push
from campaigns.pushes import read
from connectors.records import Kind
from renewal import ledger, perkboard, persons
from renewal.models import Case, CaseChange, Proposal
from tenants import access, clock, holdout
from tenants.access import Somebody
from tenants.models import Click, DoorMonth, Event, Lease, LeaseTenant, Tenant, TenantTag
from tenants.outbox import keeping
from tenants.tags import TAGS
from workorders.models import Report

PER_PAGE = 50
EVENTS_PER_PAGE = 30
GONE_DAYS = 60  # who left longer ago is found by asking for everybody
DOOR_MONTHS = 6
# Meters tell a story only in sum, and doors are not shown one by one: law, and good manners.
NOT_TOLD = (Kind.DOOR_OPENED, Kind.POWER_READ, Kind.WATER_READ)
TOPICS: dict[str, tuple[Kind, ...]] = {
    "repairs": (
        Kind.TICKET_REPORTED, Kind.TICKET_ACCEPTED, Kind.TICKET_ARRIVED, Kind.TICKET_FINISHED, Kind.TICKET_RATED,
    ),
    "money": (Kind.PAYMENT_MADE, Kind.BILL_ISSUED),
    "moods": (Kind.MOOD_GIVEN,),
    "house": (Kind.FACILITY_USED, Kind.COMMUNITY_JOINED, Kind.COMMUNITY_POSTED),
    "app": (Kind.APP_VIEWED, Kind.APP_TRACKED, Kind.PROFILE_STATED),
}  # fmt: skip


# A person's lease of today; before it starts, the coming one; after the end, the last.
CURRENT_SQL = """
    select distinct on (coalesce(t.merged_into_id, t.id)) lt.id
    from tenants_leasetenant lt join tenants_tenant t on t.id = lt.tenant_id join tenants_lease l on l.id = lt.lease_id
    where lt.id in ({ids})
    order by coalesce(t.merged_into_id, t.id),
        case when %s between l.first_day and l.last_day then 0 when l.first_day > %s then 1 else 2 end,
        l.last_day desc, lt.id desc
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the list is asked for; every field stands in the address."""

    words: str = ""
    building: str = ""
    tag: str = ""
    state: str = ""
    everybody: bool = False
    among: Collection[int] | None = None  # only these, of those who live here or will
    page: int = 1


@dataclass(slots=True)
class Row:
    """One tenant of the list with the lease that matters now."""

    tenant: Tenant
    lease: Lease
    case: Case | None
    days_left: int
    tags: list[str] = field(default_factory=list)


def roster(user: Somebody, wanted: Wanted, *, today: date) -> Page[Any]:
    """A page of the tenants a person may see: the nearest end first, those who left last."""
    mine = access.leases_for(user, today=today).filter(state=Lease.State.SIGNED)
    everyone = LeaseTenant.objects.filter(lease__in=mine).annotate(
        person=Coalesce("tenant__merged_into_id", "tenant_id"),
        is_over=When(If(lease__last_day__lt=today, then=Value(1)), default=Value(0)),
    )
    ids, params = everyone.values("pk").query.sql_with_params()
    rows: QuerySet[Any] = everyone.filter(pk__in=RawSQL(CURRENT_SQL.format(ids=ids), (*params, today, today)))  # noqa: S611
    if wanted.among is not None:
        rows = rows.filter(person__in=wanted.among, lease__last_day__gte=today)
    elif not wanted.everybody:
        rows = rows.filter(lease__last_day__gte=today - timedelta(days=GONE_DAYS))
    if wanted.building:
        rows = rows.filter(lease__unit__building__code=wanted.building)
    if wanted.tag:
        rows = rows.filter(person__in=TenantTag.objects.filter(tag=wanted.tag).values("tenant"))
    if wanted.state:
        rows = rows.filter(lease__in=Case.objects.filter(state=wanted.state).values("lease"))
    for word in wanted.words.split():
        # Every word is in the name, the phone, a contract's number or a unit's code.
        named = Tenant.objects.filter(Q(name__icontains=word) | Q(phone__contains=word))
        let = everyone.filter(Q(lease__contract_no__icontains=word) | Q(lease__unit__code__icontains=word))
        rows = rows.filter(Q(person__in=named.values("pk")) | Q(person__in=let.values("person")))
    ordered = rows.select_related("lease__unit__building").order_by("is_over", "lease__last_day", "person")
    page: Page[Any] = Paginator(ordered, PER_PAGE).get_page(wanted.page)
    page.object_list = _rows(list(page.object_list), today=today)
    return page


def _rows(chosen: list[Any], *, today: date) -> list[Row]:
    """The rows of one page, in a fixed number of queries."""
    tenants = Tenant.objects.in_bulk([row.person for row in chosen])
    cases = {case.lease_id: case for case in Case.objects.filter(lease__in=[row.lease_id for row in chosen])}
    tags: dict[int, list[str]] = {}
    for tenant_id, tag in TenantTag.objects.filter(tenant__in=tenants).values_list("tenant", "tag"):
        tags.setdefault(tenant_id, []).append(tag)
    order = list(TAGS)
    return [
        Row(
            tenants[row.person],
            row.lease,
            cases.get(row.lease_id),
            (row.lease.last_day - today).days,
            sorted((tag for tag in tags.get(row.person, []) if tag in TAGS), key=order.index),
        )
        for row in chosen
    ]


# --- One person ---------------------------------------------------------------------------------


def portrait(
    user: Somebody, tenant_id: int, *, topic: str, page: int, ledger_page: int = 1, today: date
) -> dict[str, Any]:
    """All that a person may know of a tenant. Raises `Tenant.DoesNotExist` for one behind no door of theirs.

    What is shown ends with the leases the person may see: who moved to another building is not followed there.
    """
    tenant = access.tenants_for(user, today=today).get(pk=tenant_id)
    people = [tenant.pk, *Tenant.objects.filter(merged_into=tenant).values_list("pk", flat=True)]
    leases = list(
        access.leases_for(user, today=today)
        .filter(pk__in=LeaseTenant.objects.filter(tenant__in=people).values("lease"))
        .select_related("unit__building", "renews")
        .order_by("-first_day", "-pk")
    )
    until = None
    if not access.sees_everything(user, today=today):
        until = clock.at(max(lease.last_day for lease in leases) + timedelta(days=1 + GONE_DAYS))
    told = Event.objects.filter(tenant__in=people).exclude(kind__in=NOT_TOLD)
    if until:
        told = told.filter(at__lt=until)
    events = told.filter(kind__in=TOPICS[topic]) if topic in TOPICS else told
    signed = [lease for lease in leases if lease.state == Lease.State.SIGNED]
    current = next((lease for lease in signed if lease.first_day <= today), signed[0] if signed else leases[0])
    cases = {case.lease_id: case for case in Case.objects.filter(lease__in=leases)}
    return {
        "tenant": tenant,
        "current": current,
        "is_held_out": holdout.is_held_out(tenant, today=today),
        "leases": leases,
        "cases": cases,
        "case": cases.get(current.pk),
        "changes": list(CaseChange.objects.filter(case__lease=current).exclude(was="").order_by("-at", "-pk")),
        "proposal": Proposal.objects.filter(lease=current, tenant__in=people).first(),
        "tags": _tags(tenant),
        **persons.panel(tenant, user=user, until=until, today=today),
        "events": Paginator(events.select_related("unit").order_by("-at", "-pk"), EVENTS_PER_PAGE).get_page(page),
        "doors": _doors(people, today=today),
        **pushes_of(people, leases),
        **ledger.panel(tenant, page=ledger_page, now=clock.now()),
        "vouchers": perkboard.of_people(people, now=clock.now()),
        "orders": list(
            Report.objects.filter(tenant__in=people, order__unit__in=[lease.unit_id for lease in leases])
            .select_related("order__technician", "order__unit")
            .order_by("-reported_at", "-pk")[:6]
        ),
    }


def _tags(tenant: Tenant) -> list[dict[str, Any]]:
    """Each tag with its reason in words and the events behind it."""
    held = [tag for tag in TenantTag.objects.filter(tenant=tenant) if tag.tag in TAGS]
    named = {tuple(pair) for tag in held for pair in tag.evidence.get("events", [])}
    wanted = Q()
    for source, ref in named:
        wanted |= Q(source=source, source_id=ref)
    behind = {(event.source, event.source_id): event for event in Event.objects.filter(wanted)} if named else {}
    order = list(TAGS)
    return [
        {
            "code": tag.tag,
            "name": TAGS[tag.tag].name,
            "sentence": TAGS[tag.tag].sentence(tag.evidence),
            "since": tag.since,
            "events": [
                behind[tuple(pair)]
                for pair in tag.evidence.get("events", [])
                if tuple(pair) in behind and behind[tuple(pair)].kind not in NOT_TOLD
            ],
        }
        for tag in sorted(held, key=lambda tag: order.index(tag.tag))
    ]


def _doors(people: list[int], *, today: date) -> list[dict[str, Any]]:
    """How often the door was opened in each of the last months: the sum, never a moment."""
    months: dict[date, int] = {}
    for month, openings in DoorMonth.objects.filter(tenant__in=people).values_list("month", "openings"):
        months[month] = months.get(month, 0) + openings
    since = clock.at((today.replace(day=1) - timedelta(days=31 * DOOR_MONTHS)).replace(day=1))
    for at in Event.objects.filter(tenant__in=people, kind=Kind.DOOR_OPENED, at__gte=since).values_list(
        "at", flat=True
    ):
        month = clock.day_of(at).replace(day=1)
        months[month] = months.get(month, 0) + 1
    return [{"month": month, "openings": months[month]} for month in sorted(months, reverse=True)[:DOOR_MONTHS]]


def pushes_of(people: list[int], leases: list[Lease]) -> dict[str, list[dict[str, Any]]]:
    """Each push with its reason, its message, the tries and whether it was answered; apart those never sent."""
    pushes = list(
        Push.objects.filter(tenant__in=people, lease__in=leases)
        .select_related("step__playbook", "said", "message", "lease")
        .order_by("-created_at", "-pk")[:30]
    )
    keys = {push.message_id: push.message.key for push in pushes if push.message}
    tries = keeping.tries_of([push.message for push in pushes if push.message])
    carriers = {f"message:{key}": message for message, key in keys.items()}
    clicks = {
        carriers[click.link.carrier]: click
        for click in Click.objects.filter(link__carrier__in=carriers).select_related("link")
    }
    rows: list[dict[str, Any]] = [
        {
            "push": push,
            "text": read(push),
            "message": push.message,
            "attempts": tries.get(push.message_id or 0, []),
            "click": clicks.get(push.message_id or 0),
        }
        for push in pushes
    ]
    return {
        "told": [row for row in rows if row["push"].state != Push.State.SUPPRESSED],
        "untold": [row for row in rows if row["push"].state == Push.State.SUPPRESSED],
    }
