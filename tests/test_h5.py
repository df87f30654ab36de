"""The letter as a tenant's browser meets it: addresses in, pages and rows out."""

from __future__ import annotations

import html
import io
import json
import logging
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import signing as django_signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from renewal import offers, proposals, quotes
from renewal.models import Case, CaseChange, DoorCode, Proposal, Rate, Signature
from tenants import clock, codes, consents, leases, links
from tenants.models import Click, Lease, Link, Message, Perk, Tenant
from tests.makers import NOW, TODAY, make_building, make_event, make_lease, make_tenant, make_unit

pytestmark = pytest.mark.django_db

OWN = {(6, 0): "3980.00", (12, 0): "3900.00", (12, 1): "4170.00", (24, 0): "3800.00", (24, 2): "4120.50"}
LARGE = {(12, 0): "4500.00"}
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


def publish(building: Any, rents: dict[str, dict[tuple[int, int], str]]) -> None:
    Rate.objects.bulk_create(
        [
            Rate(
                building=building,
                room_type=room_type,
                term_months=term,
                free_months=free,
                monthly_rent=Decimal(rent),
                signed_from=date(2025, 11, 1),
                signed_to=date(2026, 6, 30),
                recorded_at=NOW,
            )
            for room_type, lines in rents.items()
            for (term, free), rent in lines.items()
        ],
        ignore_conflicts=True,
    )


def make_letter(carrier: str = "message:push:1", **facts: Any) -> tuple[Link, str]:
    """A link to the letter of somebody whose lease ends in 25 days, with published rents and an open case."""
    lease = make_lease(**facts)
    tenant = lease.tenants.get()
    Case.objects.create(lease=lease, state="contacted", since=NOW, opened_at=NOW)
    publish(lease.unit.building, {"朝南一居": OWN, "朝南大一居": LARGE})
    return links.mint(
        carrier, tenant=tenant, lease=lease, purpose="proposal", expires_at=links.expiry(lease, now=NOW), now=NOW
    )


def opened(client: Client, token: str, *, gesture: str = "1") -> Any:
    return client.post(f"/r/{token}/open", {"gesture": gesture})


def ask_price(client: Client, key: str = "letter", **choice: Any) -> Any:
    return client.post(f"/r/{key}/quote", choice, headers={"accept": "application/json"})


def digits_of(model: str = "code:") -> str:
    return codes.digits(Message.objects.filter(key__startswith=model).latest("pk").key)


def hidden(page: Any, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.content.decode())
    assert found, f"no field {name}"
    return html.unescape(found.group(1))


def sign_it(client: Client, **choice: Any) -> Any:
    """From the open letter to the signature, as a browser without scripts would."""
    client.post("/r/letter/agreement", choice or {"term": "12", "free": "0"})
    token = hidden(client.get("/r/letter/agreement"), "quote")
    client.post("/r/letter/code", {"quote": token, "agree": "1"})
    return client.post("/r/letter/sign", {"code": digits_of()})


def without_form_token(page: Any) -> str:
    return re.sub(r'(csrfmiddlewaretoken" value=")[^"]+', r"\1", page.content.decode())


def rows() -> dict[str, int]:
    counted = (Click, Case, CaseChange, Proposal, Signature, Lease, Link, Message, Tenant, DoorCode)
    return {model.__name__: model.objects.count() for model in counted}


# --- The cover ---


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_at_a_cover_changes_nothing(client: Client, method: str) -> None:
    _link, token = make_letter()
    before = rows()
    with CaptureQueriesContext(connection) as queries:
        for _again in range(3):
            getattr(client, method)(f"/r/{token}")
    assert rows() == before
    assert Case.objects.get().state == "contacted"
    assert not [q["sql"] for q in queries if re.match(r"\s*(insert|update|delete)", q["sql"], re.I)]


def test_a_cover_names_the_building_and_nothing_personal(client: Client) -> None:
    building = make_building("B7", name="蓝寓·滨江星光店")
    link, token = make_letter(unit=make_unit("B7-0301A", building))
    page = client.get(f"/r/{token}")
    text = re.sub(r"<svg.*?</svg>", "", page.content.decode(), flags=re.S)
    assert page.status_code == 200
    assert "住在滨江星光店" in text
    assert "仅供本人查看" in text
    for secret in (link.tenant.name, link.tenant.phone, link.lease.unit.code, "3800", "3,800", link.lease.contract_no):
        assert secret not in text
    words = re.sub(r"<[^>]+>", " ", text.replace(token, ""))
    assert not re.search(r"\d", re.sub(r"https?://\S+", "", words))


def test_every_page_under_the_prefix_carries_the_headers(client: Client) -> None:
    _link, token = make_letter()
    pages = [client.get("/r/"), client.get(f"/r/{token}"), client.get("/r/" + "a" * 26), client.get("/r/letter/")]
    pages += [opened(client, token), client.get("/r/letter/"), ask_price(client, term=12, free=0)]
    pages += [client.get("/r/letter/agreement"), client.get("/r/letter/decline"), client.get("/r/letter/quote")]
    for page in pages:
        assert page["Referrer-Policy"] == "no-referrer"
        assert page["Cache-Control"] == "no-store"
        assert page["X-Robots-Tag"] == "noindex"
        assert page["Content-Security-Policy"] == CSP


def test_no_page_needs_an_inline_script_or_style(client: Client) -> None:
    _link, token = make_letter()
    pages = [client.get(f"/r/{token}"), client.get("/r/")]
    opened(client, token)
    pages += [client.get(f"/r/letter/{name}") for name in ("", "agreement", "decline", "notice")]
    for page in pages:
        text = page.content.decode()
        assert not re.search(r"<[^>]+\s(style|on\w+)=", text)
        assert "<style" not in text
        assert not re.search(r"<script(?![^>]+(src=|application/json))", text)
        assert "http://" not in re.sub(r'xmlns="[^"]+"', "", text)
        assert "https://" not in text


@pytest.mark.parametrize(
    "typed",
    ["{t}。", "{t}，", "{t}.", "{t})", "{T}", "{t}）请打开"],
)
def test_punctuation_and_case_that_messengers_add_do_not_break_a_link(client: Client, typed: str) -> None:
    _link, token = make_letter()
    assert client.get("/r/" + typed.format(t=token, T=token.upper())).status_code == 200


@pytest.mark.parametrize("token", ["a" * 26, "x", "0" * 26, "a" * 10_000, "%00", "%2e%2e", "Ａ" * 26, "letter"])
def test_an_unknown_token_is_404_whatever_it_looks_like(client: Client, token: str) -> None:
    page = client.get(f"/r/{token}")
    assert page.status_code == 404
    assert 'href="/r/"' in page.content.decode()


def test_revoked_expired_and_unknown_links_answer_alike(client: Client) -> None:
    link, token = make_letter()
    unknown = client.get("/r/" + "b" * 26)
    links.revoke(link.lease, purpose="proposal", now=NOW)
    revoked = client.get(f"/r/{token}")
    _link, late = make_letter("message:push:2", tenant=make_tenant("周航"))
    clock.set_to(NOW + timedelta(days=31))
    expired = client.get(f"/r/{late}")
    assert [unknown.status_code, revoked.status_code, expired.status_code] == [404, 410, 410]

    def shape(page: Any) -> str:
        return re.sub(r">[^<]+<", "><", without_form_token(page))

    assert shape(unknown) == shape(revoked) == shape(expired)
    assert without_form_token(revoked) == without_form_token(expired)
    assert token not in revoked.content.decode()
    assert "林晓" not in revoked.content.decode()


@pytest.mark.parametrize("action", ["open", "quote", "code", "sign", "decline", "notice", "general", "refuse"])
def test_no_action_works_with_a_revoked_or_unknown_token(client: Client, action: str) -> None:
    link, token = make_letter()
    opened(client, token)
    links.revoke(link.lease, purpose="proposal", now=NOW)
    before = rows()
    assert client.post(f"/r/{token}/{action}", {"term": 12}).status_code == 410
    assert client.post(f"/r/{'a' * 26}/{action}", {"term": 12}).status_code == 404
    if action != "open":
        assert client.post(f"/r/letter/{action}", {"term": 12}).status_code == 410
    assert rows() == before


# --- Opening ---


def test_opening_by_a_trusted_gesture_is_a_proven_click(client: Client) -> None:
    link, token = make_letter()
    answer = opened(client, token)
    assert (answer.status_code, answer["Location"]) == (303, "/r/letter/")
    click = Click.objects.get(link=link)
    assert click.proof == "gesture"
    assert click.proven_at is not None
    assert Case.objects.get().state == "viewed"
    assert token not in client.get("/r/letter/").content.decode()


def test_opening_without_a_gesture_opens_and_counts_as_unproven(client: Client) -> None:
    link, token = make_letter()
    assert opened(client, token, gesture="").status_code == 303
    assert client.get("/r/letter/").status_code == 200
    assert Click.objects.get(link=link).proven_at is None


def test_a_scanner_that_posts_does_not_lock_the_person_out(client: Client) -> None:
    link, token = make_letter()
    opened(Client(), token, gesture="")
    assert opened(client, token)["Location"] == "/r/letter/"
    assert Click.objects.get(link=link).proof == "gesture"


def test_a_forwarded_link_shows_nothing_before_a_code_to_the_phone_on_file(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    stranger = Client()
    answer = opened(stranger, token)
    assert answer["Location"] == "/r/confirm"
    assert stranger.get("/r/letter/").status_code == 410
    page = stranger.get("/r/confirm").content.decode()
    assert link.tenant.phone not in page
    assert link.tenant.phone[-4:] in page
    stranger.post("/r/confirm")
    wrong = stranger.post("/r/code", {"code": f"{(int(digits_of('door:')) + 1) % 1_000_000:06}"})
    assert wrong.status_code == 422
    assert stranger.get("/r/letter/").status_code == 410
    assert stranger.post("/r/code", {"code": digits_of("door:")})["Location"] == "/r/letter/"
    assert stranger.get("/r/letter/").status_code == 200


def test_the_same_browser_may_open_its_link_again(client: Client) -> None:
    _link, token = make_letter()
    assert opened(client, token)["Location"] == "/r/letter/"
    assert opened(client, token)["Location"] == "/r/letter/"


def test_the_letter_is_closed_to_a_browser_that_has_opened_nothing(client: Client) -> None:
    link, token = make_letter()
    assert client.get("/r/letter/").status_code == 410
    assert client.get(f"/r/{token}/")["Location"] == f"/r/{token}"
    assert ask_price(client, token, term=12)["Location"] == f"/r/{token}"
    assert client.get(f"/r/{token}/agreement")["Location"] == f"/r/{token}"
    assert not Click.objects.filter(link=link).exists()


def test_the_session_id_changes_when_a_letter_is_opened(client: Client) -> None:
    _link, token = make_letter()
    client.get("/r/")
    client.post("/r/", {"phone": "10000000000"})
    before = client.cookies["sessionid"].value
    opened(client, token)
    assert client.cookies["sessionid"].value != before


def test_an_open_letter_closes_after_some_hours(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    clock.set_to(NOW + timedelta(hours=13))
    page = client.get("/r/letter/")
    assert page.status_code == 410
    assert "信已经合上了" in page.content.decode()


def test_forms_need_their_token_though_the_origin_is_hidden() -> None:
    _link, token = make_letter()
    strict = Client(enforce_csrf_checks=True)
    cover = strict.get(f"/r/{token}")
    field = hidden(cover, "csrfmiddlewaretoken")
    refused = strict.post(f"/r/{token}/open", {"gesture": "1"}, headers={"origin": "null"})
    assert refused.status_code == 403
    foreign = strict.post(
        f"/r/{token}/open", {"gesture": "1", "csrfmiddlewaretoken": field}, headers={"origin": "https://evil.example"}
    )
    assert foreign.status_code == 403
    good = strict.post(f"/r/{token}/open", {"gesture": "1", "csrfmiddlewaretoken": field}, headers={"origin": "null"})
    assert good.status_code == 303


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


# --- Agreement, code, signature ---


def test_the_agreement_repeats_the_final_figures_and_carries_a_signed_quote(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    client.post("/r/letter/agreement", {"term": "12", "free": "1"})
    page = client.get("/r/letter/agreement")
    text = page.content.decode()
    assert text.count("<dt>") == 5
    assert "4,170.00" in text
    assert "2026 年 12 月 26 日" in text
    read = quotes.read(hidden(page, "quote"), proposal=Proposal.objects.get(), now=clock.now())
    assert (read.term_months, read.free_months, read.monthly_rent) == (12, 1, Decimal("4170.00"))


def test_a_letter_is_signed_without_any_script(client: Client) -> None:
    link, token = make_letter()
    opened(client, token, gesture="")
    answer = sign_it(client, term="24", free="2")
    assert answer["Location"] == "/r/letter/done"
    signature = Signature.objects.get()
    following = Lease.objects.get(renews=link.lease)
    assert (following.first_day, following.last_day) == (date(2025, 12, 27), date(2027, 12, 26))
    assert following.monthly_rent == Decimal("4120.50")
    assert signature.lease == following
    assert Case.objects.get().state == "signed"
    assert Click.objects.get(link=link).proof == "code"
    page = client.get("/r/letter/done").content.decode()
    for said in ("续好了", "合同备案", "首期租金", "4,120.50 元", "2027 年 12 月 26 日", "2025 年 12 月 27 日"):
        assert said in page


def test_signing_twice_leads_to_the_same_page(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    assert sign_it(client)["Location"] == "/r/letter/done"
    first = without_form_token(client.get("/r/letter/done"))
    before = rows()
    assert client.post("/r/letter/sign", {"code": "000000"})["Location"] == "/r/letter/done"
    assert client.get("/r/letter/")["Location"] == "/r/letter/done"
    assert opened(client, token)["Location"] in {"/r/letter/", "/r/letter/done"}
    assert rows() == before
    assert without_form_token(client.get("/r/letter/done")) == first


def test_the_code_page_masks_the_phone_and_counts_down(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    quote = hidden(client.get("/r/letter/agreement"), "quote")
    assert client.post("/r/letter/code", {"quote": quote, "agree": "1"})["Location"] == "/r/letter/code"
    page = client.get("/r/letter/code").content.decode()
    phone = link.tenant.phone
    assert f"{phone[:3]}****{phone[-4:]}" in page
    assert phone not in page
    assert 'autocomplete="one-time-code"' in page
    assert 'inputmode="numeric"' in page
    found = re.search(r'data-wait="(\d+)"', page)
    assert found
    assert 50 <= int(found.group(1)) <= 60
    assert digits_of() not in page


def test_a_second_code_within_the_minute_is_not_sent_and_nothing_is_lost(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    quote = hidden(client.get("/r/letter/agreement"), "quote")
    client.post("/r/letter/code", {"quote": quote, "agree": "1"})
    assert client.post("/r/letter/code")["Location"] == "/r/letter/code"
    assert Message.objects.filter(klass="code").count() == 1
    assert client.post("/r/letter/sign", {"code": digits_of()})["Location"] == "/r/letter/done"


def test_a_wrong_code_says_how_many_tries_are_left_and_signs_nothing(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    quote = hidden(client.get("/r/letter/agreement"), "quote")
    client.post("/r/letter/code", {"quote": quote, "agree": "1"})
    wrong = f"{(int(digits_of()) + 1) % 1_000_000:06}"
    page = client.post("/r/letter/sign", {"code": wrong})
    assert page.status_code == 422
    assert 'role="alert"' in page.content.decode()
    assert "4" in re.findall(r'role="alert".*?</p>', page.content.decode(), re.S)[0]
    assert f'value="{wrong}"' in page.content.decode()
    for _try in range(3):
        client.post("/r/letter/sign", {"code": wrong})
    spent = client.post("/r/letter/sign", {"code": wrong}).content.decode()
    assert "次数已用完" in spent
    assert client.post("/r/letter/sign", {"code": digits_of()}).status_code == 422
    assert not Signature.objects.exists()
    assert not Lease.objects.exclude(renews=None).exists()


def test_a_code_is_worth_five_minutes(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    quote = hidden(client.get("/r/letter/agreement"), "quote")
    client.post("/r/letter/code", {"quote": quote, "agree": "1"})
    clock.set_to(NOW + timedelta(minutes=6))
    page = client.post("/r/letter/sign", {"code": digits_of()})
    assert page.status_code == 422
    assert "过期" in page.content.decode()
    assert not Signature.objects.exists()


def test_a_tampered_quote_is_refused_before_any_code_is_sent(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    quote = hidden(client.get("/r/letter/agreement"), "quote")
    forged = django_signing.dumps({"proposal": Proposal.objects.get().pk, "choice": [12, 0, "", ""]}, salt="mine")
    for bad in (quote[:-2] + "xx", forged, "x", ""):
        answer = client.post("/r/letter/code", {"quote": bad, "agree": "1"})
        assert answer["Location"] == "/r/letter/agreement?say=changed"
    assert not Message.objects.exists()
    assert "再看一" in client.get("/r/letter/agreement?say=changed").content.decode()


def test_a_quote_of_another_letter_is_refused(client: Client) -> None:
    _link, token = make_letter()
    _other, theirs = make_letter("message:push:2", tenant=make_tenant("周航"))
    opened(client, token)
    quote = hidden(client.get("/r/letter/agreement"), "quote")
    opened(client, theirs)
    answer = client.post("/r/letter/code", {"quote": quote, "agree": "1"})
    assert answer["Location"] == "/r/letter/agreement?say=changed"
    assert not Message.objects.exists()


def test_a_price_older_than_half_an_hour_has_to_be_seen_again(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    quote = hidden(client.get("/r/letter/agreement"), "quote")
    clock.set_to(NOW + timedelta(minutes=31))
    answer = client.post("/r/letter/code", {"quote": quote, "agree": "1"})
    assert answer["Location"] == "/r/letter/agreement?say=price"


def test_without_the_tick_no_code_is_sent(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    quote = hidden(client.get("/r/letter/agreement"), "quote")
    answer = client.post("/r/letter/code", {"quote": quote})
    assert answer["Location"] == "/r/letter/agreement?say=agree"
    assert "我已阅读并同意" in client.get(answer["Location"]).content.decode()
    assert not Message.objects.exists()


def test_a_chosen_perk_is_granted_and_named_on_the_last_page(client: Client) -> None:
    Perk.objects.create(
        code="stay",
        name="住宿券 2 晚",
        condition="租期 12 个月起",
        cost=200,
        stock=5,
        min_term_months=12,
        is_choice=True,
    )
    _link, token = make_letter()
    opened(client, token)
    assert "住宿券 2 晚" in client.get("/r/letter/").content.decode()
    sign_it(client, term="12", free="0", perk="stay")
    assert "住宿券 2 晚" in client.get("/r/letter/done").content.decode()


def test_the_days_of_the_new_lease_go_into_a_calendar(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    sign_it(client)
    entry = client.get("/r/letter/renewal.ics")
    text = entry.content.decode()
    assert entry["Content-Type"].startswith("text/calendar")
    assert "DTSTART;VALUE=DATE:20251227\r\n" in text
    assert "DTSTART;VALUE=DATE:20261226\r\n" in text
    assert text.count("BEGIN:VEVENT") == text.count("END:VEVENT") == 2


def test_the_text_may_be_taken_along_before_and_after_signing(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    assert "房屋租赁续租协议" in client.get("/r/letter/agreement.txt").content.decode("utf-8-sig")
    sign_it(client)
    signed = client.get("/r/letter/agreement.txt").content.decode("utf-8-sig")
    assert signed == Signature.objects.get().text


def test_a_lease_renewed_on_paper_closes_the_letter_without_a_loop(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    leases.sign_renewal(
        link.lease,
        unit=link.lease.unit,
        tenants=[link.tenant],
        first_day=date(2025, 12, 27),
        last_day=date(2026, 12, 26),
        monthly_rent=Decimal("3900.00"),
        deposit=Decimal("3800.00"),
        anchor_day=27,
        signed_on=TODAY,
        now=NOW,
    )
    page = client.get("/r/letter/", follow=True)
    assert page.status_code == 410
    assert "这份租约已经续好" in page.content.decode()
    assert client.get("/r/letter/done", follow=True).status_code == 410


# --- Other words ---


def test_not_this_time_is_kept_with_its_reason_and_may_be_taken_back(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    assert client.get("/r/letter/decline").status_code == 200
    assert Case.objects.get().state == "viewed"
    page = client.post("/r/letter/decline", {"reason": "rent", "more": "想再看看"})
    assert "收到，谢谢您" in page.content.decode()
    assert Case.objects.get().state == "declined"
    assert CaseChange.objects.latest("pk").cause == "rent: 想再看看"
    assert client.get("/r/letter/").status_code == 200
    ask_price(client, term=12, free=0)
    assert Case.objects.get().state == "considering"


def test_notice_is_asked_for_by_get_and_given_by_post(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    assert "2025 年 12 月 26 日" in client.get("/r/letter/notice").content.decode()
    assert Case.objects.get().state == "viewed"
    client.post("/r/letter/notice")
    assert Case.objects.get().state == "notice"
    page = client.get("/r/letter/")
    assert page.status_code == 410
    assert "已收到您的退租通知" in page.content.decode()


def test_one_tap_refuses_all_marketing(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    assert consents.holds(link.tenant, "marketing", channel="phone") is True
    client.post("/r/letter/refuse")
    assert consents.holds(link.tenant, "marketing", channel="phone") is False


@pytest.mark.parametrize("action", ["quote", "sign", "general", "refuse"])
def test_a_get_never_acts(client: Client, action: str) -> None:
    _link, token = make_letter()
    opened(client, token)
    before = rows()
    assert client.get(f"/r/letter/{action}").status_code == 405
    assert rows() == before


def test_large_type_is_kept_in_a_cookie_and_leads_nowhere_else(client: Client) -> None:
    answer = client.post("/r/type", {"large": "1", "back": "/r/"})
    assert answer["Location"] == "/r/"
    assert 'data-type="large"' in client.get("/r/").content.decode()
    for elsewhere in ("https://evil.example/r/", "//evil.example/r/", "/admin/"):
        assert client.post("/r/type", {"large": "", "back": elsewhere})["Location"] == "/r/"
    assert 'data-type="large"' not in client.get("/r/").content.decode()


# --- The common door ---


def test_the_door_leads_by_phone_and_code_to_one_s_own_letter(client: Client) -> None:
    link, _token = make_letter()
    answer = client.post("/r/?from=lift-b1", {"phone": link.tenant.phone})
    assert answer["Location"] == "/r/code"
    message = Message.objects.get()
    assert (message.klass, message.tenant_id) == ("code", link.tenant_id)
    assert "{code}" in message.text
    assert client.post("/r/code", {"code": digits_of("door:")})["Location"] == "/r/letter/"
    assert client.get("/r/letter/").status_code == 200
    entered = Link.objects.exclude(pk=link.pk).get()
    assert entered.carrier.startswith("door:lift-b1:")
    assert Click.objects.get(link=entered).proof == "code"


def test_the_door_answers_a_number_nobody_has_in_the_same_words() -> None:
    link, _token = make_letter()
    answers = []
    for phone in (link.tenant.phone, "10099999999"):
        client = Client()
        posted = client.post("/r/", {"phone": phone})
        page = client.get("/r/code")
        again = client.post("/r/code", {})
        wrong = client.post("/r/code", {"code": "12"})
        words = re.sub(r'csrfmiddlewaretoken" value="[^"]+"|data-wait="\d+"', "", page.content.decode())
        words_wrong = re.sub(r'csrfmiddlewaretoken" value="[^"]+"|data-wait="\d+"', "", wrong.content.decode())
        answers.append(
            (posted.status_code, posted["Location"], words, again.status_code, wrong.status_code, words_wrong)
        )
    assert answers[0] == answers[1]
    assert Message.objects.count() == 1
    assert DoorCode.objects.count() == 2
    assert link.tenant.phone not in str(DoorCode.objects.values())


@pytest.mark.parametrize("typed", ["{p}", "+86 {p}", "86{p}", " {a} {b} {c}", "{a}-{b}-{c}", "{wide}"])
def test_a_number_may_be_typed_as_people_type_numbers(client: Client, typed: str) -> None:
    link, _token = make_letter()
    p = link.tenant.phone
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in p)
    client.post("/r/", {"phone": typed.format(p=p, a=p[:3], b=p[3:7], c=p[7:], wide=wide)})
    assert Message.objects.get().tenant_id == link.tenant_id


@pytest.mark.parametrize("typed", ["", "123", "1380013800x", "138001380000", "' or 1=1", "2" + "0" * 10])
def test_what_is_no_number_is_said_in_one_sentence_and_stays_in_the_field(client: Client, typed: str) -> None:
    page = client.post("/r/", {"phone": typed})
    assert page.status_code == 422
    assert "请输入 11 位手机号。" in page.content.decode()
    assert f'value="{html.escape(typed)}"' in page.content.decode()
    assert not DoorCode.objects.exists()


def test_the_door_sends_one_code_a_minute_and_five_an_hour(client: Client) -> None:
    link, _token = make_letter()
    for minute in range(7):
        clock.set_to(NOW + timedelta(minutes=minute, seconds=5 * minute))
        client.post("/r/", {"phone": link.tenant.phone})
        client.post("/r/", {"phone": link.tenant.phone})
    assert Message.objects.count() == 5
    page = client.post("/r/", {"phone": link.tenant.phone})
    assert page.status_code == 422
    assert "请一小时后再试" in page.content.decode()


def test_the_door_s_code_may_be_tried_five_times_from_any_browser() -> None:
    link, _token = make_letter()
    first = Client()
    first.post("/r/", {"phone": link.tenant.phone})
    right = digits_of("door:")
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    for _try in range(5):
        other = Client()
        other.post("/r/", {"phone": link.tenant.phone})  # too soon: no new code, and tries go on counting
        assert other.post("/r/code", {"code": wrong}).status_code == 422
    assert first.post("/r/code", {"code": right}).status_code == 422
    assert not Link.objects.filter(carrier__startswith="door:").exists()


def test_the_door_s_code_works_once_and_for_five_minutes(client: Client) -> None:
    link, _token = make_letter()
    client.post("/r/", {"phone": link.tenant.phone})
    right = digits_of("door:")
    assert client.post("/r/code", {"code": right}).status_code == 303
    late = Client()
    late.post("/r/", {"phone": link.tenant.phone})
    assert late.post("/r/code", {"code": right}).status_code == 422
    clock.set_to(NOW + timedelta(minutes=2))
    late.post("/r/", {"phone": link.tenant.phone})
    clock.set_to(NOW + timedelta(minutes=8))
    assert late.post("/r/code", {"code": digits_of("door:")}).status_code == 422


def test_whoever_has_nothing_to_renew_hears_it_only_after_the_code(client: Client) -> None:
    tenant = make_tenant("何静")
    client.post("/r/", {"phone": tenant.phone})
    page = client.post("/r/code", {"code": digits_of("door:")})
    assert "这个号码下没有可续的租约" in page.content.decode()


def test_the_door_leads_to_the_last_page_once_it_is_signed(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    sign_it(client)
    again = Client()
    again.post("/r/", {"phone": link.tenant.phone})
    again.post("/r/code", {"code": digits_of("door:")})
    assert "续好了" in again.get("/r/letter/", follow=True).content.decode()


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
