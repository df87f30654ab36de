"""What a rule asks of events is what reading them one by one, in plain Python, would answer."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import chinese_calendar
import pytest
from django.utils.translation import override
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import segments
from tenants.models import Event
from tests.makers import NOW, TODAY, make_event, make_lease, make_tenant

pytestmark = pytest.mark.django_db
SHANGHAI = ZoneInfo("Asia/Shanghai")
MIDNIGHT = datetime.combine(TODAY, datetime.min.time(), SHANGHAI)
TOMORROW = MIDNIGHT + timedelta(days=1)

# --- An independent reading ---------------------------------------------------------------------------------


@dataclass
class Person:
    """Somebody with what happened to them, and the last day of their lease."""

    pk: int
    last_day: date
    events: list[Event] = field(default_factory=list)


def start(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), SHANGHAI)


def works(day: date) -> bool:
    try:
        return chinese_calendar.is_workday(day)
    except NotImplementedError:
        return day.isoweekday() <= 5


def moved(day: date, working: int) -> date:
    """Walk over working days one at a time."""
    while working:
        day += timedelta(days=1 if working > 0 else -1)
        if works(day):
            working -= 1 if working > 0 else -1
    return day


def bounds(window: dict[str, Any], person: Person) -> tuple[datetime, datetime]:
    match window:
        case {"days": n, "working": True}:
            day, seen = TODAY + timedelta(days=1), 0
            while seen < n:
                day -= timedelta(days=1)
                seen += works(day)
            return start(day), TOMORROW
        case {"days": n}:
            return TOMORROW - timedelta(days=n), TOMORROW
        case {"from": first, "to": last}:
            return start(date.fromisoformat(first)), start(date.fromisoformat(last) + timedelta(days=1))
        case {"from_end": first, "to_end": last, "working": True}:
            return start(moved(person.last_day, first)), start(moved(person.last_day, last) + timedelta(days=1))
        case {"from_end": first, "to_end": last}:
            return start(person.last_day + timedelta(days=first)), start(person.last_day + timedelta(days=last + 1))
    raise AssertionError(window)


def fits(event: Event, where: list[dict[str, Any]]) -> bool:
    for each in where:
        local = event.at.astimezone(SHANGHAI)
        found: Any = {"hour": local.hour, "weekday": local.isoweekday()}.get(
            each["field"], event.data.get(each["field"])
        )
        if each["field"] == "score" and found is not None:
            found = float(found)
        if each["op"] == "between":
            low, high = each["value"]
            hours = set(range(low, high)) if low < high else {*range(low, 24), *range(high)}
            ok = found in hours
        else:
            ok = found is not None and compare(found, each["op"], each["value"])
        if not ok:
            return False
    return True


def compare(found: Any, op: str, value: Any) -> bool:
    if op == "in":
        return found in value
    return bool({"=": found == value, "!=": found != value}[op] if op in {"=", "!="} else {
        "<": found < value, "<=": found <= value, ">": found > value, ">=": found >= value}[op])  # fmt: skip


def holds(rule: dict[str, Any], person: Person) -> bool:
    first, end = bounds(rule.get("window", {"days": 365}), person)
    known = [
        e for e in person.events if e.kind == rule["events"] and e.at < TOMORROW and fits(e, rule.get("where", []))
    ]
    known.sort(key=lambda e: (e.at, e.source, e.source_id))
    inside = [e for e in known if first <= e.at < end]
    match rule:
        case {"count": it}:
            return compare(len(inside), it["op"], it["value"])
        case {"last": it}:
            latest = inside[::-1][: it["events"]]
            return sum(fits(e, it["satisfy"]) for e in latest) >= it.get("at_least", it["events"])
        case {"share": it}:
            good = sum(fits(e, it["satisfy"]) for e in inside)
            return bool(inside) and compare(good / len(inside), it["op"], it["value"])
        case {"trend": it}:
            before = sum(first - (end - first) <= e.at < first for e in known)
            return before > 0 and compare(len(inside) / before, it["op"], it["value"])
        case {"first": True}:
            return bool(known) and first <= known[0].at < end
        case {"stopped": it}:
            return bool(inside) and inside[-1].at < TOMORROW - timedelta(days=it["days"])
        case {"restarted": it}:
            gap = timedelta(days=it["days"])
            return any(b.at - a.at >= gap and first <= b.at < end for a, b in pairwise(known))
        case {"regular": it}:
            return sum(count >= it.get("times", 1) for count in periods(it, known)) >= it.get("at_least", it["periods"])
        case {"then": it}:
            later = [
                e for e in person.events if e.kind == it["events"] and e.at < TOMORROW and fits(e, it.get("where", []))
            ]
            reach = timedelta(hours=it["hours"])
            return any(a.at < b.at <= a.at + reach for a in inside for b in later)
    raise AssertionError(rule)


def periods(it: dict[str, Any], known: list[Event]) -> list[int]:
    """How many fell in each of the last whole weeks or months."""

    def name(day: date) -> tuple[int, int]:
        return day.isocalendar()[:2] if it["every"] == "week" else (day.year, day.month)

    wanted: list[tuple[int, int]] = []
    day = TODAY
    while len(wanted) < it["periods"]:
        day -= timedelta(days=1)
        if name(day) != name(TODAY) and name(day) not in wanted:
            wanted.append(name(day))
    counts = Counter(name(e.at.astimezone(SHANGHAI).date()) for e in known)
    return [counts[each] for each in wanted]


# --- Random histories and rules -----------------------------------------------------------------------------

KINDS: dict[str, tuple[str, list[Any]]] = {
    "ticket.reported": ("category", ["water", "power", "lock"]),
    "ticket.rated": ("score", [1, 3, 5]),
    "facility.used": ("facility", ["gym", "shared_kitchen"]),
}
WINDOWS: list[dict[str, Any]] = [
    {"days": 1}, {"days": 7}, {"days": 30}, {"days": 5, "working": True}, {"days": 400},
    {"from": "2025-10-01", "to": "2025-10-31"}, {"from": "2025-11-30", "to": "2025-12-05"},
    {"from_end": -60, "to_end": -25}, {"from_end": -10, "to_end": 0}, {"from_end": -12, "to_end": -3, "working": True},
]  # fmt: skip


def edges(person: Person) -> list[datetime]:
    """The seconds on either side of every window's ends, of weeks, months and nights."""
    moments = [moment for window in WINDOWS for moment in bounds(window, person)]
    moments += [start(TODAY - timedelta(days=n)) for n in (7, 29, 30, 31)] + [start(date(2025, 11, 1)), TOMORROW]
    moments += [start(TODAY - timedelta(days=n)) + timedelta(hours=h) for n in (1, 3) for h in (6, 22)]
    return [at + timedelta(seconds=s) for at in moments for s in (-1, 0)]


def crowd(dice: random.Random, n: int = 14) -> list[Person]:
    people = []
    for _ in range(n):
        tenant = make_tenant()
        lease = make_lease(tenant, last_day=TODAY + timedelta(days=dice.randint(0, 70)))
        person = Person(tenant.pk, lease.last_day)
        rows = [tenant, make_tenant(merged_into=tenant)] if dice.random() < 0.3 else [tenant]
        times = edges(person)
        for _ in range(dice.choice([0, 1, 3, 12, 40])):
            kind = dice.choice(list(KINDS))
            name, values = KINDS[kind]
            if dice.random() < 0.6:
                at = dice.choice(times)
            else:
                at = MIDNIGHT - timedelta(seconds=dice.randint(-90_000, 90 * 86_400))
            data = {name: dice.choice(values)} if dice.random() < 0.9 else {}
            person.events.append(make_event(kind, dice.choice(rows), at=at, data=data))
        people.append(person)
    return people


ops = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
small = st.integers(0, 4)


def wheres(kind: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    name, values = KINDS[kind]
    if name == "score":
        own = st.builds(lambda op, v: {"field": "score", "op": op, "value": v}, ops, st.sampled_from(values))
    else:
        own = st.one_of(
            st.builds(
                lambda op, v: {"field": name, "op": op, "value": v},
                st.sampled_from(["=", "!="]),
                st.sampled_from(values),
            ),
            st.builds(lambda v: {"field": name, "op": "in", "value": v}, st.lists(st.sampled_from(values), min_size=1)),
        )
    when = st.one_of(
        st.builds(
            lambda v: {"field": "hour", "op": "between", "value": v}, st.sampled_from([[22, 6], [9, 18], [0, 24]])
        ),
        st.builds(lambda op, v: {"field": "weekday", "op": op, "value": v}, ops, st.integers(1, 7)),
        st.builds(lambda op, v: {"field": "hour", "op": op, "value": v}, ops, st.sampled_from([0, 6, 22, 23])),
    )
    return st.lists(st.one_of(own, when), min_size=1, max_size=2)


@st.composite
def asked(draw: Callable[..., Any]) -> dict[str, Any]:
    kind = draw(st.sampled_from(list(KINDS)))
    rule: dict[str, Any] = {"events": kind}
    if draw(st.booleans()):
        rule["where"] = draw(wheres(kind))
    question = draw(st.sampled_from(
        ["count", "count", "last", "share", "trend", "first", "stopped", "restarted", "regular", "then"]))  # fmt: skip
    if question != "regular" and draw(st.booleans()):
        rule["window"] = draw(st.sampled_from(WINDOWS))
    match question:
        case "count":
            rule["count"] = {"op": draw(ops), "value": draw(small)}
        case "last":
            k = draw(st.integers(1, 4))
            rule["last"] = {"events": k, "satisfy": draw(wheres(kind))}
            if draw(st.booleans()):
                rule["last"]["at_least"] = draw(st.integers(1, k))
        case "share":
            value = draw(st.sampled_from([0, 0.25, 0.5, 1]))
            rule["share"] = {"satisfy": draw(wheres(kind)), "op": draw(ops), "value": value}
        case "trend":
            rule["trend"] = {"op": draw(ops), "value": draw(st.sampled_from([0, 0.5, 1, 2]))}
        case "first":
            rule["first"] = True
        case "stopped" | "restarted":
            rule[question] = {"days": draw(st.sampled_from([1, 7, 30]))}
        case "regular":
            n = draw(st.integers(1, 5))
            rule["regular"] = {"every": draw(st.sampled_from(["week", "month"])), "periods": n}
            if draw(st.booleans()):
                rule["regular"] |= {"times": draw(st.integers(1, 3)), "at_least": draw(st.integers(1, n))}
        case "then":
            other = draw(st.sampled_from(list(KINDS)))
            rule["then"] = {"events": other, "hours": draw(st.sampled_from([1, 24, 240]))}
            if draw(st.booleans()):
                rule["then"]["where"] = draw(wheres(other))
    return rule


rules = st.recursive(
    asked(),
    lambda inner: st.one_of(
        st.builds(lambda part: {"not": part}, inner),
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=3,
)


def selects(rule: dict[str, Any], person: Person) -> bool:
    match rule:
        case {"all": parts}:
            return all(selects(part, person) for part in parts)
        case {"any": parts}:
            return any(selects(part, person) for part in parts)
        case {"not": part}:
            return not selects(part, person)
    return holds(rule, person)


@pytest.mark.parametrize("seed", range(5))
def test_random_rules_over_random_histories_agree_with_reading_event_by_event(seed: int) -> None:
    people = crowd(random.Random(seed))

    @settings(max_examples=200, deadline=None, database=None)
    @given(rule=rules)
    def agree(rule: dict[str, Any]) -> None:
        expected = [person.pk for person in people if selects(rule, person)]
        assert segments.members(rule, today=TODAY) == expected
        one = people[0].pk
        assert segments.explain(rule, one, today=TODAY)["holds"] == (one in expected)

    agree()


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_window_holds_its_first_moment_and_not_the_one_after_its_last(window: dict[str, Any]) -> None:
    lease = make_lease(last_day=TODAY)
    tenant = lease.tenants.get()
    first, end = bounds(window, Person(tenant.pk, lease.last_day))
    end = min(end, TOMORROW)  # what is still to happen has not happened
    second = timedelta(seconds=1)
    for at in (first - second, first, end - second, end):
        make_event("mood.given", tenant, at=at)

    rule = {"events": "mood.given", "window": window, "count": {"op": "=", "value": 2}}
    assert segments.members(rule, today=TODAY) == [tenant.pk]


# --- Faults that others had ---------------------------------------------------------------------------------


def test_absence_is_no_event_in_the_window_whatever_happened_before() -> None:
    """Not read for 180 days: whoever read once, long ago, is among them, and so is who never did."""
    long_ago, lately, never = (make_lease().tenants.get() for _ in range(3))
    make_event("app.viewed", long_ago, at=TOMORROW - timedelta(days=180, seconds=1))
    make_event("app.viewed", lately, at=TOMORROW - timedelta(days=180))
    rule = {"events": "app.viewed", "window": {"days": 180}, "count": {"op": "=", "value": 0}}

    assert segments.members(rule, today=TODAY) == [long_ago.pk, never.pk]


def test_all_comparisons_of_a_condition_bind_to_one_event() -> None:
    """The page on that weekday: not the page some day and any page on that weekday."""
    both, apart = (make_lease().tenants.get() for _ in range(2))
    monday, tuesday = start(date(2025, 11, 24)), start(date(2025, 11, 25))
    make_event("app.viewed", both, at=monday, data={"name": "rent_prices"})
    make_event("app.viewed", apart, at=monday, data={"name": "home"})
    make_event("app.viewed", apart, at=tuesday, data={"name": "rent_prices"})
    where = [{"field": "name", "op": "=", "value": "rent_prices"}, {"field": "weekday", "op": "=", "value": 1}]
    rule = {"events": "app.viewed", "where": where, "count": {"op": ">=", "value": 1}}

    assert segments.members(rule, today=TODAY) == [both.pk]


def test_a_number_that_is_none_satisfies_nothing_and_breaks_nothing() -> None:
    tenant = make_lease().tenants.get()
    make_event("ticket.rated", tenant, data={"score": "sehr gut"})
    where = [{"field": "score", "op": "<=", "value": 5}]
    assert (
        segments.members({"events": "ticket.rated", "where": where, "count": {"op": ">", "value": 0}}, today=TODAY)
        == []
    )


# --- Words and misses ---------------------------------------------------------------------------------------

NIGHT = {
    "events": "ticket.reported",
    "window": {"days": 365},
    "last": {"events": 3, "satisfy": [{"field": "hour", "op": "between", "value": [22, 6]}]},
}
LATE = {
    "events": "ticket.reported",
    "where": [{"field": "category", "op": "in", "value": ["water", "power"]}],
    "window": {"days": 90},
    "count": {"op": ">=", "value": 3},
}
SENTENCES = [
    (
        LATE,
        "近 90 天报修（类型为其中之一：漏水 / 电路） ≥ 3",
        "in the last 90 days repair reports (category is one of water / power) ≥ 3",
    ),
    (
        NIGHT,
        "近 365 天报修最近 3 次都满足：22:00 至 06:00 之间",
        "in the last 365 days of the repair reports the last 3 all: between 22:00 and 06:00",
    ),
]


@pytest.mark.parametrize(("rule", "chinese", "english"), SENTENCES)
def test_the_sentence_says_what_is_asked(rule: dict[str, Any], chinese: str, english: str) -> None:
    assert segments.sentences(rule) == {"zh": chinese, "en": english}


def test_an_explanation_shows_the_events_and_what_is_missing() -> None:
    tenant = make_lease().tenants.get()
    first = make_event("ticket.reported", tenant, at=NOW - timedelta(days=9), data={"category": "water"})
    make_event("ticket.reported", tenant, at=NOW - timedelta(days=100), data={"category": "water"})
    second = make_event("ticket.reported", tenant, at=NOW - timedelta(days=2), data={"category": "power"})

    with override("en"):
        said = segments.explain(LATE, tenant.pk, today=TODAY)

    assert said["holds"] is False
    assert said["value"]["value"] == 2
    assert [source_id for _source, source_id, _at in said["value"]["events"]] == [second.source_id, first.source_id]
    assert said["miss"] == "repair reports: 1 more"


def test_the_nearest_miss_is_the_fewest_things_that_would_have_to_be_otherwise() -> None:
    lease = make_lease(last_day=TODAY + timedelta(days=70))
    tenant = lease.tenants.get()
    make_event("ticket.reported", tenant, data={"category": "water"})
    late = LATE | {"count": {"op": ">=", "value": 2}}
    ending = {"lease": "days_to_end", "op": "<=", "value": 60}
    rule = {"all": [{"any": [{"all": [ending, {"tag": "social"}]}, late]}, {"not": {"consent": "marketing"}}]}

    with override("en"):
        assert segments.nearest(segments.explain(rule, tenant.pk, today=TODAY)) == [
            "repair reports: 1 more",
            "not (agrees to renewal offers)",
        ]
        assert segments.nearest(segments.explain(ending, tenant.pk, today=TODAY)) == [
            "days to the lease's end: 10 fewer"
        ]
        assert segments.nearest(segments.explain({"not": ending}, tenant.pk, today=TODAY)) == []


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("door.opened", {"first": True}, "rule: there are no events “door.opened”; there are: "),
    ("mood.given", {}, "rule: exactly one of these is expected: count, last, share, trend, first, "),
    ("mood.given", {"first": True, "count": {"op": "=", "value": 1}}, "rule: exactly one of these is expected: "),
    ("mood.given", {"first": False}, "first: “first” can only be true."),
    ("mood.given", {"first": True, "window": {"days": 0}}, "window: “days” is a whole number from 1 to 1100."),
    ("mood.given", {"first": True, "window": {"from": "2025-02-30", "to": "2025-03-01"}}, "window: “2025-02-30” is no"),
    ("mood.given", {"first": True, "window": {"from": "2025-03-02", "to": "2025-03-01"}}, "window: the window ends be"),
    ("mood.given", {"first": True, "window": {"days": 3, "hours": 1}}, "window: a window is one of "),
    ("mood.given", {"first": True, "where": []}, "where: a list of one to 10 comparisons is expected here."),
    (
        "mood.given",
        {"first": True, "where": [{"field": "e.data", "op": "=", "value": "x"}]},
        "where[0]: there is no field “e.data” here; there are: mood, hour, weekday.",
    ),
    (
        "mood.given",
        {"first": True, "where": [{"field": "hour", "op": "between", "value": [22, 25]}]},
        "where[0]: “hour” is a whole number from 0 to 24.",
    ),
    (
        "mood.given",
        {"last": {"events": 3, "satisfy": [{"field": "mood", "op": "=", "value": "bad"}], "at_least": 4}},
        "last: “at_least” is a whole number from 1 to 3.",
    ),
    ("mood.given", {"regular": {"every": "day", "periods": 3}}, "regular: “every” is “week” or “month”."),
    (
        "mood.given",
        {"regular": {"every": "week", "periods": 3}, "window": {"days": 3}},
        "rule: “window” does not belong here.",
    ),
    ("mood.given", {"then": {"events": "door.opened", "hours": 3}}, "then: there are no events “door.opened”; "),
]


@pytest.mark.parametrize(("kind", "question", "sentence"), BAD)
def test_a_bad_question_is_one_sentence_that_names_the_place(kind: str, question: Any, sentence: str) -> None:
    with override("en"), pytest.raises(segments.BadRule) as refused:
        segments.check({"events": kind} | question)
    assert str(refused.value).startswith(sentence)
