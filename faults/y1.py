"""Y1: a year of 3,900 random tenants: nothing goes in quiet hours, over the budget, without consent, after an answer.

Each day playbooks are joined, planned and handed over, other rooms post offers and words of service, tenants refuse and
agree again, sign, give notice or decline, and at random hours of the day and the night the outbox is drained; of the
provider's answers some are lost. Afterwards the rows are counted by this file alone: when each message went, by its
attempts, against the calendar, the consent ledger and what tenants answered. In the red twins one protection each is
off, and what it protects from is found.
"""

from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import chinese_calendar
from django.db import connection, transaction

from campaigns import playbooks, pushes
from faults import mail
from tenants import clock, consents, outbox
from tenants.models import Attempt, Lease, Message, Tenant
from tenants.outbox import Draft, rules
from tests.makers import NOW, TODAY, make_building, make_lease, make_playbook, make_tenant, make_unit
from tests.standins.base import Fault
from tests.standins.pager import PagerService

PEOPLE, DAYS = 3900, 365
RED_PEOPLE, RED_DAYS = 150, 35
STEPS = range(6, 366, 12)  # days before the lease's end
# What happens to a person in a day, at an hour of its own.
CHANCES = {"refuses": 0.003, "agrees": 0.004, "signs": 0.0006, "gives notice": 0.0006, "declines": 0.0006}
OFFERED, SERVED = 0.07, 0.03  # the share of people to whom another room says something in a day
FAULTS = (Fault("drop", share=0.02, path="/send"), Fault("lost", share=0.02, path="/send"))
# When each message went: its last try that may have left the house.
WENT = """
    SELECT m.key, m.klass, m.tenant_id, m.lease_id, m.stops_on_answer, max(a.started_at) AS went
    FROM tenants_message m JOIN tenants_attempt a ON a.message_id = m.id
    WHERE a.outcome <> 'slow_down'
    GROUP BY m.id
"""
WITHOUT_CONSENT = f"""
    SELECT count(*) FROM ({WENT}) sent
    WHERE klass = 'marketing' AND NOT coalesce((
        SELECT line.granted FROM tenants_consent line
        WHERE line.tenant_id = sent.tenant_id AND line.purpose = 'marketing' AND line.at <= sent.went
        ORDER BY line.at DESC LIMIT 1), false)
"""


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    counts = _campaign(seed, round(PEOPLE * max(share, 0.2)), round(DAYS * max(share, 0.1)), tells=True)
    red = {}
    for what, protection in PROTECTIONS.items():
        with protection():
            red[what] = _campaign(seed, RED_PEOPLE, RED_DAYS)[what]
    held = not any(counts[what] for what in (*PROTECTIONS, "lost", "twice")) and counts["sent"] > 0
    return {"held": held, "counts": counts, "red": {"held": not all(red.values()), "counts": red}}


# --- The year ---------------------------------------------------------------------------------------------------


def _campaign(seed: int, people: int, days: int, *, tells: bool = False) -> dict[str, int]:
    dice = random.Random(seed)
    with mail.provider("pagers", seed=seed) as service:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE campaigns_playbook, tenants_tenant CASCADE")
        service.faults = list(FAULTS)
        with transaction.atomic():
            year = _Year(dice, people)
        for n in range(days):
            if not n % 30:
                _look_over_the_tables()
            year.live(TODAY + timedelta(days=n))
        for hours in range(0, 24 * 8, 3):  # what waits goes or expires
            mail.drained(now=clock.at(TODAY + timedelta(days=days)) + timedelta(hours=hours))
        return _count(year, service, tells=tells)


class _Year:
    """People with leases, and what they do."""

    def __init__(self, dice: random.Random, people: int) -> None:
        self.dice = dice
        steps = [
            {"code": f"y-{days}", "anchor": "end", "days": days, "text": "租约 {last_day}到期。"} for days in STEPS
        ]
        make_playbook("y", *steps, lead_days=370, at=NOW - timedelta(days=30))
        self.now: dict[int, Lease] = {}  # by tenant, the lease they live under
        self.tenants: dict[int, Tenant] = {}
        self.answers: dict[int, datetime] = {}  # by lease: signed, noticed or declined
        self.happened: Counter[str] = Counter()
        for n in range(people):
            tenant = make_tenant(consents=("marketing", "profiling") if dice.random() < 0.9 else ("profiling",))
            unit = make_unit(building=make_building(f"Y{n % 12}"))
            lease = make_lease(tenant, unit, last_day=TODAY + timedelta(days=dice.randint(10, 500)))
            self.now[tenant.pk], self.tenants[tenant.pk] = lease, tenant

    def live(self, day: date) -> None:
        """All that happens that day, in its order."""
        deeds: list[tuple[datetime, Callable[[datetime], None]]] = [(clock.at(day, 8, 30), self._run_day)]
        for what, chance in CHANCES.items():
            for tenant in self._some(chance):
                deeds.append((self._hour(day), partial(self._do, what, tenant)))
        deeds += [(self._hour(day), self._drain) for _ in range(5)]
        self._post(day)
        for at, deed in sorted(deeds, key=lambda one: one[0]):
            deed(at)

    def _some(self, share: float) -> list[int]:
        return [tenant for tenant in self.now if self.dice.random() < share]

    def _hour(self, day: date) -> datetime:
        return clock.at(day) + timedelta(seconds=self.dice.uniform(0, 86_399))

    def _run_day(self, at: datetime) -> None:
        today = clock.day_of(at)
        playbooks.leave(today=today, now=at)
        playbooks.enrol(today=today, now=at)
        pushes.plan(today=today, now=at)
        pushes.hand_over(today=today, now=at)

    def _drain(self, at: datetime) -> None:
        mail.drained(now=at)

    def _post(self, day: date) -> None:
        """What other rooms have to say that day, from some hour on."""
        drafts = []
        for klass, share in (("marketing", OFFERED), ("service", SERVED)):
            for tenant in self._some(share):
                at, lease = self._hour(day), self.now[tenant]
                drafts.append(
                    Draft(
                        key=f"{klass}:{day}:{tenant}", klass=klass, text=mail.TEXT, tenant_id=tenant,
                        lease_id=lease.pk, stops_on_answer=klass == "marketing" and lease.pk not in self.answers,
                        not_before=at, deadline=at + timedelta(days=self.dice.randint(1, 7)),
                    )
                )  # fmt: skip
        outbox.post_many(drafts, now=clock.at(day))

    def _do(self, what: str, tenant: int, at: datetime) -> None:
        lease = self.now[tenant]
        if what == "refuses":
            consents.refuse_marketing(self.tenants[tenant], now=at, proof="R")
        elif what == "agrees":
            facts: dict[str, Any] = {"purpose": "marketing", "channel": "any", "granted": True, "at": at}
            consents.record(self.tenants[tenant], **facts, text_version="2025-01", proof="app", now=at)
        elif lease.pk in self.answers or lease.last_day <= clock.day_of(at):
            return
        else:
            if what == "signs":
                first = lease.last_day + timedelta(days=1)
                self.now[tenant] = make_lease(
                    self.tenants[tenant], lease.unit, renews=lease, first_day=first,
                    last_day=first + timedelta(days=364), recorded_at=at,
                )  # fmt: skip
            # As renewal.signing does for every answer.
            playbooks.stop(lease, because=what, today=clock.day_of(at))
            outbox.cancel_for_lease(lease, reason=what, now=at)
            self.answers[lease.pk] = at
        self.happened[what] += 1


def _look_over_the_tables() -> None:
    """What autovacuum does in a house that lives in real time: the planner knows how much there is."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


# --- What is found afterwards -----------------------------------------------------------------------------------


def _count(year: _Year, service: PagerService, *, tells: bool) -> dict[str, int]:
    """By rows alone, and by what the provider counted; which offers were too near each other goes to stderr."""
    with connection.cursor() as cursor:
        cursor.execute(WENT)
        sent = cursor.fetchall()
        cursor.execute(WITHOUT_CONSENT)
        (unconsented,) = cursor.fetchone()
    offers: dict[int, list[tuple[datetime, str]]] = defaultdict(list)
    quiet = answered = 0
    for key, klass, tenant, lease, stops, went in sent:
        at = went.astimezone(clock.SHANGHAI)
        is_off = klass == "marketing" and chinese_calendar.is_holiday(at.date())
        quiet += not (10 <= at.hour < 20 if is_off else 9 <= at.hour < 21)
        answered += stops and lease in year.answers and went > year.answers[lease]
        if klass == "marketing":
            offers[tenant].append((at, key))
    over = 0
    for heard in offers.values():
        for (earlier, one), (later, other) in pairwise(sorted(heard)):
            if later - earlier < timedelta(hours=72):
                over += 1
                if tells:
                    _say(f"{one} {earlier:%m-%d %H:%M:%S} and {other} {later:%m-%d %H:%M:%S}", one, other)
        months = Counter((at.year, at.month) for at, _key in heard)
        over += sum(max(0, n - 4) for n in months.values())
    accepted = set(Message.objects.filter(state=Message.State.ACCEPTED).values_list("key", flat=True))
    return {
        "people": len(year.tenants),
        "sent": len(sent),
        "of them offers": sum(map(len, offers.values())),
        **year.happened,
        "held up or dropped": Message.objects.exclude(state=Message.State.ACCEPTED).count(),
        "in quiet hours": quiet,
        "over the budget": over,
        "without consent": unconsented,
        "after an answer": answered,
        "lost": len(accepted - service.counts.arrived.keys()),
        "twice": service.counts.doubles(),
    }


def _say(what: str, *keys: str) -> None:
    """What went too soon after what, with every try of both."""
    tries = Attempt.objects.filter(message__key__in=keys).order_by("started_at", "pk")
    told = tries.values_list("message__key", "message__state", "number", "outcome", "started_at", "message__sent_at")
    print(what, *(" ".join(map(str, line)) for line in told), sep="\n  ", file=sys.stderr)


# --- The protections, each off ----------------------------------------------------------------------------------


@contextmanager
def _without(facts: dict[str, Any], **functions: Callable[..., Any]) -> Iterator[None]:
    """What a claim sees is overruled, and what is called at once when it happens does nothing."""
    verdict = rules._verdict
    with ExitStack() as stack:
        stack.enter_context(
            mail.off("tenants.outbox.rules._verdict", lambda row, *rest: verdict({**row, **facts}, *rest))
        )
        for target, instead in functions.items():
            stack.enter_context(mail.off(target.replace("__", "."), instead))
        yield


def _nothing(*_: Any, **__: Any) -> int:
    return 0


PROTECTIONS: dict[str, Callable[[], Any]] = {
    "in quiet hours": lambda: mail.off("tenants.outbox.hours.opens", lambda _klass, moment, **_: moment),
    "over the budget": lambda: mail.off("tenants.outbox.rules._over_budget", lambda *_: None),
    "without consent": lambda: _without({"is_refused": False}, tenants__recalling__offers=_nothing),
    "after an answer": lambda: _without({"is_answered": False}, tenants__outbox__cancel_for_lease=_nothing),
}
