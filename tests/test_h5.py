"""The letter as a tenant's browser meets it: the cover, the opening, the page and its prices."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from renewal.models import Case
from tenants import clock, links
from tenants.models import Click
from tests.letter import (
    ask_price,
    digits_of,
    hidden,
    make_letter,
    opened,
    rows,
    without_form_token,
)
from tests.makers import NOW, make_building, make_tenant, make_unit

pytestmark = pytest.mark.django_db

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


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
