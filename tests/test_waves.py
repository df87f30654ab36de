"""The forecast of next year's endings: its sums by hand and by brute force, and what the pages say of it."""

from __future__ import annotations

import math
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from renewal import kpis, waveboard, waves
from renewal.figures import Period
from renewal.models import Case, Rate, RateChange
from renewal.offers import term_last_day
from renewal.templatetags.staff import percentage_points
from renewal.waves import Open
from tenants import clock
from tenants.models import Lease
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user
from tests.test_rate_card import as_, make_band, make_rate, text

YEAR = waves.next_year(TODAY)


def test_next_year_ends_with_the_next_winter() -> None:
    assert (YEAR[0], YEAR[-1], len(YEAR)) == (date(2026, 2, 1), date(2027, 1, 1), 12)
    assert waves.next_year(date(2026, 1, 31))[0] == date(2026, 2, 1)
    assert waves.next_year(date(2026, 2, 1))[-1] == date(2027, 1, 1)
    assert waves.next_year(date(2026, 7, 31))[-1] == date(2027, 1, 1)
    assert waves.next_year(date(2026, 8, 1))[-1] == date(2028, 1, 1)


def test_the_sum_by_hand() -> None:
    """Two cases that begin on 27 December and 1 January, half renew, 60 % for 12 months and 40 % for 6."""
    cases = [Open(date(2025, 12, 27), 27), Open(date(2026, 1, 1), 1)]
    found = waves.forecast({date(2026, 2, 1): 3}, cases, months=YEAR, rate=0.5, shares={12: 0.6, 6: 0.4})
    assert dict(zip(found.months, found.each, strict=True)) == pytest.approx(
        dict.fromkeys(YEAR, 0.0) | {date(2026, 2, 1): 3, date(2026, 6, 1): 0.4, date(2026, 12, 1): 0.6}
    )  # 1 January + 12 months ends on 31 December, + 6 on 30 June
    assert (found.peak, found.total, found.later) == (date(2026, 2, 1), pytest.approx(4.0), 0.0)
    assert (found.peak_share, found.winter_share) == (pytest.approx(0.75), pytest.approx(0.15))
    longer = waves.forecast({}, cases, months=YEAR, rate=0.5, shares={24: 1.0})
    assert (longer.total, longer.peak, longer.peak_share, longer.later) == (0.0, None, None, 1.0)


@given(
    starts=st.lists(st.dates(date(2025, 11, 1), date(2026, 3, 1)), max_size=12),
    weights=st.dictionaries(st.sampled_from([3, 6, 12, 18, 24]), st.integers(0, 50), min_size=1),
    rate=st.floats(0, 1),
    known=st.dictionaries(st.sampled_from(YEAR), st.integers(0, 40)),
)
def test_every_expected_lease_ends_once_inside_the_year_or_after(
    starts: list[date], weights: dict[int, int], rate: float, known: dict[date, int]
) -> None:
    shares = waves.shares_of(weights, weights)
    assert sum(shares.values()) == pytest.approx(1)
    cases = [Open(start, start.day) for start in starts]
    found = waves.forecast(known, cases, months=YEAR, rate=rate, shares=shares)
    # The oracle walks day by day instead of looking a month up.
    each: dict[tuple[int, int], float] = {}
    for start in starts:
        for term, share in shares.items():
            last = term_last_day(start, term, start.day)
            each[last.year, last.month] = each.get((last.year, last.month), 0) + rate * share
    assert found.added == pytest.approx([each.get((month.year, month.month), 0.0) for month in YEAR])
    assert found.known == tuple(known.get(month, 0) for month in YEAR)
    before = sum(n for (y, m), n in each.items() if (y, m) < (2026, 2))
    assert sum(found.added) + found.later + before == pytest.approx(rate * len(starts))


@given(
    weights=st.dictionaries(st.sampled_from([3, 6, 12, 18, 24]), st.integers(0, 50), min_size=2),
    cheaper=st.sampled_from([3, 6, 12, 18, 24]),
    response=st.floats(0, 20),
)
def test_a_cheaper_term_is_chosen_more_and_the_others_keep_their_odds(
    weights: dict[int, int], cheaper: int, response: float
) -> None:
    shares = waves.shares_of(weights, weights)
    was = {term: Decimal(4000) for term in shares}
    then = waves.leaning(shares, was, was | {cheaper: Decimal(3960)}, response=response)
    assert sum(then.values()) == pytest.approx(1)
    others = [term for term in shares if term != cheaper]
    for one, two in pairwise(others):
        assert then[one] / then[two] == pytest.approx(shares[one] / shares[two])
    if cheaper in shares:  # 1 % cheaper: the odds rise by e^(response / 100)
        odds = {key: value[cheaper] / (1 - value[cheaper]) for key, value in (("was", shares), ("then", then))}
        assert odds["then"] / odds["was"] == pytest.approx(math.exp(response / 100))
    assert waves.leaning(shares, was, was, response=response) == pytest.approx(shares)


def test_more_of_a_term_takes_from_the_others_in_proportion() -> None:
    assert waves.more_of({6: 0.2, 12: 0.6, 24: 0.2}, 24) == pytest.approx({6: 0.175, 12: 0.525, 24: 0.3})
    assert waves.more_of({12: 0.95, 24: 0.05}, 12) == pytest.approx({12: 1.0, 24: 0.0})
    assert waves.more_of({12: 1.0}, 12) == {12: 1.0}


def test_a_month_of_a_term_costs_what_its_cheapest_line_averages() -> None:
    lines = [(12, 0, Decimal(3900)), (12, 1, Decimal(4200)), (24, 2, Decimal(4000))]
    found = waves.price_a_month(lines)
    assert (found[12], found[24].quantize(Decimal("0.01"))) == (Decimal(3850), Decimal("3666.67"))


# --- From the database ------------------------------------------------------------------------------------


@pytest.fixture
def winter() -> Any:
    """B1: 20 open cases end in December; 30 renewals of 12 months last year; one lease ends in May."""
    clock.set_to(NOW)
    building = make_building("B1")
    for _ in range(20):
        lease = make_lease(unit=make_unit(building=building), last_day=date(2025, 12, 20))
        Case.objects.create(lease=lease, state="upcoming", since=NOW, opened_at=NOW)
    for _ in range(30):
        unit, tenant = make_unit(building=building), make_tenant()
        facts: dict[str, Any] = {"unit": unit, "tenant": tenant}
        old = make_lease(**facts, first_day=date(2024, 3, 1), last_day=date(2025, 2, 28))
        make_lease(
            **facts, first_day=date(2025, 3, 1), last_day=date(2026, 2, 28), renews=old, signed_on=date(2025, 2, 1)
        )
    make_lease(unit=make_unit(building=building), first_day=date(2025, 6, 1), last_day=date(2026, 5, 31))
    for term, rent in ((6, "4095"), (12, "3900"), (18, "3840"), (24, "3780")):
        make_rate(building, rent, term_months=term)
    return building


@pytest.mark.django_db
def test_what_the_forecast_is_made_of(winter: Any) -> None:
    wave = waveboard.wave(winter, today=TODAY, now=NOW)
    facts = wave.types["朝南一居"]
    assert facts.known == {date(2026, 2, 1): 30, date(2026, 5, 1): 1}  # February's are the last of their unit
    assert (len(facts.cases), facts.cases[0]) == (20, Open(date(2025, 12, 21), 21))
    assert (facts.chosen, facts.n, facts.basis) == ({12: 30}, 30, "type")
    assert facts.shares == pytest.approx({6: 1 / 34, 12: 31 / 34, 18: 1 / 34, 24: 1 / 34})
    assert (wave.rate["k"], wave.rate["n"], wave.rate["rate"]) == (30, 30, 1.0)
    by_hand = kpis.renewals(
        Period(TODAY - timedelta(days=365), TODAY - timedelta(days=1)), day=TODAY, building=winter, now=NOW
    )
    assert by_hand[winter.pk]["rate"] == wave.rate
    found = wave.of("朝南一居")
    assert dict(zip(found.months, found.each, strict=True))[date(2026, 12, 1)] == pytest.approx(20 * 31 / 34)
    assert found.later == pytest.approx(20 * 2 / 34)
    assert wave.whole() == found


@pytest.mark.django_db
def test_a_renewal_that_was_signed_moves_the_ending(winter: Any) -> None:
    case = Case.objects.select_related("lease").first()
    assert case
    make_lease(
        case.lease.tenants.get(), case.lease.unit, first_day=date(2025, 12, 21), last_day=date(2026, 12, 20),
        renews=case.lease, signed_on=TODAY,
    )  # fmt: skip
    Case.objects.filter(pk=case.pk).update(state="signed")
    may = Lease.objects.get(last_day=date(2026, 5, 31))  # renewed long before its end, until after the year
    make_lease(may.tenants.get(), may.unit, first_day=date(2026, 6, 1), last_day=date(2027, 5, 31), renews=may)
    facts = waveboard.wave(winter, today=TODAY, now=NOW).types["朝南一居"]
    assert (facts.known[date(2026, 12, 1)], len(facts.cases)) == (1, 19)
    assert date(2026, 5, 1) not in facts.known


@pytest.mark.django_db
def test_the_card_says_which_term_flattens_the_wave(winter: Any) -> None:
    client = as_(make_user("mei", is_superuser=True))
    wave = waveboard.wave(winter, today=TODAY, now=NOW)
    page = text(client.get("/admin/rates/?building=B1"))
    whole = wave.whole()
    share = whole.winter_share
    assert share is not None
    assert f"明年约 50 份到期，冬季占 {share:.1%}；最多的月份 2026-02 占 {whole.peak_share:.1%}" in page
    for term in (6, 18, 24):
        then = wave.more_of("朝南一居")[term].winter_share
        assert then is not None
        shift = percentage_points(then - share)
        assert f'<b class="is-signed">{shift}</b>' in page
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get("/admin/rates/?building=B1")
    for _ in range(5):
        make_lease(unit=make_unit(building=winter, room_type=f"类型{_}"))
    with CaptureQueriesContext(connection) as many:
        client.get("/admin/rates/?building=B1")
    assert len(many) <= len(few)


@pytest.mark.django_db
def test_a_draft_is_looked_at_and_published(winter: Any) -> None:
    make_band(winter, "3700", "4200", 18)
    client = as_(make_user("mei", is_superuser=True))
    at = "/admin/rates/draft/?building=B1&type=朝南一居"
    before = Rate.objects.count()
    same = text(client.get(at))
    wave = waveboard.wave(winter, today=TODAY, now=NOW)
    now = wave.of("朝南一居").winter_share
    assert f"冬季占明年到期的 {now:.1%}，按草案为 {now:.1%}" in same
    rents = {(18, 0): Decimal(3750), (24, 0): Decimal(3600)}
    leaning = wave.leaning("朝南一居", rents, response=20)
    then = leaning.winter_share
    assert then is not None
    assert now is not None
    drafted = text(client.get(f"{at}&rent-18-0=3750&rent-24-0=3600&response=20"))
    assert then < now
    assert f"冬季占明年到期的 {now:.1%}，按草案为 {then:.1%}" in drafted
    peak = wave.of("朝南一居").peak_share
    assert f"最多的月份 2026-02 占 {peak:.1%}，按草案 2026-02 占 {leaning.peak_share:.1%}" in drafted
    assert Rate.objects.count() == before
    days = {"do": "publish", "signed_from": "2025-12-02", "signed_to": "2026-06-30"}
    form = {"rent-18-0": "3750", "rent-24-0": "3600", "rent-12-0": "3900.00", **days}
    looked = client.post(at, {**form, "do": "look", "response": "20"})
    assert (looked.status_code, f"按草案为 {then:.1%}" in text(looked), Rate.objects.count()) == (200, True, before)
    assert client.post(at, form | {"signed_from": "2025-12-01"}).status_code == 422
    assert client.post(at, {**form, "rent-18-0": "x"}).status_code == 422
    assert client.post(at, days).status_code == 422  # nothing differs
    assert Rate.objects.count() == before
    assert client.post(at, form).status_code == 302
    tomorrow = Rate.objects.filter(signed_from=TODAY + timedelta(days=1)).order_by("term_months")
    assert list(tomorrow.values_list("term_months", "monthly_rent")) == [(18, Decimal(3750)), (24, Decimal(3600))]
    client.post(at, {**form, "rent-18-0": "3000", "signed_from": "2025-12-03", "why": "压平冬季"})
    assert RateChange.objects.get(state="waiting").monthly_rent == 3000
    assert "3,000.00" in text(client.get("/admin/rates/waiting/"))
    for bad in ("&type=x", "&response=x", "&rent-18-0=-1"):
        assert client.get(f"/admin/rates/draft/?building=B1&type=朝南一居{bad}").status_code in (404, 422)
