"""WeCom: it checks tokens, drops what says the same as an earlier call, names who is not there; and a group's robot.

What reached somebody is counted under the account and the text, what reached the group under the text.

    python -m tests.standins.wecom PORT
"""

from __future__ import annotations

import secrets
from collections import defaultdict, deque
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from tests.standins.base import Asked, Said, Standin, main, said

CORPID, AGENT, SECRET, ROBOT_KEY = "ww1234567890abcdef", 1000002, "standin-app-secret", "693axxx6-7aoc-4bc4-97a0"
MINUTE = timedelta(minutes=1)


class WeCom(Standin):
    """Tells nobody anything."""

    name = "wecom"

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.members: set[str] | None = None  # none: whoever is named is there
        self.unlicensed: set[str] = set()
        self.ages = timedelta(0)  # so much later it is here
        self.forget()

    def forget(self) -> None:
        super().forget()
        self.token = ""
        self.given = self.token_calls = 0
        self.known: dict[bytes, tuple[datetime, str]] = {}
        self.lately: defaultdict[str, deque[datetime]] = defaultdict(deque)
        self.texts: list[str] = []
        self.numbers = count(1)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ages

    def revoke(self) -> None:
        """The token that is out there holds no longer; asked for, it is another one."""
        self.token = ""

    def answer(self, asked: Asked) -> Said:
        if code := self.refusing(asked):
            return _no(code)
        match asked.method, asked.path:
            case "GET", "/cgi-bin/gettoken":
                return self._give(asked.query)
            case "POST", "/cgi-bin/message/send":
                return self._take(asked)
            case "POST", "/cgi-bin/webhook/send":
                return self._say(asked)
        return _no("43002")

    def _give(self, query: dict[str, str]) -> Said:
        self.token_calls += 1
        if query.get("corpid") != CORPID:
            return _no("40013")
        if query.get("corpsecret") != SECRET:
            return _no("40001")
        if not self.token:
            self.token, self.given = secrets.token_hex(32), self.given + 1
        return said({"errcode": 0, "errmsg": "ok", "access_token": self.token, "expires_in": 7200})

    def _take(self, asked: Asked) -> Said:
        if asked.query.get("access_token") != self.token or not self.token:
            return _no("40014")
        message = asked.json()
        name, text = message["touser"], message["text"]["content"]
        if code := self.refusing(asked, name):
            return _no(code)
        if message["agentid"] != AGENT:
            return _no("40056")
        if not text or len(text.encode()) > 2048:
            return _no("44004" if not text else "45002")
        if self.members is not None and name not in self.members:
            return _no("81013")
        if name in self.unlicensed:
            return said({"errcode": 0, "errmsg": "ok", "unlicenseduser": name.lower(), "msgid": "m0"})
        at, number = self.known.get(asked.body, (None, ""))
        seconds = message["duplicate_check_interval"] if message.get("enable_duplicate_check") == 1 else 0
        is_known = at is not None and self.now() - at < timedelta(seconds=seconds)
        self.counts.handed[f"{name} {text}"] += 1
        if not is_known or self.keyless:
            number = f"m{next(self.numbers)}"
            self.known[asked.body] = (self.now(), number)
            if self._has_room(name, 30):  # what is more is dropped without a word
                self.counts.arrived[f"{name} {text}"] += 1
        return said({"errcode": 0, "errmsg": "ok", "invaliduser": "", "msgid": number})

    def _say(self, asked: Asked) -> Said:
        message = asked.json()
        if asked.query.get("key") != ROBOT_KEY:
            return _no("93000")
        text = message["text"]["content"]
        if message["msgtype"] != "text" or not text:
            return _no("40008" if text else "44004")
        if len(text.encode()) > 2048:
            return _no("40058")
        if not self._has_room("group", 20):
            return _no("45009")
        self.took(text)
        self.texts.append(text)
        return said({"errcode": 0, "errmsg": "ok"})

    def _has_room(self, whose: str, most: int) -> bool:
        lately = self.lately[whose]
        while lately and self.now() - lately[0] >= MINUTE:
            lately.popleft()
        if len(lately) >= most:
            return False
        lately.append(self.now())
        return True


def _no(code: str) -> Said:
    return said({"errcode": int(code), "errmsg": "as scripted, more info at https://open.work.weixin.qq.com/devtool"})


if __name__ == "__main__":
    main(WeCom())
