"""The tenant's yes: a code to the phone on file, then everything that follows from it in one commit."""

from __future__ import annotations

from datetime import datetime

from renewal.models import Code, Proposal, Signature
from tenants.models import Link, Tenant


class Refused(Exception):
    """The message is fit for a person."""


class NoPhone(Refused):
    """There is no phone on file to send a code to."""


class TooSoon(Refused):
    """Another code may be asked for in `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class WrongCode(Refused):
    """Not the digits that were sent; `left` tries remain."""

    def __init__(self, left: int) -> None:
        super().__init__(left)
        self.left = left


class CodeExpired(Refused):
    """No code is valid now; ask for a new one."""


class TooManyTries(Refused):
    """Five wrong tries: this code is spent; ask for a new one."""


class Busy(Refused):
    """The database could not settle it in time; nothing changed, try again."""


def ask_code(proposal: Proposal, signer: Tenant, *, quote_token: str, now: datetime) -> Code:
    """A code is on its way to the signer's phone on file. Raises `TooSoon`, `NoPhone`, `quotes.Refused`, `Closed`."""
    raise NotImplementedError


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
    raise NotImplementedError


def signature_of(proposal: Proposal, signer: Tenant) -> Signature | None:
    """The signature, if there is one (for the page after signing)."""
    raise NotImplementedError


def decline(proposal: Proposal, *, reason: str, now: datetime) -> None:
    """The case is declined and what was still to be sent about it is cancelled; the tenant may come back."""
    raise NotImplementedError


def notice(proposal: Proposal, *, reason: str, now: datetime) -> None:
    """The case holds the tenant's notice and what was still to be sent about it is cancelled."""
    raise NotImplementedError
