"""K2: a million guessed tokens against 10,000 letters: none opens, guessing is throttled, and no time tells.

Half of the guesses are random, half are letters' tokens with one character changed. All are looked up as the house
does, by their hash; 20,000 of them are asked for over HTTP, half from one address and half from 40, with counters in
Redis: of each address ten a minute are told 404 and the others 429, while good links behind the same addresses open.
Then good and unknown links are asked for by turns, each time from an address of its own: the 95th percentiles of
both lie within 5 ms of one another (in a share, which runs beside other tests on the same cores, the least disturbed
tenths within 25). The red twin throttles nothing.
"""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.db import connection

from faults import Outcome, house, outcome, readers, web
from tenants import links
from tests.makers import NOW, make_building, make_unit

GUESSES, ASKED, LETTERS, TIMED = 1_000_000, 20_000, 10_000, 2_000
ADDRESSES, AT_ONCE = 40, 8
GAP = 0.005  # seconds
LIMIT = 10  # unknown links a minute from one address
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
RED_ASKED = 200
OF_ALL = {"H5_LOOKS_PER_LINK": "1000000000", "PROXIES": "1"}


def run(seed: int, share: float) -> Outcome:
    readers.begin()
    dice = random.Random(seed)
    tokens = _letters(round(LETTERS * min(1, share * 5)))
    hits = _hits(dice, tokens, round(GUESSES * share))
    green = _asked(dice, tokens, round(ASKED * share), LIMIT)
    timed = _timed(dice, tokens, max(200, round(TIMED * share)))
    gap = timed["p95 gap, ms" if share >= 1 else "p10 gap, ms"]
    counts = {"guesses": round(GUESSES * share), "letters": len(tokens), "hits": hits, **green, **timed}
    red = _asked(dice, tokens, RED_ASKED, readers.EVERY)
    return outcome(
        not hits and _is_throttled(green) and gap < GAP * 1000 * (1 if share >= 1 else 5),
        counts,
        red=(_is_throttled(red), red),
    )


def _letters(number: int) -> list[str]:
    """Tokens of so many good links to one letter: messages may carry any number of them."""
    first = readers.letter(unit=make_unit("", make_building("K2")))
    wanted = [
        links.Wanted(f"message:guess:{n}", first.tenant_id, first.lease_id, "proposal", first.expires_at)
        for n in range(number)
    ]
    return links.mint_many(wanted, now=NOW)


def _guess(dice: random.Random, tokens: list[str]) -> str:
    if dice.random() < 0.5:
        return "".join(dice.choices(ALPHABET, k=26))
    token, place = dice.choice(tokens), dice.randrange(25)  # the last character holds three bits only
    other = dice.choice([each for each in ALPHABET if each != token[place]])
    return token[:place] + other + token[place + 1 :]


def _hits(dice: random.Random, tokens: list[str], guesses: int) -> int:
    """How many of so many guesses are a link's or a ticket's."""
    hits = 0
    with connection.cursor() as cursor:
        for start in range(0, guesses, 10_000):
            hashes = [links.hash_of(_guess(dice, tokens)) for _guess_ in range(min(10_000, guesses - start))]
            for table in ("tenants_link", "campaigns_ticket"):
                cursor.execute(f"SELECT count(*) FROM {table} WHERE token_hash = ANY(%s)", [hashes])
                hits += cursor.fetchone()[0]
        # The question finds what is there.
        cursor.execute("SELECT count(*) FROM tenants_link WHERE token_hash = ANY(%s)", [[links.hash_of(tokens[0])]])
        assert cursor.fetchone()[0] == 1
    return hits


def _asked(dice: random.Random, tokens: list[str], asked: int, limit: int) -> dict[str, Any]:
    """Guesses over HTTP, half of them from one address; and good links from the same addresses."""
    crowd = [f"198.51.100.{n}" for n in range(1, ADDRESSES + 1)]
    plan = [("203.0.113.9" if n % 2 else crowd[n // 2 % ADDRESSES], _guess(dice, tokens)) for n in range(asked)]
    good = [(address, dice.choice(tokens)) for address in ("203.0.113.9", *crowd)]
    found: Counter[int] = Counter()
    with TemporaryDirectory() as folder:
        broker = house.Broker(Path(folder))
        told = {**OF_ALL, "H5_MISSES_PER_ADDRESS": str(limit), "REDIS_URL": broker.url}
        try:
            with web.served(more=told) as site:
                began = time.time()
                with ThreadPoolExecutor(AT_ONCE) as pool:
                    shares = [plan[n::AT_ONCE] for n in range(AT_ONCE)]
                    for statuses in pool.map(lambda share: _statuses(site.port, share), shares):
                        found.update(statuses)
                    opened = Counter(_statuses(site.port, good))
                minutes = int(time.time() // 60) - int(began // 60) + 1
        finally:
            broker.kill()
    return {
        "asked": asked,
        "404": found[404],
        "429": found[429],
        "other answers": asked - found[404] - found[429],
        "at most 404": (ADDRESSES + 1) * LIMIT * (minutes + 1),  # the product's minutes begin within ours
        "good links from the same addresses": len(good),
        "turned away": len(good) - opened[200],
    }


def _is_throttled(counts: dict[str, Any]) -> bool:
    return (
        0 < counts["404"] <= counts["at most 404"]
        and counts["429"] > 0
        and not counts["other answers"]
        and not counts["turned away"]
    )


def _statuses(port: int, plan: list[tuple[str, str]]) -> list[int]:
    caller = HTTPConnection("127.0.0.1", port, timeout=60)
    found = [_look(caller, address, token)[0] for address, token in plan]
    caller.close()
    return found


def _look(caller: HTTPConnection, address: str, token: str) -> tuple[int, float]:
    """Status, and seconds."""
    start = time.perf_counter()
    caller.request("GET", f"/r/{token}", headers={"X-Forwarded-For": address})
    answer = caller.getresponse()
    answer.read()
    return answer.status, time.perf_counter() - start


def _timed(dice: random.Random, tokens: list[str], pairs: int) -> dict[str, Any]:
    """How far apart good and unknown links are, asked for by turns."""
    good, unknown = [], []
    with web.served(more=OF_ALL) as site:
        caller = HTTPConnection("127.0.0.1", site.port, timeout=60)
        for number in range(-50, pairs):
            address = f"10.{number % 250}.{number // 250 % 250}.1"
            one, two = _look(caller, address, dice.choice(tokens)), _look(caller, address, _guess(dice, tokens))
            assert (one[0], two[0]) == (200, 404)
            if number >= 0:  # templates and connections are warm
                good.append(one[1])
                unknown.append(two[1])
        caller.close()
    p10, p50, p95 = ([statistics.quantiles(each, n=20)[n] for each in (good, unknown)] for n in (1, 9, 18))
    return {
        "timed pairs": pairs,
        "p95 good, ms": round(1000 * p95[0], 2),
        "p95 unknown, ms": round(1000 * p95[1], 2),
        "p95 gap, ms": round(1000 * abs(p95[0] - p95[1]), 2),
        "median gap, ms": round(1000 * abs(p50[0] - p50[1]), 2),
        "p10 gap, ms": round(1000 * abs(p10[0] - p10[1]), 2),
    }
