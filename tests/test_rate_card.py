"""The card as staff change it: bands by two persons, exceptions that wait, the pages, and what a file may publish."""

from __future__ import annotations

import html
import json
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from connectors.records import RateRecord
from connectors.sources import rates as sheet
from renewal import bands, ratechanges, rates, seconding
from renewal.models import Rate, RateBand, RateChange
from tenants import clock
from tenants.models import Building, User
from tests.makers import NOW, TODAY, make_building, make_unit, make_user
from tests.test_access import member

pytestmark = pytest.mark.django_db

TERM = "/admin/rates/term/?building=B1&type=朝南一居&term=12"
LAST = date(2026, 6, 30)
TOMORROW = TODAY + timedelta(days=1)


@pytest.fixture(autouse=True)
def building() -> Building:
    clock.set_to(NOW)
    found = make_building("B1")
    make_unit(building=found)
    return found


@pytest.fixture
def mei() -> User:
    return make_user("mei", is_superuser=True)


@pytest.fixture
def lan() -> User:
    return make_user("lan", is_superuser=True)


def as_(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text(answer: Any) -> str:
    return html.unescape(answer.content.decode())


def line(rent: str = "3900", free: int = 0, **facts: Any) -> dict[str, str]:
    typed = {"monthly_rent": rent, "free_months": str(free), "signed_from": "2025-12-02", "signed_to": "2026-06-30"}
    return {"do": "line", **typed, **facts}


def published() -> list[tuple[int, int, str, date, date]]:
    rows = Rate.objects.order_by("term_months", "free_months", "signed_from")
    return [(r.term_months, r.free_months, str(r.monthly_rent), r.signed_from, r.signed_to) for r in rows]


def make_rate(building: Building, rent: str = "3900", **facts: Any) -> Rate:
    known: dict[str, Any] = {"term_months": 12, "free_months": 0, "signed_from": date(2025, 11, 1), "signed_to": LAST}
    return Rate.objects.create(
        building=building, room_type="朝南一居", monthly_rent=Decimal(rent), recorded_at=NOW, **(known | facts)
    )


def make_band(building: Building, lowest: str = "3800", highest: str = "4200", term: int = 12) -> RateBand:
    one, other = (User.objects.get_or_create(username=name)[0] for name in ("asker", "approver"))
    return RateBand.objects.create(
        building=building, room_type="朝南一居", term_months=term, lowest=Decimal(lowest), highest=Decimal(highest),
        state="standing", why="冬季", asked_by=one, asked_at=NOW, decided_by=other, decided_at=NOW,
    )  # fmt: skip


# --- Bands ------------------------------------------------------------------------------------------------


def test_a_band_holds_once_a_second_person_says_so(mei: User, lan: User, building: Building) -> None:
    asked = as_(mei).post(TERM, {"do": "band", "lowest": "3,800", "highest": "4200.50", "band_why": "冬季"})
    assert asked.headers["Location"].startswith("/admin/rates/term/?building=B1")
    band = RateBand.objects.get()
    key = (building.pk, "朝南一居", 12)
    assert (band.state, str(band.lowest), str(band.highest), bands.standing([building.pk])) == (
        "waiting", "3800.00", "4200.50", {},
    )  # fmt: skip
    mine = as_(mei).post("/admin/rates/waiting/", {"what": "band", "pk": band.pk, "do": "approve"})
    assert (mine.status_code, "提出的人不能自己决定" in text(mine)) == (422, True)
    as_(lan).post("/admin/rates/waiting/", {"what": "band", "pk": band.pk, "do": "approve", "why": "同意"})
    held = bands.standing([building.pk])[key]
    assert (held.pk, held.asked_by, held.decided_by, held.why, held.answer) == (band.pk, mei, lan, "冬季", "同意")
    assert held.decided_at
    assert NOW <= held.asked_at <= held.decided_at
    page = text(as_(mei).get(TERM))
    assert "限价区间 3,800.00 – 4,200.50，lan 于 2025-12-01 批准" in page
    assert "3,800 – 4,200" in text(as_(mei).get("/admin/rates/?building=B1"))


def test_a_later_band_replaces_the_one_before_and_a_refused_or_withdrawn_one_does_not(
    mei: User, lan: User, building: Building
) -> None:
    old = make_band(building)

    def ask(lowest: str) -> RateBand:
        return bands.ask(
            building, room_type="朝南一居", term_months=12, lowest=Decimal(lowest), highest=Decimal(4300), why="x",
            by=mei, now=NOW,
        )  # fmt: skip

    def now() -> int:
        return bands.standing([building.pk])[building.pk, "朝南一居", 12].pk

    bands.decide(ask("1000").pk, is_approved=False, why="太低", by=lan, now=NOW)
    bands.withdraw(ask("2000").pk, by=mei, now=NOW)
    assert now() == old.pk
    third = ask("3000")
    with pytest.raises(seconding.NotSet):
        ask("3100")  # one waits already
    with pytest.raises(seconding.NotSet):
        bands.withdraw(third.pk, by=lan, now=NOW)
    bands.decide(third.pk, is_approved=True, why="", by=lan, now=NOW + timedelta(hours=1))
    assert now() == third.pk
    with pytest.raises(seconding.NotSet):
        bands.decide(third.pk, is_approved=False, why="x", by=lan, now=NOW)
    assert [band.state for band in RateBand.objects.order_by("pk")] == ["standing", "refused", "withdrawn", "standing"]


def test_the_database_itself_asks_for_the_second_person(mei: User, building: Building) -> None:
    facts: dict[str, Any] = {
        "building": building,
        "room_type": "x",
        "term_months": 12,
        "asked_by": mei,
        "asked_at": NOW,
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        RateBand.objects.create(lowest=1, highest=2, state="standing", why="x", decided_by=mei, **facts)
    change = {**facts, "monthly_rent": 1, "signed_from": TODAY, "signed_to": TODAY, "is_inside": False}
    for more in ({"decided_by": mei, "why": "x"}, {"decided_by": None, "why": "x"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            RateChange.objects.create(state="published", **change, **more)
    other = make_user("other")
    with pytest.raises(IntegrityError), transaction.atomic():
        RateChange.objects.create(state="published", **change, decided_by=other, why="")
    RateChange.objects.create(state="published", **change, decided_by=other, why="x")


@given(
    rent=st.decimals(1, 9999, places=2), lowest=st.decimals(1, 9999, places=2), highest=st.decimals(1, 9999, places=2),
    term=st.integers(1, 60), free=st.integers(0, 12),
)  # fmt: skip
def test_a_line_is_inside_if_no_month_is_above_and_the_average_not_below(
    rent: Decimal, lowest: Decimal, highest: Decimal, term: int, free: int
) -> None:
    free = min(free, term - 1)
    months = [rent] * (term - free) + [Decimal(0)] * free
    wanted = max(months) <= highest and sum(months) >= lowest * len(months)
    band = RateBand(lowest=lowest, highest=highest)
    assert bands.holds(band, rent=rent, term_months=term, free_months=free) is wanted
    assert bands.holds(None, rent=rent, term_months=term, free_months=free)


# --- Lines by hand ----------------------------------------------------------------------------------------


def test_a_line_inside_its_band_is_published_at_once_from_a_later_day(mei: User, building: Building) -> None:
    make_rate(building), make_band(building)
    client = as_(mei)
    early = client.post(TERM, line("3950", signed_from="2025-12-01"))  # today has its price already
    assert (early.status_code, "签约起最早为 2025-12-02" in text(early), 'value="3950"' in text(early)) == (
        422, True, True,
    )  # fmt: skip
    assert client.post(TERM, line("3950")).status_code == 302
    assert published() == [
        (12, 0, "3900.00", date(2025, 11, 1), LAST),
        (12, 0, "3950.00", TOMORROW, LAST),
    ]
    change = RateChange.objects.get()
    assert (change.state, change.is_inside, change.asked_by, change.rate) == (
        "published", True, mei, Rate.objects.get(monthly_rent=3950),
    )  # fmt: skip
    page = text(client.get("/admin/rates/?building=B1"))
    assert "从 2025-12-02 起：3,950.00" in page
    assert "3,900.00" in page
    again = client.post(TERM, line("3999"))
    assert (again.status_code, "自 2025-12-02 起已公布月租 3950.00" in text(again)) == (422, True)
    same = client.post(TERM, line("3950"))
    assert (same.status_code, len(published())) == (422, 2)


def test_a_line_outside_its_band_needs_a_reason_and_a_second_person(mei: User, lan: User, building: Building) -> None:
    make_rate(building), make_band(building)
    client = as_(mei)
    silent = client.post(TERM, line("3700"))
    assert (silent.status_code, "请写明原因" in text(silent), RateChange.objects.count()) == (422, True, 0)
    client.post(TERM, line("3700", why="清空房"))
    change = RateChange.objects.get()
    assert (change.state, len(published())) == ("waiting", 1)
    for who, do, status in ((mei, "approve", 422), (lan, "refuse", 422), (lan, "withdraw", 422)):
        assert as_(who).post(WAITING, {"what": "line", "pk": change.pk, "do": do}).status_code == status
    page = text(as_(lan).get(WAITING))
    assert "清空房" in page
    assert "区间 3,800.00 – 4,200.00 之外" in page
    as_(lan).post(WAITING, {"what": "line", "pk": change.pk, "do": "approve", "why": "好"})
    change.refresh_from_db()
    assert (change.state, change.asked_by, change.decided_by, change.answer) == ("published", mei, lan, "好")
    assert change.decided_at
    assert clock.day_of(change.decided_at) == TODAY
    assert published()[1] == (12, 0, "3700.00", TOMORROW, LAST)
    over = as_(lan).post(WAITING, {"what": "line", "pk": change.pk, "do": "refuse", "why": "x"})
    assert (over.status_code, len(published())) == (422, 2)


WAITING = "/admin/rates/waiting/"


def test_a_free_month_counts_against_the_lowest_rent(mei: User, building: Building) -> None:
    make_band(building, "3800", "4200")
    ask = as_(mei)
    ask.post(TERM, line("4145", free=1, why="x"))  # 4145 · 11 ÷ 12 = 3799.58
    assert RateChange.objects.get().state == "waiting"
    ask.post(TERM, line("4146", free=1, signed_from="2025-12-03"))  # 3800.50
    assert RateChange.objects.latest("pk").state == "published"


def test_what_was_approved_late_holds_from_the_first_day_possible(mei: User, lan: User, building: Building) -> None:
    make_rate(building), make_band(building)
    as_(mei).post(TERM, line("3700", why="清空房"))
    later = NOW + timedelta(days=5)
    ratechanges.decide(RateChange.objects.get().pk, is_approved=True, why="", by=lan, now=later)
    assert published()[1][2:4] == ("3700.00", date(2025, 12, 7))  # the sixth has its price already
    assert RateChange.objects.get().signed_from == TOMORROW


def test_a_waiting_line_is_withdrawn_by_whoever_asked(mei: User, building: Building) -> None:
    make_band(building)
    as_(mei).post(TERM, line("3700", why="清空房"))
    as_(mei).post(WAITING, {"what": "line", "pk": RateChange.objects.get().pk, "do": "withdraw"})
    assert (RateChange.objects.get().state, published()) == ("withdrawn", [])


def test_a_published_line_is_ended_by_another_last_day_and_the_one_before_holds_again(
    mei: User, lan: User, building: Building
) -> None:
    old, new = make_rate(building), make_rate(building, "4500", signed_from=date(2025, 11, 20))
    make_band(building)

    def rent(day: date) -> Decimal:
        return rates.on(day, buildings=[building.pk])[building.pk, "朝南一居"][0].monthly_rent

    end = {"do": "end", "rate": new.pk, "end_why": "太贵"}
    client = as_(mei)
    for wrong in ("2025-11-30", "2026-06-30", "x", ""):
        assert client.post(TERM, {**end, "last_day": wrong}).status_code == 422
    assert client.post(TERM, {**end, "last_day": "2025-12-01", "end_why": ""}).status_code == 422
    assert client.post(TERM, {**end, "last_day": "2025-12-01"}).status_code == 302  # outside its band, but less of it
    assert (rent(TODAY), rent(TOMORROW)) == (Decimal(4500), Decimal(3900))
    # For longer is as if it were new: 4500 is outside.
    client.post(TERM, {**end, "last_day": "2026-01-31"})
    assert (rent(TOMORROW), RateChange.objects.latest("pk").state) == (Decimal(3900), "waiting")
    ratechanges.decide(RateChange.objects.latest("pk").pk, is_approved=True, why="", by=lan, now=NOW)
    assert (rent(TOMORROW), len(published())) == (Decimal(4500), 2)
    gone = Rate.objects.filter(pk=old.pk)
    gone.update(signed_to=date(2025, 11, 30))
    assert client.post(TERM, {**end, "rate": old.pk, "last_day": "2026-01-31"}).status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"monthly_rent": "面议"}, {"monthly_rent": "-1"}, {"monthly_rent": "1.001"}, {"monthly_rent": "1e20"},
        {"monthly_rent": "NaN"}, {"signed_from": "明天"}, {"signed_to": "2025-12-01"}, {"free_months": "12"},
        {"free_months": "x"}, {"signed_to": "9999-12-31"},
    ],
)  # fmt: skip
def test_nonsense_is_refused_and_stays_where_it_was_typed(mei: User, wrong: dict[str, str]) -> None:
    answer = as_(mei).post(TERM, {**line(), **wrong})
    assert (answer.status_code, RateChange.objects.count(), published()) == (422, 0, [])
    assert f'value="{next(iter(wrong.values()))}"' in text(answer)


def test_who_may_read_ask_and_decide(building: Building) -> None:
    make_building("B2")
    make_band(building)
    manager, care, other = member("manager", "B1"), member("care", "B1"), member("manager", "B2")
    assert as_(member("technician", "B1")).get("/admin/rates/").status_code == 403
    assert "新的一行" in text(as_(manager).get(TERM))
    assert (as_(care).get(TERM).status_code, "新的一行" in text(as_(care).get(TERM))) == (200, False)
    assert as_(care).post(TERM, line()).status_code == 403
    assert [as_(other).get(TERM).status_code, as_(other).post(TERM, line()).status_code] == [404, 404]
    as_(manager).post(TERM, line("3700", why="x"))
    asked = RateChange.objects.get()
    decide = {"what": "line", "pk": asked.pk, "do": "approve"}
    assert as_(other).post(WAITING, decide).status_code == 404
    assert as_(care).post(WAITING, decide).status_code == 403
    assert "3,700.00" not in text(as_(other).get(WAITING))
    as_(member("hq", None)).post(WAITING, decide)
    asked.refresh_from_db()
    assert asked.state == "published"
    for address in ("?building=B9", "term/?building=B1&type=&term=12", "term/?building=B1&type=x&term=99"):
        assert as_(manager).get(f"/admin/rates/{address}").status_code == 404


# --- Files ------------------------------------------------------------------------------------------------


def record(number: int, rent: str, **facts: Any) -> RateRecord:
    known: dict[str, Any] = {
        "building": "B1", "room_type": "朝南一居", "term_months": 12, "free_months": 0, "signed_from": TOMORROW,
        "signed_to": LAST,
    }  # fmt: skip
    return RateRecord(line=number, monthly_rent=Decimal(rent), **(known | facts))


def test_the_exceptions_of_a_file_wait_and_the_counts_say_so(building: Building, tmp_path: Path) -> None:
    make_band(building)
    rows = [
        "B1,朝南一居,12,0,3900,2025-12-02,2026-06-30",
        "B1,朝南一居,12,1,4100,2025-12-02,2026-06-30",  # 3758.33 on average
        "B1,朝南一居,6,0,9999,2025-12-02,2026-06-30",  # no band for that term
        "B1,朝南一居,12,0,3900,2025-12-02,2026-06-30",
        "B9,朝南一居,12,0,3900,2025-12-02,2026-06-30",
    ]
    path = tmp_path / "rates.csv"
    path.write_text("\n".join([",".join(sheet.COLUMNS), *rows]), encoding="utf-8")

    def load(*options: str) -> dict[str, Any]:
        out = StringIO()
        with pytest.raises(SystemExit):  # a row is refused
            call_command("load", "rates", str(path), "--json", *options, stdout=out)
        answer: dict[str, Any] = json.loads(out.getvalue())
        return {name: answer.get(name) for name in ("received", "accepted", "duplicate", "rejected", "exceptions")}

    first = {"received": 5, "accepted": 3, "duplicate": 1, "rejected": 1, "exceptions": 1}
    assert load("--dry-run") == first
    assert RateChange.objects.count() == 0
    assert load() == first
    assert [(row[0], row[1], row[2]) for row in published()] == [(6, 0, "9999.00"), (12, 0, "3900.00")]
    change = RateChange.objects.get()
    assert (change.state, change.free_months, change.asked_by, change.why) == ("waiting", 1, None, "")
    assert load() == {"received": 5, "accepted": 0, "duplicate": 4, "rejected": 1, "exceptions": None}
    assert RateChange.objects.count() == 1


def test_a_files_line_is_stood_for_by_one_person_and_approved_by_another(
    mei: User, lan: User, building: Building
) -> None:
    make_band(building)
    rates.publish([record(2, "3000")], now=NOW)
    change = RateChange.objects.get()
    post = {"what": "line", "pk": change.pk}
    assert as_(lan).post(WAITING, {**post, "do": "approve"}).status_code == 422
    assert as_(mei).post(WAITING, {**post, "do": "explain", "why": " "}).status_code == 422
    as_(mei).post(WAITING, {**post, "do": "explain", "why": "整栋特价"})
    assert as_(mei).post(WAITING, {**post, "do": "approve"}).status_code == 422
    as_(lan).post(WAITING, {**post, "do": "approve"})
    assert published() == [(12, 0, "3000.00", TOMORROW, LAST)]
    again = rates.publish([record(2, "3000")], now=NOW)
    assert (again.accepted, again.duplicate, again.rejected, again.waiting) == (0, 1, 0, {})


def test_a_line_that_was_refused_does_not_come_back_with_the_next_file(lan: User, building: Building) -> None:
    make_band(building)
    rates.publish([record(2, "3000")], now=NOW)
    ratechanges.decide(RateChange.objects.get().pk, is_approved=False, why="太低", by=lan, now=NOW)
    counts = rates.publish([record(2, "3000"), record(3, "3100", term_months=12, free_months=1)], now=NOW)
    assert [(bad.line, bad.reason) for bad in counts.refused] == [(2, "这一行之前已被否决（太低）。")]
    assert list(counts.waiting) == [3]
    other = rates.publish([record(2, "3200", free_months=1)], now=NOW)  # while 3100 waits
    assert other.rejected == 1


def test_a_file_may_shorten_a_line_but_not_lengthen_one_outside_its_band(building: Building) -> None:
    rates.publish([record(2, "3000")], now=NOW)
    make_band(building)
    shorter = rates.publish([record(2, "3000", signed_to=date(2026, 1, 31))], now=NOW)
    assert (shorter.accepted, shorter.waiting, published()[0][4]) == (1, {}, date(2026, 1, 31))
    longer = rates.publish([record(2, "3000", signed_to=LAST)], now=NOW)
    assert (longer.accepted, list(longer.waiting), published()[0][4]) == (1, [2], date(2026, 1, 31))
    contradicted = rates.publish([record(2, "2900")], now=NOW)
    assert (contradicted.rejected, RateChange.objects.count()) == (1, 1)
