"""The tenant's yes: a code to the phone on file, then everything that follows from it in one commit.

What happens at a signature, in this order, all or nothing: the units are locked in ascending order (as every
writer of leases does, so races cannot deadlock), then the old lease; case, price and code are looked at once
more; the next lease, the signature with the words agreed to, the filing task, the write-back to the ERP and
the chosen perk are written; the case moves; what was still to be sent is cancelled. Before it, and on its own,
each try of a code is counted and kept: a wrong one must cost a try whatever happens after it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from connectors import esign
from renewal import agreement, caps, following, holds, proposals, quotes, rounds
from renewal.models import Case, Code, Proposal, Round, Signature
from tenants import clock, codes, leases, links, outbox, templating
from tenants.models import Lease, Link, Message, Tenant, Unit

CODE_LIFETIME = timedelta(minutes=5)
CODE_TEXT = "验证码 {code}，用于确认续租，5 分钟内有效。"
TRIES = 5
# So many codes in such a time, per person and whatever the proposal.
CODE_LIMITS = ((timedelta(minutes=1), 1), (timedelta(hours=1), 5), (timedelta(days=1), 10))
ATTEMPTS = 3
TRY_AGAIN = {"40P01", "40001", "55P03"}  # deadlock, serialization, lock timeout
TOO_LONG = "57014"  # statement timeout
Settled = TypeVar("Settled")


class Refused(Exception):
    """The message is fit for a person."""

    sentence = _("This cannot be signed now.")

    def __str__(self) -> str:
        return str(self.sentence)


class NoPhone(Refused):
    """There is no phone on file to send a code to."""

    sentence = _("There is no phone number on file for you. Please ask at the front desk.")


class TooSoon(Refused):
    """Another code may be asked for in `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return str(_("Another code can be sent in %(seconds)s seconds.")) % {"seconds": self.seconds}


class WrongCode(Refused):
    """Not the digits that were sent; `left` tries remain."""

    def __init__(self, left: int) -> None:
        super().__init__(left)
        self.left = left

    def __str__(self) -> str:
        return str(_("This is not the code we sent. Tries left: %(left)s.")) % {"left": self.left}


class CodeExpired(Refused):
    """No code is valid now; ask for a new one."""

    sentence = _("The code has expired. Please ask for a new one.")


class TooManyTries(Refused):
    """Five wrong tries: this code is spent; ask for a new one."""

    sentence = _("That was the last try for this code. Please ask for a new one.")


class Busy(Refused):
    """The database could not settle it in time; nothing changed, try again."""

    sentence = _("This took too long and nothing has changed. Please try again.")


# --- The code ---------------------------------------------------------------------------------------------


@transaction.atomic
def ask_code(proposal: Proposal, signer: Tenant, *, quote_token: str, now: datetime) -> Code:
    """A code is on its way to the signer's phone on file, and the room it is for is kept for them meanwhile.

    Raises `TooSoon`, `NoPhone`, `quotes.Refused`, `Closed`.
    """
    proposals.refuse_if_closed(proposal.lease, now=now)
    quote = quotes.read(quote_token, proposal=proposal, now=now)
    rounds.refuse_if_unreachable(proposal.lease, signer)
    holds.keep(proposal, quote.unit if quote.is_move else "", now=now)
    code = send_code(proposal, signer, now=now)
    proposals.move_up(proposal.lease, Case.State.CONSIDERING, now=now, cause="a code to sign with was asked for")
    return code


def send_code(proposal: Proposal, signer: Tenant, *, now: datetime) -> Code:
    """A code for these terms is on its way to the signer. Raises `TooSoon`, `NoPhone`. Inside a transaction."""
    # One at a time per person, or two requests at once would both find room under the limits.
    signer = Tenant.objects.select_for_update(no_key=True).get(pk=signer.pk)
    if not signer.phone:
        raise NoPhone
    _refuse_if_too_soon(signer, now=now)
    number = Code.objects.filter(proposal=proposal, signer=signer).count() + 1
    message = outbox.post(
        outbox.Draft(
            key=f"code:{proposal.pk}:{signer.pk}:{number}",
            klass=Message.Class.CODE,
            text=CODE_TEXT,
            forms=templating.forms_of_codes(),
            deadline=now + CODE_LIFETIME,
            tenant_id=signer.pk,
            lease_id=proposal.lease_id,
        ),
        now=now,
    )
    return Code.objects.create(
        proposal=proposal,
        signer=signer,
        number=number,
        message=message,
        asked_at=now,
        expires_at=now + CODE_LIFETIME,
    )


def _refuse_if_too_soon(signer: Tenant, *, now: datetime) -> None:
    longest, _most = CODE_LIMITS[-1]
    asked = list(
        Code.objects.filter(signer=signer, asked_at__gt=now - longest).order_by("-asked_at").values_list("asked_at")
    )
    # Per limit that is reached: the code that has to age out of its span before there is room again.
    free_at = [asked[most - 1][0] + span for span, most in CODE_LIMITS if len(asked) >= most]
    if free_at and max(free_at) > now:
        raise TooSoon(-((now - max(free_at)) // timedelta(seconds=1)))  # rounded up


@transaction.atomic
def confirm(proposal: Proposal, signer: Tenant, digits: str, *, link: Link | None, now: datetime) -> Code | Refused:
    """The newest code, if these are its digits; else why not, with the try counted.

    The refusal is returned, not raised: raising it would take the counted try back.
    """
    code = (
        Code.objects.select_for_update(of=("self",))
        .select_related("message")
        .filter(proposal=proposal, signer=signer)
        .order_by("-number")
        .first()
    )
    if code is None or code.used_at is not None or now >= code.expires_at:
        return CodeExpired()
    if code.tries >= TRIES:
        return TooManyTries()
    if not codes.matches(code.message.key, digits):
        Code.objects.filter(pk=code.pk).update(tries=F("tries") + 1)
        left = TRIES - code.tries - 1
        return WrongCode(left) if left else TooManyTries()
    if link is not None:
        links.prove(link, proof="code", now=now)
    return code


# --- The signature ----------------------------------------------------------------------------------------


def sign(
    proposal: Proposal,
    signer: Tenant,
    *,
    quote_token: str,
    digits: str,
    device: str,
    address: str | None,
    now: datetime,
    link: Link | None = None,
) -> Signature:
    """The next lease is signed, with all that follows; a second call returns the same signature.

    Raises `WrongCode`, `CodeExpired`, `TooManyTries`, `Busy`, `quotes.Refused`, `proposals.Closed`,
    `tenants.leases.UnitTaken`, `tenants.leases.AlreadyRenewed`. After any of them nothing but the count of tries
    has changed. `rounds.NotAll` says that this yes is kept, and that the lease waits for those of others.
    """
    if done := signature_of(proposal, signer):
        return done
    if waiting := rounds.signed_by(proposal.lease, signer, now=now):
        raise rounds.NotAll(waiting)
    quotes.read(quote_token, proposal=proposal, now=now)  # a price that is gone should not cost a try
    code = confirm(proposal, signer, digits, link=link, now=now)
    if isinstance(code, Refused):
        # Another request of the same person may have signed with this very code a moment ago.
        if done := signature_of(proposal, signer):
            return done
        raise code
    try:
        settled = settled_once(
            lambda: _settle(proposal, signer, code, quote_token=quote_token, device=device, address=address, now=now)
        )
    except IntegrityError as clash:  # a cap that was approved at this very moment
        if not caps.is_breach(clash):
            raise
        raise quotes.TermFull from clash
    if isinstance(settled, Round):
        raise rounds.NotAll(settled)
    return settled


def settled_once(act: Callable[[], Settled]) -> Settled:
    """What `act` returns, tried again after a lost race for locks. Raises `Busy`."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return act()
        except OperationalError as error:
            sqlstate = getattr(error.__cause__, "pgcode", "")
            if sqlstate == TOO_LONG:
                break
            if sqlstate not in TRY_AGAIN:
                raise
            if attempt < ATTEMPTS:
                apart = timedelta(milliseconds=secrets.randbelow(100 * attempt))  # from whoever we ran into
                time.sleep(apart.total_seconds())
    raise Busy


@transaction.atomic(durable=True)
def _settle(
    proposal: Proposal,
    signer: Tenant,
    code: Code,
    *,
    quote_token: str,
    device: str,
    address: str | None,
    now: datetime,
) -> Signature | Round:
    """Everything a signature brings, or nothing of it; a round, if others have to sign as well."""
    bound_the_waiting()
    unit = Unit.objects.get(code=quotes.unit_of(quote_token))
    leases.lock_units([unit.pk, proposal.lease.unit_id])
    lease = Lease.objects.select_for_update(of=("self",)).select_related("unit").get(pk=proposal.lease_id)
    last_day = quotes.last_day_of(quote_token, lease)
    leases.refuse_if_let(unit, lease, last_day=last_day)
    caps.lock(unit, last_day)  # before any perk, which others may have while they wait
    if done := signature_of(proposal, signer) or rounds.signed_by(lease, signer, now=now):
        return done
    rounds.lapse(now=now, of=lease)
    proposals.refuse_if_closed(lease, now=now)
    proposals.refuse_if_leaving(lease, signer, now=now)
    quote = quotes.read(quote_token, proposal=proposal, now=now)
    others = rounds.others(lease, signer)
    words = agreement.draft(proposal, signer, quote, today=clock.day_of(now), others=others)
    plain = quotes.as_plain(quote)
    yes = following.Yes(signer, code, device, address, now)
    Code.objects.filter(pk=code.pk).update(used_at=now)
    if others or esign.is_on():
        return rounds.open(proposal, lease, unit, plain, words, yes, others, now=now)
    return following.conclude(proposal, lease, unit, plain, words, [yes], now=now)[0]


def bound_the_waiting() -> None:
    """Nobody waits longer for a lock, or for an answer, than a person would in front of a page."""
    with connection.cursor() as cursor:
        cursor.execute("set local lock_timeout = '3s'; set local statement_timeout = '10s'")


def signature_of(proposal: Proposal, signer: Tenant) -> Signature | None:
    """The signature, if there is one."""
    return Signature.objects.select_related("lease__unit__building").filter(proposal=proposal, signer=signer).first()


def signed_for(lease: Lease, signer: Tenant) -> Signature | None:
    """This person's signature for what follows `lease`, whoever's proposal it was."""
    rows = Signature.objects.select_related("lease__unit__building", "signer").filter(proposal__lease=lease)
    person = signer.merged_into_id or signer.pk
    return next((each for each in rows if (each.signer.merged_into_id or each.signer_id) == person), None)
