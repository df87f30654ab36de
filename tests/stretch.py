"""Some weeks of a house in which much is learnt late, corrected and withdrawn, by a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from django.db.models import Min

from campaigns import releases, shipping, versions
from campaigns.models import PlaybookVersion, Segment, StepVersion
from connectors.records import ContractRecord
from renewal import answers, days, notices, proposals
from renewal.models import Case
from tenants import clock, consents, current, deciding, features, identity, leases, merges, outbox
from tenants.models import (
    Announcement,
    Event,
    LeaseTenant,
    Membership,
    Merge,
    Message,
    Tenant,
    Unit,
    WaitingContract,
    WaitingEvent,
)
from tests.makers import make_announcement, make_building, make_event, make_unit, make_user
from tests.test_leases import contract

FIRST = date(2025, 11, 20)
FACILITIES = ("shared_kitchen", "gym", "laundry")


class Stretch:
    """Twelve leases of two houses that end soon; then `live` lets days pass, each with its facts and its run."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.numbers = count(1)
        self.revision: dict[str, int] = {}
        self.contracts: dict[str, ContractRecord] = {}
        self.mei = make_user("mei")
        Membership.objects.create(user=self.mei, building=None, role="hq", first_day=date(2025, 1, 1))
        start = clock.at(FIRST - timedelta(days=2), 12)
        shipping.ship(now=start)
        for n in range(14):
            unit = make_unit(f"{'A' if n < 8 else 'B'}{n:02}", make_building("B1" if n < 8 else "B2"))
            if n < 12:
                self.tell(start, self.about(n, unit.code))
        self.tenants = list(Tenant.objects.order_by("pk"))
        for tenant in self.tenants:
            for purpose in ("marketing", "profiling"):
                if self.dice.random() < 0.85:
                    self.consent(tenant, purpose, True, start)
            for _event in range(self.dice.randrange(30)):
                self.happen(tenant, start - timedelta(hours=self.dice.randrange(24 * 80)), start)
        for code in ("B1", "B2"):
            make_announcement(
                make_building(code), owner=self.mei, recorded_at=start, until=FIRST + timedelta(days=40), on=FIRST
            )

    def about(self, n: int, unit: str, **facts: Any) -> ContractRecord:
        last_day = FIRST + timedelta(days=self.dice.randrange(8, 70))
        return contract(
            f"HT{n}",
            unit=unit,
            tenant_name=f"租客{n}",
            phone=f"1000000{n:04}",
            **{"first_day": last_day - timedelta(days=364), "last_day": last_day} | facts,
        )

    def tell(self, at: datetime, record: ContractRecord) -> None:
        self.contracts[record.contract_no] = record
        leases.enter([record], now=at)

    def revise(self, at: datetime, no: str, **facts: Any) -> None:
        record = self.contracts[no]
        changes: dict[str, Any] = {"revision": record.revision + 1, **facts}
        self.tell(at, replace(record, **changes))

    def consent(self, tenant: Tenant, purpose: str, granted: bool, at: datetime, heard: datetime | None = None) -> None:
        consents.record(
            tenant,
            purpose=purpose,
            channel="any",
            granted=granted,
            at=at,
            text_version="v1",
            proof="x",
            now=heard or at,
        )

    def happen(self, tenant: Tenant, at: datetime, recorded_at: datetime) -> None:
        """Something happened, of which we heard then."""
        ticket = f"t{next(self.numbers)}"
        what: list[tuple[str, dict[str, Any]]] = [
            ("facility.used", {"facility": self.dice.choice(FACILITIES)}),
            ("community.joined", {"activity": "x"}),
            ("community.posted", {"group": "x"}),
            ("app.viewed", {"name": self.dice.choice(["rent_prices", "coupons"])}),
            ("ticket.reported", {"ticket": ticket, "category": self.dice.choice(["water", "lock"]), "text": "x"}),
        ]
        kind, data = self.dice.choice(what)
        self.note(kind, tenant, at=at, recorded_at=recorded_at, data=data)
        if kind == "ticket.reported":
            hours = self.dice.choice([1, 9, 30])
            self.note("ticket.accepted", tenant, at=at + timedelta(hours=hours), recorded_at=recorded_at, data=data)

    def note(self, kind: str, tenant: Tenant | None, unit: Unit | None = None, **facts: Any) -> None:
        """An event is stored, as ingestion stores it: whose it is will be computed again."""
        make_event(kind, tenant, unit, **facts)
        if tenant:
            features.mark([tenant.pk], now=facts["recorded_at"])

    def live(self, days_: int) -> None:
        """So many days pass; most are run, some twice, a few not at all."""
        moment = clock.at(FIRST)
        for n in range(days_):
            day = FIRST + timedelta(days=n)
            deeds: list[tuple[datetime, Callable[[datetime], None]]] = [
                (clock.at(day, self.dice.randrange(24), self.dice.randrange(60)), self.dice.choice(self.deeds()))
                for _deed in range(self.dice.randrange(2, 9))
            ]
            for _run in range(self.dice.choice([1, 1, 1, 1, 2, 0]) if n else 1):
                deeds.append((clock.at(day, self.dice.choice([6, 10, 15, 22]), 1), self.run))
            for at, deed in sorted(deeds, key=lambda each: each[0]):
                self.sweep(at)
                moment = max(moment + timedelta(milliseconds=1), at)
                deed(moment)
        self.sweep(clock.at(FIRST + timedelta(days=days_)))

    def run(self, at: datetime) -> None:
        days.run(today=clock.day_of(at), now=at)

    def sweep(self, until: datetime) -> None:
        """Whatever is due by then has been sent, as by the sweep that comes by every few seconds."""
        while True:
            queued = Message.objects.filter(state="queued", not_before__lt=until)
            first = queued.aggregate(first=Min("not_before"))["first"]
            if first is None:
                return
            current.catch_up(now=first)
            outbox.drain(now=first)

    # --- What may happen -----------------------------------------------------------------------------------

    def deeds(self) -> list[Callable[[datetime], None]]:
        return [
            self.event, self.event, self.event, self.late_event, self.late_event, self.event_of_nobody, self.waits,
            self.refuses, self.agrees, self.general, self.ends, self.ends_not, self.extends, self.renews,
            self.renewal_void, self.declines, self.notice, self.withdraws, self.announces, self.edits, self.merge,
            self.unmerge, self.moves_in, self.accepts, self.rates, self.rates, self.mood, self.finishes, self.releases,
        ]  # fmt: skip

    def someone(self) -> Tenant:
        return self.dice.choice(self.tenants)

    def event(self, at: datetime) -> None:
        self.happen(self.someone(), at - timedelta(minutes=5), at)

    def late_event(self, at: datetime) -> None:
        self.happen(self.someone(), at - timedelta(days=self.dice.randrange(1, 60)), at)

    def event_of_nobody(self, at: datetime) -> None:
        unit = self.dice.choice(list(Unit.objects.order_by("code")))
        facts = {"data": {"facility": "shared_kitchen"}, "at": at - timedelta(days=3), "recorded_at": at}
        self.note("facility.used", None, unit, **facts)

    def waits(self, at: datetime) -> None:
        """Bookings of an app account that is learnt to be somebody's some days later."""
        ref = f"app-{next(self.numbers)}"
        for n in range(6):
            WaitingEvent.objects.create(
                source="app",
                source_id=f"w{ref}{n}",
                kind="facility.used",
                at=at - timedelta(days=n),
                who_source="app",
                who_ref=ref,
                data={"facility": "shared_kitchen"},
                recorded_at=at - timedelta(days=self.dice.randrange(4)),
            )
        identity.name_tenants({("app", ref): self.someone().pk}, now=at)

    def refuses(self, at: datetime) -> None:
        consents.refuse_marketing(self.someone(), now=at, proof="x")

    def agrees(self, at: datetime) -> None:
        purpose = self.dice.choice(["marketing", "profiling"])
        told = at - timedelta(days=self.dice.randrange(5))
        self.consent(self.someone(), purpose, self.dice.random() < 0.6, told, heard=at)

    def general(self, at: datetime) -> None:
        tenant = self.someone()
        tenant.refresh_from_db()
        consents.choose_general(tenant, general=self.dice.random() < 0.6, now=at)

    def some_contract(self) -> str:
        return self.dice.choice(sorted(self.contracts))

    def ends(self, at: datetime) -> None:
        no = self.some_contract()
        on = clock.day_of(at) + timedelta(days=self.dice.randrange(5, 20))
        record = self.contracts[no]
        if record.first_day < on < record.last_day:
            self.revise(at, no, ended_on=on, ended_by="tenant", ended_agreed_on=clock.day_of(at))

    def ends_not(self, at: datetime) -> None:
        no = self.some_contract()
        if self.contracts[no].ended_on:
            self.revise(at, no, ended_on=None, ended_by="", ended_agreed_on=None)

    def extends(self, at: datetime) -> None:
        no = self.some_contract()
        last_day = clock.day_of(at) + timedelta(days=self.dice.randrange(5, 75))
        if last_day > self.contracts[no].first_day and not self.contracts[no].ended_on:
            self.revise(at, no, last_day=last_day)

    def renews(self, at: datetime) -> None:
        no = self.some_contract()
        record = self.contracts[no]
        if f"{no}R" in self.contracts or "R" in no or record.ended_on:
            return
        first_day = record.last_day + timedelta(days=1)
        following = replace(
            record,
            contract_no=f"{no}R",
            renews=no,
            revision=1,
            signed_on=clock.day_of(at) - timedelta(days=1),
            first_day=first_day,
            last_day=first_day + timedelta(days=364),
        )
        self.tell(at, following)

    def renewal_void(self, at: datetime) -> None:
        renewals = [no for no in sorted(self.contracts) if "R" in no]
        if renewals:
            self.revise(at, self.dice.choice(renewals), state="void")

    def answer(self, at: datetime, verb: Callable[[LeaseTenant], Any]) -> None:
        open_cases = Case.objects.filter(state__in=["upcoming", "contacted", "viewed", "considering"])
        cases = list(open_cases.order_by("lease"))
        if cases and self.dice.random() < 0.5:
            case = self.dice.choice(cases)
            held = LeaseTenant.objects.filter(lease=case.lease, is_primary=True).first()
            assert held
            try:
                verb(held)
            except (proposals.Closed, answers.NotNow):
                return

    def declines(self, at: datetime) -> None:
        self.answer(at, lambda held: answers.decline(held.lease, reason="", now=at))

    def notice(self, at: datetime) -> None:
        def give(held: LeaseTenant) -> None:
            notices.give(held.lease, held.tenant, notices.Word(held.lease.last_day), now=at)

        self.answer(at, give)

    def rates(self, at: datetime) -> None:
        """A bad rating or a good one; who is answered and for whom asks wait follows from it."""
        score = self.dice.choice(["1", "2", "5"])
        facts: dict[str, Any] = {"at": at, "recorded_at": at, "data": {"ticket": "r", "score": score}}
        self.note("ticket.rated", self.someone(), **facts)

    def mood(self, at: datetime) -> None:
        bill = f"b{next(self.numbers)}"
        self.note("mood.given", self.someone(), at=at, recorded_at=at, data={"bill": bill, "mood": "bad"})

    def finishes(self, at: datetime) -> None:
        """Repairs that are open are finished, for half of the tenants."""
        for tenant in self.tenants[:: self.dice.choice([1, 2])]:
            done = Event.objects.filter(tenant=tenant, kind="ticket.finished").values_list("data__ticket", flat=True)
            for report in Event.objects.filter(tenant=tenant, kind="ticket.reported").exclude(data__ticket__in=done):
                self.note("ticket.finished", tenant, at=at, recorded_at=at, data=report.data)

    def releases(self, at: datetime) -> None:
        """A version of a playbook with another wording and another day, for some or for all."""
        code = self.dice.choice(["social", "general", "service"])
        before = PlaybookVersion.objects.filter(playbook__code=code).latest("number")
        version = PlaybookVersion.objects.create(
            playbook=before.playbook,
            number=before.number + 1,
            under_way=self.dice.choice(["move", "finish"]),
            fix_first=self.dice.random() < 0.7,
            at=at,
        )
        for said in StepVersion.objects.filter(version=before):
            said.pk, said._state.adding, said.version = None, True, version
            said.text = f"{said.text[:30]}{version.number}"
            said.days = max(0, said.days + self.dice.choice([-2, 0, 3])) if said.anchor == "end" else said.days
            said.save()
        percent = self.dice.choice([50, 100])
        releases.ask(version, percent=percent, rule=None, why="", by=self.mei, reach=0, now=at)

    def withdraws(self, at: datetime) -> None:
        if self.dice.random() < 0.4:
            Announcement.objects.filter(withdrawn_at=None).order_by("pk").update(withdrawn_at=at)

    def announces(self, at: datetime) -> None:
        make_announcement(
            make_building(self.dice.choice(["B1", "B2"])),
            owner=self.mei,
            recorded_at=at,
            until=clock.day_of(at) + timedelta(days=20),
            text=f"共享厨房 {next(self.numbers)} 号升级",
        )

    def edits(self, at: datetime) -> None:
        segment = Segment.objects.filter(code=self.dice.choice(["social", "price", "service"])).first()
        if segment:
            latest = versions.history(segment).first()
            rule = self.dice.choice(
                [
                    {"tag": segment.code if segment.code == "social" else "kitchen_regular"},
                    {"feature": "kitchen_90", "op": ">=", "value": self.dice.randrange(1, 6)},
                    {"feature": "price_views_90", "op": ">=", "value": self.dice.randrange(1, 4)},
                ]
            )
            seen = latest.number if latest else 0
            versions.save(segment.pk, segment.name, rule, seen=seen, note="", by=self.mei, now=at)

    def merge(self, at: datetime) -> None:
        one, other = self.dice.sample(self.tenants, 2)
        try:
            merges.merge(one, other, reason="同一人", by=self.mei, now=at)
        except merges.NotMergeable:
            return

    def unmerge(self, at: datetime) -> None:
        standing = Merge.objects.filter(undone_at=None).order_by("pk").first()
        if standing:
            merges.unmerge(standing, why="不是同一人", by=self.mei, now=at)

    def moves_in(self, at: datetime) -> None:
        """A contract of an empty room is told late: what happened there before was its tenant's."""
        n = 100 + next(self.numbers)
        unit = self.dice.choice(["B12", "B13"])
        signed = clock.day_of(at) - timedelta(days=10)
        self.tell(at, self.about(n, unit, signed_on=signed, first_day=signed))
        self.tenants = list(Tenant.objects.order_by("pk"))

    def accepts(self, at: datetime) -> None:
        waiting = WaitingContract.objects.order_by("pk").first()
        if waiting:
            try:
                deciding.accept(waiting.pk, why="门店约定", by=self.mei, now=at)
            except deciding.CannotDecide:
                return
