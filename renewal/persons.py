"""Who is one person, as staff decide it: two people side by side, what speaks for it, what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Count, Max, Min

from connectors.records import AliasSource
from tenants import access, identity, merges, naming
from tenants.access import Role, Somebody
from tenants.attributes import ALIASES, Attribute, age, aliases, attributes, said_by, shown
from tenants.candidates import Candidate, Evidence, candidates
from tenants.models import Alias, Event, Lease, Merge, Tenant

MOST = 30  # pairs on a page
DECIDES = frozenset({Role.HQ, Role.MANAGER})


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two."""

    tenant: Tenant
    leases: list[Lease]
    events: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Line:
    """An attribute of both."""

    name: str
    one: Attribute | None
    other: Attribute | None

    @property
    def agrees(self) -> bool:
        return bool(self.one and self.other and self.one.value == self.other.value)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two people, the one with the latest lease first: that page stays."""

    kept: Side
    merged: Side
    lines: list[Line]
    evidence: list[Evidence]
    obstacle: str


def may_decide(user: Somebody, *, today: date) -> bool:
    """Whether a person may make two people one, and two again."""
    return access.role_for(user, today=today) in DECIDES


def suggested(user: Somebody, *, today: date, about: Tenant | None = None) -> list[Candidate]:
    """Those who may be one person, of the people a person may see (of `about`, if given)."""
    found = candidates(None if about is None else [about.pk])
    mine = access.tenants_for(user, today=today)
    ids = {pair.one.pk for pair in found} | {pair.other.pk for pair in found}
    seen = set(mine.filter(pk__in=ids).values_list("pk", flat=True)) if ids else set()
    return [pair for pair in found if pair.one.pk in seen and pair.other.pk in seen]


def find(user: Somebody, words: str, *, today: date) -> Tenant | None:
    """The person of this phone or contract number, of those a person may see."""
    found = identity.tenant_of(AliasSource.PHONE, words) or identity.tenant_of(AliasSource.CONTRACT, words)
    return access.tenants_for(user, today=today).filter(pk=found.pk).first() if found else None


def beside(one: Tenant, other: Tenant, evidence: list[Evidence], *, user: Somebody, today: date) -> Pair:
    """The two side by side."""
    sides = [_side(tenant, user, today) for tenant in (one, other)]
    sides.sort(key=lambda side: (max((lease.last_day for lease in side.leases), default=date.min), side.tenant.pk))
    merged, kept = sides
    seen = _seen(user, [row for side in sides for row in merges.rows_of(side.tenant.pk)], today)
    told = [{str(each.name): each for each in attributes(side.tenant, seen=seen)} for side in (kept, merged)]
    lines = [Line(name, told[0].get(name), told[1].get(name)) for name in dict.fromkeys([*told[0], *told[1]])]
    return Pair(kept, merged, lines, evidence, merges.obstacle(kept.tenant, merged.tenant))


def _side(tenant: Tenant, user: Somebody, today: date) -> Side:
    rows = merges.rows_of(tenant.pk)
    leases = (
        access.leases_for(user, today=today)
        .filter(tenants__in=rows, state=Lease.State.SIGNED)
        .select_related("unit__building")
        .distinct()
        .order_by("-first_day")
    )
    facts = Event.objects.filter(tenant__in=rows).aggregate(n=Count("pk"), first=Min("at"), last=Max("at"))
    return Side(tenant, list(leases), facts["n"], facts["first"], facts["last"])


def _seen(user: Somebody, people: list[int], today: date) -> set[str] | None:
    """The contracts of these people that a person may see; None where that is all of them."""
    if access.sees_everything(user, today=today):
        return None
    theirs = access.leases_for(user, today=today).filter(tenants__in=people)
    return set(theirs.values_list("contract_no", flat=True))


def panel(tenant: Tenant, *, user: Somebody, until: datetime | None, today: date) -> dict[str, Any]:
    """What the page of a tenant says about who they are, to who may see what happened to them `until` then."""
    seen = _seen(user, merges.rows_of(tenant.pk), today)
    made = list(merges.history(tenant.pk))
    by_hand = {(each.alias_source, each.alias_ref): each for each in made if not each.undone_at}
    return {
        "attributes": [
            {"told": each, "age": age(each.learnt_on, today=today)}
            for each in attributes(tenant, seen=seen, until=until)
        ],
        "aliases": [
            {
                "what": ALIASES.get(alias.source, alias.source),
                "ref": shown(alias),
                "origin": said_by(alias.origin, seen=seen),
                "at": alias.recorded_at,
                "row": alias.tenant if alias.tenant_id != tenant.pk else None,
                "given": by_hand.get((alias.source, alias.ref)),
            }
            for alias in aliases(tenant)
            if alias.source != AliasSource.CONTRACT or seen is None or alias.ref in seen
        ],
        "merges": [each for each in made if not each.alias_source],
        "given": [{"made": each, **named(each)} for each in made if each.alias_source],
        "alias_kinds": {source: ALIASES[source] for source in naming.SOURCES},
        "suggested": suggested(user, today=today, about=tenant),
        "may_decide": may_decide(user, today=today),
    }


def named(made: Merge) -> dict[str, Any]:
    """What a person was given by hand, as staff see it."""
    alias = Alias(source=made.alias_source, ref=made.alias_ref)
    return {"what": ALIASES.get(alias.source, alias.source), "ref": shown(alias)}


def visible(user: Somebody, merge_id: int, *, today: date) -> Merge:
    """A merge whose person may be seen. Raises `Merge.DoesNotExist`."""
    made = Merge.objects.select_related("kept__merged_into", "merged").get(pk=merge_id)
    if not access.tenants_for(user, today=today).filter(pk=merges.root_of(made.kept)).exists():
        raise Merge.DoesNotExist
    return made
