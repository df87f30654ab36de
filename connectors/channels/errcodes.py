"""Calls as WeChat and WeCom have them: JSON with a token in the address, and an errcode in every answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from connectors.channels import Answer, Outcome, tokens
from connectors.http import NotSent, Reply, Unclear, Way

REFUSED = {40001, 40014, 41001, 42001}  # the token is none, or no longer: the call was not looked at
TOTAL = 5.0  # seconds a call may take …
LONGEST = 9.0  # … and when no further one is begun, so that all are over before the message's claim ends
AGAIN = timedelta(minutes=1)
HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Codes:
    """What each errcode means for a message, and how long to wait where it asks for time."""

    outcomes: Mapping[int, Outcome]
    waits: Mapping[int, Callable[[], timedelta]] = field(default_factory=dict)

    def answer(self, said: Mapping[str, Any]) -> Answer:
        """What this refusal comes to. A code nobody has heard of is unknown."""
        code = said["errcode"]
        outcome = self.outcomes.get(code, Outcome.UNKNOWN)
        wait = self.waits.get(code, lambda: AGAIN)() if outcome == Outcome.SLOW_DOWN else None
        return Answer(outcome, detail=f"{code} {said.get('errmsg') or ''}"[:200].strip(), wait=wait)


def said_in(reply: Reply) -> Mapping[str, Any]:
    """The answer with its errcode, which token calls leave out where it is 0. Raises `Unclear`."""
    said = reply.json()
    if not isinstance(said, dict):
        raise Unclear(f"HTTP {reply.status}, not an object")
    code = said.get("errcode", 0 if said.get("access_token") else None)
    if reply.status != 200 or type(code) is not int:
        raise Unclear(f"HTTP {reply.status}, errcode {code}")
    return {**said, "errcode": code}


def given_in(reply: Reply, codes: Codes) -> tokens.Given:
    """The token in the answer. Raises `Unclear`, or `tokens.NoToken` where it is refused."""
    said = said_in(reply)
    token, seconds = said.get("access_token"), said.get("expires_in")
    if said["errcode"]:
        answer = codes.answer(said)
        # Nothing was sent, whatever a code that nobody has heard of means.
        unsure = answer.outcome in {Outcome.UNKNOWN, Outcome.FAILED, Outcome.NO_RECIPIENT}
        raise tokens.NoToken(Answer(Outcome.NOT_SENT, detail=answer.detail) if unsure else answer)
    if not isinstance(token, str) or not token or type(seconds) is not int:
        raise Unclear("no access token in the answer")
    return tokens.Given(token, seconds)


class Account:
    """An account that calls with a token: one is got where there is none, and another where it is refused."""

    def __init__(self, url: str, account: str, ask: Callable[[Way, bool], tokens.Given], connections: int) -> None:
        self.way = Way(connections=connections, total=TOTAL)
        self.url, self.account = url.rstrip("/"), account
        self.ask = lambda anew: ask(self.way, anew)

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is said to this call. Raises `NotSent`, `Unclear` or `tokens.NoToken`.

        A token that is refused is changed once, and the call is made once more: what was refused was not taken.
        """
        ends = time.monotonic() + LONGEST
        token = tokens.get(self.account, self.ask)
        said = self._post(path, body, token)
        if said["errcode"] not in REFUSED:
            return said
        token = tokens.get(self.account, self.ask, refused=token)
        if time.monotonic() > ends:
            raise NotSent(_("Getting another access token took too long."))
        said = self._post(path, body, token)
        if said["errcode"] in REFUSED:
            detail = f"{said['errcode']} {said.get('errmsg') or ''}"[:200].strip()
            raise tokens.NoToken(Answer(Outcome.SLOW_DOWN, detail=detail, wait=AGAIN))
        return said

    def _post(self, path: str, body: Mapping[str, Any], token: str) -> Mapping[str, Any]:
        # Always the same bytes for the same message: they may be what the provider knows it by.
        raw = json.dumps(body, ensure_ascii=False, sort_keys=True).encode()
        fields = {"access_token": token}
        return said_in(self.way.call("POST", f"{self.url}{path}", headers=HEADERS, body=raw, fields=fields))

    def close(self) -> None:
        self.way.close()


def attempt(call: Callable[[], Answer]) -> Answer:
    """What came of a call, whatever happens to it."""
    try:
        return call()
    except tokens.NoToken as none:
        return none.answer
    except NotSent as error:
        return Answer(Outcome.NOT_SENT, detail=str(error))
    except Unclear as error:
        return Answer(Outcome.UNKNOWN, detail=str(error))


def asked_again(answer: Answer) -> Answer:
    """What sending once more under the same key tells of the first time: that this call did not leave, nothing."""
    return Answer(Outcome.UNKNOWN, detail=answer.detail) if answer.outcome == Outcome.NOT_SENT else answer


def fitted(text: str, url: str, most: int) -> str:
    """Text and link in at most so many bytes; what is too long ends on a character, and the link stays whole."""
    # What people wrote shall become no link and call nobody: markup is theirs to show, not to make.
    text, tail = text.replace("<", "＜"), f"\n{url}" if url else ""
    raw, room = text.encode(), most - len(tail.encode())
    if len(raw) > room:
        text = raw[: room - len("…".encode())].decode(errors="ignore") + "…"
    return text + tail
