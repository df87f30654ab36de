"""K1: 10,000 links are fetched by machines before and after people come; 500 people open theirs with a tap.

Machines fetch with GET and HEAD, as previews and prefetches, twice as messengers' scanners do; some post the form by
script, and some are headless browsers that run the page's scripts, press its button and submit its form. Exactly the
people's clicks are proven, no fetch leaves anything, and the posts of machines stand as a number of their own. The red
twin takes every post for a gesture.
"""

from __future__ import annotations

import logging
import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.test import Client
from django.test.testcases import LiveServerThread
from playwright.sync_api import Browser, sync_playwright

from renewal import letters
from tenants import clock, links
from tenants.models import Click, Link
from tests.browser import ARGUMENTS, PHONE, chromium_path
from tests.letter import make_letter
from tests.makers import NOW

LINKS, PEOPLE = 10_000, 500
OF_EACH = LINKS // PEOPLE  # links that one lease has: one a message
POSTING = 10  # one machine in so many posts the form by script
HEADLESS = 100  # one in so many is a browser
WECHAT = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 MicroMessenger/8.0.50"
OPENED = re.compile(r"/r/(?:letter/|confirm)$")  # the second, where somebody proven came before
MACHINE = Client(SERVER_NAME="127.0.0.1")
FETCHES: tuple[tuple[str, dict[str, str]], ...] = (
    ("GET", {"user-agent": "Mozilla/5.0 (compatible; Baiduspider/2.0)"}),
    ("HEAD", {"user-agent": WECHAT}),
    ("GET", {"user-agent": WECHAT, "sec-purpose": "prefetch"}),
    ("GET", {"user-agent": "Mozilla/4.0 (compatible; MSIE 6.0; TencentTraveler)"}),
    ("GET", {}),
)


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright keeps an event loop in this thread
    logging.getLogger("django").setLevel(logging.CRITICAL)
    clock.set_to(NOW)
    with served() as address, browser() as chromium:
        green = _campaign("green", seed, round(PEOPLE * share), address, chromium)
        with patch.object(letters, "open", _believing(letters.open)):
            red = _campaign("red", seed, max(3, round(PEOPLE * share / 20)), address, chromium)
    return {**green, "red": red}


def _believing(real: Any) -> Any:
    """The protection off: whoever posts is a person."""
    return lambda link, **facts: real(link, **{**facts, "trusted": True})


def _campaign(name: str, seed: int, people: int, address: str, chromium: Browser) -> dict[str, Any]:
    dice = random.Random(seed)
    mine = [_letters(f"{name}-{number}") for number in range(people)]
    every = [token for tokens in mine for token in tokens]
    for token in every:
        _fetch(token)
    ids = Link.objects.filter(carrier__startswith=f"{name}-").values("pk")
    after_fetches = Click.objects.filter(link__in=ids).count()
    posting = set(dice.sample(every, len(every) // POSTING))
    browsing = dice.sample(every, max(2, len(every) // HEADLESS))
    for token in posting:
        MACHINE.cookies.clear()
        MACHINE.post(f"/r/{token}/open", {"gesture": ""}, headers={"user-agent": WECHAT})
    _headless(browsing, address, chromium)
    taps = [dice.choice(tokens) for tokens in mine]
    _people(taps, address, chromium)
    for token in every:
        _fetch(token, FETCHES[:1])
    clicks = Click.objects.filter(link__in=ids)
    proven = set(clicks.filter(proven_at__isnull=False).values_list("link__token_hash", flat=True))
    counts = {
        "links": len(every),
        "fetches": (len(FETCHES) + 1) * len(every),
        "clicks left by fetches": after_fetches,
        "posted by script": len(posting),
        "headless browsers": len(browsing),
        "people": people,
        "proven": len(proven),
        "proven of others": len(proven - {links.hash_of(token) for token in taps}),
        "unproven, apart": clicks.filter(proven_at=None).count(),
    }
    machines = len((posting | set(browsing)) - set(taps))
    held = (after_fetches, counts["proven"], counts["proven of others"]) == (0, people, 0)
    return {"held": held and counts["unproven, apart"] == machines, "counts": counts}


def _letters(name: str) -> list[str]:
    """The links of one lease, a message each."""
    first, token = make_letter(carrier=f"{name}-0")
    wanted = [
        links.Wanted(f"{name}-{n}", first.tenant_id, first.lease_id, "proposal", NOW + timedelta(days=20))
        for n in range(1, OF_EACH)
    ]
    return [token, *links.mint_many(wanted, now=NOW)]


def _fetch(token: str, ways: tuple[tuple[str, dict[str, str]], ...] = FETCHES) -> None:
    for method, headers in ways:
        MACHINE.cookies.clear()
        answer = MACHINE.generic(method, f"/r/{token}", headers=headers)
        assert answer.status_code == 200, answer.status_code


def _headless(tokens: list[str], address: str, chromium: Browser) -> None:
    """Browsers that run scripts: they press the button and submit the form, but no finger is there."""
    for number, token in enumerate(tokens):
        context = chromium.new_context(base_url=address)
        page = context.new_page()
        page.goto(f"/r/{token}")
        with page.expect_navigation(url=OPENED):
            page.evaluate(
                "press => { const b = document.querySelector('.cover-open button');"
                " b.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }));"
                " if (press) b.click(); else b.form.submit() }",
                number % 2,
            )
        context.close()


def _people(tokens: list[str], address: str, chromium: Browser) -> None:
    context = chromium.new_context(**PHONE, base_url=address)
    page = context.new_page()
    for token in tokens:
        context.clear_cookies()  # somebody else, with the style sheets at hand
        page.goto(f"/r/{token}")
        page.get_by_role("button", name="打开").tap()
        page.wait_for_url(OPENED)
    context.close()


@contextmanager
def served() -> Iterator[str]:
    """The house on a port of its own."""
    server = LiveServerThread("127.0.0.1", StaticFilesHandler)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    if server.error:
        raise server.error
    yield f"http://127.0.0.1:{server.port}"
    server.terminate()


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        yield chromium
        chromium.close()
