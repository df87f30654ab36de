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
from datetime import datetime, timedelta

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from renewal import agreement, answers, evidence, filing, holds, proposals, quotes
from renewal.models import Case, Code, Proposal, Signature
from tenants import clock, codes, leases, links, outbox, perks, templating
from tenants.models import Lease, LeaseTenant, Link, Message, Perk, Tenant, Unit

CODE_LIFETIME = timedelta(minutes=5)
CODE_TEXT = "验证码 {code}，用于确认续租，5 分钟内有效。"
TRIES = 5
# So many codes in such a time, per person and whatever the proposal.
CODE_LIMITS = ((timedelta(minutes=1), 1), (timedelta(hours=1), 5), (timedelta(days=1), 10))
ATTEMPTS = 3
TRY_AGAIN = {"40P01", "40001", "55P03"}  # deadlock, serialization, lock timeout
TOO_LONG = "57014"  # statement timeout


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
    proposals.refuse_if_closed(proposal.lease)
    quote = quotes.read(quote_token, proposal=proposal, now=now)
    holds.keep(proposal, quote.unit if quote.is_move else "", now=now)
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
    proposals.move_up(proposal.lease, Case.State.CONSIDERING, now=now, cause="a code to sign with was asked for")
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
def _confirm(proposal: Proposal, signer: Tenant, digits: str, *, link: Link | None, now: datetime) -> Code | Refused:
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
    has changed.
    """
    if done := signature_of(proposal, signer):
        return done
    quotes.read(quote_token, proposal=proposal, now=now)  # a price that is gone should not cost a try
    code = _confirm(proposal, signer, digits, link=link, now=now)
    if isinstance(code, Refused):
        # Another request of the same person may have signed with this very code a moment ago.
        if done := signature_of(proposal, signer):
            return done
        raise code
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _settle(proposal, signer, code, quote_token=quote_token, device=device, address=address, now=now)
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
) -> Signature:
    """Everything a signature brings, or nothing of it."""
    with connection.cursor() as cursor:
        cursor.execute("set local lock_timeout = '3s'; set local statement_timeout = '10s'")
    today = clock.day_of(now)
    unit = Unit.objects.get(code=quotes.unit_of(quote_token))
    leases.lock_units([unit.pk, proposal.lease.unit_id])
    lease = Lease.objects.select_for_update(of=("self",)).select_related("unit").get(pk=proposal.lease_id)
    if done := signature_of(proposal, signer):
        return done
    proposals.refuse_if_closed(lease)
    quote = quotes.read(quote_token, proposal=proposal, now=now)
    following = leases.sign_renewal(
        lease,
        unit=unit,
        tenants=_tenants(lease),
        first_day=quote.first_day,
        last_day=quote.last_day,
        monthly_rent=quote.monthly_rent,
        deposit=quote.deposit,
        anchor_day=quote.anchor_day,
        signed_on=today,
        now=now,
    )
    words = agreement.draft(proposal, signer, quote, today=today)
    signature = Signature.objects.create(
        proposal=proposal,
        signer=signer,
        lease=following,
        quote=quotes.as_plain(quote),
        text=words.text,
        text_version=words.version,
        text_hash=words.text_hash,
        code=code,
        device=device[:300],
        address=address,
        signed_at=now,
    )
    Code.objects.filter(pk=code.pk).update(used_at=now)
    filing.open_task(following, today=today, now=now)
    if quote.perk:
        _give(quote.perk, signer, following, now=now)
    proposals.move_up(lease, Case.State.CONSIDERING, now=now, cause="the tenant signs")
    answers.settle(
        lease,
        Case.State.TRANSFERRED if quote.is_move else Case.State.SIGNED,
        cause=f"signature {signature.pk}",
        now=now,
    )
    _write_back(following, now=now)
    evidence.keep_paper(following, now=now)
    return signature


def _tenants(lease: Lease) -> list[Tenant]:
    """Who is on the lease, the primary tenant first, as it names them: the next lease is theirs, merged or not."""
    rows = LeaseTenant.objects.filter(lease=lease).select_related("tenant").order_by("-is_primary", "pk")
    return [row.tenant for row in rows]


def _give(code: str, signer: Tenant, lease: Lease, *, now: datetime) -> None:
    """The chosen perk is the signer's; if the last one has just gone, what was offered has changed."""
    try:
        perks.grant(
            Perk.objects.get(code=code),
            signer,
            lease=lease,
            key=f"perk:{lease.pk}:{code}",
            owner=None,
            reason="续租时选择",
            expires_at=None,
            now=now,
        )
    except perks.OutOfStock as error:
        raise quotes.Changed from error


def _write_back(lease: Lease, *, now: datetime) -> None:
    """The ERP hears of the lease, where one is connected."""
    if "erp" in settings.CHANNELS:
        outbox.post(
            outbox.Draft(
                key=f"erp:{lease.pk}:{lease.revision}",
                klass=Message.Class.SYSTEM,
                text=f"{lease.unit.code} {lease.first_day} – {lease.last_day} {lease.monthly_rent}",
                deadline=now + timedelta(days=30),  # a contract matters long after it was signed
                lease_id=lease.pk,
                route=["erp"],
                forms={"erp": {"values": _as_plain(lease)}},
            ),
            now=now,
        )


def _as_plain(lease: Lease) -> dict[str, str]:
    """A lease in the words of docs/channels/erp.md. Whose it is the ERP knows by the contract that it follows."""
    follows = lease.renews.contract_no if lease.renews else ""
    return {
        "follows": follows,
        "unit": lease.unit.code,
        "signed_on": lease.signed_on.isoformat(),
        "first_day": lease.first_day.isoformat(),
        "last_day": lease.last_day.isoformat(),
        "monthly_rent": str(lease.monthly_rent),
        "deposit": str(lease.deposit),
        "anchor_day": str(lease.anchor_day),
        "revision": str(lease.revision),
    }


def signature_of(proposal: Proposal, signer: Tenant) -> Signature | None:
    """The signature, if there is one."""
    return Signature.objects.select_related("lease__unit__building").filter(proposal=proposal, signer=signer).first()
