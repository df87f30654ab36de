"""One booking, all the way: the product's own processes, a real browser, from a push to a signed renewal.

The product runs as `make demo` runs it, on a small portfolio, with the clock at ten in the morning and again at
half past eleven at night, so that it does not matter at what hour the test itself is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from renewal.management.commands.load_all import FILES
from tests.browser import PHONE, drag
from tests.product import Product

# What a run of the day or a load writes about itself.
DIARIES = {
    "connectors_run",
    "connectors_sourcehour",
    "tenants_jobrun",
    "django_session",
    "django_admin_log",
    "django_migrations",
    "tenants_epoch",  # beats while messages go
}


@pytest.fixture(params=["10:00", "23:30"], scope="module")
def product(request: pytest.FixtureRequest) -> Iterator[Product]:
    product = Product(rooms=60, start=request.param).start()
    yield product
    product.close()


@pytest.fixture
def phone(chromium: Browser, product: Product) -> Iterator[Page]:
    context = chromium.new_context(**PHONE, base_url=product.url)
    yield context.new_page()
    context.close()


@pytest.fixture
def desk(chromium: Browser, product: Product) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, locale="zh-CN", base_url=product.url)
    page = context.new_page()
    page.goto("/admin/")
    page.fill("input[name=username]", "demo")
    page.fill("input[name=password]", "demo")
    page.click("button[type=submit]")
    yield page
    context.close()


def tenant(product: Product, name: str) -> int:
    return int(product.sql("select id from tenants_tenant where name = %s and phone like '100000000__'", name)[0][0])


def board(desk: Page) -> dict[str, int]:
    """The figures of the month on the dashboard, as staff read them."""
    desk.goto("/admin/")
    return {each: int(desk.locator(f'[data-figure="0-{each}"]').inner_text()) for each in ("ending", "renewed")}


def everything(product: Product) -> dict[str, Any]:
    """A fingerprint of every table, but for the diaries and the moments of counting."""
    tables = product.sql("select tablename from pg_tables where schemaname = 'public'")
    return {
        table: product.sql(
            f"select count(*), md5(string_agg(row, '|' order by row)) from (select (to_jsonb(t) - 'computed_at')::text"
            f" as row from {table} t) rows"
        )[0]
        for (table,) in tables
        if table not in DIARIES
    }


def code_on_the_phone(page: Page, person: int, *, number: int = 1) -> str:
    """What the tenant reads on their phone, in another tab, once that many codes have come; the newest is on top."""
    tab = page.context.new_page()
    tab.goto(f"/phone/{person}")
    codes = tab.locator("[data-code]")
    expect(codes).to_have_count(number, timeout=20_000)
    digits = codes.first.get_attribute("data-code")
    tab.close()
    assert digits
    return digits


def test_one_tenant_from_the_push_to_the_signature(product: Product, phone: Page, desk: Page) -> None:
    person = tenant(product, "林晓")
    ((lease, unit, last_day),) = product.sql(
        "select l.id, l.unit_id, l.last_day from tenants_lease l join tenants_leasetenant lt on lt.lease_id = l.id"
        " where lt.tenant_id = %s and l.contract_no = 'HT-9010'",
        person,
    )
    push = product.sql("select state, not_before from tenants_message where tenant_id = %s", person)
    phone.goto(f"/phone/{person}")
    card = phone.locator("a.card")
    at_night = "23:30" in product.command
    if at_night:
        # The push waits for the morning.
        assert [state for state, _ in push] == ["queued"]
        expect(card).to_have_count(0)
        # A code that somebody asks for does not.
        door = phone.context.new_page()
        door.goto("/r/?from=lift-1")
        door.locator("#phone").fill("10000000001")
        door.get_by_role("button").last.tap()
        assert len(code_on_the_phone(door, person)) == 6
        door.close()
        product.manage("clock", "--set", "2025-12-02T09:00")
        product.manage("run_day")
    # It appears by itself on the phone that lies open.
    expect(card.first).to_be_visible(timeout=20_000)
    expect(card.first).to_contain_text("共享厨房")
    before = board(desk)

    card.first.tap()
    phone.wait_for_url(re.compile(r"/r/[a-z2-7]{26}$"))
    expect(phone.locator("body")).not_to_contain_text("林")
    phone.get_by_role("button", name="打开").tap()
    phone.wait_for_url("**/r/letter/")
    expect(phone.get_by_text("过去一年，您共使用健身房 47 次。")).to_be_visible()
    assert product.sql("select proof from tenants_click") == [("gesture",)]

    # Drag to the longest term: the price is the server's.
    drag(phone, "#term", to=1.0)
    expect(phone.locator("output[data-word=term]")).to_have_text("2 年")
    price = Decimal(product.json("quote", "HT-9010", "--months", "24")["monthly_rent"])
    expect(phone.locator(".rent [data-word=rent]")).to_have_text(f"{price.normalize():,f}")
    phone.get_by_role("button", name="去确认").tap()
    phone.wait_for_url("**/r/letter/agreement")
    expect(phone.locator(".terms")).to_contain_text(f"{price.normalize():,f}")
    phone.get_by_role("checkbox").tap()
    phone.get_by_role("button", name="获取验证码").tap()
    phone.wait_for_url("**/r/letter/code")
    phone.locator("#code").press_sequentially(code_on_the_phone(phone, person, number=2 if at_night else 1))
    form = phone.locator("form:has(#code)").evaluate("f => Object.fromEntries(new FormData(f))")
    phone.get_by_role("button", name="签署").tap()
    phone.wait_for_url("**/r/letter/done")
    expect(phone.get_by_role("heading", level=1)).to_have_text("续好了")

    # The next lease follows without a gap, the case is signed, the filing task stands, the figure moved by one.
    ((following, next_unit, first_day, rent_signed),) = product.sql(
        "select id, unit_id, first_day, monthly_rent::text from tenants_lease where renews_id = %s", lease
    )
    assert next_unit == unit
    assert (first_day - last_day).days == 1
    assert Decimal(rent_signed) == price
    assert product.sql("select state from renewal_case where lease_id = %s", lease) == [("signed",)]
    assert product.sql("select state from renewal_filingtask where lease_id = %s", following) == [("todo",)]
    after = board(desk)
    assert (after["ending"], after["renewed"]) == (before["ending"], before["renewed"] + 1)

    if at_night:
        return  # by now some door logs are older than 90 days and refused; the replay is done by day
    product.manage("run_day")
    stood = everything(product)
    for source, name in FILES.items():
        counts = product.json("load", source, str(product.data / "sample" / name))
        assert counts["received"] == counts["duplicate"] > 0, source
    product.manage("run_day")
    again = phone.request.post(f"{product.url}/r/letter/sign", form=form)
    assert again.ok
    assert "续好了" in again.text()
    assert everything(product) == stood


def test_of_two_who_differ_only_in_consent_one_hears(product: Product, phone: Page) -> None:
    refused = tenant(product, "周航")
    assert product.sql("select count(*) from tenants_message where tenant_id = %s", refused) == [(0,)]
    ((state, reason),) = product.sql(
        "select state, reason from campaigns_push p join campaigns_stepversion s on s.id = p.said_id"
        " where tenant_id = %s and s.claims_topic = 'shared_kitchen'",
        refused,
    )
    assert state == "suppressed"
    assert "同意" in reason
    phone.goto(f"/phone/{refused}")
    expect(phone.locator(".message")).to_have_count(0)
