"""JPush: notices of the operator's app. A `cid` derived from our key makes a second push of one message no push at all.

The provider keeps a cid for a day. So long, asking what became of a message is pushing it again; afterwards it
cannot be asked. docs/channels/jpush.md
"""

from __future__ import annotations

import base64
import json
import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.channels import Answer, Channel, Envelope, Outcome, Reach
from connectors.http import NotSent, Reply, Unclear, Way

OURS = uuid.UUID("6f9f2a0e-6f57-5c1f-9d1c-3f2f6c0c7f11")  # the namespace of our keys; changed, no cid is known any more
KEPT = timedelta(hours=23)  # a day, and an hour between our claim and the call
LONGEST_ALIAS = 40  # bytes
WAIT = timedelta(minutes=1)  # their limits are by the minute

# docs.jiguang.cn, REST API v3 push, "调用返回". The server's own troubles are unknown: the cid clears them up.
CODES: dict[int, Outcome] = {
    1000: Outcome.UNKNOWN,  # internal error
    1030: Outcome.UNKNOWN,  # internal time-out
    2002: Outcome.SLOW_DOWN,  # more calls than the app is allowed
    1001: Outcome.STOP,  # not a POST
    1004: Outcome.STOP,  # AppKey or Master Secret is wrong
    1008: Outcome.STOP,  # the AppKey is none
    1020: Outcome.STOP,  # not https
    2003: Outcome.STOP,  # the app may not call
    2004: Outcome.STOP,  # our address is not on their list
    1002: Outcome.FAILED,  # something is missing
    1003: Outcome.FAILED,  # something is not allowed
    1005: Outcome.FAILED,  # too long
    1009: Outcome.FAILED,  # something is unknown
    2005: Outcome.FAILED,  # more than is sensible for this person
    1011: Outcome.NO_RECIPIENT,  # nobody by this alias: not installed, or not signed in
}


class JPush(Channel):
    """Jiguang's push service. An address is the account in the app, which the app sets as its alias."""

    name = "jpush"
    title = gettext_lazy("push to the app")
    reaches = Reach.APP
    carries = frozenset({"marketing", "service"})  # a code goes to the number on file
    per_second = settings.JPUSH_PER_SECOND
    asks_by_sending = True
    patience = timedelta(hours=24)

    def __init__(self) -> None:
        self.way = Way(connections=self.senders)

    def close(self) -> None:
        self.way.close()

    def send(self, envelope: Envelope) -> Answer:
        if len(envelope.address.encode()) > LONGEST_ALIAS:
            return Answer(Outcome.NO_RECIPIENT, detail=_("No alias of JPush is so long."))
        login = base64.b64encode(f"{settings.JPUSH_APPKEY}:{settings.JPUSH_SECRET}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        body = json.dumps(_push(envelope), ensure_ascii=False).encode()
        try:
            reply = self.way.call("POST", f"{settings.JPUSH_URL.rstrip('/')}/v3/push", headers=headers, body=body)
            return _answer(reply)
        except NotSent as error:
            return Answer(Outcome.NOT_SENT, detail=str(error))
        except Unclear as error:
            return Answer(Outcome.UNKNOWN, detail=str(error))

    def find(self, envelope: Envelope) -> Answer:
        if envelope.sent_at - (envelope.first_sent_at or envelope.sent_at) < KEPT:
            return self.send(envelope)
        return Answer(Outcome.UNKNOWN, detail=_("The provider has forgotten its number by now."))


def cid(key: str) -> str:
    """What the provider knows a message by: its form is {appkey}-{uuid}."""
    return f"{settings.JPUSH_APPKEY}-{uuid.uuid5(OURS, key)}"


def _push(envelope: Envelope) -> dict[str, Any]:
    extras = {"key": envelope.key, "url": envelope.url}
    return {
        "cid": cid(envelope.key),
        "platform": "all",
        "audience": {"alias": [envelope.address]},
        "notification": {
            "android": {"alert": envelope.text, "extras": extras},
            "ios": {"alert": envelope.text, "sound": "default", "extras": extras},
        },
        "options": {
            "time_to_live": 86400,
            "apns_production": True,
            # An iPhone that is handed the same notice twice shows one.
            "apns_collapse_id": str(uuid.uuid5(OURS, envelope.key)),
        },
    }


def _answer(reply: Reply) -> Answer:
    said = reply.json()
    if not isinstance(said, dict):
        raise Unclear(f"HTTP {reply.status}, not an object")
    number = str(said.get("msg_id") or "")
    if reply.status == 200 and number:
        return Answer(Outcome.ACCEPTED, ref=number)
    error = said.get("error")
    code, words = (error.get("code"), str(error.get("message") or "")) if isinstance(error, dict) else (None, "")
    detail = f"{code or reply.status} {words}".strip()[:200]
    outcome = CODES.get(code) if isinstance(code, int) else None
    if outcome == Outcome.FAILED and "cid" in words.lower():
        return Answer(Outcome.STOP, detail=detail)  # it would refuse every message's
    if outcome is None or reply.status >= 500:
        outcome = _by_status(reply.status)
    return Answer(outcome, detail=detail, wait=_wait(reply) if outcome == Outcome.SLOW_DOWN else None)


def _by_status(status: int) -> Outcome:
    """What a code nobody has heard of means: theirs is that 200 is success alone, and 4xx a refusal."""
    match status:
        case 401 | 403 | 404 | 405 | 410:
            return Outcome.STOP
        case 429:
            return Outcome.SLOW_DOWN
    return Outcome.FAILED if 400 <= status < 500 else Outcome.UNKNOWN


def _wait(reply: Reply) -> timedelta:
    """Until their minute is over, as they say."""
    left = reply.headers.get("X-Rate-Limit-Reset", "")
    return timedelta(seconds=int(left)) if left.isascii() and left.isdigit() and len(left) < 5 else WAIT
