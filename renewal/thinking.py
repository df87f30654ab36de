"""想一想: the tenant takes time, and chooses when to be reminded, once. Any answer before then takes it back."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns import pushes
from renewal import facts, notices, proposals
from renewal.answers import TENANT, NotNow
from renewal.models import Case, Fact
from tenants import clock, outbox, templating
from tenants.models import Lease, Message, Tenant

AFTER = {"3": 3, "7": 7}  # days
CHOICES = ("3", "7", "day", "none")
AT_HOUR = 10  # of Shanghai; the outbox keeps it to the quiet hours of its class besides
LASTS = timedelta(days=2)  # a reminder that could not go within so long is none any more
TEMPLATE = "think-reminder"
TEXT = "您让我们今天提醒您：租约 {last_day} 到期，您的信还在这里。"


def days(lease: Lease, *, today: date) -> dict[str, date]:
    """The days to choose from: those before the lease's last day."""
    found = {choice: today + timedelta(days=n) for choice, n in AFTER.items()}
    return {choice: day for choice, day in found.items() if day < lease.last_day}


@transaction.atomic
def think(lease: Lease, tenant: Tenant, choice: str, *, day: date | None = None, now: datetime) -> Fact:
    """The case is being considered, and one reminder is on its way, or none; the same choice again is the first one.

    Raises `NotNow`, `proposals.Closed`.
    """
    case = notices.hold(lease)
    proposals.refuse_if_closed(lease, now=now)
    on = _day(lease, choice, day, today=clock.day_of(now))
    person = tenant.merged_into or tenant
    last = facts.latest(case, Fact.Kind.REMINDER)
    if last and (last.said["choice"], last.said["on"]) == (choice, on and on.isoformat()) and _stands(last):
        return last
    proposals.move_up(lease, Case.State.CONSIDERING, now=now, cause="the tenant takes time to think")
    forget(lease, person, now=now)
    number = Fact.objects.filter(case=case, kind=Fact.Kind.REMINDER).count() + 1
    key = f"remind:{lease.pk}:{person.pk}:{number}" if on else ""
    if on:
        _post(lease, person, key, on, now=now)
    said = {"choice": choice, "on": on.isoformat() if on else None, "key": key}
    return facts.add(case, Fact.Kind.REMINDER, said, now=now, by=TENANT)


def forget(lease: Lease, tenant: Tenant, *, now: datetime) -> None:
    """What was to remind them is not sent any more: they have answered, or chosen another day."""
    with override(settings.LANGUAGE_CODE):  # kept for staff to read
        reason = _("The tenant has answered.")
    person = tenant.merged_into_id or tenant.pk
    outbox.cancel_for_lease(lease, reason=reason, now=now, keys=f"remind:{lease.pk}:{person}:")


def _day(lease: Lease, choice: str, day: date | None, *, today: date) -> date | None:
    if choice == "none":
        return None
    if choice == "day":
        if day is None or not today < day < lease.last_day:
            raise NotNow(
                _("Choose a day after today and before %(day)s, the last day of the lease.")
                % {"day": date_format(lease.last_day, _("j F Y"))}
            )
        return day
    if (found := days(lease, today=today).get(choice)) is None:
        raise NotNow(_("Choose when we shall remind you."))
    return found


def _stands(last: Fact) -> bool:
    """Whether the reminder of that choice is still to come, or none was wanted."""
    key = last.said["key"]
    return not key or Message.objects.filter(key=key, state=Message.State.QUEUED).exists()


def _post(lease: Lease, person: Tenant, key: str, on: date, *, now: datetime) -> None:
    last_day = pushes.day_in_words(lease.last_day)
    klass = Message.Class.SERVICE
    forms = templating.forms_by(TEMPLATE, {"last_day": last_day}, klass=klass, standing=templating.shelf())
    at = clock.at(on, AT_HOUR)
    draft = outbox.Draft(
        key=key,
        klass=klass,
        text=TEXT.format(last_day=last_day),
        forms=forms,
        not_before=at,
        deadline=at + LASTS,
        tenant_id=person.pk,
        lease_id=lease.pk,
        link_purpose="proposal",
        stops_on_answer=True,
    )
    outbox.post(draft, now=now)
