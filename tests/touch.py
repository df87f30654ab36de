"""What the tests of touchpoints share: a touchpoint as somebody would type it."""

from __future__ import annotations

from typing import Any

from campaigns import touchpoints
from campaigns.models import Touchpoint
from tests.makers import NOW


def typed(**given: Any) -> dict[str, Any]:
    """A form as it comes, all of it text."""
    return {
        "name": "江晖店 丰柜", "kind": "locker", "building": "", "partner": "丰柜", "origins": "", "key": "",
        "title": "租约快到期了？您的信在这里", "line": "用租约上的手机号打开", "action": "看我的信",
    } | given  # fmt: skip


def make_touchpoint(code: str = "locker", **given: Any) -> Touchpoint:
    return touchpoints.make(code, touchpoints.checked(typed(**given)), by=None, now=NOW)
