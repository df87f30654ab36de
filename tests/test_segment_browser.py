"""A segment in a real browser: the rule of the nights built by clicks alone, with undo, faults and the explanation."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Browser, Page, expect

from campaigns.models import Segment
from tenants import clock
from tests.makers import NOW, make_user
from tests.test_segment_pages import NIGHTS, report, resident

pytestmark = pytest.mark.django_db(transaction=True)

SAID = "近 365 天报修最近 3 次都满足：22:00 至 06:00 之间"


@pytest.fixture
def page(chromium: Browser, live_server: Any) -> Any:
    clock.set_to(NOW)
    make_user("chief", is_superuser=True, password=make_password("chief"))
    page = chromium.new_page(
        base_url=live_server.url, locale="zh-CN", viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
    )
    page.goto("/admin/segment/")
    page.fill("input[name=username]", "chief")
    page.fill("input[name=password]", "chief")
    page.click("button[type=submit]")
    yield page
    page.close()


def words(page: Page) -> Any:
    return page.locator('.preview__words[lang="zh"]')


def test_the_rule_of_the_nights_is_built_by_clicks_alone(page: Page) -> None:
    lin, chen = resident("林晓", "A-0101"), resident("陈雨", "A-0102")
    for days_ago, hour in ((1, 23), (2, 2), (3, 22)):
        report(lin, days_ago, hour)
    for days_ago, hour in ((1, 23), (2, 12), (3, 5)):
        report(chen, days_ago, hour)
    page.get_by_role("link", name="新建客群").click()
    page.get_by_role("button", name="+ 条件").click()
    page.locator('[id="r.0.kind"]').select_option(label="事件")
    page.locator('[id="r.0.events"]').select_option(label="报修")
    page.locator('[id="r.0.question"]').select_option(label="最近几次")
    expect(words(page)).to_have_text(SAID)
    expect(page.locator("#count")).to_have_text(re.compile(r"^1\s"))
    expect(page.locator(".preview__sample")).to_contain_text("林晓")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("名称").fill("夜间敏感")
    page.get_by_role("button", name="保存").click()
    expect(page.locator("#answer")).to_have_text("夜间敏感：1 人")
    assert Segment.objects.get().rule == NIGHTS
    page.get_by_role("link", name="为什么在？").click()
    expect(page.locator("#answer")).to_have_text("林晓在“夜间敏感”中")
    expect(page.locator(".reason__events li")).to_have_count(3)
    expect(page.locator(".reason__events li").first).to_contain_text("2025-11-30 23:00")
    page.get_by_role("searchbox").fill("陈雨")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="为什么不在？").click()
    expect(page.locator("#answer")).to_have_text("陈雨不在“夜间敏感”中")
    expect(page.locator(".nearest li")).to_have_text("报修：还差 1")


def test_a_fault_is_shown_while_typing_and_everything_can_be_undone(page: Page) -> None:
    resident("林晓", "A-0101")
    one = Segment.objects.create(code="end", name="到期", rule={"lease": "days_to_end", "op": "<=", "value": 60})
    page.goto(f"/admin/segment/{one.pk}/edit/")
    value = page.locator('[id="r.0.value"]')
    value.fill("六十")
    fault = page.locator(".fault:not(:empty)")
    expect(fault).to_have_text("条件 1：“距租约到期天数”不能取值“六十”。")
    expect(value).to_have_value("六十")
    expect(value).to_be_focused()
    value.fill("20")
    expect(fault).to_have_count(0)
    expect(page.locator("#leaving")).to_have_text("1 人离开")
    page.get_by_role("button", name="+ 条件").click()
    expect(page.locator('[id="r.1.kind"]')).to_be_visible()
    page.locator("[data-node='r.1'] button", has_text="删除").click()
    expect(page.locator('[id="r.1.kind"]')).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(page.locator('[id="r.1.kind"]')).to_be_visible()
    page.get_by_role("button", name="撤销").click()
    page.get_by_role("button", name="撤销").click()
    expect(value).to_have_value("六十")
    page.keyboard.press("Control+z")
    expect(value).to_have_value("60")
    expect(page.get_by_role("button", name="撤销")).to_be_disabled()
    expect(words(page)).to_have_text("距租约到期天数 ≤ 60")
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+y")
    expect(value).to_have_value("20")
    page.get_by_label("修改说明").fill("只看近的")
    page.get_by_role("button", name="保存").click()
    expect(page.locator("#answer")).to_have_text("到期：0 人")
    page.get_by_role("link", name="版本").click()
    expect(page.locator(".versions tbody tr")).to_have_count(2)
    page.get_by_role("button", name="恢复到版本 1").click()
    expect(page.locator(".versions tbody tr")).to_have_count(3)
    one.refresh_from_db()
    assert one.rule["value"] == 60


def test_on_a_phone_nothing_scrolls_sideways(page: Page) -> None:
    resident("林晓", "A-0101")
    one = Segment.objects.create(code="n", name="夜间", rule={"all": [NIGHTS, {"any": [{"tag": "social"}, NIGHTS]}]})
    page.set_viewport_size({"width": 390, "height": 844})
    for address in ("", f"{one.pk}/", f"{one.pk}/?who=others", f"{one.pk}/edit/", f"{one.pk}/versions/"):
        page.goto(f"/admin/segment/{address}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
