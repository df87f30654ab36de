"""A playbook in a real browser: written by clicks alone, released by two people, and followed by the right leases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Browser, Page, expect

from campaigns import playbooks, pushes
from campaigns.models import Enrolment, Playbook, PlaybookVersion, Push, StepVersion
from tenants import clock
from tests.makers import NOW, TODAY, make_playbook, make_user
from tests.test_segment_pages import resident, segment, tagged

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = {
    "desk": {"width": 1440, "height": 900},
    "small desk": {"width": 1280, "height": 800},
    "phone": {"width": 390, "height": 844},
}


@pytest.fixture
def pages(chromium: Browser, live_server: Any) -> Iterator[Any]:
    """A page of somebody of the head office, logged in."""
    clock.set_to(NOW)
    opened: list[Any] = []

    def page_of(name: str, *, has_scripts: bool = True, size: str = "desk", language: str = "zh-CN") -> Page:
        make_user(name, is_superuser=True, password=make_password(name))
        context = chromium.new_context(
            base_url=live_server.url,
            locale=language,
            viewport=SIZES[size],  # type: ignore[arg-type]
            reduced_motion="reduce",
            java_script_enabled=has_scripts,
        )
        opened.append(context)
        page = context.new_page()
        page.goto("/admin/playbook/")
        page.fill("input[name=username]", name)
        page.fill("input[name=password]", name)
        page.click("button[type=submit]")
        expect(page.locator("#answer")).to_be_visible()
        return page

    yield page_of
    for context in opened:
        context.close()


def test_a_playbook_is_written_released_by_two_and_followed(pages: Any, settings: Any) -> None:
    settings.MASS_START = 2
    segment("社交", {"tag": "social"})
    for n in range(2):
        tagged(resident(f"社交{n}", f"A-010{n}", last_day=TODAY + timedelta(days=25)))
    tagged(resident("还早", "A-0103", last_day=TODAY + timedelta(days=200)))
    resident("旁人", "A-0104", last_day=TODAY + timedelta(days=25))
    make_playbook("general", name="通用版", rank=1000)

    lan = pages("lan")
    lan.get_by_role("link", name="新建剧本").click()
    lan.get_by_label("名称").fill("邻里夜话")
    lan.get_by_label("面向").select_option(label="社交")
    lan.get_by_role("button", name="开始写草稿").click()
    expect(lan.locator("#answer")).to_have_text("邻里夜话：版本 1 的草稿")
    expect(lan.locator("#faults li")).to_have_text("还没有步骤。")
    lan.get_by_role("link", name="新建步骤").click()
    lan.get_by_label("文案").fill("租约 {last_day}到期，{谁}在等您。")
    expect(lan.locator(".fault:not(:empty)")).to_have_text(
        "文案中不能有“{谁}”：只会填入 {last_day} 和 {announcement}。"
    )
    lan.get_by_label("文案").fill("租约 {last_day}到期，先看看邻里的安排。")
    expect(lan.locator("#read")).to_have_text("租约 12 月 26 日到期，先看看邻里的安排。")
    expect(lan.locator(".fault:not(:empty)")).to_have_count(0)
    lan.get_by_label("天数").fill("25")
    lan.get_by_role("button", name="+ 条件").click()
    lan.locator('[id="r.0.kind"]').select_option(label="租约")
    lan.locator('[id="r.0.op"]').select_option(label="≤")
    lan.locator('[id="r.0.value"]').fill("60")
    expect(lan.locator("#count")).to_have_text(re.compile(r"^2\s"))
    assert lan.evaluate("document.documentElement.scrollWidth <= innerWidth")
    lan.get_by_role("button", name="保存步骤").click()
    expect(lan.locator(".steps__when")).to_have_text("到期前 25 天")
    said = StepVersion.objects.get(version__playbook__name="邻里夜话")
    assert said.rule == {"lease": "days_to_end", "op": "<=", "value": 60}

    lan.get_by_role("link", name="去发布").click()
    expect(lan.locator("#reach")).to_be_visible()
    lan.get_by_label("比例").fill("100")
    expect(lan.locator("#reach")).to_have_text(re.compile(r"^2\s"))
    expect(lan.locator("#waits")).to_have_text("达到 2 份租约，须由总部另一人批准。")
    lan.get_by_role("button", name="申请发布").click()
    expect(lan.locator("#answer")).to_have_text("邻里夜话，版本 1：所有租客")
    expect(lan.get_by_role("button", name="批准")).to_have_count(0)
    playbooks.enrol(today=TODAY, now=NOW)
    assert set(Enrolment.objects.values_list("playbook__name", flat=True)) == {"通用版"}
    Enrolment.objects.all().delete()

    mei = pages("mei")
    mei.goto("/admin/")
    mei.get_by_role("link", name=re.compile("lan 申请发布邻里夜话版本 1")).click()
    mei.get_by_role("button", name="批准").click()
    expect(mei.locator("#answer")).to_have_text("邻里夜话：社交，到期前 60 天启动，共 1 步")
    playbooks.enrol(today=TODAY, now=NOW)
    pushes.plan(today=TODAY, now=NOW)
    followed = Enrolment.objects.filter(playbook__name="邻里夜话").order_by("tenant__name")
    assert list(followed.values_list("tenant__name", flat=True)) == ["社交0", "社交1"]
    planned = Push.objects.filter(step__playbook__name="邻里夜话").order_by("tenant__name")
    assert list(planned.values_list("tenant__name", "state")) == [("社交0", "planned"), ("社交1", "planned")]
    mei.reload()
    mei.locator(".numbers a").first.click()
    expect(mei.locator("tbody tr")).to_have_count(2)


def test_unsaved_work_is_asked_about_and_can_be_undone(pages: Any) -> None:
    version = make_playbook("x", name="旧", rank=1)
    page = pages("lan")
    page.goto(f"/admin/playbook/{version.playbook_id}/")
    page.get_by_role("button", name="修改：新建草稿").click()
    page.get_by_role("link", name="修改", exact=True).click()
    page.get_by_label("文案").fill("改过的")
    expect(page.locator("#read")).to_have_text("改过的")
    page.get_by_label("内容").select_option(label="服务关怀")
    expect(page.get_by_label("发放权益")).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(page.get_by_label("发放权益")).to_be_visible()
    expect(page.get_by_label("文案")).to_have_value("改过的")
    page.get_by_role("button", name="撤销").click()
    expect(page.get_by_label("文案")).to_have_value("信在这里")
    page.get_by_role("button", name="重做").click()
    expect(page.get_by_label("文案")).to_have_value("改过的")
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.get_by_role("link", name="← 旧：草稿").click()
    page.wait_for_function("true")
    assert asked == ["beforeunload"]
    expect(page.get_by_label("文案")).to_have_value("改过的")
    page.get_by_role("button", name="保存步骤").click()
    expect(page.locator(".bubble")).to_have_text("改过的")
    assert asked == ["beforeunload"]
    page.get_by_role("button", name="移除").click()
    expect(page.locator(".steps__step")).to_have_count(0)
    page.get_by_role("button", name="撤销").click()
    expect(page.locator(".bubble")).to_have_text("改过的")


def test_all_of_it_works_without_scripts(pages: Any) -> None:
    segment("社交", {"tag": "social"})
    tagged(resident("林晓", "A-0101"))
    page = pages("lan", has_scripts=False)
    page.get_by_role("link", name="新建剧本").click()
    page.get_by_label("名称").fill("差评之后")
    page.get_by_label("发生了：").check()
    page.get_by_label("事件", exact=True).select_option(label="维修评价")
    page.get_by_role("button", name="开始写草稿").click()
    page.get_by_role("button", name="+ 限定这些事件").click()
    page.get_by_role("button", name="保存", exact=True).click()
    page.get_by_role("link", name="新建步骤").click()
    page.get_by_label("文案").fill("抱歉，让您久等了。")
    page.get_by_role("button", name="+ 条件").click()
    page.locator('[id="r.0.kind"]').select_option(label="租约")
    page.get_by_role("button", name="查看含义").click()
    expect(page.locator('[id="r.0.value"]')).to_be_visible()
    expect(page.locator("#read")).to_have_text("抱歉，让您久等了。")
    page.get_by_role("button", name="保存步骤").click()
    expect(page.locator(".steps__when")).to_have_text("事件后第 1 天")
    page.get_by_role("link", name="去发布").click()
    page.get_by_label("范围").select_option(label="指定楼栋")
    page.get_by_role("button", name="看看有多少").click()
    page.get_by_label("蓝寓A").check()
    page.get_by_role("button", name="申请发布").click()
    expect(page.locator("#answer")).to_contain_text("差评之后")
    version = PlaybookVersion.objects.get()
    assert (version.is_draft, version.starts_on["events"]) == (False, "ticket.rated")
    page.get_by_role("button", name="停用").click()
    assert not Playbook.objects.get().is_active


@pytest.mark.parametrize(
    ("size", "language", "theme"),
    [
        ("phone", "zh-CN", "light"),
        ("phone", "en", "dark"),
        ("small desk", "zh-CN", "dark"),
        ("small desk", "en", "light"),
    ],
)
def test_nothing_scrolls_sideways(pages: Any, size: str, language: str, theme: str) -> None:
    one = resident("林晓", "A-0101")
    version = make_playbook(
        "x",
        {"code": "a", "days": 30, "text": "字" * 60, "rule": {"any": [{"tag": "social"}, {"tag": "repair_was_late"}]}},
        {"code": "w", "anchor": "wave", "on": TODAY, "text": "波次"},
        name="很长的名字" * 3,
        unfixed_percent=10,
    )
    book = version.playbook_id
    page = pages("lan", size=size, language=language)
    page.emulate_media(color_scheme=theme)
    page.goto(f"/admin/playbook/{book}/")
    page.locator("button[name=do][value=begin]").click()
    for address in ("", f"{book}/", f"{book}/people/", f"{book}/versions/", f"{book}/draft/", f"{book}/draft/a/",
                    f"{book}/draft/w/", f"{book}/release/2/", "new/"):  # fmt: skip
        page.goto(f"/admin/playbook/{address}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    assert one.pk
