"""app.jsonl: what people do in the app, as Segment calls, over the year.

Screens, facility bookings ("Facility Used") and, once, the workplace they state. How often follows the
habits of `people`; prices and coupons are looked at half again as often in the last three months of a lease.
The old building has a laundry and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from connectors.sample.days import Calendar, Seconds, seconds, stamps
from connectors.sample.leases import Tenancy
from connectors.sample.people import Person

FACILITIES = ("gym", "shared_kitchen", "laundry", "study")
SCREENS = ("home", "community", "rent_prices", "coupons", "bills", "repairs")
_LATE_INTEREST = ("rent_prices", "coupons")

_EVENING = np.array([1.5, 0.6, 0.2, 0.1, 0.1, 0.3, 1, 3, 4, 3, 3, 4, 7, 5, 3, 3, 4, 5, 7, 9, 11, 11, 8, 4])
_HOURS = {
    "gym": np.array([0, 0, 0, 0, 0, 0, 4, 7, 3, 2, 2, 1, 2, 1, 1, 2, 3, 5, 9, 13, 13, 9, 3, 0]),
    "shared_kitchen": np.array([0, 0, 0, 0, 0, 0, 0, 2, 3, 1, 3, 8, 6, 2, 1, 2, 5, 12, 16, 10, 5, 2, 0, 0]),
    "laundry": np.array([0, 0, 0, 0, 0, 0, 0, 1, 3, 4, 4, 3, 2, 3, 3, 3, 3, 3, 4, 7, 9, 9, 5, 0]),
    "study": np.array([0, 0, 0, 0, 0, 0, 0, 1, 3, 5, 5, 2, 1, 4, 5, 5, 4, 2, 3, 8, 9, 7, 3, 0]),
}


def lines(tenancies: list[Tenancy], calendar: Calendar, counts: Counter[str]) -> Iterator[list[str]]:
    """All calls in the order of time; `counts` by what they are on the way."""
    moments: list[Seconds] = [np.empty(0, np.int64)]
    text: list[str] = []
    sent: Counter[str] = Counter()
    for tenancy in tenancies:
        if not tenancy.person.app_user:
            continue
        at, what = _of(tenancy, calendar)
        moments.append(at)
        text += _calls(tenancy.person, at, what, sent)
        counts.update(_KIND[name] for name in what)
    at = np.concatenate(moments)
    order = np.argsort(at, kind="stable").tolist()
    for start in range(0, len(order), 20_000):
        yield [text[index] for index in order[start : start + 20_000]]


_KIND = {**dict.fromkeys(SCREENS, "screen"), **dict.fromkeys(FACILITIES, "facility"), "workplace": "identify"}


def _of(tenancy: Tenancy, calendar: Calendar) -> tuple[Seconds, list[str]]:
    """When this person did what in this unit, sorted."""
    person = tenancy.person
    earliest, latest = _span(tenancy, calendar)
    if latest <= earliest:
        return np.empty(0, np.int64), []
    years = (latest - earliest) / (365 * 86_400)
    moments: list[Seconds] = []
    what: list[str] = []
    for habit in (*FACILITIES, *SCREENS):
        if habit in FACILITIES and habit != "laundry" and not tenancy.unit.building.has_iot:
            continue
        rng = person.dice(f"app {habit}")
        if habit in person.counts:
            at = _exactly(rng, person.counts[habit], habit, calendar)
        else:
            at = _moments(rng, rng.poisson(person.yearly(habit) * years), habit, earliest, latest)
            if habit in _LATE_INTEREST:
                since = min(latest, max(earliest, seconds(tenancy.end - timedelta(days=90))))
                more = rng.poisson(person.yearly(habit) * (latest - since) / (365 * 86_400) * 0.5)
                at = np.concatenate((at, _moments(rng, more, habit, since, latest)))
        moments.append(at)
        what += [habit] * len(at)
    if person.workplace:
        stated = _moments(person.dice("app workplace"), 1, "", earliest, min(latest, earliest + 30 * 86_400))
        moments.append(stated)
        what += ["workplace"] * len(stated)
    at = np.concatenate(moments)
    order = np.argsort(at, kind="stable")
    return at[order], [what[index] for index in order]


def _span(tenancy: Tenancy, calendar: Calendar) -> tuple[int, int]:
    """From moving in, or the start of the history, to moving out, or now."""
    earliest = max(seconds(tenancy.start, 12), seconds(calendar.history_start))
    return earliest, min(seconds(tenancy.end, 20), seconds(calendar.today, 10))


def _moments(rng: np.random.Generator, n: int, habit: str, earliest: int, latest: int) -> Seconds:
    """At most `n` moments between the two, at the hours that fit the habit, more of them at weekends."""
    day = rng.uniform(earliest, latest + 1, n).astype(np.int64) // 86_400
    midweek = ((day + 3) % 7 < 4) & (rng.random(n) < 0.2)  # day 0 was a Thursday
    day = np.where(midweek, day + 2, day)
    weights = _HOURS.get(habit, _EVENING)
    hour = np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(n))
    at = np.unique(day * 86_400 + hour * 3600 + rng.integers(0, 3600, n))
    return at[(at >= earliest) & (at <= latest)]


def _exactly(rng: np.random.Generator, n: int, habit: str, calendar: Calendar) -> Seconds:
    """Exactly so many moments on days of their own, within the last 360 days, evenly spread."""
    days = np.floor((np.arange(n) + rng.random(n)) * 360 / n).astype(np.int64) + 1
    weights = _HOURS[habit]
    hour = np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(n))
    return np.sort(seconds(calendar.today) - days * 86_400 + hour * 3600 + rng.integers(0, 3600, n))


def _calls(person: Person, at: Seconds, what: list[str], sent: Counter[str]) -> Iterator[str]:
    user = person.app_user
    for ts, name in zip(stamps(at), what, strict=True):
        sent[user] += 1
        common = f'"messageId":"m-{user}-{sent[user]}","userId":"{user}","timestamp":"{ts}"'
        if name in FACILITIES:
            yield f'{{"type":"track",{common},"event":"Facility Used","properties":{{"facility":"{name}"}}}}'
        elif name == "workplace" and person.workplace:
            lat, lng = person.workplace
            device = f'"anonymousId":"d-{user}"'
            yield f'{{"type":"identify",{common},{device},"traits":{{"workplace":{{"lat":{lat},"lng":{lng}}}}}}}'
        else:
            yield f'{{"type":"screen",{common},"name":"{name}","properties":{{}}}}'
