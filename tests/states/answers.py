"""What one says to the letter besides a signature, and what the stay has brought."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from playwright.sync_api import expect

from renewal import milestones
from renewal.models import Notice
from tenants import catalogue, links, vouchers
from tenants.models import Grant, Lease, LeaseTenant
from tests.makers import NOW, TODAY, make_tenant
from tests.states import Visit, state


def _tap(visit: Visit, name: str, *, then: str) -> None:
    """A link or a button of the letter; it leads to a page under it."""
    visit.page.get_by_role("link", name=name).or_(visit.page.get_by_role("button", name=name)).tap()
    visit.page.wait_for_url(f"**/r/letter/{then}")


# --- Not yet, not this one, not this time -----------------------------------------------------------------


@state("林*，您好", part=".leaning")
def leaning_to_stay(visit: Visit) -> None:
    visit.open()
    _tap(visit, "想留下", then="#offers")
    expect(visit.page.get_by_role("button", name="想留下")).to_have_attribute("aria-pressed", "true")


@state("您可能要走", after=leaning_to_stay)
def leaning_to_leave(visit: Visit) -> None:
    _tap(visit, "可能要走", then="intent")


@state("谢谢您告诉我们", after=leaning_to_leave)
def leaning_said(visit: Visit) -> None:
    visit.page.locator("label", has_text="租金").tap()
    visit.press("就这样回复")


@state("您慢慢想", after=leaning_said)
def think(visit: Visit) -> None:
    visit.back()
    _tap(visit, "让我想想", then="think")


@state("您慢慢想", after=think)
def think_no_day(visit: Visit) -> None:
    visit.page.locator("label", has_text="我自己选一天").tap()
    visit.press("就这样")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@state("我们会在 2025 年 12 月 4 日提醒您", after=think_no_day)
def think_said(visit: Visit) -> None:
    visit.page.locator("label", has_text="三天后").tap()
    visit.press("就这样")


@state("想要什么样的房间")
def wish(visit: Visit) -> None:
    visit.open()
    _tap(visit, "想换别的房间", then="wish")


@state("想要什么样的房间", after=wish)
def wish_empty(visit: Visit) -> None:
    visit.press("就这样告诉同事")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@state("我们帮您找", after=wish_empty)
def wish_said(visit: Visit) -> None:
    visit.page.get_by_label("楼层").fill("5 楼以上")
    visit.press("就这样告诉同事")


@state("这次先不", after=wish_said)
def decline(visit: Visit) -> None:
    visit.back()
    _tap(visit, "这次先不", then="decline")


@state("收到，谢谢您", after=decline)
def declined(visit: Visit) -> None:
    visit.press("就这样回复")


# --- I am leaving -----------------------------------------------------------------------------------------


@state("退租")
def notice(visit: Visit) -> None:
    visit.open()
    visit.page.goto("/r/letter/notice")


@state("退租")
def notice_of_one(visit: Visit) -> None:
    other = make_tenant("周舟")
    LeaseTenant.objects.create(lease=visit.link.lease, tenant=other, is_primary=False)
    notice(visit)
    visit.page.locator("label", has_text="只有我搬走").tap()


@state("已收到您的退租通知", after=notice_of_one)
def notice_of_one_given(visit: Visit) -> None:
    visit.press("提交退租通知")


@state("您的退租已确认", after=notice_of_one_given)
def notice_confirmed(visit: Visit) -> None:
    Notice.objects.update(confirmed_at=NOW)
    visit.page.reload()


@state("退租", after=notice)
def notice_of_no_day(visit: Visit) -> None:
    visit.page.locator("#day").evaluate("field => { field.max = ''; field.value = '2026-03-01' }")
    visit.press("提交退租通知")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@state("已收到您的退租通知", after=notice_of_no_day)
def notice_given(visit: Visit) -> None:
    visit.page.locator("#day").fill(str(visit.link.lease.last_day))
    visit.page.locator("#forwarding").fill("杭州市滨江区江南大道 100 号")
    visit.press("提交退租通知")


@state("您留下来，退租通知已撤回", after=notice_given)
def notice_taken_back(visit: Visit) -> None:
    visit.press("不走了，撤回通知")


# --- What one wants to hear -------------------------------------------------------------------------------


@state("消息与隐私")
def preferences(visit: Visit) -> None:
    visit.open()
    visit.page.goto("/r/letter/preferences")


@state("消息与隐私", after=preferences)
def preferences_changed(visit: Visit) -> None:
    visit.page.locator(".choice button").first.tap()
    expect(visit.page.get_by_role("status")).to_be_visible()


@state("消息与隐私", after=preferences_changed)
def preferences_no_hours(visit: Visit) -> None:
    visit.page.locator("label", has_text="自己定").tap()
    visit.page.get_by_label("从", exact=True).select_option("18")
    visit.page.get_by_label("到", exact=True).select_option("12")
    visit.press("保存时段")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@state("收到了")
def refused(visit: Visit) -> None:
    visit.page.goto(f"/r/{visit.token}")
    visit.press("不再收到续租消息")


@state("已改回", after=refused)
def refused_and_back(visit: Visit) -> None:
    visit.press("改回来")


# --- What the stay has brought ----------------------------------------------------------------------------


def _given(visit: Visit) -> str:
    """What the stay has brought is there; the token of a link to the roadmap."""
    catalogue.ship()
    milestones.give(today=TODAY, now=NOW)
    expires = links.expiry(visit.link.lease, now=NOW)
    facts: dict[str, Any] = {"tenant": visit.link.tenant, "lease": visit.link.lease, "expires_at": expires, "now": NOW}
    return links.mint("message:roadmap", purpose="roadmap", **facts)[1]


@state("一路住来，住在滨江江晖店")
def roadmap_cover(visit: Visit) -> None:
    visit.page.goto(f"/r/{_given(visit)}")


@state("您在这里已经住了11 个月", after=roadmap_cover)
def roadmap(visit: Visit) -> None:
    visit.page.get_by_role("button", name="打开").tap()
    visit.page.wait_for_url("**/r/letter/roadmap")


@state("您在这里已经住了11 个月", after=roadmap)
def roadmap_voucher(visit: Visit) -> None:
    visit.page.locator("summary").first.tap()
    expect(visit.page.locator(".voucher-code")).to_be_visible()


@state("您在这里已经住了11 个月")
def roadmap_from_the_letter(visit: Visit) -> None:
    _given(visit)
    visit.open()
    visit.page.get_by_role("link", name="我的居住成就").tap()
    visit.page.wait_for_url("**/r/letter/roadmap")


@state("您在这里已经住了11 个月", after=roadmap_voucher)
def roadmap_redeemed(visit: Visit) -> None:
    vouchers.redeem(Grant.objects.get(tenant=visit.link.tenant), by=None, now=NOW)
    visit.page.reload()


@state("您的路线从这里开始")
def roadmap_before_the_first_day(visit: Visit) -> None:
    token = _given(visit)
    Lease.objects.update(first_day=TODAY + timedelta(days=3), last_day=TODAY + timedelta(days=367))
    visit.open(token, to="roadmap")


@state("谢谢您住过这里")
def roadmap_after_the_last_day(visit: Visit) -> None:
    token = _given(visit)
    Lease.objects.update(last_day=TODAY - timedelta(days=1), agreed_last_day=TODAY - timedelta(days=1))
    visit.open(token, to="roadmap")
