"""The cases as staff read them: who waits for whom, one case with all that is known of it, and what may be done."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from renewal import cases, errands, facts, notices
from renewal.models import Case, CaseChange, Errand, Fact, Notice
from tenants import clock
from tenants.models import Building, LeaseTenant, Membership, Message
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


def staff(name: str = "root", role: str = "", *codes: str) -> Client:
    user = make_user(name, is_superuser=not role)
    for code in codes:
        Membership.objects.create(user=user, role=role, building=Building.objects.get(code=code), first_day=TODAY)
    client = Client()
    client.force_login(user)
    return client


def make_case(state: str = "contacted", name: str = "林晓", building: str = "B1", **facts: Any) -> Case:
    lease = make_lease(make_tenant(name), make_unit(building=make_building(building)), **facts)
    return Case.objects.create(lease=lease, state=state, since=NOW - timedelta(days=3), opened_at=NOW)


def get(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, (address, response.status_code)
    return unescape(response.content.decode())


def names(html: str) -> list[str]:
    return re.findall(r'<tr data-row>\s*<th scope="row"><a href="/admin/case/\d+/">(.*?)</a>', html)


def waiting(html: str) -> dict[str, int]:
    return {code: int(n) for code, n in re.findall(r'data-waits="(\w+)"[^>]*>[^<]*<b>(\d+)</b>', html)}


def act(client: Client, case: Case, do: str, **more: Any) -> Any:
    return client.post(reverse("staff-case-act", args=[case.pk]), {"do": do, **more})


def give(case: Case, **word: Any) -> Notice:
    word.setdefault("last_day", case.lease.last_day)
    found = notices.give(case.lease, case.lease.tenants.get(), notices.Word(**word), now=NOW)
    assert found
    return found


# --- The list -----------------------------------------------------------------------------------


def test_the_list_says_who_waits_for_whom_and_is_narrowed_by_its_address() -> None:
    root = staff()
    make_case("upcoming", "未联系")
    asked = make_case("contacted", "已联系", last_day=date(2025, 12, 5))
    make_case("considering", "考虑中", "B2", last_day=date(2026, 1, 3))
    make_case("declined", "说过不续")
    make_case("signed", "签好了")
    leaving = make_case("viewed", "要走的")
    give(leaving)
    gone = make_case("moved_out", "走了的", last_day=TODAY - timedelta(days=9))
    errands.open(asked, Errand.Kind.CALL, why="may leave", now=NOW)
    CaseChange.objects.create(case=gone, was="viewed", now="moved_out", at=NOW, cause="x", by="x")
    errands.open(gone, Errand.Kind.CALL, why="may leave", now=NOW)  # overtaken: nobody waits for it

    html = get(root, reverse("staff-cases"))
    assert "7 份将到期的租约，2 份等我们，1 份等租客" in html
    assert waiting(html) == {"us": 2, "tenant": 1, "word": 1, "declined": 1, "nobody": 2}
    # The nearest end first, and those whose end is past last.
    assert (names(html)[0], names(html)[-1]) == ("已联系", "走了的")

    def listed(query: str) -> set[str]:
        return set(names(get(root, reverse("staff-cases") + query)))

    assert listed("?waits=us") == {"已联系", "要走的"}
    assert listed("?waits=tenant") == {"考虑中"}
    assert listed("?state=signed") == {"签好了"}
    assert listed("?building=B2") == {"考虑中"}
    assert listed("?month=2026-01") == {"考虑中"}
    assert listed("?from=2025-12-01&to=2025-12-05") == {"已联系"}
    assert listed("?q=不续") == {"说过不续"}
    assert listed(f"?q={asked.lease.contract_no}") == {"已联系"}
    assert listed(f"?q={asked.lease.tenants.get().phone}") == {"已联系"}
    assert listed("?outcome=undecided") == {"未联系", "已联系", "考虑中", "说过不续", "要走的", "签好了"}
    assert listed("?q=nobody") == set()
    assert "没有符合的个案" in get(root, reverse("staff-cases") + "?q=nobody")
    # What is no value of a filter is not asked for.
    assert len(listed("?state=x&month=2025-13&waits=y&outcome=z&page=abc")) == 7


def test_an_empty_house_says_when_cases_open() -> None:
    html = get(staff(), reverse("staff-cases"))
    assert "还没有打开的个案" in html


def test_a_long_list_has_pages_and_no_more_queries_than_a_short_one() -> None:
    root = staff()
    for n in range(8):
        case = make_case("contacted", f"甲{n}")
        facts.add(case, "intent", {"lean": "stay", "reason": "", "more": ""}, now=NOW, by="tenant")
        errands.open(case, Errand.Kind.CALL, why="x", now=NOW)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            get(root, reverse("staff-cases"))
        return len(seen.captured_queries)

    queries()
    few = queries()
    for n in range(60):
        give(make_case("contacted", f"乙{n}"))
    assert queries() == few
    first, second = (names(get(root, reverse("staff-cases") + f"?page={n}")) for n in (1, 2))
    assert (len(first), len(second), set(first) & set(second)) == (50, 18, set())


def test_an_intent_of_a_month_ago_is_shown_as_too_old() -> None:
    root = staff()
    for name, days in (("新", 29), ("旧", 30)):
        fact = {"lean": "leave", "reason": "", "more": ""}
        facts.add(make_case("viewed", name), "intent", fact, now=NOW - timedelta(days=days), by="tenant")
    html = get(root, reverse("staff-cases"))
    assert re.findall(r'cases__lean--leave( is-stale)?">可能要走', html) in (["", " is-stale"], [" is-stale", ""])


# --- Doors --------------------------------------------------------------------------------------


def test_a_case_of_another_building_does_not_exist_for_whoever_asks() -> None:
    here, there = make_case(name="这里", building="B1"), make_case(name="那里", building="B2")
    care = staff("care", "care", "B1")
    assert names(get(care, reverse("staff-cases"))) == ["这里"]
    assert get(care, reverse("staff-case", args=[here.pk]))
    get(care, reverse("staff-case", args=[there.pk]), 404)
    assert act(care, there, "note", text="x").status_code == 404
    assert not Fact.objects.exists()


def test_a_technician_sees_none_and_finance_writes_nothing() -> None:
    case = make_case()
    technician, finance = staff("fixer", "technician", "B1"), staff("money", "finance", "B1")
    for address in (reverse("staff-cases"), reverse("staff-case", args=[case.pk])):
        get(technician, address, 403)
        get(finance, address)
    assert (act(technician, case, "note", text="x").status_code, act(finance, case, "note", text="x").status_code) == (
        403, 403,
    )  # fmt: skip
    assert 'value="note"' not in get(finance, reverse("staff-case", args=[case.pk]))
    assert not Fact.objects.exists()


def test_nothing_is_done_by_looking_and_an_unknown_deed_is_none() -> None:
    root, case = staff(), make_case()
    assert root.get(reverse("staff-case-act", args=[case.pk])).status_code == 405
    assert act(root, case, "burn").status_code == 404


# --- One case -----------------------------------------------------------------------------------


def test_the_page_tells_who_where_until_when_and_everything_that_was_said() -> None:
    root, case = staff(), make_case("upcoming", "林晓")
    mate = make_tenant("周航")
    LeaseTenant.objects.create(lease=case.lease, tenant=mate, is_primary=False)
    cases.move(
        case,
        "contacted",
        now=NOW - timedelta(hours=2),
        cause="a push was accepted by its channel",
        by="cases.contacted",
    )
    case.refresh_from_db()
    facts.add(case, "intent", {"lean": "leave", "reason": "rent", "more": "太贵"}, now=NOW, by="tenant")
    facts.add(
        case, "wish", {"room_type": "朝南大一居", "floor": "6", "month": "2026-01", "more": ""}, now=NOW, by="tenant"
    )
    facts.add(case, "reminder", {"choice": "3", "on": "2025-12-04", "key": ""}, now=NOW, by="tenant")
    Message.objects.create(
        key="remind:1", klass="service", tenant=mate, lease=case.lease, channel="phone", text="您让我们提醒您",
        not_before=NOW, deadline=NOW, created_at=NOW, changed_at=NOW, state="queued",
    )  # fmt: skip
    html = get(root, reverse("staff-case", args=[case.pk]))
    for words in (
        "林晓、周航：租约 25 天后到期，等租客答复", case.lease.contract_no, case.lease.unit.code, "2025-12-26",
        "3,800.00", "第一承租人", "即将到期 →", "触达已被渠道接收", "规则：contacted", "可能要走（租金：太贵）",
        "朝南大一居 · 6 楼 · 2026-01 起", "希望 2025-12-04 提醒", "您让我们提醒您", "2 小时",
    ):  # fmt: skip
        assert words in html, words
    assert mate.phone not in html
    assert f"{mate.phone[:3]}****{mate.phone[-4:]}" in html
    assert get(root, reverse("staff-contract", args=[case.lease_id])).count(reverse("staff-case", args=[case.pk])) == 1


def test_a_word_is_noted_with_its_time_and_by_whom_and_stands() -> None:
    root, case = staff(), make_case()
    assert act(root, case, "note", text="  电话没人接 ").status_code == 302
    fact = Fact.objects.get()
    assert (fact.kind, fact.said, fact.by) == ("note", {"text": "电话没人接"}, "root")
    assert "电话没人接" in get(root, reverse("staff-case", args=[case.pk]))
    refused = act(root, case, "note", text=" ")
    assert refused.status_code == 409
    assert Fact.objects.count() == 1
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        Fact.objects.update(at=NOW)


def test_a_declined_case_shows_its_reason_and_is_taken_up_again_once() -> None:
    root, case = staff(), make_case("viewed")
    cases.move(case, "declined", now=NOW, cause="rent: 想再看看", by="tenant")
    html = get(root, reverse("staff-case", args=[case.pk]))
    assert "租金：想再看看" in html
    assert act(root, case, "reopen", why="电话里说愿意再谈").status_code == 302
    case.refresh_from_db()
    assert case.state == "considering"
    change = CaseChange.objects.latest("pk")
    assert (change.was, change.now, change.cause, change.by) == ("declined", "considering", "电话里说愿意再谈", "root")
    assert act(root, case, "reopen").status_code == 409
    assert CaseChange.objects.count() == 2


def test_an_errand_is_done_with_what_came_of_it() -> None:
    root, case = staff(), make_case()
    errand = errands.open(case, Errand.Kind.CALL, why="rent: 太贵", now=NOW)
    html = get(root, reverse("staff-case", args=[case.pk]))
    assert "我们要：联系租客" in html
    assert "租金：太贵" in html
    assert act(root, case, "done", errand=errand.pk, outcome=" ").status_code == 409
    assert act(root, case, "done", errand=errand.pk, outcome="愿意再住半年").status_code == 302
    errand.refresh_from_db()
    assert (errand.outcome, errand.done_by, errand.done_at is not None) == ("愿意再住半年", "root", True)
    assert "愿意再住半年" in get(root, reverse("staff-case", args=[case.pk]))
    # Another case's errand is none of this one.
    other = errands.open(make_case(), Errand.Kind.CALL, why="x", now=NOW)
    assert act(root, case, "done", errand=other.pk, outcome="x").status_code == 404
