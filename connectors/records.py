"""The narrow waist: what every source turns its input into, and every verb reads.

Pure data. Nothing here knows Django, a table or a file format. Money is `Decimal` yuan with
two places, moments are timezone-aware, days are `date` in Asia/Shanghai.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

# Stands for the character NUL in what is quarantined, since PostgreSQL cannot store it.
NUL_SIGN = "␀"
# An account as WeCom has it. Nobody is called @all, and no two are joined by a bar: either would reach others.
WECOM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")


class Kind(StrEnum):
    """Every kind of event there is: the one vocabulary of all rooms."""

    DOOR_OPENED = "door.opened"  # {"way": "app|card|code|finger"}; sensitive, PIPL 28
    POWER_READ = "power.read"  # {"value": kWh counter, "unit": "kWh"}
    WATER_READ = "water.read"  # {"value": m³ counter, "unit": "m3"}
    APP_VIEWED = "app.viewed"  # {"name": screen or page}
    APP_TRACKED = "app.tracked"  # {"name": event name, …its properties}
    PROFILE_STATED = "profile.stated"  # {"workplace": [lat, lng], …} told by the tenant
    FACILITY_USED = "facility.used"  # {"facility": "gym|shared_kitchen|laundry|study"}
    COMMUNITY_JOINED = "community.joined"  # {"activity": title}
    COMMUNITY_POSTED = "community.posted"  # {"group": name}
    PAYMENT_MADE = "payment.made"  # {"item": "rent|utility", "amount": "…", "due_on": day}
    BILL_ISSUED = "bill.issued"  # {"bill": no., "amount": "…", "month": "YYYY-MM"}
    MOOD_GIVEN = "mood.given"  # {"bill": no., "mood": "good|soso|bad"} and perhaps "text"; a bill's latest one holds
    TICKET_REPORTED = "ticket.reported"  # {"ticket", "category", "channel", "text"}
    TICKET_ACCEPTED = "ticket.accepted"  # {"ticket", "technician"}
    TICKET_ARRIVED = "ticket.arrived"  # {"ticket"}
    TICKET_FINISHED = "ticket.finished"  # {"ticket"}
    TICKET_RATED = "ticket.rated"  # {"ticket", "score": 1–5}


class Source(StrEnum):
    """The names under which `load` and the quarantine know a source."""

    UNITS = "units"
    CONTRACTS = "contracts"
    RATES = "rates"
    CONSENTS = "consents"
    IOT = "iot"
    APP = "app"
    TICKETS = "tickets"
    COMMUNITY = "community"
    PAYMENTS = "payments"
    BILLS = "bills"
    STAFF = "staff"
    CLOUDEVENTS = "cloudevents"
    WECHAT = "wechat"


class AliasSource(StrEnum):
    """Where a reference that stands for a tenant or a unit comes from."""

    CONTRACT = "contract"  # 合同编号
    PHONE = "phone"  # eleven digits
    APP = "app"  # app user id
    ANONYMOUS = "anonymous"  # app anonymous id
    WECHAT = "wechat"  # openid
    ID_HASH = "id_hash"  # keyed hash of the identity card's number, which itself is never stored
    LOCKER = "locker"  # account at the parcel locker
    COMMUNITY = "community"  # member number of the community group
    DEVICE = "device"  # lock or meter; stands for a unit
    UNIT = "unit"  # 房源编号; stands for a unit


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be used: what came, where it stood, and one sentence a clerk understands."""

    line: int
    reason: str
    raw: dict[str, Any] = field(default_factory=dict)
    column: str = ""  # the cell that is wrong, if one is


class EventRecord(NamedTuple):
    """Something that happened. `who` and `where` are aliases (source, reference); at least one is given.

    A named tuple, because a load makes a million of them: a frozen dataclass takes twice as long to make.
    """

    line: int
    source: str
    source_id: str
    kind: Kind
    at: datetime
    who: tuple[str, str] | None
    where: tuple[str, str] | None
    data: dict[str, Any]
    site: str = ""  # the building it says it comes from, if it says so
    seq: int | None = None  # the how manieth message of its device it says it is


@dataclass(frozen=True, slots=True)
class AliasRecord:
    """Two aliases that stand for one person, as a source says: `also` is known wherever `known` is."""

    line: int
    known: tuple[str, str]
    also: tuple[str, str]


@dataclass(frozen=True, slots=True)
class SamePersonRecord:
    """A call that says only this: all of `also` are `known`. Where it `is_certain`, known tenants are merged by it."""

    line: int
    known: tuple[str, str]
    also: tuple[tuple[str, str], ...]
    is_certain: bool


@dataclass(frozen=True, slots=True)
class OptOutRecord:
    """Somebody said that they want no more offers."""

    line: int
    who: tuple[str, str]
    at: datetime
    proof: str


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """A unit with its flat, building and devices, as one row of the inventory names them."""

    line: int
    building: str
    building_name: str
    address: str
    latitude: float
    longitude: float
    has_iot: bool
    flat: str
    unit: str
    room_type: str
    floor: int
    area: Decimal  # m²
    list_rent: Decimal  # yuan a month
    devices: tuple[tuple[str, str], ...]  # (reference, "lock|power|water")


@dataclass(frozen=True, slots=True)
class CoTenant:
    """Somebody who stands on a contract beside the first tenant (同住人)."""

    name: str
    phone: str
    id_hash: str | None = None


@dataclass(frozen=True, slots=True)
class ContractRecord:
    """One revision of one contract. First and last day are both inclusive."""

    line: int
    contract_no: str
    revision: int
    unit: str
    tenant_name: str
    phone: str
    signed_on: date
    first_day: date
    last_day: date
    monthly_rent: Decimal
    deposit: Decimal
    anchor_day: int
    state: str  # "signed", "ended", "void"
    renews: str | None  # contract number of the lease it follows
    ended_on: date | None = None  # the day it ended early, if it did
    ended_by: str = ""  # "", "tenant", "operator"
    ended_agreed_on: date | None = None  # the day that end was agreed
    app_user: str | None = None
    community_member: str | None = None
    id_hash: str | None = None  # keyed hash of the identity card's number; the number itself goes no further
    wechat: str | None = None  # openid
    locker: str | None = None  # account at the parcel locker
    cotenants: tuple[CoTenant, ...] | None = None  # none: the file says nothing of them; empty: there are none


@dataclass(frozen=True, slots=True)
class RateRecord:
    """One published price: what this room type costs for this term, signed between these days."""

    line: int
    building: str
    room_type: str
    term_months: int
    free_months: int
    monthly_rent: Decimal
    signed_from: date
    signed_to: date


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """A tenant's yes or no to one purpose through one channel, with its proof."""

    line: int
    phone: str
    purpose: str  # "marketing", "profiling", "door_logs", "surveys"
    channel: str  # "any", "phone", "sms", "wechat"
    granted: bool
    at: datetime
    text_version: str
    proof: str


@dataclass(frozen=True, slots=True)
class StaffRecord:
    """A member of staff: what they can do and when they are on shift."""

    line: int
    username: str
    name: str
    phone: str
    role: str  # "technician", "care", "manager", "finance", "hq"
    buildings: tuple[str, ...]  # empty: all
    skills: tuple[str, ...]  # "water", "power", "air", "lock", "network", "other"
    shift: str  # "08:00-20:00"
    wecom_id: str = ""  # their account in WeCom; empty: the file says nothing of it


@dataclass(frozen=True, slots=True)
class AnnouncementRecord:
    """A dated fact about a building, with the member of staff who answers for it."""

    line: int
    code: str
    building: str
    topic: str  # what a message may claim: "shared_kitchen", "gym", …
    text: str
    on: date
    until: date
    owner: str  # username
