"""The page of the letter: the year, the offers, the prices."""

from __future__ import annotations

import io
import json
import logging
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from renewal import offers, proposals
from renewal.models import Case, CaseChange, Proposal
from tenants import clock, links
from tenants.models import Tenant
from tests.letter import (
    LARGE,
    OWN,
    ask_price,
    make_letter,
    opened,
    publish,
)
from tests.makers import NOW, TODAY, make_building, make_event, make_unit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


# --- The page ---


def test_the_letter_shows_the_year_the_offers_and_a_masked_name(client: Client) -> None:
    link, token = make_letter()
    for number in range(47):
        make_event("facility.used", link.tenant, at=NOW - timedelta(days=number + 1), data={"facility": "gym"})
    opened(client, token)
    page = client.get("/r/letter/").content.decode()
    assert "<strong>47</strong>" in page
    assert "过去一年，您共使用健身房 47 次。" in page
    assert "林*" in page
    assert link.tenant.name not in page
    assert link.tenant.phone not in page
    assert 'data-word="rent">3,900<' in page
    assert "比现在每月多 100 元" in page
    assert 'min="6" max="24"' in page


def test_the_general_version_has_no_behaviour_in_it_and_the_same_rent(client: Client) -> None:
    link, token = make_letter()
    for number in range(47):
        make_event("facility.used", link.tenant, at=NOW - timedelta(days=number + 1), data={"facility": "gym"})
    opened(client, token)
    client.post("/r/letter/general", {"general": "1"})
    page = client.get("/r/letter/").content.decode()
    assert "健身房" not in page
    assert 'data-word="rent">3,900<' in page
    assert Tenant.objects.get(pk=link.tenant_id).general_version is True
    client.post("/r/letter/general", {"general": "0"})
    assert "健身房 47 次" in client.get("/r/letter/").content.decode()


def test_english_readers_get_an_english_letter(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    page = client.get("/r/letter/", headers={"accept-language": "en"}).content.decode()
    assert "100 yuan more a month than now" in page
    assert "Go on to confirm" in page
    body = re.sub(r"<[^>]+>|蓝寓\w*|林", "", page[page.index("<main") :])
    assert not re.findall(r"[\u4e00-\u9fff]+", body)


def test_no_english_is_left_in_the_chinese_pages(client: Client) -> None:
    _link, token = make_letter(unit=make_unit("B1-0301A", make_building("B1", name="滨江店")))
    pages = [client.get(f"/r/{token}"), client.get("/r/"), client.get("/r/" + "a" * 26)]
    opened(client, token)
    pages += [client.get(f"/r/letter/{name}") for name in ("", "agreement", "decline", "notice")]
    for page in pages:
        text = re.sub(r"<(script|svg|noscript).*?</\1>", "", page.content.decode(), flags=re.S)
        words = re.findall(r"[A-Za-z]{4,}", re.sub(r"<[^>]+>", " ", text))
        assert words == [], words


# --- Prices ---


def test_the_quote_is_the_card_s_price_to_the_fen(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    card = proposals.card_on(Proposal.objects.get(lease=link.lease), today=TODAY)
    for (term, free), rent in OWN.items():
        answer = ask_price(client, term=term, free=free).json()
        price = offers.price(offers.Choice(term, free), card)
        assert Decimal(answer["monthly_rent"]) == price.monthly_rent == Decimal(rent)
        assert Decimal(answer["total"]) == price.total
        assert Decimal(answer["average_rent"]) == price.average_rent
        assert answer["last_day"] == price.last_day.isoformat()
    assert answer["words"]["rent"] == "4,120.50"
    assert answer["words"]["change"] == "比现在每月多 320.50 元"


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"term": ""},
        {"term": "7"},
        {"term": "-12"},
        {"term": "12.0"},
        {"term": "1e309"},
        {"term": "NaN"},
        {"term": "１２"},
        {"term": "9" * 400},
        {"term": "12", "free": "2"},
        {"term": "12", "free": "-1"},
        {"term": "12", "free": "0", "tab": "move", "unit": "B9-9999"},
        {"term": "12", "free": "0", "perk": "gold"},
        {"term": "12", "free": "0", "perk": "' or 1=1 --"},
    ],
)
def test_a_choice_that_is_not_published_is_refused_in_a_sentence(client: Client, choice: dict[str, str]) -> None:
    _link, token = make_letter()
    opened(client, token)
    answer = ask_price(client, **choice)
    assert answer.status_code == 422
    assert answer.json()["error"].endswith("。")
    assert client.get("/r/letter/").status_code == 200


def test_a_rent_in_the_form_is_not_listened_to(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    answer = ask_price(client, term=12, free=0, monthly_rent="1.00", rent="1", total="1", deposit="0")
    assert answer.json()["monthly_rent"] == "3900.00"


def test_moving_a_slider_makes_the_case_considered_once(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    ask_price(client, term=12, free=0)
    ask_price(client, term=24, free=0)
    assert Case.objects.get().state == "considering"
    assert list(CaseChange.objects.order_by("pk").values_list("now", flat=True)) == ["viewed", "considering"]


def test_a_choice_survives_a_reload(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    ask_price(client, term=24, free=2)
    page = client.get("/r/letter/").content.decode()
    assert 'data-word="rent">4,120.50<' in page
    assert 'step="6" value="24"' in page or 'value="24"' in page


def test_without_scripts_a_form_post_works_the_price_out_again(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    answer = client.post("/r/letter/quote", {"term": "24", "free": "0"})
    assert answer["Location"] == "/r/letter/#offers"
    assert 'data-word="rent">3,800<' in client.get("/r/letter/").content.decode()


def test_another_room_is_offered_with_its_own_price(client: Client) -> None:
    link, token = make_letter()
    other = make_unit(
        "B1-0901A", link.lease.unit.building, room_type="朝南大一居", floor=9, list_rent=Decimal("4600.00")
    )
    opened(client, token)
    page = client.get("/r/letter/").content.decode()
    assert "换一间" in page
    assert "朝南大一居" in page
    answer = ask_price(client, term=12, free=0, tab="move", unit=other.code).json()
    assert (answer["monthly_rent"], answer["unit"], answer["is_move"]) == ("4500.00", "B1-0901A", True)
    assert answer["others"] == [{"label": "现在这间 · 不免租", "amount": "−7,200"}]
    stays = ask_price(client, term=12, free=0, tab="stay", unit=other.code).json()
    assert (stays["monthly_rent"], stays["is_move"]) == ("3900.00", False)
    assert stays["others"] == [
        {"label": "现在这间 · 免租 1 个月", "amount": "−930"},
        {"label": "B1-0901A 朝南大一居 · 不免租", "amount": "+7,200"},
    ]


def test_the_letter_asks_the_database_as_often_for_one_room_as_for_many(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)

    def queries() -> list[str]:
        client.get("/r/letter/")  # the renewed card is kept at the first look
        with CaptureQueriesContext(connection) as seen:
            client.get("/r/letter/")
        return [query["sql"] for query in seen]

    make_unit("B1-1100A", link.lease.unit.building, room_type="朝南大一居")
    one = queries()
    publish(link.lease.unit.building, {"朝东一居": LARGE, "朝北一居": LARGE})
    make_unit("B1-1200A", link.lease.unit.building, room_type="朝东一居")
    make_unit("B1-1300A", link.lease.unit.building, room_type="朝北一居")
    many = queries()
    assert client.get("/r/letter/").content.decode().count('name="unit"') == 3
    assert len(many) == len(one), "\n".join(many)


def test_another_brand_colour_is_laid_over_the_tokens(client: Client, settings: Any) -> None:
    assert "brand.css" not in client.get("/r/").content.decode()
    settings.BRAND_COLOUR = "#3355aa"
    assert 'href="/r/brand.css"' in client.get("/r/").content.decode()
    assert "--brand-base:#3355aa" in client.get("/r/brand.css").content.decode()


def test_what_the_sliders_know_holds_no_price(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    page = client.get("/r/letter/").content.decode()
    found = re.search(r'<script id="published" type="application/json">(.*?)</script>', page)
    assert found
    published = json.loads(found.group(1))
    assert published == {"rooms": {"": {"6": [0], "12": [0, 1], "24": [0, 2]}}, "perks": {}}


def test_the_nearest_published_choice_is_taken_where_a_kept_one_is_gone() -> None:
    from renewal import letters

    own = offers.Room(
        "A", "一居", Decimal(20), 3, Decimal(3000),
        tuple(offers.Rate(t, f, Decimal(3000), TODAY) for t, f in ((6, 0), (12, 0), (12, 1), (24, 2))),
    )  # fmt: skip
    perk = offers.Perk("stay", "住宿券", "12 个月起", 12)
    card = offers.Card(TODAY, 27, Decimal(3000), Decimal(3000), (own, replace(own, unit="B")), (perk,))
    assert letters.fit(None, card) == offers.Choice(12, 0)
    assert letters.fit(offers.Choice(20, 0, "B", "stay"), card) == offers.Choice(24, 2, "B", "stay")
    assert letters.fit(offers.Choice(7, 1, "gone", "stay"), card) == offers.Choice(6, 0, "", "")
    assert letters.fit(offers.Choice(12, 5, "A", "gold"), card) == offers.Choice(12, 1, "", "")


def test_the_clock_of_the_page_is_the_product_s(client: Client) -> None:
    _link, token = make_letter()
    clock.set_to(datetime(2025, 12, 1, 16, 30, tzinfo=UTC))  # half past midnight in Shanghai
    opened(client, token)
    assert "2025 年 12 月 2 日" in client.get("/r/letter/").content.decode()


def test_no_token_reaches_the_log(client: Client) -> None:
    link, token = make_letter()
    console = next(each for each in logging.getLogger().handlers if each.name == "console")
    assert isinstance(console, logging.StreamHandler)
    lines = io.StringIO()
    stream = console.setStream(lines)
    try:
        opened(client, token)
        ask_price(client, token, term=7)
        links.revoke(link.lease, purpose="proposal", now=NOW)
        client.get(f"/r/{token}")
        client.post(f"/r/{token}/sign")
    finally:
        console.setStream(stream)
    assert "Gone: /r/…\n" in lines.getvalue()
    assert "Unprocessable Entity: /r/…/quote\n" in lines.getvalue()
    assert token not in lines.getvalue()
