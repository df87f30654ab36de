"""Statements that are planned once a connection: they find what they would have found, wherever they are asked."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import connection, transaction

from tenants import past, plans
from tests.makers import NOW, make_tenant

SAME = plans.Planned(
    "SELECT %(day)s::date + %(n)s::int, %(names)s::text[], coalesce(%(none)s::date, %(day)s), 7 %% 4, %(word)s::text"
)
FACTS = {"day": date(2025, 12, 1), "n": 3, "names": ["林", "晓"], "none": None, "word": "50%, 'said'"}
FOUND = [(date(2025, 12, 4), ["林", "晓"], date(2025, 12, 1), 3, "50%, 'said'")]
CONSENTS = plans.Planned("SELECT count(*) FROM tenants_consent WHERE tenant_id = %(tenant)s")


def prepared() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'planned\\_%'")
        n: int = cursor.fetchone()[0]
        return n


@pytest.mark.django_db(transaction=True)
def test_a_new_connection_plans_anew_and_a_rollback_forgets_nothing() -> None:
    connection.close()
    assert prepared() == 0
    with transaction.atomic():
        assert SAME.rows(FACTS) == FOUND
        transaction.set_rollback(True)
    assert SAME.rows(FACTS) == FOUND
    assert SAME.row(FACTS) == FOUND[0]
    assert prepared() == 1
    connection.close()
    assert SAME.rows(FACTS) == FOUND
    with plans.unplanned():
        assert SAME.rows(FACTS) == FOUND
    assert prepared() == 1


@pytest.mark.django_db
def test_only_the_question_itself_is_counted(django_assert_num_queries: object) -> None:
    fresh = plans.Planned("SELECT 'a statement of this test alone'")
    with django_assert_num_queries(1):  # type: ignore[operator]
        fresh.rows({})


@pytest.mark.django_db(transaction=True)
def test_nobody_reads_todays_tables_in_a_world_of_the_past() -> None:
    tenant = make_tenant(consents=("marketing",))
    facts = {"tenant": tenant.pk}
    early = NOW - timedelta(days=350)  # before the consent
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE own_before (id int)")  # as a worker's connection has after a day's run
    assert CONSENTS.rows(facts) == [(1,)]  # planned with the real table
    with past.world(early):
        assert CONSENTS.rows(facts) == [(0,)]
        # Without the guard the kept plan reads on where it began.
        connection.is_unplanned = False  # type: ignore[attr-defined]
        assert CONSENTS.rows(facts) == [(1,)]
    assert CONSENTS.rows(facts) == [(1,)]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE own_before")
