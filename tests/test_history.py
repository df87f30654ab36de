"""Any past day can be seen as it was known then: leases, who stood on them, and the figures counted from them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils.translation import override

from connectors.records import ContractRecord, CoTenant
from connectors.runs import begin
from renewal import cases, kpis
from renewal.models import Case, KpiDay
from tenants import clock, deciding, history, leases
from tenants.models import ContractDecision, Lease, LeaseTenant, Tenant, Unit, WaitingContract
from tests.makers import make_building, make_unit, make_user
from tests.test_leases import contract

pytestmark = pytest.mark.django_db


def day(number: int, hour: int = 10) -> datetime:
    """A moment of December 2025 in Shanghai."""
    return clock.at(date(2025, 12, number), hour)


def tell(on: int, *records: ContractRecord) -> None:
    counts = leases.enter(records, now=day(on))
    assert counts.rejected == 0, counts.refused


@pytest.fixture(autouse=True)
def units() -> tuple[Unit, Unit]:
    return make_unit("A"), make_unit("B")


def known(at: datetime, number: str = "HT1") -> history.Known | None:
    return next((lease for lease in history.leases_as_known(at) if lease.contract_no == number), None)


def test_a_lease_is_seen_as_its_latest_revision_of_then_said() -> None:
    tell(2, contract())
    tell(5, contract(revision=2, monthly_rent=Decimal("4000.00"), last_day=date(2026, 3, 31)))
    tell(9, contract(revision=4, unit="B", ended_on=date(2025, 12, 31), ended_by="tenant"))
    tell(12, contract(revision=3, monthly_rent=Decimal("1.00")))  # late: it never held
    assert known(day(1)) is None
    assert known(day(2, 9)) is None

    def said(at: int) -> tuple[Any, ...]:
        lease = known(day(at))
        assert lease
        unit = Unit.objects.get(pk=lease.unit).code
        return lease.revision, unit, lease.monthly_rent, lease.last_day, lease.agreed_last_day, lease.ended_by

    assert said(2) == (1, "A", Decimal("3800.00"), date(2025, 12, 31), date(2025, 12, 31), "")
    assert said(5) == (2, "A", Decimal("4000.00"), date(2026, 3, 31), date(2026, 3, 31), "")
    assert said(9) == said(30) == (4, "B", Decimal("3800.00"), date(2025, 12, 31), date(2025, 12, 31), "tenant")
    # What is known at last is what the tables say.
    lease = Lease.objects.get()
    assert said(30)[:4] == (lease.revision, lease.unit.code, lease.monthly_rent, lease.last_day)


def test_a_contract_that_waited_is_known_from_the_day_it_held() -> None:
    tell(2, contract(), contract("HT2", tenant_name="周航", phone="10000000002"))
    tell(6, contract(revision=2, state="void"))
    assert known(day(5), "HT2") is None
    assert known(day(6), "HT2")
    assert [(lease.contract_no, lease.state) for lease in history.leases_as_known(day(5))] == [("HT1", "signed")]
    assert {lease.contract_no: lease.state for lease in history.leases_as_known(day(6))} == {
        "HT1": "void",
        "HT2": "signed",
    }


def test_who_stood_on_a_contract_is_told_by_the_names_of_then() -> None:
    tell(2, contract(tenant_name="林小", cotenants=(CoTenant("王敏", "10000000003"),)))
    tell(5, contract(revision=2, cotenants=()))
    tell(8, contract(revision=3, tenant_name="何静", phone="10000000005", cotenants=None))
    names = [lease.tenants for at in (2, 5, 8) if (lease := known(day(at)))]
    assert names == [("林小", "王敏"), ("林晓",), ("何静",)]


def sign(lease: Lease, on: int, **facts: Any) -> Lease:
    people = [row.tenant for row in LeaseTenant.objects.filter(lease=lease).order_by("-is_primary")]
    return leases.sign_renewal(
        lease,
        unit=lease.unit,
        tenants=people,
        first_day=date(2026, 1, 1),
        last_day=date(2026, 12, 31),
        monthly_rent=Decimal("3900.00"),
        deposit=Decimal("3800.00"),
        anchor_day=1,
        signed_on=clock.day_of(day(on)),
        now=day(on),
        **facts,
    )


def test_a_lease_signed_here_is_known_from_its_signature_with_all_its_tenants() -> None:
    tell(2, contract(cotenants=(CoTenant("王敏", "10000000003"),)))
    following = sign(Lease.objects.get(), 4)
    assert known(day(3), "") is None
    lease = known(day(4), "")
    assert lease
    assert (lease.lease, lease.tenants, lease.monthly_rent) == (following.pk, ("林晓", "王敏"), Decimal("3900.00"))
    assert lease.renews == Lease.objects.get(contract_no="HT1").pk


def renewal(**facts: Any) -> ContractRecord:
    return contract("HT2", renews="HT1", first_day=date(2026, 1, 1), last_day=date(2026, 12, 31), **facts)


def test_an_acceptance_that_was_undone_is_seen_on_the_days_between() -> None:
    tell(2, contract())
    following = sign(Lease.objects.get(), 4)
    tell(6, renewal(monthly_rent=Decimal("4900.00")))
    mei = make_user()
    deciding.accept(WaitingContract.objects.get().pk, why="门店另行约定", by=mei, now=day(8))
    deciding.undo(ContractDecision.objects.get().pk, by=mei, now=day(11))

    def rent(at: int) -> Decimal | None:
        return next(
            (one.monthly_rent for one in history.leases_as_known(day(at), leases=[following.pk])),
            None,
        )

    assert [rent(at) for at in (3, 4, 7, 8, 10, 11, 20)] == [
        None, *[Decimal("3900.00")] * 2, *[Decimal("4900.00")] * 2, *[Decimal("3900.00")] * 2
    ]  # fmt: skip


def test_the_chain_of_a_unit_says_who_held_it_from_when_to_when_as_known_then() -> None:
    unit = Unit.objects.get(code="A")
    tell(2, contract())
    zhou: dict[str, Any] = {
        "tenant_name": "周航",
        "phone": "10000000002",
        "first_day": date(2026, 1, 1),
        "last_day": date(2026, 6, 30),
    }
    tell(3, contract("HT2", **zhou))
    tell(6, contract("HT2", revision=2, unit="B", **zhou))

    def chain(at: int) -> list[tuple[str, date, date]]:
        return [(one.tenants[0], one.first_day, one.last_day) for one in history.chain_of(unit, at=day(at))]

    first, second = ("林晓", date(2025, 1, 1), date(2025, 12, 31)), ("周航", date(2026, 1, 1), date(2026, 6, 30))
    assert (chain(2), chain(3), chain(6)) == ([first], [second, first], [first])


def test_each_revision_says_what_it_changed_when_and_which_file_brought_it() -> None:
    run = begin("contracts", "十二月.xlsx", now=day(2))
    tell(2, contract())
    tell(5, contract(revision=3, monthly_rent=Decimal("4000.00"), cotenants=(CoTenant("王敏", "10000000003"),)))
    tell(7, contract(revision=2, phone="10000000009"))
    newest, late, first = history.steps_of(Lease.objects.get())
    assert [(step.revision, step.recorded_at, step.was_overtaken) for step in (newest, late, first)] == [
        (3, day(5), False),
        (2, day(7), True),
        (1, day(2), False),
    ]
    assert (first.run, newest.run) == (run, None)
    # Each is compared with the revision that held when it came; the late one says nothing of co-tenants.
    assert [step.against for step in (newest, late, first)] == [1, 3, None]
    assert {change.field: (change.was, change.now) for change in late.changes} == {
        "phone": ("10000000001", "10000000009"),
        "monthly_rent": ("4000.00", "3800.00"),
    }
    assert {change.field for change in newest.changes} == {"monthly_rent", "cotenants"}


# --- Figures --------------------------------------------------------------------------------------

HELD = ("renewal", "cases", "vacancy")  # what contracts decide; the rest has its own moments


def closed(on: int) -> dict[int | None, dict[str, Any]]:
    """The figures kept of a day, counted the next morning."""
    kpis.store(day=date(2025, 12, on), now=day(on + 1, 6))
    return {row.building_id: row.figures for row in KpiDay.objects.filter(day=date(2025, 12, on))}


def rebuilt(on: int) -> dict[int | None, dict[str, Any]]:
    buildings = {row.building_id: row.building for row in KpiDay.objects.filter(day=date(2025, 12, on))}
    return {
        pk: kpis.figures(day=date(2025, 12, on), building=building, known_on=date(2025, 12, on))
        for pk, building in buildings.items()
    }


def test_the_figure_of_any_past_day_is_rebuilt_as_it_was_kept_whatever_was_corrected_later() -> None:
    """A renewal made void, a move to another building, an end corrected back, a merge: none changes an earlier day."""
    other = make_unit("C", building=make_building("B2"))
    for code in "DEF":
        make_unit(code)
    ends = date(2025, 12, 20)

    def lease(number: int, unit: str, **facts: Any) -> ContractRecord:
        return contract(f"HT{number}", unit=unit, tenant_name=f"租客{number}", phone=f"1000000010{number}", **facts)

    def follows(number: int, of: int, unit: str, **facts: Any) -> ContractRecord:
        facts |= {"first_day": date(2025, 12, 21), "last_day": date(2026, 12, 20), "signed_on": date(2025, 12, 1)}
        facts |= {"tenant_name": f"租客{of}", "phone": f"1000000010{of}", "renews": f"HT{of}"}
        return contract(f"HT{number}", unit=unit, **facts)

    def run(on: int) -> None:
        cases.open_due(today=date(2025, 12, on), now=day(on, 6))
        cases.advance(today=date(2025, 12, on), now=day(on, 6))

    first = [lease(n, code, last_day=ends) for n, code in enumerate("ABDEF", start=1)]
    tell(1, *first)
    run(2)
    kept = {2: closed(2)}
    tell(3, follows(11, 1, "A"), follows(12, 2, "B"))
    run(4)
    kept[4] = closed(4)
    tell(5, follows(11, 1, "A", revision=2, state="void"))  # the renewal was made void
    tell(5, lease(3, "C", last_day=ends, revision=2))  # moved to another building
    run(6)
    kept[6] = closed(6)
    tell(7, lease(4, "E", last_day=ends, revision=2, ended_on=date(2025, 12, 10), ended_by="operator"))
    run(8)
    kept[8] = closed(8)
    tell(9, lease(4, "E", last_day=ends, revision=3))  # ended early, corrected back
    tell(9, lease(5, "F", last_day=date(2026, 2, 28), revision=2))  # the last day was wrong
    tell(9, follows(11, 1, "A", revision=3))  # and signed after all
    run(10)
    kept[10] = closed(10)
    twin = Tenant.objects.create(name="租客2", phone="", created_at=day(10))
    Tenant.objects.filter(phone="10000000102").update(merged_into=twin)

    for on, figures in kept.items():
        for building, figure in rebuilt(on).items():
            for part in HELD:
                assert figure[part] == figures[building][part], (on, building, part)
    # The days differ, or the test would prove nothing; and each is told differently with what is known now.
    all_of = {on: figures[None] for on, figures in kept.items()}
    renewed = [all_of[on]["renewal"]["season"]["renewed"] for on in kept]
    assert renewed == [0, 2, 1, 1, 2]
    assert [all_of[on]["renewal"]["season"]["ended_by_operator"] for on in kept] == [0, 0, 0, 1, 0]
    assert [all_of[on]["renewal"]["season"]["ending"] for on in kept] == [5, 5, 5, 4, 4]
    moved = [figures[other.building_id]["renewal"]["season"]["ending"] for figures in kept.values()]
    assert moved == [0, 0, 1, 1, 1]
    now = kpis.figures(day=date(2025, 12, 8))
    assert now["renewal"]["season"]["ended_by_operator"] == 0
    assert Case.objects.count() == 5


def test_a_contract_loaded_in_the_night_does_not_change_the_day_before() -> None:
    tell(1, contract(last_day=date(2025, 12, 20)))
    at_night = renewal(signed_on=date(2025, 12, 5), revision=1)
    leases.enter([at_night], now=day(6, 2))
    assert closed(5)[None]["renewal"]["season"]["renewed"] == 0
    assert closed(6)[None]["renewal"]["season"]["renewed"] == 1


def test_words_of_fields_are_in_the_readers_language() -> None:
    with override("zh-hans"):
        assert str(history.FIELDS["monthly_rent"]) == "月租金"
