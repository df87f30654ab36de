"""L3: 500 pairs swap their rooms: one signs for B and leaves A, the other signs for A and leaves B, in one moment.

Both lock both rooms, so that whoever locks them in the order of their own wishes meets the other half way. Nobody may
be told of a deadlock, none may happen at all by PostgreSQL's own count, and both sign. The house offers nobody a room
whose tenant has not decided yet: for the swap, here it does. The red twin locks the rooms as they are named, and does
not try again.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import connection

from faults import Outcome, outcome, readers, web
from faults.l1 import OVERLAPS
from renewal.models import Signature
from renewal.offers import Choice
from tenants import clock
from tenants.models import Link
from tests.makers import NOW, make_building, make_unit

PAIRS, AT_ONCE = 500, 8  # pairs that swap at the same time
RED_PAIRS = 16


def run(seed: int, share: float) -> Outcome:
    readers.begin()
    readers.offer_undecided()
    green = _campaign("L3", max(AT_ONCE, round(PAIRS * share)), "swaps")
    return outcome(*green, red=_campaign("R3", RED_PAIRS, "swaps order"))


def _campaign(house: str, pairs: int, off: str) -> tuple[bool, dict[str, Any]]:
    found: Counter[str] = Counter()
    before = _one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    slowest = 0.0
    with web.served(off=off) as site:
        for start in range(0, pairs, AT_ONCE):
            clock.set_to(NOW)
            posts = [post for n in range(start, min(start + AT_ONCE, pairs)) for post in _swap(f"{house}{n:04}")]
            answers = site.at_once(posts)
            slowest = max([slowest, *(answer.seconds for answer in answers)])
            found["swaps"] += len(posts) // 2
            found["not signed"] += sum(answer.location != "/r/letter/done" for answer in answers)
            found["answers of 5xx, or none"] += sum(one.status >= 500 or not one.status for one in answers)
        broken = site.broken()
    signed = Signature.objects.filter(lease__unit__code__startswith=house).count()
    deadlocks = _one(
        "SELECT pg_stat_clear_snapshot(), deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    wrong = {
        "not signed": found["not signed"] + (2 * pairs - signed if not found["not signed"] else 0),
        "answers of 5xx, or none": found["answers of 5xx, or none"],
        "deadlocks": deadlocks - before,
        "overlaps": _one(OVERLAPS),
    }
    counts = {"swaps": found["swaps"], **wrong, "slowest, seconds": round(slowest, 2)}
    return not any(wrong.values()), counts | ({"broken": broken} if broken else {})


def _swap(house: str) -> list[web.Post]:
    """Two tenants of one house, each with an offer and a code for the other's room."""
    building = make_building(house)
    pair = [readers.letter(unit=make_unit(f"{house}-{name}", building)) for name in "AB"]
    return [_ready(mine, other.lease.unit.code) for mine, other in (pair, reversed(pair))]


def _ready(link: Link, room: str) -> web.Post:
    proposal = readers.proposal_of(link)
    form = {"quote": readers.quoted(proposal, Choice(12, 0, room)), "code": readers.coded(proposal, now=NOW)}
    return web.Post(web.session_of(link), "/r/letter/sign", form)


def _one(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[-1])
