"""居住成就路线图: what the length of a stay unlocks, the same for everybody, and what somebody has had of it.

What is given, and when, is renewal.milestones'; here is what a page says of it, from the day of moving in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import override

from renewal import offers
from renewal.models import Case
from tenants import merges, outbox, vouchers
from tenants.models import Grant, Lease, Link, Message, Perk, Tenant
from tenants.vouchers import Voucher

DIVIDEND = "partner"  # given again for each further year
MILESTONES = (("cleaning", 6), ("first_choice", 12), (DIVIDEND, 24))  # what, after so many months
YEAR = 12
KEEPS = timedelta(days=3)  # so long a message with the link is tried


@dataclass(frozen=True, slots=True)
class Step:
    code: str
    months: int
    on: date
    is_reached: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """A milestone on somebody's way: its day, what it gives, and how that stands; no voucher: not given (yet)."""

    months: int
    on: date
    is_reached: bool
    perk: Perk
    voucher: Voucher | None


@dataclass(frozen=True, slots=True)
class Road:
    """Somebody's way. `lease` is the one they live under today, or the latest or next one."""

    lease: Lease
    since: date
    is_home: bool  # lives here today; to who does not nothing further is promised
    stops: list[Stop]
    others: list[Voucher]  # what was given for another reason


class NoStay(Exception):
    """They have never had a lease here."""


def living_since(tenant: Tenant) -> date:
    """The first day of the tenant's first lease."""
    first = _leases(tenant).order_by("first_day").first()
    assert first is not None  # noqa: S101 — asked only of people who have just signed
    return first.first_day


def steps(since: date, *, today: date) -> tuple[Step, ...]:
    """Each milestone with its day."""
    days = [(code, months, _after(since, months)) for code, months in MILESTONES]
    return tuple(Step(code, months, on, on <= today) for code, months, on in days)


def road(tenant: Tenant, *, today: date, now: datetime) -> Road:
    """The way of a person, with what they were given under whichever of their rows. Raises `NoStay`."""
    leases = list(_leases(tenant).select_related("unit__building").order_by("first_day", "pk"))
    if not leases:
        raise NoStay
    since = leases[0].first_day
    here = [lease for lease in leases if lease.first_day <= today <= lease.last_day or _stays_on(lease, today)]
    people = merges.rows_of(merges.root_of(tenant))
    lines = Grant.objects.filter(kind=Grant.Kind.GRANTED, tenant__in=people).select_related("perk")
    given = vouchers.stands(list(lines.order_by("granted_at", "pk")), now=now)
    by_milestone = {each.grant.key.rsplit(":", 1)[1]: each for each in given if each.grant.key.startswith("roadmap:")}
    perks = {perk.code: perk for perk in Perk.objects.filter(code__in=[code for code, _months in MILESTONES])}
    stops = [
        Stop(months, _after(since, months), _after(since, months) <= today, perks[code], by_milestone.get(milestone))
        for code, milestone, months in _milestones(since, set(by_milestone), today=today)
        if code in perks
    ]
    shown = [each for each in stops if here or each.voucher]
    others = [each for each in given if not each.grant.key.startswith("roadmap:")]
    return Road(here[-1] if here else leases[-1], since, bool(here), shown, others[::-1])


def send(tenant: Tenant, *, now: datetime, day: date) -> Message:
    """A message with a link to their roadmap is on its way, once a day. Raises `NoStay`."""
    person = merges.root_of(tenant)
    leases = _leases(tenant)
    lease = leases.filter(first_day__lte=day, last_day__gte=day).last() or leases.order_by("last_day", "pk").last()
    if lease is None:
        raise NoStay
    with override(settings.LANGUAGE_CODE):
        text = _(
            "[%(operator)s] Here is what the time you have lived with us has brought you, and what comes next."
        ) % {"operator": settings.OPERATOR_NAME}
    draft = outbox.Draft(
        key=f"roadmap:{person}:{day}",
        klass=Message.Class.SERVICE,
        text=text,
        tenant_id=person,
        lease_id=lease.pk,
        link_purpose=Link.Purpose.ROADMAP,
        deadline=now + KEEPS,
    )
    return outbox.post(draft, now=now)


def _milestones(since: date, given: set[str], *, today: date) -> list[tuple[str, str, int]]:
    """(perk, milestone, months) in order: each one; of the yearly one those given, the last reached and the next."""
    once = [(code, code, months) for code, months in MILESTONES if code != DIVIDEND]
    first = dict(MILESTONES)[DIVIDEND] // YEAR
    reached = first - 1
    while _after(since, YEAR * (reached + 1)) <= today:
        reached += 1
    years = {n for n in range(first, reached + 1) if f"{DIVIDEND}-{n}" in given} | {max(reached, first), reached + 1}
    return once + [(DIVIDEND, f"{DIVIDEND}-{n}", YEAR * n) for n in sorted(years)]


def _after(since: date, months: int) -> date:
    return offers.add_months(since, months, since.day)


def _stays_on(lease: Lease, today: date) -> bool:
    """Whether the lease is over, and its tenant lives there still, the landlord silent."""
    return lease.last_day < today and bool(getattr(lease, "is_held_over", False))


def _leases(tenant: Tenant) -> QuerySet[Any]:
    person = merges.root_of(tenant)
    held = Case.objects.filter(lease=OuterRef("pk"), state=Case.State.HOLDOVER)
    rows = Lease.objects.filter(Q(tenants=person) | Q(tenants__merged_into=person), state=Lease.State.SIGNED)
    return rows.annotate(is_held_over=Exists(held)).distinct()
