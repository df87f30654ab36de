"""A length whose week is full: on the letter, at the signature, and where none is left."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import expect

from renewal import offers
from renewal.models import WeekCap
from tests.letter import digits_of
from tests.makers import NOW, TODAY, make_lease, make_tenant, make_unit, make_user
from tests.states import Visit, state
from tests.states.letter import LETTER


def _fill(visit: Visit, *terms: int) -> None:
    """One lease a week may end, and others end in the weeks of these terms."""
    lease = visit.link.lease
    WeekCap.objects.create(
        building=lease.unit.building, room_type=lease.unit.room_type, most=1, why="冬季", state="standing",
        asked_by=make_user("asker"), asked_at=NOW, decided_by=make_user("approver"), decided_at=NOW,
    )  # fmt: skip
    for term in terms:
        ends = offers.term_last_day(lease.last_day + timedelta(days=1), term, lease.anchor_day)
        make_lease(make_tenant("周舟"), make_unit(building=lease.unit.building), first_day=TODAY, last_day=ends)


@state(LETTER, part=".offers")
def length_full(visit: Visit) -> None:
    _fill(visit, 12)
    visit.open()
    expect(visit.page.get_by_text("1 年暂时选不了")).to_be_visible()


@state("这个租期刚刚满了：到期那一周的名额已经用完，请换一个租期。")
def length_taken(visit: Visit) -> None:
    visit.ask_code()
    _fill(visit, 12)
    visit.sign(digits_of())


@state("眼下没有可选的租期")
def no_length(visit: Visit) -> None:
    _fill(visit, 6, 12, 24)
    visit.page.goto(f"/r/{visit.token}")
    visit.press("打开")
