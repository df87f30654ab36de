"""JPush: it knows a cid for a day and an alias if it is told which there are; it checks who calls.

What reached a phone is counted under our key, which stands in the notice's extras.

    python -m tests.standins.jpush PORT
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from tests.standins.base import Asked, Said, Standin, main, said

APPKEY, SECRET = "8103a4c628a0b98994ec1949", "standin-master-secret"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
STATUS = {1000: 500, 1001: 405, 1004: 401, 1020: 404, 1030: 503, 2002: 429, 2003: 403, 2004: 403, 2005: 403}


class JPush(Standin):
    """Pushes nothing to anybody."""

    name = "jpush"

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.aliases: set[str] | None = None  # none: whoever is named is there
        self.ages = timedelta(0)  # so much later it is here
        self.forget()

    def forget(self) -> None:
        super().forget()
        self.known: dict[str, tuple[datetime, str]] = {}
        self.numbers = count(18_100_000_001)

    def answer(self, asked: Asked) -> Said:
        login = base64.b64encode(f"{APPKEY}:{SECRET}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {login}":
            return self._no(1004, "Basic authentication failed")
        if asked.method != "POST" or asked.path != "/v3/push":
            return self._no(1001, "only POST /v3/push")
        push = asked.json()
        key = push["notification"]["android"]["extras"]["key"]
        (alias,) = push["audience"]["alias"]
        if code := self.refusing(asked) or self.refusing(asked, alias, key):
            return self._no(int(code), "as scripted")
        if not re.fullmatch(f"{APPKEY}-{UUID}", push["cid"]):
            return self._no(1003, "The cid is invalid")
        if self.aliases is not None and alias not in self.aliases:
            return self._no(1011, "cannot find user by this audience")
        now = datetime.now(UTC) + self.ages
        at, number = self.known.get(push["cid"], (None, ""))
        is_known = at is not None and now - at < timedelta(days=1)
        self.took(key, known=is_known)
        if not is_known or self.keyless:
            number = str(next(self.numbers))
            self.known[push["cid"]] = (now, number)
        return said({"sendno": "0", "msg_id": number})

    def _no(self, code: int, words: str) -> Said:
        headers = [("X-Rate-Limit-Reset", "17")] if code == 2002 else []
        return said({"error": {"code": code, "message": words}}, STATUS.get(code, 400), headers)


if __name__ == "__main__":
    main(JPush())
