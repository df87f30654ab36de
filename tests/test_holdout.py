"""对照组: a standing share of households hears no offers, the same ones for good."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.template.loader import render_to_string
from django.utils import translation

from campaigns import pushes, rehearsing
from campaigns.models import Push
from connectors.models import PhoneMessage
from renewal import figures, kpis
from tenants import clock, holdout, outbox, past
from tenants.models import Flat, Holdout, Lease, LeaseTenant, Message, Tenant
from tenants.outbox import Draft
from tests.makers import NOW, TODAY, make_building, make_enrolment, make_lease, make_playbook, make_tenant, make_unit

pytestmark = pytest.mark.django_db
WHY = "对照组：该住户不收优惠，用来衡量触达的效果"
SALT = "5" * 32


def draw(percent: int, **facts: Any) -> Holdout:
    return Holdout.objects.create(**{"salt": SALT, "percent": percent, "at": NOW - timedelta(days=200), **facts})


def drawn(lease: Lease) -> float:
    """Under which percentage the lease's household is held out, worked out without the database."""
    unit = lease.unit
    household = f"flat {unit.flat_id}" if unit.flat_id else f"unit {unit.pk}"
    return int(hashlib.md5(f"{SALT} {household}".encode()).hexdigest()[:8], 16) % 10000 / 100


def pair(lease: Lease) -> tuple[int, int]:
    return lease.pk, lease.tenants.get().pk


def some(n: int = 40) -> list[Lease]:
    building = make_building()
    return [make_lease(make_tenant(f"租客{i}"), make_unit(building=building)) for i in range(n)]


def test_who_is_held_out_is_drawn_by_household_and_salt() -> None:
    leases = some()
    draw(30)
    expected = {pair(lease) for lease in leases if drawn(lease) < 30}
    assert 0 < len(expected) < len(leases)
    assert holdout.held_out(map(pair, leases), today=TODAY) == expected


def test_a_larger_share_holds_everybody_a_smaller_one_held() -> None:
    leases = some()
    held = []
    for percent in (0, 10, 40, 100):
        draw(percent, at=NOW - timedelta(days=200 - percent))
        held.append(holdout.held_out(map(pair, leases), today=TODAY))
    assert held[0] == set()
    assert held[0] <= held[1] < held[2] < held[3]
    assert held[3] == set(map(pair, leases))


def test_flat_mates_are_held_out_together() -> None:
    building = make_building()
    flats = [Flat.objects.create(building=building, code=f"F{n}") for n in range(12)]
    homes = [
        [make_lease(make_tenant(f"{flat.code}{n}"), make_unit(building=building, flat=flat)) for n in (1, 2, 3)]
        for flat in flats
    ]
    draw(50)
    held = holdout.held_out([pair(lease) for home in homes for lease in home], today=TODAY)
    counts = [sum(pair(lease) in held for lease in home) for home in homes]
    assert set(counts) == {0, 3}


def test_who_holds_another_lease_in_a_held_household_hears_nothing_about_either() -> None:
    leases = some()
    draw(30)
    inside = next(lease for lease in leases if drawn(lease) < 30)
    outside = next(lease for lease in leases if drawn(lease) >= 30)
    person = outside.tenants.get()
    assert not holdout.is_held_out(person, today=TODAY)
    LeaseTenant.objects.create(lease=inside, tenant=person)
    assert holdout.is_held_out(person, today=inside.last_day)
    assert not holdout.is_held_out(person, today=inside.last_day + timedelta(days=1))
    # A person known twice is one.
    known_as = make_tenant("旧名")
    Tenant.objects.filter(pk=known_as.pk).update(merged_into=person)
    known_as.refresh_from_db()
    assert holdout.is_held_out(known_as, today=TODAY)


def test_the_share_follows_the_settings_and_the_salt_stays(settings: Any) -> None:
    settings.HOLDOUT_PERCENT = 5
    first = holdout.keep(now=NOW)
    assert holdout.keep(now=NOW + timedelta(days=1)) == first
    assert (first.percent, first.at, len(first.salt)) == (5, NOW, 32)
    settings.HOLDOUT_PERCENT = 8
    second = holdout.keep(now=NOW + timedelta(days=2))
    assert (second.percent, second.salt) == (8, first.salt)
    assert Holdout.objects.count() == 2


@pytest.mark.parametrize("change", ["UPDATE tenants_holdout SET percent = 0", "DELETE FROM tenants_holdout"])
def test_no_line_is_ever_changed(change: str) -> None:
    draw(5)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    assert Holdout.objects.get().percent == 5


def planned(percent: int) -> dict[str, tuple[str, str]]:
    """An ask and a service message, each due today, after planning."""
    draw(percent)
    for code, kind in (("ask", "ask"), ("care", "care")):
        lease = make_lease(make_tenant(code))
        version = make_playbook(code, {"code": code, "anchor": "start", "text": "您好", "kind": kind})
        make_enrolment(lease, version)
    pushes.plan(today=TODAY, now=NOW)
    return {code: (state, why) for code, state, why in Push.objects.values_list("step__code", "state", "reason")}


def test_the_ask_is_suppressed_and_says_why_and_service_goes() -> None:
    found = planned(100)
    assert found["ask"] == ("suppressed", WHY)
    assert found["care"][0] == "planned"


def test_without_a_holdout_both_go() -> None:
    """The red twin."""
    assert {state for state, _why in planned(0).values()} == {"planned"}


def post(lease: Lease, klass: str) -> None:
    deadline = NOW + timedelta(days=3)
    person = lease.tenants.get().pk
    outbox.post(
        Draft(key=klass, klass=klass, text="您好", deadline=deadline, tenant_id=person, lease_id=lease.pk), now=NOW
    )


def test_it_is_asked_again_before_the_send_and_of_offers_alone() -> None:
    lease = make_lease()
    for klass in ("marketing", "service", "code"):
        post(lease, klass)
    draw(100)  # after all of it was posted
    outbox.drain(now=NOW)
    said = {key: (state, why) for key, state, why in Message.objects.values_list("key", "state", "reason")}
    assert said == {"marketing": ("suppressed", WHY), "service": ("accepted", ""), "code": ("accepted", "")}
    assert PhoneMessage.objects.count() == 2


def test_an_offer_that_names_no_lease_asks_by_the_person() -> None:
    lease = make_lease()
    outbox.post(
        Draft(
            key="m", klass="marketing", text="您好", deadline=NOW + timedelta(days=3), tenant_id=lease.tenants.get().pk
        ),
        now=NOW,
    )
    draw(100)
    outbox.drain(now=NOW)
    assert Message.objects.get().state == "suppressed"


@pytest.mark.parametrize(
    ("basis", "after", "is_held"),
    [
        (past.RECORDED, -timedelta(seconds=1), False),
        (past.RECORDED, timedelta(0), True),
        (past.HAPPENED, -timedelta(days=1), True),
    ],
)
def test_a_past_day_is_run_by_the_share_of_that_day(basis: str, after: timedelta, is_held: bool) -> None:
    lease = make_lease(recorded_at=NOW - timedelta(days=400))
    at = clock.at(TODAY - timedelta(days=3), 12)
    draw(100, at=at)
    moment = at + after
    with (
        rehearsing.rehearsal(rehearsing.Setting(at=moment, day=clock.day_of(moment), basis=basis)) as there,
        there.world.closed(),
    ):
        found = holdout.held_out([pair(lease)], today=TODAY)
    assert bool(found) is is_held


# --- What it shows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998), 873-890, table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((10, 10, 0, 20), 0.6791, 1.0000),
    ],
)
def test_the_difference_has_newcombes_published_interval(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    found = figures.difference(*counts)
    assert (round(found[1], 4), round(found[2], 4)) == (low, high)


def ended(n: int, *, drawn_since: int = 200) -> list[Lease]:
    """Leases that ended yesterday; the lot was drawn so many days ago."""
    building = make_building()
    draw(50, at=clock.at(TODAY - timedelta(days=drawn_since)))
    last_day = TODAY - timedelta(days=1)
    return [make_lease(make_tenant(f"租客{i}"), make_unit(building=building), last_day=last_day) for i in range(n)]


def test_renewals_are_counted_by_lot_and_too_few_is_said() -> None:
    leases = ended(28)  # of so many three at least are on either side, whatever numbers they have
    out = [lease for lease in leases if drawn(lease) < 50]
    rest = [lease for lease in leases if drawn(lease) >= 50]
    for lease in [*out[:1], *rest[:3]]:
        make_lease(lease.tenants.get(), lease.unit, renews=lease, first_day=TODAY, last_day=TODAY + timedelta(days=364))
    found = kpis.effect(day=TODAY)
    assert (found["held_out"]["k"], found["held_out"]["n"]) == (1, len(out))
    assert (found["rest"]["k"], found["rest"]["n"]) == (3, len(rest))
    assert found["difference"]["rate"] == round(3 / len(rest) - 1 / len(out), 6)
    assert found["renewals"]["rate"] == round(found["difference"]["rate"] * len(rest))
    assert found["is_too_few"]


def test_who_was_drawn_after_the_case_opened_is_not_counted() -> None:
    ended(3, drawn_since=90)  # the case of a lease that ended yesterday opened 91 days ago
    found = kpis.effect(day=TODAY)
    assert (found["held_out"]["n"], found["rest"]["n"], found["difference"]) == (0, 0, None)


def test_who_was_drawn_the_moment_it_opened_is() -> None:
    ended(3, drawn_since=91)
    found = kpis.effect(day=TODAY)
    assert found["held_out"]["n"] + found["rest"]["n"] == 3


def test_from_thirty_on_each_side_it_is_not_too_few() -> None:
    assert figures.effect({"renewed": 30}, {"left": 29})["is_too_few"]
    enough = figures.effect({"renewed": 60, "left": 40}, {"renewed": 10, "left": 20})
    assert not enough["is_too_few"]
    assert enough["renewals"]["rate"] == 27


def panel(rest: dict[str, int], held_out: dict[str, int]) -> str:
    """What the dashboard says of leases by outcome: words, without marks."""
    html = render_to_string("staff/effect.html", {"effect": figures.effect(rest, held_out)})
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_panel_states_the_difference_in_percentage_points_or_says_that_it_cannot() -> None:
    # Newcombe's first example: 56 of 70 less 48 of 80, 5.24 to 33.39 points.
    clear = panel({"renewed": 56, "left": 14}, {"renewed": 48, "left": 32})
    assert "一年多续 14 份（4 至 23）" in clear
    assert "相差 +20.0 个百分点（95% 区间 +5.2 至 +33.4）" in clear
    assert "偶然" not in clear
    # From statsmodels: confint_proportions_2indep(600, 1000, 28, 50, method="newcomb") is -0.0920 to 0.1802.
    small = panel({"renewed": 600, "left": 400}, {"renewed": 28, "left": 22})
    assert "触达的效果：差距太小，分不清是不是偶然" in small
    assert "相差 +4.0 个百分点（95% 区间 −9.2 至 +18.0） · 仅凭偶然也会差这么多，还看不出触达有没有作用" in small
    assert "一年多续" not in small
    few = panel({"renewed": 60, "left": 40}, {"renewed": 10, "left": 19})
    assert "租约太少，还不能下结论" in few
    assert "有一边不足 30 份租约，差距还说明不了什么。" in few
    assert "百分点" not in few


def test_where_offers_clearly_lower_renewals_the_panel_counts_how_many_fewer() -> None:
    # Newcombe's first example the other way round: 48 of 80 less 56 of 70, -33.39 to -5.24 points.
    lower = {"renewed": 48, "left": 32}, {"renewed": 56, "left": 14}
    text = panel(*lower)
    assert "触达的效果：一年少续 16 份（4 至 27）" in text
    assert "相差 −20.0 个百分点（95% 区间 −33.4 至 −5.2）" in text
    assert "多续" not in text
    with translation.override("en"):
        assert "What offers do: 16 fewer renewals in a year (4 to 27)" in panel(*lower)
        assert "What offers do: 14 more renewals in a year (4 to 23)" in panel(*reversed(lower))
    # Too small to tell, the other way round: no number in the heading.
    small = panel({"renewed": 28, "left": 22}, {"renewed": 600, "left": 400})
    assert "触达的效果：差距太小，分不清是不是偶然" in small
    assert "少续" not in small
