"""Why it is this price: the published line behind an offer, and the rent computed again without the person.

Two recomputations are made whenever somebody looks. The first is given the public inputs alone: building, room type,
term, free months and the day of signing; nothing in it knows that there is a tenant. The second goes the whole way
an offer goes, with the data of other tenants who live in rooms of that type in place of the reader's. Both have to
come to the offered rent to the fen (PIPL 24). The fingerprint is of the card's own lines, so that neighbours who were
offered the same card can see that they were.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from renewal import cards, offers, rates
from renewal.models import Rate
from tenants.models import Building, Lease

OTHERS = 50  # so many tenants at most are put in the reader's place
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The line an offer's rent is, and what came of computing it without the person. Rents in yuan a month."""

    building: str
    room_type: str
    term_months: int
    free_months: int
    rent: Decimal  # as offered
    line: Rate | None  # as published; none only if the offer is not on the card at all
    public_rent: Decimal | None  # from the public inputs alone
    others: int  # how many other tenants were put in the reader's place
    same: int  # of them, how many came to the offered rent
    text: str  # every published line of the room type on that day, one a row
    fingerprint: str  # SHA-256 of `text`, hex
    signed_on: date
    computed_at: datetime

    @property
    def holds(self) -> bool:
        return self.line is not None and self.public_rent == self.rent and self.same == self.others


def issue(quote: offers.Quote, *, building: Building, own: Lease, today: date, now: datetime) -> Certificate:
    """The certificate of a quote made today for the lease `own`, of a room of `building`."""
    choice = offers.Choice(quote.term_months, quote.free_months)
    lines = _lines(building, quote.room_type, today=today)
    line = next((row for row in lines if (row.term_months, row.free_months) == _term(quote)), None)
    rents = _rents_of_others(choice, building=building, room_type=quote.room_type, own=own, today=today)
    text = "".join(_row(building, row) for row in lines)
    certificate = Certificate(
        building=building.name,
        room_type=quote.room_type,
        term_months=quote.term_months,
        free_months=quote.free_months,
        rent=quote.monthly_rent,
        line=line,
        public_rent=public_rent(building.pk, quote.room_type, quote.term_months, quote.free_months, today),
        others=len(rents),
        same=rents.count(quote.monthly_rent),
        text=text,
        fingerprint=hashlib.sha256(text.encode()).hexdigest(),
        signed_on=today,
        computed_at=now,
    )
    if not certificate.holds:
        log.error("lease %s: an offered rent is not the published one", own.pk)
    return certificate


def public_rent(building: int, room_type: str, term_months: int, free_months: int, day: date) -> Decimal | None:
    """The rent by what everybody may know, and nothing else; none where nothing is published."""
    for rate in rates.on(day, buildings={building}).get((building, room_type), ()):
        if (rate.term_months, rate.free_months) == (term_months, free_months):
            return rate.monthly_rent
    return None


def _term(quote: offers.Quote) -> tuple[int, int]:
    return quote.term_months, quote.free_months


def _lines(building: Building, room_type: str, *, today: date) -> list[Rate]:
    """The lines that hold today, as `rates.on` chooses them."""
    return list(
        Rate.objects.filter(building=building, room_type=room_type, signed_from__lte=today, signed_to__gte=today)
        .order_by("term_months", "free_months", "-signed_from")
        .distinct("term_months", "free_months")
    )


def _row(building: Building, line: Rate) -> str:
    return (
        f"{building.code}|{line.room_type}|{line.term_months}|{line.free_months}|{line.monthly_rent}"
        f"|{line.signed_from}|{line.signed_to}\n"
    )


def _rents_of_others(
    choice: offers.Choice, *, building: Building, room_type: str, own: Lease, today: date
) -> list[Decimal]:
    """What the same choice costs those who live in rooms of this type now, each by their own card."""
    there = list(
        Lease.objects.filter(
            state=Lease.State.SIGNED,
            unit__building=building,
            unit__room_type=room_type,
            first_day__lte=today,
            last_day__gte=today,
        )
        .exclude(pk=own.pk)
        .select_related("unit")
        .order_by("pk")[:OTHERS]
    )
    theirs = cards.build(there, today=today, only={}, capped=False)  # a full week changes no rent
    return [offers.price(choice, card).monthly_rent for card in theirs.values()]
