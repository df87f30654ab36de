"""Writing a playbook over HTTP: by what its pages offer, every fault at its place, nothing lost, much undone."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns import draftchecks, drafts, releases, shelf, shipping
from campaigns.draftchecks import NotSaved
from campaigns.models import Enrolment, Playbook, PlaybookVersion, Push, Segment, Step, StepVersion
from tenants import catalogue, clock
from tests.book_forms import Visit
from tests.makers import BEFORE, NOW, TODAY, make_announcement, make_building, make_playbook, make_user
from tests.test_segment_pages import cells, client_of, get, resident, segment

pytestmark = pytest.mark.django_db

LIST = "/admin/playbook/"
RATED = {"events": "ticket.rated", "where": [{"field": "score", "op": "<=", "value": 2}]}
STEP: dict[str, Any] = {
    "anchor": "end", "days": 30, "on": "", "ends_from": 20, "ends_to": 75, "kind": "ask", "rule": None,
    "text": "续租方案在这里。", "claims_topic": "", "grants": "",
}  # fmt: skip
LATE = {"tag": "repair_was_late"}


@pytest.fixture(autouse=True)
def _today() -> None:
    clock.set_to(NOW)


def new(name: str = "新剧本", **facts: Any) -> Playbook:
    return shelf.create(name, **{"segment": None, "lead_days": 60, "starts_on": {}, "by": None, "now": NOW} | facts)


def draft(playbook: Playbook) -> PlaybookVersion:
    found = drafts.draft_of(playbook.pk)
    assert found
    return found


def save(playbook: Playbook, code: str = "", **said: Any) -> StepVersion:
    seen = drafts.mark(draft(playbook))
    return drafts.save_step(playbook.pk, code, {**STEP, **said}, seen=seen, by=None, today=TODAY, now=NOW)


def everything() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Playbook, PlaybookVersion, Step, StepVersion)]


# --- A new one -----------------------------------------------------------------------------------------------


def test_a_playbook_is_written_by_what_the_pages_offer() -> None:
    social = segment("社交", {"tag": "social"})
    resident("林晓", "A-0101")
    make_announcement(make_building("A"))
    catalogue.ship()
    visit = Visit(client_of("hq"), LIST + "new/")
    visit.press("save", name="邻里夜话", segment=str(social.pk), lead_days="75")
    book = Playbook.objects.get()
    assert visit.address == f"{LIST}{book.pk}/draft/"
    assert visit.answer == "邻里夜话：版本 1 的草稿"
    assert "<li>还没有步骤。</li>" in visit.html
    assert (book.name, book.segment, book.code) == ("邻里夜话", social, f"playbook-{book.pk}")
    visit.go(f"{LIST}{book.pk}/draft/new/")
    assert visit.faults == []
    assert visit.form("save")["offers"]["anchor"] == {
        "start": "开始后第几天",
        "end": "到期前几天",
        "wave": "同一天的波次",
    }
    assert visit.form("save")["offers"]["claims_topic"]["shared_kitchen"] == "共享厨房"
    visit.press("look", text="您常去的{announcement}，续租的选择在这里。", claims_topic="shared_kitchen", days="25")
    assert visit.one(r'id="read">(.*?)</p>') == "您常去的共享厨房 12 月 20 日升级烘焙区，续租的选择在这里。"
    assert visit.faults == []
    visit.press("add r condition")
    visit.press("look", r__0__name="kitchen_regular")
    visit.press("save")
    assert visit.address == f"{LIST}{book.pk}/draft/"
    visit.go(f"{LIST}{book.pk}/draft/new/")
    visit.press("look", anchor="wave")
    assert re.search(r'name="ends_from".*?<span>至</span>.*?name="ends_to"', visit.html)
    visit.press("save", text="租约 {last_day}到期。", on="2025-12-20", ends_from="20", ends_to="75")
    visit.go(f"{LIST}{book.pk}/draft/new/")
    visit.press("save", text="您这一年记在这封信里。", anchor="start", days="0")
    assert visit.steps == [
        ("启动当天", "您这一年记在这封信里。"),
        ("到期前 25 天", "您常去的共享厨房 12 月 20 日升级烘焙区，续租的选择在这里。"),
        ("2025-12-20 的波次：此后 20–75 天到期的租约", "租约 12 月 26 日到期。"),
    ]
    assert 'id="faults"' not in visit.html
    visit.press("save", lead_days="70", note="先试一试", unfixed_percent="10")
    version = draft(book)
    assert (version.lead_days, version.note, version.unfixed_percent, version.fix_first) == (70, "先试一试", 10, True)
    kitchen = StepVersion.objects.get(claims_topic="shared_kitchen")
    assert (kitchen.anchor, kitchen.days, kitchen.rule, kitchen.kind) == ("end", 25, {"tag": "kitchen_regular"}, "ask")
    wave = StepVersion.objects.get(anchor="wave")
    assert (wave.on, wave.ends_from, wave.ends_to, wave.rule) == (date(2025, 12, 20), 20, 75, None)
    assert version.by
    assert version.by.username == "hq-None"


def test_one_that_starts_by_what_happened_is_narrowed_down_in_its_draft() -> None:
    visit = Visit(client_of("hq"), LIST + "new/")
    visit.press("save", name="差评之后", starts="event", s__events="ticket.rated")
    book = Playbook.objects.get()
    assert draft(book).starts_on == {"events": "ticket.rated"}
    visit.press("compare s where")
    visit.press("save", s__where__0__field="score", s__where__0__op="<=", s__where__0__value="2")
    assert draft(book).starts_on == RATED
    visit.go(f"{LIST}{book.pk}/draft/new/")
    assert visit.form("save")["offers"]["anchor"] == {"event": "事件后第几天"}
    visit.press("save", text="抱歉，让您久等了。", kind="care", days="1")
    assert visit.steps == [("事件后第 1 天", "抱歉，让您久等了。")]
    visit.press("uncompare s where 0")
    visit.press("save")
    assert draft(book).starts_on == {"events": "ticket.rated"}


def test_a_new_one_comes_before_those_that_leave_nobody() -> None:
    shipping.ship(now=BEFORE)
    new("一")
    new("二")
    order = list(Playbook.objects.order_by("rank").values_list("name", flat=True))
    assert order == ["差评之后", "报修久等之后", "邻里与日常", "价格与租期", "服务与安心", "二", "一", "通用版"]


@pytest.mark.parametrize(
    ("typed", "refused"),
    [
        ({"name": " "}, "请填写剧本名称。"),
        ({"name": "很" * 81}, "名称最多 80 个字。"),
        ({"name": "通用版"}, "已经有名为“通用版”的剧本。"),
        ({"lead_days": "366"}, "到期前天数应为 0 至 365 的整数。"),
        ({"lead_days": "两个月"}, "到期前天数应为 0 至 365 的整数。"),
    ],
)
def test_a_new_one_that_is_wrong_is_not_made(typed: dict[str, str], refused: str) -> None:
    make_playbook("general", name="通用版")
    visit = Visit(client_of("hq"), LIST + "new/")
    before = everything()
    visit.press("save", 422, **{"name": "新剧本", **typed})
    assert visit.refused == refused
    assert all(visit.form("save")["fields"][name] == [value] for name, value in typed.items())
    assert everything() == before


# --- Faults --------------------------------------------------------------------------------------------------

LONG = "字" * 201


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"text": " "}, "文案不能为空。"),
        ({"text": LONG}, "文案有 201 个字，最多 200 个。"),
        ({"text": "{name}您好"}, "文案中不能有“{name}”：只会填入 {last_day} 和 {announcement}。"),
        ({"text": "括号 { 没有关"}, "文案中不能有“{ 没有关”：只会填入 {last_day} 和 {announcement}。"),
        ({"text": "{announcement}，来看看。"}, "文案用了 {announcement}，但没有选择公告主题。"),
        ({"claims_topic": "gym"}, "已选择引用公告，文案中须有 {announcement}。"),
        ({"rule": {"tag": "nobody"}}, "规则：没有名为“nobody”的标签。"),
        ({"grants": "care_line"}, "权益只能依据公开的服务或居住事实发放，这条规则不是或没有条件。"),
        ({"grants": "care_line", "rule": {"tag": "social"}}, "权益只能依据公开的服务或居住事实发放"),
        ({"grants": "gold"}, "没有这项权益。"),
        ({"kind": "care", "text": "抱歉。", "grants": "care_line", "rule": LATE}, "服务类消息不能发放权益。"),
        ({"kind": "care", "text": "抱歉，续约请看这里。"}, "服务类消息不能谈续租：“续约”。"),
        ({"anchor": "event"}, "只有由事件启动的剧本，步骤才能按事件后若干天安排。"),
        ({"days": 366}, "天数应为 0 至 365 的整数。"),
        ({"days": "-1"}, "天数应为 0 至 365 的整数。"),
        ({"anchor": "wave"}, "请填写波次日期，例如 2025-12-20。"),
        ({"anchor": "wave", "on": "2025-11-30"}, "波次日期 2025-11-30 已经过去。"),
        ({"anchor": "wave", "on": "2025-12-20", "ends_from": 30, "ends_to": 20}, "到期天数从 30 到 20，范围为空。"),
        (
            {"anchor": "wave", "on": "2025-12-20", "ends_from": 91, "ends_to": 120},
            "到那天不会有人加入：波次面向 91 天后到期的租约，而租约最早在到期前 90 天加入。",
        ),
        ({"kind": "news"}, "请选择内容是关于续租还是关于服务。"),
    ],
)  # fmt: skip
def test_a_step_that_is_wrong_is_not_saved(said: dict[str, Any], fault: str) -> None:
    catalogue.ship()
    book = new()
    before = everything()
    with pytest.raises(NotSaved) as refused:
        save(book, **said)
    assert str(refused.value).startswith(fault[:14]), str(refused.value)
    assert everything() == before


def test_the_nearest_sound_steps_are_saved() -> None:
    catalogue.ship()
    book = new()
    for said in (
        {"text": "字" * 200},
        {"text": "{announcement}，来看看。", "claims_topic": "gym"},
        {"grants": "care_line", "rule": LATE},
        {"kind": "care", "text": "抱歉。", "rule": LATE},
        {"days": 365},
        {"days": "0"},
        {"anchor": "wave", "on": "2025-12-01", "ends_from": 90, "ends_to": 90},
    ):
        save(book, **said)
    assert StepVersion.objects.count() == 7
    assert drafts.faults(draft(book), today=TODAY) == []


def test_what_ships_is_sound_and_warned_about_nowhere() -> None:
    shipping.ship(now=BEFORE)
    for book in Playbook.objects.order_by("pk"):
        copied = draft(shelf.copy(book.pk, by=None, now=NOW))
        assert drafts.faults(copied, today=TODAY) == [], book.code
        assert [draftchecks.warnings(each.text, each.claims_topic) for each in drafts.steps(copied) if
                draftchecks.warnings(each.text, each.claims_topic)] == [], book.code  # fmt: skip


def test_a_fault_stands_at_its_place_and_nothing_typed_is_lost() -> None:
    book = new()
    visit = Visit(client_of("hq"), f"{LIST}{book.pk}/draft/new/")
    visit.press("add r condition")
    visit.press("look", r__0__kind="lease")
    before = everything()
    visit.press("save", 422, text="{name}，您好", days="十", r__0__value="六")
    assert visit.faults == ["条件 1：“距租约到期天数”不能取值“六”。"]
    fields = visit.form("save")["fields"]
    assert (fields["text"], fields["days"], fields["r.0.value"]) == (["{name}，您好"], ["十"], ["六"])
    visit.press("save", 422, r__0__value="60")
    assert visit.faults == ["天数应为 0 至 365 的整数。"] or visit.faults[0].startswith("文案中不能有“{name}”")
    visit.press("save", 422, days="20")
    assert visit.faults == ["文案中不能有“{name}”：只会填入 {last_day} 和 {announcement}。"]
    assert everything() == before
    visit.press("save", text="您好")
    assert StepVersion.objects.get().rule == {"lease": "days_to_end", "op": ">=", "value": 60}


def test_a_wording_is_warned_about_from_forty_characters_on() -> None:
    book = new()
    visit = Visit(client_of("hq"), f"{LIST}{book.pk}/draft/new/")
    visit.press("look", text="字" * 39)
    assert 'class="steps__warning"' not in visit.html
    visit.press("look", text="字" * 40)
    assert "填入后共 40 个字；不到 40 个字才能一眼看完。" in visit.html
    visit.press("look", text="仅剩三天，请尽快！")
    assert "含有催促、威胁、夸大，或读到时可能已不属实的字眼：仅剩 尽快 ！" in visit.html


def test_the_kind_of_start_stays_once_released_and_steps_fit_it() -> None:
    version = make_playbook("x")
    begun = drafts.begin(version.playbook_id, like=None, by=None, now=NOW)
    with pytest.raises(NotSaved, match="已发布的剧本不能在"):
        drafts.save_facts(
            version.playbook_id,
            {**drafts.facts_of(begun), "starts_on": RATED},
            seen=drafts.mark(begun),
            by=None,
            now=NOW,
        )
    book = new()
    save(book)
    facts = {**drafts.facts_of(draft(book)), "starts_on": RATED}
    with pytest.raises(NotSaved, match="步骤 1 与现在的启动条件不符"):
        drafts.save_facts(book.pk, facts, seen=drafts.mark(draft(book)), by=None, now=NOW)
    for name, value, said in (
        ("starts_on", {"events": "door.opened"}, "启动条件："),
        ("unfixed_percent", "101", "随机比例应为 0 至 100 的整数。"),
        ("under_way", "leave", "请选择进行中的租客怎么办。"),
        ("note", "字" * 201, "说明有 201 个字，最多 200 个。"),
    ):
        facts = {**drafts.facts_of(draft(book)), name: value}
        with pytest.raises(NotSaved, match=said):
            drafts.save_facts(book.pk, facts, seen=drafts.mark(draft(book)), by=None, now=NOW)


# --- Two editors ---------------------------------------------------------------------------------------------


def test_what_somebody_else_saved_is_not_overwritten_and_what_was_typed_is_kept() -> None:
    book = new()
    step = save(book)
    lan, mei = client_of("hq", make_building("A")), client_of("hq", make_building("B"))
    address = f"{LIST}{book.pk}/draft/{step.step.code}/"
    first, second = Visit(lan, address), Visit(mei, address)
    first.press("save", text="兰写的")
    before = everything()
    second.press("save", 422, text="梅写的")
    assert second.refused == "hq-蓝寓A 刚刚保存了这份草稿。您填写的内容仍保留在这里。"
    assert second.form("save")["fields"]["text"] == ["梅写的"]
    assert everything() == before
    second.press("save")  # having been told, she means it
    assert StepVersion.objects.get().text == "梅写的"
    facts = Visit(lan, f"{LIST}{book.pk}/draft/")
    save(book, text="又一步")
    before = everything()
    facts.press("save", 422, lead_days="30")
    assert facts.form("save")["fields"]["lead_days"] == ["30"]
    assert everything() == before
    late = Visit(lan, address)
    drafts.discard(book.pk, seen=drafts.mark(draft(book)))
    assert lan.post(address, {**late.form("save")["fields"], "do": "save"}).status_code in (404, 422)


def test_a_draft_that_changed_meanwhile_is_not_released() -> None:
    book = new()
    save(book)
    seen = drafts.mark(draft(book))
    save(book, text="后来加的")
    with pytest.raises(drafts.Overtaken):
        drafts.ask(draft(book).pk, percent=10, rule=None, why="", seen=seen, by=make_user("lan"), today=TODAY, now=NOW)
    assert draft(book).is_draft


# --- Undo ----------------------------------------------------------------------------------------------------


def said(book: Playbook) -> list[Any]:
    version = drafts.latest(book.pk)
    assert version
    facts = drafts.facts_of(version)
    return [version.number, facts, *[(each.step.code, drafts.said_of(each)) for each in drafts.steps(version)]]


def test_a_draft_thrown_away_can_be_had_back() -> None:
    catalogue.ship()
    book = new("邻里夜话", segment=segment("社交", {"tag": "social"}).pk)
    save(book, grants="care_line", rule=LATE)
    save(book, anchor="wave", on="2025-12-20")
    before = (said(book), Playbook.objects.values().get())
    hq = client_of("hq")
    visit = Visit(hq, f"{LIST}{book.pk}/draft/")
    visit.press("discard")
    assert visit.address == LIST
    assert everything() == [[], [], [], []]
    assert "刚放弃了一份草稿。" in visit.html
    clock.set_to(NOW + timedelta(minutes=29))
    assert hq.post(LIST + "undo/")["Location"] == f"{LIST}{book.pk}/draft/"
    assert (said(book), Playbook.objects.values().get()) == before
    assert hq.post(LIST + "undo/")["Location"] == LIST  # only once
    assert "已没有可撤销的操作。" in get(hq, LIST)


def test_a_step_removed_can_be_had_back_and_a_later_draft_leaves_the_playbook() -> None:
    version = make_playbook("x", {"code": "a", "days": 30, "text": "一"}, {"code": "b", "days": 20, "text": "二"})
    book = version.playbook
    hq = client_of("hq")
    visit = Visit(hq, f"{LIST}{book.pk}/")
    visit.press("begin")
    before = said(book)
    visit.press("remove a")
    assert visit.steps == [("到期前 20 天", "二")]
    assert "与版本 1 相比" in visit.html
    assert "移除：到期前 30 天，“一”" in visit.html
    hq.post(LIST + "undo/")
    assert said(book) == before
    visit.go(f"{LIST}{book.pk}/draft/")
    visit.press("discard")
    assert visit.address == f"{LIST}{book.pk}/"
    assert list(PlaybookVersion.objects.values_list("number", "is_draft")) == [(1, False)]
    assert Step.objects.count() == 2


def test_a_draft_begins_from_the_newest_version_or_an_earlier_one() -> None:
    version = make_playbook("x", {"code": "a", "days": 30, "text": "一"})
    book = version.playbook
    drafts.begin(book.pk, like=None, by=None, now=NOW)
    save(book, "a", text="改了")
    drafts.ask(draft(book).pk, percent=10, rule=None, why="", seen=drafts.mark(draft(book)), by=make_user("lan"),
               today=TODAY, now=NOW)  # fmt: skip
    visit = Visit(client_of("hq"), f"{LIST}{book.pk}/versions/")
    form = next(form for form in visit.forms if form["fields"].get("like") == ["1"])
    response = visit.client.post(form["action"], {**form["fields"], "do": "begin"})
    assert response["Location"] == f"{LIST}{book.pk}/draft/"
    third = draft(book)
    assert (third.number, third.note) == (3, "同版本 1")
    assert [each.text for each in drafts.steps(third)] == ["一"]
    with pytest.raises(NotSaved, match="已有一份草稿"):
        drafts.begin(book.pk, like=None, by=None, now=NOW)


# --- The shelf -----------------------------------------------------------------------------------------------


def test_playbooks_are_moved_switched_named_and_copied_from_the_pages() -> None:
    shipping.ship(now=BEFORE)
    hq = client_of("hq")
    social = Playbook.objects.get(code="social")
    visit = Visit(hq, LIST)

    def act(do: str, **more: str) -> None:
        hq.post(f"{LIST}{social.pk}/act/", {"do": do, "from": "list", **more})

    act("up")
    assert [row[0] for row in cells(get(hq, LIST))][:3] == ["差评之后", "邻里与日常", "报修久等之后"]
    act("down")
    act("down")
    assert [row[0] for row in cells(get(hq, LIST))][2:4] == ["价格与租期", "邻里与日常"]
    act("off")
    assert not Playbook.objects.get(code="social").is_active
    assert "邻里与日常 已停用" in [row[0] for row in cells(get(hq, LIST))]
    act("on")
    act("rename", name=" 邻里  夜话 ")
    assert Playbook.objects.get(code="social").name == "邻里 夜话"
    act("rename", name="通用版")
    assert "已经有名为“通用版”的剧本。" in get(hq, LIST)
    assert Playbook.objects.get(code="social").name == "邻里 夜话"
    hq.post(f"{LIST}{social.pk}/act/", {"do": "copy"})
    hq.post(f"{LIST}{social.pk}/act/", {"do": "copy"})
    copies = list(Playbook.objects.filter(code__startswith="playbook-").order_by("pk"))
    assert [each.name for each in copies] == ["邻里 夜话（副本）", "邻里 夜话（副本 2）"]
    copied = drafts.steps(draft(copies[0]))
    model = PlaybookVersion.objects.get(playbook=social)
    assert [drafts.said_of(each) for each in copied] == [drafts.said_of(each) for each in drafts.steps(model)]
    assert not {each.step_id for each in copied} & {each.step_id for each in drafts.steps(model)}
    assert copies[0].segment == social.segment
    assert hq.post(f"{LIST}{social.pk}/act/", {"do": "burn"}).status_code == 400
    assert visit.html


def test_the_first_and_the_last_stay_where_they_are() -> None:
    shipping.ship(now=BEFORE)
    before = list(Playbook.objects.order_by("pk").values())
    shelf.move(Playbook.objects.order_by("rank")[0].pk, up=True)
    shelf.move(Playbook.objects.order_by("-rank")[0].pk, up=False)
    assert list(Playbook.objects.order_by("pk").values()) == before


# --- What is released never changes --------------------------------------------------------------------------

ACTS = st.sampled_from(["begin", "again", "facts", "step", "remove", "discard", "ask", "wave", "rename", "copy"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.tuples(ACTS, st.integers(0, 3)), max_size=14))
def test_no_act_of_an_editor_changes_a_released_version(acts: list[tuple[str, int]]) -> None:
    with transaction.atomic():
        try:
            _play(acts)
        finally:
            transaction.set_rollback(True)


def _play(acts: list[tuple[str, int]]) -> None:
    lan = make_user("lan")
    book = make_playbook("x", {"code": "a", "days": 30, "text": "一"}, {"code": "b", "days": 20, "text": "二"}).playbook
    stood: dict[int, str] = {}
    for n, (act, k) in enumerate(acts):
        for version in PlaybookVersion.objects.filter(is_draft=False):
            told = json.dumps([drafts.mark(version), version.at.isoformat()])
            assert stood.setdefault(version.pk, told) == told
        now = drafts.draft_of(book.pk)
        seen = drafts.mark(now) if now else ""
        codes = [each.step.code for each in drafts.steps(now)] if now else ["a", "b"]
        code = codes[k % len(codes)] if codes else ""
        try:
            match act:
                case "begin":
                    drafts.begin(book.pk, like=None, by=lan, now=NOW)
                case "again":
                    drafts.begin(book.pk, like=1, by=lan, now=NOW)
                case "facts":
                    facts = {**drafts.facts_of(PlaybookVersion()), "lead_days": 30 + k, "note": f"{n}"}
                    drafts.save_facts(book.pk, facts, seen=seen, by=lan, now=NOW)
                case "step":
                    said = {**STEP, "text": f"第 {n}", "days": k}
                    drafts.save_step(book.pk, code if k % 2 else "", said, seen=seen, by=lan, today=TODAY, now=NOW)
                case "wave":
                    said = {**STEP, "anchor": "wave", "on": (TODAY + timedelta(days=k)).isoformat()}
                    drafts.save_step(book.pk, "", said, seen=seen, by=lan, today=TODAY, now=NOW)
                case "remove":
                    drafts.remove_step(book.pk, code, seen=seen, by=lan, now=NOW)
                case "discard":
                    kept = drafts.discard(book.pk, seen=seen)
                    if k % 2:
                        drafts.restore(book.pk, json.loads(json.dumps(kept)), by=lan, now=NOW)
                case "ask" if now:
                    drafts.ask(now.pk, percent=10 * k, rule=None, why="", seen=seen, by=lan, today=TODAY, now=NOW)
                case "rename":
                    shelf.rename(book.pk, f"名 {n}")
                case "copy":
                    shelf.copy(book.pk, by=lan, now=NOW)
        except (NotSaved, releases.NotReleased, StepVersion.DoesNotExist):
            pass
        assert PlaybookVersion.objects.filter(playbook=book, is_draft=True).count() <= 1


def test_the_database_refuses_to_change_what_is_released() -> None:
    version = make_playbook("x")
    step = StepVersion.objects.get()
    other = Step.objects.create(playbook=version.playbook, code="n")
    tries: list[Any] = [
        lambda: PlaybookVersion.objects.filter(pk=version.pk).update(lead_days=1),
        lambda: PlaybookVersion.objects.filter(pk=version.pk).update(is_draft=True),
        lambda: StepVersion.objects.filter(pk=step.pk).update(text="改"),
        lambda: StepVersion.objects.filter(pk=step.pk).delete(),
        lambda: StepVersion.objects.create(version=version, step=other, text="x"),
    ]  # fmt: skip
    for attempt in tries:
        with pytest.raises(DatabaseError), transaction.atomic():
            attempt()
    assert StepVersion.objects.get().text == step.text


def test_strange_forms_and_places_are_refused() -> None:
    book = new()
    step = save(book)
    hq = client_of("hq")
    before = everything()
    for address, form in (
        (f"{LIST}{book.pk}/draft/new/", {"do": "save"}),
        (f"{LIST}{book.pk}/draft/new/", {"do": "restore", "draft": "[]"}),
        (f"{LIST}{book.pk}/draft/new/", {"do": "up r.9", "r.kind": "all"}),
    ):
        assert hq.post(address, form).status_code == 400, form
    assert hq.get(f"{LIST}{book.pk}/draft/nothing/").status_code == 404
    assert hq.post(f"{LIST}{book.pk}/draft/", {"do": f"remove {step.step.code}", "seen": "old"}).status_code == 422
    assert hq.get(f"{LIST}{book.pk + 1}/draft/").status_code == 404
    assert everything() == before


def test_every_page_of_an_editor_is_whole_in_english() -> None:
    segment("Social", {"tag": "social"})
    book = new("Neighbours")
    step = save(book, text="Your letter is here")
    client: Client = client_of("hq")
    han = {chr(code) for code in range(0x4E00, 0x9FFF)}
    for more in ("", "people/", "versions/", "draft/", "draft/new/", f"draft/{step.step.code}/", "release/1/"):
        html = get(client, f"{LIST}{book.pk}/{more}", "en")
        body = html[html.index('id="answer"') :].split('lang="zh"')[0]
        body = body.split("</main>")[0]
        found = sorted(han & set(body.split("<aside")[0]))
        assert found == [], (more, found)
    assert Segment.objects.count() == 1
    assert not Enrolment.objects.exists()
    assert not Push.objects.exists()
