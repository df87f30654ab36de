"""Where letters begin: what it is weighed by, that nobody's person moves it, and that a letter keeps its beginning."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from renewal import leadboard, leading, proposals
from renewal.models import Case, CaseChange, Proposal, Rate
from tenants import clock
from tenants.models import Lease
from tests.letter import ask_price, make_letter, opened, publish
from tests.makers import (
    NOW,
    TODAY,
    make_building,
    make_event,
    make_lease,
    make_tag,
    make_tenant,
    make_unit,
    make_user,
)
from tests.test_rate_card import as_, text

pytestmark = pytest.mark.django_db

CHEAP_LONG = {(6, 0): "3980.00", (12, 0): "3700.00", (12, 1): "4170.00", (18, 0): "3650.00", (24, 0): "3640.00"}


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


@pytest.fixture
def year() -> None:
    """The last year of two buildings: in B1 30 of 40 stayed; in B2 all ten left, and their rooms stood empty."""
    for n in range(40):
        _ended("B1", date(2025, 5, 20), stays=n < 30, empty=10)
    for _n in range(10):
        _ended("B2", date(2025, 1, 15), stays=False, empty=50)


def _ended(building: str, last_day: date, *, stays: bool, empty: int | None) -> Lease:
    unit, tenant = make_unit(building=make_building(building)), make_tenant("从前")
    old = make_lease(tenant, unit, last_day=last_day)
    if stays:
        make_lease(
            tenant,
            unit,
            first_day=last_day + timedelta(days=1),
            last_day=last_day + timedelta(days=700),
            renews=old,
            signed_on=last_day - timedelta(days=20),
        )
    else:
        case = Case.objects.create(lease=old, state="moved_out", since=NOW, opened_at=NOW)
        CaseChange.objects.create(case=case, was="declined", now="moved_out", at=NOW, cause="moved out", by="x")
        if empty is not None:
            make_lease(
                make_tenant("后来"),
                unit,
                first_day=last_day + timedelta(days=empty + 1),
                last_day=last_day + timedelta(days=700),
                signed_on=last_day,
            )
    return old


def test_what_a_lead_is_weighed_by(year: None) -> None:
    one, two = make_building("B1"), make_building("B2")
    found = leading.facts([one.pk, two.pk], today=TODAY, now=NOW)
    house = 30 / 50
    assert found[one.pk].renewal_rate == pytest.approx((30 + 10 * house) / 50)
    assert found[two.pk].renewal_rate == pytest.approx(10 * house / 20)
    # Ten rooms of B1 stood empty for 10 days in May, ten of B2 for 50 in January: 30 days on average.
    may, january = (100 + 10 * 30) / 20, (500 + 10 * 30) / 20
    assert found[one.pk].vacant_days == pytest.approx(
        dict.fromkeys(range(1, 13), 30.0) | {5: (100 + 10 * may) / 20, 1: january}
    )
    assert found[two.pk].vacant_days == pytest.approx(
        dict.fromkeys(range(1, 13), 30.0) | {5: may, 1: (500 + 10 * january) / 20}
    )
    assert found[one.pk].led == {}


def test_rooms_that_are_empty_still_count_with_their_days_so_far_and_at_most_half_a_year(year: None) -> None:
    three = make_building("B3")
    for last_day in (TODAY - timedelta(days=8), TODAY - timedelta(days=300)):
        _ended("B3", last_day, stays=False, empty=None)
    found = leading.facts([three.pk], today=TODAY, now=NOW)[three.pk].vacant_days
    mean = (100 + 500 + 7 + 180) / 22
    november = (7 + 10 * mean) / 11
    assert found[11] == pytest.approx((7 + 10 * november) / 11)
    february = (180 + 10 * mean) / 11
    assert found[2] == pytest.approx((180 + 10 * february) / 11)


def test_while_little_has_ended_a_letter_begins_with_a_year(client: Client) -> None:
    for _n in range(29):
        _ended("B1", date(2025, 5, 20), stays=True, empty=None)
    link, token = make_letter()
    opened(client, token)
    assert Proposal.objects.get(lease=link.lease).lead == {}
    assert 'name="term" min="6" max="24" step="6" value="12"' in client.get("/r/letter/").content.decode()
    _ended("B1", date(2025, 5, 20), stays=True, empty=None)
    proposals.prepare(today=TODAY, now=NOW)
    other, _token = make_letter("message:push:2")
    proposals.prepare(today=TODAY, now=NOW)
    assert Proposal.objects.get(lease=other.lease).lead != {}
    assert Proposal.objects.get(lease=link.lease).lead == {}  # it began with a year, and stays there


def begins(client: Client) -> str:
    page = client.get("/r/letter/").content.decode()
    found = re.search(r'name="term" min="\d+" max="\d+" step="\d+" value="(\d+)"', page)
    assert found
    return found.group(1)


def test_a_letter_begins_with_its_lead_and_keeps_it(client: Client, year: None) -> None:
    publish(make_building(), {"朝南一居": CHEAP_LONG})
    link, token = make_letter()
    opened(client, token)
    proposal = Proposal.objects.get(lease=link.lease)
    lead = proposal.lead
    assert (lead["term_months"], lead["free_months"]) == (18, 0)
    assert (lead["cheapest"], lead["above_percent"], lead["horizon"]) == ([24, 0], 3, 24)
    assert [row[:3] for row in lead["weighed"]] == [
        [6, 0, "3980.00"],
        [12, 0, "3700.00"],
        [12, 1, "4170.00"],
        [18, 0, "3650.00"],
        [24, 0, "3640.00"],
        [24, 2, "4120.50"],
    ]
    assert begins(client) == "18"
    # What is learned later moves other letters, not this one.
    for _n in range(40):
        _ended("B1", date(2025, 6, 26), stays=False, empty=120)
    assert begins(client) == "18"
    # Whoever has chosen finds what they chose.
    assert ask_price(client, term="6", free="0").status_code == 200
    assert begins(client) == "6"


def test_the_nearest_line_stands_in_for_a_lead_that_is_gone(client: Client, year: None) -> None:
    publish(make_building(), {"朝南一居": CHEAP_LONG})
    _link, token = make_letter()
    opened(client, token)
    Rate.objects.filter(term_months=18).delete()
    assert begins(client) == "12"


def test_nothing_of_a_person_moves_the_beginning(year: None) -> None:
    """Forty tenants whose leases end on one day; everything else about them is drawn by lot."""
    dice = random.Random(7)
    leads = []
    for n in range(40):
        tenant = make_tenant(f"租客{n}", consents=dice.choice([(), ("marketing",), ("marketing", "profiling")]))
        last_day = TODAY + timedelta(days=25)
        link, _token = make_letter(
            f"message:push:{n}",
            tenant=tenant,
            monthly_rent=Decimal(dice.randrange(2000, 7000)),
            deposit=Decimal(dice.randrange(0, 9000)),
            first_day=last_day - timedelta(days=dice.randrange(100, 900)),
            last_day=last_day,
        )
        if dice.random() < 0.5:
            make_tag(tenant, "night_sensitive")
        if dice.random() < 0.5:
            make_event("ticket", tenant, link.lease.unit)
        leads.append(link.lease_id)
    proposals.prepare(today=TODAY, now=NOW)
    found = list(Proposal.objects.filter(lease__in=leads).values_list("lead", flat=True))
    assert len(found) == 40
    assert all(lead == found[0] for lead in found)
    assert found[0]["term_months"]


def test_letters_that_were_opened_a_month_ago_move_the_next_ones(year: None) -> None:
    """Of each kind by hand: two that renewed, one that moved, one that left; and those that are not counted."""
    counted = [("signed", 40), ("signed", 394), ("transferred", 31), ("moved_out", 200), ("considering", 60)]
    not_counted = [("signed", 29), ("signed", 396), ("moved_out", None)]
    for state, ago in counted + not_counted:
        lease = make_lease(unit=make_unit(building=make_building("B2")))
        Case.objects.create(lease=lease, state=state, since=NOW, opened_at=NOW)
        Proposal.objects.create(
            lease=lease,
            tenant=lease.tenants.get(),
            story=[],
            card={},
            lead={"term_months": 24, "free_months": 2},
            prepared_on=TODAY,
            prepared_at=NOW,
            opened_at=NOW - timedelta(days=ago) if ago else None,
        )
    building = make_building("B1")
    assert leading.facts([building.pk], today=TODAY, now=NOW)[building.pk].led == {(24, 2): (5, 3)}


def test_the_reader_may_see_why_it_begins_there(client: Client, year: None) -> None:
    publish(make_building(), {"朝南一居": CHEAP_LONG})
    _link, token = make_letter()
    opened(client, token)
    page = client.get("/r/letter/certificate").content.decode()
    assert "滑块没动之前，它停在 18 个月。" in page
    assert "信也写于 2025 年 12 月 1 日的租客" in page
    assert "高出不超过 3%、又不带免租的几档里" in page
    Proposal.objects.update(lead={**Proposal.objects.get().lead, "free_months": 1})
    page = client.get("/r/letter/certificate").content.decode()
    assert "它停在 18 个月、免租 1 个月。" in page
    assert "高出不超过 3% 的几档里" in page
    Proposal.objects.update(lead={})
    assert "信为什么从这一档开始" not in client.get("/r/letter/certificate").content.decode()


# --- For staff --------------------------------------------------------------------------------------------


def test_staff_see_where_letters_begin_and_why(year: None) -> None:
    building = make_building()
    publish(building, {"朝南一居": CHEAP_LONG})
    for last_day in (date(2025, 12, 20), date(2025, 12, 26), date(2026, 1, 9)):
        Case.objects.create(lease=make_lease(last_day=last_day), state="upcoming", since=NOW, opened_at=NOW)
    client = as_(make_user("mei", is_superuser=True))
    assert 'href="/admin/rates/leads/?building=B1"' in client.get("/admin/rates/?building=B1").content.decode()
    page = text(client.get("/admin/rates/leads/?building=B1"))
    assert "蓝寓B1：信从哪一档开始" in page
    row = re.search(r"<tr data-row>\s*<th scope=\"row\">2025-12</th>.*?</tr>", page, re.S)
    assert row
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row.group()))
    assert plain.startswith(" 2025-12 2 18 个月")
    assert "2027-06 到期；那时房间平均空 30 天" in plain
    assert plain.count("24 个月") == 1  # the lowest-priced line beside it
    found = leadboard.board(building, today=TODAY, now=NOW).types["朝南一居"][0].lead
    rent, lowest = Decimal(3650), Decimal(3640)
    assert f"预计每月比最低价一档多 {found.more:,.0f} 元：租金高 {rent / lowest - 1:.1%}，" in plain
    assert f"续签率 −{-100 * found.apart:.1f} 个百分点" in plain
    assert found.more == pytest.approx(found.line.a_month - found.cheapest.a_month)
    assert "超过上限" in page
    assert page.count("信从这里开始") == 1


def test_the_page_of_a_case_marks_where_its_letter_begins(year: None) -> None:
    publish(make_building(), {"朝南一居": CHEAP_LONG})
    link, _token = make_letter()
    proposals.prepare(today=TODAY, now=NOW)
    client = as_(make_user("mei", is_superuser=True))
    page = text(client.get(f"/admin/case/{Case.objects.get(lease=link.lease).pk}/"))
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', page, re.DOTALL)
    assert [re.sub("<[^>]+>| ", "", row) for row in rows if "信从这里开始" in row] == [
        "现住房间18个月信从这里开始3,650.00"
    ]
    Proposal.objects.update(lead={})
    assert "信从这里开始" not in text(client.get(f"/admin/case/{Case.objects.get(lease=link.lease).pk}/"))


def test_a_house_of_which_little_is_known_says_so() -> None:
    make_building()
    client = as_(make_user("mei", is_superuser=True))
    assert "有结果的租约不到 30 份" in text(client.get("/admin/rates/leads/?building=B1"))
    assert client.get("/admin/rates/leads/").status_code == 404
    assert client.get("/admin/rates/leads/?building=B9").status_code == 404
