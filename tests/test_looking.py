"""The looks at a wave under test: each at its hour, whenever taken; the verdict, its roll-out, and its reversal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns import looking, tallies, trials
from campaigns.experiments import evalues
from campaigns.models import Assigned, Experiment, Look, Push, Verdict
from tenants import clock, consents, links
from tenants.models import Link, Message, User
from tests.makers import (
    TODAY,
    first_step,
    make_event,
    make_lease,
    make_playbook,
    make_tenant,
    make_unit,
    make_user,
)
from tests.test_trials import TOMORROW, WAVE, B, audience, run

pytestmark = pytest.mark.django_db

START = clock.at(TOMORROW, 10)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@pytest.fixture
def wave() -> Experiment:
    """Seventy households of either arm, to whom it has been said."""
    said = first_step(make_playbook("p", WAVE, rank=50))
    experiment = trials.make(said, [B], name="问一句", by=make_user(), now=clock.at(TODAY, 10))
    audience(140)
    run(TOMORROW)
    Message.objects.update(state="sending", lease_until=timezone.now())
    Message.objects.update(state="accepted", lease_until=None, sent_at=START)
    experiment.refresh_from_db()
    return experiment


def of(letter: str) -> list[Assigned]:
    return list(Assigned.objects.filter(arm__letter=letter).select_related("lease", "tenant").order_by("pk"))


def click(those: Iterable[Assigned], when: datetime) -> None:
    for seat in those:
        message = Message.objects.get(lease=seat.lease)
        link, _token = links.mint(
            carrier=f"message:{message.key}", tenant=seat.tenant, lease=seat.lease, purpose=Link.Purpose.PROPOSAL,
            expires_at=when + timedelta(days=9), now=START,
        )  # fmt: skip
        links.open(link, trusted=True, now=when)


def sign(those: Iterable[Assigned], on: date) -> None:
    for seat in those:
        make_lease(
            seat.tenant, seat.lease.unit, renews=seat.lease, signed_on=on,
            first_day=seat.lease.last_day + timedelta(days=1), last_day=seat.lease.last_day + timedelta(days=365),
        )  # fmt: skip


def said() -> list[tuple[str, str | None]]:
    return list(Verdict.objects.order_by("pk").values_list("kind", "arm__letter"))


def test_a_look_counts_what_had_happened_by_its_hour_however_late_it_is_taken(wave: Experiment) -> None:
    click(of("A")[:5], at(11))
    click(of("B")[:6], at(13))
    assert looking.look(now=at(11.9)) == {"looks": 0, "verdicts": 0, "upheld": 0, "reversed": 0, "stopped": 0}
    assert looking.look(now=at(30))["looks"] == 2
    first, second = Look.objects.filter(done_at__isnull=False).order_by("number")
    assert [first.found["arms"][letter]["clicked"] for letter in "AB"] == [5, 0]
    assert [second.found["arms"][letter]["clicked"] for letter in "AB"] == [5, 6]
    none = dict.fromkeys(("delivered", "opened", "signed", "refused", "answered", "complained"), 0)
    assert second.found["arms"]["A"] == {"assigned": 70, "accepted": 70, "clicked": 5, **none}
    assert looking.look(now=at(30))["looks"] == 0


def test_what_is_far_apart_is_confirmed_at_a_look_and_said_from_then_on(wave: Experiment) -> None:
    click(of("A")[:4], at(20))
    click(of("B")[:32], at(20))
    looking.look(now=at(24))
    assert said() == [("confirmed", "B")]
    wave.refresh_from_db()
    assert wave.state == "decided"
    # Who comes later to the step, held back then, hears what was found.
    late = make_lease(make_tenant(), make_unit("late"), last_day=TODAY + timedelta(days=40))
    step = Push.objects.earliest("pk")
    Push.objects.create(
        lease=late, tenant=late.tenants.get(), step=step.step, said=step.said, due_on=TOMORROW, state="planned",
        reason="", created_at=at(30),
    )  # fmt: skip
    run(TOMORROW + timedelta(days=1))
    assert Message.objects.get(lease=late).text == "1 月 10 日之后，还住这里吗？"
    assert looking.look(now=at(100))["looks"] == 0


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [(10, 15, ("provisional", "B")), (15, 10, ("provisional", "A")), (12, 12, ("no_difference", "A"))],
)
def test_after_72_hours_there_is_an_answer_in_any_case(
    wave: Experiment, a: int, b: int, verdict: tuple[str, str]
) -> None:
    click(of("A")[:a], at(50))
    click(of("B")[:b], at(50))
    looking.look(now=at(71.9))
    assert said() == []
    looking.look(now=at(72))
    assert said() == [verdict]


def test_signatures_reverse_what_clicks_had_found_and_the_book_keeps_both(wave: Experiment) -> None:
    click(of("A")[:10], at(50))
    click(of("B")[:15], at(50))
    looking.look(now=at(72))
    sign(of("A")[:45], TODAY + timedelta(days=20))
    sign(of("B")[:10], TODAY + timedelta(days=20))
    # That evening it is known; the page says so.
    assert looking.look(now=clock.at(TODAY + timedelta(days=20), 22))["reversed"] == 1
    assert said() == [("provisional", "B"), ("reversed", "A")]
    assert looking.look(now=clock.at(TODAY + timedelta(days=21), 22))["reversed"] == 0


def test_signatures_uphold_what_was_found(wave: Experiment) -> None:
    click(of("A")[:10], at(50))
    click(of("B")[:15], at(50))
    looking.look(now=at(72))
    sign(of("A")[:10], TODAY + timedelta(days=20))
    sign(of("B")[:45], TODAY + timedelta(days=20))
    assert looking.look(now=clock.at(TODAY + timedelta(days=20), 22))["upheld"] == 1
    assert said() == [("provisional", "B"), ("upheld", "B")]


def test_no_verdict_where_one_versions_messages_got_lost(wave: Experiment) -> None:
    """Without the check the version that arrived would be confirmed."""
    lost = [seat.lease_id for seat in of("A")[:30]]
    Message.objects.filter(lease__in=lost).update(sent_at=None)
    click(of("A")[40:44], at(20))
    click(of("B")[:32], at(20))
    looking.look(now=at(24))
    assert said() == [("blocked", "A")]
    wave.refresh_from_db()
    assert wave.state == "stopped"


def test_a_version_that_drives_tenants_off_is_stopped(wave: Experiment) -> None:
    click(of("B")[:32], at(20))
    for seat in of("B")[:25]:
        consents.refuse_marketing(seat.tenant, channel="any", proof="R", now=at(21))
    looking.look(now=at(24))
    assert said() == [("blocked", "A")]


@pytest.mark.parametrize(("refused", "usual", "is_stopped"), [(6, 0.01, True), (5, 0.01, False), (6, None, False)])
def test_a_version_well_above_the_usual_rate_is_stopped_long_before_the_other_would_show_it(
    wave: Experiment, refused: int, usual: float | None, is_stopped: bool
) -> None:
    wave.usual = {"asked": 300, "refused": usual, "answered": 0.5, "complained": 0.5} if usual else {}
    wave.save()
    for seat in of("B")[:refused]:
        consents.refuse_marketing(seat.tenant, channel="any", proof="R", now=at(10))
    looking.look(now=at(12))
    assert [line.why for line in Verdict.objects.all()] == ["有一个版本让租客反感：拒收后续优惠的人更多。"] * is_stopped


def test_complaints_of_one_version_stop_it(wave: Experiment) -> None:
    wave.usual = {"asked": 300, "refused": 0.5, "answered": 0.5, "complained": 0.01}
    wave.save()
    for number, seat in enumerate(of("B")[:7]):
        category = "投诉" if number else "漏水"
        make_event(
            "ticket.reported", at=at(10), tenant=seat.tenant, data={"ticket": f"T{number}", "category": category}
        )
    looking.look(now=at(12))
    assert [line.why for line in Verdict.objects.all()] == ["有一个版本让租客反感：投诉的人更多。"]
    assert Look.objects.get(number=1).found["arms"]["B"]["complained"] == 6


def test_usual_rates_are_those_of_the_asks_of_ninety_days_within_72_hours_and_written_down_at_the_start() -> None:
    early = {"code": "e", "anchor": "end", "days": 45, "text": "甲"}
    first_step(make_playbook("old", early, rank=60))
    leases = audience(200)
    asked_on = clock.day_of(START) - timedelta(days=6)
    run(asked_on)
    asked_at = clock.at(asked_on, 10)
    Message.objects.update(state="sending", lease_until=timezone.now())
    Message.objects.update(state="accepted", lease_until=None, sent_at=asked_at)
    people = [lease.tenants.get() for lease in leases[:4]]
    for person, hours in zip(people, (1, 72, 73, 200), strict=True):
        consents.refuse_marketing(person, channel="any", proof="R", now=asked_at + timedelta(hours=hours))
    make_event("ticket.reported", at=asked_at, tenant=people[0], data={"ticket": "T1", "category": "投诉"})
    known = {"asked": 200, "refused": 3 / 200, "answered": 1 / 200, "complained": 2 / 200}
    assert tallies.usual(at=asked_at + timedelta(hours=72)) == known
    assert tallies.usual(at=asked_at + timedelta(hours=71.9)) == {}
    assert tallies.usual(at=asked_at + timedelta(days=91)) == {}
    said = first_step(make_playbook("p", WAVE, rank=50))
    experiment = trials.make(said, [B], name="问一句", by=None, now=clock.at(TODAY, 10))
    audience(2, building="B2")  # whoever is in a playbook stays there
    run(TOMORROW)
    experiment.refresh_from_db()
    assert experiment.usual == known


# --- The pages ----------------------------------------------------------------------------------------------


def visit(client: Client, path: str, **typed: Any) -> str:
    client.force_login(User.objects.filter(username="hq").first() or make_user("hq", is_superuser=True))
    answer = client.post(path, typed) if typed else client.get(path)
    assert answer.status_code in (200, 302, 422), answer.status_code
    return answer.content.decode()


def test_the_board_says_how_it_stands_and_what_would_change_it(client: Client, wave: Experiment) -> None:
    click(of("A")[:5], at(11))
    click(of("B")[:16], at(11.5))
    looking.look(now=at(24))
    clock.set_to(at(25))
    page = " ".join(visit(client, f"/admin/experiment/{wave.pk}/").split())
    assert "“问一句”进行中，尚无结论" in page
    assert "B 减 A：确认点击相差 +15.7 个百分点" in page
    assert "租约 1 月 10 日到期。" in page
    _a_better, b_better = evalues.by_clicks([0] * 5 + [1] * 16, (70, 70))
    assert f"此刻的证据：B 的点击多于 A：{b_better.max():.1f} 比 1。" in page
    assert "上次检视时若版本 B 再多" in page
    assert 'name="why" maxlength="200" value="人工停止"' in page  # one click stops it


def test_an_experiment_is_made_by_its_page_and_what_was_typed_stays(client: Client) -> None:
    clock.set_to(clock.at(TODAY, 10))
    step = first_step(make_playbook("p", WAVE, rank=50))
    audience(114)
    page = visit(client, f"/admin/experiment/new/?step={step.pk}")
    assert WAVE["text"] in page
    assert "每组 57 人：只能分辨 15% 与 40% 以上（或 0.5% 以下）的差别。该点击率为假设值。" in page
    page = visit(client, "/admin/experiment/new/", step=step.pk, name="  ", text_B="另一句")
    assert "请为实验起个名字" in page
    assert "另一句" in page
    visit(client, "/admin/experiment/new/", step=step.pk, name="问一句", text_B="另一句", text_C="", text_D="")
    made = Experiment.objects.get()
    assert (made.name, made.on, made.state) == ("问一句", TOMORROW, "ready")
    assert "问一句" in visit(client, "/admin/experiment/")
    visit(client, f"/admin/experiment/{made.pk}/stop/", why="改主意了")
    assert said() == [("stopped", "A")]


def test_flat_mates_count_once_in_the_evidence_and_together_in_the_designs_own_p() -> None:
    step = first_step(make_playbook("p", WAVE, rank=50))
    trials.make(step, [B], name="问一句", by=None, now=clock.at(TODAY, 10))
    audience(20, of_two=20)
    run(TOMORROW)
    asked = sorted({seat.household for seat in of("B")})[:6]
    click([seat for seat in of("B") if seat.household in asked], at(20))
    looking.look(now=at(24))
    look = Look.objects.get(number=2)
    assert [look.found["arms"][letter]["clicked"] for letter in "AB"] == [0, 12]
    # Six of the ten pairs of households differ, all one way: so do two of 2^6 deals.
    assert look.found["comparisons"][0]["p"] == pytest.approx(2 / 2**6)
    a_better, b_better = evalues.by_clicks([1] * 6, (10, 10))
    assert look.found["e"]["AB"] == [round(a_better.max(), 4), round(b_better.max(), 4)]
    assert said() == []
