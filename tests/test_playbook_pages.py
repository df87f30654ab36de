"""Playbooks in the staff site over HTTP: the list, one, who follows it, and its versions."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns import playbooks, pushes, shipping
from campaigns.models import Enrolment, Playbook, PlaybookVersion, Push, Segment
from tenants import clock
from tenants.models import LeaseTenant, Message, Tenant, TenantTag
from tests.makers import (
    BEFORE,
    NOW,
    TODAY,
    first_step,
    make_announcement,
    make_building,
    make_enrolment,
    make_lease,
    make_playbook,
    make_push,
    make_tenant,
    make_unit,
    make_user,
    make_version,
    release,
)
from tests.test_segment_pages import cells, client_of, get, plain, resident, segment

pytestmark = pytest.mark.django_db

LIST = "/admin/playbook/"


@pytest.fixture(autouse=True)
def _today() -> None:
    clock.set_to(NOW)


def of(version: PlaybookVersion, more: str = "") -> str:
    return f"{LIST}{version.playbook_id}/{more}"


def follow(
    version: PlaybookVersion, name: str, room: str, building: str = "A", days: int = 25, **facts: Any
) -> Enrolment:
    lease = make_lease(
        make_tenant(name), make_unit(room, make_building(building)), last_day=TODAY + timedelta(days=days)
    )
    return make_enrolment(lease, version, **facts)


def renew(enrolment: Enrolment) -> None:
    lease = enrolment.lease
    make_lease(
        enrolment.tenant,
        lease.unit,
        first_day=lease.last_day + timedelta(days=1),
        last_day=lease.last_day + timedelta(days=365),
        signed_on=TODAY,
        renews=lease,
    )


def sent(enrolment: Enrolment, version: PlaybookVersion, days_ago: int) -> None:
    at = NOW - timedelta(days=days_ago)
    message = Message.objects.create(
        key=f"k{enrolment.pk}", klass="marketing", tenant=enrolment.tenant, channel="sms", text="x", state="accepted",
        not_before=at, deadline=at, created_at=at, sent_at=at, changed_at=at,
    )  # fmt: skip
    make_push(enrolment.lease, first_step(version), message=message)


# --- The list ------------------------------------------------------------------------------------------------


def test_the_list_says_what_each_does_for_whom_and_how_it_goes() -> None:
    social = make_playbook("social", name="邻里", rank=1, segment=segment("社交", {"tag": "social"}))
    rated = {"events": "ticket.rated", "where": [{"field": "score", "op": "<=", "value": 2}]}
    sorry = {"code": "sorry", "anchor": "event", "days": 1, "kind": "care", "text": "抱歉"}
    make_playbook("care", sorry, name="差评之后", rank=2, starts_on=rated)
    make_playbook("off", name="旧", rank=3, is_active=False, lead_days=45)
    followed = [follow(social, f"租客{n}", f"A-010{n}") for n in range(4)]
    Enrolment.objects.filter(pk=followed[3].pk).update(left_on=TODAY, left_because="已续租")
    renew(followed[3])
    sent(followed[0], social, 29)
    sent(followed[1], social, 30)
    hq = client_of("hq")
    html = get(hq, LIST)
    assert "3 个剧本" in html
    assert [row[:6] for row in cells(html)] == [
        ["邻里", "社交，到期前 60 天启动，共 1 步", "版本 1：所有租客", "3", "1", "25.0% 5–70% · 1 / 4"],
        ["差评之后", "所有租客，“维修评价（评分 ≤ 2）”之后启动，共 1 步", "版本 1：所有租客", "0", "0", "–"],
        ["旧 已停用", "所有租客，到期前 45 天启动，共 1 步", "版本 1：所有租客", "0", "0", "–"],
    ]
    assert [row[0] for row in cells(get(hq, f"{LIST}?q=社交"))] == ["邻里"]
    assert "没有符合的剧本。" in get(hq, f"{LIST}?q=无")
    english = cells(get(hq, LIST, "en"))
    assert english[1][1] == "everybody, after ratings of repairs (score ≤ 2), 1 step"
    assert english[0][2] == "Version 1: everybody"


def test_an_answer_given_before_the_first_step_is_no_following() -> None:
    """`playbooks.stop` keeps every playbook away by a row of its own: it is in no figure."""
    version = make_playbook("general", name="通用版")
    lease = make_lease()
    playbooks.stop(lease, because="已续租", today=TODAY)
    assert Enrolment.objects.get().is_final
    hq = client_of("hq")
    assert cells(get(hq, LIST))[0][3:6] == ["0", "0", "–"]
    assert "0 人已退出通用版" in get(hq, of(version, "people/?who=left"))


def test_a_release_is_said_by_its_share_and_its_rule() -> None:
    make_building("B1")
    version = make_playbook("x", name="小范围")
    release(
        version,
        percent=30,
        rule={"lease": "building", "op": "in", "value": ["B1"]},
        decided_at=NOW + timedelta(hours=1),
    )
    hq = client_of("hq")
    assert cells(get(hq, LIST))[0][2] == "版本 1：30% 的住户 · 蓝寓B1"
    release(version, percent=0, decided_at=NOW + timedelta(hours=2))
    assert cells(get(hq, LIST))[0][2] == "不再接收新租约"


def test_the_list_costs_as_many_queries_whoever_follows() -> None:
    version = make_playbook("x")
    hq = client_of("hq")

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            get(hq, LIST)
        return len(seen)

    first = queries()
    for n in range(5):
        follow(version, f"租客{n}", f"A-02{n:02}")
    make_playbook("y")
    assert queries() == first


def test_an_empty_list_says_where_playbooks_come_from() -> None:
    assert "还没有剧本。" in get(client_of("hq"), LIST)


def test_who_works_in_one_building_counts_its_leases_only() -> None:
    version = make_playbook("x", name="通用")
    follow(version, "林晓", "A-0101", "A")
    follow(version, "陈雨", "B-0101", "B")
    manager = client_of("manager", make_building("A"))
    row = cells(get(manager, LIST))[0]
    assert row[3:] == ["1", "0", "0.0% 0–79% · 0 / 1"]
    assert "新建剧本" not in get(manager, LIST)
    html = get(manager, of(version, "people/"))
    assert [row[0] for row in cells(html)] == ["林晓"]
    assert "只统计您负责的楼栋" in html
    assert "陈雨" not in get(manager, of(version))


def test_technicians_and_strangers_see_no_playbook_and_others_change_none() -> None:
    version = make_playbook("x")
    technician, manager = client_of("technician"), client_of("manager", make_building("A"))
    for more in ("", "people/", "versions/"):
        assert technician.get(of(version, more)).status_code == 403
        assert Client().get(of(version, more)).status_code == 302
        assert manager.get(of(version, more)).status_code == 200
    before = list(Playbook.objects.values())
    for address in (LIST + "new/", of(version, "draft/"), of(version, "draft/new/"), of(version, "release/1/")):
        assert manager.get(address).status_code == 403
        assert manager.post(address, {"do": "begin"}).status_code == 403
    for do in ("off", "up", "copy", "rename"):
        assert manager.post(of(version, "act/"), {"do": do, "name": "x"}).status_code == 403
    assert manager.post(LIST + "undo/").status_code == 403
    assert list(Playbook.objects.values()) == before
    assert PlaybookVersion.objects.count() == 1


# --- One playbook --------------------------------------------------------------------------------------------


def test_its_steps_stand_in_the_order_of_time_as_a_tenant_reads_them() -> None:
    shipping.ship(now=BEFORE)
    lin = resident("林晓", "A-0101")
    resident("陈雨", "B-0101", "B", last_day=TODAY + timedelta(days=40))
    make_announcement(make_building("A"))
    version = PlaybookVersion.objects.get(playbook__code="social")
    hq = client_of("hq")
    html = get(hq, of(version))
    whens = [plain(each) for each in re.findall(r'<p class="steps__when">(.*?)</p>', html)]
    assert whens == ["启动当天", "到期前 45 天", "到期前 30 天", "到期前 30 天", "到期前 25 天", "到期前 14 天"]
    assert "租约 12 月 26 日到期。各租期的租金和权益，可以在这里对比。" in html
    assert "您常去的共享厨房 12 月 20 日升级烘焙区，续租的选择在这里。" in html
    assert "仅发给： 有“维修曾延迟”标签" in plain(html)
    assert "发放： 专属客服通道" in plain(html)
    other = Tenant.objects.get(name="陈雨")
    lease = LeaseTenant.objects.get(tenant=other).lease_id
    html = get(hq, of(version, f"?as={lease}"))
    assert "租约 1 月 10 日到期。" in html
    assert "您常去的{announcement}，续租的选择在这里。" in html
    assert "那里目前没有这类公告，所以不会发出" in html
    assert lin.name in html


def test_fix_before_asking_shows_what_waited_and_the_two_arms() -> None:
    version = make_playbook("x", name="通用", unfixed_percent=50)
    said = first_step(version)
    waits = [follow(version, f"等{n}", f"A-01{n:02}") for n in range(4)]
    not_waiting = [follow(version, f"不等{n}", f"A-02{n:02}", fix_first=False) for n in range(5)]
    renew(waits[0])
    renew(waits[1])
    renew(not_waiting[0])
    late = TODAY - timedelta(days=10)
    make_push(waits[0].lease, said, due_on=late, held_on=late + timedelta(days=3))
    make_push(waits[1].lease, said, due_on=TODAY - timedelta(days=1), held_on=TODAY, state=Push.State.HELD)
    make_push(waits[2].lease, said)
    make_push(waits[3].lease, said, due_on=TODAY - timedelta(days=91), held_on=TODAY)
    html = get(client_of("hq"), of(version))
    assert "先修再谈：近 90 天 3 次续租消息中有 2 次先等（66.7%）" in html
    assert "区间 21–94%。平均等 3.0 天，最长 4 天；现在还有 1 次在等。" in html
    arms = [plain(row) for row in re.findall(r"<tr>(<th scope=\"row\">.*?)</tr>", html)]
    assert arms == ["先修好再谈 4 2 50.0% 15–85%", "不等报修 5 1 20.0% 4–62%"]
    assert "这是一项随机试验：按户抽签" in html


def test_without_a_lot_no_arms_are_shown() -> None:
    version = make_playbook("x")
    follow(version, "林晓", "A-0101")
    html = get(client_of("hq"), of(version))
    assert "近 90 天没有到期的续租消息" in html
    assert "随机试验" not in html


# --- People --------------------------------------------------------------------------------------------------


def test_people_under_way_with_what_comes_next_and_what_is_held_back() -> None:
    version = make_playbook(
        "x",
        {"code": "start", "anchor": "start", "days": 0, "text": "开始"},
        {"code": "x-20", "days": 20, "text": "租约 {last_day}到期"},
        {
            "code": "wave",
            "anchor": "wave",
            "on": TODAY + timedelta(days=2),
            "ends_from": 30,
            "ends_to": 60,
            "text": "波次",
        },
        name="通用",
    )
    near = follow(version, "林晓", "A-0101", days=25, start_why="到期前 75 天：同楼栋前后两周内有 8 份租约到期")
    far = follow(version, "陈雨", "A-0102", days=50)
    start = first_step(version)
    make_push(near.lease, start, state=Push.State.HELD, held_on=TODAY, reason="还有报修未完成，先修好再谈")
    make_push(far.lease, start)
    done = follow(version, "王安", "A-0103", days=5)
    make_push(done.lease, start)
    follow(version, "赵走", "A-0104", left_on=TODAY, left_because="已续租", is_final=True)
    hq = client_of("hq")
    html = get(hq, of(version, "people/"))
    assert "3 人正在通用中" in html
    assert cells(html) == [
        ["王安", "A-0103", "2025-12-06", "1", "2025-12-01", "到期前 60 天", "没有下一步"],
        [
            "林晓", "A-0101", "2025-12-26", "1", "2025-12-01", "到期前 75 天：同楼栋前后两周内有 8 份租约到期",
            "自 12-01 起暂缓：还有报修未完成，先修好再谈 12-06 到期前 20 天 租约 12 月 26 日到期",
        ],
        [
            "陈雨", "A-0102", "2026-01-20", "1", "2025-12-01", "到期前 60 天",
            "12-03 2025-12-03 的波次：此后 30–60 天到期的租约 波次",
        ],
    ]  # fmt: skip
    left = get(hq, of(version, "people/?who=left"))
    assert "1 人已退出通用" in left
    assert cells(left) == [
        ["赵走", "A-0104", "2025-12-26", "1", "2025-12-01", "到期前 60 天", "2025-12-01", "已续租 不再进入"]
    ]
    assert [row[0] for row in cells(get(hq, of(version, "people/?q=0102")))] == ["陈雨"]
    assert cells(get(hq, of(version, "people/?q=无名"))) == []
    for strange in ("?page=99", "?page=x", "?q=%00", "?who=x"):
        assert hq.get(of(version, f"people/{strange}")).status_code == 200


def test_fifty_people_stand_on_a_page_in_as_many_queries() -> None:
    version = make_playbook("x")
    hq = client_of("hq")

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            get(hq, of(version, "people/"))
        return len(seen)

    follow(version, "租客", "A-0001")
    first = queries()
    for n in range(50):
        follow(version, f"租客{n}", f"A-1{n:03}")
    assert queries() == first
    html = get(hq, of(version, "people/"))
    assert (len(cells(html)), "1 / 2" in html) == (50, True)
    assert len(cells(get(hq, of(version, "people/?page=2")))) == 1


# --- Versions ------------------------------------------------------------------------------------------------


def test_versions_say_what_each_changed_step_by_step() -> None:
    shipping.ship(now=BEFORE)
    changes: dict[str, Any] = {
        "social-14": None,
        "social-30": {"text": "租约 {last_day}到期。", "days": 28},
        "social-7": {"anchor": "end", "days": 7, "text": "还有什么想问的吗？"},
    }
    make_version("social", changes, lead_days=75, unfixed_percent=10, by=make_user("lan"), note="早一点")
    version = PlaybookVersion.objects.get(playbook__code="social", number=1)
    html = get(client_of("hq"), of(version, "versions/"))
    told = [plain(each) for each in re.findall(r"<li>(.*?)</li>", html[html.index('id="answer"') :])]
    assert told == [
        "启动：到期前 60 天启动 → 到期前 75 天启动",
        "随机不等待的住户（%）：0% → 10%",
        "到期前 28 天：何时：到期前 30 天 → 到期前 28 天；"
        "“租约 {last_day}到期。各租期的租金和权益，可以在这里对比。” → “租约 {last_day}到期。”",
        "新增：到期前 7 天，“还有什么想问的吗？”",
        "移除：到期前 14 天，“租约 {last_day}到期。续租、换房或者不续，都可以在这里选。”",
    ]
    assert "2025-12-01 10:00 lan · 早一点" in plain(html)
    assert "首个版本：到期前 60 天启动，共 6 步" in html
    assert "产品自带" in html


def test_a_day_of_the_shipped_playbooks_shows_on_the_pages() -> None:
    shipping.ship(now=BEFORE)
    Segment.objects.filter(code="social").update(rule={"tag": "social"})
    facts = {"facts": {"activities": 8, "posts": 7, "kitchen": 16, "count": 16, "days": 90}, "events": []}
    lin = resident("林晓", "A-0101")
    TenantTag.objects.create(tenant=lin, tag="social", since=TODAY, evidence=facts, computed_at=NOW)
    playbooks.enrol(today=TODAY, now=NOW)
    pushes.plan(today=TODAY, now=NOW)
    hq = client_of("hq")
    assert [row[3] for row in cells(get(hq, LIST))] == ["0", "0", "1", "0", "0", "0"]
    version = PlaybookVersion.objects.get(playbook__code="social")
    row = cells(get(hq, of(version, "people/")))[0]
    assert (row[0], row[4], row[5]) == ("林晓", "2025-10-27", "到期前 60 天")
