"""Tickets: an address that opens one tenant's own letter, once, within minutes. The only writer of them.

A partner that already knows the tenant (a locker's account, an app's user, a contract) asks for one, and sends the
tenant there. A ticket for somebody nobody knows is made, answered and shown alike, and leads to the common door, so
that nobody learns from it who lives here. Reading one changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from django.conf import settings
from django.db import transaction

from campaigns.models import Ticket, Touchpoint
from connectors.models import InboundKey
from connectors.records import AliasSource
from tenants import identity, links
from tenants.models import Tenant

# By what each kind of place may know somebody: nobody tries contracts at a locker, and a screen knows nobody.
WHO: dict[str, tuple[str, ...]] = {
    Touchpoint.Kind.LOCKER: (AliasSource.LOCKER,),
    Touchpoint.Kind.APP: (AliasSource.APP,),
    Touchpoint.Kind.PAYMENT: (AliasSource.CONTRACT,),
    Touchpoint.Kind.BILL: (AliasSource.CONTRACT,),
}
LIVES = timedelta(minutes=10)
KEPT = timedelta(days=7)


def of_key(code: str, key: InboundKey) -> Touchpoint | None:
    """The touchpoint of this code, if this key may ask for its tickets."""
    return Touchpoint.objects.filter(code=code, key=key).first()


def known_by(one: Touchpoint) -> tuple[str, ...]:
    """The sources of references by which this touchpoint's partner may name somebody."""
    return WHO.get(one.kind, ())


class TooMany(Exception):
    """The touchpoint has had its share of tickets in the last minute."""


@transaction.atomic
def make(one: Touchpoint, source: str, ref: str, *, now: datetime) -> tuple[str, Ticket]:
    """A ticket's token and row for whoever the reference stands for, known or not: both take the same statements.

    Raises `TooMany`.
    """
    # One after the other at each touchpoint, or calls at once would all find room under the limit.
    Touchpoint.objects.select_for_update(no_key=True).get(pk=one.pk)
    lately = Ticket.objects.filter(touchpoint=one, created_at__gt=now - timedelta(minutes=1))
    if lately.count() >= settings.TOUCH_LINKS_PER_MINUTE:
        raise TooMany
    Ticket.objects.filter(expires_at__lt=now - KEPT).delete()
    token = links.token_for(f"once:{uuid4().hex}")
    tenant = identity.people_by(source, [ref]).get(ref)
    row = Ticket.objects.create(
        token_hash=links.hash_of(token),
        touchpoint=one,
        tenant_id=tenant,
        created_at=now,
        expires_at=now + LIVES,
    )
    return token, row


def find(token: str) -> Ticket | None:
    """The ticket of this token, whatever became of it."""
    found = Ticket.objects.select_related("touchpoint__building", "tenant__merged_into")
    return found.filter(token_hash=links.hash_of(token)).first() if links.TOKEN.fullmatch(token) else None


def is_good(found: Ticket, *, now: datetime) -> bool:
    """Whether a ticket may still be used."""
    return found.used_at is None and found.expires_at > now and found.touchpoint.paused_at is None


def use(found: Ticket, *, now: datetime) -> Tenant | None:
    """Whose letter the ticket opens, this once; nobody's where it was used, has expired, or never stood for anybody."""
    unused = Ticket.objects.filter(pk=found.pk, used_at=None, expires_at__gt=now, touchpoint__paused_at=None)
    return found.tenant if unused.update(used_at=now) else None
