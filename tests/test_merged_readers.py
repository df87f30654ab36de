"""Every room reads a merged tenant as the person they turned out to be, and two again as two."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from campaigns import playbooks, pushes, shipping
from campaigns.models import Enrolment, Push
from connectors.models import PhoneMessage
from renewal import cases, kpis, proposals, roadmap
from renewal.models import Case, Signature
from renewal.year import Subject, activities_held
from tenants import clock, consents, links, merges, outbox, tags
from tenants.models import Lease, LeaseTenant, Link, Merge, Message, Tenant, TenantTag
from tenants.outbox import Draft
from tests.letter import digits_of, make_letter, opened, sign_it
from tests.makers import BEFORE, NOW, TODAY, make_event, make_lease, make_tenant, make_unit
from workorders import intake
from workorders.models import Report

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


def merge(kept: Tenant, merged: Tenant) -> Merge:
    return merges.merge(kept, merged, reason="同一人", by=None, now=NOW)


def unmerge(made: Merge) -> None:
    merges.unmerge(made, why="不是同一人", by=None, now=NOW)


def ended(tenant: Tenant) -> Case:
    """A lease that ended ten days ago, and its case."""
    last = TODAY - timedelta(days=10)
    lease = make_lease(tenant, last_day=last)
    return Case.objects.create(lease=lease, state="contacted", since=NOW, opened_at=NOW - timedelta(days=90))


def test_a_repair_reported_under_one_row_is_in_the_room_let_under_the_other() -> None:
    old, person = make_tenant("林晓"), make_tenant("林晓")
    lease = make_lease(person)
    data = {"ticket": "T1", "category": "water", "channel": "app", "text": "厨房漏水"}
    make_event("ticket.reported", old, source="tickets", source_id="T1#reported", data=data)
    assert intake.take(now=NOW)["without_unit"] == 1
    made = merge(person, old)
    assert intake.take(now=NOW)["without_unit"] == 0
    assert Report.objects.get().order.unit == lease.unit
    unmerge(made)
    assert intake.take(now=NOW)["without_unit"] == 1


@pytest.mark.parametrize("are_one", [True, False])
def test_who_pays_under_the_other_row_still_lives_there(are_one: bool) -> None:
    old, person = make_tenant("林晓"), make_tenant("林晓")
    case = ended(person)
    make_event("facility.used", old, at=NOW - timedelta(days=1))
    if are_one:
        merge(person, old)
    cases.advance(today=TODAY, now=NOW)
    case.refresh_from_db()
    assert case.state == ("holdover" if are_one else "moved_out")


def test_an_activity_counts_for_the_building_of_the_person() -> None:
    old, person = make_tenant("林晓"), make_tenant("林晓")
    lease = make_lease(person)
    for n in range(6):
        data = {"activity": f"读书会 {n}"}
        make_event("community.joined", old, at=NOW - timedelta(days=5 + n), data=data)
    subject = Subject(lease.pk, person.pk, lease.unit.building_id, personal=True)
    assert activities_held([subject], TODAY) == {}
    merge(person, old)
    assert activities_held([subject], TODAY)[person.pk]["figure"] == 6


def test_one_who_chose_the_general_version_under_either_row_chose_it() -> None:
    old, person = make_tenant("林晓", general_version=True), make_tenant("林晓")
    lease = make_lease(person)
    assert proposals.is_personal(person)
    made = merge(person, old)
    assert not proposals.is_personal(person)
    assert consents.chose_general(person)
    consents.choose_general(person, general=False, now=NOW)
    assert proposals.is_personal(person)
    unmerge(made)
    assert lease.tenants.get() == person
    assert proposals.is_personal(person)


def test_a_habit_seen_under_two_rows_makes_no_tag_where_one_of_them_chose_otherwise() -> None:
    old, person = make_tenant("林晓", general_version=True), make_tenant("林晓")
    make_lease(person)
    for n in range(9):
        make_event("facility.used", person, at=NOW - timedelta(days=n), data={"facility": "shared_kitchen"})
    made = merge(person, old)
    tags.recompute(today=TODAY, now=NOW)
    assert not TenantTag.objects.filter(tag="kitchen_regular").exists()
    unmerge(made)
    tags.recompute(today=TODAY, now=NOW)
    assert TenantTag.objects.get(tag="kitchen_regular").tenant == person


# --- the letter -----------------------------------------------------------------------------------


def test_the_door_knows_the_person_by_their_number_though_the_lease_names_the_other_row(client: Client) -> None:
    link, _token = make_letter()
    person = make_tenant("林晓")
    merge(person, link.tenant)
    client.post("/r/?from=lift-b1", {"phone": person.phone})
    assert Message.objects.get().tenant == person
    assert client.post("/r/code", {"code": digits_of("door:")})["Location"] == "/r/letter/"
    assert client.get("/r/letter/").status_code == 200


def test_who_was_merged_signs_with_the_person_s_phone_and_the_next_lease_names_the_same_row(client: Client) -> None:
    link, token = make_letter()
    old, person = link.tenant, make_tenant("林晓")
    made = merge(person, old)
    opened(client, token)
    assert sign_it(client).status_code == 303
    assert client.get("/r/letter/done").status_code == 200
    outbox.drain(now=clock.now())
    assert set(PhoneMessage.objects.values_list("address", flat=True)) == {person.phone}
    signature = Signature.objects.get()
    assert signature.signer == person
    assert LeaseTenant.objects.get(lease=signature.lease).tenant == old
    assert roadmap.living_since(person) == link.lease.first_day
    unmerge(made)
    assert list(Lease.objects.filter(tenants=person)) == []
    assert set(Lease.objects.filter(tenants=old)) == {link.lease, signature.lease}


# --- what was under way when they became two again ------------------------------------------------


def test_what_is_not_sent_yet_about_the_other_s_lease_is_withdrawn() -> None:
    old, person = make_tenant("林晓"), make_tenant("林晓")
    ours, theirs = make_lease(person), make_lease(old)
    made = merge(person, old)
    facts: dict[str, Any] = {"tenant_id": person.pk, "klass": "service", "deadline": NOW + timedelta(days=3)}
    for lease in (ours, theirs):
        outbox.post(Draft(key=f"m:{lease.pk}", lease_id=lease.pk, text=f"租约 {lease.pk}", **facts), now=NOW)
    unmerge(made)
    outbox.drain(now=NOW)
    assert list(PhoneMessage.objects.values_list("text", flat=True)) == [f"租约 {ours.pk}"]
    cancelled = Message.objects.get(lease=theirs)
    assert (cancelled.state, cancelled.reason) == ("cancelled", "这份租约不属于此人。")


def test_a_playbook_leaves_who_followed_it_for_the_other_s_lease() -> None:
    shipping.ship(now=BEFORE)
    old, person = make_tenant("林晓"), make_tenant("林晓")
    theirs = make_lease(old, make_unit())
    made = merge(person, old)
    playbooks.enrol(today=TODAY, now=NOW)
    assert Enrolment.objects.get(lease=theirs).tenant == person
    pushes.plan(today=TODAY, now=NOW)
    assert Push.objects.filter(lease=theirs, state="planned").count() == 1
    unmerge(made)
    assert playbooks.leave(today=TODAY, now=NOW) == 1
    assert Enrolment.objects.get(lease=theirs).left_because == "租约不属于此人"
    assert not Push.objects.filter(state="planned").exists()
    playbooks.enrol(today=TODAY, now=NOW)
    assert Enrolment.objects.get(lease=theirs, left_on=None).tenant == old


def test_one_person_is_counted_once_among_those_who_looked() -> None:
    shipping.ship(now=BEFORE)
    old, person = make_tenant("林晓"), make_tenant("林晓")
    unit = make_unit()
    for tenant, room in ((old, unit), (person, make_unit(building=unit.building))):
        make_lease(tenant, room)
    playbooks.enrol(today=TODAY, now=NOW)
    pushes.plan(today=TODAY, now=NOW)
    pushes.hand_over(today=TODAY, now=NOW)
    outbox.drain(now=NOW)
    for link in Link.objects.all():
        links.open(link, trusted=True, now=NOW)

    def looked() -> Any:
        return kpis.figures(day=TODAY, now=NOW)["clicks"]["proven"]

    before = looked()
    merge(person, old)
    after = looked()
    assert (before["k"], before["n"], after["k"], after["n"]) == (2, 2, 1, 1)
