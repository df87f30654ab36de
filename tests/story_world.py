"""A house of random people for the letters' year: on the edges of its windows, with what must not be told among it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count, pairwise
from math import acos, cos, radians, sin
from typing import Any
from zoneinfo import ZoneInfo

from renewal.models import Case, Rate
from tenants.models import Consent, Event, Lease, LeaseTenant, Tenant, Unit
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)


def shanghai(day: date, hour: float = 0) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI) + timedelta(hours=hour)


# The seconds on either side of the year's two ends.
EDGES = [
    midnight - second
    for midnight in (shanghai(TODAY - 364 * DAY), shanghai(TODAY + DAY))
    for second in (timedelta(0), timedelta(seconds=1))
]


@dataclass
class Person:
    """One of the house: their rows (the last may be merged into the first), their lease and its unit."""

    rows: list[Tenant]
    unit: Unit
    leases: list[Lease] = field(default_factory=list)
    is_personal: bool = True


class House:
    """Buildings of people whose leases end within 90 days, each with a case and a published rent."""

    def __init__(self, seed: int, *, people: int, per_building: int) -> None:
        self.dice = random.Random(seed)
        self.numbers = count(1)
        self.events: list[Event] = []
        self.people: list[Person] = []
        for number in range(people):
            code = f"S{number // per_building + 1}"
            # One of three has no position: no way to work can be told there.
            where: dict[str, Any] = {} if (number // per_building) % 3 else {"latitude": None, "longitude": None}
            self.people.append(self._person(make_unit(building=make_building(code, **where))))
        buildings = {person.unit.building for person in self.people}
        Rate.objects.bulk_create(
            Rate(
                building=building,
                room_type="朝南一居",
                term_months=12,
                monthly_rent="3900.00",
                signed_from=TODAY - 30 * DAY,
                signed_to=TODAY + 60 * DAY,
                recorded_at=NOW,
            )
            for building in buildings
        )
        for person in self.people:
            self._year(person)
        Event.objects.bulk_create(self.events, batch_size=5_000)

    # --- Who they are ---

    def _person(self, unit: Unit) -> Person:
        dice = self.dice
        consents = dice.choice([("marketing", "profiling")] * 4 + [("marketing",), ("profiling",)])
        chose_general = dice.random() < 0.08
        tenant = make_tenant(consents=consents, general_version=chose_general)
        rows = [tenant]
        if dice.random() < 0.15:
            rows.append(make_tenant(consents=(), merged_into=tenant))
        withdrew = "profiling" in consents and dice.random() < 0.1
        if withdrew:
            Consent.objects.create(
                tenant=rows[-1],
                purpose="profiling",
                channel="any",
                granted=False,
                at=NOW - dice.randrange(1, 200) * DAY,
                text_version="1",
                proof="App",
                recorded_at=NOW,
            )
        person = Person(rows, unit, is_personal="profiling" in consents and not withdrew and not chose_general)
        last_day = TODAY + dice.randrange(1, 90) * DAY
        first_day = TODAY - dice.choice([20, 58, 59, 60, 200, 364, 365, 700]) * DAY
        lease = make_lease(dice.choice(rows), unit, first_day=first_day, last_day=last_day)
        person.leases.append(lease)
        if dice.random() < 0.4:
            # An earlier stay, perhaps elsewhere, perhaps with a gap or an overlap of its bounds.
            end = first_day + dice.randrange(-40, 5) * DAY
            elsewhere = make_unit(building=unit.building)
            person.leases.append(
                make_lease(rows[0], elsewhere, first_day=end - dice.randrange(30, 400) * DAY, last_day=end)
            )
        Case.objects.create(lease=lease, state="upcoming", since=NOW, opened_at=NOW)
        if dice.random() < 0.2:  # a flat-mate, whose own doings are not this person's
            LeaseTenant.objects.create(lease=lease, tenant=make_tenant(), is_primary=False)
        return person

    # --- What happened ---

    def _year(self, person: Person) -> None:
        dice = self.dice
        for facility in ("gym", "shared_kitchen", "laundry"):
            for _ in range(dice.choice([0, 2, 5, 6, 7, 30])):
                self._add(person, "facility.used", self._moment(), {"facility": facility})
        for _ in range(dice.choice([0, 1, 2, 3, 4])):
            self._add(person, "community.joined", self._moment(), {"activity": dice.choice(["观影", "烘焙", "桌游"])})
        for _ in range(dice.choice([0, 0, 1, 3])):
            work: Any = [30.2 + dice.uniform(-0.12, 0.12), 120.2 + dice.uniform(-0.12, 0.12)]
            said = dice.choice([work, work, "保密", [None]])
            self._add(person, "profile.stated", self._moment(), {"workplace": said})
        for _ in range(dice.randrange(6)):  # never told: doors, at whatever hour
            self._add(person, "door.opened", self._moment(), {"way": "card"})
        self._rents(person)
        self._tickets(person)
        self._power(person)

    def _rents(self, person: Person) -> None:
        months = self.dice.choice([0, 5, 6, 12])
        late_month = self.dice.randrange(months) if months and self.dice.random() < 0.4 else None
        for month in range(months):
            due = TODAY - (3 + 30 * month) * DAY
            late = self.dice.choice([1, 9]) if month == late_month else -self.dice.randrange(4)
            at = shanghai(due + late * DAY, 23.9)
            self._add(person, "payment.made", at, {"item": "rent", "amount": "3800.00", "due_on": due.isoformat()})
            self._add(person, "payment.made", at, {"item": "utility", "amount": "90.00", "due_on": due.isoformat()})

    def _tickets(self, person: Person) -> None:
        """Problems of different categories, so that each is an order of its own; each told up to three times."""
        dice = self.dice
        for category in dice.sample(["water", "power", "lock", "network"], dice.choice([0, 0, 1, 2, 3])):
            began = self._moment(edges=False)
            waits = dice.choice([0.5, 2, 5.99, 6, 6.01, 12])
            is_done = dice.random() < 0.9
            score = dice.choice([None, None, 5, 3, 2, 1])
            for nth in range(dice.choice([1, 1, 3])):
                ticket = f"T{next(self.numbers)}"
                at = began + timedelta(minutes=nth)
                self._add(
                    person,
                    "ticket.reported",
                    at,
                    {"ticket": ticket, "category": category, "channel": "app", "text": "漏水"},
                    unit=person.unit,
                )
                accepted = began + timedelta(hours=waits)
                if accepted < NOW:
                    self._add(person, "ticket.accepted", accepted, {"ticket": ticket, "technician": "w1"})
                    if is_done:
                        self._add(person, "ticket.finished", accepted + timedelta(hours=3), {"ticket": ticket})
                        if score is not None:
                            self._add(person, "ticket.rated", accepted + DAY, {"ticket": ticket, "score": score})

    def _power(self, person: Person) -> None:
        if person.unit.building.code == "S2":  # too few of them have a meter
            if self.dice.random() < 0.95:
                return
        elif self.dice.random() < 0.2:
            return
        value, daily = self.dice.uniform(0, 900), self.dice.uniform(0.5, 9)
        for day in range(40, -1, -3):
            value += 3 * daily
            if self.dice.random() < 0.02:
                value = 0.0  # a new meter
            self._add(
                person, "power.read", shanghai(TODAY - day * DAY, 1), {"value": round(value, 2)}, unit=person.unit
            )

    def _moment(self, *, edges: bool = True) -> datetime:
        tick = timedelta(microseconds=next(self.numbers))  # no two at one moment: which is the last is no question
        if edges and self.dice.random() < 0.1:
            return self.dice.choice(EDGES) + tick
        return shanghai(TODAY) + timedelta(seconds=self.dice.randint(-420 * 86_400, 9 * 3600)) + tick

    def _add(self, person: Person, kind: str, at: datetime, data: dict[str, Any], *, unit: Unit | None = None) -> None:
        row = self.dice.choice(person.rows)
        name = f"s{next(self.numbers)}"
        self.events.append(
            Event(source="test", source_id=name, kind=kind, at=at, tenant=row, unit=unit, data=data, recorded_at=at)
        )


# --- Counted again ----------------------------------------------------------------------------------------


class Recount:
    """The house's years, event by event in plain Python: what may be said of whom, and with which figures."""

    def __init__(self, house: House, *, baseline_minutes: int) -> None:
        self.baseline = baseline_minutes
        self.since, self.until = shanghai(TODAY - 364 * DAY), shanghai(TODAY + DAY)
        self.of_person: dict[int, list[Event]] = defaultdict(list)
        person_of = {row.pk: person.rows[0].pk for person in house.people for row in person.rows}
        for event in Event.objects.order_by("at"):
            if event.tenant_id in person_of:
                self.of_person[person_of[event.tenant_id]].append(event)
        self.neighbours: dict[int, dict[int, float]] = defaultdict(dict)
        self.held: dict[int, set[tuple[str, date]]] = defaultdict(set)
        for person in house.people:
            root = person.rows[0].pk
            if (used := self._power(root)) > 0:
                self.neighbours[person.unit.building_id][root] = used
            for event in self._year(root, "community.joined"):
                day = event.at.astimezone(SHANGHAI).date()
                # Every lease of the house is in the person's own building.
                if any(lease.first_day <= day <= lease.last_day for lease in person.leases):
                    self.held[person.unit.building_id].add((event.data["activity"], day))

    def facts(self, person: Person) -> dict[str, dict[str, Any]]:
        """What may be said of this person: code → the facts of the sentence."""
        root = person.rows[0].pk
        found: dict[str, dict[str, Any] | None] = {
            "days": self._days(person),
            "on_time": self._on_time(root),
            "held": self._held(person.unit.building_id),
        }
        if person.is_personal:
            found |= {
                "gym": self._times(root, "facility.used", 6, facility="gym"),
                "kitchen": self._times(root, "facility.used", 6, facility="shared_kitchen"),
                "commute": self._commute(person, root),
                "community": self._times(root, "community.joined", 3),
                "repairs": self._repairs(root),
                "power": self._less_power(person.unit.building_id, root),
            }
        return {code: facts for code, facts in found.items() if facts}

    def _year(self, root: int, kind: str) -> Iterator[Event]:
        return (each for each in self.of_person[root] if each.kind == kind and self.since <= each.at < self.until)

    def _days(self, person: Person) -> dict[str, Any] | None:
        days = {
            lease.first_day + n * DAY
            for lease in person.leases
            for n in range((min(lease.last_day, TODAY) - lease.first_day).days + 1)
        }
        stays = sum(day - DAY not in days for day in days)
        return {"figure": len(days), "first": str(min(days)), "stays": stays} if len(days) >= 60 else None

    def _times(self, root: int, kind: str, least: int, **data: str) -> dict[str, Any] | None:
        days = [
            event.at.astimezone(SHANGHAI).date()
            for event in self._year(root, kind)
            if data.items() <= event.data.items()
        ]
        return {"figure": len(days), "first": str(min(days)), "last": str(max(days))} if len(days) >= least else None

    def _held(self, building: int) -> dict[str, Any] | None:
        days = [day for _title, day in self.held[building]]
        return {"figure": len(days), "first": str(min(days)), "last": str(max(days))} if len(days) >= 6 else None

    def _on_time(self, root: int) -> dict[str, Any] | None:
        due, was_late = set(), False
        for event in self.of_person[root]:
            if event.kind == "payment.made" and event.data["item"] == "rent" and event.at < self.until:
                day = date.fromisoformat(event.data["due_on"])
                if TODAY - 364 * DAY <= day <= TODAY:
                    due.add(day)
                    was_late |= event.at.astimezone(SHANGHAI).date() > day
        if was_late or len(due) < 6:
            return None
        return {"figure": len(due), "first": str(min(due)), "last": str(max(due))}

    def _repairs(self, root: int) -> dict[str, Any] | None:
        problems: dict[str, dict[str, Any]] = {}
        of_ticket: dict[str, str] = {}
        for event in self.of_person[root]:
            if event.kind == "ticket.reported":
                of_ticket[event.data["ticket"]] = event.data["category"]
                problems.setdefault(event.data["category"], {"began": event.at})
            elif event.kind.startswith("ticket."):
                problem = problems[of_ticket[event.data["ticket"]]]
                problem.setdefault(event.kind, event)
        inside = [each for each in problems.values() if self.since <= each["began"] < self.until]
        for each in inside:
            accepted, rated = each.get("ticket.accepted"), each.get("ticket.rated")
            if accepted is None or accepted.at - each["began"] > timedelta(hours=6) or "ticket.finished" not in each:
                return None
            if rated is not None and rated.data["score"] <= 2:
                return None
        days = [each["began"].astimezone(SHANGHAI).date() for each in inside]
        return {"figure": len(days), "first": str(min(days)), "last": str(max(days))} if days else None

    def _commute(self, person: Person, root: int) -> dict[str, Any] | None:
        """By the spherical law of cosines, where the product takes the haversine."""
        stated = [
            event
            for event in self.of_person[root]
            if event.kind == "profile.stated"
            and event.at < self.until
            and isinstance(event.data["workplace"], list)
            and event.data["workplace"][0] is not None
        ]
        home = person.unit.building
        if not stated or home.latitude is None or home.longitude is None:
            return None
        to_lat, to_lon = map(radians, stated[-1].data["workplace"])
        lat, lon = radians(home.latitude), radians(home.longitude)
        straight = 6371.0 * acos(min(1.0, sin(lat) * sin(to_lat) + cos(lat) * cos(to_lat) * cos(to_lon - lon)))
        road = straight * 1.3
        near, middle, far = min(road, 3.0), min(max(road - 3, 0.0), 7.0), max(road - 10, 0.0)
        minutes = near / 12 * 60 + middle / 20 * 60 + far / 30 * 60
        saved = round((self.baseline - minutes) * 2 * 21.75 / 60)
        if saved < 2:
            return None
        return {
            "figure": saved,
            "straight_km": round(straight, 1),
            "road_km": round(road, 1),
            "minutes": round(minutes),
            "baseline_minutes": self.baseline,
            "workdays": 21.75,
            "stated": str(stated[-1].at.astimezone(SHANGHAI).date()),
        }

    def _power(self, root: int) -> float:
        first = shanghai(TODAY - 29 * DAY)
        read = [
            float(event.data["value"])
            for event in self.of_person[root]
            if event.kind == "power.read" and first <= event.at < self.until
        ]
        return sum(max(0.0, after - before) for before, after in pairwise(read))

    def _less_power(self, building: int, root: int) -> dict[str, Any] | None:
        used = sorted(self.neighbours[building].values())
        own = self.neighbours[building].get(root)
        if own is None or len(used) < 10:
            return None
        middle = len(used) // 2
        median = used[middle] if len(used) % 2 else (used[middle - 1] + used[middle]) / 2
        if own > median * 0.9 or median - own < 5:
            return None
        return {
            "figure": round(median - own),
            "own": round(own),
            "median": round(median),
            "neighbours": len(used),
            "day": str(TODAY),
        }
