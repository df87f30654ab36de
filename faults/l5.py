"""L5: 1,000 times something changes between looking and signing: nobody signs what they have not been shown.

Each looks at the agreement, and has the right code; then another rent is published from today or from tomorrow, the
line is withdrawn, the half hour of the offer runs out, the day of the line ends, the chosen room is let, its deposit
or the end of the lease is corrected, or the perk runs out; every eighth time nothing changes, or only how long the
line will hold. What was shown then must sign, and what has changed must not, until it has been looked at again: then
it signs, at the price that SQL finds at that moment. The red twin holds no offer to what was shown.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from faults import Outcome, outcome, readers
from renewal import quotes
from renewal.models import Rate, Signature
from tenants import clock
from tenants.models import Lease, Perk, Unit
from tests.letter import OWN, hidden
from tests.makers import NOW, TODAY, make_building, make_lease, make_unit

CASES = 1_000
RED = 0.03
LATE = timedelta(hours=13, minutes=45)  # from NOW to a quarter to midnight in Shanghai


@dataclass
class Case:
    """Somebody at the agreement, and what they chose."""

    dice: random.Random
    reader: readers.Reader
    term: int
    free: int
    unit: str  # "" for the room lived in
    perk: str
    starts_at: timedelta = timedelta()  # after NOW

    @property
    def lines(self) -> Any:
        lease = Lease.objects.select_related("unit").get(pk=self.reader.link.lease_id)
        kind = Unit.objects.get(code=self.unit).room_type if self.unit else lease.unit.room_type
        found = Rate.objects.filter(building=lease.unit.building_id, room_type=kind)
        return found.filter(term_months=self.term, free_months=self.free)

    def price(self) -> tuple[Any, ...] | None:
        lease = Lease.objects.get(pk=self.reader.link.lease_id)
        today = clock.today()
        if self.unit and Lease.objects.filter(unit__code=self.unit, last_day__gt=lease.last_day).exists():
            return None
        if self.perk and Perk.objects.get(code=self.perk).stock == 0:
            return None
        return readers.price_of(lease, term=self.term, free=self.free, unit=self.unit, day=today)


def run(seed: int, share: float) -> Outcome:
    readers.begin()
    green = _campaign("L5", seed, round(CASES * share))
    with patch.object(quotes, "_digest", lambda quote: "as good as any"):
        red = _campaign("R5", seed, max(20, round(CASES * min(share, RED))))
    return outcome(*green, red=red)


# --- What changes -------------------------------------------------------------------------------------------


def _other_rent(case: Case, since: date) -> None:
    line = case.lines.latest("signed_from")
    line.pk, line.signed_from = None, since
    line.monthly_rent += case.dice.choice((Decimal("-100.00"), Decimal("0.01"), Decimal("250.50")))
    line.save(force_insert=True)


def another_rent_today(case: Case) -> None:
    _other_rent(case, TODAY)


def another_rent_tomorrow(case: Case) -> None:
    _other_rent(case, TODAY + timedelta(days=1))
    clock.set_to(NOW + LATE + timedelta(minutes=20))


def line_withdrawn(case: Case) -> None:
    case.lines.update(signed_to=TODAY - timedelta(days=1))


def line_s_day_over(case: Case) -> None:
    case.lines.update(signed_to=TODAY)
    clock.set_to(NOW + LATE + timedelta(minutes=20))


def half_hour_over(case: Case) -> None:
    clock.set_to(NOW + case.starts_at + quotes.LIFETIME + timedelta(seconds=case.dice.randint(0, 3600)))


def room_let(case: Case) -> None:
    make_lease(unit=Unit.objects.get(code=case.unit), first_day=TODAY, last_day=TODAY + timedelta(days=364))


def deposit_corrected(case: Case) -> None:
    if case.unit:
        Unit.objects.filter(code=case.unit).update(list_rent=Decimal("4712.34"))
    else:
        Lease.objects.filter(pk=case.reader.link.lease_id).update(deposit=Decimal("3912.34"))


def lease_s_end_corrected(case: Case) -> None:
    lease = Lease.objects.get(pk=case.reader.link.lease_id)
    last_day = lease.last_day + timedelta(days=case.dice.choice((-1, 1, 30)))
    Lease.objects.filter(pk=lease.pk).update(
        last_day=last_day, agreed_last_day=last_day, anchor_day=(last_day + timedelta(days=1)).day
    )


def perk_gone(case: Case) -> None:
    Perk.objects.filter(code=case.perk).update(stock=0)


def nothing(case: Case) -> None:
    if case.dice.random() < 0.5:
        case.lines.update(signed_to=TODAY + timedelta(days=400))


CHANGES: tuple[Callable[[Case], None], ...] = (
    another_rent_today, another_rent_tomorrow, line_withdrawn, line_s_day_over, half_hour_over, deposit_corrected,
    lease_s_end_corrected, nothing,
)  # fmt: skip


# --- The campaign -------------------------------------------------------------------------------------------


def _campaign(house: str, seed: int, cases: int) -> tuple[bool, dict[str, Any]]:
    dice = random.Random(seed)
    found: Counter[str] = Counter()
    for number in range(cases):
        found.update(_one(dice, f"{house}{number:04}", CHANGES[number % len(CHANGES)]))
    what = ("signed without being shown", "not signed as shown", "signed at another price", "answers of 5xx")
    wrong = {f"wrong: {each}": found[f"wrong: {each}"] for each in what}
    counts = {each: found[each] for each in ("cases", "refused", "signed as shown", "signed after a second look")}
    is_telling = min(counts["refused"], counts["signed as shown"], counts["signed after a second look"]) > 0
    return not any(wrong.values()) and is_telling, counts | wrong


def _one(dice: random.Random, house: str, change: Callable[[Case], None]) -> Counter[str]:
    late = change in {another_rent_tomorrow, line_s_day_over}
    case = _at_the_agreement(dice, house, LATE if late else timedelta())
    if change is deposit_corrected and dice.random() < 0.5:
        change = perk_gone if case.perk else room_let if case.unit else change
    client, proposal = case.reader.client, case.reader.proposal
    token = hidden(client.get("/r/letter/agreement"), "quote")
    shown, until = case.price(), clock.now() + quotes.LIFETIME
    assert shown is not None, house
    change(case)
    now = clock.now()
    stands = case.price() == shown and now < until
    form = {"quote": token, "agree": "1", "code": readers.coded(proposal, now=now)}
    answers = [client.post("/r/letter/sign", form)]
    signed = Signature.objects.filter(proposal=proposal).exists()
    found = Counter({
        "cases": 1,
        "refused": not signed,
        "signed as shown": signed and stands,
        "wrong: signed without being shown": signed and not stands,
        "wrong: not signed as shown": stands and not signed,
    })  # fmt: skip
    expected = shown
    if not signed and (now_asked := case.price()) is not None:
        expected = now_asked
        page = client.get("/r/letter/agreement")
        again = hidden(page, "quote")
        answers += [page, client.post("/r/letter/sign", {"quote": again, "code": readers.coded(proposal, now=now)})]
        signature = Signature.objects.filter(proposal=proposal).first()
        found["signed after a second look"] += signature is not None
        found["wrong: not signed as shown"] += signature is None
    if signature := Signature.objects.select_related("lease__unit").filter(proposal=proposal).first():
        lease, quote = signature.lease, signature.quote
        sums = (lease.monthly_rent, Decimal(quote["total"]), Decimal(quote["average_rent"]), lease.deposit)
        price = (*sums, lease.first_day, lease.last_day, lease.unit.code)
        found["wrong: signed at another price"] += price != expected or quote["perk"] != case.perk
    found["wrong: answers of 5xx"] += sum(answer.status_code >= 500 for answer in answers)
    Perk.objects.filter(code=case.perk).update(is_choice=False)  # nobody else's
    return found


def _at_the_agreement(dice: random.Random, house: str, starts_at: timedelta) -> Case:
    """Somebody in a house of their own who has chosen, and reads the agreement."""
    clock.set_to(NOW + starts_at)
    building = make_building(house)
    room = readers.vacant(building)
    (term, free), unit, perk = dice.choice(list(OWN)), "", ""
    if dice.random() < 0.3:
        term, free, unit = 12, 0, room.code
    if dice.random() < 0.3:
        perk = f"perk-{house}"
        Perk.objects.create(code=perk, name="保洁", condition="", cost=0, stock=1, is_choice=True)
    reader = readers.reader(unit=make_unit("", building))
    choice = {"term": str(term), "free": str(free), "perk": perk, "tab": "move" if unit else "stay", "unit": unit}
    reader.client.post("/r/letter/agreement", choice)
    return Case(dice, reader, term, free, unit, perk, starts_at)
