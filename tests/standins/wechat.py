"""公众号: it checks tokens and fields, knows a client_msg_id of a person for ten minutes, and reports in safe mode.

What reached a phone is counted under the openid and the client_msg_id, or the openid alone where there is none.
`POST /__report` {"to": address of our callback, "status": "success"} posts the events of all that was not reported.

    python -m tests.standins.wechat PORT
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request as Call
from urllib.request import urlopen
from xml.etree import ElementTree

from wechatpy.crypto import WeChatCrypto

from tests.standins.base import Asked, Said, Standin, main, said

APPID, SECRET = "wx1234567890abcdef", "standin-app-secret"
TOKEN, AES_KEY = "lan-yu", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
TEMPLATE, SUBSCRIBED = "T-days-left", "S-visit"
KNOWN = timedelta(minutes=10)
NEXT = 300  # seconds before its end a token has a successor


class WeChat(Standin):
    """Tells nobody anything."""

    name = "wechat"

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.followers: set[str] | None = None  # none: everybody follows and has subscribed
        self.ages = timedelta(0)  # so much later it is here
        self.lasts = 7200  # seconds for which a token holds
        self.forget()

    def forget(self) -> None:
        super().forget()
        self.token, self.token_ends = "", datetime.min.replace(tzinfo=UTC)
        self.given = self.forced = 0  # new tokens, and those of them that were wanted anew
        self.token_calls = 0
        self.known: dict[tuple[str, str], tuple[datetime, int]] = {}
        self.unreported: list[tuple[str, str, int]] = []  # kind, openid, number
        self.notices: list[dict[str, Any]] = []
        self.numbers = count(2_000_000_000_000_000_001)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ages

    def revoke(self) -> None:
        """The token that is out there holds no longer; asked for, it is another one."""
        self.token_ends = self.now()

    def answer(self, asked: Asked) -> Said:
        if code := self.refusing(asked):
            return _no(code)
        match asked.method, asked.path:
            case "POST", "/cgi-bin/stable_token":
                return self._give(asked.json())
            case "POST", "/cgi-bin/message/template/send":
                return self._take(asked, "template")
            case "POST", "/cgi-bin/message/subscribe/bizsend":
                return self._take(asked, "subscribe")
        return _no("43002")

    def _give(self, wanted: dict[str, Any]) -> Said:
        self.token_calls += 1
        if wanted["grant_type"] != "client_credential" or type(wanted["force_refresh"]) is not bool:
            return _no("40002")
        if wanted["appid"] != APPID:
            return _no("40013")
        if wanted["secret"] != SECRET:
            return _no("40125")
        left = (self.token_ends - self.now()).total_seconds()
        if left < NEXT or wanted["force_refresh"]:
            self.token, self.token_ends = secrets.token_hex(32), self.now() + timedelta(seconds=self.lasts)
            self.given += 1
            self.forced += wanted["force_refresh"]
        return said({"access_token": self.token, "expires_in": int((self.token_ends - self.now()).total_seconds())})

    def _take(self, asked: Asked, kind: str) -> Said:
        token = asked.query.get("access_token", "")
        if token != self.token or self.now() >= self.token_ends:
            return _no("42001" if token and token == self.token else "40001" if token else "41001")
        notice = asked.json()
        openid, key = notice["touser"], notice.get("client_msg_id", "")
        if code := self.refusing(asked, openid, key):
            return _no(code)
        if code := self._wrong(notice, kind):
            self.counts.refused[code] += 1
            return _no(code)
        at, number = self.known.get((openid, key), (None, 0))
        is_known = bool(key) and at is not None and self.now() - at < KNOWN
        self.took(f"{openid} {key}".strip(), known=is_known)
        if not is_known or self.keyless:
            number = next(self.numbers)
            self.known[openid, key] = (self.now(), number)
            self.unreported.append((kind, openid, number))
            self.notices.append(notice)
        return said({"errcode": 0, "errmsg": "ok", "msgid": number})

    def _wrong(self, notice: dict[str, Any], kind: str) -> str:
        if notice["template_id"] != (TEMPLATE if kind == "template" else SUBSCRIBED):
            return "40037"
        if self.followers is not None and notice["touser"] not in self.followers:
            return "43004" if kind == "template" else "43101"
        if not set(notice) <= {"touser", "template_id", "data", "url", "page", "client_msg_id"}:
            return "47001"
        for name, field in notice["data"].items():
            most = 32 if name.startswith("character_string") else 20
            if set(field) != {"value"} or not re.fullmatch(f"[^\n\r]{{1,{most}}}", field["value"]):
                return "47003"
        return ""

    # --- Reporting ----------------------------------------------------------------------------------------

    def reports(self, status: str = "success") -> list[tuple[dict[str, str], bytes]]:
        """Query and body of the event of each message that was not reported yet."""
        waiting, self.unreported = self.unreported, []
        return [sealed(_event(kind, openid, number, status)) for kind, openid, number in waiting]

    def more(self, asked: Asked) -> Said:
        if asked.path != "/__report":
            return super().more(asked)
        wanted = asked.json()
        answers = []
        for query, body in self.reports(wanted.get("status", "success")):
            call = Call(f"{wanted['to']}?{urlencode(query)}", data=body, headers={"Content-Type": "text/xml"})
            with urlopen(call, timeout=10) as answer:
                answers.append(answer.read().decode())
        return said(answers)


def sealed(xml: str) -> tuple[dict[str, str], bytes]:
    """Query and body of an event as WeChat's server seals and signs it."""
    stamp, nonce = str(int(time.time())), "n0nce"
    body = WeChatCrypto(TOKEN, AES_KEY, APPID).encrypt_message(xml, nonce, stamp)
    cipher = ElementTree.fromstring(body).findtext("Encrypt") or ""
    query = {
        "signature": _signature(stamp, nonce), "timestamp": stamp, "nonce": nonce, "encrypt_type": "aes",
        "msg_signature": _signature(stamp, nonce, cipher),
    }  # fmt: skip
    return query, body.encode()


def _signature(*parts: str) -> str:
    return hashlib.sha1("".join(sorted([TOKEN, *parts])).encode()).hexdigest()


def _event(kind: str, openid: str, number: int, status: str) -> str:
    if kind == "template":
        what = (
            f"<Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event><MsgID>{number}</MsgID>"
            f"<Status><![CDATA[{status}]]></Status>"
        )
    else:
        code = 0 if status == "success" else 1
        what = (
            "<Event><![CDATA[subscribe_msg_sent_event]]></Event><SubscribeMsgSentEvent><List>"
            f"<TemplateId><![CDATA[{SUBSCRIBED}]]></TemplateId><MsgID>{number}</MsgID><ErrorCode>{code}</ErrorCode>"
            f"<ErrorStatus><![CDATA[{status}]]></ErrorStatus></List></SubscribeMsgSentEvent>"
        )
    return (
        "<xml><ToUserName><![CDATA[gh_1]]></ToUserName>"
        f"<FromUserName><![CDATA[{openid}]]></FromUserName><CreateTime>{int(time.time())}</CreateTime>"
        f"<MsgType><![CDATA[event]]></MsgType>{what}</xml>"
    )


def _no(code: str) -> Said:
    return said({"errcode": int(code), "errmsg": "as scripted rid: 1-2-3"})


if __name__ == "__main__":
    main(WeChat())
