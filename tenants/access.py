"""The only doors through which staff reach rows: what a person may see follows from their memberships.

A membership names a role and a building (none: all of them) between two days. Technicians see the repairs of
their buildings, but not the people who live there; everybody else sees both. Superusers see everything.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, OuterRef, Q, QuerySet

from tenants.models import Building, Lease, LeaseTenant, Membership, Tenant, User

Role = Membership.Role
# The higher one counts where somebody has several.
RANK = (Role.HQ, Role.MANAGER, Role.CARE, Role.FINANCE, Role.TECHNICIAN)
SEES_PEOPLE = frozenset({Role.HQ, Role.MANAGER, Role.CARE, Role.FINANCE})

Somebody = User | AnonymousUser


def role_for(user: Somebody, *, today: date) -> str:
    """The highest role a person holds today; empty if none."""
    if not isinstance(user, User) or not user.is_active:
        return ""
    if user.is_superuser:
        return Role.HQ
    held = set(_memberships(user, today).values_list("role", flat=True))
    return next((role for role in RANK if role in held), "")


def is_hq(user: Somebody, *, today: date) -> bool:
    """Whether a person runs the whole house: rules, sources, the demo's clock."""
    return role_for(user, today=today) == Role.HQ


def sees_everything(user: Somebody, *, today: date) -> bool:
    """Whether a person's doors lead to all buildings, those to come included."""
    if not isinstance(user, User) or not user.is_active:
        return False
    return user.is_superuser or _memberships(user, today).filter(building=None, role__in=SEES_PEOPLE).exists()


def buildings_for(user: Somebody, *, today: date, roles: Collection[str] = frozenset(Role)) -> QuerySet[Building]:
    """The buildings a person works in today, in one of `roles`."""
    if not isinstance(user, User) or not user.is_active:
        return Building.objects.none()
    if user.is_superuser:
        return Building.objects.all()
    held = _memberships(user, today).filter(role__in=roles)
    return Building.objects.filter(Exists(held.filter(Q(building=None) | Q(building=OuterRef("pk")))))


def leases_for(user: Somebody, *, today: date) -> QuerySet[Lease]:
    """The leases a person may see: those of the units of their buildings."""
    return Lease.objects.filter(unit__building__in=buildings_for(user, today=today, roles=SEES_PEOPLE))


def tenants_for(user: Somebody, *, today: date) -> QuerySet[Tenant]:
    """The tenants a person may see: those on a lease they may see. Merged ones are seen as whom they became."""
    theirs = LeaseTenant.objects.filter(
        Q(tenant=OuterRef("pk")) | Q(tenant__merged_into=OuterRef("pk")),
        lease__unit__building__in=buildings_for(user, today=today, roles=SEES_PEOPLE),
    )
    return Tenant.objects.filter(Exists(theirs), merged_into=None)


def _memberships(user: User, today: date) -> QuerySet[Membership]:
    return Membership.objects.filter(Q(last_day=None) | Q(last_day__gte=today), user=user, first_day__lte=today)


def masked(phone: str) -> str:
    """A phone number as a list shows it: enough to recognise, too little to call."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 8 else "****"
