"""Calls to a provider, a few beside each other, with no transaction open."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from types import TracebackType

from django.db import connections

from connectors.channels import Answer, Channel, Outcome
from tenants.outbox.claiming import Claim

log = logging.getLogger(__name__)

Group = Sequence[Claim]
Call = Callable[[], list[Answer]]
Task = tuple[Group, Call, float | None]
Done = tuple[Group, list[Answer] | None]

FRESH = 0.02  # seconds after the last look within which a thread takes a message, or it comes back unsent
SHARE = 0.7  # of these so much is planned with: what comes back has been looked at for nothing
MOST_AHEAD = 100  # calls that wait for a thread


class Calls:
    """The calls to one channel. They run on its threads, or in ours where it has none.

    So that no thread waits for the next look, a few more are begun than there are threads: as many as will be taken
    in time, by how long calls take of late. Whoever takes one too late leaves it, and it comes back without an answer.
    """

    def __init__(self, way: Channel) -> None:
        self.name = way.name
        self.has_threads = way.senders > 0
        self.most = max(way.senders, 1)
        self.open = 0  # begun, and not come back to us
        self.took = 0.0  # seconds a call takes, of late; 0: none has come back
        self.low = 0  # with so few waiting for a thread it is time for more
        self.threads: list[Thread] = []
        self.waiting: SimpleQueue[Task | None] = SimpleQueue()
        self.done: deque[Done] = deque()
        self.news = Event()
        self.broken: BaseException | None = None

    def begin(self, group: Group, call: Call, *, until: float | None = None) -> None:
        """The call is on its way, or will be when a thread is free; no longer so from `until` on (`time.monotonic`)."""
        self.open += 1
        if not self.has_threads:
            self.done.append((group, _answers(group, call)))
            self.news.set()
            return
        self.waiting.put((group, call, until))
        if len(self.threads) < min(self.open, self.most):
            thread = Thread(target=self._work, name=f"{self.name}-{len(self.threads)}")
            thread.start()
            self.threads.append(thread)

    def finished(self) -> list[Done]:
        """What has come back since this was asked last. Raises what broke a call beside its own errors."""
        self.news.clear()
        if self.broken:
            raise self.broken
        come = [self.done.popleft() for _ in range(len(self.done))]
        self.open -= len(come)
        return come

    def wait(self, seconds: float) -> None:
        """Something has come back, or more can be begun; or the time is over."""
        self.news.wait(seconds)

    def rest(self) -> Iterator[Done]:
        """What comes back until none is open."""
        while self.open:
            self.news.wait()
            yield from self.finished()

    @property
    def speed(self) -> float:
        """How many calls a second the threads get through; 0 while that is not known."""
        return self.most / self.took if self.has_threads and self.took else 0.0

    @property
    def room(self) -> int:
        """How many more calls will find a thread in time; none while enough of them wait for one."""
        ahead = min(int(self.speed * FRESH * SHARE), MOST_AHEAD)
        self.low = ahead // 2
        return self.most + ahead - self.open if self.open <= self.most + self.low else 0

    def __enter__(self) -> Calls:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After an error of ours nobody would write down what comes of them: what no thread has taken does not go.
        try:
            while True:
                self.waiting.get_nowait()
        except Empty:
            pass
        for _thread in self.threads:
            self.waiting.put(None)
        for thread in self.threads:
            thread.join()

    def _work(self) -> None:
        try:
            while task := self.waiting.get():
                self._do(*task)
        except BaseException as error:
            # What nobody foresaw ends the drain. It must not come back as unsent: the message may have gone, and is
            # unknown once its claim has run out.
            self.broken = error
            self.news.set()
        finally:
            _let_go_of_connections()

    def _do(self, group: Group, call: Call, until: float | None) -> None:
        began = time.monotonic()
        answers = None
        if until is None or began <= until:
            answers = _answers(group, call)
            took = time.monotonic() - began
            self.took = self.took + 0.1 * (took - self.took) if self.took else took
            # Not after each: looking for them takes a tenth as long as a call. After a failure: one may be broken.
            if self.waiting.empty() or any(answer.outcome != Outcome.ACCEPTED for answer in answers):
                _let_go_of_connections()
        self.done.append((group, answers))
        if self.waiting.qsize() <= self.low:
            self.news.set()


def _answers(group: Group, call: Call) -> list[Answer]:
    """An answer to each, whatever happens: after an error nobody knows how far it got, and others must not wait."""
    try:
        answers = call()
        if len(answers) != len(group):
            raise RuntimeError(f"{len(answers)} answers to {len(group)} messages")
    except Exception as error:
        log.exception("Messages %s could not be sent", [claim.message for claim in group])
        return [Answer(Outcome.UNKNOWN, detail=type(error).__name__)] * len(group)
    return answers


def _let_go_of_connections() -> None:
    """Those to the database that a channel has opened on this thread."""
    for used in connections.all(initialized_only=True):
        used.close()
