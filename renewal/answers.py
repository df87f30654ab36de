"""What tenants answer besides a signature, and what staff do about it. Each moves the case by lawful moves only."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, override

from campaigns import playbooks
from renewal import cases, holds, proposals
from renewal.models import Case, CaseChange, Hold, Notice
from tenants import clock, outbox
from tenants.models import Lease

# Why somebody declines or may leave; the code is kept, with what they write themselves after it.
REASONS = {
    "undecided": gettext_lazy("I have not decided yet"),
    "rent": gettext_lazy("The rent"),
    "place": gettext_lazy("Where it is"),
    "room": gettext_lazy("I would like another kind of room"),
    "service": gettext_lazy("The service"),
}
AGAIN = gettext_noop("taken up again")
TENANT = "tenant"  # who answered, where no member of the staff wrote it down


def reason_words(cause: str) -> str:
    """A reason as it was kept ("rent: 想再看看"), in words; whatever else it is, as it is."""
    code, colon, more = cause.partition(": ")
    known = {**REASONS, **dict(Notice.Reason.choices)}
    if code not in known:
        return cause
    return _("%(reason)s: %(more)s") % {"reason": known[code], "more": more} if colon else str(known[code])


class NotNow(Exception):
    """What was asked for cannot be done as the case stands, in one sentence."""


def settle(lease: Lease, to: Case.State, *, cause: str, now: datetime, by: str = TENANT) -> None:
    """The case has its answer, and nothing more is said to get one."""
    case = cases.case_of(lease)
    if case is None:
        raise proposals.Closed("not_yet")
    if case.state == Case.State.HOLDOVER and to in {Case.State.DECLINED, Case.State.NOTICE}:
        # The lease has ended already: there is no end left to announce. Their word is kept for whoever calls.
        CaseChange.objects.create(case=case, was=case.state, now=case.state, at=now, cause=cause[:200], by=by)
    else:
        cases.move(case, to, now=now, cause=cause[:200], by=by)
    with override(settings.LANGUAGE_CODE):  # kept for staff to read, whatever language the tenant reads
        because = str(to.label)
    is_signed = to in {Case.State.SIGNED, Case.State.TRANSFERRED}
    holds.let_go(lease, Hold.Over.SIGNED if is_signed else Hold.Over.ANSWERED, now=now)
    playbooks.stop(lease, because=because, today=clock.day_of(now))
    outbox.cancel_for_lease(lease, reason=because, now=now)


@transaction.atomic
def decline(lease: Lease, *, reason: str, now: datetime, by: str = TENANT) -> None:
    """The case is declined and what was still to be sent about it is cancelled; the tenant may come back."""
    proposals.refuse_if_closed(lease, now=now)
    settle(lease, Case.State.DECLINED, cause=reason or "declined", now=now, by=by)


def reopen(case: Case, *, cause: str, now: datetime, by: str) -> Case:
    """A declined case is taken up again. Raises `NotNow`."""
    if case.state != Case.State.DECLINED:
        raise NotNow(_("This case is not declined any more: look at it once more."))
    return cases.move(case, Case.State.CONSIDERING, now=now, cause=(cause or AGAIN)[:200], by=by)
