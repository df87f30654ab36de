"""The pages of what comes in, on a phone of 390 pixels: nothing scrolls sideways, nothing is clipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.urls import reverse
from playwright.sync_api import Browser, expect

from connectors.models import Refusal
from connectors.sources import payments
from tenants import clock
from tests.browser import PHONE
from tests.makers import NOW, make_lease, make_user
from tests.test_bad_files import manage, table

pytestmark = pytest.mark.django_db(transaction=True)
# What sticks out of the window; one that scrolls inside its own frame, or is for a screen reader only, does not.
OUT = """() => [...document.querySelectorAll("#main *")].filter((each) => {
  const box = each.getBoundingClientRect();
  for (let up = each; up.id !== "main"; up = up.parentElement) {
    const how = getComputedStyle(up);
    if (how.clipPath !== "none" || ["auto", "scroll"].includes(how.overflowX)) return false;
  }
  return each.checkVisibility() && box.width && box.height && (box.right > 391 || box.left < -1);
}).map((each) => `${each.tagName}.${each.className} ${each.textContent.trim().slice(0, 30)}`)"""


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_no_page_of_what_comes_in_sticks_out_of_a_phone(
    chromium: Browser, live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    clock.set_to(NOW)
    lease = make_lease(contract_no="HT1")
    rows = [f"LS{n},HT{n % 3},房租,{('三千八', '0', '3800')[n % 3]},2025-11-01,2025-11-03" for n in range(9)]
    file = table(tmp_path / "十一月收款流水（财务导出）.csv", payments.COLUMNS, *rows)
    assert manage("load", "payments", file)[0] == 1
    make_user("chief", is_superuser=True, password=make_password("chief"))
    page = chromium.new_page(base_url=live_server.url, **PHONE)
    page.context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
    page.goto(reverse("staff-upload"))
    page.fill("input[name=username]", "chief")
    page.fill("input[name=password]", "chief")
    page.click("button[type=submit]")
    page.check("input[name=source][value=payments]")
    page.set_input_files("input[type=file]", str(file))
    expect(page.locator(".drop__chosen")).to_have_text(Path(file).name)  # in our words, whatever the browser speaks
    page.locator("form.handin button[type=submit]").click()
    page.wait_for_url("**/columns/")
    columns = page.url
    page.locator(".bar button[type=submit]").click()
    page.wait_for_selector("[data-apply]")
    addresses = [
        columns,
        page.url,
        *(reverse(name) for name in ("staff-sources", "staff-upload", "staff-quarantine", "staff-same")),
        reverse("staff-refusal", args=[Refusal.objects.order_by("pk").first().pk]),  # type: ignore[union-attr]
        reverse("staff-retirement", args=["payments"]),
        reverse("staff-contract", args=[lease.pk]),
        reverse("staff-tenant", args=[lease.tenants.get().pk]) + "?is=app:u-9",
    ]
    found = {}
    for address in addresses:
        page.goto(address)
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
        out = page.evaluate(OUT)
        if out or page.evaluate("document.documentElement.scrollWidth") > 390:
            found[address] = out or ["the page itself"]
    assert found == {}
    page.close()
