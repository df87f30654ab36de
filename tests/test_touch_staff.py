"""Touchpoints for staff: the figures and whom they count, what may be done, and what drawn days say in words."""

from __future__ import annotations

import html
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from campaigns import placing, touchpoints
from campaigns.models import Placement, Touchpoint
from renewal import touchfigures
from renewal.views.touchpoints import words
from tenants import clock, links
from tenants.models import Click, Lease
from tests.letter import make_letter, sign_it
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user
from tests.test_access import member
from tests.touch import make_touchpoint, typed

pytestmark = pytest.mark.django_db

ALL = "/admin/touchpoint/"


@pytest.fixture(autouse=True)
def _today() -> None:
    clock.set_to(NOW)


@pytest.fixture
def chief() -> Client:
    return as_(make_user("chief", is_superuser=True))


def as_(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text(answer: Any) -> str:
    return html.unescape(answer.content.decode())


def opened(lease: Lease, carrier: str, at: Any) -> None:
    """The lease's letter was opened by this carrier."""
    link, _token = links.mint(
        carrier, tenant=lease.tenants.get(), lease=lease, purpose="proposal", expires_at=at + timedelta(days=9), now=at
    )
    links.open(link, trusted=True, now=at)


def resident(code: str = "B1") -> Lease:
    return make_lease(make_tenant(), make_unit(building=make_building(code)))


def test_a_signature_belongs_to_where_the_letter_was_opened_last_within_two_weeks() -> None:
    make_touchpoint("lift"), make_touchpoint("box")
    signed: dict[str, set[int]] = {}
    ways: list[tuple[str, dict[str, float]]] = [
        ("box", {"door:lift:1": 9, "once:box:1": 2}),
        ("lift", {"door:lift:2": 13.9, "once:box:2": 14.1}),
        ("", {"door:lift:3": 3, "message:push:3": 1}),  # by a message last
        ("", {"door:lift:4": 14.1}),
        ("box", {"door:box:5": 2, "door:device:5": 1}),  # that was the same letter on a second device
    ]
    for number, (belongs, openings) in enumerate(ways):
        browser = Client()
        link, token = make_letter(carrier=f"first:{number}")
        for carrier, ago in openings.items():
            opened(link.lease, carrier, NOW - timedelta(days=ago))
        browser.post(f"/r/{token}/open", {"gesture": ""})
        sign_it(browser)
        Click.objects.filter(link=link).delete()  # as if one of the ways above had been signed in
        if belongs:
            signed.setdefault(belongs, set()).add(link.tenant_id)
    assert touchfigures.came("signed", TODAY, TODAY) == signed
    assert touchfigures.came("signed", TODAY - timedelta(days=9), TODAY - timedelta(days=1)) == {}


def test_every_figure_leads_to_whom_it_counts_within_ones_own_buildings(chief: Client) -> None:
    one = make_touchpoint("box", building="")
    here, there = resident("B1"), resident("B2")
    for number, lease in enumerate((here, there)):
        opened(lease, f"once:box:{number}", NOW)
    touchpoints.count("box", "shown", day=TODAY)
    touchpoints.count("box", "machines", day=TODAY)
    page = text(chief.get(ALL))
    assert "1 个触点，共 2 人从这里来" in page
    assert f'href="{ALL}{one.pk}/?days=30&of=clicked#people"><b>2</b>' in page
    people = text(chief.get(f"{ALL}{one.pk}/?of=clicked"))
    assert (here.tenants.get().phone[:3] + "****" in people, people.count("/admin/tenant/")) == (
        True,
        people.count("/admin/tenant/"),
    )
    mine = text(as_(member("care", "B1")).get(f"{ALL}{one.pk}/?of=clicked"))
    assert f"/admin/tenant/{here.tenants.get().pk}/" in mine
    assert f"/admin/tenant/{there.tenants.get().pk}/" not in mine
    assert "上面的数字也包含其他楼栋" in mine
    assert as_(member("technician", "B1")).get(ALL).status_code == 403


def test_only_the_head_office_makes_changes_pauses_and_draws(chief: Client) -> None:
    make_building("B1")
    form = typed(building="B1", origins="https://box.example") | {"code": "box-b1"}
    manager = as_(member("manager", "B1"))
    assert manager.post(f"{ALL}new/", form).status_code == 403
    assert "缴费" in text(chief.get(f"{ALL}new/?kind=payment"))
    refused = chief.post(f"{ALL}new/", form | {"line": "仅剩 3 间"})
    assert (refused.status_code, "仅剩" in text(refused), Touchpoint.objects.exists()) == (422, True, False)
    looked = text(chief.post(f"{ALL}new/", form | {"do": "look", "title": "新的标题"}))
    assert ("<h1>新的标题</h1>" in html.unescape(looked), Touchpoint.objects.exists()) == (True, False)
    answer = chief.post(f"{ALL}new/", form)
    one = Touchpoint.objects.get()
    at = f"{ALL}{one.pk}/"
    assert answer.headers["Location"] == at
    chief.post(f"{at}edit/", form | {"title": "您的信"})
    acts: list[dict[str, str]] = [
        {"do": "pause", "why": ""}, {"do": "pause", "why": "维修"}, {"do": "resume"}, {"do": "draw"}, {"do": "end"},
        {"do": "played", "day": "2025-11-30", "played": "840"}, {"do": "played", "day": "2025-12-02", "played": "1"},
        {"do": "played", "day": "x", "played": "-1"},
    ]  # fmt: skip
    for act in acts:
        assert chief.post(at, act).headers["Location"] == at
    assert chief.post(at, {"do": "burn"}).status_code == 400
    assert manager.post(at, {"do": "pause", "why": "x"}).status_code == 403
    kinds = [change.kind for change in reversed(touchpoints.history(one))]
    assert kinds == ["made", "changed", "paused", "resumed", "drawn", "ended"]
    assert (Touchpoint.objects.get().title, touchfigures.seen(TODAY - timedelta(days=1), TODAY)[one.pk]["played"]) == (
        "您的信", 840,
    )  # fmt: skip
    assert not Placement.objects.exists()  # a draw taken back before it began
    drawing = chief.get(f"{at}qr.svg")
    assert (drawing.headers["Content-Type"], drawing.content[:5]) == ("image/svg+xml", b"<svg ")
    assert "<svg" in text(chief.get(f"{at}sheet/"))
    look = chief.get(f"{at}look/")
    assert (look.headers["X-Frame-Options"], "您的信" in text(look)) == ("SAMEORIGIN", True)
    assert touchfigures.seen(TODAY, TODAY) == {}


def test_drawn_days_say_what_showing_does_and_when_it_is_too_early(chief: Client) -> None:
    for code in ("B1", "B2"):
        make_building(code)
    one = make_touchpoint("app", kind="app")
    assert touchfigures.effect(one, today=TODAY) is None
    first = TODAY - timedelta(days=28)  # a Monday, so that four weeks are two blocks
    touchpoints.draw(one.pk, first_day=first, seed="s", by=None, now=NOW)
    at = f"{ALL}{one.pk}/"
    early = touchfigures.effect(one, today=first + timedelta(days=9))
    assert early
    assert early.opened
    assert early.opened.pairs == 4
    assert "还早，看不出来：可以对照的日子已有 4 对" in words(early.opened)
    # Three people a day with it, whatever brought them, and one a day without.
    leases = {code: [resident(code) for _n in range(3)] for code in ("B1", "B2")}
    for pair in placing.pairs("s", ["B1", "B2"], first, TODAY - timedelta(days=1)):
        for day, people in ((pair.on, 3), (pair.off, 1)):
            for n, lease in enumerate(leases[pair.building][:people]):
                opened(lease, f"message:{pair.building}:{day}:{n}", clock.at(day, 23, 59))
    opened(leases["B1"][0], "message:again", clock.at(first, 1))  # twice on one day is one person
    found = touchfigures.effect(one, today=TODAY)
    assert found
    assert found.opened
    assert found.signed
    assert (found.opened.pairs, found.opened.on, found.opened.off) == (28, 84, 28)
    assert (found.opened.ratio, found.opened.verdict) == (placing.Span(3.0, 3.0, 3.0), "more")
    assert (found.signed.pairs, found.signed.on, found.signed.off) == (14, 0, 0)
    page = text(chief.get(at))
    assert "展示的日子是不展示的 3.0 倍（95% 区间 3.0 至 3.0；28 对日子，84 人对 28 人）" in page
    assert "还早，看不出来：14 对日子里，展示的日子有 0 人，不展示的日子有 0 人" in page
    open_ = placing.estimate([(2, 1), (1, 2), (3, 2), (1, 1), (2, 2), (1, 3), (4, 1)])
    assert "还分不清有没有作用：展示的日子是不展示的 1.2 倍" in words(open_)
