"""A back-test beside what really went, and what became of those it selected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from campaigns.rehearsing import Decision
from renewal.figures import share
from renewal.models import Case
from tenants import clock
from tenants.models import Lease

S = Case.State


def pairs(would: list[Decision], really: list[Decision], not_run: set[date]) -> Iterator[dict[str, Any]]:
    """Each step decided in the world, really, or both, and how the two differ."""
    here = {each.key: each for each in would}
    there = {each.key: each for each in really}
    steps_here, steps_there = _by_lease(would), _by_lease(really)
    for key in sorted({*here, *there}, key=lambda key: (_first(here.get(key), there.get(key)), key)):
        one, other = here.get(key), there.get(key)
        some = one or other
        assert some  # noqa: S101
        why = _difference(one, other, steps_here.get(key[:2], set()), steps_there.get(key[:2], set()), not_run)
        yield {
            "lease": some.lease,
            "tenant": some.tenant,
            "playbook": some.playbook,
            "step": some.step,
            "cycle": some.cycle,
            "due_on": some.due_on.isoformat(),
            "would": told(one),
            "really": told(other),
            "same": not why,
            "why": why,
        }


def _difference(
    one: Decision | None, other: Decision | None, here: set[str], there: set[str], not_run: set[date]
) -> str:
    """In what the world differs from what really went, and why; empty if in nothing."""
    if one is None:
        followed = ", ".join(sorted(here))
        return _("follows “%(playbook)s” here") % {"playbook": followed} if followed else _("follows no playbook here")
    if other is None:
        if clock.day_of(one.decided_at) in not_run or one.due_on in not_run:
            return _("the day was not run")
        followed = ", ".join(sorted(there))
        return _("really followed “%(playbook)s”") % {"playbook": followed} if followed else _("really followed none")
    if one.is_open:
        return ""  # the last day is over before it is decided
    if clock.day_of(one.decided_at) != clock.day_of(other.decided_at):
        return _("really decided on another day")
    if bool(one.sent_at) != bool(other.sent_at):
        said = other if one.sent_at else one
        return said.fate or said.reason
    if one.sent_at and other.sent_at and clock.day_of(one.sent_at) != clock.day_of(other.sent_at):
        return _("really sent on another day")
    return "" if one.text == other.text else _("really worded otherwise")


def _by_lease(decisions: Iterable[Decision]) -> dict[Any, set[str]]:
    found: dict[Any, set[str]] = defaultdict(set)
    for each in decisions:
        found[each.lease, each.tenant].add(each.playbook)
    return found


def _first(*those: Decision | None) -> datetime:
    return min(each.decided_at for each in those if each)


def told(decision: Decision | None) -> dict[str, Any] | None:
    """A decision in plain values, fit for JSON."""
    if decision is None:
        return None
    return {
        "on": clock.day_of(decision.decided_at).isoformat(),
        "state": decision.state,
        "sent_at": decision.sent_at.isoformat() if decision.sent_at else None,
        "reason": decision.reason,
        "fate": decision.fate,
        "text": decision.text,
        "said": decision.said,
    }


def count(table: list[dict[str, Any]], pairs: Iterable[dict[str, Any]]) -> None:
    """Each day says how many were sent and not, in the world and really."""
    rows = {row["day"]: row for row in table}
    for row in table:
        row |= {"would": {"sent": 0, "not": 0}, "really": {"sent": 0, "not": 0}, "different": 0}
    for pair in pairs:
        for side in ("would", "really"):
            if (told := pair[side]) and told["on"] in rows:
                rows[told["on"]][side]["sent" if told["sent_at"] else "not"] += 1
        on = (pair["would"] or pair["really"])["on"]
        if on in rows and not pair["same"]:
            rows[on]["different"] += 1


# --- What they later did ---

_DID = {
    S.SIGNED: "renewed",
    S.TRANSFERRED: "transferred",
    S.NOTICE: "notice",
    S.MOVED_OUT: "moved_out",
    S.HOLDOVER: "holdover",
    S.ENDED_BY_OPERATOR: "ended_by_operator",
}
OPEN = "open"
DAYS_AFTER = 60  # so long after the span an ending lease is still counted


def later(first: date, last: date, selected: set[int]) -> dict[str, Any]:
    """What became of the leases that ended in the span or within DAYS_AFTER after it, selected and others."""
    ending = Lease.objects.filter(
        state=Lease.State.SIGNED, last_day__range=(first, last + timedelta(days=DAYS_AFTER))
    ).values_list("pk", flat=True)
    state_of = dict(Case.objects.filter(lease__in=ending).values_list("lease", "state"))
    groups: dict[str, dict[str, int]] = {"selected": defaultdict(int), "others": defaultdict(int)}
    for lease in ending:
        did = _DID.get(S(state_of.get(lease, S.UPCOMING)), OPEN)
        groups["selected" if lease in selected else "others"][did] += 1
    return {name: _shares(did) for name, did in groups.items()}


def _shares(did: dict[str, int]) -> dict[str, Any]:
    n = sum(did.values())
    return {"n": n, "did": dict(did), **{what: share(did.get(what, 0), n) for what in (*_DID.values(), OPEN)}}
