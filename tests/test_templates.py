"""Templates: refused when they are saved, filled in without half a sentence, and carried by the pushes."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import IntegrityError, connection, transaction

from campaigns import pushes, releases, retiring, shipped, shipping
from campaigns.draftchecks import NotSaved, _templates
from campaigns.models import Enrolment, Playbook, PlaybookVersion, Push, Release, StepVersion
from connectors.models import PhoneMessage
from renewal import bookwords
from tenants import clock, filling, templatechecks, templating
from tenants.filling import Field
from tenants.models import Attempt, Message, Template, TemplateVersion, User
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


WRONG: list[tuple[dict[str, Any], str, str]] = [
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
    ({"fields": [LAST_DAY, LAST_DAY]}, "text", "字段 last_day 出现了两次。"),
    ({"text": OFFER.replace("凭", "{凭")}, "text", "内容里有一个花括号没有写成字段。"),
    (
        {"fields": [{**LAST_DAY, "name": "door"}]},
        "fields.0.name",
        "“door”不能作字段名：只用小写字母、数字和 _，以字母开头。",
    ),
    (
        {"fields": [{**LAST_DAY, "fallback": "近期。"}]},
        "fields.0.fallback",
        "last_day 的备用内容里不能有花括号，末尾也不要加句号。",
    ),
    ({"fields": [{**LAST_DAY, "kind": "number"}]}, "fields.0.fallback", "last_day 的备用内容与它的类型不符。"),
    (
        {
            "channel": "wechat",
            "klass": "service",
            "text": "单号：{character_string1}",
            "fields": [{**ROOM, "name": "character_string1", "fallback": "房间"}],
        },
        "fields.0.fallback",
        "字段 character_string1 只能是字母、数字和符号。",
    ),
    ({"channel": "phone", "provider_id": "SMS_123456"}, "provider_id", "这个渠道没有需要审批的模板：编号请留空。"),
    ({"klass": "code", "text": "您的验证码。", "fields": []}, "text", "内容里没有验证码。"),
    (
        {
            "klass": "code",
            "text": "您的验证码是 {code}。",
            "fields": [{"name": "code", "value": "code", "kind": "code", "fallback": "1234"}],
        },
        "fields.0.fallback",
        "验证码没有备用内容：请留空。",
    ),
    ({"text": "一" * 480 + OFFER}, "text", "填好后内容可能有 539 个字，最多 500 个字。"),
    (
        {"channel": "jpush", "text": "租约{last_day}到期。", "fields": [{**LAST_DAY, "fallback": ""}]},
        "text",
        "缺了数据就一句不剩：至少要有一句不靠数据也成立。",
    ),
    (
        {"klass": "service", "text": "您报修的问题已处理完，续租有优惠。", "fields": []},
        "text",
        "服务消息里不谈续租和优惠：“续租”。",
    ),
]


@pytest.mark.parametrize(("given", "place", "fault"), WRONG)
def test_what_a_provider_would_refuse_is_not_saved(given: dict[str, Any], place: str, fault: str) -> None:
    assert wrong(**given) == (place, fault)


class _Refusals(ast.NodeTransformer):
    """Takes one refusal out of a module: the `n`th `raise BadTemplate(…)`, or `raise refuse(…)`, does nothing."""

    def __init__(self, n: int = -1) -> None:
        self.n, self.found = n, 0

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        name = node.exc.func.id if isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name) else ""
        if name not in ("BadTemplate", "refuse"):
            return node
        self.found += 1
        return ast.copy_location(ast.Pass(), node) if self.found == self.n else node


def without(module: Any, n: int) -> Any:
    """The module as it would be without its `n`th refusal; asked for one too many, nothing."""
    tree = ast.parse(inspect.getsource(module))
    transformer = _Refusals(n)
    tree = transformer.visit(tree)
    if n > transformer.found:
        return None
    code = compile(tree, f"{module.__name__} without refusal {n}", "exec")
    bare = ModuleType(f"{module.__name__}_{n}")
    sys.modules[bare.__name__] = bare  # a dataclass looks there for what its annotations mean
    try:
        exec(code, bare.__dict__)
    finally:
        del sys.modules[bare.__name__]
    return bare


def test_each_refusal_is_what_refuses() -> None:
    """The red twin of the table above: with any one refusal taken out, some line of the table does not hold."""
    seen, n = [], 0
    while bare := without(templatechecks, n := n + 1):
        differing = []
        for given, place, fault in WRONG:
            facts: dict[str, Any] = {"provider_id": "", "text": OFFER, "fields": [LAST_DAY], **given}
            channel, klass = facts.pop("channel", "sms"), facts.pop("klass", "marketing")
            try:
                bare.check(channel, klass, **facts)
                said: tuple[str, str] | None = None
            except bare.BadTemplate as refused:
                said = refused.place, str(refused)
            except Exception as broken:  # what comes after may rely on what was refused before it
                said = "", type(broken).__name__
            if said != (place, fault):
                differing.append(fault)
        assert differing, f"nothing tests refusal {n} of templatechecks"
        seen.append(differing)
    assert len(seen) == len(re.findall(r"raise (BadTemplate|refuse)\(", inspect.getsource(templatechecks)))


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


def of(channel: str, code: str) -> int:
    return Template.objects.get(channel=channel, code=code).pk


GIVEN: dict[str, Any] = {"provider_id": "", "text": OFFER, "fields": [LAST_DAY], "by": None, "now": NOW}
AGAIN: dict[str, Any] = {**GIVEN, "seen": 1}
NEW: dict[str, Any] = {**GIVEN, "klass": "marketing"}


def tried_out(module: Any, channel: str, code: str) -> None:
    version = TemplateVersion.objects.filter(template__channel=channel, template__code=code).latest("number")
    to = User.objects.get_or_create(username="nobody", is_staff=True)[0]
    module.send_test(version, {}, to=to, nonce="a", now=NOW)


# What is refused about a template as a whole: what is tried, the place that is named, and the sentence.
REFUSED: list[tuple[Callable[[Any], Any], str, str]] = [
    (lambda m: m.create("sms", "new", **NEW, name=" "), "name", "名称为 1 到 80 个字。"),
    (lambda m: m.create("sms", "New!", **NEW, name="新"), "code", "代码只用小写字母、数字和 -，最多 40 个字符。"),
    (lambda m: m.create("sms", "renewal-letter", **NEW, name="新"), "code", "这个渠道已有同一代码的模板。"),
    (
        lambda m: m.save(of("sms", "renewal-letter"), **{**AGAIN, "seen": 0}),
        "",
        "其间已有他人保存了这个模板。您填写的内容仍保留在这里。",
    ),
    (lambda m: m.save(of("sms", "renewal-letter"), **AGAIN, note="一" * 201), "note", "备注最多 200 个字。"),
    (lambda m: m.save(of("sms", "gone"), **AGAIN), "", "这个模板已停用：要修改，请先恢复。"),
    (lambda m: m.give(of("sms", "renewal-letter"), 0), "owner", "模板的负责人须是能登录的员工。"),
    (lambda m: m.retire(of("sms", "code"), now=NOW), "", "渠道 sms 的验证码由这个模板发送，不能停用。"),
    (lambda m: tried_out(m, "jpush", "app"), "", "本系统没有启用渠道 jpush。"),
    (lambda m: tried_out(m, "wechat", "care-repair"), "", "渠道 wechat 只能发给租客。"),
    (lambda m: tried_out(m, "sms", "renewal-letter"), "", "服务商还没有批准这个版本。"),
    (lambda m: tried_out(m, "sms", "gone"), "", "系统里没有您的手机号：请先补全您的员工资料。"),
]


@pytest.fixture
def some_templates(settings: Any) -> None:
    settings.CHANNELS = ["sms", "wechat"]
    saved("jpush", "app", provider_id="")
    templating.retire(saved("sms", "gone").template_id, now=NOW)


def said_of(tried: Callable[[Any], Any], module: Any) -> tuple[str, str] | None:
    """What is refused; nothing of it stays."""
    try:
        with transaction.atomic():
            tried(module)
            transaction.set_rollback(True)
    except BadTemplate as refused:
        return refused.place, str(refused)
    except Exception as broken:  # what comes after may rely on what was refused before it
        return "", type(broken).__name__
    return None


@pytest.mark.parametrize(("tried", "place", "fault"), REFUSED)
@pytest.mark.usefixtures("some_templates")
def test_what_does_not_fit_the_template_itself_is_refused(tried: Callable[[Any], Any], place: str, fault: str) -> None:
    assert said_of(tried, templating) == (place, fault)


@pytest.mark.usefixtures("some_templates")
def test_each_refusal_about_the_template_itself_is_what_refuses() -> None:
    """The red twin of that table: with any one refusal taken out, some line of it does not hold."""
    n = 0
    while bare := without(templating, n := n + 1):
        held = [said_of(tried, bare) == (place, fault) for tried, place, fault in REFUSED]
        assert not all(held), f"nothing tests refusal {n} of templating"
    assert n - 1 == len(REFUSED)


def test_what_is_shipped_can_be_saved_and_is_shipped_once() -> None:
    rows = list(TemplateVersion.objects.values_list("template__channel", "template__code", "number", "provider_id"))
    assert len(rows) == 28
    assert {(number, provider) for _channel, _code, number, provider in rows} == {(1, "")}
    templating.ship(now=NOW)
    assert TemplateVersion.objects.count() == 28


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


# --- Retiring ----------------------------------------------------------------------------------------------


def test_a_template_that_a_released_playbook_speaks_by_is_not_retired() -> None:
    shipping.ship(now=NOW)
    template = of("sms", "renewal-choices")
    with pytest.raises(BadTemplate) as refused:
        retiring.retire(template, now=NOW)
    assert str(refused.value).startswith("已发布的剧本仍在使用这个模板：")
    assert str(refused.value).endswith("。请先发布不再使用它的版本。")
    assert Template.objects.get(pk=template).retired_at is None
    for playbook in Playbook.objects.all():
        release = Release.objects.get(version__playbook=playbook)
        releases.ask(release.version, percent=0, rule=None, why="", by=None, reach=0, now=NOW)
    retiring.retire(template, now=NOW)
    assert Template.objects.get(pk=template).retired_at == NOW


def test_without_asking_the_playbooks_it_would_be_retired() -> None:
    """The red twin: the part that knows no playbooks retires it while they speak by it."""
    shipping.ship(now=NOW)
    template = of("sms", "renewal-choices")
    templating.retire(template, now=NOW)
    assert Template.objects.get(pk=template).retired_at == NOW


def test_whoever_still_follows_a_version_keeps_its_template(settings: Any) -> None:
    settings.CHANNELS = ["sms", "phone"]
    approve("sms", "renewal-terms", "SMS_300030")
    _push, message = pushed()
    assert message.forms["sms"]["template"] == "SMS_300030"
    for version in PlaybookVersion.objects.filter(is_draft=False):
        releases.ask(version, percent=0, rule=None, why="", by=None, reach=0, now=NOW)
    with pytest.raises(BadTemplate):
        retiring.retire(of("sms", "renewal-terms"), now=NOW)
    Enrolment.objects.update(left_on=TODAY, left_because="离开")
    retiring.retire(of("sms", "renewal-terms"), now=NOW)


def test_a_retired_template_is_not_offered_and_cannot_be_saved_on_a_step() -> None:
    templating.retire(of("sms", "renewal-choices"), now=NOW)
    offered = {
        channel: [each.code for each in those] for channel, _code, those in bookwords.template_choices({}, "ask")
    }
    assert sorted(offered["sms"]) == ["renewal-letter", "renewal-terms"]
    with pytest.raises(NotSaved) as refused:
        _templates({"kind": "ask", "templates": {"sms": "renewal-choices"}})
    assert str(refused.value) == "模板“续租、换房或不续”已停用：请另选一个，或先恢复它。"
    templating.bring_back(of("sms", "renewal-choices"))
    assert _templates({"kind": "ask", "templates": {"sms": "renewal-choices"}}) == {"sms": "renewal-choices"}


def test_what_a_retired_template_was_named_for_is_still_sent(settings: Any) -> None:
    settings.CHANNELS = ["sms"]
    approve("sms", "renewal-terms", "SMS_300030")
    templating.retire(of("sms", "renewal-terms"), now=NOW)
    _push, message = pushed()
    assert (message.state, message.forms["sms"]["template"]) == ("queued", "SMS_300030")


# --- Playbooks from before templates -----------------------------------------------------------------------


def test_a_playbook_from_before_templates_gets_the_shipped_ones_in_a_draft() -> None:
    shipping.ship(now=NOW)
    general = Playbook.objects.get(code="general")
    before = PlaybookVersion.objects.get(playbook=general)
    assert shipping.lacking(before) == {}
    with pytest.raises(NotSaved, match="各步骤已经用上了全部自带模板"):
        shipping.begin_with_templates(general.pk, by=None, now=NOW)
    assert not PlaybookVersion.objects.filter(playbook=general, is_draft=True).exists()

    version = make_version("general", {step: {"templates": {}} for step in ("general-30", "general-14")})
    draft = shipping.begin_with_templates(general.pk, by=None, now=NOW)
    said = dict(StepVersion.objects.filter(version=draft).values_list("step__code", "templates"))
    assert said["general-30"] == {"sms": "renewal-terms"}
    assert said["general-14"] == {"sms": "renewal-choices"}
    assert (draft.number, draft.is_draft, draft.note) == (version.number + 1, True, "补上自带模板")
    stood = dict(StepVersion.objects.filter(version=version).values_list("step__code", "templates"))
    assert (stood["general-30"], stood["general-14"]) == ({}, {})  # what was released says what it said


def test_a_step_that_names_another_template_keeps_it_and_a_retired_one_is_not_proposed() -> None:
    shipping.ship(now=NOW)
    version = make_version(
        "general", {"general-30": {"templates": {"sms": "renewal-letter"}}, "general-14": {"templates": {}}}
    )
    assert list(shipping.lacking(version).values()) == [{"sms": "renewal-choices"}]
    templating.retire(of("sms", "renewal-choices"), now=NOW)
    assert shipping.lacking(version) == {}
