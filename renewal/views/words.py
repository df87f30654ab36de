"""Sums and days as the letter says them. It formats; it never computes a price."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from math import gcd
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from renewal import letters, offers, quotes

ICONS = {"repairs": "repair", "on_time": "payment", "held": "community"}


def yuan(amount: Decimal) -> str:
    """3,720 or 3,720.50: no empty fen."""
    return f"{amount:,.0f}" if amount == amount.to_integral_value() else f"{amount:,.2f}"


def day(moment: date) -> str:
    return date_format(moment, _("j F Y"))


def month(moment: date) -> str:
    return date_format(moment, _("F Y"))


def months(number: int) -> str:
    return ngettext("%(n)d month", "%(n)d months", number) % {"n": number}


def term(number: int) -> str:
    """Whole years as years: 12 months is a year."""
    years, rest = divmod(number, 12)
    return months(number) if rest or not years else ngettext("%(n)d year", "%(n)d years", years) % {"n": years}


def lived(since: date, today: date) -> str:
    """How long one has lived here, in whole months: 1 year 3 months; days in the first one."""
    whole = (today.year - since.year) * 12 + today.month - since.month
    whole -= offers.add_months(since, whole, since.day) > today
    years, rest = divmod(whole, 12)
    if not whole:
        n = (today - since).days + 1
        return ngettext("%(n)d day", "%(n)d days", n) % {"n": n}
    parts = [term(12 * years)] * bool(years) + [months(rest)] * bool(rest)
    return " ".join(parts)


def name(full: str) -> str:
    """As much of a name as a page may show to whoever holds the phone: 林*."""
    return full[:1] + "*" * min(max(len(full) - 1, 1), 2)


def against_today(quote: offers.Quote) -> str:
    """What changes against today, in words."""
    difference = quote.rent_difference
    if not difference:
        return _("The same rent as now")
    words = _("%(sum)s yuan more a month than now") if difference > 0 else _("%(sum)s yuan less a month than now")
    return words % {"sum": yuan(abs(difference))}


def price(offer: quotes.SignedQuote) -> dict[str, str]:
    """Every word on the page that changes with the sliders."""
    quote = offer.quote
    free = (
        _("%(months)s rent-free, on average %(average)s yuan a month")
        % {"months": months(quote.free_months), "average": yuan(quote.average_rent)}
        if quote.free_months
        else ""
    )
    return {
        "rent": yuan(quote.monthly_rent),
        "change": against_today(quote),
        "free": free,
        "span": _("%(first)s to %(last)s") % {"first": day(quote.first_day), "last": day(quote.last_day)},
        "until": _("until %(last)s") % {"last": day(quote.last_day)},
        "term": term(quote.term_months),
        "free_months": months(quote.free_months) if quote.free_months else _("none"),
        "total": yuan(quote.total),
        "bar": " · ".join(
            filter(
                None, [term(quote.term_months), _("%s free") % months(quote.free_months) if quote.free_months else ""]
            )
        ),
        "signed_to": _("This rent holds for signatures until %(day)s.") % {"day": day(quote.signed_to)},
    }


def lines(quote: offers.Quote) -> list[dict[str, str]]:
    """The calculation, line by line, as it is folded under the rent."""
    shown = []
    for line in quote.lines:
        if line.code == "deposit_difference" and not line.amount:
            continue
        label = str(quotes.LINE_NAMES[line.code])
        if line.code == "deposit_difference" and line.amount < 0:
            label = _("Deposit to come back")
        times = f"{yuan(abs(line.each))} × {line.times}" if line.each is not None and line.times > 1 else ""
        shown.append({"code": line.code, "label": label, "times": times, "amount": _signed(line)})
    return shown


def _signed(line: offers.Line) -> str:
    if line.code == "deposit_difference":
        return yuan(abs(line.amount))
    sign = "−" if line.amount < 0 else "+" if line.code == "difference" and line.amount > 0 else ""
    return f"{sign}{yuan(abs(line.amount))}"


def others(alternatives: Sequence[offers.Alternative]) -> list[dict[str, str]]:
    """The same term with other free months, or in another room: what each costs more or less, over the term."""
    shown = []
    for other in alternatives:
        free = _("%s free") % months(other.quote.free_months) if other.quote.free_months else _("no month free")
        room = f"{other.quote.unit} {other.quote.room_type}" if other.quote.is_move else _("where you live now")
        sign = "+" if other.difference > 0 else "−" if other.difference < 0 else ""
        shown.append({"label": f"{room} · {free}", "amount": f"{sign}{yuan(abs(other.difference))}"})
    return shown


def early(earlier: letters.Earlier | None) -> dict[str, Any] | None:
    """Moving before the present lease ends: the day, its bounds, and the difference by day with its parts."""
    if earlier is None:
        return None
    move = earlier.move
    label = _("To add, by day") if move.amount >= 0 else _("To come back, by day")
    parts = [
        {
            "label": _("%(first)s to %(last)s") % {"first": day(part.first_day), "last": day(part.last_day)},
            "times": "",
            "amount": f"{_signed_sum(move.difference)} × {part.days} ÷ {part.days_of_month}",
        }
        for part in move.parts
    ]
    return {
        "day": move.first_day.isoformat(),
        "first": earlier.first.isoformat(),
        "last": earlier.last.isoformat(),
        "words": ngettext(
            "This room is free from %(from)s. Moving on %(day)s, you would have it %(n)d day before your lease ends.",
            "This room is free from %(from)s. Moving on %(day)s, you would have it %(n)d days before your lease ends.",
            move.days,
        )
        % {"from": day(earlier.first), "day": day(move.first_day), "n": move.days},
        "lines": [*parts, {"label": label, "times": "", "amount": f"{abs(move.amount):,.2f}"}],
    }


def _signed_sum(amount: Decimal) -> str:
    return f"−{yuan(-amount)}" if amount < 0 else yuan(amount)


def answer(priced: letters.Priced) -> dict[str, Any]:
    """A price as the page's script takes it: the figures, and every word they change."""
    return {
        **quotes.as_data(priced.offer.quote),
        "token": priced.offer.token,
        "expires_at": priced.offer.expires_at.isoformat(),
        "words": price(priced.offer) | {"full": full(priced.room)},
        "calculation": lines(priced.offer.quote),
        "others": others(priced.others),
        "early": early(priced.early),
    }


def slider(values: Sequence[int], chosen: int) -> dict[str, Any] | None:
    """A native range over published values; none where there is nothing to slide."""
    if len(values) < 2:
        return None
    step = gcd(*(later - earlier for earlier, later in pairwise(values)))
    return {"min": values[0], "max": values[-1], "step": step, "value": chosen}


def published(card: offers.Card) -> dict[str, Any]:
    """What may be chosen together, without any price: enough for the sliders to stay within it."""
    return {
        "rooms": {
            "" if room is card.own else room.unit: {
                str(months): list(offers.free_months(room, months)) for months in offers.terms(room)
            }
            for room in card.rooms
        },
        "perks": {perk.code: perk.min_term_months for perk in card.perks},
    }


def full(room: offers.Room) -> str:
    """Which lengths are not to be had now, why, and which are; nothing if all are."""
    if not room.full:
        return ""
    words = _(
        "Not to be had now: %(full)s. So that every handover is looked after, only so many leases may end in one week, "
        "and that week is full. Open: %(open)s."
    )
    between = pgettext("lengths", ", ")
    return words % {
        "full": between.join(term(months) for months in room.full),
        "open": between.join(term(months) for months in offers.terms(room)),
    }


def missed(letter: letters.Letter, wanted: offers.Choice | None, *, now: datetime) -> str:
    """Why the room or the length that was wanted is not to be had; nothing if it is, by now."""
    if wanted is None:
        return ""
    room = next((room for room in letter.card.rooms if room.unit == wanted.unit), letter.card.own)
    if wanted.unit in {"", room.unit}:
        return str(quotes.TermFull.sentence) if wanted.term_months in room.full else ""
    until = {room.unit: room.until for room in letter.card.held}.get(wanted.unit)
    return quotes.held_words(quotes.minutes_to(until, now=now)) if until else str(quotes.RoomGone.sentence)


def kept(draft: letters.Draft) -> str:
    """Whether the room one would move to is kept for the reader."""
    if not draft.offer.quote.is_move:
        return ""
    if draft.kept_until is None:
        return _("This room is not kept for you at this moment; whoever signs first has it.")
    return _("This room is kept for you until %(time)s.") % {"time": _time(draft.kept_until)}


def _time(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "H:i")


def offer(letter: letters.Letter, *, now: datetime) -> dict[str, Any]:
    """The part of the page that holds the sliders."""
    card, choice = letter.card, letter.choice
    room = card.room(choice.unit)
    terms = offers.terms(room)
    dial = slider(terms, choice.term_months)
    if dial is None and any(offers.terms(each) != terms for each in card.rooms):  # another room has more to slide
        dial = {"min": terms[0], "max": terms[0], "step": 1, "value": terms[0]}
    return {
        "choice": choice,
        "price": price(letter.offer),
        "full": full(room),
        "lines": lines(letter.offer.quote),
        "others": others(letter.others),
        "early": early(letter.early),
        "token": letter.offer.token,
        "term": dial,
        "free": slider(offers.free_months(room, choice.term_months), choice.free_months),
        "any_free": any(len(offers.free_months(each, t)) > 1 for each in card.rooms for t in offers.terms(each)),
        "rooms": [
            {
                "unit": each.unit,
                "room_type": each.room_type,
                "area": f"{each.area.normalize():f}",
                "floor": each.floor,
                "deposit": yuan(each.deposit),
                "chosen": each.unit == choice.unit,
                "kept": (
                    _("Kept for you until %(time)s") % {"time": _time(letter.kept[each.unit])}
                    if each.unit in letter.kept
                    else ""
                ),
            }
            for each in card.rooms[1:]
        ],
        "held": [
            {
                "unit": each.unit,
                "room_type": each.room_type,
                "area": f"{each.area.normalize():f}",
                "floor": each.floor,
                "words": quotes.held_words(quotes.minutes_to(each.until, now=now)),
            }
            for each in card.held
        ],
        "perks": [
            {
                "code": perk.code,
                "name": perk.name,
                "condition": perk.condition,
                "months": perk.min_term_months,
                "open": perk.min_term_months <= choice.term_months,
                "chosen": perk.code == choice.perk,
            }
            for perk in card.perks
        ],
        "published": published(card),
    }


def certificate(why: letters.Why) -> dict[str, Any]:
    """The published line, the two recomputations, the fingerprint in groups of four, and where the letter began."""
    found = why.certificate
    line = found.line
    rows = [
        (_("Building"), found.building),
        (_("Room type"), found.room_type),
        (_("Term"), term(found.term_months)),
        (_("Free months"), months(found.free_months) if found.free_months else _("none")),
        (_("Rent a month"), _("%s yuan") % f"{found.rent:,.2f}"),
    ]
    if line:
        window = _("%(first)s to %(last)s") % {"first": day(line.signed_from), "last": day(line.signed_to)}
        rows += [
            (_("For signatures"), window),
            (_("Published"), day(timezone.localtime(line.recorded_at).date())),
        ]
    return {
        "rows": rows,
        "rent": yuan(found.rent),
        "public_rent": f"{found.public_rent:,.2f}" if found.public_rent is not None else "",
        "offered_rent": f"{found.rent:,.2f}",
        "time": date_format(timezone.localtime(found.computed_at), "H:i:s"),
        "signed_on": day(found.signed_on),
        "groups": [found.fingerprint[n : n + 4] for n in range(0, 32, 4)],
        "lead": _lead(why),
    }


def _lead(why: letters.Why) -> dict[str, Any] | None:
    """The line the letter began with, the day it was chosen, and by how much it may cost more than the lowest."""
    if not why.lead:
        return None
    free = why.lead["free_months"]
    line = term(why.lead["term_months"])
    if free:
        line = _("%(term)s with %(free)s free") % {"term": line, "free": months(free)}
    return {
        "line": line,
        "has_free": bool(free),
        "chosen_on": day(why.prepared_on),
        "above": why.lead["above_percent"],
    }
