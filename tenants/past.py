"""A world of another day, in which the engine's own verbs run and nothing they do lasts.

Inside one transaction that is always rolled back, temporary tables and views stand before the real ones under the
same names: PostgreSQL looks for a name among them first, so every statement, of whatever room, reads the past without
knowing it. There are four kinds of tables:

* what we are told (`TOLD`): views that hold what was recorded by the moment the world has come to;
* leases, who is on them and who was merged into whom (`LEASES`): temporary tables filled from `tenants.history`;
* what the verbs write (`Kept`): temporary tables that begin with what stood at the first moment;
* what has no history (`AS_IT_IS`): read as it is now.

While the verbs run, the transaction may only read: PostgreSQL itself refuses a write to any table that is not a
temporary one. Bells are rung after a commit, and there is none.

On the basis "happened" facts are taken to have been known when they happened: for days before our records begin.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from tenants import clock, history, plans

RECORDED, HAPPENED = "recorded", "happened"

# {name} is the real table of that name, %(at)s the moment the world has come to.
TOLD = {
    "tenants_event": {
        RECORDED: """SELECT * FROM {tenants_event}
            WHERE recorded_at <= %(at)s AND (attributed_at IS NULL OR attributed_at <= %(at)s)""",
        HAPPENED: "SELECT * FROM {tenants_event} WHERE at <= %(at)s",
    },
    "tenants_consent": {
        RECORDED: "SELECT * FROM {tenants_consent} WHERE recorded_at <= %(at)s",
        HAPPENED: "SELECT * FROM {tenants_consent} WHERE at <= %(at)s",
    },
    "tenants_announcement": {
        basis: f"""SELECT id, building_id, code, topic, text, "on", until, owner_id, recorded_at,
            CASE WHEN withdrawn_at <= %(at)s THEN withdrawn_at END AS withdrawn_at
            FROM {{tenants_announcement}} WHERE {known}"""  # noqa: S608
        for basis, known in {RECORDED: "recorded_at <= %(at)s", HAPPENED: "TRUE"}.items()
    },
    "tenants_preference": {
        RECORDED: "SELECT * FROM {tenants_preference} WHERE recorded_at <= %(at)s",
        HAPPENED: "SELECT * FROM {tenants_preference} WHERE at <= %(at)s",
    },
    # Before our records begin nobody was held out; the households that are would be.
    "tenants_holdout": {
        RECORDED: "SELECT * FROM {tenants_holdout} WHERE at <= %(at)s",
        HAPPENED: "SELECT * FROM {tenants_holdout}",
    },
}

# What ended a lease early was known when it was agreed; where nobody said when, on the day itself.
_LEASES_AS_SIGNED = """
    SELECT lease.id, unit_id, contract_no, signed_on, first_day, agreed_last_day, monthly_rent, deposit, anchor_day,
        CASE WHEN is_ended OR ended_by = '' THEN last_day ELSE greatest(agreed_last_day, first_day) END AS last_day,
        state, CASE WHEN is_ended THEN ended_by ELSE '' END AS ended_by,
        CASE WHEN is_ended THEN ended_agreed_on END AS ended_agreed_on, renews_id, revision, recorded_at
    FROM tenants_lease lease
    CROSS JOIN LATERAL (
        SELECT ended_by <> '' AND coalesce(ended_agreed_on, last_day) <= %(day)s AS is_ended) known
    WHERE signed_on <= %(day)s
"""
LEASES = {
    "tenants_lease": {RECORDED: history.as_known("SELECT * FROM tenants_lease"), HAPPENED: _LEASES_AS_SIGNED},
    "tenants_leasetenant": {
        RECORDED: history.as_known("SELECT row_number() OVER () AS id, * FROM tenants_leasetenant"),
        HAPPENED: "SELECT * FROM tenants_leasetenant",
    },
    "tenants_tenant": {
        RECORDED: history.as_known("SELECT * FROM tenants_tenant"),
        HAPPENED: "SELECT * FROM tenants_tenant",
    },
}
_INDEXES = {
    "tenants_lease": ("id", "unit_id", "last_day", "renews_id"),
    "tenants_leasetenant": ("lease_id", "tenant_id"),
    "tenants_tenant": ("id", "merged_into_id"),
}
# Whether anything about leases and people was recorded after one moment and by another.
_MOVED = """
    SELECT EXISTS (SELECT FROM tenants_leaserevision WHERE recorded_at > %(was)s AND recorded_at <= %(at)s)
        OR EXISTS (SELECT FROM tenants_lease WHERE recorded_at > %(was)s AND recorded_at <= %(at)s)
        OR EXISTS (SELECT FROM tenants_contractdecision
                   WHERE at > %(was)s AND at <= %(at)s OR undone_at > %(was)s AND undone_at <= %(at)s)
        OR EXISTS (SELECT FROM tenants_merge
                   WHERE at > %(was)s AND at <= %(at)s OR undone_at > %(was)s AND undone_at <= %(at)s)
        OR EXISTS (SELECT FROM tenants_promotion
                   WHERE at > %(was)s AND at <= %(at)s OR undone_at > %(was)s AND undone_at <= %(at)s)
        OR EXISTS (SELECT FROM tenants_generalchoice WHERE at > %(was)s AND at <= %(at)s)
"""

AS_IT_IS = {
    "tenants_building": "buildings stay",
    "tenants_flat": "flats stay",
    "tenants_unit": "rooms stay",
    "tenants_alias": "whom a number names is learnt once",
    "tenants_user": "whether somebody works here has no history",
    "tenants_membership": "says itself from which day to which it holds",
    "tenants_template": "a template stays",
    "tenants_templateversion": "how a message is worded decides nothing",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A table the verbs write. It begins with the real rows for which `those` holds, changed by `then` to what they
    were; without `those`, empty."""

    table: str
    those: str = ""
    then: tuple[str, ...] = ()


# A tag and a feature row are worked out anew every day.
KEPT = (
    Kept("tenants_feature"),
    Kept("tenants_tenanttag"),
    Kept("tenants_dirtytenant"),
    Kept("tenants_grant", "granted_at < %(at)s"),
    # What was taken from the stock since is in it again, and what was put into it is not yet.
    Kept(
        "tenants_perk",
        "TRUE",
        (
            """UPDATE tenants_perk SET stock = greatest(0, stock
                + (SELECT coalesce(sum(line.quantity), 0) FROM {tenants_grant} line
                    WHERE line.perk_id = tenants_perk.id AND line.granted_at >= %(at)s)
                - (SELECT coalesce(sum(change.added), 0) FROM {tenants_perkchange} change
                    WHERE change.perk_id = tenants_perk.id AND change.at >= %(at)s))
                WHERE stock IS NOT NULL""",
        ),
    ),
    Kept(
        "tenants_message",
        "klass IN ('marketing', 'service') AND created_at < %(at)s",
        (
            # What was sent or settled later was waiting; the outbox's rules look at it anew.
            """UPDATE tenants_message
                SET state = 'queued', sent_at = NULL, lease_until = NULL, not_before = created_at
                WHERE sent_at >= %(at)s OR sent_at IS NULL
                    AND (changed_at >= %(at)s OR state IN ('planned', 'queued', 'sending'))""",
        ),
    ),
)


class World:
    """The world at a moment of its own, `at`; `know` takes it to a later one. Made by `world`."""

    def __init__(self, at: datetime, *, basis: str) -> None:
        self.at = at
        self.basis = basis
        self._leases_at: datetime | None = None
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_schema(), current_setting('search_path')")
            self._schema, self._path = cursor.fetchone()
            for table in AS_IT_IS:
                self._show(cursor, table, f"SELECT * FROM {{{table}}}")  # noqa: S608
        self.know(at)
        self.keep(KEPT)

    def know(self, at: datetime) -> None:
        """What was recorded by `at` is known, and nothing later."""
        self.at = at
        with connection.cursor() as cursor:
            for table, sql in TOLD.items():
                self._show(cursor, table, sql[self.basis])
            if self._have_leases_moved(cursor):
                self._fill_leases(cursor)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """What runs in here can write to no real table: PostgreSQL refuses it."""
        # A savepoint, whose end gives back the right to make tables.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            yield

    def show(self, table: str, sql: str, **params: Any) -> None:
        """The table is this SELECT of real ones, as of the moment the world has come to."""
        with connection.cursor() as cursor:
            self._show(cursor, table, sql, **params)

    def keep(self, kept: Collection[Kept], **params: Any) -> None:
        """The verbs may write to these tables."""
        params = {"at": self.at, **params}
        with connection.cursor() as cursor:
            for each in kept:
                real = self._real(each.table)
                cursor.execute(f"CREATE TEMP TABLE {each.table} (LIKE {real} INCLUDING ALL)")
                if each.those:
                    cursor.execute(
                        f"INSERT INTO {each.table} SELECT * FROM {real} kept WHERE {self._named(each.those)}",  # noqa: S608
                        params,
                    )
                    for statement in each.then:
                        cursor.execute(self._named(statement), params)
                    # New rows are numbered after every row there is, so that no key of a real one is used again.
                    cursor.execute(
                        f"SELECT setval(pg_get_serial_sequence('pg_temp.{each.table}', 'id'), max(id) + 1, false) "  # noqa: S608
                        f"FROM {real}"
                    )
                cursor.execute(f"ANALYZE {each.table}")

    def _show(self, cursor: CursorWrapper, table: str, sql: str, **params: Any) -> None:
        # A view takes no parameters, and the planner is to see the moment: it is written into it.
        said = cursor.mogrify(self._named(sql), {"at": self.at, **params}).decode()
        cursor.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS {said}")

    def _have_leases_moved(self, cursor: CursorWrapper) -> bool:
        if self._leases_at is None:
            return True
        if self.basis == HAPPENED:
            return clock.day_of(self._leases_at) != clock.day_of(self.at)
        with self._real_first(cursor):
            cursor.execute(_MOVED, {"was": self._leases_at, "at": self.at})
            return bool(cursor.fetchone()[0])

    def _fill_leases(self, cursor: CursorWrapper) -> None:
        for table, sql in LEASES.items():
            if self._leases_at is None:
                cursor.execute(f"CREATE TEMP TABLE {table} (LIKE {self._real(table)} INCLUDING DEFAULTS)")
                for column in _INDEXES[table]:
                    cursor.execute(f"CREATE INDEX ON pg_temp.{table} ({column})")
            else:
                cursor.execute(f"TRUNCATE pg_temp.{table}")
            cursor.execute(
                "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                [self._real(table)],
            )
            (columns,) = cursor.fetchone()
            with self._real_first(cursor):
                cursor.execute(
                    f"INSERT INTO pg_temp.{table} ({columns}) SELECT {columns} FROM ({sql[self.basis]}) known",  # noqa: S608
                    {"known_at": self.at, "day": clock.day_of(self.at)},
                )
            cursor.execute(f"ANALYZE pg_temp.{table}")
        self._leases_at = self.at

    @contextmanager
    def _real_first(self, cursor: CursorWrapper) -> Iterator[None]:
        """In here names are those of the real tables again: the SQL of `history` is written with them."""
        cursor.execute("SELECT set_config('search_path', %s, true)", [f'"{self._schema}", pg_temp'])
        yield
        cursor.execute("SELECT set_config('search_path', %s, true)", [self._path])

    def _real(self, table: str) -> str:
        return f'"{self._schema}".{table}'

    def _named(self, sql: str) -> str:
        return sql.format_map(_Real(self._schema))


class _Real(dict[str, str]):
    """The real table of every name."""

    def __init__(self, schema: str) -> None:
        self.schema = schema

    def __missing__(self, table: str) -> str:
        return f'"{self.schema}".{table}'


@contextmanager
def world(at: datetime, *, basis: str = RECORDED) -> Iterator[World]:
    """In here every statement sees the world as it was known at `at`; at the end all of it is undone."""
    is_ours = not connection.in_atomic_block
    with transaction.atomic():
        with connection.cursor() as cursor:
            # One picture of the real tables, however long it takes; that of somebody else's transaction is theirs.
            if is_ours:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # Compiling these statements takes longer than running them.
            cursor.execute("SET LOCAL jit = off")
        try:
            with plans.unplanned():
                yield World(at, basis=basis)
        finally:
            transaction.set_rollback(True)
