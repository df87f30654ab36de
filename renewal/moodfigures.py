"""Moods as staff read them: by month and building with who answered, streaks and what became of them, the answers.

A bill belongs to the lease of its day. Whoever is on it has one vote, the one given last; a bill is answered once
somebody of its lease has voted. Rates stand with n and Wilson's 95 % interval.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from renewal import nps
from renewal.figures import share
from tenants import clock
from tenants.models import TenantTag

MONTHS = 12
STREAK = 3  # bills in a row; the tag `mood_flat` says it of the last ones

# Bills of leases in %(buildings)s since %(since)s: bill, month, at, lease_id, building_id, unit_id, payer. And votes on
# them: root, bill, mood, text, at, each person's last one.
_WORLD = """
    WITH person AS MATERIALIZED (SELECT id, coalesce(merged_into_id, id) AS root FROM tenants_tenant),
    let AS MATERIALIZED (
        SELECT DISTINCT lease.id, lease.first_day, lease.last_day, unit.building_id, lease.unit_id, person.root
        FROM tenants_lease lease
        JOIN tenants_unit unit ON unit.id = lease.unit_id AND unit.building_id = ANY(%(buildings)s)
        JOIN tenants_leasetenant holder ON holder.lease_id = lease.id
        JOIN person ON person.id = holder.tenant_id
        WHERE lease.state = 'signed'
    ),
    bill AS MATERIALIZED (
        SELECT DISTINCT ON (event.data->>'bill') event.data->>'bill' AS bill, event.data->>'month' AS month, event.at,
            let.id AS lease_id, let.building_id, let.unit_id, let.root AS payer
        FROM tenants_event event
        JOIN person ON person.id = event.tenant_id
        JOIN let ON let.root = person.root
            AND (event.at AT TIME ZONE 'Asia/Shanghai')::date BETWEEN let.first_day AND let.last_day
        WHERE event.kind = 'bill.issued' AND event.at >= %(since)s AND event.at <= %(now)s
        ORDER BY event.data->>'bill', let.first_day DESC, let.id DESC
    ),
    vote AS MATERIALIZED (
        SELECT DISTINCT ON (person.root, event.data->>'bill') person.root, event.data->>'bill' AS bill,
            event.data->>'mood' AS mood, coalesce(event.data->>'text', '') AS words, event.at
        FROM tenants_event event JOIN person ON person.id = event.tenant_id
        WHERE event.kind = 'mood.given' AND event.at >= %(since)s AND event.at <= %(now)s
        ORDER BY person.root, event.data->>'bill', event.at DESC, event.source DESC, event.source_id DESC
    )
"""
_BY_MONTH_SQL = f"""{_WORLD}
    SELECT bill.month, bill.building_id, count(DISTINCT bill.bill),
        count(DISTINCT bill.bill) FILTER (WHERE vote.root IS NOT NULL),
        count(*) FILTER (WHERE vote.mood = 'good'), count(*) FILTER (WHERE vote.mood = 'soso'),
        count(*) FILTER (WHERE vote.mood = 'bad')
    FROM bill LEFT JOIN vote USING (bill)
    GROUP BY bill.month, bill.building_id
"""  # noqa: S608 - put together from constants
_ANSWERS_FROM = """
    FROM vote JOIN bill USING (bill)
    JOIN tenants_tenant tenant ON tenant.id = vote.root
    JOIN tenants_unit unit ON unit.id = bill.unit_id
    WHERE (%(month)s = '' OR bill.month = %(month)s) AND (%(mood)s = '' OR vote.mood = %(mood)s)
      AND (NOT %(only_words)s OR vote.words <> '')
"""
_ANSWERS_SQL = f"""{_WORLD}
    SELECT vote.root, tenant.name, unit.code, bill.month, vote.mood, vote.words, vote.at {_ANSWERS_FROM}
    ORDER BY vote.at DESC, vote.root LIMIT %(limit)s OFFSET %(offset)s
"""
# Leases that came to their end in the year before today, not by the operator, with STREAK bills at least: whether
# somebody on it gave 😐 on so many of them in a row (`tenants.bills` has which are theirs), and whether anybody of the
# lease lives here longer.
_ENDED_SQL = f"""{_WORLD}
    , ended AS (
        SELECT lease.id AS lease_id,
            NOT EXISTS (
                SELECT FROM let mine
                JOIN person same ON same.root = mine.root
                JOIN tenants_leasetenant holder ON holder.tenant_id = same.id
                JOIN tenants_lease later ON later.id = holder.lease_id
                WHERE mine.id = lease.id AND later.state = 'signed' AND later.last_day > lease.last_day) AS has_left
        FROM tenants_lease lease
        WHERE lease.id IN (SELECT id FROM let) AND lease.ended_by <> 'operator'
          AND lease.last_day BETWEEN %(year_ago)s AND %(yesterday)s
    ), mine AS (
        SELECT DISTINCT ON (lease_id, let.root, CASE WHEN bill.payer = let.root THEN bill.bill ELSE bill.month END)
            lease_id, ended.has_left, let.root, bill.bill, bill.month, bill.at, vote.mood
        FROM ended JOIN bill USING (lease_id)
        JOIN let ON let.id = lease_id
        LEFT JOIN vote ON vote.bill = bill.bill AND vote.root = let.root
        WHERE bill.payer = let.root OR NOT EXISTS (
            SELECT FROM bill own
            WHERE own.lease_id = ended.lease_id AND own.payer = let.root AND own.month = bill.month)
        ORDER BY lease_id, let.root, CASE WHEN bill.payer = let.root THEN bill.bill ELSE bill.month END,
            vote.bill IS NULL, bill.at DESC, bill.bill DESC
    ), said AS (
        SELECT lease_id, has_left, bill, count(*) FILTER (WHERE mood = 'soso') OVER (
            PARTITION BY lease_id, root ORDER BY month, at, bill
            ROWS BETWEEN {STREAK - 1} PRECEDING AND CURRENT ROW) AS of_last
        FROM mine
    )
    SELECT has_streak, count(*), count(*) FILTER (WHERE has_left)
    FROM (
        SELECT lease_id, bool_or(has_left) AS has_left, max(of_last) >= {STREAK} AS has_streak
        FROM said GROUP BY lease_id HAVING count(DISTINCT bill) >= {STREAK}
    ) leases
    GROUP BY has_streak
"""  # noqa: S608 - put together from constants


@dataclass(frozen=True, slots=True)
class Month:
    """The moods on the bills of one month: of how many bills, and how many of those were answered."""

    month: str
    bills: int
    answered: int
    good: int
    soso: int
    bad: int

    @property
    def votes(self) -> int:
        return self.good + self.soso + self.bad

    @property
    def pleased(self) -> dict[str, Any]:
        return share(self.good, self.votes)

    @property
    def response(self) -> dict[str, Any]:
        return share(self.answered, self.bills)

    def __add__(self, other: Month) -> Month:
        return Month(
            self.month,
            self.bills + other.bills,
            self.answered + other.answered,
            self.good + other.good,
            self.soso + other.soso,
            self.bad + other.bad,
        )


@dataclass(frozen=True, slots=True)
class Left:
    """Of the leases that ended in a year: how many of those with a streak were left, and how many of all."""

    streak: nps.Shrunk | None
    plain: dict[str, Any]  # the same without being drawn towards anything
    everybody: dict[str, Any]


def by_month(buildings: Collection[int], *, now: datetime) -> dict[tuple[str, int], Month]:
    """By month and building, the last MONTHS months."""
    rows = _rows(_BY_MONTH_SQL, {**_facts(buildings, now), "since": _since(now, MONTHS)})
    return {(month, building): Month(month, *counts) for month, building, *counts in rows}


class Answers(Sequence[dict[str, Any]]):
    """The answers the address asks for, the newest first; read a slice at a time."""

    def __init__(
        self, buildings: Collection[int], month: str, mood: str, *, only_words: bool, n: int | None, now: datetime
    ) -> None:
        self.facts = {**_facts(buildings, now), "since": _since(now, MONTHS), "month": month, "mood": mood}
        self.facts["only_words"] = only_words
        self.n = n  # where it is known from the months

    def __len__(self) -> int:
        if self.n is not None:
            return self.n
        ((n,),) = _rows(f"{_WORLD} SELECT count(*) {_ANSWERS_FROM}", self.facts)
        return int(n)

    def __getitem__(self, wanted: Any) -> Any:
        limits = {"limit": wanted.stop - wanted.start, "offset": wanted.start}
        names = ("tenant", "name", "room", "month", "mood", "words", "at")
        return [dict(zip(names, row, strict=True)) for row in _rows(_ANSWERS_SQL, self.facts | limits)]


def left(buildings: Collection[int], *, now: datetime) -> Left:
    """What became of leases with STREAK 😐 in a row among those that ended in the 365 days before today."""
    today = clock.day_of(now)
    facts = {**_facts(buildings, now), "since": _since(now, 24), "year_ago": today - timedelta(days=365)}
    counts = dict.fromkeys((True, False), (0, 0))
    counts |= {has: (n, gone) for has, n, gone in _rows(_ENDED_SQL, {**facts, "yesterday": today - timedelta(days=1)})}
    (with_n, with_left), (without_n, without_left) = counts[True], counts[False]
    everybody = share(with_left + without_left, with_n + without_n)
    base = everybody["rate"]
    drawn = None if base is None else nps.shrunk(with_left, with_n, base=base)
    return Left(drawn, share(with_left, with_n), everybody)


def in_streak(people: Any) -> Any:
    """The tags of those people whose last three bills were all 😐, the newest first."""
    tags = TenantTag.objects.filter(tag="mood_flat", tenant__in=people).select_related("tenant")
    return tags.order_by("-since", "tenant_id")


def _facts(buildings: Collection[int], now: datetime) -> dict[str, Any]:
    return {"buildings": list(buildings), "now": now}


def _since(now: datetime, months: int) -> datetime:
    first = clock.day_of(now).replace(day=1)
    number = first.year * 12 + first.month - 1 - (months - 1)
    return clock.at(date(number // 12, number % 12 + 1, 1))


def _rows(sql: str, facts: dict[str, Any]) -> list[Any]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL jit = off")  # compiling these statements takes longer than running them
        cursor.execute(sql, facts)
        return list(cursor.fetchall())
