"""A whole experiment in a real browser: laid down, sent, clicked over 72 hours, decided, and reversed by signatures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from playwright.sync_api import Browser, expect

from campaigns import looking
from campaigns.models import Assigned, Experiment
from connectors.models import PhoneMessage
from renewal import days
from tenants import clock
from tenants.models import Building
from tests.letter import LARGE, OWN, publish
from tests.makers import TODAY, make_playbook, make_user
from tests.test_looking import at, of, sign
from tests.test_trials import TOMORROW, WAVE, audience

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_wave_is_tested_decided_after_72_hours_and_reversed_by_signatures(
    chromium: Browser, live_server: Any
) -> None:
    clock.set_to(clock.at(TODAY, 10))
    make_playbook("冬季波次", WAVE, rank=50)  # before the shipped ones
    audience(140)
    publish(Building.objects.get(), {"朝南一居": OWN, "朝南大一居": LARGE})
    make_user("hq", is_superuser=True, password=make_password("hq"))
    context = chromium.new_context(base_url=live_server.url, locale="zh-CN", viewport={"width": 1440, "height": 900})
    page = context.new_page()
    answer = page.locator("#answer")
    page.goto("/admin/experiment/")
    page.fill("input[name=username]", "hq")
    page.fill("input[name=password]", "hq")
    page.click("button[type=submit]")
    expect(page.locator(".empty-page h2")).to_have_text("还没有做过实验。")

    page.click("a[href$='experiment/new/']")
    page.select_option("#step", index=1)
    page.click(".trial__step button")
    expect(page.locator(".trial__power")).to_contain_text("每组 70 人：只能分辨 15% 与 37% 以上")
    page.fill("#name", "问一句")
    page.fill("#text_B", "{last_day}之后，还住这里吗？")
    page.click(".trial__form button")
    expect(answer).to_have_text(f"“问一句”等待 {TOMORROW} 的波次")

    clock.set_to(at(0))
    days.run(today=TOMORROW, now=at(0))
    page.reload()
    expect(answer).to_have_text("“问一句”进行中，尚无结论")
    expect(page.locator(".trial__arms tbody tr").nth(0).locator("td").nth(1)).to_have_text("70")

    # Ten of seventy who heard A open their letter, and fifteen of those who heard B, one after the other.
    mailbox = dict(PhoneMessage.objects.values_list("address", "url"))
    clicks = sorted(
        [(1 + 7 * n, seat) for n, seat in enumerate(of("A")[:10])]
        + [(2 + 4.7 * n, seat) for n, seat in enumerate(of("B")[:15])],
        key=lambda each: each[0],
    )
    for hour, seat in clicks:
        clock.set_to(at(hour))
        token = mailbox[seat.tenant.phone].rstrip("/").rsplit("/", 1)[1]
        assert Client().post(f"/r/{token}/open", {"gesture": "1"}).status_code == 303
        looking.look(now=at(hour))
    page.reload()
    expect(page.locator(".trial__looks tbody tr").nth(4).locator("td").nth(1)).to_have_text("A 9 · B 13")
    clock.set_to(at(72))
    looking.look(now=at(72))
    page.reload()
    expect(answer).to_have_text("“问一句”：今后改用版本 B，但尚未证实")
    assert Experiment.objects.get().state == "decided"

    later = TODAY + timedelta(days=20)
    sign(of("A")[:45], later)
    sign(of("B")[:10], later)
    clock.set_to(clock.at(later, 22))
    days.run(today=later, now=clock.now())
    page.reload()
    expect(answer).to_have_text("“问一句”：被签约结果推翻，今后改用版本 A")
    verdicts = page.locator("section[aria-labelledby=lines-title] li b")
    assert verdicts.all_inner_texts() == ["暂定", "签约推翻"]
    assert Assigned.objects.count() == 140
    context.close()
