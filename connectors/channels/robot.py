"""A robot in a group of staff in WeCom: whoever knows its key may speak there, and nobody can ask what it said.

docs/channels/robot.md
"""

from __future__ import annotations

import json
from datetime import timedelta

from django.conf import settings
from django.utils.translation import gettext_lazy

from connectors.channels import Answer, Channel, Envelope, Outcome, Reach
from connectors.channels.errcodes import HEADERS, attempt, fitted, said_in
from connectors.channels.wecom_codes import ROBOT
from connectors.http import Way

MOST = 2048  # bytes of a text


class WecomRobot(Channel):
    """The robot of one group. It knows no key and can be asked nothing: at most once, and what is unknown is shown."""

    name = "wecom_robot"
    title = gettext_lazy("WeCom group robot")
    reaches = Reach.GROUP
    carries = frozenset({"staff", "system"})
    senders = 1  # in their order
    per_second = 20
    per = timedelta(minutes=1)

    def __init__(self) -> None:
        self.way = Way(connections=self.senders)

    def close(self) -> None:
        self.way.close()

    def send(self, envelope: Envelope) -> Answer:
        said = {"msgtype": "text", "text": {"content": fitted(envelope.text, envelope.url, MOST)}}
        return attempt(lambda: self._answer(json.dumps(said, ensure_ascii=False).encode()))

    def _answer(self, body: bytes) -> Answer:
        url = f"{settings.WECOM_URL.rstrip('/')}/cgi-bin/webhook/send"
        said = said_in(self.way.call("POST", url, headers=HEADERS, body=body, fields={"key": settings.WECOM_ROBOT_KEY}))
        return ROBOT.answer(said) if said["errcode"] else Answer(Outcome.ACCEPTED)
