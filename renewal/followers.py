"""Who follows a playbook and who left it: since when and why then, what comes next, what is held back and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from campaigns import drafts
from campaigns.models import Enrolment, Playbook, Push, StepVersion
from campaigns.pushes import wording
from renewal import bookwords
from tenants import access
from tenants.access import Somebody
from tenants.models import Lease, LeaseTenant, Tenant

PER_PAGE = 50
SAMPLE = 12

Anchor = StepVersion.Anchor


@dataclass(slots=True)
class Row:
    """One lease in a playbook."""

    enrolment: Enrolment
    tenant: Tenant
    held: Push | None = None
    next_on: date | None = None
    next: StepVersion | None = None
    next_when: str = ""
    next_text: str = ""


def page(user: Somebody, playbook: Playbook, *, is_left: bool, words: str, number: int, today: date) -> Page[Any]:
    """A page of those under way, who entered last first, or of those who left."""
    rows = _following(user, playbook, is_left=is_left, today=today).annotate(
        person=Coalesce("tenant__merged_into_id", "tenant_id")
    )
    for word in words.split():
        named = Tenant.objects.filter(Q(name__icontains=word) | Q(phone__contains=word))
        let = Q(lease__contract_no__icontains=word) | Q(lease__unit__code__icontains=word)
        rows = rows.filter(Q(person__in=named.values("pk")) | let)
    order = ("-left_on", "-pk") if is_left else ("-enrolled_on", "lease__last_day", "-pk")
    found: Page[Any] = Paginator(
        rows.select_related("lease__unit__building", "version", "tenant__merged_into").order_by(*order), PER_PAGE
    ).get_page(number)
    shown = [Row(each, each.tenant.merged_into or each.tenant) for each in found.object_list]
    if not is_left:
        _look_ahead(shown, today=today)
    found.object_list = shown
    return found


def counted(user: Somebody, playbook: Playbook, *, today: date) -> tuple[int, int]:
    """How many are under way, and how many left."""
    here = _following(user, playbook, is_left=False, today=today).count()
    return here, _following(user, playbook, is_left=True, today=today).count()


def left_why(user: Somebody, playbook: Playbook, *, today: date) -> list[tuple[str, int]]:
    """Why they left and how many, the most first."""
    reasons: dict[str, int] = {}
    for why in _following(user, playbook, is_left=True, today=today).values_list("left_because", flat=True):
        reasons[why] = reasons.get(why, 0) + 1
    return sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))


def sample(user: Somebody, playbook: Playbook | None, *, today: date) -> list[LeaseTenant]:
    """A few leases to see a wording on: those under way in the playbook first, then whose end is nearest."""
    mine = access.leases_for(user, today=today).filter(state=Lease.State.SIGNED, last_day__gte=today)
    people = LeaseTenant.objects.filter(lease__in=mine, is_primary=True, tenant__merged_into=None).select_related(
        "tenant", "lease__unit__building"
    )
    following = Enrolment.objects.filter(playbook=playbook, left_on=None).values("lease")
    first = list(people.filter(lease__in=following).order_by("lease__last_day", "pk")[:SAMPLE]) if playbook else []
    others = people.exclude(pk__in=[each.pk for each in first]).order_by("lease__last_day", "pk")
    return first + list(others[: SAMPLE - len(first)])


def _following(user: Somebody, playbook: Playbook, *, is_left: bool, today: date) -> QuerySet[Enrolment]:
    rows = Enrolment.objects.filter(playbook=playbook, left_on__isnull=not is_left)
    # An answer that came before the first step keeps the playbook away: that is no following.
    rows = rows.exclude(is_final=True, start_why=F("left_because"))
    if not access.sees_everything(user, today=today):
        rows = rows.filter(lease__in=access.leases_for(user, today=today))
    return rows


def _look_ahead(rows: list[Row], *, today: date) -> None:
    """What comes next for each, in a fixed number of queries for each version."""
    leases = [row.enrolment.lease_id for row in rows]
    decided: dict[tuple[int, int, str], dict[int, Push]] = {}
    for push in Push.objects.filter(lease__in=leases):
        decided.setdefault((push.lease_id, push.tenant_id, push.cycle), {})[push.step_id] = push
    versions = {row.enrolment.version_id: row.enrolment.version for row in rows}
    said_in = {pk: drafts.steps(version) for pk, version in versions.items()}
    for row in rows:
        each = row.enrolment
        pushes = decided.get((each.lease_id, each.tenant_id, each.cycle), {})
        steps = said_in[each.version_id]
        held = [pushes[said.step_id] for said in steps if said.step_id in pushes]
        row.held = next((push for push in held if push.state == Push.State.HELD), None)
        ahead = [
            (on, said.pk, said)
            for said in steps
            if said.step_id not in pushes and (on := _due(said, each)) is not None and on >= today
        ]
        if ahead:
            row.next_on, _pk, row.next = min(ahead, key=lambda one: one[:2])
            row.next_when = bookwords.moment(row.next)
            row.next_text = wording(row.next.text, last_day=each.lease.last_day, announcement="…")


def _due(said: StepVersion, each: Enrolment) -> date | None:
    """The day on which a step is due for a lease; nothing for a wave that is not for it."""
    last = each.lease.last_day
    match said.anchor:
        case Anchor.END:
            return last - timedelta(days=said.days)
        case Anchor.WAVE:
            if said.on is None or each.enrolled_on > said.on:
                return None
            return said.on if said.ends_from <= (last - said.on).days <= said.ends_to else None
    return each.start_on + timedelta(days=said.days)
