"""Within five seconds of an event, with the product's own web, worker and beat: features, tags, segments, the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.makers import NOW
from tests.product import Product

SOON = 5.0  # seconds
USER = "app-100004"  # 何静, who cooks at home and has reported nothing


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    product = Product(rooms=24).start()
    yield product
    product.close()


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


def key(product: Product, source: str) -> dict[str, str]:
    """What a sender of this source says, as the head office makes it."""
    made = f"from tenants import clock, keys; print(keys.make('{source}', '测试', by='demo', now=clock.now())[1])"
    return {"Authorization": f"Bearer {product.manage('shell', '-v', '0', '-c', made).split()[-1]}"}


def within(seconds: float, holds: Callable[[], Any], what: str) -> None:
    """It holds in time; asked all the while."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what


def person(product: Product) -> int:
    return int(product.sql("select tenant_id from tenants_alias where source = 'app' and ref = %s", USER)[0][0])


def tags(product: Product, who: int) -> set[str]:
    return {tag for (tag,) in product.sql("select tag from tenants_tenanttag where tenant_id = %s", who)}


def kitchen(product: Product, who: int) -> int:
    return int(product.sql("select kitchen_90 from tenants_feature where tenant_id = %s", who)[0][0])


def members(desk: Page, code: str, product: Product) -> str:
    pk = product.sql("select id from campaigns_segment where code = %s", code)[0][0]
    return desk.request.get(f"/admin/segment/{pk}/").text()


def test_a_booking_changes_the_features_the_tags_and_the_segment_within_five_seconds(
    product: Product, desk: Page
) -> None:
    who, sender = person(product), key(product, "segment")
    had = kitchen(product, who)
    assert had < 7

    def book(number: int) -> None:
        call: dict[str, Any] = {
            "messageId": f"fresh-{number}", "userId": USER, "event": "Facility Used",
            "properties": {"facility": "shared_kitchen"},
            "timestamp": (NOW - timedelta(days=number)).isoformat(),
        }  # fmt: skip
        assert requests.post(f"{product.url}/v1/track", json=call, headers=sender, timeout=10).status_code == 200

    for number in range(1, 8 - had):
        book(number)
    within(30, lambda: kitchen(product, who) == 7, "the first bookings")
    assert "kitchen_regular" not in tags(product, who)
    assert "何静" not in members(desk, "social", product)

    book(30)
    within(
        SOON,
        lambda: (
            kitchen(product, who) == 8
            and tags(product, who) >= {"kitchen_regular", "social"}
            and "何静" in members(desk, "social", product)
        ),
        "the eighth booking",
    )
    desk.goto(f"/admin/tenant/{who}/")
    ((at,),) = product.sql(
        "select to_char(computed_at at time zone 'Asia/Shanghai', 'YYYY-MM-DD HH24:MI:SS') from tenants_feature"
        " where tenant_id = %s",
        who,
    )
    expect(desk.locator("#computed")).to_have_text(f"指标与标签计算于 {at}")
    expect(desk.locator("#behind")).to_have_count(0)


def test_tickets_of_another_system_make_a_tag_and_a_member_within_five_seconds(product: Product, desk: Page) -> None:
    who, sender = person(product), key(product, "cloudevents")
    ((unit,),) = product.sql(
        "select u.code from tenants_lease l join tenants_leasetenant t on t.lease_id = l.id join tenants_unit u"
        " on u.id = l.unit_id where t.tenant_id = %s order by l.last_day desc limit 1",
        who,
    )

    def report(number: int) -> None:
        # At eleven at night, some days apart: parcels that were put into the wrong locker.
        event: dict[str, Any] = {
            "specversion": "1.0", "id": f"p{number}", "source": "/tickets", "type": "ticket.reported",
            "time": (NOW - timedelta(days=10 * number, hours=11)).isoformat(), "where": f"unit:{unit}",
            "data": {"ticket": f"F-{number}", "category": "parcel", "channel": "desk", "text": "快递放错柜"},
        }  # fmt: skip
        answer = requests.post(
            f"{product.url}/api/events",
            json=event,
            headers={**sender, "Content-Type": "application/cloudevents+json"},
            timeout=10,
        )
        assert answer.status_code == 202

    assert not tags(product, who) & {"parcel_misplaced", "night_sensitive"}
    report(1)
    within(SOON, lambda: "parcel_misplaced" in tags(product, who), "the first parcel")
    report(2)
    # Its rule reads events themselves: at once, whatever is computed later.
    within(SOON, lambda: "何静" in members(desk, "parcels", product), "the second parcel")
    report(3)
    within(
        SOON,
        lambda: "night_sensitive" in tags(product, who) and "何静" in members(desk, "night", product),
        "the third night",
    )
