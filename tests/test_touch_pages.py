"""Touchpoints in public: what they say and do not, who may frame them, what is counted, and who is told apart."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from campaigns import placing, touchpoints
from campaigns.models import TouchpointDay
from renewal import visitors
from tenants import clock
from tenants.models import Click
from tests.letter import digits_of, make_letter, rows
from tests.makers import NOW, TODAY, make_building, make_tenant, make_unit
from tests.touch import make_touchpoint

pytestmark = pytest.mark.django_db

PERSON = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 MicroMessenger/8.0.50"


@pytest.fixture(autouse=True)
def _today() -> None:
    clock.set_to(NOW)


def get(address: str, **headers: str) -> Any:
    return Client().get(address, headers={"user-agent": PERSON, **headers})


def counted() -> list[tuple[Any, ...]]:
    told = TouchpointDay.objects.order_by("touchpoint__code", "building__code")
    return list(told.values_list("touchpoint__code", "building__code", "shown", "opened", "machines"))


def card_of(answer: Any) -> dict[str, Any]:
    """What a served widget was given to say."""
    return json.loads(re.search(r"\}\)\((\{.*\})\);$", answer.content.decode()).group(1))  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["lift", "locker", "payment", "bill", "app"])
def test_a_page_says_nothing_about_anybody_sets_no_cookie_and_names_who_may_frame_it(kind: str) -> None:
    tenant = make_tenant("欧阳海棠")
    make_letter(tenant=tenant, unit=make_unit("B1-0301A", make_building("B1")))
    make_touchpoint("here", kind=kind, building="B1", origins="https://pay.example\nhttps://*.box.example")
    before = rows()
    answer = get("/t/here", **{"accept-language": "en"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "欧阳海棠" not in page
    assert tenant.phone not in page
    assert ("租约快到期了？您的信在这里" in page, "<script" in page, "<form" in page) == (True, False, False)
    assert not answer.cookies
    assert "X-Frame-Options" not in answer.headers
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors https://pay.example https://*.box.example"
    )
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == (
        "private, max-age=300",
        "no-referrer",
    )
    assert (answer.headers["Content-Language"], 'lang="zh-hans"' in page) == ("zh-hans", True)
    # On a screen there is a code to scan and nothing to touch.
    assert ("<svg" in page, 'href="/r/?from=here"' in page) == (kind in {"lift", "bill"}, kind != "lift")
    assert rows() == before
    assert Client().post("/t/here").status_code == 405


def test_an_unknown_code_and_a_paused_one_get_the_same_quiet_page() -> None:
    one = make_touchpoint("locker", origins="https://box.example")
    touchpoints.pause(one.pk, why="柜体维修", by=None, now=NOW)
    unknown, paused = get("/t/nothing"), get("/t/locker")
    assert (unknown.status_code, paused.status_code) == (404, 410)
    assert unknown.content == paused.content
    assert "这里暂时没有内容" in unknown.content.decode()
    assert "柜体维修" not in paused.content.decode()
    assert unknown.headers["Content-Security-Policy"].endswith("frame-ancestors 'none'")
    assert get("/t/" + "x" * 300).status_code == 404
    script = get("/t/locker/widget.js")
    assert (script.status_code, card_of(script)["shown"]) == (200, False)
    assert (get("/t/nothing/widget.js").status_code, get("/t/nothing/widget.js").content) == (404, b"")
    assert Client().post("/t/nothing/shown", headers={"user-agent": PERSON}).status_code == 204
    assert counted() == []


def test_the_widget_is_one_small_file_of_its_own_that_anybody_may_keep_for_minutes() -> None:
    make_building("B1")
    one = make_touchpoint("locker", building="B1", line="a\u2028b")
    answer = get("/t/locker/widget.js")
    script = answer.content.decode()
    assert len(answer.content) < 12 * 1024
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert (answer.headers["Cache-Control"], answer.headers["Cross-Origin-Resource-Policy"]) == (
        "public, max-age=300", "cross-origin",
    )  # fmt: skip
    assert not answer.cookies
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert script.isascii()
    assert "http" not in script  # it knows its host by its own address, and no other
    assert (card_of(answer)["title"], card_of(answer)["only"]) == (one.title, None)
    again = get("/t/locker/widget.js", **{"if-none-match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    clock.set_to(clock.at(TODAY, 23, 59) + timedelta(seconds=30))
    assert get("/t/locker/widget.js").headers["Cache-Control"] in {"public, max-age=29", "public, max-age=30"}


def test_a_drawn_day_is_kept_by_page_and_widget_alike() -> None:
    for code in ("B1", "B2", "B3"):
        make_building(code)
    one, lift = make_touchpoint("app", kind="app"), make_touchpoint("lift", kind="lift", building="B1")
    for each in (one, lift):
        touchpoints.draw(each.pk, first_day=TODAY, seed="s", by=None, now=NOW)
    for ahead in range(14):
        day = TODAY + timedelta(days=ahead)
        clock.set_to(clock.at(day, 10))
        on = [code for code in ("B1", "B2", "B3") if placing.shows("s", code, day)]
        assert card_of(get("/t/app/widget.js"))["only"] == on
        assert ["您的信在这里" in get(f"/t/app?at={code}").content.decode() for code in ("B1", "B2", "B3")] == [
            code in on for code in ("B1", "B2", "B3")
        ]
        assert ("lift__qr" in get("/t/lift").content.decode()) == ("B1" in on)


def test_shows_and_opens_are_counted_and_machines_apart() -> None:
    make_building("B1"), make_building("B2")
    make_touchpoint("app", kind="app")
    make_touchpoint("lift", kind="lift", building="B1")
    get("/t/app?at=B2"), get("/t/app"), get("/t/lift"), get("/t/app/widget.js?at=B2")
    Client().post("/t/app/shown?at=B2", headers={"user-agent": PERSON})
    get("/r/?from=app&at=B2"), get("/r/?from=lift&at=B2"), get("/r/?from=nothing"), get("/r/")
    # Previews, prefetches, scanners, headless browsers and scripts.
    Client().head("/r/?from=app&at=B2", headers={"user-agent": PERSON})
    get("/r/?from=app&at=B2", **{"sec-purpose": "prefetch;prerender"})
    for agent in ("Mozilla/5.0 HeadlessChrome/141.0", "python-requests/2.32", "", "facebookexternalhit/1.1"):
        get("/r/?from=app&at=B2", **{"user-agent": agent})
    get("/t/app?at=B2", **{"user-agent": "Mozilla/5.0 (compatible; Baiduspider/2.0)"})
    get("/r/?from=app&at=%00B2"), get("/r/?from=%00"), get("/t/app?at=%00")
    assert counted() == [("app", "B2", 2, 2, 7), ("app", None, 2, 0, 0), ("lift", "B1", 0, 1, 0)]
    assert not Click.objects.exists()


@pytest.mark.parametrize(
    ("agent", "is_one"),
    [
        (PERSON, False),
        ("Mozilla/5.0 (Linux; Android 15; V2309A) Chrome/116.0 XWEB/1160065 MicroMessenger/8.0", False),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36", False),
        ("Mozilla/5.0 (Linux; Android 14; CUBOT X70) Chrome/120 Mobile", False),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", True), ("curl/8.9", True), ("WhatsApp-Preview", True), ("", True),
    ],
)  # fmt: skip
def test_machines_are_told_by_what_they_say_of_themselves(agent: str, is_one: bool) -> None:
    assert visitors.is_machine("GET", {"User-Agent": agent}) is is_one


def test_a_scan_that_ends_at_ones_letter_is_a_proven_click_of_the_touchpoint() -> None:
    tenant = make_tenant()
    make_letter(tenant=tenant)
    make_touchpoint("lift-1", kind="lift")
    person = Client(headers={"user-agent": PERSON})
    person.get("/r/?from=lift-1")
    person.post("/r/", {"phone": tenant.phone, "from": "lift-1"})
    person.post("/r/code", {"code": digits_of("door:")})
    click = Click.objects.select_related("link").get()
    assert (click.proof, click.link.carrier.split(":")[:2], click.link.tenant) == ("code", ["door", "lift-1"], tenant)
    assert settings.SITE_URL  # what a printed code leads to
