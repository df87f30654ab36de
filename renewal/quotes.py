"""A price the server stands by for half an hour: signed, and checked again when it comes back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from renewal import offers
from renewal.models import Proposal

LIFETIME = timedelta(minutes=30)


class Refused(Exception):
    """A quote that is not honoured; the message is fit for a person."""


class Tampered(Refused):
    """Not a quote of ours, or not for this proposal."""


class Expired(Refused):
    """Older than half an hour."""


class Changed(Refused):
    """What it names is no longer offered at that price; the tenant has to see the new one first."""


@dataclass(frozen=True, slots=True)
class SignedQuote:
    quote: offers.Quote
    token: str
    expires_at: datetime


def quote(proposal: Proposal, choice: offers.Choice, *, now: datetime) -> SignedQuote:
    """The price of a choice today, signed. Raises `offers.NotOffered`."""
    raise NotImplementedError


def read(token: str, *, proposal: Proposal, now: datetime) -> offers.Quote:
    """The quote behind a token, priced again today. Raises `Tampered`, `Expired` or `Changed`."""
    raise NotImplementedError


def as_data(quote: offers.Quote) -> dict[str, Any]:
    """A quote for JSON: money as text with two places, days as ISO; `lines` with their names in the active language."""
    raise NotImplementedError


def sentence(error: offers.NotOffered) -> str:
    """Why a choice is not offered, in the active language."""
    raise NotImplementedError
