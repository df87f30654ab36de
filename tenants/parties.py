"""Who stands behind the names on contracts: the people of a batch, found by what stands for them, or new.

A phone says who somebody is, then the identity number; then, within one contract, the name; then any other
account under the same name. Whoever is given another's phone or identity number under another name is a
stranger, unless a revision of one contract corrects the name. Nobody is asked in which order revisions came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _

from connectors.records import AliasSource
from tenants import identity
from tenants.models import Alias, LeaseTenant, Merge, Tenant
from tenants.terms import Party, Ref, Terms, parties_of

# What these rows were called by the last contract that named them by a phone of their own. On file is the name of the
# last that named the person, which may be that of a row merged into them. Reads every revision once.
OWN_NAMES = """
    SELECT DISTINCT ON (alias.tenant_id) alias.tenant_id, party.name
    FROM tenants_leaserevision said
    JOIN tenants_lease lease ON lease.id = said.lease_id
    CROSS JOIN LATERAL (
        SELECT said.terms ->> 'tenant_name' AS name, said.terms ->> 'phone' AS phone
        UNION ALL
        SELECT other ->> 'name', other ->> 'phone'
        FROM jsonb_array_elements(coalesce(said.terms -> 'cotenants', '[]')) AS other
    ) AS party
    JOIN tenants_alias alias ON alias.source = 'phone' AND alias.ref = party.phone
    WHERE alias.tenant_id = ANY(%s) AND said.revision > 0
    ORDER BY alias.tenant_id, (said.revision = lease.revision AND lease.state = 'signed') DESC,
        lease.signed_on DESC, lease.first_day DESC, lease.contract_no DESC, said.revision DESC
"""


@dataclass
class Register:
    """The people of a batch; one person is one object. Nothing is written before `write`."""

    now: datetime
    people: dict[Ref, Tenant]  # by what stands for them
    by_id: dict[int, Tenant]  # by id
    leases: dict[int, set[int]]  # on which leases somebody stands, by their id
    kept_apart: set[frozenset[int]]  # pairs a person has told apart again
    cards: dict[int, set[str]]  # hashes of identity numbers, by `id()` of the person
    named: dict[Ref, int]  # the tenant an alias names, whoever they were merged into
    # What else somebody is called, by id: the names of rows that were merged into them, and their own before.
    names: dict[int, set[str]]
    learnt: dict[Ref, Tenant] = field(default_factory=dict)  # what is new here
    origins: dict[Ref, str] = field(default_factory=dict)  # what told us of it
    beside: dict[Ref, Ref] = field(default_factory=dict)  # what the person was known by when it was learnt
    joined: list[tuple[Tenant, Tenant, str]] = field(default_factory=list)  # kept, merged, contract

    @classmethod
    def read(cls, refs: Collection[Ref], holders: Iterable[Tenant], *, now: datetime) -> Register:
        """`holders` are on the leases at hand; they become these objects."""
        by_id: dict[int, Tenant] = {holder.pk: holder for holder in holders}
        people: dict[Ref, Tenant] = {}
        named: dict[Ref, int] = {}
        for alias in _aliases(refs):
            assert alias.tenant  # noqa: S101 - the filter says so
            named[alias.source, alias.ref] = alias.tenant.pk
            person = alias.tenant.merged_into or alias.tenant
            people[alias.source, alias.ref] = by_id.setdefault(person.pk, person)
        hashes = Alias.objects.filter(source=AliasSource.ID_HASH).filter(
            Q(tenant__in=by_id) | Q(tenant__merged_into__in=by_id)
        )
        cards: dict[int, set[str]] = defaultdict(set)
        for alias in hashes.select_related("tenant"):
            assert alias.tenant  # noqa: S101
            person = by_id[alias.tenant.merged_into_id or alias.tenant.pk]
            people[alias.source, alias.ref] = person
            cards[id(person)].add(alias.ref)
        leases: dict[int, set[int]] = defaultdict(set)
        stands = LeaseTenant.objects.filter(Q(tenant__in=by_id) | Q(tenant__merged_into__in=by_id))
        for tenant, merged_into, lease in stands.values_list("tenant", "tenant__merged_into", "lease"):
            leases[merged_into or tenant].add(lease)
        undone = Merge.objects.filter(undone_at__isnull=False).filter(Q(kept__in=by_id) | Q(merged__in=by_id))
        apart = {frozenset(pair) for pair in undone.values_list("kept", "merged")}
        names: dict[int, set[str]] = defaultdict(set)
        for merged in Tenant.objects.filter(merged_into__in=by_id):
            names[merged.merged_into_id or merged.pk].add(merged.name)
        for owner, name in _own_names(names):
            names[owner].add(name)
        return cls(now, people, by_id, leases, apart, cards, named, names)

    def who(self, party: Party, revisions: Iterable[Terms]) -> Tenant:
        """The person; `revisions` are those that stand of the same contract."""
        if ref := self._known_by(party, revisions):
            return self.people[ref]
        return Tenant(name=party.name, phone=party.phone, created_at=self.now)

    def _known_by(self, party: Party, revisions: Iterable[Terms]) -> Ref | None:
        """The alias that says who it is."""
        # The phone first, then the card.
        for source in (AliasSource.PHONE, AliasSource.ID_HASH):
            for ref in party.refs:
                if ref[0] == source and ref in self.people:
                    return ref
        for terms in revisions:
            for other in parties_of(terms):
                if other.name == party.name and other.refs[0] in self.people:
                    return other.refs[0]
        for ref in party.refs:
            if (owner := self.people.get(ref)) and self._is_called(owner, party.name):
                return ref
        return None

    def _is_called(self, owner: Tenant, name: str) -> bool:
        return owner.name == name or name in self.names.get(owner.pk or 0, ())

    def learn(self, party: Party, revisions: Iterable[Terms], *, origin: str) -> None:
        """What the contract calls the person stands for them, where it stands for nobody yet."""
        known_by = self._known_by(party, revisions) or party.refs[0]
        person = self.who(party, revisions)
        for ref in party.refs:
            if ref not in self.people:
                self.people[ref] = self.learnt[ref] = person
                self.origins[ref], self.beside[ref] = origin, known_by
                if ref[0] == AliasSource.ID_HASH:
                    self.cards[id(person)].add(ref[1])

    def complaint(self, terms: Terms, revisions: Sequence[Terms]) -> str:
        """Why the people of these terms cannot be whom they would be taken for; empty when they can."""
        theirs = [
            owner
            for each in revisions
            for party in parties_of(each)
            if (owner := self.people.get(party.refs[0])) is not None
        ]
        found: list[tuple[Party, Tenant]] = []
        for party in parties_of(terms):
            for ref in party.refs[:2]:
                owner = self.people.get(ref)
                if owner is None or ref[0] not in (AliasSource.PHONE, AliasSource.ID_HASH):
                    continue
                if any(owner is one for one in theirs):
                    continue  # a revision corrects the name, or the card
                if not self._is_called(owner, party.name):
                    return self._stranger(ref, owner, party)
                cards = self.cards[id(owner)]
                if party.id_hash and cards and party.id_hash not in cards:
                    facts = {"phone": party.phone, "owner": owner.name}
                    return _("The phone number %(phone)s belongs to %(owner)s with another identity number.") % facts
            person = self.who(party, revisions)
            for other, somebody in found:
                if somebody is person:
                    facts = {"one": other.name, "two": party.name}
                    return _("%(one)s and %(two)s would be one person: a phone or an identity number is mixed up.") % (
                        facts
                    )
            found.append((party, person))
        return ""

    def _stranger(self, ref: Ref, owner: Tenant, party: Party) -> str:
        """Phone numbers are given out again, and two people must not become one."""
        facts = {"phone": party.phone, "owner": owner.name, "name": party.name}
        if ref[0] == AliasSource.PHONE:
            return _("The phone number %(phone)s belongs to tenant %(owner)s, not to %(name)s.") % facts
        return _("The identity number of %(name)s belongs to tenant %(owner)s.") % facts

    def join(
        self,
        number: str,
        revisions: Sequence[Terms],
        standing: Sequence[Tenant],
        *,
        lease: int | None,
        busy: Callable[[], set[int]],
    ) -> bool:
        """Rows that one contract shows to be one person are one: a name and a phone corrected one after the other.

        Only somebody known through this contract alone is merged. `busy` are the people, by `id()`, whom other
        contracts of the batch name. Whether anybody was merged.
        """
        named, together = self._by_name(revisions)
        several = [people for people in named.values() if len(people) > 1]
        besides = busy() if several else set()
        merged = False
        for people in several:
            settled = [one for one in people if id(one) in besides or self.leases.get(one.pk or 0, set()) - {lease}]
            first = next((one for one in standing if any(one is each for each in people)), None)
            keep = settled[0] if settled else first or min(people, key=lambda one: one.pk or 1 << 62)
            for other in people:
                is_free = not any(other is each for each in settled)
                if other is not keep and is_free and frozenset((id(keep), id(other))) not in together:
                    merged |= self._merge(keep, other, number)
        return merged

    def _by_name(self, revisions: Sequence[Terms]) -> tuple[dict[str, list[Tenant]], set[frozenset[int]]]:
        """The people each name stood for, and the pairs that stood side by side, who are two for certain."""
        named: dict[str, list[Tenant]] = defaultdict(list)
        together: set[frozenset[int]] = set()
        for terms in revisions:
            found = []
            for party in parties_of(terms):
                if owner := self.people.get(party.refs[0]):
                    found.append(owner)
                    if not any(owner is other for other in named[party.name]):
                        named[party.name].append(owner)
            together |= {frozenset((id(one), id(two))) for one in found for two in found if one is not two}
        return named, together

    def _merge(self, keep: Tenant, other: Tenant, number: str) -> bool:
        if keep.pk and other.pk and frozenset((keep.pk, other.pk)) in self.kept_apart:
            return False
        for refs in (self.people, self.learnt):
            for ref, owner in refs.items():
                if owner is other:
                    refs[ref] = keep
        self.cards[id(keep)] |= self.cards.pop(id(other), set())
        if other.pk:
            self.joined.append((keep, other, number))
        return True

    def stands_as(self, party: Party) -> int:
        """The tenant to whom the contract gives a place: the one its phone names, so that a merge can be undone."""
        return self._named(party.refs[0]) or self.people[party.refs[0]].pk

    def _named(self, ref: Ref) -> int | None:
        """The tenant an alias names; of one that is new here, the one who was known by another beside it."""
        passed: set[Ref] = set()
        while ref not in self.named and ref in self.beside and ref not in passed:
            passed.add(ref)
            ref = self.beside[ref]
        return self.named.get(ref)

    def write(self) -> None:
        """The database knows these people by what stands for them."""
        people = {id(person): person for person in self.learnt.values() if not person.pk}
        Tenant.objects.bulk_create(people.values())
        owners = {ref: self._named(ref) or person.pk for ref, person in self.learnt.items()}
        identity.name_tenants(owners, now=self.now, origins=self.origins)


def _own_names(people: Collection[int]) -> list[tuple[int, str]]:
    if not people:
        return []
    with connection.cursor() as cursor:
        cursor.execute(OWN_NAMES, [list(people)])
        return cursor.fetchall()


def _aliases(refs: Collection[Ref]) -> Iterable[Alias]:
    by_source: Mapping[str, set[str]] = defaultdict(set)
    for source, ref in refs:
        by_source[source].add(ref)
    for source, some in by_source.items():
        rows = Alias.objects.filter(source=source, ref__in=some, tenant__isnull=False)
        yield from rows.select_related("tenant__merged_into")
