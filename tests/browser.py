"""A real Chromium, as a phone with a thumb."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "locale": "zh-CN",
}


def chromium_path() -> str | None:
    """Where a Chromium is, if there is one."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    try:
        with sync_playwright() as playwright:
            own = playwright.chromium.executable_path
    except Exception:  # the driver raises nothing narrower where it cannot run, as without libatomic
        return None
    return own if Path(own).exists() else None


def drag(page: Page, selector: str, *, to: float) -> None:
    """A finger moves the slider's thumb to that share of its way."""
    slider = page.locator(selector)
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box
    share = page.evaluate(
        "s => { const r = document.querySelector(s); return (r.value - r.min) / (r.max - r.min) }", selector
    )
    y = box["y"] + box["height"] / 2
    start, end = (box["x"] + 14 + (box["width"] - 28) * each for each in (share, to))
    finger = page.context.new_cdp_session(page)
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": start, "y": y}]})
    for step in range(1, 11):
        x = start + (end - start) * step / 10
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
