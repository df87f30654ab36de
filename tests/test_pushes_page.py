"""The page of pushes: exact figures that never count a push twice, a list behind each, and only one's own buildings."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.models import Push, StepVersion
from renewal import funnel
from tenants import clock
from tenants.models import (
    Attempt,
    Click,
    Decision,
    Epoch,
    Lease,
    Link,
    Membership,
    Message,
    Receipt,
    Switching,
    User,
)
from tenants.outbox import gates
from tests.makers import (
    NOW,
    TODAY,
    first_step,
    make_building,
    make_lease,
    make_playbook,
    make_push,
    make_tenant,
    make_unit,
    make_user,
)

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
COLUMNS = list(funnel.COUNTED)


@pytest.fixture
def root() -> Client:
    clock.set_to(NOW)
    client = Client()
    client.force_login(make_user("root", is_superuser=True))
    return client


def member(role: str, building: str = "B1") -> Client:
    user = make_user(f"{role}-{building}", first_name={"manager": "兰", "hq": "许"}.get(role, ""))
    place = make_building(building) if building else None
    Membership.objects.create(user=user, role=role, building=place, first_day=TODAY)
    client = Client()
    client.force_login(user)
    return client


def pushed(
    said: StepVersion, state: str, *tries: tuple[str, str], channel: str = "phone", building: str = "B1", **facts: Any
) -> Push:
    """A push whose message is in this state, after these tries (channel, outcome)."""
    lease = facts.pop("lease", None) or make_lease(make_tenant(), make_unit(building=make_building(building)))
    at, reason = facts.pop("created_at", NOW - DAY), facts.pop("reason", "")
    of_message = facts.pop("of_message", {})
    is_sent = state in ("accepted", "delivered", "undelivered")
    message = Message.objects.create(
        key=f"push:{lease.pk}:{said.pk}", klass="marketing", tenant=lease.tenants.get(), lease=lease, channel=channel,
        text="信在这里", state=state, reason=reason, not_before=at, deadline=at + 3 * DAY, created_at=at, changed_at=at,
        attempt=len(tries), sent_at=at + HOUR if is_sent else None, **of_message,
    )  # fmt: skip
    for number, (where, outcome) in enumerate(tries, start=1):
        Attempt.objects.create(
            message=message, number=number, channel=where, outcome=outcome, provider_ref=f"p{number}",
            started_at=at + number * timedelta(minutes=1), finished_at=at + number * timedelta(minutes=1, seconds=1),
        )  # fmt: skip
    return make_push(lease, said, message=message, created_at=at, **facts)


def clicked(push: Push, *, proven: bool = True) -> None:
    assert push.message
    link = Link.objects.create(
        token_hash=f"h{push.pk}", tenant=push.tenant, lease=push.lease, purpose="proposal",
        carrier=f"message:{push.message.key}", created_at=NOW, expires_at=NOW + DAY,
    )  # fmt: skip
    Click.objects.create(link=link, opened_at=NOW, proven_at=NOW if proven else None, proof="gesture" if proven else "")


def renewed(lease: Lease, on: date = TODAY) -> Lease:
    return make_lease(
        lease.tenants.get(), lease.unit, renews=lease, first_day=lease.last_day + DAY,
        last_day=lease.last_day + 365 * DAY, signed_on=on,
    )  # fmt: skip


def get(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, address
    return unescape(answer.content.decode())


def rows(html: str, table: str) -> dict[str, list[str]]:
    """The figures of a table by the first cell of each row, as they are read."""
    (body,) = re.findall(rf'data-table="{table}">.*?<tbody>(.*?)</tbody>', html, re.S)
    found = {}
    for row in re.findall(r"<tr.*?</tr>", body, re.S):
        name, *cells = [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)]
        found[name] = cells
    return found


def answer(html: str) -> str:
    (title,) = re.findall(r'<h1 class="board__answer" id="answer">(.*?)</h1>', html, re.S)
    return re.sub(r"<[^>]+>", "", title).strip()


def world() -> dict[str, Push]:
    """Two playbooks, eleven pushes, one of each fate; one fell back over two channels, one lease got two."""
    first = first_step(make_playbook("letter", name="续租信", rank=1))
    other = first_step(make_playbook("care", name="关怀", rank=2))
    found = {
        "delivered": pushed(first, "delivered", ("sms", "no_recipient"), ("phone", "accepted")),
        "accepted": pushed(first, "accepted", ("phone", "slow_down"), ("phone", "accepted")),
        "undelivered": pushed(first, "undelivered", ("sms", "accepted"), channel="sms"),
        "queued": pushed(first, "queued"),
        "expired": pushed(first, "expired", reason="已过 3 天。"),
        "unknown": pushed(first, "unknown", ("sms", "unknown"), channel="sms"),
        "parked": pushed(first, "parked", ("sms", "unknown"), channel="sms"),
        "dead": pushed(other, "dead", ("sms", "not_sent"), ("phone", "not_sent")),
        "suppressed": make_push(make_lease(), other, state="suppressed", reason="不同意续租推荐", created_at=NOW - DAY),
        "held": make_push(make_lease(), other, state="held", reason="有未完成的维修", created_at=NOW - DAY),
    }
    found["later"] = pushed(other, "accepted", ("phone", "accepted"), lease=found["delivered"].lease,
        created_at=NOW - DAY + HOUR)  # fmt: skip
    clicked(found["delivered"])
    clicked(found["accepted"], proven=False)
    return found


# --- the funnel -----------------------------------------------------------------------------------


def test_each_push_counts_once_by_playbook_whatever_channels_tried_it(root: Client) -> None:
    world()
    html = get(root, reverse("staff-pushes"))
    # planned; waiting, not sent, failed, unknown, sent; of these delivered, clicked; signed
    assert rows(html, "playbooks") == {
        "续租信": ["7", "1", "1", "0", "2", "3", "1", "1", "0"],
        "关怀": ["4", "1", "1", "1", "0", "1", "0", "0", "0"],
        "全部剧本": ["11", "2", "2", "1", "2", "4", "1", "1", "0"],
    }
    assert answer(html) == "已决定 11 条触达，发出 4 条，1 条等人决定"


def test_whatever_state_a_push_is_in_it_stands_at_one_stage(root: Client) -> None:
    said = first_step(make_playbook("letter"))
    for state in Message.State.values:
        lease = {"lease_until": NOW} if state == "sending" else {}
        pushed(said, state, of_message=lease)
    for state in Push.State.values:
        make_push(make_lease(), said, state=state, created_at=NOW)
    alone = Push.objects.filter(message=None, state="handed_over")  # the outbox always has what is handed over
    assert alone.count() == 1
    alone.delete()
    for push in Push.objects.all():
        stages = [name for name, where in funnel.STAGES.items() if Push.objects.filter(where, pk=push.pk).exists()]
        assert len(stages) == 1, (push.state, push.message and push.message.state, stages)


def test_by_channel_a_push_that_fell_back_is_passed_on_and_counted_where_it_is(root: Client) -> None:
    world()
    html = get(root, reverse("staff-pushes"))
    # came, passed on; waiting, not sent, failed, unknown, sent, delivered, clicked, signed
    assert rows(html, "channels") == {
        "模拟手机": ["6", "0", "1", "1", "1", "0", "3", "1", "1", "0"],
        "短信": ["5", "2", "0", "0", "0", "2", "1", "0", "0", "0"],
    }


def test_a_signature_counts_once_for_the_last_push_accepted_before_it(root: Client) -> None:
    made = world()
    renewed(made["delivered"].lease)
    renewed(made["accepted"].lease, on=TODAY - 2 * DAY)  # signed before it was sent
    renewed(made["queued"].lease)  # never sent
    html = get(root, reverse("staff-pushes"))
    assert [row[-1] for row in rows(html, "playbooks").values()] == ["0", "1", "1"]
    Message.objects.filter(pk=made["later"].message_id or 0).update(sent_at=NOW + 3 * DAY)  # now after the signature
    html = get(root, reverse("staff-pushes"))
    assert [row[-1] for row in rows(html, "playbooks").values()] == ["1", "0", "1"]


def test_what_came_of_a_push_after_the_period_counts_and_the_page_says_so(root: Client) -> None:
    push = pushed(first_step(make_playbook("letter", name="续租信")), "delivered", ("phone", "accepted"))
    clicked(push)
    renewed(push.lease)
    html = get(root, reverse("staff-pushes") + "?from=2025-11-30&to=2025-11-30")
    assert rows(html, "playbooks") == {"续租信": ["1", "0", "0", "0", "0", "1", "1", "1", "1"]}
    assert "触达在时段结束后才送达、点开或签署的，也计算在内。" in html


def test_why_pushes_were_not_sent_is_counted_by_the_shape_of_the_reason(root: Client) -> None:
    said = first_step(make_playbook("letter", name="续租信"))
    for days in (3, 4):
        pushed(said, "expired", reason=f"已过 {days} 天")
    pushed(said, "cancelled", reason="已续签")
    pushed(said, "queued", reason="夜间不发")  # waits: its reason is none of these
    make_push(make_lease(), said, state="suppressed", reason="已续签", created_at=NOW)
    make_push(make_lease(), said, state="suppressed", reason="已续签", created_at=NOW)
    html = get(root, reverse("staff-pushes"))
    found = re.findall(r'<span class="pushes__shape">(.*?)</span>.*?<b>(\d+)</b>', html)
    assert found == [("已续签", "3"), ("已过 … 天", "2")]
    for address, n in zip(re.findall(r'<li><a href="([^"]+reason=[^"]+)"', html), (3, 2), strict=True):
        assert answer(get(root, address)) == f"{n} 条触达，未发"


def test_every_figure_is_the_length_of_the_list_behind_it(root: Client) -> None:
    made = world()
    renewed(made["later"].lease)
    html = get(root, reverse("staff-pushes"))
    figures = re.findall(r'<td class="num"[^>]*><a href="([^"]+)"[^>]*>(?:<b>)?([\d,]+)', html)
    assert len(figures) > 25
    for address, n in figures:
        assert answer(get(root, address)).startswith(f"{n} 条触达"), address


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("from=2025-11-30&to=2025-11-30", {"new"}),
        ("from=2025-11-29&to=2025-11-30", {"new", "old"}),
        ("from=2025-11-29&to=2025-11-29", {"old"}),
        ("from=2025-12-01&to=2025-12-01", set()),
        ("from=x&to=2025-02-31", {"new", "old"}),
        ("from=2025-12-09&to=2025-11-29", {"old"}),
        ("to=9999-12-31", {"new", "old"}),
    ],
)
def test_a_push_belongs_to_the_day_in_shanghai_on_which_it_was_decided(
    root: Client, query: str, names: set[str]
) -> None:
    said = first_step(make_playbook("letter", name="续租信"))
    midnight = clock.at(date(2025, 11, 30))
    pushed(said, "accepted", lease=make_lease(make_tenant("new")), created_at=midnight)
    pushed(said, "accepted", lease=make_lease(make_tenant("old")), created_at=midnight - timedelta(seconds=1))
    html = get(root, f"{reverse('staff-pushes-list')}?{query}")
    assert set(re.findall(r'<th scope="row"><a[^>]*>(\w+)</a>', html)) == names
    assert f"已决定 {len(names)} 条" in get(root, f"{reverse('staff-pushes')}?{query}") or not names


def test_an_empty_house_and_an_empty_period_say_what_to_do(root: Client) -> None:
    html = get(root, reverse("staff-pushes"))
    assert "还没有决定过任何触达" in html
    world()
    html = get(root, reverse("staff-pushes") + "?from=2020-01-01&to=2020-01-02")
    assert "换一个更长的时段" in html
    assert "没有符合的触达" in get(root, reverse("staff-pushes-list") + "?q=无此人")


def test_the_list_is_searched_narrowed_and_paged(root: Client) -> None:
    said = first_step(make_playbook("letter", name="续租信"))
    lease = make_lease(make_tenant("周航"))
    pushed(said, "accepted", lease=lease)
    for _each in range(51):
        pushed(said, "queued")
    address = reverse("staff-pushes-list")
    for words in ("周航", lease.tenants.get().phone, lease.unit.code, lease.contract_no, "周航 信在"):
        assert answer(get(root, f"{address}?q={words}")) == "1 条触达", words
    assert answer(get(root, f"{address}?stage=waiting&page=2")) == "51 条触达，等待中"
    assert get(root, f"{address}?stage=waiting&page=2").count("data-row") == 1
    assert answer(get(root, f"{address}?stage=came&playbook=other")) == "0 条触达"  # of no channel: not a stage


# --- who sees it ----------------------------------------------------------------------------------


def test_staff_of_a_building_see_its_pushes_only_and_technicians_none(root: Client) -> None:
    said = first_step(make_playbook("letter", name="续租信"))
    pushed(said, "accepted", building="B1")
    pushed(said, "accepted", lease=make_lease(make_tenant("周航"), make_unit(building=make_building("B2"))))
    pushed(said, "expired", ("sms", "not_sent"), building="B2", reason="已过期")
    care = member("care", "B1")
    html = get(care, reverse("staff-pushes"))
    assert rows(html, "playbooks")["续租信"][0] == "1"
    assert set(rows(html, "channels")) == {"模拟手机"}
    assert "已过期" not in html
    assert "周航" not in get(care, reverse("staff-pushes-list"))
    assert answer(get(care, reverse("staff-pushes-list") + "?building=B2")) == "0 条触达"
    technician = member("technician", "B1")
    for name in ("staff-pushes", "staff-pushes-list"):
        get(technician, reverse(name), 403)


def test_twice_the_pushes_take_the_same_number_of_queries(root: Client) -> None:
    said = first_step(make_playbook("letter", name="续租信"))

    def queries(name: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            get(root, reverse(name))
        return len(seen)

    def fill() -> None:
        for state in ("accepted", "parked", "expired", "queued"):
            pushed(said, state, ("sms", "no_recipient"))

    fill()
    names = ("staff-pushes", "staff-pushes-list")
    few = [queries(name) for name in names]
    fill()
    assert [queries(name) for name in names] == few
    assert User.objects.count() == 1


def test_the_pages_read_in_english_too(root: Client) -> None:
    root.cookies["django_language"] = "en"
    world()
    html = get(root, reverse("staff-pushes"))
    assert answer(html) == "11 pushes decided, 4 sent, 1 waits for a person"
    html += get(root, reverse("staff-pushes-list"))
    bare = re.sub(r"<(script|style).*?</\1>|蓝寓\w*|简体中文", "", html, flags=re.S)
    for own in ("续租信", "关怀", "信在这里", "不同意续租推荐", "有未完成的维修", "林晓", "到期前", "已过", "朝南一居"):
        bare = bare.replace(own, "")
    assert not re.search(r"[\u4e00-\u9fff]{3,}", bare)


# --- one push -------------------------------------------------------------------------------------


def moments(html: str) -> list[tuple[str, str]]:
    """The story as it is read: (when, what)."""
    (story,) = re.findall(r'<ol class="plain story">(.*?)</ol>', html, re.S)
    found = re.findall(r"<time[^>]*>(.*?)</time><p>(.*?)</p>", story, re.S)
    return [(at, re.sub(r"<[^>]+>", " ", what).strip()) for at, what in found]


def test_a_push_tells_its_whole_story_in_order(root: Client) -> None:
    said = first_step(make_playbook("letter", name="续租信"))
    push = pushed(said, "delivered", ("sms", "no_recipient"), ("phone", "accepted"))
    assert push.message
    Receipt.objects.create(
        channel="phone", digest="d", outcome="delivered", detail="DELIVRD", said_at=NOW - 23 * HOUR,
        received_at=NOW, message=push.message,
    )  # fmt: skip
    Decision.objects.create(
        message=push.message, verdict="released", why="租客说没收到", by=User.objects.get(), at=NOW - 20 * HOUR
    )
    clicked(push)
    html = get(root, reverse("staff-pushes-one", args=[push.pk]))
    assert moments(html) == [
        ("11-30 10:00:00", "决定发送 到期前 25 天"),
        ("11-30 10:00:00", f"放入发件箱 {push.message.key}"),
        ("11-30 10:01:00", "交给“短信”"),
        ("11-30 10:01:01", "“短信”答复 此渠道联系不到本人 · p1"),
        ("11-30 10:02:00", "交给“模拟手机”"),
        ("11-30 10:02:02", "“模拟手机”答复 渠道已接收 · p2"),
        ("11-30 11:00:00", "“模拟手机”回执：已送达 DELIVRD"),
        ("11-30 14:00:00", "root 的决定：重新发送 租客说没收到"),
        ("12-01 10:00:00", "信件被打开"),
        ("12-01 10:00:00", "打开得到证实 经人的操作"),
    ]
    (body,) = re.findall(r'data-table="attempts">.*?<tbody>(.*?)</tbody>', html, re.S)
    tries = [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", body)]
    assert tries == [
        "1", "短信", "11-30 10:01:00", "11-30 10:01:01", "此渠道联系不到本人", "p1",
        "2", "模拟手机", "11-30 10:02:00", "11-30 10:02:02", "渠道已接收", "p2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "reason", "last"),
    [
        ("expired", "已过期限", "已过期 已过期限"),
        ("queued", "夜间不发", "在发件箱中等到 11-30 10:00 夜间不发"),
        ("parked", "服务商说不清", "待人工处理 服务商说不清"),
    ],
)
def test_what_waits_or_ended_says_why(root: Client, state: str, reason: str, last: str) -> None:
    push = pushed(first_step(make_playbook("letter")), state, reason=reason)
    assert moments(get(root, reverse("staff-pushes-one", args=[push.pk])))[-1][1] == last


def test_a_push_that_never_became_a_message_says_why_not(root: Client) -> None:
    said = first_step(make_playbook("letter"))
    against = make_push(make_lease(), said, state="suppressed", reason="不同意续租推荐", first_at=NOW - DAY)
    html = get(root, reverse("staff-pushes-one", args=[against.pk]))
    assert moments(html) == [
        ("11-30 10:00:00", "到期并首次查看"),
        ("12-01 10:00:00", "决定不发 不同意续租推荐"),
    ]
    assert 'data-table="attempts"' not in html


# --- what waits for a person ----------------------------------------------------------------------


def decide(client: Client, push: Push, do: str, why: str = "问过租客") -> int:
    address = reverse("staff-pushes-decide", args=[push.pk])
    return client.post(address, {"do": do, "why": why, "back": "overview"}).status_code


def state_of(push: Push) -> str:
    return Message.objects.get(pk=push.message_id or 0).state


def test_a_manager_decides_about_a_parked_push_of_their_building_with_a_reason(root: Client) -> None:
    said = first_step(make_playbook("letter", name="续租信"))
    again, never, other = (pushed(said, "parked", ("sms", "unknown"), building=b) for b in ("B1", "B1", "B2"))
    manager = member("manager", "B1")
    html = get(manager, reverse("staff-pushes"))
    assert "2 条触达等人决定：可能已经送达" in html
    assert decide(manager, again, "release", why=" ") == 302  # without a reason nothing changes
    assert state_of(again) == "parked"
    assert (decide(manager, again, "release"), decide(manager, never, "give_up")) == (302, 302)
    assert (state_of(again), state_of(never)) == ("queued", "cancelled")
    assert decide(manager, other, "release") == 404
    kept = Decision.objects.order_by("pk").values_list("message", "verdict", "why", "by__username")
    assert list(kept) == [
        (again.message_id, "released", "问过租客", "manager-B1"),
        (never.message_id, "cancelled", "问过租客", "manager-B1"),
    ]
    assert decide(manager, never, "release") == 302  # it does not stand there any more
    assert state_of(never) == "cancelled"
    assert "没有触达等人决定" in get(manager, reverse("staff-pushes"))


def test_whoever_may_not_decide_sees_what_waits_and_no_button(root: Client) -> None:
    push = pushed(first_step(make_playbook("letter")), "parked")
    care = member("care", "B1")
    for address in (reverse("staff-pushes"), reverse("staff-pushes-one", args=[push.pk])):
        assert 'name="why"' not in get(care, address)
    assert decide(care, push, "release") == 403
    assert decide(member("technician", "B1"), push, "release") == 403
    get(member("care", "B2"), reverse("staff-pushes-one", args=[push.pk]), 404)
    assert state_of(push) == "parked"


def test_who_cannot_wait_for_the_provider_parks_what_is_unknown(root: Client) -> None:
    push = pushed(first_step(make_playbook("letter")), "unknown", ("sms", "unknown"))
    assert "还在向服务商查询" in get(root, reverse("staff-pushes-one", args=[push.pk]))
    assert decide(root, push, "park") == 302
    assert state_of(push) == "parked"
    assert root.post(reverse("staff-pushes-decide", args=[push.pk]), {"do": "burn", "why": "x"}).status_code == 400


# --- the switches ---------------------------------------------------------------------------------


def switch(client: Client, do: str, channel: str = "*", why: str = "演练", seen: str = "") -> int:
    facts = {"do": do, "channel": channel, "why": why, "seen": seen}
    return client.post(reverse("staff-pushes-switch"), facts).status_code


def test_the_head_office_stops_and_lets_go_a_channel_and_everything(root: Client, settings: Any) -> None:
    settings.CHANNELS = ["sms", "phone"]
    office = member("hq", "")
    assert switch(office, "stop", "sms", why="") == 302  # without a reason nothing changes
    assert gates.open_channels(now=NOW) == ["sms", "phone"]
    switch(office, "stop", "sms", why="签名过期")
    assert gates.open_channels(now=NOW) == ["phone"]
    switch(office, "stop", why="文案有误")
    assert gates.open_channels(now=NOW) == []
    html = get(office, reverse("staff-pushes"))
    assert re.findall(r'data-channel="(\w+)">.*?state--[\w-]+">(.*?)<', html, re.S) == [
        ("sms", "已暂停"),
        ("phone", "随总闸暂停"),
    ]
    everything, sms = (gates.mark_of(pause) for pause in gates.stopped())
    switch(office, "go", why="已改好", seen=everything)
    assert gates.open_channels(now=NOW) == ["phone"]  # what was stopped by itself stays so
    switch(office, "go", "sms", why="已续期", seen=sms)
    assert gates.open_channels(now=NOW) == ["sms", "phone"]
    told = Switching.objects.order_by("pk").values_list("channel", "stopped", "why", "by__username")
    assert list(told) == [
        ("sms", True, "签名过期", "hq-"),
        ("*", True, "文案有误", "hq-"),
        ("*", False, "已改好", "hq-"),
        ("sms", False, "已续期", "hq-"),
    ]


def test_nobody_but_the_head_office_switches_and_there_is_no_switch_for_what_is_not_there(root: Client) -> None:
    for role in ("manager", "care", "technician"):
        assert switch(member(role), "stop") == 403, role
    assert "停止全部发送" not in get(member("finance"), reverse("staff-pushes"))
    assert switch(root, "stop", "pigeon") == 400
    assert switch(root, "explode") == 400
    assert gates.stopped() == []


def test_while_something_is_stopped_every_page_says_so(root: Client) -> None:
    technician = member("technician")
    pages = (reverse("admin:index"), reverse("staff-tenants"), reverse("staff-sources"), reverse("staff-pushes"))
    assert "stopped-bar" not in "".join(get(root, address) for address in pages)
    gates.stop("*", by=make_user("lan", first_name="兰"), why="文案有误", now=NOW)
    gates.stop_for_provider("phone", why="余额不足", now=NOW)
    for address in pages:
        (bar,) = re.findall(r'<aside class="stopped-bar".*?</aside>', get(root, address), re.S)
        assert "全部发送已停止" in bar, address
        assert tuple(re.findall(r"文案有误|兰 · 12-01 10:00", bar)) == ("文案有误", "兰 · 12-01 10:00")
        assert "渠道“模拟手机”已暂停" in bar
        assert "余额不足" in bar
    bar = get(technician, reverse("admin:index"))
    assert "全部发送已停止" in bar
    assert reverse("staff-pushes") not in bar
    assert "stopped-bar" not in get(Client(), reverse("admin:login"))


def test_a_restored_database_is_released_by_name_and_only_as_what_it_was_read_as(
    root: Client, settings: Any, tmp_path: Any
) -> None:
    settings.CHANNELS, settings.OUTBOX_EPOCH_DIR = ["phone"], str(tmp_path)
    waits = pushed(first_step(make_playbook("letter")), "queued")
    gates.stop("*", by=User.objects.get(), why="演练", now=NOW)
    (drill,) = gates.stopped()
    seen = gates.mark_of(drill)
    Epoch.objects.update_or_create(pk=1, defaults={"home": "elsewhere", "number": 7, "at": NOW})
    assert gates.open_channels(now=NOW) == []
    html = get(root, reverse("staff-pushes"))
    assert "释放这个数据库" in html
    assert "纪元为 7" in html
    switch(root, "go", why="演练结束", seen=seen)  # read before it was known to be a copy
    assert [pause.cause for pause in gates.stopped()] == ["restored"]
    switch(root, "go", why="旧机已关", seen="")
    assert [pause.cause for pause in gates.stopped()] == ["restored"]
    (copy,) = gates.stopped()
    switch(root, "go", why="旧机已关", seen=gates.mark_of(copy))
    assert gates.stopped() == []
    assert Switching.objects.values_list("cause", "why", "by__username")[0] == ("restored", "旧机已关", "root")
    assert Message.objects.get(pk=waits.message_id or 0).doubtful  # its provider is asked first
