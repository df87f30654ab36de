"""The sample portfolio: the same for the same seed, consistent in itself, and as the story says."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from itertools import pairwise, zip_longest
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from dateutil.relativedelta import relativedelta
from django.core.management import CommandError, call_command
from openpyxl import load_workbook

from connectors.sample import leases, places
from connectors.sample.days import Calendar
from connectors.sample.people import Latent, Person

TODAY = date(2025, 12, 1)
NOW = datetime.fromisoformat("2025-12-01T10:00:00+08:00")
SEASON = (date(2025, 11, 1), date(2026, 1, 31))
ROOMS = 120
Row = dict[str, str]


@dataclass(frozen=True)
class Lease:
    no: str
    unit: str
    phone: str
    first_day: date
    last_day: date
    agreed_last_day: date
    signed_on: date
    anchor: int
    renews: str | None
    app_user: str | None
    member: str | None
    void: bool

    def holds(self, day: date) -> bool:
        return not self.void and self.first_day <= day <= self.last_day


class Portfolio:
    """The files of one portfolio, read as anybody could read them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.truth = self.csv("truth/tenants.csv")
        self.cast = json.loads((folder / "truth/cast.json").read_text())
        self.totals = json.loads((folder / "truth/totals.json").read_text())
        self.leases = [_lease(row) for row in self.contracts()]
        self.current = [lease for lease in self.leases if lease.holds(TODAY)]

    def csv(self, name: str) -> list[Row]:
        with (self.folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def lines(self, name: str) -> list[dict[str, Any]]:
        with (self.folder / name).open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def contracts(self) -> list[dict[str, Any]]:
        rows = load_workbook(self.folder / "contracts.xlsx", read_only=True)["合同"].iter_rows(values_only=True)
        header = next(rows)
        return [dict(zip_longest(map(str, header), row)) for row in rows]  # empty cells at the end are left out


def _lease(row: dict[str, Any]) -> Lease:
    agreed = row["到期日期"].date()
    return Lease(
        no=row["合同编号"],
        unit=row["房源编号"],
        phone=row["手机号"],
        first_day=row["起租日期"].date(),
        last_day=row["提前终止日期"].date() if row["提前终止日期"] else agreed,
        agreed_last_day=agreed,
        signed_on=row["签约日期"].date(),
        anchor=row["计租日"],
        renews=row["续签自"],
        app_user=row["App账号"],
        member=row["社群号"],
        void=row["合同状态"] == "作废",
    )


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Portfolio:
    folder = tmp_path_factory.mktemp("sample")
    call_command("sample", str(folder), rooms=ROOMS)
    return Portfolio(folder)


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


def _hours(row: Row, since: str, until: str) -> float:
    return (datetime.fromisoformat(row[until]) - datetime.fromisoformat(row[since])).total_seconds() / 3600


# --- One seed, one portfolio --------------------------------------------------------------------


def test_one_seed_gives_identical_files_in_any_process_without_a_database(tmp_path: Path) -> None:
    for name, hash_seed in (("a", "1"), ("b", "2")):
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONHASHSEED": hash_seed,
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        }
        done = subprocess.run(
            [sys.executable, "manage.py", "sample", str(tmp_path / name), "--rooms", "40"],
            cwd=Path(__file__).parent.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert "40 rooms, 36 let" in done.stderr
    first = _digests(tmp_path / "a")
    assert first == _digests(tmp_path / "b")
    assert sorted(first) == [
        "app.jsonl", "bills.csv", "community.csv", "consents.csv", "contracts.xlsx", "iot.jsonl", "payments.csv",
        "rates.csv", "staff.csv", "tickets.csv", "truth/cast.json", "truth/tenants.csv", "truth/totals.json",
        "units.csv",
    ]  # fmt: skip


def test_another_seed_gives_other_neighbours_and_the_same_cast(sample: Portfolio, tmp_path: Path) -> None:
    call_command("sample", str(tmp_path), rooms=60, seed=8)
    other = Portfolio(tmp_path)
    assert other.cast == sample.cast
    assert _digests(tmp_path)["tickets.csv"] != _digests(sample.folder)["tickets.csv"]
    shared = {lease.phone for lease in other.leases} & {lease.phone for lease in sample.leases}
    assert shared == {facts["phone"] for facts in sample.cast.values()}
    for role in sample.cast.values():
        mine, theirs = (
            [row for row in portfolio.csv("tickets.csv") if row["手机号"] == role["phone"]]
            for portfolio in (sample, other)
        )
        assert [row["报修时间"] for row in mine] == [row["报修时间"] for row in theirs]


@pytest.mark.parametrize("today", ["2024-02-29", "2026-01-31", "2026-06-15", "2025-12-31"])
def test_any_day_can_be_today(tmp_path: Path, today: str) -> None:
    call_command("sample", str(tmp_path), rooms=24, today=today)
    portfolio = Portfolio(tmp_path)
    day = date.fromisoformat(today)
    assert sum(lease.holds(day) for lease in portfolio.leases) == portfolio.totals["let_units"] == 21
    for facts, days in zip(portfolio.cast.values(), (25, 25, 30, 40), strict=True):
        assert date.fromisoformat(facts["last_day"]) == day + timedelta(days=days)
    assert {unit["楼栋编号"] for unit in portfolio.csv("units.csv")} == {f"B{n}" for n in range(1, 9)}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rooms": 23}, "The portfolio needs at least 24 rooms"),
        ({"rooms": "many"}, "--rooms needs a whole number, not “many”."),
        ({"seed": "x"}, "--seed needs a whole number, not “x”."),
        ({"today": "2025-13-01"}, "--today needs a day such as 2025-12-01, not “2025-13-01”."),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence) as refused:
        call_command("sample", str(tmp_path / "new"), **options)
    assert refused.value.returncode == 2
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "new").exists()


def test_a_file_in_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "notes.txt"
    place.write_text("mine")
    with pytest.raises(CommandError, match=r"notes\.txt is a file, not a folder\.") as refused:
        call_command("sample", str(place), rooms=24)
    assert refused.value.returncode == 2
    assert place.read_text() == "mine"


def test_with_shared_rooms_the_contracts_have_one_column_more_and_nothing_else_is_another(
    sample: Portfolio, tmp_path: Path
) -> None:
    call_command("sample", str(tmp_path), rooms=ROOMS, shared=True)
    shared = Portfolio(tmp_path)
    was, now = _digests(sample.folder), _digests(tmp_path)
    assert {name for name in now if now[name] != was[name]} == {"contracts.xlsx"}
    rows = shared.contracts()
    beside = [row.pop("同住人", None) for row in rows]
    assert rows == sample.contracts()
    type_of = {unit["房源编号"]: unit["户型"] for unit in shared.csv("units.csv")}
    two = [(row, other.split()) for row, other in zip(rows, beside, strict=True) if other]
    assert {type_of[row["房源编号"]] for row, _other in two} == {"朝南一居", "复式一居"}
    assert all(row["租客姓名"] != name for row, (name, _phone) in two)
    # One person stands beside one tenant, on all their contracts of a room, and is nobody else.
    seconds = {phone: row["手机号"] for row, (_name, phone) in two}
    assert {(phone, row["手机号"]) for row, (_name, phone) in two} == set(seconds.items())
    assert not set(seconds) & {lease.phone for lease in sample.leases}
    assert not set(seconds.values()) & {facts["phone"] for facts in shared.cast.values()}
    numbers = {row["合同编号"] for row, _other in two}
    assert sum(lease.no in numbers for lease in shared.current) == 9


# --- Leases -------------------------------------------------------------------------------------


def test_no_two_signed_leases_overlap_on_a_unit(sample: Portfolio) -> None:
    of_unit = defaultdict(list)
    for lease in sample.leases:
        if not lease.void:
            of_unit[lease.unit].append(lease)
    assert len(of_unit) == ROOMS
    for one_after_the_other in of_unit.values():
        for before, after in pairwise(sorted(one_after_the_other, key=lambda lease: lease.first_day)):
            assert before.last_day < after.first_day


def test_every_lease_runs_whole_months_from_its_anchor_day(sample: Portfolio) -> None:
    for lease in sample.leases:
        ends = {lease.first_day + relativedelta(months=n, day=lease.anchor) for n in (6, 12, 24)}
        assert lease.agreed_last_day + timedelta(days=1) in ends
        assert lease.first_day <= lease.last_day <= lease.agreed_last_day
        assert lease.signed_on < lease.first_day


def test_a_renewal_follows_without_a_gap_and_keeps_the_anchor_day(sample: Portfolio) -> None:
    by_no = {lease.no: lease for lease in sample.leases}
    renewals = [lease for lease in sample.leases if lease.renews]
    assert len(renewals) > 50
    for lease in renewals:
        before = by_no[str(lease.renews)]
        assert lease.first_day == before.last_day + timedelta(days=1)
        assert (lease.unit, lease.phone, lease.anchor) == (before.unit, before.phone, before.anchor)
    assert len({lease.renews for lease in renewals}) == len(renewals)


def test_a_chain_through_a_short_month_comes_back_to_its_anchor_day() -> None:
    calendar = Calendar(TODAY)
    unit = places.build(rooms=24, seed=7)[0]
    person = Person("anyone", 7, "沈一诺", "10012345678", Latent.OTHER)
    chain = leases.chain(person, unit, last_day=date(2026, 8, 30), terms=[6, 6, 12], calendar=calendar)
    assert [(lease.first_day, lease.last_day, lease.anchor) for lease in chain.contracts] == [
        (date(2024, 8, 31), date(2025, 2, 27), 31),
        (date(2025, 2, 28), date(2025, 8, 30), 31),
        (date(2025, 8, 31), date(2026, 8, 30), 31),
    ]


def test_89_percent_are_let_and_more_than_a_third_of_them_end_in_the_season(sample: Portfolio) -> None:
    assert len(sample.current) == round(ROOMS * 0.89) == sample.totals["let_units"]
    ending = [lease for lease in sample.leases if not lease.void and SEASON[0] <= lease.last_day <= SEASON[1]]
    assert len(ending) > len(sample.current) / 3
    renewed = {lease.renews for lease in sample.leases if lease.renews and not lease.void}
    november = [lease for lease in ending if lease.last_day.month == 11]
    assert 0.5 < mean(lease.no in renewed for lease in november) < 0.95
    to_come = [lease for lease in ending if lease.last_day >= TODAY]
    assert 0 < sum(lease.no in renewed for lease in to_come) < len(to_come) / 4


def test_numbers_begin_with_100_and_stand_for_one_person_each(sample: Portfolio) -> None:
    names = defaultdict(set)
    for row in sample.contracts():
        names[row["手机号"]].add(row["租客姓名"])
    for row in sample.csv("staff.csv"):
        names[row["手机号"]].add(row["姓名"])
    assert all(len(phone) == 11 and phone.isdigit() and phone.startswith("100") for phone in names)
    assert all(len(people) == 1 for people in names.values())


def test_eight_buildings_share_flats_and_the_old_one_has_no_devices(sample: Portfolio) -> None:
    units = sample.csv("units.csv")
    devices = [(unit["门锁编号"], unit["电表编号"], unit["水表编号"]) for unit in units]
    for unit, of_unit in zip(units, devices, strict=True):
        assert all(of_unit) is (unit["物联网"] == "是") is (unit["楼栋编号"] != "B8")
    known = [device for of_unit in devices for device in of_unit if device]
    assert len(set(known)) == len(known)
    sizes = Counter(unit["套"] for unit in units)
    assert set(sizes.values()) == {1, 2, 3, 4}
    assert len({unit["户型"] for unit in units}) == 5
    priced = {(row["楼栋编号"], row["户型"]) for row in sample.csv("rates.csv")}
    assert {(unit["楼栋编号"], unit["户型"]) for unit in units} == priced


# --- The cast and the story ---------------------------------------------------------------------


def test_the_two_of_the_kitchen_differ_only_in_the_consent_to_offers(sample: Portfolio) -> None:
    kitchen, refused = sample.cast["kitchen"], sample.cast["kitchen_refused"]
    assert (kitchen["name"], refused["name"]) == ("林晓", "周航")
    assert kitchen["last_day"] == refused["last_day"] == "2025-12-26"
    assert {kitchen["unit"][:2], refused["unit"][:2]} == {"B1"}
    calls = defaultdict(list)
    for call in sample.lines("app.jsonl"):
        name = call.get("name") or call.get("properties", {}).get("facility") or str(call.get("traits"))
        calls[call["userId"]].append((call["timestamp"], name))
    assert calls[kitchen["app_user"]] == calls[refused["app_user"]]
    used = Counter(name for _, name in calls[kitchen["app_user"]])
    assert (used["gym"], used["shared_kitchen"]) == (47, 64)
    answers = {
        facts["name"]: {
            row["用途"]: row["同意"] for row in sample.csv("consents.csv") if row["手机号"] == facts["phone"]
        }
        for facts in sample.cast.values()
    }
    everything = {"续租优惠": "是", "个性化": "是", "门锁记录": "是"}
    assert answers == {
        "林晓": everything,
        "周航": everything | {"续租优惠": "否"},
        "陈默": everything,
        "何静": everything,
    }


def test_one_leak_is_reported_through_three_channels_and_accepted_after_6_7_hours(sample: Portfolio) -> None:
    late = sample.cast["late_repair"]
    leak = [row for row in sample.csv("tickets.csv") if row["手机号"] == late["phone"] and row["报修类型"] == "漏水"]
    assert [row["渠道"] for row in leak] == ["微信群", "公众号", "前台"]
    assert {row["房源编号"] for row in leak} == {late["unit"]}
    assert len({row["接单时间"] for row in leak}) == 1
    assert _hours(leak[0], "报修时间", "接单时间") == pytest.approx(6.7)
    assert _hours({**leak[0], "last": leak[2]["报修时间"]}, "报修时间", "last") < 2


def test_the_old_building_has_no_readings_and_its_tenant_three_flat_moods(sample: Portfolio) -> None:
    old = sample.cast["old_building"]
    assert old["unit"].startswith("B8-")
    assert not any('"topic":"site/B8/' in line for line in (sample.folder / "iot.jsonl").open(encoding="utf-8"))
    numbers = {lease.no for lease in sample.leases if lease.phone == old["phone"]}
    moods = [row["心情"] for row in sample.csv("bills.csv") if row["合同编号"] in numbers]
    assert moods[-4:] == ["😊", "😐", "😐", "😐"]


def test_only_the_first_building_announces_its_kitchen(sample: Portfolio) -> None:
    said = [row for row in sample.csv("community.csv") if row["类型"] == "公告"]
    kitchen = [row for row in said if row["主题"] == "shared_kitchen"]
    assert [(row["楼栋编号"], row["时间"], row["截止日期"], row["内容"]) for row in kitchen] == [
        ("B1", "2025-12-20", "2026-01-31", "共享厨房 12 月 20 日升级烘焙区")
    ]
    assert any(date.fromisoformat(row["截止日期"]) < TODAY for row in said)
    assert {row["负责人"] for row in said} <= {row["账号"] for row in sample.csv("staff.csv")}


def test_repairs_waited_6_7_hours_before_the_season_and_about_two_since(sample: Portfolio) -> None:
    waited: dict[bool, list[float]] = {True: [], False: []}
    for row in sample.csv("tickets.csv"):
        if row["接单时间"]:
            waited[row["报修时间"] >= "2025-11-01"].append(_hours(row, "报修时间", "接单时间"))
    assert mean(waited[False]) == pytest.approx(6.7, abs=0.3)
    assert 1.8 <= mean(waited[True]) <= 2.5


def test_some_need_repairs_at_night_and_some_are_waiting_today(sample: Portfolio) -> None:
    tickets = sample.csv("tickets.csv")
    hours = defaultdict(list)
    for row in tickets:
        hours[row["手机号"]].append(int(row["报修时间"][11:13]))
    latent = {row["phone"]: row["latent"] for row in sample.truth}
    living = {lease.phone for lease in sample.current}
    at_night = [
        phone
        for phone, last in hours.items()
        if phone in living and len(last) >= 3 and all(hour >= 22 or hour < 6 for hour in last[-3:])
    ]
    assert at_night
    assert {latent[phone] for phone in at_night} == {"service"}
    waiting = [row for row in tickets if not row["接单时间"]]
    assert len(waiting) >= 3
    assert all(row["报修时间"] >= "2025-11-30" for row in waiting)
    skills = {row["账号"]: row["技能"].split(";") for row in sample.csv("staff.csv") if row["角色"] == "维修"}
    for row in tickets:
        if row["维修人"]:
            assert row["报修类型"].replace("快递错柜", "其他") in skills[row["维修人"]]


def test_latent_types_have_their_shares_and_show_in_what_people_do(sample: Portfolio) -> None:
    latent = {row["contract_no"]: row["latent"] for row in sample.truth}
    current = {lease.phone: lease for lease in sample.current}
    shares = Counter(latent[lease.no] for lease in sample.current)
    assert shares == {"social": 40, "price": 31, "service": 19, "other": 17}

    since = "2025-09-02"
    score: dict[str, Counter[str]] = defaultdict(Counter)
    by_member = {lease.member: lease.phone for lease in sample.current}
    for row in sample.csv("community.csv"):
        if phone := by_member.get(row["社群号"]):
            score[phone]["social"] += {"活动": 4, "发言": 1}[row["类型"]]
    by_user = {lease.app_user: lease.phone for lease in sample.current}
    for call in sample.lines("app.jsonl"):
        phone = by_user.get(call["userId"])
        if phone and call.get("name") in {"rent_prices", "coupons"} and call["timestamp"] >= since:
            score[phone]["price"] += 3
    for row in sample.csv("tickets.csv"):
        if row["手机号"] in current:
            score[row["手机号"]]["service"] += 6
    found = 0
    for phone, lease in current.items():
        guess, points = max(score[phone].items(), key=lambda pair: pair[1], default=("other", 0))
        found += (guess if points >= 12 else "other") == latent[lease.no]
    assert 0.6 < found / len(current) < 0.97


# --- Counts, consents and time ------------------------------------------------------------------


def test_the_totals_equal_a_recount_of_the_files(sample: Portfolio) -> None:
    events: Counter[str] = Counter()
    rows = {name: len(sample.csv(name)) for name in sample.totals["files"] if name.endswith(".csv")}
    rows["contracts.xlsx"] = len(sample.leases)
    iot, app = sample.lines("iot.jsonl"), sample.lines("app.jsonl")
    rows |= {"iot.jsonl": len(iot), "app.jsonl": len(app)}
    metrics = {"open": "door.opened", "energy": "power.read", "volume": "water.read"}
    events.update(metrics[line["metric"]] for line in iot)
    calls = {"screen": "app.viewed", "track": "facility.used", "identify": "profile.stated"}
    events.update(calls[call["type"]] for call in app)
    kinds = {"活动": "community.joined", "发言": "community.posted"}
    events.update(kinds[row["类型"]] for row in sample.csv("community.csv") if row["类型"] in kinds)
    steps = {
        "报修时间": "reported",
        "接单时间": "accepted",
        "到场时间": "arrived",
        "完成时间": "finished",
        "评分": "rated",
    }
    for row in sample.csv("tickets.csv"):
        events.update(f"ticket.{step}" for column, step in steps.items() if row[column])
    bills = sample.csv("bills.csv")
    events["bill.issued"] = len(bills)
    events["mood.given"] = sum(bool(row["心情"]) for row in bills)
    events["payment.made"] = len(sample.csv("payments.csv"))
    assert sample.totals["files"] == rows
    assert sample.totals["events"] == events
    for ids in (
        [line["id"] for line in iot],
        [call["messageId"] for call in app],
        [row["编号"] for row in sample.csv("community.csv")],
        [row["流水号"] for row in sample.csv("payments.csv")],
        [row["账单号"] for row in bills],
        [row["报修单号"] for row in sample.csv("tickets.csv")],
    ):
        assert len(set(ids)) == len(ids)


def test_consents_are_given_refused_and_withdrawn_in_about_the_stated_shares(sample: Portfolio) -> None:
    ledger = defaultdict(list)
    for row in sample.csv("consents.csv"):
        if row["渠道"] == "全部":
            ledger[row["手机号"], row["用途"]].append(row["同意"])
    people = {lease.phone for lease in sample.leases if not lease.void}
    for purpose, share in (("续租优惠", 0.80), ("个性化", 0.90), ("门锁记录", 0.60)):
        held = sum(ledger[phone, purpose][-1:] == ["是"] for phone in people) / len(people)
        assert held == pytest.approx(share, abs=0.08)
    answers = Counter(tuple(lines) for lines in ledger.values())
    assert answers["否",] > 10
    assert answers["是", "否"] > 3


def test_doors_are_logged_only_for_those_who_consent_and_for_no_longer_than_may_be(sample: Portfolio) -> None:
    unit_of = {row["门锁编号"]: row["房源编号"] for row in sample.csv("units.csv") if row["门锁编号"]}
    answers = defaultdict(list)
    for row in sample.csv("consents.csv"):
        if row["用途"] == "门锁记录":
            answers[row["手机号"]].append((row["时间"], row["同意"]))
    of_unit = defaultdict(list)
    for lease in sample.leases:
        of_unit[lease.unit].append(lease)
    openings = [line for line in sample.lines("iot.jsonl") if line["metric"] == "open"]
    assert len(openings) > 5_000
    for line in openings:
        day = date.fromisoformat(line["ts"][:10])
        assert day > TODAY - timedelta(days=90)
        (lease,) = (one for one in of_unit[unit_of[line["topic"].split("/")[3]]] if one.holds(day))
        assert answers[lease.phone][-1][1] == "是"
        assert answers[lease.phone][-1][0] < line["ts"]


def test_nothing_happens_after_ten_this_morning_or_before_the_tenant_moved_in(sample: Portfolio) -> None:
    latest = NOW.isoformat()
    starts: dict[str | None, date] = {}
    for lease in sample.leases:
        if not lease.void:
            for alias in (lease.no, lease.phone, lease.app_user, lease.member):
                starts[alias] = min(starts.get(alias, lease.first_day), lease.first_day)
    happened = [(call["userId"], call["timestamp"]) for call in sample.lines("app.jsonl")]
    happened += [(r["社群号"], r["时间"]) for r in sample.csv("community.csv") if r["类型"] != "公告"]
    happened += [(row["合同编号"], row["支付时间"]) for row in sample.csv("payments.csv")]
    for row in sample.csv("bills.csv"):
        happened += [(row["合同编号"], row[column]) for column in ("出账时间", "心情时间") if row[column]]
    for row in sample.csv("tickets.csv"):
        times = [row[column] for column in ("报修时间", "接单时间", "到场时间", "完成时间") if row[column]]
        assert times == sorted(times)
        happened += [(row["手机号"], at) for at in times]
    for alias, at in happened:
        assert starts[alias].isoformat() <= at[:10]
        assert at <= latest
    counters: dict[str, float] = defaultdict(float)
    for line in sample.lines("iot.jsonl"):
        assert "2024-12-02" <= line["ts"] <= latest
        if line["metric"] != "open":
            assert line["value"] >= counters[line["topic"]]
            counters[line["topic"]] = line["value"]
