"""What happened to somebody not known yet waits; what happened on a unit of nobody is attributed later, once."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.records import AliasRecord, ContractRecord, EventRecord, Kind
from renewal import days
from tenants import features, identity, ingest, leases, waiting
from tenants.models import Alias, DirtyTenant, Event, Feature, LeaseTenant, WaitingEvent
from tests.makers import NOW, TODAY, make_device, make_lease, make_tenant, make_unit
from tests.test_leases import contract

pytestmark = pytest.mark.django_db
AT = datetime(2025, 11, 20, 2, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=3)


def view(number: int, who: tuple[str, str] | None = ("app", "u-9"), **facts: Any) -> EventRecord:
    return EventRecord(
        **{
            "line": number,
            "source": "app",
            "source_id": f"m{number}",
            "kind": Kind.APP_VIEWED,
            "at": AT,
            "who": who,
            "where": None,
            "data": {"name": "home"},
            **facts,
        }
    )


def take(*records: EventRecord | AliasRecord, now: datetime = NOW) -> tuple[int, int, int, int]:
    counts = ingest.take(records, now=now)
    return counts.received, counts.accepted, counts.duplicate, counts.rejected


def waiting_refs() -> list[tuple[str, str]]:
    return list(WaitingEvent.objects.order_by("source_id").values_list("who_source", "who_ref"))


def test_what_somebody_unknown_did_waits_and_is_theirs_once_they_are_known() -> None:
    assert take(view(1), view(2, ("app", "u-8"))) == (2, 2, 0, 0)
    assert waiting_refs() == [("app", "u-9"), ("app", "u-8")]
    assert not Event.objects.exists()
    tenant = make_tenant("林晓")
    identity.name_tenants({("app", "u-9"): tenant.pk}, now=LATER)
    event = Event.objects.get()
    assert (event.source_id, event.kind, event.at, event.data) == ("m1", "app.viewed", AT, {"name": "home"})
    assert (event.tenant_id, event.unit_id) == (tenant.pk, None)
    assert event.recorded_at == NOW  # when it was first received, not when it found its tenant
    assert waiting_refs() == [("app", "u-8")]
    assert list(DirtyTenant.objects.values_list("tenant_id", "since")) == [(tenant.pk, LATER)]


def test_it_is_one_event_whether_it_comes_again_while_it_waits_or_after() -> None:
    assert take(view(1)) == (1, 1, 0, 0)
    assert take(view(1), now=LATER) == (1, 0, 1, 0)
    identity.name_tenants({("app", "u-9"): make_tenant().pk}, now=LATER)
    assert take(view(1), now=LATER) == (1, 0, 1, 0)
    assert (Event.objects.count(), WaitingEvent.objects.count()) == (1, 0)
    # Nor does it wait again where its alias has gone since.
    Alias.objects.filter(ref="u-9").delete()
    assert take(view(1), now=LATER) == (1, 0, 1, 0)
    assert (Event.objects.count(), WaitingEvent.objects.count()) == (1, 0)


def test_a_contract_a_pair_and_a_sign_in_each_release_what_waited() -> None:
    make_unit("B1-0301A")
    events = (
        view(1, ("phone", "13900000001")),
        view(2, ("contract", "HT1")),
        view(3, ("app", "u-9")),
        view(4, ("anonymous", "d-1")),
    )
    assert take(*events) == (4, 4, 0, 0)
    leases.apply(contract("HT1", unit="B1-0301A", phone="13900000001", app_user="u-9"), now=LATER)
    tenant = LeaseTenant.objects.get().tenant_id
    assert set(Event.objects.values_list("source_id", "tenant")) == {("m1", tenant), ("m2", tenant), ("m3", tenant)}
    take(AliasRecord(1, ("app", "u-9"), ("anonymous", "d-1")), now=LATER)
    assert Event.objects.get(source_id="m4").tenant_id == tenant
    assert not WaitingEvent.objects.exists()


def test_that_two_unknown_aliases_are_one_person_is_remembered() -> None:
    take(AliasRecord(1, ("app", "u-9"), ("anonymous", "d-1")), AliasRecord(2, ("anonymous", "d-1"), ("wechat", "o-1")))
    take(view(1, ("wechat", "o-1")), view(2, ("anonymous", "d-1")))
    assert not Alias.objects.exists()
    tenant = make_tenant()
    identity.name_tenants({("app", "u-9"): tenant.pk}, now=LATER)
    assert set(Event.objects.values_list("source_id", "tenant")) == {("m1", tenant.pk), ("m2", tenant.pk)}
    learnt = Alias.objects.filter(source__in=["anonymous", "wechat"]).values_list("source", "ref", "tenant", "origin")
    assert set(learnt) == {
        ("anonymous", "d-1", tenant.pk, "app u-9"),
        ("wechat", "o-1", tenant.pk, "anonymous d-1"),
    }
    assert not WaitingEvent.objects.exists()


def test_doors_and_unknown_units_never_wait() -> None:
    door = view(1, kind=Kind.DOOR_OPENED, data={"way": "card"})
    nowhere = view(2, where=("unit", "B9-0000X"))
    tomorrow = view(3, at=NOW + timedelta(days=1))
    counts = ingest.take([door, nowhere, tomorrow], now=NOW)
    assert [(bad.line, bad.reason, bad.raw) for bad in counts.refused] == [
        (1, "找不到 u-9 对应的租客。", {"withheld": "person"}),
        (2, "没有编号为 B9-0000X 的房间或设备。", {}),
        (3, "发生时间在将来。", {}),
    ]
    assert not WaitingEvent.objects.exists()
    assert not Event.objects.exists()


def test_of_a_line_with_one_bad_event_nothing_waits() -> None:
    bad = view(1, source_id="m1#2", at=NOW + timedelta(days=1))
    assert take(view(1), bad) == (1, 0, 0, 1)
    assert not WaitingEvent.objects.exists()


def test_what_two_sources_tell_under_one_number_is_two_things() -> None:
    tenant = make_tenant()
    Alias.objects.create(source="app", ref="u-9", tenant=tenant, recorded_at=NOW)
    assert take(view(1), view(2, source="shop", source_id="m1")) == (2, 2, 0, 0)
    assert set(Event.objects.values_list("source", "source_id")) == {("app", "m1"), ("shop", "m1")}


# --- units of nobody ------------------------------------------------------------------------------


def reading(number: int, at: datetime) -> EventRecord:
    data = {"value": float(number), "unit": "kWh"}
    where = ("device", "P-1")
    return view(
        number, None, source="iot", source_id=f"P-1-{number}", kind=Kind.POWER_READ, at=at, where=where, data=data
    )


def shanghai(day: date, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC) - timedelta(hours=8)


def test_a_reading_of_nobody_is_the_tenants_once_the_contract_of_that_day_arrives() -> None:
    unit = make_unit("B1-0301A")
    make_device(unit, "P-1")
    first, last = date(2025, 3, 1), date(2025, 8, 31)
    moments = [
        shanghai(first - timedelta(days=1), 23),
        shanghai(first, 0),
        shanghai(last, 23),
        shanghai(last + timedelta(days=1), 0),
    ]
    assert take(*(reading(number, at) for number, at in enumerate(moments, start=1))) == (4, 4, 0, 0)
    assert set(Event.objects.values_list("tenant", flat=True)) == {None}
    leases.apply(contract("HT1", unit="B1-0301A", first_day=first, last_day=last), now=LATER)
    tenant = LeaseTenant.objects.get().tenant_id
    owners = [None, tenant, tenant, None]
    assert list(Event.objects.order_by("at").values_list("tenant", flat=True)) == owners
    assert set(Event.objects.values_list("recorded_at", flat=True)) == {NOW}
    assert list(DirtyTenant.objects.values_list("tenant", flat=True)) == [tenant]


def test_an_event_is_attributed_once_and_then_stays_where_it_is() -> None:
    unit = make_unit("B1-0301A")
    make_device(unit, "P-1")
    take(reading(1, AT))
    leases.apply(contract("HT1", unit="B1-0301A"), now=NOW)
    lin = LeaseTenant.objects.get().tenant_id
    corrected = contract("HT1", unit="B1-0301A", revision=2, tenant_name="周航", phone="13900000002")
    leases.apply(corrected, now=LATER)
    assert LeaseTenant.objects.get().tenant_id != lin
    assert Event.objects.get().tenant_id == lin


# --- how long -------------------------------------------------------------------------------------


def test_what_waits_longer_than_ninety_days_is_dropped_and_counted() -> None:
    long_ago = NOW - timedelta(days=100)
    take(view(1, at=long_ago), now=NOW - timedelta(days=91))
    take(view(2, at=long_ago), now=NOW - timedelta(days=89))
    counts = days.run(today=TODAY, now=NOW)["stages"]["retention"]
    assert counts == {"doors": 0, "released": 0, "waiting_dropped": 1, "files": 0}
    assert WaitingEvent.objects.get().source_id == "m2"
    with override_settings(WAITING_DAYS=88):
        assert waiting.forget(today=TODAY) == 1


def test_the_day_releases_what_nobody_released() -> None:
    take(view(1))
    tenant = make_tenant()
    Alias.objects.create(source="app", ref="u-9", tenant=tenant, recorded_at=NOW)  # as by a process that was killed
    assert days.run(today=TODAY, now=NOW)["stages"]["retention"]["released"] == 1
    assert Event.objects.get().tenant_id == tenant.pk


# --- two at once ----------------------------------------------------------------------------------


def in_thread(work: Any) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("learner_ends_first", [True, False])
def test_an_alias_learnt_while_its_event_is_being_stored_loses_nothing(learner_ends_first: bool) -> None:
    tenant = make_tenant()
    both_wrote, first_is_over = threading.Barrier(2), threading.Event()

    def end(is_first: bool) -> None:
        both_wrote.wait(10)
        if not is_first:
            assert first_is_over.wait(10)

    def learn() -> None:
        with transaction.atomic():
            identity.name_tenants({("app", "u-9"): tenant.pk}, now=NOW)
            end(learner_ends_first)
        if learner_ends_first:
            first_is_over.set()

    def store() -> None:
        with transaction.atomic():
            take(view(1))
            end(not learner_ends_first)
        if not learner_ends_first:
            first_is_over.set()

    threads = [in_thread(learn), in_thread(store)]
    for thread in threads:
        thread.join(20)
    assert list(Event.objects.values_list("source_id", "tenant")) == [("m1", tenant.pk)]
    assert not WaitingEvent.objects.exists()


def somebody_waits_for_a_row() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
        return cursor.rowcount > 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("was_marked", [True, False])
def test_what_happens_while_features_are_counted_is_counted_the_next_time(was_marked: bool) -> None:
    tenant = make_tenant()
    Alias.objects.create(source="app", ref="u-9", tenant=tenant, recorded_at=NOW)
    make_lease(tenant)
    take(view(1))
    if not was_marked:
        features.refresh(today=TODAY, now=NOW)
        assert features.marked() == []
    stored, refreshed = threading.Event(), threading.Event()

    def store() -> None:
        with transaction.atomic():
            take(view(2))
            stored.set()
            # Where there was a mark already, the refresh waits for this end before it deletes it.
            deadline = time.monotonic() + 10
            while not (refreshed.is_set() or somebody_waits_for_a_row()):
                assert time.monotonic() < deadline

    thread = in_thread(store)
    assert stored.wait(10)
    features.refresh(today=TODAY, now=NOW)
    refreshed.set()
    thread.join(20)
    assert features.marked() == [tenant.pk]
    assert Feature.objects.get().app_30 == 1
    features.refresh(today=TODAY, now=NOW, tenants=features.marked())
    assert features.marked() == []
    assert Feature.objects.get().app_30 == 2


# --- any order ------------------------------------------------------------------------------------

PEOPLE = ("13900000001", "13900000002")


@given(order=st.permutations(range(10)))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_comes_first_the_end_is_the_same(order: list[int]) -> None:
    """Events, sign-ins and contracts in any order: each event ends with the person it names."""
    with transaction.atomic():
        make_unit("B1-0301A")
        make_device(make_unit("B1-0302A"), "P-1")
        works: list[Any] = [
            lambda: take(view(1, ("phone", PEOPLE[0]))),
            lambda: take(view(2, ("app", "u-1")), view(3, ("anonymous", "d-1"))),
            lambda: take(view(4, ("app", "u-2"))),
            lambda: take(AliasRecord(1, ("app", "u-1"), ("anonymous", "d-1"))),
            lambda: take(reading(5, AT)),
            lambda: take(view(3, ("anonymous", "d-1"))),
            lambda: leases.apply(hold("HT1", "B1-0301A", PEOPLE[0], app_user="u-1"), now=NOW),
            lambda: leases.apply(hold("HT2", "B1-0302A", PEOPLE[1], tenant_name="周航"), now=NOW),
            lambda: take(AliasRecord(1, ("contract", "HT2"), ("app", "u-2"))),
            lambda: take(view(6, ("contract", "HT2"))),
        ]
        for number in order:
            works[number]()
        owners = {alias.ref: alias.tenant_id for alias in Alias.objects.filter(source="phone")}
        first, second = (owners[phone] for phone in PEOPLE)
        found = dict(Event.objects.values_list("source_id", "tenant"))
        assert found == {"m1": first, "m2": first, "m3": first, "m4": second, "P-1-5": second, "m6": second}
        assert not WaitingEvent.objects.exists()
        transaction.set_rollback(True)


def hold(number: str, unit: str, phone: str, **facts: Any) -> ContractRecord:
    return contract(number, unit=unit, phone=phone, **facts)
