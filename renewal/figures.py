"""Sums behind the figures: periods, shares with their interval, waits of which some are not over. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from campaigns.experiments.shares import difference, wilson


@dataclass(frozen=True, slots=True)
class Period:
    """First and last day, both inclusive."""

    first: date
    last: date


def month_of(day: date) -> Period:
    """The calendar month of `day`."""
    first = day.replace(day=1)
    return Period(first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def season_of(day: date) -> Period:
    """November to January: the season `day` is in; from February the one before, from August the next."""
    year = day.year if day.month >= 8 else day.year - 1
    return Period(date(year, 11, 1), date(year + 1, 1, 31))


def year_before(period: Period) -> Period:
    """The 365 days before a period."""
    return Period(period.first - timedelta(days=365), period.first - timedelta(days=1))


def share(successes: int, n: int) -> dict[str, Any]:
    """{"k", "n", "rate", "low", "high"}: a share that never goes without its n and interval."""
    bounds = wilson(successes, n)
    low, high = (round(bounds[0], 6), round(bounds[1], 6)) if bounds else (None, None)
    return {"k": successes, "n": n, "rate": round(successes / n, 6) if n else None, "low": low, "high": high}


def rate_words(rate: float) -> str:
    """A share as a sentence has it: 15%, 4.5%."""
    return f"{rate:.0%}" if rate >= 0.1 else f"{rate:.1%}"


TOO_FEW = 30  # of leases held out; below it a difference is shown, and said to tell nothing


def effect(rest: dict[str, int], held_out: dict[str, int]) -> dict[str, Any]:
    """Renewal rates of the leases, by outcome, that could hear offers and of those held out, and their difference.

    "difference" is rest less held out, with Newcombe's 95 % interval from the two Wilson intervals (1998, method 10);
    "renewals" is that times the leases of the rest: how many renewed who would not have. "is_unclear" where the
    interval has zero in it, so that chance alone may have made the difference; "fewer", where all of it is below zero,
    is how many did not renew who would have.
    """
    rates = {"rest": renewal_rate(rest)["rate"], "held_out": renewal_rate(held_out)["rate"]}
    one, other = ((each["k"], each["n"]) for each in rates.values())
    found: dict[str, Any] = {**rates, "difference": None, "renewals": None, "fewer": None}
    if one[1] and other[1]:
        triple = difference(*one, *other)
        found["difference"] = dict(zip(("rate", "low", "high"), (round(each, 6) for each in triple), strict=True))
        found["renewals"] = {name: round(each * one[1]) for name, each in found["difference"].items()}
        if found["difference"]["high"] < 0:
            more = found["renewals"]
            found["fewer"] = {"rate": -more["rate"], "low": -more["high"], "high": -more["low"]}
    apart = found["difference"]
    is_unclear = apart is not None and apart["low"] <= 0 <= apart["high"]
    return {**found, "is_too_few": min(one[1], other[1]) < TOO_FEW, "least": TOO_FEW, "is_unclear": is_unclear}


def cost_per_renewal(cost: Decimal, effect: dict[str, Any]) -> dict[str, Any]:
    """What perks cost for each renewal that would not have been: {"cost", "each", "why"}; yuan, half up to the fen.

    `cost` C is that of the perks given with the renewals of those who could hear offers, `effect` as above. With the
    difference d of the renewal rates, rest less held out, and n leases of the rest, d·n renewals are incremental, and
    each costs C / (d·n). The ends of Newcombe's 95 % interval of d, low and high, give it an interval from
    C / (high·n) to C / (low·n). "each" is {"rate", "low", "high"}, or None where no figure can be given, and "why" then
    says which: "nobody" to compare, too "few" of them, "unclear" (the interval of d has zero in it), or "fewer".
    """
    none: dict[str, Any] = {"cost": cost, "each": None}
    rest, held_out = effect["rest"], effect["held_out"]
    if effect["difference"] is None:
        return {**none, "why": "nobody"}
    if effect["is_too_few"]:
        return {**none, "why": "few"}
    middle, low, high = difference(rest["k"], rest["n"], held_out["k"], held_out["n"])
    if low <= 0 <= high:
        return {**none, "why": "unclear"}
    if high < 0:
        return {**none, "why": "fewer"}
    each = {
        name: (cost / (Decimal(apart) * rest["n"])).quantize(Decimal("0.01"), ROUND_HALF_UP)
        for name, apart in (("rate", middle), ("low", high), ("high", low))
    }
    return {"cost": cost, "each": each, "why": ""}


def renewal_rate(outcomes: dict[str, int]) -> dict[str, Any]:
    """The figures of a period from its leases by outcome, as DOMAIN counts them.

    E leaves out what the operator ended and what was ended before the renewal window; both stand apart.
    """
    renewed, left = outcomes.get("renewed", 0), outcomes.get("left", 0)
    transferred, holdover = outcomes.get("transferred", 0), outcomes.get("holdover", 0)
    undecided = outcomes.get("undecided", 0)
    ending = renewed + left + transferred + holdover + undecided
    return {
        "ending": ending,
        "renewed": renewed,
        "left": left,
        "transferred": transferred,
        "holdover": holdover,
        "undecided": undecided,
        "ended_by_operator": outcomes.get("ended_by_operator", 0),
        "ended_early": outcomes.get("ended_early", 0),
        "rate": share(renewed, ending),
        "decided": share(renewed, renewed + left),
        "retention": share(renewed + transferred + holdover, ending),
    }


def quantile(over: Sequence[float], waiting: Sequence[float], q: float) -> float | None:
    """The wait within which a share `q` is over, by Kaplan and Meier: those still waiting count as long as they have.

    With nobody waiting it is the smallest wait that at least a share `q` did not exceed. None where
    too many still wait to say.
    """
    times = sorted([(hours, 0) for hours in over] + [(hours, 1) for hours in waiting])
    at_risk, still = len(times), 1.0
    place = 0
    while place < len(times):
        hours, ended = times[place][0], 0
        leaving = 0
        while place < len(times) and times[place][0] == hours:
            ended += times[place][1] == 0
            leaving += 1
            place += 1
        still *= 1 - ended / at_risk
        at_risk -= leaving
        if ended and 1 - still >= q - 1e-9:
            return hours
    return None


def waits(over: Sequence[float], waiting: Sequence[float], *, target: float) -> dict[str, Any]:
    """Hours until something happened: of those it happened to, and of those who still wait, never dropped."""
    return {
        "n": len(over) + len(waiting),
        "over": len(over),
        "waiting": len(waiting),
        "mean": _hours(sum(over) / len(over) if over else None),
        "p50": _hours(quantile(over, waiting, 0.5)),
        "p90": _hours(quantile(over, waiting, 0.9)),
        # Whoever has waited longer than the target has missed it already.
        "within_target": share(
            sum(hours <= target for hours in over), len(over) + sum(hours > target for hours in waiting)
        ),
    }


def _hours(hours: float | None) -> float | None:
    return None if hours is None else round(hours, 4)


def yuan(amount: Decimal) -> str:
    """Money with two places, half up, once, at the end."""
    return str(amount.quantize(Decimal("0.01"), ROUND_HALF_UP))
