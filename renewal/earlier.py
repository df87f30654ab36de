"""Moving to another room before the present lease ends: the difference of the rents, counted by day.

Pure, without Django. It is information and no part of a quote: what is signed begins the day after the present lease.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from renewal import offers


def _(text: str) -> str:
    """Mark a sentence for translation; whoever shows it translates it."""
    return text


@dataclass(frozen=True, slots=True)
class Part:
    """Days of one calendar month, both inclusive."""

    first_day: date
    last_day: date
    days: int
    days_of_month: int


@dataclass(frozen=True, slots=True)
class Early:
    """What it costs to live in the other room from `first_day` to the last day of the present lease."""

    first_day: date
    last_day: date
    days: int
    difference: Decimal  # of the monthly rents
    parts: tuple[Part, ...]
    amount: Decimal  # to pay besides the present rent, or (negative) to come back


def by_day(difference: Decimal, first_day: date, last_day: date) -> tuple[tuple[Part, ...], Decimal]:
    """A difference of monthly rents counted by day, both days inclusive.

    Per calendar month days × difference ÷ days of that month, exactly; half up to the fen once, at the end.
    """
    parts = []
    day = first_day
    while day <= last_day:
        of_month = monthrange(day.year, day.month)[1]
        end = min(last_day, day.replace(day=of_month))
        parts.append(Part(day, end, (end - day).days + 1, of_month))
        day = end + timedelta(days=1)
    exact = sum((Fraction(part.days, part.days_of_month) for part in parts), Fraction()) * Fraction(difference)
    # Half a fen goes away from nought, as with Decimal's half up.
    amount = Decimal((abs(exact) * 200 + 1) // 2) * offers.FEN
    return tuple(parts), -amount if difference < 0 and amount else amount


def earliest(quote: offers.Quote, card: offers.Card, *, today: date) -> date:
    """The first day on which one could live in the quoted room: when it is free, and never after the present lease."""
    free_from = card.room(quote.unit).free_from
    return min(card.first_day, max(today, free_from or today))


def early_move(quote: offers.Quote, card: offers.Card, *, today: date, move_on: date | None = None) -> Early | None:
    """What moving on a day before the present lease ends costs by day; unless told otherwise, on the earliest.

    None where nobody moves, or the room is free no earlier than the day the term begins. Raises `NotOffered` for a day
    that is not between those two.
    """
    first, last = earliest(quote, card, today=today), card.first_day - timedelta(days=1)
    if not quote.is_move or first > last:
        return None
    day = move_on or first
    if not first <= day <= card.first_day:
        raise offers.NotOffered(_("One can move in from {first} to {last}."), first=first, last=card.first_day)
    parts, amount = by_day(quote.rent_difference, day, last)
    return Early(day, last, (last - day).days + 1, quote.rent_difference, parts, amount)
