"""Leases as they were known on any past day, and what each revision of a contract changed.

The one source of truth is what was recorded and when: a lease's revisions with the moment each began to hold, and
acceptances that were undone with their days between. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connectors.models import Run
from connectors.records import Source
from tenants.models import ContractDecision, Lease, LeaseRevision, LeaseTenant, Unit
from tenants.terms import Terms, party_at

# What held at %(known_at)s, a row a lease: its id, and the terms of the highest revision recorded by then.
_HELD_THEN = """
    SELECT DISTINCT ON (said.lease_id) said.lease_id, said.revision, said.terms
    FROM (
        SELECT lease_id, revision, terms, recorded_at AS since, 'infinity'::timestamptz AS until
        FROM tenants_leaserevision
        UNION ALL
        SELECT lease_id, revision, terms, at, undone_at FROM tenants_contractdecision
        WHERE verdict = 'accepted' AND undone_at IS NOT NULL
    ) said
    WHERE said.since <= %(known_at)s AND said.until > %(known_at)s
    ORDER BY said.lease_id, said.revision DESC
"""
# The columns of tenants_lease as they were known then. A lease without revisions (none but in tests) is as it is.
_LEASES_THEN = """
    SELECT lease.id, place.unit_id, held.revision, coalesce(held.terms ->> 'contract_no', '') AS contract_no,
        (held.terms ->> 'signed_on')::date AS signed_on, (held.terms ->> 'first_day')::date AS first_day,
        coalesce(held.terms ->> 'ended_on', held.terms ->> 'last_day')::date AS last_day,
        (held.terms ->> 'last_day')::date AS agreed_last_day,
        (held.terms ->> 'monthly_rent')::numeric(10, 2) AS monthly_rent,
        (held.terms ->> 'deposit')::numeric(10, 2) AS deposit, (held.terms ->> 'anchor_day')::smallint AS anchor_day,
        CASE WHEN held.terms ->> 'state' = 'void' THEN 'void' ELSE 'signed' END AS state,
        coalesce(held.terms ->> 'ended_by', '') AS ended_by,
        nullif(held.terms ->> 'ended_agreed_on', '')::date AS ended_agreed_on,
        CASE WHEN signed.lease_id IS NOT NULL THEN lease.renews_id END AS renewed_here,
        held.terms ->> 'renews' AS renews, lease.recorded_at
    FROM held
    JOIN tenants_lease lease ON lease.id = held.lease_id
    JOIN tenants_alias place ON place.source = 'unit' AND place.ref = held.terms ->> 'unit'
    LEFT JOIN tenants_leaserevision signed ON signed.lease_id = lease.id AND signed.revision = 0
    UNION ALL
    SELECT id, unit_id, revision, contract_no, signed_on, first_day, last_day, agreed_last_day, monthly_rent, deposit,
        anchor_day, state, ended_by, ended_agreed_on, renews_id, NULL, recorded_at
    FROM tenants_lease lease
    WHERE recorded_at <= %(known_at)s
      AND NOT EXISTS (SELECT FROM tenants_leaserevision WHERE lease_id = lease.id)
"""
# Tables under their own names, as they were known then: a query in their scope reads the past and need not know it.
_SHADOWS = f"""
    held AS MATERIALIZED ({_HELD_THEN}),
    lease_then AS MATERIALIZED ({_LEASES_THEN}),
    -- Of several that claim one predecessor, the first known has it: as tenants/recording.py ties them.
    claim AS MATERIALIZED (
        SELECT DISTINCT ON (pair.before) pair.before, pair.next
        FROM (
            -- Two joins, each on one equality: with OR between them every lease would be held against every other.
            SELECT before.id AS before, next.id AS next, next.recorded_at, next.first_day, next.contract_no
            FROM lease_then next JOIN lease_then before ON before.id = next.renewed_here
            WHERE next.state <> 'void'
            UNION ALL
            SELECT before.id, next.id, next.recorded_at, next.first_day, next.contract_no
            FROM lease_then next JOIN lease_then before ON before.contract_no = next.renews
            WHERE next.state <> 'void' AND next.renewed_here IS NULL AND before.contract_no <> ''
        ) pair
        WHERE pair.next <> pair.before
        ORDER BY pair.before, pair.recorded_at, pair.first_day, pair.contract_no
    ),
    said AS MATERIALIZED (
        SELECT held.lease_id, held.terms ->> 'phone' AS phone, true AS is_primary FROM held
        UNION ALL
        SELECT latest.lease_id, other ->> 'phone', false
        FROM (
            -- The latest revision by then that said anything of co-tenants.
            SELECT DISTINCT ON (row.lease_id) row.lease_id, row.terms
            FROM tenants_leaserevision row JOIN held ON held.lease_id = row.lease_id AND row.revision <= held.revision
            WHERE row.recorded_at <= %(known_at)s AND row.terms ? 'cotenants'
            ORDER BY row.lease_id, row.revision DESC
        ) latest
        CROSS JOIN LATERAL jsonb_array_elements(latest.terms -> 'cotenants') AS other
    ),
    named AS MATERIALIZED (
        SELECT said.lease_id, alias.tenant_id, coalesce(one.merged_into_id, one.id) AS root,
            bool_or(said.is_primary) AS is_primary
        FROM said JOIN tenants_alias alias ON alias.source = 'phone' AND alias.ref = said.phone
        JOIN tenants_tenant one ON one.id = alias.tenant_id
        GROUP BY 1, 2, 3
    ),
    -- Who stood first instead of whom the contract names first.
    promoted AS MATERIALIZED (
        SELECT promotion.lease_id, coalesce(one.merged_into_id, one.id) AS root
        FROM tenants_promotion promotion JOIN tenants_tenant one ON one.id = promotion.tenant_id
        WHERE promotion.at <= %(known_at)s AND (promotion.undone_at IS NULL OR promotion.undone_at > %(known_at)s)
          AND EXISTS (
            SELECT FROM named
            WHERE named.lease_id = promotion.lease_id AND named.root = coalesce(one.merged_into_id, one.id))
    ),
    tenants_leasetenant AS MATERIALIZED (
        SELECT named.lease_id, named.tenant_id, coalesce(named.root = promoted.root, named.is_primary) AS is_primary
        FROM named LEFT JOIN promoted ON promoted.lease_id = named.lease_id
        UNION ALL
        SELECT stands.lease_id, stands.tenant_id, stands.is_primary
        FROM tenants_leasetenant stands
        -- Whose phone no alias names, or who stands on a lease without revisions, is who stands there now.
        WHERE stands.lease_id IN (SELECT id FROM lease_then) AND NOT EXISTS (
            SELECT FROM said JOIN tenants_alias alias ON alias.source = 'phone' AND alias.ref = said.phone
            WHERE said.lease_id = stands.lease_id AND said.is_primary)
    ),
    merge_then AS MATERIALIZED (
        SELECT DISTINCT ON (merged_id) merged_id, kept_id FROM tenants_merge
        WHERE at <= %(known_at)s AND (undone_at IS NULL OR undone_at > %(known_at)s)
        ORDER BY merged_id, at DESC, id DESC
    ),
    -- Where the merges of then end, as tenants/merges.py follows them.
    root_then AS MATERIALIZED (
        WITH RECURSIVE up(id, at) AS (
            SELECT merged_id, kept_id FROM merge_then
            UNION
            SELECT up.id, merge_then.kept_id FROM up JOIN merge_then ON merge_then.merged_id = up.at
        )
        SELECT id, at AS root FROM up WHERE NOT EXISTS (SELECT FROM merge_then WHERE merged_id = up.at)
    ),
    tenants_tenant AS MATERIALIZED (
        SELECT person.id, person.name, person.phone, root_then.root AS merged_into_id, person.created_at,
            -- The latest choice by then; before the first one it was the other.
            coalesce(
                (SELECT general FROM tenants_generalchoice WHERE tenant_id = person.id AND at <= %(known_at)s
                 ORDER BY at DESC, id DESC LIMIT 1),
                (SELECT NOT general FROM tenants_generalchoice WHERE tenant_id = person.id AND at > %(known_at)s
                 ORDER BY at, id LIMIT 1),
                person.general_version) AS general_version
        FROM tenants_tenant person LEFT JOIN root_then ON root_then.id = person.id
    ),
    tenants_lease AS MATERIALIZED (
        SELECT lease_then.*, claim.before AS renews_id FROM lease_then LEFT JOIN claim ON claim.next = lease_then.id
    )
"""  # noqa: S608 - put together from constants


def as_known(sql: str) -> str:
    """The query reads leases, who is on them and who was merged into whom as they were known at %(known_at)s."""
    return f"WITH {_SHADOWS} SELECT * FROM ({sql}) AS answer"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Known:
    """A lease as it was known."""

    lease: int
    unit: int
    contract_no: str
    revision: int
    signed_on: date
    first_day: date
    last_day: date
    agreed_last_day: date
    monthly_rent: Decimal
    deposit: Decimal
    anchor_day: int
    state: str
    ended_by: str
    ended_agreed_on: date | None
    renews: int | None
    tenants: tuple[str, ...]  # names, as the contract had them then; the first tenant first


_KNOWN = """
    select id, unit_id, contract_no, revision, signed_on, first_day, last_day, agreed_last_day, monthly_rent, deposit,
        anchor_day, state, ended_by, ended_agreed_on, renews_id
    from tenants_lease
    where (%(leases)s::bigint[] is null or id = any(%(leases)s))
      and (%(units)s::bigint[] is null or unit_id = any(%(units)s))
"""


def leases_as_known(
    at: datetime, *, leases: Collection[int] | None = None, units: Collection[int] | None = None
) -> list[Known]:
    """The leases as they were known at `at`: signed here or on paper, and void ones too. By unit, then by first day."""
    facts = {
        "known_at": at,
        "leases": None if leases is None else list(leases),
        "units": None if units is None else list(units),
    }
    with connection.cursor() as cursor:
        cursor.execute(as_known(_KNOWN) + " order by unit_id, first_day, id", facts)
        rows = cursor.fetchall()
    names = _names([row[0] for row in rows], at)
    return [Known(*(*row, names[row[0]])) for row in rows]


def _names(leases: list[int], at: datetime) -> dict[int, tuple[str, ...]]:
    """Whom each contract named at `at`."""
    said: dict[int, dict[int, Terms]] = {lease: {} for lease in leases}
    for row in LeaseRevision.objects.filter(lease__in=leases, recorded_at__lte=at):
        said[row.lease_id][row.revision] = row.terms
    undone = ContractDecision.objects.filter(lease__in=leases, at__lte=at, undone_at__gt=at, lease__isnull=False)
    for decision in undone:
        said[decision.lease_id or 0][decision.revision] = decision.terms
    found = {
        lease: tuple(party.name for party in party_at(known, max(known))) for lease, known in said.items() if known
    }
    bare = LeaseTenant.objects.filter(lease__in=set(leases) - set(found)).order_by("-is_primary", "pk")
    for lease, name in bare.values_list("lease", "tenant__name"):
        found[lease] = (*found.get(lease, ()), name)
    return {lease: found.get(lease, ()) for lease in leases}


# --- What each revision changed ---------------------------------------------------------------------------

FIELDS: dict[str, str | Promise] = {
    "unit": _("unit"),
    "tenant_name": _("tenant"),
    "phone": _("phone"),
    "cotenants": _("co-tenants"),
    "first_day": _("first day"),
    "last_day": _("agreed last day"),
    "ended_on": _("ended early on"),
    "ended_by": _("ended early by"),
    "ended_agreed_on": _("end agreed on"),
    "monthly_rent": _("monthly rent"),
    "deposit": _("deposit"),
    "anchor_day": _("anchor day"),
    "signed_on": _("signed on"),
    "state": _("state"),
    "renews": _("renews"),
    "contract_no": _("contract no."),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a contract, before and after a revision."""

    field: str
    was: Any
    now: Any


@dataclass(frozen=True, slots=True)
class Step:
    """A revision: what it changed, when it was recorded, and where it came from.

    `against` is the revision that held when it came, with which it is compared; None if it was the first to come.
    """

    revision: int
    against: int | None
    terms: Terms
    changes: tuple[Change, ...]
    recorded_at: datetime
    run: Run | None  # the run of the ERP's file that brought it
    decision: ContractDecision | None  # by which it holds or held
    was_overtaken: bool  # a later revision was there first: it never held


def steps_of(lease: Lease) -> list[Step]:
    """The revisions of a lease, the newest first; acceptances that were undone stand among them."""
    rows = list(LeaseRevision.objects.filter(lease=lease).order_by("revision"))
    decisions = list(ContractDecision.objects.filter(lease=lease).order_by("at"))
    standing = {decision.revision: decision for decision in decisions if decision.undone_at is None}
    runs: dict[datetime, Run] = {}
    for run in Run.objects.filter(source=Source.CONTRACTS, started_at__in=[row.recorded_at for row in rows]):
        runs[run.started_at] = run
    said = [(row.revision, row.recorded_at, row.terms, standing.get(row.revision)) for row in rows]
    said += [(each.revision, each.at, each.terms, each) for each in decisions if each.undone_at]
    said.sort(key=lambda each: (each[1], each[0]))
    steps = []
    for place, (revision, recorded_at, terms, decision) in enumerate(said):
        # What held when it came: the highest revision there was, unless its acceptance had been undone by then.
        there = [each for each in said[:place] if not _undone_by(each[3], recorded_at)]
        before = max(there, key=lambda each: each[0], default=None)
        higher = [other.recorded_at for other in rows if other.revision > revision]
        steps.append(
            Step(
                revision,
                before[0] if before else None,
                terms,
                _changes(_with_cotenants(before[2], before[0], there), terms) if before else (),
                recorded_at,
                runs.get(recorded_at),
                decision,
                any(moment <= recorded_at for moment in higher),
            )
        )
    return sorted(steps, key=lambda step: (step.revision, step.recorded_at), reverse=True)


def _undone_by(decision: ContractDecision | None, moment: datetime) -> bool:
    return decision is not None and decision.undone_at is not None and decision.undone_at <= moment


def _with_cotenants(terms: Terms, revision: int, there: Collection[tuple[int, datetime, Terms, Any]]) -> Terms:
    """The terms of this revision, with the co-tenants of the latest one up to it that speaks of any."""
    spoke = [each for each in there if each[0] <= revision and "cotenants" in each[2]]
    return terms | {"cotenants": max(spoke, key=lambda each: each[0])[2]["cotenants"]} if spoke else terms


def _changes(was: Terms, now: Terms) -> tuple[Change, ...]:
    return tuple(
        Change(field, was.get(field), now.get(field))
        for field in FIELDS
        # A revision that does not speak of co-tenants leaves them as they were.
        if (was.get(field) or None) != (now.get(field) or None) and not (field == "cotenants" and field not in now)
    )


def chain_of(unit: Unit, *, at: datetime) -> list[Known]:
    """Who held the unit from when to when, as known at `at`; the latest first."""
    held = [known for known in leases_as_known(at, units=[unit.pk]) if known.state == Lease.State.SIGNED]
    return sorted(held, key=lambda known: known.first_day, reverse=True)
