"""Links and their clicks: one token per carrier, stored hashed, expiring, revocable. Reading one changes nothing.

A token is derived by HMAC from its carrier, so a message tried twice carries the same address, and the
database alone opens no page: it knows only the token's hash.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.db import connection, transaction

from tenants import clock, rows
from tenants.models import Building, Click, Lease, Link, Tenant, Unit

LIFETIME = timedelta(days=30)
PREFIXES: dict[str, str] = {
    Link.Purpose.PROPOSAL: "r",
    Link.Purpose.MOOD: "m",
    Link.Purpose.SURVEY: "s",
    Link.Purpose.ROADMAP: "r",
}
# A link with what its pages speak of; a merged tenant with the person they turned out to be.
_KNOWN = rows.Joined(
    """tenants_link link
    JOIN tenants_tenant tenant ON tenant.id = link.tenant_id
    LEFT JOIN tenants_tenant person ON person.id = tenant.merged_into_id
    JOIN tenants_lease lease ON lease.id = link.lease_id
    JOIN tenants_unit unit ON unit.id = lease.unit_id
    JOIN tenants_building building ON building.id = unit.building_id""",
    link=Link,
    tenant=Tenant,
    person=Tenant,
    lease=Lease,
    unit=Unit,
    building=Building,
)
TOKEN = re.compile(r"[a-z2-7]{26}", re.ASCII)  # 128 bits in base32


class NotUsable(Exception):
    """This link opens nothing (any more)."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Unknown(NotUsable):
    """There is no such link."""


class Expired(NotUsable):
    """This link has expired."""


class Revoked(NotUsable):
    """This link has been withdrawn."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A link that is to be there."""

    carrier: str
    tenant: int
    lease: int
    purpose: str
    expires_at: datetime


def mint(
    carrier: str, *, tenant: Tenant, lease: Lease, purpose: str, expires_at: datetime, now: datetime
) -> tuple[Link, str]:
    """The carrier has its one link; its row and its token. What was minted first stays as it was."""
    (token,) = mint_many([Wanted(carrier, tenant.pk, lease.pk, purpose, expires_at)], now=now)
    return Link.objects.get(carrier=carrier), token


def mint_many(wanted: Sequence[Wanted], *, now: datetime) -> list[str]:
    """Each carrier has its one link; their tokens, in that order. What was minted first stays as it was."""
    tokens = [token_for(one.carrier) for one in wanted]
    rows = [
        Link(
            token_hash=hash_of(token),
            tenant_id=one.tenant,
            lease_id=one.lease,
            purpose=one.purpose,
            carrier=one.carrier,
            created_at=now,
            expires_at=one.expires_at,
        )
        for one, token in zip(wanted, tokens, strict=True)
    ]
    Link.objects.bulk_create(rows, ignore_conflicts=True)
    return tokens


def url(token: str, purpose: str = Link.Purpose.PROPOSAL) -> str:
    """The address a tenant sees."""
    return f"{settings.SITE_URL}/{PREFIXES[purpose]}/{token}"


def expiry(lease: Lease, *, now: datetime) -> datetime:
    """When a link sent now stops working: the end of the lease's last day, and 30 days at most."""
    return expiry_of(lease.last_day, now=now)


def expiry_of(last_day: date, *, now: datetime) -> datetime:
    """The same for a lease of which only the last day is at hand."""
    return min(clock.at(last_day + timedelta(days=1)), now + LIFETIME)


def find(token: str, *, purpose: str = Link.Purpose.PROPOSAL, now: datetime) -> Link:
    """The live link of this token. Raises `Unknown`, `Expired` or `Revoked`; changes nothing.

    A link of another kind of address is unknown: what opens a question opens no letter.
    """
    if not TOKEN.fullmatch(token):
        raise Unknown
    sought = {"hash": hash_of(token), "purposes": beside(purpose)}
    link = _known("link.token_hash = %(hash)s AND link.purpose = ANY(%(purposes)s)", sought)
    refuse_if_dead(link.revoked_at, link.expires_at, now=now)
    return link


def get(pk: int) -> Link:
    """The link of this id, live or not, as `find` gives it. Raises `Unknown`."""
    return _known("link.id = %(pk)s", {"pk": pk})


def refuse_if_dead(revoked_at: datetime | None, expires_at: datetime, *, now: datetime) -> None:
    """Nothing happens if a link of which this is so still opens something; else raises `Revoked` or `Expired`."""
    if revoked_at is not None:
        raise Revoked
    if expires_at <= now:
        raise Expired


def _known(where: str, facts: Mapping[str, Any]) -> Link:
    found = _KNOWN.one(where, facts)
    if found is None:
        raise Unknown
    link: Link = found["link"]
    link.tenant, link.lease = found["tenant"], found["lease"]
    link.tenant.merged_into = found["person"]
    link.lease.unit = found["unit"]
    link.lease.unit.building = found["building"]
    return as_person(link)


def beside(purpose: str) -> list[str]:
    """The purposes of links whose addresses begin alike."""
    return [each for each, prefix in PREFIXES.items() if prefix == PREFIXES[purpose]]


def as_person(link: Link) -> Link:
    """The link in hand speaks of the person its tenant turned out to be; the row keeps the tenant it was made for."""
    link.tenant = link.tenant.merged_into or link.tenant
    return link


@transaction.atomic
def open(link: Link, *, trusted: bool, now: datetime) -> Click:
    """The link has its one click; proven if a person's gesture made it. Once proven it stays so."""
    click, _ = Click.objects.get_or_create(link=link, defaults={"opened_at": now})
    return prove(link, proof="gesture", now=now) if trusted else click


def prove(link: Link, *, proof: Literal["gesture", "code"], now: datetime) -> Click:
    """The link's click is proven, by its first proof; a link confirmed without an opening counts as opened now."""
    click, _ = Click.objects.get_or_create(link=link, defaults={"opened_at": now})
    Click.objects.filter(pk=click.pk, proven_at__isnull=True).update(proven_at=now, proof=proof)
    click.refresh_from_db()
    return click


def revoke(lease: Lease, *, purpose: str, now: datetime) -> int:
    """No link of this lease and purpose opens any more; says how many did until now."""
    return Link.objects.filter(lease=lease, purpose=purpose, revoked_at__isnull=True).update(revoked_at=now)


def revoke_strangers(tenants: Collection[int], *, now: datetime) -> int:
    """No link of these tenants opens for a lease they are not on; says how many did until now."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE tenants_link link SET revoked_at = %(now)s
            FROM tenants_tenant reader
            WHERE link.tenant_id = ANY(%(tenants)s) AND link.revoked_at IS NULL AND reader.id = link.tenant_id
              AND NOT EXISTS (
                SELECT FROM tenants_leasetenant lt JOIN tenants_tenant t ON t.id = lt.tenant_id
                WHERE lt.lease_id = link.lease_id
                  AND coalesce(t.merged_into_id, t.id) = coalesce(reader.merged_into_id, reader.id))
            """,
            {"now": now, "tenants": list(tenants)},
        )
        return cursor.rowcount


def token_for(carrier: str) -> str:
    """The token of whatever is called so: 26 characters that only the holder of the key can make."""
    # The prefix keeps links and one-time codes apart, though one key signs both.
    mac = hmac.new(settings.LINK_KEY.encode(), f"link:{carrier}".encode(), hashlib.sha256).digest()
    return base64.b32encode(mac[:16]).decode().rstrip("=").lower()


def live_token(carrier: str, *, now: datetime) -> str:
    """The token of the link of that carrier; empty where there is none, or it opens nothing (any more)."""
    live = Link.objects.filter(carrier=carrier, revoked_at=None, expires_at__gt=now)
    return token_for(carrier) if live.exists() else ""


def hash_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
