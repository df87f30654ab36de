"""What is concluded from a wave: from what was written down beforehand and the counts at each look alone.

Within the 72 hours only a look can confirm, and only by the exact p of its counts against the look's level: an e-value,
however large, is shown and confirms nothing yet, or the two errors would add up.

**Which p.** Fisher's, where every household is one tenant: its level is never exceeded, whatever the rates; the
mid-p exceeds it at some (docs/experiments.md has both). Where flat-mates were assigned together, the caller passes the
design's own p (`exact.rerandomised`) with each look.

**More than two arms.** Every pair of arms is one question, and the level is shared by Holm's rule: of m pairs the
first to be told apart needs α ÷ m, the next α ÷ (m − 1), and so on, each with looks of its own level. It assumes
nothing about how the arms depend on each other, so the chance to tell any two alike arms apart stays at α. An arm
that is told to be worse than another is *dropped*; *confirmed* is the arm to which all others are worse. Against the
control alone the question "which of the two better ones" would stay open, and it is the one that the operator asks.

**At the end, provisional or no difference.** The better-looking arm is named, as provisional, only if its lead does not
hang on one tenant of either arm: it still leads with one click fewer and its runner-up with one more. Otherwise, or if
the interval of the difference lies wholly within the margin that was said to matter, no difference is worth naming. A
wording costs nothing to roll out and can be taken back, so more proof than that is not asked for; but a name given to
one click would be remembered as a result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations

from campaigns.experiments.exact import fisher
from campaigns.experiments.looks import boundaries, information
from campaigns.experiments.shares import difference

HOURS = (12, 24, 36, 48, 60, 72)
Pair = tuple[int, int]  # arms, the lower number first


@dataclass(frozen=True, slots=True)
class Plan:
    """What is written down before the first message."""

    assigned: tuple[int, ...]  # tenants of each arm, all from the first hour
    hours: tuple[int, ...] = HOURS  # after the start, of each look
    alpha: float = 0.05
    margin: float = 0.01  # a difference of shares that nobody would act on

    def __post_init__(self) -> None:
        if len(self.assigned) < 2 or min(self.assigned) < 1:
            raise ValueError("an experiment has two arms at least, and nobody is nobody's arm")
        if not self.hours or list(self.hours) != sorted(set(self.hours)) or self.hours[0] <= 0:
            raise ValueError("looks follow one another")
        if not 0 < self.alpha < 1 or not 0 <= self.margin < 1:
            raise ValueError("the level and the margin are shares")


@dataclass(frozen=True, slots=True)
class Look:
    """What was counted at one of the plan's hours: clicks up to that hour, never later ones."""

    hour: int
    clicked: tuple[int, ...]  # tenants with a proven click, of each arm
    p: Mapping[Pair, float] | None = None  # the design's own p of each pair; Fisher's where none is passed


@dataclass(frozen=True, slots=True)
class Block:
    """Why nothing may be concluded: "mismatch" or "guardrail", and the step or measure it was seen in."""

    reason: str
    step: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms at one look: p against the level that the look had for it, and which arm was told to be worse."""

    hour: int
    pair: Pair
    p: float
    level: float
    worse: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """What would have led to another verdict: `clicks` more (or, negative, fewer) in `arm`, all else as it is."""

    arm: int
    clicks: int
    kind: str
    winner: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kind`: "continue", "confirmed", "provisional", "no_difference" or "blocked"; `arm` of the second and third."""

    kind: str
    arm: int | None = None
    hour: int | None = None  # of the look that settled it
    dropped: Mapping[int, int] = field(default_factory=dict)  # arm: hour of the look that told it to be worse
    comparisons: tuple[Comparison, ...] = ()
    block: Block | None = None


def judge(plan: Plan, looks: Sequence[Look], blocks: Sequence[Block] = ()) -> Verdict:
    """The verdict of the looks taken so far, in order; what one has confirmed, no later one takes back.

    A look that was not taken is simply missing; its error is not lost. A block overrides everything, also what had been
    confirmed. ValueError for an hour that is not the plan's or comes twice, or counts that cannot be.
    """
    _checked(plan, looks)
    if blocks:
        return Verdict("blocked", block=blocks[0])
    pairs = list(combinations(range(len(plan.assigned)), 2))
    told: set[Pair] = set()
    dropped: dict[int, int] = {}
    comparisons: list[Comparison] = []
    for number, look in enumerate(looks, 1):
        ps = {pair: _p(plan, look, pair) for pair in pairs}
        # Holm: each pair that is told apart leaves a larger share of the level to the others, in the same look too.
        for pair in sorted(set(pairs) - told, key=lambda pair: (ps[pair], pair)):
            level = _level(plan, looks[:number], pair, plan.alpha / (len(pairs) - len(told)))
            worse = None
            if ps[pair] < level:
                told.add(pair)
                worse = min(pair, key=lambda arm: look.clicked[arm] / plan.assigned[arm])
                dropped.setdefault(worse, look.hour)
            comparisons.append(Comparison(look.hour, pair, ps[pair], level, worse))
        left = [arm for arm in range(len(plan.assigned)) if arm not in dropped]
        if len(left) == 1 and all(_lost(comparisons, arm, left[0]) for arm in dropped):
            return Verdict("confirmed", left[0], look.hour, dropped, tuple(comparisons))
    if not looks or looks[-1].hour < plan.hours[-1]:
        return Verdict("continue", None, None, dropped, tuple(comparisons))
    arm = _leader(plan, looks[-1], set(dropped))
    return Verdict("no_difference" if arm is None else "provisional", arm, looks[-1].hour, dropped, tuple(comparisons))


def changes(plan: Plan, looks: Sequence[Look]) -> list[Change]:
    """What would change the verdict: the fewest clicks more, or fewer, of one arm at the last look, all else as it is.

    At most one for each arm and verdict: to be confirmed; at the end also to be the provisional one; of a confirmed
    arm, how many fewer (down to what the look before had) would have left it unconfirmed. By Fisher's p. A change that
    no number of clicks would bring is left out, and nothing changes what an earlier look has settled.
    """
    if not looks:
        return []
    looks = [replace(look, p=None) for look in looks]
    now, last, found = judge(plan, looks), looks[-1], []
    if now.kind == "confirmed" and now.hour != last.hour:
        return []
    kinds = ("provisional", "confirmed") if last.hour == plan.hours[-1] else ("confirmed",)
    for arm, all_ in enumerate(plan.assigned):
        if now.kind == "confirmed" and now.arm == arm:
            before = looks[-2].clicked[arm] if len(looks) > 1 else 0
            fewer = _fewest(last.clicked[arm] - before, partial(_would_not_be, plan, looks, arm))
            if fewer:
                then = _with(plan, looks, arm, -fewer)
                found.append(Change(arm, -fewer, then.kind, then.arm))
            continue
        for kind in kinds:
            more = _fewest(all_ - last.clicked[arm], partial(_would_be, plan, looks, kind, arm))
            if more and (now.kind, now.arm) != (kind, arm):
                found.append(Change(arm, more, kind, arm))
    return found


def afterwards(verdict: Verdict, bets: Mapping[int, tuple[float, float]], level: float = 0.05) -> str:
    """What signatures say of the arm rolled out: "confirmed", "reversed" or "pending".

    `bets[other]` are the largest e-values so far (`evalues.by_clicks` on signatures) that the rolled-out arm is better
    than `other`, and that it is worse. Two directions and each other arm share the level: 2·(arms − 1) ÷ level, 40 for
    two arms, is what a bet has to reach. Reversed by one arm that is better; confirmed by being better than all.
    """
    edge = 2 * len(bets) / level
    if verdict.arm is None or not bets:
        raise ValueError("no arm was rolled out")
    if any(worse >= edge for _, worse in bets.values()):
        return "reversed"
    return "confirmed" if all(better >= edge for better, _ in bets.values()) else "pending"


def _checked(plan: Plan, looks: Sequence[Look]) -> None:
    hours = [look.hour for look in looks]
    if hours != sorted(set(hours)) or not set(hours) <= set(plan.hours):
        raise ValueError("a look is taken at an hour of the plan, once, and in order")
    before = (0,) * len(plan.assigned)
    for look in looks:
        if len(look.clicked) != len(plan.assigned):
            raise ValueError("each arm has its count")
        if any(not old <= new <= all_ for old, new, all_ in zip(before, look.clicked, plan.assigned, strict=True)):
            raise ValueError("clicks only add up, and each tenant's counts once")
        before = look.clicked


def _p(plan: Plan, look: Look, pair: Pair) -> float:
    if look.p is not None:
        return look.p[pair]
    one, other = pair
    return fisher(look.clicked[one], plan.assigned[one], look.clicked[other], plan.assigned[other])


def _level(plan: Plan, looks: Sequence[Look], pair: Pair, alpha: float) -> float:
    """What p of the pair has to be below at the last of these looks, had the pair had `alpha` from the start."""
    everybody = sum(plan.assigned[arm] for arm in pair)
    informed = [information(sum(look.clicked[arm] for arm in pair), everybody) for look in looks]
    return boundaries([look.hour / plan.hours[-1] for look in looks], informed, alpha)[-1].level


def _lost(comparisons: Sequence[Comparison], worse: int, better: int) -> bool:
    return any(each.worse == worse and better in each.pair for each in comparisons)


def _leader(plan: Plan, look: Look, dropped: set[int]) -> int | None:
    """The better-looking of the arms not dropped, if its lead over the next is one to speak of."""

    def share(arm: int) -> float:
        return look.clicked[arm] / plan.assigned[arm]

    left = [arm for arm in range(len(plan.assigned)) if arm not in dropped] or list(range(len(plan.assigned)))
    best, *rest = sorted(left, key=lambda arm: (-share(arm), arm))
    if not rest:
        return best
    k1, n1, k2, n2 = look.clicked[best], plan.assigned[best], look.clicked[rest[0]], plan.assigned[rest[0]]
    _, low, high = difference(k1, n1, k2, n2)
    within = -plan.margin < low and high < plan.margin
    return None if within or (k1 - 1) / n1 <= (k2 + 1) / n2 else best


def _with(plan: Plan, looks: Sequence[Look], arm: int, more: int) -> Verdict:
    clicked = tuple(count + more * (number == arm) for number, count in enumerate(looks[-1].clicked))
    return judge(plan, [*looks[:-1], replace(looks[-1], clicked=clicked)])


def _would_be(plan: Plan, looks: Sequence[Look], kind: str, arm: int, more: int) -> bool:
    """Whether so many clicks more make it that verdict of that arm, or a stronger one."""
    then = _with(plan, looks, arm, more)
    return then.arm == arm and then.kind in ("confirmed", kind)


def _would_not_be(plan: Plan, looks: Sequence[Look], arm: int, fewer: int) -> bool:
    """Whether so many clicks fewer leave the arm unconfirmed."""
    return not _would_be(plan, looks, "confirmed", arm, -fewer)


def _fewest(most: int, is_enough: Callable[[int], bool]) -> int | None:
    """The smallest number from 1 to `most` that is enough, found by halving; None if `most` is not."""
    if most < 1 or not is_enough(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high
