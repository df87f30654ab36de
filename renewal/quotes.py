"""A price the server stands by for half an hour: signed, and checked again when it comes back.

The browser only ever carries the token. It names the proposal, the choice and a digest of the whole quote, so a
price that was not ours, or is not ours any more, cannot be signed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.core import signing
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from renewal import cards, earlier, offers, proposals
from renewal.models import Proposal
from tenants import clock
from tenants.models import Lease

LIFETIME = timedelta(minutes=30)
SALT = "renewal.quote"
LINE_NAMES = {
    "rent": _("Rent"),
    "free": _("Free months"),
    "total": _("Rent over the whole term"),
    "average": _("On average a month"),
    "today": _("At today's rent"),
    "difference": _("Against today's rent"),
    "deposit": _("Deposit"),
    "deposit_held": _("Deposit already with us"),
    "deposit_difference": _("Deposit to add"),
}


class Refused(Exception):
    """A quote that is not honoured; the message is fit for a person."""

    sentence = _("This price is not valid.")

    def __str__(self) -> str:
        return str(self.sentence)


class Tampered(Refused):
    """Not a quote of ours, or not for this proposal."""


class Expired(Refused):
    """Older than half an hour."""

    sentence = _("This price was valid for half an hour. Please look at it once more.")


class Changed(Refused):
    """What it names is no longer offered at that price; the tenant has to see the new one first."""

    sentence = _("This offer has changed. Please look at it once more.")


class RoomGone(Changed):
    """The chosen room is not free any more: it was let meanwhile, or whoever lives there stays."""

    sentence = _("This room is not to be had any more. Please choose another one.")


class TermFull(Changed):
    """Others have signed for the last places in the week in which the chosen term would end (renewal/caps.py)."""

    sentence = _("This length was just taken: the week in which it would end is full. Please choose another length.")


class RoomHeld(Changed):
    """Somebody else is about to sign for the chosen room, and it is kept for them until `until`."""

    def __init__(self, until: datetime, *, now: datetime) -> None:
        super().__init__(until)
        self.until = until
        self.minutes = minutes_to(until, now=now)

    def __str__(self) -> str:
        return held_words(self.minutes)


class UnknownLease(Exception):
    """No lease has this contract number or id."""


@dataclass(frozen=True, slots=True)
class SignedQuote:
    quote: offers.Quote
    token: str
    expires_at: datetime


def quote(proposal: Proposal, choice: offers.Choice, *, now: datetime, card: offers.Card | None = None) -> SignedQuote:
    """The price of a choice today, signed. Raises `offers.NotOffered`, `RoomHeld`, `proposals.Closed` without price.

    Who has just built today's `card` hands it over.
    """
    card = card or proposals.card_on(proposal, today=clock.day_of(now), now=now)
    _refuse_if_held(choice.unit, card, now=now)
    priced = offers.price(choice, card)
    expires_at = now + LIFETIME
    token = signing.dumps(
        {
            "proposal": proposal.pk,
            "choice": [priced.term_months, priced.free_months, priced.unit, priced.perk],
            "digest": _digest(priced),
            "until": expires_at.isoformat(),
        },
        salt=SALT,
    )
    return SignedQuote(priced, token, expires_at)


def read(token: str, *, proposal: Proposal, now: datetime) -> offers.Quote:
    """The quote behind a token, priced again today.

    Raises `Tampered`, `Expired`, `Changed`, `RoomGone`, `RoomHeld`, `TermFull`.
    """
    said = _said(token)
    if said["proposal"] != proposal.pk:
        raise Tampered
    if now >= datetime.fromisoformat(said["until"]):
        raise Expired
    term, free, unit, perk = said["choice"]
    card = proposals.card_on(proposal, today=clock.day_of(now), now=now)
    refuse_if_not_free(unit, card, now=now)
    try:
        priced = offers.price(offers.Choice(term, free, unit, perk), card)
    except offers.Full as error:
        raise TermFull from error
    except offers.NotOffered as error:
        raise Changed from error
    if _digest(priced) != said["digest"]:
        raise Changed
    return priced


def refuse_if_not_free(unit: str, card: offers.Card, *, now: datetime) -> None:
    """Nothing happens if the room is on the card; else raises `RoomHeld` or `RoomGone`."""
    _refuse_if_held(unit, card, now=now)
    if unit not in {room.unit for room in card.rooms}:
        raise RoomGone


def _refuse_if_held(unit: str, card: offers.Card, *, now: datetime) -> None:
    for room in card.held:
        if room.unit == unit:
            raise RoomHeld(room.until, now=now)


def minutes_to(until: datetime, *, now: datetime) -> int:
    """Whole minutes until then, rounded up; at least one."""
    return max(1, -((now - until) // timedelta(minutes=1)))


def held_words(minutes: int) -> str:
    """Why a room cannot be chosen at this moment, in the active language."""
    return ngettext(
        "Somebody else has just chosen this room. Look again in about %(n)d minute.",
        "Somebody else has just chosen this room. Look again in about %(n)d minutes.",
        minutes,
    ) % {"n": minutes}


def unit_of(token: str) -> str:
    """The unit a token names: what has to be locked before the rest of it is looked at. Raises `Tampered`."""
    unit: str = _said(token)["choice"][2]
    return unit


def last_day_of(token: str, lease: Lease) -> date:
    """The last day of what a token offers to a lease: the week to be locked. Raises `Tampered`."""
    first_day = lease.last_day + timedelta(days=1)
    months: int = _said(token)["choice"][0]
    return offers.term_last_day(first_day, months, offers.anchor_for(first_day, lease.anchor_day))


def _said(token: str) -> dict[str, Any]:
    try:
        said: dict[str, Any] = signing.loads(token, salt=SALT)
    except signing.BadSignature as error:
        raise Tampered from error
    return said


def of_lease(
    reference: str, choice: offers.Choice, *, day: date, move_on: date | None = None
) -> tuple[offers.Quote, earlier.Early | None]:
    """What a choice costs the lease with this contract number or id, if signed on `day`; and moving earlier, by day.

    Any vacant room of the building may be asked for, not only those shown. Raises `UnknownLease`,
    `offers.NotOffered`.
    """
    known = Lease.objects.select_related("unit").filter(state=Lease.State.SIGNED)
    lease = known.filter(contract_no=reference).first()
    if lease is None and reference.isascii() and reference.isdecimal():
        lease = known.filter(pk=int(reference)).first()
    if lease is None:
        raise UnknownLease(gettext("No lease has the contract number or id %(ref)s.") % {"ref": reference})
    only = {lease.pk: {choice.unit}} if choice.unit else None
    card = cards.build([lease], today=day, only=only)[lease.pk]
    quote = offers.price(choice, card)
    return quote, earlier.early_move(quote, card, today=day, move_on=move_on)


def as_plain(quote: offers.Quote) -> dict[str, Any]:
    """A quote as it is kept: money as text with two places, days as ISO."""
    plain: dict[str, Any] = cards.plain(quote)
    return plain


def as_data(quote: offers.Quote) -> dict[str, Any]:
    """A quote as it is shown: as it is kept, with its lines named in the active language."""
    data = as_plain(quote)
    for line in data["lines"]:
        line["name"] = str(LINE_NAMES[line["code"]])
    return data


def early_as_data(early: earlier.Early) -> dict[str, Any]:
    """What moving earlier costs, as a quote is shown."""
    data: dict[str, Any] = cards.plain(early)
    data["name"] = gettext("Moving on %(day)s: the difference by day") % {"day": data["first_day"]}
    return data


def sentence(error: offers.NotOffered) -> str:
    """Why a choice is not offered, in the active language."""
    return gettext(error.template).format(**error.facts)


def _digest(quote: offers.Quote) -> str:
    """Of all that is promised. How long the line will hold is not: a longer window changes no price."""
    promised = {key: value for key, value in as_plain(quote).items() if key != "signed_to"}
    return hashlib.sha256(json.dumps(promised, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
