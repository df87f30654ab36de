"""Feature rows equal an independent recount, event by event, of random years."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import pstdev
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tenants import features, retention
from tenants.models import DoorMonth, Event, Feature, Tenant
from tests.makers import NOW, TODAY, make_event, make_lease, make_tenant, make_unit

pytestmark = pytest.mark.django_db
SHANGHAI = ZoneInfo("Asia/Shanghai")


def shanghai(day: date, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=SHANGHAI)


def edges() -> list[datetime]:
    """The seconds on either side of every window's edge."""
    midnights = [shanghai(TODAY + timedelta(days=days)) for days in (1, 0, -29, -30, -89, -90, -364, -365)]
    return [moment for midnight in midnights for moment in (midnight - timedelta(seconds=1), midnight)]


def random_year(dice: random.Random, tenants: list[Tenant], units: list[Any]) -> None:
    """A few hundred events of every kind, some of them on the very edges of windows."""
    serial = iter(range(10_000))
    rows: list[Event] = []

    def moment() -> datetime:
        tick = timedelta(microseconds=next(serial))  # no two at one moment: which is the last is then no question
        if dice.random() < 0.15:
            return dice.choice(edges()) + tick
        return shanghai(TODAY) + timedelta(seconds=dice.randint(-400 * 86_400, 2 * 86_400)) + tick

    def add(kind: str, at: datetime, data: dict[str, Any], tenant: Tenant, unit: Any = None) -> None:
        name = f"e{next(serial)}"
        rows.append(
            Event(source="test", source_id=name, kind=kind, at=at, tenant=tenant, unit=unit, data=data, recorded_at=at)
        )

    for _ in range(200):
        tenant = dice.choice(tenants)
        match dice.randrange(8):
            case 0:
                facility = dice.choice(["gym", "shared_kitchen", "laundry", "study"])
                add("facility.used", moment(), {"facility": facility}, tenant)
            case 1:
                add(dice.choice(["community.joined", "community.posted", "door.opened"]), moment(), {}, tenant)
            case 2:
                name = dice.choice(["home", "rent_prices", "coupons", "repairs"])
                add("app.viewed", moment(), {"name": name}, tenant)
            case 3:
                mood = {"bill": str(next(serial)), "mood": dice.choice(["good", "soso", "bad"])}
                add("mood.given", moment(), mood, tenant)
            case 4:
                due = (TODAY + timedelta(days=dice.randint(-370, 10))).isoformat()
                item = dice.choice(["rent", "utility"])
                add("payment.made", moment(), {"item": item, "amount": "1.00", "due_on": due}, tenant)
            case 5:
                reading = {"value": round(dice.uniform(0, 900), 2), "unit": "kWh"}
                add("power.read", moment() + timedelta(days=dice.randint(0, 300)), reading, tenant, dice.choice(units))
            case 6:
                place = [round(dice.uniform(30, 31), 3), 120.2]
                add("profile.stated", moment(), dice.choice([{"workplace": place}, {"hobby": "climbing"}]), tenant)
            case _:
                ticket, at = f"T{next(serial)}", moment()
                reports = {"ticket": ticket, "category": dice.choice(["water", "power"]), "channel": "app", "text": ""}
                add("ticket.reported", at, reports, tenant)
                if dice.random() < 0.5:  # a second channel, within or just outside the hours that merge
                    gap = dice.choice([timedelta(hours=1), timedelta(hours=24), timedelta(hours=24, seconds=1)])
                    add("ticket.reported", at + gap, {**reports, "ticket": f"{ticket}b"}, tenant)
                wait = dice.choice([timedelta(hours=1), timedelta(hours=6), timedelta(hours=6, seconds=1)])
                if dice.random() < 0.8:
                    add("ticket.accepted", at + wait, {"ticket": ticket, "technician": "wang"}, tenant)
                if dice.random() < 0.6:
                    add("ticket.finished", at + wait * 2, {"ticket": ticket}, tenant)
                    add("ticket.rated", at + wait * 3, {"ticket": ticket, "score": dice.randint(1, 5)}, tenant)
    Event.objects.bulk_create(rows)


def recount(person: int, events: list[Event]) -> dict[str, Any]:
    """The features of one person, counted from a plain list; written without looking at the SQL."""

    def within(days: int) -> list[Event]:
        return [e for e in events if 0 <= (TODAY - e.at.astimezone(SHANGHAI).date()).days < days]

    year, quarter, month = within(365), within(90), within(30)
    past = [e for e in events if e.at.astimezone(SHANGHAI).date() <= TODAY]

    def count(among: list[Event], kind: str, **data: Any) -> int:
        return sum(e.kind == kind and data.items() <= e.data.items() for e in among)

    accepted = {e.data["ticket"]: e.at for e in year if e.kind == "ticket.accepted"}
    finished = {e.data["ticket"] for e in year if e.kind == "ticket.finished"}
    repairs: list[list[Event]] = []
    for category in ("water", "power"):
        reports = [e for e in year if e.kind == "ticket.reported" and e.data["category"] == category]
        for report in sorted(reports, key=lambda e: (e.at, e.data["ticket"])):
            ours = [r for r in repairs if r[0].data["category"] == category]
            if ours and report.at - ours[-1][-1].at <= timedelta(hours=24):
                ours[-1].append(report)
            else:
                repairs.append([report])
    waits = []
    for repair in repairs:
        answers = [accepted[e.data["ticket"]] for e in repair if e.data["ticket"] in accepted]
        if answers:
            waits.append((min(answers) - repair[0].at).total_seconds() / 3600)
    repairs.sort(key=lambda r: r[0].data["category"])
    repairs.sort(key=lambda r: r[0].at, reverse=True)
    hours = [r[0].at.astimezone(SHANGHAI).hour for r in repairs[:3]]
    at_night = [r for r in repairs if not 6 <= r[0].at.astimezone(SHANGHAI).hour < 22]

    payments = [e for e in year if e.kind == "payment.made"]
    offsets = [(e.at.astimezone(SHANGHAI).date() - date.fromisoformat(e.data["due_on"])).days for e in payments]
    due_months = {date.fromisoformat(e.data["due_on"]).replace(day=1) for e in payments if e.data["item"] == "utility"}
    first = min(due_months, default=TODAY)
    all_months = (TODAY.year - first.year) * 12 + TODAY.month - first.month
    paid_months = sum(due < TODAY.replace(day=1) for due in due_months)

    meters = defaultdict(list)
    for e in sorted(month, key=lambda e: e.at):
        if e.kind == "power.read":
            meters[e.unit_id].append(e.data["value"])
    steps = [later - earlier for values in meters.values() for earlier, later in pairwise(values)]
    moods = sorted((e for e in year if e.kind == "mood.given"), key=lambda e: e.at, reverse=True)
    places = sorted((e for e in past if "workplace" in e.data), key=lambda e: e.at)
    bad_ratings = [e.at for e in year if e.kind == "ticket.rated" and e.data["score"] <= 2]
    return {
        "tenant_id": person,
        "day": TODAY,
        "computed_at": NOW,
        "gym_365": count(year, "facility.used", facility="gym"),
        "kitchen_90": count(quarter, "facility.used", facility="shared_kitchen"),
        "kitchen_365": count(year, "facility.used", facility="shared_kitchen"),
        "laundry_365": count(year, "facility.used", facility="laundry"),
        "community_90": count(quarter, "community.joined"),
        "community_365": count(year, "community.joined"),
        "posts_90": count(quarter, "community.posted"),
        "app_30": count(month, "app.viewed"),
        "price_views_90": count(quarter, "app.viewed", name="rent_prices"),
        "coupon_views_90": count(quarter, "app.viewed", name="coupons"),
        "repair_views_90": count(quarter, "app.viewed", name="repairs"),
        "repairs_365": len(repairs),
        "repairs_open": sum(not any(e.data["ticket"] in finished for e in repair) for repair in repairs),
        "late_accepts_365": sum(wait > 6 for wait in waits),
        "last3_night": len(repairs) >= 3 and all(hour >= 22 or hour < 6 for hour in hours),
        "night_share_365": len(at_night) / len(repairs) if repairs else None,
        "worst_accept_hours": pytest.approx(max(waits)) if waits else None,
        "last_bad_rating_at": max(bad_ratings, default=None),
        "last_moods": [e.data["mood"] for e in moods[:3]],
        "last_bad_mood_at": max((e.at for e in moods if e.data["mood"] == "bad"), default=None),
        "payments_365": len(payments),
        "late_payments_365": sum(offset > 0 for offset in offsets),
        "pay_day_sd": pytest.approx(pstdev(offsets)) if len(offsets) > 1 else None,
        "paid_share": pytest.approx(paid_months / all_months) if due_months and all_months > 0 else None,
        "power_30": pytest.approx(sum(max(step, 0) for step in steps)) if steps else None,
        "workplace": places[-1].data["workplace"] if places else None,
    }


@pytest.mark.parametrize("seed", range(12))
def test_every_feature_equals_a_recount_by_hand_and_refreshing_some_equals_refreshing_all(seed: int) -> None:
    dice = random.Random(seed)
    units = [make_unit() for _ in range(5)]
    people = [make_tenant(f"租客{n}") for n in range(4)]
    merged = make_tenant("同一个人", merged_into=people[0])
    gone = make_tenant("已搬走")
    for tenant, unit in zip(people, units, strict=False):
        make_lease(tenant, unit)
    make_lease(gone, units[4], last_day=TODAY - timedelta(days=1))
    random_year(dice, [*people, merged, gone], units)

    written = features.refresh(today=TODAY, now=NOW)

    events = defaultdict(list)
    for event in Event.objects.all():
        events[people[0].pk if event.tenant_id == merged.pk else event.tenant_id].append(event)
    expected = [recount(person.pk, events[person.pk]) for person in people]
    assert written == 4
    assert list(Feature.objects.order_by("tenant_id").values()) == expected

    Feature.objects.filter(tenant=people[1]).delete()
    Feature.objects.filter(tenant=people[0]).update(gym_365=999)
    assert features.refresh(today=TODAY, now=NOW, tenants=[people[1].pk, merged.pk]) == 2
    assert list(Feature.objects.order_by("tenant_id").values()) == expected


def test_a_row_exists_for_a_future_lease_too_and_goes_when_the_last_lease_has_ended() -> None:
    starts_soon, lives_here, voided = make_tenant("将入住"), make_tenant("在住"), make_tenant("作废")
    make_lease(starts_soon, first_day=TODAY + timedelta(days=9), last_day=TODAY + timedelta(days=99))
    lease = make_lease(lives_here, last_day=TODAY)
    make_lease(voided, state="void")

    features.refresh(today=TODAY, now=NOW)
    assert set(Feature.objects.values_list("tenant", flat=True)) == {starts_soon.pk, lives_here.pk}

    tomorrow = lease.last_day + timedelta(days=1)
    features.refresh(today=tomorrow, now=NOW, tenants=[lives_here.pk])
    assert set(Feature.objects.values_list("tenant", flat=True)) == {starts_soon.pk}


def test_door_logs_older_than_ninety_days_become_counts_by_month_once() -> None:
    tenant = make_tenant()
    limit = shanghai(TODAY - timedelta(days=90))
    for at in (
        shanghai(date(2025, 7, 31), 23, 59, 59),
        shanghai(date(2025, 8, 1)),
        limit - timedelta(seconds=1),
        limit,
        shanghai(TODAY),
    ):
        make_event("door.opened", tenant, at=at, source="iot")
    make_event("power.read", tenant, at=shanghai(date(2025, 7, 1)), source="iot", data={"value": 1})

    assert retention.forget_doors(today=TODAY) == 3
    kept = [(date(2025, 7, 1), 1), (date(2025, 8, 1), 1), (date(2025, 9, 1), 1)]
    assert list(DoorMonth.objects.order_by("month").values_list("month", "openings")) == kept
    assert Event.objects.filter(kind="door.opened").count() == 2
    assert Event.objects.filter(kind="power.read").count() == 1

    assert retention.forget_doors(today=TODAY) == 0
    assert list(DoorMonth.objects.order_by("month").values_list("month", "openings")) == kept

    assert retention.forget_doors(today=TODAY + timedelta(days=1)) == 1
    assert DoorMonth.objects.get(month=date(2025, 9, 1)).openings == 2


def test_of_two_readings_of_one_moment_the_lower_one_is_the_earlier() -> None:
    lease = make_lease()
    at = shanghai(TODAY - timedelta(days=3))
    for value, hours in ((108, 0), (109, 6), (110, 6), (111, 12)):
        make_event(
            "power.read", lease.tenants.get(), lease.unit, source="iot", source_id=f"E-1-{value - 100}",
            at=at + timedelta(hours=hours), data={"value": value, "unit": "kWh"},
        )  # fmt: skip
    features.refresh(today=TODAY, now=NOW)
    assert Feature.objects.get().power_30 == 3
