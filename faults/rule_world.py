"""Random people with random histories, and random rules whose edges these histories touch.

A world has a few windows; what happens in it happens, more often than not, in the second before or at which one of
them begins or ends for that person, or a week, a month, a night, an hour of a rule. Events come late, out of order and
several times.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from dateutil.relativedelta import relativedelta
from django.conf import settings

from campaigns.models import ListChange, Listed, NameList
from connectors.records import EventRecord, Kind
from faults.rule_reading import DAY, Happened, Person, Said, Stay, bounds, start
from tenants import ingest
from tenants.models import Consent, Feature, LeaseTenant, Tenant, TenantTag
from tests.makers import NOW, make_building, make_lease, make_tenant, make_unit

Rule = dict[str, Any]
Dice = random.Random

TODAY = date(2025, 12, 1)  # a Monday, and the first of a month
LEARNT = datetime(2025, 12, 4, 2, 0, tzinfo=UTC)  # when the last of what happened has been told
AT_FIRST = NOW - timedelta(days=300)  # when those who were made to agree did
SECOND = timedelta(seconds=1)
OPS = ["=", "!=", "<", "<=", ">", ">="]
TAGS = ["social", "kitchen_regular", "mood_flat"]
PURPOSES = ["marketing", "profiling", "door_logs"]
LISTS = ["list-a", "list-b"]
MOODS = ["good", "soso", "bad"]
HOURS = [1, 24, 240]  # of "then"
GAPS = [1, 7, 30]  # days, of "stopped" and "restarted"

# The fields of every kind of event, each with the values it may have.
KINDS: dict[str, dict[str, list[Any]]] = {
    "ticket.reported": {"category": ["water", "power", "lock"], "channel": ["app", "phone"]},
    "ticket.accepted": {},
    "ticket.finished": {},
    "ticket.rated": {"score": [1, 3, 5]},
    "mood.given": {"mood": MOODS},
    "payment.made": {"item": ["rent", "utility"], "amount": ["88.00", "3800.50"], "days_late": [-1, 0, 1, 5]},
    "facility.used": {"facility": ["gym", "shared_kitchen"]},
    "community.joined": {"activity": ["瑜伽", "读书会"]},
    "community.posted": {"group": ["邻里"]},
    "app.viewed": {"name": ["home", "rent_prices"]},
    "app.tracked": {"name": ["tap", "share"]},
}
NUMBERS = {"score", "amount", "days_late"}
WHOLE = [
    "gym_365", "kitchen_90", "kitchen_365", "laundry_365", "community_90", "community_365", "posts_90", "app_30",
    "price_views_90", "coupon_views_90", "repair_views_90", "repairs_365", "repairs_open", "late_accepts_365",
    "payments_365", "late_payments_365",
]  # fmt: skip
PARTS = ["worst_accept_hours", "pay_day_sd", "paid_share", "power_30", "night_share_365"]
SINCE = {"days_since_bad_rating": "last_bad_rating_at", "days_since_bad_mood": "last_bad_mood_at"}
ANCHORS = ["end", "start", "signed", "previous"]


# --- Windows ----------------------------------------------------------------------------------------------------


def window(dice: Dice) -> Rule:
    working = {"working": dice.choice([True, False])} if dice.random() < 0.5 else {}
    form = dice.choice(["days", "days", "dates", "day", *ANCHORS])
    if form == "days":
        return {"days": dice.choice([1, 2, 5, 7, 30, 31, 90, 400]), **working}
    if form == "dates":
        first = TODAY - timedelta(days=dice.choice([400, 61, 31, 30, 1, 0]))
        return {"from": first.isoformat(), "to": (first + timedelta(days=dice.choice([0, 1, 6, 30]))).isoformat()}
    low = dice.choice([-60, -31, -10, -1, 0, 1, 10])
    about: Rule = {f"from_{form}": low, f"to_{form}": low + dice.choice([0, 1, 9, 35])}
    if form == "day":
        about["day"] = dice.choice(["2025-10-01", "2025-11-11", "2025-11-30", "2025-12-01", "2025-02-28"])
    return {**about, **working}


# --- People -----------------------------------------------------------------------------------------------------


def crowd(dice: Dice, windows: list[Rule], *, n: int = 14) -> list[Person]:
    """So many people with what is known of them, in the database and as the reading wants them."""
    for code in LISTS:
        NameList.objects.create(code=code, name=code)
    people: list[Person] = []
    records: list[EventRecord] = []
    for _each in range(n):
        held = {purpose for purpose in PURPOSES if dice.random() < 0.5}
        tenant = make_tenant(consents=tuple(sorted(held)))
        rows = [tenant, make_tenant(consents=(), merged_into=tenant)] if dice.random() < 0.3 else [tenant]
        person = Person(tenant.pk, house=settings.CHANNELS[0])
        person.said = [Said(purpose, "any", True, AT_FIRST) for purpose in held]
        _change_mind(dice, person, rows)
        _let(dice, person, rows)
        _know(dice, person, rows)
        _live(dice, person, windows)
        for event in person.events:
            who = dice.choice(rows).phone
            at = event.at.astimezone(UTC)
            records.append(
                EventRecord(1, event.source, event.source_id, Kind(event.kind), at, ("phone", who), None, event.data)
            )
        people.append(person)
        if dice.random() < 0.4:
            people.append(mate := _beside(dice, person))
            records += [
                EventRecord(1, event.source, event.source_id, Kind(event.kind), event.at.astimezone(UTC),
                            ("phone", Tenant.objects.get(pk=mate.pk).phone), None, event.data)
                for event in mate.events
            ]  # fmt: skip
    # Out of order, in several deliveries, and a third of them again.
    records += dice.sample(records, len(records) // 3)
    dice.shuffle(records)
    third = len(records) // 3 + 1
    for n_th in range(3):
        told = [each._replace(line=line) for line, each in enumerate(records[n_th * third : (n_th + 1) * third], 2)]
        counts = ingest.take(told, now=LEARNT - timedelta(hours=2 - n_th))
        assert not counts.refused, counts.refused[:1]
    return people


def _beside(dice: Dice, person: Person) -> Person:
    """Somebody else on all their leases, who has moods about their bills, and for some months a bill of their own."""
    tenant = make_tenant(consents=())
    mate = Person(tenant.pk, stays=person.stays, mates=[person], house=person.house)
    person.mates.append(mate)
    for stay in person.stays:
        LeaseTenant.objects.create(lease_id=stay.pk, tenant=tenant, is_primary=False)
    serial = 0

    def happen(kind: str, at: datetime, data: dict[str, Any]) -> None:
        nonlocal serial
        serial += 1
        at = min(at, LEARNT - timedelta(hours=3))
        mate.events.append(Happened(kind, at, dice.choice(["app", "bills"]), f"{mate.pk:06}-{serial:03}", data))

    for event in [each for each in person.events if each.kind == "bill.issued"]:
        for _mood in range(dice.choice([0, 1, 1, 1, 2])):
            happen("mood.given", event.at + dice.choice([SECOND, 2 * DAY, 20 * DAY]),
                   {"bill": event.data["bill"], "mood": dice.choice(MOODS)})  # fmt: skip
        if dice.random() < 0.15:
            own = {"bill": f"{mate.pk}-{event.data['month']}", "amount": "88.00", "month": event.data["month"]}
            happen("bill.issued", event.at + dice.choice([-SECOND, SECOND]), own)
            if dice.random() < 0.5:
                happen("mood.given", event.at + DAY, {"bill": own["bill"], "mood": dice.choice(MOODS)})
    return mate


def _change_mind(dice: Dice, person: Person, rows: list[Any]) -> None:
    """Later lines of the ledger, on any row of the person and for any channel, some of them at one moment."""
    lines = set()
    for purpose in PURPOSES:
        for _each in range(dice.choice([0, 0, 1, 2, 3])):
            channel = dice.choice(["any", *_channels()])
            row, at = dice.choice(rows), LEARNT - timedelta(days=dice.choice([10, 20, 100]))
            if (row.pk, purpose, channel, at) in lines:
                continue  # the ledger keeps the first
            lines.add((row.pk, purpose, channel, at))
            said = Said(purpose, channel, dice.random() < 0.5, at)
            Consent.objects.create(
                tenant=row, purpose=purpose, channel=channel, granted=said.granted, at=at,
                text_version="2025-01", proof="入住登记", recorded_at=at,
            )  # fmt: skip
            person.said.append(said)
    if dice.random() < 0.2:  # who wants the general version agrees to no profile
        Tenant.objects.filter(pk=dice.choice(rows).pk).update(general_version=True)
        person.is_general = True


def _let(dice: Dice, person: Person, rows: list[Any]) -> None:
    """One lease that is not over, perhaps one or two before it, and one after it."""
    building = make_building(dice.choice(["B1", "B2"]))

    def stay(first: date, last: date, agreed: date, **facts: Any) -> Stay:
        unit = make_unit(
            building=building, room_type=dice.choice(["一居", "单间"]), floor=dice.choice([-1, 3, 18]),
            area=Decimal(dice.choice(["18.00", "28.50"])), list_rent=Decimal(dice.choice([3000, 4000])),
        )  # fmt: skip
        percent = Decimal(dice.choice(["-5", "0", "2.5", "5", "33.33"]))
        rent = (unit.list_rent * (100 + percent) / 100).quantize(Decimal("0.01"))
        signed = first - timedelta(days=dice.choice([0, 7, 20]))
        lease = make_lease(
            dice.choice(rows), unit, first_day=first, last_day=last, agreed_last_day=agreed, signed_on=signed,
            monthly_rent=rent, **facts,
        )  # fmt: skip
        void, ended_by, renews = lease.state == "void", lease.ended_by, lease.renews_id
        one = Stay(
            lease.pk, signed, first, last, agreed, rent, unit.list_rent, void, ended_by, renews,
            unit.room_type, building.code, unit.floor, unit.area,
        )  # fmt: skip
        person.stays.append(one)
        return one

    first = dice.choice([TODAY, TODAY + DAY, TODAY - DAY, date(2025, 1, 31), date(2025, 5, 31), date(2024, 12, 30),
                         TODAY - timedelta(days=dice.randint(2, 300))])  # fmt: skip
    agreed = (
        first + relativedelta(months=dice.choice([1, 6, 12, 12, 24])) + timedelta(days=dice.choice([-2, -1, -1, 0]))
    )
    agreed = max(agreed, TODAY, first)
    early = dice.random() < 0.3
    last = max(TODAY, first, agreed - timedelta(days=dice.randint(1, 60))) if early else agreed
    ended_by = dice.choice(["tenant", "operator"]) if early else ""
    earlier = None
    end = first - DAY
    for _before in range(dice.choice([0, 1, 1, 2])):
        end -= timedelta(days=dice.choice([0, 0, 40]))
        begin = end - timedelta(days=dice.choice([180, 364]))
        state = {"state": "void"} if dice.random() < 0.2 else {}
        one = stay(begin, end, end, **state)
        earlier, end = (earlier if one.is_void else earlier or one), begin - DAY
    renews = {"renews_id": earlier.pk} if earlier and dice.random() < 0.6 else {}
    now = stay(first, last, agreed, ended_by=ended_by, **renews)
    if dice.random() < 0.4:
        state = {"state": "void"} if dice.random() < 0.3 else {}
        stay(last + DAY, last + timedelta(days=365), last + timedelta(days=365), renews_id=now.pk, **state)
    person.stays.sort(key=lambda one: (one.first_day, one.pk))


def _know(dice: Dice, person: Person, rows: list[Any]) -> None:
    """Tags, lists and the row of figures."""
    person.tags = {tag for tag in TAGS if dice.random() < 0.4}
    for tag in sorted(person.tags):
        TenantTag.objects.create(tenant_id=person.pk, tag=tag, since=TODAY, evidence={"facts": {}}, computed_at=LEARNT)
    for code in LISTS:
        listed = NameList.objects.get(code=code)
        for kind in dice.choice([(), (), ("added",), ("added", "taken"), ("added", "taken", "added")]):
            change = ListChange.objects.create(list=listed, kind=kind, people=1, at=LEARNT)
            if kind == "added":
                Listed.objects.create(list=listed, tenant=dice.choice(rows), added=change)
                person.lists.add(code)
            else:
                Listed.objects.filter(list=listed, tenant__in=rows, taken=None).update(taken=change)
                person.lists.discard(code)
    if dice.random() < 0.2:  # a newcomer has none yet
        return
    facts: dict[str, Any] = {name: dice.randint(0, 4) for name in WHOLE}
    facts |= {name: dice.choice([None, 0, 0.5, 1, 2.25]) for name in PARTS}
    facts["last3_night"] = dice.random() < 0.5
    for name in SINCE.values():
        midnight = start(TODAY - timedelta(days=dice.randint(0, 4)))
        facts[name] = dice.choice([None, midnight, midnight - SECOND, midnight + timedelta(hours=9)])
    Feature.objects.create(tenant_id=person.pk, day=TODAY, computed_at=LEARNT, **facts)
    person.features = facts


def _live(dice: Dice, person: Person, windows: list[Rule]) -> None:
    """What happened to somebody."""
    edges = _edges(person, windows)
    serial = 0

    def happen(kind: str, at: datetime, data: dict[str, Any]) -> None:
        nonlocal serial
        serial += 1
        at = min(at, LEARNT - timedelta(hours=3))  # what is still to happen at the end of all is refused at the door
        # Some at one moment: then the source and its number say which came later.
        person.events.append(Happened(kind, at, dice.choice(["app", "bills"]), f"{person.pk:06}-{serial:03}", data))

    for _event in range(dice.choice([0, 2, 6, 20, 60])):
        kind = dice.choice(list(KINDS))
        if person.events and dice.random() < 0.3:  # just within or beyond what a rule allows after another
            earlier = dice.choice(person.events).at
            reach = dice.choice([*(timedelta(hours=h) for h in HOURS), *(timedelta(days=d) for d in GAPS)])
            at = earlier + reach + dice.choice([-SECOND, timedelta(0), SECOND])
        elif dice.random() < 0.7:
            at = dice.choice(edges)
        else:
            at = start(TODAY) - timedelta(seconds=dice.randint(-90_000, 90 * 86_400))
        happen(kind, at, _data(dice, kind, at))
    month = TODAY.replace(day=1)
    for _bill in range(dice.choice([0, 1, 3, 5, 14])):
        month -= relativedelta(months=1)
        at = dice.choice([start(month), start(month + relativedelta(months=1)) - SECOND, start(month) + 3 * DAY])
        bill = f"{person.pk}-{month:%Y-%m}"
        happen("bill.issued", at, {"bill": bill, "amount": "88.00", "month": f"{month:%Y-%m}"})
        for _mood in range(dice.choice([0, 1, 1, 1, 2])):
            later = dice.choice([timedelta(0), SECOND, 2 * DAY, 20 * DAY])
            happen("mood.given", at + later, {"bill": bill, "mood": dice.choice(MOODS)})


def _data(dice: Dice, kind: str, at: datetime) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, values in KINDS[kind].items():
        if dice.random() < 0.1:
            continue  # a source may leave out anything
        value = dice.choice(values)
        if name == "days_late":
            data["due_on"] = (at.astimezone(start(TODAY).tzinfo).date() - timedelta(days=value)).isoformat()
        else:
            data[name] = "?" if name in NUMBERS and dice.random() < 0.1 else value
    return data | ({"bill": f"none-{dice.random()}"} if kind == "mood.given" else {})


def _edges(person: Person, windows: list[Rule]) -> list[datetime]:
    """Where something may begin or end for this person, and the second before."""
    found = [bounds(each, person, TODAY) for each in windows]
    moments = [moment for both in found if both for moment in (*both, both[0] - (both[1] - both[0]))]
    moments += [start(TODAY - timedelta(days=n)) for n in (-1, 0, 7, 29, 30, 364)] + [start(date(2025, 11, 1))]
    moments += [start(TODAY - timedelta(days=n)) + timedelta(hours=h) for n in (0, 1, 3) for h in (6, 9, 18, 22)]
    return [moment - late for moment in moments for late in (timedelta(0), SECOND)]


# --- Rules ------------------------------------------------------------------------------------------------------


def rule(dice: Dice, windows: list[Rule], *, levels: int = 3) -> Rule:
    """A rule of at most so many levels that asks anything there is to ask."""
    form = dice.choice(["leaf", "leaf", "not", "all", "any"]) if levels > 1 else "leaf"
    if form == "leaf":
        return dice.choice(LEAVES)(dice, windows)
    if form == "not":
        return {"not": rule(dice, windows, levels=levels - 1)}
    return {form: [rule(dice, windows, levels=levels - 1) for _part in range(dice.randint(1, 3))]}


def _named(dice: Dice, windows: list[Rule]) -> Rule:
    kind, codes = dice.choice([("tag", TAGS), ("consent", PURPOSES), ("list", LISTS)])
    way = {"channel": dice.choice(_channels())} if kind == "consent" and dice.random() < 0.5 else {}
    return {kind: dice.choice(codes), **way}


def _channels() -> list[str]:
    return [settings.CHANNELS[0], "sms", "jpush"]


def _figure(dice: Dice, windows: list[Rule]) -> Rule:
    if dice.random() < 0.1:
        return {"feature": "last3_night", "op": "=", "value": dice.choice([True, False])}
    name = dice.choice([*WHOLE, *PARTS, *SINCE])
    return {"feature": name, "op": dice.choice(OPS), "value": dice.choice([-1, 0, 0.5, 1, 2, 2.25, 3, 4, 20])}


def _lease(dice: Dice, windows: list[Rule]) -> Rule:
    numbers: dict[str, list[Any]] = {
        "days_to_end": [0, 1, 30, 364], "tenure_days": [1, 30, 365, 546], "days_since_start": [-1, 0, 1, 60, 304],
        "term_months": [0, 1, 5, 6, 11, 12, 24], "monthly_rent": [2850, 3075, 4000, 4100],
        "rent_above_list": [-5, -0.5, 0, 2.5, 5, 33], "floor": [-1, 3, 4], "area": [18, 28.5],
    }  # fmt: skip
    words = {
        "room_type": ["一居", "单间", "两居"], "building": ["B1", "B2", "B9"], "state": ["coming", "running", "over"],
        "ended_by": ["tenant", "operator"],
    }  # fmt: skip
    truths = ["ends_early", "is_renewal", "is_renewed"]
    name = dice.choice([*numbers, *words, *truths])
    if name in truths:
        return {"lease": name, "op": "=", "value": dice.choice([True, False])}
    if name in numbers:
        return {"lease": name, "op": dice.choice(OPS), "value": dice.choice(numbers[name])}
    return {"lease": name, **_text(dice, words[name])}


def _moods(dice: Dice, windows: list[Rule]) -> Rule:
    bills = dice.choice([1, 2, 3, 5])
    chosen = dice.sample(MOODS, dice.randint(1, 2))
    return {"moods": chosen, "bills": bills} | ({"at_least": dice.randint(1, bills)} if dice.random() < 0.5 else {})


def _text(dice: Dice, values: list[str]) -> Rule:
    if dice.random() < 0.4:
        return {"op": "in", "value": dice.sample(values, dice.randint(1, len(values)))}
    return {"op": dice.choice(["=", "!="]), "value": dice.choice(values)}


def _where(dice: Dice, kind: str) -> list[Rule]:
    return [_comparison(dice, kind) for _each in range(dice.choice([1, 1, 2]))]


def _comparison(dice: Dice, kind: str) -> Rule:
    name = dice.choice([*KINDS[kind], "hour", "weekday"])
    if name == "hour" and dice.random() < 0.6:
        return {"field": "hour", "op": "between", "value": dice.choice([[22, 6], [9, 18], [0, 24], [6, 6]])}
    if name in ("hour", "weekday"):
        return {"field": name, "op": dice.choice(OPS), "value": dice.choice([0, 1, 5, 6, 7, 22, 23])}
    values = KINDS[kind][name]
    if name in NUMBERS:
        return {"field": name, "op": dice.choice(OPS), "value": float(dice.choice(values))}
    return {"field": name, **_text(dice, values)}


def _events(dice: Dice, windows: list[Rule]) -> Rule:
    kind = dice.choice(list(KINDS))
    asked: Rule = {"events": kind}
    if dice.random() < 0.4:
        asked["where"] = _where(dice, kind)
    question = dice.choice(list(QUESTIONS))
    if question != "regular" and dice.random() < 0.8:
        asked["window"] = dice.choice(windows)
    asked[question] = QUESTIONS[question](dice, kind)
    return asked


def _last(dice: Dice, kind: str) -> Rule:
    few = dice.randint(1, 4)
    least = {"at_least": dice.randint(1, few)} if dice.random() < 0.5 else {}
    return {"events": few, "satisfy": _where(dice, kind), **least}


def _regular(dice: Dice, kind: str) -> Rule:
    n = dice.randint(1, 5)
    more = {"times": dice.randint(1, 3), "at_least": dice.randint(1, n)} if dice.random() < 0.6 else {}
    return {"every": dice.choice(["week", "month"]), "periods": n, **more}


def _then(dice: Dice, kind: str) -> Rule:
    other = dice.choice(list(KINDS))
    where = {"where": _where(dice, other)} if dice.random() < 0.5 else {}
    return {"events": other, "hours": dice.choice(HOURS), **where}


QUESTIONS: dict[str, Callable[[Dice, str], Any]] = {
    "count": lambda dice, kind: {"op": dice.choice(OPS), "value": dice.randint(0, 3)},
    "last": _last,
    "share": lambda dice, kind: {
        "satisfy": _where(dice, kind), "op": dice.choice(OPS), "value": dice.choice([0, 0.25, 0.5, 1]),
    },
    "trend": lambda dice, kind: {"op": dice.choice(OPS), "value": dice.choice([0, 0.5, 1, 2])},
    "first": lambda dice, kind: True,
    "stopped": lambda dice, kind: {"days": dice.choice(GAPS)},
    "restarted": lambda dice, kind: {"days": dice.choice(GAPS)},
    "regular": _regular,
    "then": _then,
}  # fmt: skip
LEAVES: list[Callable[[Dice, list[Rule]], Rule]] = [_named, _figure, _lease, _moods, _events, _events, _events]
