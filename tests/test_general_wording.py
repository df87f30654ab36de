"""通用版: what somebody hears who does not agree to personal wording, planned, handed over, claimed; and its editor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from campaigns import drafts, general, pushes, retiring, rosters, shelf, shipping
from campaigns.models import Arm, Assigned, Experiment, Playbook, PlaybookVersion, Push, StepVersion
from connectors.channels import kind
from renewal import bookwords
from tenants import clock, consents, outbox, templating
from tenants.models import Consent, Lease, Message, Tenant
from tenants.outbox import claiming, rules
from tests.book_forms import Visit
from tests.makers import BEFORE, NOW, TODAY, first_step, make_announcement, make_playbook, make_version
from tests.test_playbook_drafts import LIST, STEP
from tests.test_pushes import HANDED_OVER, PLANNED, SUPPRESSED, chosen, decisions, hand_over, plan, resident
from tests.test_segment_pages import client_of, segment

pytestmark = pytest.mark.django_db

PLAIN = "共享厨房 12 月 20 日升级烘焙区；续租的选择也在这里。"
PERSONAL = "您常去的共享厨房 12 月 20 日升级烘焙区，续租的选择在这里。"
LATE = {"tag": "repair_was_late"}


@pytest.fixture(autouse=True)
def _shipped() -> None:
    clock.set_to(NOW)
    shipping.ship(now=BEFORE)


def refuse(tenant: Tenant) -> None:
    """In the ledger alone, as a merge of two rows brings it: nothing is taken back by it."""
    facts: dict[str, Any] = {"channel": "any", "granted": False, "at": NOW, "text_version": "", "proof": "合并"}
    Consent.objects.create(tenant=tenant, purpose="profiling", recorded_at=NOW, **facts)


def choose(tenant: Tenant) -> None:
    consents.choose_general(tenant, general=True, now=NOW)


def withdraw(tenant: Tenant) -> None:
    facts: dict[str, Any] = {"channel": "any", "granted": False, "at": NOW, "text_version": "", "proof": "App"}
    consents.record(tenant, purpose="profiling", now=NOW, **facts)


def told(lease: Lease) -> tuple[str, str, bool]:
    message = Message.objects.get(lease=lease)
    return message.state, message.text, message.is_personal


# --- Who hears what -----------------------------------------------------------------------------------------


def test_those_who_do_not_agree_hear_the_general_wording_at_the_same_moment_and_the_rule_is_not_asked_of_them() -> None:
    agrees = resident("同意", "kitchen_regular")
    others = [
        resident("未答复", "kitchen_regular", consents=("marketing",)),
        resident("选了通用版", "kitchen_regular", general_version=True),
        resident("从不下厨", consents=("marketing",)),
    ]
    no_cook = resident("同意而不下厨")
    make_announcement(agrees.unit.building)
    plan()
    why = "到期前 25 天；剧本“通用版”；"
    announced = "楼栋公告：共享厨房 12 月 20 日升级烘焙区"
    assert decisions(agrees)["general-kitchen-25"] == (PLANNED, why + "近 90 天使用共享厨房 23 次；" + announced)
    for lease in others:
        assert decisions(lease)["general-kitchen-25"] == (PLANNED, why + "通用文案；" + announced)
    assert chosen(no_cook) == ["general-30"]
    hand_over()
    assert told(agrees) == ("queued", PERSONAL, True)
    assert {told(lease) for lease in others} == {("queued", PLAIN, False)}
    assert told(no_cook)[2] is False  # said to everybody: nothing about it is personal
    said = {push.general: pushes.read(push) for push in Push.objects.filter(step__code="general-kitchen-25")}
    assert said == {False: said[False], True: PLAIN}


def test_the_general_wording_claims_an_announcement_only_where_it_quotes_one() -> None:
    lease = resident("未答复", consents=("marketing",))
    plan()
    assert decisions(lease)["general-kitchen-25"] == (SUPPRESSED, "楼栋目前没有关于“shared_kitchen”的公告")
    make_version("general", {"general-kitchen-25": {"general_text": "续租的选择在这里。"}})
    other = resident("未答复二", consents=("marketing",))
    plan()
    hand_over()
    message = Message.objects.get(lease=other)
    assert (message.text, message.claims, message.is_personal) == ("续租的选择在这里。", None, False)


def test_its_templates_are_its_own(settings: Any) -> None:
    settings.CHANNELS = ["jpush", "phone"]
    template = templating.create(
        "jpush",
        "plain",
        klass="marketing",
        name="通用",
        provider_id="",
        text="推送里的通用文案。",
        fields=[],
        by=None,
        now=NOW,
    ).template
    make_version("general", {"general-kitchen-25": {"general_templates": {"jpush": "plain"}}})
    agrees, does_not = resident("同意", "kitchen_regular"), resident("未答复", consents=("marketing",))
    make_announcement(agrees.unit.building)
    plan()
    hand_over()
    forms = {lease: Message.objects.get(lease=lease).forms for lease in (agrees, does_not)}
    assert forms == {agrees: {}, does_not: {"jpush": {"text": "推送里的通用文案。"}}}
    assert retiring.holders(template) == ["通用版"]


def test_a_playbook_that_a_profile_chose_marks_all_it_says_about_renewing() -> None:
    lease = resident("社交", "social", days=30)
    plan()
    hand_over()
    assert chosen(lease) == ["social-30"]
    assert told(lease)[2] is True
    assert not StepVersion.objects.filter(version__playbook__segment__isnull=False).exclude(general_text="").exists()


def test_who_hears_the_general_wording_is_in_no_experiment() -> None:
    agrees = resident("同意", "kitchen_regular")
    does_not = resident("未答复", consents=("marketing",))
    make_announcement(agrees.unit.building)
    step = StepVersion.objects.get(step__code="general-kitchen-25").step
    experiment = Experiment.objects.create(name="试", step=step, seed="s", made_at=NOW)
    for letter, text in (("A", "{announcement}。甲"), ("B", "{announcement}。乙")):
        Arm.objects.create(experiment=experiment, letter=letter, text=text)
    plan()
    rosters.freeze(today=TODAY, now=NOW)
    hand_over()
    assert list(Assigned.objects.values_list("lease", flat=True)) == [agrees.pk]
    assert told(agrees)[1][-1] in "甲乙"
    assert told(does_not)[1] == PLAIN


# --- Who refuses meanwhile ----------------------------------------------------------------------------------


def test_who_refuses_between_planning_and_handing_over_hears_the_general_wording() -> None:
    lease = resident("反悔", "kitchen_regular")
    make_announcement(lease.unit.building)
    plan()
    choose(lease.tenants.get())
    hand_over()
    assert told(lease) == ("queued", PLAIN, False)
    push = Push.objects.get(lease=lease, state=HANDED_OVER)
    assert push.general
    assert push.reason.endswith("；通用文案")


def test_where_there_is_none_who_refuses_between_planning_and_handing_over_hears_nothing() -> None:
    lease = resident("反悔", "social", days=30)
    plan()
    refuse(lease.tenants.get())
    assert hand_over() == {"handed_over": 0, "suppressed": 1}
    assert decisions(lease)["social-30"] == (SUPPRESSED, "不再同意个性化内容")


@pytest.mark.parametrize("is_looked_at", [True, False])
@pytest.mark.parametrize("refuses", [refuse, lambda tenant: Tenant.objects.update(general_version=True)])
def test_the_claim_looks_once_more_whether_personal_wording_is_agreed_to(
    refuses: Callable[[Tenant], None], is_looked_at: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its red twin: without the look what was planned goes out."""
    lease, plain = resident("反悔", "social", days=30), resident("通用", days=30)
    plan()
    hand_over()
    refuses(lease.tenants.get())
    if not is_looked_at:
        look = "m.is_personal AND NOT coalesce(profile.granted, false)"
        assert look in rules.FACTS
        monkeypatch.setattr(rules, "FACTS", rules.FACTS.replace(look, "false"))
    outbox.drain(now=NOW)
    message = Message.objects.get(lease=lease)
    if is_looked_at:
        assert (message.state, message.reason) == ("suppressed", "租客未同意个性化内容。")
    else:
        assert message.state == "accepted"
    assert told(plain)[0] == "accepted"  # what everybody hears goes in either case


@pytest.mark.parametrize("refuses", [choose, withdraw])
def test_a_refusal_takes_back_at_once_what_is_personal_even_if_it_is_claimed(refuses: Callable[[Tenant], None]) -> None:
    claimed = resident("已领取", "social", days=30)
    plan()
    hand_over()
    claims, _settled = claiming.claim(kind("phone"), now=NOW, limit=9)
    waits, plain = resident("在等", "social", days=30), resident("通用", days=30)
    plan()
    hand_over()
    for lease in (claimed, waits, plain):
        refuses(lease.tenants.get())
    assert claiming.still_ours(claims, channel="phone", now=NOW) == set()
    assert told(waits)[0] == "suppressed"
    assert told(plain)[0] == "queued"


def test_who_never_heard_the_personal_ask_hears_the_plain_one_of_the_general_playbook() -> None:
    lease = resident("反悔", "social", days=30)
    plan()
    hand_over()
    withdraw(lease.tenants.get())
    tomorrow = TODAY + timedelta(days=1)
    plan(tomorrow)
    hand_over(tomorrow)
    assert chosen(lease) == ["social-30", "general-30"]
    states = Message.objects.filter(lease=lease).order_by("pk").values_list("state", "text", "is_personal")
    assert list(states) == [
        ("suppressed", "租约 12 月 31 日到期。各租期的租金和权益，可以在这里对比。", True),
        ("queued", "租约 12 月 31 日到期。各租期的租金和押金，都写在这里。", False),
    ]


# --- Writing it ---------------------------------------------------------------------------------------------


def test_the_editor_offers_a_general_wording_with_its_preview_and_versions_show_it() -> None:
    make_announcement(resident("林晓").unit.building)
    book = Playbook.objects.get(code="general")
    visit = Visit(client_of("hq"), f"{LIST}{book.pk}/")
    assert PLAIN in visit.html
    assert "没有通用文案：不发给未同意个性化内容的人" in visit.html  # of the step about late repairs
    visit.press("begin")
    visit.go(f"{LIST}{book.pk}/draft/general-kitchen-25/")
    assert visit.one(r'id="plain">(.*?)</p>') == PLAIN
    assert visit.form("save")["fields"]["general.sms"] == ["renewal-terms"]
    visit.press("look", general_text="您的{name}，您好。")
    assert visit.faults == ["文案中不能有“{name}”：只会填入 {last_day} 和 {announcement}。"]
    visit.press("save", general_text="{announcement}，可以先看看。", general__sms="renewal-letter")
    draft = drafts.draft_of(book.pk)
    assert draft
    said = StepVersion.objects.get(version=draft, step__code="general-kitchen-25")
    assert (said.general_text, said.general_templates) == ("{announcement}，可以先看看。", {"sms": "renewal-letter"})
    before = PlaybookVersion.objects.get(playbook=book, number=1)
    assert bookwords.changes(before, draft) == [
        "到期前 25 天：通用文案：“{announcement}；续租的选择也在这里。” → “{announcement}，可以先看看。”；"
        "通用文案的模板：sms renewal-terms → sms renewal-letter"
    ]
    visit.go(f"{LIST}{book.pk}/draft/general-start/")
    assert "未同意个性化内容的人" not in visit.html  # a step for everybody needs no second wording


@pytest.mark.parametrize(
    ("facts", "kept"),
    [
        ({"rule": LATE}, "续租方案在这里，可以看看。"),
        ({"rule": None}, ""),
        ({"rule": LATE, "kind": "care", "text": "这次让您久等了。"}, ""),
        ({"rule": LATE, "in_a_segment": True}, ""),
    ],
)
def test_a_general_wording_is_kept_only_where_somebody_can_hear_it(facts: dict[str, Any], kept: str) -> None:
    whom = segment("晚修", LATE).pk if facts.pop("in_a_segment", False) else None
    book = shelf.create("新剧本", segment=whom, lead_days=60, starts_on={}, by=None, now=NOW)
    draft = drafts.draft_of(book.pk)
    assert draft
    named = {"sms": "renewal-terms"}
    given = {**STEP, "general_text": "续租方案在这里，可以看看。", "general_templates": named, **facts}
    said = drafts.save_step(book.pk, "", given, seen=drafts.mark(draft), by=None, today=TODAY, now=NOW)
    assert (said.general_text, said.general_templates) == (kept, named if kept else {})
    assert general.may_have(said.kind, said.rule, whom) == bool(kept)


def test_a_playbook_from_before_there_was_one_gets_it_in_a_draft() -> None:
    book = Playbook.objects.get(code="general")
    make_version("general", {"general-kitchen-25": {"general_text": "", "general_templates": {}}})
    visit = Visit(client_of("hq"), f"{LIST}{book.pk}/")
    assert "1 个步骤没有用上自带的通用文案：未同意个性化内容的人收不到这一步。" in visit.html
    visit.press("begin-templates")
    draft = drafts.draft_of(book.pk)
    assert draft
    assert draft.note == "补上自带通用文案"
    said = StepVersion.objects.get(version=draft, step__code="general-kitchen-25")
    assert said.general_text == "{announcement}；续租的选择也在这里。"
    assert said.general_templates == {"sms": "renewal-terms"}
    assert shipping.lacking_general(first_step(make_playbook("staff")).version) == {}
