"""S5: the worker is killed exactly at each of nine points of a send, 100 times each; who comes later clears up.

Everybody hears once where the provider can be asked. Where it can neither be asked nor knows keys, nobody hears twice,
and each message whose worker died after its claim waits for a person. `counts` has the table: for each point the state
in which the kill left the message, the one in which it ended, and whether it arrived. The red twin takes for lost
whatever had been handed over.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

from faults import house, points
from tenants import clock
from tenants.models import Message
from tests.makers import NOW

KILLS = 100  # at each point
# How often a message killed there arrives where nobody can ask about it.
HEARD = {point: int(points.POINTS.index(point) >= points.POINTS.index("request out")) for point in points.POINTS}
HEARD["claiming"] = 1  # its claim was never made


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    each = max(2, round(KILLS * share))
    asked = _campaign(each, seed, "tests.pager:Pager")
    mute = _campaign(each, seed, "faults.s6:Mute")
    red = _campaign(max(2, each // 10), seed, "faults.house:Forgetful")
    return {
        "held": _is_heard(asked) and _is_silent(mute),
        "counts": {"with a query": asked, "with neither": mute},
        "red": {"held": _is_heard(red), "counts": red},
    }


def _is_heard(counts: dict[str, Any]) -> bool:
    """Everybody heard once, and the house knows."""
    return all(
        row["in the end"] == {"accepted": row["kills"]} and row["heard"] == row["kills"] and not row["twice"]
        for row in counts.values()
    )


def _is_silent(counts: dict[str, Any]) -> bool:
    """Nobody heard twice, and what nobody can know waits for a person."""
    ends = {point: "accepted" if point in {"claiming", "marked"} else "parked" for point in points.POINTS}
    return all(
        row["in the end"] == {ends[point]: row["kills"]}
        and row["heard"] == HEARD[point] * row["kills"]
        and not row["twice"]
        for point, row in counts.items()
    )


def _campaign(each: int, seed: int, pager: str) -> dict[str, Any]:
    """By point: kills, states just after the kill and in the end, and how many heard it, and more than once."""
    order = list(points.POINTS) * each
    random.Random(seed).shuffle(order)
    left: dict[str, Counter[str]] = {point: Counter() for point in points.POINTS}
    with house.house(len(order), seed) as (broker, service):
        everybody = Message.objects.order_by("pk").values_list("pk", flat=True)
        hit: dict[int, str] = {}
        with points.nursery("KILL", house.environment(broker, service, pager=pager)) as nursery:
            waiting = list(everybody)
            for point in order:
                nursery.hit(point)
                # Where the claim was never made the message would be the next one claimed: it goes behind the others.
                message = waiting.pop(0)
                hit[message] = point
                left[point][Message.objects.get(pk=message).state] += 1
                if point == "claiming":
                    Message.objects.filter(pk=message).update(not_before=NOW + timedelta(hours=1))
        worker = house.Worker(broker, service, pager=pager, sweep=True)
        try:
            house.until(
                lambda: not Message.objects.filter(state=Message.State.SENDING).exists(), "a claim does not lapse"
            )
            clock.set_to(NOW + timedelta(hours=2))  # longer than the channel is patient
            house.until(lambda: not house._open(), "not all came to an end", house.WITHIN, complain=False)
        finally:
            worker.kill()
        arrived = service.counts.arrived
        rows = {pk: (key, state) for pk, key, state in Message.objects.values_list("pk", "key", "state")}
    found: dict[str, Any] = {}
    for point in points.POINTS:
        those = [rows[pk] for pk, where in hit.items() if where == point]
        found[point] = {
            "kills": len(those),
            "left": dict(left[point]),
            "in the end": dict(Counter(state for _key, state in those)),
            "heard": sum(key in arrived for key, _state in those),
            "twice": sum(arrived[key] > 1 for key, _state in those),
        }
    return found
