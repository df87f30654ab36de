"""What WeChat's official accounts say no with, what each no means for a message, and what a field may hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from connectors.channels import Outcome
from connectors.channels.errcodes import Codes

SHANGHAI = ZoneInfo("Asia/Shanghai")

# Those of the documentation that a token, template/send and subscribe/bizsend can be answered with (全局返回码 and the
# pages of the three calls). A template that is refused fails its own messages; an account that is refused stops.
OUTCOMES: dict[int, Outcome] = {
    **dict.fromkeys(
        [
            45009,  # the calls of a day, or the new tokens of a day
            45011,  # calls a minute
            43108,  # several messages to one person at once
            40251,  # what an account with a record may send
            40252,  # the template's contents are being looked at
        ],
        Outcome.SLOW_DOWN,
    ),
    **dict.fromkeys(
        [
            40002, 41002, 41004,  # our call for a token lacks something
            40013, 40125, 40243,  # AppID or AppSecret is wrong, or frozen
            40164, 89501, 89503, 89506, 89507,  # our address is not on their list, waits or was refused there
            43002, 43003,  # not a POST, not https
            43107,  # the account or the template may send no subscribed messages
            48001, 48004, 50001, 50002,  # the right to send is lacking, or was taken away
        ],
        Outcome.STOP,
    ),
    **dict.fromkeys(
        [
            40036, 40037, 43116,  # no such template, or one that was misused
            40033, 40035, 40038, 44002, 47001, 47003, 45002,  # what stands in it is not as the template wants it
            40039, 40048, 40165, 40166, 41030,  # its link
            40249, 40250, 45168, 87014,  # offers, empty values, words they do not pass on
        ],
        Outcome.FAILED,
    ),
    **dict.fromkeys(
        [
            40003, 40031, 41009, 46004,  # nobody by this openid, here
            43004,  # does not follow the account
            43019,  # is on the account's own black list
            43101,  # has not subscribed, or no longer
            43005, 48002,  # takes no messages of the account
        ],
        Outcome.NO_RECIPIENT,
    ),
}  # fmt: skip


def until_tomorrow() -> timedelta:
    """Until their day is over; by the real clock, which is theirs."""
    now = datetime.now(SHANGHAI)
    midnight = datetime.combine(now.date() + timedelta(days=1), time(0, 5), SHANGHAI)
    return midnight - now


WAITS = {
    45009: until_tomorrow,
    40251: until_tomorrow,
    40252: lambda: timedelta(hours=1),
    43108: lambda: timedelta(seconds=10),
}
# "Busy, try again": the key clears up whether it was taken all the same. Without a key their word has to do.
WITH_KEY = Codes({**OUTCOMES, -1: Outcome.UNKNOWN}, WAITS)
WITHOUT_KEY = Codes({**OUTCOMES, -1: Outcome.NOT_SENT}, WAITS)
# Asked for a token, 40001 is a wrong secret; of a message it is a token that holds no longer.
GIVING = Codes({**OUTCOMES, 40001: Outcome.STOP}, WAITS)

# By the kind of a field, which its name begins with: so many characters. Others have 20.
MOST = {
    "thing": 20, "character_string": 32, "number": 32, "letter": 32, "symbol": 5, "phrase": 5, "name": 20,
    "phone_number": 17, "car_number": 8, "time": 40, "date": 40, "const": 20,
}  # fmt: skip
USUAL = 20
HAN = re.compile(r"[\u3400-\u9fff]")


def complaint(values: Mapping[str, str]) -> str:
    """What is wrong with a template's values; "" if nothing is that we know of. Then no call is made."""
    for name, value in values.items():
        kind = re.sub(r"\d+$", "", name)
        most = 10 if kind == "name" and HAN.search(value) else MOST.get(kind, USUAL)
        if not value.strip():
            return _("The field %(name)s is empty.") % {"name": name}
        if len(value) > most:
            return _("The field %(name)s has more than %(most)s characters.") % {"name": name, "most": most}
        if any(unicodedata.category(c).startswith("C") or unicodedata.category(c) in {"Zl", "Zp"} for c in value):
            return _("The field %(name)s has a line break in it.") % {"name": name}
        if any(0x1F000 <= ord(c) <= 0x1FAFF for c in value):
            return _("The field %(name)s has a small picture in it.") % {"name": name}
        if kind == "character_string" and HAN.search(value):
            return _("The field %(name)s takes letters, digits and signs.") % {"name": name}
    return ""
