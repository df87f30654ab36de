"""The widget and the frame on a partner's page, in Chromium: who may, how it behaves there, and whom it asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from campaigns.models import TouchpointDay
from tenants import clock
from tests.browser import PHONE
from tests.makers import NOW, make_building
from tests.touch import make_touchpoint

pytestmark = pytest.mark.django_db(transaction=True)

# The partner's page allows its own styles and our host only, as a careful one would.
SHOP = """<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>丰柜</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'self'; style-src 'self';
 script-src {host}; connect-src {host}; frame-src {host}; require-trusted-types-for 'script'">
{head}</head><body><h1>取件成功</h1>{body}<p>下面还有别的</p></body></html>"""
WIDGET = '<script src="{host}/t/locker/widget.js" {how}></script>'
PLACE = '<div data-touchpoint="locker" data-at="B1"></div>'
FRAME = (
    '<iframe src="{host}/t/locker?at=B1" title="续租信" width="360" height="150" '
    'sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>'
)


class Shop(ThreadingHTTPServer):
    """Somebody else's web server on loopback: pages by their path."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                said = shop.pages.get(self.path, "").encode()
                self.send_response(200 if said else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_said: Any) -> None:
                """Says nothing."""

        super().__init__(("127.0.0.1", 0), Handler)

    def address(self, name: str = "127.0.0.1") -> str:
        return f"http://{name}:{self.server_port}"


@pytest.fixture
def shop() -> Iterator[Shop]:
    server = Shop()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(**PHONE, reduced_motion="reduce", user_agent="Mozilla/5.0 MicroMessenger/8.0")
    yield context.new_page()
    context.close()


def test_the_card_stands_on_a_partners_page_and_the_frame_on_an_allowed_one(
    page: Page, live_server: Any, shop: Shop
) -> None:
    clock.set_to(NOW)
    make_building("B1")
    make_touchpoint("locker", building="", origins=shop.address())
    host = live_server.url

    def written(head: str = "", body: str = "") -> str:
        return SHOP.format(host=host, head=head.format(host=host, how=""), body=body.format(host=host, how=""))

    shop.pages = {
        "/favicon.ico": "-",
        "/twice": written(body=PLACE + WIDGET + WIDGET),
        "/again": written(body=WIDGET + WIDGET),
        "/head": written(head=WIDGET + WIDGET),
        "/here": written(body=WIDGET),
        "/frame": written(body=FRAME),
        "/ticket": written(
            body='<div data-touchpoint="locker" data-link="https://evil.example/r/once/x"></div>' + WIDGET
        ),
    }
    asked: list[str] = []
    faults: list[str] = []

    def watch(page: Page) -> Page:
        page.on("request", lambda request: asked.append(request.url))
        # Playwright's own script is what a sandboxed frame refuses to run; of ours there is none.
        page.on(
            "console",
            lambda said: faults.append(said.text) if said.type == "error" and "sandboxed" not in said.text else None,
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        return page

    watch(page)
    page.add_init_script(
        "window.before = Object.keys(window).length; window.moved = 0;"
        "new PerformanceObserver(l => l.getEntries().forEach(e => { window.moved += e.value }))"
        ".observe({ type: 'layout-shift', buffered: true })"
    )
    cards = page.get_by_role("link", name="租约快到期了？您的信在这里 用租约上的手机号打开 看我的信")

    for path in ("/twice", "/again", "/head", "/here"):
        page.goto(shop.address() + path)
        expect(cards).to_have_count(1)
    expect(cards).to_be_visible()
    box = cards.bounding_box()
    assert box
    assert box["height"] >= 112
    page.wait_for_timeout(50)  # a shift would be told by now
    assert page.evaluate("[window.moved, Object.keys(window).length - window.before]") == [0, 2]  # both are the test's
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontFamily") != "PingFang SC"

    # By keyboard, with the way to the door behind it.
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.tagName") == "A"
    with page.context.expect_page() as opened:
        page.keyboard.press("Enter")
    opened.value.wait_for_load_state()
    assert opened.value.url == f"{host}/r/?from=locker"
    expect(opened.value.get_by_label("手机号")).to_be_visible()
    opened.value.close()

    page.goto(shop.address() + "/ticket")
    assert cards.get_attribute("href") == f"{host}/r/?from=locker"

    # The frame: on the allowed origin it shows, on the other one nothing of ours is there.
    page = watch(page.context.new_page())
    page.goto(shop.address() + "/frame")
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("link", name="看我的信")).to_be_visible()
    assert inside.locator("main").evaluate("e => getComputedStyle(e.firstElementChild).minHeight") == "112px"
    with page.context.expect_page() as opened:
        inside.get_by_role("link", name="看我的信").tap()
    opened.value.wait_for_load_state()
    assert opened.value.url == f"{host}/r/?from=locker&at=B1"
    opened.value.close()
    assert faults == [], faults

    page.goto(shop.address("localhost") + "/frame")
    expect(page.locator("h1")).to_be_visible()
    assert any("frame-ancestors" in fault for fault in faults)
    assert [frame.url for frame in page.frames[1:]] == ["chrome-error://chromewebdata/"]

    hosts = {urlsplit(url).netloc for url in asked if url.startswith("http")}
    assert hosts == {urlsplit(host).netloc, urlsplit(shop.address()).netloc, urlsplit(shop.address("localhost")).netloc}
    rows = TouchpointDay.objects.order_by("building__code").values_list("building__code", "opened", "machines")
    assert list(rows) == [("B1", 1, 0), (None, 1, 0)]
    assert sum(TouchpointDay.objects.values_list("shown", flat=True)) > 0
