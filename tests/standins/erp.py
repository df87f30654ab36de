"""An ERP as docs/channels/erp.md wants it: it checks the signature, knows a key once, and can be asked about it.

python -m tests.standins.erp PORT
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import unquote

from tests.standins.base import Asked, Said, Standin, main, said

SECRET = "standin-secret-of-the-erp"
PATH = "/renewals"  # ERP_URL is the stand-in's address and this
FAR = 300  # seconds


class Erp(Standin):
    """Writes into a dictionary."""

    name = "erp"

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.has_batch = True
        self.forget()

    def forget(self) -> None:
        super().forget()
        self.contracts: dict[str, tuple[str, str]] = {}  # key → what it said, our number

    def answer(self, asked: Asked) -> Said:
        text = f"{asked.headers.get('x-timestamp')}\n{asked.method}\n{asked.path}\n".encode() + asked.body
        wanted = hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()
        fresh = abs(time.time() - int(asked.headers.get("x-timestamp") or 0)) <= FAR
        if not fresh or not hmac.compare_digest(wanted, asked.headers.get("x-signature", "")):
            self.counts.refused["signature"] += 1
            return said({"detail": "the signature is wrong"}, 401)
        if code := self.refusing(asked):
            headers = [("Retry-After", "90")] if code == "429" else []
            return said({"detail": "as scripted"}, int(code), headers)
        if asked.method == "GET":
            return self._look(unquote(asked.path.removeprefix(f"{PATH}/")))
        if asked.path == f"{PATH}/batch" and self.has_batch:
            answers = [self._write(asked, message) for message in asked.json()["messages"]]
            return said({"answers": answers})
        if asked.path != PATH:
            return said({"detail": "no such address"}, 404)
        message = asked.json()
        if asked.headers.get("idempotency-key") != message["key"]:
            return said({"detail": "the key of the header is another"}, 422)
        answer = self._write(asked, message)
        return said(answer, answer["status"])

    def _write(self, asked: Asked, message: dict[str, Any]) -> dict[str, Any]:
        key = message["key"]
        if code := self.refusing(asked, key):
            return {"key": key, "status": int(code), "detail": "as scripted"}
        text = json.dumps(message, sort_keys=True)
        known = self.contracts.get(key)
        if known and known[0] != text and not self.keyless:
            return {"key": key, "status": 422, "detail": "this key said something else before"}
        self.took(key, known=known is not None)
        if known is None or self.keyless:
            self.contracts[key] = known = (text, f"HT{self.counts.arrived.total():06d}")
        return {"key": key, "status": 201, "ref": known[1]}

    def _look(self, key: str) -> Said:
        self.counts.found[key] += 1
        if key in self.contracts:
            return said({"key": key, "ref": self.contracts[key][1]})
        return said({"key": key, "detail": "not known"}, 404)


if __name__ == "__main__":
    main(Erp())
