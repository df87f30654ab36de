"""Whom a rule is asked of: not of everybody, where one of its conditions already says who it can be.

Of what has to hold, step by step, what is read most quickly comes first: feature rows, tags and lists, then what
happened, then consents. A step reads of those alone whom the one before it left, and what remains of the rule is asked
of those whom the last one left.
"""

from __future__ import annotations

from dataclasses import dataclass

from campaigns import trees
from campaigns.conditions import LEAVES
from campaigns.grammar import MERGED_SQL, Bound, Rule
from tenants import features

_SETS = ("tag", "list", "events", "moods", "consent")  # the kinds that name their tenants, the quickest first

# The people of a step, with all of their rows. Whoever was merged into another is no person of their own.
_PEOPLE_SQL = """person(id, root) AS (
    SELECT root, root FROM {step}
    WHERE NOT EXISTS (SELECT FROM ({merged}) gone WHERE gone.id = {step}.root)
    UNION ALL
    SELECT id, into_id FROM ({merged}) merged WHERE into_id IN (SELECT root FROM {step}))"""


@dataclass(frozen=True, slots=True)
class Narrowed:
    """SQL of the steps up to `person`, as a WITH has them, the name of the last, and what is still to be asked."""

    steps: str
    last: str
    remain: list[Rule]


def narrow(rule: Rule, bound: Bound) -> Narrowed | None:
    """Whom to ask; nothing where none of what has to hold says who it can be."""
    figures, sets, remain = _sorted(trees.parts(rule))
    found: list[str] = []
    if figures:
        holds = " AND ".join(trees.sql(part, bound, known=False) for part in figures)
        found.append(f"SELECT f.tenant_id FROM tenants_feature f WHERE {holds}")  # noqa: S608
    elif not sets or trees.kind_of(sets[0]) == "consent":
        return None  # most agree to what they are asked
    for part in sets:
        leaf = LEAVES[trees.kind_of(part)]
        if not found:
            bound.of_everybody = True
            wider = leaf.wider(part, bound)
            first = wider or leaf.those(part, bound)
            bound.of_everybody = False
            found.append(f"SELECT DISTINCT * FROM (WITH {features.PERSON_SQL} {first}) told")  # noqa: S608
            if not wider:
                continue
        before = f"step_{len(found)}"
        those = f"WITH {_people(before)} {leaf.those(part, bound)}"
        found.append(f"SELECT root FROM {before} WHERE root IN ({those})")  # noqa: S608
    named = [f"step_{n}(root) AS MATERIALIZED ({query})" for n, query in enumerate(found, 1)]
    last = f"step_{len(found)}"
    return Narrowed(", ".join([*named, _people(last)]), last, remain)


def _people(step: str) -> str:
    return _PEOPLE_SQL.format(step=step, merged=MERGED_SQL)


def _sorted(parts: list[Rule]) -> tuple[list[Rule], list[Rule], list[Rule]]:
    """What asks of figures, if some of it never holds without; what names its tenants; and all else."""
    figures = [part for part in parts if {kind for kind, _leaf in trees.leaves(part)} == {"feature"}]
    if not any(_needs_row(part) for part in figures):
        figures = []
    sets = [part for part in parts if part not in figures and _names_them(part)]
    sets.sort(key=lambda part: _SETS.index(trees.kind_of(part)))
    return figures, sets, [part for part in parts if part not in figures and part not in sets]


def _names_them(part: Rule) -> bool:
    kind = trees.kind_of(part)
    return kind in LEAVES and LEAVES[kind].names_them(part)


def _needs_row(rule: Rule) -> bool:
    """Whether the rule holds for nobody without a feature row."""
    kind = trees.kind_of(rule)
    if kind in LEAVES:
        return kind == "feature"
    each = [_needs_row(child) for child in trees.children(rule)]
    return {"all": any, "any": all, "not": lambda _each: False}[kind](each)
