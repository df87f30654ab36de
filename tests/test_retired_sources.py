"""A source of which nothing more is expected is retired with a reason, is not missed, and can be used again."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from connectors.models import Retirement
from tenants import clock
from tenants.models import Membership
from tests.makers import NOW, TODAY, make_building, make_user
from tests.test_sources_page import DAY, HOUR, came, every, silent

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> Client:
    clock.set_to(NOW)
    client = Client()
    client.force_login(make_user("root", is_superuser=True))
    return client


def text(response: Any) -> str:
    return str(response.content.decode())


def retire(client: Client, source: str, **form: str) -> Any:
    return client.post(reverse("staff-retirement", args=[source]), form)


def test_a_retired_source_is_not_missed_on_any_page_until_it_is_used_again(root: Client) -> None:
    came("tickets", *every(HOUR, days=10, until=NOW - 3 * DAY))
    came("iot", *every(HOUR, days=10, until=NOW - 2 * DAY))
    assert [source for source, _lasts, _usual in silent()] == ["tickets", "iot"]
    answer = retire(root, "tickets", why="改用新 ERP")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/sources/#tickets")
    assert [source for source, _lasts, _usual in silent()] == ["iot"]
    page = text(root.get(reverse("staff-sources")))
    assert "12 个数据源，今天收到 0 条，1 个中断" in page
    assert 'title="改用新 ERP">已停用</a>' in page
    index = text(root.get("/admin/"))
    assert "/admin/sources/#iot" in index
    assert "/admin/sources/#tickets" not in index
    assert "报修单”已停用" in text(root.get(reverse("staff-retirement", args=["tickets"])))
    assert retire(root, "tickets", do="revive").status_code == 302
    assert [source for source, _lasts, _usual in silent()] == ["tickets", "iot"]
    kept = Retirement.objects.get()
    assert (kept.why, kept.by, kept.undone_by, kept.undone_at is None) == ("改用新 ERP", "root", "root", False)


def test_retiring_asks_why_and_twice_is_once(root: Client) -> None:
    refused = retire(root, "iot", why=" ")
    assert refused.status_code == 422
    assert "请写明停用原因。" in text(refused)
    assert Retirement.objects.count() == 0
    retire(root, "iot", why="a")
    retire(root, "iot", why="b")
    assert list(Retirement.objects.values_list("why", flat=True)) == ["a"]
    retire(root, "iot", do="revive")
    retire(root, "iot", do="revive")
    retire(root, "iot", why="c")
    kept = [(each.why, each.undone_at is None) for each in Retirement.objects.order_by("pk")]
    assert kept == [("a", False), ("c", True)]


def test_what_a_retired_source_says_all_the_same_is_counted_and_said(root: Client) -> None:
    came("tickets", *every(HOUR, days=10, until=NOW - DAY))
    retire(root, "tickets", why="停用")
    assert "停用后仍有数据" not in text(root.get(reverse("staff-sources")))
    came("tickets", clock.now())
    page = text(root.get(reverse("staff-sources")))
    assert "停用后仍有数据" in page
    assert "12 个数据源，今天收到 1 条，无中断" in page


def test_only_the_head_office_retires_a_source_and_only_one_there_is(root: Client) -> None:
    assert retire(root, "fax", why="x").status_code == 404
    user = make_user("manager")
    Membership.objects.create(user=user, role="manager", building=make_building(), first_day=TODAY)
    client = Client()
    client.force_login(user)
    assert retire(client, "iot", why="x").status_code == 403
    assert Retirement.objects.count() == 0


def test_where_nothing_ever_came_the_page_says_where_to_begin(root: Client) -> None:
    page = text(root.get(reverse("staff-sources")))
    assert "还没有收到任何数据" in page
    assert "请先上传房源，再上传合同" in page
    assert "无中断" not in page
    came("units", NOW)
    page = text(root.get(reverse("staff-sources")))
    assert "还没有收到任何数据" not in page
    assert "无中断" in page
