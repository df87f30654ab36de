"""A trial that ran elsewhere, entered as counts: what its sizes and its shares say. Nothing of it is kept.

The sums are those of `campaigns.experiments`: the sizes against an even split (`srm.mismatch`), each measure by its
pooled z-test and Newcombe's interval (`shares`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from campaigns.experiments import shares, srm
from renewal.figures import share

MEASURES = 3  # at most
MOST = 10**9
ALPHA = 0.05
LEAST = 30  # of each version's people that did, and that did not; with fewer the z-test tells too much apart
# Public: where the first gate stands in a game, at level 30 (A) or 40 (B); players, and those back a day and a week on.
COOKIE_CATS = {
    "n_A": "44700", "n_B": "45489", "k_A_1": "20034", "k_B_1": "20119", "k_A_2": "8502", "k_B_2": "8279",
}  # fmt: skip


class NotCounts(Exception):
    """Counts that cannot be, in one sentence; `field` is where."""

    def __init__(self, words: str, field: str) -> None:
        super().__init__(words)
        self.field = field


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that was counted: the share of either arm, the lead of the better one in points, and how it is told."""

    name: str
    arms: list[dict[str, Any]]  # of `figures.share`, with "letter" and "interval" in tenths of a percent
    lead: dict[str, str]  # {"letter", "rate", "low", "high"}, of the higher arm over the other
    z: str
    p: str
    is_told: bool
    is_small: bool  # so few that the z-test is too free


@dataclass(frozen=True, slots=True)
class Told:
    """What the counts say."""

    sizes: tuple[int, int]
    sizes_p: str
    is_alarm: bool
    is_odd: bool  # rare for an even split, and no alarm yet
    measures: list[Measure]


def example() -> dict[str, str]:
    """What a public trial would be typed as."""
    return {**COOKIE_CATS, "name_1": _("day-1 retention"), "name_2": _("day-7 retention")}


def read(given: Mapping[str, str]) -> Told | None:
    """What `given` says, {"n_A", "n_B", "name_1", "k_A_1", "k_B_1", …}; None where nothing is typed.

    Raises `NotCounts`.
    """
    if not any(given.get(field, "").strip() for field in fields()):
        return None
    n_a, n_b = (_number(given, f"n_{letter}", least=1) for letter in "AB")
    sizes = srm.mismatch((n_a, n_b), (1, 1))
    numbers = [number for number in range(1, MEASURES + 1) if _is_typed(given, number)]
    if not numbers:
        raise NotCounts(_("Say of at least one measure how many there were."), "k_A_1")
    measures = [_measure(given, number, n_a, n_b) for number in numbers]
    is_odd = not sizes.is_alarm and sizes.p < ALPHA
    return Told((n_a, n_b), _p(sizes.p, 2), sizes.is_alarm, is_odd, measures)


def form(given: Mapping[str, str], wrong: str = "") -> list[list[dict[str, Any]]]:
    """The rows of the form with what was typed: sizes, then each measure by its name and counts; `wrong` is a field."""

    def cell(field: str, label: str) -> dict[str, Any]:
        return {"field": field, "label": label, "typed": given.get(field, ""), "is_wrong": field == wrong}

    rows = [[cell(f"n_{letter}", _("assigned to %(letter)s") % {"letter": letter}) for letter in "AB"]]
    for number in range(1, MEASURES + 1):
        counts = [cell(f"k_{letter}_{number}", _("how many of %(letter)s") % {"letter": letter}) for letter in "AB"]
        rows.append([cell(f"name_{number}", _("what was counted")), *counts])
    return rows


def fields() -> list[str]:
    """The names of all that can be typed, in the order of the form."""
    measures = [f"{what}_{number}" for number in range(1, MEASURES + 1) for what in ("name", "k_A", "k_B")]
    return ["n_A", "n_B", *measures]


def _is_typed(given: Mapping[str, str], number: int) -> bool:
    return any(given.get(f"{what}_{number}", "").strip() for what in ("name", "k_A", "k_B"))


def _measure(given: Mapping[str, str], number: int, n_a: int, n_b: int) -> Measure:
    k_a = _number(given, f"k_A_{number}", most=n_a)
    k_b = _number(given, f"k_B_{number}", most=n_b)
    z, p = shares.z_test(k_a, n_a, k_b, n_b)
    ahead, behind = ((k_a, n_a), (k_b, n_b)) if z >= 0 else ((k_b, n_b), (k_a, n_a))
    points = {
        what: f"{each * 100:.1f}".replace("-", "−")
        for what, each in zip(("rate", "low", "high"), shares.difference(*ahead, *behind), strict=True)
    }
    return Measure(
        " ".join(given.get(f"name_{number}", "").split())[:40] or _("measure %(n)d") % {"n": number},
        [_arm("A", k_a, n_a), _arm("B", k_b, n_b)],
        {"letter": "A" if z >= 0 else "B", **points},
        f"{abs(z):.3f}",
        _p(p, 3),
        p < ALPHA,
        min(k_a, n_a - k_a, k_b, n_b - k_b) < LEAST,
    )


def _p(p: float, digits: int) -> str:
    """A p-value with its sign, "= 0.0744"; one too small for a float is not nought."""
    return f"= {p:.{digits}g}" if p >= 1e-12 else "< 1e-12"


def _arm(letter: str, k: int, n: int) -> dict[str, Any]:
    found = share(k, n)
    return {"letter": letter, **found, "interval": f"{found['low'] * 100:.1f}–{found['high'] * 100:.1f}%"}


def _number(given: Mapping[str, str], field: str, *, least: int = 0, most: int = MOST) -> int:
    """A whole number as people write it: 44,700 and full-width digits too."""
    typed = given.get(field, "").strip().replace(",", "").replace("，", "")
    if not typed:
        raise NotCounts(_("A number is missing."), field)
    if not typed.isdecimal():
        raise NotCounts(_("“%(typed)s” is no whole number from 0 up.") % {"typed": typed[:20]}, field)
    if len(typed) > len(str(MOST)) or int(typed) > MOST:
        raise NotCounts(_("“%(typed)s” is more than a trial can have.") % {"typed": typed[:20]}, field)
    if int(typed) < least:
        raise NotCounts(_("A version has at least one person."), field)
    if int(typed) > most:
        raise NotCounts(_("“%(typed)s” is more than the %(n)d who were assigned.") % {"typed": typed, "n": most}, field)
    return int(typed)
