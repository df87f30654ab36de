"""S14: the first channel fails in every way it can, and the second stands by.

Nobody is told on both: while the first is unknown, the second does not start. In the red twin an unknown outcome counts
as a failure, and the database does not guard the channel.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from connectors.models import PhoneMessage
from faults import mail
from tenants.outbox import marking
from tests.makers import NOW
from tests.standins.base import Fault

MESSAGES = 2000


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    green = _campaign(seed, round(MESSAGES * share))
    move_after = marking.move_after

    def hasty(answer: marking.Answer, **facts: Any) -> marking.Move:
        if answer.outcome == marking.Outcome.UNKNOWN:
            answer = marking.Answer(marking.Outcome.NO_RECIPIENT)
        return move_after(answer, **facts)

    mail.without_guards()
    with mail.off("tenants.outbox.marking.move_after", hasty):
        red = _campaign(seed, 200)
    mail.with_guards()
    return {**green, "red": red}


def _campaign(seed: int, n: int) -> dict[str, Any]:
    PhoneMessage.objects.all().delete()
    with mail.provider("pager", "phone", seed=seed, timeout=0.5) as service:
        everybody = mail.people(n)
        gone = everybody[::10]
        service.faults = [
            *(Fault("code", code="gone", to=one.phone) for one in gone),
            Fault("drop", share=0.2, path="/send"),
            Fault("fail", share=0.1, path="/send"),
            Fault("lost", share=0.1, path="/send"),
            Fault("hang", share=0.02, path="/send"),
            Fault("fail", share=0.3, path="/sent"),
        ]
        mail.offers(everybody, deadline=mail.DEADLINE)
        for minutes in range(0, 140, 7):
            mail.drained(now=NOW + timedelta(minutes=minutes))
        first = set(service.counts.arrived)
        second = set(PhoneMessage.objects.values_list("key", flat=True))
        unknown = sum(service.counts.faults[kind] for kind in ("drop", "fail", "hang", "lost"))
    counts = {
        "messages": n,
        "calls that failed": unknown,
        "told by the first": len(first),
        "told by the second": len(second),
        "told by both": len(first & second),
        "sent twice by the first": service.counts.doubles(),
    }
    held = not first & second and not service.counts.doubles() and len(second) >= len(gone) // 2
    return {"held": held, "counts": counts}
