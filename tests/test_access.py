"""A person sees the buildings they work in today, through every page of the staff site, and nothing else."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from renewal.models import Case
from tenants import access, clock
from tenants.models import Building, Lease, Membership, Message, Tenant, User
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user
from workorders.models import WorkOrder

pytestmark = pytest.mark.django_db


def member(role: str, *codes: str | None, first: date = TODAY - timedelta(days=9), last: date | None = None) -> User:
    user = make_user(f"{role}-{'-'.join(str(code) for code in codes)}")
    for code in codes:
        building = Building.objects.get(code=code) if code else None
        Membership.objects.create(user=user, role=role, building=building, first_day=first, last_day=last)
    return user


@pytest.fixture
def two_buildings() -> tuple[Tenant, Tenant]:
    """Lin lives in A, Zhou in B, each with a case, a message and a leak."""
    clock.set_to(NOW)
    people = []
    for code, name in (("A", "林晓"), ("B", "周航")):
        building = make_building(code)
        tenant = make_tenant(name)
        lease = make_lease(tenant, make_unit(building=building))
        Case.objects.create(lease=lease, state="upcoming", since=NOW, opened_at=NOW)
        Message.objects.create(
            key=f"m-{code}", klass="marketing", tenant=tenant, lease=lease, channel="phone", text=f"致{name}",
            not_before=NOW, deadline=NOW, created_at=NOW, changed_at=NOW,
        )  # fmt: skip
        WorkOrder.objects.create(
            unit=lease.unit, category="water", fingerprint=code, text="漏水", first_reported_at=NOW - timedelta(hours=1)
        )
        people.append(tenant)
    return people[0], people[1]


def page(user: User, address: str) -> tuple[int, str]:
    client = Client()
    client.force_login(user)
    response = client.get(address)
    return response.status_code, response.content.decode()


def test_doors_lead_to_the_buildings_of_a_membership_that_runs_today(two_buildings: tuple[Tenant, Tenant]) -> None:
    lin, zhou = two_buildings
    yesterday, tomorrow = TODAY - timedelta(days=1), TODAY + timedelta(days=1)

    def seen(user: User) -> tuple[set[str], set[Tenant], set[str]]:
        return (
            set(access.buildings_for(user, today=TODAY).values_list("code", flat=True)),
            set(access.tenants_for(user, today=TODAY)),
            set(access.leases_for(user, today=TODAY).values_list("unit__building__code", flat=True)),
        )

    assert seen(member("care", "A")) == ({"A"}, {lin}, {"A"})
    assert seen(member("manager", "A", "B")) == ({"A", "B"}, {lin, zhou}, {"A", "B"})
    assert seen(member("hq", None)) == ({"A", "B"}, {lin, zhou}, {"A", "B"})
    assert seen(make_user("root", is_superuser=True)) == ({"A", "B"}, {lin, zhou}, {"A", "B"})
    # A technician repairs in A without knowing who lives there.
    assert seen(member("technician", "A")) == ({"A"}, set(), set())
    nothing: tuple[set[str], set[Tenant], set[str]] = (set(), set(), set())
    assert seen(make_user("nobody")) == nothing
    assert seen(member("finance", "A", first=tomorrow)) == nothing
    assert seen(member("finance", "B", last=yesterday)) == nothing
    gone = member("hq", "A")
    gone.is_active = False
    assert seen(gone) == nothing


def test_the_highest_role_counts(two_buildings: tuple[Tenant, Tenant]) -> None:
    user = member("technician", "A")
    assert access.role_for(user, today=TODAY) == "technician"
    Membership.objects.create(user=user, role="manager", building=None, first_day=TODAY)
    assert access.role_for(user, today=TODAY) == "manager"
    assert access.role_for(user, today=TODAY - timedelta(days=1)) == "technician"
    assert access.role_for(make_user("nobody"), today=TODAY) == ""


def test_who_is_care_in_one_building_and_technician_in_another_sees_the_people_of_the_first_only(
    two_buildings: tuple[Tenant, Tenant],
) -> None:
    lin, _zhou = two_buildings
    user = member("care", "A")
    Membership.objects.create(user=user, role="technician", building=Building.objects.get(code="B"), first_day=TODAY)
    assert set(access.tenants_for(user, today=TODAY)) == {lin}
    cases = page(user, reverse("admin:renewal_case_changelist"))[1]
    orders = page(user, reverse("admin:workorders_workorder_changelist"))[1]
    assert ("林晓" in cases, "周航" in cases) == (True, False)
    assert orders.count("漏水</") >= 2


def test_a_merged_tenant_is_seen_as_whom_they_became(two_buildings: tuple[Tenant, Tenant]) -> None:
    lin, zhou = two_buildings
    Tenant.objects.filter(pk=zhou.pk).update(merged_into=lin)
    assert set(access.tenants_for(member("care", "B"), today=TODAY)) == {lin}


@pytest.mark.parametrize(
    "name",
    [
        "staff-tenants",
        "staff-cases",
        "admin:renewal_case_changelist",
        "admin:tenants_message_changelist",
        "admin:index",
    ],
)
def test_no_page_names_a_tenant_of_another_building(two_buildings: tuple[Tenant, Tenant], name: str) -> None:
    status, html = page(member("care", "A"), reverse(name))
    assert status == 200
    assert "周航" not in html
    if name != "admin:index":
        assert "林晓" in html
    assert "周航" in page(make_user("root", is_superuser=True), reverse("staff-tenants"))[1]


def test_a_tenant_of_another_building_does_not_exist_on_their_page_in_search_or_in_counts(
    two_buildings: tuple[Tenant, Tenant],
) -> None:
    lin, zhou = two_buildings
    care = member("care", "A")
    assert page(care, reverse("staff-tenant", args=[lin.pk]))[0] == 200
    assert page(care, reverse("staff-tenant", args=[zhou.pk]))[0] == 404
    for words in (zhou.name, zhou.phone, zhou.phone[-4:], Lease.objects.get(tenants=zhou).contract_no):
        status, html = page(care, reverse("staff-tenants") + f"?q={words}")
        assert (status, reverse("staff-tenant", args=[zhou.pk]) in html, "0 位租客" in html) == (200, False, True)
    # Asking for building B by its address shows A's figures still, not B's.
    html = page(care, reverse("admin:index") + "?building=B")[1]
    assert 'data-figure="0-ending">1<' in html
    case = Case.objects.get(lease__tenants=zhou)
    # Django's admin answers an unknown row by going home.
    assert page(care, reverse("admin:renewal_case_change", args=[case.pk]))[0] == 302


@pytest.mark.parametrize(
    "name", ["staff-tenants", "staff-cases", "admin:renewal_case_changelist", "admin:tenants_message_changelist"]
)
def test_a_technician_sees_orders_but_no_people(two_buildings: tuple[Tenant, Tenant], name: str) -> None:
    technician = member("technician", "A")
    assert page(technician, reverse(name))[0] == 403
    status, html = page(technician, reverse("admin:workorders_workorder_changelist"))
    assert status == 200
    assert Lease.objects.get(tenants=two_buildings[0]).unit.code in html
    assert Lease.objects.get(tenants=two_buildings[1]).unit.code not in html
    html = page(technician, reverse("admin:index"))[1]
    assert "林晓" not in html


@pytest.mark.parametrize(
    "name", ["connectors_run", "connectors_refusal", "tenants_user", "tenants_membership", "campaigns_segment"]
)
def test_what_concerns_the_whole_house_is_the_head_offices(two_buildings: tuple[Tenant, Tenant], name: str) -> None:
    address = reverse(f"admin:{name}_changelist")
    assert page(member("manager", "A"), address)[0] == 403
    assert page(member("hq", None), address)[0] == 200


def test_the_head_office_does_not_set_the_passwords_of_those_who_may_do_more(
    two_buildings: tuple[Tenant, Tenant],
) -> None:
    root = make_user("root", is_superuser=True)
    hq = member("hq", None)
    client = Client()
    client.force_login(hq)
    response = client.post(
        reverse("admin:auth_user_password_change", args=[root.pk]), {"password1": "x" * 12, "password2": "x" * 12}
    )
    assert response.status_code == 403


def test_rows_that_have_a_verb_for_their_writer_cannot_be_edited_by_hand(two_buildings: tuple[Tenant, Tenant]) -> None:
    root = make_user("root", is_superuser=True)
    client = Client()
    client.force_login(root)
    for name, row in (
        ("renewal_case", Case.objects.all()[0]), ("tenants_message", Message.objects.all()[0]),
        ("workorders_workorder", WorkOrder.objects.all()[0]),
    ):  # fmt: skip
        assert client.get(reverse(f"admin:{name}_change", args=[row.pk])).status_code == 200
        assert client.post(reverse(f"admin:{name}_change", args=[row.pk]), {"state": "signed"}).status_code == 403
        assert client.get(reverse(f"admin:{name}_add")).status_code == 403
        assert client.post(reverse(f"admin:{name}_delete", args=[row.pk])).status_code == 403
    assert set(Case.objects.values_list("state", flat=True)) == {"upcoming"}


def test_nobody_comes_in_without_signing_in(two_buildings: tuple[Tenant, Tenant]) -> None:
    for name in ("admin:index", "staff-tenants"):
        response = Client().get(reverse(name))
        assert (response.status_code, response["Location"].split("?")[0]) == (302, reverse("admin:login"))
    assert Client().post(reverse("staff-next-day")).status_code == 302


def test_a_list_shows_enough_of_a_phone_to_recognise_it_and_too_little_to_call(
    two_buildings: tuple[Tenant, Tenant],
) -> None:
    lin, _zhou = two_buildings
    html = page(member("care", "A"), reverse("staff-tenants"))[1]
    assert f"100****{lin.phone[-4:]}" in html
    assert lin.phone not in html
