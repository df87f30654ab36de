"""The staff site in a real browser: the keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Browser, expect

from tests.makers import make_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_question_mark_lists_the_keys(chromium: Browser, live_server: Any) -> None:
    make_user("chief", is_superuser=True, password=make_password("chief"))
    page = chromium.new_page(base_url=live_server.url, locale="zh-CN", viewport={"width": 1440, "height": 900})
    page.goto("/admin/")
    page.fill("input[name=username]", "chief")
    page.fill("input[name=password]", "chief")
    page.click("button[type=submit]")
    expect(page.locator("#answer")).to_be_visible()
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="快捷键")
    expect(keys).to_contain_text("下一行、上一行")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.close()
