"""What holds for every test; where they run is decided in tests/environment.py."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from django.conf import settings as settings_of_django
from django.core.cache import caches
from django.utils import translation
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

from tests.browser import ARGUMENTS, chromium_path

# The same examples in every run, so that whether a change may land is no question of chance;
# `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("steady", derandomize=True, print_blob=True)
settings.register_profile("explore", print_blob=True)
settings.load_profile("steady")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long end-to-end tests last, so that a broken part is named before the whole."""
    items.sort(key=lambda item: "test_e2e" in item.nodeid)
    # Of a name only one test is run where several processes share them, and nobody is told.
    twice = [nodeid for nodeid, count in Counter(item.nodeid for item in items).items() if count > 1]
    assert not twice, f"several tests are called {twice[0]}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """CI refuses any skip: what it cannot run is a failure there."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _nobody_has_looked() -> None:
    """All tests ask from one address: what earlier ones looked at is not theirs (renewal/throttles.py)."""
    if settings_of_django.CACHES["counters"]["BACKEND"].endswith("LocMemCache"):
        caches["counters"].clear()


@pytest.fixture(autouse=True)
def _first_language() -> None:
    """A page asked for in English leaves its thread in English: every test begins in the language of the house."""
    translation.deactivate()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What is missing here is said once for all the tests that need it."""
    left_out = Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    )
    for reason, tests in sorted(left_out.items()):
        terminalreporter.write_line(f"Left out, {tests}: {reason}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = chromium_path()
    if path is None:
        pytest.skip("Chromium was not found")
    # Playwright keeps an event loop in this thread, and Django would refuse to query beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
