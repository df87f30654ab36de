"""续签建议书: the tenant's year and the offers.

The year is frozen when the proposal is prepared, and so is the line the letter begins with. The card is the published
one of the day it is shown: it is frozen too, and renewed at each opening, so that all who sign on one day are offered
one price. What was shown is kept; what is quoted or signed is looked up again (`card_on`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Coalesce

from campaigns import eligible
from renewal import cards, cases, heldback, leading, offers, story, year
from renewal.models import Case, Proposal
from tenants import consents, links, rows
from tenants.models import Lease, LeaseTenant, Link, Tenant
from tenants.plans import Planned

# Whoever declined may come back, and whoever stays on without a new term may still sign one.
OPEN = cases.UNDECIDED | {Case.State.HOLDOVER}
CLOSED = {
    Case.State.SIGNED: "signed",
    Case.State.TRANSFERRED: "signed",
    Case.State.NOTICE: "notice",
    Case.State.MOVED_OUT: "moved_out",
    Case.State.ENDED_BY_OPERATOR: "over",
}

# What stands against a renewal of %(lease)s at %(now)s: the case's state (none: no case), whether a lease follows,
# whether a round waits (as in renewal/rounds.py), whether a batch holds it back (as in renewal/heldback.py), and
# whether staff have confirmed that %(person)s leaves while a flatmate stays.
AGAINST = Planned("""
    select c.state,
        exists (select from tenants_lease later where later.renews_id = lease.id and later.state <> 'void'),
        exists (
            select from renewal_round r
            where r.lease_id = lease.id and r.state = 'open' and (r.deadline > %(now)s or r.sealing = 'signing')
        ),
        exists (
            select from renewal_batchline line
            where line.lease_id = lease.id and line.verdict = 'held' and line.released_at is null
        ),
        exists (
            select from renewal_notice n join tenants_tenant t on t.id = n.tenant_id
            where n.case_id = c.id and n.only_them and n.withdrawn_at is null and n.confirmed_at is not null
                and coalesce(t.merged_into_id, t.id) = %(person)s
        )
    from (select %(lease)s::bigint as id) lease left join renewal_case c on c.lease_id = lease.id
""")
_PROPOSALS = rows.Joined("renewal_proposal proposal", proposal=Proposal)


class Closed(Exception):
    """There is nothing to choose any more (or yet). `kind` says why:

    signed, notice, moved_out, over (ended by the operator), not_yet (no case, or a batch holds it back), unpriced (no
    rent published), full (every term would end in a week that is full: `renewal.caps`), cotenant (another stands first
    on the contract), waiting (one has signed, and others have to as well: `renewal.rounds`).
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def prepare(*, today: date, now: datetime, leases: Collection[int] | None = None) -> int:
    """Every open case without a proposal has one, if there is a term to offer for its room; the number of new ones."""
    held = _without_proposal(leases)
    if not held:
        return 0
    card_of_lease = cards.build(list({each.lease_id: each.lease for each in held}.values()), today=today, now=now)
    held = [each for each in held if card_of_lease[each.lease_id].own.rates]
    personal = eligible.personal({_person(each.tenant) for each in held})
    subjects = [
        year.Subject(
            lease_id=each.lease_id,
            tenant_id=_person(each.tenant),
            building_id=each.lease.unit.building_id,
            personal=_person(each.tenant) in personal,
        )
        for each in held
    ]
    stories = story.tell(subjects, today=today)
    known = leading.facts({subject.building_id for subject in subjects}, today=today, now=now)
    new = [
        Proposal(
            lease_id=subject.lease_id,
            tenant_id=subject.tenant_id,
            story=stories[subject],
            card=cards.freeze(card_of_lease[subject.lease_id]),
            lead=leading.freeze(leading.of_card(card_of_lease[subject.lease_id], known.get(subject.building_id))),
            prepared_on=today,
            prepared_at=now,
        )
        for subject in subjects
    ]
    # Two workers may prepare the same lease: the constraint keeps one of the two.
    Proposal.objects.bulk_create(new, ignore_conflicts=True, batch_size=500)
    return len(new)


def _without_proposal(leases: Collection[int] | None) -> list[LeaseTenant]:
    """The primary tenants of open cases who have no proposal, with lease, unit and building."""
    person = Coalesce("tenant__merged_into_id", "tenant_id")
    rows = (
        LeaseTenant.objects.annotate(person=person)
        .filter(
            Exists(Case.objects.filter(lease=OuterRef("lease"), state__in=OPEN)),
            ~Exists(Lease.objects.filter(renews=OuterRef("lease")).exclude(state=Lease.State.VOID)),
            ~Exists(Proposal.objects.filter(lease=OuterRef("lease"), tenant=OuterRef("person"))),
            ~heldback.of("lease"),
            is_primary=True,
            lease__state=Lease.State.SIGNED,
        )
        .select_related("tenant", "lease__unit__building")
        .order_by("lease_id", "tenant_id")
    )
    if leases is not None:
        rows = rows.filter(lease__in=leases)
    # Two rows merged into one person are one tenant.
    return list({(row.lease_id, _person(row.tenant)): row for row in rows}.values())


def _stands_first(lease: Lease, tenant: Tenant) -> bool:
    """Whether the letter is theirs to answer: a co-tenant renews with whoever is named first."""
    first = LeaseTenant.objects.filter(lease=lease, is_primary=True).select_related("tenant")
    return _person(tenant) in {_person(row.tenant) for row in first}


def _person(tenant: Tenant) -> int:
    return tenant.merged_into_id or tenant.pk


def is_personal(tenant: Tenant) -> bool:
    """Whether the tenant may be told what was drawn from their behaviour: they agree, and did not choose otherwise."""
    return consents.wording(tenant).is_personal


def of(lease: Lease, tenant: Tenant) -> Proposal | None:
    """The tenant's proposal for a lease, if it has been prepared; it speaks of the lease and tenant in hand."""
    facts = {"lease": lease.pk, "person": _person(tenant)}
    found = _PROPOSALS.one("proposal.lease_id = %(lease)s AND proposal.tenant_id = %(person)s", facts)
    if found is None:
        return None
    proposal: Proposal = found["proposal"]
    proposal.lease = lease
    if proposal.tenant_id == tenant.pk:
        proposal.tenant = tenant
    return proposal


def for_link(link: Link, *, today: date, now: datetime) -> Proposal:
    """The proposal a link leads to, prepared if it was missing, its card as published today. Raises `Closed`."""
    asked = _asked(link.lease, link.tenant, now=now)
    if kind := asked.closed or ("not_yet" if asked.is_held_back else "notice" if asked.is_leaving else ""):
        raise Closed(kind)
    proposal = of(link.lease, link.tenant)
    if proposal is None:
        prepare(today=today, now=now, leases=[link.lease_id])
        proposal = of(link.lease, link.tenant)
        if proposal is None:
            if not _stands_first(link.lease, link.tenant):
                raise Closed("cotenant")
            raise _priceless(cards.build([link.lease], today=today, now=now, only={})[link.lease_id])
        return proposal
    card = cards.build([proposal.lease], today=today, now=now)[proposal.lease_id]
    if not card.own.rates:
        raise _priceless(card)
    if (frozen := cards.freeze(card)) != proposal.card:
        Proposal.objects.filter(pk=proposal.pk).update(card=frozen)
        proposal.card = frozen
    return proposal


@transaction.atomic
def open(link: Link, *, trusted: bool, today: date, now: datetime) -> Proposal:
    """As `for_link`; besides, the link counts as opened, and the case as viewed."""
    links.open(link, trusted=trusted, now=now)
    proposal = for_link(link, today=today, now=now)
    if proposal.opened_at is None:
        Proposal.objects.filter(pk=proposal.pk, opened_at=None).update(opened_at=now)
        proposal.opened_at = now
    move_up(proposal.lease, Case.State.VIEWED, now=now, cause="the proposal was opened")
    return proposal


def move_up(lease: Lease, to: Case.State, *, now: datetime, cause: str) -> None:
    """The case is at least as far as `to`; whoever had declined is back as soon as they consider."""
    earlier = set(cases.CHAIN[: cases.CHAIN.index(to)])
    if to == Case.State.CONSIDERING:
        earlier.add(Case.State.DECLINED)
    case = cases.case_of(lease)
    if case is not None and case.state in earlier:
        cases.move(case, to, now=now, cause=cause, by="tenant")


def refuse_if_closed(lease: Lease, *, now: datetime) -> None:
    """Nothing happens if the lease may still be renewed; else raises `Closed`."""
    if kind := _asked(lease, now=now).closed:
        raise Closed(kind)


def refuse_if_leaving(lease: Lease, tenant: Tenant, *, now: datetime) -> None:
    """Whoever leaves while a flatmate stays has nothing to choose once staff have confirmed it. Raises `Closed`."""
    if _asked(lease, tenant, now=now).is_leaving:
        raise Closed("notice")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What stands against a renewal."""

    closed: str  # for everybody on the lease, a kind of `Closed`; or nothing
    is_held_back: bool
    is_leaving: bool  # the person asked for, alone


def _asked(lease: Lease, tenant: Tenant | None = None, *, now: datetime) -> _Asked:
    facts = {"lease": lease.pk, "person": _person(tenant) if tenant else None, "now": now}
    ((state, is_followed, waits, is_held_back, is_leaving),) = AGAINST.rows(facts)
    if state is None:
        closed = "not_yet"
    elif state in CLOSED:
        closed = CLOSED[Case.State(state)]
    else:
        closed = "signed" if is_followed else "waiting" if waits else ""
    return _Asked(closed, is_held_back, is_leaving)


def card_of(proposal: Proposal) -> offers.Card:
    """The card as it was frozen (and shown)."""
    return cards.thaw(proposal.card)


def card_on(proposal: Proposal, *, today: date, now: datetime | None = None) -> offers.Card:
    """The card as it stands on `today`: the lines published for that day, without rooms let meanwhile.

    Rooms kept for others at `now` are named apart, as in `cards.build`. Raises `Closed` if nothing is published any
    more for the room lived in, or every term of it would end in a full week.
    """
    lease = Lease.objects.select_related("unit").get(pk=proposal.lease_id)
    frozen = card_of(proposal)
    shown = {room.unit for room in frozen.rooms[1:]} | {room.unit for room in frozen.held}
    card = cards.build([lease], today=today, now=now, only={lease.pk: shown})[lease.pk]
    if not card.own.rates:
        raise _priceless(card)
    return card


def _priceless(card: offers.Card) -> Closed:
    """Why there is no rent for the room lived in."""
    return Closed("full" if card.own.full else "unpriced")
