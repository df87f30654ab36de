"""A room kept for whoever is about to sign for it: for as long as their quote lives, and then free again by itself.

Going on to the agreement, or asking for the code, takes the hold of the chosen room; moving sliders does not, and
nothing that is only looked at does. That a room is kept for one proposal at a time, and that a proposal keeps one
room at a time, are exclusion constraints over the time of the hold; the locks here only spare the losers of a race
the deadlock that constraints alone can end in. Nobody keeps rooms for ever: two hours in all within a day. Whoever
has used them up may sign as before, if nobody else is faster.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet, Value
from django.db.models.functions import Greatest

from renewal import proposals, quotes
from renewal.models import Hold, Proposal
from tenants import clock, leases
from tenants.models import Lease, Unit
from tenants.plans import Planned

WITHIN = timedelta(days=1)  # `Hold.MOST` of it may be held
# The living ones (`_living`) of %(lease)s.
KEPT = Planned("""
    select u.code, h.until
    from renewal_hold h join renewal_proposal p on p.id = h.proposal_id join tenants_unit u on u.id = h.unit_id
    where p.lease_id = %(lease)s and h.until > %(now)s
    order by h.until
""")


@transaction.atomic
def keep(proposal: Proposal, unit: str, *, now: datetime) -> Hold | None:
    """The room with this code is kept for the proposal half an hour from `now`, and any other is let go.

    None where nothing is kept: no code (the room lived in), or no time left for it today. Raises
    `quotes.RoomHeld`, `quotes.RoomGone` or `proposals.Closed`; then what was kept before still is.
    """
    if not unit:
        _end(_living(now).filter(proposal=proposal), Hold.Over.OTHER, now=now)
        return None
    room = Unit.objects.filter(code=unit).first()
    if room is None:
        raise quotes.RoomGone
    leases.lock_units([room.pk])
    # Two choices of one tenant at once come one after the other.
    Proposal.objects.select_for_update(no_key=True).get(pk=proposal.pk)
    card = proposals.card_on(proposal, today=clock.day_of(now), now=now)
    quotes.refuse_if_not_free(unit, card, now=now)
    _end(_living(now).filter(proposal=proposal).exclude(unit=room), Hold.Over.OTHER, now=now)
    mine = _living(now).filter(proposal__lease=proposal.lease_id, unit=room).first()
    until = min(now + quotes.LIFETIME, now + _left(mine.proposal_id if mine else proposal.pk, now=now))
    if mine is not None:  # a flatmate's, perhaps
        Hold.objects.filter(pk=mine.pk, until__lt=until).update(until=until)
        mine.until = max(mine.until, until)
        return mine
    if until <= now:
        return None
    try:
        with transaction.atomic():
            return Hold.objects.create(proposal=proposal, unit=room, taken_at=now, until=until)
    except IntegrityError as clash:
        if getattr(clash.__cause__, "pgcode", "") != "23P01":
            raise
        other = _living(now).filter(unit=room).first()
        raise quotes.RoomHeld(other.until if other else until, now=now) from clash


def of(proposal: Proposal, *, now: datetime) -> dict[str, datetime]:
    """Until when which rooms (by their codes) are kept for the proposal's lease at `now`."""
    return dict(KEPT.rows({"lease": proposal.lease_id, "now": now}))


def let_go(lease: Lease, why: Hold.Over, *, now: datetime) -> None:
    """Nothing is kept for this lease any more.

    A hold that another request of the same tenant is just prolonging is left to end by itself: that one may be waiting
    for the case, which the caller has.
    """
    mine = _living(now).filter(proposal__lease=lease).select_for_update(of=("self",), skip_locked=True)
    _end(Hold.objects.filter(pk__in=[hold.pk for hold in mine]), why, now=now)


def _living(now: datetime) -> QuerySet[Hold]:
    """Those not over yet. Another worker's clock may be a moment ahead: one taken just after `now` counts, too."""
    return Hold.objects.filter(until__gt=now)


def _end(holds: QuerySet[Hold], why: Hold.Over, *, now: datetime) -> None:
    holds.update(until=Greatest("taken_at", Value(now)), why_over=why)


def _left(proposal: int, *, now: datetime) -> timedelta:
    """How much longer the proposal may keep rooms, after what it has kept within the last day."""
    since = now - WITHIN
    spans = Hold.objects.filter(proposal=proposal, until__gt=since).values_list("taken_at", "until")
    kept = sum((min(until, now) - max(taken_at, since) for taken_at, until in spans), timedelta())
    return Hold.MOST - kept
