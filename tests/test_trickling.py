"""A step under test that trickles: what may be said at any moment, when the sample is there, and when it is stopped."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from campaigns import looking, tallies, trials, trickling
from campaigns.experiments import evalues, power
from campaigns.models import Assigned, Experiment, Push, Verdict
from campaigns.trickling import Household
from tenants import clock, consents
from tenants.models import Message
from tests.makers import TODAY, first_step, make_lease, make_playbook, make_tenant, make_unit, make_user
from tests.test_looking import click, visit
from tests.test_trials import TOMORROW, B, audience, run

pytestmark = pytest.mark.django_db

START = clock.at(TODAY, 10)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@pytest.fixture
def trickle() -> Experiment:
    said = first_step(make_playbook("p", {"code": "s", "anchor": "end", "days": 40, "text": "甲"}, rank=50))
    return trials.make(said, [B], name="问一句", by=make_user(), now=START)


def sent() -> None:
    new = list(Message.objects.filter(sent_at=None).values_list("pk", flat=True))
    Message.objects.filter(pk__in=new).update(state="sending", lease_until=timezone.now())
    Message.objects.filter(pk__in=new).update(state="accepted", lease_until=None, sent_at=START)


def those(letter: str) -> list[Assigned]:
    return list(Assigned.objects.filter(arm__letter=letter).select_related("lease", "tenant").order_by("pk"))


def drawn(letters: str, *, day: int = 0, clicked: str = "", final: bool = True) -> list[Household]:
    moment = at(24 * day)
    marks = clicked.ljust(len(letters), "-")
    return [Household(letter, moment, mark == "x", final) for letter, mark in zip(letters, marks, strict=True)]


def test_a_day_enters_when_all_its_outcomes_are_final(trickle: Experiment) -> None:
    audience(40)
    run(TODAY)
    sent()
    late = make_lease(make_tenant(), make_unit("late"), last_day=TOMORROW + timedelta(days=40))
    run(TOMORROW)
    sent()
    click(those("B")[:4], at(71))
    click([seat for seat in those("A") if seat.lease_id != late.pk][:1], at(73))  # too late
    sizes = [sum(seat.lease_id != late.pk for seat in those(letter)) for letter in "AB"]
    before, on_the_day, after = (
        trickling.standings(trickling.households(tallies.outcomes(trickle, at=now), now=now), "AB")[0]
        for now in (at(71.9), at(72), at(96))
    )
    assert (before.households, before.clicked, before.bets) == ((0, 0), (0, 0), (1.0, 1.0))
    assert (on_the_day.households, on_the_day.clicked) == (tuple(sizes), (0, 4))
    one, other = evalues.in_batches([[0, 4]], [sizes])
    assert on_the_day.bets == (max(1.0, float(one[0])), float(other[0]))
    assert sum(after.households) == 41
    assert after.clicked == (0, 4)


def test_flat_mates_are_one_household_and_a_click_of_either_counts(trickle: Experiment) -> None:
    audience(6, of_two=6)
    run(TODAY)
    sent()
    click([Assigned.objects.select_related("lease", "tenant").latest("pk")], at(5))
    now = at(80)
    found = trickling.households(tallies.outcomes(trickle, at=now), now=now)
    assert len(found) == 6
    assert sum(each.clicked for each in found) == 1


def test_what_became_of_the_push_that_was_drawn_for_counts_and_of_no_other_cycle(trickle: Experiment) -> None:
    audience(1)
    run(TODAY)
    sent()
    drawn_for = Push.objects.get()
    Push.objects.update(cycle="77")  # as of a step that follows an event
    for cycle, hours in (("76", -24), ("78", 24)):
        other = Push.objects.get(pk=drawn_for.pk)
        other.pk, other.message, other.cycle = None, None, cycle
        other.created_at = drawn_for.created_at + timedelta(hours=hours)
        other.save()
    assert [row.accepted for row in tallies.outcomes(trickle, at=at(5))] == [True]


def test_evidence_is_the_largest_so_far_and_the_interval_waits_for_large_numbers() -> None:
    batches = [drawn("AB" * 10, day=0, clicked="-x" * 10), drawn("AB" * 30, day=1, clicked="x-" * 30)]
    standing = trickling.standings([each for batch in batches for each in batch], "AB")[0]
    one, other = evalues.in_batches([[0, 10], [30, 0]], [[10, 10], [30, 30]])
    assert standing.bets == (float(one.max()), float(other[0]))
    assert standing.difference is None
    many = drawn("AB" * 200, clicked="x-" * 20 + "-x" * 60)
    found = trickling.standings(many, "AB")[0]
    low, high, _p = evalues.sequence(60, 200, 20, 200, expected=400)
    assert found.difference == (0.3 - 0.1, low, high)


def test_the_day_on_which_the_sample_is_there_follows_from_who_came() -> None:
    wanted = power.needed(0.15, 0.3)
    came = drawn("AB" * 10, day=0) + drawn("AB" * 10, day=9)
    now = at(24 * 10)
    found = trickling.sample(came, "AB", base=0.15, now=now)
    assert (found.share, found.wanted, found.there, found.a_day) == (0.3, wanted, 20, 4.0)
    days = -(-(wanted - 20) * 2 // 4)
    assert found.on == clock.day_of(now) + timedelta(days=days)
    assert trickling.sample([], "AB", base=0.15, now=now).on is None
    forgotten = trickling.sample(came, "AB", base=0.15, now=at(24 * 60))
    assert (forgotten.a_day, forgotten.on) == (0.0, None)
    full = trickling.sample(drawn("AB" * wanted), "AB", base=0.15, now=now)
    assert (full.there, full.on) == (wanted, clock.day_of(now))


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("lost", "有一个版本的消息在渠道接收之前丢失得更多，无法得出结论。"),
        ("refused", "有一个版本让租客反感：拒收后续优惠的人更多。"),
        ("", ""),
    ],
)
def test_it_is_stopped_when_people_of_one_version_get_lost_or_are_driven_off(
    trickle: Experiment, fault: str, why: str
) -> None:
    audience(80)
    run(TODAY)
    sent()
    if fault == "lost":
        Message.objects.filter(lease__in=[seat.lease_id for seat in those("A")]).update(sent_at=None)
    if fault == "refused":
        for seat in those("B")[:20]:
            consents.refuse_marketing(seat.tenant, channel="any", proof="R", now=at(2))
    assert looking.look(now=at(3))["stopped"] == bool(fault)
    assert looking.look(now=at(4))["stopped"] == 0
    trickle.refresh_from_db()
    assert trickle.state == ("stopped" if fault else "running")
    lines = Verdict.objects.values_list("kind", "arm__letter", "why")
    assert list(lines) == ([("blocked", "A", why)] if fault else [])


def test_the_board_says_when_the_sample_is_there_and_what_is_known(client: Client, trickle: Experiment) -> None:
    audience(40)
    run(TODAY)
    sent()
    click(those("B")[:4], at(30))
    clock.set_to(at(96))
    page = " ".join(visit(client, f"/admin/experiment/{trickle.pk}/").split())
    sizes = {letter: len(those(letter)) for letter in "AB"}
    there, wanted = min(sizes.values()), power.needed(0.1, 0.2)  # of 40 asked 4 clicked
    missing = sum(wanted - size for size in sizes.values())
    on = TODAY + timedelta(days=4 + -(-missing // 10))
    assert f"约 {on} 每组满 {wanted} 户，足以分辨 10% 与 20%；现有 {there} 户，每天新增 10.0 户" in page
    assert f"72 小时内确认点击：A 组 {sizes['A']} 户中 0 户，B 组 {sizes['B']} 户中 4 户。" in page
    assert "每组满 200 户后给出区间" in page
    _one, other = evalues.in_batches([[0, 4]], [[sizes["A"], sizes["B"]]])
    assert f"B 的点击多于 A：{other[0]:.1f} 比 1。" in page
    assert "B 减 A：确认点击" not in page
