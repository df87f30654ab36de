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
from datetime import date
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns import evidence, narrowing, trees
from campaigns.conditions import JOINS_SQL, LEAVES
from campaigns.grammar import BadRule, Bound, Rule, shown
from campaigns.trees import leaves
from tenants import features

MAX_DEPTH = 8
MAX_NODES = 100

# The people `person` with the leases that run today or later; and the first such lease of each.
_HELD_SQL = """
    FROM tenants_lease lease
    JOIN tenants_leasetenant lt ON lt.lease_id = lease.id
    JOIN person ON person.id = lt.tenant_id
    WHERE lease.state = 'signed' AND lease.last_day >= %(today)s"""
_SUBJECT_SQL = f"""
subject AS (
    SELECT DISTINCT ON (person.root) person.root AS tenant_id, lease.id AS lease_id {_HELD_SQL}
    ORDER BY person.root, lease.first_day, lease.id
)"""
# Everybody who lives here or will.
RESIDENTS_SQL = f"WITH {features.PERSON_SQL}, {_SUBJECT_SQL}"


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


def condition(rule: Rule | None, bound: Bound) -> str:
    """SQL over `subject` and its joins that is true for whom the rule selects; no rule selects everybody."""
    if rule is None:
        return "TRUE"
    check(rule)
    return trees.sql(rule, bound)


def members(rule: Rule | None, *, today: date) -> list[int]:
    """The tenants whom the rule selects among those who live here or will, by id."""
    if rule is not None:
        check(rule)
    bound = Bound(today)
    with connection.cursor() as cursor:
        cursor.execute(f"{_members_sql(rule, bound)} ORDER BY 1", bound.values)
        return [row[0] for row in cursor.fetchall()]


def _members_sql(rule: Rule | None, bound: Bound) -> str:
    if rule is None:
        return f"{RESIDENTS_SQL} SELECT tenant_id FROM subject"  # noqa: S608
    narrowed = narrowing.narrow(rule, bound)
    if narrowed is None:
        where = trees.sql(rule, bound, known=False)
        return f"{RESIDENTS_SQL} SELECT subject.tenant_id FROM subject {JOINS_SQL} WHERE {where}"  # noqa: S608
    if not narrowed.remain:
        lives_here = f"SELECT person.root {_HELD_SQL}"
        return f"WITH {narrowed.steps} SELECT root FROM {narrowed.last} WHERE root IN ({lives_here})"  # noqa: S608
    where = " AND ".join(trees.sql(part, bound, known=False) for part in narrowed.remain)
    return f"WITH {narrowed.steps}, {_SUBJECT_SQL} SELECT subject.tenant_id FROM subject {JOINS_SQL} WHERE {where}"  # noqa: S608


def sentence(rule: Rule | None) -> str:
    """The rule in words of the current language, bracketed as it is meant."""
    if rule is None:
        return _("everybody")
    check(rule)
    return _words(rule)


def sentences(rule: Rule | None) -> dict[str, str]:
    """The rule in Chinese and in English."""
    if rule is not None:
        check(rule)  # here, so that what is wrong is said in the reader's language
    said = {}
    for language, code in (("zh", "zh-hans"), ("en", "en")):
        with override(code):
            said[language] = sentence(rule)
    return said


def _words(rule: Rule) -> str:
    kind = trees.kind_of(rule)
    if kind in LEAVES:
        return LEAVES[kind].sentence(rule)
    children = trees.children(rule)
    if kind == "not":
        return _("not (%(condition)s)") % {"condition": _words(children[0])}
    parts = [_("(%(group)s)") % {"group": _words(child)} if _is_group(child) else _words(child) for child in children]
    return (_(" and ") if kind == "all" else _(" or ")).join(parts)


def _is_group(rule: Rule) -> bool:
    return trees.kind_of(rule) in {"all", "any"} and len(trees.children(rule)) > 1


def explain(rule: Rule, tenant: int, *, today: date) -> dict[str, Any]:
    """The rule's tree for one tenant: what holds, with every condition's value, and the events behind a feature's.

    Raises `NotAResident`.
    """
    check(rule)
    bound = Bound(today)
    columns = [
        f"coalesce({LEAVES[kind].holds(leaf, bound)}, FALSE), to_jsonb({LEAVES[kind].value(leaf, bound)}), "
        + (behind(bound) if (behind := evidence.behind(leaf)) else "NULL::jsonb")
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
    found = iter(zip(row[::3], map(read, row[1::3]), map(read, row[2::3]), strict=True))

    def tree(node: Rule) -> dict[str, Any]:
        kind = trees.kind_of(node)
        if kind in LEAVES:
            holds, value, events = next(found)
            miss = "" if holds else LEAVES[kind].miss(node, value)
            told = {"condition": node, "sentence": _words(node), "holds": holds, "value": value, "miss": miss}
            return told if events is None else {**told, "events": events}
        children = [tree(child) for child in trees.children(node)]
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


def read(column: str | None) -> Any:
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
