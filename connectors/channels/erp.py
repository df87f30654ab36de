"""The ERP's write-back: signed calls under the message's key, which the ERP knows once and can be asked about.

What the ERP has to do is in docs/channels/erp.md; where it speaks otherwise, a small service of one's own stands
between.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.channels import Answer, Channel, Envelope, Outcome, Reach
from connectors.http import NotSent, Reply, Unclear, Way

LONGEST = 4.0  # seconds: no call of a batch is begun later, so that all are over in the time that a claim has left
WAIT = timedelta(minutes=1)  # where it asks for time and does not say how much
NO_BATCH = {404, 405, 501}  # the ERP takes one message at a time


class ErpWriteBack(Channel):
    """The operator's ERP."""

    name = "erp"
    title = gettext_lazy("ERP write-back")
    reaches = Reach.SYSTEM
    carries = frozenset({"system"})
    batch = 500
    senders = 2
    patience = timedelta(days=7)  # it can be asked at any time; it may be away over a holiday

    def __init__(self) -> None:
        self.way = Way(connections=self.senders)

    def close(self) -> None:
        self.way.close()

    def send(self, envelope: Envelope) -> Answer:
        try:
            reply = self._call("POST", "", _message(envelope), {"Idempotency-Key": envelope.key})
            return _answer(reply.status, _object(reply), reply.headers)
        except NotSent as error:
            return Answer(Outcome.NOT_SENT, detail=str(error))
        except Unclear as error:
            return Answer(Outcome.UNKNOWN, detail=str(error))

    def send_many(self, envelopes: Sequence[Envelope]) -> list[Answer]:
        if len(envelopes) == 1:
            return [self.send(envelopes[0])]
        try:
            reply = self._call("POST", "/batch", {"messages": [_message(one) for one in envelopes]})
            if reply.status in NO_BATCH:
                return self._one_by_one(envelopes)
            said = _object(reply)
        except NotSent as error:
            return [Answer(Outcome.NOT_SENT, detail=str(error))] * len(envelopes)
        except Unclear as error:
            return [Answer(Outcome.UNKNOWN, detail=str(error))] * len(envelopes)
        if reply.status != 200:
            return [_answer(reply.status, said, reply.headers)] * len(envelopes)
        answers: Any = said.get("answers") if isinstance(said.get("answers"), list) else []
        by_key = {each.get("key"): each for each in answers if isinstance(each, dict)}
        return [_answer_of(by_key.get(one.key)) for one in envelopes]

    def _one_by_one(self, envelopes: Sequence[Envelope]) -> list[Answer]:
        ends, answers = time.monotonic() + LONGEST, []
        left = Answer(Outcome.SLOW_DOWN, detail=_("The calls before it took too long."), wait=timedelta(0))
        for envelope in envelopes:
            answers.append(self.send(envelope) if time.monotonic() <= ends else left)
        return answers

    def find(self, envelope: Envelope) -> Answer:
        try:
            reply = self._call("GET", f"/{quote(envelope.key, safe='')}")
            said = _object(reply)
        except (NotSent, Unclear) as error:
            return Answer(Outcome.UNKNOWN, detail=str(error))
        # Any proxy can say 404: only one that names the key has looked.
        if said.get("key") == envelope.key and reply.status == 200:
            return Answer(Outcome.ACCEPTED, ref=str(said.get("ref") or ""))
        if said.get("key") == envelope.key and reply.status == 404:
            return Answer(Outcome.NOT_SENT, detail=_("The ERP does not know it."))
        return Answer(Outcome.UNKNOWN, detail=_detail(reply.status, said))

    def _call(
        self, method: str, path: str, data: Mapping[str, Any] | None = None, more: Mapping[str, str] | None = None
    ) -> Reply:
        url = settings.ERP_URL + path
        body = b"" if data is None else json.dumps(data, ensure_ascii=False).encode()
        stamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-Timestamp": stamp,
            "X-Signature": signature(settings.ERP_SECRET, stamp, method, urlsplit(url).path or "/", body),
            **(more or {}),
        }
        return self.way.call(method, url, headers=headers, body=body or None)


def signature(secret: str, stamp: str, method: str, path: str, body: bytes) -> str:
    """The header X-Signature: HMAC-SHA256 over time, method, path and body, a line each."""
    text = f"{stamp}\n{method}\n{path}\n".encode() + body
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def _message(envelope: Envelope) -> dict[str, Any]:
    # The same for every attempt: nothing of the hour stands in it.
    return {"key": envelope.key, "text": envelope.text, "values": dict(envelope.values)}


def _answer_of(said: Any) -> Answer:
    """What a batch says to one of its messages, in the terms of a single call."""
    if not isinstance(said, dict) or not isinstance(said.get("status"), int):
        return Answer(Outcome.UNKNOWN, detail=_("The ERP did not say what became of it."))
    return _answer(said["status"], said, {})


def _answer(status: int, said: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
    detail = _detail(status, said)
    match status:
        case 200 | 201:
            return Answer(Outcome.ACCEPTED, ref=str(said.get("ref") or ""))
        case 409 | 408:  # it is at work on this key; it has heard only part
            return Answer(Outcome.UNKNOWN, detail=detail)
        case 429:
            return Answer(Outcome.SLOW_DOWN, detail=detail, wait=_wait(headers.get("Retry-After", "")))
        case 401 | 403 | 404 | 405:
            return Answer(Outcome.STOP, detail=detail)
    if 300 <= status < 400:
        return Answer(Outcome.STOP, detail=detail)
    return Answer(Outcome.FAILED if 400 <= status < 500 else Outcome.UNKNOWN, detail=detail)


def _wait(seconds: str) -> timedelta:
    is_number = seconds.isascii() and seconds.isdigit() and len(seconds) < 6
    return timedelta(seconds=int(seconds)) if is_number else WAIT


def _detail(status: int, said: Mapping[str, Any]) -> str:
    return f"{status} {said.get('detail') or ''}".strip()[:200]


def _object(reply: Reply) -> Mapping[str, Any]:
    """What it says. A refusal needs no words; an acceptance without any has not been said."""
    try:
        said = reply.json()
    except Unclear:
        said = None
    if isinstance(said, dict):
        return said
    if 300 <= reply.status < 500:
        return {}
    raise Unclear(f"HTTP {reply.status}, not an object")
