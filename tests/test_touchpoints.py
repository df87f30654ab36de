"""Touchpoints: what may be saved, when they show, what is counted, and that what was done to them stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from campaigns import placing, touchpoints
from campaigns.models import Placement, Touchpoint, TouchpointChange, TouchpointDay
from campaigns.touchpoints import NotSaved
from tenants import keys
from tests.makers import NOW, TODAY, make_building
from tests.touch import make_touchpoint, typed

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("name", " "), ("name", "名" * 81), ("kind", "tv"), ("building", "B404"), ("title", ""), ("title", "字" * 25),
        ("action", "字" * 9), ("key", "x"), ("key", "9" * 30), ("title", "林晓 13800001111"), ("line", "{name} 的信"),
        ("line", "仅剩 3 间"), ("line", "抓紧续租！"), ("line", "<b>信</b>"), ("origins", "http://shop.example"),
        ("origins", "https://shop.example/pay"), ("origins", "shop.example"), ("origins", "https://*"),
        ("origins", "https://a.example;script-src *"), ("origins", "https://a.example\nhttps://"), ("origins", "*"),
        ("origins", "\n".join(f"https://h{n}.example" for n in range(51))),
    ],
)  # fmt: skip
def test_what_cannot_stand_on_a_public_page_is_not_saved(place: str, value: str) -> None:
    with pytest.raises(NotSaved) as fault:
        make_touchpoint(**{place: value})
    assert fault.value.place == place
    assert not Touchpoint.objects.exists()


@pytest.mark.parametrize("code", ["", "ab", "A-1", "device", "lift 1", "lift_1", "-lift", "梯一号", "l" * 33])
def test_a_code_can_be_printed_in_an_address(code: str) -> None:
    with pytest.raises(NotSaved) as fault:
        make_touchpoint(code)
    assert fault.value.place == "code"


def test_it_is_made_changed_and_paused_with_a_reason_and_all_of_it_stands() -> None:
    make_building("B1")
    _row, secret = keys.make(touchpoints.KEYS, "丰柜", by="mei", now=NOW)
    key = keys.find([touchpoints.KEYS], secret)
    assert key
    one = make_touchpoint(
        "locker-b1",
        building="B1",
        key=str(key.pk),
        origins="https://A.example/ https://*.b.example:8443\nhttps://a.example",
    )
    assert one.origins == ["https://a.example", "https://*.b.example:8443"]
    with pytest.raises(NotSaved):
        make_touchpoint("locker-b1")
    same = typed(building="B1", key=str(key.pk), origins="https://a.example\nhttps://*.b.example:8443")
    touchpoints.change(one.pk, touchpoints.checked(same), by=None, now=NOW)
    touchpoints.change(one.pk, touchpoints.checked({**same, "title": "您的信在这里"}), by=None, now=NOW)
    with pytest.raises(NotSaved):
        touchpoints.pause(one.pk, why="  ", by=None, now=NOW)
    touchpoints.pause(one.pk, why="柜体维修", by=None, now=NOW)
    touchpoints.pause(one.pk, why="再来一次", by=None, now=NOW)
    one.refresh_from_db()
    assert (one.paused_because, one.paused_at, one.title) == ("柜体维修", NOW, "您的信在这里")
    touchpoints.resume(one.pk, by=None, now=NOW)
    touchpoints.resume(one.pk, by=None, now=NOW)
    assert [(c.kind, c.why) for c in reversed(touchpoints.history(one))] == [
        ("made", ""), ("changed", ""), ("paused", "柜体维修"), ("resumed", ""),
    ]  # fmt: skip
    for wrong in (TouchpointChange.objects.all().delete, lambda: TouchpointChange.objects.update(why="")):
        with pytest.raises(DatabaseError), transaction.atomic():
            wrong()
    keys.revoke(key, now=NOW)
    with pytest.raises(NotSaved):
        touchpoints.checked(same)


def test_a_lot_decides_on_which_days_it_shows_until_the_draw_ends() -> None:
    one = make_touchpoint()
    first = TODAY + timedelta(days=1)
    drawn = touchpoints.draw(one.pk, first_day=first, seed="s", by=None, now=NOW)
    assert touchpoints.draw(one.pk, first_day=TODAY, seed="t", by=None, now=NOW) == drawn

    def shown(day: Any, building: str = "B1") -> bool:
        return touchpoints.shows(one, building, drawn=touchpoints.placement(one, day=day), day=day)

    days = [TODAY + timedelta(days=n) for n in range(1, 15)]
    assert [shown(day) for day in days] == [placing.shows("s", "B1", day) for day in days]
    assert (sum(shown(day) for day in days), shown(TODAY), shown(days[0], "")) == (6, True, True)
    touchpoints.end_draw(one.pk, today=days[6], by=None, now=NOW)
    touchpoints.end_draw(one.pk, today=days[8], by=None, now=NOW)
    assert Placement.objects.get().last_day == days[6]
    assert all(shown(day) for day in days[7:])
    assert touchpoints.placement(one, day=days[6]) == drawn
    touchpoints.draw(one.pk, first_day=days[13], seed="u", by=None, now=NOW)
    touchpoints.end_draw(one.pk, today=days[8], by=None, now=NOW)
    assert Placement.objects.get() == drawn
    assert [change.kind for change in reversed(touchpoints.history(one))] == [
        "made",
        "drawn",
        "ended",
        "drawn",
        "ended",
    ]


def test_counts_are_sums_by_building_and_day() -> None:
    make_building("B1"), make_building("B2")
    make_touchpoint("locker-b1", building="B1")
    everywhere = make_touchpoint("app")
    for code, column, building in (
        ("locker-b1", "opened", "B2"), ("locker-b1", "opened", ""), ("app", "opened", "B2"), ("app", "shown", "B2"),
        ("app", "machines", "B2"), ("app", "opened", "B404"), ("app", "opened", ""), ("nobody", "opened", "B1"),
    ):  # fmt: skip
        touchpoints.count(code, column, building=building, day=TODAY)
    with pytest.raises(ValueError, match="played"):
        touchpoints.count("app", "played", day=TODAY)
    touchpoints.report_played(everywhere, day=TODAY, played=900)
    touchpoints.report_played(everywhere, day=TODAY, played=940)
    touchpoints.pause(everywhere.pk, why="暂停", by=None, now=NOW)
    touchpoints.count("app", "opened", day=TODAY)
    rows = TouchpointDay.objects.order_by("touchpoint__code", "building__code")
    assert list(rows.values_list("touchpoint__code", "building__code", "shown", "opened", "machines", "played")) == [
        ("app", "B2", 1, 1, 1, 0), ("app", None, 0, 2, 0, 940), ("locker-b1", "B1", 0, 2, 0, 0),
    ]  # fmt: skip
