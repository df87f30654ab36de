"""The page of pushes in a real browser: everything is stopped, every page says so, a parked push is sent again."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Browser, Page, expect

from tenants import clock
from tenants.models import Decision, Message
from tenants.outbox import gates
from tests.makers import NOW, first_step, make_playbook, make_user
from tests.test_pushes_page import pushed, world

pytestmark = pytest.mark.django_db(transaction=True)


def press_until(page: Page, key: str, element: Any) -> None:
    """The key is pressed until the element has the focus, as somebody without a mouse would."""
    for _each in range(12):
        page.keyboard.press(key)
        if element.evaluate("it => it === document.activeElement"):
            return
    raise AssertionError(f"{key} never reaches {element}")


def test_the_red_switch_and_a_parked_push_by_the_keyboard(chromium: Browser, live_server: Any) -> None:
    clock.set_to(NOW)
    parked = world()["parked"]
    pushed(first_step(make_playbook("late", name="最后一问", rank=3)), "cancelled", reason="已续签")
    make_user("chief", is_superuser=True, password=make_password("chief"))
    page = chromium.new_page(base_url=live_server.url, locale="zh-CN", viewport={"width": 1280, "height": 800})
    page.goto("/admin/pushes/")
    page.fill("input[name=username]", "chief")
    page.fill("input[name=password]", "chief")
    page.click("button[type=submit]")
    expect(page.locator("#answer")).to_contain_text("已决定 12 条触达，发出 4 条，1 条等人决定")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    switch = page.locator(".pushes__head summary")
    switch.focus()
    page.keyboard.press("Enter")
    press_until(page, "Tab", page.locator(".pushes__head input[name=why]"))
    page.keyboard.type("文案有误")
    press_until(page, "Tab", page.get_by_role("button", name="立即停止全部发送"))
    page.keyboard.press("Enter")
    expect(page.locator(".stopped-bar")).to_contain_text("全部发送已停止")
    assert [pause.channel for pause in gates.stopped()] == ["*"]
    page.goto("/admin/")
    expect(page.locator(".stopped-bar")).to_contain_text("文案有误")

    page.get_by_role("link", name="前往开关").press("Enter")
    why = page.locator("#parked input[name=why]")
    why.focus()
    page.keyboard.type("问过租客，没有收到")
    page.keyboard.press("Enter")  # in the field it chooses neither
    expect(why).to_have_value("问过租客，没有收到")
    assert Message.objects.get(pk=parked.message_id or 0).state == "parked"
    press_until(page, "Tab", page.locator("#parked").get_by_role("button", name="重新发送"))
    page.keyboard.press("Enter")
    expect(page.locator("#parked")).to_contain_text("没有触达等人决定")
    assert Message.objects.get(pk=parked.message_id or 0).state == "queued"
    assert Decision.objects.get().why == "问过租客，没有收到"
    page.close()
