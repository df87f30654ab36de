"""TTLock 通通锁: its callback tells what locks recorded, of which only how a door was opened is read.

The callback also brings the number somebody typed and the name of who did. Neither is ever kept: they are
dropped before anything is stored (`stripped`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import AliasSource, EventRecord, Kind, Source
from connectors.sources import calls, iot

WAYS = {1: "app", 4: "code", 7: "card", 8: "finger"}  # by recordType; all other records are no opening by somebody
KEPT = ("lockId", "recordType", "lockDate", "serverDate", "success")


def stripped(records: str, *, lock: str) -> list[dict[str, int | None]]:
    """The openings among the records of a callback, with nothing but what is read of them; raises `calls.Problem`."""
    found = calls.decode(records)
    if type(found) is not list or not all(type(record) is dict for record in found):
        raise calls.Problem(_("“%(name)s” is not a list of JSON objects.") % {"name": "records"})
    kept = []
    for record in found:
        whole = {name: _whole(record.get(name)) for name in KEPT}
        whole["lockId"] = whole["lockId"] or _whole(lock)
        if whole["recordType"] in WAYS and whole["success"] != 0:
            kept.append(whole)
    return kept


def unpack(body: dict[str, Any], *, received_at: datetime, key: str) -> Iterator[calls.Told]:
    for record in body["records"]:
        yield calls.Told(record)


def records(number: int, record: dict[str, Any]) -> list[EventRecord]:
    """The opening as an event; raises `calls.Problem`."""
    lock, way = record.get("lockId"), record.get("recordType")
    told = record.get("lockDate") or record.get("serverDate")
    at = _moment(told)
    if not lock or at is None:
        raise calls.Problem(_("The lock's record says no lock, or a time that cannot be right."))
    return [
        EventRecord(
            line=number,
            source=Source.IOT,
            source_id=f"ttlock:{lock}:{told}:{way}",
            kind=Kind.DOOR_OPENED,
            at=at,
            who=None,
            where=(AliasSource.DEVICE, str(lock)),
            data=iot.WAYS[WAYS[int(way or 0)]],
        )
    ]


def _whole(value: object) -> int | None:
    """A whole number, also where it is written as text; None for anything else."""
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 18:
        value = int(value)
    return value if type(value) is int and 0 <= value < 10**18 else None


def _moment(milliseconds: int | None) -> datetime | None:
    if milliseconds is None or milliseconds >= 4_102_444_800_000:  # the year 2100
        return None
    at = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return at if at.year >= 2000 else None
