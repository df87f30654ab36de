"""Sending what is due: claim and check in one short transaction, commit, talk to the provider, mark.

A slice of messages is claimed at a time, the next while calls of this one are open. Each is looked at once more in the
moment before it is handed over, so a refusal, and the end of its hours, is heard until then; calls run beside each
other on the channel's threads, with no transaction open; answers are marked as they come. A claim that ran out becomes
`unknown`, never `queued`: the message may have gone.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from connectors.channels import Answer, Channel, Outcome, channel
from tenants.clock import Now
from tenants.outbox import claiming, envelopes, gates, receipts, resolving
from tenants.outbox.calling import FRESH, Calls, Group
from tenants.outbox.claiming import Claim
from tenants.outbox.envelopes import Sealed
from tenants.outbox.marking import Said, mark

SLICE = 64  # messages claimed at once on a channel that takes them one by one, at least
MOST_SLICE = 512  # and at most: as many as it gets through in SOON
SOON = 0.2  # seconds
BATCH_SLICE = 1000  # messages claimed at once on one that takes many in a call
LONGEST = 30.0  # seconds for which a drain claims; the sweep comes again
AT_ONCE = 64  # answers written down together, unless
LATE = 0.1  # so many seconds have passed since the first of them came, or nothing is left to be done
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
    sending = _Sending(way, calls, now=now, limit=limit)
    waited, is_first = 0.0, True
    while True:
        sending.hear()
        if sending.hand_over() or sending.write_if_due():
            continue
        # After a first slice, so that a channel behind a slow one gets its turn too.
        if sending.wants_more and (is_first or time.monotonic() < until):
            sending.claim()
            is_first = False
        elif calls.open:
            calls.wait(LATE)
        elif not sending.write():
            pause = claiming.seconds_until_allowed(type(way), now=now()) if sending.is_dry else 0.0
            if not pause or waited + pause > LONGEST_WAIT or sending.left <= 0 or time.monotonic() >= until:
                return sending.counts
            time.sleep(pause)
            waited += pause
            sending.is_dry = False


class _Sending:
    """What of a channel's messages is claimed, on its way or answered. The next slice is claimed while calls are open.

    On a channel with a limit it is not, so that what it allows in one second does not pile up for the next, nor on one
    that is called from this thread.
    """

    def __init__(self, way: Channel, calls: Calls, *, now: Now, limit: int) -> None:
        self.way, self.calls, self.now = way, calls, now
        self.left = limit  # how many may still be claimed or settled
        self.is_dry = False  # nothing was due, and nothing has been written down since
        self.claims_ahead = calls.has_threads and way.per_second is None
        self.sealed: dict[int, Sealed] = {}
        self.ready: deque[Claim] = deque()
        self.answered: list[Said] = []
        self.answered_since = 0.0
        self.counts: Counter[str] = Counter()

    @property
    def slice(self) -> int:
        """How many are claimed at once. Who dies leaves about so many of which nobody knows whether they went."""
        if self.way.batch > 1:
            return BATCH_SLICE
        return max(SLICE, min(int(self.calls.speed * SOON), MOST_SLICE))

    @property
    def wants_more(self) -> bool:
        if self.is_dry or self.left <= 0:
            return False
        if self.claims_ahead:
            return len(self.ready) <= self.slice // 4
        return not (self.ready or self.calls.open or self.answered)

    def claim(self) -> None:
        """The next slice is ours, and each message of it is as it leaves."""
        claims, settled = claiming.claim(type(self.way), now=self.now(), limit=min(self.slice, self.left))
        self.counts += settled
        self.left -= len(claims) + settled.total()
        self.is_dry = not claims and not settled
        if not claims:
            return
        self.sealed |= envelopes.seal([claim.message for claim in claims], type(self.way), now=self.now())
        for claim in claims:
            if self.sealed[claim.message].doubtful:
                restored = _("It may have gone before the database was restored.")
                self._note([claim], [Answer(Outcome.UNKNOWN, detail=restored)])
            elif not self.sealed[claim.message].can_arrive:
                self._note([claim], [Answer(Outcome.NO_RECIPIENT, detail=_("No address is known on this channel."))])
            else:
                self.ready.append(claim)

    def hand_over(self) -> bool:
        """As many as threads will take in time are looked at and begun; whether there were any."""
        some = [self.ready.popleft() for _ in range(min(self.calls.room * self.way.batch, len(self.ready)))]
        if not some:
            return False
        ours = claiming.still_ours(some, channel=self.way.name, now=self.now())
        until = time.monotonic() + FRESH
        if held := [claim for claim in some if claim not in ours]:
            held_back = Answer(Outcome.SLOW_DOWN, detail=_("Held back at the last moment."), wait=timedelta(0))
            self._note(held, [held_back] * len(held))
        for group in claiming.groups([claim for claim in some if claim in ours], self.way.batch):
            self.calls.begin(group, _call(self.way, [self.sealed[claim.message] for claim in group]), until=until)
        return True

    def hear(self) -> None:
        """What has come back is noted; what no thread took in time is looked at again."""
        for group, answers in self.calls.finished():
            if answers is None:
                self.ready.extendleft(reversed(group))
            else:
                self._note(group, answers)

    def _note(self, group: Group, answers: list[Answer]) -> None:
        if not self.answered:
            self.answered_since = time.monotonic()
        self.answered += [Said(c, self.sealed.pop(c.message), a) for c, a in zip(group, answers, strict=True)]

    def write_if_due(self) -> bool:
        """Answers are written down if there are many, or if the first has waited for long; whether they were."""
        if len(self.answered) < AT_ONCE and (not self.answered or time.monotonic() < self.answered_since + LATE):
            return False
        return self.write()

    def write(self) -> bool:
        """The answers there are stand in the database; whether there were any."""
        if not self.answered:
            return False
        said, self.answered = self.answered, []
        self.counts += mark(self.way.name, said, now=self.now())
        self.is_dry = False  # what was held back is due at once
        return True


def _call(way: Channel, sealed: list[Sealed]) -> Callable[[], list[Answer]]:
    envelopes = [one.envelope for one in sealed]
    return partial(way.send_many, envelopes) if way.batch > 1 else lambda: [way.send(envelopes[0])]
