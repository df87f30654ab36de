"""Door locks and meters: one MQTT message on a line, with its topic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import AliasSource, BadRecord, EventRecord, Kind, Source
from connectors.sources import calls, files

# metric → what it tells, and the last part of the topics it may come from
METERS = {"energy": (Kind.POWER_READ, "power", "kWh"), "volume": (Kind.WATER_READ, "water", "m3")}
WAYS = {way: {"way": way} for way in ("app", "card", "code", "finger")}
# A door record that is refused keeps nothing of what it said: it is a trace of somebody's movements.
DOOR = {"withheld": "door"}
# A device that speaks live is believed about the time within these limits; a file may tell of years.
AHEAD = timedelta(minutes=5)
LATE = timedelta(days=7)
CLOCK = "clock_wrong"  # what a refused live message carries from then on: "ahead", "late" or "back"


def read(path: Path) -> Iterator[EventRecord | BadRecord]:
    for number, line in files.lines(path):
        try:
            yield event(number, calls.parse(line))
        except calls.Problem as problem:
            yield BadRecord(number, str(problem), DOOR if '"open"' in line else {})


def event(number: int, message: dict[str, Any]) -> EventRecord:
    """The event a message tells; raises `calls.Problem`."""
    topic = calls.text(message, "topic", most=300).split("/")
    if len(topic) != 5 or topic[0] != "site" or topic[2] != "device":
        raise calls.Problem(_("The topic is not site/…/device/…/…."))
    device, what = topic[3], topic[4]
    metric = message.get("metric")
    value = message.get("value")
    data: dict[str, Any]
    if metric == "open":
        kind, expected = Kind.DOOR_OPENED, "lock"
        if type(value) is not str or value not in WAYS:
            raise calls.Problem(_("A door cannot be opened in the way this message says."))
        data = WAYS[value]
    elif type(metric) is str and metric in METERS:
        kind, expected, unit = METERS[metric]
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e9:
            raise calls.Problem(_("The meter's value is not a number that can be right."))
        if message.get("unit") != unit:
            raise calls.Problem(_("The meter's unit is not %(unit)s.") % {"unit": unit})
        data = {"value": value, "unit": unit}
    else:
        raise calls.Problem(_("The message says neither that a door was opened nor what a meter reads."))
    if what != expected:
        raise calls.Problem(_("The topic names another kind of device than the message."))
    where = (AliasSource.DEVICE, device)
    at = calls.moment(message, "ts")
    if CLOCK in message:
        raise WrongClock(str(message[CLOCK]))
    seq = message.get("seq")
    if type(seq) is not int or not 0 <= seq < 1 << 63:
        seq = None
    return EventRecord(number, Source.IOT, calls.text(message, "id"), kind, at, None, where, data, topic[1], seq)


class WrongClock(calls.Problem):
    """A live message whose time cannot be believed. It is marked, so that replaying it does not make it history."""

    def __init__(self, how: str) -> None:
        self.how = how
        if how == "ahead":
            reason = _("The device's clock is ahead: correct “ts” and remove “%(mark)s”.")
        elif how == "back":
            reason = _("The device's clock has jumped back: correct “ts” and remove “%(mark)s”.")
        else:
            reason = _("The message is older than 7 days or the clock is behind: correct “ts” and remove “%(mark)s”.")
        super().__init__(reason % {"mark": CLOCK})


def live(event: EventRecord, *, heard_at: datetime) -> EventRecord:
    """The same event, heard from its device at that moment; raises `WrongClock` if its time cannot be believed."""
    if event.at > heard_at + AHEAD:
        raise WrongClock("ahead")
    if event.at < heard_at - LATE:
        raise WrongClock("late")
    return event
