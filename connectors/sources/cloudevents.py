"""CloudEvents 1.0: tickets, payments, bills, moods, community and facilities, as other systems tell them.

The type of an event is one of our kinds, its data has the names that kind has with us. Who or where it concerns
stands in the attributes `who` and `where` (or under these names in the data), or else in `subject`, always as
`source:reference`: `contract:HT000001`, `phone:13800000000`, `unit:1-0301`.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import AliasSource, BadRecord, EventRecord, Kind, Source
from connectors.sources import behaviour, calls, files, tickets

PEOPLE = {
    AliasSource.CONTRACT, AliasSource.PHONE, AliasSource.APP, AliasSource.ANONYMOUS, AliasSource.WECHAT,
    AliasSource.LOCKER, AliasSource.COMMUNITY,
}  # fmt: skip
PLACES = {AliasSource.UNIT, AliasSource.DEVICE}
REQUIRED = ("id", "source", "type")
# What of an event is kept on its way to a record.
KEPT = ("specversion", "id", "source", "type", "time", "subject", "who", "where", "data")
MOST_EVENT = 64 * 1024  # bytes; the size every receiver must take
TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")

Data = dict[str, Any]


def read(path: Path) -> Iterator[EventRecord | BadRecord]:
    """Events in the JSON format, one on a line."""
    for number, line in files.lines(path):
        try:
            yield from records(number, _lawful(calls.parse(line)))
        except calls.Problem as problem:
            yield BadRecord(number, str(problem))


def unpack(body: Data, *, received_at: datetime, key: str) -> Iterator[calls.Told]:
    """The events of one call over HTTP, `body` being {"text": an event or a list of them, in the JSON format}."""
    text = body["text"]
    whole = calls.decode(text)
    for event in whole if type(whole) is list else [whole]:
        try:
            call = calls.check(event, as_it_came=text)
            if len(text) > MOST_EVENT // 4 and len(calls.line(call).encode()) > MOST_EVENT:
                raise calls.Problem(_("The event is larger than 64 KB."))
            check(call)
        except calls.Problem as problem:
            yield calls.Told(event, str(problem))
            continue
        kept = {name: call[name] for name in KEPT if call.get(name) is not None}
        if "data_base64" in call and "data" not in kept:
            kept["data"] = _unwrapped(call["data_base64"])
        yield calls.Told({"time": received_at.isoformat(), **kept})


def check(event: Data) -> None:
    """The event is one by the specification and carries JSON; raises `calls.Problem`."""
    if event.get("specversion") != "1.0":
        raise calls.Problem(_("The attribute “specversion” is not 1.0."))
    for name in REQUIRED:
        if type(event.get(name)) is not str or not event[name]:
            raise calls.Problem(_("The attribute “%(name)s” is missing or is no text.") % {"name": name})
    for name in ("subject", "datacontenttype", "dataschema", "time", "who", "where"):
        if event.get(name) is not None and (type(event[name]) is not str or not event[name]):
            raise calls.Problem(_("The attribute “%(name)s” is no text.") % {"name": name})
    if event.get("time") is not None and _time(event["time"]) is None:
        raise calls.Problem(_("The attribute “time” is not a time by RFC 3339."))
    if not is_json(event.get("datacontenttype") or "application/json"):
        raise calls.Problem(_("The data is not JSON."))


def is_json(media_type: str) -> bool:
    name = media_type.partition(";")[0].strip().lower()
    return name in {"application/json", "text/json"} or name.endswith("+json")


def records(number: int, event: Data) -> list[EventRecord]:
    """The event as a record; raises `calls.Problem`."""
    build = KINDS.get(event["type"])
    if build is None:
        known = ", ".join(KINDS)
        raise calls.Problem(
            _("The type “%(type)s” is none of %(known)s.") % {"type": event["type"][:60], "known": known}
        )
    data = event.get("data")
    if type(data) is not dict:
        raise calls.Problem(_("“%(name)s” is not a JSON object.") % {"name": "data"})
    at = _time(event["time"])
    if at is None or not 2000 <= at.year < 2100:
        raise calls.Problem(_("The time %(time)s cannot be right.") % {"time": event["time"][:40]})
    who, where = _concerned(event, data)
    kind = Kind(event["type"])
    return [EventRecord(number, Source.CLOUDEVENTS, source_id(event), kind, at, who, where, build(data))]


def source_id(event: Data) -> str:
    """What an event is known by: its source and its id. A source has no spaces in it."""
    both = f"{event['source']} {event['id']}"
    return both if len(both) <= 128 else hashlib.sha256(both.encode()).hexdigest()


def _unwrapped(base64: object) -> Any:
    """JSON that came as base64; None for what is none."""
    try:
        text = b64decode(base64 if type(base64) is str else "", validate=True).decode()
        return calls.check(calls.decode(text), as_it_came=text)
    except ValueError:
        return None


def _lawful(event: Data) -> Data:
    check(event)
    if event.get("time") is None:
        raise calls.Problem(_("The attribute “%(name)s” is missing or is no text.") % {"name": "time"})
    return event


def _time(text: str) -> datetime | None:
    """A moment by RFC 3339, of which nanoseconds and a leap second are let go."""
    parts = TIME.fullmatch(text)
    if not parts:
        return None
    text = text.upper()
    if parts[1] == "60":
        text = f"{text[:17]}59{text[19:]}"
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _concerned(event: Data, data: Data) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    who = _alias(event.get("who") or data.get("who"), PEOPLE, "who")
    where = _alias(event.get("where") or data.get("where"), PLACES, "where")
    if who or where:
        return who, where
    subject = str(event.get("subject") or "")
    source = subject.partition(":")[0]
    if source in PEOPLE:
        return _alias(subject, PEOPLE, "subject"), None
    if source in PLACES:
        return None, _alias(subject, PLACES, "subject")
    raise calls.Problem(_("The event says neither whom nor which unit it concerns."))


def _alias(said: object, lawful: set[AliasSource], name: str) -> tuple[str, str] | None:
    if said in (None, ""):
        return None
    source, _colon, ref = said.partition(":") if type(said) is str else ("", "", "")
    if source not in lawful or not 0 < len(ref.strip()) <= 128:
        known = ", ".join(sorted(lawful))
        raise calls.Problem(
            _("“%(name)s” is not a reference such as %(known)s with a colon and a number.")
            % {"name": name, "known": known}
        )
    return source, ref.strip()


# --- what each kind says --------------------------------------------------------------------------


def _ticket(data: Data) -> Data:
    return {"ticket": calls.text(data, "ticket", most=100)}


def _reported(data: Data) -> Data:
    found = _ticket(data) | {"category": _one_of(data, "category", set(tickets.CATEGORIES.values()))}
    if data.get("channel"):
        found["channel"] = _one_of(data, "channel", set(tickets.CHANNELS.values()))
    return found | {"text": calls.optional(data, "text", most=2000)}


def _accepted(data: Data) -> Data:
    return _ticket(data) | {"technician": calls.text(data, "technician", most=150)}


def _rated(data: Data) -> Data:
    score = data.get("score")
    if type(score) is not int or not 1 <= score <= 5:
        raise calls.Problem(_("“%(name)s” is not a whole number from 1 to 5.") % {"name": "score"})
    return _ticket(data) | {"score": score}


def _payment(data: Data) -> Data:
    return {
        "item": _one_of(data, "item", {"rent", "utility"}),
        "amount": _amount(data),
        "due_on": _day(data, "due_on"),
    }


def _bill(data: Data) -> Data:
    month = calls.text(data, "month")
    if not MONTH.fullmatch(month):
        raise calls.Problem(_("“%(name)s” is not a month such as 2025-11.") % {"name": "month"})
    return {"bill": calls.text(data, "bill", most=100), "amount": _amount(data, zero=True), "month": month}


def _mood(data: Data) -> Data:
    return {"bill": calls.text(data, "bill", most=100), "mood": _one_of(data, "mood", {"good", "soso", "bad"})}


KINDS: dict[str, Callable[[Data], Data]] = {
    Kind.TICKET_REPORTED: _reported,
    Kind.TICKET_ACCEPTED: _accepted,
    Kind.TICKET_ARRIVED: _ticket,
    Kind.TICKET_FINISHED: _ticket,
    Kind.TICKET_RATED: _rated,
    Kind.COMMUNITY_JOINED: lambda data: {"activity": calls.text(data, "activity", most=200)},
    # What was said in the group is not kept: no figure and no rule needs it.
    Kind.COMMUNITY_POSTED: lambda data: {"group": calls.text(data, "group", most=200)},
    Kind.PAYMENT_MADE: _payment,
    Kind.BILL_ISSUED: _bill,
    Kind.MOOD_GIVEN: _mood,
    Kind.FACILITY_USED: lambda data: {"facility": _one_of(data, "facility", behaviour.FACILITIES)},
}


def _one_of(data: Data, name: str, words: set[str]) -> str:
    said = data.get(name)
    if type(said) is not str or said not in words:
        raise calls.Problem(_("“%(name)s” is none of %(known)s.") % {"name": name, "known": ", ".join(sorted(words))})
    return said


def _amount(data: Data, *, zero: bool = False) -> str:
    said = data.get("amount")
    try:
        amount = Decimal(str(said)) if type(said) in (str, int, float) else Decimal("NaN")
        lawful = amount.is_finite() and amount == round(amount, 2) and (amount > 0 or (zero and amount == 0))
    except InvalidOperation:
        lawful = False
    if not lawful or amount >= 100_000_000:
        raise calls.Problem(_("“%(name)s” is not an amount in yuan with at most two places.") % {"name": "amount"})
    return str(round(amount, 2))


def _day(data: Data, name: str) -> str:
    said = data.get(name)
    try:
        if type(said) is str and len(said) == 10 and 2000 <= date.fromisoformat(said).year < 2100:
            return said
    except ValueError:
        pass
    raise calls.Problem(_("“%(name)s” is not a date such as 2025-11-30.") % {"name": name})
