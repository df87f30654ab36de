"""What a tenant wants to hear, by thumb, with and without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tenants import clock, preferences
from tenants.models import Consent
from tests.browser import PHONE
from tests.letter import make_letter
from tests.makers import NOW

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None, settings: Any) -> None:
    clock.set_to(NOW)
    settings.CHANNELS = ["sms", "jpush"]


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def page(chromium: Browser, live_server: Any, request: Any) -> Iterator[Page]:
    context = chromium.new_context(**PHONE, base_url=live_server.url, java_script_enabled=request.param)
    yield context.new_page()
    context.close()


def fits(page: Page) -> None:
    """Nothing scrolls sideways, and every button is a thumb wide."""
    for button in page.get_by_role("button").all():
        box = button.bounding_box()
        assert box
        assert box["height"] >= 44
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_a_thumb_refuses_from_the_cover_and_takes_it_back(page: Page) -> None:
    link, token = make_letter()
    page.goto(f"/r/{token}")
    page.get_by_role("button", name="不再收到续租消息").tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("收到了")
    assert not preferences.standing(link.tenant).offers
    page.get_by_role("button", name="改回来").tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("已改回")
    assert preferences.standing(link.tenant).offers


def test_a_thumb_chooses_and_changes_it_back(page: Page) -> None:
    link, token = make_letter()
    page.goto(f"/r/{token}")
    page.get_by_role("button", name="打开").tap()
    page.get_by_role("link", name="消息与隐私").tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("消息与隐私")
    fits(page)
    app = page.locator("section", has=page.get_by_role("heading", name="App 推送"))
    expect(app).to_contain_text("接收中")
    app.get_by_role("button", name="关闭").tap()
    expect(page.get_by_role("status")).to_contain_text("已关闭：App 推送")
    expect(app).to_contain_text("不接收")
    assert preferences.standing(link.tenant).ways == {"phone": True, "app": False}
    page.get_by_role("button", name="改回来").tap()
    expect(app).to_contain_text("接收中")
    assert preferences.standing(link.tenant).ways == {"phone": True, "app": True}
    page.get_by_text("您以往的选择").tap()
    expect(page.locator(".past-choices li").first).to_have_text(re.compile("续租优惠 · App: 同意"))
    assert list(Consent.objects.order_by("pk").values_list("channel", "granted"))[-2:] == [
        ("jpush", False),
        ("jpush", True),
    ]
