"""Makers: each writes one thing with sensible values, called in the test so that its world is on the page."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from tenants.models import (
    Alias,
    Announcement,
    Building,
    Consent,
    Device,
    Event,
    Flat,
    Lease,
    LeaseTenant,
    Tenant,
    Unit,
    User,
)

NOW = datetime(2025, 12, 1, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai
TODAY = date(2025, 12, 1)
_numbers = count(1)


def make_user(username: str = "mei", **facts: Any) -> User:
    return User.objects.create(username=username, is_staff=True, **facts)


def make_building(code: str = "B1", **facts: Any) -> Building:
    facts.setdefault("name", f"蓝寓{code}")
    facts.setdefault("latitude", 30.2)
    facts.setdefault("longitude", 120.2)
    return Building.objects.get_or_create(code=code, defaults=facts)[0]


def make_unit(code: str = "", building: Building | None = None, **facts: Any) -> Unit:
    building = building or make_building()
    code = code or f"{building.code}-{next(_numbers):04}"
    facts.setdefault("flat", Flat.objects.get_or_create(building=building, code=code.rstrip("ABCD"))[0])
    facts.setdefault("room_type", "朝南一居")
    facts.setdefault("floor", 3)
    facts.setdefault("area", Decimal("28.50"))
    facts.setdefault("list_rent", Decimal("3900.00"))
    unit = Unit.objects.create(building=building, code=code, **facts)
    Alias.objects.create(source="unit", ref=code, unit=unit, recorded_at=NOW)
    return unit


def make_device(unit: Unit, ref: str, what: str = "power") -> Device:
    device = Device.objects.create(unit=unit, ref=ref, what=what)
    Alias.objects.create(source="device", ref=ref, unit=unit, recorded_at=NOW)
    return device


def make_tenant(name: str = "林晓", consents: tuple[str, ...] = ("marketing", "profiling"), **facts: Any) -> Tenant:
    number = next(_numbers)
    facts.setdefault("phone", f"100{number:08}")
    tenant = Tenant.objects.create(name=name, created_at=NOW - timedelta(days=365), **facts)
    Alias.objects.create(source="phone", ref=tenant.phone, tenant=tenant, recorded_at=NOW)
    Alias.objects.create(source="app", ref=f"app-{number}", tenant=tenant, recorded_at=NOW)
    for purpose in consents:
        Consent.objects.create(
            tenant=tenant,
            purpose=purpose,
            channel="any",
            granted=True,
            at=NOW - timedelta(days=300),
            text_version="2025-01",
            proof="入住登记",
            recorded_at=NOW - timedelta(days=300),
        )
    return tenant


def make_lease(tenant: Tenant | None = None, unit: Unit | None = None, **facts: Any) -> Lease:
    """A lease of one year that ends 25 days after TODAY, unless told otherwise."""
    tenant = tenant or make_tenant()
    unit = unit or make_unit()
    facts.setdefault("contract_no", f"HT{next(_numbers):06}")
    facts.setdefault("last_day", TODAY + timedelta(days=25))
    facts.setdefault("first_day", facts["last_day"] - timedelta(days=364))
    facts.setdefault("agreed_last_day", facts["last_day"])
    facts.setdefault("signed_on", facts["first_day"] - timedelta(days=7))
    facts.setdefault("monthly_rent", Decimal("3800.00"))
    facts.setdefault("deposit", Decimal("3800.00"))
    facts.setdefault("anchor_day", facts["first_day"].day)
    facts.setdefault("recorded_at", NOW - timedelta(days=300))
    lease = Lease.objects.create(unit=unit, **facts)
    LeaseTenant.objects.create(lease=lease, tenant=tenant)
    Alias.objects.create(source="contract", ref=lease.contract_no, tenant=tenant, recorded_at=NOW)
    return lease


def make_event(kind: str, tenant: Tenant | None = None, unit: Unit | None = None, **facts: Any) -> Event:
    facts.setdefault("source", "app")
    facts.setdefault("source_id", f"e{next(_numbers)}")
    facts.setdefault("at", NOW - timedelta(days=1))
    facts.setdefault("recorded_at", facts["at"])
    facts.setdefault("data", {})
    return Event.objects.create(kind=kind, tenant=tenant, unit=unit, **facts)


def make_announcement(building: Building, topic: str = "shared_kitchen", **facts: Any) -> Announcement:
    facts.setdefault("code", f"A{next(_numbers)}")
    facts.setdefault("text", "共享厨房 12 月 20 日升级烘焙区")
    facts.setdefault("on", date(2025, 12, 20))
    facts.setdefault("until", date(2026, 1, 31))
    facts.setdefault("recorded_at", NOW)
    facts.setdefault("owner", User.objects.filter(username="owner").first() or make_user("owner"))
    return Announcement.objects.create(building=building, topic=topic, **facts)
