"""What WeCom says no with, and what each no means for a message."""

from __future__ import annotations

from datetime import timedelta

from connectors.channels import Outcome
from connectors.channels.errcodes import Codes

WAITS = {45033: lambda: timedelta(seconds=10)}  # too many calls at once; other limits are by the minute

# Those of the documentation (developer.work.weixin.qq.com, 全局错误码) that gettoken and message/send can answer with.
MESSAGE = Codes(
    {
        -1: Outcome.UNKNOWN,  # busy: the same message again within half an hour is dropped if it was taken
        **dict.fromkeys([45009, 45011, 45033], Outcome.SLOW_DOWN),
        **dict.fromkeys(
            [
                40013, 40091, 40125, 41002, 41004,  # corpid or secret is wrong or lacking
                40056, 41011, 42009, 301002, 50003,  # the app: none, not the secret's, or switched off
                60011, 60020, 48002, 48003, 48004, 48005,  # rights, and the list of addresses that may call
                43002, 43003,  # not a POST, not https
            ],
            Outcome.STOP,
        ),
        **dict.fromkeys(
            [40008, 40033, 40035, 40058, 40063, 44004, 45002, 45034, 47001],  # what stands in it
            Outcome.FAILED,
        ),
        **dict.fromkeys(
            [
                81013, 82001,  # of all who are named nobody is there, or may use the app
                40003, 40031, 46004, 60111,  # nobody by this account
                43004, 50002,  # not in WeCom, or out of the app's sight
            ],
            Outcome.NO_RECIPIENT,
        ),
    },
    WAITS,
)  # fmt: skip

# Asked for a token, 40001 is a wrong secret; of a message it is a token that holds no longer.
GIVING = Codes({**MESSAGE.outcomes, 40001: Outcome.STOP}, WAITS)

# Those a group's robot can be answered with.
ROBOT = Codes(
    {
        -1: Outcome.NOT_SENT,  # busy, try again
        **dict.fromkeys([45009, 45011, 45033], Outcome.SLOW_DOWN),
        **dict.fromkeys(
            [93000, 93004, 93008, 49008, 48002, 43002, 43003],  # no such robot, switched off, or its group is gone
            Outcome.STOP,
        ),
        **dict.fromkeys([40008, 40033, 40035, 40058, 40063, 44004, 45002, 45034, 47001], Outcome.FAILED),
    },
    WAITS,
)
