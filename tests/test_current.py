"""What is known of each tenant follows within seconds of what happens, and is what counting it all anew would give."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as product
from django.db import connection, transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.records import EventRecord, Kind
from tenants import consents, current, features, ingest
from tenants.models import DirtyTenant, Feature, Tenant, TenantTag
from tests.makers import NOW, TODAY, make_lease
from tests.test_identity import Op, happenings, person, play

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)


def known() -> list[dict[str, Any]]:
    """All that is known of everybody, but for the moment at which it was computed."""
    told: list[dict[str, Any]] = []
    for model in (Feature, TenantTag):
        kept = [f.attname for f in model._meta.concrete_fields if f.attname not in {"id", "computed_at"}]
        told += model.objects.order_by(*kept[:2]).values(*kept)
    return told


def check(history: list[Op]) -> None:
    """After any history a catching up leaves nothing marked, and nothing that computing everything would change."""
    with transaction.atomic():
        play(history)
        current.catch_up(now=LATER)
        caught_up = known()
        assert not DirtyTenant.objects.exists()
        current.compute(today=TODAY, now=LATER)
        assert caught_up == known()
        transaction.set_rollback(True)


# Somebody alone in a flat of three rooms; then a second moves in, who later turns out to live in another room.
FLATMATES: list[Op] = [
    ("lease", 0, 3), ("catch up",), ("lease", 1, 4), ("catch up",), ("correct", 1, 2), ("catch up",), ("lease", 3, 5),
]  # fmt: skip
# Somebody agrees to be known, is known by what they do, and chooses not to be.
PRIVATE: list[Op] = [
    ("lease", 0, 3), ("repair", 0, 40), ("repair", 0, 30), ("repair", 0, 20), ("consent", 0, "profiling"),
    ("catch up",), ("general", 0, True),
]  # fmt: skip
# Two share a room; the second has a streak on the bills of the first, which one that comes late breaks.
SHARED: list[Op] = [
    ("share", 0, 1, 3), ("bill", 0, 7), ("bill", 0, 8), ("bill", 0, 10), ("mood", 1, 0, 7, "soso"),
    ("mood", 1, 0, 8, "soso"), ("mood", 1, 0, 10, "soso"), ("catch up",), ("bill", 0, 9),
]  # fmt: skip
month = st.integers(6, 11)
more = st.one_of(
    happenings,
    st.just(("catch up",)),
    st.tuples(st.just("repair"), person, st.integers(0, 30)),
    st.tuples(st.just("general"), person, st.booleans()),
    st.tuples(st.just("share"), person, person, st.integers(0, 8)),
    st.tuples(st.just("bill"), person, month),
    st.tuples(st.just("mood"), person, person, month, st.sampled_from(["soso", "soso", "good"])),
)


@pytest.mark.usefixtures("few")
@given(history=st.lists(more, min_size=4, max_size=25))
@example(history=FLATMATES)
@example(history=PRIVATE)
@example(history=SHARED)
@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
def test_catching_up_ends_where_computing_everything_does(history: list[Op]) -> None:
    check(history)


@pytest.mark.usefixtures("few")
def test_that_check_fails_where_contracts_mark_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "mark_around", lambda leases, *, now: None)
    with pytest.raises(AssertionError):
        check(FLATMATES)


@pytest.mark.usefixtures("few")
def test_that_check_fails_where_a_bill_is_news_of_its_recipient_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "and_beside", list)
    with pytest.raises(AssertionError):
        check(SHARED)


@pytest.mark.usefixtures("few")
def test_that_check_fails_where_a_choice_marks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(tenant: Tenant, *, general: bool, now: datetime) -> None:
        Tenant.objects.filter(pk=tenant.pk).update(general_version=general)

    monkeypatch.setattr(consents, "choose_general", choose)
    with pytest.raises(AssertionError):
        check(PRIVATE)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so few people any one would be too many to be computed alone."""
    monkeypatch.setattr(current, "SHARE", 0)


@pytest.mark.usefixtures("few")
def test_an_event_is_known_of_by_the_next_catching_up_and_of_others_nothing_is_computed() -> None:
    tenant, other = make_lease().tenants.get(), make_lease().tenants.get()
    current.compute(today=TODAY, now=NOW)
    who = ("phone", tenant.phone)
    seen = EventRecord(1, "app", "v1", Kind.APP_VIEWED, NOW, who, None, {"name": "coupons"})
    ingest.take([seen, seen], now=NOW)

    assert current.catch_up(now=LATER) == 1

    row = Feature.objects.get(tenant=tenant)
    assert (row.app_30, row.coupon_views_90, row.computed_at) == (1, 1, LATER)
    assert Feature.objects.get(tenant=other).computed_at == NOW
    assert current.catch_up(now=LATER) == 0


def test_when_the_day_changes_everybody_is_computed_once() -> None:
    make_lease(), make_lease()
    current.compute(today=TODAY, now=NOW)

    assert current.catch_up(now=NOW + timedelta(days=1)) == 2
    assert set(Feature.objects.values_list("day", flat=True)) == {TODAY + timedelta(days=1)}
    assert current.catch_up(now=NOW + timedelta(days=1, seconds=2)) == 0


@pytest.mark.django_db(transaction=True)
def test_while_one_process_catches_up_another_returns_at_once() -> None:
    make_lease()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [current.LOCK])
        assert current.catch_up(now=NOW) == 0
    finally:
        other.close()
    assert not Feature.objects.exists()


def test_the_worker_is_asked_often_enough_to_know_within_five_seconds() -> None:
    entry = product.CELERY_BEAT_SCHEDULE["know what happened"]
    assert (entry["task"], entry["schedule"]) == ("tenants.catch_up", 2.0)
