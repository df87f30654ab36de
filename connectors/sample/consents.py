"""Who agreed to what: asked once, at the first signature; a few changed their mind later.

Renewal offers 80 %, personalised wording 90 %, door logs 60 % hold today. Most of the others said no, some
never answered. Fixed people agree to all, but for the one who refuses renewal offers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from connectors.sample.cast import REFUSES_MARKETING
from connectors.sample.days import Calendar, stamp
from connectors.sample.dice import whole
from connectors.sample.files import columns
from connectors.sample.leases import Contract
from connectors.sample.people import Person

HEADER = columns("手机号,用途,渠道,同意,时间,文本版本,凭证")
MARKETING, PROFILING, DOORS = "续租优惠", "个性化", "门锁记录"

# Purpose: (says yes, says no, of the yeses: withdrawn later)
_ODDS = {MARKETING: (0.83, 0.12, 0.04), PROFILING: (0.92, 0.05, 0.02), DOORS: (0.63, 0.27, 0.045)}
_ASKED_AGAIN = timedelta(days=900)  # who had signed before then was asked in one round
_ONE_CHANNEL_REFUSED = 0.03  # of those who agree to renewal offers, but not by SMS


@dataclass(frozen=True, slots=True)
class Consent:
    """One line of the ledger."""

    person: Person
    purpose: str
    channel: str
    granted: bool
    at: datetime
    text_version: str
    proof: str

    def row(self) -> list[object]:
        granted = "是" if self.granted else "否"
        return [
            self.person.phone, self.purpose, self.channel, granted, stamp(self.at), self.text_version, self.proof,
        ]  # fmt: skip


def ask(contracts: list[Contract], calendar: Calendar) -> list[Consent]:
    """The ledger, in the order of time. Void contracts leave no consent behind."""
    first: dict[Person, Contract] = {}
    for lease in contracts:
        known = first.get(lease.person)
        if not lease.void and (known is None or lease.signed_on < known.signed_on):
            first[lease.person] = lease
    lines = [line for lease in first.values() for line in _of(lease, calendar)]
    return sorted(lines, key=lambda line: (line.at, line.person.phone, line.purpose))


def _of(lease: Contract, calendar: Calendar) -> Iterator[Consent]:
    person = lease.person
    rng = person.dice("consents")
    asked_on, proof = lease.signed_on, f"签约登记 {lease.no}"
    if asked_on < calendar.today - _ASKED_AGAIN:
        asked_on, proof = calendar.today - _ASKED_AGAIN + timedelta(days=whole(rng, 0, 20)), "App 补充确认"
    at = datetime.combine(asked_on, time(whole(rng, 10, 18), whole(rng, 0, 59), whole(rng, 0, 59)))
    version = f"{asked_on.year}-{1 if asked_on.month < 7 else 7:02}"
    for purpose, (yes, no, withdrawn) in _ODDS.items():
        answer, change = rng.random(), rng.random()
        if person.cast:
            answer, change = (yes if purpose == MARKETING and person.cast in REFUSES_MARKETING else 0.0), 1.0
        if answer >= yes + no:
            continue
        granted = answer < yes
        yield Consent(person, purpose, "全部", granted, at, version, proof)
        later = at + timedelta(days=whole(rng, 20, 200), minutes=whole(rng, 0, 600))
        if granted and later < calendar.now:
            if change < withdrawn:
                yield Consent(person, purpose, "全部", False, later, version, "App 设置页撤回")
            elif purpose == MARKETING and change > 1 - _ONE_CHANNEL_REFUSED and not person.cast:
                yield Consent(person, purpose, "短信", False, later, version, "短信回复 R")


def lets_doors_be_logged(ledger: list[Consent]) -> set[Person]:
    """Those whose yes still stands. Who withdrew is not in it: nothing of them is handed on any more."""
    latest = {line.person: line.granted for line in ledger if line.purpose == DOORS}
    return {person for person, granted in latest.items() if granted}
