"""续签建议书: the tenant's year and the offers, frozen when they are prepared."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from renewal import offers
from renewal.models import Proposal
from tenants.models import Lease, Link, Tenant


class Closed(Exception):
    """There is nothing to choose any more (or yet). `kind` says why:

    signed, notice, moved_out, over (ended by the operator), not_yet (no case), unpriced (no rent published).
    """

    def __init__(self, kind: str, lease: Lease) -> None:
        super().__init__(kind)
        self.kind = kind
        self.lease = lease


def prepare(*, today: date, now: datetime, leases: Collection[int] | None = None) -> int:
    """Every open case without a proposal has one; the number of new ones."""
    raise NotImplementedError


def of(lease: Lease, tenant: Tenant) -> Proposal | None:
    """The tenant's proposal for a lease, if it has been prepared."""
    raise NotImplementedError


def for_link(link: Link, *, today: date, now: datetime) -> Proposal:
    """The proposal a link leads to, prepared if it was missing, its card as published today. Raises `Closed`."""
    raise NotImplementedError


def open(link: Link, *, trusted: bool, today: date, now: datetime) -> Proposal:
    """As `for_link`; besides, the link counts as opened, and the case as viewed."""
    raise NotImplementedError


def card_of(proposal: Proposal) -> offers.Card:
    """The card as it was frozen (and shown)."""
    raise NotImplementedError


def card_on(proposal: Proposal, *, today: date) -> offers.Card:
    """The card as it stands on `today`: the lines published for that day, without rooms let meanwhile."""
    raise NotImplementedError
