"""The figures of a day equal an independent recount by plain SQL; their sums equal published values."""

from __future__ import annotations

import json
import random
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from campaigns.models import Push
from renewal import cases, figures, kpis
from renewal.models import Case, CaseChange, KpiDay
from tenants import clock
from tenants.models import Building, Click, Lease, Link, Message, Unit
from tests.makers import NOW, TODAY, first_step, make_building, make_lease, make_playbook, make_tenant, make_unit
from workorders.models import WorkOrder

pytestmark = pytest.mark.django_db


def scalar(sql: str, *facts: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, facts)
        return cursor.fetchone()[0]


# --- Sums ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_newcombes_published_intervals(k: int, n: int, low: float, high: float) -> None:
    share = figures.share(k, n)
    assert (round(share["low"], 4), round(share["high"], 4)) == (low, high)
    mirrored = figures.share(n - k, n)
    assert (round(1 - mirrored["high"], 4), round(1 - mirrored["low"], 4)) == (low, high)


def test_of_no_trials_nothing_is_known() -> None:
    assert figures.share(0, 0) == {"k": 0, "n": 0, "rate": None, "low": None, "high": None}


def test_a_quantile_of_waits_that_are_over_is_the_smallest_that_covers_the_share() -> None:
    assert figures.quantile([4, 1, 3, 2], [], 0.5) == 2
    assert figures.quantile([4, 1, 3, 2], [], 0.9) == 4
    assert figures.quantile([], [], 0.5) is None


def test_who_still_waits_pushes_the_quantiles_up_and_is_never_dropped() -> None:
    # Kaplan-Meier by hand: S(1) = 5/6, then one leaves at 2; S(3) = 5/6·3/4 = 5/8; S(4) = 5/8·2/3 = 5/12; S(6) = 0.
    assert figures.quantile([1, 3, 4, 6], [2, 5], 0.5) == 4
    assert figures.quantile([1, 3, 4, 6], [2, 5], 0.9) == 6
    assert figures.quantile([1, 3], [5, 5, 5], 0.5) is None  # too many still wait to say
    assert figures.waits([1, 3], [5, 1], target=2) == {
        "n": 4, "over": 2, "waiting": 2, "mean": 2.0, "p50": 3, "p90": None,
        "within_target": figures.share(1, 3),  # who has waited 5 hours has missed it, who has waited 1 has not
    }  # fmt: skip


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        (date(2025, 11, 1), date(2025, 11, 1), date(2026, 1, 31)),
        (date(2026, 1, 31), date(2025, 11, 1), date(2026, 1, 31)),
        (date(2026, 7, 31), date(2025, 11, 1), date(2026, 1, 31)),
        (date(2026, 8, 1), date(2026, 11, 1), date(2027, 1, 31)),
    ],
)
def test_a_season_runs_from_november_to_january(day: date, first: date, last: date) -> None:
    assert figures.season_of(day) == figures.Period(first, last)


# --- A random portfolio -------------------------------------------------------------------------


def portfolio(seed: int) -> list[Building]:
    """Three buildings whose leases ended or end in and around the season, in every possible way."""
    dice = random.Random(seed)
    buildings = [make_building(code) for code in ("B1", "B2", "B3")]
    said = first_step(make_playbook())
    for number in range(90):
        building = dice.choice(buildings)
        unit = make_unit(building=building, list_rent=Decimal(dice.randint(250_000, 500_000)) / 100)
        if number < 8:
            continue  # never let
        tenant = make_tenant(f"T{number}")
        last_day = date(2025, 10, 15) + timedelta(days=dice.randint(0, 130))
        ended_by = dice.choice(["", "", "", "", "", "operator", "tenant"])
        cut = dice.choice([20, 120]) if ended_by else 0
        lease = make_lease(
            tenant, unit, last_day=last_day, agreed_last_day=last_day + timedelta(days=cut), ended_by=ended_by,
            ended_agreed_on=last_day - timedelta(days=5) if ended_by else None,
        )  # fmt: skip
        fate = dice.choice(["renewed", "renewed", "void", "other tenant", "transferred", "none", "none", "late"])
        follower: dict[str, Any] = {
            "first_day": last_day + timedelta(days=1), "last_day": last_day + timedelta(days=366),
            "signed_on": min(TODAY, last_day) - timedelta(days=dice.randint(-3, 30)), "renews": lease,
        }  # fmt: skip
        if fate in ("renewed", "void", "late"):
            follower["state"] = "void" if fate == "void" else "signed"
            follower["recorded_at"] = NOW + timedelta(days=3) if fate == "late" else NOW - timedelta(days=1)
            make_lease(tenant, unit, **follower)
        elif fate == "other tenant":
            make_lease(make_tenant(), unit, **{**follower, "renews": None})
        elif fate == "transferred":
            make_lease(tenant, make_unit(building=building), **{**follower, "renews": None})
        if dice.random() < 0.5:
            key = f"push:{lease.pk}"
            state = dice.choice(["accepted", "delivered", "queued", "suppressed"])
            sent_at = NOW - timedelta(days=dice.randint(0, 40)) if state in ("accepted", "delivered") else None
            message = Message.objects.create(
                key=key, klass="marketing", tenant=tenant, lease=lease, channel="phone", text="x", state=state,
                sent_at=sent_at, not_before=NOW, deadline=NOW, created_at=NOW, changed_at=NOW,
            )  # fmt: skip
            Push.objects.create(
                lease=lease, tenant=tenant, step=said.step, said=said, due_on=TODAY, message=message,
                state="handed_over",
                created_at=NOW - timedelta(days=dice.randint(-5, 40), hours=dice.randint(0, 23)),
            )  # fmt: skip
            if sent_at and dice.random() < 0.6:
                link = Link.objects.create(
                    token_hash=key, tenant=tenant, lease=lease, purpose="proposal", carrier=f"message:{key}",
                    created_at=NOW, expires_at=NOW,
                )  # fmt: skip
                proven = dice.random() < 0.5
                Click.objects.create(link=link, opened_at=sent_at, proven_at=sent_at if proven else None)
        for cycle, state in (("2", "planned"), ("3", "held")):
            if dice.random() < 0.2:
                facts = {"cycle": cycle, "state": state, "due_on": TODAY, "created_at": NOW}
                Push.objects.create(lease=lease, tenant=tenant, step=said.step, said=said, **facts)
    units = list(Unit.objects.all())
    for _ in range(150):
        reported = NOW - timedelta(hours=dice.uniform(-10, 24 * 300))
        accepted = reported + timedelta(hours=dice.expovariate(1 / 5)) if dice.random() < 0.9 else None
        unit = dice.choice(units)
        WorkOrder.objects.create(
            unit=unit, category="water", fingerprint=f"{unit.pk}:{_}", first_reported_at=reported,
            accepted_at=accepted, state="accepted" if accepted else "open", text="x",
        )  # fmt: skip
    cases.open_due(today=TODAY, now=NOW)
    cases.advance(today=TODAY, now=NOW)
    for case in Case.objects.filter(state__in=["upcoming", "contacted"]).order_by("pk"):
        to = dice.choice(["viewed", "considering", "notice", "declined", "holdover", None, None])
        if to:
            cases.move(case, to, now=NOW + timedelta(hours=1), cause="x", by="mei")
    return buildings


# The same definitions, written again: one lease at a time, case states from the case itself.
ENDING = """from tenants_lease l join tenants_unit u on u.id = l.unit_id left join renewal_case c on c.lease_id = l.id
    where l.state = 'signed' and u.building_id = any(%s) and l.last_day >= %s and l.last_day <= %s
    and l.ended_by <> 'operator'
    and not (l.ended_by = 'tenant' and l.agreed_last_day - coalesce(l.ended_agreed_on, l.last_day) > 90)"""
RENEWED = """ and (select count(*) from tenants_lease s
        join tenants_leasetenant st on st.lease_id = s.id join tenants_leasetenant lt on lt.tenant_id = st.tenant_id
    where lt.lease_id = l.id and s.renews_id = l.id and s.unit_id = l.unit_id and s.state = 'signed'
    and s.signed_on <= %s) > 0"""
NOT_RENEWED = RENEWED.replace("> 0", "= 0")


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("whose", ["all", "one"])
def test_the_figures_equal_an_independent_recount_by_plain_sql(seed: int, whose: str) -> None:
    buildings = portfolio(seed)
    wanted = buildings if whose == "all" else buildings[1:2]
    ids = [building.pk for building in wanted]
    now = NOW + timedelta(hours=2)
    got = kpis.figures(day=TODAY, building=None if whose == "all" else wanted[0], now=now)

    for name, first, last in (
        ("month", date(2025, 12, 1), date(2025, 12, 31)),
        ("season", date(2025, 11, 1), date(2026, 1, 31)),
    ):
        ending = scalar(f"select count(*) {ENDING}", ids, first, last)
        renewed = scalar(f"select count(*) {ENDING}{RENEWED}", ids, first, last, TODAY)
        states = {
            what: scalar(f"select count(*) {ENDING}{NOT_RENEWED} and c.state = any(%s)", ids, first, last, TODAY, these)
            for what, these in {
                "left": ["notice", "moved_out"], "transferred": ["transferred"], "holdover": ["holdover"]
            }.items()
        }  # fmt: skip
        figure = got["renewal"][name]
        assert (figure["from"], figure["to"]) == (str(first), str(last))
        assert (figure["ending"], figure["renewed"], figure["left"]) == (ending, renewed, states["left"])
        assert (figure["transferred"], figure["holdover"]) == (states["transferred"], states["holdover"])
        assert figure["undecided"] == ending - renewed - sum(states.values())
        assert figure["rate"]["rate"] == pytest.approx(renewed / ending, abs=1e-6)
        assert (figure["rate"]["k"], figure["rate"]["n"]) == (renewed, ending)
        assert (figure["decided"]["k"], figure["decided"]["n"]) == (renewed, renewed + states["left"])
        assert figure["retention"]["k"] == renewed + states["transferred"] + states["holdover"]
        apart = """from tenants_lease l join tenants_unit u on u.id = l.unit_id where l.state = 'signed'
            and u.building_id = any(%s) and l.last_day between %s and %s and """
        assert figure["ended_by_operator"] == scalar(
            f"select count(*) {apart} l.ended_by = 'operator'", ids, first, last
        )
        assert figure["ended_early"] == scalar(
            f"select count(*) {apart} l.ended_by = 'tenant' and l.agreed_last_day - l.ended_agreed_on > 90",
            ids, first, last,
        )  # fmt: skip

    counted = scalar(
        """select json_object_agg(state, n) from (
            select c.state, count(*) n from renewal_case c join tenants_lease l on l.id = c.lease_id
            join tenants_unit u on u.id = l.unit_id
            where u.building_id = any(%s) and l.last_day between '2025-11-01' and '2026-01-31' group by 1
        ) x""",
        ids,
    )
    assert {state: n for state, n in got["cases"]["states"].items() if n} == counted

    season_start, month_start = clock.at(date(2025, 11, 1)), clock.at(date(2025, 12, 1))
    for name, start, end in (
        ("before", season_start - timedelta(days=365), season_start), ("season", season_start, now),
        ("month", month_start, now),
    ):  # fmt: skip
        orders = """from workorders_workorder o join tenants_unit u on u.id = o.unit_id
            where u.building_id = any(%s) and first_reported_at >= %s and first_reported_at < %s"""
        over = "and accepted_at <= %s"
        figure = got["accept"][name]
        assert figure["n"] == scalar(f"select count(*) {orders}", ids, start, end)
        assert figure["over"] == scalar(f"select count(*) {orders} {over}", ids, start, end, now)
        assert figure["waiting"] == figure["n"] - figure["over"]
        mean = scalar(
            f"select avg(extract(epoch from accepted_at - first_reported_at) / 3600) {orders} {over}",
            ids,
            start,
            end,
            now,
        )
        assert figure["mean"] == (None if mean is None else pytest.approx(float(mean), abs=1e-3))

    pushed = "from campaigns_push p join tenants_lease l on l.id = p.lease_id join tenants_unit u on u.id = l.unit_id"
    recent = "u.building_id = any(%s) and p.created_at >= %s and p.created_at < %s"
    span = (ids, clock.at(TODAY - timedelta(days=29)), clock.at(TODAY + timedelta(days=1)))
    assert got["pushes"]["total"] == scalar(f"select count(*) {pushed} where {recent}", *span)
    for state in ("push_planned", "push_held", "push_suppressed", "accepted", "delivered", "queued", "suppressed"):
        assert got["pushes"]["states"].get(state, 0) == scalar(
            f"""select count(*) {pushed} left join tenants_message m on m.id = p.message_id
            where {recent} and case when m.id is null then 'push_' || p.state else m.state end = %s""",
            *span, state,
        )  # fmt: skip
    clicked = f"""select count(distinct p.tenant_id) {pushed} join tenants_message m on m.id = p.message_id
        left join tenants_link i on i.carrier = 'message:' || m.key left join tenants_click k on k.link_id = i.id
        where {recent} and m.sent_at is not null"""
    assert got["clicks"]["proven"]["n"] == scalar(clicked, *span)
    assert got["clicks"]["proven"]["k"] == scalar(f"{clicked} and k.proven_at is not null", *span)
    assert got["clicks"]["unproven"] == scalar(f"{clicked} and k.id is not null and k.proven_at is null", *span)


def test_the_vacancy_cost_is_every_empty_unit_day_at_its_list_rent() -> None:
    day = date(2025, 12, 17)
    buildings = portfolio(7)
    held = make_lease(unit=make_unit(building=buildings[0]), last_day=date(2025, 12, 2))
    case = Case.objects.create(lease=held, state="holdover", since=NOW, opened_at=NOW)
    CaseChange.objects.create(case=case, was="upcoming", now="holdover", at=NOW, cause="x", by="x")
    let = set()
    for lease in Lease.objects.filter(state="signed"):
        stays = Case.objects.filter(lease=lease, state="holdover").exists()
        last = max(lease.last_day, day) if stays else lease.last_day
        let |= {
            (lease.unit_id, date(2025, 12, d)) for d in range(1, 18) if lease.first_day <= date(2025, 12, d) <= last
        }
    for building in (*buildings, None):
        units = Unit.objects.filter(building=building) if building else Unit.objects.all()
        empty = [(unit, d) for unit in units for d in range(1, 18) if (unit.pk, date(2025, 12, d)) not in let]
        cost = sum((unit.list_rent for unit, _ in empty), Decimal(0)) / 31
        got = kpis.figures(day=day, building=building)["vacancy"]
        assert got["unit_days"] == len(empty) > 0
        assert got["cost"] == str(cost.quantize(Decimal("0.01"), ROUND_HALF_UP))


def test_a_past_day_counts_only_what_had_happened_by_then_and_as_known_on_only_what_was_recorded() -> None:
    tenant, unit = make_tenant(), make_unit()
    lease = make_lease(tenant, unit, last_day=date(2025, 12, 10))
    make_lease(
        tenant, unit, first_day=date(2025, 12, 11), last_day=date(2026, 12, 10), renews=lease,
        signed_on=date(2025, 11, 20), recorded_at=clock.at(date(2025, 11, 28), 9),
    )  # fmt: skip

    def renewed(day: date, known_on: date | None = None) -> int:
        return kpis.figures(day=day, known_on=known_on)["renewal"]["season"]["renewed"]

    assert [renewed(date(2025, 11, day)) for day in (19, 20, 28)] == [0, 1, 1]
    # Signed on the 20th, heard of a week later.
    assert [renewed(date(2025, 11, 30), date(2025, 11, day)) for day in (27, 28)] == [0, 1]


def test_a_days_row_is_written_once_per_building_and_closed_by_the_first_count_after_its_end() -> None:
    buildings = portfolio(4)
    assert kpis.store(day=TODAY, now=NOW) == 4
    assert kpis.store(day=TODAY, now=NOW) == 0
    assert KpiDay.objects.get(day=TODAY, building=None).figures == kpis.figures(day=TODAY, now=NOW)
    assert KpiDay.objects.get(day=TODAY, building=buildings[2]).figures == kpis.figures(
        day=TODAY, building=buildings[2], now=NOW
    )

    def undecide(now: datetime) -> int:
        lease = make_lease(unit=make_unit(building=buildings[1]))
        case = Case.objects.create(lease=lease, state="viewed", since=NOW, opened_at=NOW)
        cases.move(case, "notice", now=NOW + timedelta(minutes=1), cause="x", by="mei")
        return kpis.store(day=TODAY, now=now)

    assert undecide(NOW + timedelta(hours=1)) >= 2  # over all, and its building's
    assert undecide(clock.at(TODAY + timedelta(days=1), 6)) >= 2  # the day is complete now
    assert undecide(clock.at(TODAY + timedelta(days=1), 7)) == 0  # what is said later does not change it
    assert KpiDay.objects.count() == 4


def test_the_command_prints_the_figures_as_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    portfolio(5)
    call_command("kpi", day="2025-12-01", building="B2", json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed == kpis.figures(day=TODAY, building=Building.objects.get(code="B2")) | {"building": "B2"}


def test_the_command_refuses_a_building_it_does_not_know_in_one_sentence() -> None:
    make_building("B1")
    with pytest.raises(CommandError, match="There is no building “B9”") as refusal:
        call_command("kpi", day="2025-12-01", building="B9")
    assert refusal.value.returncode == 2
