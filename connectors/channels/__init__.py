"""Ways out to people and systems: one file per provider behind one interface, one outcome per attempt.

A channel raises nothing for what a provider may do: whatever happens is an `Answer`. It keeps no
retries of its own; the outbox alone decides what is tried again. docs/channels.md says how to add one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from importlib import import_module
from typing import ClassVar

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from connectors.records import OptOutRecord


class Outcome(StrEnum):
    """What an attempt came to."""

    ACCEPTED = "accepted"  # the provider has it
    NOT_SENT = "not_sent"  # no byte left, or proved absent, or "try again" before anything was taken
    SLOW_DOWN = "slow_down"  # the provider asks for time: tried again later, and no try is spent
    STOP = "stop"  # nothing of ours will be taken: money, signature, rights. The channel stops and staff are told
    FAILED = "failed"  # a final no to this message: its content or template
    NO_RECIPIENT = "no_recipient"  # this person cannot be reached here; another channel may
    OPTED_OUT = "opted_out"  # this person has told the provider to refuse us here
    UNKNOWN = "unknown"  # it may or may not have arrived


class Reach(StrEnum):
    """What a channel's addresses are."""

    PHONE = "phone"  # a tenant's or a member of staff's number
    WECHAT = "wechat"  # a tenant's openid
    APP = "app"  # a tenant's account in the app
    WECOM = "wecom"  # a member of staff's account
    GROUP = "group"  # a chat group of staff; the address is in the channel's own settings
    SYSTEM = "system"  # another system; the address is in the channel's own settings


TENANTS = frozenset({Reach.PHONE, Reach.WECHAT, Reach.APP})  # where a tenant can be reached


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message as it leaves. The key is the same for every attempt of a message, whatever the channel."""

    key: str
    address: str
    text: str
    url: str
    sent_at: datetime  # this attempt
    klass: str = ""  # marketing, service, code, staff, system
    template: str = ""  # the provider's own code, on a channel that needs one
    values: Mapping[str, str] = field(default_factory=dict)  # the template's variables, checked and filled in
    first_sent_at: datetime | None = None  # the first attempt on this channel: from here a provider's key counts
    last_sent_at: datetime | None = None  # the latest attempt on this channel: from here its absence is proved
    ref: str = ""  # what the provider called it, if it ever said so


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said."""

    outcome: Outcome
    ref: str = ""  # the provider's own number
    detail: str = ""  # its error code and words, for staff
    wait: timedelta | None = None  # with SLOW_DOWN: for how long


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRecord:
    """What a provider says later about a message: found by our key, or by its own number and the address."""

    outcome: str  # "delivered", "undelivered"
    key: str = ""
    ref: str = ""
    address: str = ""  # where one number stands for a whole batch
    at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a provider's call back said, and what it wants to hear."""

    receipts: Sequence[ReceiptRecord] = ()
    refusals: Sequence[OptOutRecord] = ()  # 回复R
    answer: bytes = b"success"
    content_type: str = "text/plain"


class Forged(Exception):
    """A call back that cannot have come from the provider."""


class Unreadable(Exception):
    """A call back that is not what the provider sends. The message is fit for a person."""


class Channel:
    """A provider. What it promises stands in docs/channels.md, as these names say it."""

    name: ClassVar[str]
    title: ClassVar[str | Promise] = ""  # what staff call it; none: its name
    reaches: ClassVar[Reach]
    carries: ClassVar[frozenset[str]] = frozenset({"marketing", "service", "code"})  # classes of message
    needs_template: ClassVar[bool] = False  # it sends nothing but templates the provider has approved
    batch: ClassVar[int] = 1  # so many messages in one call
    senders: ClassVar[int] = 8  # so many calls at once in one worker; 0: in its own thread, which may use the database
    per_second: ClassVar[int | None] = None  # so many messages a second over all workers, or in each `per`
    per: ClassVar[timedelta] = timedelta(seconds=1)
    # Asking about a message hands it over again under its key: what may no longer be sent is then not asked about.
    asks_by_sending: ClassVar[bool] = False
    # For so long an unknown message may still be cleared up by asking or by a receipt; then a person decides.
    patience: ClassVar[timedelta] = timedelta(0)

    def send(self, envelope: Envelope) -> Answer:
        """Hand one message to the provider."""
        return self.send_many([envelope])[0]

    def send_many(self, envelopes: Sequence[Envelope]) -> list[Answer]:
        """Hand at most `batch` messages to the provider in one call; an answer each, in their order."""
        return [self.send(envelope) for envelope in envelopes]

    def find(self, envelope: Envelope) -> Answer:
        """What became of it: ACCEPTED, NOT_SENT if it proved absent, FAILED, or UNKNOWN if the provider cannot say.

        On a channel that `asks_by_sending` any outcome of sending.
        """
        return Answer(Outcome.UNKNOWN)

    def read(self, *, headers: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Heard:
        """What the provider's call back says. Raises `Forged` or `Unreadable`."""
        raise Unreadable(_("This channel has no receipts."))

    def close(self) -> None:
        """Let go of connections."""


# name: "module:class". An installation adds its own by settings.MORE_CHANNELS.
KNOWN = {
    "phone": "connectors.channels.phone:Phone",
    "sms": "connectors.channels.aliyun:AliyunSms",
    "wechat": "connectors.channels.wechat:WechatTemplate",
    "wechat_subscribe": "connectors.channels.wechat:WechatSubscribe",
    "wecom": "connectors.channels.wecom:WecomMessage",
    "wecom_robot": "connectors.channels.robot:WecomRobot",
    "jpush": "connectors.channels.jpush:JPush",
    "erp": "connectors.channels.erp:ErpWriteBack",
}


def kind(name: str) -> type[Channel]:
    """The class of the channel of this name. Raises `KeyError` if there is none."""
    module, _, wanted = {**KNOWN, **settings.MORE_CHANNELS}[name].partition(":")
    found: type[Channel] = getattr(import_module(module), wanted)
    return found


def title(name: str) -> str:
    """What staff call the channel of this name, in the language of who reads it; of one that is gone, its name."""
    try:
        return str(kind(name).title) or name
    except KeyError:
        return name


def outcome_name(code: str) -> str:
    """An attempt's outcome in words; what has no word stays as the channel's interface has it."""
    names = {
        "accepted": pgettext("message", "accepted"),
        "not_sent": _("certainly not sent"),
        "no_recipient": _("nobody to be reached there"),
        "opted_out": _("the person refuses this channel"),
        "slow_down": _("asked us to slow down"),
        "stop": _("takes nothing of ours"),
        "failed": _("failed"),
        "unknown": _("unknown"),
    }
    return str(names.get(code, code))


def channel(name: str) -> Channel:
    """The channel of this name, ready to send. Raises `KeyError` if this installation does not use it."""
    if name not in settings.CHANNELS:
        raise KeyError(name)
    return kind(name)()
