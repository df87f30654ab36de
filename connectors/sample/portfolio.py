"""The whole sample portfolio, written into a folder: `write` is the way in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from connectors.records import Kind
from connectors.sample import (
    app,
    community,
    consents,
    iot,
    letting,
    meters,
    money,
    places,
    prices,
    staff,
    tickets,
    truth,
)
from connectors.sample.days import Calendar, month_start, stamp
from connectors.sample.files import columns, write_csv, write_lines, write_workbook
from connectors.sample.leases import Contract, Tenancy
from connectors.sample.places import MINIMUM_ROOMS, Unit

UNITS_HEADER = columns(
    "楼栋编号,楼栋名称,地址,纬度,经度,物联网,套,房源编号,户型,楼层,面积,挂牌月租,门锁编号,电表编号,水表编号"
)
CONTRACTS_HEADER = columns(
    "合同编号,版本,房源编号,租客姓名,手机号,签约日期,起租日期,到期日期,月租金,押金,计租日,合同状态,续签自,"
    "提前终止日期,终止方,终止约定日期,App账号,社群号"
)
STEPS = 9  # how often `write` reports


class Unusable(Exception):
    """The folder or an option cannot be used; says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in the folder."""

    rows: dict[str, int]  # by file
    events: dict[str, int]  # by kind
    let_units: int

    @property
    def total_events(self) -> int:
        return sum(self.events.values())


def write(
    folder: Path,
    *,
    rooms: int,
    seed: int,
    today: date,
    shared: bool = False,
    report: Callable[[str], None] = lambda step: None,
) -> Written:
    """All source files and the truth stand in the folder; the same arguments always give the same bytes.

    `shared`: some of the larger rooms have two tenants, in a column more of the contracts; all else is the same.
    """
    if rooms < MINIMUM_ROOMS:
        raise Unusable(f"The portfolio needs at least {MINIMUM_ROOMS} rooms: its eight buildings have tenants each.")
    try:
        (folder / "truth").mkdir(parents=True, exist_ok=True)
        return _write(folder, rooms, seed, Calendar(today), shared, report)
    except (FileExistsError, NotADirectoryError) as error:
        raise Unusable(f"{folder} is a file, not a folder.") from error
    except OSError as error:
        raise Unusable(f"{folder} cannot be written: {error.strerror}.") from error


def _write(folder: Path, rooms: int, seed: int, cal: Calendar, shared: bool, report: Callable[[str], None]) -> Written:
    written: dict[str, int] = {}
    events: dict[str, int] = {}

    report("units and staff")
    units = places.build(rooms=rooms, seed=seed)
    written["units.csv"] = write_csv(folder / "units.csv", UNITS_HEADER, map(_unit_row, units))
    written["rates.csv"] = write_csv(folder / "rates.csv", prices.HEADER, prices.rows(units, cal))
    written["staff.csv"] = write_csv(folder / "staff.csv", staff.HEADER, staff.rows())

    report("contracts")
    tenancies, void = letting.let(units, seed=seed, calendar=cal, shared=shared)
    contracts = sorted(
        [lease for tenancy in tenancies for lease in tenancy.contracts] + void,
        key=lambda lease: (lease.signed_on, lease.no),
    )
    rows = ([*_contract_row(lease), _beside(lease)] if shared else _contract_row(lease) for lease in contracts)
    header = [*CONTRACTS_HEADER, "同住人"] if shared else CONTRACTS_HEADER
    written["contracts.xlsx"] = write_workbook(folder / "contracts.xlsx", "合同", header, rows)

    report("consents")
    ledger = consents.ask(contracts, cal)
    written["consents.csv"] = write_csv(folder / "consents.csv", consents.HEADER, (line.row() for line in ledger))

    report("meters and doors")
    of_unit: dict[str, list[Tenancy]] = {unit.code: [] for unit in units}
    for tenancy in tenancies:
        of_unit[tenancy.unit.code].append(tenancy)
    counters = {unit.code: meters.run(unit, of_unit[unit.code], seed=seed, calendar=cal) for unit in units}
    sent: Counter[str] = Counter()
    logged = consents.lets_doors_be_logged(ledger)
    lines = iot.lines(list(counters.values()), tenancies, logged, cal, sent)
    written["iot.jsonl"] = write_lines(folder / "iot.jsonl", lines)
    events |= {Kind.DOOR_OPENED: sent["open"], Kind.POWER_READ: sent["energy"], Kind.WATER_READ: sent["volume"]}

    report("the app")
    called: Counter[str] = Counter()
    written["app.jsonl"] = write_lines(folder / "app.jsonl", app.lines(tenancies, cal, called))
    events |= {Kind.APP_VIEWED: called["screen"], Kind.FACILITY_USED: called["facility"]}
    events |= {Kind.PROFILE_STATED: called["identify"]}

    report("repairs")
    repairs = tickets.report(tenancies, rooms=rooms, seed=seed, calendar=cal)
    written["tickets.csv"] = write_csv(folder / "tickets.csv", tickets.HEADER, (ticket.row() for ticket in repairs))
    events[Kind.TICKET_REPORTED] = len(repairs)
    events[Kind.TICKET_ACCEPTED] = sum(ticket.accepted is not None for ticket in repairs)
    events[Kind.TICKET_ARRIVED] = sum(ticket.arrived is not None for ticket in repairs)
    events[Kind.TICKET_FINISHED] = sum(ticket.finished is not None for ticket in repairs)
    events[Kind.TICKET_RATED] = sum(ticket.score is not None for ticket in repairs)

    report("the community")
    took_part: Counter[str] = Counter()
    said = community.rows(tenancies, seed=seed, calendar=cal, counts=took_part)
    written["community.csv"] = write_csv(folder / "community.csv", community.HEADER, said)
    events[Kind.COMMUNITY_JOINED] = took_part[community.ACTIVITY]
    events[Kind.COMMUNITY_POSTED] = took_part[community.POST]

    report("bills and payments")
    bills = money.bill(tenancies, counters, repairs, cal)
    written["bills.csv"] = write_csv(folder / "bills.csv", money.BILL_HEADER, (bill.row() for bill in bills))
    paid = money.payments(tenancies, bills, cal)
    written["payments.csv"] = write_csv(folder / "payments.csv", money.PAYMENT_HEADER, paid)
    events[Kind.BILL_ISSUED] = len(bills)
    events[Kind.MOOD_GIVEN] = sum(bill.mood_at is not None for bill in bills)
    events[Kind.PAYMENT_MADE] = len(paid)

    report("the truth")
    truth.write_tenants(folder / "truth" / "tenants.csv", tenancies, bills, repairs, cal)
    truth.write_cast(folder / "truth" / "cast.json", tenancies)
    let_units = sum(tenancy.current(cal.today) is not None for tenancy in tenancies)
    totals = {"seed": seed, "rooms": rooms, "files": written, "events": events, "let_units": let_units}
    truth.write_totals(folder / "truth" / "totals.json", totals | _endings(contracts, cal))
    return Written(written, events, let_units)


def _unit_row(unit: Unit) -> list[object]:
    b = unit.building
    return [
        b.code, b.name, b.address, b.latitude, b.longitude, "是" if b.has_iot else "否",
        unit.flat, unit.code, unit.room_type, unit.floor, f"{unit.area:.2f}", f"{prices.list_rent(unit)}.00",
        unit.lock, unit.power_meter, unit.water_meter,
    ]  # fmt: skip


def _contract_row(lease: Contract) -> list[object]:
    """As the ERP exports it: only the newest version of each contract, which is the second if it was changed."""
    changed = lease.void or lease.ended_on is not None
    return [
        lease.no, 2 if changed else 1, lease.unit.code, lease.person.name, lease.person.phone,
        lease.signed_on, lease.first_day, lease.last_day, lease.rent, lease.rent, lease.anchor,
        "作废" if lease.void else "已签", lease.renews.no if lease.renews else None,
        lease.ended_on, lease.ended_by or None, lease.ended_agreed_on,
        lease.person.app_user or None, lease.person.member or None,
    ]  # fmt: skip


def _beside(lease: Contract) -> str | None:
    return f"{lease.beside.name} {lease.beside.phone}" if lease.beside else None


def _endings(contracts: list[Contract], cal: Calendar) -> dict[str, Any]:
    """How many signed leases end in each month, and in the season."""
    signed = [lease for lease in contracts if not lease.void]
    ending = Counter(f"{lease.end:%Y-%m}" for lease in signed if lease.end >= month_start(cal.today, -12))
    return {
        "today": stamp(cal.today),
        "leases_ending": dict(ending),
        "leases_ending_in_season": sum(cal.season_start <= lease.end <= cal.season_end for lease in signed),
        "successors_signed": sum(lease.renews is not None and lease.first_day > cal.today for lease in signed),
    }
