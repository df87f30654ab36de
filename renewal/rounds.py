"""When several have to sign: the first one fixes the terms, and only the last one's yes makes the next lease.

    open ──► signed      everybody said yes: the next lease, with all that follows, in the commit of the last yes
      ├────► refused     one of them does not agree
      ├────► withdrawn   one takes their yes back before all have given it
      ├────► lapsed      the deadline passed
      └────► broken      the room or the lease was taken meanwhile by a contract of the ERP

While a round is open, nobody else can sign for the room, the price stands, the perk is put aside, its place in the week
in which the lease would end is kept (renewal/caps.py), and the letter takes no other answer. However it ends without
a lease, all of that is free again, and everybody who signed is told.
Which leases need it: those with several tenants, where ALL_TENANTS_SIGN is set (docs/signing.md). Where an e-sign
provider is set, every signature opens one, and after the last yes it is the provider's word that makes the lease.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, override
from django.utils.translation import gettext_lazy as _

from campaigns import quiet
from connectors import esign
from renewal import agreement, caps, following, holds, notices, quotes
from renewal.models import Hold, Proposal, Round, Seat
from tenants import clock, outbox, perks, templating
from tenants.models import Lease, Link, Message, Perk, Tenant, Unit

S = Round.State
TOLD = {
    S.REFUSED: "有一位同住人不同意这次续租的条件，您的确认已作废，房间和价格都已放开。您可以重新选择。",
    S.WITHDRAWN: "有一位同住人收回了确认，这次续租没有签成，房间和价格都已放开。您可以重新选择。",
    S.LAPSED: "到截止时间还有人没有确认，您的确认已作废，房间和价格都已放开。您可以重新选择。",
    S.BROKEN: "选定的房间已经不能签了，您的确认已作废。您可以重新选择。",
}
TEMPLATES = {"asked": "cosign-ask", "signed": "cosign-done"}  # by what is told; else:
NOT_SIGNED = "cosign-over"
ALL_SIGNED = "全部承租人都已确认，续租协议生效。协议和之后的日期都在信里。"


class NotAll(Exception):
    """This yes is kept; others have to say theirs before there is a lease."""

    def __init__(self, waiting: Round) -> None:
        super().__init__(self.__doc__)
        self.round = waiting


class Unreachable(Exception):
    """The message is fit for a person."""

    sentence = _("One of you has no phone number on file, so no code can reach them. Please ask at the front desk.")

    def __str__(self) -> str:
        return str(self.sentence)


# --- Who has to sign --------------------------------------------------------------------------------------


def signers(lease: Lease) -> list[Tenant]:
    """Who has to sign for the next lease besides each other: everybody on it who stays, or nobody in particular."""
    if not settings.ALL_TENANTS_SIGN:
        return []
    leaving = notices.leaving(lease)
    return [person for person in notices.persons(lease) if person.pk not in leaving]


def others(lease: Lease, signer: Tenant) -> list[Tenant]:
    """Who has to sign as well."""
    return [person for person in signers(lease) if person.pk != _person(signer)]


def refuse_if_unreachable(lease: Lease, signer: Tenant) -> None:
    """Nothing happens if everybody who has to sign can be sent a code; else raises `Unreachable`."""
    if not all(person.phone for person in others(lease, signer)):
        raise Unreachable


# --- What waits -------------------------------------------------------------------------------------------


def standing(lease: Lease, *, now: datetime) -> Round | None:
    """The round that is open for this lease."""
    rows = Round.objects.select_related("proposal__tenant", "unit__building", "lease__unit__building")
    return rows.filter(alive(now), lease=lease, state=S.OPEN).first()


def alive(now: datetime) -> Q:
    """Open rounds that still are: before their deadline, or for as long as the provider has them."""
    return Q(deadline__gt=now) | Q(sealing=Round.Sealing.SIGNING)


def seats(waiting: Round) -> list[Seat]:
    """Who has to sign, in the order of the lease."""
    return list(Seat.objects.filter(round=waiting).select_related("signer__merged_into", "code").order_by("pk"))


def seat_of(waiting: Round, tenant: Tenant) -> Seat | None:
    """The seat of a person, whichever of their rows it names."""
    return next((seat for seat in seats(waiting) if _person(seat.signer) == _person(tenant)), None)


def signed_by(lease: Lease, tenant: Tenant, *, now: datetime) -> Round | None:
    """The open round that holds this person's yes."""
    waiting = standing(lease, now=now)
    seat = seat_of(waiting, tenant) if waiting else None
    return waiting if seat and seat.signed_at else None


def words_of(waiting: Round) -> agreement.Agreement:
    """The words that everybody is shown, as they were fixed."""
    lines = tuple((label, words) for label, words in waiting.lines)
    return agreement.Agreement(lines, waiting.text, waiting.text_version, waiting.text_hash)


# --- Opening, agreeing, freeing; each inside a transaction that has the lease ---------------------------------


def open(
    proposal: Proposal,
    lease: Lease,
    unit: Unit,
    quote: Mapping[str, Any],
    words: agreement.Agreement,
    yes: following.Yes,
    rest: Sequence[Tenant],
    *,
    now: datetime,
) -> Round:
    """The terms stand, with the first yes; the others are asked for theirs.

    Raises `quotes.RoomGone`, `.TermFull`, `.Changed`.
    """
    if quote["perk"]:
        try:
            perks.put_aside(Perk.objects.get(code=quote["perk"]), now=now)
        except perks.OutOfStock as error:
            raise quotes.Changed from error
    try:
        with transaction.atomic():
            waiting = Round.objects.create(
                proposal=proposal,
                lease=lease,
                unit=unit,
                quote=quote,
                lines=[list(line) for line in words.lines],
                text=words.text,
                text_version=words.version,
                text_hash=words.text_hash,
                opened_at=now,
                deadline=_deadline(lease, now=now),
            )
    except IntegrityError as clash:  # the constraints: another lease's round has the room
        raise quotes.TermFull if caps.is_breach(clash) else quotes.RoomGone from clash
    Seat.objects.bulk_create([Seat(round=waiting, signer=person) for person in (yes.signer, *rest)])
    agree(waiting, yes)
    holds.let_go(lease, Hold.Over.SIGNED, now=now)  # kept by the round from here on
    _ask_nobody_to_renew(waiting, now=now)
    if not rest:
        sealed_elsewhere(waiting, now=now)
        return waiting
    until = timezone.localtime(waiting.deadline, clock.SHANGHAI)
    text = (
        f"{short(yes.signer.name)}已同意续租{lease.unit.building.name} {unit.code}，条件都写好了。"
        f"请在 {until.month} 月 {until.day} 日 {until:%H:%M} 前看一遍，由您确认或者不同意。"
    )
    for person in rest:
        _tell(waiting, person, text, name="asked", purpose=Link.Purpose.PROPOSAL, now=now)
    return waiting


def agree(waiting: Round, yes: following.Yes) -> None:
    """This person's yes is in its seat."""
    seat = seat_of(waiting, yes.signer)
    assert seat is not None  # noqa: S101 - whoever calls has looked
    Seat.objects.filter(pk=seat.pk, signed_at=None).update(
        code=yes.code, device=yes.device[:300], address=yes.address, signed_at=yes.at
    )


def all_said_yes(waiting: Round) -> list[following.Yes]:
    """Everybody's yes in the order in which they were given; empty while one is missing."""
    given = sorted(seats(waiting), key=lambda seat: (seat.signed_at is None, seat.signed_at))
    if any(seat.signed_at is None or seat.code is None for seat in given):
        return []
    return [
        following.Yes(seat.signer, seat.code, seat.device, seat.address, seat.signed_at)
        for seat in given
        if seat.code and seat.signed_at
    ]


def sealed_elsewhere(waiting: Round, *, now: datetime) -> bool:
    """Whether the provider has to hear of it first, where one is set; then the round waits to be handed over."""
    if not esign.is_on():
        return False
    Round.objects.filter(pk=waiting.pk).update(sealing=Round.Sealing.WANTED, sealing_at=now)
    return True


def conclude(waiting: Round, lease: Lease, given: Sequence[following.Yes], *, now: datetime) -> None:
    """Everybody has agreed: the next lease and all that follows. Raises as `following.conclude`."""
    _put_perk_back(waiting)  # in the same commit it is given
    close(waiting, S.SIGNED, now=now)
    Round.objects.filter(pk=waiting.pk, sealing=Round.Sealing.SIGNING).update(sealing=Round.Sealing.OVER)
    following.conclude(waiting.proposal, lease, waiting.unit, waiting.quote, words_of(waiting), given, now=now)
    for yes in given if waiting.flow else given[:-1]:  # the last one sees it
        _tell(waiting, yes.signer, ALL_SIGNED, name="signed", purpose="", now=now)


def free(waiting: Round, to: Round.State, *, now: datetime, by: Tenant | None = None, because: str = "") -> bool:
    """The round is over without a lease: all it kept is free, and whoever had signed is told. False if it was over."""
    if not close(waiting, to, now=now, by=by, because=because):
        return False
    _put_perk_back(waiting)
    quiet.lift(waiting.lease, now=now)
    for seat in seats(waiting):
        if seat.signed_at and (by is None or _person(seat.signer) != _person(by)):
            _tell(waiting, seat.signer, TOLD[to], name=to.value, purpose=Link.Purpose.PROPOSAL, now=now)
    return True


def close(waiting: Round, to: Round.State, *, now: datetime, by: Tenant | None = None, because: str = "") -> bool:
    """The round has this end; false if it had one already."""
    still_open = Round.objects.filter(pk=waiting.pk, state=S.OPEN)
    return bool(still_open.update(state=to, closed_at=now, closed_by=by, because=because[:200]))


@transaction.atomic
def lapse(*, now: datetime, of: Lease | None = None) -> int:
    """Rounds whose deadline has passed are over; says how many."""
    rows = Round.objects.filter(~alive(now), state=S.OPEN).order_by("pk")
    if of is not None:
        rows = rows.filter(lease=of)
    return sum(free(waiting, S.LAPSED, now=now) for waiting in rows.select_for_update(of=("self",), skip_locked=True))


def short(name: str) -> str:
    """As much of a name as others are shown: 林*."""
    return name[:1] + "*" * min(max(len(name) - 1, 1), 2)


def _deadline(lease: Lease, *, now: datetime) -> datetime:
    """So many hours from now, but not past the end of the lease's last day (unless that is over already)."""
    deadline = now + timedelta(hours=settings.COSIGN_HOURS)
    end = clock.at(lease.last_day + timedelta(days=1))
    return min(deadline, end) if end > now else deadline


def keep_quiet_at_the_provider(waiting: Round, *, now: datetime) -> None:
    """Playbooks wait for as long as the provider has the round, past our deadline: what frees it lifts that.

    They ask about no lease that is over. Called by whoever holds the row of an open round.
    """
    until = max(clock.day_of(waiting.deadline), waiting.lease.last_day) + timedelta(days=1)
    quiet.keep({waiting.lease: until}, why=_being_signed(), now=now)


def _ask_nobody_to_renew(waiting: Round, *, now: datetime) -> None:
    """Whoever has signed hears no more of renewing while the others decide: what waits does not go, playbooks wait."""
    until = clock.day_of(waiting.deadline) + timedelta(days=1)
    quiet.keep({waiting.lease: until}, why=_being_signed(), now=now)
    outbox.cancel_for_lease(waiting.lease, reason=_being_signed(), now=now)


def _being_signed() -> str:
    with override(settings.LANGUAGE_CODE):  # kept for staff to read
        return gettext("The renewal is being signed.")


def _put_perk_back(waiting: Round) -> None:
    if waiting.quote["perk"]:
        perks.put_back(Perk.objects.get(code=waiting.quote["perk"]))


def _tell(waiting: Round, person: Tenant, text: str, *, name: str, purpose: str, now: datetime) -> None:
    klass = Message.Class.SERVICE
    by = TEMPLATES.get(name, NOT_SIGNED)
    forms = templating.forms_by(by, {"room": waiting.unit.code}, klass=klass, standing=templating.shelf())
    outbox.post(
        outbox.Draft(
            key=f"round:{waiting.pk}:{name}:{_person(person)}",
            klass=klass,
            text=text,
            forms=forms,
            deadline=max(waiting.deadline, now + timedelta(days=1)),
            tenant_id=_person(person),
            lease_id=waiting.lease_id,
            link_purpose=purpose,
        ),
        now=now,
    )


def _person(tenant: Tenant) -> int:
    return tenant.merged_into_id or tenant.pk
