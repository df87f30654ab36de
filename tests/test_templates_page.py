"""The pages of templates: listed, previewed on a tenant, saved as versions, refused in words, tested on oneself."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from campaigns import drafts, shipping
from campaigns.models import Playbook, PlaybookVersion, StepVersion
from connectors.models import PhoneMessage
from renewal import bookwords
from tenants import clock, templating
from tenants.models import Message, Staff, Template, TemplateVersion, User
from tenants.outbox import drain
from tests.book_forms import Visit
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user, make_version
from tests.test_segment_pages import client_of, get

pytestmark = pytest.mark.django_db

ALL = "/admin/templates/"
FIELDS = {
    "field.name": ["last_day", ""],
    "field.value": ["last_day", "last_day"],
    "field.kind": ["text", "text"],
    "field.most": ["12", ""],
    "field.fallback": ["近期", ""],
}
OFFER = "您的租约{last_day}到期，凭手机号在 {door} 查看，拒收请回复R"


@pytest.fixture(autouse=True)
def _today() -> None:
    clock.set_to(NOW)
    templating.ship(now=NOW)


def address(channel: str = "sms", code: str = "renewal-letter") -> str:
    return f"{ALL}{Template.objects.get(channel=channel, code=code).pk}/"


def typed(do: str, **more: Any) -> dict[str, Any]:
    return {"do": do, "seen": "1", "provider_id": "SMS_654321", "text": OFFER, "note": "", **FIELDS, **more}


def resident() -> None:
    unit = make_unit(building=make_building())
    make_lease(make_tenant("林晓"), unit, last_day=TODAY + timedelta(days=40))


def test_the_list_says_what_is_sent_and_what_waits() -> None:
    client = client_of("hq")
    assert "28 个模板尚未获批" in get(client, ALL)
    assert client.post(address(), typed("save")).status_code == 302
    said = get(client, ALL)
    assert "27 个模板尚未获批" in said
    assert "第 2 版" in said
    assert "27 templates have no approval yet" in get(client, ALL, "en")


def test_what_a_field_may_hold_is_said_in_words() -> None:
    page = get(client_of("hq"), address())
    for code, word in (("text", "文字"), ("number", "数字"), ("date", "日期"), ("code", "验证码")):
        assert re.search(rf'<option value="{code}" (selected)?>{word}</option>', page)


def test_a_version_is_added_and_the_one_before_stays() -> None:
    client = client_of("hq")
    client.post(address(), typed("save", note="已获批"))
    rows = TemplateVersion.objects.filter(template__code="renewal-letter").order_by("number")
    assert list(rows.values_list("number", "provider_id", "note")) == [(1, "", ""), (2, "SMS_654321", "已获批")]
    assert rows[1].fields == [{"name": "last_day", "value": "last_day", "kind": "text", "most": 12, "fallback": "近期"}]
    assert rows[0].text in get(client, f"{address()}?like=1")


def test_it_reads_as_a_tenant_would_read_it() -> None:
    resident()
    client = client_of("hq")
    last_day = TODAY + timedelta(days=40)
    answer = client.post(address(), typed("look", **{"as": "林"})).content.decode()
    assert f"您的租约{last_day.month} 月 {last_day.day} 日到期" in answer
    assert "您的租约近期到期" in answer  # where nothing is known
    assert "您的租约${last_day}到期，凭手机号在 http://127.0.0.1:8000/r/ 查看" in answer  # for the provider
    assert "没有这位在住的租客" in client.post(address(), typed("look", **{"as": "无此人"})).content.decode()
    assert TemplateVersion.objects.filter(template__code="renewal-letter").count() == 1


def test_what_is_wrong_is_said_and_what_was_typed_is_kept() -> None:
    answer = client_of("hq").post(address(), typed("save", text="续租方案已备好。"))
    said = answer.content.decode()
    assert answer.status_code == 422
    assert "内容里没有用到字段 last_day。" in said
    assert "续租方案已备好。" in said
    assert TemplateVersion.objects.filter(template__code="renewal-letter").count() == 1


def test_who_saves_what_was_seen_too_long_ago_is_told() -> None:
    client = client_of("hq")
    client.post(address(), typed("save"))
    answer = client.post(address(), typed("save"))
    assert (answer.status_code, "其间已有他人保存了这个模板" in answer.content.decode()) == (422, True)


def test_a_new_template_begins_at_one() -> None:
    head = {"channel": "phone", "klass": "service", "code": "hello", "name": "问候", "provider_id": ""}
    answer = client_of("hq").post(f"{ALL}new/", typed("save", **head, text="您好，{last_day}见。"))
    made = Template.objects.get(code="hello")
    assert answer["Location"] == f"{ALL}{made.pk}/"
    assert (made.channel, made.klass, made.owner) == ("phone", "service", User.objects.get(username="hq-None"))


@pytest.mark.parametrize(("role", "seen", "saved"), [("hq", 200, 302), ("care", 200, 403), ("technician", 403, 403)])
def test_who_sees_and_who_changes(role: str, seen: int, saved: int) -> None:
    client: Client = client_of(role)
    assert client.get(ALL).status_code == seen
    assert client.get(address()).status_code == seen
    assert client.post(address(), typed("save")).status_code == saved
    assert client.get(f"{ALL}new/").status_code == (200 if role == "hq" else 403)


def test_a_step_chooses_its_templates_where_it_is_written() -> None:
    shipping.ship(now=NOW)
    playbook = Playbook.objects.get(code="general")
    draft = drafts.begin(playbook.pk, like=None, by=None, now=NOW)
    visit = Visit(client_of("hq"), f"/admin/playbook/{playbook.pk}/draft/general-30/")
    assert visit.form("save")["fields"]["template.sms"] == ["renewal-terms"]
    assert set(visit.form("save")["offers"]["template.sms"]) == {
        "", "renewal-letter", "renewal-terms", "renewal-choices",
    }  # fmt: skip
    visit.press("save", template__sms="renewal-choices")
    said = StepVersion.objects.get(version=draft, step__code="general-30")
    assert said.templates == {"sms": "renewal-choices"}
    assert "sms renewal-terms → sms renewal-choices" in " ".join(
        bookwords.changes(PlaybookVersion.objects.get(playbook=playbook, number=1), draft)
    )


# --- A test to oneself -------------------------------------------------------------------------------------


def test_a_test_goes_through_the_outbox_to_ones_own_number_once() -> None:
    resident()
    client = client_of("hq")
    version = templating.create(
        "phone", "short", klass="marketing", name="短", provider_id="", text="租约{last_day}到期，信在这里。",
        fields=[{"name": "last_day", "value": "last_day", "fallback": "近期"}], by=None, now=NOW,
    )  # fmt: skip
    where = address("phone", "short")
    refused = client.post(where, {"do": "test", "nonce": "a"})
    assert (refused.status_code, "系统里没有您的手机号" in refused.content.decode()) == (422, True)
    user = User.objects.get(username="hq-None")
    Staff.objects.create(user=user, name="总部", phone="13700000001")
    for _twice in range(2):
        assert client.post(where, {"do": "test", "nonce": "a"}).status_code == 302
    message = Message.objects.get()
    assert (message.key, message.klass, message.user, message.tenant) == (
        f"test:{version.pk}:{user.pk}:a", "staff", user, None,
    )  # fmt: skip
    drain(now=clock.now())
    last_day = TODAY + timedelta(days=40)
    arrived = PhoneMessage.objects.get()
    assert arrived.address == "13700000001"
    assert arrived.text == f"（测试）租约{last_day.month} 月 {last_day.day} 日到期，信在这里。"


@pytest.mark.parametrize(
    ("channels", "channel", "code", "words"),
    [
        (["phone"], "sms", "renewal-letter", "本系统没有启用渠道 sms。"),
        (["sms"], "sms", "renewal-letter", "服务商还没有批准这个版本。"),
        (["wechat"], "wechat", "care-repair", "渠道 wechat 只能发给租客。"),
    ],
)
def test_a_test_that_cannot_go_says_why(
    settings: Any, channels: list[str], channel: str, code: str, words: str
) -> None:
    settings.CHANNELS = channels
    client = client_of("hq")
    answer = client.post(address(channel, code), {"do": "test", "nonce": "a"})
    assert (answer.status_code, words in answer.content.decode()) == (422, True)
    assert not Message.objects.exists()


def test_a_test_by_an_approved_template_carries_its_form(settings: Any) -> None:
    settings.CHANNELS = ["sms"]
    client = client_of("hq")
    client.post(address(), typed("save"))
    Staff.objects.create(user=User.objects.get(username="hq-None"), name="总部", phone="13700000001")
    assert client.post(address(), {"do": "test", "nonce": "a"}).status_code == 302
    message = Message.objects.get()
    assert (message.channel, message.forms) == (
        "sms", {"sms": {"template": "SMS_654321", "values": {"last_day": "12 月 26 日"}}},
    )  # fmt: skip


# --- The list, and the template itself ---------------------------------------------------------------------


def names(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/admin/templates/\d+/">([^<]*)</a>', page)


def test_the_list_is_searched_filtered_and_paged() -> None:
    client = client_of("hq")
    assert names(get(client, f"{ALL}?q=差评+WECHAT")) == []
    assert names(get(client, f"{ALL}?q=care-rating&channel=sms")) == ["差评之后"]
    assert names(get(client, f"{ALL}?q=各租期的月租")) == ["租期与月租"]  # a word of the text
    assert "符合的模板：8 个" in get(client, f"{ALL}?channel=wechat")
    assert "没有符合的模板。" in get(client, f"{ALL}?channel=phone")
    client.post(address(), typed("save"))
    assert names(get(client, f"{ALL}?state=sent")) == ["您的居住信"]
    assert len(names(get(client, f"{ALL}?state=waiting"))) == 27
    for n in range(50):
        templating.create(
            "phone", f"p-{n}", klass="service", name=f"问候{n:02}", provider_id="", text="您好。", fields=[], by=None,
            now=NOW,
        )  # fmt: skip
    first = get(client, ALL)
    assert (len(names(first)), "1 / 2" in first, "?page=2" in first) == (50, True, True)
    assert len(names(get(client, f"{ALL}?page=2"))) == 28
    assert "?channel=phone&amp;page=2" not in get(client, f"{ALL}?channel=phone")  # fifty fit on one
    assert len(names(get(client, f"{ALL}?state=unnamed&channel=phone"))) == 50


def test_a_template_is_renamed_and_given_to_somebody() -> None:
    visit = Visit(client_of("hq"), address())
    code = Template.objects.get(pk=visit.address.split("/")[-2]).code
    visit.press("rename", name="  居住信   第一封 ")
    assert visit.answer == "居住信 第一封"
    assert Template.objects.get(code=code, channel="sms").name == "居住信 第一封"
    visit.press("rename", status=422, name=" ")
    assert visit.refused == "名称为 1 到 80 个字。"
    other = make_user("wenan")
    make_user("gone", is_active=False)
    visit.go(address())
    assert "gone" not in visit.form("give")["offers"]["owner"].values()
    visit.press("give", owner=str(other.pk))
    assert Template.objects.get(code=code, channel="sms").owner == other
    assert "负责人 wenan" in visit.html


def test_a_template_is_retired_and_brought_back() -> None:
    visit = Visit(client_of("hq"), address())
    reader = client_of("care")
    visit.press("retire")
    assert "已停用：新的步骤不再能选它。可以恢复。" in visit.html
    assert "不再能选它，恢复之前也不能修改" in visit.html
    assert "您的居住信" not in names(get(reader, ALL))
    assert names(get(reader, f"{ALL}?state=retired")) == ["您的居住信"]
    answer = visit.client.post(address(), typed("save"))
    assert (answer.status_code, "要修改，请先恢复" in answer.content.decode()) == (422, True)
    assert TemplateVersion.objects.filter(template__code="renewal-letter").count() == 1
    visit.press("back")
    assert "已恢复：步骤又可以选它了。" in visit.html
    assert "您的居住信" in names(get(reader, ALL))


def test_where_a_released_playbook_speaks_by_it_the_page_says_so_and_refuses() -> None:
    shipping.ship(now=NOW)
    visit = Visit(client_of("hq"), address())
    assert "不能停用：已发布的剧本仍在使用它（" in visit.html
    assert all("retire" not in form["buttons"] for form in visit.forms)
    answer = visit.client.post(address(), {"do": "retire"}, headers={"accept-language": "zh-hans"})
    assert answer.status_code == 422
    assert "已发布的剧本仍在使用这个模板：" in answer.content.decode()
    assert not Template.objects.exclude(retired_at=None).exists()


@pytest.mark.parametrize("do", ["rename", "give", "retire", "back"])
def test_only_the_head_office_does_something_to_a_template(do: str) -> None:
    assert client_of("manager").post(address(), {"do": do, "name": "x"}).status_code == 403
    assert Template.objects.get(channel="sms", code="renewal-letter").name == "您的居住信"


def test_one_click_begins_a_draft_with_the_shipped_templates() -> None:
    shipping.ship(now=NOW)
    playbook = Playbook.objects.get(code="general")
    visit = Visit(client_of("hq"), f"/admin/playbook/{playbook.pk}/")
    assert all("begin-templates" not in form["buttons"] for form in visit.forms)
    make_version("general", {"general-30": {"templates": {}}})
    visit.go(f"/admin/playbook/{playbook.pk}/")
    assert "有 1 个步骤没有选用产品自带的模板" in visit.html
    visit.press("begin-templates")
    assert visit.address == f"/admin/playbook/{playbook.pk}/draft/"
    draft = PlaybookVersion.objects.get(playbook=playbook, is_draft=True)
    said = dict(StepVersion.objects.filter(version=draft).values_list("step__code", "templates"))
    assert said["general-30"] == {"sms": "renewal-terms"}
    visit.go(f"/admin/playbook/{playbook.pk}/")
    assert "没有选用产品自带的模板" not in visit.html
    assert (
        client_of("manager").post(f"/admin/playbook/{playbook.pk}/draft/", {"do": "begin-templates"}).status_code == 403
    )
