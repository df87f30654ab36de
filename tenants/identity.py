"""Who a reference stands for. The only writer of aliases.

An alias names the tenant it was learnt for, and what is stored takes that tenant; who that turned out to be
(`Tenant.merged_into`, see tenants.merges) is resolved by whoever reads. An alias that is claimed by two people stays
with the first: nobody is merged by it, but staff see both (tenants.candidates).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models.functions import Coalesce

from connectors.records import AliasSource
from tenants import waiting
from tenants.holders import holder_of
from tenants.models import Alias, Tenant

Ref = tuple[str, str]  # source and reference


def tenant_of(source: str, ref: str, *, at: datetime | None = None) -> Tenant | None:
    """The person this reference stands for, if it is known; one of a device or a unit, who held the unit at `at`."""
    if source in (AliasSource.DEVICE, AliasSource.UNIT):
        unit = units_by(source, [ref]).get(ref)
        found = holder_of(unit, at=at) if unit and at else None
    else:
        found = people_by(source, [ref]).get(ref)
    return Tenant.objects.get(pk=found) if found else None


def people_by(source: str, refs: Collection[str]) -> dict[str, int]:
    """Ids of people by reference, of those known: whoever was merged is the one they were merged into."""
    rows = Alias.objects.filter(source=source, ref__in=refs, tenant__isnull=False)
    return dict(rows.values_list("ref", Coalesce("tenant__merged_into_id", "tenant_id")))


def tenants_by(source: str, refs: Collection[str]) -> dict[str, int]:
    """Tenant ids by reference, of those known, as the aliases name them: what is stored belongs to these."""
    rows = Alias.objects.filter(source=source, ref__in=refs, tenant__isnull=False)
    return dict(rows.values_list("ref", "tenant_id"))


def units_by(source: str, refs: Collection[str]) -> dict[str, int]:
    """Unit ids by reference, of those known."""
    rows = Alias.objects.filter(source=source, ref__in=refs, unit__isnull=False)
    return dict(rows.values_list("ref", "unit_id"))


def name_tenants(aliases: Mapping[Ref, int], *, now: datetime, origins: Mapping[Ref, str] | None = None) -> None:
    """Each (source, reference) stands for its tenant, unless it already stands for somebody.

    `origins` says what told us, for staff to read. What waited for one of them has happened to its tenant.
    """
    rows = [
        Alias(source=source, ref=ref, tenant_id=owner, recorded_at=now, origin=(origins or {}).get((source, ref), ""))
        for (source, ref), owner in aliases.items()
    ]
    Alias.objects.bulk_create(rows, ignore_conflicts=True)
    waiting.release(aliases.keys(), now=now)


def name_units(aliases: Mapping[Ref, int], *, now: datetime) -> None:
    """Each (source, reference) stands for its unit, also where it stood for another: a lock may be moved."""
    rows = [
        Alias(source=source, ref=ref, unit_id=unit, recorded_at=now, origin="units")
        for (source, ref), unit in aliases.items()
    ]
    Alias.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["source", "ref"], update_fields=["unit", "tenant", "recorded_at"]
    )


def name_contracts(owners: Mapping[str, int], *, now: datetime, origins: Mapping[str, str] | None = None) -> None:
    """Each contract number stands for its tenant: the one alias that follows a revision to another person."""
    rows = [
        Alias(source=AliasSource.CONTRACT, ref=no, tenant_id=owner, recorded_at=now, origin=(origins or {}).get(no, ""))
        for no, owner in owners.items()
    ]
    Alias.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["source", "ref"], update_fields=["tenant", "origin"]
    )
    waiting.release([(AliasSource.CONTRACT, no) for no in owners], now=now)


_LEARN_SQL = """
    INSERT INTO tenants_alias (source, ref, tenant_id, origin, recorded_at)
    SELECT DISTINCT ON (pair.also_source, pair.also_ref)
        pair.also_source, pair.also_ref, known.tenant_id, left(pair.source || ' ' || pair.ref, 120), %(now)s
    FROM unnest(%(sources)s::text[], %(refs)s::text[], %(also_sources)s::text[], %(also_refs)s::text[])
        WITH ORDINALITY AS pair(source, ref, also_source, also_ref, nth)
    JOIN tenants_alias known ON known.source = pair.source AND known.ref = pair.ref
    WHERE known.tenant_id IS NOT NULL
    ORDER BY pair.also_source, pair.also_ref, pair.nth
    ON CONFLICT (source, ref) DO NOTHING
    RETURNING source, ref
"""


def learn_pairs(pairs: Iterable[tuple[Ref, Ref]], *, now: datetime) -> int:
    """For each (known, also) the second reference stands for the person of the first; how many were new.

    Where the first is not known yet, the second is learnt together with it.
    """
    pairs = list(pairs)
    if not pairs:
        return 0
    params: dict[str, Any] = {
        "now": now,
        "sources": [known[0] for known, _also in pairs],
        "refs": [known[1] for known, _also in pairs],
        "also_sources": [also[0] for _known, also in pairs],
        "also_refs": [also[1] for _known, also in pairs],
    }
    with connection.cursor() as cursor:
        cursor.execute(_LEARN_SQL, params)
        new: list[Ref] = cursor.fetchall()
    waiting.tell(pairs, now=now)
    waiting.release(new, now=now)
    return len(new)
