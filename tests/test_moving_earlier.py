"""Moving before the present lease ends: the difference of the rents counted by day, shown and not signed."""

from __future__ import annotations

import io
import json
import re
from calendar import monthrange
from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from renewal import cards, offers
from renewal.earlier import Part, by_day, early_move
from renewal.models import Case, Signature
from renewal.offers import Choice, price
from tenants import clock
from tests.letter import ask_price, make_letter, opened, sign_it
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit
from tests.test_offers import CARD, UPGRADE

YUAN = Decimal
DAY = timedelta(days=1)


# --- The sum ---


@pytest.mark.parametrize(
    ("difference", "first", "last", "amount"),
    [
        ("700.00", date(2025, 12, 6), date(2025, 12, 26), "474.19"),  # 700 × 21 ÷ 31 = 474.193…
        ("-700.00", date(2025, 12, 6), date(2025, 12, 26), "-474.19"),
        ("310.00", date(2025, 12, 26), date(2025, 12, 26), "10.00"),  # one day
        ("700.00", date(2026, 2, 1), date(2026, 2, 28), "700.00"),  # a whole month is a month
        ("700.00", date(2028, 2, 1), date(2028, 2, 29), "700.00"),
        ("290.00", date(2028, 2, 28), date(2028, 3, 1), "29.35"),  # 290 × 2 ÷ 29 + 290 ÷ 31 = 29.354…
        ("600.00", date(2025, 11, 20), date(2026, 1, 10), "1013.55"),  # 220 + 600 + 193.548…
        ("0.15", date(2025, 11, 1), date(2025, 11, 1), "0.01"),  # half a fen goes up
        ("-0.15", date(2025, 11, 1), date(2025, 11, 1), "-0.01"),  # and away from nought
        ("0.14", date(2025, 11, 1), date(2025, 11, 1), "0.00"),
        ("-0.14", date(2025, 11, 1), date(2025, 11, 1), "0.00"),
        ("0.00", date(2025, 11, 1), date(2025, 12, 31), "0.00"),
    ],
)
def test_the_difference_is_counted_by_day(difference: str, first: date, last: date, amount: str) -> None:
    assert str(by_day(YUAN(difference), first, last)[1]) == amount


def test_each_calendar_month_is_a_part_of_its_own() -> None:
    parts, _amount = by_day(YUAN("600"), date(2025, 11, 20), date(2026, 1, 10))
    assert parts == (
        Part(date(2025, 11, 20), date(2025, 11, 30), 11, 30),
        Part(date(2025, 12, 1), date(2025, 12, 31), 31, 31),
        Part(date(2026, 1, 1), date(2026, 1, 10), 10, 31),
    )


@settings(max_examples=300, deadline=None)
@given(
    fen=st.integers(-500_000, 500_000),
    first=st.dates(date(2024, 1, 1), date(2031, 12, 31)),
    days=st.integers(1, 400),
)
def test_it_is_the_sum_of_its_days_rounded_once(fen: int, first: date, days: int) -> None:
    """Against a sum that goes day by day and knows no months."""
    last = first + (days - 1) * DAY
    parts, amount = by_day(YUAN(fen) / 100, first, last)
    each_day = [first + n * DAY for n in range(days)]
    exact = sum((Fraction(fen, 100 * monthrange(day.year, day.month)[1]) for day in each_day), Fraction())
    with localcontext() as context:
        context.prec = 60
        whole = YUAN(exact.numerator) / YUAN(exact.denominator)
    assert abs(Fraction(amount) - exact) <= Fraction(1, 200)
    if 200 * abs(exact) % 2 != 1:
        assert amount == whole.quantize(YUAN("0.01"), ROUND_HALF_UP)
    assert amount == amount.quantize(YUAN("0.01"))
    assert sum(part.days for part in parts) == days
    assert (parts[0].first_day, parts[-1].last_day) == (first, last)
    assert all(one.last_day + DAY == two.first_day for one, two in pairwise(parts))
    # Moving a day later costs less by what that one day costs.
    if days > 1:
        rest = by_day(YUAN(fen) / 100, first + DAY, last)[1]
        of_day = Fraction(fen, 100 * monthrange(first.year, first.month)[1])
        assert abs(Fraction(amount) - Fraction(rest) - of_day) <= Fraction(1, 100)


# --- The days ---


def test_one_may_move_from_when_the_room_is_free_to_the_day_the_term_begins() -> None:
    room = replace(UPGRADE, free_from=date(2025, 12, 6))
    card = replace(CARD, rooms=(CARD.own, room))
    moved = price(Choice(12, unit=room.unit), card)
    first = early_move(moved, card, today=TODAY)
    assert first is not None
    assert (first.first_day, first.last_day, first.days) == (date(2025, 12, 6), date(2025, 12, 26), 21)
    assert (str(first.difference), str(first.amount)) == ("700.00", "474.19")
    last = early_move(moved, card, today=TODAY, move_on=card.first_day)
    assert last is not None
    assert (last.days, last.parts, str(last.amount)) == (0, (), "0.00")  # as it is signed
    for day in (date(2025, 12, 5), card.first_day + DAY):
        with pytest.raises(offers.NotOffered, match="from 2025-12-06 to 2025-12-27"):
            early_move(moved, card, today=TODAY, move_on=day)
    later = early_move(moved, card, today=date(2025, 12, 20))
    assert later is not None
    assert later.first_day == date(2025, 12, 20)  # never in the past
    assert early_move(price(Choice(12), card), card, today=TODAY) is None  # who stays does not move
    taken = replace(CARD, rooms=(CARD.own, replace(UPGRADE, free_from=CARD.first_day)))
    assert early_move(moved, taken, today=TODAY) is None
    assert early_move(moved, card, today=card.first_day) is None  # staying on without a term: nothing is left


def test_what_moving_earlier_costs_is_no_part_of_what_is_signed() -> None:
    room = replace(UPGRADE, free_from=date(2025, 12, 6))
    one, two = (replace(CARD, rooms=(CARD.own, each)) for each in (UPGRADE, room))
    assert price(Choice(12, unit=room.unit), one) == price(Choice(12, unit=room.unit), two)


# --- The letter and the command ---


@pytest.fixture
def room(db: None) -> Any:
    """A larger room whose last tenant leaves on 5 December."""
    clock.set_to(NOW)
    unit = make_unit("B1-0901A", make_building(), room_type="朝南大一居", list_rent=YUAN("4600.00"))
    lease = make_lease(make_tenant("周航"), unit, last_day=date(2025, 12, 5))
    Case.objects.create(lease=lease, state="transferred", since=NOW, opened_at=NOW)
    return unit


def shown(client: Client) -> str:
    page = client.get("/r/letter/").content.decode()
    found = re.search(r"<details[^>]* data-early.*?</details>", page, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found.group())) if found else ""


def test_the_letter_shows_it_folded_for_the_day_one_asks(client: Client, room: Any) -> None:
    _link, token = make_letter()
    opened(client, token)
    assert "data-early hidden" in client.get("/r/letter/").content.decode()  # who stays does not move
    move = {"term": 12, "free": 0, "tab": "move", "unit": room.code}
    early = ask_price(client, **move).json()["early"]
    assert (early["day"], early["first"], early["last"]) == ("2025-12-06", "2025-12-06", "2025-12-26")
    assert early["lines"] == [
        {"label": "2025 年 12 月 6 日 至 2025 年 12 月 26 日", "times": "", "amount": "700 × 21 ÷ 31"},
        {"label": "按天补", "times": "", "amount": "474.19"},
    ]
    assert "这间房 2025 年 12 月 6 日起空着。2025 年 12 月 6 日搬，比租约到期早住 21 天。" in shown(client)
    assert "按天补 474.19" in shown(client)
    early = ask_price(client, **move, move_on="2025-12-20").json()["early"]
    assert (early["day"], early["lines"][-1]["amount"]) == ("2025-12-20", "158.06")
    assert "按天补 158.06" in shown(client)  # kept
    for asked, day in (("2025-11-01", "2025-12-06"), ("2026-03-01", "2025-12-26"), ("soon", "2025-12-06")):
        assert ask_price(client, **move, move_on=asked).json()["early"]["day"] == day
    assert ask_price(client, term=12, free=0, tab="stay", unit="").json()["early"] is None


def test_what_is_signed_begins_the_day_after_the_last_all_the_same(client: Client, room: Any) -> None:
    link, token = make_letter()
    opened(client, token)
    choice = {"term": "12", "free": "0", "tab": "move", "unit": room.code}
    before = ask_price(client, **choice).json()
    after = ask_price(client, **choice, move_on="2025-12-20").json()
    assert before["lines"] == after["lines"]
    sign_it(client, **choice, move_on="2025-12-20")
    signature = Signature.objects.get()
    assert (signature.lease.unit_id, signature.lease.first_day) == (room.pk, date(2025, 12, 27))
    link.lease.refresh_from_db()
    assert link.lease.last_day == date(2025, 12, 26)


def test_the_card_keeps_from_when_a_room_is_free(room: Any) -> None:
    link, _token = make_letter()
    make_unit("B1-0902A", make_building(), room_type="朝南一居")  # never let
    card = cards.build([link.lease], today=TODAY)[link.lease_id]
    assert {each.unit: each.free_from for each in card.rooms[1:]} == {"B1-0901A": date(2025, 12, 6), "B1-0902A": None}
    assert cards.thaw(json.loads(json.dumps(cards.freeze(card)))) == card


def quote(*args: str) -> str:
    out = io.StringIO()
    with translation.override("en"):
        call_command("quote", *args, stdout=out)
    return out.getvalue()


def test_the_command_prints_it(room: Any) -> None:
    link, _token = make_letter(contract_no="HT-77")
    del link
    asked = ("HT-77", "--months", "12", "--day", "2025-12-01")
    assert json.loads(quote(*asked, "--json"))["by_day"] is None
    data = json.loads(quote(*asked, "--unit", room.code, "--json"))["by_day"]
    assert (data["first_day"], data["days"], data["difference"], data["amount"]) == (
        "2025-12-06", 21, "700.00", "474.19",
    )  # fmt: skip
    said = quote(*asked, "--unit", room.code, "--move-on", "2025-12-20")
    assert "158.06  Moving on 2025-12-20: the difference by day" in said
    assert "2025-12-20 – 2025-12-26  7 × 700.00 ÷ 31" in said
    with pytest.raises(CommandError) as refused, translation.override("en"):
        quote(*asked, "--unit", room.code, "--move-on", "2025-12-05")
    assert (str(refused.value), refused.value.returncode) == ("One can move in from 2025-12-06 to 2025-12-27.", 2)
