"""Every page a tenant may meet, in a real browser: nothing for axe-core to find, nothing cut off, nothing out of reach.

What leads to each of them is in tests/states. With SCREENS=docs/screens each page is kept as a picture, too.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings as settings_of_django
from playwright.sync_api import Browser, Page, expect

from tenants import clock
from tenants.models import Perk
from tests.browser import PHONE
from tests.letter import make_letter
from tests.makers import NOW, make_building, make_event, make_tenant, make_unit
from tests.states import STATES, Visit, answers, lengths, letter, questions, rooms, together, walks

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["answers", "lengths", "letter", "questions", "rooms", "together"]  # their states are in STATES
SCREENS = os.environ.get("SCREENS", "")
PICTURES = Path(settings_of_django.BASE_DIR) / "docs/screens"
SIZES = ((390, 844), (360, 640))
SMALL_TARGETS = """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), summary, select')]
  .filter(n => n.getClientRects().length && !n.closest('.skip') && !n.matches('.skip'))
  .map(n => { const whole = n.matches('[type=radio], [type=checkbox]') && n.closest('label');
              const r = (whole || n).getBoundingClientRect();
              return [n.textContent.trim() || n.id || n.name, Math.round(r.width), Math.round(r.height)] })
  .filter(([name, width, height]) => height < 44 && !['tab', 'tab-stay', 'tab-move'].includes(name))"""
# What stands before each place where the heading goes on in a new line by itself: its last character there.
BREAKS = """() => { const walk = document.createTreeWalker(document.querySelector('h1'), NodeFilter.SHOW_TEXT);
  const range = document.createRange(), found = [];
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    let before = null;
    for (let n = 0; n < node.length; n++) {
      range.setStart(node, n); range.setEnd(node, n + 1);
      const box = range.getBoundingClientRect();
      if (!box.width) continue;  // a place to break at, or a space at the end of a line
      if (before !== null && box.top > before + 4) found.push(node.data.slice(0, n).slice(-1));
      before = box.top;
    } }
  return found }"""
MAY_BREAK = "，。：？、 \u200b"
WALKS = walks()
# What axe-core finds, once colours that were on their way have come there: rules, and the elements that break them.
FAULTS = """() => { document.getAnimations().forEach(one => one.finish());
  return axe.run({resultTypes: ['violations']}).then(found => found.violations.map(
    rule => [rule.id, rule.nodes.map(node => node.html.slice(0, 120))])) }"""
# What Tab stops at, until it has been everywhere: names, or the fault that focus is not seen.
STOPS = """() => { const n = document.activeElement; if (!n || n === document.body) return null;
  const style = getComputedStyle(n), label = n.closest('label') || n.nextElementSibling;
  const shown = style.outlineStyle !== 'none' || style.boxShadow !== 'none'
    || (label && (getComputedStyle(label).outlineStyle !== 'none' || getComputedStyle(label).boxShadow !== 'none'))
    || n.matches('.skip, .range, [type=date]');  // a slider's thumb and a date's parts wear it themselves
  return [n.tagName + (n.name || n.id || n.textContent.trim().slice(0, 12)), shown] }"""


# --- The visit --------------------------------------------------------------------------------------------


@pytest.fixture
def visit(chromium: Browser, live_server: Any, settings: Any) -> Any:
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
    context = chromium.new_context(**PHONE, base_url=live_server.url, device_scale_factor=1.5, reduced_motion="reduce")
    yield Visit(context.new_page(), link, token, settings)
    context.close()


@pytest.mark.parametrize("end", WALKS)
def test_pages_are_whole_within_reach_and_say_what_they_are_to_everybody(visit: Visit, end: str) -> None:
    for name, is_seen in WALKS[end]:
        STATES[name].way(visit)
        expect(visit.page.get_by_role("heading", level=1)).to_have_text(STATES[name].heading)
        if not is_seen:
            _look_at(visit.page, name)


def _look_at(page: Page, name: str) -> None:
    page.wait_for_load_state()  # with its style sheets
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.locator(".waiting")).to_have_count(0)  # a price that is asked for again is pale meanwhile
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
        assert page.evaluate(SMALL_TARGETS) == [], (name, width)
        # Never within a word: Chinese may break anywhere, and a browser balances lines without knowing its words.
        assert [each for each in page.evaluate(BREAKS) if each not in MAY_BREAK] == [], (name, width)
    page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
    page.evaluate(AXE_SCRIPT)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert page.evaluate(FAULTS) == [], (name, scheme)
    if SCREENS:
        _keep(page, name)
    assert _hidden_stops(page) == [], name


def test_the_pictures_are_of_these_pages() -> None:
    names = set(re.findall(r"^- \[(.+)\]\(\1\.jpg\)$", (PICTURES / "README.md").read_text(), re.MULTILINE))
    assert names == {path.stem for path in PICTURES.glob("*.jpg")} == set(STATES)


def _keep(page: Page, name: str) -> None:
    """The whole page (or the part of it that is new) as one picture, what sticks to the bottom at the bottom."""
    width, height = SIZES[0]
    for _again in range(3):  # what is as tall as a part of the screen grows with it
        page.set_viewport_size({"width": width, "height": max(height, page.evaluate("document.body.scrollHeight"))})
    page.evaluate("window.scrollTo(0, 0)")
    taken: dict[str, Any] = {"path": Path(SCREENS) / f"{name}.jpg", "type": "jpeg", "quality": 72}
    part = STATES[name].part
    if part:
        box = page.locator(part).bounding_box()
        assert box
        taken["clip"] = {"x": 0, "y": box["y"], "width": width, "height": box["height"]}
    page.screenshot(**taken)
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
