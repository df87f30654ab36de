"""Why a rule selects somebody, in the facts behind it: for many people at once, a query a rule."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from campaigns import segments
from campaigns.conditions import FEATURES, JOINS_SQL, LEAVES
from campaigns.grammar import Bound, Rule
from tenants import tags
from tenants.models import TenantTag

# Of these a number or a sentence says more than that the rule holds.
TOLD = {"feature", "events", "moods"}


class Reasons:
    """What is known of these people that makes these rules hold of them."""

    def __init__(self, rules: Iterable[Rule | None], people: Collection[int], *, today: date) -> None:
        self._tags: dict[int, dict[str, Any]] = defaultdict(dict)
        self._facts: dict[str, dict[int, list[str]]] = {}
        if not people:
            return
        held = TenantTag.objects.filter(tenant__in=people).values_list("tenant", "tag", "evidence")
        for tenant, tag, evidence in held:
            self._tags[tenant][tag] = evidence
        for rule in rules:
            if rule is not None and (key := json.dumps(rule)) not in self._facts:
                self._facts[key] = _facts(rule, people, today=today)

    def why(self, rules: Iterable[Rule | None], person: int) -> str:
        """The facts that speak for the rules, each once; empty where there is none to tell."""
        said: dict[str, None] = {}
        evidence = self._tags[person]
        for rule in rules:
            if rule is None:
                continue
            for kind, leaf in segments.leaves(rule):
                if kind == "tag" and leaf["tag"] in evidence:
                    said[tags.TAGS[leaf["tag"]].sentence(evidence[leaf["tag"]]).rstrip("。.")] = None
            said |= dict.fromkeys(self._facts.get(json.dumps(rule), {}).get(person, []))
        return _("; ").join(said)


def _facts(rule: Rule, people: Collection[int], *, today: date) -> dict[int, list[str]]:
    """What the rule's conditions found of each: of those that hold and ask for something to be there."""
    told = list(_told(rule))
    if not told:
        return {}
    bound = Bound(today)
    columns = [
        f"coalesce({LEAVES[kind].holds(leaf, bound)}, FALSE), to_jsonb({LEAVES[kind].value(leaf, bound)})"
        for kind, leaf in told
    ]
    these = bound.add(sorted(people))
    with connection.cursor() as cursor:
        cursor.execute(
            f"{segments.RESIDENTS_SQL} SELECT subject.tenant_id, {', '.join(columns)} "  # noqa: S608
            f"FROM subject {JOINS_SQL} WHERE subject.tenant_id = ANY({these}::bigint[])",
            bound.values,
        )
        rows = cursor.fetchall()
    return {
        person: [
            _say(kind, leaf, segments.read(value))
            for (kind, leaf), holds, value in zip(told, found[::2], found[1::2], strict=True)
            if holds
        ]
        for person, *found in rows
    }


def _told(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """The conditions worth telling: what is denied, or is less than something, is no reason to speak to anybody."""
    if "not" in rule:
        return
    for group in ("all", "any"):
        for child in rule.get(group, []):
            yield from _told(child)
    kind = next((kind for kind in TOLD if kind in rule), None)
    if kind and rule.get("op", rule.get("count", {}).get("op", "")) not in ("<", "<="):
        yield kind, rule


def _say(kind: str, leaf: Rule, value: Any) -> str:
    if kind == "feature" and isinstance(value, int | float) and not isinstance(value, bool):
        return _("%(what)s: %(n)s") % {"what": FEATURES[leaf["feature"]].name, "n": f"{value:g}"}
    return LEAVES[kind].sentence(leaf)
