"""Who gets which arm: a wave's frozen roster in neighbouring blocks, an endless audience by a published hash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import permutations

MOST_ARMS = 5  # every order of the arms is weighed for each block


@dataclass(frozen=True, slots=True)
class Household:
    """Flat-mates who take part, or one tenant alone: they talk to each other, so they get the same arm."""

    key: str  # unique in a roster, and the same whenever the roster is made again
    building: str
    mood: int  # of the latest bill, higher is better; of flat-mates the lowest
    tenure: int  # days; of flat-mates the longest
    persons: int = 1


@dataclass(frozen=True, slots=True)
class Unit:
    """What chance could have turned round between two arms, all of it or nothing: keys of households on either side."""

    one: tuple[str, ...]
    other: tuple[str, ...]


def blocks(roster: Iterable[Household], arms: int) -> list[list[Household]]:
    """The roster in blocks of `arms` neighbours, ordered by building, size, mood and tenure; the last may be shorter.

    Households of one size are neighbours within their building, so that blocks of unequal sizes are rare. ValueError
    for a key that comes twice, a household of nobody, fewer than 2 arms or more than 5.
    """
    people = sorted(roster, key=lambda each: (each.building, each.persons, each.mood, each.tenure, each.key))
    if len({each.key for each in people}) < len(people):
        raise ValueError("a household is on the roster twice")
    if any(each.persons < 1 for each in people):
        raise ValueError("a household has nobody in it")
    if not 2 <= arms <= MOST_ARMS:
        raise ValueError(f"an experiment has 2 to {MOST_ARMS} arms")
    return [people[start : start + arms] for start in range(0, len(people), arms)]


def assign(roster: Iterable[Household], seed: str, arms: int = 2) -> dict[str, int]:
    """{household: arm from 0}: the same for the same roster, in whatever order, and seed.

    In every block each arm comes at most once, in an order drawn from SHA-256 of the seed and the block's number: any
    two arms differ by at most one household in total. Of the orders only those are drawn from that leave the smallest
    spread of *persons* over the arms so far; blocks of equal households leave all orders.
    """
    return _draw(blocks(roster, arms), arms, lambda block, ties: _digest(seed, block) % ties)


def units(roster: Iterable[Household], arm_of: Mapping[str, int], arms: int, one: int, other: int) -> list[Unit]:
    """What `assign` could as well have turned round between two arms, each unit by itself, with equal chance.

    Two households of one size in a block are a unit. So is a run of blocks in which the two arms got unequal ones,
    up to where both have again as many persons as each other; only the last run may leave a difference. `assign` treats
    all arms alike and looks only at the persons so far: so the history in which the two arms change places within one
    unit, and all else stays, had the same chance.
    """
    found: list[Unit] = []
    run: tuple[list[str], list[str]] = ([], [])
    ahead = 0
    for block in blocks(roster, arms):
        sides = [[each for each in block if arm_of[each.key] == arm] for arm in (one, other)]
        lead = sum(each.persons for each in sides[0]) - sum(each.persons for each in sides[1])
        keys = [tuple(each.key for each in side) for side in sides]
        if lead == 0:
            if keys[0]:
                found.append(Unit(*keys))
            continue
        run[0].extend(keys[0])
        run[1].extend(keys[1])
        ahead += lead
        if ahead == 0:
            found.append(Unit(tuple(run[0]), tuple(run[1])))
            run = ([], [])
    if ahead:
        found.append(Unit(tuple(run[0]), tuple(run[1])))
    return found


def _draw(parts: Sequence[Sequence[Household]], arms: int, pick: Callable[[int, int], int]) -> dict[str, int]:
    orders = list(permutations(range(arms)))
    persons = [0] * arms
    arm_of: dict[str, int] = {}
    for number, block in enumerate(parts):
        spreads = []
        for order in orders:
            after = persons.copy()
            for household, arm in zip(block, order, strict=False):
                after[arm] += household.persons
            spreads.append(max(after) - min(after))
        best = [order for order, spread in zip(orders, spreads, strict=True) if spread == min(spreads)]
        for household, arm in zip(block, best[pick(number, len(best))], strict=False):
            arm_of[household.key] = arm
            persons[arm] += household.persons
    return arm_of


def _digest(seed: str, block: int) -> int:
    return int.from_bytes(sha256(f"{seed}:{block}".encode()).digest(), "big")


# An audience without an end: GrowthBook's hash (docs.growthbook.io/lib/build-your-own), which anybody can recompute.


def bucket(seed: str, value: str, version: int = 2) -> float | None:
    """Where `value` falls in [0, 1), to 1/1000 (version 1) or 1/10,000 (version 2); None for another version."""
    if version == 1:
        return _fnv1a(value + seed) % 1000 / 1000
    if version == 2:
        return _fnv1a(str(_fnv1a(seed + value))) % 10_000 / 10_000
    return None


def ranges(arms: int, coverage: float = 1.0, weights: Sequence[float] | None = None) -> list[tuple[float, float]]:
    """Each arm's part of [0, 1), the lower end in it and the upper not.

    `coverage` is the share of the audience that takes part, cut to 0..1: each arm's part shrinks towards its own lower
    end, so that more coverage moves nobody. Weights of another number than the arms', or with a sum more than 0.01 from
    1, are passed over for equal ones, as GrowthBook does.
    """
    coverage = min(1.0, max(0.0, coverage))
    if weights is None or len(weights) != arms or not 0.99 <= sum(weights) <= 1.01:
        weights = [1 / arms] * arms
    starts = [sum(weights[:arm]) for arm in range(arms)]
    return [(start, start + coverage * weight) for start, weight in zip(starts, weights, strict=True)]


def arm_at(place: float | None, parts: Sequence[tuple[float, float]]) -> int | None:
    """The arm whose part `place` is in; None outside all of them."""
    if place is None:
        return None
    return next((arm for arm, (low, high) in enumerate(parts) if low <= place < high), None)


def _fnv1a(text: str) -> int:
    """FNV-1a, 32 bits, over UTF-16 code units, as the SDK for JavaScript reads a text."""
    data = text.encode("utf-16-le", "surrogatepass")
    value = 0x811C9DC5
    for low, high in zip(data[::2], data[1::2], strict=True):
        value = (value ^ (low | high << 8)) * 0x01000193 & 0xFFFFFFFF
    return value
