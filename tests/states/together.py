"""Several who sign one agreement, as the first of them and the others see it."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import expect

from renewal import proposals
from renewal.models import Round
from tenants import links
from tenants.models import LeaseTenant, Tenant
from tests.letter import digits_of
from tests.makers import NOW, TODAY, make_lease, make_tenant
from tests.states import Visit, state
from tests.test_rounds import first_yes

YOURS_IS_MISSING = "条件已定，还差您的确认"


def _flatmate(visit: Visit, name: str = "周航") -> Tenant:
    visit.settings.ALL_TENANTS_SIGN = True
    other = make_tenant(name)
    LeaseTenant.objects.create(lease=visit.link.lease, tenant=other, is_primary=False)
    return other


def _token(visit: Visit, of: Tenant) -> str:
    lease = visit.link.lease
    until = links.expiry(lease, now=NOW)
    carrier = f"message:{of.pk}"
    return links.mint(carrier, tenant=of, lease=lease, purpose="proposal", expires_at=until, now=NOW)[1]


def _first(visit: Visit) -> Tenant:
    """Whoever stands first has signed, and waits; the flatmate whose yes is missing."""
    other = _flatmate(visit)
    first_yes(proposals.for_link(visit.link, today=TODAY, now=NOW))
    return other


@state("先看这五行")
def together_agreement(visit: Visit) -> None:
    _flatmate(visit)
    visit.agree()


@state("您已签署", after=together_agreement)
def together_waiting(visit: Visit) -> None:
    visit.send_code("code")
    visit.sign(digits_of())


@state("还差一步", after=together_waiting)
def together_before_the_provider(visit: Visit) -> None:
    Round.objects.update(sealing="wanted")
    visit.page.reload()


@state("还差一步", after=together_before_the_provider)
def together_at_the_provider(visit: Visit) -> None:
    Round.objects.update(sealing="signing")
    visit.page.reload()
    expect(visit.page.get_by_role("link", name="去平台签署")).to_be_visible()


@state("收回签署", after=together_at_the_provider)
def together_taking_back(visit: Visit) -> None:
    Round.objects.update(sealing="")
    visit.page.get_by_role("link", name="收回我的签署").tap()


@state("已收回您的签署", after=together_taking_back)
def together_taken_back(visit: Visit) -> None:
    visit.press("收回我的签署")


@state("同住人正在签署这次续租")
def together_without(visit: Visit) -> None:
    _first(visit)
    visit.page.goto(f"/r/{_token(visit, _flatmate(visit, '吴桐'))}")
    visit.press("打开")


@state(YOURS_IS_MISSING)
def together_terms(visit: Visit) -> None:
    visit.open(_token(visit, _first(visit)), to="together")


@state("输入六位验证码", after=together_terms)
def together_code(visit: Visit) -> None:
    visit.send_code("together/code")


@state("续好了", after=together_code)
def together_done(visit: Visit) -> None:
    visit.sign(digits_of())


@state("这间房已经不能签了", after=together_code)
def together_broken(visit: Visit) -> None:
    lease = visit.link.lease
    first_day, last_day = lease.last_day + timedelta(days=1), lease.last_day + timedelta(days=365)
    make_lease(make_tenant("郑爽"), lease.unit, first_day=first_day, last_day=last_day)
    visit.sign(digits_of())


@state("不同意这些条件", after=together_terms)
def together_refusing(visit: Visit) -> None:
    visit.page.get_by_role("link", name="我不同意").tap()


@state("已记下：您不同意", after=together_refusing)
def together_refused(visit: Visit) -> None:
    visit.press("我不同意")


@state("由合同上排在第一位的租客先选", after=together_refused)
def together_the_first_chooses(visit: Visit) -> None:
    visit.back()
