"""Templates: refused when they are saved, filled in without half a sentence, and carried by the pushes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import IntegrityError, connection, transaction

from campaigns import pushes, shipped
from campaigns.draftchecks import NotSaved, _templates
from campaigns.models import Push
from connectors.models import PhoneMessage
from tenants import clock, filling, templating
from tenants.filling import Field
from tenants.models import Attempt, Message, Template, TemplateVersion
from tenants.outbox import draining
from tenants.templatechecks import VALUES, BadTemplate, check
from tests.makers import NOW, TODAY, make_user, make_version
from tests.test_pushes import _shipped, hand_over, plan, resident  # noqa: F401

pytestmark = pytest.mark.django_db

LAST_DAY = {"name": "last_day", "value": "last_day", "kind": "text", "most": "12", "fallback": "近期"}
ROOM = {"name": "thing1", "value": "room", "kind": "thing", "most": "20", "fallback": "您的房间"}
OFFER = "您的租约{last_day}到期，凭手机号在 {door} 查看，拒收请回复R"
CARE = "您报修的问题已在{last_day}前处理完。"


def saved(channel: str = "sms", code: str = "one", klass: str = "marketing", **given: Any) -> TemplateVersion:
    facts: dict[str, Any] = {"provider_id": "SMS_123456", "text": OFFER, "fields": [LAST_DAY], "now": NOW, "by": None}
    return templating.create(channel, code, klass=klass, name="一条", **{**facts, **given})


def approve(channel: str, code: str, number: str) -> TemplateVersion:
    before = TemplateVersion.objects.filter(template__channel=channel, template__code=code).latest("number")
    facts = {"text": before.text, "fields": before.fields, "seen": before.number, "by": None, "now": NOW}
    return templating.save(before.template_id, provider_id=number, **facts)


# --- Filling in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "read"),
    [
        ("租约{a}到期。", {"a": "12 月 6 日"}, "租约12 月 6 日到期。"),
        ("租约{a}到期。{b}，可以去看看。", {"a": "近期"}, "租约近期到期。"),
        ("{b}，可以去看看；租约{a}到期。", {"a": "近期"}, "租约近期到期。"),
        ("租约{a}到期；{b}升级了。", {"a": "近期"}, "租约近期到期。"),
        ("{b}升级了。", {"b": "共享厨房"}, "共享厨房升级了。"),
        ("到 {a} 看。", {"a": "{b}", "b": "没有人"}, "到 {b} 看。"),  # what a value holds is no name
    ],
)
def test_a_sentence_without_its_value_goes_whole(text: str, values: dict[str, str], read: str) -> None:
    assert filling.compose(text, values) == read


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("共享厨房升级。", "共享厨房升级"),
        ("  两\n行 ", "两 行"),
        ("{code}1", "code 1"),  # only the whole of it is the outbox's own word
        ("一二三四五六七八九十", "一二三四五六七八九十"),
        ("一二三四五六七八九十一", "备用"),  # longer than the field: its fallback, and no half of a word
        ("", "备用"),
        ("。", "备用"),
    ],
)
def test_a_value_that_does_not_fit_gives_way_to_the_fallback(value: str, said: str) -> None:
    assert filling.said([Field("a", "room", most=10, fallback="备用")], {"room": value}) == {"a": said}


# --- Saving ------------------------------------------------------------------------------------------------


def wrong(channel: str = "sms", klass: str = "marketing", **given: Any) -> tuple[str, str]:
    facts: dict[str, Any] = {"provider_id": "", "text": OFFER, "fields": [LAST_DAY], **given}
    with pytest.raises(BadTemplate) as refused:
        check(channel, klass, **facts)
    return refused.value.place, str(refused.value)


@pytest.mark.parametrize(
    ("given", "place", "fault"),
    [
        ({"text": OFFER.replace("拒收请回复R", "谢谢")}, "text", "含续租方案的短信须以“拒收请回复R”结尾。"),
        ({"text": OFFER.replace("{door}", "https://a.cn/x")}, "text", "短信只指向公共入口：它的网址请写 {door}。"),
        ({"text": "【蓝寓】" + OFFER}, "text", "【】里的签名由服务商加上，这里不要写。"),
        ({"text": OFFER + "{", "klass": "code"}, "fields.0.value", "请说明字段 last_day 由什么填入。"),
        ({"text": ""}, "text", "内容是空的。"),
        ({"text": OFFER.replace("{last_day}", "近期")}, "text", "内容里没有用到字段 last_day。"),
        ({"fields": []}, "text", "内容里写了 last_day，但没有这个字段。"),
        (
            {"fields": [{**LAST_DAY, "fallback": ""}]},
            "fields.0.fallback",
            "字段 last_day 需要备用内容：获批的内容一句都不能少。",
        ),
        ({"fields": [{**LAST_DAY, "most": "36"}]}, "fields.0.most", "字段 last_day 可填 1 到 35 个字。"),
        ({"fields": [{**LAST_DAY, "fallback": "一" * 13}]}, "fields.0.fallback", "last_day 的备用内容超过了 12 个字。"),
        ({"fields": [{**LAST_DAY, "fallback": "b.cn"}]}, "fields.0.fallback", "字段 last_day 里不能有链接。"),
        ({"fields": [{**LAST_DAY, "kind": "thing"}]}, "fields.0.kind", "这个渠道没有字段 last_day 的这种类型。"),
        ({"provider_id": "123"}, "provider_id", "“123”不是这家服务商的模板编号。"),
        ({"channel": "wechat"}, "klass", "渠道 wechat 不发送这一类消息。"),
        ({"channel": "erp"}, "channel", "这个渠道没有模板。"),
    ],
)
def test_what_a_provider_would_refuse_is_not_saved(given: dict[str, Any], place: str, fault: str) -> None:
    assert wrong(**given) == (place, fault)


def test_offers_are_refused_on_a_service_template() -> None:
    text = "您报修的问题已处理完，续租有优惠。"
    assert wrong(klass="service", text=text, fields=[]) == ("text", "服务消息里不谈续租和优惠：“续租”。")
    assert check("sms", "service", provider_id="", text="您报修的问题已处理完。", fields=[])


def test_a_field_of_wechat_has_the_length_of_its_kind() -> None:
    text = "房间：{thing1}"
    long = {**ROOM, "most": "21"}
    assert wrong("wechat", "service", text=text, fields=[long]) == ("fields.0.most", "字段 thing1 可填 1 到 20 个字。")
    found = check("wechat", "service", provider_id="a" * 43, text=text, fields=[{**ROOM, "kind": ""}])[2]
    assert found == [Field("thing1", "room", "thing", 20, "您的房间")]


def test_where_sentences_may_go_one_stays() -> None:
    optional = {**LAST_DAY, "fallback": ""}
    assert wrong("jpush", text="租约{last_day}到期。", fields=[optional])[0] == "text"
    assert check("jpush", "marketing", provider_id="", text="租约{last_day}到期。方案在这里。", fields=[optional])


def test_a_version_is_only_ever_added() -> None:
    version = saved()
    for change in ("UPDATE tenants_templateversion SET text = ''", "DELETE FROM tenants_templateversion"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
    assert TemplateVersion.objects.get(pk=version.pk).text == OFFER


def test_without_the_guard_a_version_could_be_changed() -> None:
    version = saved()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("DROP TRIGGER template_version_stands ON tenants_templateversion")
    TemplateVersion.objects.filter(pk=version.pk).update(text="改了")
    assert TemplateVersion.objects.get(pk=version.pk).text == "改了"


def test_who_saves_over_somebody_elses_version_is_told() -> None:
    version = saved()
    approve("sms", "one", "SMS_777777")
    with pytest.raises(BadTemplate, match="已有他人保存"):
        templating.save(version.template_id, provider_id="", text=OFFER, fields=[LAST_DAY], seen=1, by=None, now=NOW)


def test_an_unapproved_version_waits_and_the_approved_one_before_it_is_sent() -> None:
    version = saved()
    approve("sms", "one", "")
    assert templating.shelf()["sms", "one"] == version
    approve("sms", "one", "SMS_777777")
    assert templating.shelf()["sms", "one"].provider_id == "SMS_777777"


def test_what_is_shipped_can_be_saved_and_is_shipped_once() -> None:
    rows = list(TemplateVersion.objects.values_list("template__channel", "template__code", "number", "provider_id"))
    assert len(rows) == 10
    assert {(number, provider) for _channel, _code, number, provider in rows} == {(1, "")}
    templating.ship(now=NOW)
    assert TemplateVersion.objects.count() == 10


def test_every_shipped_step_names_templates_of_its_class() -> None:
    steps = [step for playbook in shipped.PLAYBOOKS for step in shipped.steps(playbook["code"])]
    assert len(steps) == 26
    for step in steps:
        klass = pushes.class_of(step.get("kind", "ask"))
        assert step["templates"]["sms"]
        for channel, code in step["templates"].items():
            assert templating.unchoosable(channel, code, klass) == ""


def test_a_step_names_no_template_of_another_class() -> None:
    with pytest.raises(NotSaved) as refused:
        _templates({"kind": "ask", "templates": {"sms": "care-repair"}})
    assert (refused.value.place, str(refused.value)) == ("template.sms", "模板“报修久等之后”属于另一类消息。")
    assert _templates({"kind": "care", "templates": {"sms": "care-repair"}}) == {"sms": "care-repair"}


# --- Pushes ------------------------------------------------------------------------------------------------


def pushed() -> tuple[Push, Message]:
    lease = resident(days=30)
    assert plan()["planned"] == 1
    hand_over()
    push = Push.objects.select_related("message").get(lease=lease, state="handed_over")
    assert push.message is not None
    return push, push.message


def test_a_push_carries_the_filled_form_of_an_approved_template(settings: Any) -> None:
    settings.CHANNELS = ["sms", "phone"]
    approve("sms", "renewal-terms", "SMS_300030")
    last_day = TODAY + timedelta(days=30)
    push, message = pushed()
    assert message.forms == {
        "sms": {"template": "SMS_300030", "values": {"last_day": f"{last_day.month} 月 {last_day.day} 日"}}
    }
    assert (message.channel, message.route, message.state) == ("sms", ["phone"], "queued")
    assert "sms" not in push.reason


def test_without_an_approved_template_it_goes_by_the_next_channel_and_says_why(settings: Any) -> None:
    settings.CHANNELS = ["sms", "phone"]
    push, message = pushed()
    assert (message.channel, message.route, message.forms) == ("phone", [], {})
    assert push.reason.endswith("；sms：模板尚未获批")


def test_with_no_channel_left_it_is_suppressed_and_says_why(settings: Any) -> None:
    settings.CHANNELS = ["sms"]
    push, message = pushed()
    assert message.state == "suppressed"
    assert push.reason.endswith("；sms：模板尚未获批")


def test_a_template_for_a_channel_that_takes_our_words_is_what_arrives() -> None:
    saved("phone", "short", provider_id="", text="租约{last_day}到期，信在这里。")
    make_version("general", {"general-30": {"templates": {"phone": "short"}}})
    last_day = TODAY + timedelta(days=30)
    _push, message = pushed()
    draining.drain(now=clock.at(TODAY, 10))
    assert Attempt.objects.get(message=message).outcome == "accepted"
    arrived = PhoneMessage.objects.get(key=message.key)
    assert arrived.text == f"租约{last_day.month} 月 {last_day.day} 日到期，信在这里。"


def test_a_code_goes_by_its_template(settings: Any) -> None:
    assert templating.forms_of_codes() == {}
    settings.CHANNELS = ["sms"]
    assert templating.forms_of_codes() == {}
    approve("sms", "code", "SMS_100001")
    assert templating.forms_of_codes() == {"sms": {"template": "SMS_100001", "values": {"code": "{code}"}}}


def test_a_template_of_another_class_is_not_sent(settings: Any) -> None:
    settings.CHANNELS = ["sms"]
    approve("sms", "care-repair", "SMS_200001")
    values = {name: sample for name, (_label, sample) in VALUES.items()}
    found = templating.fill({"sms": "care-repair"}, values, klass="marketing", standing=templating.shelf())
    assert (found.forms, found.lacking) == ({}, ["sms：模板属于另一类消息"])
    assert templating.fill({"sms": "care-repair"}, values, klass="service", standing=templating.shelf()).forms == {
        "sms": {"template": "SMS_200001", "values": {"room": "3-1204"}}
    }


# --- The check ---------------------------------------------------------------------------------------------


def test_a_channel_without_an_approved_template_is_warned_of(settings: Any) -> None:
    def warned() -> list[str]:
        found = run_checks(tags=["database"], databases=["default"])
        return [each.msg.split()[2] for each in found if each.id == "renewal.W023"]

    assert warned() == []
    settings.CHANNELS = ["phone", "sms", "wechat"]
    assert warned() == ["sms", "wechat"]
    approve("sms", "code", "SMS_100001")
    assert warned() == ["wechat"]


def test_templates_have_an_owner() -> None:
    user = make_user("wenan")
    assert Template.objects.get(pk=saved(by=user).template_id).owner == user
