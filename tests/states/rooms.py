"""Another room: kept for the reader a while, kept for somebody else, or let meanwhile."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import expect

from renewal import holds, proposals
from renewal.models import Hold
from tenants import clock
from tenants.models import Unit
from tests.letter import digits_of, make_letter, publish
from tests.makers import NOW, TODAY, make_lease, make_tenant, make_unit
from tests.states import Visit, state
from tests.states.letter import LETTER, letter_another_room

ROOM = "B1-0901A"


def _keep_for_another(visit: Visit, unit: str = ROOM) -> None:
    """Somebody of the same house is about to sign for the room."""
    room = make_unit(f"B1-{Hold.objects.count() + 1401}A", visit.link.lease.unit.building)
    other, _token = make_letter(f"message:other:{unit}", unit=room, tenant=make_tenant("周舟"))
    holds.keep(proposals.for_link(other, today=TODAY, now=NOW), unit, now=NOW)


def _let(unit: str = ROOM) -> None:
    """The ERP has let the room to somebody."""
    make_lease(make_tenant("郑爽"), Unit.objects.get(code=unit), first_day=TODAY, last_day=TODAY + timedelta(days=364))


@state(LETTER, part=".offers")
def room_kept_by_another(visit: Visit) -> None:
    house = visit.link.lease.unit.building
    make_unit("B1-0701A", house, room_type="朝北一居", floor=7)
    publish(house, {"朝北一居": {(12, 0): "3600.00"}})
    _keep_for_another(visit)
    visit.open()
    visit.page.get_by_text("换一间").tap()
    expect(visit.page.get_by_text("这间房刚被别人选着")).to_be_visible()


@state(LETTER, part=".offers")
def room_kept_by_another_the_only_one(visit: Visit) -> None:
    _keep_for_another(visit)
    visit.open()
    expect(visit.page.get_by_text("这间房刚被别人选着")).to_be_visible()


@state(LETTER, part=".offers")
def room_kept_meanwhile(visit: Visit) -> None:
    letter_another_room(visit)
    _keep_for_another(visit)
    visit.press("去确认")
    visit.page.wait_for_url("**/r/letter/?say=held#offers")


@state(LETTER, part=".offers")
def room_gone_meanwhile(visit: Visit) -> None:
    letter_another_room(visit)
    _let()
    visit.press("去确认")
    visit.page.wait_for_url("**/r/letter/?say=gone#offers")


@state("先看这五行", after=letter_another_room)
def room_agreement(visit: Visit) -> None:
    visit.press("去确认")
    expect(visit.page.get_by_text("这间房为您留到 10:30。")).to_be_visible()


@state(LETTER, after=room_agreement, part=".offers")
def room_kept(visit: Visit) -> None:
    visit.back()
    expect(visit.page.get_by_text("为您留到 10:30")).to_be_visible()


@state("先看这五行", after=room_kept)
def room_not_kept_any_more(visit: Visit) -> None:
    clock.set_to(NOW + timedelta(minutes=31))
    visit.page.goto("/r/letter/agreement")
    expect(visit.page.get_by_text("这间房此刻没有为您保留")).to_be_visible()


@state("这间房现在选不了了，请换一间看看。")
def room_taken(visit: Visit) -> None:
    make_unit("B1-1001A", visit.link.lease.unit.building, room_type="朝南大一居", floor=10)
    letter_another_room(visit)
    visit.press("去确认")
    visit.page.wait_for_url("**/r/letter/agreement")
    chosen = Hold.objects.get().unit.code
    visit.send_code("code")
    Hold.objects.all().delete()
    _let(chosen)
    visit.sign(digits_of())
