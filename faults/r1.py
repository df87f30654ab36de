"""R1: random rules over random histories, compiled to a query and read person by person in plain Python.

In full 10,000 rules over 50 crowds whose histories touch the edges of the rules' windows, told late, out of order and
twice. The two must select the same people, and what is explained of one must hold or not as the list says. Four red
twins: windows that begin and end a second late, working days that are days, consents asked of the first channel
whichever the rule names, and moods asked of one's own bills alone; none may pass.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any
from unittest.mock import patch

from django.db import transaction

from campaigns import agreeing, segments, windows
from campaigns.grammar import Bound
from campaigns.windows import Window
from faults import Outcome, outcome, rule_world
from faults.rule_reading import Person, selects
from faults.rule_world import TODAY, Rule
from tenants import bills

CROWDS, RULES = 50, 200
EXPLAINED = 10  # of so many rules one is explained, for one person

_sql, _agreed = windows.sql, agreeing._sql


def run(seed: int, share: float) -> Outcome:
    crowds = max(2, round(CROWDS * share))
    green = campaign(random.Random(seed), crowds)
    with patch.object(windows, "sql", _a_second_late):
        late = campaign(random.Random(seed), max(2, crowds // 5))
    with patch.object(windows, "is_working", lambda day: True):
        _forget()
        lazy = campaign(random.Random(seed), max(2, crowds // 5))
    _forget()
    with patch.object(agreeing, "_sql", _on_the_first_channel):
        deaf = campaign(random.Random(seed), max(2, crowds // 5))
    with patch.object(bills, "of_lease", lambda **moments: "bill AS (SELECT * FROM issued)"):
        alone = campaign(random.Random(seed), max(2, crowds // 5))
    twins = {"late_windows": late, "all_days_work": lazy, "one_channel": deaf, "own_bills": alone}
    counts = {name: told["other_people"] for name, (_held, told) in twins.items()}
    return outcome(*green, red=(any(held for held, _told in twins.values()), counts))


def _forget() -> None:
    """Nothing is kept of the working days that were counted before."""
    windows._working_days.cache_clear()
    windows._offsets.cache_clear()


def _a_second_late(window: Rule, bound: Bound) -> Window:
    told = _sql(window, bound)
    return Window(f"({told.from_at} + interval '1 second')", f"({told.to_at} + interval '1 second')", told.anchored)


def _on_the_first_channel(sql: str, leaf: Rule, bound: Bound) -> str:
    return _agreed(sql, {"consent": leaf["consent"]}, bound)


def campaign(dice: random.Random, crowds: int) -> tuple[bool, dict[str, Any]]:
    """Held if everything agrees; counts of rules, people, and what they asked."""
    counts: Counter[str] = Counter(rules=0, events=0, selected=0, other_people=0, other_explanations=0)
    for _crowd in range(crowds):
        with transaction.atomic():
            among = [rule_world.window(dice) for _each in range(12)]
            people = rule_world.crowd(dice, among)
            counts["events"] += sum(len(person.events) for person in people)
            for number in range(RULES):
                rule = rule_world.rule(dice, among)
                told = disagreement(rule, people, explained=number % EXPLAINED == 0)
                counts["rules"] += 1
                counts["selected"] += told["selected"]
                counts["other_people"] += told["other_people"]
                counts["other_explanations"] += told["other_explanations"]
                counts.update(f"asked_{kind}" for kind, _leaf in segments.leaves(rule))
            transaction.set_rollback(True)
    return counts["other_people"] == counts["other_explanations"] == 0, dict(counts)


def disagreement(rule: Rule, people: list[Person], *, explained: bool) -> dict[str, int]:
    """How many the rule selects, and whether the reading selects others or explains the first one otherwise."""
    expected = [person.pk for person in people if selects(rule, person, TODAY)]
    told = {"selected": len(expected), "other_people": 0, "other_explanations": 0}
    told["other_people"] = segments.members(rule, today=TODAY) != expected
    if explained:
        one = people[len(expected) % len(people)].pk
        tree = segments.explain(rule, one, today=TODAY)
        told["other_explanations"] = tree["holds"] != (one in expected) or bool(segments.nearest(tree)) == tree["holds"]
    return told
