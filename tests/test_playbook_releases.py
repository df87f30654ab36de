"""Releasing a playbook over HTTP: how many it reaches, the second person, and every way of saying no."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client

from campaigns import drafts, playbooks, shelf, shipping
from campaigns.models import Enrolment, ListChange, Listed, NameList, PlaybookVersion, Release
from tenants import clock
from tenants.models import Membership, Tenant, User
from tests.book_forms import Visit
from tests.makers import (
    BEFORE,
    NOW,
    TODAY,
    make_building,
    make_lease,
    make_playbook,
    make_tenant,
    make_unit,
    make_user,
)
from tests.test_playbook_drafts import save
from tests.test_segment_pages import cells, get

pytestmark = pytest.mark.django_db

LIST = "/admin/playbook/"


@pytest.fixture(autouse=True)
def _today(settings: Any) -> None:
    clock.set_to(NOW)
    settings.MASS_START = 3


def person(name: str, role: str = "hq") -> Client:
    user = User.objects.filter(username=name).first() or make_user(name)
    Membership.objects.get_or_create(user=user, role=role, first_day=TODAY)
    client = Client()
    client.force_login(user)
    return client


def leases(n: int, building: str = "A") -> None:
    for k in range(n):
        make_lease(
            make_tenant(f"{building}{k}"),
            make_unit(f"{building}-{k:04}", make_building(building)),
            last_day=TODAY + timedelta(days=25),
        )


def written() -> PlaybookVersion:
    book = shelf.create("新剧本", segment=None, lead_days=60, starts_on={}, by=None, now=NOW)
    save(book)
    return PlaybookVersion.objects.get(playbook=book)


def address(version: PlaybookVersion) -> str:
    return f"{LIST}{version.playbook_id}/release/{version.number}/"


def releases() -> list[tuple[Any, ...]]:
    rows = Release.objects.order_by("pk")
    return list(rows.values_list("percent", "rule", "reach", "state", "asked_by__username", "decided_by__username"))


def enrolled() -> list[str]:
    playbooks.enrol(today=TODAY, now=NOW)
    return sorted(Enrolment.objects.values_list("tenant__name", flat=True))


# --- Asking --------------------------------------------------------------------------------------------------


def test_a_small_release_stands_at_once_and_takes_the_leases_it_showed() -> None:
    leases(2, "A")
    leases(4, "B")
    version = written()
    visit = Visit(person("lan"), address(version))
    assert visit.form("save")["offers"]["whom"] == {
        "everybody": "剧本的所有租客",
        "buildings": "指定楼栋",
        "rule": "符合规则的租客",
    }
    visit.press("look", percent="100")
    assert visit.one(r'id="reach">(.*?)</p>') == "6 份租约，30 天内会新增加入"
    assert visit.one(r'id="waits">(.*?)</p>') == "达到 3 份租约，须由总部另一人批准。"
    visit.press("look", whom="buildings", buildings=["A"])
    assert visit.one(r'id="reach">(.*?)</p>') == "2 份租约，30 天内会新增加入"
    assert "不到 3 份，提交后立即发布。" in visit.html
    assert PlaybookVersion.objects.get().is_draft
    visit.press("save", why="先在一栋楼试")
    assert visit.address == f"{LIST}{version.playbook_id}/"
    assert releases() == [
        (100, {"lease": "building", "op": "in", "value": ["A"]}, 2, "standing", "lan", None),
    ]
    assert not PlaybookVersion.objects.get().is_draft
    assert enrolled() == ["A0", "A1"]


def test_a_release_to_those_whom_a_rule_selects() -> None:
    leases(2, "A")
    leases(1, "B")
    version = written()
    visit = Visit(person("lan"), address(version))
    visit.press("look", percent="100", whom="rule")
    assert visit.faults == ["规则：“同时符合以下各项”需要至少含一个条件的列表。"]
    visit.press("add r condition")
    visit.press("look", r__0__kind="lease")
    visit.press("look", r__0__field="building")
    visit.press("look", r__0__value="B")
    assert visit.one(r'id="reach">(.*?)</p>') == "1 份租约，30 天内会新增加入"
    visit.press("save")
    assert releases()[0][1] == {"lease": "building", "op": "=", "value": "B"}
    assert enrolled() == ["B0"]


def test_a_release_to_those_on_a_list() -> None:
    leases(3)
    version = written()
    lan = person("lan")
    assert "list" not in Visit(lan, address(version)).form("save")["offers"]["whom"]
    chosen = NameList.objects.create(code="pilot", name="试点")
    added = ListChange.objects.create(list=chosen, kind="added", people=1, at=NOW)
    Listed.objects.create(list=chosen, tenant=Tenant.objects.get(name="A1"), added=added)
    visit = Visit(lan, address(version))
    visit.press("look", percent="100", whom="list")
    visit.press("save", 422, list="")
    assert visit.refused == "请选择一份名单。"
    visit.press("look", list=chosen.code)
    assert visit.one(r'id="reach">(.*?)</p>') == "1 份租约，30 天内会新增加入"
    visit.press("save")
    assert releases()[0][1] == {"list": chosen.code}
    assert enrolled() == ["A1"]


def test_a_mass_start_waits_for_a_second_person_who_is_told_of_it() -> None:
    leases(3)
    version = written()
    lan, mei = person("lan"), person("mei")
    manager = person("wang", "manager")
    visit = Visit(lan, address(version))
    visit.press("save", percent="100", why="整批开始")
    release = Release.objects.get()
    assert visit.address == f"/admin/playbook/release/{release.pk}/"
    assert releases() == [(100, None, 3, "waiting", "lan", None)]
    assert enrolled() == []
    for page in ("/admin/", LIST):
        assert "lan 申请发布新剧本版本 1（所有租客，3 份租约），请批准或驳回" in get(mei, page)
        assert "您申请发布的新剧本版本 1（所有租客，3 份租约）等待第二人批准" in get(lan, page)
        assert "releases-waiting" not in get(manager, page)
    assert "版本 1 的发布等待第二人批准" in get(mei, f"{LIST}{version.playbook_id}/")
    visit = Visit(mei, f"/admin/playbook/release/{release.pk}/")
    assert visit.answer == "新剧本，版本 1：所有租客"
    assert "3 份租约（申请时）；2025-12-01 为 3 份" in visit.one(r'<p class="big">(.*?)</p>')
    assert visit.steps == [("到期前 30 天", "续租方案在这里。")]
    visit.press("approve", why="可以")
    assert releases() == [(100, None, 3, "standing", "lan", "mei")]
    assert "已批准。租约随下一次日跑加入。" in visit.html
    assert enrolled() == ["A0", "A1", "A2"]
    assert "releases-waiting" not in get(mei, "/admin/")


def test_the_same_person_never_decides_twice() -> None:
    leases(3)
    version = written()
    lan = person("lan")
    Visit(lan, address(version)).press("save", percent="100")
    release = Release.objects.get()
    page = f"/admin/playbook/release/{release.pk}/"
    visit = Visit(lan, page)
    assert [form["buttons"] for form in visit.forms if form["buttons"]] == [["withdraw"]]
    before = Release.objects.values().get()
    for do in ("approve", "refuse"):
        response = lan.post(page, {"do": do, "why": "x"})
        assert response.status_code == 422
        assert "申请人不能批准自己的发布，须由另一人批准。" in response.content.decode()
        assert Release.objects.values().get() == before
    for state in ("standing", "refused"):
        with pytest.raises(DatabaseError), transaction.atomic():
            Release.objects.filter(pk=release.pk).update(state=state, decided_by=release.asked_by, decided_at=NOW)
    assert Release.objects.values().get() == before


def test_a_release_is_refused_with_a_reason_or_withdrawn_and_then_decided() -> None:
    leases(3)
    version = written()
    lan, mei = person("lan"), person("mei")
    Visit(lan, address(version)).press("save", percent="100")
    page = f"/admin/playbook/release/{Release.objects.get().pk}/"
    visit = Visit(mei, page)
    visit.press("refuse", 422)
    assert visit.refused == "请写明驳回原因。"
    response = mei.post(page, {"do": "withdraw"})
    assert "只有申请人可以撤回，其他人可以驳回。" in response.content.decode()
    visit = Visit(mei, page)
    visit.press("refuse", why="文案再改改")
    assert releases() == [(100, None, 3, "refused", "lan", "mei")]
    response = mei.post(page, {"do": "approve"})
    assert response.status_code == 422
    assert "这次发布已不在等待审批。" in response.content.decode()
    assert "文案再改改" in get(lan, f"{LIST}{version.playbook_id}/versions/")
    Visit(lan, address(version)).press("save", percent="100")
    again = Release.objects.get(state="waiting")
    visit = Visit(lan, address(version))
    visit.press("save", 422, percent="50")
    assert visit.refused == "这个版本已有一次发布在等待第二人批准。"
    Visit(lan, f"/admin/playbook/release/{again.pk}/").press("withdraw")
    assert releases()[-1] == (100, None, 3, "withdrawn", "lan", "lan")
    assert mei.post(f"/admin/playbook/release/{again.pk}/", {"do": "approve"}).status_code == 422
    assert enrolled() == []


def test_only_the_head_office_asks_and_approves() -> None:
    leases(3)
    version = written()
    manager = person("wang", "manager")
    assert manager.post(address(version), {"do": "save", "percent": "100"}).status_code == 403
    Visit(person("lan"), address(version)).press("save", percent="100")
    page = f"/admin/playbook/release/{Release.objects.get().pk}/"
    assert manager.get(page).status_code == 403
    assert manager.post(page, {"do": "approve"}).status_code == 403
    assert Client().post(page, {"do": "approve"}).status_code == 302
    assert releases() == [(100, None, 3, "waiting", "lan", None)]
    assert person("mei").post(page, {"do": "burn"}).status_code == 400


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"percent": "101"}, "比例为 0 到 100 的整数。"),
        ({"percent": "一半"}, "比例为 0 到 100 的整数。"),
        ({"percent": "50", "whom": "buildings"}, "请至少选择一栋楼。"),
    ],
)
def test_a_release_that_is_wrong_changes_nothing(typed: dict[str, str], said: str) -> None:
    leases(1)
    version = written()
    visit = Visit(person("lan"), address(version))
    visit.press("save", 422, **typed)
    assert visit.refused == said
    assert visit.faults == [said]
    assert visit.form("save")["fields"]["percent"] == [typed["percent"]]
    assert releases() == []
    assert PlaybookVersion.objects.get().is_draft


def test_a_draft_without_a_step_or_with_a_wave_of_the_past_is_not_released() -> None:
    book = shelf.create("空", segment=None, lead_days=60, starts_on={}, by=None, now=NOW)
    version = PlaybookVersion.objects.get(playbook=book)
    visit = Visit(person("lan"), address(version))
    visit.press("save", 422)
    assert visit.refused == "还没有步骤。"
    save(book, anchor="wave", on="2025-12-01")
    clock.set_to(NOW + timedelta(days=1))
    visit = Visit(person("lan"), address(version))
    assert "<li>步骤 1：波次日期 2025-12-01 已经过去。</li>" in visit.html
    visit.press("save", 422)
    assert visit.refused == "步骤 1：波次日期 2025-12-01 已经过去。"
    assert releases() == []


def test_a_wave_that_was_released_may_stay_in_the_next_version() -> None:
    version = make_playbook(
        "x", {"code": "w", "anchor": "wave", "on": TODAY - timedelta(days=3), "text": "波次"}, lead_days=60
    )
    draft = drafts.begin(version.playbook_id, like=None, by=None, now=NOW)
    assert drafts.faults(draft, today=TODAY) == []


# --- Wider, step by step -------------------------------------------------------------------------------------


def test_a_release_is_widened_step_by_step_and_keeps_those_who_were_in(settings: Any) -> None:
    settings.MASS_START = 1000
    leases(120)  # of so many a tenth is neither nobody nor half, whatever numbers they have
    version = written()
    lan = person("lan")
    Visit(lan, address(version)).press("save", percent="10")
    few = enrolled()
    assert 0 < len(few) < 60
    visit = Visit(lan, address(version))
    assert visit.form("save")["fields"]["percent"] == ["10"]
    visit.press("save", 422)
    assert visit.refused == "目前就是这样发布的。"
    visit.press("look", percent="50")
    more = int(visit.one(r'id="reach">(\d+)'))
    visit.press("save")
    many = enrolled()
    assert set(few) < set(many)
    assert len(many) == len(few) + more
    visit = Visit(lan, address(version))
    visit.press("save", percent="0", why="先停一停")
    assert cells(get(lan, LIST))[0][2] == "不再接收新租约"
    assert enrolled() == many
    assert [row[0] for row in releases()] == [10, 50, 0]


def test_what_becomes_of_those_under_way_is_said_and_counted() -> None:
    shipping.ship(now=BEFORE)
    leases(4)
    playbooks.enrol(today=TODAY, now=NOW)
    first = PlaybookVersion.objects.get(playbook__code="general")
    lan = person("lan")
    visit = Visit(lan, f"{LIST}{first.playbook_id}/")
    visit.press("begin")
    visit.press("save", under_way="move")
    second = PlaybookVersion.objects.get(playbook=first.playbook, number=2)
    visit.go(address(second))
    assert "进行中且属于本次范围的租客，随下一次日跑转入这个版本。" in visit.html
    visit.press("look", percent="100")
    assert visit.one(r'id="reach">(.*?)</p>') == "4 份租约，30 天内会新增加入"
    visit.press("save")
    assert Release.objects.latest("pk").state == "waiting"
    assert set(Enrolment.objects.values_list("version__number", flat=True)) == {1}
    Visit(person("mei"), visit.address).press("approve")
    playbooks.enrol(today=TODAY, now=NOW)
    assert set(Enrolment.objects.values_list("version__number", flat=True)) == {2}
