"""Ways out to people: one file per provider behind one interface, one outcome per attempt.

A channel raises nothing for what a provider may do: whatever happens is an `Answer`. It keeps no
retries of its own; the outbox alone decides what is tried again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from django.conf import settings


class Outcome(StrEnum):
    """What an attempt came to."""

    ACCEPTED = "accepted"  # the provider has it
    NOT_SENT = "not_sent"  # no byte left, or proved absent: it may be tried again
    SLOW_DOWN = "slow_down"  # the provider asks for time: tried again later
    FAILED = "failed"  # a final no
    UNKNOWN = "unknown"  # it may or may not have arrived


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message as it leaves. The key is the same for every attempt of a message."""

    key: str
    address: str
    text: str
    url: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said."""

    outcome: Outcome
    ref: str = ""  # the provider's own number
    detail: str = ""


class Channel(Protocol):
    """A provider."""

    name: str

    def send(self, envelope: Envelope) -> Answer:
        """Hand one message to the provider."""

    def find(self, key: str) -> Answer:
        """What became of the message of this key: ACCEPTED, NOT_SENT if it never arrived, UNKNOWN if it cannot say."""


def channel(name: str) -> Channel:
    """The channel of this name. Raises `KeyError` if this installation has none."""
    from connectors.channels.phone import Phone

    known: dict[str, type[Channel]] = {"phone": Phone}
    if name not in settings.CHANNELS:
        raise KeyError(name)
    return known[name]()
