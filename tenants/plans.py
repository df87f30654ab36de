"""Statements that the database plans once a connection: what a page under /r/ asks costs more to plan than to run.

They are prepared statements of PostgreSQL under a name made of their text. A new connection has none; a rollback leaves
them. Whether a plan is kept or made for the values at hand is the server's choice (plan_cache_mode). Not for a pooler
that gives each transaction another connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

_NAMED = re.compile(r"%\((\w+)\)s")


class Planned:
    """A statement with parameters written as `%(name)s`; a parameter has one type wherever it stands."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._names = list(dict.fromkeys(_NAMED.findall(sql)))
        body = _NAMED.sub(lambda found: f"${self._names.index(found[1]) + 1}", sql).replace("%%", "%")
        self._name = f"planned_{sha256(body.encode()).hexdigest()[:32]}"
        self._prepare = f"PREPARE {self._name} AS {body}"
        values = f" ({', '.join(['%s'] * len(self._names))})" if self._names else ""
        self._execute = f"EXECUTE {self._name}{values}"

    def rows(self, facts: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows it finds."""
        database = connections[DEFAULT_DB_ALIAS]  # once: each look for it takes a while
        with database.cursor() as cursor:
            if getattr(database, "is_unplanned", False):
                cursor.execute(self.sql, facts)
            else:
                known = _known(database)
                if self._name not in known:
                    with database.wrap_database_errors:
                        cursor.cursor.execute(self._prepare)  # no question of the page's: it is not counted as one
                    known.add(self._name)
                cursor.execute(self._execute, [facts[name] for name in self._names])
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    def row(self, facts: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The first of them, if there is any."""
        return next(iter(self.rows(facts)), None)


@contextmanager
def unplanned() -> Iterator[None]:
    """In here nothing is prepared: a kept plan would go on reading the tables its names stood for when it was made."""
    database: Any = connections[DEFAULT_DB_ALIAS]
    was = getattr(database, "is_unplanned", False)
    database.is_unplanned = True
    try:
        yield
    finally:
        database.is_unplanned = was


def _known(database: Any) -> set[str]:
    """The names that this thread's connection to the database knows."""
    there: tuple[Any, set[str]] = getattr(database, "planned", (None, set()))
    if there[0] is not database.connection:
        there = (database.connection, set())
        database.planned = there
    return there[1]
