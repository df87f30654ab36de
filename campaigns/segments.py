"""客群: a rule selects tenants. A rule is a tree of all / any / not over conditions, for example

    {"all": [{"tag": "social"},
             {"not": {"feature": "late_payments_365", "op": ">", "value": 2}},
             {"any": [{"lease": "days_to_end", "op": "<=", "value": 60}, {"consent": "marketing"}]}]}

It becomes one set-based query with bound parameters, a sentence with brackets that match its meaning, and
for one tenant an explanation: the same tree with what holds and every condition's value. A condition that
asks for something unknown (no reading, no row) does not hold; its negation does.

The kinds of condition are in `campaigns.conditions`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns.conditions import JOINS_SQL, LEAVES
from campaigns.grammar import BadRule, Bound, Rule, shown
from tenants import features

MAX_DEPTH = 8
MAX_NODES = 100

# Everybody who lives here or will, with the lease that runs today or else the next one.
RESIDENTS_SQL = f"""
WITH {features.PERSON_SQL},
subject AS (
    SELECT DISTINCT ON (person.root) person.root AS tenant_id, lease.id AS lease_id
    FROM tenants_lease lease
    JOIN tenants_leasetenant lt ON lt.lease_id = lease.id
    JOIN person ON person.id = lt.tenant_id
    WHERE lease.state = 'signed' AND lease.last_day >= %(today)s
    ORDER BY person.root, lease.first_day, lease.id
)"""  # noqa: S608


class NotAResident(Exception):
    """A rule says nothing about someone without a current or future lease."""

    def __init__(self, tenant: int) -> None:
        super().__init__(_("Tenant %(tenant)s has no current or future lease.") % {"tenant": tenant})


def check(rule: Any) -> None:
    """`rule` can be used. Raises `BadRule` with one sentence that names the place."""
    nodes = 0

    def walk(node: Any, place: str, depth: int) -> None:
        nonlocal nodes
        nodes += 1
        if nodes > MAX_NODES:
            raise BadRule(place, _("a rule has at most %(n)d conditions and groups.") % {"n": MAX_NODES})
        if depth > MAX_DEPTH:
            raise BadRule(place, _("a rule is at most %(n)d levels deep.") % {"n": MAX_DEPTH})
        if not isinstance(node, dict):
            raise BadRule(place, _("here a condition or a group is expected, not “%(it)s”.") % {"it": shown(node)})
        kinds = [key for key in ("all", "any", "not", *LEAVES) if key in node]
        if len(kinds) != 1:
            names = ", ".join(("all", "any", "not", *LEAVES))
            raise BadRule(place, _("exactly one of these is expected: %(names)s.") % {"names": names})
        kind = kinds[0]
        strange = set(node) - (LEAVES[kind].keys if kind in LEAVES else {kind})
        if strange:
            raise BadRule(place, _("“%(key)s” does not belong here.") % {"key": shown(sorted(strange)[0])})
        if kind in LEAVES:
            LEAVES[kind].check(node, place)
        elif kind == "not":
            walk(node["not"], f"{place}.not".lstrip("."), depth + 1)
        else:
            if not isinstance(node[kind], list) or not node[kind]:
                raise BadRule(place, _("“%(kind)s” needs a list of at least one condition.") % {"kind": kind})
            for n, child in enumerate(node[kind]):
                walk(child, f"{place}.{kind}[{n}]".lstrip("."), depth + 1)

    walk(rule, "", 1)


def leaves(rule: Rule | None) -> Iterator[tuple[str, Rule]]:
    """Every condition of a rule with its kind."""
    if rule is None:
        return
    kind = _kind(rule)
    if kind in LEAVES:
        yield kind, rule
    else:
        for child in _children(rule):
            yield from leaves(child)


def condition(rule: Rule | None, bound: Bound) -> str:
    """SQL over `subject` and its joins that is true for whom the rule selects; no rule selects everybody."""
    if rule is None:
        return "TRUE"
    check(rule)
    return _sql(rule, bound)


def _sql(rule: Rule, bound: Bound) -> str:
    kind = _kind(rule)
    if kind in LEAVES:
        return f"coalesce({LEAVES[kind].holds(rule, bound)}, FALSE)"
    parts = [_sql(child, bound) for child in _children(rule)]
    if kind == "not":
        return f"NOT {parts[0]}"
    return f"({' AND '.join(parts) if kind == 'all' else ' OR '.join(parts)})"


def members(rule: Rule | None, *, today: date) -> list[int]:
    """The tenants whom the rule selects among those who live here or will, by id."""
    bound = Bound(today)
    where = condition(rule, bound)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{RESIDENTS_SQL} SELECT subject.tenant_id FROM subject {JOINS_SQL} WHERE {where} ORDER BY 1",  # noqa: S608
            bound.values,
        )
        return [row[0] for row in cursor.fetchall()]


def sentence(rule: Rule | None) -> str:
    """The rule in words of the current language, bracketed as it is meant."""
    if rule is None:
        return _("everybody")
    check(rule)
    return _words(rule)


def sentences(rule: Rule | None) -> dict[str, str]:
    """The rule in Chinese and in English."""
    said = {}
    for language, code in (("zh", "zh-hans"), ("en", "en")):
        with override(code):
            said[language] = sentence(rule)
    return said


def _words(rule: Rule) -> str:
    kind = _kind(rule)
    if kind in LEAVES:
        return LEAVES[kind].sentence(rule)
    children = _children(rule)
    if kind == "not":
        return _("not (%(condition)s)") % {"condition": _words(children[0])}
    parts = [_("(%(group)s)") % {"group": _words(child)} if _is_group(child) else _words(child) for child in children]
    return (_(" and ") if kind == "all" else _(" or ")).join(parts)


def _is_group(rule: Rule) -> bool:
    return _kind(rule) in {"all", "any"} and len(_children(rule)) > 1


def explain(rule: Rule, tenant: int, *, today: date) -> dict[str, Any]:
    """The rule's tree for one tenant: what holds, with every condition's value. Raises `NotAResident`."""
    check(rule)
    bound = Bound(today)
    columns = [
        f"coalesce({LEAVES[kind].holds(leaf, bound)}, FALSE), to_jsonb({LEAVES[kind].value(leaf, bound)})"
        for kind, leaf in leaves(rule)
    ]
    who = bound.add(tenant)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{RESIDENTS_SQL} SELECT {', '.join(columns)} FROM subject {JOINS_SQL} "  # noqa: S608
            f"WHERE subject.tenant_id = (SELECT coalesce(merged_into_id, id) FROM tenants_tenant WHERE id = {who})",
            bound.values,
        )
        row = cursor.fetchone()
    if row is None:
        raise NotAResident(tenant)
    found = iter(zip(row[::2], map(_read, row[1::2]), strict=True))

    def tree(node: Rule) -> dict[str, Any]:
        kind = _kind(node)
        if kind in LEAVES:
            holds, value = next(found)
            miss = "" if holds else LEAVES[kind].miss(node, value)
            return {"condition": node, "sentence": _words(node), "holds": holds, "value": value, "miss": miss}
        children = [tree(child) for child in _children(node)]
        each = [child["holds"] for child in children]
        holds = {"all": all, "any": any, "not": lambda held: not held[0]}[kind](each)
        return {"group": kind, "sentence": _words(node), "holds": holds, "children": children}

    return tree(rule)


def nearest(tree: dict[str, Any]) -> list[str]:
    """The fewest things that would have to be otherwise for an explained rule to hold; none if it does.

    A number says how much of it is missing; of anything else the condition itself is named. Of several ways with
    as many things the first in the rule's order.
    """
    if tree["holds"]:
        return []
    match tree.get("group"):
        case "all":
            return [miss for child in tree["children"] for miss in nearest(child)]
        case "any":
            return min(map(nearest, tree["children"]), key=len)
        case "not":
            return [tree["sentence"]]
    return [tree["miss"] or tree["sentence"]]


def _read(column: str | None) -> Any:
    """A jsonb column as Python has it: Django leaves them as text in its own cursors."""
    return None if column is None else json.loads(column)


def look(rule: Rule, *, today: date, tenant: int | None = None) -> dict[str, Any]:
    """What a person asks of a rule: its words with the members, or with the explanation for one tenant."""
    check(rule)
    if tenant is not None:
        tree = explain(rule, tenant, today=today)
        return {"sentence": sentences(rule), "tenant": tenant, "explanation": tree, "nearest": nearest(tree)}
    selected = members(rule, today=today)
    return {"sentence": sentences(rule), "count": len(selected), "members": selected}


def _kind(rule: Rule) -> str:
    return next(key for key in ("all", "any", "not", *LEAVES) if key in rule)


def _children(rule: Rule) -> list[Rule]:
    kind = _kind(rule)
    return [rule["not"]] if kind == "not" else rule[kind]
