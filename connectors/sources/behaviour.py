"""What tenants do in the app: Segment calls, one on a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import AliasRecord, AliasSource, BadRecord, EventRecord, Kind, Source
from connectors.sources import calls, files

FACILITIES = {"gym", "shared_kitchen", "laundry", "study"}


def read(path: Path) -> Iterator[EventRecord | AliasRecord | BadRecord]:
    """The calls as events; before the first that names a user and a device, that the two are one person."""
    told: set[tuple[str, str]] = set()
    for number, line in files.lines(path):
        try:
            call = calls.parse(line)
            record = event(number, call)
        except calls.Problem as problem:
            yield BadRecord(number, str(problem))
            continue
        user, device = call.get("userId"), call.get("anonymousId")
        if user and device and (user, device) not in told:
            told.add((user, device))
            device = calls.text(call, "anonymousId")
            yield AliasRecord(number, (AliasSource.APP, user), (AliasSource.ANONYMOUS, device))
        yield record


def event(number: int, call: dict[str, Any]) -> EventRecord:
    """The event a call tells; raises `calls.Problem`."""
    if call.get("userId"):
        who = (AliasSource.APP, calls.text(call, "userId"))
    elif call.get("anonymousId"):
        who = (AliasSource.ANONYMOUS, calls.text(call, "anonymousId"))
    else:
        raise calls.Problem(_("The call names neither a user nor a device."))
    kind, data = _meaning(call)
    return EventRecord(
        line=number,
        source=Source.APP,
        source_id=calls.text(call, "messageId"),
        kind=kind,
        at=calls.moment(call, "timestamp"),
        who=who,
        where=None,
        data=data,
    )


def _meaning(call: dict[str, Any]) -> tuple[Kind, dict[str, Any]]:
    properties = _part(call, "properties")
    match call.get("type"):
        case "screen" | "page":
            return Kind.APP_VIEWED, {"name": calls.text(call, "name")}
        case "track" if call.get("event") == "Facility Used":
            if (facility := calls.text(properties, "facility")) not in FACILITIES:
                raise calls.Problem(_("The facility is not one we know."))
            return Kind.FACILITY_USED, {"facility": facility}
        case "track":
            return Kind.APP_TRACKED, {**properties, "name": calls.text(call, "event")}
        case "identify":
            return Kind.PROFILE_STATED, _stated(_part(call, "traits"))
        case _:
            raise calls.Problem(_("The call is neither track, screen, page nor identify."))


def _stated(traits: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a profile: the workplace, for the figure of the way to work, and nothing else."""
    place = traits.get("workplace")
    if place is None:
        return {}
    if type(place) is not dict:
        raise calls.Problem(_("The workplace is not a point on the map."))
    latitude, longitude = place.get("lat"), place.get("lng")
    if not _degrees(latitude, 90) or not _degrees(longitude, 180):
        raise calls.Problem(_("The workplace is not a point on the map."))
    return {"workplace": [latitude, longitude]}


def _degrees(value: object, most: int) -> bool:
    return type(value) in (int, float) and abs(value) <= most  # type: ignore[arg-type]


def _part(call: dict[str, Any], name: str) -> dict[str, Any]:
    part = call.get(name) or {}
    if type(part) is not dict:
        raise calls.Problem(_("“%(name)s” is not a JSON object.") % {"name": name})
    return part
