"""The migrations of before are one an app: who has them all has nothing to do."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

pytestmark = pytest.mark.django_db
OURS = ("campaigns", "connectors", "renewal", "tenants")


def test_a_database_of_before_has_nothing_to_do() -> None:
    """As if all that has become part of another had been applied one by one."""
    loader, recorder = MigrationLoader(None), MigrationRecorder(connection)
    replaced: list[tuple[str, str]] = []
    for key, migration in loader.disk_migrations.items():
        if migration.replaces and key[0] in OURS:
            recorder.record_unapplied(*key)
            replaced += migration.replaces
    assert len(replaced) == 68
    for each in replaced:
        recorder.record_applied(*each)
    executor = MigrationExecutor(connection)
    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []
