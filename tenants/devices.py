"""Locks and meters, and where they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import BadRecord, EventRecord, Kind
from connectors.runs import Counts
from connectors.sources import iot
from tenants import ingest
from tenants.models import Device


def take(records: Iterable[Any], *, now: datetime, progress: ingest.Progress = lambda rows: None) -> Counts:
    """What locks and meters say is stored as `ingest.take` stores it, but for those that speak for another building."""
    return ingest.take(_at_home(records), now=now, progress=progress)


def _at_home(records: Iterable[Any]) -> Iterator[Any]:
    """A record whose topic names another building than its device's is a bad one."""
    homes = dict(Device.objects.values_list("ref", "unit__building__code"))
    for record in records:
        if type(record) is EventRecord and record.where and homes.get(record.where[1], record.site) != record.site:
            reason = _("The device %(ref)s is not in the building that the topic names.") % {"ref": record.where[1]}
            yield BadRecord(record.line, reason, iot.DOOR if record.kind == Kind.DOOR_OPENED else {})
        else:
            yield record
