"""L1: 2, 8 and 32 people sign for one room at once, 500 times each, over HTTP: one has it, the others are told.

Everybody has an offer and a code for the room; each on a thread of the house's own. A loser must hear 409 within three
seconds, nobody 5xx, and no two leases of a unit may share a day. Whoever lost keeps their letter and tries for the
next room. The red twin has no lock and no exclusion constraint.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import connection

from faults import Outcome, outcome, readers, web
from renewal.models import Signature
from renewal.offers import Choice
from tenants import clock
from tests.makers import NOW, make_building, make_unit

ROUNDS = 500
CROWDS = (2, 8, 32)
WITHIN = 3.0  # seconds, asked of the whole campaign: a share of it runs beside other tests, on the same cores
RED_ROUNDS = 5
OVERLAPS = """
    select count(*) from tenants_lease a join tenants_lease b on a.unit_id = b.unit_id and a.id < b.id
    where a.state = 'signed' and b.state = 'signed'
        and daterange(a.first_day, a.last_day, '[]') && daterange(b.first_day, b.last_day, '[]')
"""


def run(seed: int, share: float) -> Outcome:
    readers.begin()
    green = _campaign("L1", round(ROUNDS * share), CROWDS, within=WITHIN if share >= 1 else None)
    with connection.cursor() as cursor:
        for name in excluding(cursor):
            cursor.execute(f'ALTER TABLE tenants_lease DROP CONSTRAINT "{name}"')
    red = _campaign("R1", RED_ROUNDS, (readers.CROWD,), off="locks")
    return outcome(*green, red=red)


def excluding(cursor: Any) -> list[str]:
    cursor.execute("SELECT conname FROM pg_constraint WHERE conrelid = 'tenants_lease'::regclass AND contype = 'x'")
    found = [row[0] for row in cursor.fetchall()]
    assert found
    return found


def _campaign(
    house: str, rounds: int, crowds: tuple[int, ...], *, within: float | None = None, off: str = ""
) -> tuple[bool, dict[str, Any]]:
    building = make_building(house)
    found: Counter[str] = Counter()
    slowest = 0.0
    with web.served(off=off) as site:
        for size in crowds:
            crowd = [readers.letter(unit=make_unit("", building)) for _person in range(size)]
            for _round in range(rounds):
                clock.set_to(NOW)
                room = readers.vacant(building)
                answers = site.at_once([_ready(link, room.code) for link in crowd])
                won = set(Signature.objects.filter(lease__unit=room).values_list("proposal__lease_id", flat=True))
                lost = [answer for answer in answers if answer.status == 409]
                slowest = max([slowest, *(answer.seconds for answer in lost)])
                found["signings"] += size
                found["rounds"] += 1
                found["rounds without one winner"] += len(won) != 1
                found["losers not told 409"] += size - len(won) - len(lost)
                found["answers of 5xx, or none"] += sum(one.status >= 500 or not one.status for one in answers)
                crowd = [link for link in crowd if link.lease_id not in won]
                crowd += [readers.letter(unit=make_unit("", building)) for _winner in range(size - len(crowd))]
        broken = site.broken()
    with connection.cursor() as cursor:
        cursor.execute(OVERLAPS)
        (overlaps,) = cursor.fetchone()
    wrong = {
        name: found[name] for name in ("rounds without one winner", "losers not told 409", "answers of 5xx, or none")
    }
    wrong |= {"overlaps": overlaps}
    held = not any(wrong.values()) and (within is None or slowest < within)
    counts = {"rounds": found["rounds"], "signings": found["signings"], **wrong}
    said = {"broken": broken} if broken else {}
    return held, {**counts, "slowest loser, seconds": round(slowest, 2), **said}


def _ready(link: Any, room: str) -> web.Post:
    """An offer for the room, a code for it, and the browser in which both are."""
    proposal = readers.proposal_of(link)
    token = readers.quoted(proposal, Choice(12, 0, room))
    form = {"quote": token, "code": readers.coded(proposal, now=NOW)}
    return web.Post(web.session_of(link), "/r/letter/sign", form)
