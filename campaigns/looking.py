"""The looks at a wave under test, its verdict, and what signatures say of it afterwards.

A look is taken at its hour and counts what had happened by that hour, not by the moment at which somebody came round to
it: a server that was down for a day reaches the same verdict. What is concluded is `experiments.verdicts`'; here it is
counted, written down, and rolled out: the arm of the latest verdict is what the step says from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns import rosters, tallies, trials, trickling
from campaigns.experiments import assigning, evalues, exact, srm, verdicts
from campaigns.models import Arm, Experiment, Look, Verdict
from campaigns.tallies import Outcome

State, Kind = Experiment.State, Verdict.Kind
SIGNED_DAYS = 60  # so long after the start signatures may still uphold or reverse


@dataclass(slots=True)
class Wave:
    """A wave under test with all that its looks ask for."""

    experiment: Experiment
    arms: list[Arm]
    plan: verdicts.Plan
    units: dict[tuple[int, int], list[assigning.Unit]]  # empty where every household is one tenant


def look(*, now: datetime) -> dict[str, int]:
    """Every look that is due has been taken, with what follows, and what trickles was watched over; how many of each.

    {"looks", "verdicts", "upheld", "reversed", "stopped"}, the last one of what trickles.
    """
    looks = concluded = 0
    running = Experiment.objects.filter(state=State.RUNNING, on__isnull=False)
    for pk in running.values_list("pk", flat=True):
        with transaction.atomic(), override(settings.LANGUAGE_CODE):
            experiment = Experiment.objects.select_for_update().get(pk=pk)
            due = Look.objects.filter(experiment=experiment, done_at=None, due_at__lte=now).order_by("number")
            for each in due:
                if experiment.state != State.RUNNING:
                    break
                looks += 1
                concluded += _take(wave_of(experiment), each, now=now)
    return {"looks": looks, "verdicts": concluded, **_watch(now=now), "stopped": trickling.watch(now=now)}


def wave_of(experiment: Experiment) -> Wave:
    """The wave as it was laid down and drawn."""
    arms = list(Arm.objects.filter(experiment=experiment).order_by("letter"))
    roster = rosters.frozen(experiment)
    arm_of = assigning.assign(roster, experiment.seed, len(arms))
    sizes = [sum(each.persons for each in roster if arm_of[each.key] == arm) for arm in range(len(arms))]
    plan = verdicts.Plan(tuple(max(size, 1) for size in sizes), hours=rosters.LOOK_HOURS)
    units = {}
    if any(each.persons > 1 for each in roster):
        pairs = combinations(range(len(arms)), 2)
        units = {pair: assigning.units(roster, arm_of, len(arms), *pair) for pair in pairs}
    return Wave(experiment, arms, plan, units)


def _take(wave: Wave, this: Look, *, now: datetime) -> int:
    """The look is done and written down; says how many verdicts followed."""
    rows = tallies.outcomes(wave.experiment, at=this.due_at)
    found = verdicts.judge(
        wave.plan, [*taken(wave, before=this.number), _counted(wave, this.number, rows)], blocks(wave, rows)
    )
    hour = rosters.LOOK_HOURS[this.number - 1]
    this.done_at = now
    this.found = {
        "arms": tallies.count(rows, [arm.letter for arm in wave.arms]),
        "comparisons": [asdict(each) for each in found.comparisons if each.hour == hour],
        "e": bets(wave, rows),
    }
    this.save(update_fields=["done_at", "found"])
    return _conclude(wave, found, this, now=now)


def taken(wave: Wave, *, before: int | None = None) -> list[verdicts.Look]:
    """The looks taken so far (before one of them), each counted again as things stood at its hour."""
    done = Look.objects.filter(experiment=wave.experiment, done_at__isnull=False).order_by("number")
    if before is not None:
        done = done.filter(number__lt=before)
    return [_counted(wave, each.number, tallies.outcomes(wave.experiment, at=each.due_at)) for each in done]


def _counted(wave: Wave, number: int, rows: Sequence[Outcome]) -> verdicts.Look:
    clicked = tuple(sum(row.clicked for row in rows if row.letter == arm.letter) for arm in wave.arms)
    return verdicts.Look(rosters.LOOK_HOURS[number - 1], clicked, _design_p(wave, rows))


def _design_p(wave: Wave, rows: Sequence[Outcome]) -> dict[tuple[int, int], float] | None:
    """The design's own p of each pair of arms, where flat-mates were drawn for together."""
    if not wave.units:
        return None
    persons: dict[str, int] = {}
    clicks: dict[str, int] = {}
    for row in rows:
        persons[row.household] = persons.get(row.household, 0) + 1
        clicks[row.household] = clicks.get(row.household, 0) + row.clicked
    found = {}
    for pair, units in wave.units.items():
        sides = [
            (
                sum(persons.get(key, 0) for key in unit.one),
                sum(clicks.get(key, 0) for key in unit.one),
                sum(persons.get(key, 0) for key in unit.other),
                sum(clicks.get(key, 0) for key in unit.other),
            )
            for unit in units
        ]
        found[pair] = exact.rerandomised(sides)
    return found


def blocks(wave: Wave, rows: Sequence[Outcome]) -> list[verdicts.Block]:
    """Why nothing may be concluded: messages of one arm got lost on the way, or a wording drives people off."""
    counts = tallies.count(rows, [arm.letter for arm in wave.arms])
    steps = [(step, [counts[arm.letter][step] for arm in wave.arms]) for step in ("assigned", "accepted")]
    found = [verdicts.Block("mismatch", loss.step) for loss in srm.losing_steps(steps)]
    for what in tallies.GUARDED:
        hits = [counts[arm.letter][what] for arm in wave.arms]
        if _drives_off(wave.plan.assigned, hits, wave.experiment.usual.get(what)):
            found.append(verdicts.Block("guardrail", what))
    return found


def _drives_off(assigned: Sequence[int], hits: Sequence[int], usual: float | None) -> bool:
    """Whether an arm has more of these than usual, where that is known, or more than its share beside A."""
    for number, (k, n) in enumerate(zip(hits, assigned, strict=True)):
        if usual is not None and evalues.guardrail(k, usual * n) >= evalues.STOPS:
            return True
        if number and k:
            beside = evalues.guardrail_between([0] * hits[0] + [1] * k, (assigned[0], n))
            if float(beside[-1]) >= evalues.STOPS:
                return True
    return False


def bets(wave: Wave, rows: Sequence[Outcome], *, on: str = "clicked_at") -> dict[str, list[float]]:
    """{"AB": [the largest e-value so far that A does better, that B does]} for each pair; `on` names the moments.

    Flat-mates talk, so a household counts once, by the first of them.
    """
    firsts: dict[str, tuple[str, Any]] = {}
    for row in rows:
        moment, known = getattr(row, on), firsts.get(row.household, (row.letter, None))[1]
        firsts[row.household] = (row.letter, min((each for each in (known, moment) if each is not None), default=None))
    found = {}
    for one, other in combinations([arm.letter for arm in wave.arms], 2):
        ours = [first for first in firsts.values() if first[0] in (one, other)]
        acted = sorted((first for first in ours if first[1] is not None), key=lambda first: first[1])
        roster = (sum(letter == one for letter, _m in ours), sum(letter == other for letter, _m in ours))
        order = [int(letter == other) for letter, _moment in acted]
        sides = evalues.by_clicks(order, roster) if order else (np.ones(1), np.ones(1))
        found[one + other] = [round(float(np.max(side)), 4) for side in sides]
    return found


# --- What follows ------------------------------------------------------------------------------------------


def _conclude(wave: Wave, found: verdicts.Verdict, this: Look, *, now: datetime) -> int:
    """What the look led to is in the book, and rolled out."""
    number = 0
    for arm, hour in found.dropped.items():
        if wave.arms[arm].dropped_at is None and len(wave.arms) > 2:
            wave.arms[arm].dropped_at = now
            wave.arms[arm].save(update_fields=["dropped_at"])
            why = _("told to be worse at hour %(hour)d") % {"hour": hour}
            number += _write(wave, Kind.DROPPED, arm, why, this, now=now)
    if found.kind == "continue":
        return number
    if found.block is not None:
        trials.block(wave.experiment, found.block.reason, found.block.step, found=this.found, now=now)
        return number + 1
    kind, arm, why = _words(found)
    trials.end(wave.experiment, State.DECIDED, now=now)
    return number + _write(wave, kind, arm, why, this, now=now)


def _words(found: verdicts.Verdict) -> tuple[Verdict.Kind, int, str]:
    """The line of a verdict: its kind, the arm that is said from now on, and why."""
    facts = {"hour": found.hour}
    if found.kind == "confirmed":
        return Kind.CONFIRMED, found.arm or 0, _("The look at hour %(hour)d told the versions apart.") % facts
    if found.kind == "provisional":
        return Kind.PROVISIONAL, found.arm or 0, _("The better-looking version; nothing is proven.")
    return Kind.NO_DIFFERENCE, 0, _("No lead worth naming.")


def _write(wave: Wave, kind: Verdict.Kind, arm: int, why: str, this: Look | None, *, now: datetime) -> int:
    Verdict.objects.create(
        experiment=wave.experiment, kind=kind, arm=wave.arms[arm], why=why, found=this.found if this else {}, at=now
    )
    return 1


def _watch(*, now: datetime) -> dict[str, int]:
    """Signatures uphold what was rolled out, or reverse it; each once, and every reversal is in the book."""
    found = {"upheld": 0, "reversed": 0}
    since = now - timedelta(days=SIGNED_DAYS)
    for experiment in Experiment.objects.filter(state=State.DECIDED, on__isnull=False, started_at__gte=since):
        lines = Verdict.objects.filter(experiment=experiment).exclude(kind=Kind.DROPPED).order_by("at", "pk")
        last = lines.last()
        if last is None or last.kind not in (Kind.CONFIRMED, Kind.PROVISIONAL):
            continue
        with transaction.atomic(), override(settings.LANGUAGE_CODE):
            Experiment.objects.select_for_update().get(pk=experiment.pk)
            for what in _by_signatures(wave_of(experiment), last, now=now):
                found[what] += 1
    return found


def _by_signatures(wave: Wave, last: Verdict, *, now: datetime) -> list[str]:
    stands = next(number for number, arm in enumerate(wave.arms) if arm.pk == last.arm_id)
    against: dict[int, tuple[float, float]] = {}
    all_bets: dict[str, Any] = bets(wave, tallies.outcomes(wave.experiment, at=now), on="signed_on")
    for number in range(len(wave.arms)):
        if number != stands:
            first, second = sorted((stands, number))
            pair = all_bets[wave.arms[first].letter + wave.arms[second].letter]
            against[number] = (pair[0], pair[1]) if first == stands else (pair[1], pair[0])
    said = verdicts.afterwards(verdicts.Verdict(last.kind, stands), against)
    if said == "pending":
        return []
    if said == "confirmed":
        why = _("Signatures say the same: evidence %(e)s to one.") % {"e": round(min(b for b, _w in against.values()))}
        _write(wave, Kind.UPHELD, stands, why, None, now=now)
        return ["upheld"]
    better = max(against, key=lambda number: against[number][1])
    facts = {"letter": wave.arms[better].letter, "e": round(against[better][1])}
    _write(
        wave, Kind.REVERSED, better, _("Version %(letter)s signs more: evidence %(e)s to one.") % facts, None, now=now
    )
    return ["reversed"]
