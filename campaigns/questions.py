"""What a rule may ask of a tenant's events in a window: a dictionary, QUESTIONS, where a new one is one more entry.

A question gives SQL of an aggregate over the rows of one tenant: (at, source, source_id, ok, from_at, to_at, nth,
gap, period, in_period). `ok` says whether the event satisfies what the question asks of it, `nth` which it is from the
latest on, `gap` the time since the one before, `in_period` how many fell in the same week or month.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date, timedelta
from typing import Any

from dateutil.relativedelta import relativedelta
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.grammar import (
    BadRule,
    Bound,
    Field,
    check_comparison,
    check_keys,
    check_whole,
    compare_sql,
    say_comparison,
    say_short,
    short_of,
)
from campaigns.windows import MOST_DAYS, moment

MOST_EVENTS = 100
NUMBER = Field("", "", int)

Facts = dict[str, Any]


class Question(ABC):
    """One kind of question; `it` is what stands under its name in the rule."""

    needs: set[str]
    allows: frozenset[str] = frozenset()
    has_window = True  # whether the rule says in which window
    looks_back = False  # whether what happened before the window matters as well
    compares: frozenset[str] = frozenset()  # of `nth`, `gap` and `in_period`, what `holds` reads

    def check(self, it: Any, place: str) -> None:
        """Raises `BadRule`. What is under "satisfy" has been looked at already."""
        check_keys(it, place, self.needs, self.allows)

    @abstractmethod
    def holds(self, it: Any, bound: Bound) -> str:
        """SQL that is true or not of a tenant of whom there is an event."""

    def holds_of_none(self, it: Any) -> bool:
        """Whether it holds of a tenant of whom there is none."""
        return False

    @abstractmethod
    def value(self, it: Any, bound: Bound) -> str:
        """SQL of the number, moment or truth that it looks at."""

    @abstractmethod
    def words(self, it: Any, what: str, satisfying: str) -> str:
        """The question in words, `what` naming the events and `satisfying` what is asked of each."""

    def miss(self, it: Any, what: str, value: Any) -> str:
        """What is missing for it to hold; empty where no number says so."""
        return ""


def _comparing(it: Facts, what: str, value: Any) -> str:
    return say_short(what, short_of(it["op"], it["value"], float(value or 0)))


class Count(Question):
    needs = {"op", "value"}

    def check(self, it: Any, place: str) -> None:
        super().check(it, place)
        check_comparison(NUMBER, it["op"], it["value"], place, "count")

    def holds(self, it: Any, bound: Bound) -> str:
        return compare_sql("count(*)", it["op"], it["value"], bound)

    def holds_of_none(self, it: Any) -> bool:
        value = it["value"]
        none = {"=": value == 0, "!=": value != 0, "<": value > 0, "<=": value >= 0, ">": value < 0, ">=": value <= 0}
        return bool(none[it["op"]])

    def value(self, it: Any, bound: Bound) -> str:
        return "count(*)"

    def words(self, it: Any, what: str, satisfying: str) -> str:
        return say_comparison(what, it["op"], it["value"])

    def miss(self, it: Any, what: str, value: Any) -> str:
        return _comparing(it, what, value)


class Last(Question):
    needs = {"events", "satisfy"}
    allows = frozenset({"at_least"})
    compares = frozenset({"nth"})

    def check(self, it: Any, place: str) -> None:
        super().check(it, place)
        check_whole(it["events"], place, "events", 1, MOST_EVENTS)
        check_whole(it.get("at_least", 1), place, "at_least", 1, it["events"])

    def holds(self, it: Any, bound: Bound) -> str:
        return f"{self.value(it, bound)} >= {bound.add(it.get('at_least', it['events']))}"

    def value(self, it: Any, bound: Bound) -> str:
        return f"count(*) FILTER (WHERE ok AND nth <= {bound.add(it['events'])})"

    def words(self, it: Any, what: str, satisfying: str) -> str:
        facts = {"what": what, "n": it["events"], "k": it.get("at_least"), "how": satisfying}
        if it.get("at_least", it["events"]) == it["events"]:
            return _("of the %(what)s the last %(n)d all: %(how)s") % facts
        return _("of the %(what)s among the last %(n)d at least %(k)d: %(how)s") % facts

    def miss(self, it: Any, what: str, value: Any) -> str:
        return say_short(what, max(0, it.get("at_least", it["events"]) - int(value or 0)))


class Ratio(Question):
    """Two counts, one divided by the other; of nothing to divide by nothing holds."""

    quotient = ""

    def check(self, it: Any, place: str) -> None:
        super().check(it, place)
        check_comparison(NUMBER, it["op"], it["value"], place, "value")

    def holds(self, it: Any, bound: Bound) -> str:
        return compare_sql(self.quotient, it["op"], it["value"], bound)

    def value(self, it: Any, bound: Bound) -> str:
        return self.quotient


class Share(Ratio):
    needs = {"satisfy", "op", "value"}
    quotient = "(count(*) FILTER (WHERE ok))::float8 / nullif(count(*), 0)"

    def words(self, it: Any, what: str, satisfying: str) -> str:
        name = _("the share of %(what)s with %(how)s") % {"what": what, "how": satisfying}
        return say_comparison(name, it["op"], it["value"])


class Trend(Ratio):
    needs = {"op", "value"}
    looks_back = True
    quotient = (
        "(count(*) FILTER (WHERE at >= from_at))::float8 / "
        "nullif(count(*) FILTER (WHERE at < from_at AND at >= from_at - (to_at - from_at)), 0)"
    )

    def words(self, it: Any, what: str, satisfying: str) -> str:
        name = _("%(what)s against as long a time before") % {"what": what}
        return say_comparison(name, it["op"], it["value"])


class First(Question):
    looks_back = True

    def check(self, it: Any, place: str) -> None:
        if it is not True:
            raise BadRule(place, _("“%(key)s” can only be true.") % {"key": "first"})

    def holds(self, it: Any, bound: Bound) -> str:
        return "min(at) >= min(from_at)"

    def value(self, it: Any, bound: Bound) -> str:
        return "min(at)"

    def words(self, it: Any, what: str, satisfying: str) -> str:
        return _("%(what)s for the first time") % {"what": what}


class Stopped(Question):
    needs = {"days"}

    def check(self, it: Any, place: str) -> None:
        super().check(it, place)
        check_whole(it["days"], place, "days", 1, MOST_DAYS)

    def holds(self, it: Any, bound: Bound) -> str:
        return f"max(at) < {moment(bound.today - timedelta(days=it['days'] - 1), bound)}"

    def value(self, it: Any, bound: Bound) -> str:
        return "max(at)"

    def words(self, it: Any, what: str, satisfying: str) -> str:
        return _("%(what)s, but none in the last %(n)d days") % {"what": what, "n": it["days"]}


class Restarted(Stopped):
    looks_back = True
    compares = frozenset({"gap"})

    def holds(self, it: Any, bound: Bound) -> str:
        return f"bool_or(at >= from_at AND gap >= {bound.add(timedelta(days=it['days']))})"

    def value(self, it: Any, bound: Bound) -> str:
        return "max(gap) FILTER (WHERE at >= from_at)"

    def words(self, it: Any, what: str, satisfying: str) -> str:
        return _("%(what)s again after a break of at least %(n)d days") % {"what": what, "n": it["days"]}


class Regular(Question):
    needs = {"every", "periods"}
    allows = frozenset({"times", "at_least"})
    compares = frozenset({"in_period"})
    has_window = False
    most = {"week": 156, "month": 36}

    def check(self, it: Any, place: str) -> None:
        super().check(it, place)
        if it["every"] not in self.most:
            raise BadRule(place, _("“every” is “week” or “month”."))
        check_whole(it["periods"], place, "periods", 1, self.most[it["every"]])
        check_whole(it.get("times", 1), place, "times", 1, MOST_EVENTS)
        check_whole(it.get("at_least", 1), place, "at_least", 1, it["periods"])

    @staticmethod
    def days(it: Any, today: date) -> tuple[date, date]:
        """The first day of the whole weeks or months before today's, and the day after their last."""
        if it["every"] == "week":
            end = today - timedelta(days=today.weekday())
            return end - timedelta(weeks=it["periods"]), end
        end = today.replace(day=1)
        return end - relativedelta(months=it["periods"]), end

    def holds(self, it: Any, bound: Bound) -> str:
        return f"{self.value(it, bound)} >= {bound.add(it.get('at_least', it['periods']))}"

    def value(self, it: Any, bound: Bound) -> str:
        return f"count(DISTINCT period) FILTER (WHERE in_period >= {bound.add(it.get('times', 1))})"

    def words(self, it: Any, what: str, satisfying: str) -> str:
        facts = {"what": what, "n": it["periods"], "k": it.get("at_least", it["periods"]), "times": it.get("times", 1)}
        if it["every"] == "week":
            return _("in %(k)d of the last %(n)d weeks at least %(times)d each: %(what)s") % facts
        return _("in %(k)d of the last %(n)d months at least %(times)d each: %(what)s") % facts

    def miss(self, it: Any, what: str, value: Any) -> str:
        short = it.get("at_least", it["periods"]) - int(value or 0)
        words = ngettext("week", "weeks", short) if it["every"] == "week" else ngettext("month", "months", short)
        return say_short(words, max(0, short))


class Then(Question):
    needs = {"events", "hours"}
    allows = frozenset({"where"})

    def check(self, it: Any, place: str) -> None:
        super().check(it, place)
        check_whole(it["hours"], place, "hours", 1, 24 * 366)

    def holds(self, it: Any, bound: Bound) -> str:
        return "bool_or(ok)"

    def value(self, it: Any, bound: Bound) -> str:
        return "count(*) FILTER (WHERE ok)"

    def words(self, it: Any, what: str, satisfying: str) -> str:
        return _("%(what)s, followed within %(n)d hours by %(how)s") % {
            "what": what,
            "n": it["hours"],
            "how": satisfying,
        }


QUESTIONS: dict[str, Question] = {
    "count": Count(),
    "last": Last(),
    "share": Share(),
    "trend": Trend(),
    "first": First(),
    "stopped": Stopped(),
    "restarted": Restarted(),
    "regular": Regular(),
    "then": Then(),
}
