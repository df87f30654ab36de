"""The letter in a real browser: touch, sliders, live prices, the code, keyboards, and what one sees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from renewal.models import Case, Signature
from tenants import clock, links
from tenants.models import Click, Lease, Perk
from tests.browser import PHONE, drag
from tests.letter import digits_of, make_letter
from tests.makers import NOW, make_building, make_event, make_tenant, make_unit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


@pytest.fixture
def token() -> str:
    """A letter with a year in it, another room, and a perk."""
    Perk.objects.create(
        code="stay",
        name="住宿券 2 晚",
        condition="租期 24 个月起",
        cost=200,
        stock=5,
        min_term_months=24,
        is_choice=True,
    )
    building = make_building("B1", name="蓝寓·滨江江晖店")
    link, token = make_letter(unit=make_unit("B1-0301A", building), tenant=make_tenant("林晓"))
    make_unit("B1-0901A", building, room_type="朝南大一居", floor=9)
    for number in range(47):
        day = NOW.replace(month=10, day=1 + number % 28, hour=number // 28)
        make_event("facility.used", link.tenant, at=day, data={"facility": "gym"})
    return token


@pytest.fixture
def page(chromium: Browser, live_server: Any) -> Iterator[Page]:
    context = chromium.new_context(**PHONE, base_url=live_server.url)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []  # a violated Content-Security-Policy would be among them


def open_letter(page: Page, token: str) -> None:
    page.goto(f"/r/{token}")
    page.get_by_role("button", name="打开").tap()
    page.wait_for_url("**/r/letter/")


def rent(page: Page) -> Any:
    return page.locator(".rent [data-word=rent]")


def test_a_thumb_opens_slides_and_signs(page: Page, token: str) -> None:
    page.goto(f"/r/{token}")
    expect(page.get_by_role("heading", level=1)).to_have_text("这一年，住在滨江江晖店")
    assert not Click.objects.exists()
    page.get_by_role("button", name="打开").tap()
    page.wait_for_url("**/r/letter/")
    assert token not in page.url
    assert Click.objects.get().proof == "gesture"
    expect(page.get_by_text("过去一年，您共使用健身房 47 次。")).to_be_visible()

    expect(rent(page)).to_have_text("3,900")
    drag(page, "#term", to=1.0)
    expect(rent(page)).to_have_text("3,800")
    expect(page.locator(".bar [data-word=rent]")).to_have_text("3,800")
    expect(page.locator("output[data-word=term]")).to_have_text("2 年")
    expect(page.locator("[data-word=change]")).to_have_text("和现在的租金一样")
    drag(page, "#free", to=0.8)  # nothing is published between none and two months
    expect(rent(page)).to_have_text("4,120.50")
    expect(page.locator("output[data-word=free_months]")).to_have_text("2 个月")
    assert Case.objects.get().state == "considering"

    page.get_by_role("button", name="去确认").tap()
    page.wait_for_url("**/r/letter/agreement")
    expect(page.locator(".terms > div")).to_have_count(5)
    expect(page.locator(".terms")).to_contain_text("4,120.50")
    page.get_by_role("checkbox").tap()
    page.get_by_role("button", name="获取验证码").tap()
    page.wait_for_url("**/r/letter/code")
    expect(page.get_by_role("button", name=re.compile("秒后"))).to_be_disabled()
    digits = digits_of()
    page.locator("#code").press_sequentially(digits)
    page.get_by_role("button", name="签署").tap()
    page.wait_for_url("**/r/letter/done")
    expect(page.get_by_role("heading", level=1)).to_have_text("续好了")
    expect(page.locator(".next")).to_contain_text("合同备案")
    following = Lease.objects.exclude(renews=None).get()
    assert (str(following.monthly_rent), following.last_day.isoformat()) == ("4120.50", "2027-12-26")
    assert Signature.objects.get().lease == following

    page.go_back()  # to where the code was typed: the letter is signed, and says so
    page.goto("/r/letter/")
    expect(page.get_by_role("heading", level=1)).to_have_text("续好了")


def test_buttons_and_keys_move_the_sliders_as_a_finger_does(page: Page, token: str) -> None:
    open_letter(page, token)
    longer, shorter = page.get_by_role("button", name="长一点"), page.get_by_role("button", name="短一点")
    shorter.tap()
    expect(rent(page)).to_have_text("3,980")
    expect(shorter).to_be_disabled()
    longer.tap()
    longer.tap()
    expect(rent(page)).to_have_text("3,800")
    page.locator("#term").press("ArrowLeft")
    expect(rent(page)).to_have_text("3,900")
    expect(page.locator("#term")).to_have_attribute("aria-valuetext", "1 年")


def test_a_perk_for_a_longer_term_is_let_go_with_a_shorter_one(page: Page, token: str) -> None:
    open_letter(page, token)
    perk = page.get_by_role("radio", name=re.compile("住宿券"))
    expect(perk).to_be_disabled()
    page.get_by_role("button", name="长一点").tap()
    expect(perk).to_be_enabled()
    perk.tap()
    expect(perk).to_be_checked()
    page.get_by_role("button", name="短一点").tap()
    expect(perk).to_be_disabled()
    expect(page.get_by_role("radio", name="不需要")).to_be_checked()
    expect(rent(page)).to_have_text("3,900")


def test_another_room_has_its_own_sliders_and_price(page: Page, token: str) -> None:
    open_letter(page, token)
    page.get_by_text("换一间").tap()
    expect(page.locator(".pick", has_text="朝南大一居")).to_be_visible()
    expect(rent(page)).to_have_text("4,500")
    expect(page.locator("[data-word=change]")).to_have_text("比现在每月多 700 元")
    page.get_by_text("留在这间").tap()
    expect(page.locator(".pick", has_text="朝南大一居")).to_be_hidden()
    expect(rent(page)).to_have_text("3,900")


def test_without_a_network_the_choice_stays_and_a_sentence_says_so(
    chromium: Browser, live_server: Any, token: str
) -> None:
    context = chromium.new_context(**PHONE, base_url=live_server.url)
    page = context.new_page()
    open_letter(page, token)
    context.set_offline(True)
    page.get_by_role("button", name="长一点").tap()
    expect(page.locator("[data-error]")).to_have_text("租金没能更新，您的选择还在。请检查网络，再拖动一下滑块。")
    assert page.locator("#term").input_value() == "24"
    expect(rent(page)).to_have_text("3,900")
    context.set_offline(False)
    page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(rent(page)).to_have_text("3,800")
    expect(page.locator("[data-error]")).to_be_hidden()
    context.close()


def test_the_last_of_many_questions_wins(page: Page, token: str) -> None:
    open_letter(page, token)
    held: list[Any] = []
    page.route("**/quote", lambda route: held.append(route) if len(held) < 1 else route.continue_())
    page.get_by_role("button", name="短一点").tap()
    page.wait_for_timeout(150)
    page.get_by_role("button", name="长一点").tap()
    page.wait_for_timeout(150)
    page.get_by_role("button", name="长一点").tap()
    expect(rent(page)).to_have_text("3,800")
    held[0].continue_()  # the answer to the first question comes last
    page.wait_for_timeout(200)
    expect(rent(page)).to_have_text("3,800")


def test_a_code_may_be_pasted_with_the_whole_message(page: Page, token: str) -> None:
    open_letter(page, token)
    page.get_by_role("button", name="去确认").tap()
    page.get_by_role("checkbox").tap()
    page.get_by_role("button", name="获取验证码").tap()
    page.wait_for_url("**/r/letter/code")
    page.evaluate(
        """text => {
            const data = new DataTransfer(); data.setData("text", text);
            document.getElementById("code").dispatchEvent(
                new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
        }""",
        f"【蓝寓】验证码 {digits_of()}，5 分钟内有效。",
    )
    assert page.locator("#code").input_value() == digits_of()


def test_a_script_that_clicks_opens_the_letter_but_proves_nothing(page: Page, token: str) -> None:
    page.goto(f"/r/{token}")
    page.evaluate("document.querySelector('.cover-open button').click()")
    page.wait_for_url("**/r/letter/")
    assert Click.objects.get().proven_at is None


def test_without_scripts_the_letter_can_be_read_and_priced(chromium: Browser, live_server: Any, token: str) -> None:
    context = chromium.new_context(**PHONE, base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    open_letter(page, token)
    assert Click.objects.get().proven_at is None
    page.locator("#term").press("End")
    page.get_by_role("button", name="重新计算").tap()
    expect(rent(page)).to_have_text("3,800")
    context.close()


# --- What one sees ---

CONTRAST = """() => {
  const channel = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const behind = node => { for (let n = node; n; n = n.parentElement) {
    const style = getComputedStyle(n);
    if (style.backgroundImage !== 'none' && !n.matches('input')) return null;
    const c = parse(style.backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255] };
  const poor = [];
  for (const node of document.querySelectorAll('main *, main')) {
    const own = [...node.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const box = node.getBoundingClientRect();
    if (!own || !box.width || node.closest('[disabled], .cover, .hidden-words, svg, script, noscript')) continue;
    const back = behind(node); if (!back) continue;
    const a = light(parse(getComputedStyle(node).color)), b = light(back);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(node.textContent.trim().slice(0, 20) + ' ' + ratio.toFixed(2));
  }
  return poor;
}"""
SMALL_TARGETS = """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), summary')]
  .filter(n => n.getClientRects().length && !n.closest('.skip') && !n.matches('.skip'))
  .map(n => { const whole = n.matches('[type=radio], [type=checkbox]') && n.closest('label');
              const r = (whole || n).getBoundingClientRect();
              return [n.textContent.trim() || n.id || n.name, Math.round(r.width), Math.round(r.height)] })
  .filter(([name, width, height]) => height < 44 && !['tab', 'tab-stay', 'tab-move'].includes(name))"""


SIZES = [(390, 844), (360, 640), (1440, 900)]


def test_every_page_fits_and_can_be_read_by_day_and_by_night(page: Page, token: str) -> None:
    page.goto(f"/r/{token}")
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        button = page.get_by_role("button", name="打开").bounding_box()
        assert button
        assert button["y"] + button["height"] <= height  # in thumb's reach without scrolling
        words, roof = page.locator(".cover .line").bounding_box(), page.locator(".parapet").bounding_box()
        assert words
        assert roof
        assert words["y"] + words["height"] <= roof["y"]  # the words stand in the sky
    page.get_by_role("button", name="打开").tap()
    page.wait_for_url("**/r/letter/")
    for address in ("/r/letter/", "/r/letter/agreement", "/r/letter/decline", "/r/letter/notice", "/r/"):
        page.goto(address)
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)
            assert page.evaluate(SMALL_TARGETS) == [], (address, width)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(250)  # colours are on their way for 120 ms
            assert page.evaluate(CONTRAST) == [], (address, scheme)


def test_large_type_makes_everything_larger_and_still_fits(page: Page, token: str) -> None:
    open_letter(page, token)
    before = page.evaluate("parseFloat(getComputedStyle(document.querySelector('.sentence')).fontSize)")
    page.get_by_role("button", name="大字").tap()
    page.wait_for_url("**/r/letter/")
    expect(page.get_by_role("button", name="大字")).to_have_attribute("aria-pressed", "true")
    after = page.evaluate("parseFloat(getComputedStyle(document.querySelector('.sentence')).fontSize)")
    assert (before, after) == (17, 21.25)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_nothing_moves_for_those_who_asked_for_stillness(chromium: Browser, live_server: Any, token: str) -> None:
    context = chromium.new_context(**PHONE, base_url=live_server.url, reduced_motion="reduce")
    page = context.new_page()
    open_letter(page, token)
    slow = """() => [...document.querySelectorAll('*')].map(n => getComputedStyle(n).transitionDuration)
        .filter(t => t.split(', ').some(each => parseFloat(each) > 0)).length"""
    assert page.evaluate(slow) == 0
    context.close()


def test_motion_is_short(page: Page, token: str) -> None:
    page.goto(f"/r/{token}")
    longest = """() => Math.max(...[...document.querySelectorAll('*')].flatMap(n => getComputedStyle(n)
        .transitionDuration.split(', ').map(parseFloat)))"""
    assert page.evaluate(longest) <= 0.25


def test_the_common_door_works_with_a_thumb(page: Page, token: str) -> None:
    tenant = links.find(token, now=NOW).tenant
    page.goto("/r/?from=lift-b1")
    page.get_by_label("手机号").fill(tenant.phone)
    page.get_by_role("button", name="获取验证码").tap()
    page.wait_for_url("**/r/code")
    page.locator("#code").press_sequentially(digits_of("door:"))
    page.get_by_role("button", name="打开我的信").tap()
    page.wait_for_url("**/r/letter/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("林*")
