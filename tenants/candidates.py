"""Who may be one person: two rows of tenants to whom contracts give the same identity card, account or phone.

An alias stays with whom it was learnt for first. What a contract claims for somebody else is not lost: it stands in
the contract's revisions, and is read here from there, for staff to decide. Nobody is merged by it. Two whom staff
told apart again are not suggested a second time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from tenants.models import Tenant

# Pairs of people (`one` < `other`), each with what it was read from: the phone under which a contract names
# somebody says who that is; anything else it gives them that stands for another is a claim.
_PAIRS_SQL = """
    WITH party AS (
        SELECT lease.contract_no, said.revision, said.recorded_at, named.terms
        FROM tenants_leaserevision said
        JOIN tenants_lease lease ON lease.id = said.lease_id AND said.revision > 0
        CROSS JOIN LATERAL (
            SELECT said.terms
            UNION ALL
            SELECT other FROM jsonb_array_elements(
                CASE jsonb_typeof(said.terms -> 'cotenants') WHEN 'array' THEN said.terms -> 'cotenants' ELSE '[]' END
            ) AS other
        ) AS named(terms)
    ),
    claim AS (
        SELECT phone.tenant_id AS mine, held.tenant_id AS theirs, said.source, party.contract_no, party.revision,
            party.recorded_at
        FROM party
        CROSS JOIN LATERAL (VALUES
            ('id_hash', terms ->> 'id_hash'), ('app', terms ->> 'app_user'), ('wechat', terms ->> 'wechat'),
            ('community', terms ->> 'community_member'), ('locker', terms ->> 'locker')
        ) AS said(source, ref)
        JOIN tenants_alias held ON held.source = said.source AND held.ref = said.ref
        JOIN tenants_alias phone ON phone.source = 'phone' AND phone.ref = terms ->> 'phone'
        WHERE held.tenant_id IS NOT NULL AND phone.tenant_id <> held.tenant_id
        UNION ALL
        SELECT one.id, other.id, 'phone', '', 0, NULL
        FROM tenants_tenant one
        JOIN tenants_tenant other ON other.phone = one.phone AND other.name = one.name AND other.id > one.id
        WHERE one.phone <> '' AND one.merged_into_id IS NULL AND other.merged_into_id IS NULL
    ),
    pair AS (
        SELECT least(one.root, other.root) AS one, greatest(one.root, other.root) AS other,
            claim.source, claim.contract_no, claim.revision, claim.recorded_at
        FROM claim
        JOIN (SELECT id, coalesce(merged_into_id, id) AS root FROM tenants_tenant) one ON one.id = claim.mine
        JOIN (SELECT id, coalesce(merged_into_id, id) AS root FROM tenants_tenant) other ON other.id = claim.theirs
        WHERE one.root <> other.root
    )
    SELECT DISTINCT pair.one, pair.other, source, contract_no, revision, recorded_at
    FROM pair
    WHERE (%(among)s::bigint[] IS NULL OR pair.one = ANY(%(among)s) OR pair.other = ANY(%(among)s))
      AND NOT EXISTS (
        SELECT FROM tenants_merge apart
        WHERE apart.undone_at IS NOT NULL
          AND least(apart.kept_id, apart.merged_id) = pair.one
          AND greatest(apart.kept_id, apart.merged_id) = pair.other)
    ORDER BY pair.one, pair.other, source, contract_no, revision
"""
STRENGTH = ("id_hash", "phone", "wechat", "app", "community", "locker")  # what proves most comes first


@dataclass(frozen=True, slots=True)
class Evidence:
    """What both are known by, and the contract that gave it to the second of them."""

    source: str
    contract_no: str = ""
    revision: int = 0
    recorded_at: datetime | None = None


@dataclass(slots=True)
class Candidate:
    """Two people who may be one."""

    one: Tenant
    other: Tenant
    evidence: list[Evidence] = field(default_factory=list)


def candidates(among: Collection[int] | None = None) -> list[Candidate]:
    """Everybody (or of whom one is among these) who may be one person, with what says so; the strongest first."""
    with connection.cursor() as cursor:
        cursor.execute(_PAIRS_SQL, {"among": None if among is None else list(among)})
        rows = cursor.fetchall()
    people = Tenant.objects.in_bulk({row[0] for row in rows} | {row[1] for row in rows})
    found: dict[tuple[int, int], Candidate] = {}
    for one, other, *facts in rows:
        pair = found.setdefault((one, other), Candidate(people[one], people[other]))
        pair.evidence.append(Evidence(*facts))
    for pair in found.values():
        pair.evidence.sort(key=lambda each: STRENGTH.index(each.source))
    return sorted(
        found.values(), key=lambda pair: (STRENGTH.index(pair.evidence[0].source), pair.one.pk, pair.other.pk)
    )
