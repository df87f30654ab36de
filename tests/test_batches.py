"""Batches of proposals: who passes by itself, what is forecast, one approval for hundreds, and what is held back."""

from __future__ import annotations

import html
import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from statsmodels.stats.proportion import proportion_confint

from campaigns import quiet
from renewal import batches, days, kpis, proposals
from renewal.batches import Wanted
from renewal.figures import Period
from renewal.models import Batch, BatchLine, Case, CaseChange, Proposal, Rate, RateBand
from tenants import clock, links, outbox
from tenants.models import Building, Lease, Message
from tests.letter import opened
from tests.makers import NOW, TODAY, make_building, make_lease, make_playbook, make_tenant, make_unit, make_user
from tests.test_access import member
from tests.test_caps import make_cap
from tests.test_playbook_gate import day, decision, run
from tests.test_rate_card import as_, make_band, make_rate, text

pytestmark = pytest.mark.django_db

ALL = "/admin/batches/"
RANGE = f"{ALL}?from=2025-12-02&to=2026-03-16"


@pytest.fixture(autouse=True)
def building() -> Building:
    clock.set_to(NOW)
    found = make_building("B1")
    make_rate(found, "3900")
    return found


def ending(building: Building, rent: str = "3900", *, days_ahead: int = 25, **facts: Any) -> Lease:
    """A lease that ends so many days ahead, with an open case if that is near enough."""
    unit = make_unit(building=building, **facts)
    lease = make_lease(unit=unit, monthly_rent=Decimal(rent), last_day=TODAY + timedelta(days=days_ahead))
    if days_ahead <= 90:
        Case.objects.create(lease=lease, state="upcoming", since=NOW, opened_at=NOW)
    return lease


def wanted(*buildings: Building, last: date = TODAY + timedelta(days=105)) -> Wanted:
    return Wanted(TODAY + timedelta(days=1), last, buildings)


def form(page: Any, **more: Any) -> dict[str, Any]:
    """The page's form as it stands: all that is ticked."""
    said = page.content.decode()
    seen = re.search(r'name="seen" value="(\w+)"', said)
    assert seen
    ticked = re.findall(r'name="lease" value="(\d+)" checked(?!\s+disabled)', said)
    return {"seen": seen.group(1), "lease": ticked, "do": "approve", **more}


def cover(lease: Lease) -> tuple[str, Any]:
    """The lease's letter, opened by its tenant: the page's title and the answer."""
    tenant = lease.tenants.get()
    expires = links.expiry(lease, now=NOW)
    _link, token = links.mint(
        f"test:{lease.pk}:{Proposal.objects.count()}:{BatchLine.objects.exclude(released_at=None).count()}",
        tenant=tenant, lease=lease, purpose="proposal", expires_at=expires, now=NOW,
    )  # fmt: skip
    answer = opened(Client(), token)
    if answer.status_code == 303:
        return "opened", answer
    found = re.search(r"<h1>(.*?)</h1>", html.unescape(answer.content.decode()), re.S)
    assert found
    return found.group(1).strip(), answer


# --- Which pass -------------------------------------------------------------------------------------------


def test_who_passes_by_itself_and_why_not(building: Building, settings: Any) -> None:
    settings.BATCH_CHANGE_PERCENT = 5
    make_band(building, "3800", "4000")
    cases = {
        "3900": (), "3714.29": (), "3714.28": ("change",), "4105.26": (), "4105.27": ("change",), "3000": ("change",),
    }  # fmt: skip
    leases = {ending(building, rent).pk: reasons for rent, reasons in cases.items()}
    unpriced = ending(building, room_type="阁楼")
    found = {line.lease.pk: line.reasons for line in batches.lines(wanted(building), today=TODAY)}
    assert found == {**leases, unpriced.pk: ("unpriced",)}
    later = make_band(building, "3950", "4300")
    RateBand.objects.filter(pk=later.pk).update(decided_at=NOW + timedelta(hours=1))
    found = {line.lease.pk: line.reasons for line in batches.lines(wanted(building), today=TODAY)}
    assert found == {**{pk: ("outside", *why) for pk, why in leases.items()}, unpriced.pk: ("unpriced",)}


def test_which_leases_are_in_a_batch(building: Building) -> None:
    here, far, other = ending(building), ending(building, days_ahead=100), ending(make_building("B2"))
    for state in ("signed", "notice", "moved_out"):
        Case.objects.filter(lease=ending(building)).update(state=state)
    make_lease(unit=ending(building).unit, first_day=TODAY + timedelta(days=26), last_day=TODAY + timedelta(days=390))
    ending(building, days_ahead=106)
    read = ending(building)
    proposals.prepare(today=TODAY, now=NOW, leases=[read.pk, here.pk])
    Proposal.objects.filter(lease=read).update(opened_at=NOW)
    rows = batches.lines(wanted(building), today=TODAY)
    assert {row.lease.pk: row.is_prepared for row in rows} == {here.pk: True, far.pk: False}
    assert batches.opened_already(wanted(building)) == 1
    both = batches.lines(wanted(building, other.unit.building), today=TODAY)
    assert {row.lease.pk for row in both} == {here.pk, far.pk, other.pk}


# --- Forecast ---------------------------------------------------------------------------------------------


def test_the_forecast_is_of_rents_and_of_each_buildings_own_rate(building: Building) -> None:
    second = make_building("B2")
    make_rate(second, "4000")
    for n in range(10):  # 7 of 10 renewed in B1 last year
        unit, tenant = make_unit(building=building), make_tenant()
        facts: dict[str, Any] = {"unit": unit, "tenant": tenant}
        old = make_lease(**facts, first_day=date(2024, 6, 1), last_day=date(2025, 5, 31))
        if n < 7:
            make_lease(
                **facts, first_day=date(2025, 6, 1), last_day=date(2026, 5, 31), renews=old, signed_on=date(2025, 5, 1)
            )
        else:
            Case.objects.create(lease=old, state="moved_out", since=NOW, opened_at=NOW)
    for rent in ("3700", "3800"):
        ending(building, rent)
    ending(second, "4100"), ending(second, "5", room_type="阁楼")
    found = batches.forecast(batches.lines(wanted(building, second), today=TODAY), today=TODAY, now=NOW)
    assert (found.n, found.today, found.card) == (3, Decimal(11600), Decimal(11800))
    one, two = found.buildings
    year = Period(TODAY - timedelta(days=365), TODAY - timedelta(days=1))
    rate = kpis.renewals(year, day=TODAY, building=building, now=NOW)[building.pk]["rate"]
    assert (one.n, one.rate, one.rate["k"], one.rate["n"]) == (2, rate, 7, 10)
    low, high = proportion_confint(7, 10, method="wilson")
    assert one.renewals == pytest.approx((1.4, 2 * low, 2 * high), abs=1e-5)
    assert (two.n, two.rate["n"], two.renewals) == (1, 0, None)
    assert found.renewals == one.renewals
    page = text(as_(make_user("mei", is_superuser=True)).get(RANGE))
    assert "月租合计：现为 11,600 元，按价目 12 个月为 11,800 元" in page
    assert "3 份中预计约 1 份续租（1 至 2）" in page
    assert "70.0%" in page
    assert "7 / 10" in page


# --- Approval ---------------------------------------------------------------------------------------------


def test_all_are_ticked_and_one_click_prepares_them(building: Building) -> None:
    near, far = ending(building), ending(building, days_ahead=100)
    mei = make_user("mei", is_superuser=True)
    client = as_(mei)
    page = client.get(RANGE)
    assert "2 份租约可以准备建议书，其中 0 份需要审核" in text(page)
    assert Proposal.objects.count() == Batch.objects.count() == 0
    answer = client.post(RANGE, form(page))
    batch = Batch.objects.get()
    assert answer.headers["Location"] == f"{ALL}{batch.pk}/"
    assert (batch.by, clock.day_of(batch.at), batch.change_percent) == (mei, TODAY, 5)
    assert batch.asked == {"first": "2025-12-02", "last": "2026-03-16", "buildings": ["B1"], "room_type": ""}
    assert batch.card == batches.card_version([building.pk], today=TODAY)
    assert (batch.card["day"], batch.card["lines"], batch.forecast["card"]) == ("2025-12-01", 1, "7800.00")
    lines = BatchLine.objects.order_by("lease__last_day")
    assert [(line.lease_id, line.verdict, line.rent_today, line.rate_id) for line in lines] == [
        (lease.pk, "approved", Decimal(3900), Rate.objects.get().pk) for lease in (near, far)
    ]
    assert {proposal.lease_id for proposal in Proposal.objects.all()} == {near.pk, far.pk}
    change = CaseChange.objects.get(case__lease=far)
    assert (change.now, change.cause, change.by) == ("upcoming", "a batch was approved", "cases.open_for")
    assert cover(far)[0] == "opened"
    shown = text(client.get(f"{ALL}{batch.pk}/"))
    assert "批准 2 份建议书，其中例外 0 份" in shown
    assert batch.card["digest"][:12] in shown
    assert "条每周上限" not in shown
    batch.card["caps"] = [1, 2]
    batch.save()
    assert "，2 条每周上限" in text(client.get(f"{ALL}{batch.pk}/"))
    assert f"{ALL}{batch.pk}/" in text(client.get(ALL))


def test_in_english_too_the_number_of_a_lease_is_no_figure(building: Building) -> None:
    """A page in English writes 1,299 for a figure; whoever approves says which leases by their numbers."""
    lease = make_lease(pk=1299, unit=make_unit(building=building), monthly_rent=Decimal(3900))
    Case.objects.create(lease=lease, state="upcoming", since=NOW, opened_at=NOW)
    client = as_(make_user("mei", is_superuser=True))
    client.cookies["django_language"] = "en"
    page = client.get(RANGE)
    assert "1 lease can have its proposal" in text(page)
    assert 'name="lease" value="1299"' in page.content.decode()
    client.post(RANGE, form(page))
    assert Proposal.objects.get().lease_id == 1299


def test_the_version_of_the_card_changes_with_every_figure_of_it(building: Building) -> None:
    seen = set()
    for change in (
        lambda: None,
        lambda: make_rate(building, "4000", term_months=6),
        lambda: Rate.objects.filter(term_months=6).update(signed_to=TODAY),
        lambda: make_band(building),
        lambda: make_cap(3),
        lambda: make_cap(4, decided_at=NOW + timedelta(days=1)),
    ):
        change()
        seen.add(batches.card_version([building.pk], today=TODAY)["digest"])
    assert len(seen) == 6
    assert len(batches.card_version([building.pk], today=TODAY)["caps"]) == 1
    make_rate(make_building("B2"), "1")
    assert batches.card_version([building.pk], today=TODAY)["digest"] in seen


def test_an_exception_needs_a_reason_and_what_was_looked_at_must_still_hold(building: Building) -> None:
    odd, plain = ending(building, "3000"), ending(building)
    client = as_(make_user("mei", is_superuser=True))
    page = client.get(RANGE)
    assert "其中 1 份需要审核" in text(page)
    silent = client.post(RANGE, form(page))
    assert (silent.status_code, "请写明可以通过的原因" in text(silent), Batch.objects.count()) == (422, True, 0)
    only = client.post(RANGE, form(page, lease=[plain.pk]))
    assert (only.status_code, BatchLine.objects.get().lease_id) == (302, plain.pk)
    assert client.post(RANGE, form(page, why="x")).status_code == 422  # one of them is prepared meanwhile
    page = client.get(RANGE)
    make_rate(building, "3950", signed_from=date(2025, 11, 2))
    stale = client.post(RANGE, form(page, why="x"))
    assert (stale.status_code, "请再看一次" in text(stale)) == (422, True)
    assert client.post(RANGE, form(client.get(RANGE), lease=[])).status_code == 422
    client.post(RANGE, form(client.get(RANGE), why="老租客"))
    batch = Batch.objects.latest("pk")
    line = BatchLine.objects.get(batch=batch, lease=odd)
    assert (batch.why, line.reasons, line.verdict) == ("老租客", ["change"], "approved")


def test_what_is_held_back_reads_not_yet_until_it_is_released(building: Building) -> None:
    yes, no, also = ending(building), ending(building), ending(building)
    client = as_(make_user("mei", is_superuser=True))
    client.post(RANGE, form(client.get(RANGE), lease=[yes.pk], do="hold"))
    batch = Batch.objects.get()
    days.run(today=TODAY, now=NOW)
    assert {proposal.lease_id for proposal in Proposal.objects.all()} == {yes.pk}
    assert [cover(lease)[0] for lease in (yes, no)] == ["opened", "还有点早"]
    assert not Proposal.objects.filter(lease=no).exists()
    assert "2 份，仍在暂缓 2 份" in text(client.get(f"{ALL}{batch.pk}/"))
    again = client.get(RANGE)
    assert b'name="lease"' not in again.content  # the opened one and those held back are in no batch
    client.post(f"{ALL}{batch.pk}/", {"lease": no.pk})
    assert [cover(lease)[0] for lease in (no, also)] == ["opened", "还有点早"]
    client.post(f"{ALL}{batch.pk}/", {"lease": "all"})
    assert cover(also)[0] == "opened"
    released = BatchLine.objects.get(lease=also)
    assert (released.verdict, released.released_by) == ("held", batch.by)
    client.post(f"{ALL}{batch.pk}/", {"lease": "all"})  # a second time nothing is left to release
    assert BatchLine.objects.get(lease=also).released_at == released.released_at
    line = BatchLine.objects.get(lease=no)
    twice = [BatchLine(batch=batch, lease=no, verdict="held", rent_today=1, rate=line.rate) for _ in range(2)]
    for held in twice:
        held.batch = Batch.objects.create(asked={}, change_percent=5, card={}, forecast={}, by=batch.by, at=NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        BatchLine.objects.bulk_create(twice)


def test_nobody_is_sent_to_a_letter_that_is_held_back_until_it_is_released(building: Building, settings: Any) -> None:
    settings.CHANNELS = ["phone"]
    make_playbook("p", {"code": "ask", "days": 25, "text": "租约 {last_day}到期。"}, rank=50)
    no = ending(building, days_ahead=26)
    outbox.post(
        outbox.Draft(
            key="push:earlier", klass=Message.Class.MARKETING, text="信在这里", deadline=NOW + timedelta(days=3),
            tenant_id=no.tenants.get().pk, lease_id=no.pk, stops_on_answer=True,
        ),
        now=NOW,
    )  # fmt: skip
    client = as_(make_user("mei", is_superuser=True))
    client.post(RANGE, form(client.get(RANGE), lease=[], do="hold"))
    why = "这封信在批次里暂缓。"
    assert Message.objects.values_list("state", "reason").get(key="push:earlier") == ("cancelled", why)
    run(day(1))
    assert decision(no) == ("held", why)
    clock.set_to(clock.at(day(2)))
    client.post(f"{ALL}{Batch.objects.get().pk}/", {"lease": "all"})
    run(day(2))
    assert decision(no)[0] == "handed_over"


def test_a_release_ends_no_quiet_that_has_another_reason(building: Building) -> None:
    no = ending(building)
    client = as_(make_user("mei", is_superuser=True))
    client.post(RANGE, form(client.get(RANGE), lease=[], do="hold"))
    quiet.keep({no: day(9)}, why="租客可能要走，先由同事联系。", now=clock.now())
    client.post(f"{ALL}{Batch.objects.get().pk}/", {"lease": "all"})
    assert quiet.until(no, now=clock.now()) == day(9)


def test_a_prepared_proposal_that_nobody_opened_can_be_held_back(building: Building) -> None:
    lease = ending(building)
    days.run(today=TODAY, now=NOW)
    assert Proposal.objects.filter(lease=lease).exists()
    client = as_(make_user("mei", is_superuser=True))
    page = client.get(RANGE)
    assert "每日运行已备好，租客未打开" in text(page)
    client.post(RANGE, form(page, lease=[], do="hold"))
    assert cover(lease)[0] == "还有点早"
    client.post(f"{ALL}{Batch.objects.get().pk}/", {"lease": "all"})
    assert cover(lease)[0] == "opened"


def test_without_a_batch_the_days_run_prepares_as_ever(building: Building) -> None:
    near, far = ending(building), ending(building, days_ahead=100)
    days.run(today=TODAY, now=NOW)
    assert {proposal.lease_id for proposal in Proposal.objects.all()} == {near.pk}
    assert not Case.objects.filter(lease=far).exists()


def test_who_may_look_and_who_may_approve(building: Building) -> None:
    second = make_building("B2")
    make_rate(second, "3900")
    here, there = ending(building), ending(second)
    manager, care = as_(member("manager", "B1")), as_(member("care", "B1"))
    assert as_(member("technician", "B1")).get(ALL).status_code == 403
    page = care.get(RANGE)
    assert (page.status_code, here.unit.code in text(page), there.unit.code in text(page)) == (200, True, False)
    assert care.post(RANGE, {"do": "approve", "seen": "x", "lease": [here.pk]}).status_code == 403
    assert manager.get(f"{RANGE}&building=B2").status_code == 404
    assert manager.post(RANGE, form(manager.get(RANGE), lease=[here.pk, there.pk])).status_code == 302
    assert [line.lease_id for line in BatchLine.objects.all()] == [here.pk]
    at = f"{ALL}{Batch.objects.get().pk}/"
    assert [as_(member("manager", "B2")).get(at).status_code, care.get(at).status_code] == [404, 200]
    assert care.post(at, {"lease": "all"}).status_code == 403
    assert manager.post(RANGE, form(manager.get(RANGE), do="burn")).status_code == 400
    for bad in ("from=x", "from=2026-01-02&to=2026-01-01", "to=2030-01-01"):
        assert 'name="lease"' not in text(manager.get(f"{ALL}?{bad}"))


# --- Three hundred ----------------------------------------------------------------------------------------


def test_three_hundred_leases_are_approved_in_one_click_by_as_many_queries_as_thirty(building: Building) -> None:
    second = make_building("B2")
    make_rate(second, "3900")
    client = as_(make_user("mei", is_superuser=True))

    def approved(n: int, where: Building) -> tuple[int, int]:
        for place in range(n):
            ending(where, days_ahead=20 + place * 7 % 80)  # some so far off that their case is opened
        address = f"{RANGE}&building={where.code}"
        with CaptureQueriesContext(connection) as looked:
            page = client.get(address)
        with CaptureQueriesContext(connection) as done:
            assert client.post(address, form(page)).status_code == 302
        batch = Batch.objects.latest("pk")
        assert BatchLine.objects.filter(batch=batch, verdict="approved").count() == n
        assert Proposal.objects.filter(lease__unit__building=where).count() == n
        return len(looked), len(done)

    few, many = approved(30, building), approved(300, second)
    assert many == few
    assert many[0] <= 40
    assert many[1] <= 60
