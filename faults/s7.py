"""S7: a worker stands still (SIGSTOP) past the end of its claim, at each of nine points of a send, and then goes on.

Meanwhile a living worker sends everything else, and clears up what the others had claimed. Their late answers change
no message. Nobody hears twice from a provider that knows keys. From one that forgets them somebody may: whoever stood
still between the last look and the end of the request, once a pause, and both tries stand in the message's record. In
the red twin late answers are not told from timely ones.
"""

from __future__ import annotations

import time
from typing import Any

from django.db.models import Count

from faults import house, mail, points
from tenants.models import Attempt, Message
from tenants.outbox import marking
from tests.pager import Pager

PAUSES = 3  # at each point
SECONDS = house.LEASE + 20
OTHERS = 200
FENCE = " AND m.attempt = said.number AND m.state = 'sending'"


class Unfenced(Pager):
    """The protection off: whoever comes late marks what has become another's."""

    def __init__(self) -> None:
        assert FENCE in marking.MARK, "the fence has moved"
        marking.MARK = marking.MARK.replace(FENCE, "")
        super().__init__()


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    pauses = max(1, round(PAUSES * share))
    keyed = _campaign(pauses, seed, "tests.pager:Pager", keyless=False)
    keyless = _campaign(pauses, seed, "tests.pager:Pager", keyless=True)
    mail.without_guards()
    red = _campaign(1, seed, "faults.s7:Unfenced", keyless=True)
    mail.with_guards()
    held = _held(keyed) and keyed["double"] == 0 and _held(keyless)
    return {
        "held": held,
        "counts": {"with a key": keyed, "without": keyless},
        "red": {"held": _held(red), "counts": red},
    }


def _held(counts: dict[str, int]) -> bool:
    """All arrived, none waited for a sleeper, no late answer counted, and no double is off the record."""
    return (
        counts["lost"] == counts["not in an end"] == counts["changed by a late answer"] == 0
        and counts["others sent meanwhile"] == OTHERS
        and counts["late answers"] > 0
        and counts["double"] == counts["of them on record"] <= counts["pauses"]
    )


def _campaign(pauses: int, seed: int, pager: str, *, keyless: bool) -> dict[str, int]:
    order = list(points.POINTS) * pauses
    with house.house(len(order) + OTHERS, seed, keyless=keyless) as (broker, service):
        ids = list(Message.objects.order_by("pk").values_list("pk", flat=True))
        slept, others = ids[: len(order)], ids[len(order) :]
        with points.nursery("STOP", house.environment(broker, service, pager=pager)) as nursery:
            for point in order:
                nursery.hit(point)
            fell_asleep = time.monotonic()
            worker = house.Worker(broker, service, pager="tests.pager:Pager")
            try:
                time.sleep(max(0, fell_asleep + SECONDS - time.monotonic()))
                sent = Message.objects.filter(pk__in=others, state=Message.State.ACCEPTED).count()
                before = _rows(slept)
                late = nursery.go_on()
                after = _rows(slept)
                house.until(lambda: not house._open(), "not all came to an end", house.WITHIN, complain=False)
            finally:
                worker.kill()
        counts = house.counted(service, len(order))
        keys = dict(Message.objects.values_list("pk", "key"))
        # A late try's answer came after its time-out: it stands there as unknown.
        tries = Attempt.objects.filter(outcome__in=["accepted", "unknown"]).values("message").annotate(n=Count("pk"))
        twice = {keys[row["message"]] for row in tries if row["n"] > 1}
    return {
        "pauses": len(order),
        "seconds": SECONDS,
        "late answers": sum(one.get("fenced", 0) for one in late) if "Unfenced" not in pager else len(late),
        "changed by a late answer": sum(
            after[pk] != row for pk, row in before.items() if row[0] not in {"queued", "sending"}
        ),
        "others sent meanwhile": sent,
        "lost": counts["lost"],
        "double": counts["double"],
        "of them on record": sum(arrived > 1 and key in twice for key, arrived in service.counts.arrived.items()),
        "not in an end": counts["not in an end"],
    }


def _rows(ids: list[int]) -> dict[int, tuple[Any, ...]]:
    rows = Message.objects.filter(pk__in=ids)
    return {row[0]: row[1:] for row in rows.values_list("pk", "state", "attempt", "sent_at", "changed_at")}
