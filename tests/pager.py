"""A sixth channel, written from docs/channels.md alone: a pager, once with calls of one message, once with batches."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from django.conf import settings

from connectors.channels import Answer, Channel, Envelope, Forged, Heard, Outcome, Reach, ReceiptRecord
from connectors.http import NotSent, Reply, Unclear, Way

SECRET = b"pager-secret"
REFUSED = {"gone": Outcome.NO_RECIPIENT, "stop": Outcome.OPTED_OUT, "unpaid": Outcome.STOP, "slow": Outcome.SLOW_DOWN}


class Pager(Channel):
    """One message a call."""

    name: ClassVar[str] = "pager"
    reaches = Reach.PHONE
    carries = frozenset({"marketing", "service", "code", "staff"})
    patience = timedelta(hours=1)

    def __init__(self) -> None:
        self.way = Way(connections=self.senders, total=getattr(settings, "PAGER_TIMEOUT", 10.0))
        self.url = str(getattr(settings, "PAGER_URL", ""))

    def send(self, envelope: Envelope) -> Answer:
        try:
            reply = self._post("/send", _told(envelope))
            return _answer(reply.json()) if reply.status in (200, 422) else _unclear(reply)
        except NotSent as error:
            return Answer(Outcome.NOT_SENT, detail=str(error))
        except Unclear as error:
            return Answer(Outcome.UNKNOWN, detail=str(error))

    def find(self, envelope: Envelope) -> Answer:
        try:
            reply = self.way.call("GET", f"{self.url}/sent", fields={"key": envelope.key})
        except (NotSent, Unclear) as error:
            return Answer(Outcome.UNKNOWN, detail=str(error))
        if reply.status == 404:
            return Answer(Outcome.NOT_SENT)
        return _answer(reply.json()) if reply.status == 200 else _unclear(reply)

    def read(self, *, headers: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Heard:
        if not hmac.compare_digest(headers.get("X-Signature", "").encode(), signature(body).encode()):
            raise Forged
        return Heard([ReceiptRecord(**one) for one in json.loads(body)], answer=b"ok")

    def close(self) -> None:
        self.way.close()

    def _post(self, path: str, told: object) -> Reply:
        body = json.dumps(told, ensure_ascii=False).encode()
        return self.way.call("POST", self.url + path, body=body, headers={"Content-Type": "application/json"})


class PagerBatch(Pager):
    """A hundred messages a call."""

    name = "pagers"
    batch = 100
    senders = 4

    def send_many(self, envelopes: Sequence[Envelope]) -> list[Answer]:
        try:
            reply = self._post("/send/batch", [_told(envelope) for envelope in envelopes])
            if reply.status == 200:
                return [_answer(one) for one in reply.json()]
            return [_unclear(reply)] * len(envelopes)
        except NotSent as error:
            return [Answer(Outcome.NOT_SENT, detail=str(error))] * len(envelopes)
        except Unclear as error:
            return [Answer(Outcome.UNKNOWN, detail=str(error))] * len(envelopes)


def signature(body: bytes) -> str:
    """As the provider signs what it reports."""
    return hmac.new(SECRET, body, hashlib.sha256).hexdigest()


def _told(envelope: Envelope) -> dict[str, str]:
    return {"key": envelope.key, "to": envelope.address, "text": f"{envelope.text} {envelope.url}".strip()}


def _answer(said: dict[str, str]) -> Answer:
    if code := said.get("error"):
        return Answer(REFUSED.get(code, Outcome.FAILED), detail=code)
    return Answer(Outcome.ACCEPTED, ref=said["id"])


def _unclear(reply: Reply) -> Answer:
    return Answer(Outcome.UNKNOWN, detail=f"HTTP {reply.status}")
