"""Tickets at the letter's side: one tap opens the letter of whoever the ticket stands for, once."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from campaigns import tickets
from campaigns.models import Ticket
from renewal import door, letters
from tenants import links
from tenants.models import Link


class ToTheDoor(Exception):
    """The ticket opens nothing (any more): whoever has it goes to the common door, from `origin`."""

    def __init__(self, origin: str = "") -> None:
        super().__init__(self.__doc__)
        self.origin = origin


def good(token: str, *, now: datetime) -> Ticket:
    """The ticket, while it may be used. Changes nothing. Raises `ToTheDoor`."""
    found = tickets.find(token)
    if found is None or not tickets.is_good(found, now=now):
        raise ToTheDoor(found.touchpoint.code if found else "")
    return found


def open(token: str, *, trusted: bool, today: date, now: datetime) -> Link:
    """The letter's link, opened; the ticket is spent first, whatever comes of it. Raises `ToTheDoor` and as a letter.

    A machine that posts spends it too: what it was for is a tap at that moment, and the door stays open.
    """
    ticket = good(token, now=now)
    tenant = tickets.use(ticket, now=now)
    lease = door.lease_of(tenant) if tenant else None
    if tenant is None or lease is None:
        raise ToTheDoor(ticket.touchpoint.code)
    link, _token = links.mint(
        f"once:{ticket.touchpoint.code}:{ticket.pk}",
        tenant=tenant.merged_into or tenant,
        lease=lease,
        purpose=Link.Purpose.PROPOSAL,
        expires_at=max(links.expiry(lease, now=now), now + timedelta(days=1)),
        now=now,
    )
    letters.open(link, trusted=trusted, here_before=False, today=today, now=now)
    return link
