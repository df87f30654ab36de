"""What one sees where nothing is, where one may not look, where a form is too old, and where the house broke."""

from __future__ import annotations

import html

import pytest
from django.test import Client, RequestFactory
from django.utils import translation
from django.views.defaults import server_error

from tests.makers import make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("address", "onward"),
    [("/nothing", None), ("/r/none/of/these", 'href="/r/"'), ("/admin/nothing/here/", 'href="/admin/"')],
)
def test_where_nothing_is_one_is_told_and_led_on(client: Client, address: str, onward: str | None) -> None:
    client.force_login(make_user("mei", is_superuser=True))
    answer = client.get(address)
    assert answer.status_code == 404
    said = answer.content.decode()
    assert "<h1>没有这一页</h1>" in said
    assert onward in said if onward else "<a " not in said
    assert "<h1>There is no such page</h1>" in client.get(address, headers={"accept-language": "en"}).content.decode()


def test_whoever_may_not_look_is_told_whom_to_ask(client: Client) -> None:
    client.force_login(make_user("lin"))
    answer = client.get("/admin/tenants/user/")
    assert answer.status_code == 403
    assert "<h1>您暂时不能看这一页</h1>" in answer.content.decode()


def test_a_form_that_is_too_old_changes_nothing_and_says_what_to_do() -> None:
    for address in ("/admin/login/", "/r/"):
        answer = Client(enforce_csrf_checks=True).post(address, {"username": "mei"})
        assert answer.status_code == 403
        assert "没有改动任何内容" in html.unescape(answer.content.decode())


def test_a_house_that_broke_says_so_without_a_look_at_the_database(django_assert_num_queries: object) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]
        for language, words in (("zh-hans", "我们这边出了点问题"), ("en", "Something went wrong on our side")):
            with translation.override(language):
                answer = server_error(RequestFactory().get("/admin/"))
                assert (answer.status_code, f"<h1>{words}</h1>" in answer.content.decode()) == (500, True)
