"""Both questions in a real browser: a thumb, a keyboard alone, without scripts, on a small phone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tenants import asking, clock
from tenants.models import Event
from tests.browser import PHONE
from tests.makers import NOW
from tests.test_moods import question
from tests.test_surveys import survey

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


@pytest.fixture(params=["with scripts", "without scripts"])
def page(request: pytest.FixtureRequest, chromium: Browser, live_server: Any) -> Iterator[Page]:
    small = PHONE | {"viewport": {"width": 360, "height": 640}, "java_script_enabled": request.param == "with scripts"}
    context = chromium.new_context(**small, base_url=live_server.url)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    yield page
    context.close()
    assert complaints == []


def moods() -> list[dict[str, Any]]:
    return list(Event.objects.filter(kind="mood.given").order_by("pk").values_list("data", flat=True))


def test_one_tap_on_a_face_one_sentence_and_a_change_of_mind(page: Page) -> None:
    one, token = question()
    page.goto(f"/m/{token}")
    faces = page.get_by_role("group").get_by_role("radio")
    expect(faces).to_have_count(3)
    for n in range(3):
        box = page.locator(".face").nth(n).bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 96
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
    page.get_by_role("radio", name="不满意", exact=True).tap()
    page.get_by_label("想说的话").fill("楼道灯坏了一周")
    page.get_by_role("button", name="提交").tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("2025年11月记下了：不满意")
    page.get_by_role("link", name="改一下").tap()
    expect(page.get_by_role("radio", checked=True)).to_have_count(0)
    page.get_by_role("radio", name="一般", exact=True).tap()
    page.get_by_role("button", name="提交").tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("2025年11月记下了：一般")
    assert moods() == [
        {"bill": one.bill, "mood": "bad", "text": "楼道灯坏了一周"}, {"bill": one.bill, "mood": "soso"},
    ]  # fmt: skip


def test_the_keyboard_alone_answers(page: Page) -> None:
    one, token = question()
    page.goto(f"/m/{token}")
    for _stop in range(6):
        page.keyboard.press("Tab")
        if page.locator(":focus").get_attribute("name") == "mood":
            break
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="一般")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("2025年11月记下了：一般")
    assert moods() == [{"bill": one.bill, "mood": "soso"}]


def test_eleven_numbers_fit_a_small_phone_and_a_thumb(page: Page) -> None:
    asking.switch(asking.SURVEYS, on=True, by=None, now=NOW - timedelta(days=100))
    one, token = survey()
    page.goto(f"/s/{token}")
    expect(page.get_by_role("group", name="您有多愿意").get_by_role("radio")).to_have_count(11)
    boxes = [page.locator(".score").nth(n).bounding_box() for n in range(11)]
    boxes += [page.locator(".reason").nth(n).bounding_box() for n in range(7)]
    for box in boxes:
        assert box
        assert min(box["width"], box["height"]) >= 44
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 360
    page.get_by_role("radio", name="9", exact=True).tap()
    page.get_by_role("checkbox", name="报修").tap()
    page.get_by_label("想说的话").fill("热水慢")
    page.get_by_role("button", name="提交").tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("记下了：9 分")
    one.refresh_from_db()
    assert (one.score, one.reasons, one.words) == (9, ["repair"], "热水慢")
    page.get_by_role("link", name="改一下").tap()
    page.get_by_role("radio", name="0", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="2", exact=True)).to_be_checked()
    page.get_by_role("button", name="提交").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("记下了：2 分")
    one.refresh_from_db()
    assert (one.score, one.reasons, one.words) == (2, [], "")
