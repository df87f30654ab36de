"""The mood on a bill and the survey, each behind a link of its own."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import expect

from tenants import asking, clock, feedback
from tenants.models import BillAsk, Link, Survey
from tests.makers import NOW
from tests.states import Visit, state
from tests.test_moods import bill, question
from tests.test_surveys import survey as asked

MOOD, SURVEY = "这个月住得怎么样？", "您有多愿意向朋友推荐蓝寓？"


@state(MOOD)
def mood(visit: Visit) -> None:
    _one, token = question()
    visit.page.goto(f"/m/{token}")


@state(MOOD, after=mood)
def mood_no_face(visit: Visit) -> None:
    visit.page.locator("form.question").evaluate("form => { form.noValidate = true }")
    visit.press("提交")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@state("2025年11月记下了：满意", after=mood_no_face)
def mood_given(visit: Visit) -> None:
    visit.page.locator(".face").first.tap()
    visit.press("提交")


@state("2025年11月记下了：不满意", after=mood_given)
def mood_bad(visit: Visit) -> None:
    visit.page.get_by_role("link", name="改一下").tap()
    visit.page.locator(".face").last.tap()
    visit.press("提交")


@state("新的账单已经出来了", after=mood_bad)
def mood_over(visit: Visit) -> None:
    bill(BillAsk.objects.get().lease, month="2025-12", at=NOW - timedelta(hours=1))
    feedback.ask(now=NOW)
    visit.page.get_by_role("link", name="改一下").tap()


@state("以后不再问您")
def questions_stopped(visit: Visit) -> None:
    mood(visit)
    visit.press("以后不用再问我")


@state("我们会继续问您", after=questions_stopped)
def questions_go_on(visit: Visit) -> None:
    visit.press("改回来")


@state("这个地址上没有要问您的事")
def no_question(visit: Visit) -> None:
    visit.page.goto(f"/m/{'a' * 26}")


@state("这次提问已经结束了", after=no_question)
def question_over(visit: Visit) -> None:
    _one, token = question()
    Link.objects.filter(purpose="mood").update(expires_at=NOW - timedelta(seconds=1))
    visit.page.goto(f"/m/{token}")


@state(SURVEY)
def survey(visit: Visit) -> None:
    asking.switch(asking.SURVEYS, on=True, by=None, now=NOW - timedelta(days=100))
    _one, token = asked()
    visit.page.goto(f"/s/{token}")


@state(SURVEY, after=survey)
def survey_no_number(visit: Visit) -> None:
    visit.page.locator("form.question").evaluate("form => { form.noValidate = true }")
    visit.press("提交")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@state("记下了：9 分", after=survey_no_number)
def survey_given(visit: Visit) -> None:
    visit.page.locator(".score").nth(9).tap()
    visit.press("提交")


@state("您已经回答过了", after=survey_given)
def survey_settled(visit: Visit) -> None:
    Survey.objects.update(answered_at=clock.now() - timedelta(days=1))
    visit.page.get_by_role("link", name="改一下").tap()
