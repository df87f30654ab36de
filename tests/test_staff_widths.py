"""Every page of the staff site fits the width of a phone: nothing has to be pushed aside to be read."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Browser

from campaigns.models import Segment
from renewal import days
from renewal.models import Case
from tenants import clock
from tenants.models import Perk
from tests.makers import NOW, make_user
from tests.test_pushes_page import world
from tests.touch import make_touchpoint

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = (
    "", "tenant/", "tenant/same/", "tenant/{tenant}/", "contract/{lease}/", "sources/", "sources/upload/",
    "sources/quarantine/", "segment/", "segment/new/", "segment/lists/", "segment/{segment}/",
    "segment/{segment}/edit/",
    "playbook/", "playbook/new/", "playbook/{playbook}/", "playbook/{playbook}/versions/", "campaigns/segment/",
    "rehearsal/", "templates/", "templates/new/", "pushes/",
    "experiment/", "experiment/new/",
    "pushes/list/", "pushes/{push}/", "touchpoint/", "touchpoint/new/", "touchpoint/{touchpoint}/?of=clicked",
    "touchpoint/{touchpoint}/edit/", "case/", "case/{case}/", "case/intents/", "renewal/case/",
    "rates/", "rates/term/?building=B1&type=朝南一居&term=12", "rates/waiting/", "rates/weeks/?building=B1&most=3",
    "rates/leads/?building=B1",
    "batches/",
    "perks/", "perks/new/", "perks/{perk}/", "voucher/", "workorders/workorder/", "tenants/message/",
)  # fmt: skip

# The cells of which something is cut off, or lies beyond the screen.
CUT = """[...document.querySelectorAll("#result_list td, .releases td, .pushes__shape, #main h1 > .truncate")].filter(
    cell => cell.scrollHeight > cell.clientHeight + 1 && getComputedStyle(cell).overflowY === "hidden"
        || cell.scrollWidth > cell.clientWidth + 1 && getComputedStyle(cell).overflowX === "hidden"
        || cell.getBoundingClientRect().right > innerWidth
).map(cell => cell.innerText)"""


def test_no_page_of_the_staff_is_wider_than_a_phone(chromium: Browser, live_server: Any) -> None:
    clock.set_to(NOW)
    push = world()["parked"]
    days.run(today=clock.day_of(NOW), now=NOW)
    segment = Segment.objects.create(code="end", name="到期", rule={"lease": "days_to_end", "op": "<=", "value": 60})
    ids = {
        "push": push.pk, "tenant": push.tenant_id, "lease": push.lease_id, "segment": segment.pk,
        "case": Case.objects.get(lease=push.lease_id).pk,
        "playbook": push.step.playbook_id, "touchpoint": make_touchpoint().pk,
        "perk": Perk.objects.get(code="cleaning").pk,
    }  # fmt: skip
    make_user("chief", is_superuser=True, password=make_password("chief"))
    page = chromium.new_page(base_url=live_server.url, locale="zh-CN", viewport={"width": 390, "height": 844})
    page.goto("/admin/")
    page.fill("input[name=username]", "chief")
    page.fill("input[name=password]", "chief")
    page.click("button[type=submit]")
    found = {}
    for address in PAGES:
        answer = page.goto("/admin/" + address.format(**ids))
        assert answer
        assert answer.status == 200, address
        found[address] = (page.evaluate("document.documentElement.scrollWidth"), page.evaluate(CUT))
    assert found == dict.fromkeys(PAGES, (390, []))
    page.close()
