"""Lists of names: pasted by staff, asked for by rules; nothing pasted is lost, and whatever is done can be undone."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from campaigns import lists, segments
from campaigns.lists import NotDone, Unknown
from campaigns.models import ListChange, Listed, NameList
from tenants import clock
from tenants.models import LeaseTenant, Tenant
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant
from tests.test_segment_pages import cells, client_of, get, plain, resident, segment, text_of

pytestmark = pytest.mark.django_db

ALL = "/admin/segment/lists/"


@pytest.fixture(autouse=True)
def _today() -> None:
    clock.set_to(NOW)


def made(name: str = "老住户", *people: Tenant) -> NameList:
    one = lists.make(name, by=None, now=NOW)
    if people:
        lists.paste(one.pk, "\n".join(each.phone for each in people), by=None, now=NOW)
    return one


def selected(one: NameList) -> list[int]:
    return segments.members({"list": one.code}, today=TODAY)


# --- Pasting --------------------------------------------------------------------------------------------------


def test_phones_and_contracts_name_people_and_what_names_nobody_is_told_line_by_line() -> None:
    lin, chen, wang = (make_tenant(name, phone=phone) for name, phone in (
        ("林晓", "13800000001"), ("陈雨", "13800000002"), ("王安", "13800000003")))  # fmt: skip
    make_lease(lin)
    LeaseTenant.objects.create(lease=make_lease(chen, contract_no="HT-7"), tenant=wang, is_primary=False)
    make_lease(contract_no="HT-8", state="void")
    one = made()

    pasted = lists.paste(
        one.pk,
        "+86 138 0000 0001， HT-7\n\n１３８００００００９９\nHT-8;HT-9\n13800000001\n林晓\n",
        by=None,
        now=NOW,
    )

    assert pasted.added == [lin.pk, chen.pk, wang.pk]
    assert pasted.already == []
    assert pasted.unknown == [
        Unknown(3, "13800000099", "没有租客使用这个手机号"),
        Unknown(4, "HT-8", "这份合同已作废"),
        Unknown(4, "HT-9", "没有这个编号的合同，也不是手机号"),
        Unknown(6, "林晓", "没有这个编号的合同，也不是手机号"),
    ]
    assert selected(one) == [lin.pk, chen.pk, wang.pk]


def test_nobody_is_put_on_a_list_twice() -> None:
    lin = make_lease().tenants.get()
    one = made("甲", lin)
    again = lists.paste(one.pk, lin.phone, by=None, now=NOW)
    assert (again.added, again.already, again.change) == ([], [lin.pk], None)
    assert Listed.objects.count() == 1


def test_a_merged_person_is_on_it_whichever_row_was_named_and_comes_off_whole() -> None:
    person = make_lease().tenants.get()
    other = make_tenant()
    one = made("甲", person, other)
    other.merged_into = person
    other.save()
    assert lists.members(one) == selected(one) == [person.pk]
    assert lists.paste(one.pk, other.phone, by=None, now=NOW).already == [person.pk]
    change = lists.take(one.pk, [person.pk], by=None, now=NOW)
    assert change
    assert (change.people, lists.members(one)) == (1, [])


def test_who_does_not_live_here_any_more_stays_on_it_and_no_rule_selects_them() -> None:
    gone = make_lease(last_day=TODAY - timedelta(days=1)).tenants.get()
    one = made("甲", gone)
    assert (lists.members(one), selected(one)) == ([gone.pk], [])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (" \n,，;\n", "请先粘贴手机号或合同编号，每行一个。"),
        ("x\n" * 5001, "一次最多 5000 个，这次没有加入任何人。"),
    ],
)
def test_a_paste_of_nothing_or_of_too_much_changes_nothing(text: str, fault: str) -> None:
    one = made()
    with pytest.raises(NotDone, match=fault):
        lists.paste(one.pk, text, by=None, now=NOW)
    assert Listed.objects.count() == 0


# --- Undo and history -----------------------------------------------------------------------------------------


def test_every_change_can_be_undone_and_what_was_done_since_stays() -> None:
    lin, chen = (make_lease().tenants.get() for _ in range(2))
    one = made("甲")
    put = lists.paste(one.pk, f"{lin.phone}\n{chen.phone}", by=None, now=NOW).change
    taken = lists.take(one.pk, [lin.pk], by=None, now=NOW)
    assert put
    assert taken

    lists.undo(one.pk, put.pk, by=None, now=NOW)
    assert selected(one) == []
    lists.undo(one.pk, taken.pk, by=None, now=NOW)
    assert selected(one) == [lin.pk]
    with pytest.raises(NotDone, match="这一步已经撤销过了。"):
        lists.undo(one.pk, taken.pk, by=None, now=NOW)

    renamed = lists.rename(one.pk, "乙", by=None, now=NOW) and lists.history(one)[0]
    lists.undo(one.pk, renamed.pk, by=None, now=NOW)
    one.refresh_from_db()
    assert one.name == "甲"

    removed = lists.remove(one.pk, by=None, now=NOW)
    with pytest.raises(NotDone, match="名单已移除，请先恢复。"):
        lists.paste(one.pk, chen.phone, by=None, now=NOW)
    lists.undo(one.pk, removed.pk, by=None, now=NOW)
    assert list(lists.live()) == [one]
    assert selected(one) == [lin.pk]
    kinds = [change.kind for change in lists.history(one)]
    assert kinds == ["restored", "removed", "renamed", "renamed", "added", "taken", "taken", "added", "made"]


def test_a_name_that_was_taken_in_the_meantime_is_not_given_back() -> None:
    one = made("甲")
    removed = lists.remove(one.pk, by=None, now=NOW)
    made("甲")
    with pytest.raises(NotDone, match="已经有名为“甲”的名单。"):
        lists.undo(one.pk, removed.pk, by=None, now=NOW)


def test_a_list_that_a_rule_asks_for_is_not_removed() -> None:
    lin = make_lease().tenants.get()
    one = made("甲", lin)
    segment("贵宾", {"all": [{"tag": "social"}, {"not": {"list": one.code}}]})
    with pytest.raises(NotDone, match="不能移除：“贵宾”正在使用这份名单。"):
        lists.remove(one.pk, by=None, now=NOW)
    assert list(lists.live()) == [one]


def test_the_database_keeps_who_did_what() -> None:
    made("甲", make_tenant())
    for statement in (
        "UPDATE campaigns_listchange SET people = 9",
        "DELETE FROM campaigns_listchange",
        "DELETE FROM campaigns_listed",
        "UPDATE campaigns_listed SET tenant_id = tenant_id + 1",
    ):
        with pytest.raises(DatabaseError, match=r"only ever added|only taken off"), transaction.atomic():
            connection.cursor().execute(statement)


# --- Rules ----------------------------------------------------------------------------------------------------


def test_a_rule_asks_for_a_list_by_name_and_says_who_put_somebody_on_it() -> None:
    lin, chen = (make_lease().tenants.get() for _ in range(2))
    one = made("老住户", lin)
    rule = {"not": {"list": one.code}}
    assert segments.sentences(rule) == {"zh": "并非（在名单“老住户”中）", "en": "not (on the list “老住户”)"}
    assert segments.members(rule, today=TODAY) == [chen.pk]
    assert segments.explain({"list": one.code}, lin.pk, today=TODAY)["value"]["by"] is None
    missing = segments.explain({"list": one.code}, chen.pk, today=TODAY)
    assert (missing["value"], segments.nearest(missing)) == (None, ["在名单“老住户”中"])


# --- Pages ----------------------------------------------------------------------------------------------------


def test_a_list_is_made_pasted_into_and_undone_on_its_pages() -> None:
    lin = resident("林晓", "A-0101")
    hq = client_of("hq")
    assert f'href="{ALL}"' in get(hq, "/admin/segment/")
    assert "还没有名单。" in get(hq, ALL)
    new = hq.post(ALL, {"name": "老住户"})
    one = NameList.objects.get()
    address = f"{ALL}{one.pk}/"
    assert new["Location"] == address

    html = text_of(hq.post(address, {"do": "paste", "text": f"{lin.phone}\n13800000099\nHT-0"}))
    assert "新加入 1 人，原已在名单中 0 人。" in html
    unknown = re.search(r'<ol class="names__unknown">(.*?)</ol>', html)
    assert unknown
    assert plain(unknown[1]) == (
        "第 2 行“13800000099”：没有租客使用这个手机号 第 3 行“HT-0”：没有这个编号的合同，也不是手机号"
    )
    assert re.search(r"<textarea[^>]*>13800000099 HT-0</textarea>", html)
    assert "老住户：1 人" in html
    assert cells(html)[0][:3] == ["林晓", f"{lin.phone[:3]}****{lin.phone[-4:]}", "在住或即将入住"]

    guests = segment("贵宾", {"list": one.code})
    assert cells(get(hq, ALL)) == [["老住户", "1", "1", "贵宾"]]
    why = get(hq, f"/admin/segment/{guests.pk}/why/{lin.pk}/")
    assert "由 hq-None 于 2025-12-01 10:00 加入" in why

    assert "已移出名单，可在下方撤销。" in follow(hq, address, f"take {lin.pk}")
    assert lists.members(one) == []
    change = ListChange.objects.get(kind="taken")
    assert "已撤销。" in follow(hq, address, f"undo {change.pk}")
    assert lists.members(one) == [lin.pk]
    assert "不能移除：“贵宾”正在使用这份名单。" in text_of(hq.post(address, {"do": "remove"}))
    assert "已改名为“邻里”。" in follow(hq, address, "rename", name=" 邻里 ")


def follow(client: Client, address: str, do: str, **more: Any) -> str:
    return text_of(client.post(address, {"do": do, **more}, follow=True))


def test_a_removed_list_is_restored_from_its_page() -> None:
    one = made("旧名单")
    hq = client_of("hq")
    html = follow(hq, f"{ALL}{one.pk}/", "remove")
    assert "“旧名单”已移除，可从下方恢复。" in html
    assert f'href="{ALL}{one.pk}/"' in html
    change = ListChange.objects.get(kind="removed")
    assert "已于 2025-12-01 10:00 移除" in get(hq, f"{ALL}{one.pk}/")
    follow(hq, f"{ALL}{one.pk}/", f"undo {change.pk}")
    assert [row[0] for row in cells(get(hq, ALL))] == ["旧名单"]


def test_what_is_wrong_is_said_and_what_was_typed_stays() -> None:
    made("甲")
    one = made("乙")
    hq = client_of("hq")
    for address, form, fault in (
        (ALL, {"name": "甲"}, "已经有名为“甲”的名单。"),
        (ALL, {"name": " "}, "请填写名单名称。"),
        (f"{ALL}{one.pk}/", {"do": "rename", "name": "甲"}, "已经有名为“甲”的名单。"),
    ):
        response = hq.post(address, form)
        assert (response.status_code, fault in text_of(response)) == (422, True)
        assert f'value="{form["name"]}"' in response.content.decode()
    for do in ("", "x", "take x", "undo 999", "undo " + "9" * 30):
        assert hq.post(f"{ALL}{one.pk}/", {"do": do}).status_code == 400, do
    assert hq.get(f"{ALL}999999/").status_code == 404


def test_only_the_head_office_changes_lists_and_others_see_their_buildings_people() -> None:
    lin, chen = resident("林晓", "A-0101"), resident("陈雨", "B-0101", "B")
    one = made("甲", lin, chen)
    manager = client_of("manager", make_building("A"))
    html = get(manager, f"{ALL}{one.pk}/")
    assert "甲：1 人" in html
    assert "陈雨" not in html
    assert "加入名单" not in html
    assert cells(get(manager, ALL)) == [["甲", "1", "1", "没有规则"]]
    for address, form in ((ALL, {"name": "乙"}), (f"{ALL}{one.pk}/", {"do": "remove"})):
        assert manager.post(address, form).status_code == 403
    assert client_of("technician").get(ALL).status_code == 403
    assert lists.members(one) == [lin.pk, chen.pk]
