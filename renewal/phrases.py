"""What happened, in words: one short sentence per kind of event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import Kind
from tenants.models import Event, WaitingEvent
from tenants.vocabulary import CHANNELS, FACILITIES, ITEMS, SCREENS, Category

FACES = {"good": "😊", "soso": "😐", "bad": "😞"}

Data = dict[str, Any]


def _named(names: dict[str, Any], code: Any) -> str:
    return str(names.get(code, code or "–"))


def _reported(data: Data) -> str:
    categories = dict(Category.choices)
    return _("Reported a repair (%(category)s) by %(channel)s: %(text)s") % {
        "category": _named(categories, data.get("category")),
        "channel": _named(CHANNELS, data.get("channel")),
        "text": data.get("text") or "–",
    }


SAY: dict[str, Callable[[Data], str]] = {
    Kind.APP_VIEWED: lambda data: _("Looked at %s in the app") % _named(SCREENS, data.get("name")),
    Kind.APP_TRACKED: lambda data: _("In the app: %s") % _named({}, data.get("name")),
    Kind.PROFILE_STATED: lambda data: _("Told us about themselves in the app"),
    Kind.FACILITY_USED: lambda data: _("Used %s") % _named(FACILITIES, data.get("facility")),
    Kind.COMMUNITY_JOINED: lambda data: _("Joined “%s”") % _named({}, data.get("activity")),
    Kind.COMMUNITY_POSTED: lambda data: _("Wrote in the community group"),
    Kind.PAYMENT_MADE: lambda data: (
        _("Paid %(item)s, %(amount)s yuan, due %(due_on)s")
        % {"item": _named(ITEMS, data.get("item")), "amount": data.get("amount"), "due_on": data.get("due_on")}
    ),
    Kind.BILL_ISSUED: lambda data: (
        _("Bill of %(month)s, %(amount)s yuan") % {"month": data.get("month"), "amount": data.get("amount")}
    ),
    Kind.MOOD_GIVEN: lambda data: _("Mood on the bill: %s") % _named(FACES, data.get("mood")),
    Kind.TICKET_REPORTED: _reported,
    Kind.TICKET_ACCEPTED: lambda data: _("A technician accepted ticket %s") % data.get("ticket"),
    Kind.TICKET_ARRIVED: lambda data: _("The technician arrived for ticket %s") % data.get("ticket"),
    Kind.TICKET_FINISHED: lambda data: _("Ticket %s was finished") % data.get("ticket"),
    Kind.TICKET_RATED: lambda data: (
        _("Rated ticket %(ticket)s: %(score)s of 5") % {"ticket": data.get("ticket"), "score": data.get("score")}
    ),
}


def say(event: Event | WaitingEvent) -> str:
    """The event in one sentence; a kind nobody has words for is named as it is."""
    words = SAY.get(event.kind)
    return words(event.data) if words else event.kind
