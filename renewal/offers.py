"""What an offer costs: the published card, a tenant's choice, and every line of the price. Pure, without Django.

The price is a sum of the card and the choice; nothing about the person goes in (PIPL 24). Taking a free
month means taking the published line with the higher monthly rent, so "a month free" and "a lower rent", or
"a month free" and "a better room", can be laid side by side over the whole term. The free months are the
last of the term: nobody who leaves early has to pay one back.

Money is `Decimal` yuan with two places. Only the average is ever rounded: half up, once, at the end.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

FEN = Decimal("0.01")


def _(text: str) -> str:
    """Mark a sentence for translation; whoever shows it translates it."""
    return text


class NotOffered(Exception):
    """The card does not hold this choice. `template` and `facts` make the sentence, in any language."""

    def __init__(self, template: str, **facts: object) -> None:
        super().__init__(template.format(**facts))
        self.template = template
        self.facts = facts


class Full(NotOffered):
    """So many leases end in the week in which this term would that no more may (renewal/caps.py)."""


# --- Months -----------------------------------------------------------------------------------------------


def add_months(first_day: date, months: int, anchor_day: int) -> date:
    """The first day of the period that follows `months` months from `first_day`.

    The day is the anchor's, clamped to the month, and never taken from an earlier result: with anchor 31 the
    periods start on 31 January, 28 February and 31 March again.
    """
    years, month0 = divmod(first_day.month - 1 + months, 12)
    year, month = first_day.year + years, month0 + 1
    return date(year, month, min(anchor_day, monthrange(year, month)[1]))


def term_last_day(first_day: date, months: int, anchor_day: int) -> date:
    """The last day, inclusive, of a term of `months` months."""
    return add_months(first_day, months, anchor_day) - timedelta(days=1)


def anchor_for(first_day: date, inherited: int) -> int:
    """The inherited anchor day if `first_day` falls on it, else the day of `first_day`.

    A lease that did not end the day before its anchor leaves no anchor to inherit: counting on would make
    the first month of the renewal shorter than a month, at the price of a whole one.
    """
    return inherited if first_day == add_months(first_day, 0, inherited) else first_day.day


# --- The card ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rate:
    """One published line for a room's type: this rent for this term with so many months free."""

    term_months: int
    free_months: int
    monthly_rent: Decimal
    signed_to: date  # the last day on which it may be signed


@dataclass(frozen=True, slots=True)
class Room:
    """A room one may choose, with the published lines of its type."""

    unit: str  # its code
    room_type: str
    area: Decimal  # m²
    floor: int
    deposit: Decimal
    rates: tuple[Rate, ...]
    free_from: date | None = None  # the day after its last lease; none where it never had one, or for the own room
    full: tuple[int, ...] = ()  # terms that are published, too, but would end in a week that is full


@dataclass(frozen=True, slots=True)
class Perk:
    """A perk one may choose with a term of at least `min_term_months`."""

    code: str
    name: str
    condition: str
    min_term_months: int


@dataclass(frozen=True, slots=True)
class Held:
    """A room that would be among those offered, but for somebody who is choosing it at this moment."""

    unit: str
    room_type: str
    area: Decimal
    floor: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Card:
    """All that a proposal may quote. The first room is the one lived in; it is never missing."""

    first_day: date
    anchor_day: int
    current_rent: Decimal
    current_deposit: Decimal
    rooms: tuple[Room, ...]
    perks: tuple[Perk, ...] = ()
    held: tuple[Held, ...] = ()  # shown, never quoted

    @property
    def own(self) -> Room:
        return self.rooms[0]

    def room(self, unit: str) -> Room:
        """The room with this code; none means the one lived in."""
        for room in self.rooms:
            if room.unit == unit or not unit:
                return room
        raise NotOffered(_("Room {unit} is not among those offered."), unit=unit)


def terms(room: Room) -> tuple[int, ...]:
    """The terms published for a room, shortest first."""
    return tuple(sorted({rate.term_months for rate in room.rates}))


def free_months(room: Room, term_months: int) -> tuple[int, ...]:
    """The numbers of free months published for a room and a term, fewest first."""
    return tuple(sorted({rate.free_months for rate in room.rates if rate.term_months == term_months}))


def perks(card: Card, term_months: int) -> tuple[Perk, ...]:
    """The perks one may choose with this term."""
    return tuple(perk for perk in card.perks if term_months >= perk.min_term_months)


# --- The price --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """What the tenant chose. No unit means staying; no perk means none."""

    term_months: int
    free_months: int = 0
    unit: str = ""
    perk: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the price: `amount` = `times` × `each`. Lines with `is_part` add up to the total."""

    code: str  # rent, free, total, average, today, difference, deposit, deposit_held, deposit_difference
    amount: Decimal
    times: int = 1
    each: Decimal | None = None
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class Period:
    """One month of the term and the rent due for it, on its first day."""

    first_day: date
    last_day: date
    rent: Decimal


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of one choice, with every line behind it."""

    unit: str
    room_type: str
    is_move: bool
    first_day: date
    last_day: date
    anchor_day: int
    term_months: int
    free_months: int
    monthly_rent: Decimal
    current_rent: Decimal
    rent_difference: Decimal  # a month, against today
    free_value: Decimal  # what the free months are worth
    total: Decimal  # rent over the whole term
    average_rent: Decimal  # total ÷ months, half up
    deposit: Decimal
    deposit_difference: Decimal  # to pay, or (negative) to come back
    perk: str
    signed_to: date  # the published line holds until then
    lines: tuple[Line, ...]


def price(choice: Choice, card: Card) -> Quote:
    """The price of `choice` on `card`. Raises `NotOffered` with one sentence."""
    room = card.room(choice.unit)
    rate = _rate(room, choice)
    perk = _perk(card, choice)
    term, free, rent = rate.term_months, rate.free_months, rate.monthly_rent
    total = rent * (term - free)
    today = card.current_rent * term
    average = (total / term).quantize(FEN, ROUND_HALF_UP)
    deposit_difference = room.deposit - card.current_deposit
    lines = [Line("rent", rent * term, term, rent, is_part=True)]
    if free:
        lines.append(Line("free", -rent * free, free, -rent, is_part=True))
    lines += [
        Line("total", total),
        Line("average", average),
        Line("today", today, term, card.current_rent),
        Line("difference", total - today),
        Line("deposit", room.deposit),
        Line("deposit_held", card.current_deposit),
        Line("deposit_difference", deposit_difference),
    ]
    return Quote(
        unit=room.unit,
        room_type=room.room_type,
        is_move=room.unit != card.own.unit,
        first_day=card.first_day,
        last_day=term_last_day(card.first_day, term, card.anchor_day),
        anchor_day=card.anchor_day,
        term_months=term,
        free_months=free,
        monthly_rent=rent,
        current_rent=card.current_rent,
        rent_difference=rent - card.current_rent,
        free_value=rent * free,
        total=total,
        average_rent=average,
        deposit=room.deposit,
        deposit_difference=deposit_difference,
        perk=perk,
        signed_to=rate.signed_to,
        lines=tuple(lines),
    )


def _rate(room: Room, choice: Choice) -> Rate:
    if choice.term_months in room.full:
        raise _full(room, choice)
    of_term = [rate for rate in room.rates if rate.term_months == choice.term_months]
    if not of_term:
        raise NotOffered(
            _("No rent is published for {room_type} over {months} months."),
            room_type=room.room_type,
            months=choice.term_months,
        )
    for rate in of_term:
        if rate.free_months == choice.free_months:
            return rate
    raise NotOffered(
        _("{months} months of {room_type} are not published with {free} months free."),
        months=choice.term_months,
        room_type=room.room_type,
        free=choice.free_months,
    )


def _full(room: Room, choice: Choice) -> Full:
    left = terms(room)
    if not left:
        return Full(
            _("{months} months cannot be had now: the week in which they would end is full. So are all other terms."),
            months=choice.term_months,
        )
    return Full(
        _("{months} months cannot be had now: the week in which they would end is full. Open (months): {terms}."),
        months=choice.term_months,
        terms=", ".join(map(str, left)),
    )


def _perk(card: Card, choice: Choice) -> str:
    if not choice.perk:
        return ""
    for perk in card.perks:
        if perk.code == choice.perk:
            if choice.term_months >= perk.min_term_months:
                return perk.code
            raise NotOffered(
                _("{perk} comes with a term of {months} months or more."), perk=perk.name, months=perk.min_term_months
            )
    raise NotOffered(_("Perk {perk} is not among those offered."), perk=choice.perk)


def periods(quote: Quote) -> tuple[Period, ...]:
    """The months of the term, without gap or overlap, with the rent of each; the last ones are the free ones."""
    paid = quote.term_months - quote.free_months
    starts = [add_months(quote.first_day, months, quote.anchor_day) for months in range(quote.term_months + 1)]
    return tuple(
        Period(starts[n], starts[n + 1] - timedelta(days=1), quote.monthly_rent if n < paid else Decimal("0.00"))
        for n in range(quote.term_months)
    )


# --- Side by side -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another choice over the same term, and what it costs more (or, negative, less) than the chosen one."""

    choice: Choice
    quote: Quote
    difference: Decimal  # over the whole term


def alternatives(choice: Choice, card: Card) -> tuple[Alternative, ...]:
    """Over the same term: the chosen room with other free months, then the other rooms."""
    chosen = price(choice, card)
    others = [
        Choice(choice.term_months, free, chosen.unit)
        for free in free_months(card.room(chosen.unit), choice.term_months)
        if free != chosen.free_months
    ]
    for room in card.rooms:
        published = free_months(room, choice.term_months)
        if room.unit != chosen.unit and published:
            free = chosen.free_months if chosen.free_months in published else published[0]
            others.append(Choice(choice.term_months, free, room.unit))
    quotes = [(other, price(other, card)) for other in others]
    return tuple(Alternative(other, quote, quote.total - chosen.total) for other, quote in quotes)
