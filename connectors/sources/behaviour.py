"""What tenants do in the app: Segment's calls, one on a line of a file or many in a call over HTTP.

Who may say who somebody is: a key that sits in an app is known to everybody who has the app. So a call under
such a key teaches one thing only, that a device belongs to a user we know. What a tenant types into a profile
(a phone number, an openid, a parcel locker) and that two users are one person is learnt from calls under a
secret key alone (`trusted`), and then only for references that stand for nobody yet: never does a claimed
phone number make somebody the person who has it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import AliasRecord, AliasSource, BadRecord, EventRecord, Kind, SamePersonRecord, Source
from connectors.sources import calls, files

TYPES = ("track", "identify", "page", "screen", "group", "alias")
FACILITIES = {"gym", "shared_kitchen", "laundry", "study"}
MOST_EVENT = 32 * 1024  # bytes of one call
# Of a track call's properties so many are kept, if they are plain values of this size.
MOST_PROPERTIES, MOST_NAME, MOST_TEXT, MOST_NUMBER = 50, 64, 500, 2**53
# What a call over HTTP keeps on its way to a record: no network address, no device, no advertising number.
KEPT = (
    "type", "messageId", "userId", "anonymousId", "previousId", "groupId", "event", "name", "properties", "traits",
)  # fmt: skip
TRAITS = {"workplace", "phone", "wechat_openid", "locker", "name"}  # the last is a group's
TAUGHT = {"phone": AliasSource.PHONE, "wechat_openid": AliasSource.WECHAT, "locker": AliasSource.LOCKER}

Records = list[EventRecord | AliasRecord | SamePersonRecord]


def read(path: Path) -> Iterator[EventRecord | AliasRecord | SamePersonRecord | BadRecord]:
    """The calls as events; before the first that names a user and a device, that the two are one person."""
    told: set[tuple[tuple[str, str], tuple[str, str]]] = set()
    for number, line in files.lines(path):
        try:
            found = records(number, calls.parse(line))
        except calls.Problem as problem:
            yield BadRecord(number, str(problem))
            continue
        for record in found:
            if isinstance(record, AliasRecord):
                if (record.known, record.also) in told:
                    continue
                told.add((record.known, record.also))
            yield record


def records(number: int, call: dict[str, Any]) -> Records:
    """What a call says: whom it names beside whom, and its event; raises `calls.Problem`."""
    if call.get("type") == "alias":
        return _same(number, call)
    happened = event(number, call)
    return [*_taught(number, call), happened]


def event(number: int, call: dict[str, Any]) -> EventRecord:
    """The event a call tells; raises `calls.Problem`."""
    user, device = _ref(call, "userId"), _ref(call, "anonymousId")
    if not user and not device:
        raise calls.Problem(_("The call names neither a user nor a device."))
    kind, data = _meaning(call)
    if doubtful := call.get("saidAt"):
        data["said_at"] = doubtful  # its clock cannot be believed; `at` is when we heard of it
    return EventRecord(
        line=number,
        source=Source.APP,
        source_id=calls.text(call, "messageId"),
        kind=kind,
        at=calls.moment(call, "timestamp"),
        who=(AliasSource.APP, user) if user else (AliasSource.ANONYMOUS, device),
        where=None,
        data=data,
    )


def _taught(number: int, call: dict[str, Any]) -> Records:
    user, device = _ref(call, "userId"), _ref(call, "anonymousId")
    if not user:
        return []
    known = (AliasSource.APP, user)
    found: Records = [AliasRecord(number, known, (AliasSource.ANONYMOUS, device))] if device else []
    if call.get("trusted") and call.get("type") == "identify":
        traits = _part(call, "traits")
        for name, source in TAUGHT.items():
            ref = traits.get(name)
            if name == "phone" and type(ref) is str:
                ref = _phone(ref)
            if type(ref) is str and 0 < len(ref) <= 128:
                found.append(AliasRecord(number, known, (source, ref)))
    return found


def _same(number: int, call: dict[str, Any]) -> Records:
    user, before = _ref(call, "userId"), _ref(call, "previousId")
    if not user or not before:
        raise calls.Problem(_("The call does not name two users."))
    is_certain = bool(call.get("trusted"))
    device: tuple[str, str] = (AliasSource.ANONYMOUS, before)
    also = (device, (AliasSource.APP, before)) if is_certain else (device,)
    return [SamePersonRecord(number, (AliasSource.APP, user), also, is_certain)]


def _phone(said: str) -> str:
    """The number as contracts write it; empty if it is none."""
    digits = re.sub(r"[\s\-]", "", said).removeprefix("+86").removeprefix("0086")
    return digits if re.fullmatch(r"1[0-9]{10}", digits) else ""


def _ref(call: dict[str, Any], name: str) -> str:
    """A user or a device; empty if none is named. Some senders number their users."""
    value = call.get(name)
    if value is None or value == "":
        return ""
    if type(value) is int and abs(value) < MOST_NUMBER:
        return str(value)
    return calls.text(call, name)


def _meaning(call: dict[str, Any]) -> tuple[Kind, dict[str, Any]]:
    match call.get("type"):
        case "screen" | "page":
            return Kind.APP_VIEWED, {"name": _title(call)}
        case "track" if call.get("event") == "Facility Used":
            if (facility := calls.text(_part(call, "properties"), "facility")) not in FACILITIES:
                raise calls.Problem(_("The facility is not one we know."))
            return Kind.FACILITY_USED, {"facility": facility}
        case "track":
            return Kind.APP_TRACKED, {**_plain(_part(call, "properties")), "name": calls.text(call, "event")}
        case "identify":
            return Kind.PROFILE_STATED, _stated(_part(call, "traits"))
        case "group":
            # A group of the app is no activity of the house: it is kept as something done in the app.
            group = _part(call, "traits").get("name") or call.get("groupId")
            return Kind.APP_TRACKED, {"name": "Group Joined", **_plain({"group": group})}
        case _:
            known = ", ".join(TYPES)
            raise calls.Problem(_("The call is none of %(known)s.") % {"known": known})


def _title(call: dict[str, Any]) -> str:
    """What the screen or page is called; a page of a website often says so in its properties only."""
    properties = _part(call, "properties")
    for title in (call.get("name"), properties.get("title"), properties.get("path")):
        if type(title) is str and title.strip():
            return title.strip()[:128]
    raise calls.Problem(_("“%(name)s” is missing or is not a short text.") % {"name": "name"})


def _plain(properties: dict[str, Any]) -> dict[str, Any]:
    """The properties that are plain values of a sensible size; the others are left out."""
    found: dict[str, Any] = {}
    for name, value in properties.items():
        if len(found) == MOST_PROPERTIES:
            break
        is_short = type(value) is str and len(value) <= MOST_TEXT
        is_number = type(value) in (int, float) and abs(value) <= MOST_NUMBER
        if 0 < len(name) <= MOST_NAME and (is_short or is_number or type(value) is bool):
            found[name] = value
    return found


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


# --- over HTTP ------------------------------------------------------------------------------------


def unpack(body: dict[str, Any], *, received_at: datetime, key: str) -> Iterator[calls.Told]:
    """The calls of one call over HTTP, each as a line of a file would tell it.

    `body` is {"call": type or "batch", "text": as it came, "trusted": bool}. `key` names the call, for those in
    it that have neither a number nor a time of their own.
    """
    text = body["text"]
    whole = calls.decode(text)
    found, sent = (whole["batch"], whole.get("sentAt")) if body["call"] == "batch" else ([whole], None)
    for nth, call in enumerate(found):
        try:
            call = calls.check(call, as_it_came=text)
            if len(text) > MOST_EVENT // 4 and len(calls.line(call).encode()) > MOST_EVENT:
                raise calls.Problem(_("The call is larger than 32 KB."))
        except calls.Problem as problem:
            yield calls.Told(call, str(problem))
            continue
        kind = call.get("type") if body["call"] == "batch" else body["call"]
        settled = settle(
            {**call, "type": kind}, received_at=received_at, sent=call.get("sentAt") or sent, key=key, nth=nth
        )
        yield calls.Told({**settled, "trusted": True} if body.get("trusted") else settled)


def settle(call: dict[str, Any], *, received_at: datetime, sent: object, key: str, nth: int) -> dict[str, Any]:
    """The call with a time that can be believed and a number, without what nobody needs.

    The time is by our clock: what the sender's showed when it happened, moved by how far it was off when the
    call was sent. One that is more than seven days old or lies ahead is not believed: then the time is when we
    heard of it, and what the sender said is kept beside it.
    """
    settled = {name: call[name] for name in KEPT if name in call}
    if type(settled.get("traits")) is dict:
        settled["traits"] = {name: value for name, value in settled["traits"].items() if name in TRAITS}
    told = call.get("originalTimestamp", call.get("timestamp"))
    at = calls.said(told)
    sent_at = calls.said(sent)
    if at and sent_at:
        at = received_at - (sent_at - at)
    believed = calls.believed(at, received_at=received_at)
    settled["timestamp"] = (believed or received_at).isoformat()
    if told is not None and believed is None:
        settled["saidAt"] = str(told)[:40]
    if settled.get("messageId") in (None, ""):
        # The same call sent again has the same number if it has a time; otherwise each is one of its own.
        same = calls.line({**settled, "timestamp": told}) if calls.said(told) else f"{key} {nth}"
        settled["messageId"] = "n-" + hashlib.sha256(same.encode()).hexdigest()[:40]
    return settled
