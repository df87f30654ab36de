"""Fix before asking: what is wrong is put right, said sorry for, and only then is a tenant asked to renew."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from campaigns import joining, playbooks, pushes, shipping
from campaigns.models import Enrolment, Push
from tenants import clock, features, outbox, tags
from tenants.models import Lease, Message
from tests.makers import (
    BEFORE,
    NOW,
    TODAY,
    make_event,
    make_lease,
    make_playbook,
    make_tenant,
    make_unit,
    make_version,
    release,
)

pytestmark = pytest.mark.django_db

SORRY = {"code": "sorry", "anchor": "event", "days": 1, "kind": "care", "text": "抱歉，让您久等了。"}
RATED = {"events": "ticket.rated", "where": [{"field": "score", "op": "<=", "value": 2}]}
ASK = {"code": "ask", "anchor": "end", "days": 25, "text": "租约 {last_day}到期。"}


@pytest.fixture(autouse=True)
def _phone(settings: Any) -> None:
    settings.CHANNELS = ["phone"]


def lease_of(days: int = 25) -> Lease:
    return make_lease(make_tenant(), make_unit(), last_day=TODAY + timedelta(days=days))


def happens(kind: str, lease: Lease, at: datetime, **data: Any) -> None:
    make_event(kind, lease.tenants.get(), lease.unit, at=at, data=data)


def run(today: date = TODAY, hour: int = 10) -> dict[str, int]:
    now = clock.at(today, hour)
    features.refresh(today=today, now=now)
    tags.recompute(today=today, now=now)
    playbooks.leave(today=today, now=now)
    playbooks.enrol(today=today, now=now)
    counts = pushes.plan(today=today, now=now)
    pushes.hand_over(today=today, now=now)
    return counts


def decision(lease: Lease, code: str = "ask") -> tuple[str, str]:
    return Push.objects.values_list("state", "reason").get(lease=lease, step__code=code)


def day(n: int) -> date:
    return TODAY + timedelta(days=n)


def test_while_a_repair_is_open_nobody_is_asked_and_afterwards_they_are_however_long_it_took() -> None:
    make_playbook("p", ASK)
    lease = lease_of()
    happens("ticket.reported", lease, NOW - timedelta(days=1), ticket="T1", category="water")
    for n in range(12):
        run(day(n))
        assert decision(lease) == ("held", "还有报修未完成，先修好再谈")
        assert not Message.objects.exists()
    happens("ticket.finished", lease, clock.at(day(12), 9), ticket="T1")
    assert run(day(12)) == {"planned": 1, "suppressed": 0, "held": 0, "granted": 0}
    assert decision(lease) == (
        "handed_over",
        "到期前 25 天；曾暂缓至 2025-12-12：还有报修未完成，先修好再谈；剧本“p”",
    )
    assert Message.objects.get().after_repairs
    assert run(day(13)) == {"planned": 0, "suppressed": 0, "held": 0, "granted": 0}
    assert Push.objects.count() == 1


def test_what_is_refused_is_not_held_back() -> None:
    make_playbook("p", ASK)
    lease = make_lease(make_tenant(consents=()), make_unit())
    happens("ticket.reported", lease, NOW - timedelta(days=1), ticket="T1", category="water")
    run()
    assert decision(lease) == ("suppressed", "未同意接收续租优惠")


def test_a_second_run_of_the_day_leaves_what_is_held_back_as_it_is() -> None:
    make_playbook("p", ASK)
    lease = lease_of()
    happens("ticket.reported", lease, NOW - timedelta(days=1), ticket="T1", category="water")
    run()
    before = list(Push.objects.values())
    run(hour=18)
    assert list(Push.objects.values()) == before


def test_without_the_gate_the_same_tenant_is_asked_at_once() -> None:
    """The red twin."""
    make_playbook("p", ASK, fix_first=False)
    lease = lease_of()
    happens("ticket.reported", lease, NOW - timedelta(days=1), ticket="T1", category="water")
    run()
    assert decision(lease)[0] == "handed_over"
    assert not Message.objects.get().after_repairs


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("ticket.rated", {"score": "2"}, "48 小时内刚给过差评"),
        ("mood.given", {"mood": "bad", "bill": "B1"}, "48 小时内刚在账单上点过 😞"),
    ],
)
def test_for_48_hours_after_a_bad_word_nobody_is_asked_to_the_second(kind: str, data: dict[str, str], why: str) -> None:
    make_playbook("p", ASK)
    just, past = lease_of(), lease_of()
    edge = clock.at(TODAY, 10) - timedelta(hours=48)
    happens(kind, just, edge + timedelta(seconds=1), **data)
    happens(kind, past, edge, **data)
    run()
    assert decision(just) == ("held", why)
    assert decision(past)[0] == "handed_over"


@pytest.mark.parametrize(("kind", "data"), [("ticket.rated", {"score": "3"}), ("mood.given", {"mood": "soso"})])
def test_a_word_that_is_not_bad_holds_nothing_back(kind: str, data: dict[str, str]) -> None:
    make_playbook("p", ASK)
    lease = lease_of()
    happens(kind, lease, NOW - timedelta(hours=1), **data)
    run()
    assert decision(lease)[0] == "handed_over"


def test_repair_apology_and_ask_are_one_sequence() -> None:
    shipping.ship(now=BEFORE)
    lease = lease_of(30)
    happens("ticket.reported", lease, clock.at(day(-1), 8), ticket="T1", category="water")
    happens("ticket.accepted", lease, clock.at(day(-1), 15), ticket="T1")  # seven hours later
    run()
    assert decision(lease, "general-30") == ("held", "还有报修未完成，先修好再谈")
    happens("ticket.finished", lease, clock.at(day(1), 9), ticket="T1")
    run(day(1))
    assert decision(lease, "general-30") == ("held", "刚处理完一件事，先致意再谈")
    said: dict[int, list[tuple[str, str]]] = {}
    for n in range(1, 8):
        run(day(n))
        fresh = Message.objects.filter(created_at=clock.at(day(n), 10)).order_by("pk")
        if rows := list(fresh.values_list("klass", "text")):
            said[n] = rows
    assert said == {
        2: [("service", "您报修的问题已处理完。这次让您久等了，抱歉；若没修好，请告诉我们，我们再来。")],
        4: [("marketing", "租约 12 月 31 日到期。各租期的租金和押金，都写在这里。")],
    }
    assert decision(lease, "general-30") == (
        "handed_over",
        "到期前 30 天；曾暂缓至 2025-12-04：48 小时内刚致歉；剧本“通用版”",
    )
    sorry = Push.objects.select_related("message").get(step__code="care-repair-sorry")
    assert sorry.message
    assert (sorry.message.link_purpose, sorry.message.stops_on_answer, sorry.message.after_repairs) == (
        "",
        False,
        False,
    )
    assert sorry.reason.startswith("2025-12-02 的“维修完成”之后第 1 天；剧本“报修久等之后”")


def test_a_repair_that_was_quick_is_not_apologised_for() -> None:
    shipping.ship(now=BEFORE)
    lease = lease_of(300)
    happens("ticket.reported", lease, clock.at(day(-1), 8), ticket="T1", category="water")
    happens("ticket.accepted", lease, clock.at(day(-1), 9), ticket="T1")
    happens("ticket.finished", lease, clock.at(day(-1), 16), ticket="T1")
    run()
    assert decision(lease, "care-repair-sorry")[0] == "suppressed"
    assert not Message.objects.exists()


def test_an_apology_needs_no_consent_to_offers_and_reaches_whoever_has_renewed() -> None:
    shipping.ship(now=BEFORE)
    tenant = make_tenant(consents=())
    lease = make_lease(tenant, last_day=TODAY + timedelta(days=10))
    following = {"first_day": lease.last_day + timedelta(days=1), "last_day": lease.last_day + timedelta(days=365)}
    make_lease(tenant, lease.unit, renews=lease, **following)
    happens("ticket.rated", lease, clock.at(day(-1), 16), score="1")
    run()
    assert [message.klass for message in Message.objects.all()] == ["service"]


def test_an_apology_reaches_who_renewed_before_it_was_due() -> None:
    make_playbook("care", SORRY, starts_on=RATED)
    tenant = make_tenant()
    lease = make_lease(tenant, last_day=TODAY + timedelta(days=10))
    happens("ticket.rated", lease, NOW, score="1")
    run()
    following = {"first_day": lease.last_day + timedelta(days=1), "last_day": lease.last_day + timedelta(days=365)}
    make_lease(tenant, lease.unit, renews=lease, **following)
    run(day(1))
    assert decision(lease, "sorry")[0] == "handed_over"


def test_an_apology_for_what_was_told_late_is_made_although_the_tenant_was_asked_lately() -> None:
    make_playbook("care", SORRY, starts_on=RATED, at=BEFORE)
    make_playbook("p", ASK)
    lease = lease_of()
    run()
    happens("ticket.rated", lease, NOW - timedelta(days=3), score="1")
    run(day(1))
    assert [decision(lease, code)[0] for code in ("ask", "sorry")] == ["handed_over", "handed_over"]


def test_who_entered_late_and_was_held_back_is_asked_after_the_apology() -> None:
    make_playbook("care", SORRY, starts_on={"events": "ticket.finished"}, at=BEFORE)
    make_playbook("p", ASK)
    lease = lease_of(22)
    happens("ticket.reported", lease, NOW - timedelta(days=1), ticket="T1", category="water")
    run()
    happens("ticket.finished", lease, clock.at(TODAY, 18), ticket="T1")
    run(day(1))
    assert (decision(lease)[0], decision(lease, "sorry")[0]) == ("held", "handed_over")
    run(day(3))
    assert decision(lease)[0] == "handed_over"


def test_by_lot_some_households_are_asked_without_waiting_and_the_lot_is_on_record() -> None:
    make_playbook("p", ASK, unfixed_percent=50)
    leases = [lease_of() for _n in range(160)]
    for lease in leases:
        happens("ticket.reported", lease, NOW - timedelta(days=1), ticket=f"T{lease.pk}", category="water")
    counts = run()
    waiting = set(Enrolment.objects.filter(fix_first=True).values_list("lease", flat=True))
    assert counts == {"planned": 160 - len(waiting), "suppressed": 0, "held": len(waiting), "granted": 0}
    assert 50 < len(waiting) < 110  # half of 160 ± 4.7 standard deviations
    assert set(Push.objects.filter(state="held").values_list("lease", flat=True)) == waiting
    # The lot does not fall anew.
    make_version("p", {}, unfixed_percent=50)
    run(day(1))
    assert set(Enrolment.objects.filter(fix_first=True).values_list("lease", flat=True)) == waiting


def test_what_goes_wrong_after_handing_over_holds_the_message_until_its_time_is_over() -> None:
    make_playbook("p", ASK)
    lease = lease_of()
    run()
    happens("ticket.reported", lease, clock.at(TODAY, 10), ticket="T1", category="water")
    features.refresh(today=TODAY, now=NOW)
    assert outbox.drain(now=clock.at(TODAY, 11)) == {"later": 1}
    message = Message.objects.get()
    assert (message.state, message.reason) == ("queued", "还有报修未完成，先修好再谈")
    assert message.not_before == clock.at(TODAY, 12)

    happens("ticket.finished", lease, clock.at(TODAY, 11), ticket="T1")
    features.refresh(today=TODAY, now=NOW)
    assert outbox.drain(now=clock.at(TODAY, 12)) == {"accepted": 1}


def test_a_message_that_waited_for_a_repair_too_long_expires() -> None:
    make_playbook("p", ASK)
    lease = lease_of()
    run()
    happens("ticket.reported", lease, clock.at(TODAY, 10), ticket="T1", category="water")
    features.refresh(today=TODAY, now=NOW)
    deadline = Message.objects.get().deadline
    outbox.drain(now=deadline - timedelta(minutes=10))
    assert Message.objects.get().state == "expired"


def test_an_answer_drops_what_is_held_back() -> None:
    make_playbook("p", ASK)
    lease = lease_of()
    happens("ticket.reported", lease, NOW - timedelta(days=1), ticket="T1", category="water")
    run()
    playbooks.stop(lease, because="已确认退租", today=TODAY)
    assert decision(lease) == ("suppressed", "已确认退租")


def test_a_release_for_a_playbook_of_care_counts_who_it_may_concern() -> None:
    version = make_playbook("care", {"code": "s", "anchor": "event", "days": 1, "kind": "care", "text": "抱歉。"})
    version = make_version("care", {}, starts_on={"events": "ticket.finished"})
    lease_of()
    lease_of(-3)
    assert joining.reach(version, percent=100, rule=None, today=TODAY) == 1
    assert release(version).number == 2
