"""What the campaigns about letters share: a house with letters, their readers, and what a choice costs by plain SQL."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client

from renewal import cards, cases, proposals, quotes
from renewal.models import Code, Proposal
from renewal.offers import Choice
from tenants import clock, codes, links, outbox
from tenants.models import Lease, Link, Message, Perk, Unit
from tests.letter import make_letter, opened
from tests.makers import NOW, TODAY, make_unit

LIMITS = [name for name in dir(settings) if name.startswith("H5_")]
CROWD = 8  # so many sign for a room at once where the locks are off (faults/webapp.py waits for all of them)
EVERY = 10**9  # no limit
LARGE = "朝南大一居"
_numbers = count(1)

# What a choice costs whoever holds the lease, straight from the published rows; no row where nothing is published.
PRICE = """
    with asked as (
        select l.*, l.last_day + 1 as begins, own.building_id, u.id as wanted_id, u.room_type, u.code,
            case when u.id = l.unit_id then l.deposit else u.list_rent end as asked_deposit
        from tenants_lease l join tenants_unit own on own.id = l.unit_id
        join tenants_unit u on u.code = coalesce(nullif(%(unit)s, ''), own.code) and u.building_id = own.building_id
        where l.id = %(lease)s
    )
    select r.monthly_rent, r.monthly_rent * (r.term_months - r.free_months),
        round(r.monthly_rent * (r.term_months - r.free_months) / r.term_months, 2), a.asked_deposit, a.begins,
        (a.begins + make_interval(months => r.term_months))::date - 1, a.code
    from asked a join renewal_rate r on r.building_id = a.building_id and r.room_type = a.room_type
    where r.term_months = %(term)s and r.free_months = %(free)s and %(day)s between r.signed_from and r.signed_to
    order by r.signed_from desc limit 1
"""


@dataclass
class Reader:
    """Somebody whose letter is open in their browser."""

    link: Link
    client: Client
    rooms: set[str]  # those the page offers, their own as ""

    @property
    def proposal(self) -> Proposal:
        found = Proposal.objects.select_related("tenant", "lease__unit__building")
        return found.get(lease=self.link.lease_id)  # also where it has been signed


def begin(**limits: int) -> None:
    """It is ten in the morning, nothing is throttled but by `limits`, and what Django says of refusals is not shown."""
    logging.getLogger("django").setLevel(logging.CRITICAL)
    clock.set_to(NOW)
    for name in LIMITS:
        setattr(settings, name, limits.get(name, EVERY))
    Perk.objects.get_or_create(
        code="stay",
        defaults={"name": "民宿体验券", "condition": "", "cost": 0, "is_choice": True, "min_term_months": 12},
    )


def reader(**facts: Any) -> Reader:
    """A letter that has just been opened."""
    link, token = make_letter(f"message:fault:{next(_numbers)}", **facts)
    client = Client(SERVER_NAME="127.0.0.1", raise_request_exception=False)
    assert opened(client, token).status_code == 303
    page = client.get("/r/letter/").content.decode()
    return Reader(link, client, set(re.findall(r'name="unit" value="([^"]*)"', page)) | {""})


def letter(**facts: Any) -> Link:
    """A letter that nobody has opened yet."""
    return make_letter(f"message:fault:{next(_numbers)}", **facts)[0]


def proposal_of(link: Link) -> Proposal:
    """What the letter proposes, its card as published now."""
    return proposals.for_link(link, today=TODAY, now=NOW)


def offer_undecided() -> None:
    """Rooms are offered although their tenants have not decided: for campaigns in which people swap theirs."""
    cards.GONE = [*cards.GONE, *(str(state) for state in cases.UNDECIDED)]  # type: ignore[list-item]


def vacant(building: Any, **facts: Any) -> Unit:
    """Another room of the larger kind that nobody lives in."""
    facts = {"room_type": LARGE, "list_rent": Decimal("4600.00")} | facts
    return make_unit(f"{building.code}-V{next(_numbers):04}", building, **facts)


def price_of(lease: Lease | int, *, term: int, free: int, unit: str, day: Any) -> tuple[Any, ...] | None:
    """(rent, total, average, deposit, first day, last day, unit) by SQL; none where it is not published."""
    pk = lease if isinstance(lease, int) else lease.pk
    with connection.cursor() as cursor:
        cursor.execute(PRICE, {"lease": pk, "term": term, "free": free, "unit": unit, "day": day})
        found: tuple[Any, ...] | None = cursor.fetchone()
    return found


def coded(proposal: Proposal, *, now: Any) -> str:
    """The digits of a code on its way to the tenant, without the limits of asking for one."""
    number = Code.objects.filter(proposal=proposal).count() + 1
    draft = outbox.Draft(
        key=f"code:{proposal.pk}:{proposal.tenant_id}:{number}",
        klass=Message.Class.CODE,
        text="{code}",
        deadline=now + timedelta(minutes=5),
        tenant_id=proposal.tenant_id,
        lease_id=proposal.lease_id,
    )
    message = outbox.post(draft, now=now)
    Code.objects.create(
        proposal=proposal,
        signer_id=proposal.tenant_id,
        number=number,
        message=message,
        asked_at=now,
        expires_at=now + timedelta(minutes=5),
    )
    return codes.digits(message.key)


def quoted(proposal: Proposal, choice: Choice | None = None, *, now: Any = NOW) -> str:
    return quotes.quote(proposal, choice or Choice(12), now=now).token


def minted(link: Link) -> str:
    """The token of a link."""
    return links.token_for(link.carrier)
