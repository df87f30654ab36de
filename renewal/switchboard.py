"""总闸: which channels may send, who stopped or let go what, and how far the database has lived."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Count

from tenants.models import Epoch, Message, Switching
from tenants.outbox import gates
from tenants.outbox.gates import EVERYTHING

HISTORY = 10


def board() -> dict[str, Any]:
    """`everything` and `gates` (each `channel`, `pause`, `seen`, `queued`, `latest`), `switchings`, `epoch`.

    A channel stands here that the house has, that is stopped, or that something still waits for.
    """
    pauses = {pause.channel: pause for pause in gates.stopped()}
    waits = Message.objects.filter(state=Message.State.QUEUED).values_list("channel").annotate(n=Count("pk"))
    queued = dict(waits.order_by())
    latest = Switching.objects.order_by("channel", "-at", "-pk").distinct("channel").select_related("by")
    last = {row.channel: row for row in latest}
    more = sorted((pauses.keys() | queued.keys()) - {EVERYTHING, *settings.CHANNELS})
    lines = {
        name: {
            "channel": name,
            "pause": pauses.get(name),
            "seen": gates.mark_of(pauses[name]) if name in pauses else "",
            "queued": sum(queued.values()) if name == EVERYTHING else queued.get(name, 0),
            "latest": last.get(name),
        }
        for name in (EVERYTHING, *settings.CHANNELS, *more)
    }
    return {
        "everything": lines.pop(EVERYTHING),
        "gates": list(lines.values()),
        "switchings": Switching.objects.select_related("by")[:HISTORY],
        "epoch": Epoch.objects.order_by("pk").first(),
    }


def knows(channel: str) -> bool:
    """Whether there is such a channel to stop or let go, or it stands for everything."""
    return channel == EVERYTHING or channel in {line["channel"] for line in board()["gates"]}
