"""What happened to somebody not known yet, and to a unit while nobody was known to hold it.

An event whose `who` is unknown waits. It becomes an event, once, as soon as its alias is learnt from anywhere;
the moment it was first received stays. That two unknown aliases are one person waits in the same way. An event of a
unit on a day of nobody gets its tenant, once, when a contract that covers the day arrives. Door logs never wait:
whether they may be kept cannot be known.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Min

from tenants import clock, features
from tenants.holders import HELD_SQL
from tenants.models import WaitingEvent

Ref = tuple[str, str]  # source and reference
SHOWN = 20  # aliases in the summary

# Not an event: that `data` = {"also": [source, ref]} stands for the same person, told before they were known.
ALSO = "alias.also"

_RELEASE_SQL = f"""
    WITH known AS (
        SELECT alias.source, alias.ref, alias.tenant_id
        FROM unnest(%(sources)s::text[], %(refs)s::text[]) AS learnt(source, ref)
        JOIN tenants_alias alias ON alias.source = learnt.source AND alias.ref = learnt.ref
        WHERE alias.tenant_id IS NOT NULL
    ),
    gone AS (
        DELETE FROM tenants_waitingevent waiting USING known
        WHERE waiting.who_source = known.source AND waiting.who_ref = known.ref
        RETURNING waiting.*, known.tenant_id
    ),
    stored AS (
        INSERT INTO tenants_event (source, source_id, kind, at, tenant_id, data, recorded_at, attributed_at)
        SELECT source, source_id, kind, at, tenant_id, data, recorded_at, %(now)s FROM gone WHERE kind <> '{ALSO}'
        ORDER BY source, source_id COLLATE "C"
        ON CONFLICT (source, source_id) DO NOTHING
        RETURNING tenant_id
    ),
    learnt AS (
        INSERT INTO tenants_alias (source, ref, tenant_id, origin, recorded_at)
        SELECT DISTINCT ON (1, 2) data->'also'->>0, data->'also'->>1, tenant_id,
            left(who_source || ' ' || who_ref, 120), %(now)s
        FROM gone WHERE kind = '{ALSO}'
        ORDER BY 1, 2, id
        ON CONFLICT (source, ref) DO NOTHING
        RETURNING source, ref
    )
    SELECT tenant_id, NULL, NULL FROM stored UNION ALL SELECT NULL, source, ref FROM learnt
"""  # noqa: S608
_TELL_SQL = f"""
    INSERT INTO tenants_waitingevent (source, source_id, kind, at, who_source, who_ref, data, recorded_at)
    SELECT DISTINCT 'alias', md5(concat_ws(' ', source, ref, also_source, also_ref)), '{ALSO}', %(now)s::timestamptz,
        source, ref, jsonb_build_object('also', jsonb_build_array(also_source, also_ref)), %(now)s::timestamptz
    FROM unnest(%(sources)s::text[], %(refs)s::text[], %(also_sources)s::text[], %(also_refs)s::text[])
        AS pair(source, ref, also_source, also_ref)
    WHERE NOT EXISTS (
        SELECT FROM tenants_alias known WHERE known.source = pair.source AND known.ref = pair.ref)
    ON CONFLICT (source, source_id) DO NOTHING
"""  # noqa: S608
_ALL_KNOWN_SQL = """
    SELECT DISTINCT who_source, who_ref
    FROM tenants_waitingevent waiting
    JOIN tenants_alias alias ON alias.source = who_source AND alias.ref = who_ref AND alias.tenant_id IS NOT NULL
"""
_ATTRIBUTE_SQL = f"""
    UPDATE tenants_event event SET tenant_id = held.tenant_id, attributed_at = %(now)s
    FROM ({HELD_SQL}) held
    WHERE held.lease_id = ANY(%(leases)s) AND event.unit_id = held.unit_id AND event.tenant_id IS NULL
      AND event.at >= held.from_at AND event.at < held.to_at
    RETURNING event.tenant_id
"""  # noqa: S608


def release(refs: Collection[Ref], *, now: datetime) -> int:
    """What waited for these aliases has happened to those they stand for; says how many events that were."""
    refs = sorted(set(refs))
    if not refs:
        return 0
    released = _release(refs, now)
    # Somebody may be storing an event that waits for one of them at this moment. Each of the two looks once more
    # when it has committed, so that whoever is the later one sees what the other wrote.
    transaction.on_commit(partial(_release, refs, now), robust=True)
    return released


def release_later(refs: Collection[Ref], *, now: datetime) -> None:
    """For who stored waiting events: as soon as that is committed, those are released whose alias was just learnt."""
    if refs:
        transaction.on_commit(partial(_release, sorted(refs), now), robust=True)


def release_known(*, now: datetime) -> int:
    """No event waits for an alias that is known; says how many did."""
    with connection.cursor() as cursor:
        cursor.execute(_ALL_KNOWN_SQL)
        refs = cursor.fetchall()
    return _release(refs, now) if refs else 0


def _release(refs: Collection[Ref], now: datetime) -> int:
    owners: list[int] = []
    with transaction.atomic(), connection.cursor() as cursor:
        while refs:
            sources, names = [source for source, _ref in refs], [ref for _source, ref in refs]
            cursor.execute(_RELEASE_SQL, {"sources": sources, "refs": names, "now": now})
            rows = cursor.fetchall()
            owners += [owner for owner, _source, _ref in rows if owner]
            # What is known also by another name may have waited under that one too.
            refs = [(source, ref) for _owner, source, ref in rows if source]
        features.mark(owners, now=now)
    return len(owners)


def tell(pairs: Collection[tuple[Ref, Ref]], *, now: datetime) -> None:
    """Of (unknown, also) it is remembered that both are one person, until the first one is known."""
    params: dict[str, Any] = {
        "now": now,
        "sources": [who[0] for who, _also in pairs],
        "refs": [who[1] for who, _also in pairs],
        "also_sources": [also[0] for _who, also in pairs],
        "also_refs": [also[1] for _who, also in pairs],
    }
    with connection.cursor() as cursor:
        cursor.execute(_TELL_SQL, params)


def attribute(leases: Collection[int], *, now: datetime) -> int:
    """What happened on a unit on a day of these leases, and was nobody's, is their tenants'; says how much it was."""
    if not leases:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ATTRIBUTE_SQL, {"leases": list(leases), "now": now})
        owners = [row[0] for row in cursor.fetchall()]
        features.mark(owners, now=now)
    return len(owners)


def summary() -> dict[str, Any]:
    """How many events wait, and the aliases for which most do: since when, and how long they are kept."""
    waits = WaitingEvent.objects.exclude(kind=ALSO)
    rows = (
        waits.values("who_source", "who_ref")
        .annotate(events=Count("pk"), since=Min("recorded_at"))
        .order_by("-events", "who_source", "who_ref")[:SHOWN]
    )
    kept = timedelta(days=settings.WAITING_DAYS)
    return {"events": waits.count(), "rows": [row | {"until": row["since"] + kept} for row in rows]}


def forget(*, today: date) -> int:
    """What has waited longer than `settings.WAITING_DAYS` is deleted (PIPL 19); says how much that was."""
    limit = clock.at(today - timedelta(days=settings.WAITING_DAYS))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM tenants_waitingevent WHERE recorded_at < %s", [limit])
        return cursor.rowcount
