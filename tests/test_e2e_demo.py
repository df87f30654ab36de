"""The demo starts, stops and comes back, however it was ended."""

from __future__ import annotations

import re
import signal
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.product import Product


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    product = Product(rooms=24).start()
    yield product
    product.close()


def names(product: Product) -> set[str]:
    """Which of the product's processes run."""
    lines = [" ".join(process.cmdline()) for process in product.processes()]
    kinds = {"gunicorn": "web", "celery -A renewal -q worker": "worker", "beat": "beat", "postgres": "postgres"}
    return {name for part, name in kinds.items() for line in lines if part in line}


def everything(product: Product) -> set[str]:
    return {"web", "worker", "beat"} | (set() if product.server else {"postgres"})


def test_it_says_where_to_look_and_those_pages_answer(product: Product) -> None:
    addresses = re.findall(r"http://127\.0\.0\.1:\d+/\S*", product.printed)
    assert len(addresses) == 2
    for address in addresses:
        with urllib.request.urlopen(address) as page:
            assert page.status == 200
    assert "login demo, password demo" in product.printed
    assert product.sql("select username from tenants_user where is_superuser order by 1") == [("demo",), ("demo2",)]


def test_the_next_day_is_run_by_a_worker_at_a_press(product: Product, chromium: Browser) -> None:
    page = chromium.new_page(base_url=product.url, locale="zh-CN", viewport={"width": 1440, "height": 900})
    page.goto("/admin/")
    page.fill("input[name=username]", "demo")
    page.fill("input[name=password]", "demo")
    page.click("button[type=submit]")
    expect(page.locator(".demo-bar__now")).to_contain_text("2025-12-01")
    page.get_by_role("button", name="下一天").click()
    expect(page.locator(".demo-bar__now")).to_contain_text("2025-12-02", timeout=60_000)
    expect(page.get_by_role("button", name="下一天")).to_be_enabled(timeout=60_000)
    assert product.sql("select finished_at is not null from tenants_jobrun where period = '2025-12-02'") == [(True,)]
    page.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_everything_it_started_and_comes_back_with_its_data(product: Product, how: int) -> None:
    leases = product.sql("select count(*) from tenants_lease")
    if product.process.poll() is not None:
        product.start()
    assert names(product) == everything(product)
    assert product.stop(how) == 0
    assert names(product) == set()
    product.start(timeout=60)
    assert "Loading" not in product.printed
    assert product.sql("select count(*) from tenants_lease") == leases


def test_after_a_kill_the_next_start_ends_what_was_left(product: Product) -> None:
    left = {process.pid for process in product.processes() if "postgres" not in process.name()}
    product.stop(signal.SIGKILL)
    assert left & {process.pid for process in product.processes()}, "nothing was left, so this test shows nothing"
    product.start(timeout=60)
    assert not left & {process.pid for process in product.processes()}
    assert "that an earlier demo left running" in product.printed
    assert names(product) == everything(product)


def test_a_second_demo_of_the_port_is_refused_in_one_sentence(product: Product) -> None:
    other = Product(rooms=24)
    other.command[2] = str(product.port)
    with pytest.raises(AssertionError, match=r"Port \d+ is in use"):
        other.start(timeout=60)
    other.close()
