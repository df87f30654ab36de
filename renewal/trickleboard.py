"""The board's part on a step that trickles: what may be said of it at any moment, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from campaigns import trickling
from campaigns.tallies import Outcome
from campaigns.trickling import Sample, Standing
from renewal.figures import rate_words


@dataclass(frozen=True, slots=True)
class Pair:
    """Two versions: their clicks, their difference and the evidence, each a sentence."""

    letters: str
    clicked: str
    difference: str
    evidence: str


def panel(rows: Sequence[Outcome], letters: Sequence[str], *, base: float, now: datetime) -> dict[str, Any]:
    """{"sample": sentence, "pairs": [Pair]}; `base` is the share of asks that are clicked, as far as is known."""
    there = trickling.households(rows, now=now)
    return {
        "sample": sample_words(trickling.sample(there, letters, base=base, now=now)),
        "pairs": [_pair(each) for each in trickling.standings(there, letters)],
    }


def sample_words(sample: Sample) -> str:
    """When the sample is there."""
    facts = {
        "base": rate_words(sample.base), "share": rate_words(sample.share), "wanted": sample.wanted,
        "there": sample.there, "on": sample.on, "a_day": f"{sample.a_day:.1f}",
    }  # fmt: skip
    if sample.there >= sample.wanted:
        return _("%(wanted)d households a version, enough to tell %(base)s from %(share)s, are there") % facts
    if sample.on is None:
        return _("%(there)d of %(wanted)d households a version are there, and nobody comes") % facts
    return (
        _(
            "About %(on)s there will be %(wanted)d households a version, enough to tell %(base)s from %(share)s; "
            "%(there)d are there, and %(a_day)s come a day"
        )
        % facts
    )


def _pair(standing: Standing) -> Pair:
    (one, other), (n1, n2), (k1, k2) = standing.pair, standing.households, standing.clicked
    counts = {"one": one, "other": other, "n1": n1, "n2": n2, "k1": k1, "k2": k2}
    clicked = _("%(one)s: %(k1)d of %(n1)d households clicked within 72 hours; %(other)s: %(k2)d of %(n2)d.") % counts
    if standing.difference is None:
        facts: dict[str, Any] = {"n": trickling.LEAST}
        difference = _("An interval follows from %(n)d households a version: it rests on large numbers.") % facts
    else:
        rate, low, high = (f"{each * 100:+.1f}" for each in standing.difference)
        facts = {"one": one, "other": other, "rate": rate, "low": low, "high": high}
        difference = _("%(other)s less %(one)s: %(rate)s points, between %(low)s and %(high)s.") % facts
    better, worse = (one, other) if standing.bets[0] >= standing.bets[1] else (other, one)
    facts = {"better": better, "worse": worse, "e": f"{max(standing.bets):.1f}"}
    evidence = _("That %(better)s is clicked more than %(worse)s: %(e)s to one.") % facts
    return Pair(one + other, clicked, difference, evidence)
