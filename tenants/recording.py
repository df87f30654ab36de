"""The database says what a desk of contracts has decided (tenants/contracts.py): a fixed number of queries."""

from __future__ import annotations

from django.db import connection

from tenants import features, identity, waiting
from tenants.contracts import Desk
from tenants.models import Lease, LeaseRevision, LeaseTenant, Promotion, Tenant, WaitingContract
from tenants.terms import parties_of

WRITTEN = [
    "unit", "contract_no", "signed_on", "first_day", "last_day", "agreed_last_day", "monthly_rent", "deposit",
    "anchor_day", "state", "ended_by", "ended_agreed_on", "revision",
]  # fmt: skip

# What an ERP's contract renews is read from its terms each time they change; what was signed here keeps what it
# renews, unless it is void and its place was taken.
FORGET_RENEWALS = """
    UPDATE tenants_lease AS lease SET renews_id = NULL
    WHERE lease.id = ANY(%(leases)s) AND lease.renews_id IS NOT NULL AND (
        NOT EXISTS (SELECT FROM tenants_leaserevision WHERE lease_id = lease.id AND revision = 0)
        OR lease.state = 'void' AND EXISTS (
            SELECT FROM tenants_lease other
            WHERE other.renews_id = lease.renews_id AND other.id <> lease.id AND other.state <> 'void'))
"""
# A renewal names its predecessor by contract number, which may come later in the file or in another
# one; whichever arrives second ties the two. Of several that claim one predecessor, the first known has it.
LINK_RENEWALS = """
    UPDATE tenants_lease AS next SET renews_id = tie.before
    FROM (
        SELECT DISTINCT ON (before.id) before.id AS before, renewal.id AS next
        FROM tenants_lease before
        JOIN tenants_leaserevision said ON said.terms ->> 'renews' = before.contract_no
        JOIN tenants_lease renewal ON renewal.id = said.lease_id AND renewal.revision = said.revision
        WHERE before.contract_no <> ''
          AND (before.id = ANY(%(leases)s) OR before.contract_no IN (
              SELECT terms ->> 'renews' FROM tenants_leaserevision WHERE lease_id = ANY(%(leases)s)))
          AND renewal.state <> 'void' AND renewal.renews_id IS NULL AND renewal.id <> before.id
          AND NOT EXISTS (
              SELECT FROM tenants_lease other WHERE other.renews_id = before.id AND other.state <> 'void')
        ORDER BY before.id, renewal.recorded_at, renewal.first_day, renewal.contract_no
    ) AS tie
    WHERE next.id = tie.next
"""
# The name and the phone on file are those of the contract on which somebody stands that was signed last; of
# whoever stands on none any more, those of the last that named them.
LATEST_CONTACT = """
    WITH asked AS (
        SELECT DISTINCT coalesce(person.merged_into_id, person.id) AS root
        FROM tenants_tenant person WHERE person.id = ANY(%(people)s)
    ), mine AS (
        SELECT unnest(%(leases)s::bigint[]) AS id
        UNION
        SELECT stands.lease_id FROM asked
        JOIN tenants_tenant person ON coalesce(person.merged_into_id, person.id) = asked.root
        JOIN tenants_leasetenant stands ON stands.tenant_id = person.id
    ), latest AS (
        SELECT DISTINCT ON (asked.root) asked.root, party.name, party.phone
        FROM mine
        JOIN tenants_lease lease ON lease.id = mine.id
        JOIN tenants_leaserevision said ON said.lease_id = lease.id AND said.revision > 0
        CROSS JOIN LATERAL (
            SELECT said.terms ->> 'tenant_name' AS name, said.terms ->> 'phone' AS phone
            UNION ALL
            SELECT other ->> 'name', other ->> 'phone'
            FROM jsonb_array_elements(coalesce(said.terms -> 'cotenants', '[]')) AS other
        ) AS party
        JOIN tenants_alias alias ON alias.source = 'phone' AND alias.ref = party.phone
        JOIN tenants_tenant person ON person.id = alias.tenant_id
        JOIN asked ON asked.root = coalesce(person.merged_into_id, person.id)
        ORDER BY asked.root, (said.revision = lease.revision AND lease.state = 'signed') DESC,
            lease.signed_on DESC, lease.first_day DESC, lease.contract_no DESC, said.revision DESC
    )
    UPDATE tenants_tenant AS tenant SET name = latest.name, phone = latest.phone
    FROM latest
    WHERE tenant.id = latest.root AND (tenant.name, tenant.phone) <> (latest.name, latest.phone)
"""
# The leases whose terms ever named these people, on which they need not stand any more. Reads every revision once:
# only a merge and its undoing ask.
NAMED_BY = """
    WITH phone AS (SELECT ref FROM tenants_alias WHERE source = 'phone' AND tenant_id = ANY(%(people)s))
    SELECT DISTINCT lease_id FROM tenants_leaserevision
    WHERE terms ->> 'phone' IN (SELECT ref FROM phone) OR EXISTS (
        SELECT FROM jsonb_array_elements(coalesce(terms -> 'cotenants', '[]')) AS other
        WHERE other ->> 'phone' IN (SELECT ref FROM phone))
"""


def write(desk: Desk) -> None:
    """All the desk decided is in the database."""
    register = desk.register
    register.write()
    _write_leases(desk)
    owners = {number: register.stands_as(parties[0]) for number, parties in desk.placed.items()}
    origins = {number: f"contracts {number} r{desk.leases[number].revision}" for number in desk.placed}
    identity.name_contracts(owners, now=desk.now, origins=origins)
    _write_revisions(desk)
    people = {
        register.stands_as(party)
        for number in desk.placed
        for terms in desk.standing_terms(number)
        for party in parties_of(terms)
    }
    leases = [desk.leases[number].pk for number in desk.placed]
    settle_links(leases, sorted(people))
    waiting.attribute(leases, now=desk.now)
    features.mark_around(leases, now=desk.now)


def settle_links(leases: list[int], people: list[int]) -> None:
    """What these leases renew follows from their terms; so do the name and the phone on file of these people."""
    if leases:
        with connection.cursor() as cursor:
            cursor.execute(LINK_RENEWALS, {"leases": leases})
            cursor.execute(LATEST_CONTACT, {"leases": leases, "people": people})


def settle_contacts(people: list[int]) -> None:
    """The name and the phone on file of these people are those of their latest contracts."""
    with connection.cursor() as cursor:
        cursor.execute(NAMED_BY, {"people": people})
        leases = [lease for (lease,) in cursor.fetchall()]
        cursor.execute(LATEST_CONTACT, {"leases": leases, "people": people})


def _write_leases(desk: Desk) -> None:
    leases = [desk.leases[number] for number in desk.placed]
    write_rows(leases)
    promoted = {
        row.lease_id: _root(desk, row.tenant)
        for row in Promotion.objects.filter(lease__in=leases, undone_at=None).select_related("tenant")
    }
    gone: list[int] = []
    new: list[LeaseTenant] = []
    for number, parties in desk.placed.items():
        lease = desk.leases[number]
        wanted = {
            desk.register.people[party.refs[0]].pk: (desk.register.stands_as(party), place == 0)
            for place, party in reversed(list(enumerate(parties)))
        }
        if (first := promoted.get(lease.pk)) in wanted:
            wanted = {root: (pk, root == first) for root, (pk, _is_first) in wanted.items()}
        for row in desk.standing.get(lease.pk, []):
            root = _root(desk, row.tenant)
            if root in wanted and wanted[root] == (row.tenant_id, row.is_primary):
                del wanted[root]
            else:
                gone.append(row.pk)
        new += [LeaseTenant(lease=lease, tenant_id=pk, is_primary=first) for pk, first in wanted.values()]
    LeaseTenant.objects.filter(pk__in=gone).delete()
    LeaseTenant.objects.bulk_create(sorted(new, key=lambda row: (row.lease_id, not row.is_primary)))


def _root(desk: Desk, tenant: Tenant) -> int:
    """Whom the row stands for, as of what the desk has just joined."""
    root = tenant.merged_into_id or tenant.pk
    return next((kept.pk for kept, merged, _number in desk.register.joined if merged.pk == root), root)


def write_rows(leases: list[Lease]) -> None:
    """These leases say in the database what they say here."""
    changed = [lease for lease in leases if lease.pk]
    if changed:
        ids = [lease.pk for lease in changed]
        # Row by row, the new days of one lease may meet the old ones of another that is to move as well:
        # so all of them let go of their days first. Nobody sees it: it is one transaction.
        Lease.objects.filter(pk__in=ids).update(state=Lease.State.VOID)
        with connection.cursor() as cursor:
            cursor.execute(FORGET_RENEWALS, {"leases": ids})
        Lease.objects.bulk_update(changed, WRITTEN, batch_size=200)
    Lease.objects.bulk_create([lease for lease in leases if not lease.pk])


def _write_revisions(desk: Desk) -> None:
    revisions, held_back, settled, reasons = [], [], [], []
    for number, known in desk.terms.items():
        lease, blocked = desk.leases.get(number), desk.blocked.get(number, {})
        for revision, terms in known.items():
            if lease and revision <= lease.revision:
                if (number, revision) not in desk.stored:
                    revisions.append((lease, revision, terms))
                if row := desk.waiting.get((number, revision)):
                    settled.append(row.pk)
            elif row := desk.waiting.get((number, revision)):
                if row.reason != blocked.get(revision, row.reason):
                    row.reason = blocked[revision]
                    reasons.append(row)
            else:
                held_back.append((number, revision, terms))
    LeaseRevision.objects.bulk_create(
        LeaseRevision(lease=lease, revision=revision, terms=terms, recorded_at=desk.now)
        for lease, revision, terms in revisions
    )
    WaitingContract.objects.filter(pk__in=settled).delete()
    WaitingContract.objects.bulk_update(reasons, ["reason"])
    WaitingContract.objects.bulk_create(
        WaitingContract(
            contract_no=number,
            revision=revision,
            unit_id=desk.units[terms["unit"]],
            terms=terms,
            reason=desk.blocked.get(number, {}).get(revision, ""),
            recorded_at=desk.now,
        )
        for number, revision, terms in held_back
    )
