"""A rule read for one person in plain Python, over lists: what the compiled query has to agree with.

Written from docs/rules.md alone. It calls nothing of `campaigns`, and no SQL.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import chinese_calendar
from dateutil.relativedelta import relativedelta

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)
YEAR = {"days": 365}


@dataclass
class Happened:
    """Something that happened to somebody."""

    kind: str
    at: datetime
    source: str
    source_id: str
    data: dict[str, Any]


@dataclass
class Stay:
    """A lease with the facts of its unit."""

    pk: int
    signed_on: date
    first_day: date
    last_day: date
    agreed_last_day: date
    monthly_rent: Any
    list_rent: Any
    is_void: bool
    ended_by: str
    renews: int | None
    room_type: str
    building: str
    floor: int
    area: Any


@dataclass
class Said:
    """Somebody's yes or no to a purpose, on a channel or on any."""

    purpose: str
    channel: str
    granted: bool
    at: datetime


@dataclass
class Person:
    """Somebody with all there is to know of them; `stays` in the order of their first days."""

    pk: int
    stays: list[Stay] = field(default_factory=list)
    events: list[Happened] = field(default_factory=list)
    features: dict[str, Any] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    said: list[Said] = field(default_factory=list)
    mates: list[Person] = field(default_factory=list, repr=False, compare=False)  # who stands on all of `stays` as well
    is_general: bool = False  # chose the version that knows nothing about them
    house: str = ""  # the first channel of the house
    lists: set[str] = field(default_factory=set)


def selects(rule: dict[str, Any], person: Person, today: date) -> bool:
    match rule:
        case {"all": parts}:
            return all(selects(part, person, today) for part in parts)
        case {"any": parts}:
            return any(selects(part, person, today) for part in parts)
        case {"not": part}:
            return not selects(part, person, today)
        case {"tag": tag}:
            return tag in person.tags
        case {"consent": purpose}:
            return agrees(person, purpose, rule.get("channel", person.house))
        case {"list": code}:
            return code in person.lists
        case {"feature": name}:
            return compares(feature(name, person, today), rule["op"], rule["value"])
        case {"lease": name}:
            return compares(of_lease(name, person, today), rule["op"], rule["value"])
        case {"moods": _moods}:
            return moods(rule, person, today)
        case {"events": _kind}:
            return happened(rule, person, today)
    raise AssertionError(rule)


def agrees(person: Person, purpose: str, channel: str) -> bool:
    """The latest word decides, of those on any channel and on this one; at one moment a no is stronger."""
    if purpose == "profiling" and person.is_general:
        return False
    heard = [each for each in person.said if each.purpose == purpose and each.channel in ("any", channel)]
    latest = [each.granted for each in heard if each.at == max(every.at for every in heard)]
    return bool(latest) and all(latest)


def compares(found: Any, op: str, value: Any) -> bool:
    """What is not known compares with nothing."""
    if found is None:
        return False
    match op:
        case "in":
            return found in value
        case "=":
            return bool(found == value)
        case "!=":
            return bool(found != value)
        case "<":
            return bool(found < value)
        case "<=":
            return bool(found <= value)
        case ">":
            return bool(found > value)
        case ">=":
            return bool(found >= value)
    raise AssertionError(op)


# --- Leases and figures -----------------------------------------------------------------------------------------


def own(person: Person, today: date) -> Stay:
    """The lease that is spoken of: the first of those that are not over."""
    return next(stay for stay in person.stays if not stay.is_void and stay.last_day >= today)


def before(person: Person, today: date) -> Stay | None:
    """The lease before it: of those that were over by then, the one that ended last."""
    over = [stay for stay in person.stays if not stay.is_void and stay.last_day < own(person, today).first_day]
    return max(over, key=lambda stay: stay.last_day, default=None)


def of_lease(name: str, person: Person, today: date) -> Any:
    stay = own(person, today)
    match name:
        case "days_to_end":
            return (stay.last_day - today).days
        case "tenure_days":
            return (today - min(each.first_day for each in person.stays if not each.is_void)).days + 1
        case "days_since_start":
            return (today - stay.first_day).days
        case "term_months":
            months = 0
            while stay.first_day + relativedelta(months=months + 1) - DAY <= stay.agreed_last_day:
                months += 1
            return months
        case "rent_above_list":
            return (Fraction(stay.monthly_rent) / Fraction(stay.list_rent) - 1) * 100
        case "state":
            return "coming" if today < stay.first_day else "running"
        case "ends_early":
            return stay.ended_by != ""
        case "ended_by":
            return stay.ended_by or None
        case "is_renewal":
            return stay.renews is not None
        case "is_renewed":
            return any(each.renews == stay.pk and not each.is_void for each in person.stays)
    return getattr(stay, name)


def feature(name: str, person: Person, today: date) -> Any:
    moment = {"days_since_bad_rating": "last_bad_rating_at", "days_since_bad_mood": "last_bad_mood_at"}.get(name)
    if moment is None:
        return person.features.get(name)
    at = person.features.get(moment)
    return at and (today - at.astimezone(SHANGHAI).date()).days


# --- Windows ----------------------------------------------------------------------------------------------------


def start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)


def works(day: date) -> bool:
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.isoweekday() <= 5


def moved(day: date, days: int, working: bool) -> date:
    """Walk over days one at a time."""
    while days:
        day += DAY if days > 0 else -DAY
        if not working or works(day):
            days -= 1 if days > 0 else -1
    return day


def about(window: dict[str, Any], person: Person, today: date) -> tuple[str, date | None]:
    """The day that a window lies about, and what it is called there."""
    stay = own(person, today)
    if "from_end" in window:
        return "end", stay.last_day
    if "from_start" in window:
        return "start", stay.first_day
    if "from_signed" in window:
        return "signed", stay.signed_on
    if "from_previous" in window:
        earlier = before(person, today)
        return "previous", earlier.last_day if earlier else None
    return "day", date.fromisoformat(window["day"])


def bounds(window: dict[str, Any], person: Person, today: date) -> tuple[datetime, datetime] | None:
    """The first moment of a window and the one after its last; None where the day it lies about is not known."""
    working = window.get("working", False)
    if "days" in window:
        day, seen = today + DAY, 0
        while seen < window["days"]:
            day -= DAY
            seen += works(day) if working else 1
        return start(day), start(today + DAY)
    if "from" in window:
        return start(date.fromisoformat(window["from"])), start(date.fromisoformat(window["to"]) + DAY)
    name, day_about = about(window, person, today)
    if day_about is None:
        return None
    first, last = (moved(day_about, window[f"{end}_{name}"], working) for end in ("from", "to"))
    return start(first), start(last + DAY)


# --- What happened ----------------------------------------------------------------------------------------------

NUMBERS = {"score", "amount"}


def told(event: Happened, name: str) -> Any:
    """What an event says in a field; None if nothing."""
    local = event.at.astimezone(SHANGHAI)
    if name == "hour":
        return local.hour
    if name == "weekday":
        return local.isoweekday()
    if name == "days_late":
        due = event.data.get("due_on")
        return (local.date() - date.fromisoformat(due)).days if due else None
    said = event.data.get(name)
    if name in NUMBERS and said is not None:
        try:
            return float(said)
        except ValueError:
            return None
    return said


def fits(event: Happened, where: list[dict[str, Any]]) -> bool:
    """All comparisons hold of this one event."""
    for each in where:
        found = told(event, each["field"])
        if each["op"] == "between":
            low, high = each["value"]
            if found not in (set(range(low, high)) if low < high else {*range(low, 24), *range(high)}):
                return False
        elif not compares(found, each["op"], each["value"]):
            return False
    return True


def happened(rule: dict[str, Any], person: Person, today: date) -> bool:
    end_of_today = start(today + DAY)
    past = [event for event in person.events if event.at < end_of_today]
    known = [event for event in past if event.kind == rule["events"] and fits(event, rule.get("where", []))]
    known.sort(key=lambda event: (event.at, event.source, event.source_id))
    if "regular" in rule:
        it = rule["regular"]
        enough = sum(count >= it.get("times", 1) for count in periods(it, known, today))
        return enough >= it.get("at_least", it["periods"])
    found = bounds(rule.get("window", YEAR), person, today)
    if found is None:
        return False
    first, end = found
    inside = [event for event in known if first <= event.at < end]
    match rule:
        case {"count": it}:
            return compares(len(inside), it["op"], it["value"])
        case {"last": it}:
            latest = inside[::-1][: it["events"]]
            return sum(fits(event, it["satisfy"]) for event in latest) >= it.get("at_least", it["events"])
        case {"share": it}:
            good = sum(fits(event, it["satisfy"]) for event in inside)
            return bool(inside) and compares(good / len(inside), it["op"], it["value"])
        case {"trend": it}:
            earlier = sum(first - (end - first) <= event.at < first for event in known)
            return bool(inside or earlier) and earlier > 0 and compares(len(inside) / earlier, it["op"], it["value"])
        case {"first": True}:
            return bool(known) and first <= known[0].at < end
        case {"stopped": it}:
            return bool(inside) and inside[-1].at < start(today + DAY - timedelta(days=it["days"]))
        case {"restarted": it}:
            gap = timedelta(days=it["days"])
            return any(b.at - a.at >= gap and first <= b.at < end for a, b in pairwise(known))
        case {"then": it}:
            later = [event for event in past if event.kind == it["events"] and fits(event, it.get("where", []))]
            reach = timedelta(hours=it["hours"])
            return any(a.at < b.at <= a.at + reach for a in inside for b in later)
    raise AssertionError(rule)


def periods(it: dict[str, Any], known: list[Happened], today: date) -> list[int]:
    """How many fell in each of the last whole weeks or months."""

    def name(day: date) -> tuple[int, int]:
        return day.isocalendar()[:2] if it["every"] == "week" else (day.year, day.month)

    wanted: list[tuple[int, int]] = []
    day = today
    while len(wanted) < it["periods"]:
        day -= DAY
        if name(day) != name(today) and name(day) not in wanted:
            wanted.append(name(day))
    counts = Counter(name(event.at.astimezone(SHANGHAI).date()) for event in known)
    return [counts[each] for each in wanted]


def moods(rule: dict[str, Any], person: Person, today: date) -> bool:
    first, end = start(today - timedelta(days=364)), start(today + DAY)
    year = [event for event in person.events if first <= event.at < end]
    year.sort(key=lambda event: (event.at, event.source, event.source_id))
    given = {event.data["bill"]: event.data.get("mood") for event in year if event.kind == "mood.given"}
    bills = [event for event in year if event.kind == "bill.issued"]
    months = {bill.data["month"] for bill in bills}
    shared = [
        event
        for mate in person.mates
        for event in mate.events
        if event.kind == "bill.issued"
        and first <= event.at < end
        and event.data["month"] not in months
        and any(
            not stay.is_void and stay.first_day <= event.at.astimezone(SHANGHAI).date() <= stay.last_day
            for stay in person.stays
        )
    ]
    if any(bill.data["bill"] in given for bill in shared):
        shared.sort(key=lambda bill: (bill.data["bill"] in given, bill.at, bill.source, bill.source_id))
        bills += {bill.data["month"]: bill for bill in shared}.values()  # of each month one
    bills.sort(key=lambda bill: (bill.data["month"], bill.at, bill.data["bill"]))
    said = [given.get(bill.data["bill"]) for bill in bills]
    while said and said[-1] is None:  # still to be answered
        said.pop()
    good = sum(mood in rule["moods"] for mood in said[-rule["bills"] :])
    return bool(good >= rule.get("at_least", rule["bills"]))
