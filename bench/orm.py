"""The same rules as one would write them without us: one tenant after the other, each question a query of the ORM."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bench.events import TODAY
from tenants import clock, consents
from tenants.models import Event, Tenant

Rule = dict[str, Any]

# The feature's kind of event, its window in days, and what the data of the event say.
COUNTED: dict[str, tuple[str, int, dict[str, str]]] = {
    "community_365": ("community.joined", 365, {}),
    "posts_90": ("community.posted", 90, {}),
    "kitchen_90": ("facility.used", 90, {"data__facility": "shared_kitchen"}),
    "price_views_90": ("app.viewed", 90, {"data__name": "rent_prices"}),
    "coupon_views_90": ("app.viewed", 90, {"data__name": "coupons"}),
}


def holds(rule: Rule, tenant: Tenant) -> bool:
    """Whether the rule, of counts and consents, selects this tenant."""
    match rule:
        case {"all": rules}:
            return all(holds(each, tenant) for each in rules)
        case {"any": rules}:
            return any(holds(each, tenant) for each in rules)
        case {"consent": purpose}:
            return consents.holds(tenant, purpose, channel=consents.ANY)
        case {"feature": name, "op": ">=", "value": least}:
            return _count(name, tenant) >= least
        case {"feature": name, "op": "<", "value": limit}:
            return _count(name, tenant) < limit
    raise AssertionError(rule)


def _count(feature: str, tenant: Tenant) -> int:
    kind, days, facts = COUNTED[feature]
    rows = [tenant.pk, *Tenant.objects.filter(merged_into=tenant).values_list("pk", flat=True)]
    return Event.objects.filter(
        tenant__in=rows,
        kind=kind,
        at__gte=clock.at(TODAY - timedelta(days=days - 1)),
        at__lt=clock.at(TODAY + timedelta(days=1)),
        **facts,
    ).count()
