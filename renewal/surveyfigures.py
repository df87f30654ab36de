"""The net promoter score by quarter and building: plain, weighted against silence, and whether it changed.

A person asked counts in the building and with the length of stay of that day. A quarter under way is shown as it is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db.models import Case, CharField, Count, Q, QuerySet, Value, When

from renewal import nps
from renewal.figures import share
from renewal.nps import Answers, Change, Score, Stratum, Weighted
from tenants.models import Survey

QUARTERS = 8
GROUPS = {"promoters": Q(score__gte=9), "passives": Q(score__in=[7, 8]), "detractors": Q(score__lte=6)}
BAND = Case(  # how long somebody has lived here, when asked
    When(stay_months__lt=6, then=Value("0")),
    When(stay_months__lt=12, then=Value("6")),
    When(stay_months__lt=24, then=Value("12")),
    default=Value("24"),
    output_field=CharField(),
)


@dataclass(slots=True)
class Line:
    """A quarter's figures, of all chosen buildings or of one."""

    quarter: date
    building: int | None
    strata: list[Stratum] = field(default_factory=list)
    before: Line | None = None

    @property
    def answers(self) -> Answers:
        return sum((each.answers for each in self.strata), Answers())

    @property
    def asked(self) -> int:
        return sum(each.asked for each in self.strata)

    @property
    def score(self) -> Score | None:
        return nps.score(self.answers)

    @property
    def weighted(self) -> Weighted | None:
        return nps.weighted(self.strata)

    @property
    def response(self) -> dict[str, Any]:
        return share(self.answers.n, self.asked)

    @property
    def change(self) -> Change | None:
        """Against the quarter before."""
        return nps.change(self.score, self.before.score) if self.before else None

    @property
    def is_too_few_to_compare(self) -> bool:
        """Whether one of the two has so few answers that the normal approximation behind a change is no guide."""
        return self.before is None or min(self.answers.n, self.before.answers.n) < nps.FEW

    @property
    def is_changed(self) -> bool:
        """Whether up or down may be said."""
        change = self.change
        return change is not None and change.is_significant and not self.is_too_few_to_compare


def lines(buildings: Collection[int]) -> tuple[list[Line], dict[tuple[date, int], Line]]:
    """The quarters, the newest first, of these buildings together; and each by quarter and building."""
    rows: Any = (
        Survey.objects.filter(lease__unit__building__in=buildings)
        .annotate(band=BAND)
        .values("quarter", "lease__unit__building", "band")
        .annotate(asked=Count("pk"), **{name: Count("pk", filter=of) for name, of in GROUPS.items()})
        .order_by("quarter", "lease__unit__building", "band")
    )
    together: dict[date, Line] = {}
    apart: dict[tuple[date, int], Line] = {}
    for row in rows:
        quarter, building = row["quarter"], row["lease__unit__building"]
        answers = Answers(*(row[name] for name in GROUPS))
        stratum = Stratum(str(building), row["band"], row["asked"], answers)
        together.setdefault(quarter, Line(quarter, None)).strata.append(stratum)
        apart.setdefault((quarter, building), Line(quarter, building)).strata.append(stratum)
    for quarter, line in together.items():
        line.before = together.get(_before(quarter))
    for (quarter, building), line in apart.items():
        line.before = apart.get((_before(quarter), building))
    return sorted(together.values(), key=lambda line: line.quarter, reverse=True)[:QUARTERS], apart


def listed(buildings: Collection[int], *, quarter: date | None, group: str, only_words: bool) -> QuerySet[Survey]:
    """The surveys behind a figure: `group` is one of GROUPS, "answered", "silent", or any."""
    rows = Survey.objects.filter(lease__unit__building__in=buildings)
    if quarter:
        rows = rows.filter(quarter=quarter)
    of = GROUPS | {"answered": Q(score__isnull=False), "silent": Q(score=None)}
    if group in of:
        rows = rows.filter(of[group])
    if only_words:
        rows = rows.exclude(words="")
    rows = rows.select_related("tenant__merged_into", "lease__unit__building")
    return rows.order_by("-answered_at", "-asked_at", "-pk") if group != "silent" else rows.order_by("-asked_at", "-pk")


def _before(quarter: date) -> date:
    return (
        quarter.replace(year=quarter.year - 1, month=10)
        if quarter.month == 1
        else quarter.replace(month=quarter.month - 3)
    )
