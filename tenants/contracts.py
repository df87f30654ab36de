"""How contract records become leases: `Desk` reads what bears on a batch, decides in memory, and writes it at once.

Revisions may come in any order and a contract ends at its highest that fits. One that overlaps
another contract waits, and is tried again whenever a contract of that unit changes; where several
wait for each other's days, they change places at once. Who the people are: tenants/parties.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext as _

from connectors.records import AliasSource, ContractRecord
from tenants import identity
from tenants.models import ContractDecision, Lease, LeaseRevision, LeaseTenant, Tenant, WaitingContract
from tenants.parties import Register
from tenants.terms import Party, Ref, Terms, days_of, differs, parties_of, party_at, terms_of, write_on

Key = tuple[str, int]  # contract number and revision


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
    """What is known of the contracts and units of a batch. Nothing is written before tenants/recording.py does."""

    now: datetime
    units: dict[str, int]
    leases: dict[str, Lease]  # by contract number
    on_unit: dict[int, list[Lease]]  # the signed ones
    terms: dict[str, dict[int, Terms]]  # by contract number and revision, whether it holds or waits
    register: Register
    standing: dict[int, list[LeaseTenant]]  # who is on a lease, by its id
    waiting: dict[Key, WaitingContract]
    stored: set[Key]  # revisions that are rows of LeaseRevision
    signed: dict[int, Terms]  # what was signed here and has no number yet, by the lease's id
    refused: dict[Key, Terms]  # by a person
    blocked: dict[str, dict[int, str]]  # contracts that wait, with the reason of each revision
    accepted: set[Key] = field(default_factory=set)  # a person takes them over what was signed here
    placed: dict[str, list[Party]] = field(default_factory=dict)  # contracts that change here, with who stands on them

    @classmethod
    def read(cls, records: Sequence[ContractRecord], *, now: datetime) -> Desk:
        ids = units_of(records)
        numbers = {record.contract_no for record in records}
        waiting = list(
            WaitingContract.objects.filter(Q(unit__in=ids) | Q(contract_no__in=numbers)).order_by("recorded_at", "pk")
        )
        numbers |= {row.contract_no for row in waiting}
        leases = list(Lease.objects.filter(Q(contract_no__in=numbers) | Q(unit__in=ids)))
        terms: dict[str, dict[int, Terms]] = defaultdict(dict)
        stored = set()
        by_pk = {lease.pk: lease for lease in leases}
        signed: dict[int, Terms] = {}
        for said in LeaseRevision.objects.filter(lease__in=leases):
            if number := by_pk[said.lease_id].contract_no:
                terms[number][said.revision] = said.terms
                stored.add((number, said.revision))
            else:
                signed[said.lease_id] = said.terms
        blocked: dict[str, dict[int, str]] = defaultdict(dict)
        for row in waiting:
            terms[row.contract_no][row.revision] = row.terms
            blocked[row.contract_no][row.revision] = row.reason
        refused = ContractDecision.objects.filter(
            contract_no__in=numbers, verdict=ContractDecision.Verdict.REFUSED, undone_at=None
        )
        on_unit: dict[int, list[Lease]] = defaultdict(list)
        for lease in leases:
            if lease.state == Lease.State.SIGNED:
                on_unit[lease.unit_id].append(lease)
        standing: dict[int, list[LeaseTenant]] = defaultdict(list)
        people: dict[int, Tenant] = {}
        for one in LeaseTenant.objects.filter(lease__in=leases).select_related("tenant__merged_into").order_by("pk"):
            standing[one.lease_id].append(one)
            person = one.tenant.merged_into or one.tenant
            people.setdefault(person.pk, person)
        every = [terms_of(record) for record in records] + [each for known in terms.values() for each in known.values()]
        every += signed.values()
        refs: set[Ref] = {ref for each in every for party in parties_of(each) for ref in party.refs}
        return cls(
            now=now,
            units={row.terms["unit"]: row.unit_id for row in waiting}
            | identity.units_by(AliasSource.UNIT, {each["unit"] for each in every}),
            leases={lease.contract_no: lease for lease in leases if lease.contract_no},
            on_unit=on_unit,
            terms=terms,
            register=Register.read(refs, people.values(), now=now),
            standing=standing,
            waiting={(row.contract_no, row.revision): row for row in waiting},
            stored=stored,
            signed=signed,
            refused={(row.contract_no, row.revision): row.terms for row in refused},
            blocked=blocked,
        )

    def take(self, record: ContractRecord) -> bool:
        """The record is on the desk; false when it said nothing new. Raises `Refused`."""
        if record.unit not in self.units:
            raise Refused(_("There is no unit %(unit)s.") % {"unit": record.unit})
        terms, known = terms_of(record), self.terms[record.contract_no]
        said = known.get(record.revision) or self.refused.get((record.contract_no, record.revision))
        if said == terms:
            return False
        if said:
            raise Refused(
                _("Contract %(number)s has a revision %(revision)s already, and it says something else.")
                % {"number": record.contract_no, "revision": record.revision}
            )
        if complaint := self.register.complaint(terms, self.standing_terms(record.contract_no)):
            raise Refused(complaint)
        known[record.revision] = terms
        return True

    def standing_terms(self, number: str) -> list[Terms]:
        """What stands of the contract, the highest revision first: the one that holds and those before it.

        A revision that names a phone which has become a stranger's while it waited says nothing about people.
        """
        lease, known = self.leases.get(number), self.terms[number]
        left = [known[revision] for revision in sorted(known, reverse=True) if lease and revision <= lease.revision]
        sound: list[Terms] = left[:1]
        more = sound
        while more:
            more = [terms for terms in left if terms not in sound and not self.register.complaint(terms, sound)]
            sound = sound + more
        return sorted(sound, key=lambda terms: -int(terms["revision"]))

    # --- Placing ----------------------------------------------------------------------------------

    def settle(self, number: str) -> None:
        """The contract stands at its highest revision that fits; contracts that waited for its days are tried again."""
        touched = self._place(number)
        while True:
            while touched:
                unit = touched.pop()
                for other in [no for no in self.blocked if self._wants(no, unit)]:
                    touched |= self._place(other)
            if not (touched := self._exchange()):
                break

    def _wants(self, number: str, unit: int) -> bool:
        return any(self.units.get(terms["unit"]) == unit for terms in self.terms[number].values())

    def _place(self, number: str) -> set[int]:
        """Put the contract at its highest revision that fits; the units on which that changed anything."""
        lease = self.leases.get(number)
        obstacles: dict[int, str] = {}
        touched: set[int] = set()
        for revision in sorted(self.terms[number], reverse=True):
            terms = self.terms[number][revision]
            if lease and revision <= lease.revision:
                break
            mine = lease or self.signed_here(terms)
            if obstacle := self._obstacle(terms, mine):
                obstacles[revision] = obstacle[:300]
                continue
            touched |= self._hold(number, terms, mine or Lease(recorded_at=self.now))
            lease = self.leases[number]
        self.blocked.pop(number, None)
        if obstacles:
            self.blocked[number] = obstacles
        if lease:
            self._know_people(number)
        return touched

    def _hold(self, number: str, terms: Terms, lease: Lease) -> set[int]:
        """The lease says what `terms` say; the units it left and came to."""
        touched = {lease.unit_id} if lease.unit_id else set()
        self._let_go(lease)
        if lease.pk in self.signed:
            # It has its number now, and what was signed is its first revision.
            self.terms[number][0] = self.signed.pop(lease.pk)
            self.stored.add((number, 0))
        write_on(lease, terms, unit=self.units[terms["unit"]])
        if lease.state == Lease.State.SIGNED:
            self.on_unit[lease.unit_id].append(lease)
        self.leases[number] = lease
        return touched | {lease.unit_id}

    def _let_go(self, lease: Lease) -> None:
        if lease.unit_id in self.on_unit:
            self.on_unit[lease.unit_id] = [other for other in self.on_unit[lease.unit_id] if other is not lease]

    def _exchange(self) -> set[int]:
        """Contracts that wait for each other's days change places at once; the units on which that changed anything.

        Each of them would go to its highest revision. Whoever would still meet somebody stays, and so
        do those who would have come into their place, until the rest fit.
        """
        going = {
            number: self.terms[number][max(reasons)]
            for number, reasons in self.blocked.items()
            if not self._obstacle_but_days(self.terms[number][max(reasons)], self.leases.get(number))
        }
        while len(going) > 1:
            stays = next((number for number in going if self._meets(number, going)), None)
            if stays is None:
                break
            del going[stays]
        if len(going) < 2:
            return set()
        touched: set[int] = set()
        for number in going:
            if lease := self.leases.get(number):
                self._let_go(lease)
                touched.add(lease.unit_id)
        for number, terms in going.items():
            touched |= self._hold(number, terms, self.leases.get(number) or Lease(recorded_at=self.now))
            self.blocked.pop(number)
            self._know_people(number)
        return touched

    def _meets(self, number: str, going: dict[str, Terms]) -> bool:
        """Whether the contract would share a day with one that stays, or with one that waited before it."""
        terms = going[number]
        if terms["state"] == "void":
            return False
        first, last = days_of(terms)
        unit = self.units[terms["unit"]]
        for other in self.on_unit[unit]:
            if other.contract_no not in going and other.first_day <= last and first <= other.last_day:
                return True
        for earlier, said in going.items():
            if earlier == number:
                return False
            begins, ends = days_of(said)
            if self.units[said["unit"]] == unit and said["state"] != "void" and begins <= last and first <= ends:
                return True
        return False

    def _know_people(self, number: str) -> None:
        """Everybody whom a revision that stands names is known; those who stand on the contract now are its people."""
        lease, register = self.leases[number], self.register
        revisions = self.standing_terms(number)
        for terms in reversed(revisions):
            for party in parties_of(terms):
                origin = f"contracts {number} r{terms['revision']}"
                register.learn(party, revisions, origin=origin)
        parties = party_at({terms["revision"]: terms for terms in revisions}, lease.revision)
        people = [register.who(party, revisions) for party in parties]
        if register.join(number, revisions, people, lease=lease.pk, busy=lambda: self._named_besides(number)):
            people = [register.who(party, revisions) for party in parties]
        for party, person in zip(parties, people, strict=True):
            person.name = party.name
        self.placed[number] = parties

    def _named_besides(self, number: str) -> set[int]:
        """The people, by `id()`, whom other contracts of the batch name."""
        return {
            id(person)
            for other in self.leases
            if other != number
            for terms in self.standing_terms(other)
            for party in parties_of(terms)
            if (person := self.register.people.get(party.refs[0]))
        }

    # --- What stands in the way -------------------------------------------------------------------

    def _obstacle(self, terms: Terms, mine: Lease | None) -> str:
        """Why these terms cannot hold now; empty when they can."""
        if obstacle := self._obstacle_but_days(terms, mine):
            return obstacle
        if terms["state"] == "void":
            return ""
        first, last = days_of(terms)
        for other in self.on_unit[self.units[terms["unit"]]]:
            if other is not mine and other.first_day <= last and first <= other.last_day:
                facts = {"other": other, "first": other.first_day, "last": other.last_day}
                return _("The days overlap those of contract %(other)s (%(first)s to %(last)s).") % facts
        return ""

    def _obstacle_but_days(self, terms: Terms, mine: Lease | None) -> str:
        number = terms["contract_no"]
        if complaint := self.register.complaint(terms, self.standing_terms(number)):
            return complaint
        is_ours = mine is not None and mine.revision == 0 and (number, terms["revision"]) not in self.accepted
        if mine and is_ours and terms["state"] != "void" and differs(mine, terms):
            return _("The rent, the deposit or the last day is not what the tenant signed online.")
        return ""

    def signed_here(self, terms: Terms) -> Lease | None:
        """The lease signed online that this contract is: the same unit, tenant and first day, and no number yet."""
        person = self.register.who(parties_of(terms)[0], [])
        for lease in self.on_unit[self.units[terms["unit"]]]:
            same_day = str(lease.first_day) == terms["first_day"]
            first = next((one for one in self.standing[lease.pk] if one.is_primary), None)
            same_person = first is not None and (first.tenant.merged_into_id or first.tenant_id) == person.pk
            if not lease.contract_no and same_day and same_person:
                return lease
        return None


def _columns(pairs: Iterable[tuple[str, int]]) -> tuple[set[str], set[int]]:
    pairs = list(pairs)
    return {first for first, _second in pairs}, {second for _first, second in pairs}
