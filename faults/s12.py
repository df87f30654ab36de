"""S12: a dump of two hours ago, with 3,000 messages that have gone since, is restored.

Nothing is sent before a named person releases it; then what had gone is found at the provider, what had not is sent,
and what came too late expires. The red twin has no guard and a provider that knows no keys: people hear all again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from psycopg2 import sql

from faults import mail
from tenants import clock, outbox
from tenants.models import Message, Pause, User
from tenants.outbox import gates
from tests.makers import NOW

QUEUED = 3000
LATER = NOW + timedelta(hours=2)


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    green = _campaign(seed, round(QUEUED * share), keyless=False)
    with mail.off("tenants.outbox.gates._live", lambda **_: None):
        red = _campaign(seed, 200, keyless=True)
    return {**green, "red": red}


def _campaign(seed: int, n: int, *, keyless: bool) -> dict[str, Any]:
    clock.set_to(NOW)
    third = n // 3
    with tempfile.TemporaryDirectory() as epochs, mail.provider("pagers", seed=seed) as service:
        settings.OUTBOX_EPOCH_DIR = epochs
        service.keyless = keyless
        everybody = mail.people(3 * third)
        gone, waiting, late = everybody[:third], everybody[third : 2 * third], everybody[2 * third :]
        mail.offers(gone, deadline=mail.DEADLINE)
        mail.offers(waiting, deadline=mail.DEADLINE, not_before=NOW + timedelta(hours=1))
        mail.offers(late, deadline=NOW + timedelta(hours=1), not_before=NOW + timedelta(minutes=50))
        outbox.drain(now=NOW - timedelta(minutes=1))  # the epoch has begun
        back = _dump()
        outbox.drain(now=NOW, limit=n)
        outbox.drain(now=NOW + timedelta(minutes=5), limit=n)  # and goes on after the dump
        went = len(service.counts.arrived)
        back()
        for minutes in range(5):
            outbox.drain(now=LATER + timedelta(minutes=minutes), limit=n)
        before_release = service.counts.arrived.total() - went
        if Pause.objects.filter(channel=gates.EVERYTHING).exists():
            gates.let_go("*", by=User.objects.create(username=f"lan-{n}"), why="restored on purpose", now=LATER)
        for minutes in range(5, 90, 10):
            outbox.drain(now=LATER + timedelta(minutes=minutes), limit=n)
        arrived, doubles = len(service.counts.arrived), service.counts.doubles()
        expired = Message.objects.filter(state="expired").count()
    counts = {
        "queued in the dump": 3 * third,
        "gone since": went,
        "sent before a person released it": before_release,
        "sent twice": doubles,
        "expired": expired,
        "heard in all": arrived,
    }
    held = (went, before_release, doubles, expired, arrived) == (third, 0, 0, third, 2 * third)
    return {"held": held, "counts": counts}


def _dump() -> Callable[[], None]:
    """The database as it is now; calling what is returned brings it back to that, as a restore does."""
    name = str(connection.settings_dict["NAME"])
    copy = f"{name}_dump"
    _outside(name, sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(copy), sql.Identifier(name)))

    def restore() -> None:
        # The dumped copy takes the name of the database that lived on.
        _outside(name, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        _outside(name, sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(copy), sql.Identifier(name)))

    return restore


def _outside(name: str, command: sql.Composed) -> None:
    """Run where nobody is connected to the database of this name."""
    connection.close()
    with connection._nodb_cursor() as cursor:
        cursor.execute(command)
