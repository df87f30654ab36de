"""What the campaigns S9 to S15 share: people, a provider on loopback, offers to them, and what arrived."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.db import connection

from tenants import clock, outbox
from tenants.models import Message, Tenant
from tests.makers import NOW, TODAY, make_tenant
from tests.standins.base import serving
from tests.standins.pager import PagerService

DEADLINE = clock.at(TODAY.replace(day=28), 21)
TEXT = "您的租约快到期了，续租方案已备好。"
CHANNELS = {"pager": "tests.pager:Pager", "pagers": "tests.pager:PagerBatch"}


@contextmanager
def provider(*channels: str, seed: int = 0, timeout: float = 5.0) -> Iterator[PagerService]:
    """These channels are the house's, and nothing waits in its outbox; the pager's provider is new."""
    settings.MORE_CHANNELS, settings.CHANNELS = CHANNELS, list(channels)
    settings.PAGER_TIMEOUT = timeout
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE tenants_message, tenants_receipt, tenants_pause, tenants_throttle CASCADE")
    with serving(PagerService(seed=seed)) as service:
        settings.PAGER_URL = service.url
        yield service


def people(n: int) -> list[Tenant]:
    """So many who agree to offers."""
    return [make_tenant() for _ in range(n)]


def offers(tenants: list[Tenant], *, now: datetime = NOW, **facts: Any) -> None:
    """An offer waits for each, under the key `offer:<tenant>`."""
    drafts = [
        outbox.Draft(key=f"offer:{one.pk}", tenant_id=one.pk, **{"klass": "marketing", "text": TEXT, **facts})
        for one in tenants
    ]
    outbox.post_many(drafts, now=now)


def drained(*, now: datetime = NOW, limit: int = 5000) -> None:
    """Nothing that is due at `now` waits any more."""
    while outbox.drain(now=now, limit=limit):
        pass


def states() -> dict[str, int]:
    """How many messages are in each state."""
    found: dict[str, int] = {}
    for state in Message.objects.values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


@contextmanager
def off(target: str, instead: Any) -> Iterator[None]:
    """A protection is off: its red twin."""
    with patch(target, instead):
        yield


def without_guards() -> None:
    """The database lets every move pass, as in a house that trusts its code."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tenants_message DISABLE TRIGGER USER")


def with_guards() -> None:
    """The database guards its moves again."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tenants_message ENABLE TRIGGER USER")
