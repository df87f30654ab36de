"""S6: a provider that takes a message and then drops its answer, says 500, or never comes to say anything.

A fifth of the answers are dropped, a tenth are errors, a tenth never come and a twentieth come too late. Nobody
hears anything twice: not where the provider knows keys, not where it can only be asked, and not where it can
neither, where whatever may have arrived waits for a person instead. The red twin takes it for lost.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings

from connectors.channels import Answer, Envelope, Outcome
from faults import house, mail
from tenants import clock
from tenants.models import Attempt, Message
from tests.makers import NOW
from tests.pager import Pager
from tests.standins.base import Fault

SENDS = 2_000
TIMEOUT = 0.3  # seconds, where the house waits for ten
FAULTS = (
    Fault("drop", share=0.2, path="/send"),
    Fault("fail", share=0.1, path="/send"),
    Fault("hang", share=0.1, path="/send"),
    Fault("delay", share=0.05, seconds=TIMEOUT * 3, path="/send"),
)


class Mute(Pager):
    """A provider that nobody can ask."""

    def find(self, envelope: Envelope) -> Answer:
        return Answer(Outcome.UNKNOWN)


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    many = round(SENDS * share)
    keyed = _campaign(many, seed, "tests.pager:Pager", keyless=False)
    asked = _campaign(many, seed, "tests.pager:Pager", keyless=True)
    mute = _campaign(many, seed, "faults.s6:Mute", keyless=True)
    red = _campaign(many, seed, "faults.house:Forgetful", keyless=True)
    all_arrived = all(one["lost"] == one["double"] == one["waiting for a person"] == 0 for one in (keyed, asked))
    # A machine under load may be too slow for an answer that the provider did give: that one waits as well.
    none_twice = mute["double"] == 0 and mute["waiting for a person"] == mute["unanswered"] >= mute["ambiguous"] > 0
    return {
        "held": all_arrived and none_twice,
        "counts": {"with a key": keyed, "with a query": asked, "with neither": mute},
        "red": {"held": red["double"] == 0, "counts": red},
    }


def _campaign(many: int, seed: int, pager: str, *, keyless: bool) -> dict[str, int]:
    with mail.provider("pager", seed=seed, timeout=TIMEOUT) as service:
        settings.MORE_CHANNELS = {"pager": pager}
        service.keyless, service.faults = keyless, list(FAULTS)
        mail.offers(mail.people(many), deadline=mail.DEADLINE)
        for minutes in range(0, 12 * 60, 10):
            clock.set_to(NOW + timedelta(minutes=minutes))
            mail.drained(now=NOW + timedelta(minutes=minutes))
            if not Message.objects.filter(state__in=house.OPEN).exists():
                break
        states, arrived = mail.states(), service.counts.arrived
        # What was sent once and not answered: every call of a message but those that were.
        faulty = service.counts.faults.total()
        unanswered = Attempt.objects.filter(outcome=Outcome.UNKNOWN).values("message").distinct().count()
    return {
        "sends": many,
        "ambiguous": faulty,
        "unanswered": unanswered,
        "lost": sum(key not in arrived for key in Message.objects.values_list("key", flat=True)),
        "double": sum(arrived.values()) - len(arrived),
        "accepted": states.get(Message.State.ACCEPTED, 0),
        "waiting for a person": states.get(Message.State.PARKED, 0),
    }
