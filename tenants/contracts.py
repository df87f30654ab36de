"""How contract records become leases: `Desk` reads what bears on a batch, decides in memory, and writes it at once.

Revisions may come in any order and a contract ends at its highest that fits. One that overlaps
another contract waits, and is tried again whenever a contract of that unit changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _

from connectors.records import AliasSource, ContractRecord
from tenants import identity, waiting
from tenants.models import Alias, Lease, LeaseRevision, LeaseTenant, Tenant, WaitingContract
from tenants.terms import Terms, days_of, differs, refs_of, terms_of


class Refused(Exception):
    """The contract cannot be used as it is; the message says why, fit for a clerk."""


def units_of(records: Iterable[ContractRecord]) -> set[int]:
    """The units whose leases `records` may change: those they name, and those their contracts hold or wait for now."""
    records = list(records)
    units = set(identity.units_by(AliasSource.UNIT, {record.unit for record in records}).values())
    numbers = {record.contract_no for record in records}
    while True:
        waiting = WaitingContract.objects.filter(Q(unit__in=units) | Q(contract_no__in=numbers))
        more_numbers, more_units = _columns(waiting.values_list("contract_no", "unit_id"))
        leases = Lease.objects.filter(contract_no__in=numbers | more_numbers)
        more_units |= set(leases.values_list("unit_id", flat=True))
        if more_numbers <= numbers and more_units <= units:
            return units
        numbers |= more_numbers
        units |= more_units


@dataclass
class Desk:
    """What is known of the contracts and units of a batch. Nothing is written before `write`."""

    now: datetime
    units: dict[str, int]
    leases: dict[str, Lease]  # by contract number
    on_unit: dict[int, list[Lease]]  # the signed ones
    terms: dict[str, dict[int, Terms]]  # by contract number and revision, whether it holds or waits
    people: dict[tuple[str, str], Tenant]  # by alias
    primary: dict[int, Tenant]  # by id of a lease in the database
    waiting: dict[tuple[str, int], WaitingContract]
    stored: set[tuple[str, int]]  # revisions that are rows of LeaseRevision
    blocked: dict[str, str]  # contracts that wait, with the reason
    placed: dict[str, Tenant] = field(default_factory=dict)  # contracts whose lease changes here, with their tenant
    learnt: dict[tuple[str, str], Tenant] = field(default_factory=dict)  # aliases that are new here

    @classmethod
    def read(cls, records: Sequence[ContractRecord], *, now: datetime) -> Desk:
        ids = units_of(records)
        waiting = list(
            WaitingContract.objects.filter(
                Q(unit__in=ids) | Q(contract_no__in={record.contract_no for record in records})
            ).order_by("recorded_at", "pk")
        )
        numbers = {record.contract_no for record in records} | {row.contract_no for row in waiting}
        leases = list(Lease.objects.filter(Q(contract_no__in=numbers) | Q(unit__in=ids)))
        revisions = LeaseRevision.objects.filter(lease__in=leases, revision__gt=0).select_related("lease")
        terms: dict[str, dict[int, Terms]] = defaultdict(dict)
        stored = set()
        for revision in revisions:
            terms[revision.lease.contract_no][revision.revision] = revision.terms
            stored.add((revision.lease.contract_no, revision.revision))
        for row in waiting:
            terms[row.contract_no][row.revision] = row.terms
        units = identity.units_by(AliasSource.UNIT, {record.unit for record in records})
        on_unit: dict[int, list[Lease]] = defaultdict(list)
        for lease in leases:
            if lease.state == Lease.State.SIGNED:
                on_unit[lease.unit_id].append(lease)
        holders = LeaseTenant.objects.filter(lease__in=leases, is_primary=True)
        refs = [refs_of(terms_of(record)) for record in records] + [refs_of(row.terms) for row in waiting]
        return cls(
            now=now,
            units={row.terms["unit"]: row.unit_id for row in waiting} | units,
            leases={lease.contract_no: lease for lease in leases if lease.contract_no},
            on_unit=on_unit,
            terms=terms,
            people=_people({ref for some in refs for ref in some}),
            primary={row.lease_id: row.tenant for row in holders.select_related("tenant")},
            waiting={(row.contract_no, row.revision): row for row in waiting},
            stored=stored,
            blocked={row.contract_no: row.reason for row in waiting},
        )

    def take(self, record: ContractRecord) -> bool:
        """The record is on the desk; false when it said nothing new. Raises `Refused`."""
        if record.unit not in self.units:
            raise Refused(_("There is no unit %(unit)s.") % {"unit": record.unit})
        terms, known = terms_of(record), self.terms[record.contract_no]
        if record.revision in known:
            if known[record.revision] == terms:
                return False
            raise Refused(
                _("Contract %(number)s has a revision %(revision)s already, and it says something else.")
                % {"number": record.contract_no, "revision": record.revision}
            )
        if stranger := self._stranger(terms):
            raise Refused(stranger)
        known[record.revision] = terms
        return True

    def settle(self, number: str) -> None:
        """The contract stands at its highest revision that fits; contracts that waited for its days are tried again."""
        touched = self._place(number)
        while touched:
            unit = touched.pop()
            for other in [no for no in self.blocked if self._wants(no, unit)]:
                touched |= self._place(other)

    def _wants(self, number: str, unit: int) -> bool:
        return any(self.units.get(terms["unit"]) == unit for terms in self.terms[number].values())

    def _place(self, number: str) -> set[int]:
        """Put the contract at its highest revision that fits; the units on which that changed anything."""
        lease = self.leases.get(number)
        obstacles: list[str] = []
        touched: set[int] = set()
        for revision in sorted(self.terms[number], reverse=True):
            terms = self.terms[number][revision]
            if lease and revision <= lease.revision:
                owner = self.people[AliasSource.CONTRACT, number]
                if owner.name == terms["tenant_name"]:
                    self._learn(terms, owner)
                continue
            person = self._person(terms)
            signed_here = None if lease else self._signed_here(terms, person)
            if obstacle := self._obstacle(terms, lease or signed_here):
                obstacles.append(obstacle)
                continue
            touched |= self._hold(number, terms, lease or signed_here or Lease(recorded_at=self.now), person)
            lease = self.leases[number]
        self.blocked.pop(number, None)
        if obstacles:
            self.blocked[number] = obstacles[0][:300]
        return touched

    def _hold(self, number: str, terms: Terms, lease: Lease, person: Tenant) -> set[int]:
        """The lease says what `terms` say."""
        touched = {lease.unit_id} if lease.unit_id else set()
        if lease in self.on_unit.get(lease.unit_id, []):
            self.on_unit[lease.unit_id] = [other for other in self.on_unit[lease.unit_id] if other is not lease]
        lease.unit_id = self.units[terms["unit"]]
        lease.contract_no = number
        lease.revision = terms["revision"]
        lease.signed_on = date.fromisoformat(terms["signed_on"])
        lease.first_day, lease.last_day = days_of(terms)
        lease.agreed_last_day = date.fromisoformat(terms["last_day"])
        lease.monthly_rent = Decimal(terms["monthly_rent"])
        lease.deposit = Decimal(terms["deposit"])
        lease.anchor_day = terms["anchor_day"]
        lease.state = Lease.State.VOID if terms["state"] == "void" else Lease.State.SIGNED
        lease.ended_by = terms["ended_by"]
        lease.ended_agreed_on = date.fromisoformat(terms["ended_agreed_on"]) if terms["ended_agreed_on"] else None
        if lease.state == Lease.State.SIGNED:
            self.on_unit[lease.unit_id].append(lease)
        self.leases[number] = lease
        self.placed[number] = person
        self.people[AliasSource.CONTRACT, number] = person
        self._learn(terms, person)
        person.name = terms["tenant_name"]
        return touched | {lease.unit_id}

    def _learn(self, terms: Terms, person: Tenant) -> None:
        """What this revision calls the person stands for them, where it stands for nobody yet."""
        for ref in refs_of(terms):
            if ref not in self.people:
                self.people[ref] = self.learnt[ref] = person

    def _obstacle(self, terms: Terms, mine: Lease | None) -> str:
        """Why these terms cannot hold now; empty when they can."""
        if stranger := self._stranger(terms):
            return stranger
        if mine and mine.revision == 0 and terms["state"] != "void" and differs(mine, terms):
            return _("The rent, the deposit or the last day is not what the tenant signed online.")
        if terms["state"] == "void":
            return ""
        first, last = days_of(terms)
        for other in self.on_unit[self.units[terms["unit"]]]:
            if other is not mine and other.first_day <= last and first <= other.last_day:
                facts = {"other": other, "first": other.first_day, "last": other.last_day}
                return _("The days overlap those of contract %(other)s (%(first)s to %(last)s).") % facts
        return ""

    def _stranger(self, terms: Terms) -> str:
        """A phone number that another person holds: numbers are given out again, and two people must not become one."""
        owner = self.people.get((AliasSource.PHONE, terms["phone"]))
        if owner is None or owner.name == terms["tenant_name"]:
            return ""
        if _same(self.people.get((AliasSource.CONTRACT, terms["contract_no"])), owner):
            return ""  # a revision corrects the name
        facts = {"phone": terms["phone"], "owner": owner.name, "name": terms["tenant_name"]}
        return _("The phone number %(phone)s belongs to tenant %(owner)s, not to %(name)s.") % facts

    def _signed_here(self, terms: Terms, person: Tenant) -> Lease | None:
        """The lease signed online that this contract is: the same unit, tenant and first day, and no number yet."""
        for lease in self.on_unit[self.units[terms["unit"]]]:
            same_day = str(lease.first_day) == terms["first_day"]
            if not lease.contract_no and same_day and _same(self.primary.get(lease.pk), person):
                return lease
        return None

    def _person(self, terms: Terms) -> Tenant:
        """Whose contract it is: by phone, else by another alias under the same name, else somebody new."""
        refs = refs_of(terms)
        if owner := self.people.get(refs[0]):
            return owner
        for ref in refs[1:]:
            if (owner := self.people.get(ref)) and owner.name == terms["tenant_name"]:
                return owner
        return Tenant(name=terms["tenant_name"], phone=terms["phone"], created_at=self.now)

    def write(self) -> None:
        """The database says what the desk says."""
        self._write_leases()
        self._write_aliases()
        self._write_revisions()
        if self.placed:
            placed = [self.leases[number].pk for number in self.placed]
            with connection.cursor() as cursor:
                cursor.execute(LINK_RENEWALS, {"leases": placed})
                cursor.execute(LATEST_CONTACT, {"leases": placed})
            waiting.attribute(placed, now=self.now)

    def _write_leases(self) -> None:
        persons = [*self.learnt.values(), *self.placed.values()]
        people = {id(person): person for person in persons if not person.pk}
        Tenant.objects.bulk_create(people.values())
        leases = [self.leases[number] for number in self.placed]
        changed = [lease for lease in leases if lease.pk]
        # Row by row, the new days of one lease may meet the old ones of another that is to move as well:
        # so all of them let go of their days first. Nobody sees it: it is one transaction.
        Lease.objects.filter(pk__in=[lease.pk for lease in changed]).update(state=Lease.State.VOID)
        Lease.objects.bulk_update(changed, WRITTEN, batch_size=200)
        new = [lease for lease in leases if not lease.pk]
        Lease.objects.bulk_create(new)
        moved = [lease for number, lease in zip(self.placed, leases, strict=True) if self._moved(lease, number)]
        LeaseTenant.objects.filter(lease__in=moved, is_primary=True).delete()
        LeaseTenant.objects.bulk_create(
            [
                LeaseTenant(lease=lease, tenant=person)
                for lease, person in zip(leases, self.placed.values(), strict=True)
                if self.primary.get(lease.pk) != person
            ]
        )

    def _moved(self, lease: Lease, number: str) -> bool:
        return lease.pk in self.primary and self.primary[lease.pk] != self.placed[number]

    def _write_aliases(self) -> None:
        identity.name_tenants({ref: person.pk for ref, person in self.learnt.items()}, now=self.now)
        identity.name_contracts({number: person.pk for number, person in self.placed.items()}, now=self.now)

    def _write_revisions(self) -> None:
        revisions, waiting, settled = [], [], []
        for number, known in self.terms.items():
            lease = self.leases.get(number)
            for revision, terms in known.items():
                if lease and revision <= lease.revision:
                    if (number, revision) not in self.stored:
                        revisions.append((lease, revision, terms))
                    if row := self.waiting.get((number, revision)):
                        settled.append(row.pk)
                elif (number, revision) not in self.waiting:
                    waiting.append((number, revision, terms))
        LeaseRevision.objects.bulk_create(
            LeaseRevision(lease=lease, revision=revision, terms=terms, recorded_at=self.now)
            for lease, revision, terms in revisions
        )
        WaitingContract.objects.filter(pk__in=settled).delete()
        WaitingContract.objects.bulk_create(
            WaitingContract(
                contract_no=number,
                revision=revision,
                unit_id=self.units[terms["unit"]],
                terms=terms,
                reason=self.blocked.get(number, ""),
                recorded_at=self.now,
            )
            for number, revision, terms in waiting
        )


WRITTEN = [
    "unit", "contract_no", "signed_on", "first_day", "last_day", "agreed_last_day", "monthly_rent", "deposit",
    "anchor_day", "state", "ended_by", "ended_agreed_on", "revision",
]  # fmt: skip

# A renewal names its predecessor by contract number, which may come later in the file or in another
# one; whichever arrives second ties the two. A lease keeps the successor it has.
LINK_RENEWALS = """
    UPDATE tenants_lease AS next SET renews_id = tie.before
    FROM (
        SELECT DISTINCT ON (before.id) before.id AS before, renewal.id AS next
        FROM tenants_lease renewal
        JOIN tenants_leaserevision said ON said.lease_id = renewal.id AND said.revision = renewal.revision
        JOIN tenants_lease before ON before.contract_no = said.terms ->> 'renews'
        WHERE (renewal.id = ANY(%(leases)s) OR before.id = ANY(%(leases)s))
          AND renewal.state <> 'void' AND before.contract_no <> '' AND renewal.renews_id IS DISTINCT FROM before.id
          AND NOT EXISTS (
              SELECT FROM tenants_lease other WHERE other.renews_id = before.id AND other.state <> 'void')
        ORDER BY before.id, renewal.first_day, renewal.id
    ) AS tie
    WHERE next.id = tie.next
"""
# The name and the phone on file are those of the contract that was signed last.
LATEST_CONTACT = """
    UPDATE tenants_tenant AS tenant SET name = latest.name, phone = latest.phone
    FROM (
        SELECT DISTINCT ON (mine.tenant_id)
            mine.tenant_id, said.terms ->> 'tenant_name' AS name, said.terms ->> 'phone' AS phone
        FROM tenants_leasetenant touched
        JOIN tenants_leasetenant mine ON mine.tenant_id = touched.tenant_id AND mine.is_primary
        JOIN tenants_lease lease ON lease.id = mine.lease_id AND lease.state = 'signed'
        JOIN tenants_leaserevision said ON said.lease_id = lease.id AND said.revision = lease.revision
        WHERE touched.lease_id = ANY(%(leases)s) AND lease.revision > 0
        ORDER BY mine.tenant_id, lease.signed_on DESC, lease.first_day DESC, lease.id DESC
    ) AS latest
    WHERE tenant.id = latest.tenant_id AND (tenant.name, tenant.phone) <> (latest.name, latest.phone)
"""


def _people(refs: set[tuple[str, str]]) -> dict[tuple[str, str], Tenant]:
    """Tenants by alias, as it names them; one tenant is one object, so that `is` tells them apart."""
    by_source: dict[str, set[str]] = defaultdict(set)
    for source, ref in refs:
        by_source[source].add(ref)
    found: dict[tuple[str, str], Tenant] = {}
    persons: dict[int, Tenant] = {}
    for source, some in by_source.items():
        rows = Alias.objects.filter(source=source, ref__in=some, tenant__isnull=False)
        for alias in rows.select_related("tenant"):
            assert alias.tenant  # noqa: S101 - the filter says so
            found[source, alias.ref] = persons.setdefault(alias.tenant.pk, alias.tenant)
    return found


def _same(one: Tenant | None, other: Tenant) -> bool:
    """Whether two tenants are one person; a lease keeps the one its contract names."""
    if one is None or not one.pk or not other.pk:
        return one is other
    return (one.merged_into_id or one.pk) == (other.merged_into_id or other.pk)


def _columns(pairs: Iterable[tuple[str, int]]) -> tuple[set[str], set[int]]:
    pairs = list(pairs)
    return {first for first, _second in pairs}, {second for _first, second in pairs}
