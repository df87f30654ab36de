"""Two rows of tenants that turned out to be one person, and back.

No foreign key moves: a merge is one row, `Tenant.merged_into` follows from the merges that stand and always points
at the root, and readers resolve it. What arrives meanwhile is stored under the tenant its alias or lease names. So
undoing a merge, in whatever order, leaves both histories as if it had never been.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from connectors.records import AliasSource
from tenants import clock, current, links, recording
from tenants.models import Alias, Merge, Tenant, User

# Two at once might each be right alone and close a ring together. Readers are not held up.
LOCK = "LOCK TABLE tenants_merge IN SHARE ROW EXCLUSIVE MODE"

# Where each tenant's standing merges end. `UNION` ends the walk on a ring too, though none can be made.
_ROOTS_SQL = """
    WITH RECURSIVE up(id, at) AS (
        SELECT DISTINCT merged_id, merged_id FROM tenants_merge
        UNION
        SELECT up.id, merge.kept_id
        FROM up JOIN tenants_merge merge ON merge.merged_id = up.at AND merge.undone_at IS NULL
    ),
    root AS (
        SELECT up.id, nullif(up.at, up.id) AS root
        FROM up
        WHERE NOT EXISTS (SELECT FROM tenants_merge m WHERE m.merged_id = up.at AND m.undone_at IS NULL)
    )
    UPDATE tenants_tenant tenant SET merged_into_id = root.root
    FROM root WHERE tenant.id = root.id AND tenant.merged_into_id IS DISTINCT FROM root.root
    RETURNING tenant.id
"""
# Days on which both are on a lease of one unit. Two people may share a room; one person is not two of its tenants.
_TOGETHER_SQL = """
    SELECT unit.code
    FROM tenants_leasetenant one
    JOIN tenants_lease held ON held.id = one.lease_id AND held.state = 'signed'
    JOIN tenants_lease shared ON shared.unit_id = held.unit_id AND shared.state = 'signed'
        AND shared.first_day <= held.last_day AND held.first_day <= shared.last_day
    JOIN tenants_leasetenant other ON other.lease_id = shared.id
    JOIN tenants_unit unit ON unit.id = held.unit_id
    WHERE one.tenant_id = ANY(%(one)s) AND other.tenant_id = ANY(%(other)s)
    ORDER BY held.last_day DESC
    LIMIT 1
"""


class NotMergeable(Exception):
    """These two cannot be made one; the message says why, fit for a clerk."""


class NotUndoable(Exception):
    """This merge does not stand any more."""


def rows_of(person: int) -> list[int]:
    """The ids of all tenants this person is known as, the person's own first."""
    merged = Tenant.objects.filter(merged_into=person).order_by("pk").values_list("pk", flat=True)
    return [person, *merged]


def root_of(tenant: Tenant) -> int:
    return tenant.merged_into_id or tenant.pk


@transaction.atomic
def merge(kept: Tenant, merged: Tenant, *, reason: str, by: User | None, now: datetime) -> Merge:
    """Both are one person, seen as `kept`, whose name and phone are of the latest contract; raises `NotMergeable`."""
    if not (reason := reason.strip()):
        raise NotMergeable(_("Please say why they are one person."))
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
    kept, merged = (Tenant.objects.get(pk=tenant.pk) for tenant in (kept, merged))
    if why_not := obstacle(kept, merged):
        raise NotMergeable(why_not)
    made = Merge.objects.create(kept=kept, merged=merged, reason=reason[:200], by=by, at=now)
    follow({root_of(kept), merged.pk}, now=now)
    return made


@transaction.atomic
def unmerge(merge: Merge, *, why: str, by: User | None, now: datetime) -> None:
    """Both are two people again, each with what was theirs; links of one's lease stop opening for the other.

    Raises `NotMergeable` without a reason, and `NotUndoable` for one that was undone before.
    """
    if not (why := why.strip()):
        raise NotMergeable(_("Please say why they are two people."))
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
    standing = Merge.objects.filter(pk=merge.pk, undone_at=None)
    if not standing.update(undone_at=now, undone_by=by, undone_why=why[:200]):
        raise NotUndoable(_("This merge has been undone already."))
    before = root_of(Tenant.objects.get(pk=merge.kept_id))
    follow({before, merge.merged_id}, now=now)
    links.revoke_strangers([*rows_of(before), *rows_of(merge.merged_id)], now=now)


def obstacle(kept: Tenant, merged: Tenant) -> str:
    """Why these two cannot be merged, in one sentence; empty if they can."""
    if kept.pk == merged.pk:
        return _("That is the same record twice.")
    if root_of(kept) == root_of(merged):
        return _("They are one person already.")
    if merged.merged_into_id:
        return _("%(name)s is part of another person already; merge that person.") % {"name": merged.name}
    ours, theirs = rows_of(root_of(kept)), rows_of(merged.pk)
    cards = [_cards(rows) for rows in (ours, theirs)]
    if all(cards) and cards[0] != cards[1]:
        return _("Their identity cards are different: they are two people.")
    with connection.cursor() as cursor:
        cursor.execute(_TOGETHER_SQL, {"one": ours, "other": theirs})
        shared = cursor.fetchone()
    if shared:
        return _("Both are tenants of %(unit)s on the same days: they are two people.") % {"unit": shared[0]}
    return ""


def history(person: int) -> QuerySet[Merge]:
    """Every merge this person or one of their rows was ever part of, the latest first."""
    rows = rows_of(person)
    return (
        Merge.objects.filter(Q(kept__in=rows) | Q(merged__in=rows))
        .select_related("kept", "merged", "by", "undone_by")
        .order_by("-at", "-pk")
    )


def _cards(rows: list[int]) -> set[str]:
    return set(Alias.objects.filter(source=AliasSource.ID_HASH, tenant__in=rows).values_list("ref", flat=True))


def follow(people: Collection[int], *, now: datetime) -> None:
    """`merged_into` says what the standing merges say, and the feature rows of these people follow."""
    with connection.cursor() as cursor:
        cursor.execute(_ROOTS_SQL)
    # The name and the phone on file are those of the person's latest contract, under whichever row it stands.
    recording.settle_contacts(sorted({row for person in people for row in rows_of(person)}))
    current.compute(today=clock.day_of(now), now=now, tenants=people)
