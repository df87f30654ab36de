"""The only doors through which staff reach rows: what a person may see follows from their memberships.

A membership names a role and a building (none: all of them) between two days. Technicians see the repairs of
their buildings, but not the people who live there; everybody else sees both. Superusers see everything.
"""

from __future__ import annotations

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


def buildings_for(user: Somebody, *, today: date) -> QuerySet[Building]:
    """The buildings a person works in today."""
    return _buildings(user, today, roles=frozenset(Role))


def leases_for(user: Somebody, *, today: date) -> QuerySet[Lease]:
    """The leases a person may see: those of the units of their buildings."""
    return Lease.objects.filter(unit__building__in=_buildings(user, today, roles=SEES_PEOPLE))


def tenants_for(user: Somebody, *, today: date) -> QuerySet[Tenant]:
    """The tenants a person may see: those on a lease they may see. Merged ones are seen as whom they became."""
    theirs = LeaseTenant.objects.filter(
        Q(tenant=OuterRef("pk")) | Q(tenant__merged_into=OuterRef("pk")),
        lease__unit__building__in=_buildings(user, today, roles=SEES_PEOPLE),
    )
    return Tenant.objects.filter(Exists(theirs), merged_into=None)


def _buildings(user: Somebody, today: date, *, roles: frozenset[Role]) -> QuerySet[Building]:
    if not isinstance(user, User) or not user.is_active:
        return Building.objects.none()
    if user.is_superuser:
        return Building.objects.all()
    memberships = _memberships(user, today).filter(role__in=roles)
    return Building.objects.filter(
        Exists(memberships.filter(Q(building=None) | Q(building=OuterRef("pk")))),
    )


def _memberships(user: User, today: date) -> QuerySet[Membership]:
    return Membership.objects.filter(Q(last_day=None) | Q(last_day__gte=today), user=user, first_day__lte=today)
