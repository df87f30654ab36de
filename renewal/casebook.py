"""The cases as staff read them: which leases end, and who waits for whom. Only through the doors of tenants.access."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Case as When
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Value
from django.db.models import When as If
from django.utils.translation import gettext_lazy as _

from renewal import facts, kpis
from renewal.cases import ENDS
from renewal.models import Case, Errand, Fact, Notice
from tenants import access
from tenants.access import Somebody
from tenants.models import LeaseTenant, Tenant

PER_PAGE = 50
S = Case.State

# Who has to do the next thing. Each case waits for one of them.
WAITS = {
    "us": _("waits for us"),
    "tenant": _("waits for the tenant"),
    "word": _("has heard nothing from us yet"),
    "declined": _("said not this time"),
    "nobody": _("has its outcome"),
}
_OPEN_ERRAND = Errand.objects.filter(case=OuterRef("pk"), done_at=None).exclude(case__state__in=[S.SIGNED, *ENDS])
_TO_CONFIRM = Notice.objects.filter(confirmed_at=None, withdrawn_at=None).exclude(
    # Whoever signed, moved or left since has overtaken it.
    case__state__in=[S.SIGNED, *ENDS]
)
NEEDS = Exists(_OPEN_ERRAND) | Exists(_TO_CONFIRM.filter(case=OuterRef("pk")))
ANSWERING = (S.CONTACTED, S.VIEWED, S.CONSIDERING)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the list is asked for; every field stands in the address."""

    words: str = ""
    state: str = ""
    outcome: str = ""
    building: str = ""
    first: date | None = None  # last days from … to, both inclusive
    last: date | None = None
    waits: str = ""
    page: int = 1


@dataclass(slots=True)
class Row:
    """One case of the list."""

    case: Case
    people: list[Tenant]
    days_left: int
    age: timedelta  # in its state
    waits: str
    intent: Fact | None
    is_stale: bool
    needs: list[str] = field(default_factory=list)

    @property
    def waits_for(self) -> str:
        return str(WAITS[self.waits])


def visible(user: Somebody, *, today: date) -> QuerySet[Case]:
    """The cases a person may see: those of the leases they may see."""
    rows = Case.objects.all()
    if access.sees_everything(user, today=today):
        return rows
    return rows.filter(lease__in=access.leases_for(user, today=today))


def fitting(user: Somebody, wanted: Wanted, *, today: date, now: datetime) -> QuerySet[Any]:
    """The cases that fit all but whom they wait for."""
    rows = visible(user, today=today)
    if wanted.state:
        rows = rows.filter(state=wanted.state)
    if wanted.outcome:
        rows = rows.filter(lease__in=kpis.leases_with(wanted.outcome, day=today, now=now))
    if wanted.building:
        rows = rows.filter(lease__unit__building__code=wanted.building)
    if wanted.first:
        rows = rows.filter(lease__last_day__gte=wanted.first)
    if wanted.last:
        rows = rows.filter(lease__last_day__lte=wanted.last)
    for word in wanted.words.split():
        people = Tenant.objects.filter(Q(name__icontains=word) | Q(phone__contains=word))
        roots = Q(tenant__in=people) | Q(tenant__merged_into__in=people)
        held = LeaseTenant.objects.filter(roots).values("lease")
        rows = rows.filter(
            Q(lease__in=held) | Q(lease__contract_no__icontains=word) | Q(lease__unit__code__icontains=word)
        )
    return _marked(rows, today=today)


def _marked(rows: QuerySet[Case], *, today: date) -> QuerySet[Any]:
    """The cases with whom each waits for, and whether its lease is over."""
    return rows.annotate(
        waits=When(
            If(NEEDS, then=Value("us")),
            If(state=S.UPCOMING, then=Value("word")),
            If(state=S.DECLINED, then=Value("declined")),
            If(state__in=ANSWERING, then=Value("tenant")),
            default=Value("nobody"),
        ),
        is_over=When(If(lease__last_day__lt=today, then=Value(1)), default=Value(0)),
    )


def sums(rows: QuerySet[Any]) -> dict[str, int]:
    """How many there are, and how many wait for whom."""
    counted = dict(rows.order_by().values_list("waits").annotate(n=Count("pk")))
    return {name: counted.get(name, 0) for name in WAITS} | {"n": sum(counted.values())}


def listed(rows: QuerySet[Any], *, waits: str, page: int, today: date, now: datetime) -> Page[Any]:
    """A page of them, the nearest end first, and those whose end is past last."""
    if waits:
        rows = rows.filter(waits=waits)
    ordered = rows.select_related("lease__unit__building").order_by("is_over", "lease__last_day", "pk")
    shown: Page[Any] = Paginator(ordered, PER_PAGE).get_page(page)
    shown.object_list = _rows(list(shown.object_list), today=today, now=now)
    return shown


def row_of(case: Case, *, today: date, now: datetime) -> Row:
    """One case as the list has it."""
    marked = _marked(Case.objects.filter(pk=case.pk), today=today).select_related("lease__unit__building")
    return _rows(list(marked), today=today, now=now)[0]


def _rows(cases: list[Any], *, today: date, now: datetime) -> list[Row]:
    """The rows of one page, in a fixed number of queries."""
    ids = [case.pk for case in cases]
    people = people_of([case.lease_id for case in cases])
    intents = facts.latest_of(ids, Fact.Kind.INTENT)
    needs: dict[int, list[str]] = {}
    for notice in _TO_CONFIRM.filter(case__in=ids):
        needs.setdefault(notice.case_id, []).append(str(_("confirm the notice")))
    for errand in Errand.objects.filter(case__in=ids, done_at=None).order_by("pk"):
        needs.setdefault(errand.case_id, []).append(errand.get_kind_display())
    return [
        Row(
            case=case,
            people=people.get(case.lease_id, []),
            days_left=(case.lease.last_day - today).days,
            age=now - case.since,
            waits=case.waits,
            intent=(intent := intents.get(case.pk)),
            is_stale=intent is not None and facts.is_stale(intent, now=now),
            needs=needs.get(case.pk, []),
        )
        for case in cases
    ]


def people_of(leases: Collection[int]) -> dict[int, list[Tenant]]:
    """Who stands on each lease, the primary tenant first; merged rows are whom they became."""
    found: dict[int, list[Tenant]] = {}
    rows = LeaseTenant.objects.filter(lease__in=leases).select_related("tenant__merged_into")
    for row in rows.order_by("lease", "-is_primary", "pk"):
        person = row.tenant.merged_into or row.tenant
        if person not in found.setdefault(row.lease_id, []):
            found[row.lease_id].append(person)
    return found


def months(user: Somebody, *, today: date) -> list[date]:
    """The months in which cases that a person may see end, the earliest first."""
    found = visible(user, today=today).values_list("lease__last_day", flat=True).distinct()
    return sorted({day.replace(day=1) for day in found})


def month(first: date) -> tuple[date, date]:
    """The first and the last day of a month."""
    following = (first + timedelta(days=32)).replace(day=1)
    return first, following - timedelta(days=1)


def lease_of(user: Somebody, case: int, *, today: date) -> Case:
    """The case, if it is behind a door of theirs. Raises `Case.DoesNotExist`."""
    return visible(user, today=today).select_related("lease__unit__building", "lease__renews").get(pk=case)
