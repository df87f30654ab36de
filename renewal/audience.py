"""Segments as staff meet them: who belongs to which, and why. Only through the doors of tenants.access."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from campaigns import segments
from campaigns.conditions import LEASE
from campaigns.grammar import Rule
from campaigns.models import Playbook, Segment
from renewal.people import NOT_TOLD
from tenants import access, clock
from tenants.access import Somebody
from tenants.models import Event, Lease, LeaseTenant
from tenants.tags import TAGS


@dataclass(slots=True)
class Row:
    """One segment of the list; `members` are counted among the tenants whom the reader may see."""

    segment: Segment
    sentence: str
    members: int
    playbooks: list[Playbook]


def visible(user: Somebody, *, today: date) -> set[int] | None:
    """Those who live here or will, as far as a person may see them; None stands for all of them."""
    if access.sees_everything(user, today=today):
        return None
    mine = access.leases_for(user, today=today).filter(state=Lease.State.SIGNED, last_day__gte=today)
    people = LeaseTenant.objects.filter(lease__in=mine)
    return set(people.values_list(Coalesce("tenant__merged_into_id", "tenant_id"), flat=True))


def members(rule: Rule | None, seen: set[int] | None, *, today: date) -> list[int]:
    """Whom the rule selects among those that may be seen, by id."""
    found = segments.members(rule, today=today)
    return found if seen is None else [tenant for tenant in found if tenant in seen]


def listed(user: Somebody, words: str, *, today: date) -> list[Row]:
    """Every segment whose name, code or sentence has all the words; one query over all tenants for each."""
    seen = visible(user, today=today)
    used = playbooks()
    rows = []
    for segment in Segment.objects.order_by("name", "pk"):
        sentence = segments.sentence(segment.rule)
        text = f"{segment.name} {segment.code} {sentence}".casefold()
        if all(word in text for word in words.casefold().split()):
            count = len(members(segment.rule, seen, today=today))
            rows.append(Row(segment, sentence, count, used.get(segment.pk, [])))
    return rows


def playbooks() -> dict[int, list[Playbook]]:
    """The playbooks by the segment they use, the first in rank first."""
    used: dict[int, list[Playbook]] = {}
    for playbook in Playbook.objects.exclude(segment=None).order_by("rank"):
        used.setdefault(playbook.segment_id or 0, []).append(playbook)
    return used


# --- Why ------------------------------------------------------------------------------------------------------


def why(rule: Rule, tenant: int, *, today: date) -> dict[str, Any]:
    """The rule's tree for one tenant as a page shows it, whether it holds, and what is missing.

    A node has `group`, `sentence`, `holds` and `children`; a condition has `value` in words and its `events`, newest
    first. Raises `segments.NotAResident`.
    """
    tree = segments.explain(rule, tenant, today=today)
    named = {(source, ref) for source, ref, *_at in _named(tree)}
    wanted = Q()
    for source, ref in named:
        wanted |= Q(source=source, source_id=ref)
    # Meters tell a story only in sum, and doors are not shown one by one.
    events = Event.objects.filter(wanted).exclude(kind__in=NOT_TOLD) if named else []
    behind = {(event.source, event.source_id): event for event in events}
    return {"tree": _told(tree, behind), "holds": tree["holds"], "nearest": segments.nearest(tree)}


def _named(tree: dict[str, Any]) -> list[list[Any]]:
    """The events that an explained tree names."""
    if "children" in tree:
        return [event for child in tree["children"] for event in _named(child)]
    if "events" in tree:
        return list(tree["events"])
    return tree["value"].get("events", []) if isinstance(tree["value"], dict) else []


def _told(tree: dict[str, Any], behind: dict[tuple[str, str], Event]) -> dict[str, Any]:
    told = {"group": tree.get("group", ""), "sentence": tree["sentence"], "holds": tree["holds"], "children": []}
    if "children" in tree:
        told["children"] = [_told(child, behind) for child in tree["children"]]
        return told
    named = [(source, ref) for source, ref, *_at in _named(tree)]
    return {
        **told,
        "value": _value(tree["condition"], tree["value"]),
        "miss": tree["miss"],
        "events": [behind[pair] for pair in named if pair in behind],
    }


def _value(condition: Rule, value: Any) -> str:
    """What a condition looked at, in words; empty where its sentence says all there is to say."""
    match condition:
        case {"tag": code}:
            return TAGS[code].sentence(value) if value is not None else _("does not have the tag")
        case {"consent": _purpose}:
            return _("agreed") if value else _("has not agreed") if value is None else _("withdrawn or refused")
        case {"list": _code}:
            return _("put on it by %(by)s, %(at)s") % {**value, "at": _moment(value["at"])} if value else _("not on it")
        case {"lease": name} if isinstance(value, str):
            return str(LEASE[name].values().get(value, value))
        case {"events": _} | {"moods": _}:
            value = value["value"]
    if value is None:
        return _("not known")
    if isinstance(value, bool):
        return pgettext("a fact", "yes") if value else pgettext("a fact", "no")
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    if isinstance(value, str):
        return _moment(value)
    return str(value)


def _moment(value: str) -> str:
    """A moment as a clock in Shanghai shows it, a span of days without its hours; any other text as it is."""
    days, unit, _rest = (*value.split(" ", 2), "", "")[:3]
    if days.isdecimal() and unit in ("day", "days"):
        return _("%(n)d days") % {"n": int(days)}
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    local = at.astimezone(clock.SHANGHAI)
    return f"{local:%Y-%m-%d %H:%M}"
