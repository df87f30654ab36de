"""The year in numbers: recounted in plain SQL, silent where there is nothing true and kind to say."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from renewal import commute, story, year
from tenants import clock
from tenants.models import Feature, Lease, LeaseTenant, Tenant
from tests.makers import NOW, TODAY, make_building, make_event, make_lease, make_tenant, make_unit
from workorders.models import Report, WorkOrder

pytestmark = pytest.mark.django_db


def subject(lease: Lease, *, personal: bool = True) -> year.Subject:
    tenant = LeaseTenant.objects.get(lease=lease).tenant
    unit = lease.unit
    return year.Subject(lease.pk, tenant.pk, unit.building_id, personal)


def cards(lease: Lease, *, personal: bool = True) -> dict[str, dict[str, Any]]:
    who = subject(lease, personal=personal)
    return {card["code"]: card for card in story.tell([who], today=TODAY)[who]}


def use(tenant: Tenant, facility: str, times: int, *, last: datetime = NOW - timedelta(days=2)) -> None:
    for n in range(times):
        make_event("facility.used", tenant, at=last - timedelta(days=n * 5), data={"facility": facility})


def repair(tenant: Tenant, lease: Lease, *, hours: int, **facts: Any) -> WorkOrder:
    at = NOW - timedelta(days=40)
    facts = {"state": "finished", "finished_at": at + timedelta(days=1), **facts}
    order = WorkOrder.objects.create(
        unit=lease.unit,
        category="water",
        fingerprint=f"{lease.unit_id}:water",
        text="漏水",
        first_reported_at=at,
        accepted_at=at + timedelta(hours=hours),
        **facts,
    )
    for channel in ("app", "group", "desk"):
        ticket = f"{order.pk}-{channel}"
        Report.objects.create(ticket=ticket, order=order, tenant=tenant, channel=channel, text="漏水", reported_at=at)
    return order


def pay(tenant: Tenant, months: int, *, days_late: int = 0) -> None:
    for n in range(months):
        due = TODAY - timedelta(days=30 * n + 3)
        at = clock.at(due + timedelta(days=days_late), 23, 30)
        make_event("payment.made", tenant, at=at, data={"item": "rent", "amount": "3800.00", "due_on": str(due)})


def test_the_gym_is_counted_as_plain_sql_counts_it() -> None:
    tenant = make_tenant()
    lease = make_lease(tenant)
    use(tenant, "gym", 47)
    use(tenant, "laundry", 9)
    make_event("facility.used", tenant, at=clock.at(date(2024, 12, 1), 23), data={"facility": "gym"})  # a day too old
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select count(*) from tenants_event where tenant_id = %s and kind = 'facility.used'
                and data->>'facility' = 'gym' and at >= '2024-12-02 00:00+08' and at < '2025-12-02 00:00+08'
            """,
            [tenant.pk],
        )
        assert cursor.fetchone() == (47,)
    card = cards(lease)["gym"]
    assert (card["figure"], card["unit"]["zh"]) == ("47", "次")
    assert card["sentence"] == {
        "zh": "过去一年，您共使用健身房 47 次。",
        "en": "In the past year you used the gym 47 times.",
    }
    assert card["how"]["zh"] == "按您在 App 里的健身房使用记录计数，2025-04-13 至 2025-11-29。"
    assert card["evidence"] == {"figure": 47, "first": "2025-04-13", "last": "2025-11-29"}
    assert not card["general"]


def test_what_happened_to_a_merged_tenant_belongs_to_the_person() -> None:
    tenant = make_tenant()
    lease = make_lease(tenant)
    use(tenant, "gym", 4)
    use(make_tenant("林晓", merged_into=tenant), "gym", 4)
    assert cards(lease)["gym"]["figure"] == "8"


def test_too_little_is_not_worth_a_sentence() -> None:
    tenant = make_tenant()
    lease = make_lease(tenant)
    use(tenant, "gym", 5)
    use(tenant, "shared_kitchen", 5)
    make_event("community.joined", tenant, data={"activity": "观影夜"})
    pay(tenant, 5)
    assert set(cards(lease)) == {"days"}


def test_days_lived_are_counted_once_over_several_leases() -> None:
    tenant = make_tenant()
    first = make_lease(tenant, first_day=date(2024, 3, 1), last_day=date(2025, 2, 28))
    lease = make_lease(tenant, first.unit, first_day=date(2025, 3, 1), last_day=date(2026, 2, 28))
    make_lease(tenant, first_day=date(2025, 2, 20), last_day=date(2025, 3, 10))  # overlaps both
    assert (TODAY - date(2024, 3, 1)).days + 1 == 641
    assert cards(lease)["days"]["sentence"]["zh"] == "到今天，您在蓝寓住了 641 天。"


def test_commute_hours_are_stated_with_all_their_inputs() -> None:
    tenant = make_tenant()
    lease = make_lease(tenant)  # building at 30.2, 120.2
    make_event("profile.stated", tenant, at=NOW - timedelta(days=90), data={"workplace": [30.9, 120.9]})
    make_event("profile.stated", tenant, at=NOW - timedelta(days=30), data={"workplace": [30.2, 120.244]})
    card = cards(lease)["commute"]
    # 4.23 km straight, 5.5 km of road: 3 km in 15 min, 2.5 km in 7.5 min; 12.5 min less, both ways, 21.75 days.
    assert card["sentence"]["zh"] == "平均每月节省通勤时间约 9 小时。"
    assert card["evidence"] == {
        "figure": 9,
        "straight_km": 4.2,
        "road_km": 5.5,
        "minutes": 22,
        "baseline_minutes": 35,
        "workdays": 21.75,
        "stated": "2025-11-01",
    }
    assert "120.244" not in str(card)


def test_a_long_commute_is_not_mentioned() -> None:
    tenant = make_tenant()
    lease = make_lease(tenant)
    make_event("profile.stated", tenant, data={"workplace": [30.2, 120.29]})
    assert "commute" not in cards(lease)


@pytest.mark.parametrize(
    ("road_km", "minutes"), [(0.0, 0.0), (3.0, 15.0), (5.0, 21.0), (10.0, 36.0), (15.0, 46.0), (40.0, 96.0)]
)
def test_minutes_on_the_road_by_band(road_km: float, minutes: float) -> None:
    assert commute.minutes(road_km) == pytest.approx(minutes)


def test_one_leak_reported_three_times_is_one_repair() -> None:
    tenant = make_tenant()
    lease = make_lease(tenant)
    repair(tenant, lease, hours=1)
    assert cards(lease)["repairs"]["sentence"]["zh"] == "过去一年，您报修 1 件，已修好 1 件。"


@pytest.mark.parametrize(
    "facts",
    [
        {"hours": 7},
        {"hours": 1, "score": 2},
        {"hours": 1, "state": "accepted", "finished_at": None},
    ],
)
def test_repairs_are_not_mentioned_if_one_was_late_unfinished_or_bad(facts: dict[str, Any]) -> None:
    tenant = make_tenant()
    lease = make_lease(tenant)
    repair(tenant, lease, **facts)
    assert "repairs" not in cards(lease)


def test_rents_paid_on_time_are_counted_unless_one_was_late() -> None:
    prompt, late = make_tenant(), make_tenant()
    pay(prompt, 12)
    pay(late, 11)
    pay(late, 1, days_late=1)
    assert cards(make_lease(prompt))["on_time"]["sentence"]["zh"] == "过去一年，12 期房租您都按时交了。"
    assert "on_time" not in cards(make_lease(late))


def neighbours(kwh: list[float]) -> list[Lease]:
    leases = []
    for each in kwh:
        tenant = make_tenant()
        leases.append(make_lease(tenant))
        Feature.objects.create(tenant=tenant, day=TODAY, power_30=each, computed_at=NOW)
    return leases


def test_power_is_compared_with_the_median_of_enough_neighbours() -> None:
    leases = neighbours([60, *range(81, 91)])  # eleven, median 85
    card = cards(leases[0])["power"]
    assert card["evidence"] == {"figure": 25, "own": 60, "median": 85, "neighbours": 11, "day": "2025-12-01"}
    assert card["sentence"]["zh"] == "近 30 天，您比同楼的中位数少用了 25 度电。"
    assert "power" not in cards(leases[-1])


def test_power_is_not_mentioned_among_few_neighbours() -> None:
    assert "power" not in cards(neighbours([60, *range(81, 89)])[0])


def test_without_consent_only_general_facts_are_told() -> None:
    tenant = make_tenant()
    lease = make_lease(tenant)
    use(tenant, "gym", 20)
    pay(tenant, 12)
    for n in range(6):
        make_event("community.joined", tenant, at=NOW - timedelta(days=n), data={"activity": "观影夜"})
    personal = cards(lease)
    general = cards(lease, personal=False)
    assert set(personal) == {"days", "gym", "community", "on_time", "held"}
    assert set(general) == {"days", "on_time", "held"}
    assert all(card["general"] for card in general.values())
    shown = story.told(list(personal.values()), language="en", general=True)
    assert [each.code for each in shown] == ["days", "on_time", "held"]
    assert shown[2].sentence == "In the past year 6 activities took place in this building."


def test_doors_are_never_read() -> None:
    tenant = make_tenant(consents=("marketing", "profiling", "door_logs"))
    lease = make_lease(tenant)
    for n in range(30):
        make_event("door.opened", tenant, source="iot", at=NOW - timedelta(days=n), data={"way": "app"})
    assert set(cards(lease)) == {"days"}
    with CaptureQueriesContext(
        connection,
    ) as queries:
        cards(lease)
    assert not [query for query in queries if "door" in query["sql"]]


def test_twice_the_tenants_take_the_same_number_of_queries() -> None:
    def queries(leases: list[Lease]) -> int:
        subjects = [subject(lease) for lease in leases]
        with CaptureQueriesContext(connection) as captured:
            story.tell(subjects, today=TODAY)
        return len(captured)

    building = make_building()
    leases = [make_lease(unit=make_unit(building=building)) for _ in range(10)]
    assert queries(leases[:5]) == queries(leases)


def test_at_most_six_cards_are_told() -> None:
    tenant = make_tenant()
    lease = make_lease(tenant)
    use(tenant, "gym", 8)
    use(tenant, "shared_kitchen", 8)
    for n in range(6):
        make_event("community.joined", tenant, at=NOW - timedelta(days=n), data={"activity": "观影夜"})
    make_event("profile.stated", tenant, data={"workplace": [30.2, 120.21]})
    repair(tenant, lease, hours=1)
    pay(tenant, 12)
    assert list(cards(lease)) == ["days", "gym", "kitchen", "commute", "community", "repairs"]
