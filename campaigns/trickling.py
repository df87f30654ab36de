"""What may be said at any moment of a step under test that trickles by lease end, and when its sample is there.

There is no audience to freeze, so there is no verdict of 72 hours: whoever comes has the arm of their household's hash.
A household's outcome is a proven click of one of its people within HOURS of the first of them being drawn for; until
those are over it says nothing. Those of one day are a batch, which enters when the last of its outcomes is final, so
that no outcome has a say in when it is counted. What is computed of them may be looked at as often as anybody likes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import combinations
from math import ceil

import numpy as np
from django.conf import settings
from django.db import transaction
from django.utils.translation import override

from campaigns import tallies, trials
from campaigns.experiments import evalues, power, srm
from campaigns.models import Arm, Experiment
from campaigns.tallies import Outcome
from tenants import clock

HOURS = 72
LEAST = 200  # households an arm from which the any-time interval, which rests on large numbers, is shown
PACE_DAYS = 30  # how many come a day is counted over so many days at most
State = Experiment.State


@dataclass(frozen=True, slots=True)
class Household:
    """One that an arm was drawn for: the first of its people counts, and a click of any of them."""

    letter: str
    drawn_at: datetime
    clicked: bool
    is_final: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Two arms, by the households whose outcome is final: how many, how many clicked, the largest bets so far that the
    first and that the second is clicked more, and second − first with an interval that holds at all moments together.
    """

    pair: tuple[str, str]
    households: tuple[int, int]
    clicked: tuple[int, int]
    bets: tuple[float, float]
    difference: tuple[float, float, float] | None  # None while either arm has fewer than LEAST


@dataclass(frozen=True, slots=True)
class Sample:
    """So many households an arm tell `base` from `share`, four times in five; all are there `on`, if they come as now.

    `on` is None where nobody comes.
    """

    base: float
    share: float
    wanted: int
    there: int
    a_day: float
    on: date | None


def households(rows: Iterable[Outcome], *, now: datetime) -> list[Household]:
    """The households of an audience, in the order in which they were drawn for."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for row in rows:
        groups[row.household].append(row)
    found = []
    for group in groups.values():
        first = min(group, key=lambda row: row.assigned_at)
        until = first.assigned_at + timedelta(hours=HOURS)
        clicked = any(row.clicked_at is not None and row.clicked_at <= until for row in group)
        found.append(Household(first.letter, first.assigned_at, clicked, until <= now))
    return sorted(found, key=lambda each: each.drawn_at)


def standings(those: Sequence[Household], letters: Sequence[str]) -> list[Standing]:
    """How each pair of arms stands."""
    batches: dict[date, list[Household]] = defaultdict(list)
    for each in those:
        batches[clock.day_of(each.drawn_at)].append(each)
    final = [batch for _day, batch in sorted(batches.items()) if all(each.is_final for each in batch)]
    return [_standing(final, pair) for pair in combinations(letters, 2)]


def _standing(batches: Sequence[Sequence[Household]], pair: tuple[str, str]) -> Standing:
    sizes = np.array([[sum(each.letter == arm for each in batch) for arm in pair] for batch in batches]).reshape(-1, 2)
    clicks = np.array(
        [[sum(each.clicked for each in batch if each.letter == arm) for arm in pair] for batch in batches]
    ).reshape(-1, 2)
    sides = evalues.in_batches(clicks, sizes)
    best = [max(1.0, float(np.max(side, initial=1.0))) for side in sides]
    (n1, n2), (k1, k2) = (tuple(int(each) for each in side.sum(axis=0)) for side in (sizes, clicks))
    difference = None
    if min(n1, n2) >= LEAST:
        low, high, _p = evalues.sequence(k2, n2, k1, n1, expected=2 * LEAST)
        difference = (k2 / n2 - k1 / n1, low, high)
    return Standing(pair, (n1, n2), (k1, k2), (best[0], best[1]), difference)


def sample(those: Sequence[Household], letters: Sequence[str], *, base: float, now: datetime) -> Sample:
    """When there are enough to tell `base` from its double, or from half the way up where that is less."""
    share = min(2 * base, (1 + base) / 2)
    wanted = power.needed(base, share, arms=len(letters))
    there = min(sum(each.letter == letter for each in those) for letter in letters)
    since = now - timedelta(days=PACE_DAYS)
    days = max(1.0, min(float(PACE_DAYS), (now - those[0].drawn_at) / timedelta(days=1))) if those else 1.0
    a_day = sum(each.drawn_at > since for each in those) / days
    missing = sum(max(0, wanted - sum(each.letter == letter for each in those)) for letter in letters)
    on = clock.day_of(now) + timedelta(days=ceil(missing / a_day)) if a_day or not missing else None
    return Sample(base, share, wanted, there, a_day, on)


def watch(*, now: datetime) -> int:
    """Every running test that loses people of one arm, or drives them off, is stopped; how many were."""
    stopped = 0
    for pk in Experiment.objects.filter(state=State.RUNNING, on=None).values_list("pk", flat=True):
        with transaction.atomic(), override(settings.LANGUAGE_CODE):
            experiment = Experiment.objects.select_for_update().get(pk=pk)
            arms = Arm.objects.filter(experiment=experiment).order_by("letter")
            block = _block(tallies.outcomes(experiment, at=now), [arm.letter for arm in arms])
            if experiment.state == State.RUNNING and block:
                trials.block(experiment, *block, now=now)
                stopped += 1
    return stopped


def _block(rows: Sequence[Outcome], letters: Sequence[str]) -> tuple[str, str] | None:
    """("mismatch", step) or ("guardrail", measure). The hash gives every arm as many households as any other."""
    for step in ("assigned", "accepted"):
        there = {row.household: row.letter for row in rows if step == "assigned" or row.accepted}
        counts = [sum(letter == each for each in there.values()) for letter in letters]
        if srm.bet(counts, [1] * len(letters)) * srm.ALARM >= 1:
            return "mismatch", step
    for what in tallies.GUARDED:
        for letter in letters[1:]:
            hit = [row.letter == letter for row in rows if getattr(row, what) and row.letter in (letters[0], letter)]
            if hit and float(evalues.guardrail_between(hit, (1, 1))[-1]) >= evalues.STOPS:
                return "guardrail", what
    return None
