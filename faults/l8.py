"""L8: 100,000 random prices: every split of a sum adds up to it, to the fen, and no float comes near money.

The same is worked out again in whole fen: what a term costs (so many months paid, so many free), its months one by one,
the average (half up, once), the differences to other choices over the same term, and what of a deposit is to be added.
No file of the product that works with money holds a float, by its syntax tree; those that turn foreign numbers into
`Decimal`, or count other things than money, are named with their reason, and the maker of sample data is left out,
whose files are read as anybody's. The red twin does the sums in floats, and spreads a total evenly over the months.
"""

from __future__ import annotations

import ast
import random
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from bench.scratch import ROOT
from faults import Outcome, outcome
from renewal import offers

CASES = 100_000
RED = 0.01
UNTIL = date(2031, 12, 31)
ROOMS = ("renewal", "campaigns", "workorders", "tenants", "connectors")
# Files with both Decimals and floats, and why no money of ours is in the floats.
WAIVED = {
    "connectors/records.py": "positions of buildings",
    "connectors/sources/cells.py": "a spreadsheet's numbers, which become Decimals here or are refused",
    "connectors/sources/cloudevents.py": "JSON's numbers, which become Decimals here or are refused",
    "renewal/batches.py": "renewals to be expected",
    "renewal/figures.py": "shares and hours",
    "renewal/kpis.py": "shares and hours",
    "renewal/leads.py": "incomes and renewals to be expected; what is charged is the published line",
    "renewal/ratecard.py": "shares of endings and of choices, beside each term",
    "renewal/templatetags/staff.py": "shares and hours",
    "renewal/views/waves.py": "how strongly people respond to a rent, as somebody types it",
    "renewal/waveboard.py": "shares of endings and of choices",
    "renewal/waves.py": "shares of endings and of choices",
    "tenants/models/where.py": "positions of buildings",
}


def run(seed: int, share: float) -> Outcome:
    held, counts = _campaign(seed, round(CASES * share))
    counts["files with floats"] = floats = _floats()
    with patch.object(offers, "price", _in_floats(offers.price)), patch.object(offers, "periods", _evenly):
        red = _campaign(seed, max(100, round(CASES * min(share, RED))))
    return outcome(held and not floats, counts, red=red)


def _in_floats(price: Any) -> Any:
    """The protection off: a total of binary fractions, never rounded."""

    def priced(choice: offers.Choice, card: offers.Card) -> offers.Quote:
        quote = price(choice, card)
        total = sum(float(quote.monthly_rent) for _month in range(quote.term_months - quote.free_months))
        average = round(Decimal(total / quote.term_months), 2)
        return replace(quote, total=Decimal(total), average_rent=average)

    return priced


def _evenly(quote: offers.Quote) -> tuple[offers.Period, ...]:
    """The protection off: every month is charged the average."""
    day = quote.first_day
    return tuple(offers.Period(day, day, quote.average_rent) for _month in range(quote.term_months))


def _campaign(seed: int, cases: int) -> tuple[bool, dict[str, Any]]:
    dice = random.Random(seed)
    wrong: Counter[str] = Counter()
    for _case in range(cases):
        wrong.update(_wrong_with(dice))
    what = ("total", "parts", "months", "average", "differences", "deposit", "more than two places")
    return not wrong.total(), {"cases": cases} | {f"wrong: {name}": wrong[name] for name in what}


def _wrong_with(dice: random.Random) -> Counter[str]:
    fen = [dice.choice((1, 99, 100_01, dice.randrange(1, 10_000_000))) for _sum in range(5)]
    rent, other_rent, current, deposit, other_deposit = fen
    term = dice.randint(1, 36)
    free = dice.randrange(term)
    first_day = date(2024, 1, 1) + timedelta(days=dice.randrange(2_922))
    own = _room("A", deposit, offers.Rate(term, free, _yuan(rent), UNTIL))
    other = _room("B", other_deposit, offers.Rate(term, 0, _yuan(other_rent), UNTIL))
    card = offers.Card(first_day, first_day.day, _yuan(current), _yuan(deposit), (own, other))
    chosen, moved = (offers.price(offers.Choice(term, n, unit), card) for n, unit in ((free, ""), (0, "B")))
    total, moved_total = rent * (term - free), other_rent * term
    (beside,) = offers.alternatives(offers.Choice(term, free), card)
    of = {line.code: line.amount for line in chosen.lines}
    sums = [line.amount for line in (*chosen.lines, *moved.lines)] + [beside.difference, chosen.average_rent]
    return Counter({
        "total": (chosen.total, moved.total) != (_yuan(total), _yuan(moved_total)),
        "parts": sum(line.amount for line in chosen.lines if line.is_part) != chosen.total
        or chosen.total + chosen.free_value != _yuan(rent * term),
        "months": sum(month.rent for month in offers.periods(chosen)) != chosen.total,
        "average": chosen.average_rent != _yuan((2 * total + term) // (2 * term)),
        "differences": (beside.difference, of["difference"], chosen.rent_difference)
        != (_yuan(moved_total - total), _yuan(total - current * term), _yuan(rent - current)),
        "deposit": (chosen.deposit_difference, moved.deposit_difference) != (0, _yuan(other_deposit - deposit)),
        "more than two places": any(amount != amount.quantize(offers.FEN) for amount in sums),
    })  # fmt: skip


def _yuan(fen: int) -> Decimal:
    return Decimal(fen).scaleb(-2)


def _room(unit: str, deposit: int, rate: offers.Rate) -> offers.Room:
    return offers.Room(unit, "朝南一居", Decimal("28.50"), 3, _yuan(deposit), (rate,))


def _floats() -> list[str]:
    """Where a float is: `path:line` of a literal, of `float` or of `round`, in files that know `Decimal`."""
    found = []
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        if "Decimal" not in text or "/migrations/" in name or name in WAIVED or "/sample/" in name:
            continue
        for node in ast.walk(ast.parse(text)):
            is_literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            if is_literal or (isinstance(node, ast.Name) and node.id in {"float", "round"}):
                found.append(f"{name}:{getattr(node, 'lineno', 0)}")
    return found
