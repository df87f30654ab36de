"""Moods and the survey as staff read them: every figure with its n, its interval and its list; who sees what."""

from __future__ import annotations

import html
import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client

from renewal import moodfigures
from renewal.figures import share
from tenants import asking, clock, features, tags
from tenants.models import Asking, Lease, LeaseTenant, Survey
from tests.makers import NOW, TODAY, make_building, make_event, make_lease, make_tenant, make_unit, make_user
from tests.test_access import member

pytestmark = pytest.mark.django_db

MOODS, SURVEYS = "/admin/moods/", "/admin/surveys/"


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


@pytest.fixture
def chief() -> Client:
    return as_(make_user("chief", is_superuser=True))


def as_(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def read(client: Client, address: str) -> str:
    page = client.get(address)
    assert page.status_code == 200, address
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.content.decode())).split())


def resident(code: str = "B1", name: str = "林晓", **facts: Any) -> Lease:
    return make_lease(make_tenant(name), make_unit(building=make_building(code)), **facts)


def bill(lease: Lease, month: str, *moods: str, text: str = "") -> None:
    """A bill of a month, and the moods its tenant gave on it one after the other."""
    payer = LeaseTenant.objects.filter(lease=lease).earliest("pk").tenant
    issued = clock.at(date(int(month[:4]), int(month[5:]), 5), 9)
    name = f"ZD-{lease.pk}-{month}"
    make_event("bill.issued", payer, at=issued, data={"bill": name, "amount": "88.00", "month": month})
    for n, mood in enumerate(moods):
        data = {"bill": name, "mood": mood} | ({"text": text} if text else {})
        make_event("mood.given", payer, at=issued + timedelta(hours=n + 1), data=data)


# --- Moods ---


def test_moods_stand_by_month_and_building_with_who_answered(chief: Client) -> None:
    for n, mood in enumerate(("good", "good", "soso", "bad", "")):
        bill(resident("B1", f"甲{n}"), "2025-11", *([mood] if mood else []))
    bill(resident("B2", "乙"), "2025-11", "bad", "good")
    two = resident("B2", "丙")
    LeaseTenant.objects.create(lease=two, tenant=(mate := make_tenant("丁")), is_primary=False)
    bill(two, "2025-11", "soso")
    make_event("mood.given", mate, at=NOW - timedelta(days=1), data={"bill": f"ZD-{two.pk}-2025-11", "mood": "bad"})
    bill(resident("B1", "戊"), "2025-10")
    page = read(chief, MOODS)
    assert 'href="?building=B1&amp;month=2025-11&amp;mood=good#answers"' in chief.get(MOODS).content.decode()
    # 7 bills of November, of them 6 answered, by 7 people: 3 😊, 2 😐, 2 😞
    pleased = share(3, 7)
    low, high = f"{pleased['low']:.0%}"[:-1], f"{pleased['high']:.0%}"
    assert f"2025-11：7 份心情，😊 占 42.9%（{low}–{high}）；85.7% 的账单有回答" in page
    assert "2025-11 7 85.7% 6 / 7 3 2 2 42.9% 16–75%" in page
    assert "2025-10 1 0.0% 0 / 1 0 0 0 –" in page
    assert "蓝寓B1 5 80.0% 4 / 5 2 1 1 50.0% 15–85%" in page
    assert "蓝寓B2 2 100% 2 / 2 1 1 1 33.3% 6–79%" in page
    assert "没有在询问" in page


def test_each_figure_opens_its_list_and_filters_stand_in_the_address(chief: Client) -> None:
    bill(resident("B1", "林晓"), "2025-11", "bad", text="楼道<太>吵")
    bill(resident("B1", "何静"), "2025-11", "good")
    bill(resident("B2", "周航"), "2025-10", "bad")
    page = chief.get(MOODS).content.decode()
    assert 'href="?month=2025-11&amp;mood=bad#answers"' in page
    assert "楼道&lt;太&gt;吵" in page
    for query, names in (
        ("", ["林晓", "何静", "周航"]), ("month=2025-11", ["林晓", "何静"]), ("mood=bad", ["林晓", "周航"]),
        ("building=B2", ["周航"]), ("words=1", ["林晓"]), ("month=2025-11&mood=good", ["何静"]), ("month=2019-01", []),
        ("mood=angry", ["林晓", "何静", "周航"]), ("page=99", ["林晓", "何静", "周航"]), ("page=x", ["林晓"]),
    ):  # fmt: skip
        answers = read(chief, f"{MOODS}?{query}").partition("份回答")[2]
        found = [name for name in ("林晓", "何静", "周航") if name in answers]
        assert found == names or (query == "page=x" and found), query
    assert "没有符合条件的回答" in read(chief, MOODS + "?month=2019-01")
    assert chief.get(MOODS + "?building=nowhere").status_code == 404


def test_long_lists_have_pages(chief: Client) -> None:
    lease = resident(first_day=date(2025, 1, 1), last_day=date(2026, 12, 31))
    for n in range(31):
        name = f"Z{n}"
        issued = NOW - timedelta(days=40 - n)
        make_event("bill.issued", lease.tenants.get(), at=issued, data={"bill": name, "month": "2025-11"})
        make_event("mood.given", lease.tenants.get(), at=issued, data={"bill": name, "mood": "good"})
    assert "1 / 2" in read(chief, MOODS + "?mood=good")
    page = chief.get(MOODS + "?mood=good&page=2").content.decode()
    assert 'href="?mood=good&amp;page=1#answers"' in page
    assert len(re.findall(r"<tr data-row><th scope=\"row\"><a href=\"/admin/tenant/", page)) == 1


def test_empty_pages_say_why(chief: Client) -> None:
    page = read(chief, MOODS)
    for words in (
        "近十二个月没有账单",
        "还没有可以打分的账单",
        "还没有人回答",
        "没有人最近三张账单都是 😐",
        "说不出连续三个",
    ):
        assert words in page
    page = read(chief, SURVEYS)
    for words in ("还没有问过任何人", "调查还没有开始", "没有在询问"):
        assert words in page


# --- Streaks ---


def test_beside_a_streak_stands_what_became_of_such_leases() -> None:
    """Of 4 that ended with a streak 3 were left; of 6 without, 1. One ended by the operator, one too short: no part."""
    last = TODAY - timedelta(days=20)
    months = ["2025-07", "2025-08", "2025-09", "2025-10"]
    with_streak = [("sss-", True), ("-sss", True), ("gsss", True), ("sssg", False)]
    without = [("ss-s", True), ("ssgs", False), ("----", False), ("gggg", False), ("s-ss", False), ("bsbs", False)]
    given = {"s": ["soso"], "g": ["good"], "b": ["soso", "bad"], "-": []}
    for n, (moods, leaves) in enumerate([*with_streak, *without]):
        lease = resident("B1", f"甲{n}", last_day=last)
        for month, letter in zip(months, moods, strict=True):
            bill(lease, month, *given[letter])
        if not leaves:
            make_lease(lease.tenants.get(), make_unit(), first_day=last + timedelta(days=1), last_day=date(2026, 12, 1))
    ended = resident("B1", "赶走", last_day=last, ended_by="operator")
    short = resident("B1", "短", last_day=last)
    for month in months:
        bill(ended, month, "soso")
    for month in months[:2]:
        bill(short, month, "soso")
    found = moodfigures.left([make_building("B1").pk], now=NOW)
    assert (found.plain["k"], found.plain["n"]) == (3, 4)
    assert (found.everybody["k"], found.everybody["n"], found.everybody["rate"]) == (4, 10, 0.4)
    assert (round(found.plain["low"], 3), round(found.plain["high"], 3)) == (0.301, 0.954)
    assert found.streak
    assert found.streak.rate == pytest.approx((3 + 20 * 0.4) / 24)
    page = read(as_(make_user("c", is_superuser=True)), MOODS)
    assert (
        "出现过连续三个 😐 的租约有 4 份，其中 3 份离开：75.0%（30–95%）。全部 10 份到期租约中离开的占 40.0%。" in page
    )
    assert "向总体收缩后为 45.8%" in page
    assert "(k + 20·总体比例) ÷ (n + 20)" in page


def test_a_flatmates_streak_is_one_of_the_lease_and_counts_it_once() -> None:
    last = TODAY - timedelta(days=20)
    months = ("2025-07", "2025-08", "2025-09")
    one, two = (resident("B1", name, last_day=last) for name in ("甲", "乙"))
    for lease, moods in ((one, ("soso", "soso", "soso")), (two, ("soso", "good", "soso"))):
        mate = make_tenant(f"{lease.tenants.get().name}的室友")
        LeaseTenant.objects.create(lease=lease, tenant=mate, is_primary=False)
        for month, mood in zip(months, moods, strict=True):
            bill(lease, month, "good")
            issued = clock.at(date(int(month[:4]), int(month[5:]), 5), 9)
            data = {"bill": f"ZD-{lease.pk}-{month}", "mood": mood}
            make_event("mood.given", mate, at=issued + timedelta(days=1), data=data)
    found = moodfigures.left([make_building("B1").pk], now=NOW)
    assert (found.plain["k"], found.plain["n"], found.everybody["k"], found.everybody["n"]) == (1, 1, 2, 2)


def test_the_people_in_a_streak_are_named_with_their_months(chief: Client) -> None:
    lease = resident("B1", "林晓")
    for month in ("2025-09", "2025-10", "2025-11"):
        bill(lease, month, "bad", "soso")
    features.refresh(today=TODAY, now=NOW)
    tags.recompute(today=TODAY, now=NOW)
    page = read(chief, MOODS)
    assert "1 人最近三张账单都是 😐" in page
    assert "林晓 2025-11 / 2025-10 / 2025-09 · 2025-12-01 起" in page
    assert "没有出现过连续三个" not in page.partition("1 人最近")[0]


# --- The survey ---


def survey(lease: Lease, score: int | None, *, quarter: date = date(2025, 10, 1), **facts: Any) -> Survey:
    facts = {"stay_months": 14, "asked_at": NOW - timedelta(days=5)} | facts
    answered = None if score is None else NOW - timedelta(days=4)
    return Survey.objects.create(
        tenant=lease.tenants.get(), lease=lease, quarter=quarter, score=score, answered_at=answered,
        changed_at=answered, **facts,
    )  # fmt: skip


def test_the_score_stands_with_its_interval_its_answers_and_what_silence_changes(chief: Client) -> None:
    for n in range(40):
        survey(resident("B1", f"甲{n}"), 10 if n < 28 else 8 if n < 32 else 3)
    for n in range(100):
        survey(resident("B2", f"乙{n}"), None if n >= 40 else 9 if n < 10 else 7 if n < 20 else 0)
    page = read(chief, SURVEYS)
    # 38 of 80 promote, 28 do not: +12.5 ± 19.7; weighted 40/140·50 − 100/140·25 = −3.6
    assert "2025年第4季度：NPS +13（−7 – +32），80 份回答，占被问者 57.1%" in page
    assert "2025年第4季度 140 80 57.1% 38 14 28 +13 −7 – +32 −4 −23 – +16 –" in page
    assert "蓝寓B1 40 40 100% 28 4 8 +50 +25 – +75" in page
    assert "蓝寓B2 100 40 40.0% 10 10 20 −25 −51 – +1" in page
    assert "本季度尚未结束" in page
    answers = chief.get(SURVEYS + "?quarter=2025-10-01&group=detractors&building=B1").content.decode()
    assert len(re.findall(r"<tr data-row><th scope=\"row\"><a href=\"/admin/tenant/", answers)) == 8
    assert "60 人未回答" in read(chief, SURVEYS + "?group=silent")


def test_up_and_down_are_said_only_where_chance_does_not_explain_them(chief: Client) -> None:
    before = date(2025, 7, 1)
    for n in range(100):
        lease = resident("B1", f"甲{n}")
        survey(lease, 9 if n < 40 else 5, quarter=before)
        survey(lease, 9 if n < 45 else 5)
    assert "与上季相比没有显著变化" in read(chief, SURVEYS)
    assert "比上季上升" not in read(chief, SURVEYS)
    Survey.objects.filter(quarter=before, score=9).update(score=5)
    Survey.objects.filter(quarter=before, tenant__name__in=["甲1", "甲2"]).update(score=10)
    page = read(chief, SURVEYS)
    assert "NPS −10（−30 – +10），100 份回答，占被问者 100%，比上季上升 86" in page


def test_of_few_answers_no_change_is_said(chief: Client) -> None:
    for n in range(29):
        lease = resident("B1", f"甲{n}")
        survey(lease, 0, quarter=date(2025, 7, 1))
        survey(lease, 10)
    page = read(chief, SURVEYS)
    assert "回答太少，看不出变化" in page
    assert "比上季上升" not in page


def test_few_answers_are_said_to_tell_little_and_all_alike_is_no_certainty(chief: Client) -> None:
    for n in range(3):
        survey(resident("B1", f"甲{n}"), 10, words="都好" if n == 0 else "", reasons=["repair"] if n == 0 else [])
    page = read(chief, SURVEYS)
    assert "NPS +100（−12 – +100），3 份回答" in page
    assert "不足 30 份回答，说明不了多少" in page
    assert "报修 都好" in page
    assert read(chief, SURVEYS + "?words=1").count("都好") == 1


# --- Who sees and who switches ---


def test_each_sees_their_buildings_and_technicians_nothing() -> None:
    bill(resident("B1", "林晓"), "2025-11", "bad")
    bill(resident("B2", "何静"), "2025-11", "good")
    survey(Lease.objects.get(unit__building__code="B1"), 2)
    survey(Lease.objects.get(unit__building__code="B2"), 9)
    care, technician = as_(member("care", "B1")), as_(member("technician", "B1"))
    for address in (MOODS, SURVEYS):
        assert technician.get(address).status_code == 403
        page = read(care, address)
        assert ("林晓" in page, "何静" in page) == (True, False)
        assert care.get(address + "?building=B2").status_code == 404
        assert Client().get(address).status_code == 302
    assert "开始询问" not in care.get(MOODS).content.decode()


def test_the_head_office_switches_a_question_on_and_off_and_it_is_kept(chief: Client) -> None:
    switch = MOODS + "switch/"
    assert as_(member("hq", None)).post(switch, {"what": "moods", "on": "1"})["Location"] == MOODS
    assert as_(member("care", None)).post(switch, {"what": "moods", "on": "0"}).status_code == 403
    assert chief.get(switch).status_code == 405
    assert chief.post(switch, {"what": "all", "on": "1"}).status_code == 400
    for _again in range(2):
        chief.post(switch, {"what": "surveys", "on": "1"})
    assert (asking.is_on("moods"), asking.is_on("surveys")) == (True, True)
    assert "正在询问" in read(chief, MOODS)
    assert "chief" in read(chief, SURVEYS)
    chief.post(switch, {"what": "moods", "on": "0"})
    lines = Asking.objects.order_by("pk").values_list("what", "is_on", "by__username")
    assert list(lines) == [("moods", True, "hq-None"), ("surveys", True, "chief"), ("moods", False, "chief")]


def test_both_pages_are_reached_from_the_navigation(chief: Client) -> None:
    assert f'href="{MOODS}"' in chief.get("/admin/").content.decode()
    assert f'href="{SURVEYS}"' in chief.get(MOODS).content.decode()
