"""The common door: a number, a code, and the same answer for everybody."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.test import Client

from renewal.models import DoorCode
from tenants import clock
from tenants.models import Click, Link, Message
from tests.letter import (
    digits_of,
    make_letter,
    opened,
    sign_it,
)
from tests.makers import NOW, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


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
    assert "这个号码下没有可续的租约" in page.content.decode().replace("\u200b", "")


def test_the_door_leads_to_the_last_page_once_it_is_signed(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    sign_it(client)
    again = Client()
    again.post("/r/", {"phone": link.tenant.phone})
    again.post("/r/code", {"code": digits_of("door:")})
    assert "续好了" in again.get("/r/letter/", follow=True).content.decode()
