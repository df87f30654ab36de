"""Revisions in any order end in one state; what the promise is, exactly, stands in docs/ingestion.md."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faults import i3
from faults.i3 import NOW, deliver, furnish, nothing_kept, scenario, state
from tenants import leases
from tenants.models import Lease, LeaseRevision, WaitingContract

pytestmark = pytest.mark.django_db

QUICK: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=40, **QUICK)
@given(seed=st.integers(0, 2**32), data=st.data(), at_once=st.booleans())
def test_contracts_whose_last_revisions_fit_end_in_one_state_whatever_came_first(
    seed: int, data: st.DataObject, at_once: bool
) -> None:
    records = scenario(random.Random(seed))
    expected = deliver(records)
    assert deliver(data.draw(st.permutations(records)), at_once=at_once) == expected
    last = {record.contract_no: record.revision for record in records}
    assert {row[0]: row[-1] for row in expected["leases"]} == last
    assert expected["waiting"] == []
    assert len(expected["revisions"]) == len(records)


def test_every_order_of_five_revisions_ends_in_one_state() -> None:
    dice = random.Random(5)
    records = scenario(dice)
    while len(records) != 5:
        records = scenario(dice)
    ends = [deliver(order) for order in i3.orders(records, 120, dice)]
    assert len(ends) == 120
    assert all(end == ends[0] for end in ends)


@settings(max_examples=25, **QUICK)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_beside_contracts_that_stand_the_revisions_of_one_may_come_in_any_order(seed: int, data: st.DataObject) -> None:
    records = scenario(random.Random(seed), fits=False)
    others = [record for record in records if record.contract_no != "HT1"]
    mine = [record for record in records if record.contract_no == "HT1"]
    # The others are complete; what of them waits, waits for each other, so they are left out.
    standing = list({record.contract_no: record for record in others}.values())
    first = deliver([*standing, *mine])
    if [row for row in first["waiting"] if row[0] != "HT1"]:
        standing = standing[:1]
        first = deliver([*standing, *mine])
    assert deliver([*standing, *data.draw(st.permutations(mine))]) == first


@settings(max_examples=25, **QUICK)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_of_contracts_that_claim_the_same_days_nothing_is_lost_and_nobody_waits_without_a_reason(
    seed: int, data: st.DataObject
) -> None:
    records = data.draw(st.permutations(scenario(random.Random(seed), fits=False)))
    with nothing_kept():
        furnish()
        for hours, record in enumerate(records):
            leases.enter([record], now=NOW + timedelta(hours=hours))
        stored = set(LeaseRevision.objects.values_list("lease__contract_no", "revision"))
        waiting = set(WaitingContract.objects.values_list("contract_no", "revision"))
        assert stored | waiting == {(record.contract_no, record.revision) for record in records}
        assert not stored & waiting
        for row in WaitingContract.objects.all():
            lease = Lease.objects.filter(contract_no=row.contract_no).first()
            assert lease is None or row.revision > lease.revision
            # Nothing would change if it were tried again: what it waits for stands.
            assert "重叠" in row.reason
            others = Lease.objects.filter(unit=row.unit, state="signed").exclude(contract_no=row.contract_no)
            first, last = row.terms["first_day"], row.terms["last_day"]
            assert others.filter(first_day__lte=last, last_day__gte=first).exists()
        before = state()
        assert leases.enter(records, now=NOW).accepted == 0
        assert state() == before


def test_two_contracts_that_change_places_do_so_whichever_revision_comes_last() -> None:
    lin = replace(scenario(random.Random(1))[0], state="signed", renews=None, cotenants=None)
    zhou = replace(lin, contract_no="HT2", tenant_name="周航", phone="10000000002")
    a = [replace(lin, revision=number, unit=unit) for number, unit in ((1, "I3-A"), (2, "I3-B"))]
    b = [replace(zhou, revision=number, unit=unit) for number, unit in ((1, "I3-B"), (2, "I3-A"))]
    end = deliver([*a, *b])
    assert [row[:2] for row in end["leases"]] == [("HT1", "I3-B"), ("HT2", "I3-A")]
    assert deliver([a[0], b[0], a[1], b[1]]) == end  # each sits where the other wants to go
    assert deliver([a[0], b[0], b[1], a[1]], at_once=True) == end


def test_the_campaign_holds_and_its_red_twin_does_not() -> None:
    result = i3.run(seed=2025, share=0.1)
    assert result["held"] is True
    assert result["counts"]["other_ends"] == 0
    assert result["counts"]["orders"] >= 100
    assert result["red"]["held"] is False
    assert result["red"]["counts"]["other_ends"] > 0
