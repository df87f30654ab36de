"""Segments in the staff site over HTTP: the list, one segment's members, and why somebody is among them or not."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns import evidence, segments
from campaigns.conditions import FEATURES
from campaigns.models import Playbook, Segment
from tenants import clock, current, features
from tenants.models import Membership, Tenant, TenantTag
from tests.makers import NOW, TODAY, make_building, make_event, make_lease, make_tenant, make_unit, make_user

pytestmark = pytest.mark.django_db

LIST = "/admin/segment/"
NIGHTS = {
    "events": "ticket.reported",
    "last": {"events": 3, "satisfy": [{"field": "hour", "op": "between", "value": [22, 6]}]},
}


@pytest.fixture(autouse=True)
def _today() -> None:
    clock.set_to(NOW)


def client_of(role: str, building: Any = None) -> Client:
    user = make_user(f"{role}-{building}")
    Membership.objects.create(user=user, role=role, building=building, first_day=TODAY)
    client = Client()
    client.force_login(user)
    return client


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", unescape(response.content.decode()))


def get(client: Client, address: str, language: str = "zh-hans") -> str:
    response = client.get(address, headers={"accept-language": language})
    assert response.status_code == 200, (address, response.status_code)
    return text_of(response)


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()


def cells(html: str) -> list[list[str]]:
    return [
        [plain(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr data-row>(.*?)</tr>", html)
    ]


def segment(name: str, rule: Any, code: str = "") -> Segment:
    return Segment.objects.create(code=code or name, name=name, rule=rule)


def resident(name: str, room: str, building: str = "A", **facts: Any) -> Tenant:
    tenant = make_tenant(name)
    make_lease(tenant, make_unit(room, make_building(building)), **facts)
    return tenant


def tagged(tenant: Tenant, tag: str = "social") -> Tenant:
    TenantTag.objects.create(tenant=tenant, tag=tag, since=TODAY, evidence={"facts": {}}, computed_at=NOW)
    return tenant


def report(tenant: Tenant, days_ago: int, hour: int) -> None:
    at = clock.at(TODAY - timedelta(days=days_ago), hour)
    data = {"category": "water", "channel": "app", "text": "漏水"}
    make_event("ticket.reported", tenant, at=at, data=data, source_id=f"t{tenant.pk}-{days_ago}")


def test_the_list_says_each_rule_its_members_and_who_uses_it() -> None:
    tagged(resident("林晓", "A-0101"))
    tagged(resident("陈雨", "A-0102"))
    resident("王安", "A-0103")
    social = segment("社交", {"tag": "social"})
    segment("甲楼", {"lease": "building", "op": "=", "value": "A"})
    Playbook.objects.create(code="p", name="邻里", segment=social, rank=1)
    hq = client_of("hq")
    html = get(hq, LIST)
    assert "2 个客群" in html
    assert cells(html) == [
        ["甲楼", "楼栋 = 蓝寓A", "3", "没有剧本"],
        ["社交", "有“社交活跃型”标签", "2", "邻里"],
    ]
    assert [row[0] for row in cells(get(hq, f"{LIST}?q=社交"))] == ["社交"]
    assert [row[0] for row in cells(get(hq, f"{LIST}?q=蓝寓A"))] == ["甲楼"]
    assert "没有符合的客群。" in get(hq, f"{LIST}?q=无")
    assert cells(get(hq, LIST, "en"))[0][1] == "building = 蓝寓A"


def test_an_empty_list_says_what_a_segment_is() -> None:
    html = get(client_of("hq"), LIST)
    assert "还没有客群。" in html
    assert "客群是一条选出租客的规则" in html


def test_each_segment_costs_the_list_one_query_whatever_it_selects() -> None:
    hq = client_of("hq")

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            get(hq, LIST)
        return len(seen)

    segment("一", {"tag": "social"})
    first = queries()
    for n in range(5):
        tagged(resident(f"租客{n}", f"A-02{n:02}"))
    assert queries() == first
    segment("二", NIGHTS)
    segment("三", {"consent": "marketing"})
    assert queries() == first + 2


def test_a_segments_page_lists_its_members_and_everybody_else() -> None:
    lin = tagged(resident("林晓", "A-0101"))
    tagged(resident("陈雨", "A-0102"))
    wang = resident("王安", "B-0103", "B")
    resident("赵走", "A-0104", last_day=TODAY - timedelta(days=3))  # gone: neither in nor out
    one = segment("社交", {"tag": "social"})
    hq = client_of("hq")
    html = get(hq, f"{LIST}{one.pk}/")
    assert "社交：2 人" in html
    assert "有“社交活跃型”标签" in html
    assert '<p lang="en">tagged “socially active”</p>' in html
    assert sorted(row[0] for row in cells(html)) == ["林晓", "陈雨"]
    assert f'href="/admin/tenant/{lin.pk}/"' in html
    assert f'href="/admin/segment/{one.pk}/why/{lin.pk}/"' in html
    assert "成员 2" in html
    assert "其他租客 1" in html
    assert [row[:2] for row in cells(get(hq, f"{LIST}{one.pk}/?q=0102"))] == [["陈雨", "A-0102 朝南一居"]]
    others = get(hq, f"{LIST}{one.pk}/?who=others")
    assert [row[0] for row in cells(others)] == ["王安"]
    assert f'href="/admin/segment/{one.pk}/why/{wang.pk}/"' in others
    assert "在其他租客中找" in get(hq, f"{LIST}{one.pk}/?q=王安")
    for strange in ("?page=99", "?page=x", "?q=%00", "?who=x"):
        assert hq.get(f"{LIST}{one.pk}/{strange}").status_code == 200, strange
    assert hq.get(f"{LIST}{one.pk + 1}/").status_code == 404


def test_a_segment_without_members_says_so() -> None:
    resident("王安", "A-0103")
    one = segment("社交", {"tag": "social"})
    html = get(client_of("hq"), f"{LIST}{one.pk}/")
    assert "社交：0 人" in html
    assert "今天没有人在这个客群里。" in html


def test_fifty_members_stand_on_a_page() -> None:
    building = make_building("A")
    for n in range(51):
        tagged(resident(f"租客{n:02}", f"A-{n:04}", building.code))
    one = segment("社交", {"tag": "social"})
    hq = client_of("hq")
    html = get(hq, f"{LIST}{one.pk}/")
    assert (len(cells(html)), "1 / 2" in html) == (50, True)
    assert len(cells(get(hq, f"{LIST}{one.pk}/?page=2"))) == 1


def test_why_names_the_evidence_and_the_nearest_miss() -> None:
    lin, chen = resident("林晓", "A-0101"), resident("陈雨", "A-0102")
    for days_ago, hour in ((1, 23), (2, 2), (3, 22)):
        report(lin, days_ago, hour)
    for days_ago, hour in ((1, 23), (2, 12), (3, 5)):
        report(chen, days_ago, hour)
    one = segment("夜间敏感", {"all": [NIGHTS, {"not": {"tag": "social"}}]})
    hq = client_of("hq")
    html = get(hq, f"{LIST}{one.pk}/why/{lin.pk}/")
    assert "林晓在“夜间敏感”中" in html
    lines = [plain(line) for line in re.findall(r'<p class="reason__line">(.*?)</p>', html)]
    assert lines == [
        "✓ 符合 同时符合",
        "✓ 符合 近 365 天报修最近 3 次都满足：22:00 至 06:00 之间 3",
        "✓ 符合 不符合",
        "✗ 不符合 有“社交活跃型”标签 没有这个标签",
    ]
    times = re.findall(r'<li><time datetime="[^"]+">([^<]+)</time> ([^<]+)</li>', html)
    told = "报修（漏水，App）：漏水"
    assert [at for at, _said in times] == ["2025-11-30 23:00", "2025-11-29 02:00", "2025-11-28 22:00"]
    assert {said for _at, said in times} == {told}
    assert "还差什么" not in html
    html = get(hq, f"{LIST}{one.pk}/why/{chen.pk}/")
    assert "陈雨不在“夜间敏感”中" in html
    assert re.search(r'nearest-title">还差什么</h2> <ul><li>报修：还差 1</li></ul>', html)
    assert "Chen" not in html
    english = get(hq, f"{LIST}{one.pk}/why/{chen.pk}/", "en")
    assert "<li>repair reports: 1 more</li>" in english
    assert "The nearest miss" in english


def test_why_names_the_events_behind_a_feature() -> None:
    lin = resident("林晓", "A-0101")
    for days_ago in (1, 5, 91):
        at = NOW - timedelta(days=days_ago)
        make_event("facility.used", lin, at=at, data={"facility": "shared_kitchen"})
    make_event("facility.used", lin, at=NOW - timedelta(days=2), data={"facility": "gym"})
    features.refresh(today=TODAY, now=NOW)
    one = segment("厨房", {"feature": "kitchen_90", "op": ">=", "value": 3})
    html = get(client_of("hq"), f"{LIST}{one.pk}/why/{lin.pk}/")
    times = re.findall(r'<li><time datetime="[^"]+">([^<]+)</time>', html)
    assert times == ["2025-11-30 10:00", "2025-11-26 10:00"]
    assert "还差 1" in html


def test_every_feature_that_counts_events_names_them() -> None:
    silent = {"power_30"}
    assert set(evidence.EVENTS) == set(FEATURES) - silent
    for name, rule in evidence.EVENTS.items():
        segments.check(rule)
        assert name in FEATURES


@pytest.mark.parametrize("stored", [{}, {"facts": {}}, {"facts": {}, "events": []}])
def test_why_answers_of_a_tag_whose_facts_are_not_stored(stored: dict[str, Any]) -> None:
    lin = tagged(resident("林晓", "A-0101"))
    TenantTag.objects.update(evidence=stored)
    one = segment("社交", {"tag": "social"})
    html = get(client_of("hq"), f"{LIST}{one.pk}/why/{lin.pk}/")
    assert "林晓在“社交”中" in html
    assert "依据将在下次计算后显示。" in html


def test_who_has_no_lease_any_more_is_neither() -> None:
    gone = resident("赵走", "A-0104", last_day=TODAY - timedelta(days=3))
    one = segment("社交", {"tag": "social"})
    html = get(client_of("hq"), f"{LIST}{one.pk}/why/{gone.pk}/")
    assert "没有当前或未来租约的租客，规则不作判断。" in html


def test_who_works_in_one_building_meets_its_tenants_only() -> None:
    tagged(resident("林晓", "A-0101", "A"))
    chen = tagged(resident("陈雨", "B-0102", "B"))
    moved = tagged(resident("迁居", "A-0105", "A", last_day=TODAY - timedelta(days=9)))
    make_lease(moved, make_unit("B-0106", make_building("B")))
    one = segment("社交", {"tag": "social"})
    manager = client_of("manager", make_building("A"))
    assert cells(get(manager, LIST))[0][2] == "1"
    html = get(manager, f"{LIST}{one.pk}/")
    assert "社交：1 人" in html
    assert "只统计您负责的楼栋" in html
    assert [row[0] for row in cells(html)] == ["林晓"]
    assert "迁居" not in get(manager, f"{LIST}{one.pk}/?who=others")
    for stranger in (chen, moved):
        assert manager.get(f"{LIST}{one.pk}/why/{stranger.pk}/").status_code == 404


def test_the_tab_of_segments_is_the_open_one_on_each_of_its_pages() -> None:
    lin = tagged(resident("林晓", "A-0101"))
    one = segment("社交", {"tag": "social"})
    hq = client_of("hq")
    for address in ("", "new/", *(f"{one.pk}/{page}" for page in ("", "edit/", "versions/", f"why/{lin.pk}/"))):
        strip = re.search(r'<nav id="tabs-items".*?</nav>', get(hq, f"{LIST}{address}"))
        assert strip, address
        opened = [plain(tab) for tab in re.findall(r"<a [^>]*\bactive\b[^>]*>.*?</a>", strip[0])]
        assert opened == ["客群"], address


def test_each_page_says_how_fresh_it_is() -> None:
    lin, chen, *_more = (resident(f"租客{n}", f"A-010{n}") for n in range(6))
    one = segment("到期", {"lease": "days_to_end", "op": "<=", "value": 60})
    hq = client_of("hq")
    assert "指标与标签尚未计算" in get(hq, LIST)
    current.compute(today=TODAY, now=NOW)
    pages = [LIST, f"{LIST}{one.pk}/", f"{LIST}{one.pk}/why/{lin.pk}/", f"/admin/tenant/{lin.pk}/"]
    for address in pages:
        html = get(hq, address)
        assert "指标与标签计算于 2025-12-01 10:00:00" in html
        assert 'id="behind"' not in html
    features.mark([lin.pk], now=NOW)
    for address in pages:
        assert "1 位租客有新事件，正在重新计算" in get(hq, address)
    assert 'id="behind"' not in get(hq, f"/admin/tenant/{chen.pk}/")
    later = NOW + timedelta(seconds=4)
    current.catch_up(now=later)
    for address in pages:
        assert "指标与标签计算于 2025-12-01 10:00:04" in get(hq, address)
    assert "指标与标签计算于 2025-12-01 10:00:00" in get(hq, f"/admin/tenant/{chen.pk}/")


def test_technicians_and_strangers_see_no_segment() -> None:
    one = segment("社交", {"tag": "social"})
    technician = client_of("technician")
    for address in (LIST, f"{LIST}{one.pk}/", f"{LIST}{one.pk}/why/1/"):
        assert technician.get(address).status_code == 403
        assert Client().get(address).status_code == 302
