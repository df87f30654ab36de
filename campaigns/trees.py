"""A rule as a tree: what a node is, what it is made of, and its SQL."""

from __future__ import annotations

from collections.abc import Iterator

from campaigns.conditions import LEAVES
from campaigns.grammar import Bound, Rule


def kind_of(rule: Rule) -> str:
    return next(key for key in ("all", "any", "not", *LEAVES) if key in rule)


def children(rule: Rule) -> list[Rule]:
    kind = kind_of(rule)
    return [rule["not"]] if kind == "not" else rule[kind]


def leaves(rule: Rule | None) -> Iterator[tuple[str, Rule]]:
    """Every condition of a rule with its kind."""
    if rule is None:
        return
    kind = kind_of(rule)
    if kind in LEAVES:
        yield kind, rule
    else:
        for child in children(rule):
            yield from leaves(child)


def parts(rule: Rule) -> list[Rule]:
    """What has to hold, each of it: the rule itself, or what its groups of all are made of."""
    if kind_of(rule) != "all":
        return [rule]
    return [part for child in children(rule) for part in parts(child)]


def sql(rule: Rule, bound: Bound, *, known: bool = True) -> str:
    """SQL over `subject` and its joins; what is unknown is untrue, or, where not all has to be `known`, unknown.

    A WHERE takes the one for the other, and of a bare comparison the planner knows how often it holds.
    """
    kind = kind_of(rule)
    if kind in LEAVES:
        holds = LEAVES[kind].holds(rule, bound)
        return f"({holds}) IS TRUE" if known else f"({holds})"
    if kind == "not":
        return f"({sql(rule['not'], bound, known=False)}) IS NOT TRUE"
    each = [sql(child, bound, known=known) for child in children(rule)]
    return f"({' AND '.join(each) if kind == 'all' else ' OR '.join(each)})"
