"""Scanning a voucher at the front desk, in a real Chromium whose camera plays a film of a QR code.

Reading the code is the platform's part (`BarcodeDetector`), and Chromium on Linux has none: a stand-in takes its place,
which sees what the camera shows, frame by frame, and knows a few drawings. All else is the page's own.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import segno
from django.contrib.auth.hashers import make_password
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tenants import catalogue, clock, vouchers
from tenants.models import Grant
from tests.browser import ARGUMENTS, chromium_path
from tests.makers import NOW, make_user
from tests.test_vouchers_page import DESK, voucher

pytestmark = pytest.mark.django_db(transaction=True)

WIDTH, HEIGHT, DOT = 640, 480, 9  # pixels
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
NONE_HERE = "delete window.BarcodeDetector"
NO_QR = "window.BarcodeDetector = class { static async getSupportedFormats() { return ['ean_13'] } }"
SEES = """window.BarcodeDetector = class {
  static async getSupportedFormats() { return ['qr_code'] }
  async detect(picture) {
    const frame = document.createElement('canvas');
    [frame.width, frame.height] = [picture.videoWidth, picture.videoHeight];
    if (!frame.width) return [];
    frame.getContext('2d').drawImage(picture, 0, 0);
    const text = await window.whatIsOn(frame.toDataURL('image/png'));
    return text ? [{rawValue: text, format: 'qr_code'}] : [];
  }
}"""
SAYS_NONE = "这个浏览器不能直接扫码"


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning_and_the_catalogue_is_there(db: None) -> None:
    clock.set_to(NOW)
    catalogue.ship()


def drawn(text: str) -> Image.Image:
    """A frame with the QR code of a text in its middle, as a voucher's page shows it; of none an empty one."""
    frame = Image.new("L", (WIDTH, HEIGHT), 255)
    if text:
        held = io.BytesIO()
        segno.make(text, error="m", micro=False).save(held, kind="png", scale=DOT, border=4)
        code = Image.open(held).convert("L")
        frame.paste(code, ((WIDTH - code.width) // 2, (HEIGHT - code.height) // 2))
    return frame


def film(path: Path, text: str) -> Path:
    """A few seconds of it, as the fake camera plays them: JPEG pictures, one after the other."""
    with path.open("wb") as file:
        for _frame in range(30):
            drawn(text).convert("RGB").save(file, "JPEG", quality=85)
    return path


def reader(*known: str) -> Callable[[str], str]:
    """What tells which of the known texts a frame shows: light and dark agree wherever the drawing has them."""
    drawings = {text: drawn(text).point(lambda grey: 255 * (grey > 127)) for text in known}

    def read(address: str) -> str:
        seen = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("L")
        seen = seen.resize((WIDTH, HEIGHT)).point(lambda grey: 255 * (grey > 127))
        for text, drawing in drawings.items():
            other = sum(a != b for a, b in zip(seen.tobytes(), drawing.tobytes(), strict=True))
            if other < WIDTH * HEIGHT // 50:  # another code differs in a fifth
                return text
        return ""

    return read


@pytest.fixture
def desk(chromium: Browser, live_server: Any, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """The front desk in a browser: what its camera shows, and what the platform reads QR codes by."""
    open_browsers = []

    def at(shows: str | None, platform: str, *known: str) -> Page:
        camera = (
            [] if shows is None else [*CAMERA, f"--use-file-for-fake-video-capture={film(tmp_path / 'a.mjpeg', shows)}"]
        )
        browser = chromium.browser_type.launch(executable_path=chromium_path(), args=[*ARGUMENTS, *camera])
        open_browsers.append(browser)
        page = browser.new_page(base_url=live_server.url, locale="zh-CN", viewport={"width": 390, "height": 844})
        page.expose_function("whatIsOn", reader(*known))
        page.add_init_script(platform)
        make_user("chief", is_superuser=True, password=make_password("chief"))
        page.goto(DESK)
        page.fill("input[name=username]", "chief")
        page.fill("input[name=password]", "chief")
        page.click("button[type=submit]")
        expect(page.get_by_label("券码")).to_be_visible()
        return page

    yield at
    for browser in open_browsers:
        browser.close()


def address_of(grant: Grant) -> str:
    return f"https://staff.example{DESK}?code={vouchers.code_of(grant)}"


def type_it(page: Page, grant: Grant) -> None:
    page.get_by_label("券码").fill(vouchers.code_of(grant))
    page.get_by_role("button", name="查询").click()
    expect(page.locator("#answer")).to_have_text("保洁一次：可以核销")


def test_what_the_camera_sees_is_looked_up_and_one_more_press_redeems_it(desk: Callable[..., Page]) -> None:
    grant, other = voucher(), voucher()
    page = desk(address_of(grant), SEES, address_of(other), address_of(grant))
    page.get_by_role("button", name="用摄像头扫码").click()
    expect(page.locator("#answer")).to_have_text("保洁一次：可以核销")
    expect(page.locator(".voucher code")).to_have_text(vouchers.code_of(grant))
    assert not Grant.objects.filter(kind="redeemed").exists(), "to scan is to look"
    page.get_by_role("button", name="核销").click()
    expect(page.locator("#answer")).to_contain_text(re.compile("保洁一次：已于 .* 核销"))
    assert [line.of_id for line in Grant.objects.filter(kind="redeemed")] == [grant.pk]


def test_a_code_of_something_else_is_said_to_be_none(desk: Callable[..., Page]) -> None:
    wifi = "WIFI:T:WPA;S:lobby;P:12345678;;"
    page = desk(wifi, SEES, wifi)
    page.get_by_role("button", name="用摄像头扫码").click()
    expect(page.locator("#fault")).to_be_visible()
    expect(page.get_by_label("券码")).to_have_value(wifi)


def test_a_camera_that_sees_no_code_goes_on_looking_until_it_is_stopped(desk: Callable[..., Page]) -> None:
    grant = voucher()
    page = desk("", SEES, address_of(grant))
    picture, button = page.locator("video"), page.get_by_role("button", name="用摄像头扫码")
    button.click()
    expect(picture).to_be_visible()
    page.wait_for_function("document.querySelector('video').currentTime > 1")
    assert page.evaluate("document.querySelector('video').srcObject.active")
    button.click()
    expect(picture).to_be_hidden()
    assert not page.evaluate("document.querySelector('video').srcObject.active"), "its light is off"
    type_it(page, grant)


def test_without_a_camera_it_says_so_and_typing_works(desk: Callable[..., Page]) -> None:
    grant = voucher()
    page = desk(None, SEES, address_of(grant))
    page.get_by_role("button", name="用摄像头扫码").click()
    expect(page.get_by_role("alert")).to_have_text("这里不能使用摄像头，请手动输入券码。")
    expect(page.locator("video")).to_be_hidden()
    type_it(page, grant)


@pytest.mark.parametrize("platform", [NONE_HERE, NO_QR])
def test_a_browser_that_reads_no_codes_says_so_and_typing_works(desk: Callable[..., Page], platform: str) -> None:
    grant = voucher()
    page = desk(address_of(grant), platform)
    expect(page.get_by_text(SAYS_NONE)).to_be_visible()
    expect(page.get_by_role("button", name="用摄像头扫码")).to_be_hidden()
    type_it(page, grant)


def test_where_it_can_scan_it_does_not_say_that_it_cannot(desk: Callable[..., Page]) -> None:
    page = desk("", SEES)
    expect(page.get_by_role("button", name="用摄像头扫码")).to_be_visible()
    expect(page.get_by_text(SAYS_NONE)).to_be_hidden()
