"""Makers: each writes one thing with sensible values, called in the test so that its world is on the page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from campaigns.models import Enrolment, Playbook, PlaybookVersion, Push, Release, Step, StepVersion
from tenants.models import (
    Alias,
    Announcement,
    Building,
    Consent,
    Device,
    Event,
    Feature,
    Flat,
    Lease,
    LeaseTenant,
    Tenant,
    TenantTag,
    Unit,
    User,
)

NOW = datetime(2025, 12, 1, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai
TODAY = date(2025, 12, 1)
BEFORE = NOW - timedelta(days=400)  # when whatever stands has been there for long
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


def make_playbook(code: str = "x", *steps: dict[str, Any], **facts: Any) -> PlaybookVersion:
    """A playbook whose first version has these steps and is released to all; `facts` are of either."""
    of_playbook: dict[str, Any] = {"name": code, "rank": 500 + next(_numbers)}
    of_playbook |= {name: facts.pop(name) for name in ("name", "rank", "segment", "is_active") if name in facts}
    facts.setdefault("at", NOW)
    playbook = Playbook.objects.create(code=code, **of_playbook)
    version = PlaybookVersion.objects.create(playbook=playbook, number=1, **facts)
    for step in steps or ({"code": f"{code}-25", "days": 25, "text": "信在这里"},):
        said = {name: value for name, value in step.items() if name != "code"}
        identity = Step.objects.create(playbook=playbook, code=step["code"])
        StepVersion.objects.create(version=version, step=identity, **said)
    return release(version, asked_at=facts["at"], decided_at=facts["at"])


def first_step(version: PlaybookVersion) -> StepVersion:
    return StepVersion.objects.select_related("step").filter(version=version).earliest("pk")


def make_version(playbook: str, changes: Mapping[str, dict[str, Any] | None], **facts: Any) -> PlaybookVersion:
    """The next version of a playbook, released to all: its steps as they were but for `changes` by code (None: gone).

    Unless told otherwise, those under way move to it.
    """
    before = PlaybookVersion.objects.filter(playbook__code=playbook).latest("number")
    facts = {"under_way": "move", "starts_on": before.starts_on, "lead_days": before.lead_days, "at": NOW} | facts
    version = PlaybookVersion.objects.create(playbook=before.playbook, number=before.number + 1, **facts)
    said = {row.step.code: row for row in StepVersion.objects.filter(version=before).select_related("step")}
    for code in {**said, **changes}:
        change = changes.get(code, {})
        if change is None:
            continue
        row = said.get(code) or StepVersion(
            step=Step.objects.get_or_create(code=code, defaults={"playbook": before.playbook})[0]
        )
        row.pk, row._state.adding, row.version = None, True, version
        for name, value in change.items():
            setattr(row, name, value)
        row.save()
    return release(version)


def release(version: PlaybookVersion, **facts: Any) -> PlaybookVersion:
    """The version as it stands once it is released, to all unless told otherwise."""
    PlaybookVersion.objects.filter(pk=version.pk, is_draft=True).update(is_draft=False)
    facts = {"state": "standing", "reach": 0, "asked_at": NOW, "decided_at": NOW} | facts
    Release.objects.create(version=version, **facts)
    version.refresh_from_db()
    return version


def make_enrolment(lease: Lease, version: PlaybookVersion, **facts: Any) -> Enrolment:
    """The lease follows the playbook in this version."""
    facts = {"start_on": TODAY, "start_why": "到期前 60 天", "enrolled_on": TODAY} | facts
    facts.setdefault("tenant", lease.tenants.get())
    return Enrolment.objects.create(playbook=version.playbook, version=version, lease=lease, **facts)


def make_push(lease: Lease, said: StepVersion, **facts: Any) -> Push:
    """A push that is in the outbox, unless told otherwise."""
    tenant = facts.pop("tenant", None) or lease.tenants.get()
    facts = {"state": Push.State.HANDED_OVER, "due_on": TODAY, "reason": "到期前 25 天", "created_at": NOW} | facts
    return Push.objects.create(lease=lease, tenant=tenant, step=said.step, said=said, **facts)


def make_announcement(building: Building, topic: str = "shared_kitchen", **facts: Any) -> Announcement:
    facts.setdefault("code", f"A{next(_numbers)}")
    facts.setdefault("text", "共享厨房 12 月 20 日升级烘焙区")
    facts.setdefault("on", date(2025, 12, 20))
    facts.setdefault("until", date(2026, 1, 31))
    facts.setdefault("recorded_at", NOW)
    facts.setdefault("owner", User.objects.filter(username="owner").first() or make_user("owner"))
    return Announcement.objects.create(building=building, topic=topic, **facts)


# Of each type what makes its rule hold, and its tag's facts.
TYPES: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    "social": ({"community_365": 8, "posts_90": 7}, {"activities": 8, "posts": 7, "kitchen": 0}),
    "price_sensitive": ({"price_views_90": 6}, {"price_views": 6, "coupon_views": 0}),
    "service_dependent": ({"repairs_365": 4}, {"repairs": 4, "views": 0}),
}


def make_tag(tenant: Tenant, code: str, **facts: Any) -> TenantTag:
    """A tag with its facts; of a type that ships, the feature row as well that makes its segment's rule hold."""
    if code in TYPES:
        known, facts = TYPES[code]
        Feature.objects.update_or_create(tenant=tenant, defaults={"day": TODAY, "computed_at": NOW, **known})
    evidence = {"facts": facts, "events": []}
    return TenantTag.objects.create(tenant=tenant, tag=code, since=TODAY, evidence=evidence, computed_at=NOW)
