"""WeCom: words to members of staff, by an app of the operator's own.

The provider drops a call that says the same as an earlier one, for as long as we ask it to. So a message of which it
is unknown what became is handed over again, byte by byte the same. docs/channels/wecom.md
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.channels import Answer, Channel, Envelope, Outcome, Reach, tokens
from connectors.channels.errcodes import Account, asked_again, attempt, fitted, given_in
from connectors.channels.wecom_codes import GIVING, MESSAGE
from connectors.http import Way
from connectors.records import WECOM_ID

REMEMBERED = 1800  # seconds for which the same words to the same person are taken once; four hours are allowed
KEPT = timedelta(seconds=REMEMBERED) - timedelta(minutes=5)  # and some minutes between our claim and the call
MOST = 2048  # bytes of a text


class WecomMessage(Channel):
    """Messages of an app to members of staff."""

    name = "wecom"
    title = gettext_lazy("WeCom message")
    reaches = Reach.WECOM
    carries = frozenset({"staff"})
    # A member is sent 30 a minute; what is more is dropped without a word. So is nothing, if all together get no more.
    per_second = 30
    per = timedelta(minutes=1)
    asks_by_sending = True
    patience = timedelta(minutes=30)

    def __init__(self) -> None:
        url, corpid = settings.WECOM_URL, settings.WECOM_CORPID
        self.account = Account(url, tokens.account_of("wecom", url, corpid, settings.WECOM_SECRET), _ask, self.senders)

    def close(self) -> None:
        self.account.close()

    def send(self, envelope: Envelope) -> Answer:
        # @all and a|b would reach others.
        if not WECOM_ID.fullmatch(envelope.address):
            return Answer(Outcome.NO_RECIPIENT, detail=_("This is no account of WeCom."))
        return attempt(lambda: _answer(self.account.post("/cgi-bin/message/send", _message(envelope))))

    def find(self, envelope: Envelope) -> Answer:
        if envelope.sent_at - (envelope.first_sent_at or envelope.sent_at) < KEPT:
            return asked_again(self.send(envelope))
        return Answer(Outcome.UNKNOWN, detail=_("The provider has forgotten it by now."))


def _message(envelope: Envelope) -> dict[str, Any]:
    return {
        "touser": envelope.address,
        "msgtype": "text",
        "agentid": settings.WECOM_AGENT,
        "text": {"content": fitted(envelope.text, envelope.url, MOST)},
        "enable_duplicate_check": 1,
        "duplicate_check_interval": REMEMBERED,
    }


def _answer(said: Mapping[str, Any]) -> Answer:
    if said["errcode"]:
        return MESSAGE.answer(said)
    # One is named, so whoever was left out is the one.
    left_out = [name for name in ("invaliduser", "unlicenseduser") if said.get(name)]
    if left_out:
        return Answer(Outcome.NO_RECIPIENT, detail=" ".join(left_out))
    return Answer(Outcome.ACCEPTED, ref=str(said.get("msgid") or ""))


def _ask(way: Way, anew: bool) -> tokens.Given:
    """A token: asked again it is the same one for as long as it holds."""
    fields = {"corpid": settings.WECOM_CORPID, "corpsecret": settings.WECOM_SECRET}
    url = f"{settings.WECOM_URL.rstrip('/')}/cgi-bin/gettoken"
    reply = way.call("GET", url, fields=fields)
    return given_in(reply, GIVING)
