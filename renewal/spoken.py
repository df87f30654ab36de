"""A verbal yes: the tenant has said, at the door or on the phone, that they will stay, and staff have noted it.

It is a fact on the case and no state of it: nothing is signed. It keeps the room lived in from being offered to
others for some days (`VERBAL_YES_DAYS`), runs out by itself, and may be taken back with a reason. What others were
offered or promised before stands against it; that is shown, and is for a person to settle: a room which somebody was
about to sign for when the word was noted stays theirs for as long as it was kept for them (renewal/holds.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext

from renewal import errands, facts, proposals
from renewal.answers import NotNow
from renewal.models import Case, Errand, Fact, Hold, Proposal, Round
from tenants.models import Lease, WaitingContract

VIAS = {
    "phone": gettext_lazy("by phone"),
    "spoken": gettext_lazy("face to face"),
    "chat": gettext_lazy("in a chat"),
}
OPEN = proposals.OPEN | {Case.State.NOTICE}  # whoever gave notice may say that they stay after all
AGAINST = gettext_noop("a verbal yes stands against what others were offered or promised")


@dataclass(frozen=True, slots=True)
class Clash:
    """What stands against a verbal yes, in one line, and the case it is about if it is about one."""

    words: str
    case: Case | None = None


@transaction.atomic
def note(case: Case, *, via: str, more: str, today: date, now: datetime, by: str) -> Fact:
    """The verbal yes stands from now on, and keeps the room until its days are over; a later one prolongs it.

    Where something stands against it, somebody has an errand to settle it. Raises `NotNow`.
    """
    case = Case.objects.select_for_update(of=("self",)).select_related("lease__unit").get(pk=case.pk)
    if via not in VIAS:
        raise NotNow(_("Say how the tenant said it: on the phone, face to face or in a chat."))
    if case.state not in OPEN:
        raise NotNow(_("The case is settled: a verbal yes would keep nothing."))
    until = today + timedelta(days=settings.VERBAL_YES_DAYS)
    said = {"via": via, "more": more.strip()[: facts.MOST], "until": until.isoformat()}
    fact = facts.add(case, Fact.Kind.WORD, said, now=now, by=by)
    if clashes(case, now=now):
        errands.open(case, Errand.Kind.CLASH, why=AGAINST, now=now)
    return fact


@transaction.atomic
def take_back(case: Case, *, why: str, today: date, now: datetime, by: str) -> Fact:
    """The verbal yes that stands does not count any more. Raises `NotNow`."""
    case = Case.objects.select_for_update(of=("self",)).get(pk=case.pk)
    if not why.strip():
        raise NotNow(_("Write why the verbal yes is taken back."))
    if standing(case, today=today) is None:
        raise NotNow(_("No verbal yes stands: it ran out or was taken back meanwhile."))
    return facts.add(case, Fact.Kind.WORD, {"why": why.strip()[: facts.MOST]}, now=now, by=by)


def standing(case: Case, *, today: date) -> Fact | None:
    """The verbal yes that keeps the room today, if there is one."""
    fact = facts.latest(case, Fact.Kind.WORD)
    return fact if fact and until(fact) and until(fact) >= today.isoformat() else None


def until(fact: Fact) -> str:
    """The last day a verbal yes keeps the room (ISO); empty for one that was taken back."""
    return str(fact.said.get("until", ""))


def clashes(case: Case, *, now: datetime) -> list[Clash]:
    """What others were offered or promised of the room of this case."""
    lease = case.lease
    unit = lease.unit
    found = []
    let = Lease.objects.filter(unit=unit, state=Lease.State.SIGNED, first_day__gt=lease.last_day)
    for each in let.exclude(renews=lease).order_by("first_day"):
        found.append(
            Clash(_("The room is let to somebody else from %(day)s on.") % {"day": each.first_day.isoformat()})
        )
    if WaitingContract.objects.filter(unit=unit).exclude(contract_no=lease.contract_no).exists():
        found.append(Clash(_("A contract for the room waits for somebody to decide on it.")))
    held = Hold.objects.filter(unit=unit, until__gt=now).exclude(proposal__lease=lease).select_related("proposal")
    for hold in held:
        words = _("Somebody is about to sign for the room, and it is kept for them until %(time)s.")
        other = Case.objects.filter(lease=hold.proposal.lease_id).first()
        found.append(Clash(words % {"time": f"{timezone.localtime(hold.until):%H:%M}"}, other))
    for row in Round.objects.filter(unit=unit, state=Round.State.OPEN).exclude(lease=lease):
        words = _("Several tenants are signing for the room; it is theirs until %(time)s.")
        other = Case.objects.filter(lease=row.lease_id).first()
        found.append(Clash(words % {"time": f"{timezone.localtime(row.deadline):%Y-%m-%d %H:%M}"}, other))
    letters = (
        Proposal.objects.filter(card__rooms__contains=[{"unit": unit.code}])
        .filter(Exists(Case.objects.filter(lease=OuterRef("lease"), state__in=proposals.OPEN)))
        .exclude(lease__unit=unit)
    )
    if n := letters.count():
        words = ngettext(
            "The room is among those of %(n)d open letter, as its reader saw it last.",
            "The room is among those of %(n)d open letters, as their readers saw them last.",
            n,
        ) % {"n": n}
        only = letters.first() if n == 1 else None
        found.append(Clash(words, Case.objects.filter(lease=only.lease_id).first() if only else None))
    return found


def words(fact: Fact) -> str:
    """A verbal yes in one line."""
    if not until(fact):
        return _("the verbal yes was taken back: %(why)s") % {"why": fact.said.get("why", "")}
    yes = _("said yes %(how)s; the room is kept until %(day)s") % {
        "how": VIAS.get(fact.said["via"], fact.said["via"]),
        "day": until(fact),
    }
    return _("%(what)s (%(why)s)") % {"what": yes, "why": fact.said["more"]} if fact.said.get("more") else yes
