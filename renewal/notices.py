"""退租通知: a tenant's word that they leave.

    given ──► confirmed by staff      it counts, and the room may be offered to others
      │           │
      └───────────┴──► withdrawn      the case is being considered again, and the room is offered to nobody else

The tenant may withdraw within a window, until staff confirm; staff may at any time before the lease's end, as long
as nobody else has signed for the room. A notice may be of one of several tenants only: then the lease goes on for
the others, the case stays where it is, and who stays stands first on the lease once it is confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, override

from connectors import sealing
from renewal import answers, cases, proposals
from renewal.answers import TENANT, NotNow
from renewal.models import Case, CaseChange, Notice
from tenants import clock, leases, outbox
from tenants.models import Lease, LeaseTenant, Tenant

S = Case.State
MOST = 160  # characters of what is typed
# What a change of a case says of a notice; translated where it is shown.
GIVEN = gettext_noop("notice given")
CONFIRMED = gettext_noop("the notice is confirmed")
WITHDRAWN = gettext_noop("the notice was withdrawn")
ONE_LEAVES = gettext_noop("one of the tenants gives notice")
ONE_CONFIRMED = gettext_noop("the notice of one of the tenants is confirmed")
ONE_STAYS = gettext_noop("one of the tenants takes the notice back")


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody says when they give notice."""

    last_day: date
    reason: str = ""
    more: str = ""
    forwarding: str = ""
    only_me: bool = False


def standing(case: Case) -> list[Notice]:
    """The notices that have not been withdrawn, the first given first."""
    return list(Notice.objects.filter(case=case, withdrawn_at=None).select_related("tenant").order_by("given_at", "pk"))


def of(case: Case, tenant: Tenant) -> Notice | None:
    """The notice that stands for whom a tenant is."""
    person = tenant.merged_into_id or tenant.pk
    return next((notice for notice in standing(case) if _root(notice.tenant) == person), None)


def persons(lease: Lease) -> list[Tenant]:
    """Who stands on the lease, the primary tenant first, each person once."""
    rows = LeaseTenant.objects.filter(lease=lease).select_related("tenant__merged_into").order_by("-is_primary", "pk")
    return list(dict.fromkeys(row.tenant.merged_into or row.tenant for row in rows))


def leaving(lease: Lease) -> set[int]:
    """The persons who leave alone, by notices that staff have confirmed: the next lease is not theirs."""
    rows = Notice.objects.filter(case__lease=lease, only_them=True, withdrawn_at=None, confirmed_at__isnull=False)
    return {_root(notice.tenant) for notice in rows.select_related("tenant")}


def window_end(today: date, last_day: date) -> date:
    """The last day on which a notice given today may be withdrawn by the tenant."""
    return min(today + timedelta(days=settings.NOTICE_WINDOW_DAYS), last_day)


@transaction.atomic
def give(lease: Lease, tenant: Tenant, word: Word, *, now: datetime, by: str = TENANT) -> Notice | None:
    """The notice stands, and is to be confirmed by staff; a second one of the same person is the first one.

    None is written where the lease is over and its tenant stays on: their word is kept on the case. Raises `NotNow`,
    `proposals.Closed`.
    """
    case = hold(lease)
    person = tenant.merged_into or tenant
    if already := of(case, person):
        return already
    proposals.refuse_if_closed(lease, now=now)
    today = clock.day_of(now)
    if case.state == S.HOLDOVER:
        answers.settle(lease, S.NOTICE, cause=cause_of(word), now=now, by=by)
        return None
    if not today <= word.last_day <= lease.last_day:
        raise NotNow(
            _("The day you move out lies between today and %(day)s, the last day of the lease.")
            % {"day": date_format(lease.last_day, _("j F Y"))}
        )
    those = [each.pk for each in persons(lease)]
    others = set(those) - {_root(notice.tenant) for notice in standing(case)} - {person.pk}
    # Whoever does not stand first speaks for themselves alone; where nobody would stay, all leave.
    only = (word.only_me or person.pk not in those[:1]) and bool(others)
    notice = Notice.objects.create(
        case=case,
        tenant=person,
        only_them=only,
        reason=word.reason if word.reason in Notice.Reason.values else "",
        more=word.more.strip()[:MOST],
        last_day=word.last_day,
        forwarding=sealing.seal(word.forwarding.strip()[:MOST].encode()),
        given_at=now,
        given_by=by[:80],
        window_ends_at=clock.at(window_end(today, word.last_day) + timedelta(days=1)),
    )
    if only:
        _note(case, ONE_LEAVES, now=now, by=by)
    else:
        answers.settle(lease, S.NOTICE, cause=cause_of(word), now=now, by=by)
    return notice


@transaction.atomic
def withdraw(notice: Notice, *, now: datetime, by: str = TENANT) -> Notice:
    """The notice is taken back: the case is being considered again. A second time changes nothing. Raises `NotNow`."""
    case = hold(notice.case.lease)
    notice = Notice.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=notice.pk)
    if notice.withdrawn_at is not None:
        return notice
    if by == TENANT:
        _refuse_tenant(notice, now=now)
    _refuse_if_let(case, notice)
    notice.withdrawn_at, notice.withdrawn_by = now, by[:80]
    notice.save(update_fields=["withdrawn_at", "withdrawn_by"])
    if notice.only_them:
        if notice.confirmed_at is not None and case.state not in {S.SIGNED, *cases.ENDS}:
            leases.demote(case.lease, now=now)
        _note(case, ONE_STAYS, now=now, by=by)
    elif case.state == S.NOTICE and not any(not other.only_them for other in standing(case)):
        cases.move(case, S.CONSIDERING, now=now, cause=WITHDRAWN, by=by)
    return notice


def _refuse_tenant(notice: Notice, *, now: datetime) -> None:
    if notice.confirmed_at is not None:
        raise NotNow(_("Your notice is confirmed already. If your plans have changed, please call us."))
    if now >= notice.window_ends_at:
        raise NotNow(_("The days within which you could withdraw it here are over. Please call us."))


def _refuse_if_let(case: Case, notice: Notice) -> None:
    """A notice is not withdrawn once the lease is over, or somebody else has signed for the room."""
    if notice.only_them:
        return
    if case.state != S.NOTICE:
        raise NotNow(_("The case has gone on since: the notice cannot be withdrawn any more."))
    lease = case.lease
    follows = Lease.objects.filter(unit=lease.unit_id, state=Lease.State.SIGNED, first_day__gt=lease.last_day)
    if taken := follows.exclude(renews=lease).order_by("first_day").first():
        raise NotNow(_("The room is let to somebody else from %(day)s on.") % {"day": taken.first_day.isoformat()})


@transaction.atomic
def confirm(notice: Notice, *, now: datetime, by: str, stays: int = 0) -> Notice:
    """Staff confirm the notice: it counts from now on, and its window is over. A second time changes nothing.

    Where a flatmate stays, `stays` (an id; none: whoever is named next) stands first on the lease and has the proposal.
    """
    case = hold(notice.case.lease)
    notice = Notice.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=notice.pk)
    if notice.withdrawn_at is not None:
        raise NotNow(_("The notice was withdrawn meanwhile."))
    if notice.confirmed_at is not None:
        return notice
    if not notice.only_them and case.state != S.NOTICE:
        raise NotNow(_("The case has gone on since: there is no notice to confirm any more."))
    notice.confirmed_at, notice.confirmed_by = now, by[:80]
    notice.save(update_fields=["confirmed_at", "confirmed_by"])
    _note(case, ONE_CONFIRMED if notice.only_them else CONFIRMED, now=now, by=by)
    if notice.only_them:
        _put_first(case.lease, stays, now=now, by=by)
    return notice


def _put_first(lease: Lease, stays: int, *, now: datetime, by: str) -> None:
    """One who stays stands first on the lease, and is offered to renew it."""
    those = persons(lease)
    gone = leaving(lease)
    staying = [person for person in those if person.pk not in gone]
    first = next((person for person in staying if person.pk == stays), staying[0] if staying else None)
    if first is None:
        raise NotNow(_("Nobody would stay: take a notice for all of them."))
    if stays or those[0].pk in gone:
        leases.promote(lease, first, by=by, now=now)
    for person in those:
        if person.pk in gone:
            with override(settings.LANGUAGE_CODE):  # kept for staff to read
                reason = _("%(name)s leaves, a flatmate stays") % {"name": person.name}
            outbox.cancel_for_lease(lease, reason=reason, now=now, tenant=person)
    proposals.prepare(today=clock.day_of(now), now=now, leases=[lease.pk])


@transaction.atomic
def enter(lease: Lease, tenant: Tenant, word: Word, *, now: datetime, by: str, stays: int = 0) -> Notice | None:
    """Staff write down what a tenant told them, which confirms it as well."""
    given = give(lease, tenant, word, now=now, by=by)
    return confirm(given, now=now, by=by, stays=stays) if given else None


def forwarding(notice: Notice) -> str:
    """Where post is to follow, as it was said."""
    return sealing.unseal(bytes(notice.forwarding)).decode()


def masked(address: str) -> str:
    """An address as a page shows it: the district, and no door."""
    address = address.strip()
    return f"{address[: min(6, len(address) // 2)]}****" if address else ""


def cause_of(word: Word) -> str:
    """What the change of the case says: the reason's code and their words, as with a case that is declined."""
    return ": ".join(filter(None, [word.reason, word.more.strip()]))[:180] or GIVEN


def hold(lease: Lease) -> Case:
    """The case, which nobody else moves until this transaction ends."""
    case = Case.objects.select_for_update(of=("self",)).select_related("lease").filter(lease=lease).first()
    if case is None:
        raise proposals.Closed("not_yet")
    return case


def _note(case: Case, cause: str, *, now: datetime, by: str) -> None:
    CaseChange.objects.create(case=case, was=case.state, now=case.state, at=now, cause=cause, by=by[:80])


def _root(tenant: Tenant) -> int:
    return tenant.merged_into_id or tenant.pk
