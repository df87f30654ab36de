"""The migrations of before are one a house: a database that has them all has nothing to do, one that has some is told."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.exceptions import NodeNotFoundError
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

pytestmark = pytest.mark.django_db
OURS = ("campaigns", "connectors", "renewal", "tenants")


def before() -> list[tuple[str, str]]:
    """Every migration that has become part of another; the database is left as if those had been applied one by one."""
    loader, recorder = MigrationLoader(None), MigrationRecorder(connection)
    replaced = []
    for key, migration in loader.disk_migrations.items():
        if migration.replaces and key[0] in OURS:
            recorder.record_unapplied(*key)
            replaced += migration.replaces
    for each in replaced:
        recorder.record_applied(*each)
    return replaced


def test_a_database_of_before_has_nothing_to_do() -> None:
    assert len(before()) == 68
    executor = MigrationExecutor(connection)
    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []


def test_a_database_between_two_of_them_is_refused() -> None:
    replaced = before()
    MigrationRecorder(connection).record_unapplied(*replaced[-1])
    with pytest.raises(NodeNotFoundError, match="tried to replace"):
        MigrationExecutor(connection)
