"""Months and money: pure sums, by table and by property."""

from __future__ import annotations

import ast
from calendar import monthrange
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renewal import offers
from renewal.offers import Card, Choice, NotOffered, Perk, Rate, Room, add_months, price, term_last_day

UNTIL = date(2026, 1, 31)
STAY = Room(
    "B1-0301A",
    "朝南一居",
    Decimal("28.50"),
    3,
    Decimal("3800.00"),
    (
        Rate(6, 0, Decimal("4090.00"), UNTIL),
        Rate(12, 0, Decimal("3900.00"), UNTIL),
        Rate(12, 1, Decimal("4170.00"), UNTIL),
        Rate(24, 2, Decimal("4080.00"), UNTIL),
    ),
)
UPGRADE = Room(
    "B1-0501A",
    "朝南大一居",
    Decimal("36.00"),
    5,
    Decimal("4500.00"),
    (Rate(12, 0, Decimal("4500.00"), UNTIL),),
)
CARD = Card(
    first_day=date(2025, 12, 27),
    anchor_day=27,
    current_rent=Decimal("3800.00"),
    current_deposit=Decimal("3800.00"),
    rooms=(STAY, UPGRADE),
    perks=(Perk("stay", "民宿体验券", "租期满 12 个月", 12),),
)


# --- Months ---


@pytest.mark.parametrize(
    ("first_day", "months", "anchor", "last_day"),
    [
        (date(2027, 1, 31), 1, 31, date(2027, 2, 27)),
        (date(2027, 1, 31), 2, 31, date(2027, 3, 30)),
        (date(2028, 2, 29), 12, 29, date(2029, 2, 27)),
        (date(2027, 3, 1), 12, 1, date(2028, 2, 29)),
        (date(2026, 8, 31), 6, 31, date(2027, 2, 27)),
        (date(2027, 2, 28), 1, 31, date(2027, 3, 30)),  # the next lease after the first of these
        (date(2025, 12, 1), 1, 1, date(2025, 12, 31)),
    ],
)
def test_a_term_ends_on_the_agreed_day(first_day: date, months: int, anchor: int, last_day: date) -> None:
    assert term_last_day(first_day, months, anchor) == last_day


def test_single_months_from_the_31st_do_not_drift() -> None:
    starts = [date(2027, 1, 31)]
    for _ in range(5):
        starts.append(add_months(starts[-1], 1, 31))
    assert [day.day for day in starts] == [31, 28, 31, 30, 31, 30]


def test_terms_of_all_start_days_touch_and_never_drift() -> None:
    """L6: every start day of 2024–2031 × 1–36 months."""
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(2922)]
    assert days[-1] == date(2031, 12, 31)
    cases = [(day, months) for day in days for months in range(1, 37)]
    assert len(cases) == 105_192
    for day, months in cases:
        anchor = day.day
        following = add_months(day, months, anchor)
        assert term_last_day(day, months, anchor) + timedelta(days=1) == following
        # The anchor's day, or the month's last where it has no such day; the month is the right one.
        assert following.day == min(anchor, monthrange(following.year, following.month)[1])
        assert (following.year - day.year) * 12 + following.month - day.month == months
        # Two terms one after the other end with one of both lengths together.
        half = months // 2
        assert add_months(add_months(day, half, anchor), months - half, anchor) == following
        assert offers.anchor_for(following, anchor) == anchor


def test_a_lease_that_ended_off_its_anchor_starts_a_new_count() -> None:
    assert offers.anchor_for(date(2026, 2, 28), 31) == 31
    assert offers.anchor_for(date(2026, 2, 21), 10) == 21
    assert term_last_day(date(2026, 2, 21), 1, 21) == date(2026, 3, 20)


# --- The price ---


def test_a_plain_renewal_is_priced_line_by_line() -> None:
    quote = price(Choice(12), CARD)
    assert (quote.unit, quote.is_move) == ("B1-0301A", False)
    assert (quote.first_day, quote.last_day) == (date(2025, 12, 27), date(2026, 12, 26))
    assert quote.monthly_rent == Decimal("3900.00")
    assert quote.rent_difference == Decimal("100.00")
    assert [(line.code, line.amount) for line in quote.lines] == [
        ("rent", Decimal("46800.00")),
        ("total", Decimal("46800.00")),
        ("average", Decimal("3900.00")),
        ("today", Decimal("45600.00")),
        ("difference", Decimal("1200.00")),
        ("deposit", Decimal("3800.00")),
        ("deposit_held", Decimal("3800.00")),
        ("deposit_difference", Decimal("0.00")),
    ]


def test_a_free_month_takes_the_line_with_the_higher_rent() -> None:
    quote = price(Choice(12, free_months=1), CARD)
    assert quote.monthly_rent == Decimal("4170.00")
    assert quote.free_value == Decimal("4170.00")
    assert quote.total == Decimal("45870.00")  # eleven months
    assert quote.average_rent == Decimal("3822.50")
    assert [line.amount for line in quote.lines if line.is_part] == [Decimal("50040.00"), Decimal("-4170.00")]


def test_the_average_is_rounded_half_up_once() -> None:
    rate = Rate(8, 1, Decimal("1000.04"), UNTIL)  # 7000.28 ÷ 8 = 875.035
    quote = price(Choice(8, 1), replace(CARD, rooms=(replace(STAY, rates=(rate,)),)))
    assert (quote.total, quote.average_rent) == (Decimal("7000.28"), Decimal("875.04"))


def test_moving_states_the_difference_of_the_deposit() -> None:
    quote = price(Choice(12, unit="B1-0501A"), CARD)
    assert quote.is_move
    assert (quote.deposit, quote.deposit_difference) == (Decimal("4500.00"), Decimal("700.00"))
    assert quote.rent_difference == Decimal("700.00")


def test_a_free_month_and_an_upgrade_lie_side_by_side() -> None:
    found = [
        (each.choice.unit, each.choice.free_months, each.difference)
        for each in offers.alternatives(Choice(12, 1), CARD)
    ]
    assert found == [
        ("B1-0301A", 0, Decimal("930.00")),  # without the free month a year costs 930 more
        ("B1-0501A", 0, Decimal("8130.00")),  # the better room 8,130 more
    ]


def test_the_sliders_stop_where_the_card_stops() -> None:
    assert offers.terms(STAY) == (6, 12, 24)
    assert offers.free_months(STAY, 12) == (0, 1)
    assert offers.free_months(STAY, 36) == ()
    assert offers.perks(CARD, 6) == ()
    assert [perk.code for perk in offers.perks(CARD, 12)] == ["stay"]


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (Choice(7), "No rent is published for 朝南一居 over 7 months."),
        (Choice(-12), "No rent is published for 朝南一居 over -12 months."),
        (Choice(12, 2), "12 months of 朝南一居 are not published with 2 months free."),
        (Choice(12, -1), "12 months of 朝南一居 are not published with -1 months free."),
        (Choice(12, 0, "B9-9999"), "Room B9-9999 is not among those offered."),
        (Choice(12, 0, "", "gold"), "Perk gold is not among those offered."),
        (Choice(6, 0, "", "stay"), "民宿体验券 comes with a term of 12 months or more."),
    ],
)
def test_what_is_not_on_the_card_is_not_offered(choice: Choice, sentence: str) -> None:
    with pytest.raises(NotOffered) as refused:
        price(choice, CARD)
    assert str(refused.value) == sentence


FEN = st.integers(100, 5_000_000).map(lambda fen: Decimal(fen) / 100)


@settings(max_examples=300, deadline=None)
@given(
    rent=FEN,
    current=FEN,
    term=st.integers(1, 36),
    share=st.integers(0, 35),
    first_day=st.dates(date(2024, 1, 1), date(2031, 12, 31)),
)
def test_parts_and_months_add_up_to_the_total(
    rent: Decimal, current: Decimal, term: int, share: int, first_day: date
) -> None:
    """L8: to the fen, and the months of the term follow one another without gap or overlap."""
    free = share % term
    room = replace(STAY, rates=(Rate(term, free, rent, UNTIL),))
    card = Card(first_day, first_day.day, current, Decimal("0.00"), (room,))
    quote = price(Choice(term, free), card)
    months = offers.periods(quote)
    assert sum(line.amount for line in quote.lines if line.is_part) == quote.total
    assert sum(month.rent for month in months) == quote.total
    assert all(line.amount == line.times * line.each for line in quote.lines if line.each is not None)
    assert all(line.amount == line.amount.quantize(Decimal("0.01")) for line in quote.lines)
    assert quote.free_value + quote.total == rent * term
    assert abs(quote.average_rent * term - quote.total) <= Decimal("0.005") * term
    assert (months[0].first_day, months[-1].last_day) == (first_day, quote.last_day)
    assert all(one.last_day + timedelta(days=1) == two.first_day for one, two in pairwise(months))


@pytest.mark.parametrize("name", ["offers", "rates", "cards", "quotes", "signing", "agreement"])
def test_no_float_touches_money(name: str) -> None:
    """No float literal, no `float`, and no division but one of Decimals that is rounded at once."""
    tree = ast.parse((Path(offers.__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), ast.dump(node)
        assert not (isinstance(node, ast.Name) and node.id in {"float", "round"}), ast.dump(node)
    divisions = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)]
    assert [ast.unparse(node) for node in divisions] == (["total / term"] if name == "offers" else [])
