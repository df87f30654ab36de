"""L2: one POST to sign, twenty times at once under one Idempotency-Key; and again after a kill (-9).

Of twenty at once all get the one answer, or 409 with Retry-After while the first is being acted on; asked again they
all have it, to the letter, and there is one contract. The same key with other digits is 422. In every fifth round the
web process is killed (-9) after it has committed and before it could answer, in every other fifth before it wrote
anything: what comes then finds the contract as it stands, or signs once the dead one's claim has run out. The red twin
knows no keys.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from typing import Any

from faults import Outcome, house, outcome, readers, web
from renewal import repeats
from tenants import clock
from tenants.models import Lease
from tests.makers import NOW, make_building, make_unit

ROUNDS, AT_ONCE = 100, 20
RED_ROUNDS = 5
KILLS = {3: "after", 4: "before"}  # in which of five rounds the process is killed, and where


def run(seed: int, share: float) -> Outcome:
    readers.begin()
    green = _campaign("L2", max(5, round(ROUNDS * share)))
    return outcome(*green, red=_campaign("R2", RED_ROUNDS, off="keys"))


def _campaign(name: str, rounds: int, *, off: str = "") -> tuple[bool, dict[str, Any]]:
    building = make_building(name)
    found: Counter[str] = Counter()
    with web.served(off=off) as site:
        for number in range(rounds):
            clock.set_to(NOW)
            link = readers.letter(unit=make_unit("", building))
            post = _post(link, f"{name}-{number}")
            killed = KILLS.get(number % 5, "")
            if killed:
                found["killed"] += _kill_at(site, post, killed, found)
            if killed == "before":
                found["waits"] += _waits(site.post(post))
                found["wrong: not told to wait"] += not _waits(site.post(post))
                clock.set_to(NOW + 2 * repeats.CLAIM)
            answers = site.at_once([post] * AT_ONCE)
            found["posts"] += AT_ONCE
            found["waits"] += sum(map(_waits, answers))
            found["wrong: neither answered nor told to wait"] += sum(
                not _waits(one) and (one.status, one.location) != (303, "/r/letter/done") for one in answers
            )
            settled = [site.post(post) for _time in range(3)]
            done = {(one.status, one.location, one.body) for one in (*answers, *settled) if not _waits(one)}
            found["wrong: several answers"] += len(done) != 1
            found["wrong: not one contract"] += Lease.objects.filter(renews=link.lease).count() != 1
            other = web.Post(post.session, post.path, post.form | {"code": "000000"}, post.key)
            found["wrong: other body not 422"] += site.post(other).status != 422
            found["rounds"] += 1
    what = ("not told to wait", "neither answered nor told to wait", "several answers", "not one contract",
            "other body not 422")  # fmt: skip
    wrong = {f"wrong: {each}": found[f"wrong: {each}"] for each in what}
    counts = {each: found[each] for each in ("rounds", "posts", "waits", "killed")}
    return not any(wrong.values()) and counts["killed"] > 0, counts | wrong


def _post(link: Any, key: str) -> web.Post:
    proposal = readers.proposal_of(link)
    form = {"quote": readers.quoted(proposal), "code": readers.coded(proposal, now=NOW)}
    return web.Post(web.session_of(link), "/r/letter/sign", form, key)


def _kill_at(site: web.Site, post: web.Post, place: str, found: Counter[str]) -> int:
    """The process that acts on the post dies at the place; meanwhile the same post is sent again."""
    (site.pause / place).touch()
    first = threading.Thread(target=lambda: answers.append(site.post(post)))
    answers: list[web.Answered] = []
    first.start()
    reached = site.pause / "reached"
    house.until(reached.exists, "nobody came to the place to die at")
    (site.pause / place).unlink()
    during = site.post(post)
    if place == "before":
        found["waits"] += _waits(during)
        found["wrong: not told to wait"] += not _waits(during)
    else:
        found["wrong: neither answered nor told to wait"] += during.location != "/r/letter/done"
    os.kill(int(reached.read_text()), signal.SIGKILL)
    first.join()
    reached.unlink()
    found["wrong: neither answered nor told to wait"] += answers[0].status != 0
    return 1


def _waits(answer: web.Answered) -> bool:
    return answer.status == 409 and answer.retry_after.isdecimal()
