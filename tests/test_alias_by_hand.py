"""Staff give a person an alias by hand, with a reason; it is refused where it is another's, and taken back whole."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from connectors.records import AliasRecord, EventRecord, Kind
from tenants import attributes, clock, features, ingest, leases, merges, naming
from tenants.models import Alias, Event, Feature, Lease, Membership, Merge, Tenant, User, WaitingEvent
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user
from tests.test_leases import contract

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease() -> Lease:
    """林晓 lives in A-0101."""
    clock.set_to(NOW)
    return make_lease(unit=make_unit("A-0101", make_building("A")))


@pytest.fixture
def person(lease: Lease) -> Tenant:
    return lease.tenants.get()


def client_of(role: str, building: str = "A") -> Client:
    user = make_user(f"{role}-{building}")
    Membership.objects.create(user=user, role=role, building=make_building(building), first_day=TODAY)
    client = Client()
    client.force_login(user)
    return client


def gym(number: str, ref: str, *, source: str = "app", unit: str = "") -> EventRecord:
    where = ("unit", unit) if unit else None
    at = NOW - timedelta(days=2)
    return EventRecord(1, "app", number, Kind.FACILITY_USED, at, (source, ref), where, {"facility": "gym"})


def give(client: Client, person: Tenant, ref: str, source: str = "app", why: str = "前台出示") -> Any:
    return client.post(reverse("staff-alias", args=[person.pk]), {"source": source, "ref": ref, "why": why})


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """What is stored of aliases and events, and whose page it stands on."""
    return {
        "alias": sorted(Alias.objects.values_list("source", "ref", "tenant", "origin")),
        "event": sorted(Event.objects.values_list("source", "source_id", "tenant", "unit", "recorded_at")),
        "waits": sorted(
            WaitingEvent.objects.values_list("source", "source_id", "who_source", "who_ref", "data", "recorded_at"),
            key=str,
        ),
        "gym": sorted(Feature.objects.values_list("tenant", "gym_365")),
    }


def test_what_waited_for_it_and_what_comes_later_is_the_persons_with_who_said_so(person: Tenant) -> None:
    ingest.take([gym("e1", "u-9"), gym("e2", "u-8")], now=NOW - timedelta(days=1))
    client = client_of("manager")
    answer = give(client, person, " u-9 ")
    assert (answer.status_code, answer["Location"]) == (302, f"/admin/tenant/{person.pk}/#identity")
    ingest.take([gym("e3", "u-9")], now=NOW)
    features.refresh(today=TODAY, now=NOW, tenants=features.marked())
    assert Feature.objects.get(tenant=person).gym_365 == 2
    assert list(WaitingEvent.objects.values_list("source_id", flat=True)) == ["e2"]
    made = Merge.objects.get()
    assert (made.kept, made.alias_source, made.alias_ref, made.reason) == (person, "app", "u-9", "前台出示")
    assert made.by == User.objects.get(username="manager-A")
    page = client.get(reverse("staff-tenant", args=[person.pk])).content.decode()
    assert "manager-A 人工登记" in page
    assert "App 账号 u-9 已归到林晓名下" in page
    assert "合并自" not in page
    assert page.count(reverse("staff-undo-merge", args=[made.pk])) == 2


def test_taken_back_every_table_is_as_if_it_had_never_been_given(person: Tenant) -> None:
    ingest.take([gym("e1", "u-9"), gym("e2", "u-1", unit="A-0101")], now=NOW - timedelta(days=1))
    features.refresh(today=TODAY, now=NOW)
    before = everything()
    client = client_of("manager")
    give(client, person, "u-9")
    given = everything()
    assert given["waits"] == []
    assert given["gym"] == [(person.pk, 2)]
    made = Merge.objects.get()
    address = reverse("staff-undo-merge", args=[made.pk])
    assert "App 账号 u-9 将不再属于林晓" in client.get(address).content.decode()
    assert client.post(address, {"why": ""}).status_code == 409  # it asks why
    answer = client.post(address, {"why": "看错了"})
    assert (answer.status_code, answer["Location"]) == (302, f"/admin/tenant/{person.pk}/")
    features.refresh(today=TODAY, now=NOW, tenants=features.marked())
    assert everything() == before
    made.refresh_from_db()
    assert (made.undone_why, made.undone_by) == ("看错了", User.objects.get())
    page = client.get(reverse("staff-tenant", args=[person.pk])).content.decode()
    assert "收回，原因：看错了" in page  # the diary keeps both
    assert client.post(address, {"why": "再一次"}).status_code == 409


def test_what_was_learnt_beside_it_and_came_meanwhile_waits_again_and_finds_its_own_person(person: Tenant) -> None:
    give(client_of("manager"), person, "u-9")
    pair = AliasRecord(1, ("app", "u-9"), ("anonymous", "d-9"))
    ingest.take([pair, gym("e1", "d-9", source="anonymous"), gym("e2", "u-9", unit="A-0101")], now=NOW)
    assert set(Event.objects.values_list("tenant__merged_into", flat=True)) == {person.pk}
    naming.take_back(Merge.objects.get(), why="不是本人", by=None, now=NOW)
    assert not Alias.objects.filter(ref__in=["u-9", "d-9"]).exists()
    assert list(Event.objects.values_list("source_id", "tenant")) == [("e2", person.pk)]  # who held the unit
    make_unit("A-0102", make_building("A"))
    leases.apply(contract("HT-2", unit="A-0102", phone="13900000002", tenant_name="周航", app_user="u-9"), now=NOW)
    zhou = Alias.objects.get(source="app", ref="u-9").tenant
    assert zhou
    assert zhou.name == "周航"
    assert Alias.objects.get(source="anonymous", ref="d-9").tenant == zhou
    assert Event.objects.get(source_id="e1").tenant == zhou


def test_one_that_a_contract_has_named_since_stays_with_whom_the_contract_names(person: Tenant) -> None:
    give(client_of("manager"), person, "13900000009", source="phone")
    make_unit("B-1", make_building("B"))
    leases.apply(contract("HT-9", unit="B-1", phone="13900000009", tenant_name="林晓"), now=NOW)
    assert Lease.objects.get(contract_no="HT-9").tenants.get().merged_into == person
    naming.take_back(Merge.objects.get(), why="同名", by=None, now=NOW)
    other = Lease.objects.get(contract_no="HT-9").tenants.get()
    assert other.merged_into is None
    assert Alias.objects.get(ref="13900000009").tenant == other


@pytest.mark.parametrize("seen", [True, False])
def test_anothers_is_refused_in_one_sentence_that_names_only_whom_one_may_see(person: Tenant, seen: bool) -> None:
    other = make_tenant("周航")
    make_lease(other, make_unit("B-1", make_building("A" if seen else "B")))
    Alias.objects.create(source="wechat", ref="oZhou", tenant=other, recorded_at=NOW)
    before = (everything(), Tenant.objects.count())
    answer = give(client_of("manager"), person, "oZhou", source="wechat", why="截图")
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "这个标识已经属于另一位租客，未作任何改动。" in page
    assert (f"/admin/tenant/{other.pk}/" in page) is seen
    assert 'value="oZhou"' in page  # what was typed is kept
    assert 'value="截图"' in page
    assert ((everything(), Tenant.objects.count()), Merge.objects.count()) == (before, 0)


@pytest.mark.parametrize(
    ("source", "ref", "why", "sentence"),
    [
        ("contract", "HT-1", "x", "请选择标识类型。"),
        ("id_hash", "a" * 64, "x", "请选择标识类型。"),
        ("unit", "A-0101", "x", "请选择标识类型。"),
        ("app", " ", "x", "请按来源系统里的写法填写，不超过 128 个字符。"),
        ("app", "u" * 129, "x", "请按来源系统里的写法填写，不超过 128 个字符。"),
        ("app", "u\x009", "x", "请按来源系统里的写法填写，不超过 128 个字符。"),
        ("phone", "1390000000", "x", "手机号应为 1 开头的 11 位数字。"),
        ("app", "u-9", " ", "请写明凭什么认定属于本人。"),
    ],
)
def test_what_is_no_alias_of_a_person_is_refused(
    person: Tenant, source: str, ref: str, why: str, sentence: str
) -> None:
    answer = give(client_of("manager"), person, ref, source, why)
    assert answer.status_code == 409
    assert sentence in answer.content.decode()
    assert Merge.objects.count() == 0


def test_a_phone_is_taken_as_it_is_spoken_and_shown_masked(person: Tenant) -> None:
    client = client_of("hq")
    assert give(client, person, "+86 139-0000-0009", source="phone").status_code == 302
    assert Alias.objects.get(ref="13900000009").tenant != person  # a row of its own, merged into the person
    assert "13900000009" not in client.get(reverse("staff-tenant", args=[person.pk])).content.decode()
    again = give(client, person, "13900000009", source="phone")
    assert "这个标识已经属于林晓。" in again.content.decode()


def test_what_a_source_told_stands_before_what_was_added(person: Tenant) -> None:
    told = Alias.objects.get(source="app", tenant=person)
    give(client_of("manager"), person, "u-9")
    held = {str(each.name): each.value for each in attributes.attributes(person)}
    assert held["App 账号"] == told.ref
    assert {alias.ref for alias in attributes.aliases(person)} >= {told.ref, "u-9"}


def test_only_who_decides_about_people_and_sees_this_one_may_add(person: Tenant) -> None:
    assert give(client_of("care"), person, "u-9").status_code == 403
    assert give(client_of("manager", "B"), person, "u-9").status_code == 404
    page = client_of("finance").get(reverse("staff-tenant", args=[person.pk])).content.decode()
    assert reverse("staff-alias", args=[person.pk]) not in page
    assert Alias.objects.filter(ref="u-9").count() == 0


def test_one_who_is_merged_is_given_it_as_a_whole_and_keeps_it_when_taken_apart(person: Tenant) -> None:
    old = make_tenant("林晓")
    make_lease(old, make_unit("A-0103", make_building("A")), last_day=TODAY - timedelta(days=400))
    merged = merges.merge(person, old, reason="同一人", by=None, now=NOW)
    give(client_of("manager"), person, "u-9")
    ingest.take([gym("e1", "u-9")], now=NOW)
    merges.unmerge(merged, why="不是", by=None, now=NOW)
    features.refresh(today=TODAY, now=NOW)
    assert Feature.objects.get(tenant=person).gym_365 == 1


def test_from_what_waits_one_comes_to_the_person_with_the_form_filled_in(person: Tenant) -> None:
    ingest.take([gym("e1", "u-9"), gym("e2", "13900000009", source="phone")], now=NOW)
    client = client_of("hq")
    waits = client.get(reverse("staff-same")).content.decode()
    assert waits.count('href="/admin/tenant/?is=') == 1  # a phone number stands in no address
    assert 'href="/admin/tenant/?is=app:u-9"' in waits
    found = client.get("/admin/tenant/?is=app:u-9&q=林晓").content.decode()
    assert "App 账号 u-9 是谁的？" in found
    assert f'href="/admin/tenant/{person.pk}/?is=app%3Au-9#alias"' in found
    page = client.get(f"/admin/tenant/{person.pk}/?is=app%3Au-9").content.decode()
    assert '<option value="app" selected>' in page
    assert 'name="ref" value="u-9"' in page
    assert "是谁的？" not in client.get("/admin/tenant/?is=unit:A-0101").content.decode()


def test_what_waits_is_listed_in_words(person: Tenant) -> None:
    ingest.take([gym("e1", "u-9"), AliasRecord(1, ("app", "u-8"), ("anonymous", "d-8"))], now=NOW)
    page = client_of("hq").get(reverse("admin:tenants_waitingevent_changelist")).content.decode()
    assert "使用健身房" in page
    assert "App 账号 u-9" in page
    assert "facility.used" not in page
    assert "u-8" not in page  # that two accounts are one person is no event
