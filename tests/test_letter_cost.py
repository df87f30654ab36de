"""What the cover and the letter ask of the database, and that what is read by hand is what Django would have read."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.template import engines
from django.test import Client
from django.utils import timezone, translation

from campaigns import eligible
from renewal.models import Case
from tenants import clock, consents, links
from tenants.models import Consent, Lease, Link, Tenant
from tenants.sessions import SessionStore
from tests.letter import make_letter, opened
from tests.makers import NOW, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


def test_a_cover_takes_two_statements_and_a_letter_eleven(client: Client, django_assert_max_num_queries: Any) -> None:
    """One of them is the moved clock's, which production does not ask."""
    _link, token = make_letter()
    with django_assert_max_num_queries(2):
        assert client.get(f"/r/{token}").status_code == 200
    opened(client, token)
    assert client.get("/r/letter/").status_code == 200
    with django_assert_max_num_queries(11):
        assert client.get("/r/letter/").status_code == 200


@pytest.mark.parametrize("state", Case.State.values)
def test_a_cover_is_there_unless_there_is_no_letter_to_open_any_more(client: Client, state: str) -> None:
    link, token = make_letter()
    Case.objects.filter(lease=link.lease).update(state=state)
    over = {"signed", "transferred", "moved_out", "ended_by_operator"}
    assert client.get(f"/r/{token}").status_code == (410 if state in over else 200)
    Link.objects.filter(pk=link.pk).update(purpose="roadmap")
    assert client.get(f"/r/{token}").status_code == 200


def test_a_link_read_by_hand_is_the_one_django_reads(django_assert_num_queries: Any) -> None:
    link, token = make_letter(tenant=make_tenant("林晓"))
    person = make_tenant("林晓晓")
    known = Link.objects.select_related("tenant", "lease__unit__building")
    for merged_into in (None, person):
        Tenant.objects.filter(pk=link.tenant_id).update(merged_into=merged_into)
        theirs = known.get(pk=link.pk)
        for ours in (links.find(token, now=NOW), links.get(link.pk)):
            with django_assert_num_queries(0):
                found = [ours, ours.lease, ours.lease.unit, ours.lease.unit.building, ours.tenant]
                assert ours.tenant.merged_into is None
            wanted = [theirs, theirs.lease, theirs.lease.unit, theirs.lease.unit.building, merged_into or theirs.tenant]
            assert [_plain(row) for row in found[1:]] == [_plain(row) for row in wanted[1:]]
            assert _plain(ours) | {"tenant_id": 0} == _plain(theirs) | {"tenant_id": 0}
            assert ours.tenant_id == (merged_into or theirs.tenant).pk


def _plain(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_one_persons_consent_is_what_everybodys_says_of_them() -> None:
    dice = Random(20251201)
    people = [make_tenant(f"{n}", consents=(), general_version=dice.random() < 0.15) for n in range(40)]
    for tenant in people[:12]:
        Tenant.objects.filter(pk=tenant.pk).update(merged_into=dice.choice(people[12:]))
    Consent.objects.bulk_create(
        [
            Consent(
                tenant=dice.choice(people),
                purpose=dice.choice(["profiling", "profiling", "marketing"]),
                channel=dice.choice(["any", "any", "phone"]),
                granted=dice.random() < 0.7,
                at=NOW - timedelta(days=dice.randrange(3)),
                text_version="1",
                proof="App",
                recorded_at=NOW,
            )
            for _n in range(150)
        ],
        ignore_conflicts=True,
    )
    with connection.cursor() as cursor:
        cursor.execute(eligible.PERSONAL_SQL, {"channel": consents.ANY})
        everybody = {person for (person,) in cursor.fetchall()}
    roots = list(Tenant.objects.filter(merged_into=None))
    assert 3 < len(everybody) < len(roots) - 3
    assert eligible.personal({tenant.pk for tenant in people}) == everybody
    for tenant in Tenant.objects.all():
        person = tenant.merged_into_id or tenant.pk
        assert eligible.personal({tenant.pk}) == {tenant.pk} & everybody
        assert consents.wording(tenant).is_personal == (person in everybody)
        assert consents.wording(tenant).general == consents.chose_general(tenant)


def test_a_session_is_read_until_it_ends() -> None:
    session = SessionStore()
    session["letter"] = {"link": 1}
    session.save()
    key = session.session_key
    assert SessionStore(key).load() == {"letter": {"link": 1}}
    session.model.objects.update(expire_date=timezone.now())
    gone = SessionStore(key)
    assert (gone.load(), gone.session_key) == ({}, None)


def test_fixed_words_are_said_in_the_language_of_each_look_and_the_rest_at_each_look() -> None:
    page = engines["django"].from_string(
        '{% load i18n static h5 %}{% translate "Rent a month" %}|{% translate words %}|{% static file %}|'
        '{% static "h5/mark.svg" %}|{% icon name %}'
    )
    icon = '<svg class="icon" aria-hidden="true" focusable="false"><use href="/static/h5/icons.svg#{}"/></svg>\n'
    rent = {"en": "Rent a month", "zh-hans": "每月租金"}
    for language, words in (("en", "yuan"), ("zh-hans", "none"), ("en", "none")):
        with translation.override(language):
            said = page.render({"words": words, "file": f"{words}.css", "name": f"{words}<"}).split("|")
            assert said[0] == rent[language]
            assert said[1:4] == [translation.gettext(words), f"/static/{words}.css", "/static/h5/mark.svg"]
            assert said[4] == icon.format(f"{words}&lt;")


def test_the_letter_is_of_the_moment(client: Client) -> None:
    """Nothing that was shown once is shown again: the rent is that of the day, the lease as it is now."""
    link, token = make_letter()
    opened(client, token)
    page = client.get("/r/letter/").content.decode()
    assert "3,900" in page
    Lease.objects.filter(pk=link.lease_id).update(monthly_rent=1234)
    assert "2,666" in client.get("/r/letter/").content.decode()  # more than now
