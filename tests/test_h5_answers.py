"""What a tenant answers: the agreement, the code, the signature, and other words."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import signing as django_signing
from django.test import Client

from renewal import quotes
from renewal.models import Case, CaseChange, Proposal, Signature
from tenants import clock, consents, leases
from tenants.models import Click, Lease, Message, Perk
from tests.letter import (
    ask_price,
    digits_of,
    hidden,
    make_letter,
    opened,
    rows,
    sign_it,
    without_form_token,
)
from tests.makers import NOW, TODAY, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


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


def test_a_wrong_code_says_how_many_tries_are_left_and_signs_nothing(client: Client, settings: Any) -> None:
    settings.H5_SIGNINGS_PER_HOUR = 100  # the sixth is refused whatever its code, tests/test_throttles.py
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
