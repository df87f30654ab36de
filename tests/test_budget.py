"""The attention budget: how often, at which hours and in whose favour a tenant hears offers, over all channels."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import pushes, rehearsing
from campaigns.models import Push
from connectors.channels.phone import Phone
from tenants import clock, outbox, past, preferred
from tenants.models import Lease, Message, Tenant
from tenants.outbox import Draft, claiming, hours, rules
from tests.makers import NOW, TODAY, make_enrolment, make_lease, make_playbook, make_tenant

SECOND = timedelta(seconds=1)
SATURDAY = date(2025, 12, 6)
LATE = NOW + timedelta(days=90)


def draft(tenant: Tenant, key: str, **facts: Any) -> Draft:
    return Draft(
        **{"key": key, "klass": "marketing", "text": "您好", "deadline": LATE, "tenant_id": tenant.pk, **facts}
    )


def told(tenant: Tenant, at: datetime, key: str = "", **facts: Any) -> Message:
    """An offer that went out."""
    row = {"channel": "phone", "state": "accepted", "klass": "marketing", "text": "您好", "deadline": LATE}
    row |= {"not_before": at, "created_at": at, "changed_at": at, "sent_at": at, "tenant": tenant, **facts}
    return Message.objects.create(key=key or f"told:{at.isoformat()}", **row)


def waiting(tenant: Tenant, key: str = "push:1", **facts: Any) -> Message:
    facts = {"state": "queued", "sent_at": None, **facts}
    return told(tenant, facts.pop("at", NOW), key, **facts)


def verdict(message: Message, now: datetime) -> rules.Verdict | None:
    return rules.judge([message.pk], channel=message.channel, now=now).get(message.pk)


# --- Hours -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("klass", "moment", "expected"),
    [
        # A Friday that is worked.
        ("marketing", clock.at(date(2025, 12, 5), 9) - SECOND, clock.at(date(2025, 12, 5), 9)),
        ("marketing", clock.at(date(2025, 12, 5), 9), clock.at(date(2025, 12, 5), 9)),
        ("marketing", clock.at(date(2025, 12, 5), 21) - SECOND, clock.at(date(2025, 12, 5), 21) - SECOND),
        ("marketing", clock.at(date(2025, 12, 5), 21), clock.at(SATURDAY, 10)),
        # A Saturday off.
        ("marketing", clock.at(SATURDAY, 10) - SECOND, clock.at(SATURDAY, 10)),
        ("marketing", clock.at(SATURDAY, 20) - SECOND, clock.at(SATURDAY, 20) - SECOND),
        ("marketing", clock.at(SATURDAY, 20), clock.at(date(2025, 12, 7), 10)),
        ("service", clock.at(SATURDAY, 9) - SECOND, clock.at(SATURDAY, 9)),
        ("service", clock.at(SATURDAY, 20), clock.at(SATURDAY, 20)),
        ("service", clock.at(SATURDAY, 21), clock.at(date(2025, 12, 7), 9)),
        # Thursday 1 October is the National Day; Saturday 10 October is worked for it.
        ("marketing", clock.at(date(2026, 10, 1), 9), clock.at(date(2026, 10, 1), 10)),
        ("marketing", clock.at(date(2026, 10, 10), 9), clock.at(date(2026, 10, 10), 9)),
        # A year that has not been announced: the narrower hours on every day of it, a Monday here.
        ("marketing", clock.at(date(2031, 3, 3), 9), clock.at(date(2031, 3, 3), 10)),
        ("marketing", clock.at(date(2031, 3, 3), 20), clock.at(date(2031, 3, 4), 10)),
        ("service", clock.at(date(2031, 3, 3), 9), clock.at(date(2031, 3, 3), 9)),
        *((klass, clock.at(SATURDAY, 3), clock.at(SATURDAY, 3)) for klass in hours.AT_ALL_HOURS),
    ],
)
def test_each_class_has_its_hours(klass: str, moment: datetime, expected: datetime) -> None:
    assert hours.opens(klass, moment) == expected


def test_days_off_can_be_kept_silent(settings: Any) -> None:
    settings.QUIET_REST_BEFORE_HOUR = settings.QUIET_REST_FROM_HOUR = 10
    # All of the National Day's week, until Thursday 8 October, which is worked.
    assert hours.opens("marketing", clock.at(date(2026, 10, 1), 12)) == clock.at(date(2026, 10, 8), 9)
    settings.QUIET_BEFORE_HOUR = settings.QUIET_FROM_HOUR = 9
    assert hours.opens("marketing", NOW) == NOW + timedelta(days=hours.LOOKS_AHEAD)


@pytest.mark.django_db
def test_why_an_offer_waits_is_said() -> None:
    message = waiting(make_tenant(), deadline=clock.at(date(2031, 12, 1)))
    early = clock.at(SATURDAY, 9, 59)
    off = "等到可发送的时段：休息日的优惠晚发早停。"
    assert verdict(message, early) == ("later", off, clock.at(SATURDAY, 10))
    assert verdict(message, clock.at(SATURDAY, 10)) is None
    night = "夜间不打扰，等到早上再发。"
    assert verdict(message, clock.at(SATURDAY, 21)) == ("later", night, clock.at(date(2025, 12, 7), 10))
    unknown = "等到可发送的时段：节假日历尚无这一年的安排。"
    assert verdict(message, clock.at(date(2031, 3, 3), 9)) == ("later", unknown, clock.at(date(2031, 3, 3), 10))


@pytest.mark.django_db
@pytest.mark.parametrize("is_guarded", [True, False])
def test_nothing_goes_at_night_but_what_somebody_waits_for(is_guarded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its red twin: where every hour is allowed, offers and words of service go at three in the night."""
    if not is_guarded:
        monkeypatch.setattr(hours, "window", lambda _klass, _day: hours.ANY_HOUR)
    tenant, night = make_tenant(), clock.at(date(2025, 12, 5), 3)
    outbox.post_many([draft(tenant, klass, klass=klass) for klass in ("marketing", "service", "code")], now=night)
    outbox.drain(now=night)
    went = Message.objects.filter(sent_at__hour=3).values_list("key", flat=True)
    assert set(went) == ({"code"} if is_guarded else {"code", "marketing", "service"})
    outbox.drain(now=clock.at(date(2025, 12, 5), 9))
    assert set(Message.objects.values_list("state", flat=True)) == {"accepted"}


# --- The hours a tenant prefers ----------------------------------------------------------------------------


@pytest.mark.django_db
def test_offers_wait_for_the_hours_the_tenant_prefers_and_nothing_else_does() -> None:
    tenant = make_tenant()
    preferred.prefer(tenant, (19, 21), now=NOW, proof="app")
    message, service = waiting(tenant), waiting(tenant, "care:1", klass="service")
    evening = clock.at(TODAY, 19)
    why = "等到租客偏好的时段（19 点至 21 点）。"
    assert verdict(message, evening - SECOND) == ("later", why, evening)
    assert verdict(message, evening) is None
    assert verdict(message, clock.at(TODAY, 21) - SECOND) is None
    assert verdict(message, clock.at(TODAY, 21)) == ("later", "夜间不打扰，等到早上再发。", evening + timedelta(days=1))
    # On Saturday offers stop at 20.
    assert verdict(message, clock.at(SATURDAY, 20)) is not None
    assert verdict(service, NOW) is None


@pytest.mark.django_db
def test_the_latest_preference_holds_and_can_be_taken_back() -> None:
    tenant = make_tenant()
    message = waiting(tenant)
    preferred.prefer(tenant, (19, 21), now=NOW, proof="app")
    assert verdict(message, NOW) is not None
    preferred.prefer(tenant, None, now=NOW + SECOND, proof="app")
    assert verdict(message, NOW) is None
    # Of hours that no day allows nothing is kept: the tenant agreed to hear.
    preferred.prefer(tenant, (22, 24), now=NOW + 2 * SECOND, proof="app")
    assert verdict(message, NOW) is None
    with pytest.raises(ValueError, match="no span"):
        preferred.prefer(tenant, (21, 19), now=NOW, proof="app")


@pytest.mark.django_db
def test_a_past_day_is_run_by_the_preference_of_that_day() -> None:
    tenant = make_tenant()
    then = NOW - timedelta(days=3)
    preferred.prefer(tenant, (19, 21), now=then, proof="app")
    message = waiting(tenant, at=then - timedelta(days=1))
    found = []
    for at in (then - SECOND, then):
        setting = rehearsing.Setting(at=at, day=clock.day_of(at), basis=past.HAPPENED)
        with rehearsing.rehearsal(setting) as there, there.world.closed():
            found.append(verdict(message, at))
    assert found[0] is None
    assert found[1] is not None


# --- The cap of a month ------------------------------------------------------------------------------------


def tell_four(tenant: Tenant, month: int = 12) -> None:
    for day in (1, 5, 9, 15):
        told(tenant, clock.at(date(2025, month, day), 12), f"told:{month}:{day}", channel=f"c{day}")


@pytest.mark.django_db
def test_the_fifth_offer_of_a_month_waits_for_the_next_one() -> None:
    tenant = make_tenant()
    tell_four(tenant)
    message = waiting(tenant)
    full = "本月给该租客的 4 条优惠已发完。"
    # 1 January is a holiday.
    new_year = clock.at(date(2026, 1, 1), 10)
    assert verdict(message, clock.at(date(2025, 12, 31), 21) - SECOND) == ("later", full, new_year)
    assert verdict(message, new_year - SECOND) != ("later", full, new_year)
    assert verdict(message, new_year) is None


@pytest.mark.django_db
def test_a_month_is_one_of_shanghai() -> None:
    tenant = make_tenant()
    for n, day in enumerate((5, 9, 15)):
        told(tenant, clock.at(date(2025, 12, day), 12), f"told:{n}")
    last = told(tenant, clock.at(date(2025, 12, 1)), "told:first")
    message = waiting(tenant)
    now = clock.at(date(2025, 12, 22), 12)
    assert verdict(message, now) is not None
    Message.objects.filter(pk=last.pk).update(sent_at=clock.at(date(2025, 12, 1)) - SECOND)
    assert verdict(message, now) is None


@pytest.mark.django_db
def test_without_the_cap_the_fifth_goes(settings: Any) -> None:
    """The red twin."""
    settings.MARKETING_PER_MONTH = 5
    tenant = make_tenant()
    tell_four(tenant)
    assert verdict(waiting(tenant), clock.at(date(2025, 12, 22), 12)) is None


@pytest.mark.django_db
def test_what_is_no_offer_is_neither_counted_nor_capped() -> None:
    tenant = make_tenant()
    now = clock.at(date(2025, 12, 22), 12)
    tell_four(tenant)
    assert verdict(waiting(tenant, "care:1", klass="service"), now) is None
    assert verdict(waiting(tenant, "code:1", klass="code"), clock.at(date(2025, 12, 23), 3)) is None
    other = make_tenant("周航")
    for n in range(6):
        told(other, now - timedelta(hours=n), f"served:{n}", klass="service")
    assert verdict(waiting(other, "push:2"), now) is None


@pytest.mark.django_db
def test_what_would_wait_beyond_its_deadline_ends_with_the_reason() -> None:
    tenant = make_tenant()
    tell_four(tenant)
    message = waiting(tenant, deadline=clock.at(date(2025, 12, 25), 21))
    now = clock.at(date(2025, 12, 22), 12)
    assert verdict(message, now) == ("expired", "本月给该租客的 4 条优惠已发完。", None)


@pytest.mark.django_db
def test_a_person_merged_from_two_has_one_budget() -> None:
    one, other = make_tenant(), make_tenant("林晓（旧）")
    tell_four(other)
    Tenant.objects.filter(pk=other.pk).update(merged_into=one)
    assert verdict(waiting(one), clock.at(date(2025, 12, 22), 12)) is not None


@pytest.mark.django_db
def test_the_cap_holds_within_one_claim(settings: Any) -> None:
    settings.MARKETING_GAP_HOURS, settings.MARKETING_PER_MONTH = 0, 3
    tenant = make_tenant()
    outbox.post_many([draft(tenant, f"push:{n}") for n in range(5)], now=NOW)
    outbox.drain(now=NOW)
    assert list(Message.objects.order_by("pk").values_list("state", flat=True)) == ["accepted"] * 3 + ["queued"] * 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_locked", [True, False])
def test_workers_of_many_channels_never_exceed_it(is_locked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its red twin: where nobody waits for the other, all of them find the tenant unheard."""
    if not is_locked:
        monkeypatch.setattr(claiming, "LOCK_PERSONS", "SELECT %s::bigint[]")
    tenant = make_tenant()
    names = [f"c{n}" for n in range(8)]
    for name in names:
        waiting(tenant, f"push:{name}", channel=name)
    together = threading.Barrier(len(names))
    judge = rules.judge

    def judge_then_wait(*args: Any, **facts: Any) -> dict[int, rules.Verdict]:
        found = judge(*args, **facts)
        if not is_locked:
            together.wait(20)  # each has looked before any has written
        return found

    monkeypatch.setattr(rules, "judge", judge_then_wait)
    sent: list[int] = []

    def work(name: str) -> None:
        way = type("Way", (Phone,), {"name": name})
        try:
            claims, _counts = claiming.claim(way, now=NOW, limit=10)
            sent.append(len(claims))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(sent) == 8
    assert (sum(sent) == 1) is is_locked


# --- Who wins ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_of_two_in_one_claim_the_one_that_matters_more_goes() -> None:
    tenant = make_tenant()
    outbox.post_many([draft(tenant, "push:low", priority=-1000), draft(tenant, "push:high", priority=-10)], now=NOW)
    outbox.drain(now=NOW)
    assert dict(Message.objects.values_list("key", "state")) == {"push:high": "accepted", "push:low": "queued"}


@pytest.mark.django_db
def test_another_channel_lets_what_matters_more_go_first_for_a_quarter_of_an_hour() -> None:
    tenant = make_tenant()
    low, high = waiting(tenant, "low", channel="a", priority=-1000), waiting(tenant, "high", channel="b", priority=-10)
    until = NOW + rules.YIELDS
    assert verdict(low, NOW) == ("later", "让更重要的优惠先发。", until)
    assert verdict(low, until - SECOND) is not None
    assert verdict(low, until) is None
    assert verdict(high, NOW) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "facts", [{"not_before": NOW + SECOND}, {"deadline": NOW}, {"priority": -1000}, {"state": "suppressed"}]
)
def test_what_is_not_due_or_matters_no_more_holds_nobody_up(facts: dict[str, Any]) -> None:
    tenant = make_tenant()
    low = waiting(tenant, "low", channel="a", priority=-1000)
    waiting(tenant, "high", **{"channel": "b", "priority": -10, **facts})
    assert verdict(low, NOW) is None


def two_at_once(ranks: Sequence[int]) -> Lease:
    """A lease in two playbooks, by the end and by what happened, each of which asks today."""
    lease = make_lease(first_day=TODAY - timedelta(days=335), last_day=TODAY + timedelta(days=30))
    for code, cycle, rank in zip(("x", "y"), ("1", "7"), ranks, strict=True):
        version = make_playbook(code, {"code": f"{code}-ask", "anchor": "start", "text": code}, rank=rank)
        make_enrolment(lease, version, cycle=cycle, start_on=TODAY, enrolled_on=TODAY)
    return lease


@pytest.mark.django_db
@pytest.mark.parametrize(("ranks", "winner"), [((10, 20), "x-ask"), ((20, 10), "y-ask")])
def test_of_two_playbooks_of_one_day_the_higher_rank_asks(ranks: tuple[int, int], winner: str) -> None:
    two_at_once(ranks)
    pushes.plan(today=TODAY, now=NOW)
    rows = {push.step.code: push for push in Push.objects.select_related("step")}
    assert {code for code, push in rows.items() if push.state == "planned"} == {winner}
    (loser,) = set(rows) - {winner}
    assert (rows[loser].state, rows[loser].reason) == ("suppressed", "改发排位更靠前的剧本")
    pushes.hand_over(today=TODAY, now=NOW)
    assert Message.objects.get().priority == -10


# --- Against brute force -----------------------------------------------------------------------------------

OFF = {date(2026, 9, day) for day in (25, 26, 27)} | {date(2026, 10, day) for day in range(1, 8)}
WORKED = {date(2026, 9, 20), date(2026, 10, 10)}  # as the State Council announced them
START = clock.at(date(2026, 9, 1), 12)
STEP = timedelta(minutes=30)


def may_go(moment: datetime, before: Sequence[datetime], gap: int, most: int) -> bool:
    """The budget, said once more, as plainly as possible."""
    local = moment.astimezone(clock.SHANGHAI)
    is_off = local.date() in OFF or (local.weekday() >= 5 and local.date() not in WORKED)
    first, end = (10, 20) if is_off else (9, 21)
    same_month = [at for at in before if at.astimezone(clock.SHANGHAI).month == local.month]
    is_near = any(moment - at < timedelta(hours=gap) for at in before)
    return first <= local.hour < end and not is_near and len(same_month) < most


@pytest.mark.django_db
@settings(max_examples=60, deadline=None)
@given(
    before=st.lists(st.integers(0, 48 * 35), max_size=7, unique=True),
    after=st.integers(0, 48 * 4),
    gap=st.sampled_from([0, 24, 72, 100]),
    most=st.integers(1, 5),
)
def test_looking_again_when_told_to_finds_the_first_moment_there_is(
    before: list[int], after: int, gap: int, most: int
) -> None:
    from django.conf import settings as configured

    kept = configured.MARKETING_GAP_HOURS, configured.MARKETING_PER_MONTH
    configured.MARKETING_GAP_HOURS, configured.MARKETING_PER_MONTH = gap, most
    try:
        moments = [START + STEP * n for n in sorted(before)]
        now = (moments[-1] if moments else START) + STEP * after
        expected = now
        while not may_go(expected, moments, gap, most):
            expected += STEP
        with transaction.atomic():
            tenant = make_tenant()
            for at in moments:
                told(tenant, at)
            message = waiting(tenant, at=now, deadline=now + timedelta(days=90))
            looks = 0
            while found := verdict(message, now):
                assert found[2] is not None
                assert now < found[2] <= expected
                now, looks = found[2], looks + 1
            transaction.set_rollback(True)
        assert now == expected
        assert looks <= 4
    finally:
        configured.MARKETING_GAP_HOURS, configured.MARKETING_PER_MONTH = kept
