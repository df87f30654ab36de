"""What there is to let, who works there, and what is announced: buildings, flats, units, devices, staff, notices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from connectors.records import AliasSource, AnnouncementRecord, BadRecord, StaffRecord, UnitRecord
from connectors.runs import Counts
from tenants import clock, identity
from tenants.models import Announcement, Building, Device, Flat, Membership, Staff, Unit, User


@dataclass
class Shelf:
    """Rows of one table by their natural key, as they are and as the file says; written back in two statements."""

    model: type[Model]
    make: Callable[[Any], Model]
    rows: dict[Any, Any]
    new: list[Any] = field(default_factory=list)
    changed: dict[Any, Any] = field(default_factory=dict)

    def put(self, key: Any, **facts: Any) -> bool:
        """The row of `key` says `facts`; whether that is news."""
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = self.make(key)
            self.new.append(row)
        elif all(getattr(row, name) == value for name, value in facts.items()):
            return False
        elif row.pk:
            self.changed[key] = row
        for name, value in facts.items():
            setattr(row, name, value)
        return True

    def save(self, *fields: str) -> None:
        manager = self.model._default_manager
        manager.bulk_create(self.new)
        if self.changed:
            manager.bulk_update(self.changed.values(), fields, batch_size=500)


@transaction.atomic
def furnish(records: Iterable[UnitRecord | BadRecord], *, now: datetime) -> Counts:
    """The inventory is as `records` say: buildings, flats, units and devices, with the aliases of the last two."""
    counts = Counts()
    rows = _usable(records, counts)
    rows = _of_one_mind(rows, counts)
    codes = {row.building for row in rows}
    buildings = Shelf(Building, lambda code: Building(code=code), _by(Building.objects.filter(code__in=codes), "code"))
    flats = Shelf(
        Flat,
        lambda key: Flat(building=buildings.rows[key[0]], code=key[1]),
        {(flat.building.code, flat.code): flat for flat in Flat.objects.select_related("building")},
    )
    units = Shelf(
        Unit,
        lambda code: Unit(code=code),
        _by(Unit.objects.filter(code__in={row.unit for row in rows}).select_related("building", "flat"), "code"),
    )
    refs = {ref for row in rows for ref, _what in row.devices}
    devices = Shelf(
        Device,
        lambda ref: Device(ref=ref),
        _by(Device.objects.filter(ref__in=refs).select_related("unit"), "ref"),
    )
    for row in rows:
        news = [
            buildings.put(
                row.building,
                name=row.building_name,
                address=row.address,
                latitude=row.latitude,
                longitude=row.longitude,
                has_iot=row.has_iot,
            ),
            flats.put((row.building, row.flat)),
            units.put(
                row.unit,
                building=buildings.rows[row.building],
                flat=flats.rows[row.building, row.flat],
                room_type=row.room_type,
                floor=row.floor,
                area=row.area,
                list_rent=row.list_rent,
            ),
            *(devices.put(ref, unit=units.rows[row.unit], what=what) for ref, what in row.devices),
        ]
        counts.accept(line=row.line) if any(news) else counts.repeat()
    buildings.save("name", "address", "latitude", "longitude", "has_iot")
    _follow(flats.new, "building")
    flats.save()
    _follow(units.rows.values(), "building", "flat")
    units.save("building", "flat", "room_type", "floor", "area", "list_rent")
    _follow(devices.rows.values(), "unit")
    devices.save("unit", "what")
    identity.name_units({(AliasSource.UNIT, unit.code): unit.pk for unit in units.new}, now=now)
    moved = [*devices.new, *devices.changed.values()]
    identity.name_units({(AliasSource.DEVICE, device.ref): device.unit_id for device in moved}, now=now)
    return counts


def _of_one_mind(rows: list[UnitRecord], counts: Counts) -> list[UnitRecord]:
    """The rows that contradict none before them: a building has one name, a unit one row, a device one unit."""
    said: dict[tuple[str, str], tuple[int, object]] = {}
    kept = []
    for row in rows:
        facts: dict[tuple[str, str], object] = {
            ("building", row.building): (
                row.building_name, row.address, row.latitude, row.longitude, row.has_iot,
            ),
            ("unit", row.unit): (
                row.building, row.flat, row.room_type, row.floor, row.area, row.list_rent, row.devices,
            ),
        }  # fmt: skip
        facts |= {("device", ref): row.unit for ref, _what in row.devices}
        clash = next((key for key, fact in facts.items() if key in said and said[key][1] != fact), None)
        if clash:
            sentences = {
                "building": _("Building %(ref)s is described differently in row %(line)s."),
                "unit": _("Unit %(ref)s is described differently in row %(line)s."),
                "device": _("Device %(ref)s stands in row %(line)s for another unit."),
            }
            counts.refuse(row.line, sentences[clash[0]] % {"ref": clash[1], "line": said[clash][0]})
            continue
        for key, fact in facts.items():
            said.setdefault(key, (row.line, fact))
        kept.append(row)
    return kept


@transaction.atomic
def employ(records: Iterable[StaffRecord | BadRecord], *, now: datetime) -> Counts:
    """Each member of staff has an account, their working facts, and their role in their buildings from today."""
    counts = Counts()
    rows = _usable(records, counts)
    today = clock.day_of(now)
    buildings = dict(Building.objects.values_list("code", "pk"))
    names = {row.username for row in rows}
    users = Shelf(User, lambda name: User(username=name), _by(User.objects.filter(username__in=names), "username"))
    staff = Shelf(
        Staff,
        lambda name: Staff(user=users.rows[name]),
        {person.user.username: person for person in Staff.objects.select_related("user")},
    )
    phones = {person.phone: name for name, person in staff.rows.items()}
    wecom = {person.wecom_id.lower(): name for name, person in staff.rows.items() if person.wecom_id}
    held = {
        (member.user.username, member.building_id, member.role): member
        for member in Membership.objects.filter(user__username__in=names).select_related("user")
    }
    members = Shelf(
        Membership,
        lambda key: Membership(user=users.rows[key[0]], building_id=key[1], role=key[2], first_day=today),
        held,
    )
    seen: dict[str, int] = {}
    for row in rows:
        if unknown := [code for code in row.buildings if code not in buildings]:
            counts.refuse(row.line, _("There is no building %(codes)s.") % {"codes": "、".join(unknown)})
        elif phones.get(row.phone, row.username) != row.username:
            reason = _("The phone number %(phone)s belongs to %(name)s.")
            counts.refuse(row.line, reason % {"phone": row.phone, "name": phones[row.phone]})
        elif wecom.get(row.wecom_id.lower(), row.username) != row.username:
            reason = _("The WeCom account %(account)s belongs to %(name)s.")
            counts.refuse(row.line, reason % {"account": row.wecom_id, "name": wecom[row.wecom_id.lower()]})
        elif row.username in seen:
            reason = _("The account %(name)s stands in row %(line)s already.")
            counts.refuse(row.line, reason % {"name": row.username, "line": seen[row.username]})
        else:
            seen[row.username] = row.line
            phones[row.phone] = row.username
            # What a file says nothing of stays as somebody put it.
            account = {"wecom_id": row.wecom_id} if row.wecom_id else {}
            if row.wecom_id:
                wecom[row.wecom_id.lower()] = row.username
            # A technician works on the phone pages; the staff site is for those who look after people and figures.
            is_staff = row.role != Membership.Role.TECHNICIAN
            news = [
                users.put(row.username, first_name=row.name, is_active=True, is_staff=is_staff),
                staff.put(
                    row.username, name=row.name, phone=row.phone, skills=list(row.skills), shift=row.shift, **account
                ),
            ]
            places: list[int | None] = [buildings[code] for code in row.buildings]
            wanted = {(row.username, place, row.role) for place in places or [None]}
            news += [members.put(key, last_day=None) for key in sorted(wanted, key=str)]
            news += [
                members.put(key, last_day=today)
                for key, member in held.items()
                if key[0] == row.username and key not in wanted and member.last_day is None
            ]
            counts.accept(line=row.line) if any(news) else counts.repeat()
    for user in users.new:
        user.set_unusable_password()
    users.save("first_name", "is_active", "is_staff")
    _follow([*staff.new, *members.new], "user")
    staff.save("name", "phone", "skills", "shift", "wecom_id")
    members.save("last_day")
    return counts


@transaction.atomic
def announce(records: Iterable[AnnouncementRecord | BadRecord], *, now: datetime) -> Counts:
    """Each announcement stands, with its building and the member of staff who answers for it."""
    counts = Counts()
    rows = _usable(records, counts)
    buildings = dict(Building.objects.values_list("code", "pk"))
    owners = dict(User.objects.values_list("username", "pk"))
    codes = {row.code for row in rows}
    notices = Shelf(
        Announcement,
        lambda code: Announcement(code=code, recorded_at=now),
        _by(Announcement.objects.filter(code__in=codes), "code"),
    )
    seen: dict[str, AnnouncementRecord] = {}
    for row in rows:
        first = seen.setdefault(row.code, row)
        if row.building not in buildings:
            counts.refuse(row.line, _("There is no building %(codes)s.") % {"codes": row.building})
        elif row.owner not in owners:
            counts.refuse(row.line, _("There is no member of staff %(name)s.") % {"name": row.owner})
        elif replace(row, line=first.line) != first:
            reason = _("Announcement %(code)s stands in row %(line)s with other words.")
            counts.refuse(row.line, reason % {"code": row.code, "line": first.line})
        else:
            news = notices.put(
                row.code,
                building_id=buildings[row.building],
                topic=row.topic,
                text=row.text,
                on=row.on,
                until=row.until,
                owner_id=owners[row.owner],
            )
            counts.accept(line=row.line) if news else counts.repeat()
    notices.save("building", "topic", "text", "on", "until", "owner")
    return counts


def _usable(records: Iterable[Any], counts: Counts) -> list[Any]:
    """The records that can be read; the others are refused."""
    rows = []
    for row in records:
        if isinstance(row, BadRecord):
            counts.refused.append(row)
        else:
            rows.append(row)
    return rows


def _by(rows: Iterable[Any], name: str) -> dict[Any, Any]:
    return {getattr(row, name): row for row in rows}


def _follow(rows: Iterable[Any] | Sequence[Any], *relations: str) -> None:
    """Give rows made before the row they point at was saved the key it has now."""
    for row in rows:
        for relation in relations:
            setattr(row, relation, getattr(row, relation))
