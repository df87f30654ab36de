"""The events behind a feature: said as a rule would say them, so that one reading of events shows them all.

What is counted is what is shown. Behind shares, times and truths stand the events they were worked out from; behind a
meter's use stands nothing, since its readings tell a story only in sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from campaigns import happened
from campaigns.grammar import Bound, Rule
from connectors.records import Kind


def _of(kind: str, days: int, **where: Any) -> Rule:
    rule: Rule = {"events": kind, "window": {"days": days}, "count": {"op": ">", "value": 0}}
    if where:
        rule["where"] = [{"field": name, "op": "=", "value": value} for name, value in where.items()]
    return rule


_REPAIRS = _of(Kind.TICKET_REPORTED, 365)
_PAYMENTS = _of(Kind.PAYMENT_MADE, 365)
_BAD_RATINGS = {**_of(Kind.TICKET_RATED, 365), "where": [{"field": "score", "op": "<=", "value": 2}]}
EVENTS: dict[str, Rule] = {
    "gym_365": _of(Kind.FACILITY_USED, 365, facility="gym"),
    "kitchen_90": _of(Kind.FACILITY_USED, 90, facility="shared_kitchen"),
    "kitchen_365": _of(Kind.FACILITY_USED, 365, facility="shared_kitchen"),
    "laundry_365": _of(Kind.FACILITY_USED, 365, facility="laundry"),
    "community_90": _of(Kind.COMMUNITY_JOINED, 90),
    "community_365": _of(Kind.COMMUNITY_JOINED, 365),
    "posts_90": _of(Kind.COMMUNITY_POSTED, 90),
    "app_30": _of(Kind.APP_VIEWED, 30),
    "price_views_90": _of(Kind.APP_VIEWED, 90, name="rent_prices"),
    "coupon_views_90": _of(Kind.APP_VIEWED, 90, name="coupons"),
    "repair_views_90": _of(Kind.APP_VIEWED, 90, name="repairs"),
    **dict.fromkeys(
        ("repairs_365", "repairs_open", "late_accepts_365", "last3_night", "night_share_365", "worst_accept_hours"),
        _REPAIRS,
    ),
    "days_since_bad_rating": _BAD_RATINGS,
    "days_since_bad_mood": _of(Kind.MOOD_GIVEN, 365, mood="bad"),
    **dict.fromkeys(("payments_365", "pay_day_sd", "paid_share"), _PAYMENTS),
    "late_payments_365": {**_PAYMENTS, "where": [{"field": "days_late", "op": ">", "value": 0}]},
}


def behind(leaf: Rule) -> Callable[[Bound], str] | None:
    """SQL of the latest events behind a condition on a feature, [[source, source_id, at], …]; none where none are."""
    rule = EVENTS.get(leaf.get("feature", ""))
    if rule is None:
        return None
    return lambda bound: f"({happened.LEAF.value(rule, bound)} -> 'events')"
