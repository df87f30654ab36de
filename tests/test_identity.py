"""One person, many rows: merging moves nothing, readers see the whole, and undoing gives each back what was theirs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.records import AliasRecord, ConsentRecord, ContractRecord, CoTenant, EventRecord, Kind, OptOutRecord
from tenants import clock, consents, current, features, identity, ingest, leases, links, merges, tags
from tenants.models import (
    Alias,
    Consent,
    Event,
    Feature,
    Lease,
    LeaseRevision,
    LeaseTenant,
    Merge,
    Tenant,
    TenantTag,
    WaitingContract,
    WaitingEvent,
)
from tests.makers import NOW, TODAY, make_device, make_event, make_lease, make_tenant, make_unit, make_user

pytestmark = pytest.mark.django_db


def merge(kept: Tenant, merged: Tenant, reason: str = "同一人，换了号码") -> Merge:
    return merges.merge(kept, merged, reason=reason, by=None, now=NOW)


def unmerge(made: Merge) -> None:
    merges.unmerge(made, why="不是同一人", by=None, now=NOW)


def roots(*tenants: Tenant) -> list[int | None]:
    return [Tenant.objects.get(pk=tenant.pk).merged_into_id for tenant in tenants]


# --- chains ---------------------------------------------------------------------------------------


def test_a_merge_points_at_the_root_of_a_chain_and_undoing_the_upper_one_restores_the_lower() -> None:
    a, b, c = (make_tenant(name) for name in "甲乙丙")
    merge(b, a)
    upper = merge(c, b)
    assert roots(a, b, c) == [c.pk, c.pk, None]
    unmerge(upper)
    assert roots(a, b, c) == [b.pk, None, None]


def test_the_lower_merge_of_a_chain_may_be_undone_first() -> None:
    a, b, c = (make_tenant(name) for name in "甲乙丙")
    lower = merge(b, a)
    upper = merge(c, b)
    unmerge(lower)
    assert roots(a, b, c) == [None, c.pk, None]
    unmerge(upper)
    assert roots(a, b, c) == [None, None, None]


def test_who_was_kept_by_name_stays_the_next_above_though_they_were_merged_before() -> None:
    a, b, c = (make_tenant(name) for name in "甲乙丙")
    upper = merge(c, b)
    merge(b, a)
    assert roots(a, b, c) == [c.pk, c.pk, None]
    unmerge(upper)
    assert roots(a, b, c) == [b.pk, None, None]


def test_every_merge_keeps_who_did_what_when_and_why() -> None:
    mei, a, b = make_user("mei"), make_tenant("甲"), make_tenant("乙")
    made = merges.merge(b, a, reason=" 身份证相同 ", by=mei, now=NOW)
    merges.unmerge(made, why="认错人", by=mei, now=NOW + timedelta(days=1))
    again = merges.merge(a, b, reason="确认是同一人", by=None, now=NOW + timedelta(days=2))
    told = [
        (row.kept_id, row.merged_id, row.reason, row.by, row.undone_why, row.undone_by, row.undone_at)
        for row in merges.history(a.pk)
    ]
    assert told == [
        (a.pk, b.pk, "确认是同一人", None, "", None, None),
        (b.pk, a.pk, "身份证相同", mei, "认错人", mei, NOW + timedelta(days=1)),
    ]
    assert again.at == NOW + timedelta(days=2)


# --- what is refused ------------------------------------------------------------------------------


def refused(kept: Tenant, merged: Tenant, reason: str = "同一人") -> str:
    before = list(Tenant.objects.order_by("pk").values()), Merge.objects.count()
    with pytest.raises(merges.NotMergeable) as why:
        merges.merge(kept, merged, reason=reason, by=None, now=NOW)
    assert (list(Tenant.objects.order_by("pk").values()), Merge.objects.count()) == before
    return str(why.value)


def test_a_merge_needs_two_people_and_a_reason() -> None:
    a, b, c = (make_tenant(name) for name in "甲乙丙")
    assert refused(a, a) == "这是同一条记录。"
    assert refused(a, b, "  ") == "请写明为什么是同一人。"
    merge(b, a)
    assert refused(a, b) == refused(b, a) == "他们已经是同一人。"
    assert refused(c, a) == "甲已并入另一位租客，请合并那一位。"


def test_people_who_live_together_or_have_different_identity_cards_are_two() -> None:
    a, b, c, d = (make_tenant(name) for name in "甲乙丙丁")
    lease = make_lease(a, make_unit("B1-0301A"))
    LeaseTenant.objects.create(lease=lease, tenant=b, is_primary=False)
    assert refused(a, b) == "两人在同一时间都是 B1-0301A 的租客，不是同一人。"
    for owner, card in ((c, "c" * 64), (d, "d" * 64)):
        Alias.objects.create(source="id_hash", ref=card, tenant=owner, recorded_at=NOW)
    assert refused(c, d) == "两人的身份证号不同，不是同一人。"
    # Also where the other one is known through a row that was merged before.
    merge(a, c)
    assert refused(d, a) == "两人的身份证号不同，不是同一人。"


def test_one_after_the_other_in_a_room_may_be_one_person() -> None:
    a, b, unit = make_tenant("甲"), make_tenant("乙"), make_unit()
    make_lease(a, unit, first_day=date(2024, 1, 1), last_day=date(2024, 12, 31))
    make_lease(b, unit, first_day=date(2025, 1, 1), last_day=date(2025, 12, 31))
    merge(b, a)
    assert roots(a) == [b.pk]


def test_a_merge_is_undone_once_and_with_a_reason() -> None:
    a, b = make_tenant("甲"), make_tenant("乙")
    made = merge(b, a)
    with pytest.raises(merges.NotMergeable):
        merges.unmerge(made, why=" ", by=None, now=NOW)
    unmerge(made)
    with pytest.raises(merges.NotUndoable):
        unmerge(made)


# --- what readers see -----------------------------------------------------------------------------


def test_each_reference_leads_to_the_person() -> None:
    old, person = make_tenant("林晓"), make_tenant("林晓")
    lease = make_lease(old, make_unit("B1-0301A"), contract_no="HT9")
    make_device(lease.unit, "L-1", "lock")
    refs = {"id_hash": "f" * 64, "wechat": "openid-1", "anonymous": "d-1", "locker": "K-7", "community": "Q1"}
    identity.name_tenants(dict.fromkeys(refs.items(), old.pk), now=NOW)
    refs |= {"contract": "HT9", "phone": old.phone, "device": "L-1", "unit": "B1-0301A"}
    assert {identity.tenant_of(*item, at=NOW) for item in refs.items()} == {old}
    made = merge(person, old)
    assert {identity.tenant_of(*item, at=NOW) for item in refs.items()} == {person}
    unmerge(made)
    assert {identity.tenant_of(*item, at=NOW) for item in refs.items()} == {old}
    assert identity.tenant_of("device", "L-1", at=clock.at(lease.last_day + timedelta(days=1))) is None
    assert identity.tenant_of("device", "L-1") is None  # nobody can say whose, without a day
    assert identity.tenant_of("phone", "13900009999") is None


def test_who_refuses_as_one_has_refused_as_both() -> None:
    old, person = make_tenant("林晓"), make_tenant("林晓")
    made = merge(person, old)
    consents.refuse_marketing(person, now=NOW, proof="letter:1")
    unmerge(made)
    assert [consents.holds(each, "marketing", channel="sms") for each in (old, person)] == [False, False]


def test_a_refusal_told_from_outside_holds_for_both_too() -> None:
    old, person = make_tenant("林晓"), make_tenant("林晓")
    made = merge(person, old)
    told = OptOutRecord(line=1, who=("phone", old.phone), at=NOW, proof="sms R")
    counts = [consents.withdraw([told], now=NOW) for _time in range(2)]
    assert [(each.accepted, each.duplicate) for each in counts] == [(1, 0), (0, 1)]
    unmerge(made)
    assert [consents.holds(each, "marketing", channel="sms") for each in (old, person)] == [False, False]


def test_a_link_to_anothers_lease_stops_opening_when_they_are_two_again() -> None:
    old, person = make_tenant("林晓"), make_tenant("林晓")
    ours, theirs = make_lease(person), make_lease(old)
    made = merge(person, old)
    tokens = {}
    for lease in (ours, theirs):
        facts: dict[str, Any] = {
            "tenant": person,
            "lease": lease,
            "purpose": "proposal",
            "expires_at": NOW + timedelta(days=9),
        }
        _link, tokens[lease.pk] = links.mint(f"message:{lease.pk}", **facts, now=NOW)
    assert links.find(tokens[theirs.pk], now=NOW).lease == theirs
    unmerge(made)
    assert links.find(tokens[ours.pk], now=NOW).lease == ours
    with pytest.raises(links.Revoked):
        links.find(tokens[theirs.pk], now=NOW)


def test_a_link_made_before_the_merge_speaks_of_the_person() -> None:
    old, person = make_tenant("林晓"), make_tenant("林晓")
    lease = make_lease(old)
    _link, token = links.mint(
        "m", tenant=old, lease=lease, purpose="proposal", expires_at=NOW + timedelta(days=9), now=NOW
    )
    merge(person, old)
    assert links.find(token, now=NOW).tenant == person


def test_a_mood_counts_with_its_bill_under_whichever_row_either_came() -> None:
    old, person = make_tenant("林晓"), make_tenant("林晓")
    make_lease(person)
    for month in ("2025-09", "2025-10", "2025-11"):
        at = datetime.fromisoformat(f"{month}-20T12:00:00+08:00")
        make_event("bill.issued", old, at=at, data={"bill": month, "month": month})
        make_event("mood.given", person, at=at + timedelta(hours=1), data={"bill": month, "mood": "soso"})
    merge(person, old)
    tags.recompute(today=TODAY, now=NOW)
    assert list(TenantTag.objects.filter(tag="mood_flat").values_list("tenant", flat=True)) == [person.pk]


# --- any history, any merges ----------------------------------------------------------------------

NAMES = "甲乙丙丁"
UNITS = ("A", "B", "C")
Op = tuple[Any, ...]


def phone(i: int) -> str:
    return f"1390000000{i}"


def contract(number: int, i: int, slot: int, revision: int = 1, *, beside: int | None = None) -> ContractRecord:
    """A contract of the i-th person; a later revision says another phone, and once in a while names another person.

    Where there is one `beside` them, that person stands on it too.
    """
    first = date(2024 + slot // 3, 2, 1)
    return ContractRecord(
        line=2,
        contract_no=f"HT{number}",
        revision=revision,
        unit=UNITS[slot % 3],
        tenant_name=NAMES[i],
        phone=phone(i) if revision == 1 else f"1380000000{i}",
        signed_on=first,
        first_day=first,
        last_day=first + timedelta(days=364),
        monthly_rent=Decimal("3800.00"),
        deposit=Decimal("3800.00"),
        anchor_day=1,
        state="signed",
        renews=None,
        cotenants=None if beside is None else (CoTenant(NAMES[beside], phone(beside)),),
    )


def play(history: Iterable[Op]) -> None:
    """What happens, one thing a minute, in a house of three rooms and four people. Undoes no merge by itself."""
    signed: dict[int, list[int]] = {}
    for unit in UNITS:
        room = make_unit(unit)
        make_device(room, f"P-{unit}")
    for n, op in enumerate(history):
        now = NOW + timedelta(minutes=n)
        match op:
            case ("view", i, days):
                at = NOW - timedelta(days=days)
                who = ("app", f"u-{i}")
                ingest.take([EventRecord(1, "app", f"v{n}", Kind.APP_VIEWED, at, who, None, {"name": "home"})], now=now)
            case ("read" | "door" as what, slot, days):
                at = NOW - timedelta(days=days)
                kind = Kind.POWER_READ if what == "read" else Kind.DOOR_OPENED
                data = {"value": n} if what == "read" else {"way": "app"}
                where = ("device", f"P-{UNITS[slot]}")
                ingest.take([EventRecord(1, "iot", f"r{n}", kind, at, None, where, data)], now=now)
            case ("lease", i, slot):
                leases.apply(contract(n, i, slot), now=now)
                signed[n] = [i, slot, 1]
            case ("share", i, j, slot) if i != j:
                leases.apply(contract(n, i, slot, beside=j), now=now)
            case ("bill", i, month):
                data = {"bill": f"Z{i}-{month}", "month": f"2025-{month:02}"}
                at, who = clock.at(date(2025, month, 5), 9), ("phone", phone(i))
                ingest.take([EventRecord(1, "bills", f"b{n}", Kind.BILL_ISSUED, at, who, None, data)], now=now)
            case ("mood", j, i, month, mood):
                data = {"bill": f"Z{i}-{month}", "mood": mood}
                at, who = NOW - timedelta(days=1, minutes=-n), ("phone", phone(j))
                ingest.take([EventRecord(1, "app", f"m{n}", Kind.MOOD_GIVEN, at, who, None, data)], now=now)
            case ("correct", nth, i):
                if signed:
                    number = sorted(signed)[nth % len(signed)]
                    again = signed[number]
                    again[0], again[2] = i, again[2] + 1
                    with suppress(leases.Refused):
                        leases.apply(contract(number, *again), now=now)
            case ("account", i):
                ingest.take([AliasRecord(1, ("phone", phone(i)), ("app", f"u-{i}"))], now=now)
            case ("consent", i, purpose):
                line = ConsentRecord(1, phone(i), purpose, "any", True, NOW - timedelta(days=80, minutes=n), "1", "表")
                consents.enter([line], now=now)
            case ("merge", i, j):
                known = identity.tenants_by("phone", [phone(i), phone(j)])
                if len({phone(i), phone(j)} & set(known)) == len({i, j}):
                    kept, merged = (Tenant.objects.get(pk=known[phone(each)]) for each in (i, j))
                    with suppress(merges.NotMergeable):
                        merges.merge(kept, merged, reason="同一人", by=None, now=now)
            case ("repair", i, days):
                at = NOW - timedelta(days=days, hours=12)
                data = {"ticket": f"T{n}", "category": "water"}
                who = ("phone", phone(i))
                ingest.take([EventRecord(1, "tickets", f"t{n}", Kind.TICKET_REPORTED, at, who, None, data)], now=now)
            case ("general", i, chosen):
                if tenant := identity.tenant_of("phone", phone(i)):
                    consents.choose_general(tenant, general=chosen, now=now)
            case ("catch up",):
                current.catch_up(now=now)
            case ("undo", nth):
                if standing := list(Merge.objects.filter(undone_at=None).order_by("pk")):
                    merges.unmerge(standing[nth % len(standing)], why="不是", by=None, now=now)


def compute() -> None:
    features.refresh(today=TODAY, now=NOW)
    tags.recompute(today=TODAY, now=NOW)


def state() -> dict[str, list[Any]]:
    """All that is kept of people, with names for ids."""
    compute()
    name = {tenant.pk: tenant.name for tenant in Tenant.objects.all()} | {None: None}
    code = dict(Alias.objects.filter(source="unit").values_list("unit", "ref")) | {None: None}
    number = dict(Lease.objects.values_list("pk", "contract_no")) | {None: None}
    words = {"tenant_id": name, "merged_into_id": name, "unit_id": code, "lease_id": number, "renews_id": number}

    def rows(model: Any) -> list[Any]:
        kept = [f.attname for f in model._meta.concrete_fields if f.attname not in {"id", "created_at"}]
        told = [{k: words[k][v] if k in words else v for k, v in row.items()} for row in model.objects.values(*kept)]
        return sorted(map(repr, told))

    models = (Tenant, Alias, Event, WaitingEvent, Lease, LeaseTenant, LeaseRevision, WaitingContract, Consent)
    return {model.__name__: rows(model) for model in (*models, Feature, TenantTag)}


def check_whole() -> None:
    """While they are one, the root's row counts what every row of theirs did, and consents as any of them does."""
    features.refresh(today=TODAY, now=NOW)
    root = {tenant.pk: tenant.merged_into_id or tenant.pk for tenant in Tenant.objects.all()}
    assert not set(root.values()) & {pk for pk, above in root.items() if above != pk}  # nobody points at a merged one
    views: dict[int, int] = {}
    for event in Event.objects.filter(kind=Kind.APP_VIEWED):
        assert event.tenant_id
        views[root[event.tenant_id]] = views.get(root[event.tenant_id], 0) + (NOW - event.at < timedelta(days=29))
    for row in Feature.objects.all():
        assert row.app_30 == views.get(row.tenant_id, 0)
    for tenant in Tenant.objects.filter(merged_into=None):
        given = Consent.objects.filter(tenant__in=merges.rows_of(tenant.pk), purpose="marketing").exists()
        assert consents.holds(tenant, "marketing", channel="sms") is given


def check_restored(history: list[Op]) -> None:
    """With all merges undone, everything is as if nobody had ever merged two people.

    A contract whose corrections show two rows to be one person merges them by itself, in either world.
    """
    with transaction.atomic():
        play(("nothing",) if op[0] in {"merge", "undo"} else op for op in history)
        undo_all()
        untouched = state()
        transaction.set_rollback(True)
    with transaction.atomic():
        play(history)
        check_whole()
        undo_all()
        assert state() == untouched
        transaction.set_rollback(True)


def undo_all() -> None:
    for made in Merge.objects.filter(undone_at=None).order_by("pk"):
        unmerge(made)


person, room, ago = st.integers(0, 3), st.integers(0, 2), st.integers(0, 400)
happenings = st.one_of(
    st.tuples(st.just("view"), person, st.integers(0, 60)),
    st.tuples(st.sampled_from(["read", "door"]), room, ago),
    st.tuples(st.just("lease"), person, st.integers(0, 8)),
    st.tuples(st.just("correct"), st.integers(0, 3), person),
    st.tuples(st.just("account"), person),
    st.tuples(st.just("consent"), person, st.sampled_from(["marketing", "profiling", "door_logs"])),
    st.tuples(st.just("merge"), person, person),
    st.tuples(st.just("undo"), st.integers(0, 3)),
)
# Two people with an account each; merged; then each does something, somebody lets a room, and both agree to something.
PLAIN: list[Op] = [
    ("lease", 0, 3), ("lease", 1, 4), ("account", 0), ("account", 1), ("merge", 1, 0), ("view", 0, 5), ("view", 1, 5),
    ("read", 0, 9), ("consent", 0, "door_logs"), ("door", 0, 9), ("door", 1, 9), ("lease", 0, 8),
    ("consent", 1, "marketing"),
]  # fmt: skip
# Two contracts of two people, both corrected to be a third person's, the second under another phone than the first.
CORRECTED: list[Op] = [("lease", 0, 0), ("lease", 2, 1), ("correct", 0, 2), ("correct", 1, 2)]
# Somebody who stands on no contract any more, since it was corrected to be another's, is merged.
LEFT: list[Op] = [("lease", 0, 0), ("lease", 1, 1), ("correct", 0, 1), ("merge", 0, 1)]

# A contract is corrected to be another's, under a new phone; the two are merged; the first signs again by the old one.
RENAMED: list[Op] = [("lease", 1, 7), ("lease", 0, 0), ("correct", 0, 0), ("merge", 1, 0), ("lease", 1, 5)]


@given(history=st.lists(happenings, min_size=4, max_size=25))
@example(history=PLAIN)
@example(history=RENAMED)
@example(history=CORRECTED)
@example(history=LEFT)
@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
def test_undoing_all_merges_leaves_what_would_have_been_without_them(history: list[Op]) -> None:
    check_restored(history)


def test_that_check_fails_where_events_are_stored_under_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    named, root = (
        "coalesce(who.tenant_id, held.tenant_id) AS tenant_id",
        """coalesce(
        (SELECT coalesce(t.merged_into_id, t.id) FROM tenants_tenant t WHERE t.id = who.tenant_id), held.root
    ) AS tenant_id""",
    )
    assert named in ingest.STORE
    monkeypatch.setattr(ingest, "STORE", ingest.STORE.replace(named, root))
    with pytest.raises(AssertionError):
        check_restored(PLAIN)
