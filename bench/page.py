"""The letter as a phone and a server meet it: requests a second beside a trivial view, bytes, paint, and shift.

The product and the trivial view (bench/trivial.py) are each served by gunicorn with the demo's options and asked by
turns, by the same senders on the same two cores; what the senders cost stands in both rates. The letters are the
sample's. What a phone pays is seen by Chromium with a slow 4G line (150 ms, 1.6 Mbit/s) and a processor slowed four
times, nothing cached.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from http.client import HTTPConnection
from itertools import cycle, islice
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management import call_command

from bench.figures import Figure, figure
from bench.http import served
from renewal import cases, loading, proposals
from renewal.models import Proposal
from tenants import clock, features, links
from workorders import intake

KEYS = (
    "page.cover.of_trivial_view",
    "page.proposal.of_trivial_view",
    "page.quote_p95_ms",
    "page.first_view_kb",
    "page.largest_paint_ms",
    "page.layout_shift",
)
TODAY = date(2025, 12, 1)  # the sample's
SHELVES = {
    "units": "units.csv",
    "staff": "staff.csv",
    "rates": "rates.csv",
    "contracts": "contracts.xlsx",
    "consents": "consents.csv",
    "bills": "bills.csv",
    "payments": "payments.csv",
    "tickets": "tickets.csv",
    "community": "community.csv",
    "app": "app.jsonl",
}
RUNS, REQUESTS, SENDERS = 5, 600, 4
TERMS = (6, 12, 24)
NO_LIMITS = {"H5_LOOKS_PER_LINK": "1000000", "H5_LOOKS_PER_ADDRESS": "1000000"}
SLOW_4G = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
SLOWER = 4
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 3, "is_mobile": True, "has_touch": True}


def run() -> dict[str, Figure]:
    with TemporaryDirectory() as name:
        tokens = _letters(Path(name))
        os.environ.update(NO_LIMITS)  # the senders are one address that looks at a few letters hundreds of times
        with served("renewal.wsgi", Path(name)) as ours, served("bench.trivial:application", Path(name)) as trivial:
            # A letter is opened on one device: those that Chromium opens are not asked for by the senders. They come
            # first, so that every worker has loaded what it needs when a phone looks.
            rates = _rates(ours, trivial, tokens[RUNS:])
            return _paints(f"http://127.0.0.1:{ours}", tokens[:RUNS]) | rates


def _letters(folder: Path) -> list[str]:
    """Links to the letters of a house of 150 rooms."""
    call_command("sample", str(folder), "--rooms", "150")
    clock.set_to(clock.at(TODAY, 10))
    now = clock.now()
    for source, file in SHELVES.items():
        loading.load(source, folder / file, now=now)
    intake.take(now=now)
    features.refresh(today=TODAY, now=now)
    cases.open_due(today=TODAY, now=now)
    proposals.prepare(today=TODAY, now=now)
    found = Proposal.objects.filter(lease__last_day__gt=TODAY).select_related("lease", "tenant").order_by("pk")
    return [
        links.mint(
            f"bench:{letter.pk}",
            tenant=letter.tenant,
            lease=letter.lease,
            purpose="proposal",
            expires_at=links.expiry(letter.lease, now=now),
            now=now,
        )[1]
        for letter in found
    ]


# --- Requests a second ------------------------------------------------------------------------------------


def _rates(ours: int, trivial: int, tokens: Sequence[str]) -> dict[str, Figure]:
    browsers = [_opened(ours, token) for token in tokens]
    asked: dict[str, tuple[int, list[bytes]]] = {
        "trivial": (trivial, [_get("/")]),
        "cover": (ours, [_get(f"/r/{token}") for token in tokens]),
        "proposal": (ours, [_get("/r/letter/", cookie) for cookie, _field in browsers]),
        "quote": (ours, [_slide(term, cookie, field) for cookie, field in browsers for term in TERMS]),
    }
    for port, requests in asked.values():  # every worker has loaded what it needs
        _ask(port, list(islice(cycle(requests), 60)))
    rates: dict[str, list[float]] = {name: [] for name in asked}
    slowest: dict[str, list[float]] = {name: [] for name in asked}
    quotes: list[float] = []
    for _run in range(RUNS):
        for name, (port, requests) in asked.items():
            started = time.perf_counter()
            took = _ask(port, list(islice(cycle(requests), REQUESTS)))
            rates[name].append(REQUESTS / (time.perf_counter() - started))
            slowest[name].append(quantiles(took, n=100)[98] * 1000)
            if name == "quote":
                quotes.append(quantiles(took, n=20)[18] * 1000)
    of_quote = {"per_s": [round(rate) for rate in rates["quote"]], "p99_ms": [round(ms, 1) for ms in slowest["quote"]]}
    return {"page.quote_p95_ms": figure(quotes, "ms", **of_quote, letters=len(tokens), senders=SENDERS)} | {
        f"page.{name}.of_trivial_view": figure(
            [our / their for our, their in zip(rates[name], rates["trivial"], strict=True)],
            "ratio",
            per_s=[round(rate) for rate in rates[name]],
            trivial_per_s=[round(rate) for rate in rates["trivial"]],
            p99_ms=[round(ms, 1) for ms in slowest[name]],
            trivial_p99_ms=[round(ms, 1) for ms in slowest["trivial"]],
            letters=len(tokens),
            senders=SENDERS,
        )
        for name in ("cover", "proposal")
    }


def _opened(port: int, token: str) -> tuple[str, str]:
    """The cookies of a browser that has opened this letter, as its form does, and the token of its forms."""
    with closing(HTTPConnection("127.0.0.1", port)) as cover:
        cover.request("GET", f"/r/{token}")
        answer = cover.getresponse()
        page = answer.read().decode()
        cookie = next(value for key, value in answer.getheaders() if key == "Set-Cookie").split(";")[0]
    field = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    with closing(HTTPConnection("127.0.0.1", port)) as form:
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        form.request("POST", f"/r/{token}/open", f"gesture=1&csrfmiddlewaretoken={field}", headers)
        answer = form.getresponse()
        answer.read()
        assert answer.status == 303, answer.status
        session = next(value for key, value in answer.getheaders() if key == "Set-Cookie" and "session" in value)
    return f"{cookie}; {session.split(';')[0]}", field


def _get(path: str, cookie: str = "") -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Accept-Language: zh-CN"]
    lines += [f"Cookie: {cookie}"] if cookie else []
    return "\r\n".join([*lines, "", ""]).encode()


def _slide(term: int, cookie: str, field: str) -> bytes:
    """A move of the slider, as the page's script asks for its price."""
    body = f"term={term}&free=0&csrfmiddlewaretoken={field}"
    lines = ["POST /r/letter/quote HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Accept: application/json"]
    lines += [f"Cookie: {cookie}", "Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body]).encode()


def _ask(port: int, requests: Sequence[bytes]) -> list[float]:
    """The seconds each request took; every one must be answered with 200."""

    def one(request: bytes) -> float:
        started = time.perf_counter()
        with closing(socket.create_connection(("127.0.0.1", port))) as line:
            line.sendall(request)
            head = line.recv(65_536)
            assert head.startswith(b"HTTP/1.1 200"), head[:200]
            while line.recv(65_536):
                pass
        return time.perf_counter() - started

    with ThreadPoolExecutor(SENDERS) as pool:
        return list(pool.map(one, requests))


# --- On a phone -------------------------------------------------------------------------------------------

WATCH = """
window.seen = {paint: 0, shift: 0};
new PerformanceObserver(all => all.getEntries().forEach(one => { seen.paint = one.startTime }))
  .observe({type: 'largest-contentful-paint', buffered: true});
new PerformanceObserver(all => all.getEntries().forEach(one => { if (!one.hadRecentInput) seen.shift += one.value }))
  .observe({type: 'layout-shift', buffered: true});
"""


def _paints(site: str, tokens: Sequence[str]) -> dict[str, Figure]:
    from playwright.sync_api import sync_playwright

    seen: dict[str, list[dict[str, float]]] = {"cover": [], "letter": []}
    foreign: set[str] = set()
    with sync_playwright() as play:
        path = next(filter(os.path.exists, ("/usr/bin/chromium", "/usr/bin/google-chrome")), None)
        browser = play.chromium.launch(executable_path=path)
        with closing(browser.new_context(**PHONE)) as first:  # type: ignore[arg-type]
            first.new_page().goto(f"{site}/r/")  # the browser itself has started; what it fetched goes with the context
        for token in tokens:
            context = browser.new_context(**PHONE, locale="zh-CN")  # type: ignore[arg-type]
            page = context.new_page()
            wire = context.new_cdp_session(page)
            wire.send("Network.enable")
            wire.send("Network.emulateNetworkConditions", SLOW_4G)
            wire.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
            loaded = {"bytes": 0.0}
            wire.on("Network.loadingFinished", lambda one, loaded=loaded: _add(loaded, one["encodedDataLength"]))
            page.on("request", lambda one: foreign.add(one.url) if not one.url.startswith((site, "data:")) else None)
            page.add_init_script(WATCH)
            page.goto(f"{site}/r/{token}", wait_until="networkidle")
            seen["cover"].append(_seen(page, loaded))
            loaded["bytes"] = 0
            page.locator("form[action$='/open'] button").tap()
            page.wait_for_url("**/r/letter/", wait_until="networkidle")
            seen["letter"].append(_seen(page, loaded))
            context.close()
        browser.close()
    assert not foreign, foreign  # nothing comes from anywhere else
    facts = {"latency_ms": 150, "mbit_s": 1.6, "processor_slowed": SLOWER}

    def of(name: str, unit: str, say: Callable[[float], float] = lambda number: number) -> Figure:
        detail = {"letter": [round(say(one[name]), 3) for one in seen["letter"]], **facts}
        return figure([say(one[name]) for one in seen["cover"]], unit, **detail)

    return {
        "page.first_view_kb": of("bytes", "kB", lambda number: number / 1000),
        "page.largest_paint_ms": of("paint", "ms"),
        "page.layout_shift": of("shift", "score"),
    }


def _add(loaded: dict[str, float], number: float) -> None:
    loaded["bytes"] += number


def _seen(page: Any, loaded: dict[str, float]) -> dict[str, float]:
    return {**page.evaluate("seen"), "bytes": loaded["bytes"]}
