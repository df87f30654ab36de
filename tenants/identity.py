"""Who a reference stands for. The only writer of aliases; a merged tenant is read as the one it was merged into."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from django.db import connection
from django.db.models.functions import Coalesce

from connectors.records import AliasSource
from tenants.models import Alias, Tenant


def tenant_of(source: str, ref: str) -> Tenant | None:
    """The tenant this reference stands for, if it is known."""
    found = tenants_by(source, [ref]).get(ref)
    return Tenant.objects.get(pk=found) if found else None


def tenants_by(source: str, refs: Collection[str]) -> dict[str, int]:
    """Tenant ids by reference, of those known."""
    rows = Alias.objects.filter(source=source, ref__in=refs, tenant__isnull=False)
    return dict(rows.values_list("ref", Coalesce("tenant__merged_into_id", "tenant_id")))


def units_by(source: str, refs: Collection[str]) -> dict[str, int]:
    """Unit ids by reference, of those known."""
    rows = Alias.objects.filter(source=source, ref__in=refs, unit__isnull=False)
    return dict(rows.values_list("ref", "unit_id"))


def name_tenants(aliases: Mapping[tuple[str, str], int], *, now: datetime) -> None:
    """Each (source, reference) stands for its tenant, unless it already stands for somebody."""
    Alias.objects.bulk_create(
        [Alias(source=source, ref=ref, tenant_id=owner, recorded_at=now) for (source, ref), owner in aliases.items()],
        ignore_conflicts=True,
    )


def name_units(aliases: Mapping[tuple[str, str], int], *, now: datetime) -> None:
    """Each (source, reference) stands for its unit, also where it stood for another: a lock may be moved."""
    rows = [Alias(source=source, ref=ref, unit_id=unit, recorded_at=now) for (source, ref), unit in aliases.items()]
    Alias.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["source", "ref"], update_fields=["unit", "tenant", "recorded_at"]
    )


def name_contracts(owners: Mapping[str, int], *, now: datetime) -> None:
    """Each contract number stands for its tenant: the one alias that follows a revision to another person."""
    Alias.objects.bulk_create(
        [Alias(source=AliasSource.CONTRACT, ref=no, tenant_id=owner, recorded_at=now) for no, owner in owners.items()],
        update_conflicts=True,
        unique_fields=["source", "ref"],
        update_fields=["tenant"],
    )


def learn_pairs(pairs: Iterable[tuple[tuple[str, str], tuple[str, str]]], *, now: datetime) -> int:
    """For each (known, also) the second reference stands for the person of the first; how many were new."""
    pairs = list(pairs)
    if not pairs:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO tenants_alias (source, ref, tenant_id, recorded_at)
            SELECT pair.also_source, pair.also_ref, known.tenant_id, %s
            FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])
                AS pair(source, ref, also_source, also_ref)
            JOIN tenants_alias known ON known.source = pair.source AND known.ref = pair.ref
            WHERE known.tenant_id IS NOT NULL
            ON CONFLICT (source, ref) DO NOTHING
            """,
            [
                now,
                [known[0] for known, _also in pairs],
                [known[1] for known, _also in pairs],
                [also[0] for _known, also in pairs],
                [also[1] for _known, also in pairs],
            ],
        )
        return cursor.rowcount
