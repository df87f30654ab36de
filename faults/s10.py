"""S10: one recipient in a thousand breaks whatever touches it. The others are sent in time, and it ends as dead.

The red twin sends without isolating a call: the first error ends the look, and whoever stands behind waits with it.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from connectors.channels import Answer, Envelope, Outcome
from faults import mail
from tenants import outbox
from tenants.models import Message
from tenants.outbox import calling
from tests.makers import NOW
from tests.pager import Pager

PEOPLE = 1000


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    green = _campaign(seed, round(PEOPLE * share))

    def bare(_group: calling.Group, call: calling.Call) -> list[Answer]:
        return call()

    with mail.off("tenants.outbox.calling._answers", bare):
        red = _campaign(seed, round(PEOPLE * share))
    return {**green, "red": red}


def _campaign(seed: int, n: int) -> dict[str, Any]:
    poison = "999"
    send = Pager.send

    def poisoned(self: Pager, envelope: Envelope) -> Answer:
        if envelope.address == poison:
            raise ValueError("no such number can be")
        return send(self, envelope)

    def never(_self: Pager, _envelope: Envelope) -> Answer:
        return Answer(Outcome.NOT_SENT, detail="never arrived")

    with mail.provider("pager", seed=seed) as service, mail.off("tests.pager.Pager.send", poisoned):
        everybody = mail.people(n)
        everybody[n // 2].phone = poison
        everybody[n // 2].save()
        mail.offers(everybody, deadline=mail.DEADLINE)
        began = time.monotonic()
        with mail.off("tests.pager.Pager.find", never):
            with suppress(ValueError):  # of the red twin
                outbox.drain(now=NOW, limit=n)
            seconds = time.monotonic() - began
            sent = len(service.counts.arrived)
            for _try in range(12):
                try:
                    outbox.drain(now=max(NOW, *Message.objects.values_list("not_before", flat=True)), limit=n)
                except ValueError:
                    break
    state = Message.objects.get(key=f"offer:{everybody[n // 2].pk}").state
    a_thousand = seconds * 1000 / n
    counts = {
        "recipients": n,
        "others sent at the first look": sent,
        "poisoned": state,
        "seconds a thousand": round(a_thousand, 2),
    }
    return {"held": sent == n - 1 and state in ("dead", "failed", "parked"), "counts": counts}
