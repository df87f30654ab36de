"""An alias given to a person by hand, and taken back.

What comes under such an alias is stored under a row of tenants of its own, merged into the person (`tenants.merges`):
every reader sees it as theirs, and it is known apart, so that taking the alias back takes that along, and nothing else.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from connectors.records import AliasSource
from tenants import clock, current, features, identity, merges, waiting
from tenants.attributes import BY_HAND
from tenants.holders import HELD_SQL
from tenants.models import Alias, LeaseTenant, Merge, Tenant, User

# A contract's number follows from contracts, an identity card's number is never typed here.
SOURCES = (
    AliasSource.PHONE, AliasSource.APP, AliasSource.WECHAT, AliasSource.COMMUNITY, AliasSource.LOCKER,
    AliasSource.ANONYMOUS,
)  # fmt: skip
PHONE = re.compile(r"1\d{10}")
MOST = 128

# What somebody unknown did waits, as if it had just come; what happened on a unit is its holder's.
_GIVE_BACK_SQL = f"""
    WITH gone AS (
        DELETE FROM tenants_event WHERE tenant_id = %(row)s AND unit_id IS NULL RETURNING *
    ),
    waits AS (
        INSERT INTO tenants_waitingevent (source, source_id, kind, at, who_source, who_ref, data, recorded_at)
        SELECT source, source_id, kind, at, %(source)s, %(ref)s, data, recorded_at FROM gone
        ON CONFLICT (source, source_id) DO NOTHING
    )
    UPDATE tenants_event event SET tenant_id = (
        SELECT held.tenant_id FROM ({HELD_SQL}) held
        WHERE held.unit_id = event.unit_id AND event.at >= held.from_at AND event.at < held.to_at)
    WHERE event.tenant_id = %(row)s AND event.unit_id IS NOT NULL
    RETURNING event.tenant_id
"""  # noqa: S608


class NotNameable(Exception):
    """The alias cannot be given; the message says why, fit for a clerk. `owner` is whose it is, if that is why."""

    def __init__(self, reason: str, owner: int | None = None) -> None:
        super().__init__(reason)
        self.owner = owner


@transaction.atomic
def give(person: Tenant, source: str, ref: str, *, why: str, by: User | None, now: datetime) -> Merge:
    """The alias stands for the person, and what waited for it has happened to them; raises `NotNameable`."""
    ref, why = _cleaned(source, ref), why.strip()
    if not why:
        raise NotNameable(_("Please say how you know that it is theirs."))
    with connection.cursor() as cursor:
        cursor.execute(merges.LOCK)
    person = Tenant.objects.get(pk=merges.root_of(Tenant.objects.get(pk=person.pk)))
    _refuse_taken(person, source, ref)
    row = Tenant.objects.create(name=person.name, created_at=now)
    made = Merge.objects.create(
        kept=person, merged=row, alias_source=source, alias_ref=ref, reason=why[:200], by=by, at=now
    )
    merges.follow({person.pk}, now=now)  # before anything is stored under the row, so that it is never nobody's
    origin = f"{BY_HAND} {by.get_username() if by else ''}".strip()[:120]
    identity.name_tenants({(source, ref): row.pk}, now=now, origins={(source, ref): origin})
    if Alias.objects.get(source=source, ref=ref).tenant_id != row.pk:  # a source was faster
        _refuse_taken(person, source, ref)
    current.compute(today=clock.day_of(now), now=now, tenants={person.pk, row.pk})
    return made


@transaction.atomic
def take_back(made: Merge, *, why: str, by: User | None, now: datetime) -> None:
    """The alias stands for nobody again, and what came under it waits; raises as `merges.unmerge` does.

    Where a contract has named the row since, the row is a person of its own, whose alias it stays.
    """
    merges.unmerge(made, why=why, by=by, now=now)
    if LeaseTenant.objects.filter(tenant=made.merged_id).exists():
        return
    first = (made.alias_source, made.alias_ref)
    held = Alias.objects.filter(tenant=made.merged_id)
    beside = [(first, ref) for ref in held.values_list("source", "ref") if ref != first]
    held.delete()
    if beside:
        waiting.tell(beside, now=now)
    _give_back(made, now)
    # Somebody may be storing something under the alias at this moment.
    transaction.on_commit(partial(_give_back, made, now), robust=True)


def _give_back(made: Merge, now: datetime) -> None:
    facts: dict[str, Any] = {"row": made.merged_id, "source": made.alias_source, "ref": made.alias_ref}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_GIVE_BACK_SQL, facts)
        features.mark([owner for (owner,) in cursor.fetchall() if owner], now=now)


def _cleaned(source: str, ref: str) -> str:
    ref = ref.strip()
    if source not in SOURCES:
        raise NotNameable(_("Choose what it is."))
    if source == AliasSource.PHONE:
        ref = re.sub(r"^\+86|[\s-]", "", ref)
        if not PHONE.fullmatch(ref):
            raise NotNameable(_("A phone number has eleven digits and begins with 1."))
    if not ref or len(ref) > MOST or not ref.isprintable():
        raise NotNameable(_("Enter it as the source says it, in at most %(most)s characters.") % {"most": MOST})
    return ref


def _refuse_taken(person: Tenant, source: str, ref: str) -> None:
    alias = Alias.objects.filter(source=source, ref=ref).select_related("tenant").first()
    if alias is None or alias.tenant is None:
        return
    owner = merges.root_of(alias.tenant)
    if owner == person.pk:
        raise NotNameable(_("That stands for %(name)s already.") % {"name": person.name}, owner)
    raise NotNameable(_("That stands for another person already; nothing was changed."), owner)
