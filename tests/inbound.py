"""What the tests of the live sources share: a sender's key, a call, and a worker's round."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from connectors.models import Landed, Refusal
from tenants import clock, keys, landing
from tests.makers import NOW


def make_key(source: str, name: str = "测试") -> str:
    """What a sender has to say."""
    _row, secret = keys.make(source, name, by="mei", now=NOW)
    return secret


def drain() -> None:
    """What a worker does when the bell rings."""
    while landing.take(now=clock.now()):
        pass
    landing.take_again(now=clock.now())


def post(path: str, body: Any, key: str = "", *, kind: str = "application/json", **headers: str) -> Any:
    """A call as a sender makes it; `body` is sent as it is, or as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    if key:
        headers["authorization"] = f"Bearer {key}"
    return Client(raise_request_exception=True).post(path, raw, content_type=kind, headers=headers)


def reasons() -> list[str]:
    return list(Refusal.objects.order_by("line", "pk").values_list("reason", flat=True))


def landed() -> int:
    return Landed.objects.count()
