"""Every page a tenant may meet, in a real browser: nothing for axe-core to find, nothing cut off, nothing out of reach.

With SCREENS=docs/screens each page is kept as a picture, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from renewal import milestones
from renewal.models import Case, Rate
from tenants import asking, catalogue, clock, links
from tenants.models import LeaseTenant, Link, Perk
from tests.browser import PHONE
from tests.letter import digits_of, make_letter
from tests.makers import NOW, TODAY, make_building, make_event, make_tenant, make_unit
from tests.test_moods import question
from tests.test_surveys import survey as asked

pytestmark = pytest.mark.django_db(transaction=True)

SCREENS = os.environ.get("SCREENS", "")
SIZES = ((390, 844), (360, 640))
SMALL_TARGETS = """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), summary, select')]
  .filter(n => n.getClientRects().length && !n.closest('.skip') && !n.matches('.skip'))
  .map(n => { const whole = n.matches('[type=radio], [type=checkbox]') && n.closest('label');
              const r = (whole || n).getBoundingClientRect();
              return [n.textContent.trim() || n.id || n.name, Math.round(r.width), Math.round(r.height)] })
  .filter(([name, width, height]) => height < 44 && !['tab', 'tab-stay', 'tab-move'].includes(name))"""
# What Tab stops at, until it has been everywhere: names, or the fault that focus is not seen.
STOPS = """() => { const n = document.activeElement; if (!n || n === document.body) return null;
  const style = getComputedStyle(n), label = n.closest('label') || n.nextElementSibling;
  const shown = style.outlineStyle !== 'none' || style.boxShadow !== 'none'
    || (label && (getComputedStyle(label).outlineStyle !== 'none' || getComputedStyle(label).boxShadow !== 'none'))
    || n.matches('.skip, .range, [type=date]');  // a slider's thumb and a date's parts wear it themselves
  return [n.tagName + (n.name || n.id || n.textContent.trim().slice(0, 12)), shown] }"""


@dataclass
class Visit:
    """A tenant with a letter, and the browser on their phone."""

    page: Page
    link: Link
    token: str

    def open(self) -> None:
        self.page.goto(f"/r/{self.token}")
        self.page.get_by_role("button", name="打开").tap()
        self.page.wait_for_url("**/r/letter/")

    def agree(self) -> None:
        self.open()
        self.page.get_by_role("button", name="去确认").tap()
        self.page.wait_for_url("**/r/letter/agreement")

    def ask_code(self) -> None:
        self.agree()
        self.page.get_by_role("checkbox").tap()
        self.page.get_by_role("button", name="获取验证码").tap()
        self.page.wait_for_url("**/r/letter/code")

    def close(self, state: str) -> None:
        """The case has ended in this way; the link is still good."""
        Case.objects.filter(lease=self.link.lease).update(state=state)


# What leads to each state: name → (way, what its first heading says).
STATES: dict[str, tuple[Callable[[Visit], None], str]] = {}


def state(heading: str) -> Callable[[Callable[[Visit], None]], Callable[[Visit], None]]:
    def add(way: Callable[[Visit], None]) -> Callable[[Visit], None]:
        STATES[way.__name__.replace("_", "-").strip("-")] = (way, heading)
        return way

    return add


@state("这一年，住在滨江江晖店")
def cover(visit: Visit) -> None:
    visit.page.goto(f"/r/{visit.token}")


@state("林*，您好")
def letter(visit: Visit) -> None:
    visit.open()


@state("林*，您好")
def letter_another_room(visit: Visit) -> None:
    visit.open()
    visit.page.get_by_text("换一间").tap()
    expect(visit.page.locator(".rent [data-word=rent]")).to_have_text("4,500")


@state("林*，您好")
def letter_unfolded(visit: Visit) -> None:
    visit.open()
    visit.page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")


@state("林*，您好")
def letter_general(visit: Visit) -> None:
    visit.open()
    visit.page.get_by_role("button", name="通用方案").tap()
    visit.page.wait_for_url("**/r/letter/")
    expect(visit.page.get_by_role("button", name="看回我的这一份")).to_be_visible()


@state("林*，您好")
def letter_large_type(visit: Visit) -> None:
    visit.open()
    visit.page.get_by_role("button", name="大字").tap()
    visit.page.wait_for_url("**/r/letter/")


@state("先看这五行")
def agreement(visit: Visit) -> None:
    visit.agree()


@state("输入六位验证码")
def code(visit: Visit) -> None:
    visit.ask_code()


@state("输入六位验证码")
def code_wrong(visit: Visit) -> None:
    visit.ask_code()
    wrong = f"{(int(digits_of()) + 1) % 1_000_000:06}"
    visit.page.locator("#code").press_sequentially(wrong)
    visit.page.get_by_role("button", name="签署").tap()
    expect(visit.page.get_by_text("还可以试 4 次")).to_be_visible()


@state("续好了")
def done(visit: Visit) -> None:
    visit.ask_code()
    visit.page.locator("#code").press_sequentially(digits_of())
    visit.page.get_by_role("button", name="签署").tap()
    visit.page.wait_for_url("**/r/letter/done")


@state("")
def decline(visit: Visit) -> None:
    visit.open()
    visit.page.goto("/r/letter/decline")


@state("")
def notice(visit: Visit) -> None:
    visit.open()
    visit.page.goto("/r/letter/notice")


@state("")
def preferences(visit: Visit) -> None:
    visit.open()
    visit.page.goto("/r/letter/preferences")


@state("")
def door(visit: Visit) -> None:
    visit.page.goto("/r/")


@state("")
def door_code(visit: Visit) -> None:
    visit.page.goto("/r/")
    visit.page.get_by_label("手机号").fill(visit.link.tenant.phone)
    visit.page.get_by_role("button", name="获取验证码").tap()
    visit.page.wait_for_url("**/r/code")


@state("")
def opened_elsewhere(visit: Visit) -> None:
    links.open(visit.link, trusted=True, now=NOW)
    visit.page.goto(f"/r/{visit.token}")
    visit.page.get_by_role("button", name="打开").tap()
    visit.page.wait_for_url("**/r/confirm")


@state("")
def unknown(visit: Visit) -> None:
    visit.page.goto(f"/r/{'a' * 26}")


@state("这个链接已经失效")
def expired(visit: Visit) -> None:
    Link.objects.filter(pk=visit.link.pk).update(expires_at=NOW - timedelta(seconds=1))
    visit.page.goto(f"/r/{visit.token}")


@state("这个链接已经失效")
def revoked(visit: Visit) -> None:
    Link.objects.filter(pk=visit.link.pk).update(revoked_at=NOW)
    visit.page.goto(f"/r/{visit.token}")


def closed(name: str, case: str, heading: str, *, opens: bool = False) -> None:
    def way(visit: Visit) -> None:
        visit.close(case)
        visit.page.goto(f"/r/{visit.token}")
        if opens:
            visit.page.get_by_role("button", name="打开").tap()

    way.__name__ = name
    state(heading)(way)


closed("signed", "signed", "")
closed("noticed", "notice", "", opens=True)
closed("moved_out", "moved_out", "这份租约已经结束")
closed("ended_by_operator", "ended_by_operator", "这份租约已经结束")


@state("")
def not_yet(visit: Visit) -> None:
    Case.objects.all().delete()
    visit.page.goto(f"/r/{visit.token}")
    visit.page.get_by_role("button", name="打开").tap()


@state("")
def unpriced(visit: Visit) -> None:
    Rate.objects.all().delete()
    visit.page.goto(f"/r/{visit.token}")
    visit.page.get_by_role("button", name="打开").tap()


@state("")
def cotenant(visit: Visit) -> None:
    other = make_tenant("周舟")
    LeaseTenant.objects.create(lease=visit.link.lease, tenant=other, is_primary=False)
    expires = links.expiry(visit.link.lease, now=NOW)
    _link, token = links.mint(
        "message:cotenant", tenant=other, lease=visit.link.lease, purpose="proposal", expires_at=expires, now=NOW
    )
    visit.page.goto(f"/r/{token}")
    visit.page.get_by_role("button", name="打开").tap()


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


@state("您在这里已经住了11 个月")
def roadmap(visit: Visit) -> None:
    roadmap_cover(visit)
    visit.page.get_by_role("button", name="打开").tap()
    visit.page.wait_for_url("**/r/letter/roadmap")


@state("您在这里已经住了11 个月")
def roadmap_voucher(visit: Visit) -> None:
    roadmap(visit)
    visit.page.locator("summary").first.tap()
    expect(visit.page.locator(".voucher-code")).to_be_visible()


@state("您在这里已经住了11 个月")
def roadmap_from_the_letter(visit: Visit) -> None:
    _given(visit)
    visit.open()
    visit.page.get_by_role("link", name="我的居住成就").tap()
    visit.page.wait_for_url("**/r/letter/roadmap")


@state("为什么是这个价")
def certificate(visit: Visit) -> None:
    visit.open()
    visit.page.goto("/r/letter/certificate")


@state("")
def mood(visit: Visit) -> None:
    _one, token = question()
    visit.page.goto(f"/m/{token}")


@state("")
def mood_given(visit: Visit) -> None:
    mood(visit)
    visit.page.locator("label", has_text="开心").or_(visit.page.locator("label").first).first.tap()
    visit.page.locator("main form button").first.tap()
    expect(visit.page.locator("main form input[type=radio]")).to_have_count(0)


@state("")
def survey(visit: Visit) -> None:
    visit.page.goto(f"/s/{_surveyed()}")


def _surveyed() -> str:
    asking.switch(asking.SURVEYS, on=True, by=None, now=NOW - timedelta(days=100))
    _one, token = asked()
    return token


# --- The visit --------------------------------------------------------------------------------------------


@pytest.fixture
def visit(chromium: Browser, live_server: Any) -> Any:
    clock.set_to(NOW)
    Perk.objects.create(
        code="stay", name="住宿券 2 晚", condition="租期 12 个月起", cost=200, min_term_months=12, is_choice=True
    )
    building = make_building("B1", name="蓝寓·滨江江晖店")
    link, token = make_letter(unit=make_unit("B1-0301A", building), tenant=make_tenant("林晓"))
    make_unit("B1-0901A", building, room_type="朝南大一居", floor=9)
    for number in range(47):
        day = NOW.replace(month=10, day=1 + number % 28, hour=number // 28)
        make_event("facility.used", link.tenant, at=day, data={"facility": "gym"})
    for month in range(12):
        due = (NOW - timedelta(days=30 * month + 3)).date()
        said = {"item": "rent", "amount": "3800.00", "due_on": str(due)}
        make_event("payment.made", link.tenant, at=NOW - timedelta(days=30 * month + 4), data=said)
    context = chromium.new_context(**PHONE, base_url=live_server.url, device_scale_factor=2, reduced_motion="reduce")
    yield Visit(context.new_page(), link, token)
    context.close()


@pytest.mark.parametrize("name", sorted(STATES))
def test_a_page_is_whole_within_reach_and_says_what_it_is_to_everybody(visit: Visit, name: str) -> None:
    way, heading = STATES[name]
    way(visit)
    page = visit.page
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    if heading:
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
        assert page.evaluate(SMALL_TARGETS) == [], width
    page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_timeout(150)  # colours are on their way for 120 ms
        found = Axe().run(page).response["violations"]
        assert [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found] == [], scheme
    if SCREENS:
        _keep(page, Path(SCREENS) / f"{name}.jpg")
    assert _hidden_stops(page) == []


def _keep(page: Page, path: Path) -> None:
    """The whole page as one picture, what sticks to the bottom at the bottom."""
    width, height = SIZES[0]
    page.set_viewport_size({"width": width, "height": max(height, page.evaluate("document.body.scrollHeight"))})
    page.screenshot(path=path, type="jpeg", quality=72)
    page.set_viewport_size({"width": width, "height": height})


def _hidden_stops(page: Page) -> list[str]:
    """Where Tab comes to and nothing shows it; every stop is passed once, from the first to the last."""
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    hidden, seen = [], 0
    for _press in range(80):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOPS)
        if stop is None:
            break
        seen += 1
        name, shown = stop
        if not shown:
            hidden.append(name)
    assert 0 < seen < 80, "Tab never came to the end"
    return hidden
