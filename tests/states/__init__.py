"""What leads to each page a tenant may meet: a way to it, taken on a phone, and what its first heading says.

Many states come after another one; then the way begins where that one ended, and one visit sees both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from renewal.models import Case
from tenants.models import Link


@dataclass
class Visit:
    """A tenant with a letter, and the browser on their phone; `settings` hold for this visit only."""

    page: Page
    link: Link
    token: str
    settings: Any

    def open(self, token: str = "", *, to: str = "") -> None:
        """The cover is tapped; it leads to the letter, or to the page under it that is named."""
        self.page.goto(f"/r/{token or self.token}")
        self.page.get_by_role("button", name="打开").tap()
        self.page.wait_for_url(f"**/r/letter/{to}")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).tap()

    def agree(self) -> None:
        self.open()
        self.press("去确认")
        self.page.wait_for_url("**/r/letter/agreement")

    def ask_code(self) -> None:
        self.agree()
        self.send_code("code")

    def send_code(self, to: str) -> None:
        """The terms are agreed to, and a code is on its way."""
        self.page.get_by_role("checkbox").tap()
        self.press("获取验证码")
        self.page.wait_for_url(f"**/r/letter/{to}")

    def sign(self, digits: str) -> None:
        self.page.locator("#code").fill("")
        self.page.locator("#code").press_sequentially(digits)
        self.press("签署")

    def close(self, state: str) -> None:
        """The case has ended in this way; the link is still good."""
        Case.objects.filter(lease=self.link.lease).update(state=state)

    def back(self) -> None:
        """The letter, which is open, is looked at again."""
        self.page.goto("/r/letter/")


Way = Callable[[Visit], None]


@dataclass(frozen=True, slots=True)
class State:
    """The way to a page from that of another state (`after`), or from nowhere, and the page's first heading.

    What the picture is of, where it is not the whole page, is found by `part`.
    """

    way: Way
    heading: str
    after: str
    part: str


STATES: dict[str, State] = {}


def state(heading: str, *, after: Way | None = None, part: str = "") -> Callable[[Way], Way]:
    """The function leads to a state, which is called as it is."""

    def add(way: Way) -> Way:
        STATES[_name(way)] = State(way, heading, _name(after) if after else "", part)
        return way

    return add


def _name(way: Way) -> str:
    return way.__name__.replace("_", "-")


def walks() -> dict[str, list[tuple[str, bool]]]:
    """Every way to its end: that state's name → the states on the way, and whether an earlier walk has seen them."""
    seen: set[str] = set()
    found = {}
    for end in sorted(STATES.keys() - {each.after for each in STATES.values()}):
        names, name = [], end
        while name:
            names.append(name)
            name = STATES[name].after
        found[end] = [(each, each in seen) for each in reversed(names)]
        seen.update(names)
    return found
