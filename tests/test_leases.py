"""Contracts become leases: in any order of revisions, never two on one unit, and one successor each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from itertools import permutations
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.records import ContractRecord
from tenants import leases
from tenants.leases import Outcome
from tenants.models import Alias, Lease, LeaseRevision, LeaseTenant, Tenant, Unit, WaitingContract
from tests.makers import NOW, make_lease, make_tenant, make_unit

pytestmark = pytest.mark.django_db


def contract(number: str = "HT1", revision: int = 1, unit: str = "A", **facts: Any) -> ContractRecord:
    defaults: dict[str, Any] = {
        "line": 2,
        "contract_no": number,
        "revision": revision,
        "unit": unit,
        "tenant_name": "林晓",
        "phone": "10000000001",
        "signed_on": date(2024, 12, 20),
        "first_day": date(2025, 1, 1),
        "last_day": date(2025, 12, 31),
        "monthly_rent": Decimal("3800.00"),
        "deposit": Decimal("3800.00"),
        "anchor_day": 1,
        "state": "signed",
        "renews": None,
    }
    return ContractRecord(**{**defaults, **facts})


def other(number: str = "HT2", **facts: Any) -> ContractRecord:
    """Somebody else's contract."""
    return contract(number, **{"tenant_name": "周航", "phone": "10000000002", **facts})


def apply(*records: ContractRecord) -> list[Outcome]:
    return [leases.apply(record, now=NOW) for record in records]


@pytest.fixture(autouse=True)
def unit() -> Unit:
    return make_unit("A")


def holder(lease: Lease) -> Tenant:
    return LeaseTenant.objects.select_related("tenant").get(lease=lease, is_primary=True).tenant


# --- from the ERP ---------------------------------------------------------------------------------


def test_a_contract_becomes_a_lease_a_tenant_and_their_aliases(unit: Unit) -> None:
    assert apply(contract(app_user="u1", community_member="Q1")) == [Outcome.NEW]
    lease = Lease.objects.get()
    assert (lease.unit_id, lease.contract_no, lease.revision) == (unit.pk, "HT1", 1)
    assert (lease.first_day, lease.last_day, lease.agreed_last_day) == (
        date(2025, 1, 1),
        date(2025, 12, 31),
        date(2025, 12, 31),
    )
    assert (lease.monthly_rent, lease.state) == (Decimal("3800.00"), "signed")
    tenant = holder(lease)
    assert (tenant.name, tenant.phone) == ("林晓", "10000000001")
    assert set(Alias.objects.filter(tenant=tenant).values_list("source", "ref")) == {
        ("phone", "10000000001"),
        ("contract", "HT1"),
        ("app", "u1"),
        ("community", "Q1"),
    }
    assert LeaseRevision.objects.get().terms["monthly_rent"] == "3800.00"


def test_the_same_revision_again_changes_nothing_and_another_text_of_it_is_refused() -> None:
    apply(contract())
    assert apply(contract()) == [Outcome.UNCHANGED]
    with pytest.raises(leases.Refused, match="合同 HT1 已有版本 1，内容与此不同。"):
        apply(contract(monthly_rent=Decimal("1.00")))
    assert (Lease.objects.get().monthly_rent, LeaseRevision.objects.count()) == (Decimal("3800.00"), 1)


def test_an_early_end_frees_the_days_after_it() -> None:
    apply(contract())
    ended: dict[str, Any] = {"ended_on": date(2025, 6, 30), "ended_by": "tenant", "ended_agreed_on": date(2025, 6, 1)}
    follower = other(first_day=date(2025, 7, 1), last_day=date(2026, 6, 30))
    assert apply(follower) == [Outcome.WAITING]
    waiting = WaitingContract.objects.get()
    assert waiting.reason == "租期与合同 HT1（2025-01-01 至 2025-12-31）重叠。"
    # The end of the first contract is what the second one waited for.
    assert apply(contract(revision=2, **ended)) == [Outcome.CHANGED]
    lease = Lease.objects.get(contract_no="HT1")
    assert (lease.last_day, lease.agreed_last_day, lease.ended_by, lease.ended_agreed_on) == (
        date(2025, 6, 30),
        date(2025, 12, 31),
        "tenant",
        date(2025, 6, 1),
    )
    assert Lease.objects.get(contract_no="HT2").first_day == date(2025, 7, 1)
    assert not WaitingContract.objects.exists()
    assert apply(follower) == [Outcome.UNCHANGED]


def test_a_contract_that_waits_twice_waits_once() -> None:
    apply(contract())
    assert apply(other(), other()) == [Outcome.WAITING, Outcome.UNCHANGED]
    assert WaitingContract.objects.count() == 1
    assert Tenant.objects.count() == 1  # who waits is not a tenant yet


def test_a_void_contract_makes_way() -> None:
    apply(contract(), other())
    assert apply(contract(revision=2, state="void")) == [Outcome.CHANGED]
    assert dict(Lease.objects.values_list("contract_no", "state")) == {"HT1": "void", "HT2": "signed"}


def test_a_move_to_another_unit_makes_way_there_and_is_stopped_where_it_is_taken() -> None:
    make_unit("B")
    apply(contract(), other("HT2"), other("HT3", unit="B", tenant_name="陈默", phone="10000000003"))
    assert list(WaitingContract.objects.values_list("contract_no", flat=True)) == ["HT2"]
    assert apply(contract(revision=2, unit="B")) == [Outcome.WAITING]
    assert Lease.objects.get(contract_no="HT1").unit.code == "A"
    # Once B is free the first contract moves there, and that lets the second one in.
    apply(other("HT3", revision=2, unit="B", tenant_name="陈默", phone="10000000003", state="void"))
    assert dict(Lease.objects.filter(state="signed").values_list("contract_no", "unit__code")) == {
        "HT1": "B",
        "HT2": "A",
    }
    assert not WaitingContract.objects.exists()


def test_a_renewal_names_its_predecessor_whichever_comes_first() -> None:
    renewal = contract("HT2", renews="HT1", first_day=date(2026, 1, 1), last_day=date(2026, 12, 31))
    apply(renewal)
    assert Lease.objects.get().renews is None
    apply(contract())
    assert Lease.objects.get(contract_no="HT2").renews == Lease.objects.get(contract_no="HT1")
    # A second contract that claims the same predecessor is a lease of its own.
    late = contract("HT3", renews="HT1", first_day=date(2027, 1, 1), last_day=date(2027, 12, 31))
    apply(late)
    assert Lease.objects.get(contract_no="HT3").renews is None


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(leases.Refused, match="没有房源编号 Z-9。"):
        apply(contract(unit="Z-9"))
    assert not Lease.objects.exists()


def test_a_phone_number_that_was_given_out_again_does_not_make_two_people_one() -> None:
    apply(contract())
    make_unit("B")
    with pytest.raises(leases.Refused, match="手机号 10000000001 属于租客林晓，与姓名王强不符。"):
        apply(contract("HT9", unit="B", tenant_name="王强"))
    assert Tenant.objects.count() == 1


def test_a_tenant_who_changes_their_phone_stays_the_same_person() -> None:
    apply(contract(app_user="u1"))
    renewal = contract(
        "HT2",
        phone="10000000077",
        app_user="u1",
        signed_on=date(2025, 12, 1),
        first_day=date(2026, 1, 1),
        last_day=date(2026, 12, 31),
    )
    apply(renewal)
    tenant = Tenant.objects.get()
    assert tenant.phone == "10000000077"
    assert set(Alias.objects.filter(source="phone").values_list("ref", "tenant")) == {
        ("10000000001", tenant.pk),
        ("10000000077", tenant.pk),
    }


def test_a_revision_may_name_another_tenant() -> None:
    apply(contract(), contract(revision=2, tenant_name="何静", phone="10000000005"))
    lease = Lease.objects.get()
    assert holder(lease).name == "何静"
    assert Alias.objects.get(source="contract", ref="HT1").tenant == holder(lease)
    assert LeaseTenant.objects.count() == 1


REVISIONS = (
    {"monthly_rent": Decimal("3700.00")},
    {"last_day": date(2026, 3, 31)},
    {"phone": "10000000055"},
    {"ended_on": date(2025, 8, 31), "ended_by": "tenant"},
    {"unit": "B"},
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    facts=st.lists(st.sampled_from(REVISIONS), min_size=1, max_size=5),
    chosen=st.randoms(use_true_random=False),
    one_by_one=st.booleans(),
)
def test_revisions_in_any_order_end_at_the_highest(facts: list[dict[str, Any]], chosen: Any, one_by_one: bool) -> None:
    for model in (LeaseRevision, LeaseTenant, Lease, Alias, WaitingContract, Tenant):
        model._default_manager.all().delete()
    for code in ("A", "B"):
        unit = Unit.objects.filter(code=code).first() or make_unit(code)
        Alias.objects.update_or_create(source="unit", ref=code, defaults={"unit": unit, "recorded_at": NOW})
    records = [contract(revision=number, **fact) for number, fact in enumerate(facts, start=1)]
    order = chosen.choice(list(permutations(records)))
    if one_by_one:
        apply(*order)
    else:
        assert leases.enter(iter(order), now=NOW).accepted == len(order)
    lease, last = Lease.objects.get(), records[-1]
    assert lease.revision == len(records)
    assert (lease.monthly_rent, lease.last_day, lease.unit.code) == (
        last.monthly_rent,
        last.ended_on or last.last_day,
        last.unit,
    )
    assert (holder(lease).phone, Tenant.objects.count()) == (last.phone, 1)
    assert set(Alias.objects.filter(source="phone").values_list("ref", flat=True)) == {
        record.phone for record in records
    }
    assert LeaseRevision.objects.count() == len(records)
    assert not WaitingContract.objects.exists()
    again = leases.enter(iter(order), now=NOW)
    assert (again.accepted, again.duplicate, again.rejected) == (0, len(records), 0)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spans=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), min_size=1, max_size=8),
)
def test_two_signed_leases_never_share_a_day_and_no_contract_is_lost(spans: list[tuple[int, int]]) -> None:
    for model in (LeaseRevision, LeaseTenant, Lease, WaitingContract, Tenant):
        model._default_manager.all().delete()
    start = date(2025, 1, 1)
    records = [
        contract(
            f"HT{number}",
            tenant_name=f"租客{number}",
            phone=f"100000001{number:02}",
            first_day=start + timedelta(days=first),
            last_day=start + timedelta(days=first + days),
        )
        for number, (first, days) in enumerate(spans)
    ]
    counts = leases.enter(records, now=NOW)
    assert (counts.accepted, counts.rejected) == (len(records), 0)
    taken = [
        lease.first_day + timedelta(days=day)
        for lease in Lease.objects.all()
        for day in range((lease.last_day - lease.first_day).days + 1)
    ]
    assert len(taken) == len(set(taken))
    assert Lease.objects.count() + WaitingContract.objects.count() == len(records)
    # Each of those that wait meets one that stands.
    for waiting in WaitingContract.objects.all():
        first, last = (date.fromisoformat(waiting.terms[name]) for name in ("first_day", "last_day"))
        assert any(first <= day <= last for day in taken)


def test_twice_the_contracts_take_the_same_number_of_queries(django_assert_max_num_queries: Any) -> None:
    def batch(start: int, size: int) -> list[ContractRecord]:
        for number in range(start, start + size):
            make_unit(f"U{number}")
        return [
            contract(f"HT{number}", unit=f"U{number}", tenant_name=f"租客{number}", phone=f"10000001{number:03}")
            for number in range(start, start + size)
        ]

    from django.test.utils import CaptureQueriesContext

    few, many = batch(0, 5), batch(10, 50)
    with CaptureQueriesContext(connection) as small:
        leases.enter(few, now=NOW)
    with CaptureQueriesContext(connection) as large:
        leases.enter(many, now=NOW)
    assert len(large) == len(small), "\n".join(query["sql"][:150] for query in large.captured_queries)


# --- signed here ----------------------------------------------------------------------------------


def sign(lease: Lease, *, unit: Unit | None = None, **facts: Any) -> Lease:
    defaults: dict[str, Any] = {
        "unit": unit or lease.unit,
        "tenants": [holder(lease)],
        "first_day": lease.last_day + timedelta(days=1),
        "last_day": lease.last_day + timedelta(days=365),
        "monthly_rent": Decimal("3900.00"),
        "deposit": Decimal("3800.00"),
        "anchor_day": lease.anchor_day,
        "signed_on": date(2025, 12, 1),
        "now": NOW,
    }
    return leases.sign_renewal(lease, **{**defaults, **facts})


def test_a_signed_renewal_follows_and_names_the_lease() -> None:
    lease = make_lease()
    tenant, partner = holder(lease), make_tenant("周航")
    successor = sign(lease, tenants=[tenant, partner])
    successor.refresh_from_db()
    assert (successor.renews, successor.contract_no, successor.revision) == (lease, "", 0)
    assert (successor.first_day, successor.agreed_last_day) == (lease.last_day + timedelta(days=1), successor.last_day)
    assert list(LeaseTenant.objects.filter(lease=successor).order_by("pk").values_list("tenant", "is_primary")) == [
        (tenant.pk, True),
        (partner.pk, False),
    ]
    assert LeaseRevision.objects.get(lease=successor).terms["monthly_rent"] == "3900.00"


def test_a_second_renewal_is_refused_and_changes_nothing() -> None:
    lease, free = make_lease(), make_unit("B")
    sign(lease)
    for unit in (lease.unit, free):
        with pytest.raises(leases.AlreadyRenewed, match="这份租约已经续签。"):
            sign(lease, unit=unit)
    assert Lease.objects.count() == 2


def test_a_unit_let_to_somebody_else_cannot_be_signed() -> None:
    lease = make_lease()
    make_lease(unit=lease.unit, first_day=lease.last_day + timedelta(days=300), last_day=date(2027, 12, 31))
    with pytest.raises(leases.UnitTaken, match="已租给他人"):
        sign(lease)
    assert sign(lease, last_day=lease.last_day + timedelta(days=299)).pk


def test_the_contract_of_a_lease_signed_here_is_that_lease() -> None:
    apply(contract())
    successor = sign(Lease.objects.get())
    filed = contract(
        "HT2",
        renews="HT1",
        first_day=successor.first_day,
        last_day=successor.last_day,
        monthly_rent=Decimal("3900.00"),
        signed_on=date(2025, 12, 2),
    )
    assert apply(filed) == [Outcome.NEW]
    assert Lease.objects.count() == 2
    successor.refresh_from_db()
    assert (successor.contract_no, successor.revision) == ("HT2", 1)
    assert successor.renews == Lease.objects.get(contract_no="HT1")
    assert Alias.objects.get(source="contract", ref="HT2").tenant == holder(successor)
    assert apply(filed) == [Outcome.UNCHANGED]


def test_a_contract_that_says_otherwise_than_what_was_signed_here_waits_for_a_person() -> None:
    apply(contract())
    successor = sign(Lease.objects.get())
    filed = contract("HT2", first_day=successor.first_day, last_day=successor.last_day, monthly_rent=Decimal("4900.00"))
    assert apply(filed) == [Outcome.WAITING]
    successor.refresh_from_db()
    assert (successor.monthly_rent, successor.contract_no) == (Decimal("3900.00"), "")
    assert WaitingContract.objects.get().reason == "月租金、押金或到期日期与租客在线签署的不一致。"


def test_whoever_waited_for_a_unit_in_vain_is_refused_by_signed_leases_within_the_term_alone() -> None:
    lease, target = make_lease(), make_unit()
    begins = lease.last_day + timedelta(days=1)
    last_day = begins + timedelta(days=99)
    make_lease(unit=target, last_day=lease.last_day)  # over when the next one begins
    make_lease(unit=target, first_day=last_day + timedelta(days=1), last_day=last_day + timedelta(days=200))
    void = make_lease(unit=target, first_day=begins, last_day=begins + timedelta(days=9), state="void")
    leases.refuse_if_let(target, lease, last_day=last_day)
    following = sign(lease)
    leases.refuse_if_let(lease.unit, lease, last_day=last_day)  # its own successor
    with pytest.raises(leases.UnitTaken, match="已租给他人"):
        leases.refuse_if_let(following.unit, make_lease(), last_day=last_day)
    with pytest.raises(leases.UnitTaken, match="已租给他人"):
        leases.refuse_if_let(target, lease, last_day=last_day + timedelta(days=1))
    Lease.objects.filter(pk=void.pk).update(state="signed")
    with pytest.raises(leases.UnitTaken, match="已租给他人"):
        leases.refuse_if_let(target, lease, last_day=last_day)


def at_once(works: Sequence[Callable[[], object]]) -> list[str]:
    """What each of `works` ended in, all begun at one moment: "done", or the name of what it raised."""
    gate, outcomes = threading.Barrier(len(works)), []

    def run(work: Callable[[], object]) -> None:
        try:
            gate.wait()
            work()
            outcomes.append("done")
        except Exception as end:
            outcomes.append(type(end).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_renew_one_lease_at_once_one_wins_and_the_others_are_told_why() -> None:
    lease = make_lease()
    assert at_once([partial(sign, lease)] * 6) == ["AlreadyRenewed"] * 5 + ["done"]
    assert Lease.objects.filter(renews=lease).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_who_move_to_one_unit_at_once_one_wins_and_the_others_are_told_why() -> None:
    for _round in range(3):
        target = make_unit()
        movers = [partial(sign, make_lease(), unit=target) for _number in range(4)]
        assert at_once(movers) == ["UnitTaken"] * 3 + ["done"]
        assert Lease.objects.filter(unit=target).count() == 1


@pytest.mark.django_db(transaction=True)
def test_signing_waits_for_whoever_writes_leases_of_the_unit() -> None:
    lease = make_lease()
    with transaction.atomic():
        leases.lock_units([lease.unit_id])

        def impatient() -> None:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '50ms'")
            sign(lease)

        # A loser of a race is told that the unit is taken, not of a deadlock: the constraints alone may end in one.
        assert at_once([impatient]) == ["OperationalError"]
    assert at_once([partial(sign, lease)]) == ["done"]
