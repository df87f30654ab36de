"""居住成就路线图: what the length of a stay unlocks is given once, to everybody, by the day's run."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from renewal import days, milestones, offers, rehearsals, rehearsed, tasks
from renewal.models import Case, Rehearsal
from tenants import catalogue, clock, merges, vouchers
from tenants.models import Grant, Lease, LeaseTenant, Membership, Perk, Tenant
from tests.makers import NOW, TODAY, make_lease, make_tenant, make_unit, make_user
from tests.test_rehearsal_pages import Here

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning_and_the_catalogue_is_there(db: None) -> None:
    clock.set_to(NOW)
    catalogue.ship()


def home(since: date, tenant: Tenant | None = None, **facts: Any) -> Lease:
    """A lease that began on `since` and goes on for half a year from now."""
    facts = {"first_day": since, "last_day": TODAY + timedelta(days=180)} | facts
    return make_lease(tenant, **facts)


def months_ago(months: int) -> date:
    return offers.add_months(TODAY, -months, TODAY.day)


def keys(of: Lease | None = None) -> list[str]:
    lines = Grant.objects.filter(lease=of) if of else Grant.objects.all()
    return sorted(key.split(":")[2] for key in lines.values_list("key", flat=True))


@pytest.mark.parametrize(
    ("since", "reached"),
    [
        (months_ago(6) + timedelta(days=1), []),
        (months_ago(6), ["cleaning"]),
        (months_ago(12) + timedelta(days=1), ["cleaning"]),
        (months_ago(12), ["cleaning", "first_choice"]),
        (months_ago(24) + timedelta(days=1), ["cleaning", "first_choice"]),
        (months_ago(24), ["cleaning", "first_choice", "partner-2"]),
        (months_ago(36) + timedelta(days=1), ["cleaning", "first_choice", "partner-2"]),
        (months_ago(60), ["cleaning", "first_choice", "partner-5"]),
    ],
)
def test_a_milestone_is_given_on_its_day_and_no_day_before(since: date, reached: list[str]) -> None:
    home(since)
    assert milestones.give(today=TODAY, now=NOW) == {"given": len(reached), "short": 0}
    assert keys() == reached


@settings(deadline=None, max_examples=40)
@given(since=st.dates(date(2020, 1, 1), TODAY), today=st.dates(TODAY, TODAY + timedelta(days=179)))
def test_every_day_agrees_with_months_counted_one_by_one(since: date, today: date) -> None:
    """Against renewal.offers, which adds months by itself, at the ends of months and of February too."""
    lease = home(since)
    found = {row.milestone for row in milestones.due(today=today) if row.lease == lease.pk}
    expected = {code for code, months in (("cleaning", 6), ("first_choice", 12)) if _after(since, months) <= today}
    years = max((n for n in range(2, 10) if _after(since, 12 * n) <= today), default=0)
    assert found == expected | ({f"partner-{years}"} if years else set())
    LeaseTenant.objects.filter(lease=lease).delete()


def _after(since: date, months: int) -> date:
    return offers.add_months(since, months, since.day)


@pytest.mark.parametrize(
    ("since", "day"),
    [
        (date(2024, 2, 29), date(2026, 2, 28)),
        (date(2025, 8, 31), date(2026, 2, 28)),
        (date(2024, 1, 31), date(2026, 1, 31)),
    ],
)
def test_the_end_of_a_month_is_the_anniversary_of_a_day_it_does_not_have(since: date, day: date) -> None:
    home(since, last_day=date(2026, 12, 31))
    before = {row.milestone for row in milestones.due(today=day - timedelta(days=1))}
    assert {row.milestone for row in milestones.due(today=day)} - before in ({"partner-2"}, {"cleaning"})


def test_a_line_says_why_for_which_lease_who_answers_until_when_and_at_what_cost() -> None:
    lease = home(months_ago(24))
    owner = make_user("guan")
    Membership.objects.create(user=owner, role="care", building=lease.unit.building, first_day=TODAY)
    milestones.give(today=TODAY, now=NOW)
    line = Grant.objects.get(perk__code="partner")
    assert (line.key, line.lease, line.owner) == (f"roadmap:{lease.tenants.get().pk}:partner-2", lease, owner)
    assert line.reason == "自 2023-12-01 住满 2 年"
    assert (line.cost, line.granted_at) == (Decimal("200.00"), NOW)
    assert line.expires_at == clock.at(TODAY + timedelta(days=366))
    choice = Grant.objects.get(perk__code="first_choice")
    assert (choice.expires_at, choice.voucher_hash) == (None, "")
    assert Grant.objects.get(perk__code="cleaning").reason == "自 2023-12-01 住满 6 个月"


def test_running_the_day_again_and_every_day_after_gives_nothing_twice() -> None:
    home(months_ago(24))
    assert days.run(today=TODAY, now=NOW)["stages"]["roadmap"] == {"given": 3, "short": 0}
    for n in (0, 1, 30, 364):
        clock.set_to(NOW + timedelta(days=n))
        milestones.give(today=TODAY + timedelta(days=n), now=NOW + timedelta(days=n))
    assert keys() == ["cleaning", "first_choice", "partner-2"]


def test_the_dividend_comes_once_a_year_and_years_that_nobody_ran_are_not_made_up_for() -> None:
    lease = home(months_ago(24), last_day=TODAY + timedelta(days=3000))
    for day in (TODAY, _after(TODAY, 12) - timedelta(days=1), _after(TODAY, 12), _after(TODAY, 47)):
        milestones.give(today=day, now=clock.at(day, 10))
    assert [key for key in keys(lease) if key.startswith("partner")] == ["partner-2", "partner-3", "partner-5"]


def test_what_was_redeemed_or_taken_back_is_not_given_again() -> None:
    home(months_ago(7))
    milestones.give(today=TODAY, now=NOW)
    vouchers.redeem(Grant.objects.get(), by=None, now=NOW)
    assert milestones.give(today=TODAY, now=NOW) == {"given": 0, "short": 0}
    other = home(months_ago(8))
    milestones.give(today=TODAY, now=NOW)
    vouchers.revoke(Grant.objects.get(lease=other), reason="误发", by=None, now=NOW)
    assert milestones.give(today=TODAY, now=NOW) == {"given": 0, "short": 0}


def test_two_rows_that_turn_out_to_be_one_person_are_not_given_twice_and_count_their_longer_stay() -> None:
    old, new = make_tenant("林晓"), make_tenant("林晓")
    home(date(2023, 1, 10), old, last_day=date(2025, 1, 9))
    lease = home(date(2025, 5, 20), new)
    assert milestones.give(today=TODAY, now=NOW) == {"given": 1, "short": 0}  # half a year, as it seems
    for kept, merged in ((old, new), (new, old)):
        row = merges.merge(kept, merged, reason="同一人", by=None, now=NOW)
        milestones.give(today=TODAY, now=NOW)
        assert keys() == ["cleaning", "first_choice", "partner-2"]
        merges.unmerge(row, why="两个人", by=None, now=NOW)
    assert keys(lease) == ["cleaning", "first_choice", "partner-2"]


def test_flat_mates_each_have_their_own() -> None:
    lease = home(months_ago(7))
    mate = make_tenant("陈默")
    LeaseTenant.objects.create(lease=lease, tenant=mate, is_primary=False)
    milestones.give(today=TODAY, now=NOW)
    assert set(Grant.objects.values_list("tenant", flat=True)) == {*lease.tenants.values_list("pk", flat=True)}
    codes = {vouchers.code_of(each) for each in Grant.objects.all()}
    assert len(codes) == 2


def test_it_is_open_to_all_whatever_they_agreed_to_or_refused() -> None:
    for facts in ({"consents": ()}, {"general_version": True}, {"consents": ("marketing",)}):
        home(months_ago(7), make_tenant(**facts))
    assert milestones.give(today=TODAY, now=NOW)["given"] == 3


def test_who_has_moved_out_or_not_yet_moved_in_is_given_nothing_and_who_stays_on_is() -> None:
    home(months_ago(30), last_day=TODAY - timedelta(days=1))
    home(TODAY + timedelta(days=1))
    make_lease(state="void", first_day=months_ago(9))
    stays = home(months_ago(7), last_day=TODAY - timedelta(days=1))
    Case.objects.create(lease=stays, state="holdover", since=NOW, opened_at=NOW)
    milestones.give(today=TODAY, now=NOW)
    assert list(Grant.objects.values_list("lease", flat=True)) == [stays.pk]


def test_where_the_stock_is_used_up_whoever_has_lived_here_longest_comes_first_and_the_others_wait() -> None:
    late, early = home(months_ago(7)), home(months_ago(9))
    catalogue.restock(Perk.objects.get(code="cleaning").pk, added=1, why="签约 1 次", by=None, now=NOW)
    assert milestones.give(today=TODAY, now=NOW) == {"given": 1, "short": 1}
    assert keys(early) == ["cleaning"]
    catalogue.restock(Perk.objects.get(code="cleaning").pk, added=5, why="续约", by=None, now=NOW)
    assert milestones.give(today=TODAY, now=NOW) == {"given": 1, "short": 0}
    assert keys(late) == ["cleaning"]


def test_a_whole_house_takes_as_many_queries_as_one_person() -> None:
    queries = []
    for n in (1, 60):
        Grant.objects.count()
        for _each in range(n):
            home(months_ago(7), unit=make_unit())
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert milestones.give(today=TODAY, now=NOW)["given"] == n
        queries.append(len(captured))
    assert queries[0] == queries[1]


def test_a_dry_run_lists_what_the_days_then_give_and_gives_nothing() -> None:
    first, second = home(months_ago(6) + timedelta(days=1)), home(months_ago(6) + timedelta(days=3))
    year = home(months_ago(12) + timedelta(days=2))
    LeaseTenant.objects.create(lease=year, tenant=make_tenant("何静"), is_primary=False)
    Perk.objects.filter(code="cleaning").update(stock=3)  # the two who have lived here for a year come first
    ahead = rehearsals.dry_run(now=NOW, ahead=4)["roadmap"]
    assert not Grant.objects.exists()
    assert Perk.objects.get(code="cleaning").stock == 3
    for n in range(4):
        day = TODAY + timedelta(days=n)
        clock.set_to(clock.at(day, 10))
        days.run(today=day, now=clock.now())
    really = [
        {
            "on": str(clock.day_of(line.granted_at)), "lease": line.lease_id, "tenant": line.tenant_id,
            "perk": line.perk.code, "milestone": line.key.split(":")[2], "why": line.reason,
        }
        for line in Grant.objects.select_related("perk").order_by("granted_at", "pk")
    ]  # fmt: skip
    assert ahead["grants"] == really
    both = [row.tenant_id for row in LeaseTenant.objects.filter(lease=year).order_by("tenant")]
    assert [(row["on"], row["tenant"], row["milestone"]) for row in ahead["grants"]] == [
        *(("2025-12-01", tenant, "cleaning") for tenant in both),
        ("2025-12-02", first.tenants.get().pk, "cleaning"),
        *(("2025-12-03", tenant, "first_choice") for tenant in both),
    ]
    assert ahead["short"] == {"cleaning": 1}
    assert [row.lease for row in milestones.due(today=TODAY + timedelta(days=3))] == [second.pk]


def test_the_page_of_a_dry_run_says_what_the_roadmap_would_give_and_of_one_tenant_theirs(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsed.connections, "create_connection", lambda alias: Here())
    one, other = home(months_ago(6)), home(months_ago(12), make_tenant("何静"))
    Perk.objects.filter(code="first_choice").update(stock=0)
    client.force_login(make_user("chief", is_superuser=True))
    page = client.post("/admin/rehearsal/", {"kind": "ahead"})["Location"]
    tasks.rehearse()
    said = " ".join(re.sub(r"<[^>]+>", " ", client.get(page).content.decode()).split())
    assert "居住成就会发放 2 份权益 保洁一次 2 库存或预算不够，要等的有： 新房源优先选 1" in said
    theirs = client.get(f"{page}?tenant={other.tenants.get().pk}").content.decode()
    assert "居住成就会发放 1 份权益" in theirs
    assert f"?tenant={one.tenants.get().pk}" not in theirs
    Rehearsal.objects.update(result={"from": "2025-12-01", "to": "2026-01-29", "followings": []})
    assert "居住成就会发放" not in client.get(page).content.decode()  # one that was run before there was any
