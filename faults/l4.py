"""L4: 10,000 tampered POSTs, seven quotes to three signatures: the price stays the server's.

Terms, free months, rooms, perks, prices, tokens of offers and digits are replaced by what a hostile browser sends:
other numbers, negative ones, NaN, 1e309, other scripts' digits, text, SQL, long strings, rooms of others and of other
buildings, tokens with bytes changed, with another choice under the old signature, signed with another key, somebody
else's, expired. What is answered is worked out again from the published rows by SQL, and so is every lease that is
signed. What is published and untouched must be taken: a server that refuses everything would not hold. Every other
POST is from a browser that sends prices of its own beside the choice.

The red twin takes any term at the nearest published rent, and does not look at the signature of an offer.
"""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from django.core import signing as django_signing

from faults import Outcome, outcome, readers
from renewal import offers, quotes
from renewal.models import Signature
from tenants import clock
from tenants.models import Lease
from tests.letter import OWN
from tests.makers import NOW, TODAY, make_building, make_lease, make_unit

POSTS, SIGNING = 10_000, 0.3
GENUINE = 0.1  # of the signatures: nothing but prices of their own is wrong with them
RED = 0.03
HOUSE = 20  # quotes asked of one letter
WRONG: tuple[str, ...] = (
    "", " ", "-1", "-12", "0", "1", "7", "13", "37", "999", "1000", "12.0", "1e1", "1e309", "NaN", "Infinity", "-inf",
    "12\u0000", "１２", "十二", "٣", "0x0c", "12;drop table renewal_rate", "' or 1=1 --", "null", "true", "[12]",
    "{}", "9" * 400, "12,5", "+12", "1_2", "\u202e21", "12abc", "../12",
)  # fmt: skip
PRICES = (
    "monthly_rent",
    "rent",
    "price",
    "total",
    "deposit",
    "average_rent",
    "first_day",
    "last_day",
    "version",
    "digest",
)


def run(seed: int, share: float) -> Outcome:
    readers.begin()
    green = _campaign("L4", seed, round(POSTS * share))
    with patch.object(offers, "_rate", _nearest), patch.object(quotes, "_said", _unsigned):
        red = _campaign("R4", seed, round(POSTS * min(share, RED)))
    return outcome(*green, red=red)


def _nearest(room: offers.Room, choice: offers.Choice) -> offers.Rate:
    """The protection off: what is not published costs what is."""
    months = max(1, abs(choice.term_months))
    return replace(room.rates[0], term_months=months, free_months=min(choice.free_months, months))


def _unsigned(token: str) -> dict[str, Any]:
    """The protection off: whatever can be read is believed."""
    try:
        said: dict[str, Any] = json.loads(_decoded(token.split(":")[0]))
    except ValueError as error:
        raise quotes.Tampered from error
    return said


def _campaign(house: str, seed: int, posts: int) -> tuple[bool, dict[str, Any]]:
    dice = random.Random(seed)
    found: Counter[str] = Counter()
    building = make_building(house)
    taken = make_unit(f"{house}-T1", building, room_type=readers.LARGE)
    make_lease(unit=taken, last_day=TODAY + timedelta(days=300))
    elsewhere = readers.vacant(make_building(f"{house}X"))
    strange = ["", taken.code, elsewhere.code, "B9-9999", *WRONG]
    signing = [dice.random() < SIGNING for _post in range(posts)]
    readers_left = _readers(building)
    asked, reader = 0, next(readers_left)
    others_token = readers.quoted(next(readers_left).proposal)
    for is_signature in signing:
        clock.set_to(NOW)  # a whole run takes longer than an offer lives
        if is_signature:
            if dice.random() < GENUINE:
                found.update(_sign_genuinely(dice, next(readers_left)))
            else:
                found.update(_sign_tampered(dice, reader, others_token))
            continue
        if asked == HOUSE:
            asked, reader = 0, next(readers_left)
        asked += 1
        found.update(_ask(dice, reader, strange))
    wrong = {f"wrong: {name}": found[name] for name in
             ("price", "taken out of range", "refused in range", "signed with a tampered offer", "signed price",
              "not signed in range", "answers of 5xx")}  # fmt: skip
    counts = {name: found[name] for name in ("quotes", "quoted", "signatures", "signed")}
    return not any(wrong.values()) and found["quoted"] > 0 < found["signed"], {"posts": posts, **counts, **wrong}


def _readers(building: Any) -> Iterator[readers.Reader]:
    """One after the other, each with a room to move to: it is taken where one before has signed for it."""
    room = readers.vacant(building)
    while True:
        if Lease.objects.filter(unit=room).exists():
            room = readers.vacant(building)
        yield readers.reader(unit=make_unit("", building))


# --- Quotes -------------------------------------------------------------------------------------------------


def _ask(dice: random.Random, reader: readers.Reader, strange: list[str]) -> Counter[str]:
    (term, free), move = dice.choice(list(OWN)), dice.random() < 0.3
    rooms = sorted(reader.rooms - {""})
    form = {"term": str(term), "free": str(free), "perk": dice.choice(("", "stay")), "tab": "move" if move else "stay"}
    if move:
        form |= {"term": "12", "free": "0", "unit": dice.choice(rooms or [""])}
    if form["perk"] and int(form["term"]) < 12:
        form["perk"] = ""
    is_untouched = dice.random() < 0.25
    if move and Lease.objects.filter(unit__code=form["unit"]).exists():
        is_untouched = False  # somebody signed for it after the page was shown
    elif not is_untouched:
        for name in dice.sample(["term", "free", "unit", "perk", "tab"], dice.randint(1, 3)):
            form[name] = dice.choice(strange)
    if dice.random() < 0.5:
        form |= {name: dice.choice(("1.00", "0", *WRONG)) for name in dice.sample(PRICES, 3)}
    answer = reader.client.post("/r/letter/quote", form, headers={"accept": "application/json"})
    found = Counter({"quotes": 1, "answers of 5xx": answer.status_code >= 500})
    if answer.status_code != 200:
        found["refused in range"] += is_untouched
        return found
    said = answer.json()
    found["quoted"] += 1
    found["price"] += not _is_published(reader, said)
    found["taken out of range"] += not _is_asked(form, said, reader)
    return found


def _is_published(reader: readers.Reader, said: dict[str, Any]) -> bool:
    """The answer's figures are those of the published row of the room, term and free months that it names."""
    wanted = {"term": said["term_months"], "free": said["free_months"], "unit": said["unit"]}
    published = readers.price_of(reader.link.lease, **wanted, day=TODAY)
    if published is None:
        return False
    rent, total, average, deposit, first_day, last_day, _unit = published
    shown = [Decimal(said[name]) for name in ("monthly_rent", "total", "average_rent", "deposit")]
    days = [said["first_day"], said["last_day"]]
    return shown == [rent, total, average, deposit] and days == [first_day.isoformat(), last_day.isoformat()]


def _is_asked(form: dict[str, str], said: dict[str, Any], reader: readers.Reader) -> bool:
    """The answer is to what was asked, and what was asked could be chosen on the page."""
    unit = form.get("unit", "") if form["tab"] == "move" else ""
    own = reader.link.lease.unit.code
    numbers = [form["term"], form["free"] or "0"]
    return (
        all(each.isascii() and each.isdecimal() for each in numbers)
        and [said["term_months"], said["free_months"]] == [int(each) for each in numbers]
        and said["unit"] == (unit or own)
        and unit in reader.rooms | {own}
        and said["perk"] == form["perk"]
        and (not said["perk"] or (said["perk"] == "stay" and said["term_months"] >= 12))
    )


# --- Signatures ---------------------------------------------------------------------------------------------


def _sign_genuinely(dice: random.Random, reader: readers.Reader) -> Counter[str]:
    """An offer as the server made it; the prices beside it are the browser's own."""
    term, free = dice.choice(list(OWN))
    room = dice.choice(sorted(reader.rooms))
    choice = offers.Choice(12, 0, room) if room else offers.Choice(term, free)
    proposal = reader.proposal
    token = readers.quoted(proposal, choice)
    form = {name: dice.choice(("1.00", "0", *WRONG)) for name in PRICES}
    form |= {"code": readers.coded(proposal, now=NOW), "quote": token, "unit": "B9-9999", "term": "1"}
    answer = reader.client.post("/r/letter/sign", form)
    signature = Signature.objects.select_related("lease__unit").filter(proposal=proposal).first()
    found = Counter({"signatures": 1, "answers of 5xx": answer.status_code >= 500})
    if signature is None:
        found["not signed in range"] += 1
        return found
    published = readers.price_of(
        reader.link.lease, term=choice.term_months, free=choice.free_months, unit=choice.unit, day=TODAY
    )
    lease = signature.lease
    signed = (lease.monthly_rent, Decimal(signature.quote["total"]), Decimal(signature.quote["average_rent"]))
    found["signed"] += 1
    found["signed price"] += published != (*signed, lease.deposit, lease.first_day, lease.last_day, lease.unit.code)
    return found


def _sign_tampered(dice: random.Random, reader: readers.Reader, others: str) -> Counter[str]:
    """An offer that is not the server's to this reader, with the right digits."""
    proposal = reader.proposal
    good = readers.quoted(proposal)
    token = dice.choice(TAMPERINGS)(dice, good, others)
    code = readers.coded(proposal, now=NOW)
    if dice.random() < 0.3:  # some ask for the code with it, too
        reader.client.post("/r/letter/code", {"quote": token, "agree": "1"})
    answer = reader.client.post("/r/letter/sign", {"code": code, "quote": token or "-"})
    signed = Signature.objects.filter(proposal=proposal).exists()
    found = Counter({"signatures": 1, "answers of 5xx": answer.status_code >= 500})
    found["signed with a tampered offer"] += signed and token != good
    return found


def _byte_changed(dice: random.Random, good: str, _others: str) -> str:
    place = dice.randrange(len(good))
    other = dice.choice([each for each in "abcXYZ019:_-" if each != good[place]])
    return good[:place] + other + good[place + 1 :]


def _choice_changed(dice: random.Random, good: str, _others: str) -> str:
    """Another choice, digest or end under the old signature."""
    payload, *signature = good.split(":")
    said = json.loads(_decoded(payload))
    match dice.randrange(4):
        case 0:
            said["choice"][dice.randrange(3)] = dice.choice((1, -12, 36, 1e308, "B9-9999", None))
        case 1:
            said["until"] = (NOW + timedelta(days=dice.randint(1, 3650))).isoformat()
        case 2:
            said["digest"] = "0" * 64
        case _:
            said["proposal"] = dice.randrange(1, 10_000)
    return ":".join([_encoded(json.dumps(said).encode()), *signature])


def _signed_otherwise(_dice: random.Random, good: str, _others: str) -> str:
    said = json.loads(_decoded(good.split(":")[0]))
    return django_signing.dumps(said, key="a guess", salt=quotes.SALT)


def _other_salt(_dice: random.Random, good: str, _others: str) -> str:
    """Signed by this server, for something else."""
    return django_signing.dumps(json.loads(_decoded(good.split(":")[0])), salt="django.contrib.sessions")


def _expired(_dice: random.Random, good: str, _others: str) -> str:
    """The server's own, of half an hour ago."""
    said = json.loads(_decoded(good.split(":")[0])) | {"until": NOW.isoformat()}
    return django_signing.dumps(said, salt=quotes.SALT)


def _somebody_else_s(_dice: random.Random, _good: str, others: str) -> str:
    return others


def _no_token(dice: random.Random, _good: str, _others: str) -> str:
    return dice.choice((*WRONG, "a:b:c", ":::", "e30:" + "A" * 6 + ":" + "B" * 43, "x" * 10_000))


TAMPERINGS: tuple[Callable[[random.Random, str, str], str], ...] = (
    _byte_changed, _choice_changed, _signed_otherwise, _other_salt, _expired, _somebody_else_s, _no_token,
)  # fmt: skip


def _decoded(payload: str) -> bytes:
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))


def _encoded(payload: bytes) -> str:
    return base64.urlsafe_b64encode(payload).decode().rstrip("=")
