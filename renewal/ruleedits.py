"""What a person does to a rule in the editor. A draft is a rule that may still be wrong: same tree, any values.

A place in the tree is named by the way to it from the root, as in "r.0.2": the third part of the first part.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from django.db.models import Q
from django.utils.translation import gettext as _

from campaigns.conditions import FEATURES, LEASE, LEAVES
from campaigns.grammar import OPS, Field, Rule
from campaigns.kinds import KINDS, TIME
from campaigns.models import NameList
from connectors.channels import title
from tenants import consents, tags
from tenants.models import Consent

GROUPS = ("all", "any")
ROOT = "r"
NIGHT = [22, 6]


class NoSuchPlace(Exception):
    """The page that asked shows another rule than the one it sent."""


def new_rule() -> Rule:
    return {"all": []}


def kind_of(node: Rule) -> str:
    return next(key for key in (*GROUPS, "not", *LEAVES) if key in node)


def opened(rule: Rule) -> Rule:
    """The rule as the editor shows it: with a group at its root, to which something can be added."""
    return deepcopy(rule) if kind_of(rule) in GROUPS else {"all": [deepcopy(rule)]}


def closed(draft: Rule) -> Rule:
    """The rule without a group around a single part at its root."""
    while kind_of(draft) in GROUPS and len(draft[kind_of(draft)]) == 1:
        draft = draft[kind_of(draft)][0]
    return draft


def acted(draft: Rule, do: str) -> Rule:
    """The draft after what a button names: an act, the place, and of comparisons which. Raises `NoSuchPlace`."""
    act, _space, rest = do.partition(" ")
    try:
        return ACTS[act](deepcopy(draft), *rest.split())
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, StopIteration) as error:
        raise NoSuchPlace(do) from error


# --- Where things are ------------------------------------------------------------------------------------------


def _way(place: str) -> list[int]:
    root, *steps = place.split(".")
    if root != ROOT:
        raise NoSuchPlace(place)
    return [int(step) for step in steps]


def _at(draft: Rule, way: list[int]) -> Rule:
    for step in way:
        kind = kind_of(draft)
        draft = draft["not"] if kind == "not" else draft[kind][step]
    return draft


def _list_of(draft: Rule, way: list[int]) -> list[Rule]:
    """The list in which the part stands; what is negated stands in none."""
    parent = _at(draft, way[:-1])
    if not way or kind_of(parent) not in GROUPS:
        raise NoSuchPlace
    parts: list[Rule] = parent[kind_of(parent)]
    if not 0 <= way[-1] < len(parts):
        raise NoSuchPlace
    return parts


def _replaced(draft: Rule, way: list[int], node: Rule) -> Rule:
    if not way:
        return opened(node)
    parent = _at(draft, way[:-1])
    if kind_of(parent) == "not":
        parent["not"] = node
    else:
        parent[kind_of(parent)][way[-1]] = node
    return draft


# --- Acts ------------------------------------------------------------------------------------------------------


def _add(draft: Rule, place: str, what: str) -> Rule:
    group = _at(draft, _way(place))
    kind = kind_of(group)
    part: Rule = plain("tag") if what == "condition" else {"any" if kind == "all" else "all": [plain("tag")]}
    group[kind].append(part)
    return draft


def _remove(draft: Rule, place: str) -> Rule:
    way = _way(place)
    del _list_of(draft, way)[way[-1]]
    return draft


def _copy(draft: Rule, place: str) -> Rule:
    way = _way(place)
    parts = _list_of(draft, way)
    parts.insert(way[-1] + 1, deepcopy(parts[way[-1]]))
    return draft


def _move(draft: Rule, place: str, step: int) -> Rule:
    """One place up or down as the eye reads: into a group that stands there, and out of one at its edge."""
    way = _way(place)
    parts = _list_of(draft, way)
    at = way[-1] + step
    node = parts[way[-1]]
    if 0 <= at < len(parts):
        del parts[way[-1]]
        neighbour = parts[min(way[-1], way[-1] + step)] if step < 0 else parts[way[-1]]
        if kind_of(neighbour) in GROUPS:
            inner = neighbour[kind_of(neighbour)]
            inner.insert(len(inner) if step < 0 else 0, node)
        else:
            parts.insert(at, node)
    elif len(way) > 1 and kind_of(_at(draft, way[:-2])) in GROUPS:
        outer = _list_of(draft, way[:-1])
        del parts[way[-1]]
        outer.insert(way[-2] + (step > 0), node)
    return draft


def _negate(draft: Rule, place: str) -> Rule:
    way = _way(place)
    node = _at(draft, way)
    return _replaced(draft, way, node["not"] if kind_of(node) == "not" else {"not": node})


def _wrap(draft: Rule, place: str) -> Rule:
    way = _way(place)
    node = _at(draft, way)
    outer = kind_of(_at(draft, way[:-1])) if way else "any"
    return _replaced(draft, way, {"any" if outer == "all" else "all": [node]})


def _dissolve(draft: Rule, place: str) -> Rule:
    """A group's parts stand where it stood."""
    way = _way(place)
    parts = _list_of(draft, way)
    group = parts[way[-1]]
    parts[way[-1] : way[-1] + 1] = group[kind_of(group)]
    return draft


def comparisons(leaf: Rule, key: str) -> tuple[Rule, str, dict[str, Field]]:
    """Where the comparisons called "where", "satisfy" or "then" stand in a condition, and of which fields they are."""
    if key == "where":
        return leaf, "where", fields_of(leaf["events"])
    if key == "then":
        return leaf["then"], "where", fields_of(leaf["then"]["events"])
    return leaf["last" if "last" in leaf else "share"], "satisfy", fields_of(leaf["events"])


def _add_comparison(draft: Rule, place: str, key: str) -> Rule:
    holder, name, fields = comparisons(_at(draft, _way(place)), key)
    holder.setdefault(name, []).append(plain_comparison(fields))
    return draft


def _drop_comparison(draft: Rule, place: str, key: str, number: str) -> Rule:
    holder, name, _fields = comparisons(_at(draft, _way(place)), key)
    del holder[name][int(number)]
    if not holder[name] and name == "where":
        del holder[name]
    return draft


ACTS: dict[str, Callable[..., Rule]] = {
    "look": lambda draft: draft,
    "shape": lambda draft: draft,
    "add": _add,
    "remove": _remove,
    "copy": _copy,
    "up": lambda draft, place: _move(draft, place, -1),
    "down": lambda draft, place: _move(draft, place, 1),
    "negate": _negate,
    "wrap": _wrap,
    "dissolve": _dissolve,
    "compare": _add_comparison,
    "uncompare": _drop_comparison,
}


# --- What something new looks like -------------------------------------------------------------------------------


def lists(chosen: str = "") -> dict[str, str]:
    """The lists of names that can be chosen, and the one that is, code and name."""
    there = NameList.objects.filter(Q(removed_at=None) | Q(code=chosen)).order_by("name")
    return dict(there.values_list("code", "name"))


def channels(chosen: str = "") -> dict[str, str]:
    """The channels on which a consent can be asked for: the house's, and the one that is chosen; code and name."""
    names = dict.fromkeys([*consents.offer_channels(), *filter(None, [chosen])])
    return {"": _("the channel of the message"), **{name: title(name) for name in names}}


def fields_of(kind: str) -> dict[str, Field]:
    """The fields that events of a kind have."""
    return KINDS[kind].fields | TIME


def ops_of(name: str, what: Field) -> tuple[str, ...]:
    return (*OPS[what.type], "between") if name == "hour" else OPS[what.type]


def plain(kind: str) -> Rule:
    """A condition of a kind just chosen."""
    match kind:
        case "tag":
            return {"tag": next(iter(tags.TAGS))}
        case "consent":
            return {"consent": Consent.Purpose.MARKETING.value}
        case "feature" | "lease":
            fields = FEATURES if kind == "feature" else LEASE
            name = next(iter(fields))
            return {kind: name, **plain_value(name, fields[name])}
        case "list":
            return {"list": next(iter(lists()), "")}
        case "moods":
            return {"moods": ["soso"], "bills": 3}
        case "events":
            return {"events": next(iter(KINDS)), "count": {"op": ">=", "value": 1}}
    return {kind: []}


def plain_comparison(fields: dict[str, Field]) -> Rule:
    name = next(iter(fields))
    return {"field": name, **plain_value(name, fields[name])}


def plain_value(name: str, what: Field) -> Rule:
    """How a field just chosen is compared."""
    if name == "hour":
        return {"op": "between", "value": list(NIGHT)}
    if what.type is bool:
        return {"op": "=", "value": True}
    if what.type is int:
        return {"op": ">=", "value": 1}
    return {"op": "=", "value": next(iter(what.values()), "")}
