"""P1: segments are rebuilt 1,000 times while members come and go, rules and versions change and events are told again.

Over 60 days every step of a lease and cycle is decided once, and every message has a key of its own. The red twin
forgets what was decided: it decides again.
"""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

from campaigns import playbooks, pushes
from campaigns.models import Push, Segment
from tenants import clock
from tenants.models import Lease, Message, TenantTag
from tests.makers import NOW, TODAY, make_event, make_lease, make_playbook, make_tenant, make_unit, make_version

REBUILDS, DAYS = 1000, 60
RULES = ({"tag": "social"}, {"not": {"tag": "social"}}, {"lease": "days_to_end", "op": "<", "value": 45})
FACTS = {"facts": {"activities": 8, "posts": 7, "kitchen": 16}, "events": []}
RATED = {"events": "ticket.rated", "where": [{"field": "score", "op": "<=", "value": 2}]}
STEPS = [{"anchor": "end", "days": days, "text": "租约 {last_day}到期。"} for days in (50, 40, 25, 10)]


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    green = _campaign("green", seed, round(REBUILDS * share), forgets=False)
    return {**green, "red": _campaign("red", seed, max(50, round(REBUILDS * share / 5)), forgets=True)}


def _campaign(name: str, seed: int, rebuilds: int, *, forgets: bool) -> dict[str, Any]:
    dice = random.Random(seed)
    Push.objects.all().delete()
    leases = _furnish(name)
    decided: dict[tuple[int, str, str], int] = {}
    counts = {"rebuilds": 0, "comings and goings": 0, "decided": 0, "decided again": 0, "messages": 0, "keys twice": 0}
    for n in range(rebuilds):
        today = TODAY + timedelta(days=n * DAYS // rebuilds)
        counts["comings and goings"] += _stir(name, dice, leases, today)
        _rebuild(today)
        counts["rebuilds"] += 1
        rows = Push.objects.filter(lease__in=leases).exclude(state="held")
        for lease, step, cycle, pk in rows.values_list("lease", "step__code", "cycle", "pk"):
            counts["decided again"] += decided.setdefault((lease, step, cycle), pk) != pk
        if forgets:
            Push.objects.all().delete()
    keys = list(Message.objects.filter(lease__in=leases).values_list("key", flat=True))
    counts |= {"decided": len(decided), "messages": len(keys), "keys twice": len(keys) - len(set(keys))}
    held = not counts["decided again"] and not counts["keys twice"] and len(keys) >= len(leases)
    return {"held": held, "counts": counts}


def _furnish(name: str) -> list[Lease]:
    """Five leases that end at different times, two playbooks that compete for them, and one that starts by ratings."""
    segment = Segment.objects.create(code=name, name=name, rule=RULES[0])
    steps = {which: [{**step, "code": f"{name}-{which}-{step['days']}"} for step in STEPS] for which in "nw"}
    make_playbook(f"{name}-narrow", *steps["n"], segment=segment)
    make_playbook(f"{name}-wide", *steps["w"])
    sorry = {"code": f"{name}-sorry", "anchor": "event", "days": 1, "kind": "care", "text": "抱歉，让您久等了。"}
    make_playbook(f"{name}-care", sorry, starts_on=RATED)
    ends = (20, 35, 48, 61, 70)
    return [make_lease(make_tenant(), make_unit(), last_day=TODAY + timedelta(days=days)) for days in ends]


def _stir(name: str, dice: random.Random, leases: list[Lease], today: date) -> int:
    """Two tenants change sides; now and then the rule, a version or a rating comes; says how many changed sides."""
    for lease in dice.sample(leases, 2):
        tenant = lease.tenants.get()
        if not TenantTag.objects.filter(tenant=tenant).delete()[0]:
            TenantTag.objects.create(tenant=tenant, tag="social", since=today, evidence=FACTS, computed_at=NOW)
    if dice.random() < 0.02:
        Segment.objects.filter(code=name).update(rule=dice.choice(RULES))
    if dice.random() < 0.02:
        make_version(f"{name}-{dice.choice(['narrow', 'wide'])}", {}, under_way=dice.choice(["move", "finish"]))
    if dice.random() < 0.05:
        make_event("ticket.rated", dice.choice(leases).tenants.get(), at=clock.at(today, 9), data={"score": "1"})
    return 2


def _rebuild(today: date) -> None:
    now = clock.at(today, 10)
    playbooks.leave(today=today, now=now)
    playbooks.enrol(today=today, now=now)
    pushes.plan(today=today, now=now)
    pushes.hand_over(today=today, now=now)
