"""The editor of segments over HTTP: a rule is built by what a page offers, as somebody with a pointer would."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from campaigns import segments
from campaigns.models import NameList, Segment, SegmentVersion
from tenants import clock, consents
from tenants.tags import TAGS
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_user
from tests.rule_editor import Editor
from tests.test_segment_pages import NIGHTS, client_of, get, plain, report, resident, segment, tagged, text_of

pytestmark = pytest.mark.django_db

NEW = "/admin/segment/new/"


@pytest.fixture(autouse=True)
def _today() -> None:
    clock.set_to(NOW)


def test_what_is_wrong_is_said_in_the_reader_s_language() -> None:
    assert "“all of these hold” needs a list of at least one condition." in get(client_of("hq"), NEW, "en")
    assert "“同时符合以下各项”需要至少含一个条件的列表。" in get(client_of("hq", make_building()), NEW)


def test_the_rule_of_the_nights_is_built_by_choosing() -> None:
    lin, chen = resident("林晓", "A-0101"), resident("陈雨", "A-0102")
    for days_ago, hour in ((1, 23), (2, 2), (3, 22)):
        report(lin, days_ago, hour)
    for days_ago, hour in ((1, 23), (2, 12), (3, 5)):
        report(chen, days_ago, hour)
    hq = client_of("hq")
    editor = Editor(hq, NEW)
    assert editor.draft == {"all": []}
    editor.press("add r condition")
    editor.fill("r.0.kind", "events")
    assert editor.form.offers["r.0.events"]["ticket.reported"] == "报修"
    editor.fill("r.0.events", "ticket.reported")
    editor.fill("r.0.question", "last")
    assert editor.draft == {"all": [NIGHTS]}
    assert editor.words == [
        "近 365 天报修最近 3 次都满足：22:00 至 06:00 之间",
        "in the last 365 days of the repair reports the last 3 all: between 22:00 and 06:00",
    ]
    assert editor.count() == 1
    assert "林晓" in editor.html
    assert "陈雨" not in editor.html
    editor.form.fields["name"] = ["夜间敏感"]
    saved = editor.press("save")
    one = Segment.objects.get()
    assert saved["Location"] == f"/admin/segment/{one.pk}/"
    assert (one.name, one.rule, one.code) == ("夜间敏感", NIGHTS, f"segment-{one.pk}")
    assert "夜间敏感：1 人" in get(hq, saved["Location"])
    why = get(hq, f"/admin/segment/{one.pk}/why/{chen.pk}/")
    assert "<li>报修：还差 1</li>" in why


def test_known_values_are_chosen_by_their_names_and_stored_as_codes() -> None:
    make_lease()
    editor = Editor(client_of("hq"), NEW)
    editor.press("add r condition")
    assert editor.form.offers["r.0.name"]["kitchen_regular"] == "常用共享厨房"
    editor.fill("r.0.kind", "consent")
    assert editor.draft == {"all": [{"consent": "marketing"}]}
    editor.fill("r.0.kind", "lease")
    editor.fill("r.0.field", "building")
    assert editor.form.offers["r.0.value"] == {"B1": "蓝寓B1"}
    editor.fill("r.0.field", "room_type")
    assert editor.form.offers["r.0.value"] == {"朝南一居": "朝南一居"}
    editor.fill("r.0.kind", "events")
    for kind, field, named in (
        ("ticket.reported", "category", {"water": "漏水", "lock": "门锁"}),
        ("ticket.reported", "channel", {"wechat": "公众号", "phone": "电话"}),
        ("mood.given", "mood", {"good": "满意", "bad": "不满意"}),
        ("payment.made", "item", {"rent": "房租"}),
        ("facility.used", "facility", {"shared_kitchen": "共享厨房"}),
    ):
        editor.fill("r.0.events", kind)
        editor.press("compare r.0 where")
        editor.fill("r.0.where.0.field", field)
        offered = editor.form.offers["r.0.where.0.value"]
        assert named.items() <= offered.items(), offered
        editor.press("uncompare r.0 where 0")
    editor.press("compare r.0 where")
    editor.fill("r.0.where.0.field", "weekday")
    assert editor.form.offers["r.0.where.0.value"]["6"] == "星期六"
    editor.fill("r.0.where.0.value", "6")
    assert editor.draft["all"][0]["where"] == [{"field": "weekday", "op": ">=", "value": 6}]
    assert editor.words[0] == "近 365 天设施预约（星期 ≥ 星期六） ≥ 1"
    editor.fill("r.0.where.0.field", "facility")
    editor.fill("r.0.where.0.op", "in")
    editor.fill("r.0.where.0.value", "gym", "laundry")
    assert editor.draft["all"][0]["where"] == [{"field": "facility", "op": "in", "value": ["gym", "laundry"]}]
    assert editor.words[0] == "近 365 天设施预约（设施为其中之一：健身房 / 洗衣房） ≥ 1"


def test_a_consent_is_asked_on_a_channel_or_on_that_of_the_message(settings: Any) -> None:
    settings.CHANNELS = ["sms", "jpush", "erp"]
    app, anywhere = (make_lease(make_tenant(consents=())).tenants.get() for _each in range(2))
    for person, channel in ((app, "jpush"), (anywhere, "any")):
        facts: dict[str, Any] = {"at": NOW, "text_version": "x", "proof": "x", "now": NOW}
        consents.record(person, purpose="marketing", channel=channel, granted=True, **facts)
    editor = Editor(client_of("hq"), NEW)
    editor.press("add r condition")
    editor.fill("r.0.kind", "consent")
    assert editor.draft == {"all": [{"consent": "marketing"}]}
    assert editor.form.offers["r.0.channel"] == {"": "消息所走的渠道", "sms": "短信", "jpush": "App 推送"}
    assert segments.members(editor.draft, today=TODAY) == [anywhere.pk]
    editor.fill("r.0.channel", "jpush")
    assert editor.draft == {"all": [{"consent": "marketing", "channel": "jpush"}]}
    assert editor.words[0] == "同意续租优惠（App 推送）"
    assert segments.members(editor.draft, today=TODAY) == [app.pk, anywhere.pk]
    settings.CHANNELS = ["sms"]  # what was chosen stays, though the house has it no longer
    editor.fill("r.0.name", "marketing")
    assert editor.draft == {"all": [{"consent": "marketing", "channel": "jpush"}]}
    editor.fill("r.0.channel", "")
    assert editor.draft == {"all": [{"consent": "marketing"}]}


def test_moods_and_lists_are_chosen_by_their_names() -> None:
    make_lease()
    NameList.objects.create(code="list-1", name="老住户")
    NameList.objects.create(code="list-2", name="旧名单", removed_at=NOW)
    editor = Editor(client_of("hq"), NEW)
    editor.press("add r condition")
    editor.fill("r.0.kind", "moods")
    assert editor.draft == {"all": [{"moods": ["soso"], "bills": 3}]}
    editor.fill("r.0.moods", "soso", "bad")
    editor.fill("r.0.at_least", "2")
    assert editor.draft == {"all": [{"moods": ["soso", "bad"], "bills": 3, "at_least": 2}]}
    assert editor.words[0] == "最近 3 张账单中至少 2 张的心情是：一般 / 不满意"
    editor.fill("r.0.bills", "0")
    assert editor.faults == ["条件 1：“账单数”应为 1 至 24 的整数。"]
    editor.fill("r.0.bills", "3")
    editor.fill("r.0.moods")
    assert editor.faults == ["条件 1：“账单心情”至少选一项，每项只写一次：“满意”, “一般”, “不满意”。"]
    editor.fill("r.0.kind", "list")
    assert editor.form.offers["r.0.name"] == {"list-1": "老住户"}
    assert editor.draft == {"all": [{"list": "list-1"}]}
    assert editor.words == ["在名单“老住户”中", "on the list “老住户”"]
    assert editor.count() == 0


def test_groups_nest_and_what_stands_in_them_is_moved_copied_negated_and_removed() -> None:
    a, b, c = {"tag": "social"}, {"tag": "kitchen_regular"}, {"consent": "marketing"}
    plain_tag = {"tag": next(iter(TAGS))}
    one = segment("甲", {"all": [a, {"any": [b, c]}]})
    editor = Editor(client_of("hq"), f"/admin/segment/{one.pk}/edit/")

    def after(*acts: str) -> Any:
        for act in acts:
            editor.press(act)
        return editor.draft

    assert after("down r.0") == {"all": [{"any": [a, b, c]}]}
    assert after("down r.0.0") == {"all": [{"any": [b, a, c]}]}
    assert after("up r.0.1", "up r.0.0") == {"all": [a, {"any": [b, c]}]}
    assert after("down r.1.1") == {"all": [a, {"any": [b]}, c]}
    assert after("up r.2") == {"all": [a, {"any": [b, c]}]}
    assert after("copy r.1.0") == {"all": [a, {"any": [b, b, c]}]}
    assert after("remove r.1.1", "negate r.1") == {"all": [a, {"not": {"any": [b, c]}}]}
    assert after("negate r.1.0.0") == {"all": [a, {"not": {"any": [{"not": b}, c]}}]}
    assert after("negate r.1.0.0", "negate r.1", "dissolve r.1") == {"all": [a, b, c]}
    assert after("wrap r.2") == {"all": [a, b, {"any": [c]}]}
    assert after("add r.2 group", "add r group")["all"][2:] == [
        {"any": [c, {"all": [plain_tag]}]},
        {"any": [plain_tag]},
    ]
    editor.fill("r.2.kind", "all")
    assert list(editor.draft["all"][2]) == ["all"]
    assert Segment.objects.get().rule == {"all": [a, {"any": [b, c]}]}


def test_a_wrong_value_is_named_at_its_place_and_stays_as_typed() -> None:
    one = segment("甲", {"all": [{"tag": "social"}, {"lease": "days_to_end", "op": "<=", "value": 60}]})
    hq = client_of("hq")
    editor = Editor(hq, f"/admin/segment/{one.pk}/edit/")
    editor.fill("r.1.value", "六十")
    assert editor.faults == ["条件 2：“距租约到期天数”不能取值“六十”。"]
    assert re.search(r'id="r\.1\.value" value="六十"', editor.html)
    assert "这条规则还不能使用。" in editor.html
    assert re.search(r'data-node="r\.1".{0,3000}<p class="fault"[^>]*>条件 2', editor.html)
    editor.form.fields |= {"name": ["乙"], "note": ["试试"]}
    editor.press("save", status=422)
    assert len(editor.faults) == 1
    assert 'value="乙"' in editor.html
    assert 'value="试试"' in editor.html
    assert Segment.objects.get().name == "甲"
    editor.fill("r.1.value", "45")
    assert editor.faults == []
    assert editor.press("save").status_code == 302
    assert Segment.objects.get().rule["all"][1]["value"] == 45


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("r.0.where.0.value", "x", "条件 1：“评分”不能取值“x”。"),
        ("r.0.window.days", "0", "条件 1：“天数”应为 1 至 1100 的整数。"),
        ("r.0.last.events", "", "条件 1：“事件数”应为 1 至 100 的整数。"),
        ("r.0.last.satisfy.0.from", "25", "条件 1：“小时”应为 0 至 24 的整数。"),
    ],
)
def test_a_fault_within_a_condition_stands_on_its_own_line(name: str, value: str, line: str) -> None:
    rule = {
        "events": "ticket.rated", "where": [{"field": "score", "op": "<", "value": 3}], "window": {"days": 90},
        "last": {"events": 3, "satisfy": [{"field": "hour", "op": "between", "value": [22, 6]}]},
    }  # fmt: skip
    one = segment("甲", {"all": [rule, {"tag": "social"}]})
    editor = Editor(client_of("hq"), f"/admin/segment/{one.pk}/edit/")
    editor.fill(name, value)
    assert editor.faults == [line]
    wrong = re.findall(r'<div class="node__line is-wrong">(.*?)</div>', editor.html)
    assert len(wrong) == 1
    assert f'name="{name}"' in wrong[0]


QUESTIONS: list[tuple[str, Any]] = [
    ("count", {"op": ">=", "value": 1}),
    ("last", {"events": 3, "satisfy": [{"field": "hour", "op": "between", "value": [22, 6]}]}),
    ("share", {"satisfy": [{"field": "hour", "op": "between", "value": [22, 6]}], "op": ">=", "value": 0.5}),
    ("trend", {"op": ">=", "value": 1}),
    ("first", True),
    ("stopped", {"days": 30}),
    ("restarted", {"days": 30}),
    ("regular", {"every": "week", "periods": 8}),
    ("then", {"events": "ticket.reported", "hours": 48}),
]


@pytest.mark.parametrize(("question", "it"), QUESTIONS)
def test_every_question_and_every_window_can_be_asked_at_once(question: str, it: Any) -> None:
    make_lease()
    one = segment("甲", {"all": [{"events": "ticket.reported", "count": {"op": ">", "value": 5}}]})
    editor = Editor(client_of("hq"), f"/admin/segment/{one.pk}/edit/")
    if question == "count":
        it = {"op": ">", "value": 5}
    editor.fill("r.0.question", question)
    assert editor.draft["all"][0] == {"events": "ticket.reported", question: it}
    assert editor.faults == []
    assert editor.count() == 0
    if question == "regular":
        assert "r.0.window" not in editor.form.fields
        return
    for window, wanted in (
        ("days", {"days": 90}),
        ("end", {"from_end": -60, "to_end": -25}),
        ("start", {"from_start": 0, "to_start": 30}),
        ("signed", {"from_signed": 0, "to_signed": 30}),
        ("previous", {"from_previous": -30, "to_previous": 0}),
    ):
        editor.fill("r.0.window", window)
        assert editor.draft["all"][0]["window"] == wanted
        editor.fill("r.0.window.working", "1")
        assert editor.draft["all"][0]["window"] == {**wanted, "working": True}
        editor.fill("r.0.window.working")
    editor.fill("r.0.window", "day")
    assert editor.faults == ["条件 1：“”不是 2025-11-30 这样的日期。"]
    editor.fill("r.0.window.day", "2025-11-11")
    assert editor.draft["all"][0]["window"] == {"day": "2025-11-11", "from_day": -10, "to_day": 0}
    editor.fill("r.0.window", "dates")
    assert editor.faults
    editor.form.fields |= {"r.0.window.from": ["2025-11-01"], "r.0.window.to": ["2025-11-30"]}
    editor.press("look")
    assert editor.draft["all"][0]["window"] == {"from": "2025-11-01", "to": "2025-11-30"}
    segments.check(editor.draft)


def test_the_form_reads_back_any_rule_that_it_shows() -> None:
    make_building("A")
    NameList.objects.create(code="guests", name="贵宾")
    rule = {
        "all": [
            {"not": {"any": [{"tag": "social"}, {"consent": "profiling"}]}},
            {"feature": "last3_night", "op": "=", "value": False},
            {"feature": "power_30", "op": "<", "value": 2.5},
            {"lease": "building", "op": "in", "value": ["A", "gone"]},
            {"lease": "state", "op": "!=", "value": "coming"},
            {"lease": "rent_above_list", "op": ">", "value": 2.5},
            {"lease": "is_renewed", "op": "=", "value": False},
            {"list": "guests"},
            {"moods": ["soso", "bad"], "bills": 3, "at_least": 2},
            {"events": "app.viewed", "window": {"from_previous": -3, "to_previous": 0, "working": True}, "first": True},
            {"events": "app.viewed", "window": {"day": "2025-11-11", "from_day": -3, "to_day": 0}, "first": True},
            {"events": "ticket.reported", "where": [{"field": "weekday", "op": ">", "value": 5}],
             "window": {"from_end": -60, "to_end": -25, "working": True},
             "then": {"events": "ticket.rated", "hours": 48, "where": [{"field": "score", "op": "<", "value": 3}]}},
            {"events": "community.joined", "where": [{"field": "activity", "op": "in", "value": ["瑜伽", "读书会"]}],
             "regular": {"every": "month", "periods": 6, "times": 2, "at_least": 4}},
            {"events": "payment.made", "window": {"days": 30, "working": True}, "share": {
                "satisfy": [{"field": "item", "op": "!=", "value": "rent"},
                            {"field": "days_late", "op": ">", "value": 0}],
                "op": "<", "value": 0.25}},
            {"events": "mood.given", "last": {"events": 5, "at_least": 2, "satisfy": [
                {"field": "mood", "op": "=", "value": "bad"}]}, "window": {"from": "2025-01-01", "to": "2025-11-30"}},
        ]
    }  # fmt: skip
    segments.check(rule)
    one = segment("全", rule)
    client = client_of("hq")
    for language in ("zh-hans", "en"):
        editor = Editor(client, f"/admin/segment/{one.pk}/edit/", language)
        editor.press("look")
        assert editor.draft == rule
        assert editor.faults == []


def root() -> Client:
    client = Client()
    client.force_login(make_user("root", is_superuser=True))
    return client


def test_before_saving_it_says_who_joins_and_who_leaves() -> None:
    tagged(resident("林晓", "A-0101"))
    tagged(resident("陈雨", "A-0102"), "kitchen_regular")
    tagged(resident("王安", "A-0103"), "kitchen_regular")
    one = segment("甲", {"tag": "social"})
    editor = Editor(client_of("hq"), f"/admin/segment/{one.pk}/edit/")
    assert "保存后成员不变" in editor.html
    editor.fill("r.0.name", "kitchen_regular")
    change = re.search(r'id="joining">(.*?)</p>(.*?)</ul>.*id="leaving">(.*?)</p>(.*?)</ul>', editor.html)
    assert change
    assert (change[1].strip(), change[3].strip()) == ("2 人加入", "1 人离开")
    assert plain(change[2]) == "陈雨 A-0102 王安 A-0103"
    assert plain(change[4]) == "林晓 A-0101"
    assert Segment.objects.get().rule == {"tag": "social"}


def test_undo_brings_back_a_draft_and_nothing_that_is_none() -> None:
    one = segment("甲", {"tag": "social"})
    editor = Editor(client_of("hq"), f"/admin/segment/{one.pk}/edit/")
    before = editor.draft
    editor.press("add r condition")
    assert len(editor.draft["all"]) == 2
    editor.press("restore", draft=json.dumps(before))
    assert editor.draft == before
    deep: Any = {"tag": "social"}
    for _n in range(40):
        deep = {"not": deep}
    for strange in (
        *("", "{", "[]", '{"all": 3}', '{"all": [1]}', '{"x": 1}', json.dumps(deep), "[" * 50_000),
        *('{"events": "x", "count": 1}', '{"lease": "building"}', '{"tag": "social"}' + " " * 70_000),
    ):
        response = editor.client.post(editor.address, {**editor.form.fields, "do": "restore", "draft": strange})
        assert response.status_code == 400, strange[:40]


def test_a_form_of_another_rule_is_refused() -> None:
    one = segment("甲", {"all": [{"tag": "social"}]})
    editor = Editor(client_of("hq"), f"/admin/segment/{one.pk}/edit/")
    for do in ("remove r", "remove r.7", "up r.0.0", "compare r.0 where", "x", "", "add r.0 condition", "negate q"):
        response = editor.client.post(editor.address, {**editor.form.fields, "do": do})
        assert response.status_code == 400, do
    for fields in ({}, {"r.kind": "x"}, {"r.kind": "all", "r.n": "9999"}, {"r.kind": "all", "r.n": "x"}):
        assert editor.client.post(editor.address, {"do": "look", **fields}).status_code == 400, fields


def test_htmx_gets_the_part_that_changes() -> None:
    one = segment("甲", {"tag": "social"})
    editor = Editor(client_of("hq"), f"/admin/segment/{one.pk}/edit/")
    response = editor.client.post(
        editor.address, {**editor.form.fields, "do": "add r condition"}, headers={"HX-Request": "true"}
    )
    html = response.content.decode()
    assert html.startswith('<div class="person__grid editor__grid" id="builder">')
    assert "<html" not in html


def test_every_change_is_a_version_and_one_can_go_back() -> None:
    one = segment("甲", {"tag": "social"})
    hq = client_of("hq")
    address = f"/admin/segment/{one.pk}/versions/"
    assert "这个客群自上线以来没有改动过。" in get(hq, address)
    editor = Editor(hq, f"/admin/segment/{one.pk}/edit/")
    editor.form.fields["note"] = ["厨房也算"]
    editor.fill("r.0.name", "kitchen_regular")
    assert editor.press("save").status_code == 302
    rows = SegmentVersion.objects.order_by("number").values_list("number", "rule", "by__username", "note")
    assert list(rows) == [
        (1, {"tag": "social"}, None, ""),
        (2, {"tag": "kitchen_regular"}, "hq-None", "厨房也算"),
    ]
    html = get(hq, address)
    assert "甲 · 2 个版本" in html
    assert re.findall(r'name="number" value="(\d+)"', html) == ["1"]
    back = hq.post(address, {"number": "1", "seen": "2"})
    assert "规则已恢复为版本 1。" in get(hq, back["Location"])
    assert Segment.objects.get().rule == {"tag": "social"}
    assert list(rows.all())[2] == (3, {"tag": "social"}, "hq-None", "同版本 1")
    assert "hq-None 刚刚保存了版本 3" in text_of(hq.post(address, {"number": "2", "seen": "2"}, follow=True))
    for strange in ({"number": "9", "seen": "3"}, {"number": "x", "seen": "3"}, {}):
        assert hq.post(address, strange).status_code == 400
    assert SegmentVersion.objects.count() == 3


def test_saving_without_a_change_of_the_rule_makes_no_version() -> None:
    one = segment("甲", {"tag": "social"})
    editor = Editor(client_of("hq"), f"/admin/segment/{one.pk}/edit/")
    editor.form.fields["name"] = ["  乙  丙 "]
    editor.press("save")
    one.refresh_from_db()
    assert (one.name, one.rule, SegmentVersion.objects.count()) == ("乙 丙", {"tag": "social"}, 0)


def test_the_database_lets_no_version_be_changed_or_deleted() -> None:
    one = segment("甲", {"tag": "social"})
    SegmentVersion.objects.create(segment=one, number=1, rule=one.rule, at=NOW)
    for statement in ("UPDATE campaigns_segmentversion SET note = 'x'", "DELETE FROM campaigns_segmentversion"):
        with pytest.raises(DatabaseError, match="only ever added"), transaction.atomic():
            connection.cursor().execute(statement)


def test_who_saves_second_is_told_and_keeps_what_they_built() -> None:
    one = segment("甲", {"tag": "social"})
    hq = client_of("hq")
    mine, theirs = (Editor(client, f"/admin/segment/{one.pk}/edit/") for client in (hq, root()))
    theirs.fill("r.0.name", "mood_flat")
    theirs.press("save")
    mine.fill("r.0.name", "kitchen_regular")
    mine.press("save", status=422)
    assert "root 刚刚保存了版本 2" in mine.html
    assert mine.draft == {"all": [{"tag": "kitchen_regular"}]}
    assert Segment.objects.get().rule == {"tag": "mood_flat"}


def test_a_copy_begins_with_the_rule_of_another_and_needs_a_name_of_its_own() -> None:
    one = segment("甲", {"all": [{"tag": "social"}, {"consent": "marketing"}]})
    editor = Editor(client_of("hq"), f"{NEW}?from={one.pk}")
    assert editor.draft == one.rule
    assert editor.form.fields["name"] == ["甲（副本）"]
    for name, fault in (("甲", "已经有名为“甲”的客群。"), (" ", "请填写客群名称。"), ("名" * 81, "名称最多 80 个字。")):
        editor.form.fields["name"] = [name]
        editor.press("save", status=422)
        assert fault in editor.html
    assert Segment.objects.count() == 1
    editor.form.fields["name"] = ["乙"]
    editor.press("save")
    copy = Segment.objects.get(name="乙")
    assert copy.rule == one.rule
    assert SegmentVersion.objects.get().number == 1


def test_only_the_head_office_edits() -> None:
    one = segment("甲", {"tag": "social"})
    manager = client_of("manager", make_building("A"))
    edit, versions = f"/admin/segment/{one.pk}/edit/", f"/admin/segment/{one.pk}/versions/"
    for address in (NEW, edit):
        assert manager.get(address).status_code == 403
        assert manager.post(address, {"do": "look"}).status_code == 403
    assert manager.get(versions).status_code == 200
    assert manager.post(versions, {"number": "1", "seen": "1"}).status_code == 403
    assert edit not in get(manager, f"/admin/segment/{one.pk}/")
    assert NEW not in get(manager, "/admin/segment/")
    assert edit in get(client_of("hq"), f"/admin/segment/{one.pk}/")


def test_a_change_in_the_admin_is_a_version_too() -> None:
    one = segment("甲", {"tag": "social"})
    response = root().post(f"/admin/campaigns/segment/{one.pk}/change/", {"name": "甲", "rule": '{"tag": "mood_flat"}'})
    assert response.status_code == 302
    assert list(SegmentVersion.objects.order_by("number").values_list("number", "rule")) == [
        (1, {"tag": "social"}),
        (2, {"tag": "mood_flat"}),
    ]


def test_the_editor_speaks_english() -> None:
    editor = Editor(client_of("hq"), NEW, "en")
    editor.press("add r condition")
    editor.fill("r.0.kind", "events")
    assert "New segment" in editor.html
    assert editor.form.offers["r.0.question"]["regular"] == "regularly"
    assert not re.search("[一-鿿]", re.sub(r'<p [^>]*lang="zh">[^<]*</p>|简体中文|中文', "", main(editor.html)))


def main(html: str) -> str:
    return html[html.index('id="rule-form"') : html.index("</form>", html.index('id="rule-form"'))]
