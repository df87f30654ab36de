"""One-tap intent and wishes: what a tenant leans to, and which other room they would like. Facts, no states.

An intent changes what happens next: whoever may leave, and says why, is called by a person, and no playbook asks them
until some days have passed; whoever wants to stay is asked again at once, and sees the offers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns import quiet
from renewal import errands, facts, notices, proposals, thinking
from renewal.answers import REASONS, TENANT, NotNow
from renewal.models import Case, Errand, Fact
from tenants import clock, outbox, rows
from tenants.models import Lease, Tenant, Unit

MOST = 160
_FACTS = rows.Joined("renewal_fact fact JOIN renewal_case c ON c.id = fact.case_id", fact=Fact)


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said, and until which day no playbook asks (none: they ask as before)."""

    fact: Fact
    quiet_until: date | None


@transaction.atomic
def say(lease: Lease, tenant: Tenant, lean: str, *, reason: str = "", more: str = "", now: datetime) -> Heard:
    """The intent stands with its time. Said once more within a month it is the same. Raises `NotNow`, `Closed`."""
    if lean not in facts.LEANS:
        raise NotNow(_("Say what you lean to."))
    case = notices.hold(lease)
    proposals.refuse_if_closed(lease, now=now)
    today = clock.day_of(now)
    said = {"lean": lean, "reason": reason if reason in REASONS else "", "more": more.strip()[:MOST]}
    last = facts.latest(case, Fact.Kind.INTENT)
    if last and last.said == said and not facts.is_stale(last, now=now):
        return Heard(last, quiet.until(lease, now=now))
    fact = facts.add(case, Fact.Kind.INTENT, said, now=now, by=TENANT)
    thinking.forget(lease, tenant, now=now)
    why = ": ".join(filter(None, [said["reason"], said["more"]]))
    if lean == "leave" and why:
        errands.open(case, Errand.Kind.CALL, why=why, now=now)
        with override(settings.LANGUAGE_CODE):  # kept for staff to read
            because = _("The tenant may leave: a person calls first.")
        until = today + timedelta(days=settings.LEANING_QUIET_DAYS)
        quiet.keep({lease: until}, why=because, now=now)
        outbox.cancel_for_lease(lease, reason=because, now=now)
    elif lean == "stay":
        quiet.lift(lease, now=now)
    return Heard(fact, quiet.until(lease, now=now))


def room_types(lease: Lease) -> list[str]:
    """The types of room of the building, to wish for one."""
    mine = Unit.objects.filter(building=lease.unit.building_id)
    return sorted(set(mine.values_list("room_type", flat=True)))


@transaction.atomic
def wish(
    lease: Lease, tenant: Tenant, *, room_type: str, floor: str, month: str, more: str = "", now: datetime
) -> Fact:
    """The wish for another room stands on the case, and somebody looks for one. Raises `NotNow`, `Closed`."""
    case = notices.hold(lease)
    proposals.refuse_if_closed(lease, now=now)
    said = {
        "room_type": room_type if room_type in room_types(lease) else "",
        "floor": floor.strip()[:20],
        "month": month.strip(),
        "more": more.strip()[:MOST],
    }
    if said["month"] and not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", said["month"]):
        raise NotNow(_("Choose a month in which you would move."))
    if not any(said.values()):
        raise NotNow(_("Say what kind of room you are looking for."))
    last = facts.latest(case, Fact.Kind.WISH)
    if last and last.said == said:
        return last
    fact = facts.add(case, Fact.Kind.WISH, said, now=now, by=TENANT)
    proposals.move_up(lease, Case.State.CONSIDERING, now=now, cause="the tenant asks for another room")
    thinking.forget(lease, tenant, now=now)
    errands.open(case, Errand.Kind.ROOM, why=facts.wish_words(said), now=now)
    return fact


def leaning(lease: Lease, *, now: datetime) -> str:
    """What the tenant leans to, if they have said so within the last days that count."""
    said = {"lease": lease.pk, "kind": Fact.Kind.INTENT.value}
    found = _FACTS.one(
        "c.lease_id = %(lease)s AND fact.kind = %(kind)s ORDER BY fact.at DESC, fact.id DESC LIMIT 1", said
    )
    last: Fact | None = found["fact"] if found else None
    return last.said["lean"] if last and not facts.is_stale(last, now=now) else ""
