"""The doors, the letter, and the signature of one; and what stands where there is no letter (any more)."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import expect

from renewal.models import Case, Code, Proposal, Rate
from tenants import links
from tenants.models import LeaseTenant, Link
from tests.letter import digits_of
from tests.makers import NOW, make_tenant
from tests.states import Visit, state
from tests.test_signing import wrong

LETTER = "林*，您好"


@state("这一年，住在滨江江晖店")
def cover(visit: Visit) -> None:
    visit.page.goto(f"/r/{visit.token}")


@state(LETTER, after=cover)
def letter(visit: Visit) -> None:
    visit.open()


@state(LETTER)
def letter_another_room(visit: Visit) -> None:
    visit.open()
    visit.page.get_by_text("换一间").tap()
    expect(visit.page.locator(".rent [data-word=rent]")).to_have_text("4,500")


@state(LETTER, after=letter)
def letter_unfolded(visit: Visit) -> None:
    visit.page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")


@state(LETTER)
def letter_general(visit: Visit) -> None:
    visit.open()
    visit.page.get_by_role("button", name="通用方案").tap()
    visit.page.wait_for_url("**/r/letter/")
    expect(visit.page.get_by_role("button", name="看回我的这一份")).to_be_visible()


@state(LETTER)
def letter_large_type(visit: Visit) -> None:
    visit.open()
    visit.page.get_by_role("button", name="大字").tap()
    visit.page.wait_for_url("**/r/letter/")


@state("先看这五行", after=letter_unfolded)
def agreement(visit: Visit) -> None:
    visit.press("去确认")
    visit.page.wait_for_url("**/r/letter/agreement")


@state("先看这五行")
def agreement_again(visit: Visit) -> None:
    visit.open()
    visit.page.goto("/r/letter/agreement?say=price")


@state("先看这五行", after=agreement)
def agreement_unfolded(visit: Visit) -> None:
    visit.page.locator("summary").tap()


@state("输入六位验证码", after=agreement_unfolded)
def code(visit: Visit) -> None:
    visit.send_code("code")


@state("输入六位验证码", after=code)
def code_wrong(visit: Visit) -> None:
    visit.sign(wrong(digits_of()))
    expect(visit.page.get_by_text("还可以试 4 次")).to_be_visible()


@state("输入六位验证码")
def code_spent(visit: Visit) -> None:
    visit.ask_code()
    Code.objects.update(tries=4)
    visit.sign(wrong(digits_of()))
    expect(visit.page.get_by_role("alert")).to_be_visible()


@state("续好了", after=code_wrong)
def done(visit: Visit) -> None:
    visit.sign(digits_of())
    visit.page.wait_for_url("**/r/letter/done")


@state("找到您的信")
def door(visit: Visit) -> None:
    visit.page.goto("/r/")


def _knock(visit: Visit, phone: str) -> None:
    visit.page.get_by_label("手机号").fill(phone)
    visit.press("获取验证码")


@state("找到您的信", after=door)
def door_no_number(visit: Visit) -> None:
    _knock(visit, "12345")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@state("输入六位验证码", after=door_no_number)
def door_code(visit: Visit) -> None:
    _knock(visit, visit.link.tenant.phone)
    visit.page.wait_for_url("**/r/code")


@state("这个号码下没有可续的租约")
def door_nobody(visit: Visit) -> None:
    door(visit)
    _knock(visit, make_tenant("周舟").phone)
    visit.page.wait_for_url("**/r/code")
    visit.page.locator("#code").press_sequentially(digits_of("door:"))
    visit.press("打开我的信")


@state("这封信在别处打开过")
def opened_elsewhere(visit: Visit) -> None:
    links.open(visit.link, trusted=True, now=NOW)
    visit.page.goto(f"/r/{visit.token}")
    visit.page.get_by_role("button", name="打开").tap()
    visit.page.wait_for_url("**/r/confirm")


@state("这个地址没有信")
def unknown(visit: Visit) -> None:
    visit.page.goto(f"/r/{'a' * 26}")


@state("这个链接已经失效", after=unknown)
def expired(visit: Visit) -> None:
    Link.objects.filter(pk=visit.link.pk).update(expires_at=NOW - timedelta(seconds=1))
    visit.page.goto(f"/r/{visit.token}")


@state("这个链接已经失效", after=expired)
def revoked(visit: Visit) -> None:
    Link.objects.filter(pk=visit.link.pk).update(expires_at=visit.link.expires_at, revoked_at=NOW)
    visit.page.goto(f"/r/{visit.token}")


@state("这份租约已经续好")
def signed(visit: Visit) -> None:
    visit.close("signed")
    visit.page.goto(f"/r/{visit.token}")


@state("这份租约已经结束", after=signed)
def moved_out(visit: Visit) -> None:
    visit.close("moved_out")
    visit.page.goto(f"/r/{visit.token}")


@state("这份租约已经结束", after=moved_out)
def ended_by_operator(visit: Visit) -> None:
    visit.close("ended_by_operator")
    visit.page.goto(f"/r/{visit.token}")


@state("已收到您的退租通知", after=ended_by_operator)
def noticed(visit: Visit) -> None:
    visit.close("notice")
    visit.page.goto(f"/r/{visit.token}")
    visit.press("打开")


@state("信已经合上了")
def shut(visit: Visit) -> None:
    visit.page.goto("/r/letter/")


@state("请稍等片刻", after=shut)
def too_often(visit: Visit) -> None:
    visit.settings.H5_OPENINGS_PER_MINUTE = 0
    visit.page.goto(f"/r/{visit.token}")
    visit.press("打开")


@state("还有点早")
def not_yet(visit: Visit) -> None:
    Case.objects.all().delete()
    visit.page.goto(f"/r/{visit.token}")
    visit.page.get_by_role("button", name="打开").tap()


@state("方案还没准备好")
def unpriced(visit: Visit) -> None:
    Rate.objects.all().delete()
    visit.page.goto(f"/r/{visit.token}")
    visit.page.get_by_role("button", name="打开").tap()


@state("续租信由合同上的第一承租人接收")
def cotenant(visit: Visit) -> None:
    other = make_tenant("周舟")
    LeaseTenant.objects.create(lease=visit.link.lease, tenant=other, is_primary=False)
    expires = links.expiry(visit.link.lease, now=NOW)
    _link, token = links.mint(
        "message:cotenant", tenant=other, lease=visit.link.lease, purpose="proposal", expires_at=expires, now=NOW
    )
    visit.page.goto(f"/r/{token}")
    visit.page.get_by_role("button", name="打开").tap()


@state("为什么是这个价")
def certificate(visit: Visit) -> None:
    visit.open()
    Proposal.objects.update(lead={"term_months": 12, "free_months": 0, "above_percent": 3})
    visit.page.goto("/r/letter/certificate")
