"""A verbal yes: noted by staff, it keeps the room for some days, moves no state, and shows what stands against it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from renewal import spoken
from renewal.models import Case, CaseChange, Errand, Fact, Hold, Notice
from tenants import clock
from tenants.models import Building, Lease, Membership, WaitingContract
from tests.letter import make_letter, opened
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user
from tests.test_holds import go_on, reader, text

pytestmark = pytest.mark.django_db
ROOM = "B1-0701A"


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


def staff(name: str = "mei", role: str = "", code: str = "B1") -> Client:
    """Somebody of the head office, or of one building."""
    user = make_user(name, is_superuser=not role)
    if role:
        building = Building.objects.get(code=code)
        Membership.objects.create(user=user, role=role, building=building, first_day=TODAY)
    client = Client()
    client.force_login(user)
    return client


def leaving(**facts: Any) -> Case:
    """Somebody who gave notice and leaves before their neighbours' renewals begin: their room is offered to others."""
    facts = {"last_day": TODAY + timedelta(days=10)} | facts
    unit = make_unit(ROOM, make_building(), room_type="朝南大一居")
    lease = make_lease(make_tenant("周航"), unit, **facts)
    case = Case.objects.create(lease=lease, state="notice", since=NOW, opened_at=NOW)
    Notice.objects.create(
        case=case,
        tenant=lease.tenants.get(),
        last_day=lease.last_day,
        given_at=NOW,
        given_by="tenant",
        window_ends_at=NOW + timedelta(days=7),
        confirmed_at=NOW,
        confirmed_by="mei",
    )
    return case


def act(client: Client, case: Case, do: str, **more: str) -> Any:
    return client.post(reverse("staff-case-act", args=[case.pk]), {"do": do, **more})


def page(client: Client, case: Case) -> str:
    html = client.get(reverse("staff-case", args=[case.pk])).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def is_offered(client: Client) -> bool:
    return f'value="{ROOM}"' in text(client)


def test_a_verbal_yes_keeps_the_room_for_seven_days_and_runs_out_by_itself() -> None:
    case = leaving()
    neighbour, _ = reader()
    office = staff()
    assert is_offered(neighbour)
    changes = CaseChange.objects.count()
    answer = act(office, case, "word", via="phone", more="妈妈说就住这儿了")
    assert answer.status_code == 302
    assert not is_offered(neighbour)
    fact = Fact.objects.get()
    assert (fact.kind, fact.by) == ("word", "mei")
    assert fact.said == {"via": "phone", "more": "妈妈说就住这儿了", "until": "2025-12-08"}
    case.refresh_from_db()
    assert (case.state, CaseChange.objects.count()) == ("notice", changes)  # a fact, not a state
    assert "电话里说续；房间保留到 2025-12-08（妈妈说就住这儿了）" in page(office, case)
    for days, offered in ((7, False), (8, True)):
        clock.set_to(NOW + timedelta(days=days))
        again, (_link, token) = Client(), make_letter(f"message:push:later{days}", last_day=date(2026, 1, 5))
        opened(again, token)
        assert is_offered(again) is offered
    assert "已过期" in page(office, case)
    assert spoken.standing(case, today=TODAY + timedelta(days=8)) is None


def test_the_days_are_a_setting(settings: Any) -> None:
    settings.VERBAL_YES_DAYS = 3
    case = leaving()
    act(staff(), case, "word", via="spoken")
    assert Fact.objects.get().said["until"] == "2025-12-04"


def test_it_is_taken_back_with_a_reason_and_both_stay_on_record() -> None:
    case = leaving()
    neighbour, _ = reader()
    office = staff()
    act(office, case, "word", via="chat")
    refused = act(office, case, "unword", why="  ")
    assert refused.status_code == 409
    assert "请写明为什么收回口头同意" in refused.content.decode()
    assert not is_offered(neighbour)
    assert act(office, case, "unword", why="改主意了").status_code == 302
    assert is_offered(neighbour)
    said = page(office, case)
    assert said.count("口头同意已收回：改主意了") == 2  # in the panel and in the history
    assert "聊天里说续；房间保留到 2025-12-08" in said
    refused = act(office, case, "unword", why="又一次")
    assert refused.status_code == 409
    assert "现在没有有效的口头同意" in refused.content.decode()
    assert Fact.objects.count() == 2


def test_what_is_no_way_of_saying_it_is_refused_and_what_was_typed_stays() -> None:
    case = leaving()
    refused = act(staff(), case, "word", via="dream", more="梦里说的")
    assert refused.status_code == 409
    assert "请选租客是怎样说的" in refused.content.decode()
    assert 'value="梦里说的"' in refused.content.decode()
    assert Fact.objects.count() == 0


@pytest.mark.parametrize("state", ["signed", "transferred", "moved_out", "ended_by_operator"])
def test_a_settled_case_takes_no_verbal_yes(state: str) -> None:
    case = leaving()
    Case.objects.update(state=state)
    office = staff()
    assert act(office, case, "word", via="phone").status_code == 409
    assert "租客说续" not in page(office, case)
    assert Fact.objects.count() == 0


def test_a_letter_that_shows_the_room_is_a_conflict_until_its_reader_looks_again() -> None:
    case = leaving()
    neighbour, link = reader()
    assert is_offered(neighbour)
    office = staff()
    act(office, case, "word", via="phone")
    said = office.get(reverse("staff-case", args=[case.pk])).content.decode()
    assert "1 位租客的信里，上次打开时能选到这间房。" in said
    other = Case.objects.get(lease=link.lease)
    assert f'<a href="/admin/case/{other.pk}/">对方的个案</a>' in said
    errand = Errand.objects.get(case=case)
    assert (errand.kind, errand.done_at) == ("clash", None)
    assert "口头同意与别人看到或得到的承诺冲突" in page(office, case)
    # What they saw is not to be had any more, and they are told so in true words.
    assert go_on(neighbour, ROOM) == "/r/letter/?say=gone#offers"
    assert "这间房现在选不了了" in text(neighbour, "/r/letter/?say=gone")
    assert "位租客的信里" not in page(office, case)
    assert Errand.objects.filter(done_at=None).exists()  # until a person says what came of it


def test_without_anything_against_it_there_is_no_conflict_and_no_errand() -> None:
    case = leaving()
    office = staff()
    act(office, case, "word", via="phone")
    assert "与此冲突" not in page(office, case)
    assert Errand.objects.count() == 0


def test_whoever_was_about_to_sign_keeps_the_room_and_the_conflict_says_so() -> None:
    case = leaving()
    (first, mine), (second, _) = reader(), reader()
    go_on(first, ROOM)
    office = staff()
    act(office, case, "word", via="phone")
    assert "有人正要签这间房，为其保留到 10:30。" in page(office, case)
    assert is_offered(first)  # what was kept for them before still is
    assert not is_offered(second)
    assert go_on(first, ROOM) == "/r/letter/agreement"
    assert Hold.objects.get().proposal.lease_id == mine.lease_id
    clock.set_to(NOW + timedelta(hours=1))  # their hold is over: the word counts now
    assert not is_offered(first)
    assert "有人正要签这间房" not in page(office, case)


@pytest.mark.parametrize("what", ["let", "contract"])
def test_a_promise_to_somebody_else_is_a_conflict(what: str) -> None:
    case = leaving()
    unit = case.lease.unit
    if what == "let":
        make_lease(unit=unit, first_day=date(2026, 1, 5), last_day=date(2026, 12, 31))
        said = "2026-01-05"
    else:
        WaitingContract.objects.create(
            contract_no="HT9", revision=1, unit=unit, terms={}, reason="重叠", recorded_at=NOW
        )
        said = "这间房有一份合同在等人处理。"
    office = staff()
    act(office, case, "word", via="phone")
    assert said in page(office, case)
    assert Errand.objects.get().kind == "clash"


def test_their_own_renewal_is_no_conflict() -> None:
    case = leaving()
    make_lease(
        case.lease.tenants.get(),
        case.lease.unit,
        first_day=case.lease.last_day + timedelta(days=1),
        last_day=date(2026, 12, 11),
        renews=case.lease,
    )
    assert spoken.clashes(case, now=NOW) == []
    assert Lease.objects.filter(renews=case.lease).exists()


def test_only_those_of_the_building_who_work_on_cases_may_note_one() -> None:
    case = leaving()
    make_building("B2")
    assert act(staff("else", "manager", "B2"), case, "word", via="phone").status_code == 404
    assert act(staff("tech", "technician", "B1"), case, "word", via="phone").status_code == 403
    assert Fact.objects.count() == 0
    assert act(staff("own", "manager", "B1"), case, "word", via="phone").status_code == 302
    assert Fact.objects.get().by == "own"
