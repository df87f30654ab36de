"""Perks that a step's rule owes: the line stands in the ledger before anything speaks of it.

A perk is open to all who meet its published condition, whatever becomes of the message; so it may follow only from
published facts of service or tenure, never from habits or a segment.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta

from django.db.models import Q
from django.utils.translation import gettext as _

from campaigns import segments
from campaigns.due import Due
from campaigns.grammar import Rule
from campaigns.models import StepVersion
from campaigns.reasons import Reasons
from tenants import clock, perks
from tenants.models import Membership, Perk

PUBLISHED_FACTS = {
    ("tag", "repair_was_late"),
    ("feature", "late_accepts_365"),
    ("feature", "worst_accept_hours"),
    ("lease", "days_to_end"),
    ("lease", "tenure_days"),
}


def grant(due: list[Due], steps: dict[int, StepVersion], *, today: date, now: datetime) -> int:
    """Perks owed by steps whose rule holds stand in the ledger, each with an owner and an expiry; how many are new.

    Where one cannot be given, the step is refused, since it would speak of something that is not there.
    """
    owed: dict[Perk, list[Due]] = defaultdict(list)
    for each in due:
        if each.fits and (perk := steps[each.said].grants):
            owed[perk].append(each)
    everyone = [each for those in owed.values() for each in those]
    owners = owners_of({each.building for each in everyone}, today=today)
    reasons = Reasons([steps[each.said].rule for each in everyone], {each.person for each in everyone}, today=today)
    new = 0
    for perk, those in sorted(owed.items(), key=lambda item: item[0].pk):
        claims: dict[int, perks.Claim] = {}
        for n, each in enumerate(those):
            step, owner = steps[each.said], owners.get(each.building)
            if not is_published(step.rule):
                each.refusal = _("a perk may follow only from published facts of service or tenure")
            elif owner is None:
                each.refusal = _("nobody in the building could answer for the perk")
            else:
                claims[n] = perks.Claim(
                    # Whatever step or playbook it came by, a lease is given a perk once.
                    key=f"perk:{each.lease}:{each.person}:{perk.code}",
                    tenant_id=each.person,
                    lease_id=each.lease,
                    owner_id=owner,
                    reason=reasons.why([step.rule], each.person)[:200],
                    expires_at=clock.at(each.last_day + timedelta(days=1)),
                )
        given = perks.grant_many(perk, list(claims.values()), now=now)
        new += sum(grant.granted_at == now for grant in given.values())
        for n, claim in claims.items():
            if claim.key not in given:
                those[n].refusal = str(perks.OutOfStock(perk, now=now))
    return new


def is_published(rule: Rule | None) -> bool:
    conditions = list(segments.leaves(rule))
    return bool(conditions) and all((kind, leaf[kind]) in PUBLISHED_FACTS for kind, leaf in conditions)


def owners_of(buildings: set[int], *, today: date) -> dict[int, int]:
    """Who answers for tenants of a building: its tenant care, else its manager, else headquarters."""
    ranks = {Membership.Role.CARE: 0, Membership.Role.MANAGER: 1, Membership.Role.HQ: 2}
    rows = Membership.objects.filter(
        Q(building__in=buildings) | Q(building=None),
        Q(last_day=None) | Q(last_day__gte=today),
        role__in=ranks,
        first_day__lte=today,
        user__is_active=True,
    ).values_list("role", "building", "user")
    # Within a role somebody of this building goes before somebody of all buildings.
    ordered = sorted(rows, key=lambda row: (ranks[Membership.Role(row[0])], row[1] is None, row[2]))
    owners: dict[int, int] = {}
    for _role, where, user in ordered:
        for building in [where] if where else buildings:
            owners.setdefault(building, user)
    return owners
