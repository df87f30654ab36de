"""Sending what is due: claim and check in one short transaction, commit, talk to the provider, mark.

A slice of messages is claimed at a time. Each is looked at once more in the moment before it is handed over, so a
refusal, and the end of its hours, is heard until then; calls run beside each other on the channel's threads, with no
transaction open; answers are marked as they come. A claim that ran out becomes `unknown`, never `queued`: the message
may have gone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from connectors.channels import Answer, Channel, Outcome, channel
from tenants.clock import Now
from tenants.outbox import claiming, envelopes, gates, receipts, resolving
from tenants.outbox.calling import Calls, Group
from tenants.outbox.claiming import Claim
from tenants.outbox.envelopes import Sealed
from tenants.outbox.marking import Said, mark

SLICE = 64  # messages claimed at once on a channel that takes them one by one
BATCH_SLICE = 1000  # the same where it takes many in a call
LONGEST = 30.0  # seconds for which a drain claims; the sweep comes again
AT_ONCE = 32  # answers written down together, unless the slice ends before
LONGEST_WAIT = 2.0  # seconds for which a channel's limit is waited for here; beyond that the sweep comes again


def drain(*, now: datetime | Now, limit: int = 200, seconds: float = LONGEST) -> dict[str, int]:
    """What is due has been sent, settled or put off, `limit` messages a channel at most; says how many of each.

    `now` is the moment, or what tells it: sending takes its time, so it is asked again for every claim and every call.
    After `seconds` nothing more is claimed, but for a first slice of each channel.
    """
    moment = now if callable(now) else lambda: now
    until = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    claiming.let_lapse(now=moment(), limit=limit)
    counts["receipts"] = receipts.settle(now=moment())
    with override(settings.LANGUAGE_CODE):  # reasons are kept for staff to read
        for name in gates.open_channels(now=moment()):
            way = channel(name)
            try:
                with Calls(way) as calls:
                    counts += resolving.resolve(way, calls, now=moment, until=until, limit=limit)
                    counts += _drain_channel(way, calls, now=moment, until=until, limit=limit)
            finally:
                way.close()
    return {what: n for what, n in counts.items() if n}


def _drain_channel(way: Channel, calls: Calls, *, now: Now, until: float, limit: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    size = BATCH_SLICE if way.batch > 1 else SLICE
    waited = 0.0
    while (left := limit - counts.total()) > 0:
        claims, settled = claiming.claim(type(way), now=now(), limit=min(size, left))
        counts += settled
        if claims:
            counts += _send_slice(way, claims, calls, now=now)
        elif not settled:
            pause = claiming.seconds_until_allowed(type(way), now=now())
            if not pause or waited + pause > LONGEST_WAIT:
                break
            time.sleep(pause)
            waited += pause
        if time.monotonic() >= until:  # after a slice, so that a channel behind a slow one gets its turn too
            break
    return counts


def _send_slice(way: Channel, claims: list[Claim], calls: Calls, *, now: Now) -> Counter[str]:
    """The claimed messages have been handed to their provider and marked; counts by state."""
    sealed = envelopes.seal([claim.message for claim in claims], type(way), now=now())
    notes = _Notes(way.name, sealed, now=now)
    ready = []
    for claim in claims:
        if sealed[claim.message].doubtful:
            notes.add(
                [claim], [Answer(Outcome.UNKNOWN, detail=_("It may have gone before the database was restored."))]
            )
        elif not sealed[claim.message].can_arrive:
            notes.add([claim], [Answer(Outcome.NO_RECIPIENT, detail=_("No address is known on this channel."))])
        else:
            ready.append(claim)
    while ready:
        for done, answers in calls.answers():
            notes.add(done, answers)
        # Only what a thread is free for is looked at: it is handed over the moment it has been.
        some, ready = ready[: calls.free * way.batch], ready[calls.free * way.batch :]
        ours = claiming.still_ours(some, channel=way.name, now=now())
        if held := [claim for claim in some if claim not in ours]:
            held_back = Answer(Outcome.SLOW_DOWN, detail=_("Held back at the last moment."), wait=timedelta(0))
            notes.add(held, [held_back] * len(held))
        for group in claiming.groups([claim for claim in some if claim in ours], way.batch):
            calls.begin(group, _call(way, [sealed[claim.message] for claim in group]))
    for done, answers in calls.answers(all=True):
        notes.add(done, answers)
    return notes.finish()


def _call(way: Channel, sealed: list[Sealed]) -> Callable[[], list[Answer]]:
    envelopes = [one.envelope for one in sealed]
    return partial(way.send_many, envelopes) if way.batch > 1 else lambda: [way.send(envelopes[0])]


class _Notes:
    """Answers on their way into the database, a handful at once."""

    def __init__(self, channel: str, sealed: dict[int, Sealed], *, now: Now) -> None:
        self.channel, self.sealed, self.now = channel, sealed, now
        self.waiting: list[Said] = []
        self.counts: Counter[str] = Counter()

    def add(self, group: Group, answers: list[Answer]) -> None:
        self.waiting += [Said(c, self.sealed[c.message], a) for c, a in zip(group, answers, strict=True)]
        if len(self.waiting) >= AT_ONCE:
            self.finish()

    def finish(self) -> Counter[str]:
        self.counts += mark(self.channel, self.waiting, now=self.now())
        self.waiting = []
        return self.counts
