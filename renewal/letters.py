"""The letter as one reads it: opening it, its page, what was chosen in it, and what comes after the signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction

from renewal import (
    agreement,
    certificates,
    earlier,
    errands,
    holds,
    leading,
    offers,
    proposals,
    quotes,
    roadmap,
    rounds,
    signing,
    story,
)
from renewal.models import Case, FilingTask, Proposal, Signature
from tenants import consents, links
from tenants.models import Click, Grant, Lease, Link, Tenant


class OpenedElsewhere(Exception):
    """A person has opened this link on another device; here a code has to say that it is the same person."""

    def __init__(self, link: Link) -> None:
        super().__init__(self.__doc__)
        self.link = link


class NotThere(Exception):
    """The choice cannot be had: its room is "held", by others, or "gone", or its term is "full" (`why`)."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Earlier:
    """Moving before the present lease ends, on a day between the first on which one could and the first of the term."""

    move: earlier.Early
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Letter:
    """Everything on the page of the letter."""

    proposal: Proposal
    card: offers.Card
    choice: offers.Choice
    offer: quotes.SignedQuote
    others: tuple[offers.Alternative, ...]
    story: list[story.Told]
    general: bool  # its reader chose the version that knows nothing about them
    kept: dict[str, datetime]  # the rooms kept for the reader, until when
    early: Earlier | None


@dataclass(frozen=True, slots=True)
class Priced:
    """A choice at today's price, and what else the same term could be."""

    room: offers.Room
    offer: quotes.SignedQuote
    others: tuple[offers.Alternative, ...]
    early: Earlier | None


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything on the page of the agreement."""

    proposal: Proposal
    choice: offers.Choice
    offer: quotes.SignedQuote
    agreement: agreement.Agreement
    kept_until: datetime | None  # so long is the chosen room kept for them
    missed: str  # why it is not what was wanted: the room is "held" by others or "gone", the term "full"; or nothing


@dataclass(frozen=True, slots=True)
class Why:
    """Why the choice has its price, and the line the letter began with, whoever reads it (`leading.freeze`)."""

    certificate: certificates.Certificate
    lead: Mapping[str, Any]
    prepared_on: date


@dataclass(frozen=True, slots=True)
class After:
    """Everything on the page after the signature."""

    signature: Signature
    lease: Lease
    filing_due_on: date | None
    grants: list[Grant]
    roadmap: tuple[roadmap.Step, ...]


def link_of(pk: int, *, even_if_closed: bool, now: datetime) -> Link:
    """The link a browser has opened, if it still opens anything. Raises as `links.find`."""
    link = links.get(pk)
    if not even_if_closed:
        links.refuse_if_dead(link.revoked_at, link.expires_at, now=now)
    return link


def open(link: Link, *, trusted: bool, here_before: bool, today: date, now: datetime) -> None:
    """The letter is open in this browser. Raises `OpenedElsewhere`, `proposals.Closed`.

    Only a proven click binds a link to its first device: a scanner that posts must not lock out the person.
    """
    if not here_before and Click.objects.filter(link=link, proven_at__isnull=False).exists():
        raise OpenedElsewhere(link)
    waiting = rounds.standing(link.lease, now=now)
    if waiting and rounds.seat_of(waiting, link.tenant):
        links.open(link, trusted=trusted, now=now)
        return
    try:
        proposals.open(link, trusted=trusted, today=today, now=now)
    except proposals.Closed as closed:
        if closed.kind == "full":  # whoever comes to a letter without an offer is not left alone with it
            errands.open_without_term([link.lease_id], now=now)
        raise


def open_roadmap(link: Link, *, trusted: bool, here_before: bool, now: datetime) -> None:
    """The roadmap is open in this browser, and no letter. Raises `OpenedElsewhere`."""
    if not here_before and Click.objects.filter(link=link, proven_at__isnull=False).exists():
        raise OpenedElsewhere(link)
    links.open(link, trusted=trusted, now=now)


def read(
    link: Link,
    choice: offers.Choice | None,
    *,
    language: str,
    today: date,
    now: datetime,
    move_on: date | None = None,
) -> Letter:
    """The page of the letter, priced today. Raises `proposals.Closed`."""
    proposal = proposals.for_link(link, today=today, now=now)
    card = proposals.card_of(proposal)  # `for_link` has just laid today's card in it
    fitting = fit(choice, card, lead=proposal.lead)
    wording = consents.wording(link.tenant)
    told = story.told(proposal.story, language=language, general=not wording.is_personal)
    offer = quotes.quote(proposal, fitting, now=now, card=card)
    kept = holds.of(proposal, now=now)
    early = _earlier(offer.quote, card, move_on, today=today)
    return Letter(
        proposal, card, fitting, offer, offers.alternatives(fitting, card), told, wording.general, kept, early
    )


def choose(link: Link, choice: offers.Choice, *, today: date, now: datetime, move_on: date | None = None) -> Priced:
    """The price of a choice; the case is being considered. Raises `offers.NotOffered`, `proposals.Closed`."""
    proposal = proposals.for_link(link, today=today, now=now)
    offer = quotes.quote(proposal, choice, now=now, card=proposals.card_of(proposal))
    proposals.move_up(link.lease, Case.State.CONSIDERING, now=now, cause="the tenant looked at offers")
    card = proposals.card_of(proposal)
    early = _earlier(offer.quote, card, move_on, today=today)
    return Priced(card.room(choice.unit), offer, offers.alternatives(choice, card), early)


def _earlier(quote: offers.Quote, card: offers.Card, move_on: date | None, *, today: date) -> Earlier | None:
    """Moving on the day nearest to the wanted one; on the earliest if none is wanted."""
    first = earlier.earliest(quote, card, today=today)
    day = min(max(move_on or first, first), card.first_day - timedelta(days=1))
    move = earlier.early_move(quote, card, today=today, move_on=day) if day >= first else None
    return Earlier(move, first, card.first_day - timedelta(days=1)) if move else None


def go_on(link: Link, choice: offers.Choice | None, *, today: date, now: datetime) -> None:
    """The tenant goes on to the agreement with this choice: a room to move to is kept for them a while.

    Raises as `holds.keep`.
    """
    proposal = proposals.for_link(link, today=today, now=now)
    own = proposals.card_of(proposal).own.unit
    holds.keep(proposal, choice.unit if choice and choice.unit != own else "", now=now)


def draft(link: Link, choice: offers.Choice | None, *, today: date, now: datetime) -> Draft:
    """The page of the agreement: the choice at today's price and the words to be agreed to."""
    proposal = proposals.for_link(link, today=today, now=now)
    card = proposals.card_of(proposal)
    fitting = fit(choice, card, lead=proposal.lead)
    offer = quotes.quote(proposal, fitting, now=now, card=card)
    missed = ""
    if choice and choice.unit not in {fitting.unit, card.own.unit}:
        missed = "held" if choice.unit in {room.unit for room in card.held} else "gone"
    elif choice and choice.term_months in card.room(fitting.unit).full:
        missed = "full"
    return Draft(
        proposal,
        fitting,
        offer,
        agreement.draft(
            proposal, proposal.tenant, offer.quote, today=today, others=rounds.others(link.lease, link.tenant)
        ),
        holds.of(proposal, now=now).get(offer.quote.unit),
        missed,
    )


def instead(link: Link, choice: offers.Choice | None, *, today: date, now: datetime) -> list[offers.Quote]:
    """What else this tenant may sign for as long a time as they had chosen: the own room first, then those free now.

    Where it was the length that went, the other lengths for the same room. Without free months or a perk: what was
    chosen for one room may not be published for another. Raises `proposals.Closed`.
    """
    proposal = proposals.for_link(link, today=today, now=now)
    card = proposals.card_of(proposal)
    chosen = next((room for room in card.rooms if choice and room.unit == choice.unit), card.own)
    if choice and choice.term_months in chosen.full:
        unit = "" if chosen is card.own else chosen.unit
        return [offers.price(fit(offers.Choice(term, unit=unit), card), card) for term in offers.terms(chosen)]
    wanted = choice.term_months if choice else 12
    return [
        offers.price(fit(offers.Choice(wanted, unit="" if room is card.own else room.unit), card), card)
        for room in card.rooms
    ]


def certificate(link: Link, choice: offers.Choice | None, *, today: date, now: datetime) -> Why:
    """Why the choice has the price it has today, computed again at this moment. Raises `proposals.Closed`."""
    proposal = proposals.for_link(link, today=today, now=now)
    fitting = fit(choice, proposals.card_of(proposal), lead=proposal.lead)
    offer = quotes.quote(proposal, fitting, now=now)
    building = proposal.lease.unit.building  # rooms of other buildings are not offered
    issued = certificates.issue(offer.quote, building=building, own=proposal.lease, today=today, now=now)
    return Why(issued, proposal.lead, proposal.prepared_on)


def words(link: Link, choice: offers.Choice | None, *, today: date, now: datetime) -> agreement.Agreement:
    """What this reader would agree to: the terms that wait for their yes, or else the choice at today's price.

    Raises `NotThere`: never the words for another room or length than the chosen one.
    """
    waiting = rounds.standing(link.lease, now=now)
    if waiting and rounds.seat_of(waiting, link.tenant):
        return rounds.words_of(waiting)
    made = draft(link, choice, today=today, now=now)
    if made.missed:
        raise NotThere(made.missed)
    return made.agreement


def after(link: Link, *, today: date) -> After | None:
    """What follows from the tenant's signature; none while there is no signature."""
    signature = signing.signed_for(link.lease, link.tenant)
    if signature is None:
        return None
    lease = signature.lease
    filing = FilingTask.objects.filter(lease=lease).first()
    given = Grant.objects.filter(kind=Grant.Kind.GRANTED, lease=lease, tenant=signature.signer)
    grants = given.select_related("perk").order_by("pk")
    return After(
        signature=signature,
        lease=lease,
        filing_due_on=filing.due_on if filing else None,
        grants=list(grants),
        roadmap=roadmap.steps(roadmap.living_since(link.tenant), today=today),
    )


@transaction.atomic
def prefer_general(tenant: Tenant, *, general: bool, now: datetime) -> None:
    """From now on the tenant sees the version that knows nothing about them (or no longer does)."""
    consents.choose_general(tenant, general=general, now=now)


def fit(choice: offers.Choice | None, card: offers.Card, *, lead: Mapping[str, Any] | None = None) -> offers.Choice:
    """The published choice nearest to `choice`; without one, to the proposal's lead, or staying for about a year."""
    wanted = choice or leading.choice(lead or {}) or offers.Choice(term_months=12)
    room = next((room for room in card.rooms if room.unit == wanted.unit), card.own)
    term = min(offers.terms(room), key=lambda months: (abs(months - wanted.term_months), months))
    free = min(offers.free_months(room, term), key=lambda months: (abs(months - wanted.free_months), months))
    perk = wanted.perk if wanted.perk in {perk.code for perk in offers.perks(card, term)} else ""
    return offers.Choice(term, free, "" if room is card.own else room.unit, perk)
