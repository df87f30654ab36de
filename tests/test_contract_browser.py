"""The contract's page in a browser: its revisions in the reader's words, wide and narrow, today and on a past day."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Browser, Page, expect

from connectors.records import CoTenant
from tenants import clock, deciding, leases
from tenants.models import Lease, WaitingContract
from tests.makers import make_unit, make_user
from tests.test_history import day
from tests.test_leases import contract

pytestmark = pytest.mark.django_db(transaction=True)

SHOTS = os.environ.get("SHOTS", "")  # a folder, to look at the pictures
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lease:
    """HT1 with revisions 1, 3 and then 2, 4 refused and 5 that waits, for somebody else lives in the unit it names."""
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    clock.set_to(day(20))
    chief = make_user("chief", is_superuser=True, password=make_password("chief"))
    make_unit("A")
    make_unit("B")
    with_wang = contract(cotenants=(CoTenant("王敏", "10000000003"),))
    leases.enter([with_wang, contract("HT9", unit="B", tenant_name="周航", phone="10000000009")], now=day(2))
    leases.enter([contract(revision=3, monthly_rent=Decimal("4000.00"))], now=day(5))
    leases.enter([contract(revision=2, deposit=Decimal("4200.00"), monthly_rent=Decimal("3850.00"))], now=day(7))
    leases.enter([contract(revision=4, unit="B")], now=day(9))  # waits: Zhou is in B
    leases.enter([contract(revision=5, unit="B", monthly_rent=Decimal("4100.00"))], now=day(10))
    deciding.refuse(WaitingContract.objects.get(revision=4).pk, why="没有换房", by=chief, now=day(11))
    return Lease.objects.get(contract_no="HT1")


@pytest.fixture(params=["zh-CN", "en"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(chromium: Browser, live_server: Any, lease: Lease, language: str) -> Any:
    context = chromium.new_context(viewport=WIDE, locale=language, base_url=live_server.url)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto("/admin/")
    page.fill("input[name=username]", "chief")
    page.fill("input[name=password]", "chief")
    page.click("button[type=submit]")
    yield page
    context.close()


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


WORDS = {
    "zh-CN": ["有效", "晚于更高版本到达，未曾生效", "与它到来时有效的版本 3 对比",
              "chief 于 2025-12-11 10:00 拒绝了版本 4：没有换房", "版本 5 等待处理"],
    "en": ["signed", "came after a later one, never held", "against revision 3, which held when it came",
           "Revision 4 was refused by chief on 2025-12-11 10:00：没有换房", "Revision 5 waits"],
}  # fmt: skip
DECIDED = {"zh-CN": ["已拒绝"], "en": ["refused"]}
WAITS = {"zh-CN": ["版本", "开始等待"], "en": ["Revision", "Waits since"]}
HELD = {"zh-CN": "按 2025-12-03 所知", "en": "As known on 2025-12-03"}


def test_a_contract_is_told_in_the_readers_words_wide_and_narrow(page: Page, lease: Lease, language: str) -> None:
    wait = WaitingContract.objects.get()
    pages = {
        f"/admin/contract/{lease.pk}/": WORDS[language],
        f"/admin/contract/waiting/{wait.pk}/": [],
        "/admin/tenants/contractdecision/": DECIDED[language],
        "/admin/tenants/waitingcontract/": WAITS[language],
    }
    for number, (address, words) in enumerate(pages.items()):
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            page.goto(address)
            for word in words:
                expect(page.locator("body")).to_contain_text(word)
            if "/contract/" in address:  # the lists are the admin's own
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (address, size)
            shot(page, f"{number}-{language}-{size['width']}")


def test_a_late_revision_is_compared_with_the_one_in_force_and_a_past_day_is_a_click_away(
    page: Page, lease: Lease, language: str
) -> None:
    page.goto(f"/admin/contract/waiting/{WaitingContract.objects.get().pk}/")
    # It differs by unit and rent from what is in force; of co-tenants its file says nothing.
    expect(page.locator("tbody tr", has=page.locator("td:nth-child(3).fields__differs"))).to_have_count(2)
    page.goto(f"/admin/contract/{lease.pk}/")
    late = page.locator(".revisions > li", has=page.locator("caption"))
    expect(late.locator("tbody tr")).to_have_count(2)
    expect(late.locator("tbody tr").first).to_contain_text("4,000.00→3,850.00")
    page.fill("#known", "2025-12-03")
    page.locator(".known button").click()
    facts = page.locator(".panel", has=page.locator("dl.facts"))
    expect(facts.locator("h2")).to_have_text(HELD[language])
    expect(facts).to_contain_text("3,800.00")
    expect(facts).to_contain_text("林晓、王敏")
    expect(page.locator(".revisions__later")).to_have_count(2)
    shot(page, f"known-{language}")
    # The moment of a revision leads to the contract as known on that day.
    page.locator(".revisions > li").first.locator("a.revisions__when").click()
    expect(facts).to_contain_text("4,000.00")
    expect(page.locator(".revisions__later")).to_have_count(1)
