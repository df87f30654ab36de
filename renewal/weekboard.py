"""The endings of a building by week, per room type: counted, expected, and expected under a cap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from renewal import caps, weeks
from renewal.models import WeekCap
from renewal.waveboard import Wave
from renewal.weeks import Weekly
from tenants.models import Building


@dataclass(frozen=True, slots=True)
class TypeWeeks:
    """One room type: `before` without any cap, `after` under `most`, if there is one or one is tried."""

    name: str
    cap: WeekCap | None  # that holds: the type's own, or the building's
    most: int | None
    known: dict[date, int]
    before: Weekly
    after: Weekly | None

    @property
    def full(self) -> list[dict[str, Any]]:
        """The weeks in which no place is left, or few are."""
        if self.most is None:
            return []
        return [
            {"monday": week, "n": n, "left": max(0, self.most - n)} for week, n in weeks.full(self.known, self.most)
        ]

    @property
    def bars(self) -> list[dict[str, Any]]:
        """A column per week: what is expected before and after, as parts of the tallest or of the cap."""
        tallest = max(self.before.most, self.after.most if self.after else 0.0, float(self.most or 0))
        after = self.after.each if self.after else (None,) * len(self.before.each)
        return [
            {
                "monday": monday,
                "before": n,
                "after": then,
                "before_part": _part(n, tallest),
                "after_part": _part(then or 0.0, tallest),
            }
            for monday, n, then in zip(self.before.mondays, self.before.each, after, strict=True)
        ]

    @property
    def line(self) -> str:
        """How high the cap stands among the columns."""
        tallest = max(self.before.most, self.after.most if self.after else 0.0, float(self.most or 0))
        return _part(float(self.most or 0), tallest)


def board(building: Building, wave: Wave, *, today: date, tried: tuple[str, int] | None = None) -> dict[str, TypeWeeks]:
    """Per room type; with `tried` (type or `EVERY_TYPE`, number) as if that cap stood instead. Two queries."""
    known = caps.endings([building.pk], today=today)
    standing = caps.standing([building.pk])
    rate = wave.rate["rate"] or 0.0
    mondays = weeks.next_year(today)
    found = {}
    for name, facts in sorted(wave.types.items()):
        of_type = known.get((building.pk, name), {})
        cap = caps.of(name, building.pk, standing)
        most = _most(name, cap, tried)
        sums: dict[str, Any] = {"mondays": mondays, "rate": rate, "shares": facts.shares}
        before = weeks.forecast(of_type, facts.cases, **sums)
        after = weeks.forecast(of_type, facts.cases, **sums, most=most) if most is not None else None
        found[name] = TypeWeeks(name, cap, most, of_type, before, after)
    return found


def _most(name: str, cap: WeekCap | None, tried: tuple[str, int] | None) -> int | None:
    if tried and (tried[0] == name or (tried[0] == caps.EVERY_TYPE and not (cap and cap.room_type))):
        return tried[1]
    return cap.most if cap else None


def _part(n: float, of: float) -> str:
    return f"{100 * n / of:.2f}%" if of else "0%"
