"""公众号: template messages, which are told once for ten minutes by our key, and messages people have subscribed to.

Neither may carry offers: template messages are for facts of a contract that stands. A template takes short fields
alone, so what is said warmly is said on the page behind the link. docs/channels/wechat.md
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.channels import Answer, Channel, Envelope, Outcome, Reach, ReceiptRecord, tokens
from connectors.channels.errcodes import HEADERS, Account, Codes, asked_again, attempt, given_in
from connectors.channels.wechat_codes import GIVING, WITH_KEY, WITHOUT_KEY, complaint
from connectors.http import Way

KEPT = timedelta(minutes=8)  # ten, and two between our claim and the call
SENT_ALREADY = 45065  # the key is known: the first call under it was taken


class _Notices(Channel):
    """What both kinds have in common."""

    reaches = Reach.WECHAT
    carries = frozenset({"service"})
    needs_template = True
    path: ClassVar[str]
    codes: ClassVar[Codes]

    def __init__(self) -> None:
        url, appid = settings.WECHAT_URL, settings.WECHAT_APPID
        account = tokens.account_of("wechat", url, appid, settings.WECHAT_SECRET)
        self.account = Account(url, account, _ask, self.senders)

    def close(self) -> None:
        self.account.close()

    def send(self, envelope: Envelope) -> Answer:
        if wrong := complaint(envelope.values):
            return Answer(Outcome.FAILED, detail=wrong)
        return attempt(lambda: self._answer(self.account.post(self.path, self._notice(envelope))))

    def _notice(self, envelope: Envelope) -> dict[str, Any]:
        return {
            "touser": envelope.address,
            "template_id": envelope.template,
            "data": {name: {"value": value} for name, value in envelope.values.items()},
        }

    def _answer(self, said: Mapping[str, Any]) -> Answer:
        if said["errcode"] in {0, SENT_ALREADY}:
            return Answer(Outcome.ACCEPTED, ref=str(said.get("msgid") or ""))
        return self.codes.answer(said)


class WechatTemplate(_Notices):
    """Template messages."""

    name = "wechat"
    title = gettext_lazy("WeChat template message")
    asks_by_sending = True
    # Then the key has been forgotten. No receipt can clear it up: it bears their number alone, which we were not told.
    patience = timedelta(minutes=10)
    path = "/cgi-bin/message/template/send"
    codes = WITH_KEY

    def find(self, envelope: Envelope) -> Answer:
        if envelope.sent_at - (envelope.first_sent_at or envelope.sent_at) < KEPT:
            return asked_again(self.send(envelope))
        return Answer(Outcome.UNKNOWN, detail=_("The provider has forgotten its number by now."))

    def _notice(self, envelope: Envelope) -> dict[str, Any]:
        notice = super()._notice(envelope) | {"client_msg_id": client_msg_id(envelope.key)}
        return notice | ({"url": envelope.url} if envelope.url else {})


class WechatSubscribe(_Notices):
    """Messages a person has subscribed to, one for each time they have."""

    name = "wechat_subscribe"
    title = gettext_lazy("WeChat subscribe message")
    path = "/cgi-bin/message/subscribe/bizsend"
    codes = WITHOUT_KEY

    def _notice(self, envelope: Envelope) -> dict[str, Any]:
        return super()._notice(envelope) | ({"page": envelope.url} if envelope.url else {})


def client_msg_id(key: str) -> str:
    """What the provider knows a message by."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _ask(way: Way, anew: bool) -> tokens.Given:
    """A stable token: asked again it is the same one for as long as it holds, unless it is wanted anew."""
    body = {
        "grant_type": "client_credential", "appid": settings.WECHAT_APPID, "secret": settings.WECHAT_SECRET,
        "force_refresh": anew,
    }  # fmt: skip
    url = f"{settings.WECHAT_URL.rstrip('/')}/cgi-bin/stable_token"
    return given_in(way.call("POST", url, headers=HEADERS, body=json.dumps(body).encode()), GIVING)


# --- Receipts ---------------------------------------------------------------------------------------------


def receipts(message: Mapping[str, Any]) -> Iterator[tuple[str, ReceiptRecord]]:
    """What an event of the account says of messages that were sent, each with its channel."""
    at = _moment(message.get("at"))
    match message.get("Event"):
        case "TEMPLATESENDJOBFINISH":
            status = str(message.get("Status") or "")
            yield from _receipt("wechat", message.get("MsgID"), status == "success", status, at)
        case "subscribe_msg_sent_event":
            for one in _items(message.get("SubscribeMsgSentEvent")):
                code = str(one.get("ErrorCode") or "")
                detail = f"{code} {one.get('ErrorStatus') or ''}".strip()
                yield from _receipt("wechat_subscribe", one.get("MsgID"), code == "0", detail, at)


def _receipt(
    channel: str, number: Any, is_there: bool, detail: str, at: datetime | None
) -> Iterator[tuple[str, ReceiptRecord]]:
    ref = str(number or "").strip()
    if ref and detail:
        outcome = "delivered" if is_there else "undelivered"
        yield channel, ReceiptRecord(outcome=outcome, ref=ref, at=at, detail="" if is_there else detail[:200])


def _items(text: Any) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
