"""What the system says now, in the columns of each source's sheet: the left side of "old → new".

A sheet's rows are known by a key (a contract by its number, a unit by its code), and under each key something
stands or nothing. Both sides of a change are read here, before and after the rows went in, so that what is shown
as new is what will stand there and not merely what the file says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from connectors.records import (
    AnnouncementRecord,
    ConsentRecord,
    ContractRecord,
    EventRecord,
    RateRecord,
    Source,
    StaffRecord,
    UnitRecord,
)
from connectors.sources import bills, staff, units
from renewal.models import Rate
from tenants import clock
from tenants.models import (
    Announcement,
    Device,
    Event,
    Lease,
    LeaseRevision,
    Membership,
    Staff,
    Unit,
    WaitingContract,
    WaitingEvent,
)

Key = Any
Cells = dict[str, str]  # column → what stands there, as text


@dataclass(frozen=True, slots=True)
class Side:
    """What a record of a source is known by, and what stands under such keys now."""

    key: Callable[[Any], Key]
    now: Callable[[Collection[Key]], dict[Key, Cells]]


def said(value: Any) -> str:
    """A value as a sheet shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, datetime):
        local = value.astimezone(clock.SHANGHAI)
        return f"{local:%Y-%m-%d %H:%M:%S}" if local.second else f"{local:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return str(value)


# --- contracts ------------------------------------------------------------------------------------

TERMS = {
    "版本": "revision", "房源编号": "unit", "租客姓名": "tenant_name", "手机号": "phone", "签约日期": "signed_on",
    "起租日期": "first_day", "到期日期": "last_day", "月租金": "monthly_rent", "押金": "deposit",
    "计租日": "anchor_day", "合同状态": "state", "续签自": "renews", "提前终止日期": "ended_on", "终止方": "ended_by",
    "终止约定日期": "ended_agreed_on", "App账号": "app_user", "社群号": "community_member",
}  # fmt: skip
# Columns a file may lack: a revision that says nothing of them changes nothing of them.
MORE_TERMS = {"微信openid": "wechat", "快递柜账号": "locker"}
WORDS = {"合同状态": {"signed": "已签", "void": "作废"}, "终止方": {"tenant": "租客", "operator": "运营方"}}


def _contracts(numbers: Collection[str]) -> dict[str, Cells]:
    """The terms that hold, by contract number."""
    held = dict(Lease.objects.filter(contract_no__in=numbers).values_list("pk", "revision"))
    revisions = LeaseRevision.objects.filter(lease__in=held, revision__gt=0)
    return {
        terms["contract_no"]: _terms(terms)
        for lease, revision, terms in revisions.values_list("lease", "revision", "terms")
        if held[lease] == revision
    }


def _terms(terms: Mapping[str, Any]) -> Cells:
    cells = {column: said(terms.get(name)) for column, name in TERMS.items()}
    cells |= {column: words.get(cells[column], cells[column]) for column, words in WORDS.items()}
    cells |= {column: said(terms[name]) for column, name in MORE_TERMS.items() if name in terms}
    if "cotenants" in terms:
        cells["同住人"] = "；".join(f"{other['name']} {other['phone']}" for other in terms["cotenants"])
    return cells


def waiting_contracts(numbers: Collection[str]) -> dict[tuple[str, int], str]:
    """Why a revision of a contract waits, of those that do."""
    rows = WaitingContract.objects.filter(contract_no__in=numbers)
    return {(number, revision): reason for number, revision, reason in rows.values_list(
        "contract_no", "revision", "reason")}  # fmt: skip


# --- the other tables -----------------------------------------------------------------------------

DEVICE_COLUMNS = {what: column for column, what in units.DEVICES.items()}
ROLES = {code: word for word, code in staff.ROLES.items()}
SKILLS: dict[str, str] = {}
for _word, _code in staff.SKILLS.items():
    SKILLS.setdefault(_code, _word)  # the first of several words
MOODS = {code: word for word, code in bills.MOODS.items() if code}


def _units(codes: Collection[str]) -> dict[str, Cells]:
    devices: dict[int, Cells] = defaultdict(dict)
    for unit, what, ref in (
        Device.objects.filter(unit__code__in=codes).order_by("pk").values_list("unit", "what", "ref")
    ):
        column = DEVICE_COLUMNS[what]
        devices[unit][column] = "、".join(filter(None, [devices[unit].get(column), ref]))
    return {
        unit.code: {
            "楼栋编号": unit.building.code,
            "楼栋名称": unit.building.name,
            "地址": unit.building.address,
            "纬度": said(unit.building.latitude),
            "经度": said(unit.building.longitude),
            "物联网": said(unit.building.has_iot),
            "套": unit.flat.code if unit.flat else "",
            "户型": unit.room_type,
            "楼层": said(unit.floor),
            "面积": said(unit.area),
            "挂牌月租": said(unit.list_rent),
            **dict.fromkeys(DEVICE_COLUMNS.values(), ""),
            **devices[unit.pk],
        }
        for unit in Unit.objects.filter(code__in=codes).select_related("building", "flat")
    }


def _rates(keys: Collection[Key]) -> dict[Key, Cells]:
    lines = Rate.objects.filter(building__code__in={key[0] for key in keys}).values_list(
        "building__code", "room_type", "term_months", "free_months", "signed_from", "monthly_rent", "signed_to"
    )
    return {
        tuple(key): {"月租金": said(rent), "签约止": said(last)}
        for *key, rent, last in lines
        if tuple(key) in set(keys)
    }


def _consents(keys: Collection[Key]) -> dict[Key, Cells]:
    """Lines of the ledger by phone: those of whoever the phone stands for."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT alias.ref, line.purpose, line.channel, line.at, line.granted
            FROM tenants_alias alias
            JOIN tenants_tenant person ON person.id = alias.tenant_id
            JOIN tenants_consent line ON line.tenant_id = coalesce(person.merged_into_id, person.id)
            WHERE alias.source = 'phone' AND alias.ref = ANY(%s)
            """,
            [sorted({key[0] for key in keys})],
        )
        found = {tuple(key): {"同意": said(granted)} for *key, granted in cursor.fetchall()}
    return {key: found[key] for key in keys if key in found}


def _staff(names: Collection[str]) -> dict[str, Cells]:
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    held = Membership.objects.filter(user__username__in=names, last_day=None).order_by("building__code", "role")
    for name, role, building in held.values_list("user__username", "role", "building__code"):
        places[name].append((ROLES[role], building or ""))
    return {
        person.user.username: {
            "姓名": person.name,
            "手机号": person.phone,
            "角色": "；".join(sorted({role for role, _place in places[person.user.username]})),
            "楼栋": "；".join(sorted({place for _role, place in places[person.user.username] if place})),
            "技能": "；".join(SKILLS.get(skill, skill) for skill in person.skills),
            "班次": person.shift,
            "企业微信账号": person.wecom_id,
        }
        for person in Staff.objects.filter(user__username__in=names).select_related("user")
    }


def _announcements(codes: Collection[str]) -> dict[str, Cells]:
    return {
        notice.code: {
            "楼栋编号": notice.building.code,
            "主题": notice.topic,
            "内容": notice.text,
            "时间": said(notice.on),
            "截止日期": said(notice.until),
            "负责人": notice.owner.username,
        }
        for notice in Announcement.objects.filter(code__in=codes).select_related("building", "owner")
    }


def _contract_key(record: ContractRecord) -> Key:
    return record.contract_no


def _unit_key(record: UnitRecord) -> Key:
    return record.unit


def _rate_key(record: RateRecord) -> Key:
    return record.building, record.room_type, record.term_months, record.free_months, record.signed_from


def _consent_key(record: ConsentRecord) -> Key:
    return record.phone, record.purpose, record.channel, record.at


def _staff_key(record: StaffRecord) -> Key:
    return record.username


def _announcement_key(record: AnnouncementRecord) -> Key:
    return record.code


SIDES: dict[str, Side] = {
    Source.CONTRACTS: Side(_contract_key, _contracts),
    Source.UNITS: Side(_unit_key, _units),
    Source.RATES: Side(_rate_key, _rates),
    Source.CONSENTS: Side(_consent_key, _consents),
    Source.STAFF: Side(_staff_key, _staff),
    Source.COMMUNITY: Side(_announcement_key, _announcements),  # of its announcements; the rest are events
}


# --- events ---------------------------------------------------------------------------------------

# Which column of its row an event fills, by the last part of its number.
STEPS: dict[str, dict[str, str]] = {
    Source.TICKETS: {
        "reported": "报修时间", "accepted": "接单时间", "arrived": "到场时间", "finished": "完成时间", "rated": "评分",
    },
    Source.BILLS: {"issued": "出账时间", "mood": "心情"},
}  # fmt: skip


def known_events(source: str, ids: Collection[str]) -> set[str]:
    """Those of `ids` that have happened already, or wait for somebody to be known."""
    return {
        number
        for model in (Event, WaitingEvent)
        for number in model._default_manager.filter(source=source, source_id__in=ids).values_list(
            "source_id", flat=True
        )
    }


def waiting_events(source: str, ids: Collection[str]) -> set[str]:
    """Those of `ids` that wait for somebody to be known."""
    return set(WaitingEvent.objects.filter(source=source, source_id__in=ids).values_list("source_id", flat=True))


def step(source: str, event: EventRecord) -> tuple[str, str]:
    """The column an event fills, and what it says there; no column where a row tells one event only."""
    column = STEPS.get(source, {}).get(event.source_id.rpartition("#")[2], "")
    if "score" in event.data:
        return column, said(event.data["score"])
    if "mood" in event.data:
        return column, MOODS[event.data["mood"]]
    return column, said(event.at)
