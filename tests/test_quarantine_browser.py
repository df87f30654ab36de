"""Refused records in a real browser: found, opened and corrected by the keyboard, in light and dark, at 1280."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Browser, expect

from connectors.sources import payments
from tenants import clock
from tenants.models import Event
from tests.makers import NOW, make_lease, make_user
from tests.test_bad_files import manage, table

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_clerk_corrects_a_record_with_the_keyboard_alone(
    chromium: Browser, live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: Any
) -> None:
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    clock.set_to(NOW)
    make_lease(contract_no="HT1")
    rows = [f"LS{n},HT1,房租,{amount},2025-11-01,2025-11-03" for n, amount in enumerate(("三千八", "0"))]
    assert manage("load", "payments", table(tmp_path / "p.csv", payments.COLUMNS, *rows))[0] == 1
    make_user("chief", is_superuser=True, password=make_password("chief"))
    page = chromium.new_page(
        base_url=live_server.url, locale="zh-CN", viewport={"width": 1280, "height": 800}, color_scheme=scheme
    )
    page.goto("/admin/sources/")
    page.fill("input[name=username]", "chief")
    page.fill("input[name=password]", "chief")
    page.click("button[type=submit]")
    expect(page.locator("#answer")).to_contain_text("13 个数据源，今天收到 2 条，无中断")
    page.get_by_role("link", name="退回记录").first.click()
    expect(page.locator("#answer")).to_contain_text("2 条记录被退回")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.bring_to_front()
    bad = page.locator("[aria-invalid=true]")
    expect(bad).to_be_focused()  # the cell that is wrong is where one types
    expect(bad).to_have_value("三千八")
    bad.fill("-1")
    page.keyboard.press("Enter")
    expect(page.locator(".cells__why")).to_contain_text("-1")
    expect(bad).to_have_value("-1")
    bad.fill("3800")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text("1 条记录被退回")
    assert Event.objects.get().data["amount"] == "3800.00"
    page.keyboard.press("/")
    page.keyboard.type("LS9")
    page.keyboard.press("Enter")
    expect(page.locator(".empty-page")).to_contain_text("没有符合条件的记录")
    page.close()
