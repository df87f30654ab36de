"""S9: segments are rebuilt 1,000 times while members come and go, rules and versions change, and all is sent at once.

The provider hears of every lease, step and cycle once. The red twin forgets what was decided and has the run's number
in the message's key, as engines do that key their messages by run.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from campaigns import pushes
from campaigns.models import Push
from faults import mail, p1
from tenants import clock
from tests.makers import TODAY


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    green = _campaign("sent", seed, round(p1.REBUILDS * share), by_run=False)
    return {**green, "red": _campaign("twice", seed, max(30, round(p1.REBUILDS * share / 10)), by_run=True)}


def _campaign(name: str, seed: int, rebuilds: int, *, by_run: bool) -> dict[str, Any]:
    runs: Counter[str] = Counter()
    rebuild, key = p1._rebuild, pushes.key

    def rebuild_and_send(today: Any) -> None:
        runs[name] += 1
        rebuild(today)
        mail.drained(now=clock.at(today, 12))

    def keyed(push: Push) -> str:
        return f"{key(push)}:{runs[name]}" if by_run else key(push)

    Push.objects.all().delete()
    with mail.provider("pager") as service, mail.off("faults.p1._rebuild", rebuild_and_send):
        with mail.off("campaigns.pushes.key", keyed):
            found = p1._campaign(name, seed, rebuilds, forgets=by_run)
        mail.drained(now=clock.at(TODAY + timedelta(days=p1.DAYS), 12))
        heard = [":".join(one.split(":")[:5]) for one in service.counts.arrived.elements()]
    counts = {
        "rebuilds": rebuilds,
        "comings and goings": found["counts"]["comings and goings"],
        "sent": len(heard),
        "lease, step and cycle told twice": len(heard) - len(set(heard)),
    }
    return {"held": bool(heard) and len(heard) == len(set(heard)), "counts": counts}
