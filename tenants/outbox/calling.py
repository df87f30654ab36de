"""Calls to a provider, a few beside each other, with no transaction open."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType

from django.db import connections

from connectors.channels import Answer, Channel, Outcome
from tenants.outbox.claiming import Claim

log = logging.getLogger(__name__)

Group = Sequence[Claim]
Call = Callable[[], list[Answer]]


class Calls:
    """The calls to one channel. They run on its threads, or in ours where it has none."""

    def __init__(self, way: Channel) -> None:
        self.most = max(way.senders, 1)
        self.pool = ThreadPoolExecutor(way.senders, thread_name_prefix=way.name) if way.senders else None
        self.open: dict[Future[list[Answer]], Group] = {}
        self.done: list[tuple[Group, list[Answer]]] = []

    def begin(self, group: Group, call: Call) -> None:
        """The call is on its way."""
        if self.pool is None:
            self.done.append((group, _answers(group, call)))
        else:
            self.open[self.pool.submit(_on_thread, group, call)] = group

    def answers(self, *, all: bool = False) -> Iterator[tuple[Group, list[Answer]]]:
        """What has come back; afterwards half of the threads are free, or with `all` none of the calls is open."""
        while self.open and (all or len(self.open) > self.most // 2):
            finished, _waiting = wait(self.open, return_when=FIRST_COMPLETED)
            self.done += [(self.open.pop(future), future.result()) for future in finished]
        ready, self.done = self.done, []
        yield from ready

    @property
    def free(self) -> int:
        """How many calls can be begun this moment."""
        return self.most - len(self.open)

    def __enter__(self) -> Calls:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.pool:
            self.pool.shutdown()


def _on_thread(group: Group, call: Call) -> list[Answer]:
    try:
        return _answers(group, call)
    finally:
        for used in connections.all(initialized_only=True):
            used.close()


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
